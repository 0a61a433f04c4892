"""Numbers for pictures: how near drawn things are to real ones, in the features of some classifier; on the host."""

import math

import numpy as np
from jaxtyping import Float, Int, Num

from jaxdl.errors import InputError, at_least

Features = Num[np.ndarray, "N D"]


def frechet_distance(real: Features, drawn: Features) -> float:
    """The distance of two sets, each seen as a Gaussian.

        d = |m_1 - m_2|^2 + tr(C_1 + C_2 - 2 (C_1^1/2 C_2 C_1^1/2)^1/2)

    Of features of the Inception network it is known as FID. It is never quite 0 for two finite sets of the same things:
    state it next to what real things have against real ones.

    Args:
      real: `[N, D]`, N at least 2.
      drawn: `[M, D]`, M at least 2.

    Returns:
      A number, 0 or more.

    Raises:
      InputError: other shapes, fewer than 2 rows, numbers that are not finite.

    Source: Dowson, Landau 1982; Heusel et al. 2017, GANs trained by a two time-scale update rule.

    Example:
      >>> x = np.random.default_rng(0).normal(size=(1000, 3))
      >>> round(frechet_distance(x, x + [2.0, 0.0, 0.0]), 3)
      4.0
    """
    real, drawn = _pair(real, drawn, 2)
    (m1, c1), (m2, c2) = (
        (x.mean(0), np.cov(x, rowvar=False).reshape(x.shape[1], -1)) for x in (real, drawn)
    )
    values, vectors = np.linalg.eigh(c1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    cross = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(0)).sum()
    return max(0.0, float(((m1 - m2) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * cross))


def coverage(label: Int[np.ndarray, " N"], classes: int) -> tuple[int, float]:
    """How many classes occur, and the entropy of their shares: a generator that has collapsed draws few of them.

        H = -sum_c p_c log p_c,   p_c the share of class c

    Args:
      label: `[N]` in [0, classes), what a classifier says of drawn things; N at least 1.
      classes: how many there are.

    Returns:
      `(classes that are at least 1 in 10 of their even share, H in nats)`; log(classes) where all are as frequent.

    Raises:
      InputError: no labels, or one out of range.

    Example:
      >>> found, entropy = coverage(np.array([0, 0, 1, 1]), 3)
      >>> found, round(entropy, 4)
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
    some = share[share > 0]
    return int((share >= 0.1 / classes).sum()), float(-(some * np.log(some)).sum())


def nearest(
    things: Num[np.ndarray, "N D"], among: Num[np.ndarray, "M D"], k: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Who of others is nearest to each thing: is what was drawn remembered?

    Args:
      things: `[N, D]`.
      among: `[M, D]`.
      k: how many, from the nearest on, at most M.

    Returns:
      Their Euclidean distances `[N, k]` and their rows `[N, k]`.

    Raises:
      InputError: other shapes, k out of range, numbers that are not finite.

    Example:
      >>> distance, row = nearest(np.array([[0.0, 0.1]]), np.array([[3.0, 0.0], [0.0, 0.0]]))
      >>> distance.round(3).tolist(), row.tolist()
      ([[0.1]], [[1]])
    """
    things, among = _centred(*_pair(things, among, 1))
    at_least("k", k, 1)
    if k > len(among):
        raise InputError("k", k, f"at most the things to look among, {len(among)}")
    squares = (among**2).sum(1)
    distances = []
    rows = []
    for part in np.array_split(things, -(-len(things) // 500)):
        # By this formula they are found, by the definition measured: it loses the digits of small distances.
        order = np.argpartition(squares[None] - 2 * part @ among.T, k - 1, axis=1)[:, :k]
        apart = np.linalg.norm(part[:, None] - among[order], axis=2)
        inner = np.argsort(apart, axis=1, kind="stable")
        distances.append(np.take_along_axis(apart, inner, 1))
        rows.append(np.take_along_axis(order, inner, 1))
    return np.concatenate(distances), np.concatenate(rows)


def psnr(true: Float[np.ndarray, "*D"], found: Float[np.ndarray, "*D"]) -> float:
    """The peak signal-to-noise ratio of images in [0, 1], in decibel.

        psnr = -10 log10 mean (x - y)^2

    Args:
      true: of any shape.
      found: of the same.

    Returns:
      A number, the larger the nearer; infinity where they are equal.

    Raises:
      InputError: unequal shapes, or no pixels.

    Example:
      >>> round(psnr(np.zeros(4), np.full(4, 0.1)), 3)
      20.0
    """
    if np.shape(true) != np.shape(found) or not np.size(true):
        raise InputError(
            "found", np.shape(found), f"the shape of the true images, {np.shape(true)}, not empty"
        )
    error = float(((np.asarray(true, np.float64) - found) ** 2).mean())
    return float("inf") if error == 0 else -10 * math.log10(error)


def neighbour_accuracy(
    known: Num[np.ndarray, "N D"],
    label: Int[np.ndarray, " N"],
    things: Num[np.ndarray, "M D"],
    truth: Int[np.ndarray, " M"],
    k: int = 5,
) -> float:
    """How often the k nearest known things name the class of a thing: do codes keep the classes apart?

    Of classes named equally often that of the nearest of them counts.

    Args:
      known: `[N, D]`, N at least k.
      label: `[N]`, their classes, 0 or more.
      things: `[M, D]`.
      truth: `[M]`, the classes of these.
      k: how many neighbours vote.

    Returns:
      A share in [0, 1].

    Raises:
      InputError: other shapes, k out of range, numbers that are not finite.

    Example:
      >>> known, label = np.array([[0.0], [0.2], [5.0]]), np.array([1, 1, 0])
      >>> neighbour_accuracy(known, label, np.array([[0.1], [4.0]]), np.array([1, 0]), k=1)
      1.0
    """
    label = np.asarray(label)
    truth = np.asarray(truth)
    if label.shape != known.shape[:1] or truth.shape != things.shape[:1]:
        raise InputError(
            "label", [label.shape, truth.shape], f"one each, {[known.shape[:1], things.shape[:1]]}"
        )
    votes = label[nearest(things, known, k)[1]]  # [M, k], the nearest first
    named = (votes[:, :, None] == votes[:, None, :]).sum(2)  # how many agree with each vote
    return float((votes[np.arange(len(votes)), named.argmax(1)] == truth).mean())


def precision_recall(real: Features, drawn: Features, k: int = 3) -> tuple[float, float]:
    """What share of the drawn things looks real, and what share of the real ones is drawn.

        precision = share of drawn things within the radius of some real one,   recall = the other way around
        radius of a thing = distance to the k-th nearest of its own set

    Args:
      real: `[N, D]`, N above k.
      drawn: `[M, D]`, M above k.
      k: which neighbour makes the radius, at least 1.

    Returns:
      `(precision, recall)`, in [0, 1].

    Raises:
      InputError: other shapes, sets that are too small, numbers that are not finite.

    Source: Kynkäänniemi et al. 2019, Improved precision and recall metric for assessing generative models.

    Example:
      >>> x = np.random.default_rng(0).normal(size=(50, 3))
      >>> precision_recall(x, x), precision_recall(x, x + 100)
      ((1.0, 1.0), (0.0, 0.0))
    """
    at_least("k", k, 1)
    real, drawn = _centred(*_pair(real, drawn, k + 1))
    return _within(drawn, real, k), _within(real, drawn, k)


def _within(things: Float[np.ndarray, "N D"], others: Float[np.ndarray, "M D"], k: int) -> float:
    """The share of things that lie within the radius of at least one of the others."""
    radius = nearest(others, others, k + 1)[0][:, -1]
    squares = (others**2).sum(1)
    inside = 0
    for part in np.array_split(things, -(-len(things) // 500)):
        apart = (part**2).sum(1)[:, None] + squares[None] - 2 * part @ others.T
        inside += int((apart <= radius[None] ** 2 + 1e-12 * squares.max()).any(1).sum())
    return inside / len(things)


def _centred(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both around 0: the squares of what lies far away drown their differences."""
    middle = b.mean(0)
    return a - middle[None], b - middle[None]


def _pair(
    a: np.ndarray, b: np.ndarray, low: int
) -> tuple[Float[np.ndarray, "N D"], Float[np.ndarray, "M D"]]:
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
