"""Optimizers and schedules by name, built from Optax.

The learning rate in the metrics of a learner is the rate that the optimizer used.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array

from jaxdl.errors import InputError, at_least, in_range, is_traced, is_zero, of_kind, one_of
from jaxdl.layer_names import check_name, is_inside, named_leaves, path_name
from jaxdl.optimizer_states import schedule_free


def optimizer(
    name: str,
    learning_rate: float | optax.Schedule,
    *,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    l1: float = 0.0,
    clip: float = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Creates an Optax optimizer with the usual regularizers, by its name.

        g' = min(1, clip / ||g||) g + l1 sign(w)

        L2 regularization (sgd momentum nesterov rmsprop adagrad adadelta adam nadam):
        w <- w - r(t) f(g' + weight_decay w)

        decoupled weight decay (adamw lion muon schedule_free):
        w <- w - r(t) (f(g') + weight_decay w)

    Here f is the rule of the optimizer. `weight_decay` and `l1` apply to arrays with two or more
    axes only, so biases and scales are not regularized. `clip` limits the norm of the whole
    gradient. All constants that are not arguments have Optax's default values.

    Three optimizers have other constants in other libraries (docs/conventions.md). Those are
    transformations of Optax, which may replace the result of this function:

        rmsprop    here         decay 0.9, g / sqrt(v + 1e-8)
                   PyTorch      optax.rmsprop(r, decay=0.99, eps_in_sqrt=False)
                   Keras        optax.rmsprop(r, eps=1e-7)
        adagrad    here, Keras  the sum of squares begins with 0.1; epsilon 1e-7
                   PyTorch      optax.adagrad(r, initial_accumulator_value=0.0, eps=0.0), up to its
                                epsilon of 1e-10
        adadelta   here         decay 0.9, epsilon 1e-6, as PyTorch
                   Keras        optax.adadelta(r, rho=0.95, eps=1e-7)

    `muon` orthogonalizes the updates of arrays with two or more axes, and uses Adam for the others.
    It treats an array as a matrix [all axes but the last, last axis], which is how a convolution
    uses its kernel. Its updates are scaled to the size of Adam's (0.2), so one learning rate suits
    both.

    `schedule_free` is Adam without a schedule. Use it with a constant learning rate, with or
    without warm-up, and evaluate `jaxdl.inference(state)`.

    Args:
      name: one of `OPTIMIZERS`.
      learning_rate: r, above 0, or a function of the number of updates: a result of `schedule` or
        a schedule of Optax.
      momentum: decay of the running mean of gradients, in [0, 1). It applies to momentum and
        nesterov, and is b1 of adam, adamw, nadam, lion and schedule_free. schedule_free needs a
        value above 0. muon always uses 0.95. The other optimizers have no momentum.
      weight_decay: at least 0.
      l1: at least 0.
      clip: the largest norm of the gradient. 0 means no limit.

    Returns:
      An Optax transformation. After an update, `hyperparams["learning_rate"]` of its state is the
      rate that the update used. A learner reports it as the metric `learning_rate`.

    Raises:
      InputError: an unknown name, or a number out of range.

    Source: decoupled decay: Loshchilov and Hutter (2019); lion: Chen et al. (2023); muon: Jordan
      (2024), scaled as in Liu et al. (2025); schedule_free: Defazio et al. (2024).

    Example:
      >>> sgd = optimizer("momentum", 0.5, weight_decay=1e-4, clip=1.0)
      >>> params = {"w": jnp.ones(2)}
      >>> updates, state = sgd.update({"w": jnp.array([3.0, 4.0])}, sgd.init(params), params)
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
        parts: list[optax.GradientTransformation] = []
        if not is_zero(clip):
            parts.append(optax.clip_by_global_norm(_max_norm(clip)))
        if not is_zero(l1):
            parts.append(_add_l1(l1))
        if name in _DECOUPLED:
            return optax.chain(*parts, _DECOUPLED[name](learning_rate, momentum, weight_decay))
        if not is_zero(weight_decay):
            parts.append(optax.add_decayed_weights(weight_decay, _kernels))
        return optax.chain(*parts, _COUPLED[name](learning_rate, momentum))

    made = optax.inject_hyperparams(build)(learning_rate=learning_rate)
    return optax.GradientTransformationExtraArgs(_promoting(made.init), _promoting(made.update))


def schedule(name: str, learning_rate: float, steps: int, *, warmup: float = 0.0) -> optax.Schedule:
    """Creates a learning rate schedule, a function of the number of updates, by its name.

        warm-up       r(t) = r (t + 1) / (n + 1)   for t < n = warmup steps

        then, with s = (t - n) / (steps - n) in [0, 1]:

        constant      r
        step          r;   r / 10 from s = 1/2;   r / 100 from s = 3/4
        exponential   r 0.01^s
        cosine        r (1 + cos(pi s)) / 2
        polynomial    r (1 - s)^2

    `warmup_cosine` is `cosine` with a default warm-up of a tenth of the steps. `one_cycle` rises by
    a cosine from r / 25 to r, by default in three tenths of the steps. Then it falls by a cosine to
    4e-6 r. After the last step every rate stays constant.

    The constants of `one_cycle` are those of PyTorch, where momentum also changes, which it does
    not here. fastai rises in a quarter of the steps and falls to 1e-5 r. If you need other
    constants, pass a schedule of Optax to `optimizer`, such as
    `optax.cosine_onecycle_schedule(steps, r, pct_start=0.25, final_div_factor=4e3)`.

    Args:
      name: one of `SCHEDULES`.
      learning_rate: peak learning rate r, above 0.
      steps: total number of updates, warm-up included, at least 1.
      warmup: fraction of the steps in which the rate rises, in [0, 1). 0 means the default of the
        schedule.

    Returns:
      `rate(step) -> float32 scalar`, for an int32 scalar or a Python integer.

    Raises:
      InputError: an unknown name, or a number out of range.

    Source: cosine: Loshchilov and Hutter (2017), SGDR; one_cycle: Smith and Topin (2018),
      Super-convergence.

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


