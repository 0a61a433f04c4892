"""Data sets of the experiments that generate images."""

import dataclasses

import numpy as np
from jaxtyping import Float

from jaxdl import data
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.recipes.fitting import split_sets
from jaxdl.runs.options import RunOptions


def image_sets(
    run: RunOptions, multiple: int = 1, least: int = 20, *, labelled: bool = True
) -> tuple[Dataset, Dataset, dict[str, Dataset]]:
    """Loads the images that the options name and checks them.

    Args:
      run: options of the run.
      multiple: number that both sides of the images must be divisible by.
      least: smallest allowed size of the test set.
      labelled: if True, the images must have classes.

    Returns:
      The whole training set, the test set, and the sets of the run by part (`split_sets`).

    Raises:
      InputError: the data are not grey or RGB images, there are too few of them or they have no
        classes, a pixel lies outside of [0, 1], or the fraction for validation leaves a part empty.
    """
    train, test = data.load(run.data, run.data_dir, run.cache_dir)
    shape = train["input"].shape[1:]
    has_shape = (
        len(shape) == 3 and shape[-1] in (1, 3) and not (shape[0] % multiple or shape[1] % multiple)
    )
    lacks_classes = labelled and train.classes is None
    if not has_shape or lacks_classes or test.size < least:
        given = f"{run.data} {[test.size, *shape]}"
        allowed = "grey or RGB images"
        if labelled:
            allowed += " with classes"
        if lacks_classes:
            given += " without classes"
        if multiple > 1:
            allowed += f" and sides that are multiples of {multiple}"
        raise InputError("data", given, f"{allowed}, at least {least} in the test set")
    check_pixels(np.asarray(test["input"]), run.data)
    return train, test, split_sets(run, train, test)


def check_pixels(images: Float[np.ndarray, "N H W C"], name: str) -> None:
    """Raises InputError for a pixel outside of [0, 1].

    Args:
      images: the images.
      name: name of their set.

    Example:
      >>> check_pixels(np.full((1, 2, 2, 1), 255.0), "mine")
      Traceback (most recent call last):
      jaxdl.errors.InputError: data: got 'mine in [255, 255]', allowed: pixels in [0, 1]; ...
    """
    low = images.min()
    high = images.max()
    if not (low >= 0 and high <= 1):
        allowed = "pixels in [0, 1]; divide them by the largest possible value"
        raise InputError("data", f"{name} in [{low:.3g}, {high:.3g}]", allowed)


def photograph_crops(size: int, step: int = 40) -> Float[np.ndarray, "N S S 3"]:
    """Returns squares of the two photographs of scikit-learn, a palace and a flower.

    Source: scikit-learn, `load_sample_images`, CC BY 2.0.

    Args:
      size: height and width of a square in pixels. Photographs that are smaller are enlarged.
      step: distance between two squares in pixels.

    Returns:
      `[N, size, size, 3]` in [0, 1].

    Example:
      >>> photograph_crops(224).shape
      (132, 224, 224, 3)
    """
    from PIL import Image
    from sklearn.datasets import load_sample_images

    found = []
    for photograph in load_sample_images().images:
        image = Image.fromarray(photograph)
        enlarged = max(1.0, size / min(image.size))
        pixels = np.asarray(image.resize([round(side * enlarged) for side in image.size]))
        height, width, _ = pixels.shape
        for top in range(0, height - size + 1, step):
            for left in range(0, width - size + 1, step):
                found.append(pixels[top : top + size, left : left + size])
    return np.stack(found) / np.float32(255)


def photograph_tiles(size: int, enlarged: float = 1.0) -> list[Float[np.ndarray, "I J S S 3"]]:
    """Returns the squares of a grid on each of the two photographs of scikit-learn.

    Args:
      size: height and width of a square in pixels.
      enlarged: factor by which a photograph is enlarged before.

    Returns:
      For each photograph `[I, J, size, size, 3]` in [0, 1], of I rows and J columns of squares.

    Source: scikit-learn, `load_sample_images`, CC BY 2.0.

    Example:
      >>> [tiles.shape for tiles in photograph_tiles(100)]
      [(4, 6, 100, 100, 3), (4, 6, 100, 100, 3)]
    """
    from PIL import Image
    from sklearn.datasets import load_sample_images

    found = []
    for photograph in load_sample_images().images:
        image = Image.fromarray(photograph)
        pixels = np.asarray(image.resize([round(side * enlarged) for side in image.size]))
        rows = pixels.shape[0] // size
        columns = pixels.shape[1] // size
        whole = pixels[: rows * size, : columns * size] / np.float32(255)
        found.append(whole.reshape(rows, size, columns, size, 3).swapaxes(1, 2))
    return found


def repeat_first(data: Dataset, count: int) -> Dataset:
    """Returns a set of the same size that repeats its first examples, so epochs stay as long.

    Raises:
      InputError: a count below 1 or above the size of the set.

    Example:
      >>> repeat_first(Dataset({"input": np.arange(5.0)}, "line"), 2)["input"].tolist()
      [0.0, 1.0, 0.0, 1.0, 0.0]
    """
    if not 1 <= count <= data.size:
        allowed = f"at most the size of the training set, {data.size}"
        raise InputError("images", count, allowed)
    rows = np.resize(np.arange(count), data.size)
    arrays = {name: np.asarray(array[:count])[rows] for name, array in data.arrays.items()}
    return dataclasses.replace(data, arrays=arrays)
