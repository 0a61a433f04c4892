"""Films: their frames in a row, and moving."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Num

from jaxdl.errors import InputError
from jaxdl.plots.images import unit_range
from jaxdl.plots.page import GREY, STYLE, fitting, inches, page

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Clips = Num[np.ndarray, "N T H W C"]
#: Between frames in widths of a frame; a title's height in inches.
GAP = 0.06
TITLE = 0.27
#: Milliseconds of a frame of a GIF, and of its last one, so that one sees where it begins again.
FRAME = 250
LAST = 750
#: Of a GIF, in pixels: the least side of a clip, the space around it, and the height of its title.
SIDE = 120
SPACE = 12
HEAD = 20
DPI = 100


def film(clips: Clips, titles: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Draws clips one below the other, each a row of its frames under its title.

    Args:
      clips: `[N, T, H, W, C]`, C 1 (grey) or 3 (RGB), in the ranges of `image_grid`.
      titles: N texts: what is true, what each network says.
      path: the PNG file.

    Returns:
      The path.

    Raises:
      InputError: another shape, no clips, or another number of titles.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     film(np.zeros((2, 4, 8, 8, 1)), ["left", "right"], f"{directory}/film.png").name
      'film.png'
    """
    clips = _checked(clips, titles)
    count, frames, height, width, _ = clips.shape
    letters = max(map(len, titles))
    # Wide enough for the longest title; a long film gets small frames.
    wide = max(min(0.75 * frames * max(width / height, 1.0), 12.0), 0.072 * letters)
    row = wide / (frames * (1 + GAP)) * height / width
    with page(path, wide + 0.15, count * (row + TITLE) + 0.35) as figure:
        draw_film(figure.subplots(), clips, titles)
    return Path(path)


def draw_film(ax: "Axes", clips: Clips, titles: Sequence[str]) -> None:
    """Draws the rows of frames on `ax`; arguments as for `film`."""
    clips = _checked(clips, titles)
    (count, frames, *_, channels), aspect = clips.shape, clips.shape[3] / clips.shape[2]
    ax.set_axis_off()
    across, down = inches(ax)
    tile = min(across / (frames * aspect * (1 + GAP)), max(down / (count + 0.3) - TITLE, 0.1))
    head = TITLE / tile
    step = aspect * (1 + GAP)
    size = fitting(across, max(map(len, titles)), 8.5)
    for i, (clip, title) in enumerate(zip(unit_range(clips), titles, strict=True)):
        y = i * (1 + head)
        ax.text(0, y - 0.14 * head, title, ha="left", va="bottom", fontsize=size, parse_math=False)
        for t, frame in enumerate(clip[..., 0] if channels == 1 else clip):
            ax.imshow(frame, "gray", vmin=0, vmax=1, extent=(t * step, t * step + aspect, y + 1, y))
    bottom = count * (1 + head) - head
    place: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 7, "color": GREY}
    for t in range(0, frames, math.ceil(frames / 20)):
        ax.text(t * step + aspect / 2, bottom + 0.2 * head, str(t + 1), **place)
    ax.set(
        xlim=(0, frames * step - GAP * aspect),
        ylim=(bottom + 0.8 * head, -head),
        aspect="equal",
        anchor="NW",
    )


