"""Signs of a failed training: a failing and a healthy run for each."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl import tasks
from jaxdl.models import MLP, VAE, Reshaped
from jaxdl.recipes import TrainingOptions, fit_and_test
from jaxdl.recipes.failures import at_chance, dead_layers, never_fell
from jaxdl.runs import DeviceOptions, Options, Run, RunOptions, with_options

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(96, 2)).astype(np.float32)
LABEL = (POINTS[:, 0] > 0).astype(np.int32)
IMAGES = (RNG.random((96, 1)) < 0.5).astype(np.float32).repeat(6, 1)


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of a short run."""

    run: RunOptions = RunOptions(batch_size=16, steps=60, log_every=10)
    devices: DeviceOptions = DeviceOptions(strategy="single")
    training: TrainingOptions = TrainingOptions(learning_rate=0.03)


def warnings(out, model, task, arrays, **changed):
    """Trains a model and returns the warnings of its training."""
    config = with_options(Config(), out=str(out), **changed).validate()
    data = jaxdl.data.Dataset(arrays, "mine", classes=2 if "label" in arrays else None)
    run = Run(config, out, "mine")
    fit_and_test(run, config.training, model, task, {"train": data, "test": data})
    # The test set is the training set, which is a fault of the sets.
    return [each for each in run.warnings if "in the training set too" not in each]


def classified(out, label=LABEL, **changed):
    model = MLP((8,), 2)
    return warnings(out, model, tasks.classify(model), {"input": POINTS, "label": label}, **changed)


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_healthy_classifier_has_no_warnings(tmp_path, seeds):
    assert classified(tmp_path, seeds=seeds) == []


def test_an_accuracy_at_chance(tmp_path):
    label = RNG.permutation(LABEL)
    options = {"learning_rate": 1e-5, "steps": 20}
    (warning,) = [each for each in classified(tmp_path, label, **options) if "accuracy" in each]
    assert "is that of a constant prediction" in warning


def test_a_loss_that_never_fell(tmp_path):
    # Each line of the log is an average over the whole set.
    found = classified(tmp_path, learning_rate=1e-12, log_every=6)
    assert any(each.startswith("the training loss never fell below") for each in found), found


def test_a_smoke_test_has_no_such_warnings(tmp_path):
    assert classified(tmp_path, learning_rate=1e-12, smoke=True) == []


def autoencoded(out, beta):
    task = tasks.vae(VAE(MLP((8,), 4), Reshaped(MLP((8,), 6), (6,)), latent=2), beta=beta)
    return warnings(out, None, task, {"input": IMAGES}, steps=300, log_every=50)


def test_a_collapsed_posterior(tmp_path):
    (warning,) = autoencoded(tmp_path / "30", 30.0)
    assert warning.startswith("the posterior collapsed: the KL divergence is only 0.0")
    assert autoencoded(tmp_path / "1", 1.0) == []


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_layer_of_dead_units(seeds):
    model = MLP((8, 8), 2)
    test = jaxdl.data.Dataset({"input": POINTS, "label": LABEL}, "mine")
    params, extra = tasks.classify(model).init(jaxdl.root(seeds), {"input": jnp.asarray(POINTS)})
    state = jaxdl.State(np.zeros((), np.int32), params, (), extra)
    assert dead_layers(model, state, test) == ""
    bias = params["dense_1"]["bias"] - 100
    params = {**params, "dense_1": {**params["dense_1"], "bias": bias}}
    warning = dead_layers(model, state.replace(params=params), test)
    assert warning == "layers whose units are 0 for all examples: activation_1 (100 %)"


def test_the_interval_of_chance_is_that_of_a_constant_prediction():
    """Simulated: random guesses are inside of the interval in 97.5 % of the draws."""
    label = np.repeat(np.arange(4), 50)
    guesses = RNG.integers(0, 4, (2000, 200))
    found = [bool(at_chance(float(accuracy), label)) for accuracy in (guesses == label).mean(1)]
    assert 0.95 < np.mean(found) < 0.995
    assert at_chance(1.0, np.zeros(5, int)) == ""
    assert at_chance(0.26, np.asarray(jax.nn.one_hot(label, 4)))


def test_few_losses_are_no_sign():
    assert never_fell([]) == never_fell([1.0]) == never_fell([1.0, 2.0]) == ""
