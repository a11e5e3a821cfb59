"""A record's configuration run again: equal, not equal, or not planned any more."""

import hashlib
import json
import os
import pathlib

import numpy as np
import pytest

from tutorials_lib.runs import scripts
from tutorials_lib.runs.cli import main
from tutorials_lib.runs.grid import plan_run, run_grid
from tutorials_lib.runs.records import RecordError, read_record, write_arrays
from tutorials_lib.runs.settings import choose_settings
from tutorials_lib.runs.verify import choose_knobs, verify_record
from tutorials_lib.support.data import load_dataset


class Watch:
    """Stands in for the callback that times epochs."""

    def set_params(self, params):
        pass

    on_epoch_begin = on_epoch_end = lambda self, *rest: None


def train(seed, factor, callbacks, of=None):
    (watch,) = callbacks
    watch.set_params({"epochs": 1})
    watch.on_epoch_begin(0)
    watch.on_epoch_end(0, {"loss": 1.0})
    rng = np.random.default_rng(seed)
    return {
        "metrics": {
            "test_accuracy": factor * rng.uniform(),
            "test_loss": rng.uniform(),
            "flip_accuracy": 0.5,
            "unlabelled_accuracy": 0.5,
        },
        "history": {"loss": [rng.uniform()]},
        "images": 4,
        "arrays": {"rows": rng.uniform(size=(4, 10))},
    }


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """Stands in for a chapter: three short runs and one that builds on the first.

    Returns the folder of records, a list of the seeds really run, and the plan.
    """
    folder = tmp_path / "records"
    monkeypatch.setenv("TUTORIALS_RECORDS", str(folder))
    runs, plan = [], [plan_run("none", seed, factor=0.5) for seed in range(3)]

    def run(chapter, profile, parameters):
        def train_and_note(seed, **rest):
            runs.append(seed)
            return train(seed, **rest)

        settings = choose_settings("mixup_mnist", profile)
        data = load_dataset("mnist", "sample")
        teachers = run_grid(settings, data, plan, train_and_note)
        # A student's run names its teacher's arrays, so it needs that record.
        students = [
            plan_run("student", 0, factor=0.5, of=teacher["arrays"]["sha256"])
            for teacher in teachers
            if teacher["seed"] == 0
        ]
        run_grid(settings, data, students, train_and_note)

    monkeypatch.setattr(scripts, "run_as_script", run)
    # Runs on drawn images are no full runs: theirs are kept apart, and repeated alike.
    run("mixup_mnist", "smoke", {})
    runs.clear()
    home = pathlib.Path(os.environ["TUTORIALS_RUNS"]) / "smoke" / "mixup_mnist"
    return home, runs, plan


def find(home, seed):
    (path,) = home.glob(f"none_seed-{seed}_*.json")
    return path


def change(path, edit):
    record = read_record(path)
    edit(record)
    path.write_text(json.dumps(record))


def test_equal_to_the_last_bit(chapter, capsys):
    home, runs, _ = chapter
    before = {path: path.read_bytes() for path in home.iterdir()}
    assert main(["verify", str(find(home, 1))]) == 0
    assert "equal to the last bit: 4 metrics" in capsys.readouterr().out
    # That one alone, and nothing of what stood there was touched.
    assert runs == [1]
    assert {path: path.read_bytes() for path in home.iterdir()} == before
    assert "TUTORIALS_ONLY" not in os.environ


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda r: r["metrics"].update(test_loss=0.25), "test_loss: 0.25, now 0."),
        (lambda r: r["history"].update(loss=[0.5]), "history of loss"),
    ],
)
def test_what_differs_is_named(chapter, capsys, edit, said):
    path = find(chapter[0], 2)
    change(path, edit)
    assert main(["verify", str(path)]) == 1
    shown = capsys.readouterr().out
    assert "DIFFERS" in shown
    assert said in shown


def test_other_arrays(chapter, capsys):
    path = find(chapter[0], 2)
    rows = np.zeros((4, 10))
    change(path, lambda r: r.update(arrays=write_arrays({"rows": rows}, path)))
    assert main(["verify", str(path)]) == 1
    assert "arrays" in capsys.readouterr().out
    # The same numbers in a file that is packed in another way are the same arrays.
    np.savez(path.with_suffix(".npz"), rows=train(2, 0.5, [Watch()])["arrays"]["rows"])
    content = path.with_suffix(".npz").read_bytes()
    change(
        path, lambda r: r["arrays"].update(sha256=hashlib.sha256(content).hexdigest())
    )
    assert verify_record(path)[1]
    path.with_suffix(".npz").write_bytes(content + b"0")
    with pytest.raises(RecordError, match="arrays are damaged"):
        verify_record(path)


