"""Random changes of one example: data augmentation, and the noise of denoising autoencoders.

An augmentation is a function `augment(key, example) -> example`, which a task applies to each
example of a batch with another key. `mixup` and `cutmix` mix pairs of a batch and their labels.
"""

from jaxdl.augment.affine import affine, affine_matrix, warp
from jaxdl.augment.elastic import elastic
from jaxdl.augment.example import (
    MADE_BY,
    Augment,
    Mix,
    augment_batch,
    chain,
    clipped,
    recorded,
    sometimes,
)
from jaxdl.augment.mixing import cutmix, mixup
from jaxdl.augment.movement import random_crop, random_flip, random_shift
from jaxdl.augment.noise import brightness, contrast, cutout, gaussian_noise, salt_and_pepper
from jaxdl.augment.text import Augmentation, parse

__all__ = [
    "MADE_BY",
    "Augment",
    "Augmentation",
    "Mix",
    "affine",
    "affine_matrix",
    "augment_batch",
    "brightness",
    "chain",
    "clipped",
    "contrast",
    "cutmix",
    "cutout",
    "elastic",
    "gaussian_noise",
    "mixup",
    "parse",
    "random_crop",
    "random_flip",
    "random_shift",
    "recorded",
    "salt_and_pepper",
    "sometimes",
    "warp",
]
