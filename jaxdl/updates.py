"""Updates: the parts of a step, each with a loss and an optimizer, or with a rule."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Key, PyTree

from jaxdl.errors import InputError, at_least, of_kind
from jaxdl.layer_names import Selection, check_frozen, trained
from jaxdl.metrics import Metric, Metrics, wide
from jaxdl.optimizer_states import schedule_free

Batch = Mapping[str, Array]
Params = PyTree[Array]


class Update(NamedTuple):
    """One optimizer's share of a step.

    Attributes:
      loss: `loss(params, extra, batch, key, *, train) -> ((sum, count), (extra, metrics))`. The
        optimizer minimizes the mean, sum / count. The count is the weight of a part of a batch, and
        does not depend on `params`.
      optimizer: any Optax transformation. Clipping and schedules belong here.
      on: the top-level entry of `params` that the optimizer updates. None means all of them.
      times: number of repeats within one step, at least 1, such as the k critic updates of a GAN.
        The repeats share one optimizer state.
      frozen: the layers that the optimizer does not update, see `jaxdl.freeze`. They have no
        gradient, no optimizer state, and constant running statistics.
    """

    loss: Callable[..., tuple[Metric, tuple[Any, Metrics]]]
    optimizer: optax.GradientTransformation
    on: str | None = None
    times: int = 1
    frozen: Selection | None = None


class Rule(NamedTuple):
    """A change of the state by a formula instead of a gradient, in training only.

    Examples are the moves of an agent in its environment, and the target network of Q-learning.

    Attributes:
      change: `change(params, extra, batch, key) -> (params, extra, metrics)`. The structure, the
        shapes and the dtypes of `params` and `extra` stay as they are.
      evaluate: `evaluate(params, extra, batch, key) -> metrics`, for the evaluation. None means
        that the rule has no part in it.
    """

    change: Callable[..., tuple[Params, Any, Metrics]]
    evaluate: Callable[..., Metrics] | None = None


def call_loss(
    update: Update,
    name: str,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
    *,
    train: bool,
) -> tuple[str, Any, Metrics]:
    """Calls the loss of an update, and returns it as one of its metrics.

    Args:
      update: the update.
      name: name of the loss as a metric, if none of its metrics is the loss itself.
      params: all parameters.
      extra: the other arrays of the model.
      batch: the batch.
      key: PRNG key of the loss.
      train: True in training.

    Returns:
      `(name, extra, metrics)`, where `metrics[name]` is the loss.

    Raises:
      InputError: a loss that returns something else than `((sum, count), (extra, metrics))`.

    Example:
      >>> def loss(params, extra, batch, key, *, train):
      ...     return (params["w"] ** 2, 1), (extra, {"w": (params["w"], 1)})
      >>> update = Update(loss, optax.sgd(0.1))
      >>> args = {"w": jnp.array(3.0)}, {}, {}, None
      >>> name, _, metrics = call_loss(update, "objective", *args, train=True)
      >>> name, [float(x) for x in metrics[name]]
      ('objective', [9.0, 1.0])
    """
    returned: Any = update.loss(params, extra, batch, key, train=train)
    allowed = "((sum, count), (extra, metrics)), with a dictionary of metrics"
    if not _is_pair(returned) or not _is_pair(returned[1]):
        raise InputError("value of the loss", type(returned).__name__, allowed)
    loss, (extra, metrics) = returned
    if not isinstance(metrics, Mapping):
        raise InputError("value of the loss", f"metrics of {type(metrics).__name__}", allowed)
    for field, pair in {"loss": loss, **metrics}.items():
        if not _is_pair(pair):
            allowed = "(sum, count), such as jaxdl.metrics.total(losses)"
            raise InputError(field, "one array", allowed)
    names = [each for each, pair in metrics.items() if pair[0] is loss[0] and pair[1] is loss[1]]
    # A loss may return Python numbers.
    metrics = jax.tree.map(jnp.asarray, dict(metrics))
    value = wide(jnp.asarray(loss[0]))
    name = [*names, name][0]
    return name, extra, {**metrics, name: (value, jnp.asarray(loss[1]).astype(value.dtype))}


def objective_names(updates: tuple[Update | Rule, ...]) -> list[str]:
    """Returns the names of losses that are none of their metrics, numbered if two are equal."""
    parts = [getattr(update, "on", None) for update in updates]
    names = ["objective" if part is None else f"{part}_objective" for part in parts]
    return [f"{name}_{i}" if names.count(name) > 1 else name for i, name in enumerate(names)]


def _is_pair(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2


def check_updates(init: Any, updates: tuple[Update | Rule, ...]) -> None:
    """Raises InputError unless `init` is a function and the updates are complete.

    Example:
      >>> check_updates(lambda key, batch: ({}, {}), ())
      Traceback (most recent call last):
      jaxdl.errors.InputError: updates: got (), allowed: at least one Update(loss, optimizer)
    """
    of_kind("init", init, Callable, "init(key, batch) -> (params, extra), such as task.init")
    if not updates:
        raise InputError("updates", updates, "at least one Update(loss, optimizer)")
    for update in updates:
        if isinstance(update, Rule):
            allowed = "change(params, extra, batch, key) -> (params, extra, metrics)"
            of_kind("Rule.change", update.change, Callable, allowed)
            allowed = "None, or evaluate(params, extra, batch, key) -> metrics"
            of_kind("Rule.evaluate", update.evaluate, Callable | None, allowed)
            continue
        of_kind("updates", update, Update, "Updates, as in *task.updates(optax.adam(1e-3))")
        of_kind("Update.loss", update.loss, Callable, "a loss, such as task.loss")
        if not all(hasattr(update.optimizer, name) for name in ("init", "update")):
            name = getattr(update.optimizer, "__name__", update.optimizer)
            raise InputError("Update.optimizer", name, "a transformation, as optax.adam(1e-3)")
        at_least("Update.times", update.times, 1)
        of_kind("Update.frozen", update.frozen, Selection | None, "None, or use jaxdl.freeze")


def check_part(update: Update, params: Any) -> None:
    """Raises InputError unless an update has parameters, and an optimizer that can change them.

    Example:
      >>> check_part(Update(lambda *_: None, optax.sgd(0.1), on="head"), {"out": {}})
      Traceback (most recent call last):
      jaxdl.errors.InputError: Update.on: got 'head', allowed: None or one of ['out']
    """
    if update.on is not None and update.on not in params:
        raise InputError("Update.on", update.on, f"None or one of {sorted(params)}")
    if update.frozen is not None:
        check_frozen(params, update.on, update.frozen)
    part = trained(params, update.on, update.frozen)
    if part is not params and schedule_free(update.optimizer.init(part)):
        reason = "with a schedule-free optimizer, which averages all parameters"
        if update.frozen is not None:
            raise InputError("freeze", update.frozen.text(), f"no frozen layers {reason}")
        raise InputError("Update.on", update.on, f"None {reason}")


def check_rule_values(returned: Any, params: Params, extra: Any) -> tuple[Params, Any, Metrics]:
    """Returns the values of a rule; raises InputError unless they fit the state.

    Args:
      returned: the value of `Rule.change`.
      params: the parameters before it.
      extra: the other arrays before it.

    Example:
      >>> check_rule_values(({}, {}), {}, {})
      Traceback (most recent call last):
      jaxdl.errors.InputError: value of the rule: got 'tuple', allowed: (params, extra, metrics)
    """
    if not isinstance(returned, tuple) or len(returned) != 3:
        raise InputError("value of the rule", type(returned).__name__, "(params, extra, metrics)")
    *after, metrics = returned
    for field, old, new in zip(("params", "extra"), (params, extra), after, strict=True):
        before, shapes = (jax.tree.map(_shape, tree) for tree in (old, new))
        if before != shapes:
            allowed = "the same arrays as before, with their shapes and dtypes"
            raise InputError(f"{field} of the rule", shapes, allowed)
    for field, pair in metrics.items():
        if not _is_pair(pair):
            raise InputError(field, "one array", "(sum, count), such as jaxdl.metrics.total(x)")
    return after[0], after[1], jax.tree.map(jnp.asarray, dict(metrics))


def _shape(x: Any) -> str:
    x = jnp.asarray(x)
    return f"{x.dtype}{list(x.shape)}"
