"""A plane of codes: where the things of each class lie."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.page import INK, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def latent_map(
    codes: Float[np.ndarray, "N 2"],
    label: Int[np.ndarray, " N"],
    path: str | os.PathLike[str],
    title: str = "",
) -> Path:
    """Draws codes as points in their class's colour, the class's number at the middle of each.

    Args:
      codes: `[N, 2]`, finite.
      label: `[N]` in [0, K), K at most 20.
      path: the PNG file.
      title: above it.

    Returns:
      The path.

    Raises:
      InputError: another shape, codes that are not finite, unequal lengths, a label out of range.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     latent_map(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([0, 1]), f"{directory}/plane.png").name
      'plane.png'
    """
    return latent_maps({title: codes}, label, path)


def latent_maps(
    planes: Mapping[str, Float[np.ndarray, "N 2"]],
    label: Int[np.ndarray, " N"],
    path: str | os.PathLike[str],
) -> Path:
    """Draws several planes of the same things side by side.

    Args:
      planes: by its title the codes of each, `[N, 2]`.
      label: `[N]`, as for `latent_map`.
      path: the PNG file.

    Returns:
      The path.

    Raises:
      InputError: no planes, or as of `latent_map`.

    Example:
      >>> import tempfile
      >>> codes = np.array([[0.0, 1.0], [2.0, 0.0]])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     latent_maps({"a": codes, "b": -codes}, np.array([0, 1]), f"{directory}/planes.png").name
      'planes.png'
    """
    if not planes:
        raise InputError("planes", {}, "at least one")
    with page(path, 5.2 * len(planes), 4.8) as figure:
        axes = figure.subplots(1, len(planes), squeeze=False)[0]
        for ax, (title, codes) in zip(axes, planes.items(), strict=True):
            draw_latent_map(ax, codes, label, title)
    return Path(path)


def draw_latent_map(
    ax: "Axes", codes: Float[np.ndarray, "N 2"], label: Int[np.ndarray, " N"], title: str = ""
) -> None:
    """Draws the map on `ax`; arguments as for `latent_map`."""
    from matplotlib import colormaps

    codes = np.asarray(codes)
    label = np.asarray(label)
    if codes.ndim != 2 or codes.shape[1] != 2 or not codes.size or not np.isfinite(codes).all():
        raise InputError("codes", codes.shape, "finite numbers [N, 2], N at least 1")
    if label.shape != codes.shape[:1] or label.min() < 0 or label.max() >= 20:
        raise InputError(
            "label", label.shape, f"integers in [0, 20), as many as codes, {len(codes)}"
        )
    colors = colormaps["tab20" if label.max() >= 10 else "tab10"]
    # Drawn in the order of the set, so that no class lies on top of all others.
    ax.scatter(
        codes[:, 0],
        codes[:, 1],
        c=colors(label),
        s=max(2.0, min(14.0, 12_000 / len(codes))),
        linewidths=0,
        alpha=0.7,
    )
    for each in np.unique(label):
        middle = np.median(codes[label == each], 0)
        box = {
            "boxstyle": "circle,pad=0.2",
            "facecolor": "white",
            "edgecolor": colors(each),
            "linewidth": 1.4,
        }
        ax.text(
            middle[0],
            middle[1],
            str(each),
            ha="center",
            va="center",
            fontsize=9,
            color=INK,
            bbox=box,
        )
    ax.set(title=title, xlabel="first number of the code", ylabel="second number")
