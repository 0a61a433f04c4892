"""The line of a perceptron, mistake by mistake, and lines of several classifiers side by side."""

import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError, at_least
from jaxdl.plots.clips import pictures_gif
from jaxdl.plots.page import GREY, INK, LEGEND, PALETTE, font_size, page, plain, plain_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Function from points of the plane to the features that the weights belong to.
Features = Callable[[Float[np.ndarray, "M 2"]], Float[np.ndarray, "M D"]]

#: TwoClasses of the plane along each axis.
RESOLUTION = 160

#: Colors of the two classes.
COLORS = (PALETTE[1], PALETTE[0])

#: Background of a text among points.
BOX = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8}

#: Width and height of one panel, of a frame of a GIF, and of a title, in inches.
PANEL = (2.6, 2.3)
FRAME = (5.2, 4.4)
HEAD = 0.35


class TwoClasses(NamedTuple):
    """Points of two classes in the plane, in the words and units of a picture.

    Attributes:
      points: `[N, 2]`.
      label: `[N]`, 0 or 1.
      features: function from points to the features of the weights; None means the points.
      names: names of the two classes.
      axes: words for x and y, with units.
    """

    points: Float[np.ndarray, "N 2"]
    label: Int[np.ndarray, " N"]
    features: Features | None = None
    names: tuple[str, str] = ("class 0", "class 1")
    axes: tuple[str, str] = ("first feature", "second feature")


def draw_separator(
    ax: "Axes",
    data: TwoClasses,
    line: Float[np.ndarray, " D1"],
    *,
    before: Float[np.ndarray, " D1"] | None = None,
    example: int | None = None,
    size: float = 1.0,
) -> None:
    """Draws points of two classes, and where `features(x) w + b` is 0.

    Args:
      ax: axes.
      data: the points.
      line: `[D + 1]`, weights and bias. If all weights are 0, there is no line.
      before: line before the last mistake, which is dashed; None draws none.
      example: row of the point with a ring; None draws none.
      size: scale of the points.

    Example: see `separators`.
    """
    points = np.asarray(data.points)
    area = size * float(np.clip(3500 / len(points), 12, 60))
    low, high = _bounds(points)
    axes = [np.linspace(low[i], high[i], RESOLUTION) for i in (0, 1)]
    plane = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
    for values, dashed in ((before, True), (line, False)):
        if values is None or not np.any(np.asarray(values)[:-1]):
            continue
        score = _score(data, values, plane).reshape(RESOLUTION, RESOLUTION)
        if not dashed:
            ax.contourf(*axes, score, [-np.inf, 0, np.inf], colors=COLORS, alpha=0.13)
        if score.min() < 0 < score.max():
            style: Any = {"linestyles": "--", "colors": GREY} if dashed else {"colors": INK}
            ax.contour(*axes, score, [0], linewidths=1.2 if dashed else 1.8, **style)
    for number, marker in ((0, "o"), (1, "^")):
        shown = points[np.asarray(data.label) == number]
        ax.scatter(
            shown[:, 0],
            shown[:, 1],
            s=area,
            marker=marker,
            c=COLORS[number],
            edgecolors="white",
            linewidths=0.5,
            label=plain(data.names[number]),
        )
    if example is not None:
        ring: Any = {"facecolors": "none", "edgecolors": INK, "linewidths": 1.6}
        ax.scatter(points[example, 0], points[example, 1], s=6 * area + 40, **ring)
    ax.grid(False)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))


def separators(
    lines: Mapping[str, tuple[TwoClasses, Float[np.ndarray, " D1"]]],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    columns: int | None = None,
) -> Path:
    """Draws lines or curves that separate two classes, side by side.

    Args:
      lines: points, and weights with the bias `[D + 1]`, by the title of their panel.
      path: path of the PNG file.
      title: one line above the picture.
      columns: number of panels in a row; None means all.

    Returns:
      The path.

    Raises:
      InputError: no lines, or points, labels and weights whose shapes do not fit.

    Example:
      >>> import tempfile
      >>> data = TwoClasses(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1]))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/lines.png"
      ...     separators({"perceptron": (data, np.array([1.0, -1.0, 0.0]))}, path).name
      'lines.png'
    """
    if not lines:
        raise InputError("lines", {}, "at least one line")
    for data, line in lines.values():
        _check(data, np.asarray(line)[None], ())
    columns = min(columns or len(lines), len(lines))
    rows = math.ceil(len(lines) / columns)
    width = 1.35 * PANEL[0] * columns
    with page(path, width, 1.35 * PANEL[1] * rows + HEAD) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=font_size(width, len(title), 11))
        grid = figure.subplots(rows, columns, squeeze=False)
        for ax in grid.flat[len(lines) :]:
            ax.set_axis_off()
        for ax, (name, (data, line)) in zip(grid.flat, lines.items(), strict=False):
            draw_separator(ax, data, line)
            longest = max(map(len, name.split("\n")))
            ax.set_title(plain_lines(name), fontsize=font_size(width / columns - 0.5, longest, 9.5))
            ax.set(xlabel=data.axes[0], ylabel=data.axes[1])
            ax.legend(loc="best", **LEGEND)
    return Path(path)


