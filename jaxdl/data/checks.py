"""What is asked of a classification set before anything compiles: once, on the host, at the edge."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Shaped

from jaxdl.data.dataset import Dataset
from jaxdl.data.mapped_array import blocks
from jaxdl.errors import InputError, at_least, lengths_within

#: Numbers of channels that an image may have when its layout is judged by its shape.
CHANNELS = (1, 3)

#: Images in [0, 1] stay below it, a little overshoot of a resize included.
BRIGHTEST = 1.5


def check_classification(data: Dataset, classes: int | None = None) -> None:
    """Raises unless a classifier can be trained on the set.

    Looks at every number, in blocks, so that a set on disk is never in memory as a whole.

    Args:
      data: `input [N, H, W, C]` images in [0, 1] or standardized, or `[N, D]` vectors, floating; sequences
        `[N, T, ...]` of any kind, if they have a `length [N]`; `label [N]`, integers.
      classes: labels are to be in [0, classes); None: what the set itself says.

    Raises:
      InputError: a field missing; labels that are not integers, not `[N]` or out of range; inputs
        that are neither images nor vectors, have their channels first, are whole numbers 0..255
        or not finite. The line names the first bad row.

    Example:
      >>> check_classification(Dataset({"input": np.zeros((3, 2)), "label": np.array([0, 1, 9])}, "mine"), 2)
      Traceback (most recent call last):
      jaxdl.errors.InputError: label[2]: got 9, allowed: an integer in [0, 2)
    """
    _check_labels(data["label"], data.classes if classes is None else classes)
    check_lengths(data)
    if "length" in data.arrays:
        for first, block in blocks(data["input"]):
            _check_finite(block, first)
        return
    _check_layout(data["input"])
    _check_values(data["input"])


def check_lengths(data: Dataset) -> None:
    """Raises unless the set's field `length`, where it has one, is integers in [1, T], T the steps of `input`.

    Example:
      >>> check_lengths(Dataset({"input": np.zeros((2, 5)), "length": np.array([5, 0])}, "mine"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: length[1]: got 0, allowed: an integer in [1, 5]
    """
    if "length" not in data.arrays or "input" not in data.arrays:
        return
    if data["input"].ndim < 2:
        raise InputError(
            "input shape", data["input"].shape, "[N, T, ...], where there is a `length`"
        )
    lengths_within(data["length"], data["input"].shape[1])


def check_batch_size(data: Dataset, batch_size: int, devices: int = 1) -> None:
    """Raises unless `1 <= batch_size <= N` and the devices can share a batch evenly.

    Example:
      >>> check_batch_size(Dataset({"x": np.arange(3)}, "three"), 4)
      Traceback (most recent call last):
      jaxdl.errors.InputError: batch_size: got 4, allowed: an integer from 1 to 3, the size of three
    """
    whole = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
    if not whole or not 1 <= batch_size <= data.size:
        raise InputError(
            "batch_size", batch_size, f"an integer from 1 to {data.size}, the size of {data.name}"
        )
    if batch_size % devices:
        raise InputError("batch_size", batch_size, f"a multiple of the {devices} devices")


def _check_labels(label: Int[np.ndarray, " N"], classes: int | None) -> None:
    if label.dtype.kind not in "iu":
        raise InputError(
            "label dtype", label.dtype.name, "integers, the number of each example's class"
        )
    if label.ndim != 1:
        raise InputError("label shape", label.shape, "[N], one integer per example")
    if classes is not None:
        at_least("classes", classes, 2)
    bad = label < 0 if classes is None else (label < 0) | (label >= classes)
    if bad.any():
        row = int(bad.argmax())
        allowed = (
            "an integer that is not negative"
            if classes is None
            else f"an integer in [0, {classes})"
        )
        raise InputError(f"label[{row}]", int(label[row]), allowed)


def _check_layout(images: Shaped[np.ndarray, "N ..."]) -> None:
    """The shape and dtype of images `[N, H, W, C]` or vectors `[N, D]`."""
    shape = images.shape
    if images.ndim == 3:
        raise InputError(
            "input shape",
            shape,
            "[N, H, W, C], grey images by x[..., None]; sequences need a `length`",
        )
    if images.ndim not in (2, 4) or 0 in shape:
        raise InputError("input shape", shape, "images [N, H, W, C] or vectors [N, D]")
    if (
        images.ndim == 4
        and shape[1] in CHANNELS
        and shape[3] not in CHANNELS
        and shape[1] < min(shape[2:])
    ):
        raise InputError(
            "input shape", shape, "[N, H, W, C], channels last; x.transpose(0, 2, 3, 1) moves them"
        )
    if images.dtype == np.uint8:
        raise InputError("input dtype", "uint8", "float32 in [0, 1]; divide the pixels by 255")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputError("input dtype", images.dtype.name, "floating, float32 best")


def _check_values(images: Float[np.ndarray, "N ..."]) -> None:
    """Finite, and not in 0..255: nothing negative, and up to 255 in whole numbers or beyond 100."""
    low = np.inf
    high = -np.inf
    whole = True
    for first, block in blocks(images):
        _check_finite(block, first)
        low = min(low, float(block.min()))
        high = max(high, float(block.max()))
        whole = whole and bool((block == np.floor(block)).all())
    pixels = low >= 0 and BRIGHTEST < high <= 255 and (whole or high > 100)
    if images.ndim == 4 and pixels:
        raise InputError(
            "input", f"values from {low:g} to {high:g}", "pixels in [0, 1], or standardized"
        )


def _check_finite(block: Float[np.ndarray, "B ..."], first: int) -> None:
    finite = np.isfinite(block)
    if not finite.all():
        row = int((~finite.reshape(len(block), -1)).any(-1).argmax())
        value = float(block[row][~finite[row]][0])
        raise InputError(f"input[{first + row}]", value, "finite numbers")
