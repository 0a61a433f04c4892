"""Principal components: the directions in which a set varies most."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.classic.checks import with_features
from jaxdl.errors import InputError, at_least, real_array
from jaxdl.metrics import wide_dtype


class PCA(NamedTuple):
    """Principal components of a set.

    Attributes:
      mean: `[D]`, the mean of the examples.
      components: `[K, D]`, orthogonal directions of length 1, by descending variance.
      variance: `[K]`, the variance of the examples along each direction.
      share: `[K]`, the variance divided by that of all D directions.
    """

    mean: Float[Array, " D"]
    components: Float[Array, "K D"]
    variance: Float[Array, " K"]
    share: Float[Array, " K"]

    def transform(self, x: Float[Array | np.ndarray, "N D"]) -> Float[Array, "N K"]:
        """Returns the coordinates along the components, z = (x - m) V^T."""
        x = with_features("x", x, self.components.shape[1]).astype(self.mean.dtype)
        return (x - self.mean[None]) @ self.components.T

    def inverse(self, z: Float[Array | np.ndarray, "N K"]) -> Float[Array, "N D"]:
        """Returns the examples with these coordinates, x = m + z V.

        `inverse(transform(x))` is the nearest point to x that the components reach.
        """
        z = with_features("z", z, self.components.shape[0]).astype(self.mean.dtype)
        return self.mean[None] + z @ self.components


def pca(x: Float[Array | np.ndarray, "N D"], count: int) -> PCA:
    """Computes principal components by a singular value decomposition.

        x - m = U S V^T,    variance_k = S_k^2 / (N - 1) = |(x - m) v_k|^2 / (N - 1)

    The covariance is never computed, because its rounding would hide directions of little variance.
    The sign of a component makes its largest weight positive, as in scikit-learn. The features
    should have one unit of measurement, else the one with the largest numbers comes first.

    Args:
      x: `[N, D]`, float, with N at least 2.
      count: K, the number of components, at most the smaller of N and D.

    Returns:
      The components with their variances, of the dtype of `x`; float32 for 16 bits.

    Raises:
      InputError: another shape or dtype, one example, values that are not finite, or too many
        components.

    Example:
      >>> x = np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]])
      >>> found = pca(x, 1)
      >>> found.components.tolist(), found.variance.round(3).tolist(), found.share.tolist()
      ([[1.0, 0.0]], [4.0], [1.0])
      >>> found.inverse(found.transform(x)).round(3).tolist()
      [[0.0, 1.0], [2.0, 1.0], [4.0, 1.0]]

    Source: Pearson 1901, On lines and planes of closest fit to systems of points in space; the sign
    is that of scikit-learn's `svd_flip`.
    """
    x = checked(x)
    if x.shape[0] < 2:
        raise InputError("x", x.shape, "at least 2 examples")
    at_least("count", count, 1)
    if count > min(x.shape):
        sizes = f"{x.shape[0]} examples and {x.shape[1]} features"
        allowed = f"at most {min(x.shape)}, the smaller of {sizes}"
        raise InputError("count", count, allowed)
    mean = x.mean(0)
    centered = x - mean[None]
    _, _, directions = jnp.linalg.svd(centered, full_matrices=False)
    largest = jnp.abs(directions).argmax(1)
    signs = jnp.sign(jnp.take_along_axis(directions, largest[:, None], 1))
    components = (directions * signs)[:count]
    # Coordinates round less than the squares of S.
    sums = ((centered @ components.T) ** 2).sum(0)
    total = jnp.maximum((centered**2).sum(), jnp.finfo(x.dtype).tiny)
    return PCA(mean, components, sums / (x.shape[0] - 1), sums / total)


def checked(x: Float[Array | np.ndarray, "N D"], field: str = "x") -> Float[Array, "N D"]:
    """Returns an array of examples; raises an error for another shape, dtype or value.

    Floats of 16 bits become float32.

    Example:
      >>> checked(np.zeros(3))
      Traceback (most recent call last):
      jaxdl.errors.InputError: x: got (3,), allowed: examples [N, D], such as x.reshape(len(x), -1)
    """
    allowed = "examples [N, D], such as x.reshape(len(x), -1)"
    array = real_array(field, x, allowed)
    if array.ndim != 2 or not array.size:
        raise InputError(field, array.shape, allowed)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise InputError(f"{field} dtype", array.dtype.name, "floats, such as x.astype(float)")
    if not np.isfinite(np.asarray(array)).all():
        raise InputError(field, "NaN or infinite values", "finite values")
    return array.astype(wide_dtype(array.dtype))
