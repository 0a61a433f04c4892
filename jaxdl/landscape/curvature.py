"""Curvature of the loss: along a direction, and the largest eigenvalue of the Hessian."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.tree_util import Partial
from jaxtyping import Array, Float, Key
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from jaxdl.errors import InputError, in_range, not_in_jit, one_of
from jaxdl.explain.layers import as_partial
from jaxdl.landscape.directions import check_params, check_same
from jaxdl.landscape.loss import Loss, check_loss, compiled
from jaxdl.rng import check_single_key, stream

#: Names of ARPACK for the eigenvalues that can be asked for.
_WHICH = {"magnitude": "LM", "highest": "LA", "lowest": "SA"}

#: Most restarts of the Lanczos iteration; each one takes about 20 products.
_RESTARTS = 100


class Eigenpair(NamedTuple):
    """An eigenvalue of the Hessian.

    Attributes:
      value: the eigenvalue, with its sign.
      vector: its direction, a tree like the parameters, of Euclidean norm 1.
      residual: ||H v - value v||. The Hessian has an eigenvalue that is at most this far from
        `value`.
      products: number of products with the Hessian, each of which takes as long as two gradients.

    Example: see `largest_eigenvalue`.
    """

    value: float
    vector: Any
    residual: float
    products: int


def curvature(f: Loss, params: Any, direction: Any) -> Float[Array, ""]:
    """Computes the curvature of a loss along a direction.

        d' H d = d^2/da^2 f(params + a d)  at a = 0,    H the Hessian of f

    For a direction of norm 1 it is between the lowest and the highest eigenvalue of H.

    Source: Pearlmutter 1994, Fast exact multiplication by the Hessian.

    Args:
      f: loss as a function of parameters, such as the result of `loss_of`.
      params: tree of arrays.
      direction: tree of arrays of the same shapes.

    Returns:
      A scalar.

    Raises:
      InputError: a direction of another network, or an f whose value is not a scalar.

    Example:
      >>> f = lambda params: 3 * params["w"][0] ** 2 + params["w"][0] * params["w"][1]
      >>> w = {"w": jnp.array([5.0, 7.0])}
      >>> float(curvature(f, w, {"w": jnp.array([1.0, 0.0])}))
      6.0
    """
    _check(f, params, direction, "direction")
    return compiled(_curvature)(as_partial(f), params, direction)


def hessian_vector_product(f: Loss, params: Any, vector: Any) -> Any:
    """Computes the product of the Hessian of a loss with a vector, without the Hessian.

        H v = d/da grad f(p + a v)  at a = 0

    It takes about as long as two gradients. It is the tangent of the gradient: forward over
    reverse. A function with `jax.custom_vjp` has none.

    Source: Pearlmutter 1994, Fast exact multiplication by the Hessian.

    Args:
      f: loss as a function of parameters.
      params: tree of arrays.
      vector: tree of arrays of the same shapes.

    Returns:
      A tree of the same shapes.

    Raises:
      InputError: a vector of another network, or an f whose value is not a scalar.

    Example:
      >>> f = lambda w: w[0] ** 2 * w[1]
      >>> hessian_vector_product(f, jnp.array([3.0, 5.0]), jnp.array([1.0, 0.0])).tolist()
      [10.0, 6.0]
    """
    _check(f, params, vector, "vector")
    return compiled(_product)(as_partial(f), params, vector)


def largest_eigenvalue(
    f: Loss,
    params: Any,
    key: Key[Array, ""],
    *,
    which: Literal["magnitude", "highest", "lowest"] = "magnitude",
    tolerance: float = 1e-4,
) -> Eigenpair:
    """Returns an extreme eigenvalue of the Hessian of a loss, with its direction.

        H v = value v,    ||v|| = 1

    The method is the Lanczos iteration of ARPACK, from a random start. It needs products with H
    only. It also converges where power iteration does not: for two eigenvalues of equal size and
    opposite sign.

    Gradient descent with the learning rate r is stable at a minimum if the highest eigenvalue is
    less than 2 / r.

    Source: Lehoucq, Sorensen, Yang 1998, ARPACK users' guide; Cohen et al. 2021, Gradient descent
    on neural networks typically occurs at the edge of stability.

    Args:
      f: loss as a function of parameters, such as the result of `loss_of`.
      params: tree of arrays.
      key: root key of the start.
      which: the eigenvalue: "magnitude" for the one with the largest absolute value, which may be
        negative; "highest" or "lowest" for the order of the numbers with their signs.
      tolerance: largest residual, relative to the absolute value. Float32 allows about 1e-5.

    Returns:
      The eigenvalue, its direction, the residual, and the number of products.

    Raises:
      InputError: an f whose value is not a scalar, a Hessian that is not finite, an option out of
        range, or an iteration that does not reach the tolerance.

    Example:
      >>> from jaxdl.rng import root
      >>> f = lambda w: 3 * w[0] ** 2 - 5 * w[1] ** 2
      >>> found = [largest_eigenvalue(f, jnp.ones(2), root(0), which=which)
      ...          for which in ("magnitude", "highest", "lowest")]
      >>> [round(each.value, 3) for each in found]
      [-10.0, 6.0, -10.0]
    """
    _check(f, params, params, "params")
    one_of("which", which, _WHICH)
    in_range("tolerance", tolerance, 0, 1)
    check_single_key(key)
    flat, unravel = ravel_pytree(params)
    start = jax.random.normal(stream(key, "eigenvalue"), flat.shape, flat.dtype)
    product = _Product(as_partial(f), params, flat.dtype)
    value, vector = _extreme(product, np.asarray(start, np.float64), _WHICH[which], tolerance)
    image = product(vector)
    value = float(vector @ image)
    residual = float(np.linalg.norm(image - value * vector))
    return Eigenpair(value, unravel(jnp.asarray(vector, flat.dtype)), residual, product.count)


class _Product:
    """The products of a Hessian with vectors `[D]` on the host, and their number."""

    def __init__(self, f: Partial, params: Any, dtype: Any):
        self.f = f
        self.params = params
        self.dtype = dtype
        self.count = 0

    def __call__(self, vector: Float[np.ndarray, " D"]) -> Float[np.ndarray, " D"]:
        """Returns the product; raises if it is not finite."""
        self.count += 1
        flat = jnp.asarray(np.ravel(vector), self.dtype)
        image = np.asarray(compiled(_flat_product)(self.f, self.params, flat), np.float64)
        if not np.isfinite(image).all():
            allowed = "a loss with finite second derivatives at the parameters"
            raise InputError("f", "a Hessian with NaN or infinity", allowed)
        return image


def _extreme(
    product: _Product, start: Float[np.ndarray, " D"], which: str, tolerance: float
) -> tuple[float, Float[np.ndarray, " D"]]:
    """Returns an extreme eigenvalue and its vector."""
    start = start / np.linalg.norm(start)
    image = product(start)
    # ARPACK refuses one dimension, and a start that the matrix maps to zero.
    if len(start) == 1 or not image.any():
        return float(start @ image), start
    operator = LinearOperator((len(start),) * 2, matvec=product, dtype=np.float64)
    try:
        values, vectors = eigsh(
            operator, 1, which=which, v0=start, tol=tolerance, maxiter=_RESTARTS, rng=0
        )
    except ArpackNoConvergence:
        allowed = f"larger; {product.count} products with the Hessian were not enough"
        raise InputError("tolerance", tolerance, allowed) from None
    return float(values[0]), vectors[:, 0] / np.linalg.norm(vectors[:, 0])


def _check(f: Loss, params: Any, direction: Any, field: str) -> None:
    """Raises unless f returns a scalar and the direction is one of its parameters."""
    not_in_jit("curvature")
    check_params("params", params)
    check_same(params, direction, field)
    dtype = check_loss(f, params).dtype
    if not jnp.issubdtype(dtype, jnp.floating):
        raise InputError("f", dtype, "a function with a float as result, such as a mean loss")


def _dot(a: Any, b: Any) -> Float[Array, ""]:
    parts = jax.tree.map(lambda x, y: jnp.vdot(x, y), a, b)
    return sum(jax.tree.leaves(parts))  # type: ignore[return-value]


def _product(f: Partial, params: Any, vector: Any) -> Any:
    tangent = jax.tree.map(lambda w, v: jnp.asarray(v).astype(jnp.result_type(w)), params, vector)
    return jax.jvp(jax.grad(f), (params,), (tangent,))[1]


def _curvature(f: Partial, params: Any, direction: Any) -> Float[Array, ""]:
    return _dot(direction, _product(f, params, direction))


def _flat_product(f: Partial, params: Any, flat: Float[Array, " D"]) -> Float[Array, " D"]:
    unravel = ravel_pytree(params)[1]
    return ravel_pytree(_product(f, params, unravel(flat)))[0]
