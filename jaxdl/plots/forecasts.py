"""Forecasts beside what was observed, and how far off each method is."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError, at_least
from jaxdl.plots.page import BLUE, GREY, INK, PALETTE, page

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
    """Draws what was observed and what each method said: all of it above, one week from the middle below.

    Args:
      times: `[T]`, in hours, rising.
      targets: `[T]`, what was observed.
      predictions: `{method: [T]}`, what it had said for these times, at most 7 of them.
      path: the PNG file.
      week: how many steps the lower part shows; there is none if that is all.
      label: what is forecast, with its unit.

    Returns:
      The path.

    Raises:
      InputError: no times, lengths that differ, more than 7 methods, `week < 2`.

    Example:
      >>> import tempfile
      >>> t = np.arange(300.0)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     forecast_lines(t, np.sin(t / 9), {"as now": np.sin(t / 9 - 1)}, f"{directory}/week.png").name
      'week.png'
    """
    times, targets, predictions = _series(times, targets, predictions)
    at_least("week", week, 2)
    zoomed = len(times) > week
    first = (len(times) - week) // 2 if zoomed else 0
    with page(path, 9.0, 5.2 if zoomed else 3.0, between=0.06) as figure:
        axes = figure.subplots(1 + zoomed, 1, height_ratios=[2, 3][: 1 + zoomed], squeeze=False)[
            :, 0
        ]
        draw_forecasts(
            axes[0], times, targets, predictions, label, linewidth=0.8 if zoomed else 1.6
        )
        # In the line of the title, where no line can run into it.
        axes[0].legend(
            loc="lower right", bbox_to_anchor=(1, 1), ncols=8, borderaxespad=0.2, handlelength=1.6
        )
        axes[0].set_title(f"{len(times):,} forecasts")
        if zoomed:
            part = slice(first, first + week)
            draw_forecasts(
                axes[1],
                times[part],
                targets[part],
                {n: p[part] for n, p in predictions.items()},
                label,
            )
            axes[0].axvspan(
                times[first] / 24, times[first + week - 1] / 24, color=GREY, alpha=0.15, linewidth=0
            )
            axes[1].set_title("the part in grey, larger")
        axes[-1].set_xlabel("day")
    return Path(path)


def draw_forecasts(
    ax: "Axes",
    times: Float[np.ndarray, " T"],
    targets: Float[np.ndarray, " T"],
    predictions: Mapping[str, Float[np.ndarray, " T"]],
    label: str = "value",
    linewidth: float = 1.6,
) -> None:
    """Draws what was observed, in ink, and what each method said on `ax`; arguments as for `forecast_lines`."""
    from matplotlib.ticker import MaxNLocator

    times, targets, predictions = _series(times, targets, predictions)
    for (name, values), color in zip(predictions.items(), PALETTE, strict=False):
        ax.plot(times / 24, values, color=color, label=name, linewidth=linewidth, alpha=0.9)
    ax.plot(times / 24, targets, color=INK, label="observed", linewidth=linewidth, zorder=1.9)
    ax.set_xlim(times[0] / 24, max(times[-1], times[0] + 1) / 24)
    ax.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    ax.set_ylabel(label)


def error_bars(
    names: Sequence[str],
    means: Float[np.ndarray, " M"],
    stds: Float[np.ndarray, " M"],
    path: str | os.PathLike[str],
    naive: str | None = "as now",
    label: str = "test error",
) -> Path:
    """Draws the error of each method as a bar with its standard deviation over seeds, the naive one as a line.

    Args:
      names: the M methods, from top to bottom.
      means: `[M]`, not negative.
      stds: `[M]`, 0 for a method without seeds.
      path: the PNG file.
      naive: the method that the others are to beat: grey, its error a dashed line through all bars; None,
        or a name that is not there: none.
      label: what the error is.

    Returns:
      The path.

    Raises:
      InputError: no methods, lengths that differ, or a negative number.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     error_bars(["as now", "GRU"], [0.4, 0.1], [0.0, 0.02], f"{directory}/errors.png").name
      'errors.png'
    """
    with page(path, 6.0, 0.8 + 0.34 * len(names)) as figure:
        draw_error_bars(figure.subplots(), names, means, stds, naive, label)
    return Path(path)


def draw_error_bars(
    ax: "Axes",
    names: Sequence[str],
    means: Float[np.ndarray, " M"],
    stds: Float[np.ndarray, " M"],
    naive: str | None = "as now",
    label: str = "test error",
) -> None:
    """Draws the bars on `ax`; arguments as for `error_bars`."""
    means = _bars(names, "means", means)
    stds = _bars(names, "stds", stds)
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
        said = f"{mean:.3g} ± {std:.1g}" if std else f"{mean:.3g}"
        ax.text(
            mean + std + 0.015 * furthest,
            i,
            said,
            va="center_baseline",
            fontsize=8,
            backgroundcolor="white",
        )
        ax.texts[-1].set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.0})
    if naive is not None and naive in names:
        ax.axvline(
            means[list(names).index(naive)],
            color=INK,
            linewidth=1.0,
            linestyle=(0, (4, 3)),
            zorder=1.5,
        )
    ax.set_yticks(y, names)
    ax.set(xlim=(0, 1.2 * furthest), ylim=(len(names) - 0.5, -0.5), xlabel=label)
    ax.grid(False, axis="y")
    ax.tick_params(axis="y", length=0)


def _series(
    times: np.ndarray, targets: np.ndarray, predictions: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    times, shape = np.asarray(times, np.float64), np.shape(times)
    if len(shape) != 1 or not shape[0]:
        raise InputError("times", shape, "the shape [T], T at least 1")
    if len(predictions) >= len(PALETTE):
        raise InputError("predictions", len(predictions), f"at most {len(PALETTE) - 1} methods")
    for name, values in {"targets": targets, **predictions}.items():
        if np.shape(values) != shape:
            raise InputError(name, np.shape(values), f"one for each of {shape[0]} times")
    return (
        times,
        np.asarray(targets),
        {name: np.asarray(values) for name, values in predictions.items()},
    )


def _bars(
    names: Sequence[str], field: str, values: Float[np.ndarray, " M"]
) -> Float[np.ndarray, " M"]:
    values = np.asarray(values, np.float64)
    if not len(names) or values.shape != (len(names),):
        raise InputError(field, values.shape, f"one for each of {len(names)} names, at least 1")
    if not (values >= 0).all():
        raise InputError(field, values.tolist(), "numbers that are not negative")
    return values
