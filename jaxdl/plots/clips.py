"""Video clips, as rows of frames and as animated GIFs."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Num

from jaxdl.errors import InputError
from jaxdl.plots.images import as_picture, unit_range
from jaxdl.plots.page import GREY, STYLE, font_size, page, size_in_inches

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Clips = Num[np.ndarray, "N T H W C"]
#: Space between frames, as a fraction of a frame's width.
GAP = 0.06
#: Height of a title in inches.
TITLE = 0.27
#: Duration of a frame of a GIF in milliseconds.
FRAME = 250
#: Duration of the last frame, which is longer so that the end of the clip is visible.
LAST = 750
#: Minimum side of a clip in a GIF, in pixels.
SIDE = 120
#: Space around a clip in a GIF, in pixels.
SPACE = 12
#: Height of a title in a GIF, in pixels.
HEAD = 20
#: Pixels per inch of a GIF.
DPI = 100
#: Wider pictures are halved in a GIF, which has four times as many bytes as a PNG file.
WIDEST = 900


def prediction_titles(
    names: Sequence[str],
    label: Int[np.ndarray, " N"],
    predictions: Mapping[str, Int[np.ndarray, " N"]],
) -> list[str]:
    """Returns a title for each clip, with its label and the prediction of each network.

    Args:
      names: names of the classes.
      label: `[N]`, true classes.
      predictions: `{network: [N]}`, predicted classes.

    Returns:
      N titles, for `film`.

    Example:
      >>> prediction_titles(["left", "right"], np.array([0]), {"CNN": np.array([1])})
      ['left; predictions: CNN right']
    """
    titles = []
    for i, true in enumerate(label):
        parts = [f"{network} {names[values[i]]}" for network, values in predictions.items()]
        titles.append(f"{names[true]}; predictions: {', '.join(parts)}")
    return titles


def film(clips: Clips, titles: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Draws each clip as a row of numbered frames below its title.

    Args:
      clips: `[N, T, H, W, C]`, C 1 (grey) or 3 (RGB), in the ranges of `image_grid`.
      titles: N texts, for example the label of a clip and the predictions for it.
      path: path of the PNG file.

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
    # The page is wide enough for the longest title, and frames of long clips are small.
    page_width = max(min(0.75 * frames * max(width / height, 1.0), 12.0), 0.072 * letters)
    row = page_width / (frames * (1 + GAP)) * height / width
    with page(path, page_width + 0.15, count * (row + TITLE) + 0.35) as figure:
        draw_film(figure.subplots(), clips, titles)
    return Path(path)


def draw_film(ax: "Axes", clips: Clips, titles: Sequence[str]) -> None:
    """Draws the rows of frames on `ax`; see `film` for the other arguments."""
    clips = _checked(clips, titles)
    count, frames, height, width, _ = clips.shape
    aspect = width / height
    ax.set_axis_off()
    # The unit of the axes is the height of a frame.
    ax_width, ax_height = size_in_inches(ax)
    tile = min(
        ax_width / (frames * aspect * (1 + GAP)),
        max(ax_height / (count + 0.3) - TITLE, 0.1),
    )
    head = TITLE / tile
    step = aspect * (1 + GAP)
    size = font_size(ax_width, max(map(len, titles)), 8.5)
    for i, (clip, title) in enumerate(zip(unit_range(clips), titles, strict=True)):
        y = i * (1 + head)
        ax.text(0, y - 0.14 * head, title, ha="left", va="bottom", fontsize=size, parse_math=False)
        for t, frame in enumerate(clip):
            extent = (t * step, t * step + aspect, y + 1, y)
            ax.imshow(as_picture(frame), "gray", vmin=0, vmax=1, extent=extent)
    bottom = count * (1 + head) - head
    style: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 7, "color": GREY}
    for t in range(0, frames, math.ceil(frames / 20)):
        ax.text(t * step + aspect / 2, bottom + 0.2 * head, str(t + 1), **style)
    ax.set(
        xlim=(0, frames * step - GAP * aspect),
        ylim=(bottom + 0.8 * head, -head),
        aspect="equal",
        anchor="NW",
    )


def film_gif(clips: Clips, titles: Sequence[str], path: str | os.PathLike[str]) -> Path:
    """Draws clips side by side below their titles, as an animated GIF that repeats.

    It has four frames per second, and the last one lasts longer. Every pixel of a clip becomes a
    square of the same size.

    Args:
      clips: `[N, T, H, W, C]`, C 1 (grey) or 3 (RGB), in the ranges of `image_grid`.
      titles: N short texts.
      path: path of the GIF file. An interrupted call leaves no partial file.

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
    frames = [Image.fromarray(each) for each in gif_frames(clips, titles)]
    return write_gif(frames, Path(path), FRAME, LAST)


