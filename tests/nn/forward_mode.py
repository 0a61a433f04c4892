"""Forward mode of every layer, compared with finite differences and with reverse mode.

    python -m tests.nn.forward_mode    # the largest relative error of each layer

A layer is a function f of its parameters and inputs, which are differentiated together. For a
random direction v and L = sum(f^2):

    slope        (f(p + h v) - f(p - h v)) / 2h, extrapolated to h = 0, against jvp
    curvature    jvp(grad L) against grad(<grad L, v>): forward over reverse, reverse over reverse
"""

import os
from collections.abc import Callable
from typing import Any

if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import nn
from jaxdl.models.mlp import normalize

#: Largest relative error by the dtype of the computation.
LIMITS = {"float32": 1e-4, "float64": 1e-8}

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 6, 7, 3))
STEPS = RNG.normal(size=(2, 9, 3))
VECTORS = RNG.normal(size=(4, 5))
LENGTHS = np.array([9, 4], np.int32)
KEY = jax.random.key(5)


def kernel(*shape: int) -> Any:
    return RNG.normal(size=shape) / np.sqrt(np.prod(shape[:-1]))


def layer(module: Any, x: Any, *args: Any, **kwargs: Any) -> tuple[Callable, Any]:
    """Returns a module as a function of its parameters and inputs, and their random values."""
    variables = jax.eval_shape(lambda: module.init(KEY, jnp.asarray(x, np.float32), *args))
    params = jax.tree.map(lambda p: RNG.normal(size=p.shape), variables.get("params", {}))

    def f(both: Any) -> Any:
        params, x = both
        return module.apply({"params": params}, x, *args, **kwargs)

    return f, (params, x)


def function(f: Callable, *arrays: Any) -> tuple[Callable, Any]:
    return (lambda arrays: f(*arrays)), arrays


def normalized(params: Any) -> Any:
    """Divides a kernel by its spectral norm, whose vectors have converged.

    So the gradient that treats them as constants is the true one.
    """
    vectors = nn.spectral_vectors(params, KEY)
    vectors = jax.tree.map(lambda a: a.astype(params["kernel"].dtype), vectors)
    vectors = jax.lax.fori_loop(0, 500, lambda _, v: nn.spectral_norm(params, v)[1], vectors)
    return nn.spectral_norm(params, vectors)[0]


class Normalized(linen.Module):
    """The norm of a stage."""

    kind: str

    @linen.compact
    def __call__(self, x: Any) -> Any:
        # Linen's norms promote float64 and float32.
        with jax.numpy_dtype_promotion("standard"):
            return normalize(x, nn.Norm(self.kind, groups=1), "norm", train=True)


def normalized_maps(kind: str) -> tuple[Callable, Any]:
    return layer(Normalized(kind), IMAGES)


#: A function of one tree and the tree, for everything that is exported.
LAYERS: dict[str, Callable[[], tuple[Callable, Any]]] = {
    "Conv": lambda: layer(nn.Conv(4), IMAGES),
    "Conv1D": lambda: layer(nn.Conv1D(4, 3, 2), STEPS),
    "Conv with groups": lambda: layer(nn.Conv(6, groups=3, dilation=2), IMAGES),
    "ConvTranspose1D": lambda: layer(nn.ConvTranspose1D(2, 3, 2), STEPS),
    "ConvTranspose": lambda: layer(nn.ConvTranspose(2, 4, 2), IMAGES),
    "Dropout": lambda: layer(nn.Dropout(0.5), VECTORS, True, rngs={"dropout": KEY}),
    "GRU": lambda: layer(nn.GRU(4), STEPS),
    "GRU before the product": lambda: layer(nn.GRU(4, reset_after=False), STEPS),
    "GroupNorm": lambda: normalized_maps("group"),
    "InstanceNorm": lambda: normalized_maps("instance"),
    "LSTM": lambda: layer(nn.LSTM(4), STEPS),
    "MaskedConv": lambda: layer(nn.MaskedConv(4, centre=False), IMAGES),
    "PReLU": lambda: layer(nn.PReLU(), VECTORS),
    "RNN": lambda: layer(nn.RNN("lstm", 4, 2, True), STEPS, False),
    "SimpleRNN": lambda: layer(nn.SimpleRNN(4, reverse=True), STEPS),
    "TimeDistributed": lambda: layer(nn.TimeDistributed(nn.WeightNormDense(2)), STEPS, False),
    "WeightNormDense": lambda: layer(nn.WeightNormDense(3), VECTORS),
    "adaptive_avg_pool": lambda: function(lambda x: nn.adaptive_avg_pool(x, 4), IMAGES),
    "avg_pool with padding": lambda: function(lambda x: nn.avg_pool(x, 3, 2, "SAME"), IMAGES),
    "avg_pool": lambda: function(lambda x: nn.avg_pool(x, 3, 2), IMAGES),
    "conv1d": lambda: function(nn.conv1d, STEPS, kernel(3, 3, 2)),
    "conv2d": lambda: function(lambda x, k: nn.conv2d(x, k, 2), IMAGES, kernel(5, 5, 3, 4)),
    "conv2d per channel": lambda: function(
        lambda x, k: nn.conv2d(x, k, 2, groups=3), IMAGES, kernel(3, 3, 1, 6)
    ),
    "conv2d of few channels": lambda: function(nn.conv2d, IMAGES, kernel(3, 3, 3, 2)),
    "conv_transpose2d": lambda: function(
        lambda x, k: nn.conv_transpose2d(x, k, 2), IMAGES, kernel(3, 3, 3, 4)
    ),
    "conv_transpose1d": lambda: function(nn.conv_transpose1d, STEPS, kernel(3, 3, 2)),
    "lengths in an LSTM": lambda: layer(nn.LSTM(4), STEPS, None, nn.length_mask(LENGTHS, 9)),
    "lp_pool": lambda: function(lambda x: nn.lp_pool(x, 2, p=3), IMAGES),
    "max_pool with padding": lambda: function(lambda x: nn.max_pool(x, 3, 2, 1), IMAGES),
    "max_pool": lambda: function(lambda x: nn.max_pool(x, 2), IMAGES),
    "max_pool with overlap": lambda: function(lambda x: nn.max_pool(x, 3, 2), IMAGES),
    "pool_steps": lambda: function(lambda x: nn.pool_steps(x, "mean", LENGTHS), STEPS),
    "spectral_norm": lambda: (normalized, {"kernel": kernel(5, 4)}),
}


