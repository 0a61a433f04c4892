"""Reductions, products, convolutions and pooling, in onnxruntime against JAX."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxdl import nn
from jaxdl.errors import InputError
from jaxdl.export import to_onnx
from tests.export.runtime import assert_same

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 5, 6)).astype(np.float32)
IMAGES = RNG.normal(size=(3, 7, 6, 4)).astype(np.float32)


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


def test_reductions():
    def f(x):
        return {
            "sum": [x.sum(1), x.sum((1, 2)), x.sum((0, 2))],
            "extremes": [x.max(2), x.min((1, 2)), x.prod(1)],
            "places": [x.argmax(1), x.argmin(2), (x > 0).argmax(1), (x > -1).argmin(2)],
            "logic": [(x > 0).any(1), (x > -2).all((1, 2))],
            "moments": [x.mean(1), x.var(2), jax.nn.logsumexp(x, 1), jax.nn.softmax(x, 2)],
            "integers": [(x > 0).sum(1), (x * 9).astype(jnp.int32).max(1)],
        }

    assert_same(f, X, sizes=(1, 4))


@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_functions(reverse):
    def f(x):
        names = ("cumsum", "cummax", "cummin", "cumprod")
        return {name: getattr(lax, name)(x, axis=1, reverse=reverse) for name in names}

    assert_same(f, X)


def test_products():
    a = normal(6, 3)
    b = normal(3, 6)
    c = normal(2, 5, 3)

    def f(x):
        return {
            "last": x @ a,
            "transposed": lax.dot_general(x, b, (((2,), (1,)), ((), ()))),
            "first": lax.dot_general(x, normal(5, 2), (((1,), (0,)), ((), ()))),
            "two": jnp.einsum("bij,kil->bjkl", x, c),
            "pairs": jnp.einsum("bij,bkj->bik", x, x),
            "vector": x @ normal(6),
            "sum": jnp.einsum("bij,bij->b", x, x),
        }

    assert_same(f, X, sizes=(1, 4))


@pytest.mark.parametrize(
    "options",
    [
        {"window_strides": (1, 1), "padding": "SAME"},
        {"window_strides": (2, 3), "padding": [(2, 0), (0, 1)]},
        {"window_strides": (1, 1), "padding": "VALID", "rhs_dilation": (2, 1)},
        {"window_strides": (2, 1), "padding": [(-1, 2), (1, -2)]},
        {"window_strides": (1, 1), "padding": [(2, 2), (1, 1)], "lhs_dilation": (2, 2)},
        {"window_strides": (1, 1), "padding": [(5, 1), (0, 4)], "lhs_dilation": (3, 1)},
        {"window_strides": (2, 2), "padding": "SAME", "feature_group_count": 2},
        {
            "window_strides": (1, 1),
            "padding": [(2, 2), (5, 1)],
            "lhs_dilation": (2, 3),
            "rhs_dilation": (1, 2),
            "feature_group_count": 2,
        },
    ],
)
def test_convolutions(options):
    kernel = normal(3, 2, 4 // options.get("feature_group_count", 1), 2)

    def f(x):
        return lax.conv_general_dilated(
            x, kernel, dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
        )

    assert_same(f, IMAGES, sizes=(1, 3))


def test_layers_with_groups_and_dilation():
    def f(x):
        return {
            "depthwise": nn.conv2d(x, normal(3, 3, 1, 8), 2, groups=4),
            "groups": nn.conv2d(x, normal(3, 2, 2, 6), 1, 1, (1, 2), 2),
            "dilated": nn.conv2d(x, normal(3, 3, 4, 2), dilation=2),
            "up": nn.conv_transpose2d(x, normal(3, 2, 2, 6), 2, 2, (2, 1), 2, 1),
            "up_depthwise": nn.conv_transpose2d(x, normal(3, 3, 1, 8), 2, groups=4),
            "causal": nn.conv1d(x[:, 0], normal(3, 1, 4), 2, padding="CAUSAL", groups=4),
            "steps": nn.conv_transpose1d(x[:, 0], normal(3, 2, 6), 2, "VALID", groups=2),
        }

    assert_same(f, IMAGES, sizes=(1, 3))


def test_a_convolution_with_channels_first_and_one_over_time():
    def f(x):
        first = lax.conv(x, normal(2, 7, 3, 3), (1, 1), "SAME")
        steps = lax.conv_general_dilated(
            x[..., 0], normal(3, 6, 2), (2,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
        )
        return first, steps

    assert_same(f, IMAGES)


def test_pooling():
    def f(x):
        return {
            "max": linen.max_pool(x, (3, 2), (2, 1), "SAME"),
            "mean": linen.avg_pool(x, (2, 2), (2, 2)),
            "padded": linen.avg_pool(x, (3, 3), (1, 2), ((1, 1), (0, 1))),
            "time": linen.max_pool(x[..., 0], (2,), (2,)),
        }

    with jax.numpy_dtype_promotion("standard"):
        assert_same(f, IMAGES, sizes=(1, 3))


def test_padded_and_dilated_pooling():
    def f(x):
        return {
            "max": nn.max_pool(x, 3, 2, 1),
            "same": nn.max_pool(x, (2, 3), padding="SAME", dilation=2),
            "mean": nn.avg_pool(x, 3, 2, ((1, 0), (0, 1)), ceil=True),
            "norm": nn.lp_pool(x, 2, p=2.5),
            "adaptive": nn.adaptive_avg_pool(x, (3, 2)),
            "time": nn.max_pool(x[:, 0], (2,), 1, 1),
        }

    assert_same(f, IMAGES, sizes=(1, 3))


def test_other_windows_are_refused():
    def over_examples(x):
        return lax.reduce_window(x, -jnp.inf, lax.max, (2, 2, 1, 1), (1, 1, 1, 1), "SAME")

    with pytest.raises(InputError, match=r"^function: got 'this window', allowed: windows over"):
        to_onnx(over_examples, IMAGES)
