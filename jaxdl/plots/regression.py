"""Predicted numbers against the true ones."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from jaxdl.errors import InputError
from jaxdl.plots.page import BLUE, INK, page, plain, short_number


def predicted_values(
    target: Float[np.ndarray, "N D"],
    prediction: Float[np.ndarray, "N D"],
    path: str | os.PathLike[str],
    names: Sequence[str] | None = None,
) -> Path:
    """Draws predicted numbers over the true ones, one panel for each output.

    Points on the dashed line are exact. The titles state the mean absolute error.

    Args:
      target: `[N, D]`, the true numbers. At most 4 outputs are shown.
      prediction: `[N, D]`, the predicted numbers.
      path: path of the PNG file.
      names: the name of each output; None means no names.

    Returns:
      The path.

    Raises:
      InputError: different shapes, or not `[N, D]`.

    Example:
      >>> import tempfile
      >>> y = np.arange(6.0)[:, None]
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     predicted_values(y, y + 0.1, f"{directory}/predicted.png").name
      'predicted.png'
    """
    from matplotlib.ticker import MaxNLocator

    target = np.asarray(target)
    prediction = np.asarray(prediction)
    if target.ndim != 2 or target.shape != prediction.shape or not target.size:
        raise InputError("prediction", prediction.shape, f"[N, D], as targets {target.shape}")
    shown = min(target.shape[1], 4)
    with page(path, 4.2 * shown, 4.0) as figure:
        for i, ax in enumerate(figure.subplots(1, shown, squeeze=False)[0]):
            y = target[:, i]
            error = prediction[:, i] - y
            ax.scatter(y, prediction[:, i], s=9, color=BLUE, alpha=0.5, linewidth=0)
            limits = [min(y.min(), prediction[:, i].min()), max(y.max(), prediction[:, i].max())]
            ax.plot(limits, limits, color=INK, linewidth=1.0, linestyle=(0, (4, 3)))
            title = f"{len(y):,} examples"
            if names is not None:
                title = plain(names[i])
            title += f", mean absolute error {short_number(abs(error).mean())}"
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_locator(MaxNLocator(5))
                axis.set_major_formatter(lambda value, _: f"{value:,.6g}")
            ax.set(xlabel="true value", ylabel="predicted value", title=title)
    return Path(path)
