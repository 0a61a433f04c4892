"""Learning curves: train and validation metrics against the step."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxdl.errors import InputError
from jaxdl.plots.page import BLUE, GREY, RED, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Records = Sequence[Mapping[str, float]]
PARTS = {"train": BLUE, "validation": RED}
RATE = "train/learning_rate"


def learning_curves(records: Records, path: str | os.PathLike[str]) -> Path:
    """Draws loss and accuracy in training and validation against the step, and the learning rate below.

    Args:
      records: `[{"step": 10, "train/loss": 0.5, ...}, ...]`, as from `read_metrics`; what is missing
        (the accuracy, the validation, the learning rate) is left out.
      path: the PNG file.

    Returns:
      The path.

    Raises:
      InputError: no record has a loss.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     learning_curves([{"step": 1, "train/loss": 0.5}], f"{directory}/curves.png").name
      'curves.png'
    """
    names = drawable(records)
    rated = any(RATE in record for record in records)
    rows: list[Any] = [names, [RATE, *names[1:]]] if rated else [names]
    with page(path, 4.5 * len(names), 3.2 + 0.6 * rated) as figure:
        axes = figure.subplot_mosaic(rows, height_ratios=[4, 1] if rated else [1])
        for name in names:
            draw_curves(axes[name], records, name)
        if rated:
            axes["loss"].tick_params(labelbottom=False)
            axes["loss"].set_xlabel("")
            _draw_rate(axes[RATE], records)
    return Path(path)


def gan_curves(records: Records, path: str | os.PathLike[str]) -> Path:
    """Draws the losses of both players of a game, and what the discriminator says of real and drawn things.

    Where the two scores meet it cannot tell; where they part for good it has won.

    Args:
      records: as for `learning_curves`, with `train/discriminator_loss`, `train/generator_loss`, `train/score_real` and
        `train/score_fake`.
      path: the PNG file.

    Returns:
      The path.

    Raises:
      InputError: one of these is in no record.

    Example:
      >>> import tempfile
      >>> names = ("discriminator_loss", "generator_loss", "score_real", "score_fake")
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     gan_curves([{"step": 1, **{f"train/{name}": 0.5 for name in names}}], f"{directory}/curves.png").name
      'curves.png'
    """
    panels = {
        "loss": {"discriminator": "discriminator_loss", "generator": "generator_loss"},
        "mean score": {"real": "score_real", "generated": "score_fake"},
    }
    with page(path, 9.0, 3.2) as figure:
        for ax, (title, lines) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            for (label, name), color in zip(lines.items(), (BLUE, RED), strict=True):
                for member in members(records, f"train/{name}"):
                    ax.plot(*series(records, member), color=color, alpha=0.3, linewidth=0.7)
                steps, values = series(records, f"train/{name}")
                if not len(steps):
                    raise InputError(
                        "records",
                        sorted({n for r in records for n in r}),
                        f"records with 'train/{name}'",
                    )
                _line(ax, steps, values, color, label)
            ax.set_title(title)
            _steps(ax, records)
            _legend(ax)
    return Path(path)


def drawable(records: Records) -> list[str]:
    """Which of `loss` and `accuracy` the records have.

    Raises:
      InputError: no loss.

    Example:
      >>> drawable([{"step": 1, "train/loss": 0.5}])
      ['loss']
    """
    seen = {name for record in records for name in record}
    names = [
        name for name in ("loss", "accuracy") if any(f"{part}/{name}" in seen for part in PARTS)
    ]
    if "loss" not in names:
        raise InputError("records", sorted(seen), "records with 'train/loss' or 'validation/loss'")
    return names


def draw_curves(ax: "Axes", records: Records, name: str) -> None:
    """Draws one metric of training and validation on `ax`.

    A long noisy line is drawn pale under its running mean, several seeds pale under their mean. A loss
    that falls far is drawn on a logarithmic scale.

    Args:
      ax: where to draw.
      records: as for `learning_curves`.
      name: the metric without its part: `loss`, `accuracy`.
    """
    from matplotlib.ticker import PercentFormatter

    everything = [np.empty(0)]
    for part, color in PARTS.items():
        for member in members(records, f"{part}/{name}"):
            ax.plot(*series(records, member), color=color, alpha=0.3, linewidth=0.7)
        steps, values = series(records, f"{part}/{name}")
        if len(steps):
            _line(ax, steps, values, color, part)
            everything.append(values[np.isfinite(values)])
    values = np.concatenate(everything)
    if name == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    elif len(values) and values.min() > 0 and values.max() > 20 * values.min():
        _logarithmic(ax, values.max() / values.min())
    ax.set_title(name)
    _steps(ax, records)
    _legend(ax)


def series(records: Records, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The steps and values of one metric, where there are any.

    Example:
      >>> series([{"step": 1, "a": 2.0}, {"step": 2}], "a")
      (array([1]), array([2.]))
    """
    found = [(record["step"], record[name]) for record in records if name in record]
    return np.array([step for step, _ in found], np.int64), np.array(
        [value for _, value in found], np.float64
    )


def members(records: Records, name: str) -> list[str]:
    """The names of each run's own metric, where a run has several seeds: `name/0`, `name/1`, ...

    Example:
      >>> members([{"step": 1, "a": 2.0, "a/0": 1.0, "a/1": 3.0}], "a")
      ['a/0', 'a/1']
    """
    return sorted({each for record in records for each in record if each.startswith(f"{name}/")})


def _line(ax: "Axes", steps: np.ndarray, values: np.ndarray, color: str, label: str) -> None:
    few: dict[str, Any] = {"marker": "o", "markersize": 3.5} if len(steps) <= 30 else {}
    width = len(steps) // 50
    if width < 4:
        ax.plot(steps, values, color=color, label=label, **few)
        return
    ax.plot(steps, values, color=color, alpha=0.25, linewidth=0.7)
    smooth = np.convolve(values, np.full(width, 1 / width), mode="valid")
    ax.plot(steps[width // 2 :][: len(smooth)], smooth, color=color, label=label)


def _legend(ax: "Axes") -> None:
    """In the line of the title, where no curve can run into it."""
    ax.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2, handlelength=1.6
    )


def _logarithmic(ax: "Axes", ratio: float) -> None:
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if ratio < 1000 else (1.0,), numticks=20))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def _steps(ax: "Axes", records: Records) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    ax.set_xlim(0, 1.04 * max(1, *(record["step"] for record in records)))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.set_xlabel("step")


def _draw_rate(ax: "Axes", records: Records) -> None:
    steps, values = series(records, RATE)
    ax.plot(
        steps,
        values,
        color=GREY,
        linewidth=1.2,
        marker="o" if len(steps) == 1 else None,
        markersize=3,
    )
    highest = float(values.max(where=np.isfinite(values), initial=0.0)) or 1.0
    ax.set_ylim(0, 1.15 * highest)
    ax.set_yticks([0, highest], labels=["0", f"{highest:.2g}"])
    ax.set_title("learning rate", fontsize=8)
    _steps(ax, records)
