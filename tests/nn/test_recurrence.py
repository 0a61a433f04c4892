"""The loop and each variant of its gradients against autodiff of a Python loop."""

import re
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxdl.nn import recurrence
from tests.nn.recurrences import (
    HOLES,
    LAYERS,
    B,
    D,
    H,
    T,
    carries,
    close,
    each_layer,
    loop,
    normal,
    parameters,
    run,
    weighted_sum,
)

# A CPU computes products of gradients after the loop or inside it. Other platforms use "default".
VARIANTS = ["after", "inside", "default"]
each_layer_and_variant = pytest.mark.parametrize(
    ("name", "variant"), [("rnn", "default"), ("lstm", "inside"), ("gru", "after")]
)


@pytest.fixture
def choose(monkeypatch):
    """A function that chooses the variant of the gradients."""
    cache_bytes = {"inside": 0, "after": 2**30, "default": 2**30}

    def set_variant(variant):
        monkeypatch.setattr(recurrence, "_CACHE_BYTES", cache_bytes[variant])
        if variant == "default":
            monkeypatch.setattr(
                recurrence.lax, "platform_dependent", lambda *args, cpu, default: default(*args)
            )

    return set_variant


def python_loop(name, variables, x, start, mask, reverse):
    return jax.vmap(partial(loop, jnp, name, reverse=reverse), (None, 0, 0, 0))(
        variables, x, start, mask
    )


def gradient_norm(forward, variables, x, start):
    grads = jax.grad(lambda x: weighted_sum(*forward(variables, x, start)))(x)
    return sum((g**2).sum() for g in jax.tree.leaves(grads))


def derivatives(forward, order):
    """Returns a function that computes all derivatives of first or second order."""
    loss = {
        1: lambda *args: weighted_sum(*forward(*args)),
        2: partial(gradient_norm, forward),
    }
    return jax.jit(jax.grad(loss[order], (0, 1, 2)))


@cache
def expected(name, masked, reverse, order):
    mask = jnp.ones((B, T))
    if masked:
        mask = HOLES.astype(jnp.float32)
    forward = partial(python_loop, name, mask=mask, reverse=reverse)
    return derivatives(forward, order)(parameters(name), normal(20, B, T, D), carries(name, 21))


@each_layer
@pytest.mark.parametrize(
    ("variant", "masked"), [("after", False), *((variant, True) for variant in VARIANTS)]
)
def test_gradients_match_autodiff_of_a_python_loop(name, variant, masked, choose):
    choose(variant)
    # Only runs with a mask are reversed, so that fewer programs are compiled.
    forward = partial(run, name)
    if masked:
        forward = partial(run, name, mask=HOLES, reverse=True)
    grads = derivatives(forward, 1)(parameters(name), normal(20, B, T, D), carries(name, 21))
    close(grads, expected(name, masked, masked, 1))


@pytest.mark.slow
@each_layer_and_variant
def test_second_derivatives_match_autodiff_of_a_python_loop(name, variant, choose):
    choose(variant)
    second = derivatives(partial(run, name, mask=HOLES), 2)
    grads = second(parameters(name), normal(20, B, T, D), carries(name, 21))
    close(grads, expected(name, True, False, 2), 1e-4)


@pytest.mark.slow
@each_layer_and_variant
def test_vmap_over_parameters_equals_a_loop(name, variant, choose):
    choose(variant)
    x = normal(70, B, T, D)
    members = [parameters(name, seed) for seed in (0, 100, 200)]
    gradients = jax.jit(jax.grad(lambda v: jnp.sin(run(name, v, x, mask=HOLES)[0]).sum()))
    batched = jax.jit(jax.vmap(gradients))(jax.tree.map(lambda *a: jnp.stack(a), *members))
    for i, member in enumerate(members):
        close(jax.tree.map(lambda a: a[i], batched), gradients(member))


@each_layer_and_variant
def test_a_batch_over_devices_equals_one_device(name, variant, choose):
    choose(variant)
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))
    x = normal(80, 8, T, D)
    variables = parameters(name)

    def grad(v, x):
        return jax.grad(lambda v: jnp.sin(run(name, v, x)[0]).sum())(v)

    placed = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    replicated = jax.device_put(variables, NamedSharding(mesh, PartitionSpec()))
    single = jax.jit(grad)(variables, x)
    close(jax.jit(grad)(replicated, placed), single)
    specs = (PartitionSpec(), PartitionSpec("data"))
    mapped = jax.shard_map(grad, mesh=mesh, in_specs=specs, out_specs=PartitionSpec())
    close(jax.jit(mapped)(variables, x), single)


@pytest.mark.slow
@each_layer_and_variant
def test_bfloat16_is_less_accurate_and_parameters_stay_float32(name, variant, choose):
    choose(variant)
    x = normal(85, B, T, D)
    variables = parameters(name)
    layer = LAYERS[name](H, dtype=jnp.bfloat16)
    exact = jax.jit(jax.grad(lambda v: jnp.sin(run(name, v, x)[0]).sum()))(variables)

    @jax.jit
    def loss(v):
        ys, end = layer.apply(v, x)
        return jnp.sin(ys.astype(jnp.float32)).sum(), (ys, end)

    grads, outputs = jax.grad(loss, has_aux=True)(variables)
    assert {a.dtype for a in jax.tree.leaves(outputs)} == {jnp.dtype("bfloat16")}
    assert {a.dtype for a in jax.tree.leaves((grads, variables))} == {jnp.dtype("float32")}
    for a, b in zip(*map(jax.tree.leaves, (grads, exact)), strict=True):
        assert 0 < float(jnp.abs(a - b).max()) < 0.1 * float(jnp.abs(b).max()) + 0.02


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru"])
def test_there_is_one_loop_and_a_product_before_it_except_on_a_cpu(name):
    x = normal(90, B, T, D)
    variables = parameters(name)
    traced = jax.jit(partial(run, name)).trace(variables, x)
    wide = rf"dot_general.*\(tensor<{T}x{B}x{D}xf32>"
    for platform, ahead in (("cpu", False), ("cuda", True), ("tpu", True)):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stablehlo.while") == 1
        assert bool(re.search(wide, text)) == ahead
