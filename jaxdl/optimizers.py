"""Optimizers and schedules by name, from Optax; what is logged as learning rate is what was used."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array

from jaxdl.errors import InputError, at_least, in_range, is_traced, is_zero, one_of


def optimizer(
    name: str,
    learning_rate: float | optax.Schedule,
    *,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    l1: float = 0.0,
    clip: float = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """An Optax optimizer with the usual regularizers, by its name.

        g' = min(1, clip / ||g||) g + l1 sign(w) + weight_decay w       (sgd momentum nesterov rmsprop
        w <- w - r(t) f(g')                                              adagrad adadelta adam nadam)

        g' = min(1, clip / ||g||) g + l1 sign(w)
        w <- w - r(t) (f(g') + weight_decay w)                          (adamw lion muon schedule_free)

    The first is L2 regularization, the second decoupled weight decay. Biases and scales, all arrays with
    fewer than two axes, are neither decayed nor drawn to zero by `l1`; `clip` is by the norm of the
    whole gradient. Constants not named here are Optax's own.

    `muon` orthogonalizes every array with two axes or more as a matrix [all but the last, last], which is
    how a convolution uses its kernel, and leaves the others to Adam; its steps are scaled to Adam's size
    (0.2), so one learning rate suits both. `schedule_free` is Adam without a schedule; evaluate it with
    `jaxdl.inference(state)`, and give it a constant rate, with warm-up or without.

    Args:
      name: one of `OPTIMIZERS`.
      learning_rate: r, above 0, or a schedule of the update count: `schedule`'s or Optax's.
      momentum: in [0, 1), the decay of the running mean of gradients: of momentum, nesterov, and as b1 of
        adam, adamw, nadam, lion and schedule_free (there above 0). muon keeps 0.95; the others have none.
      weight_decay: at least 0.
      l1: at least 0.
      clip: the largest norm of the gradient; 0: any.

    Returns:
      An Optax transformation. Its state has `hyperparams["learning_rate"]`: after an update, the rate which
      that update used; a learner reports it as the metric `learning_rate`.

    Raises:
      InputError: an unknown name, or a number outside what is said above.

    Source: decoupled decay: Loshchilov and Hutter (2019); lion: Chen et al. (2023); muon: Jordan (2024),
      scaled as in Liu et al. (2025); schedule_free: Defazio et al. (2024).

    Example:
      >>> made = optimizer("momentum", 0.5, weight_decay=1e-4, clip=1.0)
      >>> params = {"w": jnp.ones(2)}
      >>> updates, state = made.update({"w": jnp.array([3.0, 4.0])}, made.init(params), params)
      >>> [round(float(u), 4) for u in updates["w"]], float(state.hyperparams["learning_rate"])
      ([-0.3, -0.4], 0.5)
    """
    one_of("optimizer", name, OPTIMIZERS)
    if not callable(learning_rate):
        _check_rate(learning_rate)
    in_range("momentum", momentum, 0, 1)
    if name == "schedule_free" and is_zero(momentum):
        raise InputError(
            "momentum", momentum, "a number in (0, 1) with schedule_free, which divides by it"
        )
    for field, value in {"weight_decay": weight_decay, "l1": l1, "clip": clip}.items():
        in_range(field, value, 0, math.inf)

    def build(learning_rate: Any) -> optax.GradientTransformation:
        # 0 is no limit, also where it is known only when the program runs.
        limit = jnp.where(clip > 0, clip, jnp.inf) if is_traced(clip) else clip
        parts = [optax.clip_by_global_norm(limit)] if not is_zero(clip) else []
        parts += [_add_l1(l1)] if not is_zero(l1) else []
        if name in _DECOUPLED:
            return optax.chain(*parts, _DECOUPLED[name](learning_rate, momentum, weight_decay))
        parts += (
            [optax.add_decayed_weights(weight_decay, _kernels)] if not is_zero(weight_decay) else []
        )
        return optax.chain(*parts, _COUPLED[name](learning_rate, momentum))

    made = optax.inject_hyperparams(build)(learning_rate=learning_rate)
    return optax.GradientTransformationExtraArgs(_promoting(made.init), _promoting(made.update))


def schedule(name: str, learning_rate: float, steps: int, *, warmup: float = 0.0) -> optax.Schedule:
    """A learning rate as a function of the updates done, by its name.

        r(t) = r (t + 1) / (n + 1) for t < n, the warm-up; then, with s = (t - n) / (steps - n) in [0, 1]:

        constant      r                                  exponential   r 0.01^s
        step          r, r / 10 from s = 1/2 on,         cosine        r (1 + cos(pi s)) / 2
                      r / 100 from s = 3/4 on            polynomial    r (1 - s)^2

    `warmup_cosine` is `cosine` after a warm-up of a tenth of the steps. `one_cycle` rises by a cosine from r / 25
    to r in three tenths of the steps, and falls by a cosine to 4e-6 r. After the last step the rate stays.
    For other constants give `optimizer` a schedule of Optax's.

    Args:
      name: one of `SCHEDULES`.
      learning_rate: r, above 0, the largest rate.
      steps: at least 1, updates in all, warm-up included.
      warmup: in [0, 1), the share of the steps in which the rate rises; 0: what the name says.

    Returns:
      `rate(step) -> float32 scalar`, of an int32 scalar or a Python integer.

    Raises:
      InputError: an unknown name, or a number outside what is said above.

    Source: cosine: Loshchilov and Hutter (2017), SGDR; one_cycle: Smith and Topin (2018), Super-convergence.

    Example:
      >>> rate = schedule("cosine", 0.1, 10, warmup=0.2)
      >>> [round(float(rate(t)), 4) for t in (0, 1, 2, 6, 10)]
      [0.0333, 0.0667, 0.1, 0.05, 0.0]
    """
    one_of("schedule", name, SCHEDULES)
    _check_rate(learning_rate)
    at_least("steps", steps, 1)
    in_range("warmup", warmup, 0, 1)
    made = _schedule(name, learning_rate, steps, warmup or _RISE.get(name, 0.0))
    return _promoting(lambda step: jnp.asarray(made(step), jnp.float32))


_COUPLED: dict[str, Callable[[Any, float], optax.GradientTransformation]] = {
    "sgd": lambda rate, momentum: optax.sgd(rate),
    "momentum": lambda rate, momentum: optax.sgd(rate, momentum),
    "nesterov": lambda rate, momentum: optax.sgd(rate, momentum, nesterov=True),
    "rmsprop": lambda rate, momentum: optax.rmsprop(rate),
    "adagrad": lambda rate, momentum: optax.adagrad(rate),
    "adadelta": lambda rate, momentum: optax.adadelta(rate),
    "adam": lambda rate, momentum: optax.adam(rate, momentum),
    "nadam": lambda rate, momentum: optax.nadam(rate, momentum),
}

_DECOUPLED: dict[str, Callable[[Any, float, float], optax.GradientTransformation]] = {
    "adamw": lambda rate, momentum, decay: optax.adamw(
        rate, momentum, weight_decay=decay, mask=_kernels
    ),
    "lion": lambda rate, momentum, decay: optax.lion(
        rate, momentum, weight_decay=decay, mask=_kernels
    ),
    "muon": lambda rate, momentum, decay: optax.contrib.muon(
        rate, weight_decay=decay, consistent_rms=0.2, muon_weight_dimension_numbers=_matrices
    ),
    # The average of iterates is the momentum here, so Adam itself has none.
    "schedule_free": lambda rate, momentum, decay: optax.contrib.schedule_free(
        optax.adamw(rate, 0.0, weight_decay=decay, mask=_kernels), rate, momentum
    ),
}

_FALL: dict[str, Callable[[float, int], optax.Schedule]] = {
    "constant": lambda rate, steps: optax.constant_schedule(rate),
    "step": lambda rate, steps: optax.piecewise_constant_schedule(
        rate, {math.ceil(steps / 2): 0.1, math.ceil(3 * steps / 4): 0.1}
    ),
    "exponential": lambda rate, steps: optax.exponential_decay(
        rate, steps, 0.01, end_value=0.01 * rate
    ),
    "cosine": lambda rate, steps: optax.cosine_decay_schedule(rate, steps),
    "warmup_cosine": lambda rate, steps: optax.cosine_decay_schedule(rate, steps),
    "polynomial": lambda rate, steps: optax.polynomial_schedule(rate, 0.0, 2.0, steps),
}

#: The share of the steps in which the rate rises, for the names that have one of their own.
_RISE = {"warmup_cosine": 0.1, "one_cycle": 0.3}

#: The names that `optimizer` knows.
OPTIMIZERS = (*_COUPLED, *_DECOUPLED)

#: The names that `schedule` knows.
SCHEDULES = (*_FALL, "one_cycle")


def _schedule(name: str, rate: float, steps: int, warmup: float) -> optax.Schedule:
    if name == "one_cycle":
        return optax.cosine_onecycle_schedule(steps, rate, warmup)
    n = min(round(warmup * steps), steps - 1)
    fall = _FALL[name](rate, steps - n)
    return (
        optax.join_schedules([optax.linear_schedule(rate / (n + 1), rate, n), fall], [n])
        if n
        else fall
    )


def _promoting(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function where promotion is strict: Optax mixes integer counts and floats."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return function(*args, **kwargs)

    return run


def _check_rate(rate: float) -> None:
    if not is_traced(rate) and not 0 < rate < math.inf:
        raise InputError("learning_rate", rate, "a finite number above 0")


def _add_l1(strength: float) -> optax.GradientTransformation:
    def add(g: Array, w: Array) -> Array:
        return g + strength * jnp.sign(w) if w.ndim >= 2 else g

    return optax.stateless(lambda grads, params: jax.tree.map(add, grads, params))


def _kernels(params: Any) -> Any:
    return jax.tree.map(lambda w: w.ndim >= 2, params)


def _matrices(params: Any) -> Any:
    def axes(w: Array) -> optax.contrib.MuonDimensionNumbers | None:
        return (
            optax.contrib.MuonDimensionNumbers(tuple(range(w.ndim - 1)), w.ndim - 1)
            if w.ndim >= 2
            else None
        )

    return jax.tree.map(axes, params)
