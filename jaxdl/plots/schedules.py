"""Pictures of the learning rate over the steps, and of the size of a batch."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.downhill import line_style
from jaxdl.plots.page import GREY, font_size, page, plain, set_log_ticks


class BatchSize(NamedTuple):
    """Numbers of trainings with one size of a batch.

    Attributes:
      examples: `[T]`, examples that were read until each record.
      losses: `[T, N]`, the training loss of N seeds.
      seconds: `[T]`, time until each record.
      noise: the relative size of the gradient's noise.

    Example: see `batch_sizes`.
    """

    examples: Float[np.ndarray, " T"]
    losses: Float[np.ndarray, "T N"]
    seconds: Float[np.ndarray, " T"]
    noise: float


def schedule_lines(
    rates: Mapping[str, Float[np.ndarray, " S"]], path: str | os.PathLike[str], *, title: str = ""
) -> Path:
    """Draws the learning rates of schedules, on a linear and on a logarithmic scale.

    Args:
      rates: `[S]`, the rate of each step by the name of the schedule.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no schedules.

    Example:
      >>> import tempfile
      >>> rates = {"constant": np.ones(9), "falling": np.linspace(1, 0.1, 9)}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     schedule_lines(rates, f"{directory}/schedules.png").name
      'schedules.png'
    """
    if not rates:
        raise InputError("rates", {}, "at least one schedule")
    with page(path, 9.5, 3.4) as figure:
        left, right = figure.subplots(1, 2)
        for ax in (left, right):
            for i, (name, values) in enumerate(rates.items()):
                ax.plot(np.maximum(values, 1e-9), **line_style(i), label=plain(name))
            ax.set_xlabel("step")
        highest = max(float(np.max(values)) for values in rates.values())
        right.set(yscale="log", ylim=(1e-4 * highest, 1.6 * highest))
        left.set(ylabel="learning rate")
        left.set_title("linear scale", fontsize=9.5)
        right.set_title("logarithmic scale", fontsize=9.5)
        right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        if title:
            figure.suptitle(plain(title), x=0.01, ha="left", fontsize=11)
    return Path(path)


def value_curves(
    values: Mapping[str, Mapping[str, Float[np.ndarray, " S"]]],
    path: str | os.PathLike[str],
    *,
    title: str = "",
    log: bool = True,
) -> Path:
    """Draws the value of a function during descents, one panel for each function.

    Args:
      values: for each panel by its title the values `[S + 1]` by the label of the path.
      path: path of the PNG file.
      title: one line above the picture.
      log: if True, values have a logarithmic scale.

    Returns:
      The path.

    Raises:
      InputError: no panels.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     values = {"bowl": {"sgd": 0.5 ** np.arange(9)}}
      ...     value_curves(values, f"{directory}/values.png").name
      'values.png'
    """
    if not values:
        raise InputError("values", {}, "at least one panel")
    width = max(4.6 * len(values), 6.0)
    with page(path, width, 3.2) as figure:
        axes = figure.subplots(1, len(values), squeeze=False)[0]
        for ax, (name, lines) in zip(axes, values.items(), strict=True):
            for i, (label, line) in enumerate(lines.items()):
                shown = np.asarray(line, float)
                if log:
                    shown = np.clip(shown, 1e-12, None)
                ax.plot(shown, **line_style(i), label=plain(label))
            if log:
                ax.set_yscale("log")
            ax.set_title(plain(name), fontsize=10)
            ax.set(xlabel="step")
            ax.legend()
        axes[0].set_ylabel("value")
        if title:
            size = font_size(width, len(title), 11.0)
            figure.suptitle(plain(title), x=0.01, ha="left", fontsize=size)
    return Path(path)


def batch_sizes(
    runs: Mapping[int, BatchSize], path: str | os.PathLike[str], *, title: str = ""
) -> Path:
    """Draws the size of a batch against examples, time and noise, in three panels.

    The bands reach from the lowest to the highest loss of all seeds. The grey line has the slope of
    noise / sqrt(B), which independent examples would have.

    Args:
      runs: the numbers by the size of a batch, B.
      path: path of the PNG file.
      title: one line above the picture.

    Returns:
      The path.

    Raises:
      InputError: no runs.

    Example:
      >>> import tempfile
      >>> run = BatchSize(np.array([8, 16]), np.array([[2.0, 2.2], [1.0, 1.1]]), np.ones(2), 0.5)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     batch_sizes({8: run}, f"{directory}/sizes.png").name
      'sizes.png'
    """
    from matplotlib.ticker import NullLocator

    if not runs:
        raise InputError("runs", {}, "at least one size")
    with page(path, 11.5, 3.5) as figure:
        axes = figure.subplots(1, 3)
        for i, (size, run) in enumerate(runs.items()):
            style = line_style(i)
            for ax, x in zip(axes, (run.examples, run.seconds), strict=False):
                ax.plot(x, run.losses.mean(1), **style, label=f"{size} examples")
                low = run.losses.min(1)
                ax.fill_between(x, low, run.losses.max(1), color=style["color"], alpha=0.15)
            axes[2].plot(size, run.noise, "o", color=style["color"], markersize=7)
        sizes = np.array(list(runs))
        noise = np.array([run.noise for run in runs.values()])
        line = np.exp(np.mean(np.log(noise * np.sqrt(sizes)))) / np.sqrt(sizes)
        axes[2].plot(sizes, line, color=GREY, zorder=1, label="proportional to 1 / √B")
        axes[0].set(xlabel="examples read", ylabel="training loss", yscale="log")
        axes[1].set(xlabel="seconds of training", yscale="log", xscale="log")
        axes[2].set(xlabel="examples per batch, B", yscale="log", xscale="log")
        for axis in (axes[0].yaxis, axes[1].yaxis, axes[1].xaxis, axes[2].yaxis):
            set_log_ticks(axis, *axis.get_view_interval())
        axes[2].set_xticks(sizes, [str(size) for size in sizes])
        axes[2].xaxis.set_minor_locator(NullLocator())
        for ax, text in zip(
            axes,
            (
                "after equal numbers of examples",
                "after equal time",
                "noise / length of the gradient",
            ),
            strict=True,
        ):
            ax.set_title(text, fontsize=9.5)
        axes[0].legend()
        axes[2].legend()
        if title:
            figure.suptitle(plain(title), x=0.01, ha="left", fontsize=11)
    return Path(path)
