"""Reliability diagrams: the confidence of predictions compared with their accuracy."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from jaxdl.plots.page import BLUE, GREY, LEGEND, RED, page
from jaxdl.reports.calibration import (
    BINS,
    Reliability,
    calibration_error,
    reliability,
    rescale,
)
from jaxdl.reports.checks import Mask

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Quantile of the normal distribution for an interval of 95 %.
Z = 1.96


def reliability_diagram(
    label: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "N K"],
    path: str | os.PathLike[str],
    temperature: float | None = None,
    bins: int = BINS,
    mask: Mask | None = None,
) -> Path:
    """Draws the accuracy of predictions against their confidence, and how many there are.

    The confidence is the probability of the predicted class. Points on the diagonal are calibrated;
    those below are overconfident. A point is larger, the more examples its bin has, and bars are
    intervals of 95 % (Wilson). The title states the expected calibration error, and that of the
    rescaled predictions.

    Args:
      label: `[N]`, true classes in [0, K).
      probabilities: `[N, K]`, predicted probabilities of the classes.
      path: path of the PNG file.
      temperature: temperature that was fitted to other examples
        (`jaxdl.reports.fit_temperature`). The picture has the rescaled predictions too.
      bins: number of bins of equal width.
      mask: `[N]`, weights of the examples. None means 1 for each.

    Returns:
      The path.

    Raises:
      InputError: a bad argument, see `jaxdl.reports.reliability`.

    Example:
      >>> import tempfile
      >>> p = np.random.default_rng(0).dirichlet([1, 1], 50)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     reliability_diagram(p.argmax(1), p, f"{directory}/calibration.png").name
      'calibration.png'
    """
    drawn = {"": np.asarray(probabilities)}
    if temperature is not None:
        scaled = rescale(drawn[""], temperature)
        drawn = {"network": drawn[""], f"rescaled, temperature {temperature:.2f}": scaled}
    found = {name: reliability(p, label, bins, mask) for name, p in drawn.items()}
    errors = [100 * calibration_error(p, label, bins, mask) for p in drawn.values()]
    with page(path, 4.4, 5.2) as figure:
        above, below = figure.subplots(2, sharex=True, height_ratios=[3, 1])
        draw_reliability(above, found)
        draw_confidence(below, found)
        title = f"calibration error {errors[0]:.2f} %"
        if temperature is not None:
            title += f", rescaled {errors[1]:.2f} %"
        above.set_title(title)
        below.set_xlabel("confidence: probability of the predicted class")
    return Path(path)


def draw_reliability(ax: "Axes", found: dict[str, Reliability]) -> None:
    """Draws the accuracy in each bin of several predictions on `ax`.

    Args:
      ax: the axes.
      found: bins of `jaxdl.reports.reliability`, by the name for the legend.
    """
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1.0, linestyle="--", label="calibrated")
    for (name, each), color in zip(found.items(), (BLUE, RED), strict=False):
        used = each.examples > 0
        confidence = each.confidence[used]
        accuracy = each.accuracy[used]
        examples = each.examples[used]
        low, high = _wilson(accuracy, examples)
        ax.plot(confidence, accuracy, color=color, linewidth=0.9, alpha=0.5)
        ax.vlines(confidence, low, high, color=color, linewidth=0.9, alpha=0.5)
        size = 10 + 60 * examples / examples.max()
        ax.scatter(confidence, accuracy, size, color, label=name or "network", zorder=3)
    ax.set(ylabel="accuracy, with intervals of 95 %", xlim=(0, 1), ylim=(0, 1.03))
    ax.legend(loc="best", **LEGEND)


def draw_confidence(ax: "Axes", found: dict[str, Reliability]) -> None:
    """Draws the number of predictions in each bin on `ax`; see `draw_reliability`."""
    from matplotlib.ticker import StrMethodFormatter

    width = 1 / len(found)
    for i, (each, color) in enumerate(zip(found.values(), (BLUE, RED), strict=False)):
        step = np.diff(each.edges)
        ax.bar(
            each.edges[:-1] + (0.06 + 0.88 * i * width) * step,
            each.examples,
            0.88 * width * step,
            align="edge",
            color=color,
        )
    ax.set(ylabel="examples", xlim=(0, 1))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def _wilson(
    share: Float[np.ndarray, " M"], count: Float[np.ndarray, " M"]
) -> tuple[Float[np.ndarray, " M"], Float[np.ndarray, " M"]]:
    """Returns the interval of a share of `count` examples that covers the true one in 95 %.

    Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    middle = share + Z**2 / (2 * count)
    half = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    scale = 1 + Z**2 / count
    return (middle - half) / scale, (middle + half) / scale
