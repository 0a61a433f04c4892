"""Pictures of the loss as a function of parameters: contours, the path of a training, lines."""

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError, at_least
from jaxdl.plots.page import GREY, INK, LEGEND, PALETTE, RED, page, plain, plain_lines, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Losses `[Q, P]` with the coordinates x `[P]` and y `[Q]`, such as a `landscape.Surface`.
Plane = tuple[Float[np.ndarray, "Q P"], Float[np.ndarray, " P"], Float[np.ndarray, " Q"]]

#: Losses `[P]` with the share t `[P]` of the second network, such as a `landscape.Line`.
Line = tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]

#: Side of the axes of one plane, and the space that its labels need, in inches.
SIDE = 2.7
LABELS = 0.75

#: Losses that the colors tell apart: a smaller one has the color of the largest divided by this.
DECADES = 1e5

#: Distance of numbers of contours from a path, as a part of the side of the axes.
NEAR = 0.05

#: Number of steps of the color scale.
STEPS = 24


def loss_planes(
    planes: Mapping[str, Plane],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    labels: tuple[str, str] = ("first random direction", "second random direction"),
    paths: Mapping[str, Float[np.ndarray, "S 2"]] | None = None,
    columns: int | None = None,
) -> Path:
    """Draws the loss on planes of parameters, side by side with the same colors.

    The colors have a logarithmic scale. They end at the 98th percentile of all losses, so that a
    few huge ones do not hide the rest. Losses that are NaN or infinite have the last color.

    Args:
      planes: losses with x and y by the title of their panel, such as those of
        `landscape.surface`. A line break in a title divides it.
      path: path of the PNG file.
      title: one line above the picture.
      labels: words for x and y.
      paths: `[S, 2]` coordinates of a path by the title of its panel, from the first to the last
        state; None draws no path.
      columns: number of panels in a row; None means all.

    Returns:
      The path.

    Raises:
      InputError: no planes, losses that do not fit their coordinates, losses without a positive
        finite number, or a path of an unknown panel or shape.

    Example:
      >>> import tempfile
      >>> x = np.linspace(-1, 1, 5)
      >>> losses = 0.1 + x[:, None] ** 2 + x[None] ** 2
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     loss_planes({"small batch": (losses, x, x)}, f"{directory}/planes.png").name
      'planes.png'
    """
    paths = paths or {}
    _check(planes, paths)
    columns = columns or len(planes)
    at_least("columns", columns, 1)
    rows = -(-len(planes) // columns)
    levels = _levels([losses for losses, _, _ in planes.values()])
    width = max(columns * (SIDE + LABELS) + 0.8, 5.2)
    lines = wrapped(title, width, 10.3).splitlines()
    heights = max(name.count("\n") for name in planes)
    height = rows * (SIDE + LABELS + 0.17 * heights) + 0.2 * len(lines)
    with page(path, width, height) as figure:
        axes = figure.subplots(rows, columns, squeeze=False)
        image: Any = None
        for ax, (name, plane) in zip(axes.flat, planes.items(), strict=False):
            image = draw_loss_plane(ax, *plane, levels=levels)
            if name in paths:
                _draw_path(ax, paths[name])
            elif all(min(each) < 0 < max(each) for each in plane[1:]):
                ax.plot(0, 0, "+", color="white", markersize=8)
            ax.set_title(plain_lines(name), fontsize=9)
        for ax in axes.flat[len(planes) :]:
            ax.set_axis_off()
        for ax in axes[:, 0]:
            ax.set_ylabel(plain(labels[1]))
        for ax in axes[-1]:
            ax.set_xlabel(plain(labels[0]))
        bar = figure.colorbar(image, ax=axes, shrink=0.9, label="loss, logarithmic scale")
        _label_scale(bar, levels)
        if title:
            figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=10.5)
    return Path(path)


