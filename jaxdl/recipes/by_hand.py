"""Convolution by hand: pictures of filters, sums, pooling, shifts, and of the face detector."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxdl import filters
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least
from jaxdl.filters.drawings import FRONT, PROFILE, SCRAMBLED
from jaxdl.filters.shifts import Kind
from jaxdl.nn import conv2d, out_size
from jaxdl.plots import by_hand, numbers

#: Function from the name of a figure to its path.
Figure = Callable[[str], Path]

#: Kernels for photographs in color, and for their brightness.
IN_COLOR = ("box_blur", "gaussian_blur", "sharpen", "emboss")
FIRST = ("sobel_x", "sobel_y", "prewitt_x", "prewitt_y")
SECOND = ("second_derivative_x", "second_derivative_y", "laplacian")
#: Kernels of 3x3 weights, which a network of one convolution is trained to find.
TAUGHT = ("identity", "box_blur", "sharpen", "emboss", "sobel_x", "sobel_y", "laplacian")

#: W, F, stride and padding of the examples of sizes.
SIZES = ((7, 3, 1, 0), (7, 3, 2, 0), (7, 3, 1, 1), (7, 3, 3, 1), (8, 3, 2, 0), (7, 5, 1, 2))


def photographs(width: int = 640) -> dict[str, Float[np.ndarray, "H W 3"]]:
    """Returns the two photographs of scikit-learn, a temple and a flower.

    Args:
      width: their width in pixels, from 32 to 640.

    Returns:
      `[H, width, 3]` float32 in [0, 1] by name.

    Raises:
      InputError: another width.

    Example:
      >>> {name: each.shape for name, each in photographs(320).items()}
      {'temple': (214, 320, 3), 'flower': (214, 320, 3)}

    Source: scikit-learn, `load_sample_images`, CC BY 2.0.
    """
    from PIL import Image
    from sklearn.datasets import load_sample_images

    at_least("width", width, 32)
    if width > 640:
        raise InputError("width", width, "at most 640, the width of the photographs")
    found = {}
    for name, pixels in zip(("temple", "flower"), load_sample_images().images, strict=True):
        image = Image.fromarray(pixels)
        size = (width, round(width * image.height / image.width))
        found[name] = np.asarray(image.resize(size)) / np.float32(255)
    return found


def taught_set(data: Dataset, names: Sequence[str], images: int) -> Dataset:
    """Returns a set of grey images whose targets are the results of kernels by hand.

    Args:
      data: a set with `input [N, H, W, C]`, C 1 or 3.
      names: D names of kernels of 3x3 weights.
      images: number of images, spread evenly over the set.

    Returns:
      A set with `input [M, H, W, 1]` and `target [M, H, W, D]`.

    Raises:
      InputError: no images, or an unknown name.

    Example:
      >>> data = Dataset({"input": np.ones((4, 5, 5, 1), np.float32)}, "white")
      >>> taught = taught_set(data, ["identity", "laplacian"], 2)
      >>> taught["target"].shape, taught["target"][0, 2, 2].tolist()
      ((2, 5, 5, 2), [1.0, 0.0])
    """
    at_least("images", images, 1)
    rows = np.linspace(0, data.size - 1, min(images, data.size)).round().astype(int)
    inputs = np.asarray(data["input"])[rows]
    if inputs.shape[-1] == 3:
        inputs = np.stack([filters.grey(each) for each in inputs])
    target = conv2d(jnp.asarray(inputs), jnp.asarray(stacked(names)))
    return Dataset({"input": inputs, "target": np.asarray(target)}, f"{data.name}-filtered")


def stacked(names: Sequence[str]) -> Float[np.ndarray, "3 3 1 D"]:
    """Returns kernels of 3x3 weights as the kernel of one convolution.

    Example:
      >>> stacked(["identity", "sobel_x"]).shape
      (3, 3, 1, 2)
    """
    return np.stack([filters.named_kernel(name) for name in names], -1)[:, :, None]


def draw_filters(images: Mapping[str, Float[np.ndarray, "H W 3"]], figure: Figure) -> None:
    """Draws photographs with blurs and sharpening, and with first and second derivatives."""
    shown = list(images.values())
    bright = [filters.grey(each) for each in shown]
    tables = {
        "blurs": (IN_COLOR, shown, "Weights that add up to 1 keep the brightness"),
        "edges": (FIRST, bright, "Edges: the weights add up to 0, so areas of one color are grey"),
        "second_derivatives": (
            SECOND,
            bright,
            "Second derivatives add up to the Laplacian: each edge is a dark and a bright line",
        ),
    }
    filtered = jax.jit(filters.filter_image)
    for name, (names, photos, title) in tables.items():
        kernels = {each: np.asarray(filters.named_kernel(each)) for each in names}
        results = {
            each: [np.asarray(filtered(photo, kernel)) for photo in photos]
            for each, kernel in kernels.items()
        }
        numbers.filtered_photographs(photos, kernels, results, figure(name), title)


def draw_sums(figure: Figure) -> None:
    """Draws 3x3 and 5x5 sums position by position, for an image of a bright corner."""
    image = np.zeros((7, 7, 1), np.float32)
    image[2:, 3:] = 1
    image[5, 5] = 2
    kernels = {
        "sums_3x3": ("sobel_x", filters.named_kernel("sobel_x"), ((0, 0), (1, 1), (3, 3))),
        "sums_5x5": ("box of 5×5", filters.box_blur(5) * 25, ((0, 0), (0, 1), (2, 2))),
    }
    for name, (words, kernel, places) in kernels.items():
        result = np.asarray(filters.filter_image(image, kernel, padding="VALID"))[..., 0]
        steps = [(i, j, filters.products_at(image, kernel, i, j)) for i, j in places]
        size = out_size(7, len(kernel), 1, "VALID")
        title = f"{words.replace('_', ' ')}: {size}×{size} sums of {kernel.size} products"
        numbers.sums_by_position(image[..., 0], kernel, steps, result, figure(name), title)


def draw_sizes(figure: Figure) -> None:
    """Draws strides and padding along one axis with the number of positions."""
    rows = [(w, f, s, p, out_size(w, f, s, p)) for w, f, s, p in SIZES]
    title = "Number of positions: (W − F + 2P)/S + 1"
    numbers.windows_along_a_line(rows, figure("padding_and_stride"), title)


def draw_pooling(image: Float[np.ndarray, "H W C"], figure: Figure) -> None:
    """Draws five times max and average pooling of a photograph."""
    times = min(5, int(np.log2(min(image.shape[:2]))))
    kinds: tuple[Kind, ...] = ("max", "average")
    rows: dict[str, list[np.ndarray]] = {
        kind: [np.asarray(each) for each in filters.pool_repeatedly(image, times, kind)]
        for kind in kinds
    }
    last = rows["max"][-1].shape
    share = 100 * last[0] * last[1] / (image.shape[0] * image.shape[1])
    title = f"Pooling 2×2, {times} times: {share:.2f} % of the positions are left"
    by_hand.pooled_photograph(rows, figure("pooling"), title)


def measure_shifts(
    image: Float[np.ndarray, "H W 1"], figure: Figure, depths: Sequence[int] = (0, 1, 2, 3, 4)
) -> dict[str, float]:
    """Measures and draws invariance to shifts, of a dot and of a part of a photograph.

    Args:
      image: a grey photograph of at least 96x96 pixels, or a smaller one in full.
      figure: function from the name of a figure to its path.
      depths: numbers of poolings.

    Returns:
      The largest change of the response to a dot within a stride, that at the stride, and for the
      photograph the changes with the smallest and the largest number of poolings.

    Example: see `experiments/convolution_by_hand.py`.
    """
    side = min(96, *image.shape[:2])
    top, left = ((size - side) // 2 for size in image.shape[:2])
    fade = np.hanning(side).astype(np.float32)
    # The part fades to black, so that its border is no edge.
    part = image[top : top + side, left : left + side] * np.outer(fade, fade)[..., None]
    dot = np.zeros((16, 16, 1), np.float32)
    dot[0, 0] = 1
    shifts = range(0, 2 ** max(depths) + 5)
    edges = filters.named_kernel("sobel_x")
    panels: dict[str, dict[str, by_hand.Curve]] = {}
    metrics: dict[str, float] = {}
    copy = np.ones((1, 1), np.float32)
    for name, picture, kernel in (("dot", dot, copy), ("photograph", part, edges)):
        curves = {d: filters.shifted_responses(picture, kernel, d, shifts) for d in depths}
        panels[f"{name}: change of the response"] = {
            f"stride {each.stride}": (each.shift, each.change, each.stride)
            for each in curves.values()
        }
        if name == "photograph":
            panels["photograph: change, response moved, too"] = {
                f"stride {each.stride}": (each.shift, each.change_after_moving, each.stride)
                for each in curves.values()
            }
        last = curves[depths[-1]]
        within = last.shift < last.stride
        whole = last.shift == last.stride
        metrics[f"{name}/largest_change_within_stride"] = float(last.change[within].max())
        metrics[f"{name}/change_at_stride"] = float(last.change[whole][0])
        after = float(last.change_after_moving[whole][0])
        metrics[f"{name}/change_at_stride_after_moving"] = after
        metrics[f"{name}/change_of_1_pixel_without_pooling"] = float(curves[depths[0]].change[1])
        metrics[f"{name}/change_of_1_pixel_with_pooling"] = float(last.change[1])
    title = "A pooled response follows the image exactly at whole strides, and only there"
    by_hand.shift_curves(panels, figure("shifts"), title)
    return metrics


def measure_face(figure: Figure) -> dict[str, float]:
    """Applies the face detector to drawings, and draws filters, maps and verdicts.

    Args:
      figure: function from the name of a figure to its path.

    Returns:
      1 or 0 for each drawing, the share of 81 shifted faces that are found, and the shares with an
      eye that is one pixel lower, with and without pooling.

    Example: see `experiments/convolution_by_hand.py`.
    """
    front = filters.drawing(FRONT)
    found = filters.find_face(front)
    levels: list[dict[str, by_hand.Matches]] = [
        {f"stroke {name}": (rows, found.strokes[name]) for name, rows in filters.STROKES.items()},
        {name: (rows, found.parts[name]) for name, rows in filters.PARTS.items()},
        {"face: e eye,\nn nose, m mouth": (filters.FACE, found.face)},
    ]
    verdict = "a face" if found.is_face else "no face"
    title = f"Filters by hand, grey cells do not matter: strokes, parts, face. Verdict: {verdict}"
    by_hand.face_hierarchy(front, levels, figure("face_filters"), title)
    drawings = {
        "front": front,
        "front, shifted": np.pad(front, ((7, 1), (1, 7), (0, 0))),
        "mouth 1 pixel lower": filters.parts_drawing(24, (4, 5), {"mouth": (1, 0)}),
        "mouth 4 pixels lower": filters.parts_drawing(24, (4, 5), {"mouth": (4, 0)}),
        "profile": filters.drawing(PROFILE),
        "scrambled": filters.drawing(SCRAMBLED),
    }
    shown = {}
    metrics = {}
    for name, image in drawings.items():
        each = filters.find_face(image)
        shown[name] = (image, {**each.parts, "face": each.face}, each.is_face)
        metrics[f"face/{name.replace(',', '').replace(' ', '_')}"] = float(each.is_face)
    right = "The front is a face at every place; the profile and the scrambled face are none"
    by_hand.face_verdicts(shown, figure("face_verdicts"), right)
    places = [np.pad(front, ((y, 8 - y), (x, 8 - x), (0, 0))) for y, x in np.ndindex(9, 9)]
    share = np.mean([filters.find_face(each).is_face for each in places])
    metrics["face/found_at_81_places"] = float(share)
    shares = {
        "with pooling": filters.tolerance("left eye", 4),
        "without pooling": filters.tolerance("left eye", 4, pool=False),
    }
    title = "Faces found in % if only the left eye moves: pooling tolerates up to 3 pixels"
    by_hand.tolerance_maps(shares, figure("face_tolerance"), title)
    for name, values in shares.items():
        metrics[f"face/eye_1_pixel_lower/{name.replace(' ', '_')}"] = float(values[5, 4])
    return metrics


def draw_learned(
    learned: Float[np.ndarray, "3 3 1 D"], names: Sequence[str], figure: Figure
) -> None:
    """Draws the kernels by hand above those that a training found from their results."""
    expected = stacked(names)
    rows = {
        label: dict(zip(names, np.moveaxis(kernel[:, :, 0], -1, 0), strict=True))
        for label, kernel in (("by hand", expected), ("trained", learned))
    }
    difference = float(abs(learned - expected).max())
    title = f"Kernels by hand and from gradient descent: largest difference {difference:.2g}"
    numbers.kernels_side_by_side(rows, figure("learned"), title)


def draw_by_hand(width: int, figure: Figure) -> dict[str, float]:
    """Draws all pictures that need no training.

    Args:
      width: width of the photographs in pixels, at most 320. That of pooling is twice as wide.
      figure: function from the name of a figure to its path.

    Returns:
      The measured numbers by name.

    Example: see `experiments/convolution_by_hand.py`.
    """
    images = photographs(width)
    draw_filters(images, figure)
    draw_sums(figure)
    draw_sizes(figure)
    draw_pooling(photographs(2 * width)["temple"], figure)
    metrics = measure_shifts(filters.grey(images["flower"]), figure)
    return metrics | measure_face(figure)