def by_layer(
    optimizers: Mapping[str, optax.GradientTransformation], default: optax.GradientTransformation
) -> optax.GradientTransformationExtraArgs:
    """Creates an optimizer with another optimizer, or learning rate, for some layers.

        w_i <- w_i + f_i(g_i)    with the optimizer f_i of the layer

    It is `optax.partition` with the names of layers. Each optimizer has only the parameters of its
    layers, so `clip` of `optimizer` limits the norm of their gradient.

    Args:
      optimizers: an optimizer for each name of a layer, such as `conv_0` or `head/out`. A name
        stands for all layers inside of it. If several names fit, the longest one counts. In an
        update with `on`, names do not begin with that entry.
      default: optimizer of all other layers.

    Returns:
      An Optax transformation. A learner reports the metric `learning_rate` of the default, and one
      such as `conv_0_learning_rate` for each name.

    Raises:
      InputError: no names, or no optimizers. Raised by `init`: a name that no layer has, or a
        schedule-free optimizer, which averages all parameters.

    Source: Howard and Ruder (2018), Universal language model fine-tuning for text classification.

    Example:
      >>> made = by_layer({"conv_0": optimizer("sgd", 0.01)}, optimizer("sgd", 0.5))
      >>> params = {"conv_0": {"bias": jnp.zeros(1)}, "head": {"bias": jnp.zeros(1)}}
      >>> updates, _ = made.update(jax.tree.map(jnp.ones_like, params), made.init(params), params)
      >>> [round(float(each["bias"][0]), 3) for each in updates.values()]
      [-0.01, -0.5]
    """
    allowed = 'a dictionary such as {"conv_0": optax.adam(1e-4)}'
    of_kind("optimizers", optimizers, Mapping, allowed)
    if not optimizers or not all(isinstance(name, str) for name in optimizers):
        raise InputError("optimizers", list(optimizers), allowed)
    for name, each in {"default": default, **optimizers}.items():
        if not all(hasattr(each, part) for part in ("init", "update")):
            shown = getattr(each, "__name__", each)
            raise InputError(name, shown, "a transformation, as optax.adam(1e-3)")

    def layer_of(path: Any, _: Array) -> str:
        array = path_name(path)
        return max((name for name in optimizers if is_inside(array, name)), key=len, default="")

    def layers(params: Any) -> Any:
        return jax.tree_util.tree_map_with_path(layer_of, params)

    made = optax.partition({**optimizers, "": default}, layers)

    def init(params: Any) -> Any:
        arrays = list(named_leaves(params))
        for name in optimizers:
            check_name("by_layer", name, arrays)
        state = made.init(params)
        if schedule_free(state):
            raise InputError(
                "by_layer", "a schedule-free optimizer", "others; it averages all parameters"
            )
        return state

    return optax.GradientTransformationExtraArgs(init, made.update)


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
    # The average of the iterates has the role of the momentum, so Adam has none.
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

#: Default fraction of the steps in which the rate rises, if it is not 0.
_RISE = {"warmup_cosine": 0.1, "one_cycle": 0.3}

#: Names of all optimizers.
OPTIMIZERS = (*_COUPLED, *_DECOUPLED)

#: Names of all schedules.
SCHEDULES = (*_FALL, "one_cycle")


def _schedule(name: str, rate: float, steps: int, warmup: float) -> optax.Schedule:
    if name == "one_cycle":
        return optax.cosine_onecycle_schedule(steps, rate, warmup)
    n = min(round(warmup * steps), steps - 1)
    fall = _FALL[name](rate, steps - n)
    if n == 0:
        return fall
    return optax.join_schedules([optax.linear_schedule(rate / (n + 1), rate, n), fall], [n])


def _promoting(function: Callable[..., Any]) -> Callable[..., Any]:
    """Allows dtype promotion in a function, because Optax mixes integer counts and floats."""

    def run(*args: Any, **kwargs: Any) -> Any:
        with jax.numpy_dtype_promotion("standard"):
            return function(*args, **kwargs)

    return run


def _check_rate(rate: float) -> None:
    if not is_traced(rate) and not 0 < rate < math.inf:
        raise InputError("learning_rate", rate, "a finite number above 0")


def _max_norm(clip: Any) -> Any:
    """Returns the largest norm of a gradient, where a traced 0 means no limit."""
    if not is_traced(clip):
        return clip
    return jnp.where(clip > 0, clip, jnp.inf)


def _add_l1(strength: float) -> optax.GradientTransformation:
    def add(g: Array, w: Array) -> Array:
        if w.ndim < 2:
            return g
        return g + strength * jnp.sign(w)

    return optax.stateless(lambda grads, params: jax.tree.map(add, grads, params))


def _kernels(params: Any) -> Any:
    """Returns the mask of the arrays that are regularized: those with two or more axes."""
    return jax.tree.map(lambda w: w.ndim >= 2, params)


def _matrices(params: Any) -> Any:
    """Returns how Muon treats each array: the axes of its matrix, or None to use Adam."""

    def axes(w: Array) -> optax.contrib.MuonDimensionNumbers | None:
        if w.ndim < 2:
            return None
        return optax.contrib.MuonDimensionNumbers(tuple(range(w.ndim - 1)), w.ndim - 1)

    return jax.tree.map(axes, params)
