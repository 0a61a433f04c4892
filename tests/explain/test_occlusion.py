"""Tests of occlusion and ablation: plain loops, closed forms of linear networks, and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain
from jaxdl.errors import InputError
from tests.explain.networks import MODEL, SHAPE, images, variables

IMAGES = images(4)
BASELINE = images(4, seed=1)
RANDOM = np.random.default_rng(9)
WEIGHTS = RANDOM.normal(size=(*SHAPE, 3)).astype(np.float32)
SEGMENTS = RANDOM.integers(0, 9, (4, *SHAPE[:2]))
F = explain.logits(MODEL, variables())
WINDOWS = [(3, 1), (5, 5), ((4, 7), (3, 2)), ((20, 1), (7, 1)), ((20, 17), 1)]


def linear(x):
    """Returns the scores of a linear network."""
    return jnp.einsum("nhwc,hwck->nk", x, WEIGHTS, precision="highest")


def pairs(value):
    return np.broadcast_to(value, 2).tolist()


def windows(window, stride):
    """Yields the windows as slices."""
    (height, width) = pairs(window)
    (down, right) = pairs(stride)
    for top in range(0, SHAPE[0] + down - height, down):
        for left in range(0, SHAPE[1] + right - width, right):
            yield slice(top, top + height), slice(left, left + width)


def mean_over_windows(fall, window, stride):
    """Returns the mean fall over the windows that contain each pixel, `[H, W]`."""
    total = np.zeros(SHAPE[:2])
    count = np.zeros(SHAPE[:2])
    for each in windows(window, stride):
        total[each] += fall(each)
        count[each] += 1
    assert (count > 0).all()
    return total / count


@pytest.mark.parametrize(("window", "stride"), WINDOWS)
@pytest.mark.parametrize("batch_size", [3, 64, 2000])
def test_a_linear_network_has_sums_over_windows(window, stride, batch_size):
    target = np.array([0, 2, 1, 1])
    maps = explain.occlusion(
        linear,
        IMAGES,
        target,
        window=window,
        stride=stride,
        baseline=BASELINE,
        batch_size=batch_size,
    )
    terms = (WEIGHTS[..., target].transpose(3, 0, 1, 2) * (IMAGES - BASELINE)).astype(np.float64)
    for i in range(4):
        expected = mean_over_windows(lambda each, i=i: terms[i][each].sum(), window, stride)
        difference = np.abs(maps[i, ..., 0] - expected).max()
        assert difference < 1e-6 * np.abs(terms[i]).sum()


def test_occlusion_is_a_plain_loop():
    options = {"window": (6, 5), "stride": (4, 3), "baseline": 0.7}
    maps = explain.occlusion(F, IMAGES, 1, **options)
    score = jax.jit(lambda x: F(x)[:, 1])
    before = np.asarray(score(IMAGES))

    def falls(each):
        changed = IMAGES.copy()
        changed[(slice(None), *each)] = 0.7
        return before - np.asarray(score(changed))

    found = {repr(each): falls(each) for each in windows((6, 5), (4, 3))}
    for i in range(4):
        expected = mean_over_windows(lambda each, i=i: found[repr(each)][i], (6, 5), (4, 3))
        np.testing.assert_allclose(maps[i, ..., 0], expected, rtol=1e-4, atol=1e-5)


def test_an_ignored_region_has_exactly_zero():
    for batch_size in (2, 50, 128, 999):
        maps = explain.occlusion(
            lambda x: F(x.at[:, :, 9:].set(0.25)), IMAGES, 1, batch_size=batch_size
        )
        assert not maps[:, :, 11:].any()
        assert maps[:, :, :9].all()


@pytest.mark.parametrize("segments", [SEGMENTS, SEGMENTS[0], SEGMENTS[0].astype(np.uint8)])
@pytest.mark.parametrize("batch_size", [1, 30, 500])
def test_ablation_replaces_each_segment(segments, batch_size):
    maps = explain.ablation(F, IMAGES, segments, baseline=BASELINE, batch_size=batch_size)
    assert maps.shape == (*IMAGES.shape[:3], 1) and maps.dtype == np.float32
    score = jax.jit(lambda x, target: jax.vmap(lambda y, t: y[t])(F(x), target))
    target = np.asarray(F(IMAGES)).argmax(1)
    before = np.asarray(score(IMAGES, target))
    whole = np.broadcast_to(segments, IMAGES.shape[:3])
    for each in range(9):
        inside = whole == each
        changed = np.where(inside[..., None], BASELINE, IMAGES)
        fall = before - np.asarray(score(changed, target))
        for i in range(4):
            np.testing.assert_allclose(maps[i, ..., 0][inside[i]], fall[i], rtol=1e-3, atol=1e-5)


def test_ablation_of_a_linear_network_adds_up_to_the_change():
    maps = explain.ablation(linear, IMAGES, SEGMENTS, 2, baseline=BASELINE)
    change = np.asarray(linear(IMAGES) - linear(BASELINE))[:, 2]
    for i in range(4):
        values = [maps[i, ..., 0][SEGMENTS[i] == each][0] for each in range(9)]
        np.testing.assert_allclose(sum(values), change[i], rtol=1e-4, atol=1e-4)


def test_numbers_without_a_pixel_are_no_error():
    segments = np.where(SEGMENTS[0] == 3, 20, SEGMENTS[0])
    maps = explain.ablation(F, IMAGES, segments, 1)
    np.testing.assert_allclose(
        maps, explain.ablation(F, IMAGES, SEGMENTS[0], 1), rtol=1e-4, atol=1e-6
    )


def test_functions_without_a_gradient_are_explained():
    def labels(x):
        return jax.nn.one_hot(linear(x).argmax(1), 3)

    maps = explain.occlusion(labels, IMAGES, window=(20, 6), stride=(20, 1), baseline=BASELINE)
    assert set(np.unique(explain.ablation(labels, IMAGES, SEGMENTS))) <= {0.0, 1.0}
    assert maps.max() > 0


def test_bad_windows_and_segments_are_one_line():
    def refused(message, **options):
        with pytest.raises(InputError, match=message) as raised:
            explain.occlusion(linear, IMAGES, 0, **options)
        assert "\n" not in str(raised.value)

    refused(r"^window: got \(18, 18\), allowed: at most the images, \(20, 17\)", window=18)
    refused("^window: got 0, allowed: at least 1", window=0)
    refused(r"^stride: got \(4, 4\), allowed: at most the window, \(3, 3\)", stride=4)
    refused(r"^window: got \(1, 2, 3\), allowed: one integer or a pair", window=(1, 2, 3))
    refused(r"^baseline: got \[2, 20, 17, 2\], allowed: a color, or", baseline=BASELINE[:2])
    refused("^batch_size: got 0", batch_size=0)
    for segments, message in (
        (SEGMENTS.astype(float), r"^segments: got 'float64\[4, 20, 17\]', allowed: integers"),
        (SEGMENTS[:2], r"^segments: got 'int64\[2, 20, 17\]', allowed: integers \[20, 17\] or"),
        (SEGMENTS - 1, "^segments: got -1, allowed: numbers of segments from 0"),
        (SEGMENTS * 1000, "^segments: got .*, allowed: numbers of segments from 0, below 340"),
    ):
        with pytest.raises(InputError, match=message) as raised:
            explain.ablation(linear, IMAGES, segments, 0)
        assert "\n" not in str(raised.value)
