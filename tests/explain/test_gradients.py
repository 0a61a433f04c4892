"""Tests of gradients: closed forms, laws, and errors of one line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain, root
from jaxdl.errors import InputError
from jaxdl.explain.gradients import gradients_at
from jaxdl.models import MLP
from jaxdl.rng import fold, stream
from tests.explain.networks import MODEL, SHAPE, images, variables
from tests.models.random_variables import random_variables

IMAGES = images(5)
RANDOM = np.random.default_rng(8)
WEIGHTS = RANDOM.normal(size=(np.prod(SHAPE), 3)).astype(np.float32)


def linear(x):
    """Returns the scores of a linear network."""
    return x.reshape(x.shape[0], -1) @ WEIGHTS + jnp.array([[0.3, -0.2, 0.1]])


def quadratic(x):
    """Returns scores with the gradients 2 x, 4 x and 6 x."""
    return (x**2).sum((1, 2, 3))[:, None] * jnp.array([[1.0, 2.0, 3.0]])


F = explain.logits(MODEL, variables())


def test_the_gradient_of_a_linear_network_is_its_weights():
    target = np.array([0, 2, 1, 1, 0])
    maps = explain.gradient(linear, IMAGES, target, batch_size=2)
    np.testing.assert_allclose(maps, WEIGHTS.T[target].reshape(IMAGES.shape), rtol=1e-6)
    product = explain.gradient_times_input(linear, IMAGES, target)
    np.testing.assert_allclose(product, maps * IMAGES, rtol=1e-6)
    smooth = explain.smooth_gradient(linear, IMAGES, target, key=root(0), samples=20)
    np.testing.assert_allclose(smooth, maps, rtol=1e-5)


def test_the_gradient_is_that_of_finite_differences():
    maps = explain.gradient(quadratic, IMAGES, 2)
    np.testing.assert_allclose(maps, 6 * IMAGES, rtol=1e-6)
    direction = RANDOM.normal(size=IMAGES.shape).astype(np.float32)
    step = 1e-3
    scores = [np.asarray(F(IMAGES + sign * step * direction))[:, 1] for sign in (1, -1)]
    slope = (explain.gradient(F, IMAGES, 1) * direction).sum((1, 2, 3))
    np.testing.assert_allclose((scores[0] - scores[1]) / (2 * step), slope, rtol=0.05, atol=0.02)


def test_without_a_target_the_largest_score_is_explained():
    def f(x):
        return jnp.sin(linear(x))

    largest = np.asarray(f(IMAGES)).argmax(1)
    assert len(set(largest.tolist())) > 1
    expected = explain.gradient(f, IMAGES, largest)
    np.testing.assert_array_equal(explain.gradient(f, IMAGES), expected)
    options = {"key": root(1), "samples": 3}
    expected = explain.smooth_gradient(f, IMAGES, largest, **options)
    np.testing.assert_array_equal(explain.smooth_gradient(f, IMAGES, **options), expected)


def test_the_smooth_gradient_is_a_loop_over_noisy_copies():
    maps = explain.smooth_gradient(F, IMAGES, 1, key=root(3), samples=21, noise=0.2)
    gradient = jax.jit(jax.grad(lambda x: F(x[None])[0, 1]))
    for i, image in enumerate(IMAGES):
        key = fold(stream(root(3), "smooth"), i)
        copies = [image + 0.2 * jax.random.normal(fold(key, s), SHAPE) for s in range(21)]
        expected = np.mean([gradient(copy) for copy in copies], 0)
        np.testing.assert_allclose(maps[i], expected, rtol=1e-4, atol=1e-5)


def test_the_smooth_gradient_depends_on_its_key_and_image_only():
    options = {"key": root(3), "samples": 5}
    maps = explain.smooth_gradient(F, IMAGES, 1, **options)
    for batch_size in (2, 17):
        again = explain.smooth_gradient(F, IMAGES, 1, **options, batch_size=batch_size)
        np.testing.assert_allclose(again, maps, rtol=1e-4, atol=1e-5)
    other = IMAGES[::-1].copy()
    other[1] = IMAGES[1]
    again = explain.smooth_gradient(F, other, 1, **options)
    np.testing.assert_allclose(again[1], maps[1], rtol=1e-4, atol=1e-5)
    assert not np.allclose(explain.smooth_gradient(F, IMAGES, 1, key=root(4), samples=5), maps)


def test_gradients_at_several_points_are_those_at_each():
    points = RANDOM.random((2, 3, *SHAPE), np.float32)
    found = jax.jit(gradients_at)(F, points, jnp.array([2, 0]))
    for i, target in enumerate((2, 0)):
        expected = explain.gradient(F, points[i], target)
        np.testing.assert_allclose(found[i], expected, rtol=1e-4, atol=1e-5)


def test_a_gradient_of_zero_is_the_map_of_one_image_and_an_error_of_all():
    def rectified(x):
        return jax.nn.relu(x.mean((1, 2)) - 0.5)

    dark = np.full((1, 4, 4, 2), 0.2, np.float32)
    light = np.full((1, 4, 4, 2), 0.8, np.float32)
    for method in (explain.gradient, explain.gradient_times_input, explain.integrated_gradients):
        found = method(rectified, np.concatenate([dark, light]), 0)
        maps = getattr(found, "maps", found)
        assert not maps[0].any() and maps[1].any()
        with pytest.raises(InputError, match="^scores: got 'a gradient of zero .* logits in place"):
            method(rectified, dark, 0)
    with pytest.raises(InputError, match="or explain.occlusion"):
        explain.smooth_gradient(rectified, dark, 0, key=root(0), noise=0.0)


def test_probabilities_of_a_saturated_network_and_labels_are_refused():
    def labels(x):
        return jax.nn.one_hot(quadratic(x).argmax(1), 3)

    def probabilities(x):
        return jax.nn.sigmoid(1e4 * quadratic(x))

    methods = (explain.gradient, explain.gradient, explain.integrated_gradients)
    for method, f in zip(methods, (probabilities, labels, labels), strict=True):
        with pytest.raises(InputError, match="^scores: got 'a gradient of zero") as raised:
            method(f, IMAGES)
        assert "\n" not in str(raised.value)


def test_a_black_image_has_a_product_of_zero_and_no_error():
    black = np.zeros((1, *SHAPE), np.float32)
    assert not explain.gradient_times_input(linear, black, 0).any()


def test_a_network_with_one_logit_has_two_classes():
    model = MLP((6,), 1)
    f = explain.logits(model, random_variables(model, IMAGES))
    maps = explain.gradient(f, IMAGES, 1)
    assert maps.any()
    with pytest.raises(InputError, match="a gradient of zero"):
        explain.gradient(f, IMAGES, 0)


BAD = {
    "a class": ((linear, IMAGES, 3), r"^target: got 3, allowed: a class in \[0, 3\), or None"),
    "a negative class": ((linear, IMAGES, -1), r"^target: got -1, allowed: a class in \[0, 3\)"),
    "a name": ((linear, IMAGES, "cat"), "^target: got 'cat', allowed: a class in"),
    "targets": ((linear, IMAGES, [0, 1]), r"^target: got 'an array \[2\]', allowed: one class"),
    "a range": ((linear, 255 * IMAGES, 0), "^images: got pixels in .*write images / np.float32"),
    "NaN": ((linear, np.nan * IMAGES, 0), r"^images: got pixels in \[nan, nan\], allowed: pixels"),
    "one image": ((linear, IMAGES[0], 0), "^images: got .*write image.None. for one"),
    "bytes": ((linear, (255 * IMAGES).astype(np.uint8), 0), "^images: got 'uint8', allowed: float"),
    "maps": ((lambda x: x, IMAGES, 0), r"^scores: got \[B, 20, 17, 2\], allowed: outputs \[B, K\]"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize(
    "method",
    [
        explain.gradient,
        explain.gradient_times_input,
        lambda *given: explain.smooth_gradient(*given, key=root(0)),
        explain.integrated_gradients,
        explain.occlusion,
        lambda f, x, target: explain.ablation(f, x, np.zeros(SHAPE[:2], int), target),
    ],
)
def test_bad_inputs_are_one_line(method, case):
    given, message = BAD[case]
    with pytest.raises(InputError, match=message) as raised:
        method(*given)
    assert "\n" not in str(raised.value)


def test_weights_that_are_not_finite_are_one_line():
    def broken(x):
        return linear(x) * jnp.nan

    with pytest.raises(InputError, match="^scores: got 'NaN or infinity in the gradient of image"):
        explain.gradient(broken, IMAGES, 0)
    with pytest.raises(InputError, match="^scores: got 'NaN or infinity in the gradient of image"):
        explain.integrated_gradients(broken, IMAGES, 0, steps=2)
    with pytest.raises(InputError, match="^scores: got 'NaN or infinity for image 0"):
        explain.occlusion(broken, IMAGES, 0, window=8, stride=8)


def test_bad_options_are_one_line():
    with pytest.raises(InputError, match="^batch_size: got 0"):
        explain.gradient(linear, IMAGES, 0, batch_size=0)
    with pytest.raises(InputError, match="^samples: got 0"):
        explain.smooth_gradient(linear, IMAGES, 0, key=root(0), samples=0)
    with pytest.raises(InputError, match="^noise: got -0.1"):
        explain.smooth_gradient(linear, IMAGES, 0, key=root(0), noise=-0.1)
    with pytest.raises(InputError, match="^key: got 0"):
        explain.smooth_gradient(linear, IMAGES, 0, key=0)
    with pytest.raises(InputError, match="^gradient: got 'a call inside of jax.jit'"):
        jax.jit(lambda x: explain.gradient(linear, x, 0))(IMAGES)


@pytest.mark.parametrize("transform", [jax.jit, jax.vmap, jax.grad])
@pytest.mark.parametrize(
    "method",
    [
        lambda x: explain.gradient_times_input(lambda x: x.mean((1, 2)), x),
        lambda x: explain.occlusion(lambda x: x.mean((1, 2)), x),
        explain.sobel,
        lambda x: explain.random_order(x, root(0)),
        explain.superpixels,
        lambda x: explain.baselines("mean", x),
    ],
)
def test_calls_inside_of_a_transformation_are_one_line(transform, method):
    x = np.full((2, 3, 8, 8, 1), 0.5, np.float32)
    if transform is not jax.vmap:
        x = x[0]
    with pytest.raises(
        InputError, match=r"got '(a call|an array) inside of jax\.jit.*outside of it"
    ):
        transform(method)(x)


def test_class_0_of_a_single_logit_is_constant():
    model = MLP((4,), outputs=1)
    x = images(2)
    f = explain.logits(model, random_variables(model, x))
    with pytest.raises(InputError, match="target=1 for a single logit"):
        explain.gradient(f, x, 0)
    assert explain.gradient(f, x, 1).any()
