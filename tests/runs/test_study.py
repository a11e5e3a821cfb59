"""A chapter's study: its parameters cell, its data, its runs and what they build on."""

import keras
import numpy as np
import pytest

from tutorials_lib.runs import study as module
from tutorials_lib.runs.records import RecordError
from tutorials_lib.runs.study import Study


@pytest.fixture
def full(stand_in, monkeypatch):
    """Makes a study at profile full on stand-in data, which was loaded."""
    monkeypatch.setattr(module, "load_dataset", lambda name, source: stand_in["data"])

    def make(**parameters):
        study = Study("mixup_mnist", {"profile": "full", **parameters})
        study.load("mnist")
        return study

    return make


@pytest.fixture
def train(stand_in):
    """A training function with two of the arguments, which notes its calls."""

    def train(seed, fit, alpha, pairing="default"):
        train.calls.append((seed, alpha, pairing))
        return stand_in["train"](seed, fit)

    train.calls = []
    return train


MIXED = {"none": {"alpha": None, "pairing": None}, "alpha 1": {"alpha": 1.0}}


class TestParameters:
    def test_settings_are_attributes(self):
        names = {"profile": "smoke", "epochs": 3, "alphas": None, "np": np}
        study = Study("mixup_mnist", {**names, "_private": 1, "Name": 2, "f": print})
        assert (study.epochs, study.batch_size) == (3, 32)
        with pytest.raises(AttributeError, match="no setting 'epoch'"):
            _ = study.epoch

    def test_a_variable_that_is_no_setting_is_refused(self):
        """Papermill's, where Jupyter keeps the cells that were run."""
        cells = ["profile = 1", "# Parameters\nepoch = 1"]
        with pytest.raises(ValueError, match="got 'epoch'"):
            Study("mixup_mnist", {"profile": "smoke", "epoch": 1, "In": cells})

    def test_in_jupyter_the_last_parameters_cell_counts(self):
        history = [
            "",
            "profile = 'smoke'\nepoch = 5  # a slip, mended below",
            "profile = 'smoke'\nepochs = 2 * 3",
            "profile = 'smoke'\nepochs = 5",
            "# Parameters\nepochs = 4",
            "study = Study('mixup_mnist', globals())",
            "eps = 3\nseed = 1",
        ]
        # What later cells and earlier versions left does not matter.
        left = {"epoch": 5, "eps": 3, "seed": 1, "In": history}
        study = Study("mixup_mnist", {"profile": "smoke", "epochs": 4, **left})
        assert study.epochs == 4
        with pytest.raises(ValueError, match="line 2 must be `name = literal`"):
            Study("mixup_mnist", {"profile": "smoke", "In": history[:3]})
        with pytest.raises(ValueError, match="got 'mixup'"):
            Study("mixup", {"profile": "smoke"})


def test_load_scales_images_and_labels():
    study = Study("mixup_mnist", {"profile": "smoke"})
    (x, y), (x_test, y_test) = study.load("mnist", low=-1, high=1)
    assert (x.dtype, x.min(), x.max()) == ("float32", -1, 1)
    assert (len(x), len(x_test)) == (study.train_images, study.test_images)
    np.testing.assert_array_equal(y.argmax(axis=1), study.data.y_train)
    np.testing.assert_array_equal(y_test.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("details", "policy"),
    [
        ({"compute_capability": (7, 5)}, "mixed_float16"),
        ({"compute_capability": (8, 0)}, "mixed_bfloat16"),
        ({}, "float32"),
    ],
)
def test_precision_follows_the_device(monkeypatch, details, policy):
    """On a T4, an A100, and a GPU of another maker."""
    tf = pytest.importorskip("tensorflow")
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["a GPU"])
    monkeypatch.setattr(
        tf.config.experimental, "get_device_details", lambda device: details
    )
    study = Study("cifar10_95", {"profile": "full"})
    assert study.precision == policy
    assert study.settings.record()["precision"] == policy
    assert study.settings.changed == ()
    assert Study("cifar10_95", {"profile": "laptop"}).precision == "float32"


def test_without_a_gpu_a_chapter_says_what_fits():
    study = Study("cifar10_95", {"profile": "smoke"})
    study.load("cifar10")
    assert "no GPU: profile laptop fits, profile full does not" in study.describe()


