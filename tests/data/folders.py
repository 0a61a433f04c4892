"""Folders of images for tests."""

from pathlib import Path

import numpy as np
from PIL import Image

RANDOM = np.random.RandomState(0)


def random_pixels(*shape: int) -> np.ndarray:
    """Returns random pixels, uint8."""
    return RANDOM.randint(0, 256, shape).astype(np.uint8)


def write_image(path: Path, pixels: np.ndarray, **options) -> np.ndarray:
    """Writes an image file with its folder, and returns the pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def write_digits(folder: Path, count: int = 300, classes: bool = True) -> None:
    """Writes the first digits of scikit-learn as PNG files, by class or without classes."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    for i in range(count):
        name = f"{i}.png"
        if classes:
            name = f"{digits.target[i]}/{i}.png"
        write_image(folder / name, (digits.images[i] * 255 / 16).astype(np.uint8))
