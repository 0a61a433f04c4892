"""Animated GIFs of figures whose artists change from frame to frame."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxdl.errors import at_least, in_range
from jaxdl.plots.clips import write_gif
from jaxdl.plots.page import STYLE, stamp

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Pixels per inch.
DPI = 100


def animation(
    path: str | os.PathLike[str],
    width: float,
    height: float,
    prepare: "Callable[[Figure], Callable[[int], None]]",
    frames: int,
    seconds: float = 6.0,
) -> Path:
    """Writes an animated GIF of a figure that repeats.

    Args:
      path: path of the GIF file. An interrupted call leaves no partial file.
      width: width in inches of 100 pixels.
      height: height in inches.
      prepare: draws what does not change on an empty figure, and returns a function of the number
        of a frame. This function changes the figure.
      frames: number of frames, at least 1.
      seconds: duration of all frames. The last one lasts 1.5 seconds longer.

    Returns:
      The path.

    Raises:
      InputError: no frames, or a duration that is not a number above 0.

    Example:
      >>> import tempfile
      >>> def prepare(figure):
      ...     (point,) = figure.subplots().plot([0, 1], [0, 1], "o")
      ...     return lambda i: point.set_ydata([i, 1 - i])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     animation(f"{directory}/points.gif", 2, 2, prepare, frames=2).name
      'points.gif'
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    at_least("frames", frames, 1)
    in_range("seconds", seconds, 0, np.inf)
    pictures = []
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        change = prepare(figure)
        stamp(figure)
        for i in range(frames):
            change(i)
            canvas.draw()
            if i == 0:
                # Later frames keep the layout, so that nothing moves but the artists.
                figure.set_layout_engine("none")
            pictures.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    images = _with_one_palette(pictures)
    # The unit of durations in a GIF is a hundredth of a second.
    duration = max(20, round(1000 * seconds / frames / 10) * 10)
    return write_gif(images, Path(path), duration, duration + 1500)


def _with_one_palette(pictures: Sequence[np.ndarray]) -> list[Any]:
    """Returns pictures with the same 255 colors, so that equal pixels of two frames stay equal.

    A file of such frames is small, because the 256th color can stand for unchanged pixels. White
    stays white.
    """
    from PIL import Image

    some = np.concatenate([pictures[i] for i in (0, len(pictures) // 2, -1)])
    quantized = Image.fromarray(some).quantize(255, dither=Image.Dither.NONE)
    colors = np.array(quantized.getpalette(), np.int32).reshape(-1, 3)[:255]
    colors[colors.min(1).argmax()] = 255
    images = []
    for picture in pictures:
        packed = picture.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
        found, places = np.unique(packed, return_inverse=True)
        parts = np.stack([found >> 16, found >> 8 & 255, found & 255], 1)
        nearest = ((parts[:, None] - colors[None]) ** 2).sum(2).argmin(1).astype(np.uint8)
        image = Image.fromarray(nearest[places].reshape(packed.shape)).convert("P")
        image.putpalette(colors.astype(np.uint8).tobytes())
        images.append(image)
    return images
