"""Learning curves of several runs, or of the members of a sweep, with one line each."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxdl.errors import InputError
from jaxdl.plots.curves import (
    Records,
    label_steps,
    members,
    series,
    set_logarithmic,
)
from jaxdl.plots.page import GREY, PALETTE, font_size, page, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Ends of the names of metrics whose largest value is the best one.
LARGEST = ("accuracy", "f1_macro", "roc_auc", "r2", "return")

#: Styles of lines; runs beyond the colours of the palette have the next style.
STYLES = ("-", "--", ":")


def comparison_curves(runs: Mapping[str, Records], path: str | os.PathLike[str]) -> Path:
    """Draws the curves of several runs: one line for each run, and the best one named.

    Shown are loss and accuracy of the validation, or of training if a run has fewer than two
    validations. Agents show their return. Runs without a loss, such as GANs, show the first two
    metrics that all of them have. Several seeds are a band from the smallest to the largest value
    around their mean.

    Args:
      runs: records of each run by its name, as `read_metrics` returns them. Runs without records
        are only in the legend.
      path: path of the PNG file.

    Returns:
      The path.

    Raises:
      InputError: no runs, or runs with records that have no metric in common.

    Example:
      >>> import tempfile
      >>> runs = {str(rate): [{"step": 1, "train/loss": rate}] for rate in (0.5, 0.1)}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     comparison_curves(runs, f"{directory}/compared.png").name
      'compared.png'
    """
    if not runs:
        raise InputError("runs", {}, "at least one run")
    names = shared_metrics(runs) or ["loss"]
    # Long names of runs stand below the panels, in as many columns as fit.
    longest = max(map(len, runs))
    columns = max(1, min(len(runs), int(70 * len(names) / (longest + 8))))
    rows = math.ceil(len(runs) / columns)
    with page(path, 5.2 * len(names), 3.2 + 0.2 * rows) as figure:
        panels = figure.subplots(1, len(names), squeeze=False)[0]
        for ax, name in zip(panels, names, strict=True):
            _draw_runs(ax, runs, name)
        handles = panels[0].lines[: len(runs)]
        figure.legend(
            handles, [plain(name) for name in runs], loc="outside lower left", ncols=columns
        )
    return Path(path)


def sweep_curves(records: Records, labels: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Draws the curves of a sweep: one line for each of its members, and the best one named.

    Args:
      records: records of the sweep, which have `train/loss/0`, `train/loss/1`, ...
      labels: words for each member, such as `learning rate 0.1`, all different.
      path: path of the PNG file.

    Returns:
      The path.

    Raises:
      InputError: equal labels, or another number of labels than members.

    Example:
      >>> import tempfile
      >>> records = [{"step": 1, "train/loss": 0.3, "train/loss/0": 0.5, "train/loss/1": 0.1}]
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     sweep_curves(records, ["rate 1", "rate 0.1"], f"{directory}/sweep.png").name
      'sweep.png'
    """
    return comparison_curves(records_by_member(records, labels), path)


def records_by_member(records: Records, labels: Sequence[str]) -> dict[str, list[dict[str, float]]]:
    """Returns the records of each member of a sweep, by its label.

    Args:
      records: see `sweep_curves`.
      labels: see `sweep_curves`.

    Raises:
      InputError: see `sweep_curves`.

    Example:
      >>> records_by_member([{"step": 1, "a": 2.0, "a/0": 1.0, "a/1": 3.0}], ["x", "y"])
      {'x': [{'step': 1, 'a': 1.0}], 'y': [{'step': 1, 'a': 3.0}]}
    """
    if len(set(labels)) < len(labels):
        raise InputError("labels", list(labels), "different words for each member")
    tails = {tail for record in records for tail in map(_member, record) if tail is not None}
    if records and tails != set(range(len(labels))):
        raise InputError("labels", f"{len(labels)} labels", f"one for each of {len(tails)} members")
    found: dict[str, list[dict[str, float]]] = {label: [] for label in labels}
    for record in records:
        for label in labels:
            found[label].append({"step": record["step"]})
        for name, value in record.items():
            member = _member(name)
            if member is not None:
                found[labels[member]][-1][name.rsplit("/", 1)[0]] = value
    return found


def _member(name: str) -> int | None:
    """Returns the index at the end of the name of a member's metric; None without one."""
    tail = name.rpartition("/")[2]
    if tail.isascii() and tail.isdigit():
        return int(tail)
    return None


