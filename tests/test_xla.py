"""What XLA may not compute again."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.nn import Conv
from jaxdl.xla import materialize, noinline


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_what_is_computed_once_stays_apart():
    def three_times(f):
        x = normal(13, 64, 64)
        step = jax.jit(lambda x: (lambda y: (y.T * 2, y[:8] + 1, y @ y))(f(x))).lower(x).compile()
        return step.as_text().count(" sine("), step(x), f(x)

    (count, (turned, *_), y), (alone, *_) = three_times(noinline(jnp.sin)), three_times(jnp.sin)
    np.testing.assert_array_equal(turned, y.T * 2)
    assert count == 1 and (alone > 1 or jax.default_backend() != "cpu")


def test_kept_has_every_derivative_and_members():
    x = normal(14, 5)
    np.testing.assert_allclose(
        jax.hessian(lambda x: (materialize(x) ** 3).sum())(x), np.diag(6 * x), rtol=1e-6
    )
    np.testing.assert_array_equal(jax.vmap(materialize)(x), x)


def test_kept_takes_trees_of_any_size():
    assert materialize({}) == {} and materialize({"a": jnp.ones(2), "b": ()})["a"].tolist() == [
        1,
        1,
    ]


def test_outside_of_jit_nothing_is_compiled_twice(caplog):
    conv = Conv(5, (3, 3))
    x = normal(1, 2, 7, 6, 1)

    def compiled(f, *args):
        caplog.clear()
        with jax.log_compiles():
            result = f(*args)
        return result, sum("Compiling" in record.getMessage() for record in caplog.records)

    variables, count = compiled(conv.init, jax.random.key(0), x)
    assert count > 0
    assert compiled(conv.apply, variables, x)[1] == 0
