"""A painting that is computed."""

import numpy as np
import pytest

from jaxdl.data.paintings import painting
from jaxdl.errors import InputError


def test_a_painting_follows_from_its_seed():
    first, again, other = (painting(40, 56, seed) for seed in (0, 0, 1))
    assert first.shape == (40, 56, 3) and first.dtype == np.float32
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).mean() > 0.02
    np.testing.assert_array_equal(first, np.round(255 * first) / np.float32(255))


def test_it_is_mostly_blue_with_some_yellow():
    pixels = painting(96, 96).reshape(-1, 3)
    assert (pixels[:, 2] > pixels[:, 0]).mean() > 0.7
    assert 0.005 < (pixels[:, 0] > pixels[:, 2] + 0.1).mean() < 0.2


def test_strokes_have_directions():
    """Along its main direction an image changes less than across, unlike shuffled pixels."""
    grey = painting(128, 128).mean(-1)

    def coherence(grey):
        down, right = np.gradient(grey)
        a, b, c = (
            product.reshape(16, 8, 16, 8).mean((1, 3))
            for product in (down * down, down * right, right * right)
        )
        return (np.hypot(a - c, 2 * b) / (a + c + 1e-9)).mean()

    mixed = np.random.default_rng(0).permutation(grey.ravel()).reshape(grey.shape)
    assert coherence(grey) > 2 * coherence(mixed)


def test_bad_sizes_are_refused():
    with pytest.raises(InputError, match="height: got 0, allowed: at least 1"):
        painting(0, 10)
