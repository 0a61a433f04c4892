"""A painting that is computed: brush strokes along the lines of a flow, as an image of a style."""

from typing import Any

import numpy as np
from jaxtyping import Float

from jaxdl.errors import at_least

#: Colors from the dark to the light parts, in RGB: a night with yellow lights.
PALETTE = np.array(
    [
        [12, 22, 58],
        [24, 54, 118],
        [38, 98, 168],
        [92, 152, 196],
        [168, 204, 208],
        [242, 216, 120],
        [250, 178, 44],
        [226, 110, 30],
    ],
    np.float64,
)

#: Side of the painting in which lengths are given, and pixels of a drawing per pixel of the result.
SIDE = 256
FINE = 3

#: Points of a stroke, and their distance in pixels of a painting with the side `SIDE`.
POINTS = 9
STEP = 3.2


def painting(height: int, width: int, seed: int = 0) -> Float[np.ndarray, "H W 3"]:
    """Returns a painting of whirls in a night sky, by brush strokes along a flow.

    Strokes follow several vortices, and lie over each other from wide to narrow. Their color
    depends on the distance from the vortices, with random changes. The painting belongs to this
    library, so no other license applies.

    Args:
      height: height in pixels.
      width: width in pixels. Strokes grow with the smaller side.
      seed: seed of all random numbers; other seeds are other paintings.

    Returns:
      `[height, width, 3]` in [0, 1], rounded to 8 bits.

    Raises:
      InputError: a side below 1.

    Example:
      >>> image = painting(32, 48)
      >>> image.shape, bool((image == painting(32, 48)).all())
      ((32, 48, 3), True)
    """
    from PIL import Image, ImageDraw

    at_least("height", height, 1)
    at_least("width", width, 1)
    random = np.random.default_rng(seed)
    scale = min(height, width) / SIDE
    size = np.array([width, height]) / scale
    centers = _centers(random, size)
    spins = random.choice([-1.0, 1.0], len(centers)) * random.uniform(0.7, 1.6, len(centers))
    canvas = Image.new("RGB", (FINE * width, FINE * height), tuple(PALETTE[1].astype(int)))
    pen = ImageDraw.Draw(canvas)
    for thickness, space in ((9.0, 6.0), (5.0, 4.0), (3.0, 3.2)):
        starts = _places(random, size, space)
        lines = _follow(starts, centers, spins)
        tones = _tones(lines[POINTS // 2], centers) + random.normal(0, 0.055, len(starts))
        for line, tone in zip(lines.swapaxes(0, 1), tones, strict=True):
            color = _color(tone) * random.uniform(0.86, 1.12)
            width_in_canvas = FINE * scale * thickness * random.uniform(0.6, 1.1)
            _stroke(pen, FINE * scale * line, color, width_in_canvas)
    small = canvas.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(small) / np.float32(255)


def _centers(random: np.random.Generator, size: np.ndarray) -> np.ndarray:
    """Returns points `[N, 2]` that are far from each other."""
    chosen: list[np.ndarray] = []
    count = max(4, round(float(size.prod()) / 80**2))
    candidates = random.uniform(-0.05, 1.05, (400, 2)) * size
    for _ in range(count):
        distance = np.full(len(candidates), 60.0)
        for other in chosen:
            distance = np.minimum(distance, np.hypot(*(candidates - other).T))
        chosen.append(candidates[np.argmax(distance * random.uniform(0.7, 1, len(candidates)))])
    return np.stack(chosen)


def _places(random: np.random.Generator, size: np.ndarray, space: float) -> np.ndarray:
    """Returns points of a shaken grid `[N, 2]`, in a random order."""
    x, y = (np.arange(-space, side + space, space) for side in size)
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    return random.permutation(grid + random.uniform(-space, space, grid.shape))


def _flow(points: np.ndarray, centers: np.ndarray, spins: np.ndarray) -> np.ndarray:
    """Returns unit directions `[N, 2]`: a wind from the left, turned by the vortices."""
    direction = np.stack([np.ones(len(points)), 0.35 * np.sin(points[:, 0] / 40)], -1)
    for center, spin in zip(centers, spins, strict=True):
        offset = points - center
        strength = 3 * spin * np.exp(-((offset**2).sum(1) / (2 * 30**2)))
        across = np.stack([-offset[:, 1], offset[:, 0]], -1)
        direction += (strength / (np.hypot(*offset.T) + 4))[:, None] * across
    return direction / (np.hypot(*direction.T)[:, None] + 1e-9)


def _follow(points: np.ndarray, centers: np.ndarray, spins: np.ndarray) -> np.ndarray:
    """Returns lines along the flow, `[POINTS, N, 2]`."""
    lines = [points]
    for _ in range(POINTS - 1):
        lines.append(lines[-1] + STEP * _flow(lines[-1], centers, spins))
    return np.stack(lines)


def _tones(points: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Returns numbers from 0, dark, to 1: light at vortices, with rings around them."""
    tone = 0.2 + 0.1 * np.sin(points[:, 1] / 23 + np.sin(points[:, 0] / 37))
    for i, center in enumerate(centers):
        distance = np.hypot(*(points - center).T)
        light = 0.3 + 0.65 * (i % 3 == 0)
        tone += light * np.exp(-((distance / 17) ** 2))
        tone += 0.14 * np.cos(distance / 5.5) * np.exp(-((distance / 42) ** 2))
    return tone


def _color(tone: float) -> np.ndarray:
    """Returns the color of a tone, between two neighbours of the palette."""
    place = np.clip(tone, 0, 1) * (len(PALETTE) - 1)
    first = min(int(place), len(PALETTE) - 2)
    return PALETTE[first] + (place - first) * (PALETTE[first + 1] - PALETTE[first])


def _stroke(pen: Any, line: np.ndarray, color: np.ndarray, width: float) -> None:
    """Draws a stroke with a dark and a light edge, as thick paint has."""
    side = np.array([0.22, 0.22]) * width
    for shift, factor, part in ((side, 0.72, 1.0), (-side, 1.25, 0.8), (0 * side, 1.0, 0.72)):
        rgb = tuple(np.clip(factor * color, 0, 255).astype(int))
        points = [tuple(point) for point in line + shift]
        pen.line(points, fill=rgb, width=max(1, round(part * width)), joint="curve")
