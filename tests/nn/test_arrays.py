"""Sums in blocks and biases against NumPy, also under every way to divide a batch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxdl.nn import LSTM, Conv, ConvTranspose, arrays
from jaxdl.nn.arrays import add_bias, sum_over_blocks


def normal(seed, *shape, dtype=jnp.float32):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), dtype)


def squared(bias, y):
    return (add_bias(y, bias) ** 2).sum()


# No example, one block, several whole blocks, and a rest.
@pytest.mark.parametrize("bytes_per_block", [0, 400, 2**20])
@pytest.mark.parametrize("count", [0, 1, 16, 96, 37, 30])
def test_blocks_add_up_to_the_sum_over_all_examples(count, bytes_per_block, monkeypatch):
    monkeypatch.setattr(arrays, "_BLOCK_BYTES", bytes_per_block)
    x = normal(0, count, 3)
    y = normal(1, count, 2)
    total = jax.jit(lambda *a: sum_over_blocks(lambda x, y: x.T @ y, *a))(x, y)
    np.testing.assert_allclose(
        total, np.asarray(x, np.float64).T @ np.asarray(y, np.float64), rtol=1e-5, atol=1e-5
    )


# An example has 12 bytes.
@pytest.mark.parametrize(("bytes_per_block", "examples"), [(0, 16), (250, 20), (2**20, 80)])
def test_a_block_holds_whole_consecutive_examples(bytes_per_block, examples, monkeypatch):
    monkeypatch.setattr(arrays, "_BLOCK_BYTES", bytes_per_block)
    seen = []
    sum_over_blocks(lambda x: (seen.append(x.shape), x.sum())[1], normal(2, 80, 3))
    assert set(seen) == {(examples, 3)}


@pytest.mark.parametrize("shape", [(5, 4), (34, 3, 2, 4), (64, 4)])
def test_gradient_of_a_bias_is_the_sum(shape):
    y = normal(3, *shape)
    bias = normal(4, shape[-1])
    g_bias, g_y = jax.jit(jax.grad(squared, (0, 1)))(bias, y)
    g = 2 * (np.asarray(y, np.float64) + np.asarray(bias))
    np.testing.assert_allclose(g_y, g, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(g_bias, g.reshape(-1, shape[-1]).sum(0), rtol=1e-4, atol=1e-4)


def test_bias_supports_second_derivatives_and_vmap():
    y = normal(5, 34, 3)
    bias = normal(6, 3)
    hessian = jax.jit(jax.jacrev(jax.grad(squared)))(bias, y)
    np.testing.assert_allclose(hessian, 2 * 34 * np.eye(3), rtol=1e-6)
    biases = normal(7, 4, 3)
    grads = jax.jit(jax.vmap(jax.grad(squared), (0, None)))(biases, y)
    for i in range(4):
        np.testing.assert_allclose(grads[i], jax.grad(squared)(biases[i], y), rtol=1e-6)


def test_bfloat16_is_summed_in_float32():
    y = jnp.ones((1024, 1), jnp.bfloat16)
    bias = jnp.zeros((1,), jnp.bfloat16)
    grad = jax.grad(lambda bias: add_bias(y, bias).astype(jnp.float32).sum())(bias)
    assert float(grad[0]) == 1024


@pytest.mark.parametrize("check", [True, False])
def test_inside_shard_map_gradients_are_summed(check):
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    y = normal(8, 128, 5, 3)
    bias = normal(9, 3)

    def grad(bias, y):
        local = jax.grad(squared)(bias, y)
        if check:
            return local
        return jax.lax.psum(local, "data")

    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))
    specs = (PartitionSpec(), PartitionSpec("data"))
    mapped = jax.shard_map(
        grad, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), check_vma=check
    )
    np.testing.assert_allclose(
        jax.jit(mapped)(bias, y), jax.grad(squared)(bias, y), rtol=1e-4, atol=1e-3
    )


def layer(name):
    """Returns a layer as a function of parameters and batch, its parameters, an example's shape."""
    if name == "lstm":
        net = LSTM(8)
        return (
            lambda params, x: net.apply(params, x)[0],
            net.init(jax.random.key(0), normal(10, 4, 5, 3)),
            (5, 3),
        )
    net = {"conv": Conv, "transpose": ConvTranspose}[name](6, (3, 3))
    return net.apply, net.init(jax.random.key(0), normal(10, 4, 7, 7, 2)), (7, 7, 2)


@pytest.fixture
def mesh():
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    return Mesh(np.array(jax.devices()[:4]), ("data",), axis_types=(AxisType.Auto,))


def place(mesh, params, x):
    """Replicates the parameters and divides the batch."""
    replicated = jax.device_put(params, NamedSharding(mesh, PartitionSpec()))
    return replicated, jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))


def assert_leaves_close(actual, expected):
    for a, b in zip(jax.tree.leaves(actual), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["lstm", "conv", "transpose"])
def test_each_device_computes_its_part_of_the_batch(name, mesh, monkeypatch):
    monkeypatch.setattr(arrays, "_BLOCK_BYTES", 0)
    apply, params, shape = layer(name)
    x = normal(11, 160, *shape)

    def loss(params, x):
        return jnp.sin(apply(params, x)).sum()

    expected = jax.grad(loss, (0, 1))(params, x)
    placed = place(mesh, params, x)
    with jax.set_mesh(mesh):
        step = jax.jit(jax.grad(loss, (0, 1))).lower(*placed).compile()
    assert_leaves_close(step(*placed), expected)
    # No batch is gathered, and gradients are summed once, not in each iteration of a loop.
    assert "all-gather" not in step.as_text()
    reduced = [
        line for line in step.as_text().splitlines() if "all-reduce(" in line and "while" in line
    ]
    assert not reduced


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm", "conv"])
def test_other_axes_of_a_mesh_are_left_to_xla(name, mesh):
    apply, params, shape = layer(name)
    x = normal(15, 8, *shape)
    grad = jax.grad(lambda params, x: jnp.sin(apply(params, x)).sum())
    both = Mesh(mesh.devices.reshape(2, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    placed = place(both, params, x)
    with jax.set_mesh(both):
        grads = jax.jit(grad)(*placed)
    assert_leaves_close(grads, grad(params, x))


@pytest.mark.parametrize("name", ["lstm", "conv"])
def test_a_batch_that_devices_cannot_divide_stays_whole(name, mesh):
    apply, params, shape = layer(name)
    x = normal(12, 3, *shape)
    each = jax.jit(jax.vmap(lambda x: apply(params, x[None])[0]))
    with jax.set_mesh(mesh):
        together = jax.jit(apply)(params, x)
        one_by_one = each(x)
    np.testing.assert_allclose(together, apply(params, x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one_by_one, apply(params, x), rtol=1e-5, atol=1e-6)


def test_half_precision_is_summed_over_devices_in_float32(mesh):
    # The devices' parts are 256, 1, 1 and 1. Their sum in bfloat16 would be 256.
    y = jnp.ones((1024, 1), jnp.bfloat16)
    bias = jnp.zeros((1,), jnp.bfloat16)
    y = y.at[256:].set(2**-8)
    grad = jax.grad(lambda bias: (add_bias(y, bias) * y).astype(jnp.float32).sum())
    with jax.set_mesh(mesh):
        step = jax.jit(grad).lower(bias)
        assert float(step.compile()(bias)[0]) == 260
    reductions = "".join(step.as_text().split("all_reduce")[1:])
    assert "tensor<1xbf16>) -> tensor<1xbf16>" not in reductions
