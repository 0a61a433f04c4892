"""Numbers of positions of windows against a count of them, one by one."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.nn import conv2d, max_pool, out_size
from jaxdl.nn.sizes import geometry_of, pads_of


def count_by_hand(size, window, stride, pads, dilation):
    """Returns the number of positions at which all taps are inside of the padded axis."""
    places = range(0, size + sum(pads), stride)
    return sum(place + (window - 1) * dilation < size + sum(pads) for place in places)


@pytest.mark.parametrize("seed", range(30))
def test_all_counts_of_positions_agree(seed):
    rng = np.random.default_rng(seed)
    window, stride, dilation = (int(n) for n in rng.integers(1, 4, 3))
    pads = tuple(int(n) for n in rng.integers(0, window, 2))
    size = 9
    expected = count_by_hand(size, window, stride, pads, dilation)
    assert out_size(size, window, stride, [pads], dilation) == expected
    geometry = geometry_of((size,), (window,), stride, [pads], dilation)
    assert geometry.positions == (expected,)
    x = jnp.zeros((size, 1, 1))
    kernel = jnp.zeros((window, 1, 1, 1))
    options = ((stride, 1), [pads, 0], (dilation, 1))
    assert conv2d(x, kernel, *options).shape[0] == expected
    pooled = max_pool(x[:, 0], (window,), stride, [pads], dilation=dilation)
    assert pooled.shape[0] == expected


def test_names_of_padding_have_the_same_positions_as_their_numbers():
    for name, window, stride, dilation in itertools.product(
        ("SAME", "VALID"), (1, 2, 3), (1, 2, 3), (1, 2)
    ):
        geometry = geometry_of((7,), (window,), stride, name, dilation)
        assert geometry.positions == (out_size(7, window, stride, name, dilation),)
        assert geometry.positions == (out_size(7, window, stride, geometry.pads, dilation),)


def test_causal_padding_is_before_the_sequence():
    names = ("SAME", "VALID", "CAUSAL")
    assert geometry_of((7,), (3,), 1, "CAUSAL", 2, names=names).pads == ((4, 0),)
    with pytest.raises(InputError, match="padding: got 'CAUSAL', allowed: SAME, VALID"):
        geometry_of((7,), (3,), 1, "CAUSAL")


def test_arrays_are_numbers_of_zeros():
    for array in (np.array([[0, 1], [2, 2]]), jnp.array([[0, 1], [2, 2]])):
        assert pads_of(array, ("SAME",), 2) == ((0, 1), (2, 2))
    with pytest.raises(InputError, match="padding: got "):
        jax.jit(lambda pads: pads_of(pads, ("SAME",), 2))(jnp.array([1, 1]))