def test_a_run_that_builds_on_another(chapter):
    """Its teacher is read from beside it, at any profile, and not run again."""
    home, runs, _ = chapter
    (student,) = home.glob("student_*.json")
    assert verify_record(student)[1]
    assert runs == [0]
    # Without its teacher it is not planned.
    find(home, 0).unlink()
    with pytest.raises(RecordError, match="a run that it builds on"):
        verify_record(student)


def test_no_other_run_that_is_missing(chapter):
    home, runs, _ = chapter
    find(home, 2).unlink()
    assert verify_record(find(home, 1))[1]
    assert runs == [1]


def test_times_may_differ(chapter):
    path = find(chapter[0], 0)
    change(path, lambda r: r["history"].update(seconds=[1e9]))
    assert verify_record(path)[1]


class TestElsewhere:
    """Another machine draws other numbers: accuracies within three errors."""

    def verify(self, chapter, by):
        path = find(chapter[0], 0)

        def edit(record):
            record["environment"]["cores"] += 1
            record["metrics"]["test_accuracy"] += by
            record["metrics"]["test_loss"] += 1

        change(path, edit)
        lines, agree = verify_record(path)
        return "\n".join(lines), agree

    def test_near(self, chapter):
        # On hundreds of images an error of a difference is 0.01 to 0.04.
        said, agree = self.verify(chapter, 0.01)
        assert agree
        assert "cores" in said
        # Of other images than the test images: shown alone.
        assert "unlabelled_accuracy: 0.5" in said
        assert "unlabelled_accuracy: 0.50000, now 0.50000," not in said
        assert "test_accuracy: " in said and "within" in said
        assert "flip_accuracy: 0.50000, now 0.50000, within" in said

    def test_far(self, chapter):
        said, agree = self.verify(chapter, 0.3)
        assert not agree
        assert "MORE THAN" in said


def test_a_protocol_that_changed(chapter):
    home, _, plan = chapter
    plan[0]["parameters"]["factor"] = 0.7
    with pytest.raises(RecordError, match="plans no such run"):
        verify_record(find(home, 0))


@pytest.mark.parametrize(
    ("chapter_name", "variant", "parameters", "chosen"),
    [
        ("mixup_mnist", "mixup", {"alpha": 0.7}, {"alphas": [0.7]}),
        ("mixup_mnist", "mixup", {"alpha": 0.1}, {}),
        ("mixup_mnist", "none", {"alpha": None}, {}),
        ("mixup_fashion_mnist", "6", {"images_per_mix": 6}, {"images_per_mix": [6]}),
        ("vat_mnist", "study", {"vat": {"eps": 3.0}}, {"eps_values": [3.0]}),
        ("vat_mnist", "none", {"vat": None, "number": 50}, {"labels": [50]}),
        ("cifar10_95", "ensemble", {"answers": ["a"] * 10}, {}),
        ("cifar10_95", "ensemble", {"answers": ["a"] * 12}, {"members": 6}),
        # Seed 7 is strong among five members of each kind, and not among eight.
        ("cifar10_95", "strong", {}, {}),
    ],
)
def test_a_run_beside_those_of_the_profile(chapter_name, variant, parameters, chosen):
    """`-p alphas '[0.7]'` changes no protocol: its record is published too."""
    record = {
        "chapter": chapter_name,
        "variant": variant,
        "seed": 7,
        "profile": "full",
        "parameters": parameters,
    }
    assert choose_knobs(record) == chosen


@pytest.mark.parametrize("seed", [3, 11])
def test_a_member_beside_those_of_the_profile(seed):
    record = {
        "chapter": "cifar10_95",
        "variant": "strong",
        "seed": seed,
        "profile": "full",
        "parameters": {},
    }
    members = choose_knobs(record)["members"]
    assert members <= seed < 2 * members


def test_no_record(tmp_path, capsys):
    assert main(["verify", str(tmp_path / "none.json")]) == 1
    assert "cannot be read" in capsys.readouterr().err
