"""The run of a classifier: its data sets, its optimizer and its figures."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from jaxdl.augment import augment_batch
from jaxdl.errors import InputError
from jaxdl.recipes import ClassificationOptions, TrainingOptions, classification
from jaxdl.recipes.classification import prepared, run_classification
from jaxdl.runs import RunOptions, with_options
from tests.runs.scripts import script


def sets(standardize: bool = False, **options):
    return prepared(RunOptions(data="moons", **options), standardize)


def rows(data) -> set[bytes]:
    return {row.tobytes() for row in np.asarray(data["input"])}


def test_the_parts_share_no_example():
    parts = sets(validation=0.25)
    assert {name: part.size for name, part in parts.items()} == {
        "train": 1200,
        "test": 400,
        "validation": 400,
    }
    assert len(rows(parts["train"]) | rows(parts["validation"]) | rows(parts["test"])) == 2000


def test_every_seed_has_the_same_sets():
    first = sets()
    second = sets(seed=1)
    for part in ("train", "validation", "test"):
        assert rows(first[part]) == rows(second[part])


def test_without_validation_the_whole_set_is_used_for_training():
    parts = sets(validation=0.0)
    assert set(parts) == {"train", "test"} and parts["train"].size == 1600


def test_statistics_come_from_the_training_set():
    plain = sets()
    scaled = sets(standardize=True)
    mean = plain["train"]["input"].mean(0)
    std = plain["train"]["input"].std(0)
    for name, part in scaled.items():
        np.testing.assert_allclose(part["input"], (plain[name]["input"] - mean) / std, atol=1e-5)
    np.testing.assert_allclose(scaled["train"]["input"].mean(0), 0, atol=1e-5)


def test_standardized_images_are_augmented_with_their_mean_outside(monkeypatch):
    """The documented values: 0 is the mean of the pixels, and 1 a standard deviation above it."""
    given = {}

    def classify_sets(run, training, sets, model_for, **options):
        given.update(sets=sets, **options)

    monkeypatch.setattr(classification, "classify_sets", classify_sets)
    for text in ("salt_and_pepper=0.9", "rotate=45,scale=1.4"):
        options = ClassificationOptions(text, standardize=True)
        run = SimpleNamespace(config=SimpleNamespace(run=RunOptions()))
        run_classification(run, TrainingOptions(), options, None, None)
        train = given["sets"]["train"]
        pixels = np.asarray(prepared(RunOptions(), False)["train"]["input"])
        ((mean, std),) = train.scaling["input"]
        np.testing.assert_allclose([mean, std], [[pixels.mean()], [pixels.std()]], rtol=1e-5)
        x = np.asarray(train["input"])[:500]
        changed = np.asarray(augment_batch(given["augment"], jax.random.key(0), x)) * std + mean
        if text.startswith("salt"):
            for value in (mean, mean + std):
                share = np.isclose(changed, value, atol=1e-5).mean()
                assert share == pytest.approx(0.45, abs=0.01)
        else:
            turned = np.isclose(changed[:, 0, 0], mean, atol=1e-5)
            assert 0.2 < turned.mean() < 1


@pytest.mark.parametrize("share", [1e-5, 0.99999])
def test_a_share_that_leaves_a_part_empty(share):
    with pytest.raises(InputError) as raised:
        sets(validation=share)
    assert str(raised.value) == (
        f"validation: got {share}, allowed: a fraction that leaves both parts of 1600 examples"
        " non-empty"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "shape",
    [(5,), (6, 6, 2)],
    ids=["vectors", "two channels"],
)
def test_inputs_that_cannot_be_plotted(tmp_path, shape):
    draw = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", x=draw.random((80, *shape)), y=np.arange(80) % 3)
    module = script("mlp")
    config = with_options(
        module.Config(),
        data=str(tmp_path / "mine.npz"),
        out=str(tmp_path / "run"),
        hidden=(4,),
        batch_size=16,
        smoke=True,
    )
    result = module.main(config.validate())
    assert result["data"]["train"]["name"] == "mine"
    pictures = {"curves", "confusion", "calibration", "roc"}
    assert {path.stem for path in (tmp_path / "run" / "figures").iterdir()} == pictures


def test_the_optimizer_follows_the_schedule():
    options = TrainingOptions(optimizer="sgd", schedule="step", learning_rate=0.5)
    made = options.make_optimizer(4)
    params = {"w": jax.numpy.ones(3)}
    state = made.init(params)
    used = []
    for _ in range(4):
        _, state = made.update(params, state, params)
        used.append(float(state.hyperparams["learning_rate"]))
    np.testing.assert_allclose(used, [0.5, 0.5, 0.05, 0.005], rtol=1e-6)
