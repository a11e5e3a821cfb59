"""What the command refuses, says and lists."""

import os
import pathlib
import subprocess

import pytest

from tutorials_lib.book.chapters import check_run
from tutorials_lib.book.cli import COMMANDS, main
from tutorials_lib.runs.profiles import CHAPTERS

BOOK = pathlib.Path(__file__).resolve().parents[2] / "book"


@pytest.fixture
def nothing_starts(monkeypatch):
    """Neither a kernel nor another program."""

    def start(*_, **__):
        raise AssertionError("something was started")

    papermill = pytest.importorskip("papermill")
    monkeypatch.setattr(papermill, "execute_notebook", start)
    monkeypatch.setattr(subprocess, "run", start)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], f"name a chapter ({', '.join(CHAPTERS)}) or pass --all"),
        (["run", "mixup"], "chapter must be one of 'mixup_mnist'"),
        (["run", "mixup_mnist", "-p", "epoch", "1"], "got 'epoch'"),
        (["run", "mixup_mnist", "-p", "alphas", "{[1]}"], "got '{[1]}'"),
        (["run", "mixup_mnist", "--in-place", "-p", "epochs", "1"], "no parameters"),
        (["run", "mixup_mnist", "--profile", ""], "got ''"),
        (["run", "mixup_mnist", "--output", "/dev/null"], "end in .ipynb"),
        (["run", "mixup_mnist", "--output", f"{BOOK}/x.ipynb"], "outside the book"),
        (["run", "--all", "--output", "x.ipynb"], "go with one chapter"),
        (["run", "--all", "--only", "a, seed 0"], "go with one chapter"),
        (["run", "mixup_mnist", "--only", "a", "--scheduler", "x"], "makes one run"),
        (["run", "mixup_mnist", "--minutes", "-1"], "max_minutes must be"),
        (["check", "mixup"], "got 'mixup'"),
        (["build", "--profile", "fast"], "got 'fast'"),
        (["build", "--output", str(BOOK)], "output must be a new or empty folder"),
        (["build", "--output", __file__], "output must be a new or empty folder"),
    ],
)
def test_the_command_refuses_before_it_starts(nothing_starts, capsys, arguments, said):
    assert main(arguments) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("other", ["--output x.ipynb", "--only a", "--in-place"])
def test_ways_to_run_exclude_each_other(nothing_starts, capsys, other):
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["run", "mixup_mnist", "--script", *other.split()])
    assert "not allowed with argument" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run mixup_mnist", "build"])
def test_output_that_cannot_be_written(nothing_starts, tmp_path, capsys, command):
    """It would be found out when hours of work are done."""
    (tmp_path / "file").write_text("no folder")
    output = tmp_path / "file" / "new.ipynb"
    assert main([*command.split(), "--output", str(output)]) == 1
    assert f"{tmp_path}/file cannot be written to" in capsys.readouterr().err


def test_relative_paths_lead_where_the_caller_stands(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TUTORIALS_DATA", "data")
    assert main(["list"]) == 0
    assert os.environ["TUTORIALS_DATA"] == str(tmp_path / "data")


def test_missing_data_is_noticed_at_once(tmp_path, monkeypatch, capsys):
    """Before Keras is imported or a kernel started; profile smoke needs no data."""
    monkeypatch.setenv("TUTORIALS_DATA", str(tmp_path))
    for _ in range(2):
        assert main(["run", "mixup_mnist", "--profile", "quick"]) == 1
        assert "mnist.npz: no such file, or it is damaged" in capsys.readouterr().err
        (tmp_path / "mnist.npz").write_bytes(b"no archive")
    check_run("mixup_mnist", {"profile": "smoke"})


def test_a_run_that_is_not_planned_is_refused_with_names_that_are_near(capsys):
    arguments = ["run", "mixup_mnist", "-p", "alphas", "[0.1]"]
    assert main([*arguments, "--only", "alpha 0.2, seed 0"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "mixup_mnist, profile smoke\n"
    assert "plans no run 'alpha 0.2, seed 0'" in shown.err
    assert "'alpha 0.1, seed 0'" in shown.err


def test_list_and_help(capsys):
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert all(chapter in listed for chapter in CHAPTERS)
    assert main(["list", "mixup_fashion_mnist"]) == 0
    assert "images_per_mix" in capsys.readouterr().out
    for command in COMMANDS:
        with pytest.raises(SystemExit, match=r"^0$"):
            main([command, "--help"])


# On a machine with all that the book needs.
@pytest.mark.book
def test_doctor(tmp_path, monkeypatch, capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    for said in ("keras", "backend", "cores", "data", "checkout"):
        assert said in shown
    monkeypatch.setenv("TUTORIALS_DATA", str(tmp_path / "no"))
    monkeypatch.setenv("TUTORIALS_RECORDS", str(tmp_path / "no"))
    monkeypatch.setenv("TUTORIALS_RUNS", __file__)
    assert main(["doctor"]) == 1
    shown = capsys.readouterr().out
    for missing in ("mnist: MNIST could not", "a folder for runs", "published records"):
        assert f"MISSING: {missing}" in shown
