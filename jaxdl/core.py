"""The contract of the library: training is three pure functions over a state of arrays.

    init(key, batch) -> State
    step(state, batch, key) -> (State, metrics)
    evaluate(state, batch, key) -> metrics

Loops, strategies, checkpoints and tests use these three functions only, so they work with every
model.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from jaxtyping import Array, Int, Key

from jaxdl.errors import InputError, no_missing_arguments
from jaxdl.layer_names import keep_statistics, trained, with_trained
from jaxdl.metrics import Metrics, mean
from jaxdl.optimizer_states import learning_rates, schedule_free, strong
from jaxdl.replicas import mean_over_replicas, sum_over_replicas
from jaxdl.updates import (
    Batch,
    Params,
    Rule,
    Update,
    call_loss,
    check_part,
    check_rule_values,
    check_updates,
    objective_names,
)
from jaxdl.xla import OPTIMIZER, materialize

#: Most repeats of an update that a step contains one by one; more of them are a loop. Compilation
#: of a hundred repeats would take minutes.
UNROLLED = 8


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class State:
    """All arrays that training changes.

    A state holds nothing but arrays, so it can be saved, compared, sharded and donated.

    Attributes:
      step: number of steps done, an int32 scalar.
      params: trainable parameters, a dictionary by layer.
      opt: optimizer states, a tuple with one Optax state per update; that of a `Rule` is empty.
      extra: arrays of the model that no gradient trains, a dictionary by collection, such as
        `batch_stats`; `{}` if there are none. Arrays in the collection `carry` have one row per
        example of the batch. Where a batch is divided over devices, these rows are divided too.
      wrapped: arrays of the wrappers, a dictionary by wrapper, such as the average of `with_ema`.
    """

    step: Int[Array, ""]
    params: Any
    opt: tuple
    extra: Any
    wrapped: dict[str, Any] = dataclasses.field(default_factory=dict)

    def replace(self, **changes: Any) -> "State":
        """Returns a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def member(self, i: int) -> "State":
        """Returns the state of run `i` of an ensemble.

        Args:
          i: index of the run, at least 0. In the state of N runs every leaf is `[N, ...]`.

        Raises:
          InputError: an `i` out of range, or the state of a single run.
        """
        if self.step.ndim != 1 or not 0 <= i < len(self.step):
            raise InputError(
                "member", i, f"an index in [0, {self.step.size}) into the state of several runs"
            )
        return jax.tree.map(lambda x: x[i], self)

    def members(self) -> list["State"]:
        """Returns the states of all runs, `[self]` for a single run."""
        if self.step.ndim == 0:
            return [self]
        return [self.member(i) for i in range(len(self.step))]

    @property
    def steps_done(self) -> int:
        """Number of steps done, as a Python integer."""
        return int(np.max(jax.device_get(self.step)))


class Learner(NamedTuple):
    """The three pure functions that train and evaluate a model.

    To change a learner, wrap it with one of the functions in `jaxdl.wrappers`.

    Attributes:
      init: `init(key, batch) -> State`. Only the shapes and dtypes of the batch matter.
      step: `step(state, batch, key) -> (State, metrics)`. It folds `state.step` into the key.
      evaluate: `evaluate(state, batch, key) -> metrics`.
    """

    init: Callable[..., State]
    step: Callable[[State, Batch, Key[Array, ""]], tuple[State, Metrics]]
    evaluate: Callable[[State, Batch, Key[Array, ""]], Metrics]


class Sweep(NamedTuple):
    """Runs with different hyper-parameters in one program, returned by `jaxdl.sweep`.

    `train` and `evaluate` accept it in place of a learner.

    Attributes:
      init: `init(keys [N], batch) -> states [N, ...]`, for all runs.
      step: the `step` of a learner, for the state of one run, which contains its numbers.
      evaluate: the `evaluate` of a learner, for the state of one run.
      values: the swept hyper-parameters, as pairs of a name and one number per run.
    """

    init: Callable[[Key[Array, " N"], Batch], State]
    step: Callable[[State, Batch, Key[Array, ""]], tuple[State, Metrics]]
    evaluate: Callable[[State, Batch, Key[Array, ""]], Metrics]
    values: tuple[tuple[str, tuple[float, ...]], ...]


