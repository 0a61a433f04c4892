"""Windows of images and sequences against a count of their values, one by one."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.nn.windows import windows_of

N = 9


def count_by_hand(size, stride, pad, step, ceil):
    """Returns the counts of each window in a list of the axis, in which padding is 0."""
    before, after = pad
    extent = (size - 1) * step + 1
    counts = []
    padded = []
    start = -before
    while start + extent <= N + after or (ceil and start < N and start < N + after):
        if start + extent > N + after and start - stride + extent >= N + after:
            break
        places = [start + k * step for k in range(size)]
        counts.append(sum(0 <= place < N for place in places))
        padded.append(sum(place < N + after for place in places))
        start += stride
    return counts, padded


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_counts_are_those_of_each_window(seed, ceil):
    rng = np.random.default_rng(seed)
    step = int(rng.integers(1, 3))
    size = int(rng.integers(1, 5))
    stride = int(rng.integers(1, 5))
    pad = tuple(int(n) for n in rng.integers(0, size, 2))
    images, windows = windows_of(jnp.zeros((N, 2)), (size,), stride, (pad,), step, ceil)
    counts, padded = count_by_hand(size, stride, pad, step, ceil)
    assert windows.counts[1].tolist() == counts
    assert windows.padded_counts[1].tolist() == padded
    assert images.shape == (1, 1, N, 2)
    extent = (size - 1) * step + 1
    last = (len(counts) - 1) * stride + extent
    assert windows.geometry.pads == ((0, 0), (pad[0], max(pad[1], last - N - pad[0])))


def test_results_have_the_axes_of_the_argument():
    for shape, window in [((2, 5, 6, 3), 2), ((5, 6, 3), 2), ((2, 6, 3), (2,)), ((6, 3), (2,))]:
        images, windows = windows_of(jnp.zeros(shape), window, None, "VALID", 1, False)
        assert images.ndim == 4
        assert windows.result(images).shape == shape
        assert windows.is_split
