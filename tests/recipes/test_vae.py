"""The importance-weighted bound of a set, and the pictures of a VAE."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl import bind, plots
from jaxdl.models import MLP, VAE, Conditional, Reshaped
from jaxdl.recipes.vae import importance_bound, write_pictures, write_posterior_samples
from tests.plots.pictures import pixels

IMAGES = np.random.default_rng(0).random((24, 4, 4, 1)).astype(np.float32)
LABEL = np.arange(24, dtype=np.int32) % 3


def trained(conditional: bool):
    """Returns the task of a small VAE, a state and the inputs of its functions."""
    encoder = MLP((8,), 4)
    decoder = Reshaped(MLP((8,), 16), (4, 4, 1))
    inputs = [IMAGES]
    if conditional:
        encoder = Conditional(encoder, 3)
        decoder = Conditional(decoder, 3)
        inputs.append(LABEL)
    task = jaxdl.tasks.vae(VAE(encoder, decoder, latent=2))
    batch = {"input": IMAGES, "label": LABEL}
    params, extra = task.init(jaxdl.root(0), batch)
    return task, jaxdl.State(np.zeros((), np.int32), params, (), extra), inputs


@pytest.mark.parametrize("conditional", [False, True])
def test_bound_is_that_of_the_task(conditional):
    task, state, inputs = trained(conditional)
    key = jax.random.fold_in(jaxdl.rng.stream(jaxdl.root(0), "eval"), 0)
    expected = bind(task.bound, state)(inputs[0], key, 7, *inputs[1:])
    value = importance_bound(bind(task.bound, state), inputs, 7)
    assert value == pytest.approx(float(expected.mean()), rel=1e-5)


@pytest.mark.parametrize("conditional", [False, True])
def test_pictures_are_written(conditional, tmp_path):
    task, state, inputs = trained(conditional)
    write_pictures(task, state, inputs, 0, lambda name: tmp_path / f"{name}.png")
    names = {"reconstructions", "interpolation", "posterior_samples"}
    assert {path.stem for path in tmp_path.iterdir()} == names
    for path in tmp_path.iterdir():
        pixels(path)


def test_posterior_samples_have_mean_and_deviation_of_the_posterior(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(plots, "posterior_samples", lambda *arguments: shown.append(arguments))
    mean = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
    logvar = np.random.default_rng(2).normal(size=(3, 2)).astype(np.float32)
    noise = np.random.default_rng(3).normal(size=(3, 5, 2)).astype(np.float32)
    images = np.zeros((3, 1, 2, 1), np.float32)
    write_posterior_samples(
        lambda x, row: (jnp.asarray(mean)[row], jnp.asarray(logvar)[row]),
        lambda z, row: z[:, None, :, None] + row[:, None, None, None].astype(z.dtype),
        [images, np.arange(3)],
        noise,
        tmp_path / "x.png",
    )
    decoded = shown[0][1]
    for i in range(3):
        for k in range(5):
            expected = mean[i] + np.exp(logvar[i] / 2) * noise[i, k] + i
            np.testing.assert_allclose(decoded[i, k, 0, :, 0], expected, rtol=1e-5, atol=1e-6)
