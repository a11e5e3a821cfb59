"""Chapters as files, as programs, and as assertions; how notebooks are run."""

import contextlib
import importlib.metadata
import json
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import nbformat
import pytest
from packaging.requirements import Requirement
from stand_ins import make_notebook

from tutorials_lib import __version__
from tutorials_lib.book.chapters import (
    ChapterError,
    executed_path,
    find_parameters,
    plan_runs,
)
from tutorials_lib.book.notebooks import (
    check_notebooks,
    hash_pictures,
    refresh_chapter,
    run_chapter,
    run_notebook,
)
from tutorials_lib.runs.profiles import CHAPTERS, PROFILES

pytestmark = pytest.mark.book

BOOK = pathlib.Path(__file__).resolve().parents[2] / "book"
IGNORE = "nbval-ignore-output"


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


@pytest.fixture
def notebook(chapter):
    return read(BOOK / f"{chapter}.ipynb")


@pytest.mark.parametrize("chapter", CHAPTERS)
class TestStoredChapter:
    def test_parameters(self, chapter):
        parameters = find_parameters(BOOK / f"{chapter}.ipynb")
        assert parameters.pop("profile") in PROFILES
        assert not any(parameters.values())

    def test_first_cell_installs_this_release(self, notebook):
        first = code_cells(notebook)[0].source
        assert f'release = "v{__version__}"' in first
        assert first == code_cells(read(BOOK / f"{CHAPTERS[0]}.ipynb"))[0].source

    def test_outputs_are_there_and_compared(self, notebook):
        """A notebook without outputs would pass any comparison."""
        compared, said = 0, []
        for cell in code_cells(notebook):
            assert cell.execution_count
            assert not {"nbval-skip", "injected-parameters"} & set(tags(cell))
            for output in cell.outputs:
                assert output.output_type != "error"
                assert output.get("name") != "stderr"
                said.append(output.get("text", ""))
                shown = said[-1] or "text/markdown" in output.get("data", {})
                compared += IGNORE not in tags(cell) and bool(shown)
        assert compared >= 8
        assert "SAMPLE IMAGES" not in "\n".join(said)

    def test_every_picture_is_described(self, notebook):
        # For runs that have not been made yet, a line replaces the picture.
        assert sum("mystnb" in cell.metadata for cell in code_cells(notebook)) >= 5
        for cell in code_cells(notebook):
            if not hash_pictures(cell):
                continue
            shown = cell.metadata.get("mystnb", {})
            assert len(shown.get("image", {}).get("alt", "")) > 40, cell.source
            assert shown.get("figure", {}).get("caption", "").endswith("."), cell.source


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_check_passes_on_the_book(chapter):
    """At smoke, every asserted output as stored."""
    assert check_notebooks([BOOK / f"{chapter}.ipynb"]) == 0


def test_check_sees_a_tampered_notebook(tmp_path, capfd):
    """Of three copies one is as it was, one says another number, one shows another."""
    cells = (
        "print('every label sums to', 1)",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
    )
    paths = [tmp_path / f"{name}.ipynb" for name in ("whole", "text", "picture")]
    run_notebook(make_notebook(paths[0], *cells), paths[0], {})
    whole = paths[0].read_text()
    paths[1].write_text(whole.replace("sums to 1", "sums to 2"))
    # How each PNG begins, and with a bit changed.
    paths[2].write_text(whole.replace("iVBORw0KGgo", "iVBORw0KGgp"))
    capfd.readouterr()
    assert check_notebooks(paths) == 1
    told = capfd.readouterr().out
    assert re.search(r"\b1 failed, \d+ passed", told)
    (line,) = [x for x in told.splitlines() if "a stored picture is not the one" in x]
    assert line.startswith("picture.ipynb: ")
    assert "plt.plot([1, 2])" in told


# What Colab has, as far as a chapter needs it; NumPy and Pillow come with these.
ON_COLAB = ("filelock", "ipykernel", "jax", "keras", "matplotlib", "pandas")


