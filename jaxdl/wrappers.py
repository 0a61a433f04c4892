"""Change a learner or an update by wrapping it; nothing is subclassed."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from jaxdl.core import Batch, Learner, State, Update
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.finite import all_finite, finite
from jaxdl.metrics import Metrics


def with_ema(learner: Learner, decay: float) -> Learner:
    """The same learner, evaluated with a moving average of its weights.

        a_t = d_t a_{t-1} + (1 - d_t) w_t,   d_t = min(decay, (1 + t) / (10 + t))

    The average lives in `state.extra["ema"]`; `inference(state)` puts it in the place of `params`.
    Running statistics (BatchNorm) stay those of the weights themselves. The growing d_t keeps the
    random initial weights from weighing on a short run.

    Args:
      learner: any learner.
      decay: in [0, 1); 0.999 averages over about the last 1,000 steps.

    Returns:
      A learner with the same metrics; `evaluate` uses the average.

    Raises:
      InputError: for another decay.

    Source: Polyak and Juditsky (1992), Acceleration of stochastic approximation by averaging.

    Example:
      >>> import jaxdl, optax
      >>> data, _ = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> net = with_ema(jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.sgd(0.1))), 0.99)
      >>> sorted(jaxdl.train(net, data, key=jaxdl.root(0), steps=2).extra)
      ['ema']
    """
    in_range("decay", decay, 0, 1)
    _plain(learner)

    def init(key: Key[Array, ""], batch: Batch) -> State:
        state = learner.init(key, batch)
        if "ema" in state.extra:
            raise InputError("learner", "with_ema(...)", "one that is not averaged yet")
        return state.replace(extra={**state.extra, "ema": jax.tree.map(jnp.copy, state.params)})

    def step(state: State, batch: Batch, key: Key[Array, ""]) -> tuple[State, Metrics]:
        extra = dict(state.extra)
        average = extra.pop("ema")
        state, metrics = learner.step(state.replace(extra=extra), batch, key)
        t = state.step.astype(jnp.float32)
        d = jnp.minimum(decay, (1 + t) / (10 + t))
        average = jax.tree.map(
            lambda a, w: (a + (1 - d) * (w - a)).astype(w.dtype), average, state.params
        )
        return state.replace(extra={**state.extra, "ema": average}), metrics

    return Learner(init, step, learner.evaluate)


#: Steps in a row that `skip_nonfinite` leaves out before it lets the numbers through.
SKIPPED_IN_A_ROW = 100


def skip_nonfinite(learner: Learner, most: int = SKIPPED_IN_A_ROW) -> Learner:
    """The same learner, whose step changes nothing where something would not be finite.

        state_{t+1} = step(state_t)  if all of its numbers and metrics are finite,  else state_t;   t <- t + 1

    Such a step counts as a step, in the order of the data too, and its metrics count for nothing. How many there were
    is `state.extra["skipped"]["steps"]`. After `most` in a row it is no accident: from then on the
    numbers go through as they are, and `train` ends with `NonFinite`. An optimizer may hold an infinity on purpose,
    never a NaN.

    Args:
      learner: any learner; other wrappers belong inside.
      most: steps in a row that are left out at most, at least 1.

    Returns:
      A learner with one more metric, `skipped`: the share of steps left out. Where all steps between two lines of a log
      were, the other metrics there are NaN: they are averages over none.

    Raises:
      InputError: for another `most`.

    Example:
      >>> import jaxdl, optax
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> net = skip_nonfinite(jaxdl.learner(task.init, jaxdl.Update(task.loss, optax.sgd(0.1))))
      >>> batch, key = {"input": jnp.ones((4, 8, 8, 1)), "label": jnp.arange(4)}, jaxdl.root(0)
      >>> before = net.init(key, batch)
      >>> after, metrics = net.step(before, batch | {"input": batch["input"] * jnp.nan}, key)
      >>> int(after.step), int(after.extra["skipped"]["steps"]), float(metrics["skipped"][0])
      (1, 1, 1.0)
    """
    at_least("most", most, 1)
    _plain(learner)

    def init(key: Key[Array, ""], batch: Batch) -> State:
        state = learner.init(key, batch)
        counts = {"steps": jnp.zeros((), jnp.int32), "in_a_row": jnp.zeros((), jnp.int32)}
        return state.replace(extra={**state.extra, "skipped": counts})

    def step(state: State, batch: Batch, key: Key[Array, ""]) -> tuple[State, Metrics]:
        extra = dict(state.extra)
        counts = extra.pop("skipped")
        before = state.replace(extra=extra)
        after, metrics = learner.step(before, batch, key)
        fine = jnp.stack(
            [*jax.tree.leaves(finite(after)), *jax.tree.leaves(jax.tree.map(all_finite, metrics))]
        ).all()
        taken = fine | (counts["in_a_row"] >= most)
        after = jax.tree.map(
            lambda new, old: jnp.where(taken, new, old), after, before.replace(step=after.step)
        )
        metrics = jax.tree.map(lambda x: jnp.where(taken, x, jnp.zeros_like(x)), metrics)
        left = (~taken).astype(jnp.int32)
        counts = {
            "steps": counts["steps"] + left,
            "in_a_row": jnp.where(fine, 0, counts["in_a_row"] + 1),
        }
        metrics["skipped"] = left.astype(jnp.float32), jnp.ones(())
        return after.replace(extra={**after.extra, "skipped": counts}), metrics

    def evaluate(state: State, batch: Batch, key: Key[Array, ""]) -> Metrics:
        extra = {name: x for name, x in state.extra.items() if name != "skipped"}
        return learner.evaluate(state.replace(extra=extra), batch, key)

    return Learner(init, step, evaluate)


def sweep(make: Callable[..., Learner], **values: Sequence[float]) -> Learner:
    """Runs that differ in their hyper-parameters, in one program.

    Run i is `make` with the i-th value of every name, driven by key i. `train` gives all runs their batches, on
    several devices side by side. A value is an input of the program, kept in `state.extra["sweep"]` and
    so with every checkpoint: learning rate, weight decay, label smoothing, the rate of `jaxdl.nn.Dropout`, any number
    that the program computes with; not one that decides shapes, such as a width. Other wrappers belong in `make`.

    Args:
      make: `make(**numbers) -> Learner`, of scalars float32; called once with each run's own, to have them checked.
      **values: by name, as many numbers as there are runs.

    Returns:
      A learner for `train(..., key=root([seed] * N))` with as many keys: equal ones, so that only the values
      differ, or others. Its states are `[N, ...]`.

    Raises:
      InputError: no values, not the same number of each, or what `make` raises.

    Example:
      >>> import jaxdl
      >>> data, _ = jaxdl.data.load("digits")
      >>> def make(learning_rate, dropout):
      ...     task = jaxdl.tasks.classify(jaxdl.models.MLP([32], dropout=dropout))
      ...     adam = jaxdl.optimizers.optimizer("adam", learning_rate)
      ...     return jaxdl.learner(task.init, jaxdl.Update(task.loss, adam))
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
            "values", counts, "the same number of values, at least one, for at least one name"
        )
    for i in range(len(runs[0][1])):
        _plain(make(**{name: given[i] for name, given in runs}))

    def init(key: Key[Array, ""], batch: Batch, run: Int[Array, ""] | int = 0) -> State:
        own = {name: jnp.asarray(given, jnp.float32)[run] for name, given in runs}
        state = make(**own).init(key, batch)
        return state.replace(extra={**state.extra, "sweep": own})

    def step(state: State, batch: Batch, key: Key[Array, ""]) -> tuple[State, Metrics]:
        net, own, state = opened(state)
        state, metrics = net.step(state, batch, key)
        return state.replace(extra={**state.extra, "sweep": own}), metrics

    def evaluate(state: State, batch: Batch, key: Key[Array, ""]) -> Metrics:
        net, _, state = opened(state)
        return net.evaluate(state, batch, key)

    def opened(state: State) -> tuple[Learner, dict[str, Array], State]:
        extra = dict(state.extra)
        own = extra.pop("sweep")
        return make(**own), own, state.replace(extra=extra)

    return Learner(init, step, evaluate, runs)


