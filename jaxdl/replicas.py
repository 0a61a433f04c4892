"""Replicas of a step under the `pmap` strategy, each with its own part of the batch.

Outside of that strategy there is one replica, and all functions return their argument.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from jaxdl.errors import InputError

#: Name of the axis over which the `pmap` strategy maps a step.
AXIS = "replica"


def _mapped() -> bool:
    """Returns True inside a map over `AXIS`, which the `pmap` strategy uses."""
    try:
        jax.lax.axis_index(AXIS)
    except NameError:
        return False
    return True


def mean_over_replicas(tree: Any) -> Any:
    """Computes the mean of each floating-point array over the replicas.

    Args:
      tree: arrays; integers are returned unchanged.

    Example:
      >>> mean_over_replicas({"loss": jnp.ones(())})["loss"].item()
      1.0
    """
    if not _mapped():
        return tree

    def mean_of_leaf(x: Array) -> Array:
        if not jnp.issubdtype(x.dtype, jnp.inexact):
            return x
        return jax.lax.pmean(x, AXIS)

    return jax.tree.map(mean_of_leaf, tree)


def local_rows(tree: Any) -> Any:
    """Returns this replica's rows of arrays that have one row per example of the whole batch.

    Outside of the `pmap` strategy these are all rows.

    Args:
      tree: arrays `[B, ...]`.

    Returns:
      Arrays `[B / n, ...]`, in one of n replicas.

    Example:
      >>> local_rows({"h": jnp.zeros((4, 2))})["h"].shape
      (4, 2)
    """
    if not _mapped():
        return tree
    count = jax.lax.axis_size(AXIS)
    replica = jax.lax.axis_index(AXIS)

    def part(x: Array) -> Array:
        size = x.shape[0] // count
        return jax.lax.dynamic_slice_in_dim(x, replica * size, size)

    return jax.tree.map(part, tree)


def gather_rows(tree: Any) -> Any:
    """Gathers the rows of all replicas; the inverse of `local_rows`.

    Args:
      tree: arrays `[B / n, ...]`, in one of n replicas.

    Returns:
      Arrays `[B, ...]`.

    Example:
      >>> gather_rows({"h": jnp.zeros((4, 2))})["h"].shape
      (4, 2)
    """
    if not _mapped():
        return tree
    return jax.tree.map(lambda x: jax.lax.all_gather(x, AXIS, tiled=True), tree)


def sum_over_replicas(tree: Any) -> Any:
    """Computes the sum of each array over the replicas, such as that of metrics.

    Example:
      >>> sum_over_replicas({"loss": (jnp.ones(()), jnp.ones(()))})["loss"][1].item()
      1.0
    """
    if not _mapped():
        return tree
    return jax.lax.psum(tree, AXIS)


def one_replica(name: str, reason: str = "learns from one episode after the other") -> None:
    """Raises InputError inside of the `pmap` strategy with several devices.

    Args:
      name: what cannot be divided.
      reason: the end of the message, a verb with its object.

    Example:
      >>> one_replica("q_table")
    """
    if replica_count() > 1:
        allowed = f"single or sharded; {name} {reason}"
        raise InputError("strategy", "pmap", allowed)


def replica_count() -> int:
    """Returns the number of replicas, 1 outside of the `pmap` strategy.

    Example:
      >>> replica_count()
      1
    """
    if not _mapped():
        return 1
    return jax.lax.axis_size(AXIS)