def perceptron_sheet(
    data: TwoClasses,
    lines: Float[np.ndarray, "K1 D1"],
    examples: Int[np.ndarray, " K"],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    columns: int = 5,
    most: int = 10,
) -> Path:
    """Draws the line of a perceptron after each of its mistakes, panel by panel.

    Each panel has a ring around the example of the mistake, and the line before it is dashed.

    Args:
      data: the points.
      lines: `[K + 1, D + 1]`, weights with the bias, at the start and after each mistake.
      examples: `[K]`, row of the example of each mistake.
      path: path of the PNG file.
      title: one line above the picture.
      columns: number of panels in a row.
      most: largest number of panels. Of more mistakes evenly spaced ones are shown.

    Returns:
      The path.

    Raises:
      InputError: no mistakes, or shapes that do not fit.

    Example:
      >>> import tempfile
      >>> data = TwoClasses(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1]))
      >>> lines = np.array([[0.0, 0.0, 0.0], [0.0, -1.0, -1.0], [1.0, -1.0, 0.0]])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     perceptron_sheet(data, lines, np.array([0, 1]), f"{directory}/steps.png").name
      'steps.png'
    """
    lines, examples = _check(data, lines, examples)
    at_least("mistakes", len(examples), 1)
    at_least("columns", columns, 1)
    chosen = _some(len(examples), most)
    columns = min(columns, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    width = PANEL[0] * columns
    with page(path, width, PANEL[1] * rows + 2 * HEAD) as figure:
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=font_size(width, len(title), 11))
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for ax in grid.flat[len(chosen) :]:
            ax.set_axis_off()
        for k, ax in zip(chosen, grid.flat, strict=False):
            shown = {"before": lines[k], "example": int(examples[k])}
            draw_separator(ax, data, lines[k + 1], size=0.65, **shown)
            ax.set_title(f"mistake {k + 1}", fontsize=9)
            _note(ax, lines[k + 1])
        for ax in grid[-1]:
            ax.set_xlabel(data.axes[0])
        for ax in grid[:, 0]:
            ax.set_ylabel(data.axes[1])
        _legend(figure, grid[0, 0])
    return Path(path)


def perceptron_gif(
    data: TwoClasses,
    lines: Float[np.ndarray, "K1 D1"],
    examples: Int[np.ndarray, " K"],
    path: str | os.PathLike[str],
    *,
    end: str = "no further mistake",
    seconds: float = 0.9,
    most: int = 60,
) -> Path:
    """Draws the line of a perceptron that moves with each mistake, as an animated GIF.

    Args:
      data: the points.
      lines: `[K + 1, D + 1]`, weights with the bias, at the start and after each mistake.
      examples: `[K]`, row of the example of each mistake.
      path: path of the GIF file.
      end: title of the last frame.
      seconds: duration of a frame.
      most: largest number of mistakes that are shown. Of more of them evenly spaced ones are.

    Returns:
      The path.

    Raises:
      InputError: no mistakes, or shapes that do not fit.

    Example:
      >>> import tempfile
      >>> data = TwoClasses(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1]))
      >>> lines = np.array([[0.0, 0.0, 0.0], [0.0, -1.0, -1.0], [1.0, -1.0, 0.0]])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     perceptron_gif(data, lines, np.array([0, 1]), f"{directory}/line.gif").name
      'line.gif'
    """
    lines, examples = _check(data, lines, examples)
    at_least("mistakes", len(examples), 1)
    count = len(examples)
    with tempfile.TemporaryDirectory() as folder:
        frames: list[Path] = []

        def frame(heading: str, line: np.ndarray, **shown: object) -> None:
            """Adds a frame with a heading."""
            frames.append(Path(folder) / f"{len(frames):04d}.png")
            with page(frames[-1], *FRAME) as figure:
                ax = figure.subplots()
                draw_separator(ax, data, line, size=1.7, **shown)  # type: ignore[arg-type]
                ax.set_title(plain(heading), fontsize=font_size(FRAME[0] - 0.8, len(heading), 11))
                ax.set(xlabel=data.axes[0], ylabel=data.axes[1])
                _legend(figure, ax)
                _note(ax, line)

        frame("start: the weights are 0", lines[0])
        for k in _some(count, most):
            example = int(examples[k])
            heading = f"mistake {k + 1} of {count}: {_mistake(data, lines[k], example)}"
            frame(heading, lines[k + 1], before=lines[k], example=example)
        frame(end, lines[-1])
        return pictures_gif(frames, path, seconds * len(frames))


