"""The filters against loops over pixels; their best sizes; the comparison with networks."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import augment, scores
from jaxdl.data import Dataset
from jaxdl.recipes.filters import (
    FILTERS,
    compare_with_filters,
    filter_images,
    gaussian_blur,
    median_filter,
)
from tests.plots.pictures import pixels

IMAGES = np.random.default_rng(0).random((3, 7, 6, 2))


def padded(image: np.ndarray, width: int) -> np.ndarray:
    """Returns an image `[H, W]` continued by its reflection."""
    return np.pad(image, width, mode="symmetric")


def test_median_is_that_of_a_square():
    filtered = median_filter(IMAGES, 3)
    for i, y, x, c in np.ndindex(IMAGES.shape):
        square = padded(IMAGES[i, :, :, c], 1)[y : y + 3, x : x + 3]
        assert filtered[i, y, x, c] == np.median(square)


def test_blur_is_a_convolution_with_a_gaussian():
    sigma = 0.8
    radius = round(4 * sigma)
    weights = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    kernel = np.outer(weights, weights) / weights.sum() ** 2
    filtered = gaussian_blur(IMAGES, sigma)
    size = 2 * radius + 1
    for i, y, x, c in np.ndindex(IMAGES.shape):
        patch = padded(IMAGES[i, :, :, c], radius)[y : y + size, x : x + size]
        assert filtered[i, y, x, c] == pytest.approx((patch * kernel).sum())


def test_no_other_size_restores_the_known_images_better():
    rng = np.random.default_rng(1)
    clean = np.zeros((4, 10, 10, 1))
    clean[:, 3:7, 2:8] = 1.0
    noisy = clean + 0.5 * rng.normal(size=clean.shape)
    filtered = filter_images(clean, noisy, noisy)
    assert set(filtered) == set(FILTERS)
    for name, (apply_filter, sizes) in FILTERS.items():
        ratios = [scores.psnr(clean, apply_filter(noisy, size).clip(0, 1)) for size in sizes]
        assert scores.psnr(clean, filtered[name]) == max(ratios)


def test_networks_and_filters_get_the_same_noise(tmp_path):
    images = np.random.default_rng(2).random((30, 8, 8, 1)).astype(np.float32)
    data = Dataset({"input": images, "label": np.zeros(30, int)}, "random", 1)
    networks = [lambda x: jnp.clip(x, 0, 1), lambda x: 0 * x]
    path = tmp_path / "comparison.png"
    psnr = compare_with_filters(networks, augment.gaussian_noise(0.5), data, data, path)
    zeros = scores.psnr(images, np.zeros_like(images))
    assert psnr["network"] == pytest.approx([psnr["noisy"], zeros])
    assert psnr["above_noisy"] == pytest.approx([0.0, zeros - psnr["noisy"]])
    best = max(psnr["median"], psnr["blur"])
    assert psnr["above_filters"] == pytest.approx(psnr["network"] - best)
    pixels(path)
    again = compare_with_filters(networks, augment.gaussian_noise(0.5), data, data, path)
    assert again["noisy"] == psnr["noisy"]
