"""Maps of a classifier's decisions for points in the plane."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.page import GREY, PALETTE, page
from jaxdl.reports.checks import check_classes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Predict = Callable[[Float[np.ndarray, "M 2"]], Float[np.ndarray, "M K"]]
#: Points of the map along each axis.
RESOLUTION = 240


def decision_map(
    predict: Predict,
    points: Float[np.ndarray, "N 2"],
    label: Int[np.ndarray, " N"],
    path: str | os.PathLike[str],
) -> Path:
    """Draws the probabilities of a classifier in the plane, with labelled points.

        color(x) = sum_k p_k(x) color_k

    The title states the accuracy for these points.

    Args:
      predict: `predict(float32 [M, 2]) -> [M, K]`, probabilities. It is called twice, for the map
        and for the points.
      points: `[N, 2]`.
      label: `[N]`, true classes in [0, K), K at most 8.
      path: path of the PNG file.

    Returns:
      The path.

    Raises:
      InputError: points of another shape, different lengths, a label outside [0, K), or more than
        8 classes.

    Example:
      >>> import tempfile
      >>> left = lambda x: np.stack([x[:, 0] < 0, x[:, 0] >= 0], 1).astype(np.float32)
      >>> points = np.array([[-1.0, 0.0], [1.0, 1.0]])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     decision_map(left, points, np.array([0, 1]), f"{directory}/map.png").name
      'map.png'
    """
    low, high = _bounds(points)
    height = float(np.clip(4.8 * (high - low)[1] / (high - low)[0], 2.0, 6.0))
    with page(path, 4.8, height + 0.25) as figure:
        draw_decision_map(figure.subplots(), predict, points, label)
        draw_class_legend(figure, label)
    return Path(path)


def draw_decision_map(
    ax: "Axes", predict: Predict, points: Float[np.ndarray, "N 2"], label: Int[np.ndarray, " N"]
) -> None:
    """Draws the map on `ax`; see `decision_map` for the other arguments."""
    from matplotlib.colors import to_rgb

    low, high = _bounds(points)
    points = np.asarray(points)
    label = np.asarray(label)
    if label.shape != points.shape[:1]:
        raise InputError("label", label.shape, f"one for each of {len(points)} points")
    x, y = (np.linspace(low[i], high[i], RESOLUTION, dtype=np.float32) for i in (0, 1))
    plane = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    probabilities = np.asarray(predict(plane), np.float64)
    classes = probabilities.shape[-1]
    if classes > len(PALETTE):
        raise InputError("classes", classes, f"at most {len(PALETTE)}")
    check_classes("label", label, classes)
    colors = np.array([to_rgb(color) for color in PALETTE])
    mixed = np.clip(probabilities @ (0.55 + 0.45 * colors[:classes]), 0.0, 1.0)
    ax.imshow(
        mixed.reshape(RESOLUTION, RESOLUTION, 3),
        origin="lower",
        extent=(low[0], high[0], low[1], high[1]),
        interpolation="bilinear",
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
    predicted = np.asarray(predict(points.astype(np.float32))).argmax(-1)
    accuracy = np.mean(predicted == label)
    ax.set_title(f"{100 * accuracy:.1f} % of {len(points):,} points correct")


def draw_class_legend(figure: "Figure", label: Int[np.ndarray, " N"]) -> None:
    """Draws the colour of each class below the maps of a figure."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="none", color=PALETTE[k], label=f"class {k}")
        for k in range(int(np.max(label)) + 1)
    ]
    handles.append(Line2D([], [], linestyle="none", label="background: predicted class"))
    # A name needs 0.8 inches, and the last one more.
    ncols = max(1, min(len(handles), int(figure.get_figwidth() / 0.8) - 1))
    figure.legend(handles=handles, loc="outside lower center", ncols=ncols, handletextpad=0)


def _bounds(points: Float[np.ndarray, "N 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and highest coordinates of the map, which has a margin."""
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points):
        raise InputError("points", points.shape, "the shape [N, 2], N at least 1")
    low = points.min(0)
    high = points.max(0)
    margin = 0.08 * np.maximum(high - low, 1e-3)
    return low - margin, high + margin
