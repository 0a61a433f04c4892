"""A learning rate from one short training whose rate rises at every step."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Key

from jaxdl.core import Learner
from jaxdl.data.source import Source
from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.training import train
from jaxdl.training.strategies import Strategy
from jaxdl.training.writers import Memory
from jaxdl.wrappers import skip_nonfinite

#: Smallest number of points from which a rule suggests a rate.
FEWEST_POINTS = 4

#: The curve ends at the first loss above the loss of the first step times this factor.
DIVERGED = 4.0

#: Fraction of its whole fall that the curve has fallen where the rules begin to read it. Before it
#: the curve is level, and its noise would count.
FALL_BEGINS = 0.05

#: Fraction by which the smoothed loss must fall, else there is no suggestion.
LEAST_FALL = 0.01


class RateCurve(NamedTuple):
    """The losses of a training whose learning rate rises at every step.

    Attributes:
      rates: `[S]`, the learning rate of each step.
      losses: `[S]`, the loss of each step before its update; NaN from the first step that is not
        finite.
      smoothed: `[S]`, their running mean.
      used: number of points until the minimum, the last one that the rules read.
      rule: name of the rule.
      suggestion: the suggested rate; None if the loss never falls.

    Example: see `find_learning_rate`.
    """

    rates: Float[np.ndarray, " S"]
    losses: Float[np.ndarray, " S"]
    smoothed: Float[np.ndarray, " S"]
    used: int
    rule: str
    suggestion: float | None


def find_learning_rate(
    make: Callable[[optax.Schedule], Learner],
    data: Source,
    *,
    key: Key[Array, "*N"],
    batch_size: int = 128,
    low: float = 1e-6,
    high: float = 10.0,
    steps: int = 200,
    rule: str = "steepest",
    width: float = 0.04,
    metric: str = "loss",
    strategy: Strategy | None = None,
) -> RateCurve:
    """Trains once with a rising learning rate, and suggests a rate from the curve of its losses.

        r(t) = low (high / low)^(t / (S - 1)),    t = 0, ..., S - 1

    The training is one compiled program with a separate state. Steps that are not finite are
    skipped, and the curve ends at the first one. The rules read the smoothed curve from the
    beginning of its fall until its minimum.

    Args:
      make: `make(schedule) -> Learner`, whose optimizer has the schedule as its learning rate.
      data: the training set.
      key: the root key of a run. Of several keys `[N]`, the losses are averaged.
      batch_size: examples per step.
      low: rate of the first step, above 0.
      high: rate of the last step, above `low`.
      steps: S, number of steps, at least 10.
      rule: one of `RULES`.
      width: width of the running mean of the losses, as a fraction of the steps (`smooth`).
      metric: name of a metric that is small for good networks.
      strategy: the strategy; None means all devices.

    Returns:
      The curve, with the suggestion of the rule.

    Raises:
      InputError: a number out of range, an unknown rule or metric.

    Source: Smith (2017), Cyclical learning rates for training neural networks. The rule `valley` is
      that of fastai, `steepest` that of PyTorch Lightning on logarithms of the rates.

    Example:
      >>> import jaxdl
      >>> digits, _ = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([32]))
      >>> def make(rate):
      ...     adam = jaxdl.optimizers.optimizer("adam", rate)
      ...     return jaxdl.learner(task.init, *task.updates(adam))
      >>> curve = find_learning_rate(make, digits, key=jaxdl.root(0))
      >>> 1e-3 < curve.suggestion < 0.3
      True
    """
    one_of("rule", rule, RULES)
    if not 0 < low < high < math.inf:
        raise InputError("low and high", [low, high], "0 < low < high, such as 1e-6 and 10")
    at_least("steps", steps, 10)
    in_range("width", width, 0, 1)
    rates = rising_rates(low, high, steps)
    read: list[bool] = []
    net = skip_nonfinite(make(_schedule(rates, read)), steps)
    records = Memory()
    train(
        net,
        data,
        key=key,
        steps=steps,
        batch_size=batch_size,
        log_every=1,
        strategy=strategy,
        writers=[records],
    )
    if not read:
        allowed = "make(schedule), whose optimizer has the schedule as its learning rate"
        raise InputError("make", "a learner that ignores the schedule", allowed)
    losses = _losses(records, metric, steps)
    smoothed = smooth(losses, width)
    used = points_used(smoothed)
    return RateCurve(rates, losses, smoothed, used, rule, suggest(rates, smoothed, used, rule))


def rising_rates(low: float, high: float, steps: int) -> Float[np.ndarray, " S"]:
    """Returns rates that rise by the same factor from each step to the next.

    Example:
      >>> rising_rates(0.01, 1.0, 3).tolist()
      [0.01, 0.1, 1.0]
    """
    return np.geomspace(low, high, steps)


def smooth(losses: Float[np.ndarray, " S"], width: float) -> Float[np.ndarray, " S"]:
    """Computes a running mean with weights of a normal curve around each step.

        y_t = sum_s w_{t-s} x_s / sum_s w_{t-s},    w_d = exp(-d^2 / (2 (width S)^2))

    A mean of earlier steps alone would show the fall of the loss at rates that are too large. The
    curve ends at the first loss that is NaN, or above four times the first one: later values are
    NaN.

    Args:
      losses: `[S]`, the losses.
      width: standard deviation of the weights as a fraction of the steps, at least 0.

    Example:
      >>> smooth(np.array([3.0, 2.0, 1.0, np.nan]), 0.0).tolist()
      [3.0, 2.0, 1.0, nan]
    """
    losses = np.asarray(losses, np.float64)
    ended = ~(losses <= DIVERGED * abs(losses[0]))
    end = int(ended.argmax()) if ended.any() else len(losses)
    smoothed = np.full(len(losses), np.nan)
    steps = np.arange(end)
    distance = (steps[:, None] - steps) / max(width * len(losses), 1e-6)
    weights = np.exp(-(distance**2) / 2)
    smoothed[:end] = weights @ losses[:end] / weights.sum(1)
    return smoothed


def points_used(smoothed: Float[np.ndarray, " S"]) -> int:
    """Returns the number of points until the smallest one, which is the last that a rule reads.

    Example:
      >>> points_used(np.array([2.0, 1.0, 3.0, np.nan]))
      2
    """
    if np.isnan(smoothed).all():
        return 0
    return int(np.nanargmin(smoothed)) + 1


def suggest(
    rates: Float[np.ndarray, " S"], smoothed: Float[np.ndarray, " S"], used: int, rule: str
) -> float | None:
    """Returns the rate that a rule suggests, or None for a curve that never falls.

    Args:
      rates: `[S]`, the rates.
      smoothed: `[S]`, the smoothed losses.
      used: number of the first points that are read.
      rule: one of `RULES`.

    Example:
      >>> rates = rising_rates(1e-4, 1.0, 5)
      >>> round(suggest(rates, np.array([2.0, 1.99, 1.2, 0.7, 3.0]), 4, "steepest"), 6)
      0.01
      >>> suggest(rates, np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 5, "valley") is None
      True
    """
    one_of("rule", rule, RULES)
    if used < FEWEST_POINTS:
        return None
    losses = smoothed[:used]
    if losses[-1] > losses[0] - LEAST_FALL * abs(losses[0]):
        return None
    fallen = losses <= losses[0] - FALL_BEGINS * (losses[0] - losses[-1])
    fall = slice(int(fallen.argmax()), used)
    # Shorter falls have no middle.
    if used - fall.start < 3:
        return float(rates[fall.start])
    return float(RULES[rule](rates[fall], smoothed[fall]))


def valley(rates: Float[np.ndarray, " S"], losses: Float[np.ndarray, " S"]) -> float:
    """Returns the rate in the middle of the longest falling sequence of the losses.

    The longest falling subsequence of n losses that ends at point e begins, as counted by fastai,
    at s = e - n. The suggestion is the rate at s + floor((e - s) / 3) + floor((e - s) / 6).

    Example:
      >>> valley(rising_rates(1e-4, 1e3, 8), np.array([8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]))
      0.01
    """
    lengths = np.ones(len(losses), int)
    for i in range(1, len(losses)):
        before = lengths[:i][losses[:i] > losses[i]]
        lengths[i] = 1 + before.max(initial=0)
    end = int(lengths.argmax())
    start = end - int(lengths[end])
    third = (end - start) / 3
    return float(rates[start + int(third) + int(third / 2)])


def steepest(rates: Float[np.ndarray, " S"], losses: Float[np.ndarray, " S"]) -> float:
    """Returns the rate at which the loss falls fastest, by central differences over log rates.

    Example:
      >>> round(steepest(rising_rates(1e-4, 1.0, 5), np.array([2.0, 1.9, 1.5, 0.9, 3.0])), 6)
      0.01
    """
    slopes = np.gradient(losses, np.log(rates))
    return float(rates[slopes.argmin()])


#: The rules by name.
RULES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "valley": valley,
    "steepest": steepest,
}


def _schedule(rates: Float[np.ndarray, " S"], read: list[bool]) -> optax.Schedule:
    """Returns the rates as a schedule of the number of updates, which adds to `read` if called."""
    table = np.asarray(rates, np.float32)

    def rate(count: jax.typing.ArrayLike) -> Array:
        read.append(True)
        return jnp.asarray(table)[jnp.minimum(count, len(table) - 1)]

    return rate


def _losses(records: Memory, metric: str, steps: int) -> Float[np.ndarray, " S"]:
    """Returns the metric of each step, NaN from the first step that was skipped."""
    name = f"train/{metric}"
    found = {step: values for step, values in records.records if name in values}
    if not found:
        names = {
            each.removeprefix("train/")
            for _, values in records.records
            for each in values
            if each.startswith("train/") and each != "train/skipped"
        }
        one_of("metric", metric, sorted(names))
    losses = np.full(steps, np.nan)
    for step, values in found.items():
        losses[step - 1] = values[name]
    bad = np.flatnonzero(~np.isfinite(losses))
    if bad.size:
        losses[bad[0] :] = np.nan
    return losses
