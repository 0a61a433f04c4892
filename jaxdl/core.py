"""The contract: everything that trains is three pure functions over a state of arrays.

    init(key, batch) -> State        step(state, batch, key) -> (State, metrics)
    evaluate(state, batch, key) -> metrics

Loops, strategies, checkpoints and tests see these three and never ask what model is behind.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from jaxtyping import Array, Int, Key, PyTree

from jaxdl.errors import InputError, at_least
from jaxdl.metrics import Metrics
from jaxdl.xla import materialize

Batch = Mapping[str, Array]
Params = PyTree[Array]

#: The name of the axis over which the `pmap` strategy maps a step.
AXIS = "replica"


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """All that training changes: arrays only, so that it can be saved, compared, sharded, donated.

    Attributes:
      step: int32 scalar, updates done.
      params: what the gradients train, a dictionary by layer.
      opt: a tuple, one Optax state per `Update`.
      extra: what the model carries and no gradient trains, by collection (`batch_stats`); {} if nothing. What is
        in `carry` has a row per example of the batch, and goes with it where a batch is divided over devices.
    """

    step: Int[Array, ""]
    params: Any
    opt: tuple
    extra: Any

    def replace(self, **changes: Any) -> "State":
        """A copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def member(self, i: int) -> "State":
        """The state of run i, where the state is that of several runs, every leaf `[N, ...]`."""
        if self.step.ndim != 1 or not 0 <= i < len(self.step):
            raise InputError(
                "member", i, f"a number below {self.step.size}, of a state of several runs"
            )
        return jax.tree.map(lambda x: x[i], self)

    @property
    def steps_done(self) -> int:
        """Updates done, as a number of the host's."""
        return int(np.max(jax.device_get(self.step)))


class Update(NamedTuple):
    """One optimizer's share of a step.

    Attributes:
      loss: `loss(params, extra, batch, key, *, train) -> (scalar, (extra, metrics))`.
      optimizer: any Optax transformation; clipping, schedules and frozen parts belong there.
      on: the top-level entry of `params` that it moves; None: all of them.
      times: repeats within one step, sharing one optimizer state (k critic updates).
    """

    loss: Callable[..., tuple[Array, tuple[Any, Metrics]]]
    optimizer: optax.GradientTransformation
    on: str | None = None
    times: int = 1


class Learner(NamedTuple):
    """Three pure functions; change a learner by wrapping it (`jaxdl.wrappers`).

    Attributes:
      init: `init(key, batch) -> State`; of the batch only shapes and dtypes matter.
      step: `step(state, batch, key) -> (State, metrics)`; folds `state.step` into the key.
      evaluate: `evaluate(state, batch, key) -> metrics`.
      runs: of runs that differ in more than their keys, the names and numbers in which they do (`sweep`); `init` is
        then `init(key, batch, run)`, the run's index last.
    """

    init: Callable[..., State]
    step: Callable[[State, Batch, Key[Array, ""]], tuple[State, Metrics]]
    evaluate: Callable[[State, Batch, Key[Array, ""]], Metrics]
    runs: tuple[tuple[str, tuple[float, ...]], ...] = ()


def learner(
    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]], *updates: Update
) -> Learner:
    """A learner whose step applies the updates one after the other.

        g = grad of loss_i at (params, extra), params[on_i] <- params[on_i] + optimizer_i(g)

    Later updates see what earlier ones changed: the order is part of the meaning (a GAN's
    generator answers the discriminator of the same step).

    Args:
      init: `init(key, batch) -> (params, extra)`.
      *updates: one per optimizer, in order.

    Returns:
      A `Learner`. Its metrics are the losses' own (of equal names the last update's) and, if the
      optimizer was made by `jaxdl.optimizers` or `optax.inject_hyperparams`, the `learning_rate` it used.

    Raises:
      InputError: no updates, `times < 1`, or (at `init`) an `on` that `params` does not have.

    Example:
      >>> import jaxdl
      >>> def init(key, batch):
      ...     return {"w": jnp.zeros(())}, {}
      >>> def loss(params, extra, batch, key, *, train):
      ...     error = (params["w"] - batch["x"]) ** 2
      ...     return error.mean(), (extra, {"loss": jaxdl.metrics.total(error)})
      >>> net = learner(init, Update(loss, optax.sgd(0.5)))
      >>> key, batch = jaxdl.root(0), {"x": jnp.array([1.0, 3.0])}
      >>> state, metrics = net.step(net.init(key, batch), batch, key)
      >>> float(state.params["w"]), int(state.step)
      (2.0, 1)
    """
    _check(updates)

    def init_state(key: Key[Array, ""], batch: Batch) -> State:
        params, extra = init(key, batch)
        for update in updates:
            _check_on(update, params)
        opt = tuple(update.optimizer.init(_take(params, update.on)) for update in updates)
        return _strong(State(jnp.zeros((), jnp.int32), params, opt, extra))

    def step(state: State, batch: Batch, key: Key[Array, ""]) -> tuple[State, Metrics]:
        metrics: Metrics = {}
        key = jax.random.fold_in(key, state.step)
        for i, update in enumerate(updates):
            for repeat in range(update.times):
                state, new = _apply(
                    i, update, state, batch, jax.random.fold_in(jax.random.fold_in(key, i), repeat)
                )
                metrics |= new
        return state.replace(step=state.step + 1), _sum_over_replicas(metrics)

    def evaluate(state: State, batch: Batch, key: Key[Array, ""]) -> Metrics:
        metrics: Metrics = {}
        state = inference(state)
        for i, update in enumerate(updates):
            _, (_, new) = update.loss(
                state.params, state.extra, batch, jax.random.fold_in(key, i), train=False
            )
            metrics |= new
        return _sum_over_replicas(metrics)

    return Learner(init_state, step, evaluate)