def film_gif(clips: Clips, titles: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Draws clips side by side under their titles as a moving picture that begins again and again.

    Four frames a second, the last one held longer; every pixel is a square of the same size.

    Args:
      clips: `[N, T, H, W, C]`, C 1 (grey) or 3 (RGB), in the ranges of `image_grid`.
      titles: N short texts.
      path: the GIF file; it appears whole or not at all.

    Returns:
      The path.

    Raises:
      InputError: another shape, no clips, or another number of titles.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     film_gif(np.zeros((2, 4, 8, 8, 1)), ["left", "right"], f"{directory}/film.gif").name
      'film.gif'
    """
    from PIL import Image

    clips = _checked(clips, titles)
    return _moving(
        [Image.fromarray(each) for each in gif_frames(clips, titles)], Path(path), FRAME, LAST
    )


def pictures_gif(
    pictures: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str], seconds: float = 6.0
) -> Path:
    """Joins pictures into a moving one that begins again and again: how samples change while a network learns.

    Args:
      pictures: files of pictures of one size, at least one, in their order.
      path: the GIF file; it appears whole or not at all.
      seconds: how long all pictures take; the last one is held 1.5 seconds longer.

    Returns:
      The path.

    Raises:
      InputError: no pictures, or pictures of different sizes.

    Example:
      >>> import tempfile
      >>> from jaxdl.plots import image_grid
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     pages = [image_grid(np.full((4, 8, 8, 1), i / 2), f"{directory}/{i}.png") for i in range(3)]
      ...     pictures_gif(pages, f"{directory}/all.gif").name
      'all.gif'
    """
    from PIL import Image

    if not len(pictures):
        raise InputError("pictures", [], "at least one")
    try:
        pages = [Image.open(each, formats=["PNG"]).convert("RGB") for each in pictures]
    except Exception as error:
        # A damaged picture makes Pillow fail in too many ways to list them.
        raise InputError(
            "pictures", f"{type(error).__name__}: {error}", "PNG files that can be read"
        ) from None
    sizes = {each.size for each in pages}
    if len(sizes) > 1:
        raise InputError("pictures", sorted(sizes), "pictures of one size")
    each = round(1000 * seconds / len(pages) / 10) * 10  # a GIF counts hundredths of a second
    return _moving(pages, Path(path), max(20, each), max(20, each) + 1500)


def _moving(pages: Sequence[Any], path: Path, each: int, last: int) -> Path:
    """Writes the GIF; times in milliseconds."""
    from PIL import Image

    pages = [page.quantize(256, dither=Image.Dither.NONE) for page in pages]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    durations = [each] * (len(pages) - 1) + [last]
    try:
        pages[0].save(
            unfinished, "GIF", save_all=True, append_images=pages[1:], duration=durations, loop=0
        )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def gif_frames(clips: Clips, titles: Sequence[str]) -> Num[np.ndarray, "T height width 3"]:
    """The pages of `film_gif`, uint8: clips in rows, enlarged by a whole number.

    Example:
      >>> gif_frames(np.zeros((2, 4, 8, 8, 1)), ["left", "right"]).shape
      (4, 164, 276, 3)
    """
    clips = unit_range(_checked(clips, titles))
    count, frames, height, width, _ = clips.shape
    times = max(
        1, math.ceil(SIDE / min(height, width)), math.ceil(6 * max(map(len, titles)) / width)
    )
    columns = min(count, math.ceil(math.sqrt(1.6 * count * height / width)))
    rows = math.ceil(count / columns)
    down = times * height + HEAD + SPACE
    across = times * width + SPACE
    corners = [
        (i // columns * down + HEAD + SPACE, i % columns * across + SPACE) for i in range(count)
    ]
    empty = _titled(
        rows * down + SPACE, columns * across + SPACE, corners, titles, times * width / DPI
    )
    found = np.repeat(empty[None], frames, 0)
    large = np.repeat(np.repeat((255 * clips).round().astype(np.uint8), times, 2), times, 3)
    for clip, (y, x) in zip(large, corners, strict=True):
        found[:, y : y + times * height, x : x + times * width] = clip
    return found


def _titled(
    height: int, width: int, corners: list[tuple[int, int]], titles: Sequence[str], room: float
) -> np.ndarray:
    """A white page `[height, width, 3]` uint8 with the titles above the corners."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = fitting(room, max(map(len, titles)), 9.0)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        for (y, x), title in zip(corners, titles, strict=True):
            figure.text(
                x / width,
                1 - (y - 6) / height,
                title,
                fontsize=size,
                va="baseline",
                parse_math=False,
            )
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _checked(clips: Clips, titles: Sequence[str]) -> Clips:
    clips = np.asarray(clips)
    if clips.ndim != 5 or clips.shape[-1] not in (1, 3) or not clips.size:
        raise InputError(
            "clips", clips.shape, "the shape [N, T, H, W, C], N and T at least 1, C 1 or 3"
        )
    if len(titles) != len(clips):
        raise InputError("titles", len(titles), f"as many as clips, {len(clips)}")
    return clips
