"""Reconstruction against NumPy; corruptions by their moments."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

import jaxdl
from jaxdl.augment import clipped, gaussian_noise
from jaxdl.errors import InputError
from jaxdl.metrics import means
from jaxdl.models import MLP, Autoencoder, Conditional, Reshaped
from jaxdl.tasks import reconstruct
from tests.tasks.scalar import scalar
from tests.training.linear import KEY

RNG = np.random.default_rng(0)
BATCH = {"input": jnp.asarray(RNG.uniform(size=(6, 3, 2, 1)), jnp.float32)}
MASKED = {**BATCH, "mask": jnp.asarray([1, 1, 0, 1, 0, 1], jnp.float32)}
MODEL = Autoencoder(MLP((5,), 2, "tanh"), Reshaped(MLP((5,), 6, "tanh"), (3, 2, 1)))


@functools.cache
def started(likelihood="bernoulli", corrupt=None):
    task = reconstruct(MODEL, likelihood=likelihood, corrupt=corrupt)
    return task, *task.init(KEY, BATCH), jax.jit(scalar(task.loss), static_argnames="train")


def by_numpy(likelihood: str, y, x) -> tuple[np.ndarray, np.ndarray]:
    """Returns the loss and the mean squared error of each row."""
    y = np.asarray(y, np.float64).reshape(6, -1)
    x = np.asarray(x, np.float64).reshape(6, -1)
    if likelihood == "gaussian":
        return ((y - x) ** 2 / 2 + np.log(2 * np.pi) / 2).sum(1), ((y - x) ** 2).mean(1)
    entropy = -x * np.log(expit(y)) - (1 - x) * np.log(expit(-y))
    if likelihood == "bernoulli":
        return entropy.sum(1), ((expit(y) - x) ** 2).mean(1)
    expected = 1 / (1 - np.exp(-y)) - 1 / y
    return (entropy - np.log(y / np.tanh(y / 2))).sum(1), ((expected - x) ** 2).mean(1)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("batch", [BATCH, MASKED], ids=["whole", "masked"])
@pytest.mark.parametrize("likelihood", ["bernoulli", "continuous_bernoulli", "gaussian"])
def test_loss_and_mse_follow_from_the_outputs(likelihood, batch, train):
    task, params, extra, loss = started(likelihood)
    value, (after, metrics) = loss(params, extra, batch, KEY, train=train)
    y = MODEL.apply({"params": params}, batch["input"], train=False)
    rows = np.flatnonzero(np.asarray(batch.get("mask", np.ones(6))))
    nll, mse = (values[rows].mean() for values in by_numpy(likelihood, y, batch["input"]))
    assert float(value) == pytest.approx(nll, rel=1e-4)
    assert means(metrics) == pytest.approx({"loss": nll, "mse": mse}, rel=1e-4)
    assert {float(count) for _, count in metrics.values()} == {len(rows)}
    assert after == extra == {}


def add_noise(key, x):
    """Corrupts one image, without a batch axis."""
    assert x.shape == (3, 2, 1)
    return x + jax.random.normal(key, x.shape)


@pytest.mark.parametrize("train", [True, False])
def test_the_model_gets_corrupted_inputs_and_clean_targets(train):
    images = []

    def corrupt(key, x):
        y = add_noise(key, x)
        jax.debug.callback(
            lambda clean, noisy: images.append((np.array(clean), np.array(noisy))), x, y
        )
        return y

    task = reconstruct(MODEL, likelihood="gaussian", corrupt=corrupt)
    params, extra = task.init(KEY, BATCH)
    value, _ = scalar(task.loss)(params, extra, BATCH, KEY, train=train)
    jax.effects_barrier()
    clean, noisy = (np.stack(arrays) for arrays in zip(*images, strict=True))
    noise = (noisy - clean).reshape(6, -1)
    assert len({row.tobytes() for row in noise.round(4)}) == 6
    y = MODEL.apply({"params": params}, jnp.asarray(noisy), train=False)
    assert float(value) == pytest.approx(by_numpy("gaussian", y, clean)[0].mean(), rel=1e-5)


@pytest.mark.parametrize("train", [True, False])
def test_noise_follows_the_key(train):
    _, params, extra, loss = started("bernoulli", add_noise)
    values = [
        float(loss(params, extra, BATCH, jax.random.key(seed), train=train)[0])
        for seed in (0, 0, 1)
    ]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_reconstruction_encodes_and_decodes_without_corruption(likelihood):
    task, params, extra, _ = started(likelihood, add_noise)
    latents = task.encode(params, extra, BATCH["input"])
    reconstructions = task.reconstruct(params, extra, BATCH["input"])
    assert latents.shape == (6, 2)
    np.testing.assert_array_equal(reconstructions, task.decode(params, extra, latents))
    y = np.asarray(MODEL.apply({"params": params}, BATCH["input"], train=False))
    if likelihood == "bernoulli":
        y = expit(y)
    np.testing.assert_allclose(reconstructions, y, rtol=1e-5)


def test_statistics_of_both_parts_change_in_training_only():
    task = reconstruct(
        Autoencoder(MLP((4,), 2, norm="batch"), Reshaped(MLP((4,), 6, norm="batch"), (3, 2, 1)))
    )
    params, extra = task.init(KEY, BATCH)
    _, (trained, _) = scalar(task.loss)(params, extra, BATCH, KEY, train=True)
    _, (evaluated, _) = scalar(task.loss)(params, extra, BATCH, KEY, train=False)
    assert jaxdl.state_sha256(evaluated) == jaxdl.state_sha256(extra)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), trained, extra)
    assert all(jax.tree.leaves(changed)), changed


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: reconstruct(MODEL, likelihood="mse"),
            "likelihood: got 'mse', allowed: bernoulli, continuous_bernoulli, gaussian",
        ),
    ],
)
def test_bad_values_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line


def test_a_conditional_autoencoder_is_refused():
    with pytest.raises(InputError) as caught:
        reconstruct(Autoencoder(Conditional(MLP((), 2), 3), MLP((), 4)))
    assert str(caught.value).startswith(
        "model: got 'Conditional', allowed: an autoencoder without classes"
    )


def test_the_target_is_the_augmented_image_and_the_corruption_follows():
    """Evaluation has the unchanged image."""
    half = lambda key, x: x / 2  # noqa: E731
    for options in ({}, {"corrupt": add_noise}):
        plain = reconstruct(MODEL, **options)
        task = reconstruct(MODEL, augment=half, **options)
        params, extra = task.init(KEY, BATCH)
        for train, batch in ((True, {"input": BATCH["input"] / 2}), (False, BATCH)):
            value, (_, metrics) = task.loss(params, extra, BATCH, KEY, train=train)
            expected, (_, same) = plain.loss(params, extra, batch, KEY, train=train)
            assert (value, metrics) == (expected, same)


def test_each_image_is_augmented_with_its_key():
    noise = clipped(gaussian_noise(0.1))
    task = reconstruct(MODEL, augment=noise)
    params, extra = task.init(KEY, BATCH)
    keys = jax.random.split(jax.random.fold_in(KEY, 2), 6)
    changed = jax.vmap(noise)(keys, BATCH["input"])
    expected = reconstruct(MODEL).loss(params, extra, {"input": changed}, KEY, train=True)
    assert task.loss(params, extra, BATCH, KEY, train=True)[0] == expected[0]
