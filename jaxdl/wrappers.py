"""Functions that change a learner or an update by wrapping it, without subclasses."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxdl.core import Learner, State, Sweep
from jaxdl.errors import InputError, at_least, in_range, of_kind
from jaxdl.finite import all_finite, finite
from jaxdl.layer_names import trained, with_trained
from jaxdl.metrics import Metric, Metrics, mean
from jaxdl.updates import Batch, Params, Update, call_loss, objective_names


def with_ema(learner: Learner, decay: float) -> Learner:
    """Wraps a learner to be evaluated with an exponential moving average of its weights.

        a_t = d_t a_{t-1} + (1 - d_t) w_t,   d_t = min(decay, (1 + t) / (10 + t))

    The average is stored in `state.wrapped["ema"]`, and `inference(state)` returns it as `params`.
    Running statistics, such as those of BatchNorm, are not averaged. The growing d_t reduces the
    influence of the random initial weights in a short run.

    Args:
      learner: any learner except a sweep.
      decay: in [0, 1). With 0.999 the average covers about the last 1,000 steps.

    Returns:
      A learner with the same metrics, whose `evaluate` uses the average.

    Raises:
      InputError: a decay out of range, a sweep, or (in `init`) a learner with an average.

    Source: Polyak and Juditsky (1992), Acceleration of stochastic approximation by averaging.

    Example:
      >>> import jaxdl, optax
      >>> data, _ = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> net = with_ema(jaxdl.learner(task.init, *task.updates(optax.sgd(0.1))), 0.99)
      >>> sorted(jaxdl.train(net, data, key=jaxdl.root(0), steps=2).wrapped)
      ['ema']
    """
    in_range("decay", decay, 0, 1)
    _refuse_sweep(learner)

    def init(key: Key[Array, ""], batch: Batch) -> State:
        state = learner.init(key, batch)
        if "ema" in state.wrapped:
            raise InputError("learner", "with_ema(...)", "a learner without an average")
        return _wrap(state, "ema", jax.tree.map(jnp.copy, state.params))

    def step(state: State, batch: Batch, key: Key[Array, ""]) -> tuple[State, Metrics]:
        average, state = _unwrap(state, "ema")
        state, metrics = learner.step(state, batch, key)
        t = state.step.astype(jnp.float32)
        d = jnp.minimum(decay, (1 + t) / (10 + t))
        average = jax.tree.map(
            lambda a, w: (a + (1 - d) * (w - a)).astype(w.dtype), average, state.params
        )
        return _wrap(state, "ema", average), metrics

    return Learner(init, step, learner.evaluate)


#: Default maximum number of consecutive steps that `skip_nonfinite` skips.
MAX_CONSECUTIVE_SKIPS = 100


def skip_nonfinite(learner: Learner, max_consecutive: int = MAX_CONSECUTIVE_SKIPS) -> Learner:
    """Wraps a learner to skip each step whose result is not finite.

        state_{t+1} = step(state_t)   if all of its numbers and its metrics are finite
        state_{t+1} = state_t         otherwise, with t <- t + 1

    A skipped step counts as a step, also in the order of the data, but its metrics do not count.
    The number of skipped steps is `state.wrapped["skipped"]["steps"]`. Infinities in the state of
    the optimizer are allowed, because some optimizers use them on purpose; a NaN is not.

    After `max_consecutive` skipped steps in a row a single bad batch cannot be the cause. From then
    on steps are taken even if they are not finite, and `train` ends with `NonFinite`.

    Args:
      learner: any learner except a sweep. Apply other wrappers first.
      max_consecutive: maximum number of consecutive skipped steps, at least 1.

    Returns:
      A learner with one more metric, `skipped`, the fraction of skipped steps. If all steps
      between two records of a log are skipped, the other metrics are NaN there: they are averages
      over no steps.

    Raises:
      InputError: a `max_consecutive` below 1, a sweep, or (in `init`) a learner that skips already.

    Example:
      >>> import jaxdl, optax
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> net = skip_nonfinite(jaxdl.learner(task.init, *task.updates(optax.sgd(0.1))))
      >>> batch = {"input": jnp.ones((4, 8, 8, 1)), "label": jnp.arange(4)}
      >>> key = jaxdl.root(0)
      >>> before = net.init(key, batch)
      >>> after, metrics = net.step(before, batch | {"input": batch["input"] * jnp.nan}, key)
      >>> int(after.step), int(after.wrapped["skipped"]["steps"]), float(metrics["skipped"][0])
      (1, 1, 1.0)
    """
    at_least("max_consecutive", max_consecutive, 1)
    _refuse_sweep(learner)

    def init(key: Key[Array, ""], batch: Batch) -> State:
        state = learner.init(key, batch)
        if "skipped" in state.wrapped:
            raise InputError("learner", "skip_nonfinite(...)", "a learner that skips no steps")
        counts = {"steps": jnp.zeros((), jnp.int32), "in_a_row": jnp.zeros((), jnp.int32)}
        return _wrap(state, "skipped", counts)

    def step(state: State, batch: Batch, key: Key[Array, ""]) -> tuple[State, Metrics]:
        counts, before = _unwrap(state, "skipped")
        after, metrics = learner.step(before, batch, key)
        tests = jax.tree.leaves(finite(after))
        tests += jax.tree.leaves(jax.tree.map(all_finite, metrics))
        is_finite = jnp.stack(tests).all()
        taken = is_finite | (counts["in_a_row"] >= max_consecutive)
        after = jax.tree.map(
            lambda new, old: jnp.where(taken, new, old), after, before.replace(step=after.step)
        )
        metrics = jax.tree.map(lambda x: jnp.where(taken, x, jnp.zeros_like(x)), metrics)
        skipped = (~taken).astype(jnp.int32)
        counts = {
            "steps": counts["steps"] + skipped,
            "in_a_row": jnp.where(is_finite, 0, counts["in_a_row"] + 1),
        }
        metrics["skipped"] = skipped.astype(jnp.float32), jnp.ones(())
        return _wrap(after, "skipped", counts), metrics

    return Learner(init, step, learner.evaluate)


def sweep(make: Callable[..., Learner], **values: Sequence[float]) -> Sweep:
    """Creates runs with different hyper-parameters, trained in one program.

    Run i is the learner that `make` returns for the i-th value of each name. It uses key i. `train`
    gives each run its own batches and distributes the runs over several devices.

    The values are inputs of the program. They are stored in `state.wrapped["sweep"]` and so in each
    checkpoint. Any number that the program computes with can be swept: learning rate, weight decay,
    label smoothing, or the rate of `jaxdl.nn.Dropout`. Numbers that determine shapes, such as a
    width, cannot. Apply other wrappers inside `make`.

    Args:
      make: `make(**numbers) -> Learner`, where the numbers are float32 scalars. It is also called
        once with the numbers of each run, to check them.
      **values: for each name, one number per run.

    Returns:
      A `Sweep`, whose states are `[N, ...]`. Pass N keys to `train`. With equal keys, such as
      `root([seed] * N)`, the runs differ in the values only.

    Raises:
      InputError: no values, names with different numbers of values, or an error of `make`.

    Example:
      >>> import jaxdl
      >>> data, _ = jaxdl.data.load("digits")
      >>> def make(learning_rate, dropout):
      ...     task = jaxdl.tasks.classify(jaxdl.models.MLP([32], dropout=dropout))
      ...     adam = jaxdl.optimizers.optimizer("adam", learning_rate)
      ...     return jaxdl.learner(task.init, *task.updates(adam))
      >>> net = sweep(make, learning_rate=[1e-4, 1e-2, 1e-2], dropout=[0.0, 0.0, 0.5])
      >>> states = jaxdl.train(net, data, key=jaxdl.root([0, 0, 0]), steps=100)
      >>> [float(a) > 0.8 for a in jaxdl.evaluate(net, states, data)["accuracy"]]
      [False, True, True]
    """
    for name, given in values.items():
        if np.ndim(given) != 1:
            raise InputError(name, given, "one number per run")
    runs = tuple((name, tuple(float(value) for value in given)) for name, given in values.items())
    counts = {name: len(given) for name, given in runs}
    if not counts or 0 in counts.values() or len(set(counts.values())) > 1:
        raise InputError(
            "values", counts, "the same number of values for every name, and at least one of each"
        )
    for i in range(len(runs[0][1])):
        _refuse_sweep(make(**{name: given[i] for name, given in runs}))

    def init(keys: Key[Array, " N"], batch: Batch) -> State:
        numbers = {name: jnp.asarray(given, jnp.float32) for name, given in runs}

        def init_run(run: tuple[Key[Array, ""], dict[str, Array]]) -> State:
            return _wrap(make(**run[1]).init(run[0], batch), "sweep", run[1])

        return jax.lax.map(init_run, (keys, numbers))

    def step(state: State, batch: Batch, key: Key[Array, ""]) -> tuple[State, Metrics]:
        numbers, state = _unwrap(state, "sweep")
        state, metrics = make(**numbers).step(state, batch, key)
        return _wrap(state, "sweep", numbers), metrics

    def evaluate(state: State, batch: Batch, key: Key[Array, ""]) -> Metrics:
        numbers, state = _unwrap(state, "sweep")
        return make(**numbers).evaluate(state, batch, key)

    return Sweep(init, step, evaluate, runs)


def accumulate(update: Update, n: int) -> Update:
    """Wraps an update to accumulate its gradient over `n` parts of the batch.

        g = sum_i c_i grad L(part i) / sum_i c_i,   c_i = the count of the loss in part i

    The parts are computed one after the other, so activations need 1/n of the memory. The
    optimizer is called once per step, so schedules are unaffected. The gradient is that of the
    whole batch, masked or not. BatchNorm normalizes each part separately.

    This function wraps an update and not a learner, because only an update has a gradient.

    Args:
      update: any update.
      n: number of parts, at least 1. It must divide the batch size.

    Returns:
      An update with the same metrics.

    Raises:
      InputError: `n < 1`, no `Update`, or (while tracing) a batch size that `n` does not divide.

    Example:
      >>> import jaxdl, optax
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> net = jaxdl.learner(task.init, accumulate(*task.updates(optax.sgd(0.1)), 4))
    """
    at_least("n", n, 1)
    of_kind("update", update, Update, "an Update, such as that of task.updates(optax.adam(1e-3))")
    return update._replace(loss=Accumulated(update, n))


@dataclasses.dataclass(frozen=True, eq=False)
class Accumulated:
    """The loss of `accumulate`.

    Attributes:
      update: the wrapped update.
      n: number of parts.
    """

    update: Update
    n: int

    def __call__(
        self, params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool
    ) -> tuple[Metric, tuple[Any, Metrics]]:
        update = self.update
        if not train or self.n == 1:
            return update.loss(params, extra, batch, key, train=train)
        (added,) = objective_names((update,))
        changed = trained(params, None, update.frozen)
        constant = jax.lax.stop_gradient(params)
        fixed = trained(constant, None, update.frozen)

        def part(carry, inputs):
            extra, grads = carry
            i, batch = inputs

            def objective(p):
                p = with_trained(constant, None, update.frozen, p)
                part_key = jax.random.fold_in(key, i)
                name, *aux = call_loss(update, added, p, extra, batch, part_key, train=True)
                names.append(name)
                return mean(aux[1][name]), aux

            (_, (extra, metrics)), grad = jax.value_and_grad(objective, has_aux=True)(fixed)
            count = metrics[names[0]][1]
            grads = jax.tree.map(lambda a, b: a + count.astype(b.dtype) * b, grads, grad)
            return (extra, grads), metrics

        names: list[str] = []
        start = extra, jax.tree.map(jnp.zeros_like, fixed)
        inputs = jnp.arange(self.n), _parts(batch, self.n)
        (extra, grads), metrics = jax.lax.scan(part, start, inputs)
        metrics = jax.tree.map(lambda m: m.sum(0, dtype=m.dtype), metrics)
        total, count = metrics[names[0]]
        # The learner differentiates this loss. The terms below add 0 to its sum and are linear in
        # the parameters, with the accumulated gradient as slope, so it gets that gradient.
        slopes = jax.tree.map(lambda g, p, f: (g * (p - f)).sum(), grads, changed, fixed)
        total = total + sum(x.astype(total.dtype) for x in jax.tree.leaves(slopes))
        metrics[names[0]] = total, count
        return metrics[names[0]], (extra, metrics)


def _wrap(state: State, name: str, arrays: Any) -> State:
    """Returns the state with the arrays of a wrapper."""
    return state.replace(wrapped={**state.wrapped, name: arrays})


def _unwrap(state: State, name: str) -> tuple[Any, State]:
    """Returns the arrays of a wrapper, and the state without them."""
    wrapped = dict(state.wrapped)
    arrays = wrapped.pop(name)
    return arrays, state.replace(wrapped=wrapped)


def _refuse_sweep(learner: Any) -> None:
    """Raises for a sweep, whose runs are wrapped one by one."""
    if isinstance(learner, Sweep):
        raise InputError(
            "learner",
            "sweep(...)",
            "a learner that is not a sweep; wrap the learner inside of `make` instead",
        )


def _parts(batch: Batch, n: int) -> Batch:
    """Reshapes `[B, ...]` to `[n, B / n, ...]` with a stride of n.

    With this order the rows of a batch that is divided over devices stay on their devices.
    """
    size = next(iter(batch.values())).shape[0]
    if size % n:
        raise InputError("n", n, f"a divisor of the batch size {size}")
    return {
        name: jnp.moveaxis(x.reshape(size // n, n, *x.shape[1:]), 1, 0) for name, x in batch.items()
    }
