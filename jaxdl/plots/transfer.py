"""Accuracy over the number of labels, for networks that start from different weights."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.page import INK, PALETTE, page, plain, wrapped

#: Marks of the methods, so that colors are not needed.
MARKERS = "osD^v"


def label_curves(
    curves: Mapping[str, Float[np.ndarray, "S L"]],
    labels: Sequence[int],
    path: str | os.PathLike[str],
    title: str,
) -> Path:
    """Draws the test accuracy over the number of labels, with its spread over seeds.

    Each method has a line through the means, a band of one standard deviation, and a dot for each
    seed.

    Args:
      curves: `{method: [S, L]}` in [0, 1], of S seeds.
      labels: L numbers of labels, ascending.
      path: path of the PNG file.
      title: words above the picture.

    Returns:
      The path.

    Raises:
      InputError: curves of another length, or too many.

    Example:
      >>> import tempfile
      >>> curves = {"scratch": np.array([[0.4, 0.8]]), "frozen": np.array([[0.7, 0.9]])}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     label_curves(curves, [10, 100], f"{directory}/curves.png", "Few labels").name
      'curves.png'
    """
    if not 0 < len(curves) <= len(MARKERS):
        raise InputError("curves", len(curves), f"1 to {len(MARKERS)} methods")
    for name, values in curves.items():
        if np.shape(values)[1:] != (len(labels),):
            allowed = f"[S, {len(labels)}], one for each number of labels"
            raise InputError(f"curves[{name!r}]", np.shape(values), allowed)
    with page(path, 7.0, 4.2) as figure:
        ax = figure.subplots()
        for i, (name, values) in enumerate(curves.items()):
            percent = 100 * np.asarray(values)
            mean = percent.mean(0)
            color = PALETTE[i]
            if len(percent) > 1:
                spread = percent.std(0, ddof=1)
                ax.fill_between(labels, mean - spread, mean + spread, color=color, alpha=0.18, lw=0)
            ax.plot(labels, mean, color=color, marker=MARKERS[i], label=plain(name))
            for seed in percent:
                ax.plot(labels, seed, ".", color=color, alpha=0.5, markersize=4)
        ax.set_xscale("log")
        ax.minorticks_off()
        ax.set_xticks(labels, [f"{count:,}" for count in labels])
        ax.set(xlabel="training images with a label", ylabel="test accuracy (%)")
        ax.legend(loc="lower right")
        text = wrapped(title, 6.8, 10.0)
        figure.suptitle(text, fontsize=10.0, x=0.01, ha="left", color=INK)
    return Path(path)