def draw_loss_plane(
    ax: "Axes",
    losses: Float[np.ndarray, "Q P"],
    x: Float[np.ndarray, " P"],
    y: Float[np.ndarray, " Q"],
    *,
    levels: Float[np.ndarray, " L"] | None = None,
) -> Any:
    """Draws the contours of a loss on given axes.

    Args:
      ax: the axes.
      losses: `[Q, P]`.
      x: `[P]`.
      y: `[Q]`.
      levels: `[L]`, ascending losses between which the color changes; None means those of the
        losses.

    Returns:
      The filled contours, for a color scale.

    Raises:
      InputError: losses that do not fit their coordinates, or without a positive finite number.
    """
    from matplotlib.colors import LogNorm

    _check({"losses": (losses, x, y)}, {})
    if levels is None:
        levels = _levels([losses])
    low = levels[0]
    high = levels[-1]
    # Losses above the scale get its last color, those below it the first.
    shown = np.clip(np.nan_to_num(losses, nan=np.inf, posinf=np.inf), low, high * 1.001)
    norm = LogNorm(low, high)
    image = ax.contourf(x, y, shown, levels, norm=norm, cmap="viridis", extend="max")
    style: dict[str, Any] = {"colors": "white", "linewidths": 0.5, "alpha": 0.7}
    lines = ax.contour(x, y, shown, levels[3:-1:4], **style)
    ax.clabel(lines, fontsize=6, fmt=_number)
    ax.grid(visible=False)
    ax.locator_params(nbins=5)
    ax.set_box_aspect(1)
    return image


def _draw_path(ax: "Axes", path: Float[np.ndarray, "S 2"]) -> None:
    """Draws the path of a training with words at its ends."""
    import matplotlib.patheffects as effects

    _remove_labels_below(ax, path)
    outline = [effects.withStroke(linewidth=2.2, foreground=INK)]
    style: dict[str, Any] = {"color": "white", "path_effects": outline}
    ax.plot(*path.T, "-", linewidth=1.0, zorder=3, **style)
    ax.plot(*path.T, "o", markersize=2.6, color="white", markeredgecolor=INK, zorder=4)
    ax.plot(*path[-1], "*", markersize=9, color=RED, markeredgecolor="white", zorder=5)
    for word, place in (("start", path[0]), ("end", path[-1])):
        # A word on the right side of the picture ends at its point.
        is_right = place[0] > np.mean(ax.get_xlim())
        side: dict[str, Any] = {
            "xytext": (-5 if is_right else 5, 5),
            "ha": "right" if is_right else "left",
        }
        text = ax.annotate(word, place, textcoords="offset points", fontsize=8, zorder=6, **side)
        text.set(color="white", path_effects=outline)


def _remove_labels_below(ax: "Axes", path: Float[np.ndarray, "S 2"]) -> None:
    """Removes the numbers of contours that a path or the words at its ends would hide."""
    low, high = np.array([ax.get_xlim(), ax.get_ylim()]).T
    # Lines between the states are points, too.
    t = np.linspace(0, 1, 20)[:, None]
    places = [a + t * (b - a) for a, b in itertools.pairwise(path)]
    points = (np.concatenate([path[:1], *places]) - low) / (high - low)
    ends = (path[[0, -1]] - low) / (high - low)
    for text in list(ax.texts):
        place = (np.array(text.get_position()) - low) / (high - low)
        distance = np.linalg.norm(points - place, axis=1).min()
        if distance < NEAR or np.linalg.norm(ends - place, axis=1).min() < 3 * NEAR:
            text.remove()


def _levels(losses: list[Float[np.ndarray, "Q P"]]) -> Float[np.ndarray, " L"]:
    """Returns the losses between which the color changes, the same for all planes."""
    values = np.concatenate([np.ravel(each) for each in losses]).astype(np.float64)
    finite = values[np.isfinite(values)]
    if not (finite > 0).any():
        raise InputError("planes", "no positive finite loss", "losses with some such number")
    high = float(np.quantile(finite, 0.98))
    low = max(float(finite.min()), high / DECADES)
    if not high > low:
        low = float(finite.max()) / 2
        high = float(finite.max())
    return np.geomspace(low, high, STEPS + 1)


