"""Records: the schema, whole files or none, and names that tell protocols apart."""

import itertools
import json
import pathlib
import subprocess

import pytest
from stand_ins import RECORD

from tutorials_lib.book.scoreboard import read_all_records
from tutorials_lib.results.articles import ARTICLES, read_published
from tutorials_lib.runs.profiles import BY_DEVICE, CHAPTERS
from tutorials_lib.runs.records import (
    SCHEMA,
    RecordError,
    find_path,
    load_records,
    published_records,
    read_record,
    read_records,
    write_record,
)
from tutorials_lib.runs.settings import CHOOSING, choose_settings
from tutorials_lib.runs.storage import find_checkout

# The project at 32b3576 with records added, on the machine that ran it alone.
LOST = {"c4b2a4a54ad68d0feb75e75b425ad9d5cdc25861"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": {"name": "mnist"}}, "data: missing origin, sha256, test_images"),
        ({"colour": "red"}, "unknown colour"),
        ({"seed": "0"}, "seed has the wrong type: '0'"),
        ({"seed": True}, "seed has the wrong type"),
        ({"metrics": {}}, "metrics is empty"),
        ({"metrics": {"test_accuracy": float("nan")}}, "must be a finite number"),
        ({"history": {"loss": [0.5, float("inf")]}}, "loss of epoch 2 must be"),
        ({"history": {"loss": 0.5}}, "history: loss has the wrong type"),
        ({"schema": SCHEMA + 1}, "schema 3, but this version .* reads schema 2"),
        # A record from elsewhere must not have other files read or written.
        ({"arrays": {"file": "../rows.npz", "sha256": "0"}}, "must be the bare name"),
        ({"arrays": {"file": "rows.json", "sha256": "0"}}, "must be the bare name"),
    ],
)
def test_refused_on_write_and_on_read(tmp_path, changes, said):
    broken, path = RECORD | changes, tmp_path / "one.json"
    with pytest.raises(RecordError, match=said):
        write_record(broken, path)
    assert not path.exists()
    path.write_text(json.dumps(broken))
    with pytest.raises(RecordError, match=said):
        read_record(path)


def test_damaged_file(tmp_path):
    (tmp_path / "one.json").write_text(json.dumps(RECORD)[:100])
    with pytest.raises(RecordError, match=r"one\.json: cannot be read"):
        read_records(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [{"profile": "smoke"}, {"data": RECORD["data"] | {"origin": "sample"}}],
)
def test_no_page_shows_another_run_as_a_full_one(keep, changes):
    keep(RECORD)
    assert published_records("mixup_mnist") == [RECORD]
    keep(RECORD | {"seed": 1} | changes)
    with pytest.raises(RecordError, match="is no run of mixup_mnist at laptop or full"):
        published_records("mixup_mnist")


def test_the_profile_that_has_more_records(keep):
    for seed, profile in enumerate(("full", "laptop", "laptop")):
        changes = {"chapter": "cifar10_95", "profile": profile, "seed": seed}
        last = keep(RECORD | changes)
    assert [r["seed"] for r in published_records("cifar10_95")] == [1, 2]
    assert [r["seed"] for r in published_records("cifar10_95", "full")] == [0]
    last.unlink()
    assert [r["profile"] for r in published_records("cifar10_95")] == ["full"]


def test_records_as_a_table(keep):
    for seed, alpha in enumerate((None, {"low": 1, "high": 2})):
        keep(RECORD | {"seed": seed, "parameters": {"alpha": alpha}})
    runs = load_records("mixup_mnist").set_index("seed")
    assert runs.test_accuracy.mean() == RECORD["metrics"]["test_accuracy"]
    assert runs.loc[1, "parameters.alpha.high"] == 2
    assert {"settings.epochs", "timing.wall_seconds", "git.commit"} <= set(runs)
    assert load_records("mixup_mnist", "laptop").empty
    for wrong in (("mixup_mnst",), ("mixup_mnist", "smoke")):
        with pytest.raises(ValueError, match=rf"must be one of .* got '{wrong[-1]}'"):
            load_records(*wrong)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_published_records_are_runs_of_real_data(chapter):
    """Everything that a page calls a run at a profile is one, under its right name."""
    folder = find_checkout() / "book" / "records" / chapter
    whole = 50_000 if ARTICLES[chapter]["dataset"] == "cifar10" else 60_000
    for path in sorted(folder.glob("*.json")):
        record = read_record(path)
        assert path.name == pathlib.Path(find_path(record)).name
        settings = choose_settings(chapter, record["profile"])
        # Of the settings that planned it none makes it another protocol's.
        for name, value in settings.record().items():
            if name not in CHOOSING and value != BY_DEVICE:
                assert record["settings"].get(name, value) == value, (path, name)
        asked = settings.train_images or whole
        assert record["data"]["train_images"] == asked
        assert record["git"]["clean"] is True


def test_records_name_commits_that_can_be_looked_up():
    def ask_git(*words):
        command = ["git", "-C", find_checkout(), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    if ask_git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("no repository, or one without its history")
    records = itertools.chain(*read_all_records().values())
    commits = {record["git"]["commit"] for record in records}
    assert commits
    lost = {
        commit
        for commit in commits
        if ask_git("merge-base", "--is-ancestor", commit, "HEAD").returncode
    }
    assert lost <= LOST


def test_published_numbers():
    members = read_published("cifar10_95", "tta_accuracy")
    alone = [members[name] for name in members if "member " in name]
    assert len(alone) == 10
    assert members["mean of the members"] == pytest.approx(sum(alone) / 10, abs=5e-5)
