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
from jaxdl.plots.page import GREY, STYLE, font_size, page, plain, size_in_inches, stamp

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Clips = Num[np.ndarray, "N T H W C"]
#: Space between frames, as a fraction of a frame's width.
GAP = 0.1
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
#: Height of a line of text in a GIF, in pixels.
LINE = 16
#: Font size of a GIF in points.
POINTS = 9.0
#: Pixels per inch of a GIF.
DPI = 100
#: Wider pictures are halved in a GIF, because a film of them would have megabytes.
WIDEST = 900


def prediction_titles(
    names: Sequence[str],
    label: Int[np.ndarray, " N"],
    predictions: Mapping[str, Int[np.ndarray, " N"]],
) -> list[str]:
    """Returns a title for each clip, with its label and the prediction of each network.

    A mark follows each prediction: ✓ if it is right, else ✗.

    Args:
      names: names of the classes.
      label: `[N]`, true classes.
      predictions: `{network: [N]}`, predicted classes.

    Returns:
      N titles, for `film`.

    Example:
      >>> prediction_titles(["left", "right"], np.array([0]), {"CNN": np.array([1])})
      ['true: left; CNN: right ✗']
    """
    titles = []
    for i, true in enumerate(label):
        parts = [f"true: {names[true]}"]
        for network, values in predictions.items():
            parts.append(f"{network}: {names[values[i]]} {'✗✓'[int(values[i] == true)]}")
        titles.append("; ".join(parts))
    return titles


def film(
    clips: Clips,
    titles: Sequence[str],
    path: str | os.PathLike[str],
    heading: str = "",
    column: str = "",
) -> Path:
    """Draws each clip as a row of numbered frames below its title.

    Args:
      clips: `[N, T, H, W, C]`, C 1 (grey) or 3 (RGB), in the ranges of `image_grid`.
      titles: N texts, for example the label of a clip and the predictions for it.
      path: path of the PNG file.
      heading: title of the picture; none if this is empty.
      column: word before the number of the first column, such as "frame".

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
    letters = max(map(len, [heading, *titles]))
    # The page is wide enough for the longest title, and frames of long clips are small.
    page_width = max(min(0.75 * frames * max(width / height, 1.0), 12.0), 0.072 * letters)
    row = page_width / (frames * (1 + GAP)) * height / width
    page_height = count * (row + TITLE) + 0.35 + 0.25 * bool(heading)
    with page(path, page_width + 0.15, page_height) as figure:
        ax = figure.subplots()
        ax.set_title(plain(heading))
        draw_film(ax, clips, titles, column)
    return Path(path)


def draw_film(ax: "Axes", clips: Clips, titles: Sequence[str], column: str = "") -> None:
    """Draws the rows of frames on `ax`; see `film` for the other arguments."""
    from matplotlib.patches import Rectangle

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
            # Without edges, white parts of two frames would look like one object.
            corner = (t * step, y)
            ax.add_patch(
                Rectangle(corner, aspect, 1, facecolor="none", edgecolor=GREY, linewidth=0.7)
            )
    bottom = count * (1 + head) - head
    style: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 7, "color": GREY}
    for t in range(0, frames, math.ceil(frames / 20)):
        number = str(t + 1)
        if t == 0:
            number = f"{column} {number}".strip()
        ax.text(t * step + aspect / 2, bottom + 0.2 * head, number, **style)
    ax.set(
        xlim=(0, frames * step - GAP * aspect),
        ylim=(bottom + 0.8 * head, -head),
        aspect="equal",
        anchor="NW",
    )


def film_gif(
    clips: Clips, titles: Sequence[str], path: str | os.PathLike[str], heading: str = ""
) -> Path:
    """Draws clips side by side below their titles, as an animated GIF that repeats.

    It has four frames per second, and the last one lasts longer. Every pixel of a clip becomes a
    square of the same size. The first line has the heading and counts the frames.

    Args:
      clips: `[N, T, H, W, C]`, C 1 (grey) or 3 (RGB), in the ranges of `image_grid`.
      titles: N short texts. A title has a line for each part between semicolons.
      path: path of the GIF file. An interrupted call leaves no partial file.
      heading: title of the picture.

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
    frames = [Image.fromarray(each) for each in gif_frames(clips, titles, heading)]
    return write_gif(frames, Path(path), FRAME, LAST)


def pictures_gif(
    pictures: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str], seconds: float = 6.0
) -> Path:
    """Joins pictures into an animated GIF that repeats, for example samples during training.

    Pictures that are wider than 900 pixels are halved.

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


def gif_frames(
    clips: Clips, titles: Sequence[str], heading: str = ""
) -> Num[np.ndarray, "T height width 3"]:
    """Returns the frames of `film_gif` as uint8 arrays.

    The clips are arranged in rows and enlarged by an integer factor.

    Example:
      >>> gif_frames(np.zeros((2, 4, 8, 8, 1)), ["left", "right"]).shape
      (4, 180, 276, 3)
    """
    clips = unit_range(_checked(clips, titles))
    count, frames, height, width, _ = clips.shape
    lines = [title.split("; ") for title in titles]
    letters = max(len(line) for each in lines for line in each)
    columns = min(count, math.ceil(math.sqrt(1.6 * count * height / width)))
    rows = math.ceil(count / columns)
    columns = math.ceil(count / rows)
    # A letter of this size is 7 pixels wide. The clips are as wide as the texts above them.
    words = f"{heading}; frame {frames} of {frames}"
    letters = max(letters, math.ceil(len(words) / columns))
    factor = max(1, math.ceil(SIDE / min(height, width)), math.ceil(7 * letters / width))
    head = LINE * max(map(len, lines)) + 4
    down = factor * height + head + SPACE
    across = factor * width + SPACE
    top = LINE + SPACE
    corners = [
        (i // columns * down + head + top, i % columns * across + SPACE) for i in range(count)
    ]
    page_width = columns * across + SPACE
    texts = {
        (x, y - head + LINE * (row + 1)): line
        for (y, x), each in zip(corners, lines, strict=True)
        for row, line in enumerate(each)
    }
    pixels = (255 * clips).round().astype(np.uint8)
    enlarged = np.repeat(np.repeat(pixels, factor, 2), factor, 3)
    result = np.empty((frames, top + rows * down, page_width, 3), np.uint8)
    for t in range(frames):
        texts[SPACE, SPACE + LINE - 6] = "; ".join(
            part for part in (heading, f"frame {t + 1} of {frames}") if part
        )
        result[t] = _page_of_texts(result.shape[1], result.shape[2], texts)
        for clip, (y, x) in zip(enlarged, corners, strict=True):
            result[t, y : y + factor * height, x : x + factor * width] = clip[t]
    return result


def _page_of_texts(height: int, width: int, texts: Mapping[tuple[int, int], str]) -> np.ndarray:
    """Returns a white page with texts.

    Args:
      height: height in pixels.
      width: width in pixels.
      texts: texts by the column and row of their lower left pixel.

    Returns:
      `[height, width, 3]`, uint8.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
        for (x, y), text in texts.items():
            figure.text(
                x / width, 1 - y / height, text, fontsize=POINTS, va="bottom", parse_math=False
            )
        stamp(figure)
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
