"""Tests of integrated gradients: laws, completeness, doubling, and memory."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.explain.integrated import _error, add_steps, nodes_and_weights
from tests.explain.networks import MODEL, SHAPE, images, variables

IMAGES = images(6)
BASELINE = images(6, seed=1)
RANDOM = np.random.default_rng(9)
WEIGHTS = RANDOM.normal(size=(np.prod(SHAPE), 3)).astype(np.float32)
HIDDEN = RANDOM.normal(size=(3, 4)).astype(np.float32)
F = explain.logits(MODEL, variables())


def linear(x):
    """Returns the scores of a linear network."""
    return x.reshape(x.shape[0], -1) @ WEIGHTS


def smooth(x):
    """Returns the scores of a network without kinks."""
    return jnp.tanh(0.1 * linear(x)) @ HIDDEN


def sums(maps):
    return maps.astype(np.float64).sum((1, 2, 3))


@pytest.mark.parametrize("steps", [1, 2, 16, 17, 100])
def test_a_linear_network_has_weights_times_difference(steps):
    target = np.array([0, 1, 2, 2, 1, 0])
    found = explain.integrated_gradients(linear, IMAGES, target, baseline=BASELINE, steps=steps)
    expected = WEIGHTS.T[target].reshape(IMAGES.shape) * (IMAGES - BASELINE)
    np.testing.assert_allclose(found.maps, expected, rtol=1e-5, atol=1e-6)
    assert (found.completeness_error < 1e-5).all() and found.is_complete.all()
    assert (found.steps == steps).all()


def test_the_map_is_the_sum_of_a_plain_loop():
    nodes, weights = np.polynomial.legendre.leggauss(21)
    gradient = jax.jit(jax.grad(lambda x: F(x)[:, 2].sum()))
    expected = np.zeros(IMAGES.shape)
    for node, weight in zip(nodes, weights, strict=True):
        point = BASELINE + np.float32(0.5 + 0.5 * node) * (IMAGES - BASELINE)
        expected += 0.5 * weight * np.asarray(gradient(point), np.float64)
    expected *= IMAGES - BASELINE
    for batch_size in (5, 500):
        found = explain.integrated_gradients(
            F, IMAGES, 2, baseline=BASELINE, steps=21, batch_size=batch_size
        )
        np.testing.assert_allclose(found.maps, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 7, 64, 300])
def test_nodes_and_weights_are_exact_for_polynomials(steps):
    nodes, weights = nodes_and_weights(steps)
    expected = np.polynomial.legendre.leggauss(steps)
    np.testing.assert_allclose(nodes, 0.5 + 0.5 * expected[0], atol=1e-12)
    np.testing.assert_allclose(weights, 0.5 * expected[1], atol=1e-12)
    for degree in {0, 1, steps, 2 * steps - 1}:
        np.testing.assert_allclose(weights @ nodes**degree, 1 / (degree + 1), rtol=1e-10)


@pytest.mark.parametrize("baseline", [0.0, 0.5, np.float64(1), np.array([0.2, 0.9]), BASELINE])
def test_the_sum_is_the_change_of_the_score(baseline):
    found = explain.integrated_gradients(smooth, IMAGES, baseline=baseline, steps=48)
    assert (found.completeness_error < 2e-4).all()
    whole = np.broadcast_to(np.asarray(baseline, np.float32), IMAGES.shape)
    scores = np.asarray(smooth(IMAGES))
    target = scores.argmax(1)
    rows = np.arange(6)
    change = scores[rows, target] - np.asarray(smooth(whole))[rows, target]
    np.testing.assert_allclose(sums(found.maps), change, rtol=1e-3, atol=1e-4)


def test_images_of_every_kind_of_baseline_are_baselines():
    from jaxdl.explain.baselines import KINDS
    from jaxdl.rng import root

    for kind in KINDS:
        baseline = explain.baselines(kind, IMAGES, root(0))
        found = explain.integrated_gradients(smooth, IMAGES, 0, baseline=baseline, steps=32)
        assert (found.completeness_error < 1e-3).all(), kind


def test_the_error_is_the_relative_difference():
    found = explain.integrated_gradients(F, IMAGES, 1, baseline=BASELINE, steps=3)
    change = np.asarray(F(IMAGES) - F(BASELINE), np.float64)[:, 1]
    expected = np.abs(sums(found.maps) - change) / np.abs(change)
    assert (expected > 1e-3).any()
    np.testing.assert_allclose(found.completeness_error, expected, rtol=1e-2, atol=1e-4)
    np.testing.assert_array_equal(found.is_complete, found.completeness_error <= 0.05)


def test_the_error_without_a_change_is_relative_to_the_size_of_the_terms():
    maps = np.zeros((3, 1, 2, 1), np.float32)
    maps[0, 0, :, 0] = (3.0, -1.0)
    maps[1, 0, :, 0] = (3.0, -3.1)
    before = np.array([1.0, 2.0, 0.0])
    after = np.array([2.0, 2.0, 0.0])
    found = _error(maps, before, after)
    np.testing.assert_allclose(found, [1.0, 0.1 / (1e-3 * 10.1), 0.0], rtol=1e-5)


def test_an_image_that_equals_its_baseline_is_complete():
    baseline = BASELINE.copy()
    baseline[2] = IMAGES[2]
    options = {"baseline": baseline, "tolerance": 1e-6, "steps": 2, "most_steps": 4}
    found = explain.integrated_gradients(F, IMAGES, 1, **options)
    assert not found.maps[2].any()
    assert found.completeness_error[2] == 0 and found.is_complete[2] and found.steps[2] == 2


def test_steps_double_for_images_that_are_not_complete():
    fixed = {
        steps: explain.integrated_gradients(F, IMAGES, 1, baseline=BASELINE, steps=steps)
        for steps in (4, 8, 16, 20)
    }
    tolerance = np.median(fixed[4].completeness_error)
    found = explain.integrated_gradients(
        F, IMAGES, 1, baseline=BASELINE, steps=4, tolerance=tolerance, most_steps=20
    )
    assert (found.steps == 4).sum() == 3 and (found.steps > 4).any()
    for i in range(len(IMAGES)):
        own = fixed[found.steps[i]]
        np.testing.assert_allclose(found.maps[i], own.maps[i], rtol=1e-4, atol=1e-6)
        assert found.is_complete[i] == (found.completeness_error[i] <= tolerance)
        assert found.is_complete[i] or found.steps[i] == 20
        for steps, each in fixed.items():
            assert steps >= found.steps[i] or each.completeness_error[i] > tolerance
    none = explain.integrated_gradients(
        F, IMAGES, 1, baseline=BASELINE, steps=4, tolerance=0, most_steps=20
    )
    assert (none.steps == 20).all() and not none.is_complete.any()


@pytest.mark.parametrize("baseline", [0.0, BASELINE])
def test_an_ignored_pixel_has_exactly_zero(baseline):
    mask = (RANDOM.random(SHAPE) < 0.7).astype(np.float32)[None]
    found = explain.integrated_gradients(lambda x: F(x * mask), IMAGES, 1, baseline=baseline)
    assert not found.maps[:, mask[0] == 0].any()
    assert found.maps[:, mask[0] == 1].any()


def test_a_pixel_that_equals_the_baseline_has_zero():
    found = explain.integrated_gradients(F, np.round(IMAGES), 1, steps=4)
    assert not found.maps[np.round(IMAGES) == 0].any()


def test_two_networks_with_one_function_have_one_map():
    """The second one has its units in another order, each twice with half of the weight."""

    def network(first, second):
        return lambda x: jax.nn.relu(x.reshape(x.shape[0], -1) @ first) @ second

    first = RANDOM.normal(size=(np.prod(SHAPE), 8)).astype(np.float32)
    second = RANDOM.normal(size=(8, 3)).astype(np.float32)
    order = RANDOM.permutation(8).repeat(2)
    maps = [
        explain.integrated_gradients(network(*weights), IMAGES, 2, baseline=0.5, steps=16).maps
        for weights in ((first, second), (2 * first[:, order], second[order] / 4))
    ]
    np.testing.assert_allclose(*maps, rtol=1e-4, atol=1e-4)


def test_maps_are_linear_in_the_network():
    options = {"target": 1, "baseline": BASELINE, "steps": 16}

    def maps(f):
        return explain.integrated_gradients(f, IMAGES, **options).maps

    def both(x):
        return 2.0 * F(x) - 3.0 * linear(x)

    np.testing.assert_allclose(maps(both), 2 * maps(F) - 3 * maps(linear), rtol=1e-4, atol=1e-4)


def test_symmetric_pixels_have_equal_values():
    """The network exchanges two pixels, which are equal in image and baseline."""
    symmetric = IMAGES.copy()
    symmetric[:, 0, 0] = symmetric[:, 5, 7]

    def f(x):
        swapped = x.at[:, 0, 0].set(x[:, 5, 7]).at[:, 5, 7].set(x[:, 0, 0])
        return F(x) + F(swapped)

    maps = explain.integrated_gradients(f, symmetric, 0, baseline=0.3, steps=16).maps
    np.testing.assert_allclose(maps[:, 0, 0], maps[:, 5, 7], rtol=1e-4, atol=1e-6)


def test_memory_and_programs_are_the_same_for_any_number_of_steps():
    conv = nn.Conv(3, (3, 3))
    weights = conv.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
    f = Partial(lambda weights, x: jnp.tanh(conv.apply(weights, x)).mean((1, 2)), weights)
    few = images(3, (8, 8, 1))
    sizes = []
    compiled = add_steps._cache_size()
    seen = []

    def traced(x):
        seen.append(x.shape)
        return f(x)

    for steps in (16, 64, 1024):
        explain.integrated_gradients(traced, few, 0, steps=steps)
    assert add_steps._cache_size() == compiled + 1
    assert max(shape[0] for shape in seen) <= 128
    total = (jnp.zeros((3, 8, 8, 1)), jnp.zeros(3, bool))
    target = np.zeros(3, np.int32)
    for points in (16, 32):
        part = np.zeros(points, np.float32)
        lowered = add_steps.lower(f, total, few, few, target, part, part)
        sizes.append(lowered.compile().memory_analysis().temp_size_in_bytes)
    # With more gradients at the same time the memory would be larger.
    assert 0 < sizes[0] < sizes[1]


def test_bad_baselines_are_one_line():
    def refused(baseline, message):
        with pytest.raises(InputError, match=message) as raised:
            explain.integrated_gradients(linear, IMAGES, 0, baseline=baseline)
        assert "\n" not in str(raised.value)

    refused(BASELINE[:2], r"^baseline: got \[2, 20, 17, 2\], allowed: a color, or an array")
    refused(np.zeros((20, 17)), r"^baseline: got \[20, 17\], allowed: a color, or an array")
    refused(255.0, r"^baseline: got 'pixels in \[255, 255\]', allowed: pixels in \[0, 1\]")
    refused(np.nan, r"^baseline: got 'pixels in \[nan, nan\]'")
    refused("black", r"^baseline: got 'black', allowed: .*explain.baselines")
    refused(True, "^baseline: got True, allowed: a color")
    refused(np.zeros((0, 20, 17, 2)), r"^baseline: got \[0, 20, 17, 2\], allowed: a color")


def test_bad_options_are_one_line():
    for options, message in (
        ({"steps": 0}, "^steps: got 0"),
        ({"tolerance": -1.0}, "^tolerance: got -1.0"),
        ({"tolerance": 1e-3, "most_steps": 32}, "^most_steps: got 32, allowed: at least 64"),
        ({"batch_size": 0}, "^batch_size: got 0"),
    ):
        with pytest.raises(InputError, match=message):
            explain.integrated_gradients(linear, IMAGES, 0, **options)
