"""Decoding of image files: PNG and JPEG, grey or RGB, with 8 or 16 bits."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import UInt

from jaxdl.data.files import check_amplification, open_regular_file
from jaxdl.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

#: Modes of Pillow that are grey, and those that have colours. Pixels have 8 bits, except for I;16.
GREY = ("1", "L", "LA", "La", "I;16", "I;16L", "I;16B", "I;16N")
COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX")

#: EXIF tag of the orientation, and its values that swap height and width.
ORIENTATION = 0x0112
SWAPPED = (5, 6, 7, 8)


class Form(NamedTuple):
    """The form of an image, or of all images of a set.

    Attributes:
      height: number of rows.
      width: number of columns.
      channels: 1 for grey, 3 for RGB.
      bits: bits per pixel and channel, 8 or 16.
    """

    height: int
    width: int
    channels: int
    bits: int


def form_of(path: Path) -> Form:
    """Returns the form of an image from its header, without decoding its pixels.

    Args:
      path: a PNG or JPEG file.

    Raises:
      InputError: the file cannot be read, is damaged, or is neither grey nor RGB; its image is far
        larger than the file, or has several frames.

    Example:
      >>> form_of(Path("nowhere.png"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got 'nowhere.png', allowed: an image that can be read (No ...
    """
    with _opened(path) as image:
        width, height = image.size
        remedy = "store it in its usual size"
        check_amplification(str(path), 4 * width * height, os.path.getsize(path), remedy)
        frames = getattr(image, "n_frames", 1)
        if image.format == "PNG" and frames > 1:
            raise InputError("data", f"{path} with {frames} frames", "one image per file")
        if image.mode not in (*GREY, *COLOUR):
            allowed = "grey or RGB; convert it, such as by image.convert('RGB') of Pillow"
            raise InputError("data", f"{path} in {image.mode}", allowed)
        # Pillow decodes a whole PNG to look for EXIF data behind its pixels.
        if "exif" in image.info and image.getexif().get(ORIENTATION) in SWAPPED:
            width, height = height, width
        channels = 3 if image.mode in COLOUR else 1
        bits = 16 if image.mode.startswith("I;16") else 8
        return Form(height, width, channels, bits)


def decode(path: Path, form: Form, scaled: bool = False) -> UInt[np.ndarray, "H W C"]:
    """Returns the pixels of an image in the form of its set.

    The image is turned as its EXIF orientation states. Transparent pixels are composed on white.
    Grey becomes RGB by three equal channels, and RGB with such channels becomes grey. Pixels of 8
    bits become 16 bits as `257 v`, and 16 bits become 8 as `round(v / 257)`. This preserves the
    fraction of white.

    Args:
      path: a PNG or JPEG file.
      form: the form to return.
      scaled: if True, the largest centred part with the proportions of the form is scaled to it, by
        linear interpolation. If False, the image must have its height and width.

    Returns:
      `[height, width, channels]`, uint8 or uint16.

    Raises:
      InputError: see `form_of`; also another height or width, or colours in a grey set.

    Example:
      >>> import tempfile
      >>> from PIL import Image
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = Path(folder) / "white.png"
      ...     Image.new("L", (4, 2), 255).save(path)
      ...     decode(path, Form(2, 4, 3, 8)).shape
      (2, 4, 3)
    """
    from PIL import Image, ImageOps

    with _opened(path) as image:
        picture = _on_white(ImageOps.exif_transpose(image))
        if scaled:
            size = (form.width, form.height)
            picture = ImageOps.fit(picture, size, Image.Resampling.BILINEAR)
        pixels = np.asarray(picture)
    if pixels.shape[:2] != (form.height, form.width):
        allowed = (
            f"{form.height} x {form.width} pixels, the size of the set; --resize crops and scales"
        )
        raise InputError("data", f"{path} of {pixels.shape[0]} x {pixels.shape[1]}", allowed)
    pixels = _in_bits(pixels, form.bits)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], form.channels, -1)
    if pixels.shape[-1] > form.channels:
        if (pixels != pixels[..., :1]).any():
            allowed = "a grey image, as the set is; image.convert('L') of Pillow makes one"
            raise InputError("data", f"{path} with colours", allowed)
        pixels = pixels[..., :1]
    return pixels


def _on_white(image: "Image") -> "Image":
    """Returns an image in the mode L, RGB or I;16; transparent pixels are composed on white."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return image
    mode = "RGB" if image.mode in COLOUR else "L"
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return image.convert("RGB").convert(mode)
    return image.convert(mode)


def _in_bits(pixels: UInt[np.ndarray, "..."], bits: int) -> UInt[np.ndarray, "..."]:
    """Returns pixels with 8 or 16 bits, in native byte order."""
    given = 8 * pixels.dtype.itemsize
    if bits == 16 and given == 8:
        return pixels.astype(np.uint16) * np.uint16(257)
    if bits == 8 and given == 16:
        return ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels.astype(f"u{bits // 8}")


@contextlib.contextmanager
def _opened(path: Path) -> Iterator["Image"]:
    """Yields an image whose header has been read; errors of Pillow become one line."""
    from PIL import Image

    try:
        with open_regular_file(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG", "JPEG")) as image:
                yield image
    except InputError:
        raise
    except Exception as error:
        # A damaged file makes Pillow raise too many kinds of exceptions to list them.
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if isinstance(error, Image.UnidentifiedImageError):
            reason = "it is no PNG or JPEG file, or its header is damaged"
        allowed = f"an image that can be read ({reason}); repair or remove it"
        raise InputError("data", str(path), allowed) from None
