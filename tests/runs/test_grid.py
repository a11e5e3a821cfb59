"""Making planned runs: records, where they go, what is read again, what is refused."""

import dataclasses
import errno
import json
import os

import filelock
import numpy as np
import pytest

from tutorials_lib.runs import storage
from tutorials_lib.runs.records import RecordError, read_arrays, read_records
from tutorials_lib.runs.settings import choose_settings


@pytest.fixture
def make(stand_in, capsys):
    """Makes the runs of some seeds; returns records, and how many were begun."""

    def make(profile="full", seeds=(0, 1, 2), origin="folder", size=4, **given):
        data = dataclasses.replace(stand_in["data"], origin=origin)
        settings = choose_settings("mixup_mnist", profile, **given)
        how = {"settings": settings, "data": data}
        records = stand_in["make_runs"](seeds, **how, size=size)
        return records, capsys.readouterr().out.count("started")

    return make


def test_a_record_holds_what_it_takes_to_repeat_the_run(make, stand_in, tmp_path):
    records, _ = make()
    assert [record["seed"] for record in records] == [0, 1, 2]
    assert read_records(tmp_path / "records" / "mixup_mnist") == records
    record = records[1]
    assert record["metrics"]["test_accuracy"] == np.random.default_rng(1).uniform()
    assert record["parameters"] == {"size": 4}
    assert record["settings"]["epochs"] == 30
    assert "max_minutes" not in record["settings"]
    assert record["timing"]["sessions"] == 1
    assert record["data"]["sha256"] == stand_in["data"].sha256
    assert len(record["history"]["seconds"]) == 1
    assert record["environment"]["cores"] == len(os.sched_getaffinity(0))
    assert {"python", "keras", "numpy"} <= set(record["environment"]["versions"])
    assert not list((tmp_path / "records").rglob("*.claim"))


def test_other_runs_are_made_anew_and_not_published(make, tmp_path):
    for profile, origin in (("full", "sample"), ("quick", "folder")):
        assert [make(profile, origin=origin)[1] for _ in range(2)] == [3, 3]
        assert len(read_records(storage.runs_folder() / profile / "mixup_mnist")) == 3
    assert not (tmp_path / "records").exists()


def test_a_changed_protocol_goes_on_apart(make, tmp_path):
    """Though none of these changes shows in the runs' own parameters."""
    begun = 0
    for given in ({"epochs": 1}, {"epochs": 2}, {"epochs": 1, "alphas": 3.0}):
        records, number = make(**given)
        begun += number
        # What builds on a run reads its arrays.
        for record in records:
            rows = np.random.default_rng(record["seed"]).uniform(size=4)
            np.testing.assert_array_equal(read_arrays(record)["rows"], rows)
    assert begun == 6
    assert not (tmp_path / "records").exists()
    folders = sorted(storage.runs_folder().glob("full-*/mixup_mnist"))
    assert [len(read_records(folder)) for folder in folders] == [3, 3]


def test_no_run_is_begun_after_the_limit(make):
    assert make(max_minutes=0) == ([], 0)
    make(seeds=(1,))
    records, begun = make(max_minutes=0)
    assert ([record["seed"] for record in records], begun) == ([1], 0)


def test_damaged_arrays_are_missed_in_words(make, tmp_path):
    ((record,), _) = make(seeds=(3,))
    (path,) = (tmp_path / "records").rglob("*.npz")
    assert path.with_suffix(".json").is_file()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(RecordError, match=r"none, seed 3, .* missing or damaged"):
        read_arrays(record)
    record.pop("arrays")
    with pytest.raises(RecordError, match="none, seed 3 left no arrays"):
        read_arrays(record)


def test_records_are_read_where_nothing_can_be_written(make, monkeypatch):
    make(seeds=(0,))

    def refuse(folder):
        raise storage.WriteError(f"{folder} cannot be written to")

    monkeypatch.setattr(storage, "check_writable", refuse)
    assert len(make(seeds=(0,))[0]) == 1
    assert len(make(seeds=(0, 1), max_minutes=0)[0]) == 1
    with pytest.raises(storage.WriteError):
        make(seeds=(0, 1))


def test_a_file_system_without_locks(make, tmp_path, monkeypatch):
    """No claim can be had there, and none is needed: the run is made, nothing waits."""

    def refuse(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert make(seeds=(0,))[1] == 1
    assert not list(tmp_path.rglob("*.claim"))


def test_a_record_under_another_name_is_refused(make, tmp_path, capsys):
    ((record,), _) = make(seeds=(0,))
    (path,) = (tmp_path / "records" / "mixup_mnist").glob("*.json")
    path.write_text(json.dumps({**record, "seed": 77}))
    # The others are made first.
    with pytest.raises(RecordError, match=r"holds another run .* seed 77"):
        make(seeds=(0, 1))
    assert "started" in capsys.readouterr().out
    assert make(seeds=(1,))[1] == 0
    assert make(seeds=(0, 2), only="none, seed 2")[1] == 1


def test_floats_and_images_as_every_record_has_them(make, monkeypatch):
    import keras

    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    with pytest.raises(ValueError, match="got float32 and channels_first"):
        make()


def test_training_that_keeps_its_callbacks_from_fit(stand_in):
    def train(seed, fit):
        return {"metrics": {"a": 1}, "history": {"loss": [1]}, "images": 4}

    with pytest.raises(ValueError, match="no epoch was seen"):
        stand_in["make_runs"]([0], train)
