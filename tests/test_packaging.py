"""What surrounds the package: dependencies, the address, the wheel, the workflows."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest
import yaml

from tutorials_lib.runs import address
from tutorials_lib.runs.chapters import ChapterError
from tutorials_lib.runs.profiles import CHAPTERS

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
ITSELF = "tutorials_lib"


def split(requirement):
    """Splits `name[extra]>=1,<2` into its name and its set of bounds."""
    name, bounds = re.fullmatch(r"([\w-]+)(?:\[.*\])?(.*)", requirement).groups()
    return name, frozenset(filter(None, bounds.replace(" ", "").split(",")))


def test_conda_and_pip_install_the_same():
    extras = PROJECT["optional-dependencies"].values()
    wanted = {split(x) for x in PROJECT["dependencies"]}
    wanted |= {split(x) for extra in extras for x in extra}
    wanted = {pair for pair in wanted if pair[0] != ITSELF}
    (from_pip,) = [x["pip"] for x in CONDA if isinstance(x, dict)]
    found = {split(x) for x in CONDA if isinstance(x, str)}
    found |= {split(x) for x in from_pip if not x.startswith("--editable")}
    assert ("python", frozenset({PROJECT["requires-python"]})) in found
    assert {x for x in found if x[0] not in ("python", "pip")} == wanted
    assert "--editable ." in from_pip


def test_development_installs_every_extra():
    (itself,) = [
        x for x in PROJECT["optional-dependencies"]["dev"] if x.startswith(ITSELF)
    ]
    named = set(re.search(r"\[(.*)\]", itself).group(1).split(","))
    assert named == set(PROJECT["optional-dependencies"]) - {"dev"}


def test_core_is_few_and_loose():
    names = {split(x)[0] for x in PROJECT["dependencies"]}
    expected = {"filelock", "keras", "matplotlib", "numpy", "pandas", "pillow"}
    assert names == expected | {"scipy"}
    assert not [x for x in PROJECT["dependencies"] if "<" in x or "==" in x]


def tracked_files():
    done = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in done.stdout.splitlines()]


def test_the_address_stands_in_one_place_and_its_stamps():
    """Chapters stand alone on Colab and carry a copy; nothing else names an address."""
    owner_and_name = address.read_address().removeprefix("https://github.com/")
    holders = {}
    for path in tracked_files():
        binary = {".json", ".npz", ".png", ".svg", ".ico", ".woff"}
        if path.suffix in binary or not path.is_file():
            continue
        count = path.read_text(encoding="utf-8").count(owner_and_name)
        if count:
            holders[path.relative_to(ROOT).as_posix()] = count
    chapters = {f"book/{x.name}": 1 for x in (ROOT / "book").glob("*.ipynb")}
    assert holders == {"_config.yml": 1, **chapters}


def test_address_moves_with_one_command(tmp_path, monkeypatch):
    book = tmp_path / "book"
    shutil.copytree(ROOT / "book", book, ignore=shutil.ignore_patterns("records"))
    config, old = (ROOT / "_config.yml").read_text(), address.read_address()
    new = "https://github.com/someone-else/a-book"
    (tmp_path / "_config.yml").write_text(config.replace(old, new))
    monkeypatch.setattr(address, "book_folder", lambda: book)
    assert set(address.stamp_address()) == {x.stem for x in book.glob("*.ipynb")}
    for path in book.glob("*.ipynb"):
        text = path.read_text()
        assert f"git+{new}" in text
        assert "YOUR_ACCOUNT" not in text
    assert address.stamp_address() == []
    for bad in ("git@github.com:a/b.git", "", "https://github.com/a b"):
        (tmp_path / "_config.yml").write_text(config.replace(old, bad))
        with pytest.raises(ChapterError, match="https address"):
            address.stamp_address()


def test_wheel_carries_the_records_and_nothing_else_of_the_book(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    command += ["--no-build-isolation", "--wheel-dir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    records = {
        x.relative_to(ROOT / "book" / "records").as_posix()
        for x in (ROOT / "book" / "records").rglob("*.*")
        if x.suffix in (".json", ".npz")
    }
    packed = {
        x.removeprefix("tutorials_lib/published_records/")
        for x in names
        if x.endswith((".json", ".npz"))
    }
    assert packed == records
    assert records
    # Without it type checkers take the package for untyped.
    assert "tutorials_lib/py.typed" in names
    assert not [x for x in names if x.endswith((".ipynb", ".claim"))]
    assert not [x for x in names if x.startswith(("tests", "book", "benchmarks"))]


def test_workflows(tmp_path):
    """Linters read the workflows, the issue forms and the citation."""
    folder = pathlib.Path(sys.executable).parent
    files = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert len(files) >= 3
    forms = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    schema = [folder / "check-jsonschema", "--builtin-schema"]
    for command in (
        [*schema, "vendor.github-workflows", *files],
        [*schema, "vendor.github-issue-forms", *forms],
        [*schema, "vendor.citation-file-format", ROOT / "CITATION.cff"],
        [folder / "zizmor", "--offline", "--no-progress", *files],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_issue_form_lists_the_chapters():
    """A chapter added later is asked for here."""
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/chapter.yml").read_text())
    (listed,) = [x for x in form["body"] if x.get("id") == "chapter"]
    assert listed["attributes"]["options"][:-1] == list(CHAPTERS)


def test_style():
    folder = pathlib.Path(sys.executable).parent
    for command in (
        [folder / "ruff", "check", "--no-cache"],
        [folder / "ruff", "format", "--check", "--no-cache"],
        [folder / "mypy", "--cache-dir", os.devnull],
    ):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
