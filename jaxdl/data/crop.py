"""Photographs of any size as images of one size: resized, then cropped at the center."""

import dataclasses
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Num

from jaxdl.errors import InputError, at_least, one_of

if TYPE_CHECKING:
    from PIL.Image import Resampling

#: Filters of Pillow.
FILTERS = ("bilinear", "bicubic")

#: Longest side of a photograph, in its shortest one. Resizing a longer one needs much memory.
MAX_RATIO = 20

#: Largest size of an image.
MAX_SIZE = 2**13


@dataclasses.dataclass(frozen=True)
class CenterCrop:
    """The usual preprocessing of photographs for a classifier.

    The shortest side becomes `resize` pixels by a filter of Pillow, with the proportions of the
    photograph. The center of `size` x `size` pixels remains. Pixels in uint8 are rounded to uint8,
    as by Pillow and torchvision. An image of `size` x `size` is not changed.

    Attributes:
      size: height and width of the result.
      resize: shortest side before the crop, at least `size`.
      filter: "bilinear" or "bicubic". Both average over all pixels if an image becomes smaller.

    Raises:
      InputError: an invalid field.

    Example:
      >>> crop = CenterCrop(2, 3)
      >>> crop([np.zeros((8, 6, 3), np.uint8), np.ones((3, 9, 3), np.uint8)]).shape
      (2, 2, 2, 3)
    """

    size: int
    resize: int
    filter: str = "bilinear"

    def __post_init__(self) -> None:
        at_least("size", self.size, 1)
        at_least("resize", self.resize, self.size)
        if self.resize > MAX_SIZE:
            raise InputError("resize", self.resize, f"at most {MAX_SIZE}")
        one_of("filter", self.filter, FILTERS)

    def __call__(self, images: Iterable[Any]) -> Num[np.ndarray, "N S S 3"]:
        """Returns photographs as an array.

        Args:
          images: `[N, H, W, 3]`, or a list of images `[H, W, 3]` of any sizes, in RGB: uint8,
            uint16, or floats in [0, 1].

        Returns:
          `[N, size, size, 3]`, uint8 if all images are, else float32 in [0, 1].

        Raises:
          InputError: no images, other shapes or dtypes, or a photograph that is far longer than
            wide.
        """
        if not isinstance(images, Iterable):
            raise InputError("inputs", type(images), "a list of images [H, W, 3]")
        cropped = [self._cropped(i, np.asarray(image)) for i, image in enumerate(images)]
        if not cropped:
            raise InputError("inputs", "no images", "at least one image [H, W, 3]")
        if any(image.dtype != np.uint8 for image in cropped):
            cropped = [
                image / np.float32(255) if image.dtype == np.uint8 else image for image in cropped
            ]
        return np.stack(cropped)

    def _cropped(self, i: int, image: np.ndarray) -> np.ndarray:
        if image.ndim != 3 or image.shape[-1] != 3 or 0 in image.shape:
            allowed = "RGB images [H, W, 3]; write [image] for one, and repeat grey three times"
            raise InputError(f"inputs[{i}] shape", list(image.shape), allowed)
        if image.dtype == np.uint16:
            image = image / np.float32(65535)
        if image.dtype != np.uint8:
            if not np.issubdtype(image.dtype, np.floating):
                raise InputError(f"inputs[{i}]", image.dtype.name, "uint8, or floats in [0, 1]")
            image = image.astype(np.float32)
        height, width = image.shape[:2]
        if height == width == self.size:
            return image
        short = min(height, width)
        if max(height, width) > MAX_RATIO * short:
            allowed = f"sides that differ by at most a factor of {MAX_RATIO}; crop it first"
            raise InputError(f"inputs[{i}] shape", list(image.shape), allowed)
        scaled = [int(self.resize * side / short) for side in (height, width)]
        resized = _resized(image, scaled[0], scaled[1], self.filter)
        top, left = (round((side - self.size) / 2) for side in scaled)
        return resized[top : top + self.size, left : left + self.size]


def _resized(image: np.ndarray, height: int, width: int, filter: str) -> np.ndarray:
    """Returns an image in another size; Pillow resizes channels of floats one by one."""
    from PIL import Image

    resampling: Resampling = Image.Resampling[filter.upper()]
    size = (width, height)
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize(size, resampling))
    channels = [
        np.asarray(Image.fromarray(image[..., c]).resize(size, resampling)) for c in range(3)
    ]
    return np.stack(channels, -1)
