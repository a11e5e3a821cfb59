"""The chapters as files, as programs, and as assertions."""

import importlib.metadata
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import sysconfig

import nbformat
import packaging.requirements
import packaging.utils
import pytest
from stand_ins import make_notebook

from tutorials_lib.runs.chapters import ChapterError, find_parameters
from tutorials_lib.runs.notebooks import (
    check_chapters,
    check_notebooks,
    clean_notebook,
    run_notebook,
)
from tutorials_lib.runs.profiles import CHAPTERS, TABLE
from tutorials_lib.runs.storage import runs_folder

BOOK = pathlib.Path(__file__).resolve().parents[1] / "book"
IGNORE = "nbval-ignore-output"


def read(chapter):
    return nbformat.read(BOOK / f"{chapter}.ipynb", as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def test_every_chapter_is_here_and_in_the_book():
    assert {path.stem for path in BOOK.glob("*.ipynb")} == set(CHAPTERS)
    contents = (BOOK / "_toc.yml").read_text()
    assert all(f"file: {chapter}\n" in contents for chapter in CHAPTERS)


@pytest.mark.parametrize("chapter", CHAPTERS)
class TestChapter:
    def test_parameters_are_known_to_the_profiles(self, chapter):
        parameters = find_parameters(BOOK / f"{chapter}.ipynb")
        assert parameters.pop("profile") == "quick"
        assert set(parameters.values()) == {None}
        known = {"max_minutes", *TABLE[chapter]["protocol"], *TABLE[chapter]["full"]}
        assert set(parameters) <= known

    def test_first_cell_installs_the_package(self, chapter):
        first = code_cells(read(chapter))[0].source
        assert 'find_spec("tutorials_lib") is None' in first
        assert "pip" in first

    def test_outputs_and_assertions(self, chapter):
        cells = code_cells(read(chapter))
        assert all(cell.execution_count for cell in cells)
        compared = [
            output
            for cell in cells
            if IGNORE not in tags(cell)
            for output in cell.outputs
            if output.get("name") == "stdout"
            or "text/markdown" in output.get("data", {})
        ]
        assert len(compared) >= 8
        assert not [cell for cell in cells if "nbval-skip" in tags(cell)]

    def test_a_cell_that_is_not_compared_says_why(self, chapter):
        for cell in code_cells(read(chapter)):
            if IGNORE in tags(cell):
                assert cell.source.startswith("# Not compared by nbval: "), cell.source

    def test_clean_and_small(self, chapter):
        path = BOOK / f"{chapter}.ipynb"
        assert path.stat().st_size < 1_000_000
        notebook = read(chapter)
        assert "papermill" not in notebook.metadata
        for cell in code_cells(notebook):
            assert "injected-parameters" not in tags(cell)
            for output in cell.outputs:
                assert output.get("name") != "stderr"
                assert output.output_type != "error"

    def test_every_figure_has_alt_text_and_caption(self, chapter):
        figures = 0
        for cell in code_cells(read(chapter)):
            kinds = [kind for output in cell.outputs for kind in output.get("data", {})]
            if any(kind.startswith("image/") for kind in kinds):
                shown = cell.metadata.get("mystnb", {})
                assert len(shown.get("image", {}).get("alt", "")) > 40, cell.source
                caption = shown.get("figure", {}).get("caption", "")
                assert len(caption) > 40, cell.source
                assert caption.endswith("."), caption
                figures += 1
        assert figures >= 5

    def test_outputs_come_from_real_data_at_the_profile_of_the_file(self, chapter):
        said = "\n".join(
            output.text
            for cell in code_cells(read(chapter))
            for output in cell.outputs
            if output.output_type == "stream"
        )
        assert "profile quick" in said
        assert "SAMPLE IMAGES" not in said

    def test_text_holds_no_typed_result(self, chapter):
        """A percentage in the prose is the article's, which the tables hold too."""
        from tutorials_lib.runs.articles import ARTICLES

        published = {
            f"{100 * number:.2f}%"
            for row in ARTICLES[chapter]["published"].values()
            for number in row
            if number is not None
        }
        for cell in read(chapter).cells:
            if cell.cell_type == "markdown":
                assert set(re.findall(r"\d+\.\d+%", cell.source)) <= published


def test_check_passes_on_the_book():
    """Every chapter at smoke, every asserted output as stored."""
    assert check_chapters(CHAPTERS) == 0


# The section of each chapter that comes after its method by hand.
NEXT = {
    "mixup_mnist": "## Build the network",
    "vat_mnist": "## Perturb a batch of images",
    "cifar10_95": "## Build the networks",
    "mixup_fashion_mnist": "## Mix more than two images",
    "noisy_student": "## Train and score one network",
}


def cut_before_training(chapter, path):
    """Writes the chapter up to where its method is shown, for quick checks."""
    notebook = read(chapter)
    places = [
        place
        for place, cell in enumerate(notebook.cells)
        if cell.source.startswith(NEXT[chapter])
    ]
    notebook.cells = notebook.cells[: places[0]]
    nbformat.write(notebook, path)
    return notebook


def test_check_sees_a_changed_output(tmp_path, capfd):
    path = tmp_path / "mixup_mnist.ipynb"
    notebook = cut_before_training("mixup_mnist", path)
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if "text" in output and "sum of the label" in output.text:
                output.text = output.text.replace("1.000", "0.900", 1)
    nbformat.write(notebook, path)
    assert check_notebooks([path]) == 1
    said = capfd.readouterr().out
    assert re.search(r"1 failed, \d+ passed", said), said


@pytest.mark.parametrize(
    ("chapter", "wrong"),
    [
        # The label keeps the first image's class only.
        ("mixup_mnist", "labels = y_train[first]  # "),
        # The mixing weight of the label is that of the other image.
        ("mixup_fashion_mnist", "labels = mix([y_train[second], y_train[first]]"),
    ],
)
def test_check_sees_a_wrong_method(tmp_path, chapter, wrong, capfd):
    path = tmp_path / f"{chapter}.ipynb"
    notebook = cut_before_training(chapter, path)
    right, changed = "labels = mix([y_train[first], y_train[second]]", 0
    for cell in code_cells(notebook):
        if right in cell.source:
            cell.source = cell.source.replace(right, wrong)
            changed += 1
    assert changed == 1
    nbformat.write(notebook, path)
    assert check_notebooks([path]) == 1
    said = capfd.readouterr().out
    assert re.search(r"1 failed, \d+ passed", said), said
    assert "mixing weight in the label as drawn" in said


def test_on_jax_through_the_command(tutorials, tmp_path):
    pytest.importorskip("jax")
    output = tmp_path / "out.ipynb"
    done = tutorials(
        "run", "mixup_fashion_mnist", "--profile", "smoke", "-p", "epochs", "1",
        "-p", "alphas", "[0.2]", "--output", output, KERAS_BACKEND="jax",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    text = output.read_text()
    assert "backend jax" in text
    assert "epochs = 1" in text


# What Colab has, as far as a chapter needs it.
ON_COLAB = (
    "tensorflow",
    "keras",
    "jax",
    "numpy",
    "pandas",
    "matplotlib",
    "pillow",
    "ipykernel",
)


def list_requirements(*names):
    """Lists the installed packages that some packages need, themselves included."""
    found, waiting = set(), list(names)
    while waiting:
        name = packaging.utils.canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name)
        for text in needs:
            need = packaging.requirements.Requirement(text)
            if need.marker is None or need.marker.evaluate({"extra": ""}):
                waiting.append(need.name)
    return found


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """A Python with what Colab has alone, and a clone of this project to install."""
    home = tmp_path_factory.mktemp("colab")
    subprocess.run([sys.executable, "-m", "venv", home / "env"], check=True)
    lent = sysconfig.get_path("purelib", vars={"base": str(home / "env")})
    # Without a network the package cannot be built apart from what builds it.
    for name in list_requirements(*ON_COLAB, "hatchling"):
        distribution = importlib.metadata.distribution(name)
        tops = {file.parts[0] for file in distribution.files if file.parts[0] != ".."}
        for top in tops - {"__pycache__"}:
            if not (target := pathlib.Path(lent) / top).exists():
                target.symlink_to(distribution.locate_file(top))
    clone = home / "clone"
    subprocess.run(["git", "clone", "--quiet", BOOK.parent, clone], check=True)
    kernel = home / "jupyter" / "kernels" / "colab"
    kernel.mkdir(parents=True)
    launch = [str(home / "env" / "bin" / "python"), "-m", "ipykernel_launcher"]
    specification = {"argv": [*launch, "-f", "{connection_file}"], "language": "python"}
    specification["display_name"] = "colab"
    (kernel / "kernel.json").write_text(json.dumps(specification))
    return home


@pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(name, marks=() if name == CHAPTERS[0] else pytest.mark.slow)
        for name in CHAPTERS
    ],
)
def test_alone_on_a_machine_like_colab(colab, tmp_path, chapter):
    """One file in an empty folder; its first cell installs the package from a clone."""
    python = colab / "env" / "bin" / "python"
    absent = [python, "-c", "import keras, IPython, papermill"]
    done = subprocess.run(absent, capture_output=True, text=True, check=False)
    assert "No module named 'papermill'" in done.stderr
    remove = [python, "-m", "pip", "uninstall", "--quiet", "--yes", "tutorials_lib"]
    subprocess.run(remove, check=True, capture_output=True)
    shutil.copy(BOOK / f"{chapter}.ipynb", tmp_path)
    environment = {
        **os.environ,
        "TUTORIALS_ADDRESS": f"git+file://{colab / 'clone'}",
        "JUPYTER_PATH": str(colab / "jupyter"),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",
    }
    environment.pop("TUTORIALS_RUNS")
    environment.pop("PYTHONPATH", None)
    command = [sys.executable, "-m", "papermill", f"{chapter}.ipynb", "out.ipynb"]
    command += ["--no-progress-bar", "-k", "colab", "-p", "profile", "smoke"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    text = (tmp_path / "out.ipynb").read_text()
    assert "SAMPLE IMAGES, NOT" in text
    # The records of full runs came along, and this run's own stay in the folder.
    assert "| full runs |" in text or "No records of full runs" in text
    written = (tmp_path / "tutorials_runs" / "smoke" / chapter).glob("*.json")
    assert len(list(written)) >= 4


def test_failure_keeps_the_old_output_and_names_the_cell(tmp_path):
    path = make_notebook(tmp_path / "a.ipynb", "x = 1", "raise KeyError('lost')", "3")
    target = tmp_path / "out" / "a.ipynb"
    target.parent.mkdir()
    target.write_text("the old output")
    with pytest.raises(ChapterError) as caught:
        run_notebook(path, target, {"epochs": 1})
    kept = runs_folder() / "failed" / "a.ipynb"
    for said in ("cell [4]", "KeyError", "lost", "raise KeyError", str(kept)):
        assert said in str(caught.value)
    assert "KeyError" in kept.read_text()
    assert target.read_text() == "the old output"
    assert [path.name for path in target.parent.iterdir()] == ["a.ipynb"]


def test_cell_that_never_ends(tmp_path):
    path = make_notebook(tmp_path / "a.ipynb", "import time; time.sleep(60)")
    with pytest.raises(ChapterError, match=r"(?i)time"):
        run_notebook(path, tmp_path / "out.ipynb", {}, cell_timeout=2)
    assert not (tmp_path / "out.ipynb").exists()


def test_exit_with_status_0_is_no_success(tmp_path):
    path = make_notebook(tmp_path / "a.ipynb", "import sys; sys.exit(0)", "y = 2")
    with pytest.raises(ChapterError):
        run_notebook(path, tmp_path / "out.ipynb", {})
    assert not (tmp_path / "out.ipynb").exists()


def test_success_is_clean_and_in_the_notebook_s_folder(tmp_path):
    source = (
        "import os, sys\nprint(epochs, os.getcwd())\nprint('noise', file=sys.stderr)"
    )
    path = make_notebook(tmp_path / "a.ipynb", source)
    run_notebook(path, tmp_path / "out" / "b.ipynb", {"epochs": 7})
    notebook = nbformat.read(tmp_path / "out" / "b.ipynb", as_version=4)
    (output,) = notebook.cells[-1].outputs
    assert output.text == f"7 {tmp_path}\n"
    assert "papermill" not in json.dumps(notebook)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b.ipynb"]


def test_clean_drops_stderr_only():
    cell = nbformat.v4.new_code_cell("x", metadata={"tags": [], "papermill": {}})
    cell.outputs = [
        nbformat.v4.new_output("stream", name=name, text="t")
        for name in ("stdout", "stderr")
    ]
    cleaned = clean_notebook(nbformat.v4.new_notebook(cells=[cell])).cells[0]
    assert [output.name for output in cleaned.outputs] == ["stdout"]
    assert dict(cleaned.metadata) == {}


@pytest.mark.parametrize("text", ["", "[]", '{"cells": ['])
def test_damaged_notebook(tmp_path, text):
    (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(ChapterError, match=r"a\.ipynb is no readable notebook"):
        find_parameters(tmp_path / "a.ipynb")


@pytest.mark.parametrize("source", ["epochs = 2 * 3", "import os", "a, b = 1, 2"])
def test_parameters_must_be_literals(tmp_path, source):
    path = make_notebook(tmp_path / "a.ipynb", parameters=source)
    with pytest.raises(ChapterError, match="line 1 of the parameters cell"):
        find_parameters(path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], f"name a chapter ({', '.join(CHAPTERS)}) or pass --all"),
        (["run", "mixup"], "chapter must be one of 'mixup_mnist'"),
        (["run", "mixup_mnist", "--profile", "fast"], "'smoke', 'quick', 'full'; got"),
        (["run", "mixup_mnist", "-p", "epoch", "1"], "got 'epoch'"),
        (["run", "mixup_mnist", "-p", "epochs", "0"], "at least 1; got 0"),
        (["run", "mixup_mnist", "-p", "alphas", "[0.1, -1]"], "above 0; got -1"),
        (["run", "mixup_mnist", "-p", "pairing", "all"], "'batch'; got 'all'"),
        (["run", "mixup_mnist", "--in-place", "-p", "epochs", "1"], "no parameters"),
        (["run", "mixup_mnist", "--in-place", "--records", "x"], "no parameters"),
        (["run", "mixup_mnist", "--profile", ""], "got ''"),
        (["run", "mixup_mnist", "--records", ""], "records must name a folder"),
        (["run", "mixup_mnist", "--cell-timeout", "-5"], "cell-timeout must be"),
        (["run", "mixup_mnist", "--output", "/dev/null"], "ends in .ipynb"),
        (["run", "mixup_mnist", "--output", str(BOOK)], "ends in .ipynb"),
        (["run", "mixup_mnist", "--output", f"{BOOK}/x.ipynb"], "outside the book"),
        (["run", "--all", "--output", "x.ipynb"], "--output goes with one chapter"),
        (["check", "mixup"], "got 'mixup'"),
        (["build", "--profile", "fast"], "got 'fast'"),
        (["build", "--output", str(BOOK)], "output must be a new or empty folder"),
        (["build", "--output", str(BOOK.parent)], "output must be a new or empty"),
        (["build", "--output", __file__], "output must be a folder"),
    ],
)
def test_the_command_refuses_before_it_starts(arguments, said, capsys, monkeypatch):
    from tutorials_lib.runs import notebooks
    from tutorials_lib.runs.cli import main

    def start(*_, **__):
        raise AssertionError("something was started")

    monkeypatch.setattr(notebooks, "run_notebook", start)
    monkeypatch.setattr(notebooks.subprocess, "run", start)
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


