"""Pictures of methods that are not networks: components, clusters, fits with bands."""

import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.clips import pictures_gif
from jaxdl.plots.page import BLUE, INK, PALETTE, RED, page, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Most panels of the steps of k-means.
PANELS = 6
#: Colors of clusters: those of the palette, then further ones.
COLORS = (*PALETTE[:6], "#882255", "#7F7F7F", "#44AA99", "#AA4499")


def eigen_images(
    mean: Float[np.ndarray, " D"],
    components: Float[np.ndarray, "K D"],
    share: Float[np.ndarray, " M"],
    shape: tuple[int, int],
    path: str | os.PathLike[str],
    title: str,
) -> Path:
    """Draws principal components as images, beside the variance that they explain.

    Components are blue where negative, white at 0 and red where positive.

    Args:
      mean: `[D]`, the mean of the images.
      components: `[K, D]`, those that are shown.
      share: `[M]`, share of the variance of the first components, M at least K.
      shape: height and width of an image, with product D.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: a shape that does not fit, or fewer shares than components.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/components.png"
      ...     eigen_images(np.zeros(4), np.eye(4)[:2], np.array([0.7, 0.3]), (2, 2), path, "A").name
      'components.png'
    """
    if np.shape(mean) != (math.prod(shape),) or np.shape(components)[1:] != np.shape(mean):
        raise InputError("shape", shape, f"height and width of {np.size(mean)} pixels")
    if len(share) < len(components):
        raise InputError("share", len(share), f"at least {len(components)}, one for each component")
    count = 1 + len(components)
    columns = math.ceil(math.sqrt(1.7 * count))
    rows = math.ceil(count / columns)
    tile = 7.6 / columns
    with page(path, 12.0, max(rows * (tile * shape[0] / shape[1] + 0.28), 3.4) + 0.4) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        halves: Any = figure.subfigures(1, 2, width_ratios=(7.6, 4.4))
        left, right = halves
        grid = left.subplots(rows, columns, squeeze=False)
        for ax in grid.flat:
            ax.set_axis_off()
        grid[0, 0].imshow(mean.reshape(shape), "gray")
        grid[0, 0].set_title("mean", fontsize=9, loc="center")
        for k, (ax, component) in enumerate(zip(grid.flat[1:], components, strict=False)):
            limit = abs(component).max()
            ax.imshow(component.reshape(shape), "RdBu_r", vmin=-limit, vmax=limit)
            ax.set_title(f"{k + 1}: {100 * share[k]:.1f} %", fontsize=9, loc="center")
        ax = right.subplots()
        total = 100 * np.cumsum(share)
        ax.plot(np.arange(1, len(share) + 1), total, color=BLUE)
        ax.set(xlabel="number of components", ylabel="explained variance in %", ylim=(0, 103))
        for level in (50, 90, 99):
            if total[-1] >= level:
                needed = int(np.argmax(total >= level)) + 1
                ax.plot(needed, total[needed - 1], "o", color=RED, markersize=4)
                ax.annotate(
                    f"{needed} for {level} %",
                    (needed, total[needed - 1]),
                    (6, -11),
                    textcoords="offset points",
                    fontsize=9,
                )
    return Path(path)


class Steps(NamedTuple):
    """Steps of k-means in the plane.

    Attributes:
      points: `[N, 2]`.
      centers: `[S + 1, K, 2]`.
      label: `[S + 1, N]`.
      inertia: `[S + 1]`.
    """

    points: Float[np.ndarray, "N 2"]
    centers: Float[np.ndarray, "S K 2"]
    label: Int[np.ndarray, "S N"]
    inertia: Float[np.ndarray, " S"]


