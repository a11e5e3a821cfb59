"""A record's configuration run again: equal, not equal, or not planned any more."""

import hashlib
import json
import shutil

import numpy as np
import pytest

from tutorials_lib.book.cli import main
from tutorials_lib.runs import verify
from tutorials_lib.runs.records import RecordError, read_record, write_arrays
from tutorials_lib.runs.settings import choose_settings
from tutorials_lib.runs.storage import runs_folder
from tutorials_lib.runs.verify import verify_record


@pytest.fixture
def path(stand_in, monkeypatch):
    """A record's path. Run again, it comes out the same; `path.asked` has how."""

    def train(seed, fit):
        result = stand_in["train"](seed, fit)
        more = {"test_loss": 0.5, "flip_accuracy": 0.5, "unlabelled_accuracy": 0.5}
        return {**result, "metrics": {**result["metrics"], **more}}

    settings = choose_settings("mixup_mnist", "full", epochs=1)
    stand_in["make_runs"]((0, 1), train, settings)
    home = runs_folder() / settings.protocol / "mixup_mnist"
    (path,) = home.glob("none_seed-1_*.json")
    files = {each.name: each.read_bytes() for each in home.glob(f"{path.stem}.*")}

    def run_one(chapter, profile, settings, name, beside, backend):
        assert (chapter, profile, name) == ("mixup_mnist", "full", "none, seed 1")
        # The settings that planned it, the other records, and nothing of its own.
        assert settings["epochs"] == 1
        assert [each[:11] for each in beside] == ["none_seed-0"]
        return dict(files)

    monkeypatch.setattr(verify, "run_one", run_one)
    return path


def change(path, edit):
    record = read_record(path)
    edit(record)
    path.write_text(json.dumps(record))


def test_what_differs_is_named(path, capsys):
    # Times may.
    change(path, lambda r: r["history"].update(seconds=[1e9]))
    assert verify_record(path)[1]
    change(path, lambda r: r["metrics"].update(test_loss=0.25))
    change(path, lambda r: r["history"].update(loss=[0.5]))
    assert main(["verify", str(path)]) == 1
    shown = capsys.readouterr().out
    assert shown.startswith("DIFFERS: mixup_mnist, none, seed 1: not equal")
    assert "test_loss 0.5, not 0.25" in shown
    assert "  loss [1.0], not [0.5]" in shown


def test_a_copy_of_a_record_is_no_other_run(path):
    copy = shutil.copy(path, path.with_name("copy.json"))
    assert verify_record(copy)[1]
    assert verify_record(path)[1]


def test_other_arrays(path):
    right = np.random.default_rng(1).uniform(size=40)
    change(path, lambda r: r.update(arrays=write_arrays({"rows": right + 1}, path)))
    lines, agree = verify_record(path)
    assert not agree
    assert any(line.startswith("  rows '") for line in lines)
    # The same numbers in a file that is packed in another way are the same arrays.
    np.savez(path.with_suffix(".npz"), rows=right)
    sha256 = hashlib.sha256(path.with_suffix(".npz").read_bytes()).hexdigest()
    change(path, lambda r: r["arrays"].update(sha256=sha256))
    assert verify_record(path)[1]


@pytest.mark.parametrize(("by", "agrees"), [(0.0, True), (0.3, False)])
def test_on_another_machine_within_three_errors(path, by, agrees):
    def edit(record):
        record["environment"]["cores"] += 1
        record["metrics"]["test_loss"] += 1
        value = record["metrics"]["test_accuracy"]
        record["data"]["test_images"] = 1000
        record["metrics"]["test_accuracy"] = abs(value - by)

    change(path, edit)
    lines, agree = verify_record(path)
    said = "\n".join(lines)
    assert agree == agrees
    assert lines[0].startswith("AGREES" if agrees else "DIFFERS")
    assert ("MORE THAN" in said) != agrees
    assert "cores" in said
    assert "flip_accuracy: 0.50000, now 0.50000, within" in said
    # Of other images than the test images: shown alone.
    assert "unlabelled_accuracy: 0.50000, now 0.50000\n" in said + "\n"


def test_another_run_than_the_chapter_plans(path):
    change(path, lambda r: r["parameters"].update(alpha={"a": 1}))
    with pytest.raises(RecordError, match="gives none, seed 1 other parameters: a"):
        verify_record(path)
    change(path, lambda r: r["data"].update(sha256="0"))
    with pytest.raises(RecordError, match="made on other images"):
        verify_record(path)


def test_a_real_chapter_s_run(capsys):
    """One of many, end to end, with settings that are not the profile's."""
    given = ["-p", "epochs", "1", "-p", "train_images", "300"]
    run = ["run", "mixup_fashion_mnist", *given]
    assert main([*run, "--only", "alpha 0.2, seed 0"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("mixup_fashion_mnist, profile smoke\nalpha 0.2, seed")
    assert main([*run, "--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    done = [line for line in listed if not line.startswith("to do ")]
    assert done == ["done   alpha 0.2, seed 0"]
    assert len(listed) > 1
    (path,) = runs_folder().rglob("mixup_fashion_mnist/*.json")
    before = {each: each.read_bytes() for each in path.parent.iterdir()}
    assert main(["verify", str(path)]) == 0
    first, *_ = capsys.readouterr().out.splitlines()
    said = "AGREES: mixup_fashion_mnist, alpha 0.2, seed 0: equal to the last bit"
    assert first == said
    assert {each: each.read_bytes() for each in path.parent.iterdir()} == before
    assert read_record(path)["settings"]["train_images"] == 300
