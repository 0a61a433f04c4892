"""Elementwise primitives in onnxruntime against JAX."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.export.runtime import assert_same

X = np.random.default_rng(0).normal(scale=3, size=(4, 30)).astype(np.float32)
X[0, :8] = [0, -0.0, 1, -1, 1e-4, -1e-4, 30, -30]

UNARY = ("exp", "tanh", "logistic", "erf", "erfc", "abs", "neg", "sign", "floor", "ceil")
UNARY += ("sin", "cos", "atan", "asinh", "square", "expm1", "exp2", "cbrt", "is_finite")


def test_functions_of_one_number():
    def f(x):
        return {name: getattr(lax, name)(x.clip(-9, 9)) for name in UNARY}

    assert_same(f, X, sizes=(1, 4))


def test_functions_on_a_part_of_the_line():
    def f(x):
        positive = jnp.abs(x) + 1e-3
        unit = jnp.tanh(x) * 0.99
        inside = {name: getattr(lax, name)(unit) for name in ("asin", "acos", "atanh", "tan")}
        beyond = {name: getattr(lax, name)(positive) for name in ("log", "sqrt", "rsqrt", "log1p")}
        wide = {name: getattr(lax, name)(unit * 3) for name in ("sinh", "cosh")}
        return {**inside, **beyond, **wide, "acosh": lax.acosh(positive + 1)}

    assert_same(f, X)


def test_small_numbers_keep_their_digits():
    x = np.array([[1e-7, -1e-7, 3e-5, -2e-3, 0.02, 0.4, -0.9, 0]], np.float32)

    def f(x):
        return lax.expm1(x) / (x + 1e-30), lax.log1p(x) / (x + 1e-30)

    assert_same(f, x, sizes=(1,))


def test_infinities_and_nan():
    x = np.array([[np.inf, -np.inf, np.nan, 88, -104, 1e30]], np.float32)

    def f(x):
        return {
            "relu": jax.nn.relu(x),
            "expm1": lax.expm1(x),
            "log1p": lax.log1p(jnp.abs(x)),
            "finite": lax.is_finite(x),
            "same": x == x,
            "clip": jnp.clip(x, -1, 1),
            "softplus": jax.nn.softplus(x),
        }

    assert_same(f, x, sizes=(1,))


def test_functions_of_two_numbers_and_comparisons():
    y = np.random.default_rng(1).normal(size=X.shape).astype(np.float32).round(1)

    def f(x, y):
        x = jnp.round(x, 1)
        names = ("add", "sub", "mul", "max", "min", "eq", "ne", "ge", "gt", "le", "lt")
        results = {name: getattr(lax, name)(x, y) for name in names}
        divisor = jnp.abs(y) + 1
        rest = {"div": lax.div(x, divisor), "rem": lax.rem(x, divisor)}
        powers = {"pow": lax.pow(jnp.abs(x), y), "cube": x**3, "inverse": divisor**-2}
        return {**results, **rest, **powers}

    assert_same(f, X, y)


def test_integers_booleans_and_casts():
    x = np.random.default_rng(2).integers(-20, 20, (4, 9)).astype(np.int32)

    def f(x):
        odd = (x & 1) == 1
        large = x > 5
        return {
            "logic": [odd & large, odd | large, odd ^ large, ~odd],
            "bits": [x | 3, x ^ 5, ~x],
            "div": lax.div(x, jnp.full_like(x, 3)),
            "rem": lax.rem(x, jnp.full_like(x, 7)),
            "where": jnp.where(odd, x, -x),
            "bools": jnp.where(odd, large, ~large),
            "float": x.astype(jnp.float32) / 3,
            "int": (x.astype(jnp.float32) / 3).astype(jnp.int32),
            "bool": x.astype(bool),
            "cases": lax.select_n(x % 3 % 3, x, x + 1, x - 1),
        }

    assert_same(f, x)


def test_rounding():
    x = np.array([[0.5, 1.5, 2.5, -0.5, -1.5, 0.4, -2.6]], np.float32)

    def f(x):
        return jnp.round(x), lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO)

    assert_same(f, x, sizes=(1,))
