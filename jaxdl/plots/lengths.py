"""How the error grows with the length of the sequences."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.page import INK, PALETTE, page

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
    """Draws each cell's error against the length: the mean over seeds, every seed pale behind it.

    The errors are on a logarithmic scale, and the lengths too if the longest is 8 times the shortest. An
    error of 0 stands at the lower edge.

    Args:
      lengths: `[L]`, rising.
      errors: `{cell: [S, L]}`, one row for each of its S seeds, at most 8 cells.
      path: the PNG file.
      baseline: the error of who remembers nothing, one number or `[L]`; None: no such line.
      title: above the picture.
      label: what the error is.

    Returns:
      The path.

    Raises:
      InputError: lengths that do not rise, errors of another shape, negative or not finite, more than 8 cells.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     error_by_length([50, 100], {"LSTM": np.array([[0.01, 0.1]])}, f"{directory}/l.png", 1 / 6).name
      'l.png'
    """
    with page(path, 6.0, 3.8) as figure:
        ax = figure.subplots()
        draw_error_by_length(ax, lengths, errors, baseline, label)
        ax.set_title(title)
        figure.legend(loc="outside right upper")
    return Path(path)


def draw_error_by_length(
    ax: "Axes",
    lengths: Int[np.ndarray, " L"],
    errors: Errors,
    baseline: float | Float[np.ndarray, " L"] | None = None,
    label: str = "test error",
) -> None:
    """Draws the lines on `ax`, without a legend; arguments as for `error_by_length`."""
    lengths, errors = _checked(lengths, errors)
    floor = _floor(errors, baseline)
    for (name, each), color, marker in zip(errors.items(), PALETTE, MARKERS, strict=False):
        if len(each) > 1:
            ax.plot(lengths, np.maximum(each, floor).T, color=color, alpha=0.3, linewidth=0.8)
        mean = np.maximum(each.mean(0), floor)
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
    _logarithms(ax, lengths, floor)
    ax.set(xlabel="length", ylabel=label)


def _floor(errors: Errors, baseline: float | np.ndarray | None) -> float:
    """Where 0 is drawn: a third of the smallest number that is not 0."""
    level = np.ravel([] if baseline is None else baseline)
    everything = np.concatenate([level, *(np.ravel(each) for each in errors.values())])
    positive = everything[everything > 0]
    if positive.size == everything.size:
        return 0.0
    return float(positive.min()) / 3 if positive.size else 1e-3


def _logarithms(ax: "Axes", lengths: np.ndarray, floor: float) -> None:
    from matplotlib.ticker import AutoLocator, LogLocator, NullLocator, StrMethodFormatter

    ax.set_yscale("log")
    low = floor or ax.get_ylim()[0]
    high = ax.get_ylim()[1]
    ax.set_ylim(low, high)
    powers = LogLocator(subs=(1.0, 3.0) if high / low < 1000 else (1.0,), numticks=20)
    ax.yaxis.set_major_locator(powers if high / low > 10 else AutoLocator())
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    if lengths[-1] >= 8 * lengths[0] > 0:
        ax.set_xscale("log")
        ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xticks(lengths, [f"{length:,}" for length in lengths])


def _checked(lengths: np.ndarray, errors: Errors) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    lengths = np.asarray(lengths)
    if lengths.ndim != 1 or not len(lengths) or (np.diff(lengths) <= 0).any():
        raise InputError("lengths", lengths.tolist(), "at least one number, rising")
    if not 0 < len(errors) <= len(PALETTE):
        raise InputError("errors", len(errors), f"1 to {len(PALETTE)} cells")
    found = {name: np.asarray(each, np.float64) for name, each in errors.items()}
    for name, each in found.items():
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
    return lengths, found
