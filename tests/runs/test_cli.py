"""What the command refuses, says and lists."""

import os
import pathlib

import pytest
from stand_ins import RECORD

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
        (["run", "--all", "--output", "x.ipynb"], "go with one chapter"),
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


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not a folder"),
        ({}, "mnist.npz is not there"),
        ({"mnist.npz": b"no archive"}, "mnist.npz is no .npz file, or is damaged"),
    ],
)
def test_missing_data_is_noticed_at_once(tmp_path, monkeypatch, capsys, content, said):
    """Before Keras is imported or a kernel started; profile smoke needs no data."""
    from tutorials_lib.runs.chapters import check_run
    from tutorials_lib.runs.cli import main

    folder = tmp_path / "data"
    monkeypatch.setenv("TUTORIALS_DATA", str(folder))
    if content is not None:
        folder.mkdir()
        for name, each in content.items():
            (folder / name).write_bytes(each)
    assert main(["run", "mixup_mnist", "--profile", "quick"]) == 1
    shown = capsys.readouterr().err
    assert said in shown
    assert "pickle" not in shown
    check_run("mixup_mnist", "smoke", {})


def test_runs_by_name(capsys):
    """What is not planned is refused, with names that are near."""
    from tutorials_lib.runs.cli import main

    arguments = ["run", "mixup_mnist", "-p", "alphas", "[0.1]"]
    assert main([*arguments, "--list"]) == 0
    assert capsys.readouterr().out.split("to do  ")[1:] == [
        "none, seed 0\n",
        "alpha 0.1, seed 0\n",
    ]
    assert main([*arguments, "--only", "alpha 0.2, seed 0"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "mixup_mnist, profile smoke\n"
    assert "plans no run 'alpha 0.2, seed 0'" in shown.err
    assert "'alpha 0.1, seed 0'" in shown.err
    assert main(["run", "--all", "--only", "none, seed 0"]) == 2


def test_migrate(tmp_path, monkeypatch, capsys):
    import json

    from tutorials_lib.runs.cli import main
    from tutorials_lib.runs.records import read_records
    from tutorials_lib.runs.schema import SCHEMA

    old = {**RECORD, "schema": 1, "profile": "full", "seed": 9}
    del old["settings"], old["timing"]
    old["timing"] = {"wall_seconds": 1.0, "images_per_second": 2.0}
    (tmp_path / "mixup_mnist").mkdir()
    path = tmp_path / "mixup_mnist" / "one.json"
    path.write_text(json.dumps(old))
    monkeypatch.setenv("TUTORIALS_RECORDS", str(tmp_path))
    (read,) = read_records(path.parent)
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    (record,) = read_records(path.parent)
    assert json.loads(path.read_text())["schema"] == SCHEMA
    assert record == read
    assert record["settings"]["epochs"] == 30
    assert 9 in record["settings"]["seeds"]
    assert record["timing"] == {**old["timing"], "sessions": 1}
    assert main(["migrate"]) == 0
    assert capsys.readouterr().out == ""


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