def shared_metrics(runs: Mapping[str, Records]) -> list[str]:
    """Returns at most two metrics that all runs with records have.

    Raises:
      InputError: they have none in common.

    Example:
      >>> shared_metrics({"a": [{"step": 1, "train/loss": 2.0, "validation/loss": 2.0}]})
      ['validation/loss']
    """
    present = [
        [name for record in records for name in record] for records in runs.values() if records
    ]
    if not present:
        return []
    common = list(dict.fromkeys(present[0]))
    common = [name for name in common if all(name in names for names in present[1:])]
    found = []
    for name in ("greedy_return", "loss", "accuracy"):
        parts = [f"{part}/{name}" for part in ("validation", "train")]
        parts = [part for part in parts if part in common]
        # A single validation is no line, so training is shown then.
        lines = [part for part in parts if all(names.count(part) > 1 for names in present)]
        found += (lines or parts)[:1]
    found = found[:2]
    if not found:
        trained = [name for name in common if name.startswith("train/")]
        found = [
            name for name in trained if _member(name) is None and not name.endswith("learning_rate")
        ][:2]
    if not found:
        raise InputError("runs", sorted(runs), "runs that have a metric of training in common")
    return found


def best_run(values: Mapping[str, float], metric: str) -> str | None:
    """Returns the name of the run with the best value of a metric; None without a finite value.

    Example:
      >>> best_run({"a": 0.5, "b": 0.1}, "test/loss"), best_run({"a": 0.5, "b": 0.1}, "r2")
      ('b', 'a')
    """
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    if not finite:
        return None
    if metric.endswith(LARGEST):
        return max(finite, key=finite.__getitem__)
    return min(finite, key=finite.__getitem__)


def is_ranked(metric: str) -> bool:
    """Returns True for a metric of which it is clear that small or large values are better."""
    # The loss of an adversary is smallest where the other network fails.
    adversarial = "generator" in metric or "discriminator" in metric
    return metric.endswith((*LARGEST, "loss", "perplexity")) and not adversarial


def _draw_runs(ax: "Axes", runs: Mapping[str, Records], metric: str) -> None:
    """Draws a metric of every run, with the best last value in the title."""
    from matplotlib.ticker import PercentFormatter

    last = {}
    seen = [np.empty(0)]
    for i, (name, records) in enumerate(runs.items()):
        steps, values = series(records, metric)
        color = PALETTE[i % 6]
        style = STYLES[i // 6 % len(STYLES)]
        marker = "o" if len(steps) == 1 else None
        ax.plot(steps, values, color=color, linestyle=style, marker=marker, markersize=4)
        if len(steps):
            last[name] = values[-1]
            seen.append(values[np.isfinite(values)])
        seeds = [series(records, member) for member in members(records, metric)]
        if seeds and all(len(each[0]) == len(steps) for each in seeds):
            low, high = (f([each[1] for each in seeds], axis=0) for f in (np.min, np.max))
            ax.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
    values = np.concatenate(seen)
    words = metric.replace("/", " ").replace("_", " ")
    if metric.endswith("accuracy"):
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    elif len(values) and values.min() > 0 and values.max() > 20 * values.min():
        set_logarithmic(ax, values.max() / values.min())
    best = best_run(last, metric)
    title = f"{words}: no records"
    if best is not None:
        title = words
        if is_ranked(metric):
            title = f"{words}: best {value_words(metric, last[best])}, {shortened(best)}"
            _mark(ax, runs[best], metric)
    ax.set_title(plain(title), fontsize=font_size(4.6, len(title), 10.0))
    label_steps(ax, [record for records in runs.values() for record in records])


def _mark(ax: "Axes", records: Records, metric: str) -> None:
    """Draws a ring around the last value of a run."""
    steps, values = series(records, metric)
    ax.plot(steps[-1:], values[-1:], "o", mfc="none", mec=GREY, markersize=9)


def value_words(metric: str, value: float) -> str:
    """Returns a value as text: an accuracy in percent, another one with three digits.

    Example:
      >>> value_words("test/accuracy", 0.956), value_words("train/loss", -0.12345)
      ('95.6 %', '−0.123')
    """
    if metric.endswith("accuracy"):
        return f"{100 * value:.1f} %"
    return f"{value:.3g}".replace("-", "−")


def shortened(name: str) -> str:
    """Returns a name of at most 32 characters, whose middle is left out if it is longer.

    Example:
      >>> shortened("a" * 40)
      'aaaaaaaaaaaaaaa…aaaaaaaaaaaaaaaa'
    """
    if len(name) <= 32:
        return name
    return f"{name[:15]}…{name[-16:]}"