def learner(
    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]], *updates: Update | Rule
) -> Learner:
    """Creates a learner whose step applies the updates one after the other.

        g = grad of loss_i at (params, extra),   params[on_i] <- params[on_i] + optimizer_i(g)

    Each update sees the changes of the updates before it, so their order matters. In a GAN, for
    example, the generator is trained against the discriminator of the same step.

    Args:
      init: `init(key, batch) -> (params, extra)`.
      *updates: the updates, one per optimizer, and rules, in the order in which they are applied.

    Returns:
      A `Learner`. Its metrics are those of the losses. If two losses use the same name, the later
      update's metric is reported. If no metric is the loss itself, the loss is added as
      `objective`, or as `<on>_objective` for an update with `on`; equal names are numbered. So a
      loss that is not finite always appears in a metric. If an optimizer comes from
      `jaxdl.optimizers` or `optax.inject_hyperparams`, the metrics also contain the
      `learning_rate` that it used, or `<on>_learning_rate` for an update with `on`.

    Raises:
      InputError: no updates, something else than an `Update` or a `Rule`, a loss or optimizer that
        is not one, or `times < 1`. Raised by `init`: an `on` that `params` does not have, or an
        `on` together with a schedule-free optimizer. Raised while tracing: a loss that returns
        something else, an optimizer with a line search, such as `optax.lbfgs()`, or a rule that
        changes the layout of the state.

    Example:
      >>> import jaxdl
      >>> def init(key, batch):
      ...     return {"w": jnp.zeros(())}, {}
      >>> def loss(params, extra, batch, key, *, train):
      ...     error = (params["w"] - batch["x"]) ** 2
      ...     total = jaxdl.metrics.total(error)
      ...     return total, (extra, {"loss": total})
      >>> net = learner(init, Update(loss, optax.sgd(0.5)))
      >>> key = jaxdl.root(0)
      >>> batch = {"x": jnp.array([1.0, 3.0])}
      >>> state, metrics = net.step(net.init(key, batch), batch, key)
      >>> float(state.params["w"]), int(state.step)
      (2.0, 1)
    """
    check_updates(init, updates)
    names = objective_names(updates)

    def step(state: State, batch: Batch, key: Key[Array, ""]) -> tuple[State, Metrics]:
        metrics: Metrics = {}
        key = jax.random.fold_in(key, state.step)
        for i, update in enumerate(updates):
            if isinstance(update, Rule):
                rule_key = jax.random.fold_in(jax.random.fold_in(key, i), 0)
                state, rule_metrics = _change(update, state, batch, rule_key)
                metrics |= rule_metrics
                continue
            update_key = jax.random.fold_in(key, i)
            state, update_metrics = _repeat(i, update, names[i], state, batch, update_key)
            metrics |= update_metrics
        return state.replace(step=state.step + 1), sum_over_replicas(metrics)

    def evaluate(state: State, batch: Batch, key: Key[Array, ""]) -> Metrics:
        metrics: Metrics = {}
        state = inference(state)
        for i, update in enumerate(updates):
            update_key = jax.random.fold_in(key, i)
            args = state.params, state.extra, batch, update_key
            if not isinstance(update, Rule):
                metrics |= call_loss(update, names[i], *args, train=False)[2]
            elif update.evaluate is not None:
                metrics |= update.evaluate(*args)
        return sum_over_replicas(metrics)

    return Learner(Initial(init, updates), step, evaluate)


@dataclasses.dataclass(frozen=True, eq=False)
class Initial:
    """The `init` of a learner, before any wrapper.

    Attributes:
      variables: `variables(key, batch) -> (params, extra)`, the initial arrays of the model.
      updates: the updates, whose optimizers get their first states for these arrays.

    Example:
      >>> def variables(key, batch):
      ...     return {"w": jnp.zeros(())}, {}
      >>> int(Initial(variables, ())(jax.random.key(0), {}).step)
      0
    """

    variables: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    updates: tuple[Update | Rule, ...]

    def __call__(self, key: Key[Array, ""], batch: Batch) -> State:
        params, extra = self.variables(key, batch)
        with jax.named_scope(OPTIMIZER):
            opt = strong(tuple(_first_opt(update, params) for update in self.updates))
        return State(jnp.zeros((), jnp.int32), strong(params), opt, strong(extra))


