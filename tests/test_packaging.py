"""What surrounds the package: dependencies, the address, the wheel, the workflows."""

import pathlib
import re
import shlex
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml

from tutorials_lib.book.cli import make_parser
from tutorials_lib.runs.profiles import CHAPTERS, PROFILES

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


def test_conda_and_pip_install_the_same():
    groups = PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()
    wanted = {x for group in groups for x in group if not x.startswith("tutorials_lib")}
    wanted |= {f"python{PROJECT['requires-python']}", "pip", "--editable ."}
    *from_conda, rest = CONDA
    assert {*from_conda, *rest["pip"]} == wanted


def test_wheel_carries_the_records_and_nothing_else_of_the_book(tmp_path, run_python):
    command = ("-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
    done = run_python(*command, "--wheel-dir", tmp_path, ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packed = {x for x in names if x.endswith((".json", ".npz"))}
    folder = ROOT / "book" / "records"
    assert packed == {
        f"tutorials_lib/published_records/{path.relative_to(folder).as_posix()}"
        for path in folder.rglob("*.*")
        if path.suffix in (".json", ".npz")
    }
    # Without it type checkers take the package for untyped.
    assert "tutorials_lib/py.typed" in names
    assert not [x for x in names if x.endswith((".ipynb", ".claim"))]
    assert not [x for x in names if x.startswith(("tests", "book", "benchmarks"))]


# Commands of the documents that are of other tools, or set up the shell.
OTHERS = {".", "conda", "dask", "export", "papermill", "pip", ".ci/gpu", "open"}


@pytest.mark.parametrize(
    "name", ["README.md", "book/how_to_run.md", "book/full_book.md"]
)
def test_commands_of_the_documents_can_be_pasted(name):
    """Shells, make and `tutorials` read each; other tests run the cheap ones."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / name).read_text(), re.S)
    assert len(blocks) >= 2
    for block in blocks:
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                del words[0]
            if not words:
                continue
            if words[0] == "make":
                dry = [*words, "--dry-run"]
                subprocess.run(dry, cwd=ROOT, check=True, capture_output=True)
            elif words[0] == "tutorials":
                options = vars(make_parser().parse_args(words[1:]))
                chapters = options.get("chapters") or []
                assert set(chapters) <= set(CHAPTERS), line
                assert options.get("profile") in (None, *PROFILES), line
            else:
                assert words[0] in OTHERS, line
            for path in words[1:]:
                if path.startswith(("book/", ".ci/")):
                    assert (ROOT / path).exists(), line


def test_workflows_ask_for_a_runner_in_steps_alone():
    """Elsewhere GitHub refuses the whole file, which no linter sees."""
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        workflow = yaml.safe_load(path.read_text())
        for job in workflow["jobs"].values():
            del job["steps"]
        assert not re.search(r"\brunner\.\w", str(workflow)), path.name


def test_issue_form_lists_the_chapters():
    """A chapter added later is asked for here."""
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/chapter.yml").read_text())
    (listed,) = [x for x in form["body"] if x.get("id") == "chapter"]
    assert listed["attributes"]["options"][:-1] == list(CHAPTERS)


def test_lint():
    """Style, types, imports, workflows, issue forms and the citation."""
    ready = f"{sys.prefix}/.ready"
    command = ["make", f"--assume-old={ready}", "lint", f"VENV={sys.prefix}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
