"""The loop and its gradients, however they are made, against autodiff of a Python loop."""

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
    weighed,
)

WAYS = ["after", "inside", "elsewhere"]
each_once = pytest.mark.parametrize(
    ("name", "way"), [("rnn", "elsewhere"), ("lstm", "inside"), ("gru", "after")]
)


@pytest.fixture
def go(monkeypatch):
    """Fixes how gradients are made: on a CPU after the loop or inside it, or as on other platforms."""

    def choose(way):
        monkeypatch.setattr(recurrence, "_CACHE", 0 if way == "inside" else 2**30)
        if way == "elsewhere":
            monkeypatch.setattr(
                recurrence.lax, "platform_dependent", lambda *args, cpu, default: default(*args)
            )

    return choose


def python(name, variables, x, start, mask, reverse):
    return jax.vmap(partial(loop, jnp, name, reverse=reverse), (None, 0, 0, 0))(
        variables, x, start, mask
    )


def slope_of_gradient(forward, variables, x, start):
    return sum(
        (g**2).sum()
        for g in jax.tree.leaves(jax.grad(lambda x: weighed(*forward(variables, x, start)))(x))
    )


def derivatives(forward, order):
    """Those of first or second order, of all that can be differentiated."""
    whole = (
        partial(slope_of_gradient, forward)
        if order == 2
        else lambda *args: weighed(*forward(*args))
    )
    return jax.jit(jax.grad(whole, (0, 1, 2)))


@cache
def expected(name, masked, reverse, order):
    mask = HOLES.astype(jnp.float32) if masked else jnp.ones((B, T))
    forward = partial(python, name, mask=mask, reverse=reverse)
    return derivatives(forward, order)(parameters(name), normal(20, B, T, D), carries(name, 21))


@each_layer
@pytest.mark.parametrize(("way", "masked"), [("after", False), *((way, True) for way in WAYS)])
def test_gradients_are_autodiffs_of_a_python_loop(name, way, masked, go):
    go(way)
    # With a mask backwards, without one forwards: fewer programs to compile.
    forward = partial(run, name, mask=HOLES if masked else None, reverse=masked)
    ours = derivatives(forward, 1)(parameters(name), normal(20, B, T, D), carries(name, 21))
    close(ours, expected(name, masked, masked, 1))


@pytest.mark.slow
@each_once
def test_second_derivatives_are_autodiffs_of_a_python_loop(name, way, go):
    go(way)
    ours = derivatives(partial(run, name, mask=HOLES), 2)(
        parameters(name), normal(20, B, T, D), carries(name, 21)
    )
    close(ours, expected(name, True, False, 2), 1e-4)


@pytest.mark.slow
@each_once
def test_vmap_over_parameters_is_each_alone(name, way, go):
    go(way)
    x = normal(70, B, T, D)
    members = [parameters(name, seed) for seed in (0, 100, 200)]
    gradients = jax.jit(jax.grad(lambda v: jnp.sin(run(name, v, x, mask=HOLES)[0]).sum()))
    together = jax.jit(jax.vmap(gradients))(jax.tree.map(lambda *a: jnp.stack(a), *members))
    for i, member in enumerate(members):
        close(jax.tree.map(lambda a: a[i], together), gradients(member))


@each_once
def test_a_batch_over_devices_is_one_device(name, way, go):
    go(way)
    if len(jax.devices()) < 4:
        pytest.skip("needs four devices")
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))
    x = normal(80, 8, T, D)
    variables = parameters(name)

    def grad(v, x):
        return jax.grad(lambda v: jnp.sin(run(name, v, x)[0]).sum())(v)

    placed = jax.device_put(x, NamedSharding(mesh, PartitionSpec("data")))
    alone = jax.jit(grad)(variables, x)
    close(
        jax.jit(grad)(jax.device_put(variables, NamedSharding(mesh, PartitionSpec())), placed),
        alone,
    )
    specs = (PartitionSpec(), PartitionSpec("data"))
    mapped = jax.shard_map(grad, mesh=mesh, in_specs=specs, out_specs=PartitionSpec())
    close(jax.jit(mapped)(variables, x), alone)


@pytest.mark.slow
@each_once
def test_bfloat16_computes_coarsely_with_float32_parameters(name, way, go):
    go(way)
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
    for ours, theirs in zip(*map(jax.tree.leaves, (grads, exact)), strict=True):
        assert 0 < float(jnp.abs(ours - theirs).max()) < 0.1 * float(jnp.abs(theirs).max()) + 0.02


@each_layer
def test_on_a_cpu_and_elsewhere_one_loop_and_a_product_before_it_only_elsewhere(name):
    x = normal(90, B, T, D)
    variables = parameters(name)
    traced = jax.jit(partial(run, name)).trace(variables, x)
    wide = rf"dot_general.*\(tensor<{T}x{B}x{D}xf32>"
    for platform, ahead in (("cpu", False), ("cuda", True), ("tpu", True)):
        text = traced.lower(lowering_platforms=(platform,)).as_text()
        assert text.count("stablehlo.while") == 1
        assert bool(re.search(wide, text)) == ahead
