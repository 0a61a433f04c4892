"""Tests of made images: closed forms of linear units, keys, dead units and errors."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain, root
from jaxdl.errors import InputError
from jaxdl.explain import Ascent
from tests.explain.networks import MODEL, SHAPE, images, layer, variables

PLAIN = Ascent("pixels", shift=0, scale=0, rotation=0, learning_rate=0.2, steps=100)
WARPED = Ascent(steps=12, shift=1)


def test_a_linear_unit_gets_its_exact_optimum():
    """The largest w x + b over [0, 1] is that of x = 1 where w > 0, else 0."""
    f = layer("conv_0")
    units = np.arange(5)
    made = explain.maximize(f, units, root(0), SHAPE, PLAIN)
    kernel = np.asarray(variables()["params"]["conv_0"]["kernel"], np.float64)
    bias = np.asarray(variables()["params"]["conv_0"]["bias"])
    optimum = np.maximum(kernel, 0).sum((0, 1, 2)) + bias
    np.testing.assert_allclose(made.activation, optimum, rtol=1e-5)
    rows = SHAPE[0] // 2
    columns = SHAPE[1] // 2
    patches = made.images[:, rows - 1 : rows + 2, columns - 1 : columns + 2]
    np.testing.assert_array_equal(patches, np.moveaxis(kernel > 0, -1, 0))
    assert made.is_live.all()


@pytest.mark.parametrize("name", ["conv_1", "head/out"])
def test_a_made_image_excites_its_unit_more_than_random_images(name):
    f = layer(name)
    units = [2, 0, 1]
    made = explain.maximize(f, units, root(0), SHAPE, Ascent(steps=64, shift=0))
    best = explain.best_crops(f, images(200), 1).value[units, 0]
    assert (made.activation > best).all()
    y = np.asarray(f(made.images)).reshape(3, -1, f(made.images[:1]).shape[-1])
    own = y[np.arange(3), :, units]
    np.testing.assert_allclose(own.max(1), made.activation, rtol=1e-4)
    np.testing.assert_array_equal(own.argmax(1), made.position)
    assert made.images.min() >= 0 and made.images.max() <= 1
    np.testing.assert_allclose(255 * made.images, np.round(255 * made.images), atol=1e-4)


def test_an_image_depends_on_its_unit_and_the_key_only():
    f = layer("conv_1")
    together = explain.maximize(f, [3, 1, 4], root(0), SHAPE, WARPED, batch_size=2)
    again = explain.maximize(f, [3, 1, 4], root(0), SHAPE, WARPED, batch_size=2)
    alone = explain.maximize(f, 1, root(0), SHAPE, WARPED)
    other = explain.maximize(f, 1, root(1), SHAPE, WARPED)
    np.testing.assert_array_equal(together.images, again.images)
    np.testing.assert_allclose(together.images[1], alone.images[0], atol=0.02)
    assert np.abs(other.images - alone.images).max() > 0.05


@pytest.mark.parametrize("score", ["mean", "max", "center"])
def test_each_score_rises(score):
    f = layer("conv_2")
    for optimizer in ("adam", "normalized"):
        options = Ascent("pixels", optimizer, score, shift=0, scale=0, rotation=0, steps=40)
        start, end = (
            np.asarray(
                f(
                    explain.maximize(
                        f, 1, root(0), SHAPE, Ascent(**{**vars(options), "steps": steps})
                    ).images
                )
            )[0, ..., 1]
            for steps in (1, 40)
        )
        middle = tuple(size // 2 for size in start.shape)
        value = {"mean": np.mean, "max": np.max, "center": lambda y: y[middle]}[score]
        assert value(end) > value(start)


def test_a_step_of_the_normalized_optimizer_has_a_fixed_size():
    options = Ascent("pixels", "normalized", shift=0, scale=0, rotation=0, steps=1)
    start = explain.parametrization("pixels", (6, 6, 1))

    def f(images):
        return 1e-6 * images.sum((1, 2))

    made = explain.maximize(f, 0, root(3), (6, 6, 1), options)
    key = jax.random.fold_in(jax.random.fold_in(jaxdl_stream(root(3)), 0), 0)
    z = start.init(key)
    gradient = jax.grad(lambda z: f(start.image(z)[None]).sum())(z)
    expected = start.image(z + 0.1 * gradient / jnp.sqrt((gradient**2).mean()))
    np.testing.assert_allclose(made.images[0], expected, atol=0.5 / 255 + 1e-5)


def jaxdl_stream(key):
    from jaxdl.rng import stream

    return stream(key, "maximize")


def test_a_dead_unit_is_marked():
    dead = variables()
    params = {**dead["params"]}
    bias = params["conv_0"]["bias"].at[2].set(-1e6)
    params["conv_0"] = {**params["conv_0"], "bias": bias}
    f = explain.layer(MODEL, {"params": params}, "activation_0")
    made = explain.maximize(f, range(5), root(0), SHAPE, Ascent(score="mean", steps=12, shift=1))
    assert not made.is_live[2] and made.is_live[:2].all()
    assert made.activation[2] == 0


def test_images_smaller_than_the_field_are_refused():
    # `MODEL` has a dense layer, so other sizes need the body alone.
    body = MODEL.clone(dense=(), outputs=None)
    weights = {"params": {k: v for k, v in variables()["params"].items() if k != "head"}}
    f = explain.layer(body, weights, "conv_1")
    field = explain.receptive_fields(f, (40, 40, 2)).size
    assert field == (12, 12)
    with pytest.raises(InputError, match=r"^shape: got .8, 9, 2., allowed: at least .12, 12, 2."):
        explain.maximize(f, 0, root(0), (8, 9, 2), WARPED)
    assert explain.maximize(f, 0, root(0), (12, 12, 2), WARPED).images.shape == (1, 12, 12, 2)
    small = explain.maximize(f, 0, root(0), (8, 9, 2), WARPED, clipped=True)
    assert small.images.shape == (1, 8, 9, 2)


def test_a_function_of_one_size_or_of_the_whole_image_passes():
    from jaxdl.explain.maximize import check_field

    check_field(layer("conv_2"), SHAPE)
    check_field(lambda x: x - x.mean((1, 2), keepdims=True) * jnp.ones_like(x), (4, 4, 1))


def test_bad_arguments_are_refused():
    f = layer("conv_0")
    with pytest.raises(InputError, match="^unit: got 9, allowed: at most 4"):
        explain.maximize(f, 9, root(0), SHAPE)
    with pytest.raises(InputError, match="^shape: got"):
        explain.maximize(f, 0, root(0), (8, 8))
    with pytest.raises(InputError, match="^key: got"):
        explain.maximize(f, 0, jnp.zeros(2, jnp.uint32), SHAPE)
    broken = jax.tree.map(lambda x: x * np.nan, variables())
    with pytest.raises(InputError, match="^layer: got NaN"):
        explain.maximize(explain.layer(MODEL, broken, "conv_0"), 0, root(0), SHAPE)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("parametrization", "fourie", "did you mean 'fourier'"),
        ("optimizer", "sgd", "allowed: adam, normalized"),
        ("score", "men", "did you mean 'mean'"),
        ("steps", 0, "at least 1"),
        ("shift", -1, "at least 0"),
        ("scale", 1.0, "scale: got 1.0"),
        ("rotation", -1.0, "rotation: got -1.0"),
        ("learning_rate", float("nan"), "learning_rate: got nan"),
    ],
)
def test_bad_options_are_refused(option, value, message):
    with pytest.raises(InputError, match=message):
        Ascent(**{option: value})


@pytest.mark.parametrize("shape", [12, (12, 12), (12.0, 12.0, 1), (12, 12, 3), (0, 12, 1), "12x"])
def test_shapes_that_do_not_fit_are_one_line(shape):
    conv = nn.Conv(2, (3, 3))
    variables = conv.init(jax.random.key(0), jnp.zeros((1, 12, 12, 1)))
    with pytest.raises(InputError, match="shape: got"):
        explain.maximize(lambda x: conv.apply(variables, x), 0, root(0), shape)


def test_a_list_is_a_shape():
    made = explain.maximize(lambda x: x, 0, root(0), [4, 4, 1], explain.Ascent(steps=1))
    assert made.images.shape == (1, 4, 4, 1)


@pytest.mark.parametrize("options", [{"fill": np.nan}, {"fill": 2.0}, {"shift": 2**31}])
def test_options_that_cannot_be_used_are_one_line(options):
    with pytest.raises(InputError):
        explain.Ascent(**options)


def test_other_options_than_an_ascent_are_one_line():
    with pytest.raises(InputError, match="ascent: got"):
        explain.maximize(lambda x: x, 0, root(0), (4, 4, 1), {"steps": 3})


def test_a_compiled_function_cannot_contain_the_loops():
    def make(key):
        return explain.maximize(layer("conv_0"), [0], key, SHAPE, PLAIN).images

    with pytest.raises(InputError, match="maximize: got 'a call inside of jax.jit'"):
        jax.jit(make)(root(0))