def inference(state: State) -> State:
    """The state to evaluate, predict and export with.

    The averaged weights where `with_ema` keeps them, the averaged iterate of a schedule-free
    optimizer, else the parameters themselves. `evaluate` uses it always.

    Example:
      >>> state = State(jnp.zeros((), jnp.int32), {"w": jnp.ones(())}, (), {"ema": {"w": jnp.zeros(())}})
      >>> float(inference(state).params["w"]), inference(state).extra
      (0.0, {})
    """
    extra = dict(state.extra)
    for name in ("sweep", "skipped"):  # what wrappers keep for themselves
        if extra.pop(name, None) is not None:
            state = state.replace(extra=extra)
    if "ema" in extra:
        return state.replace(params=extra.pop("ema"), extra=extra)
    for free in _schedule_free(state.opt):
        state = state.replace(params=optax.contrib.schedule_free_eval_params(free, state.params))
    return state


def _apply(
    i: int, update: Update, state: State, batch: Batch, key: Key[Array, ""]
) -> tuple[State, Metrics]:
    """One gradient of one update: the only place where the library differentiates."""

    def objective(part: Params) -> tuple[Array, tuple[Any, Metrics]]:
        return update.loss(_put(state.params, update.on, part), state.extra, batch, key, train=True)

    part = _take(state.params, update.on)
    (value, (extra, metrics)), grads = jax.value_and_grad(objective, has_aux=True)(part)
    value, grads, extra = _mean_over_replicas((value, grads, extra))
    # A CPU updates parameters in place only where all that reads them comes before.
    grads = materialize(grads)
    optimizer = optax.with_extra_args_support(update.optimizer)
    # Some of Optax's own code mixes dtypes, which strict promotion refuses.
    with jax.numpy_dtype_promotion("standard"):
        delta, opt = optimizer.update(grads, state.opt[i], part, value=value)
    params = _put(state.params, update.on, optax.apply_updates(part, delta))
    opts = (*state.opt[:i], opt, *state.opt[i + 1 :])
    return state.replace(params=params, opt=opts, extra=extra), {
        **metrics,
        **_learning_rate(opt, update.on),
    }


def _learning_rate(opt: Any, on: str | None) -> Metrics:
    """What the optimizer says it has just used: the one number that cannot differ from the truth."""
    name = "learning_rate" if on is None else f"{on}_learning_rate"
    used = _nodes(opt, lambda node: "learning_rate" in getattr(node, "hyperparams", {}))
    return {name: (used[0].hyperparams["learning_rate"], jnp.ones(()))} if used else {}


def _mapped() -> bool:
    """Whether the step runs inside a map over `AXIS`: the `pmap` strategy, once per device."""
    try:
        jax.lax.axis_index(AXIS)
    except NameError:
        return False
    return True


def _mean_over_replicas(tree: Any) -> Any:
    if not _mapped():
        return tree
    return jax.tree.map(
        lambda x: jax.lax.pmean(x, AXIS) if jnp.issubdtype(x.dtype, jnp.inexact) else x, tree
    )


def local_rows(tree: Any) -> Any:
    """Of what has a row per example of the batch, those of the examples that are here: inside `pmap` a part.

    Example:
      >>> local_rows({"h": jnp.zeros((4, 2))})["h"].shape
      (4, 2)
    """
    if not _mapped():
        return tree
    count = jax.lax.axis_size(AXIS)
    here = jax.lax.axis_index(AXIS)

    def part(x: Array) -> Array:
        size = x.shape[0] // count
        return jax.lax.dynamic_slice_in_dim(x, here * size, size)

    return jax.tree.map(part, tree)


def gather_rows(tree: Any) -> Any:
    """The rows of all devices, from what each has: what `local_rows` takes apart.

    Example:
      >>> gather_rows({"h": jnp.zeros((4, 2))})["h"].shape
      (4, 2)
    """
    return (
        jax.tree.map(lambda x: jax.lax.all_gather(x, AXIS, tiled=True), tree) if _mapped() else tree
    )


def _sum_over_replicas(metrics: Metrics) -> Metrics:
    return jax.lax.psum(metrics, AXIS) if _mapped() else metrics


def _check(updates: tuple[Update, ...]) -> None:
    if not updates:
        raise InputError("updates", updates, "at least one Update(loss, optimizer)")
    for update in updates:
        at_least("Update.times", update.times, 1)


def _check_on(update: Update, params: Any) -> None:
    if update.on is None:
        return
    if update.on not in params:
        raise InputError("Update.on", update.on, f"None or one of {sorted(params)}")
    if _schedule_free(update.optimizer.init(params[update.on])):
        raise InputError(
            "Update.on",
            update.on,
            "None, with a schedule-free optimizer: it averages all parameters",
        )


def _take(params: Any, on: str | None) -> Params:
    return params if on is None else params[on]


def _put(params: Any, on: str | None, part: Params) -> Params:
    return part if on is None else {**params, on: part}


def _strong(tree: Any) -> Any:
    """The same leaves as arrays without weak types, which would make the second step compile again."""
    return jax.tree.map(lambda x: jnp.asarray(x, dtype=jnp.asarray(x).dtype), tree)


def _schedule_free(opt: Any) -> list:
    return _nodes(opt, lambda node: isinstance(node, optax.contrib.ScheduleFreeState))


def _nodes(tree: Any, match: Callable[[Any], bool]) -> list:
    return [node for node in jax.tree.leaves(tree, is_leaf=match) if match(node)]