def _first_opt(update: Update | Rule, params: Params) -> Any:
    """Returns the first state of the optimizer of an update; that of a rule has no arrays."""
    if isinstance(update, Rule):
        return optax.EmptyState()
    check_part(update, params)
    return update.optimizer.init(trained(params, update.on, update.frozen))


def inference(state: State) -> State:
    """Returns the state to use for evaluation, prediction and export.

    If `with_ema` keeps an average of the weights, the average replaces `params`. If the optimizer
    is schedule-free, its averaged iterate replaces them. Otherwise `params` are unchanged. The
    function `evaluate` of a learner always uses this state.

    Args:
      state: the state of a learner, with or without wrappers.

    Returns:
      A state without arrays of wrappers.

    Example:
      >>> average = {"ema": {"w": jnp.zeros(())}}
      >>> state = State(jnp.zeros((), jnp.int32), {"w": jnp.ones(())}, (), {}, average)
      >>> float(inference(state).params["w"]), inference(state).wrapped
      (0.0, {})
    """
    wrapped = state.wrapped
    state = state.replace(wrapped={})
    if "ema" in wrapped:
        return state.replace(params=wrapped["ema"])
    for node in schedule_free(state.opt):
        state = state.replace(params=optax.contrib.schedule_free_eval_params(node, state.params))
    return state


def _repeat(
    i: int, update: Update, name: str, state: State, batch: Batch, key: Key[Array, ""]
) -> tuple[State, Metrics]:
    """Applies update `i` `update.times` times; the metrics are those of the last time."""

    def once(state: State, repeat: int | Array) -> tuple[State, Metrics]:
        return _apply(i, update, name, state, batch, jax.random.fold_in(key, repeat))

    if update.times <= UNROLLED:
        for repeat in range(update.times):
            state, metrics = once(state, repeat)
        return state, metrics
    state, metrics = jax.lax.scan(once, state, jnp.arange(update.times, dtype=jnp.int32))
    return state, jax.tree.map(lambda x: x[-1], metrics)


def _apply(
    i: int, update: Update, name: str, state: State, batch: Batch, key: Key[Array, ""]
) -> tuple[State, Metrics]:
    """Applies update `i` once: computes the gradient of its loss and calls its optimizer."""

    def objective(part: Params) -> tuple[Array, tuple[Any, Metrics]]:
        params = with_trained(state.params, update.on, update.frozen, part)
        loss, extra, metrics = call_loss(update, name, params, state.extra, batch, key, train=True)
        value, count = metrics[loss]
        # With the mean count of all replicas, the mean of their gradients is that of the whole
        # batch, however the count is divided among them.
        return mean((value, mean_over_replicas(count))), (extra, metrics)

    part = trained(state.params, update.on, update.frozen)
    (value, (extra, metrics)), grads = jax.value_and_grad(objective, has_aux=True)(part)
    value, grads, extra = mean_over_replicas((value, grads, extra))
    if update.frozen is not None:
        extra = keep_statistics(update.frozen, state.params, state.extra, extra)
    # Once all gradients are computed, a CPU can update the parameters in place.
    grads = materialize(grads)
    optimizer = optax.with_extra_args_support(update.optimizer)
    allowed = "one that needs gradients and the loss, as optax.adam; a line search needs more"
    complete = no_missing_arguments("Update.optimizer", allowed)
    # Some of Optax's code mixes dtypes, which strict promotion refuses.
    with jax.named_scope(OPTIMIZER), jax.numpy_dtype_promotion("standard"), complete:
        delta, opt = optimizer.update(grads, state.opt[i], part, value=value)
    params = with_trained(state.params, update.on, update.frozen, optax.apply_updates(part, delta))
    opts = (*state.opt[:i], opt, *state.opt[i + 1 :])
    metrics = {**metrics, **learning_rates(opt, update.on)}
    return state.replace(params=params, opt=opts, extra=extra), metrics


def _change(rule: Rule, state: State, batch: Batch, key: Key[Array, ""]) -> tuple[State, Metrics]:
    """Applies a rule once."""
    returned: Any = rule.change(state.params, state.extra, batch, key)
    params, extra, metrics = check_rule_values(returned, state.params, state.extra)
    params, extra = mean_over_replicas((params, extra))
    return state.replace(params=params, extra=extra), metrics
