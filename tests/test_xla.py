"""Results that XLA computes only once, convolutions of a CPU, and devices that share threads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxdl import xla
from jaxdl.nn import Conv
from jaxdl.xla import (
    convolution_options,
    convolutions,
    few_threads,
    materialize,
    noinline,
    quick_options,
)


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


X = jnp.zeros((2, 6, 6, 3))
KERNEL = jnp.zeros((3, 3, 3, 4))


def convolve(x, kernel, **options):
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
    )


def kernel_gradient(x, kernel):
    return jax.grad(lambda kernel: convolve(x, kernel).sum())(kernel)


def grouped(x, kernel):
    return convolve(x, kernel[:, :, :1, :3], feature_group_count=3)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x, kernel: x @ kernel[0, 0], "none"),
        (convolve, "fast"),
        (kernel_gradient, "slow"),
        (grouped, "slow"),
        (lambda x, kernel: (convolve(x, kernel), grouped(x, kernel)), "slow"),
    ],
)
def test_one_slow_convolution_makes_a_program_slow(function, kind):
    assert convolutions(jax.jit(function).lower(X, KERNEL).as_text()) == kind


def test_xla_has_the_compiler_option_for_convolutions():
    """Without the option, convolutions would silently take up to five times as long."""
    assert convolution_options()


def test_a_jaxlib_without_the_option_gives_one_warning(monkeypatch):
    convolution_options.cache_clear()
    monkeypatch.setattr(xla, "accepted_options", lambda **options: {})
    with pytest.warns(UserWarning, match="^jaxlib .* has no compiler option .*; install ") as found:
        assert convolution_options() == convolution_options() == {}
    assert len(found) == 1
    convolution_options.cache_clear()


def test_several_devices_of_a_cpu_share_a_few_threads():
    assert [few_threads(jax.devices()[:count]) for count in (1, 2, 4)] == [False, True, True]


def test_a_program_that_runs_once_gives_the_same_random_bits():
    """Options that the installed XLA lacks would silently make a cold start slower."""
    assert quick_options()
    key = jax.random.key(0)
    quick = jax.jit(lambda key: jax.random.bits(key, (100,)), compiler_options=quick_options())
    np.testing.assert_array_equal(quick(key), jax.random.bits(key, (100,)))
