"""Pictures of word vectors: a plane of words with arrows, nearest words, and tests by epochs."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.page import GREY, INK, LEGEND, PALETTE, RED, font_size, page, short_number

#: Most words that a plane shows by name.
NAMED = 120


def word_plane(
    points: Float[np.ndarray, "N 2"],
    words: Sequence[str],
    path: str | os.PathLike[str],
    *,
    title: str,
    groups: Mapping[str, Sequence[str]] | None = None,
    arrows: Sequence[tuple[str, str]] = (),
) -> Path:
    """Draws words as points in a plane, groups of them in colour, and arrows between words.

    Words of a group and at the ends of an arrow have their name beside the point.

    Args:
      points: `[N, 2]`, finite, such as the first two principal components.
      words: the word of each point.
      path: path of the PNG file.
      title: title of the picture.
      groups: words by the name of their group, at most 7.
      arrows: pairs of words; parallel arrows show an analogy.

    Returns:
      The path.

    Raises:
      InputError: another shape, points that are not finite, or a word without a point.

    Example:
      >>> import tempfile
      >>> points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
      >>> words = ("man", "king", "woman", "queen")
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/words.png"
      ...     word_plane(points, words, path, title="words", arrows=[("man", "king")]).name
      'words.png'
    """
    points = np.asarray(points, np.float64)
    if points.shape != (len(words), 2) or not np.isfinite(points).all():
        got = f"{list(points.shape)} for {len(words)} words"
        raise InputError("points", got, "finite numbers, two for each word")
    place = {word: points[i] for i, word in enumerate(words)}
    groups = dict(groups or {})
    ends = [word for arrow in arrows for word in arrow]
    for word in [*ends, *(word for group in groups.values() for word in group)]:
        if word not in place:
            raise InputError("word", word, "a word with a point")
    with page(path, 7.2, 5.6) as figure:
        ax = figure.subplots()
        ax.scatter(points[:, 0], points[:, 1], s=4, color=GREY, alpha=0.35, linewidths=0)
        for color, (name, members) in zip(PALETTE, groups.items(), strict=False):
            marked = np.array([place[word] for word in members])
            ax.scatter(marked[:, 0], marked[:, 1], s=16, color=color, label=name, linewidths=0)
        for first, second in arrows:
            style = {"arrowstyle": "-|>", "color": RED, "linewidth": 0.9, "alpha": 0.7}
            ax.annotate("", place[second], place[first], arrowprops=style)
        named = dict.fromkeys([*ends, *(word for group in groups.values() for word in group)])
        for word in list(named)[:NAMED]:
            ax.annotate(
                word, place[word], (3, 2), textcoords="offset points", fontsize=7, color=INK
            )
        ax.set_title(title)
        ax.set_xlabel("first direction")
        ax.set_ylabel("second direction")
        if groups:
            ax.legend(**LEGEND)
    return Path(path)


def nearest_words(
    neighbours: Mapping[str, Sequence[tuple[str, float]]],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> Path:
    """Draws the nearest words of some words as columns of a table, with their cosines as bars.

    Args:
      neighbours: for each word its nearest words with their cosines, the nearest one first.
      path: path of the PNG file.
      title: title of the picture.

    Returns:
      The path.

    Raises:
      InputError: no words.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/nearest.png"
      ...     nearest_words({"king": [("queen", 0.7)]}, path, title="nearest").name
      'nearest.png'
    """
    if not neighbours:
        raise InputError("neighbours", {}, "at least one word")
    longest = max(len(found) for found in neighbours.values())
    with page(path, 1.45 * len(neighbours) + 0.4, 0.24 * longest + 1.0) as figure:
        axes = figure.subplots(1, len(neighbours), squeeze=False)[0]
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        for ax, (word, found) in zip(axes, neighbours.items(), strict=True):
            cosines = [max(0.0, cosine) for _, cosine in found]
            ax.barh(range(len(found)), cosines, color=PALETTE[4], alpha=0.5, height=0.8)
            for row, (near, cosine) in enumerate(found):
                ax.text(0.02, row, f"{near}  {cosine:.2f}", va="center", fontsize=7.5, color=INK)
            ax.set(xlim=(0, 1), ylim=(longest - 0.4, -0.6), yticks=[], xticks=[0, 1])
            ax.set_title(word)
            ax.set_xlabel("cosine")
            ax.grid(visible=False)
    return Path(path)


def word_test_curves(
    epochs: Float[np.ndarray, " K"],
    curves: Mapping[str, Float[np.ndarray, "K S"]],
    path: str | os.PathLike[str],
    *,
    title: str,
) -> Path:
    """Draws tests of word vectors by epochs: a thin line for each seed, and the mean.

    Args:
      epochs: `[K]`, passes over the text at each test.
      curves: `[K, S]` in percent or as a correlation, by name, for S seeds; NaN is left out.
      path: path of the PNG file.
      title: title of the picture.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/tests.png"
      ...     word_test_curves(np.array([1.0]), {"rho": np.ones((1, 2))}, path, title="t").name
      'tests.png'
    """
    with page(path, 3.6 * len(curves), 3.0) as figure:
        size = font_size(3.6 * len(curves), len(title), 10.0)
        figure.suptitle(title, x=0.01, ha="left", fontsize=size)
        axes = figure.subplots(1, len(curves), squeeze=False)[0]
        for ax, (name, values) in zip(axes, curves.items(), strict=True):
            ax.plot(epochs, values, color=PALETTE[0], alpha=0.4, linewidth=0.9)
            ax.plot(epochs, values.mean(1), color=PALETTE[0], marker="o", markersize=3)
            ax.set_title(f"{name}: {short_number(float(values[-1].mean()))}")
            ax.set_xlabel("passes over the text")
    return Path(path)
