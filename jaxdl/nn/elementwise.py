"""Elementwise layers: activations by name, PReLU, and a fast dropout.

The dropout needs half as many random bits as Linen's.
"""

import math
import re
from collections.abc import Callable, Sequence
from functools import partial
from numbers import Integral
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from flax.linen.initializers import Initializer
from jaxtyping import Array, Float

from jaxdl.errors import InputError, in_range, integers, is_zero, of_kind, one_of
from jaxdl.nn.activations import (
    gelu,
    gelu_tanh,
    hard_sigmoid,
    linear,
    piecewise_linear,
    selu,
    sign,
    silu,
    step,
    thresholded_relu,
)

Activation = Callable[[Float[Array, "*S"]], Float[Array, "*S"]]


class _Kind(NamedTuple):
    """An activation of the table.

    Attributes:
      function: `f(x, *numbers)`.
      numbers: the default numbers.
      is_monotonic: function of the numbers, see `is_monotonic`.
    """

    function: Callable[..., Array]
    numbers: tuple[float, ...] = ()
    is_monotonic: Callable[..., bool] = lambda *_: False


def _always(*_: float) -> bool:
    return True


def _not_negative(number: float, *_: float) -> bool:
    return number >= 0


_KINDS = {
    "step": _Kind(step),
    "sign": _Kind(sign),
    "linear": _Kind(linear, (), _always),
    "piecewise_linear": _Kind(piecewise_linear, (), _always),
    "sigmoid": _Kind(jax.nn.sigmoid),
    "tanh": _Kind(jax.nn.tanh),
    "relu": _Kind(jax.nn.relu, (), _always),
    "relu6": _Kind(jax.nn.relu6, (), _always),
    "leaky_relu": _Kind(jax.nn.leaky_relu, (0.01,), _not_negative),
    "thresholded_relu": _Kind(thresholded_relu, (1.0,), _not_negative),
    "elu": _Kind(jax.nn.elu, (1.0,)),
    "celu": _Kind(jax.nn.celu, (1.0,)),
    "selu": _Kind(selu, (1.6732632423543772, 1.0507009873554805)),
    "gelu": _Kind(gelu),
    "gelu_tanh": _Kind(gelu_tanh),
    "silu": _Kind(silu, (1.0,)),
    "swish": _Kind(silu, (1.0,)),
    "mish": _Kind(jax.nn.mish),
    "hard_sigmoid": _Kind(hard_sigmoid, (1 / 6, 0.5), _not_negative),
    "hard_swish": _Kind(jax.nn.hard_swish),
    "softplus": _Kind(jax.nn.softplus),
    "softsign": _Kind(jax.nn.soft_sign),
}


def activation(name: str) -> Activation:
    """Returns the activation called `name`.

    Numbers may follow in parentheses, such as `leaky_relu(0.2)`. Without them, the default ones
    apply.

    Args:
      name: step, sign, linear, piecewise_linear, sigmoid, tanh, relu, relu6, gelu, gelu_tanh, mish,
        hard_swish, softplus or softsign. The following have numbers: leaky_relu (slope 0.01),
        thresholded_relu (threshold 1), elu and celu (alpha 1), selu (alpha 1.673..., scale
        1.050...), silu or swish (beta 1), and hard_sigmoid (slope 1/6, offset 0.5).

    Returns:
      An elementwise function.

    Raises:
      InputError: an unknown name, for which the message has the nearest known one, or another
        count of numbers.

    Example:
      >>> activation("relu")(jnp.array([-1.0, 2.0])).tolist()
      [0.0, 2.0]
      >>> activation("leaky_relu(0.5)")(jnp.array([-1.0, 2.0])).tolist()
      [-0.5, 2.0]
    """
    kind, numbers = _parse(name)
    if not numbers:
        return kind.function
    return partial(_with_numbers, kind.function, numbers)


def activation_names() -> tuple[str, ...]:
    """Returns the names of all activations, see `activation`.

    Example:
      >>> "relu" in activation_names()
      True
    """
    return tuple(_KINDS)


def is_monotonic(name: str) -> bool:
    """Returns True if the activation may come after max pooling instead of before it.

    Then `max(f(x)) == f(max(x))` exactly, with the same gradient if all values differ. The computed
    values of tanh, elu and softplus are not monotonic, because of rounding. step and sign map
    different values to equal ones, which changes the gradient.

    Args:
      name: the name of an activation, see `activation`.

    Raises:
      InputError: as for `activation`.

    Example:
      >>> is_monotonic("relu"), is_monotonic("leaky_relu(-0.1)")
      (True, False)
    """
    kind, numbers = _parse(name)
    return kind.is_monotonic(*(numbers or kind.numbers))


def _parse(name: str) -> tuple[_Kind, tuple[float, ...]]:
    """Returns the kind of an activation, and the numbers in parentheses."""
    text = name if isinstance(name, str) else ""
    found = re.fullmatch(r"(\w+)\((.*)\)", text.strip())
    if found is None:
        return _KINDS[one_of("activation", name, _KINDS)], ()
    kind = _KINDS[one_of("activation", found[1], _KINDS)]
    try:
        numbers = tuple(map(float, found[2].split(",")))
    except ValueError:
        numbers = ()
    if not numbers or len(numbers) != len(kind.numbers) or not all(map(math.isfinite, numbers)):
        default = ",".join(f"{number:.6g}" for number in kind.numbers)
        allowed = f"{found[1]}({default}) with these or other finite numbers"
        if not kind.numbers:
            allowed = f"{found[1]}, which has no numbers"
        raise InputError("activation", name, allowed)
    if found[1] == "celu" and numbers[0] == 0:
        raise InputError("activation", name, "celu with another number than 0")
    return kind, numbers


