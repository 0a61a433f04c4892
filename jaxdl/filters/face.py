"""A face detector with filters by hand: strokes, then parts, then the face.

A cell of a filter is present, absent, or a cell that does not matter. The detector is a
`jaxdl.models.CNN` with weights +1, -1 and 0, and a bias that makes each ReLU 1 for a match, else 0.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least, integers, of_kind, real_array
from jaxdl.filters.drawings import EYE, MOUTH, NOSE, PLACES
from jaxdl.models import CNN, Stage
from jaxdl.nn import conv2d, tap

#: Characters of a drawing and of a filter of pixels: black, white, and a cell that does not matter.
BLACK = "#"
WHITE = "."
ANY = "?"

#: Filters of 2x2 pixels: four corners and an edge. Black pixels are 1.
STROKES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "┌": ("##", "#."),
        "┐": ("##", ".#"),
        "└": ("#.", "##"),
        "┘": (".#", "##"),
        "_": ("..", "##"),
    }
)
#: Filters of 3x3 cells of strokes. A cell is 2x2 pixels if there is pooling. The mouth also fits
#: the lower edge of an eye: a part has its meaning from its place, which the next filter reads.
PARTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "eye": ("┌?┐", "└?┘", "???"),
        "nose": ("???", "???", "┘_└"),
        "mouth": ("???", "???", "└_┘"),
    }
)
#: The filter of 3x3 cells of parts, by their first letters. A cell is 4x4 pixels.
FACE = ("e?e", "?n?", "?m?")

#: Largest number of pixels by which `tolerance` moves a part.
MAX_REACH = 8

#: Names of the three layers in the network, and in words.
LAYERS = MappingProxyType({"strokes": "conv_0", "parts": "conv_1", "face": "conv_2"})


def drawing(text: str) -> Float[np.ndarray, "H W 1"]:
    """Returns a drawing of `#` and `.` as an image in which black is 1.

    Args:
      text: lines of equal length.

    Returns:
      `[H, W, 1]` float32 of zeros and ones.

    Raises:
      InputError: lines of different lengths, no lines, or another character.

    Example:
      >>> drawing('''
      ... #.
      ... .#
      ... ''')[..., 0].tolist()
      [[1.0, 0.0], [0.0, 1.0]]
    """
    of_kind("drawing", text, str, "a text of lines, such as '#.'")
    rows = text.split()
    _check_rows("drawing", rows, BLACK + WHITE)
    return np.array([[[cell == BLACK] for cell in row] for row in rows], np.float32)


def binary_kernel(rows: Sequence[str], symbols: Sequence[str] = ()) -> Float[np.ndarray, "F G C"]:
    """Returns the weights of a filter that is written in cells.

        +1 for a cell that must be present, -1 for one that must be absent, 0 for any

    Args:
      rows: lines of equal length. Without symbols the cells are `#`, `.` and `?`. With symbols a
        cell is one symbol, or `?`.
      symbols: one character for each of C channels; none means one channel of pixels.

    Returns:
      `[F, G, C]` float32.

    Raises:
      InputError: lines of different lengths, no lines, another cell, or only cells `?`.

    Example:
      >>> binary_kernel(["#.", "?#"])[..., 0].tolist()
      [[1.0, -1.0], [0.0, 1.0]]
      >>> binary_kernel(["e?"], "en").tolist()
      [[[1.0, 0.0], [0.0, 0.0]]]
      >>> binary_kernel(["#x"])
      Traceback (most recent call last):
      jaxdl.errors.InputError: filter: got 'x', allowed: cells of '#', '.', '?'
    """
    of_kind("symbols", symbols, Sequence, "one character for each channel, such as 'en'")
    cells = tuple(symbols) or (BLACK, WHITE)
    _check_rows("filter", rows, (*cells, ANY))
    if not any(cell != ANY for row in rows for cell in row):
        raise InputError("filter", list(rows), f"at least one cell other than {ANY!r}")
    channels = len(symbols) or 1
    kernel = np.zeros((len(rows), len(rows[0]), channels), np.float32)
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            if cell == WHITE and not symbols:
                kernel[i, j, 0] = -1
            elif cell != ANY:
                kernel[i, j, cells.index(cell)] = 1
    return kernel


def _check_rows(field: str, rows: Sequence[str], cells: Sequence[str]) -> None:
    """Raises unless the lines have one length, at least 1, and consist of these cells."""
    allowed = "lines of one length, at least 1"
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise InputError(field, rows, allowed)
    for row in rows:
        of_kind(field, row, str, allowed)
    if len({len(row) for row in rows}) != 1 or not rows[0]:
        raise InputError(field, rows, allowed)
    for row in rows:
        for cell in row:
            if cell not in cells:
                raise InputError(field, cell, f"cells of {', '.join(map(repr, cells))}")


def match_filter(
    image: Float[Array | np.ndarray, "H W C"], kernel: Float[np.ndarray, "F G C"]
) -> Float[Array, "I J"]:
    """Finds the places where every cell that matters agrees.

        y = max(0, x * k - n + 1),    n the number of weights +1

    For an image of zeros and ones the sum is n if all cells agree, and at most n - 1 otherwise. So
    y is 1 for a match, else 0.

    Args:
      image: `[H, W, C]`, zeros and ones.
      kernel: `[F, G, C]` of `binary_kernel`.

    Returns:
      `[H - F + 1, W - G + 1]`, zeros and ones.

    Raises:
      InputError: other values in the image, or as for `jaxdl.nn.conv2d`.

    Example:
      >>> image = drawing('''
      ... .##
      ... .#.
      ... ''')
      >>> match_filter(image, binary_kernel(["##", "#."])).tolist()
      [[0.0, 1.0]]
    """
    _check_binary(image)
    allowed = "[F, G, C], such as binary_kernel(['##', '#.'])"
    weights = real_array("kernel", kernel, allowed).astype(jnp.float32)[..., None]
    if weights.ndim != 4:
        raise InputError("kernel", np.shape(kernel), allowed)
    return jnp.maximum(conv2d(jnp.asarray(image), weights, padding="VALID") + _bias(kernel), 0)[
        ..., 0
    ]


def _bias(kernel: Float[np.ndarray, "F G C"]) -> float:
    """Returns the bias of a filter, 1 - n for n weights +1."""
    return 1.0 - float((np.asarray(kernel) > 0).sum())


def _check_binary(image: Any) -> None:
    allowed = "an image [H, W, C] of zeros and ones, such as drawing(text)"
    values = np.unique(np.asarray(real_array("image", image, allowed)))
    if np.ndim(image) not in (3, 4) or not np.isin(values, (0, 1)).all():
        raise InputError("image", f"{np.shape(image)} with {values[:3].tolist()}", allowed)


def face_detector(pool: bool = True) -> tuple[CNN, dict[str, Any]]:
    """Returns the detector as a network with its weights.

    Each of three stages is a convolution with a ReLU. With pooling, the first two end with the
    maximum of 2x2 positions, so a part may be some pixels away from its place. Without pooling, the
    kernels are dilated instead. They read the same distances, and each pixel must be in its place.

    Args:
      pool: if False, the network has no pooling.

    Returns:
      A `CNN` without a head, and its variables. `model.apply(variables, images [B, H, W, 1],
      train=False)` is a map of faces, zeros and ones.

    Raises:
      InputError: `pool` is neither True nor False.

    Example:
      >>> from jaxdl.filters.drawings import FRONT, PROFILE
      >>> model, variables = face_detector()
      >>> images = np.stack([drawing(FRONT), drawing(PROFILE)])
      >>> maps = model.apply(variables, images, train=False)
      >>> maps.shape, maps.max((1, 2, 3)).tolist()
      ((2, 6, 6, 1), [1.0, 0.0])
    """
    of_kind("pool", pool, bool, "True or False")
    letters = [name[0] for name in PARTS]
    filters = (
        [binary_kernel(rows) for rows in STROKES.values()],
        [binary_kernel(rows, tuple(STROKES)) for rows in PARTS.values()],
        [binary_kernel(FACE, letters)],
    )
    pools = ("max", "max", None) if pool else (None, None, None)
    gaps = (1, 1, 1) if pool else (1, 2, 4)
    stages = []
    params = {}
    for name, kernels, pooling, gap in zip(LAYERS.values(), filters, pools, gaps, strict=True):
        stage: Any = {"kernel": len(kernels[0]), "pool": pooling, "dilation": gap}
        stages.append(Stage(len(kernels), **stage))
        bias = np.array([_bias(kernel) for kernel in kernels], np.float32)
        params[name] = {"kernel": np.stack(kernels, -1), "bias": bias}
    return CNN(tuple(stages), outputs=None), {"params": params}


class Found(NamedTuple):
    """The maps of a detector for one image, zeros and ones.

    Attributes:
      strokes: `{stroke: [H, W]}`, before the pooling.
      parts: `{part: [I, J]}`, before the second pooling.
      face: `[K, L]`, the map of faces.
      is_face: True if a place of the map is 1.
    """

    strokes: dict[str, Float[np.ndarray, "H W"]]
    parts: dict[str, Float[np.ndarray, "I J"]]
    face: Float[np.ndarray, "K L"]
    is_face: bool


def find_face(image: Float[np.ndarray, "H W 1"], pool: bool = True) -> Found:
    """Applies the detector to one drawing, and returns the maps of all filters.

    Args:
      image: `[H, W, 1]` of zeros and ones, such as `drawing(text)`.
      pool: see `face_detector`.

    Returns:
      The maps by name.

    Raises:
      InputError: another shape or other values.

    Example:
      >>> from jaxdl.filters.drawings import FRONT
      >>> found = find_face(drawing(FRONT))
      >>> found.is_face, {name: int(each.sum()) for name, each in found.parts.items()}
      (True, {'eye': 2, 'nose': 1, 'mouth': 3})
    """
    _check_binary(image)
    if np.ndim(image) != 3 or np.shape(image)[2] != 1:
        raise InputError("image", np.shape(image), "one drawing, [H, W, 1]")
    of_kind("pool", pool, bool, "True or False")
    maps = [np.asarray(each)[0] for each in _maps(np.asarray(image, np.float32)[None], pool)]
    strokes = dict(zip(STROKES, np.moveaxis(maps[0], -1, 0), strict=True))
    parts = dict(zip(PARTS, np.moveaxis(maps[1], -1, 0), strict=True))
    return Found(strokes, parts, maps[2][..., 0], bool(maps[2].max() > 0))


@partial(jax.jit, static_argnames="pool")
def _maps(images: Float[Array, "B H W 1"], pool: bool) -> list[Float[Array, "B I J D"]]:
    """Returns the maps of the three layers, before any pooling."""
    model, variables = face_detector(pool)
    _, seen = tap(model, variables, train=False)(images)
    return [seen[f"activation_{i}"] for i in range(3)]


def parts_drawing(
    size: int = 32,
    place: tuple[int, int] = (8, 8),
    moved: Mapping[str, tuple[int, int]] = MappingProxyType({}),
) -> Float[np.ndarray, "S S 1"]:
    """Draws eyes, nose and mouth without an outline, some of them moved from their places.

    Args:
      size: height and width of the image in pixels.
      place: row and column of the left eye.
      moved: rows down and columns to the right by the part: "left eye", "right eye", "nose" or
        "mouth".

    Returns:
      `[size, size, 1]` of zeros and ones.

    Raises:
      InputError: an unknown part, or one outside of the image.

    Example:
      >>> find_face(parts_drawing(moved={"mouth": (1, 0)})).is_face
      True
      >>> find_face(parts_drawing(moved={"mouth": (4, 0)})).is_face
      False
    """
    at_least("size", size, 1)
    place = integers("place", place, 2, "row and column", 0)
    of_kind("moved", moved, Mapping, "moves by the part, such as {'mouth': (1, 0)}")
    for name, move in moved.items():
        integers("moved", move, 2, "rows down and columns to the right", None)
        if name not in PLACES:
            raise InputError("moved", name, f"one of {', '.join(PLACES)}")
    image = np.zeros((size, size, 1), np.float32)
    shapes = {"left eye": EYE, "right eye": EYE, "nose": NOSE, "mouth": MOUTH}
    for name, text in shapes.items():
        part = drawing(text)
        offsets = zip(place, PLACES[name], moved.get(name, (0, 0)), strict=True)
        top, left = (sum(each) for each in offsets)
        height, width, _ = part.shape
        if min(top, left) < 0 or top + height > size or left + width > size:
            raise InputError(
                "moved", f"{name} at ({top}, {left})", f"inside of {size}x{size} pixels"
            )
        region = image[top : top + height, left : left + width]
        region[:] = np.maximum(region, part)
    return image


def tolerance(part: str, reach: int, pool: bool = True) -> Float[np.ndarray, "R R"]:
    """Measures how often a face is found although one part is not in its place.

    Pooling by 4x4 pixels in total divides the image into squares. The part must stay in its square.
    So a move by (a, b) is tolerated at (1 - |a|/4) (1 - |b|/4) of all places.

    Args:
      part: "left eye", "right eye", "nose" or "mouth".
      reach: largest number of pixels of a move in both directions, at least 0 and at most
        `MAX_REACH`.
      pool: see `face_detector`.

    Returns:
      `[2 reach + 1, 2 reach + 1]`, by rows down and columns to the right from -reach on: the share
      of 4x4 places of the whole face at which it is found.

    Raises:
      InputError: an unknown part, or a reach out of range.

    Example:
      >>> tolerance("mouth", 1).tolist()
      [[0.5625, 0.75, 0.5625], [0.75, 1.0, 0.75], [0.5625, 0.75, 0.5625]]
    """
    if not isinstance(part, str) or part not in PLACES:
        raise InputError("part", part, f"one of {', '.join(PLACES)}")
    at_least("reach", reach, 0)
    if reach > MAX_REACH:
        raise InputError("reach", reach, f"at most {MAX_REACH} pixels")
    of_kind("pool", pool, bool, "True or False")
    moves = range(-reach, reach + 1)
    start = 8 * (1 + reach // 8)
    size = start + 24 + 4 * (1 + reach // 4)
    images = [
        parts_drawing(size, (start + y, start + x), {part: (down, right)})
        for down in moves
        for right in moves
        for y in range(4)
        for x in range(4)
    ]
    maps = np.asarray(_maps(np.stack(images), pool)[-1])
    found = maps.reshape(len(moves), len(moves), 16, -1).max(-1)
    return found.mean(-1)
