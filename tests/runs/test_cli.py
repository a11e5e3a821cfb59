"""What the command refuses, says and lists."""

import os
import pathlib

import pytest

from tutorials_lib.runs.profiles import CHAPTERS

BOOK = pathlib.Path(__file__).resolve().parents[2] / "book"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], f"name a chapter ({', '.join(CHAPTERS)}) or pass --all"),
        (["run", "mixup"], "chapter must be one of 'mixup_mnist'"),
        (["run", "mixup_mnist", "--profile", "fast"], "'laptop', 'full'; got"),
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
