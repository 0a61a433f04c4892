"""Autoregressive models of images: exact likelihoods, and samples against full passes."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.metrics import means
from jaxdl.models import PixelCNN
from jaxdl.tasks import autoregressive, sample_token
from tests.models.pixel_nets import IMAGES, LABEL, NETWORKS, SIZE, network

KEY = jax.random.key(3)
each_network = pytest.mark.parametrize("name", NETWORKS)


@functools.cache
def started(name="gated", size=SIZE, **changes):
    """Returns the task, parameters and collections of a tiny network with random weights."""
    model, variables = network(name, size, **changes)
    return autoregressive(model), variables["params"], {}


@each_network
def test_the_probabilities_of_all_images_sum_to_one(name):
    task, params, extra = started(name, (3, 3), levels=2, classes=None)
    images = np.array(list(itertools.product([0.0, 1.0], repeat=9)), np.float32)
    nats = jax.jit(task.nll)(params, extra, images.reshape(512, 3, 3, 1))
    assert np.exp(-np.float64(nats)).sum() == pytest.approx(1, abs=1e-5)
    assert np.std(nats) > 0.1


def test_nats_are_sums_of_the_logarithms_of_predictions():
    task, params, extra = started()
    p = np.asarray(task.predict(params, extra, IMAGES, LABEL), np.float64)
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)
    expected = np.zeros(2)
    for b, i, j in np.ndindex(2, *SIZE):
        expected[b] -= math.log(p[b, i, j, round(2 * IMAGES[b, i, j, 0])])
    np.testing.assert_allclose(task.nll(params, extra, IMAGES, LABEL), expected, rtol=1e-5)
    batch = {"input": IMAGES, "label": LABEL, "mask": np.array([1.0, 0.0], np.float32)}
    value, (_, metrics) = task.loss(params, extra, batch, KEY, train=True)
    found = means(metrics)
    assert found["nats"] == pytest.approx(expected[0], rel=1e-5)
    assert found["loss"] == pytest.approx(expected[0] / 30, rel=1e-5)
    assert found["bits"] == pytest.approx(expected[0] / 30 / math.log(2), rel=1e-5)
    assert float(value[0] / value[1]) == pytest.approx(found["loss"], rel=1e-6)


def by_full_passes(task, params, extra, n, label, prompt=None):
    """Returns images whose pixels are sampled one by one, each after a pass over whole images."""
    images = np.zeros((n, *SIZE, 1), np.float32)
    given = 0 if prompt is None else prompt.shape[1]
    predict = jax.jit(task.predict)
    for k, (i, j) in enumerate(np.ndindex(*SIZE)):
        if k < given:
            images[:, i, j, 0] = prompt[:, k]
            continue
        logits = jnp.log(predict(params, extra, images, label)[:, i, j])
        for row in range(n):
            key = jax.random.fold_in(jax.random.fold_in(KEY, k), row)
            images[row, i, j, 0] = sample_token(logits[row], key) / 2
    return images


@each_network
def test_cached_samples_are_those_of_full_passes(name):
    task, params, extra = started(name)
    expected = by_full_passes(task, params, extra, 2, LABEL)
    np.testing.assert_array_equal(task.sample(params, extra, KEY, 2, LABEL), expected)
    assert len(np.unique(expected)) == 3


def test_a_prompt_is_completed():
    task, params, extra = started()
    prompt = IMAGES.reshape(2, -1)[:, :14]
    expected = by_full_passes(task, params, extra, 2, LABEL, prompt)
    found = np.asarray(task.sample(params, extra, KEY, 2, LABEL, prompt=prompt))
    np.testing.assert_array_equal(found, expected)
    whole = task.sample(params, extra, KEY, 2, LABEL, prompt=IMAGES.reshape(2, -1))
    np.testing.assert_array_equal(whole, IMAGES)


@pytest.mark.parametrize("name", ["gated", "row", "diagonal"])
def test_samples_with_float64_enabled_are_the_same(name):
    task, params, extra = started(name)
    prompt = IMAGES.reshape(2, -1)[:, :14]
    expected = task.sample(params, extra, KEY, 2, LABEL, prompt=prompt)
    with jax.enable_x64(True):
        model = task.arguments["model"]
        sample = autoregressive(model).sample
        found = sample(params, extra, KEY, 2, LABEL, prompt=np.float64(prompt))
        shapes = jax.eval_shape(lambda: model.init(KEY, IMAGES, train=False, label=LABEL))
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {np.dtype(np.float32)}
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, expected)


def test_temperature_zero_selects_the_most_likely_levels():
    task, params, extra = started()
    images = task.sample(params, extra, KEY, 2, LABEL, temperature=0.0)
    p = task.predict(params, extra, images, LABEL)
    np.testing.assert_array_equal(images[..., 0], np.asarray(p).argmax(-1) / 2)


def test_independent_pixels_are_learned_to_their_entropy():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, (4, 4, 1))
    images = (rng.uniform(size=(4000, 4, 4, 1)) < p).astype(np.float32)
    entropy = -(p * np.log(p) + (1 - p) * np.log(1 - p)).sum()
    task = autoregressive(PixelCNN((4, 4), features=8, layers=1, first_size=3))
    net = jaxdl.learner(task.init, *task.updates(jaxdl.optimizers.optimizer("adam", 0.02)))
    data = jaxdl.data.Dataset({"input": images}, "noise")
    state = jaxdl.train(net, data, key=jaxdl.root(0), steps=150, batch_size=200)
    assert jaxdl.evaluate(net, state, data)["nats"] == pytest.approx(entropy, abs=0.25)


@pytest.mark.parametrize(
    ("value", "binarize", "levels", "expected"),
    [(0.4, None, 3, 0.5), (0.6, 0.5, 2, 1.0), (1.2, None, 3, None), (-0.1, "dynamic", 2, None)],
)
def test_grey_values_become_levels(value, binarize, levels, expected):
    model, variables = network("plain", levels=levels)
    task = autoregressive(model, binarize=binarize)
    images = np.full((2, *SIZE, 1), value, np.float32)
    batch = {"input": images, "label": LABEL}
    nats, _ = task.loss(variables["params"], {}, batch, KEY, train=False)[0]
    if expected is None:
        assert np.isnan(nats)
        return
    batch["input"] = np.full_like(images, expected)
    np.testing.assert_allclose(
        nats, task.loss(variables["params"], {}, batch, KEY, train=False)[0][0], rtol=1e-6
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"prompt": np.zeros((2, 31), np.float32)}, "pixels of the prompt: got 31, allowed: at m"),
        ({"prompt": np.full((2, 3), 2.0, np.float32)}, "prompt: got 2.0, allowed: grey values in"),
        ({"prompt": np.zeros((1, 3), np.float32)}, "prompt: got 'float32"),
        ({"label": None}, "label: got None"),
        ({"n": 0}, "n: got 0"),
        ({"temperature": -1.0}, "temperature: got -1.0"),
    ],
)
def test_bad_samples_are_refused_in_one_line(arguments, error):
    task, params, extra = started()
    with pytest.raises(InputError, match=error):
        task.sample(params, extra, KEY, **{"n": 2, "label": LABEL, **arguments})


def test_bad_tasks_are_refused_in_one_line():
    with pytest.raises(InputError, match="model: got"):
        autoregressive(jaxdl.models.MLP((4,)))
    with pytest.raises(InputError, match=r"binarize: got 0.5, allowed: None, for 4 levels"):
        autoregressive(PixelCNN((4, 4), levels=4), binarize=0.5)


def test_a_threshold_holds_for_likelihoods_and_predictions():
    model, variables = network("gated", levels=2)
    task = autoregressive(model, binarize=0.3)
    grey = np.full((1, *SIZE, 1), 0.4, np.float32)
    batch = {"input": grey, "label": LABEL[:1]}
    _, (_, metrics) = task.loss(variables["params"], {}, batch, KEY, train=False)
    nats = task.nll(variables["params"], {}, grey, LABEL[:1])
    white = task.nll(variables["params"], {}, np.ones_like(grey), LABEL[:1])
    assert float(nats[0]) == pytest.approx(means(metrics)["nats"], rel=1e-6)
    assert float(nats[0]) == float(white[0])
    p = task.predict(variables["params"], {}, grey, LABEL[:1])
    q = task.predict(variables["params"], {}, np.ones_like(grey), LABEL[:1])
    np.testing.assert_array_equal(p, q)
    prompt = grey.reshape(1, -1)[:, :3]
    made = task.sample(variables["params"], {}, KEY, 1, LABEL[:1], prompt=prompt)
    assert np.asarray(made).reshape(1, -1)[0, :3].tolist() == [1, 1, 1]
