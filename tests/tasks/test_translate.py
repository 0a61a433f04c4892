"""Image to image from pairs: losses against their formulas, bad inputs."""

import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.data import Dataset
from jaxdl.errors import InputError
from jaxdl.metrics import mean
from jaxdl.models import MLP, Reshaped, UNet, patch_discriminator
from jaxdl.tasks import translate

KEY = jaxdl.root(4)
RNG = np.random.default_rng(1)
NET = UNet((3, 4), 1)
PATCHES = patch_discriminator((3,))
X = RNG.random((6, 8, 8, 1)).astype(np.float32)
T = RNG.random((6, 8, 8, 1)).astype(np.float32)
MASK = np.array([1, 1, 0, 1, 0, 1], np.float32)
ROWS = np.flatnonzero(MASK)
SGD = optax.sgd(0.05)


def apply(model, params, x):
    return np.asarray(model.apply({"params": params}, x, train=False), np.float64)


def per_image(x):
    return x.reshape(len(x), -1).mean(1)


def means(metrics):
    return {name: float(mean(pair)) for name, pair in metrics.items()}


@pytest.mark.parametrize("train", [True, False])
def test_losses_of_pairs_follow_from_the_networks(train):
    task = translate(NET, PATCHES, loss="least_squares", l1=3.0)
    batch = {"input": X, "target": T, "mask": MASK}
    params, extra = task.init(KEY, batch)
    y = apply(NET, params["generator"], X)
    real, fake = (
        apply(PATCHES, params["discriminator"], np.concatenate([X, image], -1).astype(np.float32))
        for image in (T, y)
    )
    l1 = per_image(abs(T - y))
    expected = {
        "generator_loss": (per_image((fake - 1) ** 2) + 3 * l1)[ROWS].mean(),
        "l1": l1[ROWS].mean(),
        "discriminator_loss": ((per_image((real - 1) ** 2) + per_image(fake**2)) / 2)[ROWS].mean(),
        "score_real": per_image(real)[ROWS].mean(),
        "score_fake": per_image(fake)[ROWS].mean(),
    }
    found = {}
    for loss in (task.generator_loss, task.discriminator_loss):
        _, (_, metrics) = loss(params, extra, batch, KEY, train=train)
        found |= means(metrics)
    assert found == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(task.predict(params, extra, X), y, rtol=1e-5)


def test_without_a_discriminator_the_error_is_the_loss():
    task = translate(NET, l1=2.0)
    batch = {"input": X, "target": T}
    params, extra = task.init(KEY, batch)
    assert set(params) == {"generator"}
    (value, count), _ = task.generator_loss(params, extra, batch, KEY, train=True)
    error = abs(T - apply(NET, params["generator"], X)).mean()
    assert float(value / count) == pytest.approx(2 * error, rel=1e-4)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
    data = Dataset({"input": X, "target": 1 - X}, "negatives")
    state = jaxdl.train(net, data, key=KEY, steps=150, batch_size=4)
    assert float(jaxdl.evaluate(net, state, data)["l1"]) < error / 3


FLAT = Reshaped(MLP((4,), 32), (8, 4, 1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: translate(NET, l1=0.0), "l1: got 0.0, allowed: a number above 0, without a disc"),
        (lambda: translate(NET, l1=-1.0), "l1: got -1.0, allowed: "),
        (lambda: translate(NET, PATCHES, loss="l2"), "loss: got 'l2', allowed: hinge, least_"),
        (lambda: translate(UNet), "generator: got 'the class UNet', allowed: a module"),
        (lambda: translate(NET).updates(SGD, SGD), "optimizers: got 2, allowed: 1, one for each"),
        (
            lambda: translate(FLAT).init(KEY, {"input": X, "target": T}),
            "generator: got [6, 8, 4, 1], allowed: the shape of the targets, [6, 8, 8, 1]",
        ),
        (
            lambda: translate(NET, PATCHES).init(KEY, {"input": X, "target": T[:, :4]}),
            "target: got [4, 8], allowed: images as large as the input, [8, 8]",
        ),
        (lambda: translate(NET).init(KEY, {"input": X}), "fields: got ['input'], allowed: also 't"),
    ],
)
def test_options_out_of_range(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("target", [T[..., [0, 0, 0]], T[:1], T[:, :, :1]])
def test_targets_of_another_shape_are_refused_after_the_first_batch(target):
    task = translate(NET, l1=1.0)
    params, extra = task.init(KEY, {"input": X, "target": T})
    with pytest.raises(InputError, match="generator: got .*, allowed: the shape of the targets"):
        task.generator_loss(params, extra, {"input": X, "target": target}, KEY, train=True)
