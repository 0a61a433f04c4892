"""Spectral normalization: kernels divided by their largest singular value, whatever network they belong to."""

from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, Key

Vectors = dict[str, Float[Array, " O"]]


def spectral_vectors(params: Any, key: Key[Array, ""]) -> Vectors:
    """A first guess of each kernel's singular vector: where the power iteration of `spectral_norm` starts.

    Args:
      params: of any network; what is called `kernel` counts, but for those of a class's embedding (`embed`), which no
        input passes through.
      key: the vectors are drawn from it.

    Returns:
      By the path of its kernel `[..., O]` a vector `[O]` of length 1.

    Example:
      >>> found = spectral_vectors({"a": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}}, jax.random.key(0))
      >>> {path: u.shape for path, u in found.items()}
      {'a/kernel': (3,)}
    """
    kernels = [
        (path, w)
        for path, w in flatten_dict(params).items()
        if path[-1] == "kernel" and "embed" not in path
    ]
    return {
        "/".join(path): _unit(jax.random.normal(jax.random.fold_in(key, i), w.shape[-1:]))
        for i, (path, w) in enumerate(kernels)
    }


def spectral_norm(params: Any, vectors: Vectors) -> tuple[Any, Vectors]:
    """The same parameters with kernels of spectral norm 1, after one step of the power iteration.

        v = W u / |W u|,    u' = W^T v / |W^T v|,    s = v^T W u',    W' = W / s

    A kernel of a convolution `[h, w, I, O]` counts as a matrix `[h w I, O]`. The vectors are constants of the gradient;
    s is not, as a function of W.

    Args:
      params: as given to `spectral_vectors`.
      vectors: u of each kernel; a network's running state, which goes on from step to step.

    Returns:
      The parameters to call the network with, and the vectors after the step.

    Source: Miyato et al. 2018, Spectral normalization for generative adversarial networks.

    Example:
      >>> params = {"a": {"kernel": jnp.diag(jnp.array([3.0, 1.0])), "bias": jnp.ones(2)}}
      >>> params, _ = spectral_norm(params, {"a/kernel": jnp.array([1.0, 0.0])})
      >>> jnp.diag(params["a"]["kernel"]).round(3).tolist(), params["a"]["bias"].tolist()
      ([1.0, 0.3330000042915344], [1.0, 1.0])
    """
    leaves = flatten_dict(params)
    moved = {}
    for path, u in vectors.items():
        w = leaves[tuple(path.split("/"))]
        matrix = w.reshape(-1, w.shape[-1])
        still = jax.lax.stop_gradient(matrix)
        v = _unit(still @ u)
        moved[path] = _unit(v @ still)
        leaves[tuple(path.split("/"))] = w / (v @ matrix @ moved[path])
    return unflatten_dict(leaves), moved


def _unit(x: Float[Array, " D"]) -> Float[Array, " D"]:
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)
