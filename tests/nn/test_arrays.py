"""Sums in blocks and biases against NumPy, wherever a step may run."""

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


# None, one block, whole ones, a rest.
@pytest.mark.parametrize("bytes_per_block", [0, 400, 2**20])
@pytest.mark.parametrize("count", [0, 1, 16, 96, 37, 30])
def test_blocks_add_up_to_the_whole(count, bytes_per_block, monkeypatch):
    monkeypatch.setattr(arrays, "_BLOCK_BYTES", bytes_per_block)
    x = normal(0, count, 3)
    y = normal(1, count, 2)
    total = jax.jit(lambda *a: sum_over_blocks(lambda x, y: x.T @ y, *a))(x, y)
    np.testing.assert_allclose(
        total, np.asarray(x, np.float64).T @ np.asarray(y, np.float64), rtol=1e-5, atol=1e-5
    )


# 12 bytes an example.
@pytest.mark.parametrize(("bytes_per_block", "examples"), [(0, 16), (250, 20), (2**20, 80)])
def test_a_block_holds_whole_neighbouring_examples(bytes_per_block, examples, monkeypatch):
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


def test_bias_has_gradients_of_gradients_and_members():
    y = normal(5, 34, 3)
    bias = normal(6, 3)
    hessian = jax.jit(jax.jacrev(jax.grad(squared)))(bias, y)
    np.testing.assert_allclose(hessian, 2 * 34 * np.eye(3), rtol=1e-6)
    biases = normal(7, 4, 3)
    many = jax.jit(jax.vmap(jax.grad(squared), (0, None)))(biases, y)
    for i in range(4):
        np.testing.assert_allclose(many[i], jax.grad(squared)(biases[i], y), rtol=1e-6)


def test_bfloat16_is_summed_in_float32():
    y = jnp.ones((1024, 1), jnp.bfloat16)
    bias = jnp.zeros((1,), jnp.bfloat16)
    assert (
        float(jax.grad(lambda bias: add_bias(y, bias).astype(jnp.float32).sum())(bias)[0]) == 1024
    )


@pytest.mark.parametrize("check", [True, False])
def test_inside_shard_map_gradients_are_summed(check):
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    y = normal(8, 128, 5, 3)
    bias = normal(9, 3)

    def grad(bias, y):
        own = jax.grad(squared)(bias, y)
        return own if check else jax.lax.psum(own, "data")

    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))
    specs = (PartitionSpec(), PartitionSpec("data"))
    mapped = jax.shard_map(
        grad, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(), check_vma=check
    )
    np.testing.assert_allclose(
        jax.jit(mapped)(bias, y), jax.grad(squared)(bias, y), rtol=1e-4, atol=1e-3
    )


def layer(name):
    """A layer as a function of parameters and batch, its parameters, and the shape of an example."""
    if name == "lstm":
        net = LSTM(8)
        return (
            lambda params, x: net.apply(params, x)[0],
            net.init(jax.random.key(0), normal(10, 4, 5, 3)),
            (5, 3),
        )
    net = (Conv if name == "conv" else ConvTranspose)(6, (3, 3))
    return net.apply, net.init(jax.random.key(0), normal(10, 4, 7, 7, 2)), (7, 7, 2)


@pytest.fixture
def mesh():
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    return Mesh(np.array(jax.devices()[:4]), ("data",), axis_types=(AxisType.Auto,))


@pytest.mark.parametrize("name", ["lstm", "conv", "transpose"])
def test_each_device_computes_its_own_part(name, mesh, monkeypatch):
    monkeypatch.setattr(arrays, "_BLOCK_BYTES", 0)
    apply, params, shape = layer(name)
    x = normal(11, 160, *shape)

    def loss(params, x):
        return jnp.sin(apply(params, x)).sum()

    alone = jax.grad(loss, (0, 1))(params, x)
    specs = PartitionSpec(), PartitionSpec("data")
    placed = [
        jax.device_put(a, NamedSharding(mesh, spec))
        for a, spec in zip((params, x), specs, strict=True)
    ]
    with jax.set_mesh(mesh):
        step = jax.jit(jax.grad(loss, (0, 1))).lower(*placed).compile()
    for own, other in zip(jax.tree.leaves(step(*placed)), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-4)
    # No batch is gathered, and gradients are added up once, not in each turn of a loop.
    assert "all-gather" not in step.as_text()
    reduced = [
        line for line in step.as_text().splitlines() if "all-reduce(" in line and "while" in line
    ]
    assert not reduced


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lstm", "conv"])
def test_other_axes_of_a_mesh_are_left_to_xla(name, mesh):
    apply, params, shape = layer(name)
    x, grad = normal(15, 8, *shape), jax.grad(lambda params, x: jnp.sin(apply(params, x)).sum())
    both = Mesh(mesh.devices.reshape(2, 2), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    specs = PartitionSpec(), PartitionSpec("data")
    placed = [
        jax.device_put(a, NamedSharding(both, spec))
        for a, spec in zip((params, x), specs, strict=True)
    ]
    with jax.set_mesh(both):
        found = jax.jit(grad)(*placed)
    for own, other in zip(jax.tree.leaves(found), jax.tree.leaves(grad(params, x)), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["lstm", "conv"])
def test_a_batch_that_devices_cannot_share_stays_whole(name, mesh):
    apply, params, shape = layer(name)
    x = normal(12, 3, *shape)
    each = jax.jit(jax.vmap(lambda x: apply(params, x[None])[0]))
    with jax.set_mesh(mesh):
        together = jax.jit(apply)(params, x)
        one_by_one = each(x)
    np.testing.assert_allclose(together, apply(params, x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one_by_one, apply(params, x), rtol=1e-5, atol=1e-6)


def test_half_precision_is_added_up_over_devices_in_float32(mesh):
    # The devices' parts are 256, 1, 1 and 1; one by one in bfloat16 they would add up to 256.
    y = jnp.ones((1024, 1), jnp.bfloat16)
    bias = jnp.zeros((1,), jnp.bfloat16)
    y = y.at[256:].set(2**-8)
    grad = jax.grad(lambda bias: (add_bias(y, bias) * y).astype(jnp.float32).sum())
    with jax.set_mesh(mesh):
        step = jax.jit(grad).lower(bias)
        assert float(step.compile()(bias)[0]) == 260
    assert "tensor<1xbf16>) -> tensor<1xbf16>" not in "".join(
        step.as_text().split("all_reduce")[1:]
    )