def slope_error(name: str, dtype: str) -> float:
    """Returns the relative error of `jvp` against a finite difference in float64."""
    f, args = LAYERS[name]()
    direction = jax.tree.map(lambda a: np.random.default_rng(1).normal(size=a.shape), args)
    with jax.enable_x64(True):

        def along(h: float) -> Any:
            return f(jax.tree.map(lambda a, v: jnp.asarray(a + h * v), args, direction))

        def difference(h: float) -> Any:
            return jax.tree.map(lambda a, b: (a - b) / (2 * h), along(h), along(-h))

        h = 3e-4
        slope = jax.tree.map(lambda a, b: (4 * a - b) / 3, difference(h), difference(2 * h))
        narrow = [jax.tree.map(lambda a: jnp.asarray(a, dtype), t) for t in (args, direction)]
        tangent = jax.jit(lambda a, v: jax.jvp(f, (a,), (v,))[1])(*narrow)
    return relative_error(tangent, slope)


def curvature_error(name: str, dtype: str) -> float:
    """Returns the relative difference of two products of the Hessian with a direction."""
    f, args = LAYERS[name]()
    direction = jax.tree.map(lambda a: np.random.default_rng(1).normal(size=a.shape), args)

    def loss(args: Any) -> Any:
        return sum((y**2).sum() for y in jax.tree.leaves(f(args)))

    def product(args: Any, v: Any) -> Any:
        gradient = jax.tree.leaves(jax.grad(loss)(args))
        pairs = zip(gradient, jax.tree.leaves(v), strict=True)
        return sum(jnp.vdot(a, b) for a, b in pairs)

    def forward(args: Any, v: Any) -> Any:
        return jax.jvp(jax.grad(loss), (args,), (v,))[1]

    with jax.enable_x64(True):
        narrow = [jax.tree.map(lambda a: jnp.asarray(a, dtype), t) for t in (args, direction)]
        return relative_error(jax.jit(forward)(*narrow), jax.jit(jax.grad(product))(*narrow))


def relative_error(found: Any, wanted: Any) -> float:
    """Computes max |a - b| / max |b| over all arrays together."""
    flat, right = (
        np.concatenate([np.ravel(np.asarray(x, np.float64)) for x in jax.tree.leaves(tree)])
        for tree in (found, wanted)
    )
    return float(np.abs(flat - right).max() / np.abs(right).max())


def main() -> None:
    """Prints a row for each layer, and the largest errors."""
    kinds = [(error, dtype) for error in (slope_error, curvature_error) for dtype in LIMITS]
    print(f"{'layer':28} {'slope':>20} {'curvature':>20}")
    print(f"{'':28} {'float32    float64':>20} {'float32    float64':>20}")
    rows = []
    for name in LAYERS:
        rows.append([error(name, dtype) for error, dtype in kinds])
        print(f"{name:28} " + " ".join(f"{error:10.1e}" for error in rows[-1]), flush=True)
    print(f"{'largest':28} " + " ".join(f"{error:10.1e}" for error in np.max(rows, 0)))


if __name__ == "__main__":
    main()