def test_the_command_says_what_failed(tutorials, tmp_path):
    (tmp_path / "file").write_text("")
    done = tutorials("run", "mixup_mnist", "--output", tmp_path / "file" / "out.ipynb")
    assert done.returncode == 1
    assert "cannot be written to" in done.stderr
    assert "Traceback" not in done.stderr


def test_relative_paths_lead_where_the_caller_stands(tmp_path, monkeypatch):
    from tutorials_lib.runs.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTORIALS_DATA", "data")
    assert main(["list"]) == 0
    assert os.environ["TUTORIALS_DATA"] == str(tmp_path / "data")


def test_missing_data_stops_the_run(tutorials, tmp_path):
    done = tutorials(
        "run", "mixup_mnist", "--profile", "quick", TUTORIALS_DATA=str(tmp_path / "no")
    )
    assert done.returncode == 1
    for said in ("DataError", "no is not a folder", "Two ways out"):
        assert said in done.stderr


def test_list_and_help(capsys):
    from tutorials_lib.runs.cli import COMMANDS, main

    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert all(chapter in listed for chapter in CHAPTERS)
    assert main(["list", "mixup_fashion_mnist"]) == 0
    assert "images_per_mix" in capsys.readouterr().out
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        assert "exit status" in capsys.readouterr().out


def test_doctor(tutorials, tmp_path):
    well = tutorials("doctor")
    assert well.returncode == 0, well.stdout
    for said in ("keras", "backend", "device", "data", "checkout"):
        assert said in well.stdout
    ill = tutorials("doctor", TUTORIALS_DATA=str(tmp_path / "no"))
    assert ill.returncode == 1
    assert "MISSING: MNIST could not be loaded" in ill.stdout