def _with_numbers(
    function: Callable[..., Array], numbers: tuple[float, ...], x: Float[Array, "*S"]
) -> Float[Array, "*S"]:
    return function(x, *numbers)


class PReLU(nn.Module):
    """A leaky ReLU with a trained slope for each channel.

        y_c = x_c if x_c > 0 else a_c x_c

    Optimizers apply weight decay to arrays of two or more axes only, so not to slopes.

    Source: He et al. 2015, Delving deep into rectifiers.

    Attributes:
      shared: if True, one slope for all channels.
      dtype: dtype of the computation; None means that of input and parameters.
      param_dtype: dtype of the slopes.
      slope_init: initializer of `slope`, a, `[C]`, or `[1]` if shared. The default is 0.25, as in
        PyTorch.

    Raises:
      InputError: a field `shared` that is no bool, raised when the module is created. Raised by a
        call: an input of integers or without axes.

    Example:
      >>> x = jnp.array([[-4.0, 2.0]])
      >>> y, variables = PReLU().init_with_output(jax.random.key(0), x)
      >>> y.tolist(), variables["params"]["slope"].tolist()
      ([[-1.0, 2.0]], [0.25, 0.25])
    """

    shared: bool = False
    dtype: Any = None
    param_dtype: Any = jnp.float32
    slope_init: Initializer = nn.initializers.constant(0.25)

    def __post_init__(self) -> None:
        of_kind("shared", self.shared, bool, "True or False")
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "*B C"]) -> Float[Array, "*B C"]:
        """Applies the slopes of the channels, which are the last axis."""
        if not x.ndim or not jnp.issubdtype(x.dtype, jnp.floating):
            raise InputError("x", f"{x.dtype}{list(x.shape)}", "floats [..., C]")
        channels = 1 if self.shared else x.shape[-1]
        slope = self.param("slope", self.slope_init, (channels,), self.param_dtype)
        x, slope = promote_dtype(x, slope, dtype=self.dtype)
        return jnp.where(x > 0, x, x * slope.reshape(*[1] * (x.ndim - 1), channels))


# The rate is rounded to multiples of 1 / _LEVELS.
_LEVELS = 2**16


class Dropout(nn.Module):
    """Dropout with the distribution of `flax.linen.Dropout`.

        y = m x / (1 - p),    m = 1 with probability 1 - p, else 0

    It uses 16 random bits per number instead of 32. A Python number as rate is a constant of the
    program, and the rate 0 costs nothing. An array is an input of the program, so that the runs of
    one program can have different rates (`jaxdl.sweep`).

    Source: Srivastava et al. 2014, Dropout: a simple way to prevent neural networks from
    overfitting.

    Attributes:
      rate: p, in [0, 1), rounded to a multiple of 2^-16; a number or a scalar array.
      shared: axes along which all numbers share a mask, or one axis; `(1,)` gives the same mask at
        every step of a sequence `[B, T, D]`. Negative axes count from the end.

    Raises:
      InputError: a rate out of range, raised when the module is created. Raised by a call: an axis
        that the input lacks, or an input of integers.

    Example:
      >>> y = Dropout(0.25).apply({}, jnp.ones(10_000), True, rngs={"dropout": jax.random.key(0)})
      >>> sorted({round(float(v), 3) for v in y}), abs(float(y.mean()) - 1) < 0.02
      ([0.0, 1.333], True)
    """

    rate: float | Float[Array, ""]
    shared: int | Sequence[int] = ()

    def __post_init__(self) -> None:
        in_range("rate", self.rate, 0, 1)
        shared: Any = self.shared
        if isinstance(shared, Integral):
            shared = (shared,)
        self.shared = integers("shared", shared, None, "axes, such as (1,)", low=None)
        super().__post_init__()

    @nn.compact
    def __call__(self, x: Float[Array, "*N"], train: bool) -> Float[Array, "*N"]:
        """Sets random numbers of the input to 0 and scales up the others.

        Args:
          x: any shape, float.
          train: if True, applies dropout with the random stream "dropout"; else returns `x`.

        Returns:
          An array with the shape and dtype of `x`.

        Raises:
          InputError: an axis in `shared` that the input lacks, or an input of integers.
        """
        shared = _shared_axes(self.shared, x)
        if not train or is_zero(self.rate):
            return x
        keep_rate = 1 - jnp.asarray(self.rate, jnp.float32)
        levels = jnp.clip(jnp.round(keep_rate * _LEVELS), 1, _LEVELS)
        shape = tuple(1 if axis in shared else size for axis, size in enumerate(x.shape))
        *outer, width = shape or (1,)
        # Two numbers share 32 bits. Both belong to the same example, so a batch can be divided.
        bits = jax.random.bits(self.make_rng("dropout"), (*outer, -(-width // 2)), jnp.uint32)
        halves = jnp.concatenate([bits & (_LEVELS - 1), bits >> 16], -1)[..., :width]
        halves = jnp.broadcast_to(halves.reshape(shape), x.shape)
        scale = (_LEVELS / levels).astype(x.dtype)
        return jnp.where(halves < levels.astype(jnp.uint32), x * scale, jnp.zeros_like(x))


def _shared_axes(shared: Any, x: Array) -> set[int]:
    """Checks the input; returns the shared axes as numbers from 0."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError("x dtype", x.dtype.name, "floats, such as x.astype(jnp.float32)")
    for axis in shared:
        if not -x.ndim <= axis < x.ndim:
            raise InputError("shared", axis, f"an axis of the input {list(x.shape)}")
    return {axis % x.ndim for axis in shared}
