"""Pictures of over- and underfitting: fits, capacity, bias and variance."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError, at_least
from jaxdl.plots.page import (
    BLUE,
    GREY,
    INK,
    LEGEND,
    PALETTE,
    RED,
    page,
    plain,
    plain_lines,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: A prediction `[M]` with the lower and the upper end of its band, or without a band.
Fitted = tuple[
    Float[np.ndarray, " M"], Float[np.ndarray, " M"] | None, Float[np.ndarray, " M"] | None
]

#: Colors of bias^2, variance and noise.
PARTS = {"bias²": PALETTE[0], "variance": PALETTE[1], "noise": "#C9CCD1"}


def fitted_curves(
    fits: Mapping[str, Fitted],
    path: str | os.PathLike[str],
    *,
    points: tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]],
    at: Float[np.ndarray, " M"],
    truth: Float[np.ndarray, " M"] | None = None,
    title: str = "",
    labels: tuple[str, str] = ("x", "y"),
    columns: int | None = None,
) -> Path:
    """Draws fits of the same points side by side, with bands and the known truth.

    The axes show the points and the truth. A fit that leaves this range is cut off.

    Args:
      fits: prediction `[M]`, and lower and upper end of a band or None, by the title of its panel.
      path: path of the PNG file.
      points: x `[N]` and y `[N]`.
      at: `[M]`, ascending places of the predictions.
      truth: `[M]`; None draws no truth.
      title: one line above the picture.
      labels: words for x and y.
      columns: number of panels in a row; None means all.

    Returns:
      The path.

    Raises:
      InputError: no fits, or arrays of another shape than `at`.

    Example:
      >>> import tempfile
      >>> x = np.linspace(0, 1, 5)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     file = f"{directory}/fits.png"
      ...     fitted_curves({"line": (x, x - 1, x + 1)}, file, points=(x, x), at=x).name
      'fits.png'
    """
    if not fits:
        raise InputError("fits", {}, "at least one prediction")
    for name, values in (*fits.items(), ("truth", (truth,))):
        for each in values:
            if each is not None and np.shape(each) != np.shape(at):
                allowed = f"{list(np.shape(at))}, as at"
                raise InputError(f"fits[{name!r}]", list(np.shape(each)), allowed)
    columns = columns or len(fits)
    at_least("columns", columns, 1)
    rows = -(-len(fits) // columns)
    shown = np.concatenate([np.ravel(points[1]), np.ravel(points[1] if truth is None else truth)])
    space = 0.15 * (shown.max() - shown.min() or 1.0)
    width = max(3.1 * columns, 5.0)
    lines = wrapped(title, width, 10.3).splitlines()
    with page(path, width, 2.75 * rows + 0.2 * len(lines) + 0.25) as figure:
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for ax, (name, fit) in zip(axes.flat, fits.items(), strict=False):
            _draw_fit(ax, fit, points, at, truth)
            ax.set_title(plain_lines(name))
            ax.set_ylim(shown.min() - space, shown.max() + space)
        for ax in axes.flat[len(fits) :]:
            ax.set_axis_off()
        for ax in axes[:, 0]:
            ax.set_ylabel(plain(labels[1]))
        for ax in axes[-1]:
            ax.set_xlabel(plain(labels[0]))
        handles, words = axes.flat[0].get_legend_handles_labels()
        figure.legend(handles, words, loc="outside lower center", ncols=4)
        if title:
            figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=10.5)
    return Path(path)


def _draw_fit(ax: "Axes", fit: Fitted, points: Any, at: Any, truth: Any) -> None:
    """Draws one fit with its band, the truth and the points."""
    prediction, lower, upper = fit
    if lower is not None and upper is not None:
        ax.fill_between(at, lower, upper, color=BLUE, alpha=0.15, linewidth=0, label="band")
    if truth is not None:
        ax.plot(at, truth, color=INK, linewidth=1.1, linestyle=(0, (4, 2)), label="truth")
    ax.plot(at, prediction, color=BLUE, label="fit")
    ax.plot(*points, "o", color=RED, markersize=3.2, label="points")


def capacity_curves(
    capacity: Int[np.ndarray, " P"],
    train_error: Float[np.ndarray, "*S P"],
    test_error: Float[np.ndarray, "*S P"],
    path: str | os.PathLike[str],
    *,
    label: str = "degree of the polynomial",
    floor: float | None = None,
    title: str = "",
) -> Path:
    """Draws training error and error on new points by the capacity of a model.

    The place with the smallest error on new points divides underfitting from overfitting.

    Args:
      capacity: `[P]`, ascending, such as degrees or widths.
      train_error: `[P]`, or `[S, P]` with one row for each data set. The line is the mean, and the
        area around it has the middle 80 % of the sets.
      test_error: errors on new points, of the same shape.
      path: path of the PNG file.
      label: words for the capacity.
      floor: error that no model can undercut, such as the variance of the noise.
      title: one line above the picture. The default has the best capacity and its error.

    Returns:
      The path.

    Raises:
      InputError: errors that do not fit the capacities.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     file = f"{directory}/capacity.png"
      ...     capacity_curves(np.arange(3), [3.0, 1.0, 0.5], [3.0, 1.5, 2.0], file).name
      'capacity.png'
    """
    train_error = np.atleast_2d(train_error)
    test_error = np.atleast_2d(test_error)
    _check_errors(capacity, train_error, test_error)
    mean = test_error.mean(0)
    best = int(mean.argmin())
    if not title:
        title = f"Least error on new points at {capacity[best]}: {mean[best]:.3g}"
    with page(path, 6.4, 3.5) as figure:
        ax = figure.subplots()
        _draw_errors(ax, capacity, train_error, test_error)
        ax.axvline(capacity[best], color=GREY, linewidth=0.9, linestyle=(0, (4, 2)))
        if floor is not None:
            ax.axhline(floor, color=INK, linewidth=0.9, linestyle=":", label="noise")
        ax.set_yscale("log")
        low = min(train_error.mean(0).min(), mean.min(), floor or np.inf)
        # A training error of 0 and huge errors of single sets stay outside.
        ax.set_ylim(max(0.6 * low, 1e-3 * mean[best]), 4 * mean.max())
        for x, word, side in ((0.02, "underfitting", "left"), (0.98, "overfitting", "right")):
            ax.text(x, 0.95, word, transform=ax.transAxes, ha=side, va="top", color=GREY)
        _plain_numbers(ax.yaxis)
        ax.set(xlabel=plain(label), ylabel="mean squared error")
        ax.set_title(plain(title))
        ax.legend(loc="upper center", **LEGEND)
    return Path(path)


def _check_errors(capacity: Any, *errors: Any) -> None:
    """Raises InputError unless each array of errors has one column for each capacity."""
    size = np.size(capacity)
    if np.ndim(capacity) != 1 or not size:
        raise InputError("capacity", list(np.shape(capacity)), "[P], P at least 1")
    for each in errors:
        if each.ndim != 2 or each.shape[1] != size:
            raise InputError("errors", list(each.shape), f"[S, {size}], one for each capacity")


def _draw_errors(ax: "Axes", capacity: Any, train_error: Any, test_error: Any) -> None:
    """Draws the means of both errors, with the middle 80 % of the rows around them."""
    for errors, color, word in (
        (train_error, BLUE, "training points"),
        (test_error, RED, "new points"),
    ):
        if len(errors) > 1:
            low, high = np.quantile(errors, (0.1, 0.9), 0)
            ax.fill_between(capacity, low, high, color=color, alpha=0.15, linewidth=0)
        marker = "o" if len(capacity) <= 20 else None
        ax.plot(capacity, errors.mean(0), color=color, marker=marker, markersize=3.5, label=word)


def _plain_numbers(axis: Any) -> None:
    """Labels a logarithmic axis with plain numbers."""
    from matplotlib.ticker import NullFormatter, StrMethodFormatter

    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def error_parts(
    names: Sequence[str],
    parts: Mapping[str, Float[np.ndarray, " P"]],
    measured: Float[np.ndarray, " P"],
    path: str | os.PathLike[str],
    *,
    label: str = "degree of the polynomial",
    spread: Float[np.ndarray, " P"] | None = None,
    title: str = "",
) -> Path:
    """Draws stacked parts of an error beside the error that was measured.

    Args:
      names: `[P]`, names of the models, such as their degrees.
      parts: `[P]` by name, such as "bias²", "variance" and "noise".
      measured: `[P]`, measured errors.
      path: path of the PNG file.
      label: words for the names.
      spread: `[P]`, standard errors of the measured ones. None draws none.
      title: one line above the picture. The default has the largest difference of both bars.

    Returns:
      The path.

    Raises:
      InputError: no parts, or another number of values than of names.

    Example:
      >>> import tempfile
      >>> parts = {"bias²": np.array([1.0, 0.0]), "variance": np.array([0.1, 0.4])}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     error_parts(["1", "9"], parts, np.array([1.1, 0.4]), f"{directory}/parts.png").name
      'parts.png'
    """
    if not parts:
        raise InputError("parts", {}, "at least one part of the error")
    for name, values in (*parts.items(), ("measured", measured)):
        if np.shape(values) != (len(names),):
            allowed = f"[{len(names)}], one for each name"
            raise InputError(f"parts[{name!r}]", list(np.shape(values)), allowed)
    total = np.sum([np.asarray(values) for values in parts.values()], 0)
    if not title:
        largest = np.abs(total / np.asarray(measured) - 1).max()
        title = f"The parts add up to the measured error: differences up to {100 * largest:.1f} %"
    at = np.arange(len(names))
    with page(path, max(6.0, 0.55 * len(names) + 1.5), 3.5) as figure:
        ax = figure.subplots()
        below = np.zeros(len(names))
        for i, (name, values) in enumerate(parts.items()):
            color = PARTS.get(name, PALETTE[i % len(PALETTE)])
            ax.bar(at - 0.2, values, 0.38, below, color=color, label=plain(name))
            below = below + values
        style: dict[str, Any] = {"color": "white", "edgecolor": INK, "linewidth": 1.0}
        if spread is not None:
            style |= {"yerr": spread, "error_kw": {"elinewidth": 1.0, "capsize": 2.0}}
        ax.bar(at + 0.2, measured, 0.36, label="measured on new points", **style)
        ax.set_xticks(at, [plain(name) for name in names])
        ax.grid(visible=False, axis="x")
        ax.set(xlabel=plain(label), ylabel="mean squared error")
        ax.set_title(plain(title))
        ax.legend(**LEGEND)
    return Path(path)


def double_descent_curves(
    features: Int[np.ndarray, " P"],
    train_error: Float[np.ndarray, "*S P"],
    test_error: Float[np.ndarray, "*S P"],
    examples: int,
    path: str | os.PathLike[str],
    *,
    title: str = "",
) -> Path:
    """Draws both errors by the number of features, with a line where it equals that of points.

    Args:
      features: `[P]`, ascending numbers of features p.
      train_error: `[P]`, or `[S, P]` with one row for each key.
      test_error: errors on new points, of the same shape.
      examples: n, the number of training points.
      path: path of the PNG file.
      title: one line above the picture. The default has the peak and the smallest errors.

    Returns:
      The path.

    Raises:
      InputError: errors that do not fit the numbers of features.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     file = f"{directory}/descent.png"
      ...     double_descent_curves([5, 10, 50], [0.5, 0.0, 0.0], [1.0, 9.0, 0.8], 10, file).name
      'descent.png'
    """
    features = np.asarray(features)
    train_error = np.atleast_2d(train_error)
    test_error = np.atleast_2d(test_error)
    _check_errors(features, train_error, test_error)
    mean = test_error.mean(0)
    if not title:
        title = f"Largest error on new points at p = {features[mean.argmax()]}, n = {examples}"
    with page(path, 6.8, 3.6) as figure:
        ax = figure.subplots()
        _draw_errors(ax, features, train_error, test_error)
        ax.set(xscale="log", yscale="log", xlabel="number of features p")
        ax.set_ylabel("mean squared error")
        # Fits through all points have training errors of rounding only.
        ax.set_ylim(mean.min() / 30, 2 * mean.max())
        ax.axvline(examples, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
        words: dict[str, Any] = {"va": "top", "fontsize": 8, "color": INK}
        place = ax.get_xaxis_transform()
        ax.text(examples * 1.05, 0.97, f"p = n = {examples}", transform=place, **words)
        ax.text(examples / 1.4, 0.03, "too few to fit all points", ha="right", transform=place)
        ax.text(examples * 1.1, 0.03, "all points are fitted", transform=place)
        for axis in (ax.xaxis, ax.yaxis):
            _plain_numbers(axis)
        ax.set_title(plain(title))
        ax.legend(loc="upper left", **LEGEND)
    return Path(path)
