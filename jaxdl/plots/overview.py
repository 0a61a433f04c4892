"""One wide picture of a whole run."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from jaxdl.plots.curves import Records, draw_curves, drawable
from jaxdl.plots.images import Images, draw_filters, draw_image_grid
from jaxdl.plots.page import INK, RED, page


def overview(
    images: Images,
    label: Int[np.ndarray, " N"],
    probabilities: Float[np.ndarray, "N K"],
    records: Records,
    kernel: Float[np.ndarray, "h w C filters"],
    path: str | os.PathLike[str],
) -> Path:
    """Draws images with what the model said, the learning curves, and the first layer's filters.

    Args:
      images: `[N, H, W, C]`, stood side by side: about a dozen.
      label: `[N]`, what is true.
      probabilities: `[N, K]`, what the model gave each class; its choice stands above the image,
        in red after the true class if it is wrong.
      records: as for `learning_curves`.
      kernel: `[h, w, C, filters]`, C 1 or 3; a dense layer's, reshaped.
      path: the PNG file.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> draw = np.random.default_rng(0)
      >>> images, kernel = draw.random((4, 8, 8, 1)), draw.normal(size=(3, 3, 1, 8))
      >>> records = [{"step": 1, "train/loss": 2.0}, {"step": 2, "train/loss": 1.0}]
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     overview(images, np.arange(4), np.eye(4), records, kernel, f"{directory}/hero.png").name
      'hero.png'
    """
    label = np.asarray(label)
    said = np.asarray(probabilities).argmax(1)
    names = drawable(records)
    with page(path, 11.0, 4.8, between=0.08) as figure:
        rows: list[Any] = [["images"] * (len(names) + 1), [*names, "filters"]]
        axes = figure.subplot_mosaic(rows, height_ratios=[1, 2.7])
        for name in names:
            draw_curves(axes[name], records, name)
        axes["filters"].set_anchor("N")
        draw_filters(axes["filters"], kernel)
        titles = [str(s) if s == t else f"{t} → {s}" for t, s in zip(label, said, strict=True)]
        draw_image_grid(axes["images"], images, len(titles), titles)
        for text, right in zip(axes["images"].texts, label == said, strict=True):
            text.set_color(INK if right else RED)
    return Path(path)