def _some(count: int, most: int) -> Int[np.ndarray, " K"]:
    """Returns at most `most` evenly spaced numbers below `count`, with the first and the last."""
    at_least("most", most, 2)
    return np.linspace(0, count - 1, min(count, most)).round().astype(int)


def _mistake(data: TwoClasses, line: Float[np.ndarray, " D1"], example: int) -> str:
    """Returns the words for a mistake, such as `banana taken for pepper`."""
    label = int(data.label[example])
    score = _score(data, line, np.asarray(data.points)[example][None])[0]
    name = data.names[label]
    if not np.any(np.asarray(line)[:-1]):
        return f"{name} without a line"
    if abs(score) < 1e-12:
        return f"{name} on the line"
    return f"{name} taken for {data.names[1 - label]}"


def _note(ax: "Axes", line: Float[np.ndarray, " D1"]) -> None:
    """Adds a text in place of a line that does not exist."""
    if np.any(line[:-1]):
        return
    place: Any = {"transform": ax.transAxes, "ha": "center", "va": "center"}
    ax.text(0.5, 0.5, "no line: w = 0", color=INK, bbox=BOX, **place)


def _legend(figure: "Figure", ax: "Axes") -> None:
    """Adds the meaning of all marks below the axes, where they hide no point."""
    from matplotlib.lines import Line2D

    colors = dict(zip(ax.get_legend_handles_labels()[1], COLORS, strict=True))
    handles = [
        Line2D([], [], marker=marker, linestyle="none", color=color, label=name)
        for (name, color), marker in zip(colors.items(), "o^", strict=True)
    ]
    ring: dict[str, Any] = {"markersize": 9, "markerfacecolor": "none", "color": INK}
    handles.append(Line2D([], [], marker="o", linestyle="none", label="the mistake", **ring))
    handles.append(Line2D([], [], color=GREY, linestyle="--", label="line before it"))
    handles.append(Line2D([], [], color=INK, label="line after it"))
    columns = int(np.clip(figure.get_figwidth() / 1.35, 2, 5))
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def _score(
    data: TwoClasses, line: Float[np.ndarray, " D1"], points: Float[np.ndarray, "M 2"]
) -> Float[np.ndarray, " M"]:
    """Returns w f(x) + b."""
    values = points
    if data.features is not None:
        values = np.asarray(data.features(points))
    line = np.asarray(line)
    return values @ line[:-1] + line[-1]


def _bounds(points: Float[np.ndarray, "N 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and highest coordinates of a picture with a margin."""
    low = points.min(0)
    high = points.max(0)
    margin = 0.12 * np.maximum(high - low, 1e-3)
    return low - margin, high + margin


def _check(
    data: TwoClasses, lines: Float[np.ndarray, "K1 D1"], examples: Sequence[int] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns lines and examples as arrays; raises an error if shapes do not fit."""
    points = np.asarray(data.points)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InputError("points", list(points.shape), "the shape [N, 2], N at least 1")
    label = np.asarray(data.label)
    if label.shape != points.shape[:1] or not np.isin(label, (0, 1)).all():
        raise InputError("label", label.tolist()[:5], f"0 or 1 for each of {len(points)} points")
    lines = np.asarray(lines, np.float64)
    examples = np.asarray(examples, int)
    wide = points[:1].shape[1]
    if data.features is not None:
        wide = np.asarray(data.features(points[:1])).shape[1]
    if lines.ndim != 2 or lines.shape[1] != wide + 1 or len(lines) != len(examples) + 1:
        allowed = f"[{len(examples) + 1}, {wide + 1}]: one line more than mistakes"
        raise InputError("lines", list(lines.shape), allowed)
    return lines, examples
