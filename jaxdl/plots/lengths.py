"""Errors as a function of the sequence length."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.page import INK, PALETTE, page, set_log_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Errors = Mapping[str, Float[np.ndarray, "S L"]]
MARKERS = "osD^vPX*"


def error_by_length(
    lengths: Int[np.ndarray, " L"],
    errors: Errors,
    path: str | os.PathLike[str],
    baseline: float | Float[np.ndarray, " L"] | None = None,
    title: str = "",
    label: str = "test error",
) -> Path:
    """Draws the errors of recurrent cells as a function of the sequence length.

    A bold line is the mean over seeds, and a pale line is a single seed. Errors have a logarithmic
    scale. Lengths have one too if the longest is at least 8 times the shortest. An error of 0 is
    at the lower edge. The title states the lowest mean error for the longest sequences, and that
    without memory.

    Args:
      lengths: `[L]`, ascending.
      errors: `{cell: [S, L]}`, one row for each of S seeds, at most 8 cells.
      path: path of the PNG file.
      baseline: error without memory, a number or `[L]`; None means no baseline.
      title: name of the task, the first line of the title.
      label: name of the error, with its unit.

    Returns:
      The path.

    Raises:
      InputError: lengths that are not ascending, more than 8 cells, or errors that have another
        shape, are negative or are not finite.

    Example:
      >>> import tempfile
      >>> errors = {"LSTM": np.array([[0.01, 0.1]])}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     error_by_length([50, 100], errors, f"{directory}/lengths.png", 1 / 6).name
      'lengths.png'
    """
    with page(path, 6.0, 3.8) as figure:
        ax = figure.subplots()
        draw_error_by_length(ax, lengths, errors, baseline, label)
        ax.set_title(f"{title}\n{_lowest_error(lengths, errors, baseline)}".strip())
        figure.legend(loc="outside right upper")
    return Path(path)


def draw_error_by_length(
    ax: "Axes",
    lengths: Int[np.ndarray, " L"],
    errors: Errors,
    baseline: float | Float[np.ndarray, " L"] | None = None,
    label: str = "test error",
) -> None:
    """Draws the lines on `ax` without a legend; see `error_by_length` for the other arguments."""
    lengths, errors = _checked(lengths, errors)
    lower_edge = _lower_edge(errors, baseline)
    for (name, each), color, marker in zip(errors.items(), PALETTE, MARKERS, strict=False):
        if len(each) > 1:
            seeds = np.maximum(each, lower_edge)
            ax.plot(lengths, seeds.T, color=color, alpha=0.3, linewidth=0.8)
        mean = np.maximum(each.mean(0), lower_edge)
        ax.plot(
            lengths,
            mean,
            color=color,
            marker=marker,
            markersize=5,
            label=name,
            clip_on=False,
            zorder=3,
        )
    if baseline is not None:
        level = np.broadcast_to(np.asarray(baseline, np.float64), lengths.shape)
        ax.plot(
            lengths,
            level,
            color=INK,
            linewidth=1.2,
            linestyle=(0, (4, 3)),
            label="without memory",
            zorder=1.9,
        )
    _set_scales(ax, lengths, lower_edge)
    ax.set(xlabel="sequence length (steps)", ylabel=label)


def _lowest_error(lengths: np.ndarray, errors: Errors, baseline: float | np.ndarray | None) -> str:
    """Returns the lowest mean error for the longest sequences, with the cell that has it."""
    means = {name: float(np.mean(np.asarray(each)[:, -1])) for name, each in errors.items()}
    best = min(means, key=means.__getitem__)
    title = f"lowest error at {lengths[-1]:,} steps: {means[best]:.2g} ({best})"
    if baseline is not None:
        title += f", without memory {np.ravel(baseline)[-1]:.2g}"
    return title.replace("-", "−")


def _lower_edge(errors: Errors, baseline: float | np.ndarray | None) -> float:
    """Returns the value at which errors of 0 are shown, or 0.0 if there is none.

    This is a third of the smallest positive value.
    """
    everything = np.concatenate([np.ravel(each) for each in errors.values()])
    if baseline is not None:
        everything = np.append(everything, baseline)
    positive = everything[everything > 0]
    if positive.size == everything.size:
        return 0.0
    if not positive.size:
        return 1e-3
    return float(positive.min()) / 3


def _set_scales(ax: "Axes", lengths: np.ndarray, lower_edge: float) -> None:
    """Sets the scales, limits and ticks of both axes."""
    from matplotlib.ticker import NullLocator

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    low = lower_edge or low
    ax.set_ylim(low, high)
    set_log_ticks(ax.yaxis, low, high)
    if lengths[-1] >= 8 * lengths[0] > 0:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(lengths, [f"{length:,}" for length in lengths])


def _checked(lengths: np.ndarray, errors: Errors) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns the arguments as arrays; raises an error if one of them is bad."""
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or not len(lengths) or (np.diff(lengths) <= 0).any():
        raise InputError("lengths", lengths.tolist(), "at least one number, ascending")
    if not 0 < len(errors) <= len(PALETTE):
        raise InputError("errors", len(errors), f"1 to {len(PALETTE)} cells")
    arrays = {name: np.asarray(each, np.float64) for name, each in errors.items()}
    for name, each in arrays.items():
        if each.ndim != 2 or not len(each) or each.shape[1] != len(lengths):
            raise InputError(
                f"errors[{name!r}] shape",
                each.shape,
                f"[S, L] with L = {len(lengths)}, S at least 1",
            )
        if not (np.isfinite(each) & (each >= 0)).all():
            raise InputError(
                f"errors[{name!r}]", each.tolist(), "finite numbers that are not negative"
            )
    return lengths, arrays