def pictures_gif(
    pictures: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str], seconds: float = 6.0
) -> Path:
    """Joins pictures into an animated GIF that repeats, for example samples during training.

    Pictures of more than 900 pixels in a row are halved.

    Args:
      pictures: paths of PNG files of the same size in their order, at least one.
      path: path of the GIF file. An interrupted call leaves no partial file.
      seconds: duration of all pictures. The last one lasts 1.5 seconds longer.

    Returns:
      The path.

    Raises:
      InputError: no pictures, pictures of different sizes, or a file that is no readable PNG.

    Example:
      >>> import tempfile
      >>> from jaxdl.plots import image_grid
      >>> images = [np.full((4, 8, 8, 1), i / 2) for i in range(3)]
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     paths = [f"{directory}/{i}.png" for i in range(3)]
      ...     pictures = [image_grid(*each) for each in zip(images, paths)]
      ...     pictures_gif(pictures, f"{directory}/all.gif").name
      'all.gif'
    """
    from PIL import Image

    if not len(pictures):
        raise InputError("pictures", [], "at least one")
    try:
        frames = [Image.open(each, formats=["PNG"]).convert("RGB") for each in pictures]
    except Exception as error:
        # Pillow raises too many types of exceptions for damaged files to list them.
        raise InputError(
            "pictures", f"{type(error).__name__}: {error}", "PNG files that can be read"
        ) from None
    sizes = {each.size for each in frames}
    if len(sizes) > 1:
        raise InputError("pictures", sorted(sizes), "pictures of one size")
    if frames[0].width > WIDEST:
        frames = [each.reduce(2) for each in frames]
    # The unit of durations in a GIF is a hundredth of a second.
    duration = max(20, round(1000 * seconds / len(frames) / 10) * 10)
    return write_gif(frames, Path(path), duration, duration + 1500)


def write_gif(frames: Sequence[Any], path: Path, duration: int, last: int) -> Path:
    """Writes a GIF; `duration` of a frame and `last` of the last one are in milliseconds."""
    from PIL import Image

    frames = [
        each if each.mode == "P" else each.quantize(256, dither=Image.Dither.NONE)
        for each in frames
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        frames[0].save(
            unfinished,
            "GIF",
            save_all=True,
            append_images=frames[1:],
            duration=[duration] * (len(frames) - 1) + [last],
            loop=0,
        )
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def gif_frames(clips: Clips, titles: Sequence[str]) -> Num[np.ndarray, "T height width 3"]:
    """Returns the frames of `film_gif` as uint8 arrays.

    The clips are arranged in rows and enlarged by an integer factor.

    Example:
      >>> gif_frames(np.zeros((2, 4, 8, 8, 1)), ["left", "right"]).shape
      (4, 164, 276, 3)
    """
    clips = unit_range(_checked(clips, titles))
    count, frames, height, width, _ = clips.shape
    factor = max(
        1, math.ceil(SIDE / min(height, width)), math.ceil(6 * max(map(len, titles)) / width)
    )
    columns = min(count, math.ceil(math.sqrt(1.6 * count * height / width)))
    rows = math.ceil(count / columns)
    down = factor * height + HEAD + SPACE
    across = factor * width + SPACE
    corners = [
        (i // columns * down + HEAD + SPACE, i % columns * across + SPACE) for i in range(count)
    ]
    empty = _titled_page(
        rows * down + SPACE, columns * across + SPACE, corners, titles, factor * width / DPI
    )
    result = np.repeat(empty[None], frames, 0)
    pixels = (255 * clips).round().astype(np.uint8)
    enlarged = np.repeat(np.repeat(pixels, factor, 2), factor, 3)
    for clip, (y, x) in zip(enlarged, corners, strict=True):
        result[:, y : y + factor * height, x : x + factor * width] = clip
    return result


def _titled_page(
    height: int, width: int, corners: list[tuple[int, int]], titles: Sequence[str], room: float
) -> np.ndarray:
    """Returns a white page with titles.

    Args:
      height: height in pixels.
      width: width in pixels.
      corners: row and column of the upper left pixel below each title.
      titles: the titles.
      room: width of a title in inches.

    Returns:
      `[height, width, 3]`, uint8.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    size = font_size(room, max(map(len, titles)), 9.0)
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
    """Returns the clips as an array; raises an error if their shape or the titles do not fit."""
    clips = np.asarray(clips)
    if clips.ndim != 5 or clips.shape[-1] not in (1, 3) or not clips.size:
        raise InputError(
            "clips", clips.shape, "the shape [N, T, H, W, C], N and T at least 1, C 1 or 3"
        )
    if len(titles) != len(clips):
        raise InputError("titles", len(titles), f"as many as clips, {len(clips)}")
    return clips
