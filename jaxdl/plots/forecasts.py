"""Forecasts next to the observed values, and the errors of several methods."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError, at_least
from jaxdl.plots.page import BLUE, GREY, INK, PALETTE, page, short_number, unit_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def forecast_lines(
    times: Float[np.ndarray, " T"],
    targets: Float[np.ndarray, " T"],
    predictions: Mapping[str, Float[np.ndarray, " T"]],
    path: str | os.PathLike[str],
    week: int = 168,
    label: str = "value",
) -> Path:
    """Draws a week of observed values and forecasts above, the errors of all weeks below.

    The week is the one in the middle. The title states the lowest mean absolute error of all
    forecasts, and its method.

    Args:
      times: `[T]`, in hours, ascending.
      targets: `[T]`, observed values.
      predictions: `{method: [T]}`, forecasts for these times, of at most 7 methods.
      path: path of the PNG file.
      week: number of times in the upper panel, and in each mean of the lower one. There is no
        lower panel unless T is larger.
      label: name of the forecast quantity, with its unit.

    Returns:
      The path.

    Raises:
      InputError: no times, different lengths, more than 7 methods, or `week < 2`.

    Example:
      >>> import tempfile
      >>> t = np.arange(300.0)
      >>> predictions = {"persistence": np.sin(t / 9 - 1)}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     forecast_lines(t, np.sin(t / 9), predictions, f"{directory}/week.png").name
      'week.png'
    """
    times, targets, predictions = _checked_series(times, targets, predictions)
    at_least("week", week, 2)
    title = f"{len(times):,} forecasts{_lowest_error(targets, predictions, unit_in(label))}"
    if len(times) <= week or not predictions:
        with page(path, 9.0, 3.2) as figure:
            _draw_week(figure.subplots(), times, targets, predictions, label, title)
        return Path(path)
    first = _middle_week(len(times), week)
    part = slice(first, first + week)
    selected = {name: values[part] for name, values in predictions.items()}
    with page(path, 9.0, 5.2, between=0.06) as figure:
        above, below = figure.subplots(2, 1, height_ratios=[3, 2])
        _draw_week(above, times[part], targets[part], selected, label, title)
        _draw_errors_by_week(below, times, targets, predictions, week, unit_in(label))
    return Path(path)


def _draw_week(
    ax: "Axes",
    times: np.ndarray,
    targets: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    label: str,
    title: str,
) -> None:
    """Draws lines with their title, and a legend below the title, where it hides no curve."""
    draw_forecasts(ax, times, targets, predictions, label)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=8, borderaxespad=0.2, handlelength=1.6)
    ax.set_title(title, pad=24)
    ax.set_xlabel("time (days)")


def _draw_errors_by_week(
    ax: "Axes",
    times: np.ndarray,
    targets: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    week: int,
    unit: str,
) -> None:
    """Draws the mean absolute error of each method in each week, and the week in the middle."""
    starts = np.arange(0, len(times), week)
    sizes = np.diff(starts, append=len(times))
    days = np.add.reduceat(times, starts) / sizes / 24
    for (name, values), color in zip(predictions.items(), PALETTE, strict=False):
        errors = np.add.reduceat(np.abs(values - targets), starts) / sizes
        ax.plot(days, errors, color=color, label=name, marker="o", markersize=3.5)
    middle = _middle_week(len(times), week)
    span = times[[middle, middle + week - 1]] / 24
    ax.axvspan(*span, color=GREY, alpha=0.15, linewidth=0)
    length = f"{week * (times[1] - times[0]) / 24:.3g} days"
    ax.set_title(f"mean absolute error of every {length}; the grey part is in the upper panel")
    ax.set(xlim=(times[0] / 24, times[-1] / 24), xlabel="time (days)", ylabel=f"error{_in(unit)}")
    ax.set_ylim(bottom=0)


def _middle_week(size: int, week: int) -> int:
    """Returns the first of the times of the week in the middle, a multiple of `week`."""
    return size // week // 2 * week


def _in(unit: str) -> str:
    """Returns a unit for a label: in parentheses, or '' without one."""
    return f" ({unit.strip()})" if unit else ""


def _lowest_error(targets: np.ndarray, predictions: Mapping[str, np.ndarray], unit: str) -> str:
    """Returns the part of a title with the lowest mean absolute error; '' without methods."""
    if not predictions:
        return ""
    errors = {name: float(np.abs(each - targets).mean()) for name, each in predictions.items()}
    best = min(errors, key=errors.__getitem__)
    return f"; lowest mean absolute error {short_number(errors[best])}{unit} ({best})"


def draw_forecasts(
    ax: "Axes",
    times: Float[np.ndarray, " T"],
    targets: Float[np.ndarray, " T"],
    predictions: Mapping[str, Float[np.ndarray, " T"]],
    label: str = "value",
    linewidth: float = 1.6,
) -> None:
    """Draws observed values and forecasts on `ax`.

    Args:
      ax: axes to draw on.
      times: see `forecast_lines`.
      targets: see `forecast_lines`.
      predictions: see `forecast_lines`.
      label: see `forecast_lines`.
      linewidth: width of the lines in points.
    """
    from matplotlib.ticker import MaxNLocator

    times, targets, predictions = _checked_series(times, targets, predictions)
    for (name, values), color in zip(predictions.items(), PALETTE, strict=False):
        ax.plot(times / 24, values, color=color, label=name, linewidth=linewidth, alpha=0.9)
    ax.plot(times / 24, targets, color=INK, label="observed", linewidth=linewidth, zorder=1.9)
    ax.set_xlim(times[0] / 24, max(times[-1], times[0] + 1) / 24)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    ax.set_ylabel(label)


def error_bars(
    errors: Mapping[str, Float[np.ndarray, " S"]],
    path: str | os.PathLike[str],
    naive: str | None = "persistence",
    label: str = "test error",
) -> Path:
    """Draws the mean error of each method as a bar, with its standard deviation over seeds.

    The title states the lowest mean error, its method, and its ratio to that of the baseline.

    Args:
      errors: `{method: [S]}`, from top to bottom, the error of each of S seeds, not negative. The
        methods may have different numbers of seeds.
      path: path of the PNG file.
      naive: the baseline, whose bar is grey and whose error is a dashed line through all bars.
        There is none if this is None or not one of the methods.
      label: name of the error, with its unit in parentheses.

    Returns:
      The path.

    Raises:
      InputError: no methods, a method without errors, or a negative error.

    Example:
      >>> import tempfile
      >>> errors = {"persistence": [0.4], "GRU": [0.08, 0.12]}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     error_bars(errors, f"{directory}/errors.png").name
      'errors.png'
    """
    with page(path, 6.0, 1.2 + 0.34 * len(errors)) as figure:
        draw_error_bars(figure.subplots(), errors, naive, label)
    return Path(path)


def draw_error_bars(
    ax: "Axes",
    errors: Mapping[str, Float[np.ndarray, " S"]],
    naive: str | None = "persistence",
    label: str = "test error",
) -> None:
    """Draws the bars on `ax`; see `error_bars` for the other arguments."""
    names = list(errors)
    values = _checked_errors(errors)
    means = np.array([each.mean() for each in values])
    # A sample of one has no standard deviation.
    stds = np.array([each.std(ddof=1) if len(each) > 1 else 0.0 for each in values])
    y = np.arange(len(names))
    ax.barh(y, means, height=0.62, color=[GREY if name == naive else BLUE for name in names])
    seeded = stds > 0
    ax.errorbar(
        means[seeded],
        y[seeded],
        xerr=stds[seeded],
        fmt="none",
        ecolor=INK,
        elinewidth=1.2,
        capsize=2.5,
    )
    furthest = max(float((means + stds).max()), 1e-12)
    for i, (mean, std) in enumerate(zip(means, stds, strict=True)):
        text = short_number(mean)
        if std:
            text += f" ± {std:.1g}"
        text += unit_in(label)
        x = mean + std + 0.015 * furthest
        ax.text(x, i, text, va="center_baseline", fontsize=8, backgroundcolor="white")
        ax.texts[-1].set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.0})
    if naive is not None and naive in names:
        level = means[names.index(naive)]
        ax.axvline(level, color=INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1.5)
    ax.set_title(_best_of(dict(zip(names, means, strict=True)), naive, unit_in(label)))
    ax.set_yticks(y, names)
    ax.set(xlim=(0, 1.3 * furthest), ylim=(len(names) - 0.5, -0.5), xlabel=label)
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)


def _best_of(means: Mapping[str, float], naive: str | None, unit: str) -> str:
    """Returns the title of bars: the lowest error, its method, and the comparison with `naive`."""
    best = min(means, key=means.__getitem__)
    title = f"lowest error: {short_number(means[best])}{unit} ({best})"
    if naive is None or naive not in means:
        return title
    if best == naive:
        return f"{title}: nothing is better than this baseline"
    ratio = means[best] / max(means[naive], 1e-12)
    return f"{title}, {100 * ratio:.0f} % of that of {naive} (dashed)"


def _checked_series(
    times: np.ndarray, targets: np.ndarray, predictions: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Returns the arguments as arrays; raises an error unless all have the shape `[T]`."""
    shape = np.shape(times)
    times = np.asarray(times, np.float64)
    if len(shape) != 1 or not shape[0]:
        raise InputError("times", shape, "the shape [T], T at least 1")
    if len(predictions) >= len(PALETTE):
        raise InputError("predictions", len(predictions), f"at most {len(PALETTE) - 1} methods")
    for name, values in {"targets": targets, **predictions}.items():
        if np.shape(values) != shape:
            raise InputError(name, np.shape(values), f"one for each of {shape[0]} times")
    arrays = {name: np.asarray(values) for name, values in predictions.items()}
    return times, np.asarray(targets), arrays


def _checked_errors(errors: Mapping[str, np.ndarray]) -> list[Float[np.ndarray, " S"]]:
    """Returns the errors as arrays; raises an error unless each has the shape `[S]` and is >= 0."""
    if not errors:
        raise InputError("errors", {}, "at least one method")
    arrays = {name: np.asarray(values, np.float64) for name, values in errors.items()}
    for name, values in arrays.items():
        if values.ndim != 1 or not len(values):
            raise InputError(f"errors[{name!r}] shape", values.shape, "[S], S at least 1")
        if not (values >= 0).all():
            raise InputError(f"errors[{name!r}]", values.tolist(), "numbers that are not negative")
    return list(arrays.values())
