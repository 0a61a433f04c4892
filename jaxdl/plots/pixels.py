"""Pictures of networks that predict pixel by pixel: their reach, completions, and GIFs."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float

from jaxdl.errors import InputError
from jaxdl.plots.animation import animation
from jaxdl.plots.images import Images, as_picture
from jaxdl.plots.page import RED, page, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Color of a pixel that has no value yet.
UNKNOWN = (0.55, 0.65, 0.8)


def reach_maps(
    maps: Mapping[str, Float[np.ndarray, "H W"]],
    pixel: tuple[int, int],
    path: str | os.PathLike[str],
) -> Path:
    """Draws how much the outputs of one pixel depend on each pixel, for several networks.

    A title has the number of earlier pixels without influence, among those within the distance of
    the farthest one that has some.

    Args:
      maps: `[H, W]` for each network, at least 0, such as absolute gradients.
      pixel: row and column of the outputs.
      path: path of the PNG file.

    Returns:
      The path.

    Raises:
      InputError: no maps.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     reach_maps({"plain": np.eye(3)}, (2, 2), f"{directory}/reach.png").name
      'reach.png'
    """
    if not maps:
        raise InputError("maps", {}, "at least one network")
    with page(path, 3.1 * len(maps), 3.7) as figure:
        axes = figure.subplots(1, len(maps), squeeze=False)[0]
        for ax, (name, each) in zip(axes, maps.items(), strict=True):
            shown = np.where(each > 0, np.log10(np.maximum(each, 1e-30)), np.nan)
            low = np.nanmax(shown) - 4 if np.isfinite(shown).any() else 0
            ax.imshow(shown, cmap="viridis", vmin=low)
            ax.plot(pixel[1], pixel[0], "s", color=RED, markersize=6)
            hidden = int((blind(each, pixel)).sum())
            ax.set_title(f"{name}: {hidden} earlier pixels unseen", fontsize=9)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.grid(False)
        figure.supxlabel("white: no influence on the red pixel; yellow: strong", fontsize=8)
    return Path(path)


def blind(reach: Float[np.ndarray, "H W"], pixel: tuple[int, int]) -> Bool[np.ndarray, "H W"]:
    """Returns the earlier pixels without influence inside the smallest box of those with some.

    Args:
      reach: influence of each pixel, at least 0.
      pixel: row and column of the outputs.

    Example:
      >>> blind(np.array([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]), (1, 1)).tolist()
      [[False, True, True], [False, False, False]]
    """
    height, width = reach.shape
    row, column = pixel
    rows, columns = np.indices((height, width))
    is_earlier = (rows < row) | ((rows == row) & (columns < column))
    if not (reach > 0).any():
        return is_earlier
    far = max(
        (row - rows[reach > 0]).max(initial=0), abs(columns[reach > 0] - column).max(initial=0)
    )
    is_near = (row - rows <= far) & (abs(columns - column) <= far)
    return is_earlier & is_near & (reach == 0)


def completions(
    prompts: Images, completed: Float[np.ndarray, "N K H W C"], given: int, path: str | os.PathLike
) -> Path:
    """Draws images beside several completions of their first rows.

    Args:
      prompts: whole images `[N, H, W, C]` in [0, 1], whose first rows were given.
      completed: K completions of each, `[N, K, H, W, C]`.
      given: number of rows that were given.
      path: path of the PNG file.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> x = np.zeros((1, 4, 4, 1))
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     completions(x, x[:, None], 2, f"{directory}/halves.png").name
      'halves.png'
    """
    count, samples, height, width, _ = completed.shape
    prompts = np.asarray(prompts)
    unknown = np.broadcast_to(UNKNOWN, (count, height, width, 3)).copy()
    unknown[:, :given] = prompts[:, :given]
    width = max(0.55 * (samples + 2) + 0.3, 3.2)
    words = f"Test images, and completions of their first {given} of {height} rows"
    title = wrapped(words, width, 10.0)
    with page(path, width, 0.57 * count + 0.5 + 0.2 * len(title.splitlines())) as figure:
        axes = figure.subplots(count, samples + 2, squeeze=False)
        for i in range(count):
            for ax, image in zip(axes[i], [prompts[i], unknown[i], *completed[i]], strict=True):
                ax.imshow(as_picture(np.asarray(image)), cmap="gray", vmin=0, vmax=1)
                ax.axhline(given - 0.5, color=RED, linewidth=0.8)
                ax.set_axis_off()
        heads = ["image", "given", *map(str, range(1, samples + 1))]
        for ax, head in zip(axes[0], heads, strict=True):
            ax.set_title(head, fontsize=8, loc="center")
        figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    return Path(path)


def drawing_gif(images: Images, path: str | os.PathLike[str], frames: int = 60) -> Path:
    """Writes a GIF of images whose pixels appear one after the other.

    Args:
      images: `[N, H, W, C]` in [0, 1], side by side in the picture.
      path: path of the GIF file.
      frames: number of frames, at most one per pixel.

    Returns:
      The path.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     drawing_gif(np.zeros((1, 2, 2, 1)), f"{directory}/pixels.gif", 4).name
      'pixels.gif'
    """
    images = np.asarray(images)
    count, height, width, _ = images.shape
    pixels = height * width
    frames = min(frames, pixels)
    colors = np.broadcast_to(images, (count, height, width, 3)).reshape(count, pixels, 3)

    def frame(i: int) -> np.ndarray:
        known = round((i + 1) * pixels / frames)
        shown = np.broadcast_to(UNKNOWN, (count, pixels, 3)).copy()
        shown[:, :known] = colors[:, :known]
        return shown.reshape(count, height, width, 3)

    def prepare(figure: "Figure") -> Callable[[int], None]:
        axes = figure.subplots(1, count, squeeze=False)[0]
        artists = [ax.imshow(image) for ax, image in zip(axes, frame(0), strict=True)]
        for ax in axes:
            ax.set_axis_off()
        title = figure.suptitle("pixel 1", fontsize=9)

        def change(i: int) -> None:
            for artist, image in zip(artists, frame(i), strict=True):
                artist.set_data(image)
            title.set_text(f"{round((i + 1) * pixels / frames)} of {pixels} pixels sampled")

        return change

    return animation(path, 1.1 * count, 1.5, prepare, frames)
