"""The sets of an experiment that makes images."""

from typing import Any

import numpy as np

from jaxdl import data
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.experiment.fitting import split_sets


def image_sets(
    config: Any, multiple: int = 1, least: int = 20
) -> tuple[Dataset, Dataset, dict[str, Dataset]]:
    """The images that the options name, checked before anything is trained.

    Args:
      config: the run's options.
      multiple: what the sides must be multiples of.
      least: how many images there must be to test on.

    Returns:
      The whole training set, the test set, and those of the run by part, see `split_sets`.

    Raises:
      InputError: no images with classes, others than grey or RGB, too few of them, pixels outside of [0, 1], a share
        for validation that leaves nothing.
    """
    train, test = data.load(config.data, config.data_dir, config.cache_dir)
    shape = train["input"].shape[1:]
    fits = (
        len(shape) == 3 and shape[-1] in (1, 3) and not (shape[0] % multiple or shape[1] % multiple)
    )
    if not fits or train.classes is None or test.size < least:
        sides = f" with sides that are multiples of {multiple}" if multiple > 1 else ""
        said = f"grey or RGB images{sides}, with classes, at least {least} to test on"
        raise InputError("data", f"{config.data} {[test.size, *shape]}", said)
    seen = np.asarray(test["input"])
    if not (seen.min() >= 0 and seen.max() <= 1):
        raise InputError(
            "data", f"{config.data} in [{seen.min():.3g}, {seen.max():.3g}]", "pixels in [0, 1]"
        )
    return train, test, split_sets(config, train, test)
