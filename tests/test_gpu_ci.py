"""The script that runs chapters on a GPU, as a machine without one can try it."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]


def run_script(*options, **environment):
    return subprocess.run(
        ["bash", str(ROOT / ".ci" / "gpu"), *map(str, options)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_a_machine_without_a_gpu_is_told_before_anything_is_installed(tmp_path):
    # No nvidia-smi is found there.
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "mkdir", "dirname", "grep"):
        path = next(
            path
            for folder in os.defpath.split(os.pathsep)
            if (path := pathlib.Path(folder, name)).is_file()
        )
        (tools / name).symlink_to(path)
    done = run_script("--keep", tmp_path / "kept", PATH=str(tools))
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
    done = run_script(
        *("--keep", tmp_path, "--chapters", "mixup_fashion_mnist"),
        *("--profile", "smoke", "--without-gpu", "--venv", pathlib.Path(sys.prefix)),
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert (tmp_path / "runs" / "smoke" / "mixup_fashion_mnist.ipynb").is_file()
    published = ROOT / "book" / "records"
    for path in published.rglob("*.*"):
        assert (tmp_path / "records" / path.relative_to(published)).is_file()
