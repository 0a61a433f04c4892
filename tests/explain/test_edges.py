"""Tests of the edge detector: SciPy, and its independence of other images."""

import numpy as np
import pytest
from scipy import ndimage

from jaxdl import explain
from jaxdl.errors import InputError
from tests.explain.networks import images


@pytest.mark.parametrize("shape", [(9, 7, 1), (6, 11, 3), (1, 5, 1)])
def test_edges_are_those_of_scipy(shape):
    x = images(3, shape)
    grey = x.astype(np.float64).mean(-1)
    expected = [np.hypot(ndimage.sobel(g, 0), ndimage.sobel(g, 1)) for g in grey]
    found = explain.sobel(x)
    assert found.shape == (3, *shape[:2], 1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[..., 0], expected, rtol=1e-6, atol=1e-6)


def test_other_pixels_are_refused():
    with pytest.raises(InputError, match="^images: got pixels in"):
        explain.sobel(images(1) * 255)
