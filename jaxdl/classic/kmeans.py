"""k-means by Lloyd's algorithm, with the centers of every step."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from jaxdl.classic.pca import checked
from jaxdl.errors import InputError, at_least, real_array


class KMeans(NamedTuple):
    """The steps of k-means, from the starts on.

    Attributes:
      centers: `[S + 1, K, D]`, the centers before each step and after the last one.
      label: `[S + 1, N]`, the index of the nearest of these centers.
      inertia: `[S + 1]`, the sum of squared distances to the nearest center; it never rises.
    """

    centers: Float[np.ndarray, "S K D"]
    label: Int[np.ndarray, "S N"]
    inertia: Float[np.ndarray, " S"]

    @property
    def steps(self) -> int:
        """Number of steps."""
        return len(self.inertia) - 1


def kmeans(
    x: Float[Array | np.ndarray, "N D"], start: Float[Array | np.ndarray, "K D"], steps: int = 100
) -> KMeans:
    """Moves centers to the mean of the examples that are nearest to them, again and again.

        label_i = argmin_k |x_i - c_k|^2,    c_k = mean of all x_i with label_i = k

    The steps end when no label changes. A center without examples stays where it is, so that the
    inertia cannot rise. scikit-learn moves it to the example that is farthest from its center.

    Args:
      x: `[N, D]`, float.
      start: `[K, D]`, such as that of `kmeans_starts`.
      steps: largest number of steps, at least 1.

    Returns:
      The centers, labels and inertia by step. At equal distances the first center counts.

    Raises:
      InputError: other shapes, no finite values, or more centers than examples.

    Example:
      >>> x = np.array([[0.0], [1.0], [8.0], [9.0]])
      >>> found = kmeans(x, x[:2])
      >>> found.centers[..., 0].round(2).tolist(), found.inertia.round(2).tolist()
      ([[0.0, 1.0], [0.0, 6.0], [0.5, 8.5]], [113.0, 14.0, 1.0])

    Source: Lloyd 1982, Least squares quantization in PCM.
    """
    examples = checked(x)
    centers = checked(start, "start").astype(examples.dtype)
    check_count(centers.shape[0], examples.shape[0])
    if centers.shape[1] != examples.shape[1]:
        raise InputError("start", centers.shape, f"[K, {examples.shape[1]}]")
    at_least("steps", steps, 1)
    rows = []
    before = None
    for _ in range(steps + 1):
        label, inertia, following = (np.asarray(each) for each in _step(examples, centers))
        rows.append((np.asarray(centers), label, inertia))
        if before is not None and (label == before).all():
            break
        before = label
        centers = jnp.asarray(following)
    return KMeans(*(np.stack(each) for each in zip(*rows, strict=True)))


@jax.jit
def _step(
    x: Float[Array, "N D"], centers: Float[Array, "K D"]
) -> tuple[Int[Array, " N"], Float[Array, ""], Float[Array, "K D"]]:
    """Returns labels and inertia for the centers, and the centers of the next step."""

    # One center at a time needs [N, D] numbers, and differences round less than products.
    def distance(center: Float[Array, " D"]) -> Float[Array, " N"]:
        return ((x - center[None]) ** 2).sum(1)

    distances = lax.map(distance, centers)
    label = distances.argmin(0)
    members = jax.nn.one_hot(label, len(centers), dtype=x.dtype, axis=0)
    count = members.sum(1)[:, None]
    mean = (members @ x) / jnp.maximum(count, 1)
    return label, distances.min(0).sum(), jnp.where(count > 0, mean, centers)


def kmeans_starts(
    x: Float[np.ndarray, "N D"], count: int, seed: int = 0
) -> Float[np.ndarray, "K D"]:
    """Chooses examples that are far from each other as first centers (k-means++).

    Each center is an example, which is chosen with a probability proportional to its squared
    distance from the nearest center so far.

    Args:
      x: `[N, D]`, float.
      count: K, at most N.
      seed: seed of scikit-learn's random numbers.

    Returns:
      `[K, D]`, rows of `x`.

    Raises:
      InputError: another shape, no finite values, more centers than examples, or a seed outside of
        [0, 2^32).

    Example:
      >>> x = np.array([[0.0], [0.1], [9.0]])
      >>> sorted(kmeans_starts(x, 2).round().ravel().tolist())
      [0.0, 9.0]

    Source: Arthur, Vassilvitskii 2007; `sklearn.cluster.kmeans_plusplus`.
    """
    from sklearn.cluster import kmeans_plusplus

    examples = np.asarray(checked(x))
    check_count(count, len(examples))
    at_least("seed", seed, 0)
    if seed >= 2**32:
        raise InputError("seed", seed, "an integer in [0, 2**32)")
    centers, _ = kmeans_plusplus(examples, count, random_state=seed)
    return centers


def check_count(count: int, size: int) -> None:
    """Raises unless there are at least as many examples as centers.

    Example:
      >>> check_count(5, 3)
      Traceback (most recent call last):
      jaxdl.errors.InputError: clusters: got 5, allowed: at most 3, one for each example
    """
    at_least("clusters", count, 1)
    if count > size:
        raise InputError("clusters", count, f"at most {size}, one for each example")


def purity(label: Int[np.ndarray, " N"], classes: Int[np.ndarray, " N"]) -> float:
    """Returns the share of examples that belong to the most frequent class of their cluster.

        1/N sum_k max_c #{i: label_i = k, class_i = c}

    Args:
      label: `[N]`, the cluster of each example.
      classes: `[N]`, its class.

    Returns:
      A number in (0, 1]; 1 if no cluster mixes classes.

    Raises:
      InputError: different lengths, or no examples.

    Example:
      >>> purity(np.array([0, 0, 1, 1]), np.array([7, 7, 7, 8]))
      0.75
    """
    label = np.asarray(real_array("label", label, "integers [N]"))
    classes = np.asarray(real_array("classes", classes, "integers [N]"))
    if label.shape != classes.shape or label.ndim != 1 or not label.size:
        raise InputError("classes", classes.shape, f"as label, {label.shape}, not empty")
    most = [np.unique(classes[label == k], return_counts=True)[1].max() for k in np.unique(label)]
    return float(np.sum(most) / np.size(label))
