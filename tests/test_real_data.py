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

# Run always; the others with the slow tests.
SHORT = ("mixup_mnist", "mixup_fashion_mnist")
LEFT_OUT = ["whitening", "alternating flip"]
STUDENTS = ["teacher", "noised teacher", "student of the noised", "second round"]
# Chapter to the lowest test accuracy of any variant, and to settings that make fewer
# runs of the same length, for time's sake.
CASES = {
    "mixup_mnist": (0.95, ["-p", "alphas", "[1e-6, 0.1, 2.0]"]),
    "vat_mnist": (0.6, ["-p", "labels", "[1000]", "-p", "eps_values", "[1.0]"]),
    "cifar10_95": (0.2, ["-p", "draws", "5"]),
    "mixup_fashion_mnist": (0.65, ["-p", "seeds", "1"]),
    "noisy_student": (0.12, ["-p", "variants", str(STUDENTS)]),
    "cifar10_fast": (0.4, ["-p", "lengths", "[1]", "-p", "without", str(LEFT_OUT)]),
}


@pytest.mark.parametrize(
    "chapter",
    [
        pytest.param(name, marks=() if name in SHORT else pytest.mark.slow)
        for name in CASES
    ],
)
def test_quick(run_python, chapter):
    floor, settings = CASES[chapter]
    command = ["-m", "tutorials_lib.book.cli", "run", chapter, "--profile", "quick"]
    done = run_python(*command, *settings)
    assert done.returncode == 0, done.stderr[-3000:]
    records = read_records(runs_folder() / "quick" / chapter)
    assert len({record["variant"] for record in records}) >= 4
    for record in records:
        metrics = record["metrics"]
        # A study that may not look at the test images has a held-out score, and an
        # ensemble that of its members' answers.
        names = ("test_accuracy", "validation_accuracy", "tta_accuracy")
        accuracy = next(metrics[name] for name in names if name in metrics)
        assert floor < accuracy < 1, record["variant"]
