"""Maps of two-dimensional latent spaces, and images decoded from posteriors."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Int

from jaxdl.errors import InputError
from jaxdl.plots.images import Images, image_grid
from jaxdl.plots.matrix import class_names
from jaxdl.plots.page import INK, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def latent_map(
    codes: Float[np.ndarray, "N 2"],
    label: Int[np.ndarray, " N"],
    path: str | os.PathLike[str],
    title: str = "",
    names: Sequence[str] | None = None,
) -> Path:
    """Draws codes as points in the colour of their class.

    The name of a class marks the median of its codes.

    Args:
      codes: `[N, 2]`, finite.
      label: `[N]`, classes in [0, K), K at most 20.
      path: path of the PNG file.
      title: title of the picture.
      names: names of the classes; None means their numbers.

    Returns:
      The path.

    Raises:
      InputError: another shape, codes that are not finite, different lengths, a label outside
        [0, 20), or too few names.

    Example:
      >>> import tempfile
      >>> codes = np.array([[0.0, 1.0], [2.0, 0.0]])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     latent_map(codes, np.array([0, 1]), f"{directory}/map.png").name
      'map.png'
    """
    return latent_maps({title: codes}, label, path, names)


def latent_maps(
    planes: Mapping[str, Float[np.ndarray, "N 2"]],
    label: Int[np.ndarray, " N"],
    path: str | os.PathLike[str],
    names: Sequence[str] | None = None,
) -> Path:
    """Draws several latent spaces of the same examples side by side.

    Args:
      planes: `{title: codes [N, 2]}`.
      label: `[N]`, see `latent_map`.
      path: path of the PNG file.
      names: names of the classes; None means their numbers.

    Returns:
      The path.

    Raises:
      InputError: no planes; see also `latent_map`.

    Example:
      >>> import tempfile
      >>> codes = np.array([[0.0, 1.0], [2.0, 0.0]])
      >>> planes = {"a": codes, "b": -codes}
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     latent_maps(planes, np.array([0, 1]), f"{directory}/maps.png").name
      'maps.png'
    """
    if not planes:
        raise InputError("planes", {}, "at least one")
    with page(path, 5.2 * len(planes), 4.8) as figure:
        axes = figure.subplots(1, len(planes), squeeze=False)[0]
        for ax, (title, codes) in zip(axes, planes.items(), strict=True):
            draw_latent_map(ax, codes, label, title, names)
    return Path(path)


def draw_latent_map(
    ax: "Axes",
    codes: Float[np.ndarray, "N 2"],
    label: Int[np.ndarray, " N"],
    title: str = "",
    names: Sequence[str] | None = None,
) -> None:
    """Draws the map on `ax`; see `latent_map` for the other arguments."""
    from matplotlib import colormaps

    codes = np.asarray(codes)
    label = np.asarray(label)
    if codes.ndim != 2 or codes.shape[1] != 2 or not codes.size or not np.isfinite(codes).all():
        raise InputError("codes", codes.shape, "finite numbers [N, 2], N at least 1")
    if label.shape != codes.shape[:1] or label.min() < 0 or label.max() >= 20:
        raise InputError(
            "label", label.shape, f"integers in [0, 20), as many as codes, {len(codes)}"
        )
    classes = int(label.max()) + 1
    if names is not None and len(names) > classes:
        # The last classes do not occur.
        names = names[:classes]
    shown = class_names(names, classes)
    shape = "circle"
    if max(map(len, shown)) > 2:
        shape = "round"
    colors = colormaps["tab20" if label.max() >= 10 else "tab10"]
    # The points are in the order of the set, so that no class covers all others.
    ax.scatter(
        codes[:, 0],
        codes[:, 1],
        c=colors(label),
        s=max(2.0, min(14.0, 12_000 / len(codes))),
        linewidths=0,
        alpha=0.7,
    )
    for each in np.unique(label):
        x, y = np.median(codes[label == each], 0)
        box = {
            "boxstyle": f"{shape},pad=0.2",
            "facecolor": "white",
            "edgecolor": colors(each),
            "linewidth": 1.4,
        }
        ax.text(x, y, shown[each], ha="center", va="center", fontsize=9, color=INK, bbox=box)
    ax.set(
        title=title,
        xlabel="first dimension of the code",
        ylabel="second dimension of the code",
    )


def posterior_samples(
    images: Images, decoded: Float[np.ndarray, "N K H W C"], path: str | os.PathLike[str]
) -> Path:
    """Draws each image beside K decoded samples of its posterior, above their differences.

    A difference is that of a decoded image from the mean of its row. Grey is no difference, black
    and white are the largest. The title has the standard deviation of a pixel.

    Args:
      images: `[N, H, W, C]`, C 1 or 3, floats in [0, 1].
      decoded: `[N, K, H, W, C]`.
      path: path of the PNG file.

    Returns:
      The path.

    Raises:
      InputError: shapes that do not fit.

    Example:
      >>> import tempfile
      >>> decoded = np.random.default_rng(0).random((2, 4, 8, 8, 1))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     posterior_samples(decoded[:, 0], decoded, f"{directory}/posterior.png").name
      'posterior.png'
    """
    images = np.asarray(images)
    decoded = np.asarray(decoded)
    if decoded.ndim != 5 or decoded[:, 0].shape != images.shape:
        allowed = f"[N, K, H, W, C] for images {images.shape}"
        raise InputError("decoded", decoded.shape, allowed)
    difference = decoded - decoded.mean(1, keepdims=True)
    shown = 0.5 + difference / max(2 * abs(difference).max(), 1e-12)
    empty = np.ones_like(images)
    above = np.concatenate([images[:, None], decoded], 1)
    below = np.concatenate([empty[:, None], shown], 1)
    rows = np.stack([above, below], 1).reshape(-1, *images.shape[1:])
    count = decoded.shape[1]
    title = (
        f"Images beside {count} decoded samples of their posterior: "
        f"standard deviation of a pixel {difference.std():.3f}\n"
        "below: difference of each sample from the mean of its row"
    )
    columns = ["image", *(f"sample {i + 1}" for i in range(count))]
    names = [name for i in range(len(images)) for name in (f"image {i + 1}", "differences")]
    return image_grid(rows, path, columns, title=title, rows=names)
