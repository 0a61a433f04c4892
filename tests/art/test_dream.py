"""Tests of deep dream: PyTorch, a NumPy loop, ascents, identities, keys and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdl import art, root
from jaxdl.art import Dream
from jaxdl.art.dream import _compiled_step
from jaxdl.errors import InputError
from jaxdl.explain.parametrization import COLORS
from tests.art.networks import image, maps, twin, variables

WEIGHTS = {"conv_1": 0.7, "activation_2": 1.9}
FAST = Dream(WEIGHTS, octaves=2, ratio=1.5, steps=6, shift=3, scales=3)
SHAPE = (24, 21, 3)


@pytest.mark.parametrize("units", [None, (5, 0)])
def test_objective_and_gradient_are_those_of_pytorch(units):
    torch = pytest.importorskip("torch")
    options = Dream(WEIGHTS, units)
    x = image((1, *SHAPE))
    value, gradient = jax.value_and_grad(lambda x: art.objective(maps(), x, options)[0])(x)
    given = torch.tensor(x.transpose(0, 3, 1, 2).astype(np.float64), requires_grad=True)
    expected = 0
    for name, h in twin(given).items():
        chosen = h**2 if units is None else h[:, list(units)]
        expected = expected + WEIGHTS[name] * chosen.mean()
    expected.backward()
    own = given.grad.numpy().transpose(0, 2, 3, 1)
    assert float(value) == pytest.approx(expected.item(), rel=1e-5)
    np.testing.assert_allclose(gradient, own, atol=1e-4 * np.abs(own).max())
    product = (np.asarray(gradient, np.float64) * own).sum()
    cosine = product / np.linalg.norm(own) / np.linalg.norm(np.asarray(gradient, np.float64))
    assert cosine > 1 - 1e-8


def test_a_plain_dream_is_a_loop_of_normalized_steps():
    """One octave without shifts and smoothing, against NumPy."""
    options = Dream(
        WEIGHTS, octaves=1, steps=4, step_size=0.03, shift=0, scales=0, decorrelate=False
    )
    x = image(SHAPE)
    dreamed = art.dream(maps(), x, root(0), options)
    gradient = jax.jit(jax.value_and_grad(lambda x: art.objective(maps(), x[None], options)[0]))
    for i in range(4):
        value, g = gradient(jnp.asarray(x))
        assert dreamed.objective[0, i] == pytest.approx(float(value), rel=1e-4)
        g = np.asarray(g, np.float64)
        x = np.clip(x + 0.03 * g / np.sqrt((g**2).mean()), 0, 1).astype(np.float32)
        np.testing.assert_allclose(dreamed.frames[0][i], 255 * x, atol=0.51)
    np.testing.assert_allclose(dreamed.image, x, atol=1e-5)


@pytest.mark.parametrize("scales", [0, 3])
def test_the_objective_rises_in_each_octave(scales):
    options = Dream(WEIGHTS, None, 3, steps=6, step_size=0.01, shift=2, scales=scales)
    dreamed = art.dream(maps(), image(SHAPE), root(0), options)
    assert (dreamed.after > 1.03 * dreamed.before).all()
    assert dreamed.objective.shape == (3, 6)
    assert (dreamed.objective.max(1) > dreamed.objective[:, 0]).all()
    assert dreamed.image.min() >= 0 and dreamed.image.max() <= 1
    value = art.objective(maps(), dreamed.image[None], options)[0]
    assert dreamed.after[-1] == pytest.approx(float(value), rel=1e-5)
    for frames, size in zip(dreamed.frames, art.octave_sizes(SHAPE, 3, 1.4), strict=True):
        assert frames.shape == (6, *size, 3) and frames.dtype == np.uint8
    np.testing.assert_array_equal(dreamed.frames[-1][-1], np.round(255 * dreamed.image))


def test_without_steps_the_image_has_the_same_bits():
    x = image(SHAPE)
    dreamed = art.dream(maps(), x, root(0), Dream(WEIGHTS, octaves=3, steps=0))
    np.testing.assert_array_equal(dreamed.image.view(np.int32), x.view(np.int32))
    assert dreamed.objective.shape == (3, 0)
    np.testing.assert_array_equal(dreamed.before, dreamed.after)


def test_the_next_octave_starts_from_the_enlarged_change():
    small, large = art.split(image(SHAPE), 2, 1.5)
    options = Dream(octaves=1, steps=6, shift=1)
    first = art.dream(maps(), small, root(0), options).image
    both = art.dream(maps(), image(SHAPE), root(0), Dream(octaves=2, ratio=1.5, steps=6, shift=1))
    np.testing.assert_allclose(both.frames[0][-1], 255 * first, atol=0.51)
    start = np.clip(art.join(large, first - small), 0, 1)
    value = art.objective(maps(), start[None], options)[0]
    assert both.before[1] == pytest.approx(float(value), rel=1e-4)


def test_dreams_depend_on_the_key_only():
    dreams = [art.dream(maps(), image(SHAPE), root(seed), FAST).image for seed in (0, 0, 1)]
    np.testing.assert_array_equal(dreams[0], dreams[1])
    assert np.abs(dreams[0] - dreams[2]).max() > 0.02


def test_other_images_keys_and_weights_need_no_compilation():
    _compiled_step().clear_cache()
    art.dream(maps(), image(SHAPE), root(0), FAST)
    assert _compiled_step()._cache_size() == FAST.octaves
    other = jax.tree.map(lambda x: 2 * x, variables())
    art.dream(Partial(maps().func, other), image(SHAPE, 1), root(1), FAST)
    assert _compiled_step()._cache_size() == FAST.octaves


@pytest.mark.parametrize("shape", [(17, 13, 3), (3, 2, 1)])
def test_the_direction_ascends(shape):
    gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for scales in range(5):
        d = np.asarray(art.direction(jnp.asarray(gradient), scales))
        assert (d * gradient).sum() > 0
    plain = art.direction(jnp.asarray(gradient), 0, decorrelate=False)
    np.testing.assert_array_equal(plain, gradient)
    one = np.asarray(art.direction(jnp.asarray(gradient), 1, decorrelate=False))
    np.testing.assert_allclose(one, gradient / np.sqrt((gradient**2).mean()), rtol=1e-5)


def test_the_direction_of_two_bands_against_loops():
    g = np.random.default_rng(1).normal(size=(6, 5, 2))
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    smooth = np.zeros_like(g)
    for i in range(6):
        for j in range(5):
            for a in range(-2, 3):
                for b in range(-2, 3):
                    # Mirrored at the border, which is repeated.
                    row = min(max(i + a, -1 - (i + a)), 11 - (i + a))
                    column = min(max(j + b, -1 - (j + b)), 9 - (j + b))
                    smooth[i, j] += kernel[a + 2] * kernel[b + 2] * g[row, column]
    fine, coarse = (band / np.sqrt((band**2).mean()) for band in (g - smooth, smooth))
    expected = fine + 2.5 * coarse
    d = art.direction(jnp.asarray(g, jnp.float32), 2, coarse=2.5)
    np.testing.assert_allclose(d, expected, atol=1e-5)


def test_colors_change_as_in_photographs():
    """A gradient of one color moves all channels by the covariance of photographs."""
    g = np.zeros((4, 4, 3), np.float32)
    g[..., 0] = np.random.default_rng(0).normal(size=(4, 4))
    d = np.asarray(art.direction(jnp.asarray(g), 0))
    scale = np.linalg.norm(COLORS, axis=0).max() ** 2
    covariance = COLORS @ COLORS.T / scale
    np.testing.assert_allclose(d, g[..., :1] * covariance[:, 0], atol=1e-6)
    assert covariance[1, 0] > 0.5 * covariance[0, 0]


def test_tiny_gradients_do_not_vanish():
    x = image(SHAPE)
    options = Dream(octaves=1, steps=3, shift=0)
    small = art.dream(Partial(lambda x: {"a": 1e-9 * x}), x, root(0), options)
    large = art.dream(Partial(lambda x: {"a": x}), x, root(0), options)
    np.testing.assert_allclose(small.image, large.image, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            Dream(["conv_9"]),
            "layers: got 'conv_9', allowed: activation_2, conv_1 (did you mean 'conv_1'?)",
        ),
        (Dream(units=(7,)), "units: got 7, allowed: at most 6; activation_2 has 7 units"),
        (
            Dream(octaves=9),
            "octaves: got 9, allowed: at most 6; the smallest octave would have 2 × 1 pixels, "
            "and activation_2 has a stride of 4",
        ),
    ],
)
def test_options_that_do_not_fit_the_network(options, message):
    with pytest.raises(InputError) as raised:
        art.dream(maps(), image(SHAPE), root(0), options)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("f", "x", "message"),
    [
        (
            maps,
            image((3, 20, 3)),
            "image: got (3, 20), allowed: larger; the output of stage 1 would be empty: "
            "(W - F + 2P)/S + 1 < 1",
        ),
        (
            lambda: lambda x: {"a": x, "b": x[:, ::4, ::4]},
            image((3, 20, 3)),
            "image: got 3 × 20 pixels, allowed: at least 4 × 4 pixels, the stride of b",
        ),
        (
            maps,
            image((20, 20, 1)),
            "shape: got (20, 20, 1), allowed: that of an input of the network, which has weights "
            "for other sizes or channels",
        ),
        (
            lambda: lambda x: x,
            image(SHAPE),
            "f: got 'a function that returns ShapeDtypeStruct', allowed: a function of images that "
            "returns {name: maps}, such as explain.activations(...)",
        ),
        (
            lambda: lambda x: {"a": jnp.zeros_like(x)},
            image(SHAPE),
            "layers: got 'a gradient of zero in every step', allowed: layers that this image "
            "excites, such as those before an activation function",
        ),
        (
            lambda: lambda x: {"a": x * jnp.nan},
            image(SHAPE),
            "layers: got 'NaN or infinity in the gradient', allowed: finite weights, and a "
            "function that is differentiable for this image",
        ),
        (
            lambda: lambda x: {"a": x[:, 40:]},
            image(SHAPE),
            "image: got 24 × 21 pixels, allowed: a larger image; a has no position for this one",
        ),
    ],
)
def test_images_and_functions_that_do_not_fit(f, x, message):
    with pytest.raises(InputError) as raised:
        art.dream(f(), x, root(0), Dream(octaves=1, steps=2, shift=1))
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"octaves": 0}, "octaves: got 0, allowed: at least 1"),
        ({"steps": -1}, "steps: got -1, allowed: at least 0"),
        ({"step_size": -0.1}, "step_size: got -0.1, allowed: a number in [0, inf)"),
        ({"shift": 1.5}, "shift: got 1.5, allowed: an integer, at least 0"),
        ({"scales": 17}, "scales: got 17, allowed: a number in [0, 16)"),
        ({"coarse": 0.0}, "coarse: got 0.0, allowed: a number above 0, such as 0.8"),
        ({"decorrelate": 1}, "decorrelate: got 1, allowed: True or False"),
        ({"units": ()}, "units: got [], allowed: at least one unit, such as (0,), or None for all"),
        (
            {"layers": "conv_1"},
            "layers: got 'conv_1', allowed: names of layers, or {name: weight}, such as "
            "{'conv_3': 1.0}",
        ),
        (
            {"layers": {"a": float("nan")}},
            "weight: got nan, allowed: a number in [-1000000.0, 1000000.0)",
        ),
        (
            {"layers": {"a": 0.0}},
            "layers: got {'a': 0.0}, allowed: at least one weight other than 0",
        ),
        (
            {"layers": ("a", "a")},
            "layers: got ('a', 'a'), allowed: each layer once, such as {'conv_3': 2.0}",
        ),
    ],
)
def test_bad_options(changes, message):
    with pytest.raises(InputError) as raised:
        Dream(**changes)
    assert str(raised.value) == message


def test_a_layer_without_positions_has_one_octave():
    def f(x):
        return {"dense": x.reshape(len(x), -1) @ jnp.ones((48, 2))}

    pixels = np.random.default_rng(0).random((4, 4, 3), np.float32)
    assert art.dream(f, pixels, root(0), Dream(octaves=1, steps=1)).image.shape == (4, 4, 3)
    with pytest.raises(InputError, match=r"octaves: got 2, allowed: 1; dense has no positions"):
        art.dream(f, pixels, root(0), Dream(octaves=2, steps=1))


def test_the_objective_refuses_unknown_layers_and_units():
    x = np.random.default_rng(0).random((1, 4, 4, 3), np.float32)
    for options, message in (
        (Dream({"b": 1.0}), "layers: got 'b', allowed: a"),
        (Dream(units=(3,)), "units: got 3, allowed: at most 2; a has 3 units"),
    ):
        with pytest.raises(InputError, match=message):
            art.objective(lambda x: {"a": x}, x, options)
    with pytest.raises(InputError, match="f: got .*, allowed: a function of images that returns"):
        art.objective(lambda x: x, x)


def test_a_dream_inside_of_a_compiled_function_is_refused():
    with pytest.raises(InputError, match=r"^dream: got 'a call inside of jax.jit'"):
        jax.jit(lambda x: art.dream(maps(), x, root(0)).image)(image(SHAPE))
