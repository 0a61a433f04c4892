"""The ring buffer against a Python deque, and the places from which it samples."""

from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.ring import push, push_all, ring, sample

KEY = jax.random.key(5)
RNG = np.random.default_rng(0)


def several(count):
    """Returns rings of four integers."""
    return jax.vmap(lambda item: ring(item, 4))(jnp.zeros(count, jnp.int32))


@pytest.mark.parametrize("count", [1, 3, 5, 6, 14])
def test_several_items_are_added_as_one_after_the_other(count):
    items = {"x": RNG.normal(size=(count, 2)).astype(np.float32), "n": np.arange(count)}
    items["n"] = items["n"].astype(np.int32)
    start = ring(jax.tree.map(lambda x: x[0], items), 5)
    for i in range(2):
        start = push(start, {"x": np.float32([i, i]), "n": np.int32(i)})
    expected = start
    for i in range(count):
        expected = push(expected, jax.tree.map(lambda x, i=i: x[i], items))
    found = jax.jit(push_all)(start, items)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("count", [1, 6, 14])
def test_items_that_are_not_valid_are_left_out(count, share):
    items = RNG.normal(size=(count, 2)).astype(np.float32)
    valid = RNG.random(count) < share
    start = push(ring(items[0], 5), items[0] + 1)
    found = jax.jit(push_all)(start, items, valid)
    expected = start
    for item in items[valid]:
        expected = push(expected, item)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_items_are_those_of_a_deque():
    buffer = ring({"x": jnp.zeros(2), "n": jnp.zeros((), jnp.int32)}, 5)
    expected = deque(maxlen=5)
    add = jax.jit(push)
    for i in range(13):
        item = {"x": RNG.normal(size=2).astype(np.float32), "n": np.int32(i)}
        buffer = add(buffer, item)
        expected.append(item)
        assert int(buffer.size) == len(expected)
        assert int(buffer.added) == i + 1
        rows = np.argsort(np.asarray(buffer.items["n"][: len(expected)]))
        for row, each in zip(rows, expected, strict=True):
            assert int(buffer.items["n"][row]) == each["n"]
            np.testing.assert_array_equal(buffer.items["x"][row], each["x"])


@pytest.mark.parametrize("added", [3, 4, 9])
def test_samples_are_consecutive_and_every_place_is_equally_probable(added):
    rings = several(1)
    for i in range(added):
        rings = jax.vmap(push)(rings, jnp.array([i], jnp.int32))
    pairs = np.asarray(sample(rings, KEY, 3000, 2))
    assert (pairs[:, 1] - pairs[:, 0] == 1).all()
    first, counts = np.unique(pairs[:, 0], return_counts=True)
    oldest = max(added - 4, 0)
    assert first.tolist() == list(range(oldest, added - 1))
    # Four standard deviations of a count.
    expected = 3000 / len(first)
    assert (abs(counts - expected) < 4 * np.sqrt(expected)).all()


def test_samples_of_several_rings_come_from_all_of_them():
    rings = several(3)
    for i in range(6):
        rings = jax.vmap(push)(rings, jnp.arange(3, dtype=jnp.int32) * 100 + i)
    pairs = np.asarray(sample(rings, KEY, 2000, 2))
    assert pairs.shape == (2000, 2)
    assert (pairs[:, 1] - pairs[:, 0] == 1).all()
    values, counts = np.unique(pairs[:, 0], return_counts=True)
    assert values.tolist() == [b * 100 + i for b in range(3) for i in (2, 3, 4)]
    assert (abs(counts - 2000 / 9) < 4 * np.sqrt(2000 / 9)).all()


def test_a_ring_has_room():
    with pytest.raises(InputError, match="capacity: got 0, allowed: at least 1"):
        ring(jnp.zeros(()), 0)