def collect(name, found):
    """Adds an installed package and all that it needs to a dict by name."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        found[name] = importlib.metadata.distribution(name)
        for need in map(Requirement, found[name].requires or ()):
            wanted = need.marker is None or need.marker.evaluate({"extra": ""})
            if wanted and need.name not in found:
                collect(need.name, found)


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A Python with what Colab has alone, and a clone of this project to install."""
    home = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", home / "env"], check=True)
    lent = sysconfig.get_path("purelib", vars={"base": str(home / "env")})
    found = {}
    # Without a network the package cannot be built apart from what builds it.
    for name in ("tensorflow", *ON_COLAB, "hatchling"):
        collect(name, found)
    for distribution in found.values():
        tops = {file.parts[0] for file in distribution.files if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            if not (target := pathlib.Path(lent) / top).exists():
                target.symlink_to(distribution.locate_file(top))
    clone = home / "clone"
    subprocess.run(["git", "clone", "--quiet", BOOK.parent, clone], check=True)
    kernel = [home / "env" / "bin" / "python", "-m", "ipykernel", "install"]
    kernel += ["--prefix", home, "--name", "colab"]
    subprocess.run(kernel, check=True, capture_output=True)
    return home


@pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(name, marks=() if name == CHAPTERS[0] else pytest.mark.slow)
        for name in CHAPTERS
    ],
)
def test_alone_on_a_machine_like_colab(
    colab, run_python, monkeypatch, tmp_path, chapter
):
    """One file in an empty folder; its first cell installs the package from a clone."""
    python = colab / "env" / "bin" / "python"
    absent = [python, "-c", "import papermill"]
    done = subprocess.run(absent, capture_output=True, text=True, check=False)
    assert "No module named 'papermill'" in done.stderr
    if chapter != CHAPTERS[0]:
        remove = [python, "-m", "pip", "uninstall", "--quiet", "--yes", "tutorials_lib"]
        subprocess.run(remove, check=True, capture_output=True)
        # The first one finds no release and takes the newest state.
        tag = ["git", "-C", colab / "clone", "tag", "--force", f"v{__version__}"]
        subprocess.run(tag, check=True, capture_output=True)
    shutil.copy(BOOK / f"{chapter}.ipynb", tmp_path)
    monkeypatch.delenv("TUTORIALS_RUNS")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    options = ["--no-progress-bar", "-k", "colab", "-p", "profile", "smoke"]
    if chapter == CHAPTERS[0]:
        # What is tested here is the machine; the chapter itself is checked elsewhere.
        options += ["-p", "alphas", "[0.1]", "-p", "epochs", "1"]
    done = run_python(
        *("-m", "papermill", f"{chapter}.ipynb", "out.ipynb", *options),
        TUTORIALS_ADDRESS=f"git+file://{colab / 'clone'}",
        JUPYTER_PATH=str(colab / "share" / "jupyter"),
        PIP_NO_INDEX="1",
        PIP_NO_BUILD_ISOLATION="0",
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "SAMPLE IMAGES, NOT" in (tmp_path / "out.ipynb").read_text()
    # This run's own records stay in the folder.
    written = (tmp_path / "tutorials_runs" / "smoke" / chapter).glob("*.json")
    assert len(list(written)) >= 2


class TestRun:
    @pytest.mark.parametrize(
        ("cell", "said"),
        [
            ("raise KeyError('lost')", r"cell \[2\] with KeyError: 'lost'\n.*\nraise"),
            ("import time; time.sleep(60)", "(?i)time"),
            # Status 0 is no success.
            ("import sys; sys.exit(0)", "failed"),
        ],
    )
    def test_a_cell_that_fails_never_ends_or_ends_all(self, tmp_path, cell, said):
        path = make_notebook(tmp_path / "a.ipynb", cell, "y = 2")
        with pytest.raises(ChapterError, match=said):
            run_notebook(path, tmp_path / "out.ipynb", {}, cell_timeout=2)
        assert not (tmp_path / "out.ipynb").exists()

    def test_what_is_kept(self, tmp_path):
        cell = "import sys\nprint(epochs)\nprint('noise', file=sys.stderr)"
        path = make_notebook(tmp_path / "a.ipynb", cell)
        run_notebook(path, tmp_path / "out" / "b.ipynb", {"epochs": 7})
        notebook = read(tmp_path / "out" / "b.ipynb")
        assert notebook.metadata.papermill.parameters == {"epochs": 7}
        assert str(tmp_path) not in json.dumps(notebook.metadata)
        assert "papermill" not in json.dumps(notebook.cells)
        (output,) = notebook.cells[-1].outputs
        assert output.text == "7\n"


@pytest.mark.book
@pytest.mark.parametrize(
    ("chapter", "given", "said"),
    [
        ("vat_mnist", {"variants": ["VATT"]}, "variants must be one of .*got 'VATT'"),
        # Or networks would be scored on images that they were trained on.
        ("vat_mnist", {"train_images": 300}, "train_images must be .* at least 456"),
        ("noisy_student", {"variants": ["teach"]}, "variants must be .*got 'teach'"),
        ("noisy_student", {"schedules": ["article"]}, "schedules must be .*'article'"),
        ("noisy_student", {"epochs": 3}, "epochs: no effect on the network airbench"),
    ],
)
def test_settings_that_would_silently_do_nothing(chapter, given, said):
    with pytest.raises(ChapterError, match=said):
        plan_runs(BOOK / f"{chapter}.ipynb", {"profile": "smoke", **given, "only": "-"})


@pytest.fixture
def chapter_source(tmp_path, monkeypatch):
    """A notebook that stands for a chapter."""
    path = make_notebook(
        tmp_path / "mixup_mnist.ipynb", "x = profile", parameters="profile = 'laptop'"
    )
    monkeypatch.setattr("tutorials_lib.book.notebooks.write_pages", list)
    return path


def test_in_place_at_the_profile_of_the_notebook(chapter_source):
    refresh_chapter(chapter_source)
    notebook = read(chapter_source)
    assert len(notebook.cells) == 2
    assert all(cell.execution_count for cell in notebook.cells)
    assert notebook.metadata.tutorials.versions.startswith("python")


def test_changed_parameters_leave_the_profile_s_notebook(chapter_source):
    full = {"profile": "full"}
    as_it_is = executed_path("mixup_mnist", {**full, "max_minutes": 5})
    assert as_it_is == executed_path("mixup_mnist", full)
    changed = run_chapter(chapter_source, {**full, "epochs": 1})
    assert changed.is_file()
    assert changed != as_it_is


@pytest.mark.parametrize("text", ["", "[]"])
def test_damaged_notebook(tmp_path, text):
    (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(ChapterError, match=r"a\.ipynb is no readable notebook"):
        find_parameters(tmp_path / "a.ipynb")


@pytest.mark.parametrize("source", ["epochs = 2 * 3", "import os"])
def test_parameters_must_be_literals(tmp_path, source):
    path = make_notebook(tmp_path / "a.ipynb", parameters=source)
    with pytest.raises(ChapterError, match="parameters cell: line 1 must be"):
        find_parameters(path)
