"""A chapter as one program, on a machine that has neither Jupyter nor TensorFlow."""

import json

import pytest
from stand_ins import BLOCK, make_notebook

from tutorials_lib.runs.chapters import ChapterError
from tutorials_lib.runs.scripts import run_cells

JUPYTER = ("IPython", "ipykernel", "jupyter_client", "nbformat", "papermill")
RUN = "import sys; from tutorials_lib.runs.cli import main; sys.exit(main({!r}))"
SMALL = ["--profile", "smoke", "-p", "epochs", "1", "-p", "alphas", "[0.2]"]


def read_results(folder):
    found = [json.loads(path.read_text()) for path in folder.rglob("*_seed-*.json")]
    return {
        (record["variant"], record["seed"]): (
            record["metrics"],
            record["history"]["loss"],
        )
        for record in found
    }


def test_without_jupyter_and_tensorflow_it_ends_as_papermill_does(
    run_python, tutorials, tmp_path
):
    pytest.importorskip("jax")
    command = ["run", "mixup_fashion_mnist", *SMALL, "--script"]
    done = run_python(
        "-c",
        BLOCK.format(blocked=(*JUPYTER, "tensorflow")) + RUN.format(command),
        KERAS_BACKEND="jax",
        TUTORIALS_RUNS=str(tmp_path / "script"),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "| test accuracy, % |" in done.stdout
    assert "backend jax" in done.stdout
    assert "UserWarning" not in done.stderr
    output = tmp_path / "out.ipynb"
    other = tutorials(
        "run", "mixup_fashion_mnist", *SMALL, "--output", output,
        KERAS_BACKEND="jax", TUTORIALS_RUNS=str(tmp_path / "papermill"),
    )  # fmt: skip
    assert other.returncode == 0, other.stderr[-3000:]
    script, papermill = (
        read_results(tmp_path / name) for name in ("script", "papermill")
    )
    assert len(script) == 3
    assert script == papermill


def test_parameters_come_before_what_is_derived_from_them(tmp_path, capsys):
    path = make_notebook(
        tmp_path / "a.ipynb",
        "steps = 2 * (epochs or 1)",
        "import os\nprint(profile, steps, os.getcwd())",
    )
    run_cells(path, {"epochs": 4, "profile": "quick"})
    assert capsys.readouterr().out == f"quick 8 {tmp_path}\n"


def test_a_failure_names_the_cell_and_the_cause(tmp_path):
    path = make_notebook(tmp_path / "a.ipynb", "x = 1", "raise KeyError('lost')", "3")
    with pytest.raises(ChapterError) as caught:
        run_cells(path, {})
    said = str(caught.value)
    assert "a.ipynb failed in cell [3] with KeyError: 'lost'" in said
    assert "raise KeyError('lost')" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output", "x.ipynb"], "--script writes no notebook"),
        (["--cell-timeout", "5"], "--script writes no notebook"),
        (["--in-place"], "--in-place takes the notebook as it stands"),
        (["--minutes", "-1"], "max_minutes must be"),
        (["-p", "epoch", "1"], "got 'epoch'"),
    ],
)
def test_what_a_script_refuses(arguments, said, capsys):
    from tutorials_lib.runs.cli import main

    assert main(["run", "mixup_mnist", "--script", *arguments]) == 2
    assert said in capsys.readouterr().err
