"""An overview of a whole run in one wide picture."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl.plots.curves import Records, available_metrics, draw_curves
from jaxdl.plots.images import Images, draw_filters, draw_image_grid
from jaxdl.plots.page import RED, page


def overview(
    images: Images,
    label: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "N K"],
    records: Records,
    kernel: Float[np.ndarray, "h w C filters"],
    path: str | os.PathLike[str],
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
    predicted = np.asarray(probabilities).argmax(1)
    names = available_metrics(records)
    with page(path, 11.0, 4.8, between=0.08) as figure:
        rows: list[Any] = [["images"] * (len(names) + 1), [*names, "filters"]]
        axes = figure.subplot_mosaic(rows, height_ratios=[1, 2.7])
        for name in names:
            draw_curves(axes[name], records, name)
        axes["filters"].set_anchor("N")
        draw_filters(axes["filters"], kernel)
        wrong = label != predicted
        titles = [
            f"{t} → {p}" if w else str(p) for t, p, w in zip(label, predicted, wrong, strict=True)
        ]
        draw_image_grid(axes["images"], images, len(titles), titles)
        for i in np.flatnonzero(wrong):
            axes["images"].texts[i].set_color(RED)
    return Path(path)
