"""The chapters at profile `quick` on the real sets, with floors on accuracy.

The longest make fewer runs; their pages are made at the whole of `quick`. The floors
are far below what the runs reach (see the chapters) and far above what a net reaches
that learned nothing, was fed wrong labels, or mixed them wrongly.
"""

import os

import pytest

from tutorials_lib.runs.records import read_records
from tutorials_lib.runs.storage import runs_folder

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(
        not os.environ.get("TUTORIALS_DATA"), reason="TUTORIALS_DATA is not set"
    ),
]

# Chapter to the lowest test accuracy of any variant.
FLOORS = {
    "mixup_mnist": 0.95,
    "vat_mnist": 0.6,
    "cifar10_95": 0.2,
    "mixup_fashion_mnist": 0.65,
    "noisy_student": 0.12,
    "cifar10_fast": 0.4,
}
# Run always; the others with the slow tests.
SHORT = ("mixup_mnist", "mixup_fashion_mnist")
# Fewer runs of the same length, for time's sake.
LEFT_OUT = ["whitening", "alternating flip"]
STUDENTS = ["teacher", "noised teacher", "student of the noised", "second round"]
KNOBS = {
    "mixup_mnist": ("-p", "alphas", "[1e-6, 0.1, 2.0]"),
    "mixup_fashion_mnist": ("-p", "seeds", "1"),
    "vat_mnist": ("-p", "labels", "[1000]", "-p", "eps_values", "[1.0]"),
    "cifar10_95": ("-p", "draws", "5"),
    "noisy_student": ("-p", "variants", str(STUDENTS)),
    "cifar10_fast": ("-p", "lengths", "[1]", "-p", "without", str(LEFT_OUT)),
}


@pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(name, marks=() if name in SHORT else pytest.mark.slow)
        for name in FLOORS
    ],
)
def test_quick(run_python, chapter):
    command = ("-m", "tutorials_lib.runs.cli", "run", chapter, "--profile", "quick")
    done = run_python(*command, *KNOBS.get(chapter, ()))
    assert done.returncode == 0, done.stderr[-3000:]
    records = read_records(runs_folder() / "quick" / chapter)
    assert len({record["variant"] for record in records}) >= 4
    for record in records:
        metrics = record["metrics"]
        # A study that may not look at the test images has a held-out score, and an
        # ensemble that of its members' answers.
        names = ("test_accuracy", "validation_accuracy", "tta_accuracy")
        accuracy = next(metrics[name] for name in names if name in metrics)
        assert FLOORS[chapter] < accuracy < 1, record["variant"]