def accumulate(update: Update, n: int) -> Update:
    """The same update with its gradient summed over `n` parts of the batch, one after the other.

        g = sum_i c_i grad L(part i) / sum_i c_i,   c_i = examples that count in part i

    Memory for activations falls to 1/n; the optimizer sees one step, so schedules do not move. For
    a loss that is a (masked) mean over examples the gradient is the whole batch's. BatchNorm
    normalises each part by itself. It wraps an update, not a learner: only there is a gradient.

    Args:
      update: any update.
      n: parts, at least 1; must divide the batch size.

    Returns:
      An update with the same metrics.

    Raises:
      InputError: `n < 1`, or (while tracing) a batch that `n` does not divide.

    Example:
      >>> import jaxdl, optax
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> net = jaxdl.learner(task.init, accumulate(jaxdl.Update(task.loss, optax.sgd(0.1)), 4))
    """
    at_least("n", n, 1)

    def loss(params, extra, batch, key, *, train):
        if not train or n == 1:
            return update.loss(params, extra, batch, key, train=train)
        fixed = jax.lax.stop_gradient(params)

        def part(carry, inputs):
            extra, value, grads = carry
            i, batch = inputs

            def objective(p):
                return update.loss(p, extra, batch, jax.random.fold_in(key, i), train=True)

            (v, (extra, metrics)), g = jax.value_and_grad(objective, has_aux=True)(fixed)
            c = batch["mask"].sum().astype(v.dtype) if "mask" in batch else jnp.ones_like(v)
            carry = (
                extra,
                value + c * v,
                jax.tree.map(lambda a, b: a + c.astype(b.dtype) * b, grads, g),
            )
            return carry, (c, metrics)

        start = extra, jnp.zeros(()), jax.tree.map(jnp.zeros_like, fixed)
        (extra, value, grads), (counts, metrics) = jax.lax.scan(
            part, start, (jnp.arange(n), _parts(batch, n))
        )
        scale = 1 / jnp.maximum(counts.sum(), 1)
        # Linear in the parameters with the accumulated gradient as slope: what is outside
        # differentiates this loss and gets that gradient, whatever it is.
        slopes = jax.tree.map(
            lambda g, p, f: (g * scale.astype(g.dtype) * (p - f)).sum(), grads, params, fixed
        )
        value = value * scale + sum(jax.tree.leaves(slopes))
        return value, (extra, jax.tree.map(lambda m: m.sum(0), metrics))

    return update._replace(loss=loss)


def _plain(learner: Learner) -> None:
    """Raises for a sweep, whose `init` needs to know which run it is for."""
    if learner.runs:
        raise InputError(
            "learner", "sweep(...)", "a learner that is not swept: wrap what sweep's `make` returns"
        )


def _parts(batch: Batch, n: int) -> Batch:
    """`[B, ...] -> [n, B / n, ...]` by stride, so that a batch split over devices stays where it is."""
    size = next(iter(batch.values())).shape[0]
    if size % n:
        raise InputError("n", n, f"a divisor of the batch size {size}")
    return {
        name: jnp.moveaxis(x.reshape(size // n, n, *x.shape[1:]), 1, 0) for name, x in batch.items()
    }
