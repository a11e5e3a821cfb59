"""The script that runs chapters on a GPU, as a machine without one can try it."""

import json
import os
import pathlib
import subprocess
import sys
import time

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


# Four runs of a few seconds each on a quiet machine.
SHORT = {"epochs": 3, "train_images": 4000, "seeds": 1, "alphas": "[0.2]"}
SHORT |= {"images_per_mix": "[2]"}


def read_kept(folder):
    """The records that the runs left, by file."""
    paths = sorted((folder / "runs").glob("full-*/mixup_fashion_mnist/*.json"))
    return {path.name: json.loads(path.read_text()) for path in paths}


def leave_times_out(records):
    found = {}
    for name, record in records.items():
        record["history"].pop("seconds")
        found[name] = [record[x] for x in ("parameters", "metrics", "history")]
    return found


@pytest.mark.book
@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(
    not os.environ.get("TUTORIALS_DATA"), reason="TUTORIALS_DATA is not set"
)
def test_killed_within_a_run_and_run_again_ends_as_if_unbroken(tmp_path):
    broken, whole = tmp_path / "broken", tmp_path / "whole"
    options = ["--chapters", "mixup_fashion_mnist", "--profile", "full"]
    options += ["--without-gpu", "--venv", sys.prefix, "--"]
    for name, value in SHORT.items():
        options += ["-p", name, str(value)]
    command = ["bash", SCRIPT, "--keep", str(broken), *options]
    first = subprocess.Popen(command, start_new_session=True)
    while not list(broken.glob("runs/checkpoints/*/*.npz")) and first.poll() is None:
        time.sleep(0.1)
    subprocess.run(["pkill", "-KILL", "--session", str(first.pid)], check=True)
    assert first.wait() == -9
    for folder in (broken, whole):
        done = run_script("--keep", folder, *options)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    found, unbroken = read_kept(broken), read_kept(whole)
    assert max(each["timing"]["sessions"] for each in found.values()) == 2
    assert max(each["timing"]["sessions"] for each in unbroken.values()) == 1
    assert leave_times_out(found) == leave_times_out(unbroken)
