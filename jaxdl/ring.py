"""A ring buffer of arrays: the newest items, in a state of fixed size."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key

from jaxdl.errors import at_least


class Ring(NamedTuple):
    """The newest items of a sequence; `jax.vmap` makes several rings.

    Attributes:
      items: arrays `[C, ...]`, for a capacity of C items. Item i of the sequence is in row i mod C.
      added: number of items that were ever added, int32.
    """

    items: Any
    added: Int[Array, ""]

    @property
    def capacity(self) -> int:
        """Largest number of items."""
        return jax.tree.leaves(self.items)[0].shape[0]

    @property
    def size(self) -> Int[Array, ""]:
        """Number of items in the ring."""
        return jnp.minimum(self.added, self.capacity)


def ring(item: Any, capacity: int) -> Ring:
    """Returns a ring without items.

    Args:
      item: arrays of one item; only shapes and dtypes matter.
      capacity: largest number of items, at least 1.

    Raises:
      InputError: a capacity below 1.

    Example:
      >>> int(ring({"x": jnp.zeros(3)}, 8).size)
      0
    """
    at_least("capacity", capacity, 1)

    def rows(x: Any) -> Array:
        x = jnp.asarray(x)
        return jnp.zeros((capacity, *x.shape), x.dtype)

    return Ring(jax.tree.map(rows, item), jnp.zeros((), jnp.int32))


def push(buffer: Ring, item: Any) -> Ring:
    """Adds an item; a full ring loses its oldest one.

    Args:
      buffer: the ring.
      item: arrays of one item, with the shapes and dtypes of the ring.

    Returns:
      The ring with the item.

    Example:
      >>> buffer = ring(jnp.zeros(()), 2)
      >>> for number in (1.0, 2.0, 3.0):
      ...     buffer = push(buffer, number)
      >>> buffer.items.tolist(), int(buffer.added)
      ([3.0, 2.0], 3)
    """
    row = buffer.added % buffer.capacity
    items = jax.tree.map(lambda rows, x: rows.at[row].set(x), buffer.items, item)
    return Ring(items, buffer.added + 1)


def push_all(buffer: Ring, items: Any, valid: Bool[Array, " n"] | None = None) -> Ring:
    """Adds several items in their order; only the newest of them remain if there are too many.

    Args:
      buffer: the ring.
      items: arrays `[n, ...]`.
      valid: False for items that are left out; None adds all.

    Returns:
      The ring with the items.

    Example:
      >>> buffer = push_all(ring(jnp.zeros(()), 3), jnp.arange(5.0))
      >>> buffer.items.tolist(), int(buffer.added)
      ([3.0, 4.0, 2.0], 5)
    """
    if valid is None:
        valid = jnp.ones(jax.tree.leaves(items)[0].shape[0], bool)
    numbers = jnp.cumsum(valid, dtype=jnp.int32) - 1
    total = valid.sum(dtype=jnp.int32)
    added = valid & (numbers >= total - buffer.capacity)
    # A row behind the last one changes nothing.
    rows = jnp.where(added, (buffer.added + numbers) % buffer.capacity, buffer.capacity)
    changed = jax.tree.map(lambda old, x: old.at[rows].set(x, mode="drop"), buffer.items, items)
    return Ring(changed, buffer.added + total)


def sample(buffers: Ring, key: Key[Array, ""], count: int, length: int = 1) -> Any:
    """Returns consecutive items from random places of random rings.

    Args:
      buffers: B rings with equal counts, `[B, C, ...]`, each with at least `length` items.
      key: PRNG key of rings and places.
      count: number of places, n.
      length: number of items from each place.

    Returns:
      Arrays `[n, length, ...]`, the oldest item of each place first.

    Example:
      >>> buffers = jax.vmap(push)(jax.vmap(lambda x: ring(x, 4))(jnp.zeros(3)), jnp.arange(3.0))
      >>> sample(buffers, jax.random.key(0), 8).shape
      (8, 1)
    """
    counts = buffers.added
    capacity = jax.tree.leaves(buffers.items)[0].shape[1]
    which_key, place_key = jax.random.split(key)
    which = jax.random.randint(which_key, (count,), 0, len(counts), jnp.int32)
    keys = jax.random.split(place_key, count)
    rows = jax.vmap(lambda i, k: _rows(counts[i], capacity, k, length))(which, keys)
    return jax.tree.map(
        lambda x: x[jnp.broadcast_to(which[:, None], rows.shape), rows], buffers.items
    )


def _rows(
    count: Int[Array, ""], capacity: int, key: Key[Array, ""], length: int
) -> Int[Array, " length"]:
    """Returns the rows of consecutive items from a random place of a ring."""
    size = jnp.minimum(count, capacity)
    place = jax.random.randint(key, (), 0, size - length + 1, jnp.int32)
    return (count - size + place + jnp.arange(length, dtype=jnp.int32)) % capacity
