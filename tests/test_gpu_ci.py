"""The script that runs chapters on a GPU, as a machine without one can try it."""

import os
import pathlib
import subprocess
import sys

import pytest

from tutorials_lib.runs.records import find_path, published_records, write_record

ROOT = pathlib.Path(__file__).resolve().parents[1]
SCRIPT = str(ROOT / ".ci" / "gpu")


def run_script(*options, **environment):
    return subprocess.run(
        ["bash", SCRIPT, *map(str, options)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_machine_without_a_gpu_is_told_before_anything_is_installed(tmp_path):
    for name in ("nvidia-smi", "python3"):
        (tmp_path / name).write_text("#!/bin/sh\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = run_script("--keep", tmp_path / "kept", PATH=path)
    assert done.returncode == 1
    assert "GPU" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "kept" / "venv").exists()


@pytest.mark.parametrize("keep", ["", ROOT / "records"])
def test_a_folder_that_a_checkout_would_clean_is_refused(keep):
    done = run_script("--keep", keep)
    assert done.returncode == 2
    assert "--keep" in done.stderr
    assert not (ROOT / "records").exists()


@pytest.mark.book
@pytest.mark.slow
def test_rehearsal_keeps_notebooks_and_starts_from_the_published_records(tmp_path):
    # A run that the last dispatch left: pages show it, what is stored does not.
    published = ROOT / "book" / "records"
    record = published_records("mixup_fashion_mnist", "full")[0] | {"seed": 99}
    path = tmp_path / "records" / find_path(record)
    path.parent.mkdir(parents=True)
    write_record(record, path)
    done = run_script(
        *("--keep", tmp_path, "--chapters", "mixup_fashion_mnist"),
        *("--profile", "smoke", "--without-gpu", "--venv", pathlib.Path(sys.prefix)),
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tmp_path / "runs" / "smoke" / "mixup_fashion_mnist.ipynb").is_file()
    for path in published.rglob("*.*"):
        assert (tmp_path / "records" / path.relative_to(published)).is_file()