def kmeans_steps(
    steps: Steps,
    path: str | os.PathLike[str],
    title: str,
    labels: tuple[str, str] = ("x", "y"),
) -> Path:
    """Draws k-means step by step: points in the color of their center, and paths of the centers.

    Args:
      steps: points, centers, labels and inertia.
      path: path of the PNG file. Up to six steps are shown.
      title: one line above the picture.
      labels: names of both axes.

    Returns:
      The path.

    Raises:
      InputError: points that are not in the plane, or more than 10 centers.

    Example:
      >>> import tempfile
      >>> points = np.array([[0.0, 0.0], [1.0, 1.0]])
      >>> steps = Steps(points, points[None], np.array([[0, 1]]), np.zeros(1))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     kmeans_steps(steps, f"{directory}/steps.png", "k-means").name
      'steps.png'
    """
    _check(steps)
    last = len(steps.inertia) - 1
    # The first steps move most.
    shown = sorted({0, 1, 2, *np.linspace(0, last, PANELS).astype(int).tolist()})
    shown = [each for each in shown if each <= last]
    while len(shown) > PANELS:
        shown.pop(3)
    columns = min(3, len(shown))
    rows = math.ceil(len(shown) / columns)
    with page(path, 4.0 * columns, 3.5 * rows + 0.4) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=12)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for ax in grid.flat[len(shown) :]:
            ax.set_axis_off()
        for ax, step in zip(grid.flat, shown, strict=False):
            _draw_step(ax, steps, step)
        for ax in grid[:, 0]:
            ax.set_ylabel(labels[1])
        for ax in grid[-1]:
            ax.set_xlabel(labels[0])
    return Path(path)


def kmeans_gif(
    steps: Steps,
    path: str | os.PathLike[str],
    labels: tuple[str, str] = ("x", "y"),
    seconds: float = 8.0,
) -> Path:
    """Draws every step of k-means as a frame of an animated GIF.

    Args:
      steps: points, centers, labels and inertia.
      path: path of the GIF file.
      labels: names of both axes.
      seconds: duration of all frames.

    Returns:
      The path.

    Raises:
      InputError: as for `kmeans_steps`.

    Example: see `kmeans_steps`, which has the same steps.
    """
    _check(steps)
    with tempfile.TemporaryDirectory() as folder:
        frames = []
        for step in range(len(steps.inertia)):
            frames.append(Path(folder) / f"{step:04d}.png")
            with page(frames[-1], 5.2, 4.4) as figure:
                ax = figure.subplots()
                _draw_step(ax, steps, step)
                ax.set(xlabel=labels[0], ylabel=labels[1])
        return pictures_gif(frames, path, seconds)


def _check(steps: Steps) -> None:
    points = np.shape(steps.points)
    if len(points) != 2 or points[1] != 2:
        raise InputError("points", points, "[N, 2], points in the plane")
    count = np.shape(steps.centers)[1]
    if count > len(COLORS):
        raise InputError("centers", count, f"at most {len(COLORS)} centers")


def _draw_step(ax: "Axes", steps: Steps, step: int) -> None:
    """Draws the points at one step, and the centers with their way to it."""
    colors = np.array(COLORS)
    x, y = steps.points.T
    ax.scatter(x, y, s=7, c=colors[steps.label[step]], alpha=0.55, linewidths=0)
    for k, way in enumerate(np.moveaxis(steps.centers[: step + 1], 1, 0)):
        ax.plot(*way.T, "-", color=INK, linewidth=1.2)
        ax.plot(*way[-1], "o", color=COLORS[k], markeredgecolor=INK, markersize=9, zorder=5)
    last = len(steps.inertia) - 1
    inertia = f"sum of squared distances {steps.inertia[step]:,.1f}"
    ax.set_title(f"step {step} of {last}: {inertia}", fontsize=9)


def bars_by_name(
    values: Mapping[str, float], path: str | os.PathLike[str], title: str, label: str
) -> Path:
    """Draws numbers as bars with their names and values, such as accuracies of several methods.

    Args:
      values: numbers by name, in the order of the bars.
      path: path of the PNG file.
      title: one line above the picture.
      label: name of the axis of the numbers.

    Returns:
      The path.

    Raises:
      InputError: no numbers.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     bars_by_name({"a": 90.0}, f"{directory}/bars.png", "One bar", "accuracy in %").name
      'bars.png'
    """
    if not values:
        raise InputError("values", {}, "at least one number")
    with page(path, 8.0, 0.38 * len(values) + 1.0) as figure:
        ax = figure.subplots()
        names = [plain(name) for name in values]
        bars = ax.barh(names, list(values.values()), color=BLUE, height=0.62)
        ax.bar_label(bars, fmt="%.1f", padding=4)
        ax.invert_yaxis()
        ax.set(xlabel=label, xlim=(0, 1.12 * max(values.values())))
        ax.set_title(plain(title))
        ax.grid(visible=False, axis="y")
    return Path(path)
