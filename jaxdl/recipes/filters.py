"""Classical filters of noisy images, and their comparison with networks that denoise."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from scipy import ndimage

from jaxdl import plots, scores
from jaxdl.augment import Augment, augment_batch
from jaxdl.data.dataset import Dataset
from jaxdl.functions import predict_batched
from jaxdl.rng import root, stream

Images = Float[np.ndarray, "N H W C"]


def median_filter(images: Images, size: int) -> Images:
    """Replaces each pixel by the median of a square around it.

    Args:
      images: `[N, H, W, C]`.
      size: side of the square in pixels.

    Returns:
      `[N, H, W, C]`. Images are continued by their reflection.

    Example:
      >>> image = np.zeros((1, 5, 5, 1))
      >>> image[0, 2, 2] = 1.0
      >>> float(median_filter(image, 3).max())
      0.0
    """
    return ndimage.median_filter(images, (1, size, size, 1))


def gaussian_blur(images: Images, sigma: float) -> Images:
    """Convolves images with a Gaussian.

    Args:
      images: `[N, H, W, C]`.
      sigma: standard deviation of the Gaussian in pixels.

    Returns:
      `[N, H, W, C]`. Images are continued by their reflection.

    Example:
      >>> float(gaussian_blur(np.ones((1, 5, 5, 1)), 1.0).mean().round(6))
      1.0
    """
    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0))


#: The filters by name, each with the sizes that are tried.
FILTERS: dict[str, tuple[Callable[..., Images], tuple[float, ...]]] = {
    "median": (median_filter, (2, 3, 4, 5, 7)),
    "blur": (gaussian_blur, (0.4, 0.6, 0.8, 1.0, 1.3, 1.7, 2.2)),
}


def filter_images(clean: Images, noisy: Images, images: Images) -> dict[str, Images]:
    """Applies each filter with the size that restores known images best.

    Args:
      clean: training images in [0, 1], `[M, H, W, C]`.
      noisy: the same with noise. The PSNR of the filtered images selects the size.
      images: noisy images to filter, `[N, H, W, C]`.

    Returns:
      The filtered images by the name of the filter, clipped to [0, 1].

    Example:
      >>> clean = np.zeros((2, 8, 8, 1))
      >>> noisy = clean + (np.arange(64).reshape(8, 8, 1) % 9 == 0)
      >>> filtered = filter_images(clean, noisy, noisy)
      >>> {name: float(each.max().round(2)) for name, each in filtered.items()}
      {'median': 0.0, 'blur': 0.25}
    """
    filtered = {}
    for name, (apply_filter, sizes) in FILTERS.items():
        tried = [apply_filter(noisy, size).clip(0, 1) for size in sizes]
        best = sizes[int(np.argmax([scores.psnr(clean, each) for each in tried]))]
        filtered[name] = apply_filter(images, best).clip(0, 1)
    return filtered


def compare_with_filters(
    networks: Sequence[Callable[..., Any]],
    corrupt: Augment,
    train: Dataset,
    test: Dataset,
    path: str | os.PathLike[str],
) -> dict[str, Any]:
    """Scores networks and filters by the PSNR of their outputs, and draws some of these.

    The noise is the same for all of them, and for every call.

    Args:
      networks: `denoise(images [B, H, W, C]) -> images`, one per seed.
      corrupt: `corrupt(key, image) -> image`, the noise.
      train: set with `input [M, H, W, C]` in [0, 1]. 500 of its images select the size of each
        filter.
      test: set with the images that the scores are computed for.
      path: path of a PNG file with outputs of the filters and of the first network.

    Returns:
      PSNR in decibels by name: `noisy` images, the filters `median` and `blur`, and arrays with one
      value per network: `network`, and its differences `above_noisy` and `above_filters`.
    """
    clean = np.asarray(test["input"])
    known = np.asarray(train["input"])[np.linspace(0, train.size - 1, 500).astype(int)]
    corrupt_all = jax.jit(partial(augment_batch, corrupt))
    noisy = np.asarray(corrupt_all(stream(root(0), "eval"), clean))
    noisy_known = np.asarray(corrupt_all(stream(root(0), "train"), known))
    outputs = {"noisy": noisy.clip(0, 1), **filter_images(known, noisy_known, noisy)}
    psnr: dict[str, Any] = {name: scores.psnr(clean, each) for name, each in outputs.items()}
    denoised = [predict_batched(network, noisy) for network in networks]
    psnr["network"] = np.array([scores.psnr(clean, each) for each in denoised])
    psnr["above_noisy"] = psnr["network"] - psnr["noisy"]
    psnr["above_filters"] = psnr["network"] - max(psnr["median"], psnr["blur"])

    outputs["network"] = denoised[0]
    rows = {f"{name}, {np.ravel(psnr[name])[0]:.1f} dB": each for name, each in outputs.items()}
    rows["clean image"] = clean
    shown = np.linspace(0, len(clean) - 1, 10).astype(int)
    images = np.concatenate([each[shown] for each in rows.values()])
    title = (
        f"Denoised by a network and by the best filters: PSNR {psnr['network'].flat[0]:.1f} dB, "
        f"{psnr['above_filters'].flat[0]:+.1f} dB from the better filter"
    ).replace("-", "−")
    plots.image_grid(images, path, len(shown), title=title, rows=list(rows))
    return psnr