class TestRun:
    def test_variants_by_seeds(self, full, train):
        study = full(seeds=2)
        records = study.run(train, MIXED)
        assert [(r["variant"], r["seed"]) for r in records] == [
            (name, seed) for seed in (0, 1) for name in MIXED
        ]
        # What a variant sets comes before the setting.
        assert train.calls[:2] == [(0, None, None), (0, 1.0, "replacement")]
        assert records[1]["parameters"] == {
            "alpha": 1.0,
            "pairing": "replacement",
            "lambda_per": "sample",
            "epochs": 30,
            "batch_size": 32,
            "learning_rate": 0.002,
            "decay": 1e-4,
        }
        assert records[1]["settings"]["seeds"] == [0, 1]
        assert study.records == records

    def test_seeds_of_each_variant(self, full, train):
        study = full()
        study.run(train, MIXED, seeds={"none": [7], "alpha 1": range(2)})
        assert [call[:2] for call in train.calls] == [(7, None), (0, 1.0), (1, 1.0)]

    def test_settings_among_the_parameters(self, full, train):
        (record,) = full(seeds=1).run(train, {"a": {"alpha": 1}}, settings=["epochs"])
        assert record["parameters"] == {"epochs": 30, "alpha": 1}
        with pytest.raises(AttributeError, match="no setting 'epoch'"):
            full().run(train, {"a": {"alpha": 1}}, settings=["epoch"])

    @pytest.mark.parametrize(
        ("parameters", "said"),
        [
            (
                {"alpha": 1, "beta": 2},
                "alpha 1, seed 0: train: got an unexpected .* 'beta'",
            ),
            ({}, "alpha 1, seed 0: train: missing .* argument: 'alpha'"),
        ],
    )
    def test_parameters_that_train_does_not_take(self, full, train, parameters, said):
        """Refused before the first run is begun."""
        with pytest.raises(ValueError, match=said):
            full().run(train, {"none": {"alpha": None}, "alpha 1": parameters})
        assert train.calls == []

    def test_own_runs_are_shown_beside_them(self, full, train):
        published, shown = full(seeds=1).run(train, MIXED), []
        study = full(seeds=2)
        study.show_own(published, shown.append)
        study.run(train, MIXED)
        study.show_own(published, shown.append)
        assert shown == [[run for run in study.records if run["seed"] == 1]]

    def test_retrain_leaves_what_is_published(self, full, train, tmp_path):
        full(seeds=1).run(train, MIXED)
        folder = tmp_path / "records"
        before = {path: path.read_bytes() for path in folder.rglob("*.*")}
        full(seeds=1, retrain=True).run(train, MIXED)
        assert len(train.calls) == 4
        assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before

    def test_a_run_that_diverges_leaves_the_others_alone(self, full, train):
        def train_all(seed, fit, alpha, pairing):
            result = train(seed, fit, alpha, pairing)
            return {**result, "metrics": {"loss": np.nan}} if alpha is None else result

        study = full(seeds=1)
        with pytest.raises(RecordError, match="none, seed 0: metrics: loss must be"):
            study.run(train_all, MIXED)
        names = [name for name, record in study.planned.items() if record]
        assert names == ["alpha 1, seed 0"]


class TestRunsThatBuildOnOthers:
    def test_they_come_after_them(self, full, train):
        study = full(seeds=2)

        def student(seed):
            return {"alpha": study.find("teacher", seed)["arrays"]["sha256"]}

        def train_student(seed, fit, alpha):
            if alpha != 1:
                rows = study.read_arrays("teacher", seed)["rows"]
                assert rows[0] == np.random.default_rng(seed).uniform()
            return train(seed, fit, alpha)

        # The student is named first, and yet made after its teacher.
        study.run(train_student, {"student": student, "teacher": {"alpha": 1}})
        assert len(study.records) == 4
        sha256 = study.find("teacher", 1)["arrays"]["sha256"]
        assert study.find("student", 1)["parameters"]["alpha"] == sha256

    def test_what_is_missing_is_named(self, full, train, capsys):
        study = full(seeds=1)
        variants = {"student": lambda seed: study.find("teacher", seed)}
        assert study.run(train, variants) == []
        said = capsys.readouterr().out
        assert "not run: student, seed 0 (teacher, seed 0 is not done)" in said


def test_a_network_and_its_history_are_scored():
    if keras.backend.backend() == "numpy":
        pytest.skip("Keras trains nothing on NumPy")
    study = Study("mixup_mnist", {"profile": "smoke", "epochs": 2})
    (x, y), test = study.load("mnist")

    def train(seed, fit, alpha):
        keras.utils.set_random_seed(seed)
        model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
        model.compile("sgd", "mse", metrics=["accuracy"])
        return model, fit(model, x, y, epochs=study.epochs, batch_size=320)

    (record,) = study.run(train, {"none": {"alpha": None}})
    history = record["history"].keys() - {"seconds"}
    names = {f"{split}_{name}" for split in ("train", "test") for name in history}
    assert record["metrics"].keys() == names
    assert len(record["history"]["loss"]) == 2
    (record,) = study.run(train, {"none": {"alpha": None}}, score={"held_out": test})
    assert record["metrics"].keys() == {"held_out_loss", "held_out_accuracy"}
