"""Learning curves, which are metrics by step, and an overview of a whole run."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.images import Images, draw_filters, draw_image_grid
from jaxdl.plots.matrix import class_names
from jaxdl.plots.page import BLUE, GREY, RED, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Records = Sequence[Mapping[str, float]]
#: Prefixes of metrics, with their colours.
PARTS = {"train": BLUE, "validation": RED}
RATE = "train/learning_rate"


def learning_curves(records: Records, path: str | os.PathLike[str]) -> Path:
    """Draws loss and accuracy of training and validation, and the learning rate below the loss.

    The title of a panel states the final value, of validation if there is one.

    Args:
      records: `[{"step": 10, "train/loss": 0.5, ...}, ...]`, as `read_metrics` returns them.
        Missing metrics (accuracy, validation, learning rate) are left out of the picture. Without
        any record, as of a run whose file was emptied, the panel is empty.
      path: path of the PNG file.

    Returns:
      The path.

    Raises:
      InputError: there are records, and none of them has a loss.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     learning_curves([{"step": 1, "train/loss": 0.5}], f"{directory}/curves.png").name
      'curves.png'
    """
    names = available_metrics(records)
    has_rate = any(RATE in record for record in records)
    rows: list[Any] = [names]
    if has_rate:
        rows.append([RATE, *names[1:]])
    with page(path, 4.5 * len(names), 3.2 + 0.6 * has_rate) as figure:
        axes = figure.subplot_mosaic(rows, height_ratios=[4, 1][: len(rows)])
        for name in names:
            draw_curves(axes[name], records, name)
        if has_rate:
            axes["loss"].tick_params(labelbottom=False)
            axes["loss"].set_xlabel("")
            _draw_rate(axes[RATE], records)
    return Path(path)


def gan_curves(records: Records, path: str | os.PathLike[str]) -> Path:
    """Draws the losses of a GAN, and the mean scores of real and generated examples.

    Equal scores mean that the discriminator cannot separate real from generated examples. Scores
    that stay apart mean that it always can. The titles state the final values in the order of the
    legend.

    Args:
      records: see `learning_curves`. They contain `train/discriminator_loss`,
        `train/generator_loss`, `train/score_real` and `train/score_fake`.
      path: path of the PNG file.

    Returns:
      The path.

    Raises:
      InputError: there are records, and none of them has one of these metrics.

    Example:
      >>> import tempfile
      >>> names = ("discriminator_loss", "generator_loss", "score_real", "score_fake")
      >>> records = [{"step": 1, **{f"train/{name}": 0.5 for name in names}}]
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     gan_curves(records, f"{directory}/curves.png").name
      'curves.png'
    """
    panels = {
        "loss": {"discriminator": "discriminator_loss", "generator": "generator_loss"},
        "mean score": {"real": "score_real", "generated": "score_fake"},
    }
    with page(path, 9.0, 3.2) as figure:
        for ax, (title, lines) in zip(figure.subplots(1, 2), panels.items(), strict=True):
            _draw_panel(ax, records, title, lines)
    return Path(path)


def _draw_panel(ax: "Axes", records: Records, title: str, lines: Mapping[str, str]) -> None:
    """Draws two metrics of training; `lines` maps their labels to their names."""
    final = []
    for (label, name), color in zip(lines.items(), (BLUE, RED), strict=True):
        for member in members(records, f"train/{name}"):
            ax.plot(*series(records, member), color=color, alpha=0.3, linewidth=0.7)
        steps, values = series(records, f"train/{name}")
        if not len(steps) and not records:
            final = ["no records"]
            break
        if not len(steps):
            raise InputError("records", _names_in(records), f"records with 'train/{name}'")
        _draw_line(ax, steps, values, color, label)
        final.append(f"{values[-1]:.3g}".replace("-", "−"))
    ax.set_title(f"{title}: {' and '.join(final)}")
    label_steps(ax, records)
    _draw_legend(ax)


def available_metrics(records: Records) -> list[str]:
    """Returns those of the metrics `loss` and `accuracy` that the records contain; `loss` for none.

    Raises:
      InputError: there are records, and none of them has a loss.

    Example:
      >>> available_metrics([{"step": 1, "train/loss": 0.5}])
      ['loss']
    """
    if not records:
        return ["loss"]
    present = _names_in(records)
    names = [
        name for name in ("loss", "accuracy") if any(f"{part}/{name}" in present for part in PARTS)
    ]
    if "loss" not in names:
        raise InputError("records", present, "records with 'train/loss' or 'validation/loss'")
    return names


def _names_in(records: Records) -> list[str]:
    """Returns the sorted names of all metrics of the records."""
    return sorted({name for record in records for name in record})


def draw_curves(ax: "Axes", records: Records, name: str) -> None:
    """Draws one metric of training and validation on `ax`.

    A long noisy line is pale below its running mean, and lines of several seeds are pale below
    their mean. A positive loss whose largest value exceeds 20 times its smallest one gets a
    logarithmic scale.

    Args:
      ax: axes to draw on.
      records: see `learning_curves`.
      name: name of the metric without its prefix: `loss`, `accuracy`.
    """
    from matplotlib.ticker import PercentFormatter

    title = name
    if not records:
        title = f"{name}: no records"
    everything = [np.empty(0)]
    for part, color in PARTS.items():
        for member in members(records, f"{part}/{name}"):
            ax.plot(*series(records, member), color=color, alpha=0.3, linewidth=0.7)
        steps, values = series(records, f"{part}/{name}")
        if len(steps):
            _draw_line(ax, steps, values, color, part)
            everything.append(values[np.isfinite(values)])
            title = _title(name, values[-1], part)
    values = np.concatenate(everything)
    if name == "accuracy":
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    elif len(values) and values.min() > 0 and values.max() > 20 * values.min():
        set_logarithmic(ax, values.max() / values.min())
    ax.set_title(title)
    label_steps(ax, records)
    _draw_legend(ax)


def _title(name: str, value: float, part: str) -> str:
    """Returns the title of a panel: a metric of training or validation with its final value."""
    word = {"train": "training", "validation": "validation"}[part]
    if name == "accuracy":
        return f"{word} accuracy: {100 * value:.1f} %"
    return f"{word} {name}: {value:.3g}".replace("-", "−")


def series(records: Records, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the steps and values of a metric, from the records that contain it.

    Example:
      >>> series([{"step": 1, "a": 2.0}, {"step": 2}], "a")
      (array([1]), array([2.]))
    """
    present = [record for record in records if name in record]
    steps = np.array([record["step"] for record in present], np.int64)
    values = np.array([record[name] for record in present], np.float64)
    return steps, values


