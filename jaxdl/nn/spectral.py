"""Spectral normalization: the kernels of any network divided by their largest singular value."""

from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, Key

Vectors = dict[str, Float[Array, " O"]]


def spectral_vectors(params: Any, key: Key[Array, ""]) -> Vectors:
    """Returns random vectors, from which the power iteration of `spectral_norm` starts.

    Args:
      params: parameters of any network. Arrays called `kernel` are used, except those of a class
        embedding (`embed`), which do not multiply the input.
      key: key for the random vectors.

    Returns:
      A vector `[O]` of norm 1 for each kernel `[..., O]`, by the kernel's path.

    Example:
      >>> params = {"a": {"kernel": jnp.ones((4, 3)), "bias": jnp.ones(3)}}
      >>> vectors = spectral_vectors(params, jax.random.key(0))
      >>> {path: u.shape for path, u in vectors.items()}
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
    """Divides the kernels by their spectral norm, after one step of the power iteration.

        v = W u / |W u|,    u' = W^T v / |W^T v|,    s = v^T W u',    W' = W / s

    The kernel of a convolution `[h, w, I, O]` is used as a matrix `[h w I, O]`. The gradient treats
    the vectors as constants, but not s, which depends on W.

    Args:
      params: parameters as given to `spectral_vectors`.
      vectors: u of each kernel, a state that the network keeps from step to step.

    Returns:
      The normalized parameters for the network, and the vectors after the step.

    Source: Miyato et al. 2018, Spectral normalization for generative adversarial networks.

    Example:
      >>> params = {"a": {"kernel": jnp.diag(jnp.array([3.0, 1.0])), "bias": jnp.ones(2)}}
      >>> params, _ = spectral_norm(params, {"a/kernel": jnp.array([1.0, 0.0])})
      >>> jnp.diag(params["a"]["kernel"]).round(3).tolist(), params["a"]["bias"].tolist()
      ([1.0, 0.3330000042915344], [1.0, 1.0])
    """
    leaves = flatten_dict(params)
    updated = {}
    for path, u in vectors.items():
        w = leaves[tuple(path.split("/"))]
        matrix = w.reshape(-1, w.shape[-1])
        constant = jax.lax.stop_gradient(matrix)
        v = _unit(constant @ u)
        updated[path] = _unit(v @ constant)
        leaves[tuple(path.split("/"))] = w / (v @ matrix @ updated[path])
    return unflatten_dict(leaves), updated


def _unit(x: Float[Array, " D"]) -> Float[Array, " D"]:
    return x / jnp.maximum(jnp.linalg.norm(x), 1e-12)
