"""Pictures of activations: curves with derivatives, histograms by layer, decisions, dead units."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError, at_least
from jaxdl.plots.decisions import Predict, draw_class_legend, draw_decision_map
from jaxdl.plots.page import (
    BLUE,
    GREY,
    INK,
    LEGEND,
    PALETTE,
    RED,
    font_size,
    page,
    plain,
    plain_lines,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Values and derivatives `[N]` of a function at the same points.
Curve = tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]

#: Height of a title in inches.
HEAD = 0.35


def activation_sheet(
    curves: Mapping[str, Curve],
    x: Float[np.ndarray, " N"],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    columns: int = 6,
) -> Path:
    """Draws functions with their derivatives, one panel for each.

    Args:
      curves: values and derivatives `[N]` by name.
      x: `[N]`, points at which they were computed.
      path: path of the PNG file.
      title: one line above the picture.
      columns: number of panels in a row.

    Returns:
      The path.

    Raises:
      InputError: no curves, or arrays of other lengths.

    Example:
      >>> import tempfile
      >>> x = np.linspace(-3, 3, 50)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/sheet.png"
      ...     activation_sheet({"tanh": (np.tanh(x), 1 - np.tanh(x) ** 2)}, x, path).name
      'sheet.png'
    """
    _some("curves", curves)
    for name, pair in curves.items():
        for values in pair:
            _same(f"curves[{name!r}]", values, x)
    at_least("columns", columns, 1)
    columns = min(columns, len(curves))
    rows = math.ceil(len(curves) / columns)
    with page(path, 2.05 * columns, 1.75 * rows + 2 * HEAD) as figure:
        _title(figure, title, 2.05 * columns)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for ax in grid.flat[len(curves) :]:
            ax.set_axis_off()
        for ax, (name, (values, slopes)) in zip(grid.flat, curves.items(), strict=False):
            for at_zero in (ax.axhline, ax.axvline):
                at_zero(0, color=GREY, linewidth=0.7)
            ax.plot(x, slopes, color=RED, linewidth=1.3, label="derivative")
            ax.plot(x, values, color=BLUE, linewidth=2, label="value")
            ax.set_title(plain(name), fontsize=font_size(1.7, len(name), 9.5))
            ax.set(xlim=(np.min(x), np.max(x)), ylim=(-2.2, 3.0))
        for ax in grid[-1]:
            ax.set_xlabel("input")
        handles, words = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles[::-1], words[::-1], loc="outside lower center", ncols=2)
    return Path(path)


def activation_histograms(
    values: Mapping[str, Mapping[str, Float[np.ndarray, "..."]]],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    notes: Mapping[str, Mapping[str, str]] | None = None,
) -> Path:
    """Draws histograms of a table of arrays, such as activations by network and by layer.

    Each row has one scale of values, so its panels can be compared. Exact zeros are a grey bar,
    because the ReLU has many of them; its height is the scale of the panel.

    Args:
      values: arrays by the text of the row and the text of the column, the same columns in each.
      path: path of the PNG file.
      title: one line above the picture.
      notes: a text for the upper right corner of each panel, by row and column.

    Returns:
      The path.

    Raises:
      InputError: no rows, rows with other columns, or arrays without finite values.

    Example:
      >>> import tempfile
      >>> layers = {"layer 1": np.linspace(0, 1, 50), "layer 2": np.linspace(0, 2, 50)}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     activation_histograms({"ReLU": layers}, f"{directory}/layers.png").name
      'layers.png'
    """
    _some("values", values)
    columns = list(next(iter(values.values())))
    for row, arrays in values.items():
        if list(arrays) != columns or not columns:
            raise InputError(f"values[{row!r}]", list(arrays), f"the columns {columns}")
        for column, array in arrays.items():
            if not np.size(array) or not np.isfinite(array).all():
                raise InputError(f"values[{row!r}][{column!r}]", np.shape(array), "finite numbers")
    width = 1.75 * len(columns) + 1.2
    with page(path, width, 1.25 * len(values) + HEAD + 0.3) as figure:
        _title(figure, title, width)
        grid = figure.subplots(len(values), len(columns), squeeze=False, sharex="row")
        for i, (row, arrays) in enumerate(values.items()):
            every = np.concatenate([np.ravel(array) for array in arrays.values()])
            low, high = np.quantile(every, (0.002, 0.998))
            high = max(high, low + 1e-12)
            edges = np.linspace(low, high, 61)
            for j, (column, array) in enumerate(arrays.items()):
                ax = grid[i, j]
                flat = np.ravel(array)
                counts, _ = np.histogram(flat[flat != 0], edges)
                ax.stairs(counts / max(counts.max(), 1), edges, fill=True, color=BLUE)
                zero = float((flat == 0).mean())
                if zero > 0.01:
                    ax.bar(0, 1, (high - low) / 40, color=GREY)
                    text = f"{100 * zero:.0f} % are 0"
                    ax.text(0.97, 0.7, text, ha="right", color=GREY, **_corner(ax))
                if notes is not None:
                    ax.text(0.97, 0.86, notes[row][column], ha="right", **_corner(ax))
                ax.set(yticks=[], ylim=(0, 1.4))
                ax.grid(False)
                if i == 0:
                    ax.set_title(plain(column), fontsize=9.5)
                if j == 0:
                    ax.set_ylabel(
                        plain_lines(row), fontsize=8.5, rotation=0, ha="right", va="center"
                    )
    return Path(path)


def variance_by_layer(
    measured: Mapping[str, Float[np.ndarray, " L"]],
    predicted: Mapping[str, Float[np.ndarray, " L"]],
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> Path:
    """Draws variances by layer: measured ones as marks, and those of a formula as lines.

    Args:
      measured: `[L]` for the layers 1 to L, by the name of the network.
      predicted: `[L]` by the same names.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no networks, or other names or lengths in `predicted`.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/variance.png"
      ...     variance_by_layer({"he": np.array([2, 2.1])}, {"he": np.array([2, 2])}, path).name
      'variance.png'
    """
    _some("measured", measured)
    with page(path, 6.6, 4.0) as figure:
        ax = figure.subplots()
        for i, (name, values) in enumerate(measured.items()):
            _same(f"predicted[{name!r}]", predicted.get(name, ()), values)
            layers = np.arange(1, len(values) + 1)
            color = PALETTE[i % len(PALETTE)]
            ax.plot(layers, predicted[name], color=color, linewidth=1.4)
            ax.plot(layers, values, "o", color=color, markersize=5, label=plain(name))
        ax.set_yscale("log")
        ax.set(xlabel="hidden layer", ylabel="variance before the activation")
        ax.set_title(plain(title), fontsize=font_size(6.0, len(title), 10.5))
        ax.plot([], [], color=INK, linewidth=1.4, label="formula (lines)")
        ax.set_xticks(np.arange(1, 1 + max(map(len, measured.values()))))
        figure.legend(loc="outside right center")
    return Path(path)


def decision_maps(
    classifiers: Mapping[str, Predict],
    points: Float[np.ndarray, "N 2"],
    label: Int[np.ndarray, " N"],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    columns: int | None = None,
) -> Path:
    """Draws the decisions of several classifiers for the same points, side by side.

    Args:
      classifiers: functions as in `decision_map`, by the title of their panel.
      points: `[N, 2]`.
      label: `[N]`, true classes in [0, K), K at most 8.
      path: path of the PNG file.
      title: one line above the picture.
      columns: number of panels in a row; None means all.

    Returns:
      The path.

    Raises:
      InputError: no classifiers; or as `decision_map`.

    Example:
      >>> import tempfile
      >>> left = lambda x: np.stack([x[:, 0] < 0, x[:, 0] >= 0], 1).astype(np.float32)
      >>> points = np.array([[-1.0, 0.0], [1.0, 1.0]])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/maps.png"
      ...     decision_maps({"one": left, "two": left}, points, np.array([0, 1]), path).name
      'maps.png'
    """
    _some("classifiers", classifiers)
    columns = min(columns or len(classifiers), len(classifiers))
    rows = math.ceil(len(classifiers) / columns)
    width = 3.5 * columns
    with page(path, width, 3.45 * rows + HEAD + 0.25) as figure:
        _title(figure, title, width)
        grid = figure.subplots(rows, columns, squeeze=False)
        for ax in grid.flat[len(classifiers) :]:
            ax.set_axis_off()
        for ax, (name, predict) in zip(grid.flat, classifiers.items(), strict=False):
            draw_decision_map(ax, predict, points, label)
            heading = f"{name}\n{ax.get_title(loc='left')}"
            longest = max(map(len, heading.split("\n")))
            ax.set_title(plain_lines(heading), fontsize=font_size(3.1, longest, 9.5))
        draw_class_legend(figure, label)
    return Path(path)


def dead_unit_curves(
    shares: Mapping[str, tuple[Int[np.ndarray, " S"], Mapping[str, Float[np.ndarray, " S"]]]],
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> Path:
    """Draws the share of dead units of each layer over the steps of a training.

    Args:
      shares: steps `[S]`, and shares `[S]` in [0, 1] by layer, for each panel by its title.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no panels, or shares and steps of different lengths.

    Example:
      >>> import tempfile
      >>> panel = (np.array([0, 10]), {"activation_0": np.array([0.0, 0.5])})
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     dead_unit_curves({"rate 1": panel}, f"{directory}/dead.png").name
      'dead.png'
    """
    from matplotlib.ticker import MaxNLocator

    _some("shares", shares)
    width = 4.2 * len(shares)
    with page(path, width, 3.3 + HEAD) as figure:
        _title(figure, title, width)
        grid = figure.subplots(1, len(shares), squeeze=False, sharey=True)
        for ax, (name, (steps, layers)) in zip(grid[0], shares.items(), strict=True):
            for i, (layer, values) in enumerate(layers.items()):
                _same(f"shares[{name!r}][{layer!r}]", values, steps)
                ax.plot(
                    steps, 100 * np.asarray(values), ".-", color=PALETTE[i % 8], label=plain(layer)
                )
            longest = max(map(len, name.split("\n")))
            ax.set_title(plain_lines(name), fontsize=font_size(3.9, longest, 9.5))
            ax.set(xlabel="step", ylim=(-3, 103))
            ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        grid[0, 0].set_ylabel("dead units in %")
        grid[0, 0].legend(loc="best", **LEGEND)
    return Path(path)


def approximated_curves(
    fits: Mapping[str, Float[np.ndarray, " N"]],
    x: Float[np.ndarray, " N"],
    target: Float[np.ndarray, " N"],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    columns: int | None = None,
) -> Path:
    """Draws curves that approximate the same curve, one panel for each.

    Args:
      fits: values `[N]` by the title of their panel.
      x: `[N]`, points in ascending order.
      target: `[N]`, the curve itself.
      path: path of the PNG file.
      title: one line above the picture.
      columns: number of panels in a row; None means all.

    Returns:
      The path.

    Raises:
      InputError: no fits, or arrays of other lengths.

    Example:
      >>> import tempfile
      >>> x = np.linspace(0, 1, 20)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     approximated_curves({"2 units": x}, x, x**2, f"{directory}/fits.png").name
      'fits.png'
    """
    _some("fits", fits)
    _same("target", target, x)
    columns = min(columns or len(fits), len(fits))
    rows = math.ceil(len(fits) / columns)
    width = 3.0 * columns
    with page(path, width, 2.3 * rows + 2 * HEAD) as figure:
        _title(figure, title, width)
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for ax in grid.flat[len(fits) :]:
            ax.set_axis_off()
        for ax, (name, values) in zip(grid.flat, fits.items(), strict=False):
            _same(f"fits[{name!r}]", values, x)
            ax.plot(x, target, color=GREY, linewidth=4, alpha=0.6, label="curve")
            ax.plot(x, values, color=BLUE, linewidth=1.6, label="network")
            ax.set_title(plain(name), fontsize=font_size(2.7, len(name), 9.5))
        for ax in grid[-1]:
            ax.set_xlabel("input")
        for ax in grid[:, 0]:
            ax.set_ylabel("output")
        handles, words = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, words, loc="outside lower center", ncols=2)
    return Path(path)


def _corner(ax: Any) -> dict[str, Any]:
    return {"transform": ax.transAxes, "fontsize": 7.5}


def _title(figure: "Figure", title: str, width: float) -> None:
    """Adds one line above a picture."""
    if title:
        size = font_size(width, len(title), 11)
        figure.suptitle(plain(title), x=0.01, ha="left", fontsize=size)


def _some(field: str, values: Mapping) -> None:
    """Raises unless there are values."""
    if not values:
        raise InputError(field, {}, "at least one")


def _same(field: str, values: Any, like: Any) -> None:
    """Raises unless an array has the length of another one."""
    if np.shape(values) != np.shape(like):
        raise InputError(field, list(np.shape(values)), f"numbers {list(np.shape(like))}")