def members(records: Records, name: str) -> list[str]:
    """Returns the names `name/0`, `name/1`, ... of a metric of each member of an ensemble.

    Example:
      >>> members([{"step": 1, "a": 2.0, "a/0": 1.0, "a/1": 3.0}], "a")
      ['a/0', 'a/1']
    """
    return sorted({each for record in records for each in record if each.startswith(f"{name}/")})


def _draw_line(ax: "Axes", steps: np.ndarray, values: np.ndarray, color: str, label: str) -> None:
    """Draws a line: with markers if it is short, with a running mean if it is long."""
    width = len(steps) // 50
    if width >= 4:
        ax.plot(steps, values, color=color, alpha=0.25, linewidth=0.7)
        smooth = np.convolve(values, np.full(width, 1 / width), mode="valid")
        ax.plot(steps[width // 2 :][: len(smooth)], smooth, color=color, label=label)
        return
    markers: dict[str, Any] = {}
    if len(steps) <= 30:
        markers = {"marker": "o", "markersize": 3.5}
    ax.plot(steps, values, color=color, label=label, **markers)


def _draw_legend(ax: "Axes") -> None:
    """Draws the legend on the line of the title, where it hides no curve; none without curves."""
    if not ax.lines:
        return
    ax.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.2, handlelength=1.6
    )


def set_logarithmic(ax: "Axes", ratio: float) -> None:
    """Sets a logarithmic scale for values whose largest one is `ratio` times the smallest."""
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if ratio < 1000 else (1.0,), numticks=20))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def label_steps(ax: "Axes", records: Records) -> None:
    """Sets limits, ticks and label of the axis of steps."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    ax.set_xlim(0, 1.04 * max([1, *(record["step"] for record in records)]))
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    ax.set_xlabel("step")


def _draw_rate(ax: "Axes", records: Records) -> None:
    """Draws the learning rate, with its highest value as the only label besides 0."""
    steps, values = series(records, RATE)
    # A line through a single point would be invisible.
    marker = "o" if len(steps) == 1 else None
    ax.plot(steps, values, color=GREY, linewidth=1.2, marker=marker, markersize=3)
    highest = float(values.max(where=np.isfinite(values), initial=0.0)) or 1.0
    ax.set_ylim(0, 1.15 * highest)
    ax.set_yticks([0, highest], labels=["0", f"{highest:.2g}"])
    ax.set_title("learning rate", fontsize=8)
    label_steps(ax, records)


def overview(
    images: Images,
    label: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "N K"],
    records: Records,
    kernel: Float[np.ndarray, "h w C filters"],
    path: str | os.PathLike[str],
    names: Sequence[str] | None = None,
) -> Path:
    """Draws images with predictions, the learning curves and the filters of the first layer.

    The title of an image is its predicted class. If that is wrong, the title is red and contains
    the true class before it.

    Args:
      images: `[N, H, W, C]`, shown side by side, about a dozen.
      label: `[N]`, true classes.
      probabilities: `[N, K]`, predicted probabilities of the classes.
      records: see `learning_curves`.
      kernel: `[h, w, C, filters]`, C 1 or 3. The kernel of a dense layer has to be reshaped.
      path: path of the PNG file.
      names: names of the classes; None means their numbers.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> rng = np.random.default_rng(0)
      >>> images = rng.random((4, 8, 8, 1))
      >>> kernel = rng.normal(size=(3, 3, 1, 8))
      >>> records = [{"step": 1, "train/loss": 2.0}, {"step": 2, "train/loss": 1.0}]
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = f"{directory}/overview.png"
      ...     overview(images, np.arange(4), np.eye(4), records, kernel, path).name
      'overview.png'
    """
    label = np.asarray(label)
    probabilities = np.asarray(probabilities)
    predicted = probabilities.argmax(1)
    names = class_names(names, probabilities.shape[1])
    shown = available_metrics(records)
    with page(path, 11.0, 4.8, between=0.08) as figure:
        rows: list[Any] = [["images"] * (len(shown) + 1), [*shown, "filters"]]
        axes = figure.subplot_mosaic(rows, height_ratios=[1, 2.7])
        for name in shown:
            draw_curves(axes[name], records, name)
        axes["filters"].set_anchor("N")
        draw_filters(axes["filters"], kernel)
        wrong = label != predicted
        titles = [
            f"{names[t]} → {names[p]}" if t != p else names[p]
            for t, p in zip(label, predicted, strict=True)
        ]
        axes["images"].set_title("predicted class of each image; mistakes: true → predicted")
        draw_image_grid(axes["images"], images, len(titles), titles)
        for i in np.flatnonzero(wrong):
            axes["images"].texts[i].set_color(RED)
    return Path(path)