def _label_scale(bar: Any, levels: Float[np.ndarray, " L"]) -> None:
    """Labels a few levels of a color scale with plain numbers."""
    shown = levels[::6]
    bar.set_ticks(shown, labels=[_number(level) for level in shown])
    bar.ax.minorticks_off()


def _number(value: float) -> str:
    """Returns a loss with two digits.

    Example:
      >>> _number(0.01234), _number(123.4)
      ('0.012', '1.2e+02')
    """
    return f"{value:.2g}"


def loss_lines(
    lines: Mapping[str, Line],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    ends: tuple[str, str] = ("first network", "second network"),
    log: bool = False,
) -> Path:
    """Draws the loss along lines between two networks.

    A dashed line joins the losses of the two networks, t = 0 and t = 1, if they are on the line.
    The barrier is the largest distance of the curve above it.

    Args:
      lines: losses with t by name, such as those of `landscape.line`.
      path: path of the PNG file.
      title: one line above the picture.
      ends: words for t = 0 and t = 1.
      log: if True, the axis of the loss is logarithmic.

    Returns:
      The path.

    Raises:
      InputError: no lines, or losses that do not fit their t.

    Example:
      >>> import tempfile
      >>> t = np.linspace(0, 1, 11)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     loss_lines({"straight": (t * (1 - t), t)}, f"{directory}/line.png").name
      'line.png'
    """
    if not lines:
        raise InputError("lines", {}, "the losses along at least one line")
    for name, (losses, t) in lines.items():
        if np.ndim(losses) != 1 or np.shape(losses) != np.shape(t):
            raise InputError(f"lines[{name!r}]", list(np.shape(losses)), f"{list(np.shape(t))}")
    width = 6.2
    words = wrapped(title, width, 10.3).splitlines()
    with page(path, width, 3.3 + 0.2 * len(words)) as figure:
        ax = figure.subplots()
        for i, (name, (losses, t)) in enumerate(lines.items()):
            color = PALETTE[(3, 0, 2, 1, 4, 5)[i % 6]]
            ax.plot(t, losses, color=color, label=plain(name))
            networks = np.isclose(t, 0, atol=1e-6) | np.isclose(t, 1)
            joined = (np.asarray(t)[networks], np.asarray(losses)[networks])
            ax.plot(*joined, "--", color=color, linewidth=0.9)
            ax.plot(*joined, "o", color=color, markersize=3.5)
        if log:
            ax.set_yscale("log")
        ax.set(xlabel="share of the second network", ylabel="loss")
        # Words for the ends replace their numbers.
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1])
        first, second = (plain(word) for word in ends)
        ax.set_xticklabels([f"0\n{first}", "0.25", "0.5", "0.75", f"1\n{second}"])
        ax.axvline(0, color=GREY, linewidth=0.6)
        ax.axvline(1, color=GREY, linewidth=0.6)
        ax.legend(**LEGEND)
        if title:
            ax.set_title("\n".join(words))
    return Path(path)


def _check(planes: Mapping[str, Plane], paths: Mapping[str, Any]) -> None:
    """Raises for losses without their coordinates, and paths without a panel."""
    if not planes:
        raise InputError("planes", {}, "the losses of at least one plane")
    for name, (losses, x, y) in planes.items():
        shape = (*np.shape(y), *np.shape(x))
        if np.shape(losses) != shape or len(shape) != 2 or min(shape) < 2:
            allowed = f"{list(shape)}, as many as y and x, at least 2 each"
            raise InputError(f"planes[{name!r}]", list(np.shape(losses)), allowed)
    for name, path in paths.items():
        if name not in planes:
            raise InputError("paths", name, f"the title of a panel: {list(planes)}")
        if np.ndim(path) != 2 or np.shape(path)[1] != 2:
            raise InputError(f"paths[{name!r}]", list(np.shape(path)), "[S, 2]")
