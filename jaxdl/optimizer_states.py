"""Values that are read from the states of Optax's optimizers."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax.contrib
from jax.tree_util import DictKey, GetAttrKey

from jaxdl.metrics import Metrics


def schedule_free(opt: Any) -> list[Any]:
    """Returns the states of schedule-free optimizers in an optimizer state.

    Example:
      >>> schedule_free(optax.sgd(0.1).init({}))
      []
    """
    return [node for _, node in _nodes(opt, _is_schedule_free)]


def learning_rates(opt: Any, on: str | None) -> Metrics:
    """Returns the learning rates in an optimizer state as metrics, so those that were used.

    Args:
      opt: state of one optimizer. If it has parts by name, as that of
        `jaxdl.optimizers.by_layer`, each part has a metric, which begins with its name.
      on: the entry of `params` that the optimizer updates, with which all names begin.

    Example:
      >>> sgd = optax.inject_hyperparams(optax.sgd)(learning_rate=0.5)
      >>> float(learning_rates(sgd.init({}), "generator")["generator_learning_rate"][0])
      0.5
    """
    metrics: Metrics = {}
    for path, node in _nodes(opt, _has_rate):
        parts = [on, *_parts(path), "learning_rate"]
        name = "_".join(part for part in parts if part)
        metrics.setdefault(name, (node.hyperparams["learning_rate"], jnp.ones(())))
    return metrics


def strong(tree: Any) -> Any:
    """Removes weak types, with which the second step would be compiled again.

    Example:
      >>> strong({"w": jnp.asarray(1.0)})["w"].weak_type
      False
    """
    return jax.tree.map(lambda x: jnp.asarray(x, dtype=jnp.asarray(x).dtype), tree)


def _is_schedule_free(node: Any) -> bool:
    return isinstance(node, optax.contrib.ScheduleFreeState)


def _has_rate(node: Any) -> bool:
    return "learning_rate" in getattr(node, "hyperparams", {})


def _parts(path: Any) -> list[str]:
    """Returns the names of the parts of `optax.partition` on the way to a node."""
    return [
        str(after.key)
        for before, after in zip(path, path[1:], strict=False)
        if before == GetAttrKey("inner_states") and isinstance(after, DictKey)
    ]


def _nodes(tree: Any, match: Callable[[Any], bool]) -> list[tuple[Any, Any]]:
    """Returns paths and nodes of a tree for which `match` returns True."""
    leaves = jax.tree_util.tree_flatten_with_path(tree, is_leaf=match)[0]
    return [(path, node) for path, node in leaves if match(node)]
