"""Scores of generated examples, reconstructions and codes, computed on the host.

Most of them compare sets of feature vectors, such as the activations of a classifier.
"""

import math

import numpy as np
from jaxtyping import Float, Int, Num

from jaxdl.errors import InputError, at_least

Features = Num[np.ndarray, "N D"]

#: Rows of which distances are computed at once, which bounds the memory.
_BLOCK = 500

#: Numbers of differences of vectors that are in memory at once.
_DIFFERENCES = 2**24


def frechet_distance(real: Features, generated: Features) -> float:
    """Computes the Fréchet distance between two sets, each approximated by a Gaussian.

        d = |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1^1/2 C_2 C_1^1/2)^1/2)
          = |m_1 - m_2|^2 + min_U |C_1^1/2 - C_2^1/2 U|^2,    U orthogonal

    The second form is computed, because the first one subtracts numbers that are almost equal.

    In the features of the Inception network this distance is called FID. Two finite sets from the
    same distribution have a distance above 0, so compare it with the distance between two sets of
    real examples.

    Args:
      real: features of real examples, `[N, D]`, N at least 2.
      generated: features of generated examples, `[M, D]`, M at least 2.

    Returns:
      The distance, at least 0.

    Raises:
      InputError: other shapes, fewer than 2 rows, or numbers that are not finite.

    Source: Dowson, Landau 1982; Heusel et al. 2017, GANs trained by a two time-scale update rule.

    Example:
      >>> x = np.random.default_rng(0).normal(size=(1000, 3))
      >>> round(frechet_distance(x, x + [2.0, 0.0, 0.0]), 3)
      4.0
    """
    real, generated = _pair(real, generated, 2)
    m1, root1 = _moments(real)
    m2, root2 = _moments(generated)
    left, _, right = np.linalg.svd(root2.T @ root1)
    return float(((m1 - m2) ** 2).sum() + ((root1 - root2 @ left @ right) ** 2).sum())


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean `[D]` and the root of the covariance, `[D, D]`."""
    mean = x.mean(0)
    _, values, vectors = np.linalg.svd(x - mean[None], full_matrices=False)
    return mean, (vectors.T * (values / np.sqrt(len(x) - 1))[None]) @ vectors


def coverage(label: Int[np.ndarray, " N"], classes: int) -> tuple[int, float]:
    """Counts the classes in a set of labels, and computes the entropy of their distribution.

        H = -sum_c p_c log p_c,   p_c the fraction of class c

    After a mode collapse a generative model covers few classes.

    Args:
      label: the classes of the examples, `[N]` in [0, classes), N at least 1. For generated
        examples these are the predictions of a classifier.
      classes: number of classes.

    Returns:
      `(count, H)`. The count is the number of classes with at least a tenth of the fraction
      1 / classes. H is in nats, and log(classes) if all classes are equally frequent.

    Raises:
      InputError: no labels, or a label out of range.

    Example:
      >>> count, entropy = coverage(np.array([0, 0, 1, 1]), 3)
      >>> count, round(entropy, 4)
      (2, 0.6931)
    """
    label = np.asarray(label)
    at_least("classes", classes, 1)
    if label.ndim != 1 or not label.size or not np.issubdtype(label.dtype, np.integer):
        raise InputError("label", f"{label.dtype}{list(label.shape)}", "integers [N], at least one")
    bad = label[(label < 0) | (label >= classes)]
    if bad.size:
        raise InputError("label", int(bad[0]), f"an integer in [0, {classes})")
    share = np.bincount(label, minlength=classes) / label.size
    positive = share[share > 0]
    count = int((share >= 0.1 / classes).sum())
    return count, float(-(positive * np.log(positive)).sum())


def nearest(
    queries: Num[np.ndarray, "N D"], points: Num[np.ndarray, "M D"], k: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Finds the k nearest neighbours of each query, for example to detect memorized examples.

    Args:
      queries: vectors, `[N, D]`.
      points: vectors among which the neighbours are searched, `[M, D]`.
      k: number of neighbours, in [1, M].

    Returns:
      Euclidean distances `[N, k]` in ascending order, and the rows of the neighbours `[N, k]`.

    Raises:
      InputError: other shapes, k out of range, or numbers that are not finite.

    Example:
      >>> distance, row = nearest(np.array([[0.0, 0.1]]), np.array([[3.0, 0.0], [0.0, 0.0]]))
      >>> distance.round(3).tolist(), row.tolist()
      ([[0.1]], [[1]])
    """
    queries, points = _pair(queries, points, 1)
    at_least("k", k, 1)
    if k > len(points):
        raise InputError("k", k, f"at most the number of points, {len(points)}")
    distances = []
    rows = []
    for block in np.array_split(queries, -(-len(queries) // _BLOCK)):
        low, high = _squared_distances(block, points)
        # All points that may be among the k nearest ones: mostly k, more where points are close
        # together and far from the mean.
        limit = np.partition(high, k - 1, axis=1)[:, k - 1 : k]
        count = int((low <= limit).sum(1).max())
        for part in np.array_split(np.arange(len(block)), _parts(len(block), count, points)):
            order = np.argpartition(low[part], count - 1, axis=1)[:, :count]
            order.sort(axis=1)
            apart = np.linalg.norm(block[part][:, None] - points[order], axis=2)
            inner = np.argsort(apart, axis=1, kind="stable")[:, :k]
            distances.append(np.take_along_axis(apart, inner, 1))
            rows.append(np.take_along_axis(order, inner, 1))
    return np.concatenate(distances), np.concatenate(rows)


def _squared_distances(
    queries: Float[np.ndarray, "N D"], points: Float[np.ndarray, "M D"]
) -> tuple[Float[np.ndarray, "N M"], Float[np.ndarray, "N M"]]:
    """Computes a lower and an upper bound of all squared distances.

        |q - p|^2 = |q|^2 + |p|^2 - 2 q p

    This formula is fast. But it loses precision for two vectors that are close to each other and
    far from the mean of the points: its rounding grows with their squares.

    Returns:
      Two arrays `[N, M]`.
    """
    middle = points.mean(0)[None]
    queries = queries - middle
    points = points - middle
    squares = (queries**2).sum(1)[:, None] + (points**2).sum(1)[None]
    products = 2 * queries @ points.T
    rounding = 2 * (points.shape[1] + 4) * np.finfo(np.float64).eps
    return squares * (1 - rounding) - products, squares * (1 + rounding) - products


def _parts(queries: int, count: int, points: np.ndarray) -> int:
    """Returns the number of parts of some queries whose differences to `count` points fit."""
    return min(queries, -(-queries * count * points.shape[1] // _DIFFERENCES))


def psnr(true: Float[np.ndarray, "*D"], estimate: Float[np.ndarray, "*D"]) -> float:
    """Computes the peak signal-to-noise ratio of images in [0, 1], in decibels.

        psnr = -10 log10 mean (x - y)^2

    Args:
      true: the true images x, of any shape.
      estimate: the estimated images y, of the same shape.

    Returns:
      The ratio, larger for better estimates, and infinite for equal images.

    Raises:
      InputError: unequal shapes, or no pixels.

    Example:
      >>> round(psnr(np.zeros(4), np.full(4, 0.1)), 3)
      20.0
    """
    if np.shape(true) != np.shape(estimate) or not np.size(true):
        raise InputError(
            "estimate",
            np.shape(estimate),
            f"the shape of the true images, {np.shape(true)}, not empty",
        )
    error = float(((np.asarray(true, np.float64) - estimate) ** 2).mean())
    if error == 0:
        return math.inf
    return -10 * math.log10(error)


def ssim(
    true: Float[np.ndarray, "N H W C"], estimate: Float[np.ndarray, "N H W C"]
) -> Float[np.ndarray, " N"]:
    """Computes the structural similarity of images in [0, 1].

        ssim = mean (2 m_x m_y + c_1) (2 v_xy + c_2) / ((m_x^2 + m_y^2 + c_1) (v_x + v_y + c_2))

    The means m, variances v_x, v_y and covariances v_xy are those of windows of 7x7 pixels, with
    all positions inside of the image. c_1 = 0.01^2 and c_2 = 0.03^2.

    Args:
      true: the true images x, `[N, H, W, C]`, at least 7x7 pixels.
      estimate: the estimated images y, of the same shape.

    Returns:
      `[N]`, at most 1, which equal images have.

    Raises:
      InputError: unequal shapes, or images with fewer pixels.

    Source: Wang et al. 2004, Image quality assessment: from error visibility to structural
    similarity. The numbers are those of `skimage.metrics.structural_similarity`.

    Example:
      >>> x = np.random.default_rng(0).random((2, 8, 8, 1))
      >>> ssim(x, x).tolist(), bool((ssim(x, 1 - x) < 0).all())
      ([1.0, 1.0], True)
    """
    size = 7
    shape = np.shape(true)
    if np.shape(estimate) != shape:
        raise InputError("estimate", np.shape(estimate), f"the shape of the true images, {shape}")
    if len(shape) != 4 or min(shape[1:3]) < size:
        raise InputError("true", list(shape), f"[N, H, W, C] with at least {size}x{size} pixels")
    x = np.asarray(true, np.float64)
    y = np.asarray(estimate, np.float64)

    def means(z: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(z, (size, size), (1, 2))
        return windows.mean((-1, -2))

    mean_x = means(x)
    mean_y = means(y)
    # The sample covariance divides by one less than the number of pixels.
    factor = size**2 / (size**2 - 1)
    variance_x = factor * (means(x * x) - mean_x**2)
    variance_y = factor * (means(y * y) - mean_y**2)
    covariance = factor * (means(x * y) - mean_x * mean_y)
    c1 = 0.01**2
    c2 = 0.03**2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return (above / below).mean((1, 2, 3))


def neighbour_accuracy(
    known: Num[np.ndarray, "N D"],
    label: Int[np.ndarray, " N"],
    queries: Num[np.ndarray, "M D"],
    truth: Int[np.ndarray, " M"],
    k: int = 5,
) -> float:
    """Computes the accuracy of a k-nearest-neighbour classifier.

    The accuracy measures how well vectors, such as the codes of an autoencoder, separate the
    classes. Of several classes with the most votes, that of the nearest neighbour is predicted.

    Args:
      known: vectors with known classes, `[N, D]`, N at least k.
      label: their classes, `[N]`, at least 0.
      queries: vectors to classify, `[M, D]`.
      truth: the classes of the queries, `[M]`.
      k: number of neighbours that vote.

    Returns:
      The accuracy, in [0, 1].

    Raises:
      InputError: other shapes, k out of range, or numbers that are not finite.

    Example:
      >>> known = np.array([[0.0], [0.2], [5.0]])
      >>> label = np.array([1, 1, 0])
      >>> neighbour_accuracy(known, label, np.array([[0.1], [4.0]]), np.array([1, 0]), k=1)
      1.0
    """
    label = np.asarray(label)
    truth = np.asarray(truth)
    shapes = [label.shape, truth.shape]
    expected = [known.shape[:1], queries.shape[:1]]
    if shapes != expected:
        raise InputError("label", shapes, f"one label per vector, {expected}")
    votes = label[nearest(queries, known, k)[1]]  # [M, k], the nearest first
    # For each vote, the number of votes for the same class. Of equal maxima argmax takes the first.
    agreeing = (votes[:, :, None] == votes[:, None, :]).sum(2)
    predicted = votes[np.arange(len(votes)), agreeing.argmax(1)]
    return float((predicted == truth).mean())


def precision_recall(real: Features, generated: Features, k: int = 3) -> tuple[float, float]:
    """Computes the precision and recall of a generative model from nearest neighbours.

        precision = fraction of generated examples within the radius of a real example
        recall = fraction of real examples within the radius of a generated example

    The radius of an example is the distance to its k-th nearest neighbour in the same set.

    Args:
      real: features of real examples, `[N, D]`, N above k.
      generated: features of generated examples, `[M, D]`, M above k.
      k: number of the neighbour that defines the radius, at least 1.

    Returns:
      `(precision, recall)`, both in [0, 1].

    Raises:
      InputError: other shapes, sets that are too small, or numbers that are not finite.

    Source: Kynkäänniemi et al. 2019, Improved precision and recall metric for assessing
      generative models.

    Example:
      >>> x = np.random.default_rng(0).normal(size=(50, 3))
      >>> precision_recall(x, x), precision_recall(x, x + 100)
      ((1.0, 1.0), (0.0, 0.0))
    """
    at_least("k", k, 1)
    real, generated = _pair(real, generated, k + 1)
    return _within(generated, real, k), _within(real, generated, k)


def _within(queries: Float[np.ndarray, "N D"], points: Float[np.ndarray, "M D"], k: int) -> float:
    """Returns the fraction of queries that lie within the radius of at least one point."""
    radius = nearest(points, points, k + 1)[0][:, -1]
    inside = 0
    for block in np.array_split(queries, -(-len(queries) // _BLOCK)):
        low, high = _squared_distances(block, points)
        certain = (high <= radius[None] ** 2).any(1)
        inside += int(certain.sum())
        # Where rounding matters, the distance is computed from the difference.
        possible = low <= radius[None] ** 2 * (1 + 1e-12)
        for row in np.flatnonzero(possible.any(1) & ~certain):
            near = np.flatnonzero(possible[row])
            apart = np.linalg.norm(block[row][None] - points[near], axis=1)
            inside += int((apart <= radius[near]).any())
    return inside / len(queries)


def _pair(
    a: np.ndarray, b: np.ndarray, low: int
) -> tuple[Float[np.ndarray, "N D"], Float[np.ndarray, "M D"]]:
    """Returns both sets in float64; raises unless each has `low` rows and finite numbers."""
    a = np.asarray(a, np.float64)
    b = np.asarray(b, np.float64)
    for x in (a, b):
        if x.ndim != 2 or len(x) < low or x.shape[1] != a.shape[1]:
            raise InputError(
                "features", [a.shape, b.shape], f"[N, D] and [M, D], N and M at least {low}"
            )
        if not np.isfinite(x).all():
            raise InputError("features", "nan or infinite", "finite numbers")
    return a, b
