"""Calls, branches and loops, in onnxruntime against JAX."""

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.tree_util import Partial

from jaxdl.errors import InputError
from jaxdl.export import to_onnx
from jaxdl.export.convert import PRIMITIVES
from tests.export.runtime import assert_same

X = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
W = np.random.default_rng(1).normal(size=(6, 6)).astype(np.float32)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_loop_with_carries_that_start_from_constants(reverse):
    def f(x):
        def step(carry, inputs):
            h, count = carry
            row, t = inputs
            h = jnp.tanh(row + h @ W) * t
            return (h, count + 1), (h, count)

        start = (jnp.zeros((x.shape[0], 6)), jnp.int32(3))
        return lax.scan(step, start, (x.swapaxes(0, 1), jnp.arange(5.0)), reverse=reverse)

    assert_same(f, X, sizes=(1, 4))


def test_a_loop_without_arrays_and_one_in_a_loop():
    def f(x):
        once = lax.fori_loop(0, 3, lambda i, y: y * i.astype(y.dtype) + 1, x[:, 0])

        def step(total, row):
            return total + lax.fori_loop(0, 2, lambda _, y: jnp.sin(y @ W), row), None

        return once, lax.scan(step, jnp.zeros((x.shape[0], 6)), x.swapaxes(0, 1))[0]

    assert_same(f, X, sizes=(1, 4))


def test_calls_are_inlined():
    @jax.custom_vjp
    def with_gradient(x):
        return x * 2

    with_gradient.defvjp(lambda x: (x * 2, None), lambda _, g: (g,))

    def f(x):
        y = jax.jit(jnp.sin)(x) + jax.checkpoint(jnp.cos)(x) + with_gradient(x)
        return jax.nn.relu(y) + lax.stop_gradient(x)

    assert_same(f, X)


def test_a_recurrent_network_of_linen_whose_cells_derive_unused_keys():
    both = linen.RNN(linen.OptimizedLSTMCell(5)), linen.RNN(linen.GRUCell(5))
    model = linen.Bidirectional(*both)
    with jax.numpy_rank_promotion("allow"):
        variables = model.init(jax.random.key(0), X)
        assert_same(Partial(model.apply, variables), X, sizes=(1, 4))


def test_a_branch_on_a_constant_and_on_the_platform():
    def f(x):
        y = lax.cond(jnp.bool_(True), jnp.sin, jnp.cos, x)
        return y + lax.platform_dependent(x, cpu=jnp.negative, default=lambda x: 0 - x)

    assert_same(f, X)


def test_a_branch_of_the_inputs_and_a_loop_without_end_are_refused():
    def branch(x):
        return lax.cond(x.sum() > 0, jnp.sin, jnp.cos, x)

    with pytest.raises(InputError, match=r"^function: got 'a branch .*', allowed: jnp.where; or"):
        to_onnx(branch, X)

    def loop(x):
        return lax.while_loop(lambda y: y.sum() < 100, lambda y: y + 1, x)

    with pytest.raises(InputError, match=r"^function: got 'the primitive while', allowed: "):
        to_onnx(loop, X)


def test_the_primitives_of_the_documents_are_those_of_the_table():
    from tests.export.test_stablehlo import DOCS

    text = DOCS.read_text().partition("## Primitives")[2]
    assert sorted(text.partition("```text")[2].partition("```")[0].split()) == list(PRIMITIVES)
