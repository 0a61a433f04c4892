"""Which class a model says where, for points in the plane."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.matrix import check_classes
from jaxdl.plots.page import GREY, PALETTE, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Predict = Callable[[Float[np.ndarray, "M 2"]], Float[np.ndarray, "M K"]]


def decision_map(
    predict: Predict,
    points: Float[np.ndarray, "N 2"],
    label: Int[np.ndarray, " N"],
    path: str | os.PathLike[str],
) -> Path:
    """Draws the plane in the classes' colours, mixed by their probabilities, and the points on it.

        color(x) = sum_k p_k(x) color_k

    Args:
      predict: `predict(float32 [M, 2]) -> [M, K]`, probabilities; called once.
      points: `[N, 2]`.
      label: `[N]`, what is true, in [0, K), K at most 8.
      path: the PNG file.

    Returns:
      The path.

    Raises:
      InputError: points that are not in the plane, unequal lengths, a label outside [0, K), more than 8 classes.

    Example:
      >>> import tempfile
      >>> left = lambda x: np.stack([x[:, 0] < 0, x[:, 0] >= 0], 1).astype(np.float32)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     decision_map(left, np.array([[-1.0, 0.0], [1.0, 1.0]]), np.array([0, 1]), f"{directory}/map.png").name
      'map.png'
    """
    low, high = _bounds(points)
    height = float(np.clip(4.8 * (high - low)[1] / (high - low)[0], 2.0, 6.0))
    with page(path, 4.8, height) as figure:
        draw_decision_map(figure.subplots(), predict, points, label)
    return Path(path)


def draw_decision_map(
    ax: "Axes", predict: Predict, points: Float[np.ndarray, "N 2"], label: Int[np.ndarray, " N"]
) -> None:
    """Draws the map on `ax`; arguments as for `decision_map`."""
    from matplotlib.colors import to_rgb

    (low, high), points, label, across = _bounds(points), np.asarray(points), np.asarray(label), 240
    if label.shape != points.shape[:1]:
        raise InputError("label", label.shape, f"one for each of {len(points)} points")
    x, y = (np.linspace(low[i], high[i], across, dtype=np.float32) for i in (0, 1))
    plane = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    probabilities = np.asarray(predict(plane), np.float64)
    classes = probabilities.shape[-1]
    if classes > len(PALETTE):
        raise InputError("classes", classes, f"at most {len(PALETTE)}")
    check_classes("label", label, classes)
    colors = np.array([to_rgb(color) for color in PALETTE])
    mixed = np.clip(probabilities @ (0.55 + 0.45 * colors[:classes]), 0.0, 1.0).reshape(
        across, across, 3
    )
    ax.imshow(
        mixed, origin="lower", extent=(low[0], high[0], low[1], high[1]), interpolation="bilinear"
    )
    size = float(np.clip(4000 / len(points), 4, 26))
    ax.scatter(
        points[:, 0],
        points[:, 1],
        s=size,
        c=colors[label],
        edgecolors="white",
        linewidths=min(0.6, size / 20),
    )
    ax.grid(False)
    ax.spines[:].set(visible=True, color=GREY)
    ax.set_title(f"decisions, {len(points):,} points")


def _bounds(points: Float[np.ndarray, "N 2"]) -> tuple[np.ndarray, np.ndarray]:
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InputError("points", points.shape, "the shape [N, 2], N at least 1")
    low = points.min(0)
    high = points.max(0)
    margin = 0.08 * np.maximum(high - low, 1e-3)
    return low - margin, high + margin
