"""Results that XLA computes only once."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.nn import Conv
from jaxdl.xla import materialize, noinline


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_a_function_that_is_not_inlined_is_computed_once():
    x = normal(13, 64, 64)

    def compiled(f):
        """Compiles a program that reads `f(x)` in three places."""

        def program(x):
            y = f(x)
            return y.T * 2, y[:8] + 1, y @ y

        return jax.jit(program).lower(x).compile()

    def sines(program):
        return program.as_text().count(" sine(")

    once = noinline(jnp.sin)
    program = compiled(once)
    np.testing.assert_array_equal(program(x)[0], once(x).T * 2)
    assert sines(program) == 1
    assert sines(compiled(jnp.sin)) > 1 or jax.default_backend() != "cpu"


def test_materialize_can_be_differentiated_and_mapped():
    x = normal(14, 5)
    np.testing.assert_allclose(
        jax.hessian(lambda x: (materialize(x) ** 3).sum())(x), np.diag(6 * x), rtol=1e-6
    )
    np.testing.assert_array_equal(jax.vmap(materialize)(x), x)


def test_materialize_takes_trees_of_any_size():
    assert materialize({}) == {}
    assert materialize({"a": jnp.ones(2), "b": ()})["a"].tolist() == [1, 1]


def test_no_function_is_compiled_twice_outside_of_jit(caplog):
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
