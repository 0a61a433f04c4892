"""A linear function with its own transpose: both modes, batches, residuals, loops, devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from jaxdl.nn.linear import linear_call

RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 4)).astype(np.float32)
X = RNG.normal(size=4).astype(np.float32)
V = RNG.normal(size=4).astype(np.float32)


def forward(r, x):
    return {"y": jnp.sin(r["a"]) @ x["u"] + 2 * x["v"]}


def transpose(r, g):
    return {"u": jnp.sin(r["a"]).T @ g["y"], "v": 2 * g["y"]}


def wrong(r, g):
    return {"u": jnp.full(4, 5.0), "v": jnp.full(3, 7.0)}


def product(a, u, v, transpose=transpose):
    return linear_call(forward, transpose, {"a": a}, {"u": u, "v": v})["y"]


def plain(a, u, v):
    return forward({"a": a}, {"u": u, "v": v})["y"]


def args(*batch):
    shapes = ((3, 4), (4,), (3,))
    return [RNG.normal(size=(*batch, *shape)).astype(np.float32) for shape in shapes]


def close(a, b):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6), a, b)


def loss(f):
    return lambda *args: jnp.sum(f(*args) ** 3)


def test_the_transpose_that_is_given_is_called():
    def f(u, v):
        return product(A, u, v, wrong).sum()

    gradients = jax.grad(f, (0, 1))(X, X[:3])
    close(gradients, (np.full(4, 5.0), np.full(3, 7.0)))


def test_the_transpose_of_the_transpose_is_the_function():
    def f(u):
        return product(A, u, X[:3], wrong)

    def pulled(g):
        return jax.vjp(f, X)[1](g)[0]

    twice = jax.linear_transpose(pulled, X[:3])(V)[0]
    close(twice, np.sin(A) @ V)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("which", [(0,), (1,), (2,), (1, 2), (0, 1, 2)])
def test_derivatives_of_first_and_second_order(which, compiled):
    wrap = jax.jit if compiled else lambda f: f
    values = args()
    directions = args()

    def derivatives(f):
        def chosen(*given):
            full = list(values)
            for i, x in zip(which, given, strict=True):
                full[i] = x
            return loss(f)(*full)

        at = [values[i] for i in which]
        along = tuple(directions[i] for i in which)
        numbers = tuple(range(len(which)))
        gradient = jax.grad(chosen, numbers)
        by_rows = jax.grad(lambda *x: sum(map(jnp.vdot, gradient(*x), along)), numbers)
        return wrap(
            lambda *x: (
                gradient(*x),
                jax.jvp(chosen, x, along),
                jax.jvp(gradient, x, along),
                by_rows(*x),
            )
        )(*at)

    close(derivatives(product), derivatives(plain))


@pytest.mark.parametrize("axes", [(0, 0, 0), (None, 0, 0), (0, None, None), (None, 0, None)])
def test_gradients_of_batches_and_batches_of_gradients(axes):
    batch = args(5)
    given = [x if axis == 0 else x[0] for x, axis in zip(batch, axes, strict=True)]

    def both(f):
        inside = jax.vmap(jax.grad(loss(f), (0, 1, 2)), axes)
        outside = jax.grad(loss(jax.vmap(f, axes)), (0, 1, 2))
        tangents = jax.jvp(jax.vmap(f, axes), given, [x + 1 for x in given])
        return inside(*given), outside(*given), tangents

    close(both(product), both(plain))


def test_inside_a_loop_a_branch_and_a_checkpoint():
    a, u, v = args()

    def repeated(f):
        @jax.checkpoint
        def body(u, scale):
            y = jax.lax.cond(scale > 0.5, lambda: f(a, u, v), lambda: v)
            return jnp.concatenate([y, u[:1]]) * scale, None

        return lambda u: jax.lax.scan(body, u, jnp.linspace(0.3, 0.9, 6))[0].sum()

    close(jax.grad(repeated(product))(u), jax.grad(repeated(plain))(u))
    hessians = [jax.hessian(repeated(f))(u) for f in (product, plain)]
    close(*hessians)


def test_devices_with_their_own_parts_of_a_batch():
    mesh = jax.make_mesh((jax.device_count(),), ("data",), axis_types=(AxisType.Auto,))
    a, u, v = args(2 * jax.device_count())

    def total(f):
        def part(a, u, v):
            return jax.lax.psum(jnp.sum(jax.vmap(f)(a, u, v) ** 2), "data")

        specs = (PartitionSpec("data"), PartitionSpec("data"), PartitionSpec("data"))
        return jax.shard_map(part, mesh=mesh, in_specs=specs, out_specs=PartitionSpec())

    close(*(jax.jit(jax.grad(total(f), (0, 1, 2)))(a, u, v) for f in (product, plain)))
    close(*(jax.jit(lambda *x, f=f: jax.jvp(total(f), x, x))(a, u, v) for f in (product, plain)))
