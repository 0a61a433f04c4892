"""Pictures of optimizers: contour maps with their paths, balls on hills, rates, schedules."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError, at_least
from jaxdl.plots.animation import animation
from jaxdl.plots.page import GREY, INK, PALETTE, page, plain, plain_lines, set_log_ticks, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Values `[Q, P]` with the coordinates x `[P]` and y `[Q]`.
Plane = tuple[Float[np.ndarray, "Q P"], Float[np.ndarray, " P"], Float[np.ndarray, " Q"]]

#: Paths by their label, each with the points `[S + 1, D]`.
Paths = Mapping[str, Float[np.ndarray, "S D"]]

#: Width and height of a map, and width of its legend, in inches.
WIDTH = 3.5
HEIGHT = 2.9
SIDE = 1.95

#: Number of colors between the lowest and the highest values, each with the same area.
STEPS = 18

#: Number of frames of a GIF, and its duration in seconds.
FRAMES = 50
SECONDS = 9.0

#: Colors of lines; a line after these has the next dashes.
COLORS = (*PALETTE[:6], PALETTE[7])
DASHES = ("-", "--", ":")


def line_style(i: int) -> dict[str, Any]:
    """Returns color and dashes of the i-th of several lines that cross.

    Example:
      >>> line_style(0), line_style(7)
      ({'color': '#0072B2', 'linestyle': '-'}, {'color': '#0072B2', 'linestyle': '--'})
    """
    dashes = DASHES[i // len(COLORS) % len(DASHES)]
    return {"color": COLORS[i % len(COLORS)], "linestyle": dashes}


def descent_maps(
    planes: Mapping[str, Plane],
    paths: Mapping[str, Paths],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    minima: Mapping[str, Sequence[float]] | None = None,
    columns: int = 2,
) -> Path:
    """Draws the paths of optimizers on the contours of functions, with a legend beside each map.

    Each color of the contours covers the same area, and dark is low. A circle marks the start, a
    point the end of each path, and a star the minimum. If each map has one path only, its label is
    a part of the title.

    Args:
      planes: values with x and y by the title of a map.
      paths: for each map its paths by their label in the legend.
      path: path of the PNG file.
      title: one line above the picture.
      minima: the lowest point by the title of a map; None marks none.
      columns: number of maps in a row.

    Returns:
      The path.

    Raises:
      InputError: no maps, maps without paths, or arrays of other shapes.

    Example:
      >>> import tempfile
      >>> x = np.linspace(-1, 1, 9)
      >>> bowl = (x[:, None] ** 2 + x[None] ** 2, x, x)
      >>> found = {"bowl": {"sgd, rate 0.1": np.array([[0.9, 0.5], [0.4, 0.2], [0.1, 0.0]])}}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     descent_maps({"bowl": bowl}, found, f"{directory}/maps.png").name
      'maps.png'
    """
    _check(planes, paths)
    at_least("columns", columns, 1)
    columns = min(columns, len(planes))
    rows = -(-len(planes) // columns)
    has_legend = any(len(each) > 1 for each in paths.values())
    width = columns * (WIDTH + SIDE * has_legend)
    lines = wrapped(title, width, 10.3).splitlines()
    with page(path, width, rows * HEIGHT + 0.22 * len(lines) + 0.1) as figure:
        axes = figure.subplots(rows, columns, squeeze=False)
        for ax, (name, plane) in zip(axes.flat, planes.items(), strict=False):
            _draw_map(ax, plane, name, (minima or {}).get(name))
            for i, (label, points) in enumerate(paths[name].items()):
                _draw_path(ax, np.asarray(points), label, i)
            first = np.asarray(next(iter(paths[name].values())))[0]
            ax.plot(*first, "o", color="white", markeredgecolor=INK, markersize=6, zorder=6)
            if has_legend:
                ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), borderaxespad=0.3)
            else:
                ax.set_title(plain(f"{name}, {next(iter(paths[name]))}"), fontsize=9.5)
        for ax in axes.flat[len(planes) :]:
            ax.set_axis_off()
        if title:
            figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=11)
    return Path(path)


def _draw_map(ax: "Axes", plane: Plane, title: str, minimum: Sequence[float] | None) -> None:
    """Draws the contours of a function."""
    from matplotlib.colors import LinearSegmentedColormap

    values, x, y = plane
    levels = np.unique(np.quantile(values, np.linspace(0, 1, STEPS)))
    if len(levels) < 2:
        levels = np.array([levels[0] - 1, levels[0] + 1])
    shades = LinearSegmentedColormap.from_list("shades", ["#A9BCCF", "#FFFFFF"])
    # A color for each area, however different the values are.
    ax.contourf(x, y, np.searchsorted(levels, values), levels=STEPS, cmap=shades)
    ax.contour(x, y, values, levels=levels[1:-1], colors=GREY, linewidths=0.4, alpha=0.7)
    ax.grid(False)
    ax.set_title(plain(title), fontsize=10)
    ax.set(xlabel="x", ylabel="y", xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    if minimum is not None:
        ax.plot(*minimum, "*", color="none", markeredgecolor=INK, markersize=15, zorder=7)


def _draw_path(ax: "Axes", points: Any, label: str, i: int) -> None:
    """Draws a path with a point at its end."""
    style = line_style(i)
    ax.plot(points[:, 0], points[:, 1], **style, linewidth=1.4, label=plain(label))
    ax.plot(*points[-1], "o", color=style["color"], markersize=5, zorder=6)


def descent_gif(
    planes: Mapping[str, Plane],
    paths: Mapping[str, Paths],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    minima: Mapping[str, Sequence[float]] | None = None,
    columns: int = 3,
) -> Path:
    """Draws the paths of optimizers as they grow, with all maps next to each other.

    The first steps are slow and the last ones fast, because most movement is at the start. All maps
    have one legend, so their paths need equal labels.

    Args:
      planes: values with x and y by the title of a map.
      paths: for each map its paths by their label, of the same labels and numbers of steps.
      path: path of the GIF file.
      title: words before the number of the step.
      minima: the lowest point by the title of a map; None marks none.
      columns: number of maps in a row.

    Returns:
      The path.

    Raises:
      InputError: no maps, maps without paths or with other labels, or arrays of other shapes.

    Example: see `descent_maps`.
    """
    _check(planes, paths)
    at_least("columns", columns, 1)
    labels = list(next(iter(paths.values())))
    for name, each in paths.items():
        if list(each) != labels:
            raise InputError(
                f"paths[{name!r}]", list(each), f"the labels of the first map, {labels}"
            )
    columns = min(columns, len(planes))
    rows = -(-len(planes) // columns)
    steps = _frame_steps(max(len(points) for each in paths.values() for points in each.values()))

    def prepare(figure: "Figure") -> Callable[[int], None]:
        axes = figure.subplots(rows, columns, squeeze=False)
        artists = []
        for ax, (name, plane) in zip(axes.flat, planes.items(), strict=False):
            _draw_map(ax, plane, name, (minima or {}).get(name))
            ax.set(xlabel="", ylabel="")
            artists += [
                (*_moving(ax, i), np.asarray(paths[name][label])) for i, label in enumerate(labels)
            ]
        for ax in axes.flat[len(planes) :]:
            ax.set_axis_off()
        handles = [line for line, _, _ in artists[: len(labels)]]
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        head = figure.suptitle(_step_of(title, 0, steps[-1]), x=0.01, ha="left")

        def change(i: int) -> None:
            step = steps[i]
            for line, point, points in artists:
                line.set_data(*points[: step + 1].T)
                point.set_data(*points[min(step, len(points) - 1)][:, None])
            head.set_text(_step_of(title, step, steps[-1]))

        return change

    return animation(path, columns * 3.3, rows * 2.5 + 0.6, prepare, len(steps), SECONDS)


def _step_of(title: str, step: int, last: int) -> str:
    """Returns the title of a frame, which counts the steps."""
    words = f"step {step} of {last}"
    return plain(f"{title}: {words}" if title else words)


def _moving(ax: "Axes", i: int) -> tuple[Any, Any]:
    """Returns an empty line and an empty point."""
    style = line_style(i)
    (line,) = ax.plot([], [], **style, linewidth=1.3)
    (point,) = ax.plot([], [], "o", color=style["color"], markersize=5.5, zorder=6)
    return line, point


def _frame_steps(points: int) -> list[int]:
    """Returns the steps of the frames, with small distances first."""
    if points <= FRAMES:
        return list(range(points))
    share = np.linspace(0, 1, FRAMES) ** 1.7
    return sorted({round(float(each) * (points - 1)) for each in share})


def hill_paths(
    curve: tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]],
    paths: Mapping[str, tuple[Float[np.ndarray, " S"], Float[np.ndarray, " S"]]],
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> Path:
    """Draws balls that roll on a curve, one panel for each optimizer.

    Args:
      curve: x `[P]` and the values `[P]` of the function.
      paths: x `[S + 1]` and the values of a path by the title of its panel, which may have lines.
      path: path of the PNG file, or of a GIF file by its ending, in which the balls move.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no paths.

    Example:
      >>> import tempfile
      >>> x = np.linspace(-1, 1, 9)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     paths = {"sgd": (np.array([-0.9, -0.3]), np.array([0.81, 0.09]))}
      ...     hill_paths((x, x**2), paths, f"{directory}/hills.png").name
      'hills.png'
    """
    if not paths:
        raise InputError("paths", {}, "at least one")
    width = max(3.1 * len(paths), 4.0)
    steps = _frame_steps(max(len(x) for x, _ in paths.values()))
    if Path(path).suffix == ".gif":

        def prepare(figure: "Figure") -> Callable[[int], None]:
            return _draw_hills(figure, curve, paths, title, steps)

        return animation(path, width, 3.0, prepare, len(steps), SECONDS)
    with page(path, width, 3.0) as figure:
        _draw_hills(figure, curve, paths, title, steps)(len(steps) - 1)
    return Path(path)


def _draw_hills(
    figure: "Figure", curve: Any, paths: Any, title: str, steps: Sequence[int]
) -> Callable[[int], None]:
    """Draws the curve of each panel, and returns the function that moves the balls."""
    axes = figure.subplots(1, len(paths), sharey=True, squeeze=False)[0]
    height = float(np.max(curve[1]) - np.min(curve[1]))
    artists = []
    for i, (ax, (name, _)) in enumerate(zip(axes, paths.items(), strict=True)):
        ax.plot(*curve, color=INK, linewidth=1.4)
        ax.fill_between(*curve, np.min(curve[1]) - 0.08 * height, color="#E8EAED")
        color = COLORS[i % len(COLORS)]
        (trail,) = ax.plot([], [], "o", color=color, alpha=0.3, markersize=4, linestyle="none")
        (ball,) = ax.plot([], [], "o", color=color, markersize=12, markeredgecolor=INK, zorder=5)
        ax.set_title(plain_lines(name), fontsize=9.5)
        ax.set(xlabel="weight", xlim=(curve[0][0], curve[0][-1]))
        ax.set_ylim(np.min(curve[1]) - 0.08 * height, np.max(curve[1]) + 0.12 * height)
        ax.grid(False)
        artists.append((trail, ball))
    axes[0].set_ylabel("loss")
    head = figure.suptitle(plain(title), x=0.01, ha="left", fontsize=11)

    def change(i: int) -> None:
        step = steps[i]
        for (trail, ball), (x, values) in zip(artists, paths.values(), strict=True):
            last = min(step, len(x) - 1)
            trail.set_data(x[: last + 1], values[: last + 1])
            # The ball lies on the curve.
            ball.set_data([x[last]], [values[last] + 0.035 * height])
        head.set_text(_step_of(title, step, steps[-1]))

    return change


def tuning_curves(
    rates: Sequence[float],
    measures: Mapping[str, Mapping[str, Float[np.ndarray, " R"]]],
    path: str | os.PathLike[str],
    *,
    label: str = "final value",
    title: str = "",
    columns: int = 3,
) -> Path:
    """Draws a measure of descents against the learning rate, with the best rate marked.

    Args:
      rates: R learning rates.
      measures: for each panel by its title the measures `[R]` by the name of the optimizer, such as
        those of `landscape.tuned_rate`. An infinite one is a descent that diverged.
      label: words for the measure.
      path: path of the PNG file.
      title: one line above the picture.
      columns: number of panels in a row.

    Returns:
      The path.

    Raises:
      InputError: no panels, or another number of values.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     found = {"bowl": {"sgd": np.array([1.0, 0.1, np.inf])}}
      ...     tuning_curves([0.01, 0.1, 1.0], found, f"{directory}/rates.png").name
      'rates.png'
    """
    if not measures:
        raise InputError("measures", {}, "at least one panel")
    columns = min(columns, len(measures))
    rows = -(-len(measures) // columns)
    with page(path, max(3.4 * columns, 5.0), 2.5 * rows + 0.8) as figure:
        axes = figure.subplots(rows, columns, sharex=True, squeeze=False)
        handles: dict[str, Any] = {}
        for ax, (name, lines) in zip(axes.flat, measures.items(), strict=False):
            for i, (line, values) in enumerate(lines.items()):
                if len(values) != len(rates):
                    raise InputError(f"measures[{name!r}][{line!r}]", len(values), f"{len(rates)}")
                # The logarithmic scale has no room for an exact minimum, nor for overflow.
                shown = np.clip(np.asarray(values, float), 1e-12, None)
                shown[~np.isfinite(values)] = math.nan
                style = line_style(i)
                (handles[line],) = ax.plot(rates, shown, **style, linewidth=1.3)
                best = int(np.nanargmin(shown))
                ax.plot(rates[best], shown[best], "o", color=style["color"], markersize=4.5)
            ax.set(xscale="log", yscale="log")
            ax.set_ylim(top=min(ax.get_ylim()[1], 1e4))
            set_log_ticks(ax.yaxis, *ax.get_ylim())
            ax.set_title(plain(name), fontsize=10)
        for ax in axes.flat[len(measures) :]:
            ax.set_axis_off()
        for ax in axes[-1]:
            ax.set_xlabel("learning rate")
        for ax in axes[:, 0]:
            ax.set_ylabel(plain(label))
        figure.legend(
            handles.values(), map(plain, handles), loc="outside lower center", ncols=len(handles)
        )
        if title:
            figure.suptitle(plain(title), x=0.01, ha="left", fontsize=11)
    return Path(path)


def _check(planes: Mapping[str, Plane], paths: Mapping[str, Paths]) -> None:
    """Raises for values without their coordinates, and maps without paths."""
    if not planes:
        raise InputError("planes", {}, "at least one map")
    for name, (values, x, y) in planes.items():
        shape = (*np.shape(y), *np.shape(x))
        if np.shape(values) != shape or len(shape) != 2 or min(shape) < 2:
            allowed = f"{list(shape)}, as many as y and x, at least 2 each"
            raise InputError(f"planes[{name!r}]", list(np.shape(values)), allowed)
        if not paths.get(name):
            raise InputError("paths", list(paths), f"at least one path of {name!r}")
        for label, points in paths[name].items():
            if np.ndim(points) != 2 or np.shape(points)[1] != 2:
                raise InputError(f"paths[{name!r}][{label!r}]", list(np.shape(points)), "[S, 2]")
