"""Deep dream: an image that is changed until it excites layers more, from small sizes to large."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int, Key, UInt8

from jaxdl.art.directions import direction, normalized
from jaxdl.art.octaves import check_image, join, octave_sizes, split
from jaxdl.art.sizes import check_maps, checked_maps, weights_of
from jaxdl.errors import InputError, at_least, in_range, not_in_jit, of_kind
from jaxdl.explain.layers import Layer, as_partial
from jaxdl.rng import check_single_key, fold, stream
from jaxdl.xla import convolution_options

#: Largest weight of a layer.
MAX_WEIGHT = 1e6

#: Most pixels of a random shift, which is a 32-bit integer.
MAX_SHIFT = 2**20


@dataclass(frozen=True)
class Dream:
    """Options of a deep dream.

    Attributes:
      layers: `{name: weight}` of the maps that grow, or names with a weight of 1. None means all
        maps that the function returns. It is stored as pairs.
      units: indices of units, of which the mean value grows; None means the squares of all units.
      octaves: number of sizes of the image.
      ratio: size of an octave relative to the one before it, above 1.
      steps: number of steps in each octave.
      step_size: root mean square of a step, in units of pixels in [0, 1].
      shift: largest random shift of the image in a step, in pixels.
      scales: number of scales into which the gradient is split and normalized, see `direction`. 0
        means the plain gradient, whose fine patterns prevail.
      coarse: share of a scale relative to that of the next finer one, above 0.
      decorrelate: if True, colors of three channels change as they vary in photographs.

    Raises:
      InputError: an invalid option.

    Example:
      >>> Dream({"conv_3": 1.0, "conv_4": 0.5}).layers
      (('conv_3', 1.0), ('conv_4', 0.5))
      >>> Dream(ratio=1.0)
      Traceback (most recent call last):
      jaxdl.errors.InputError: ratio: got 1.0, allowed: a number above 1, such as 1.4
    """

    layers: Any = None
    units: tuple[int, ...] | None = None
    octaves: int = 4
    ratio: float = 1.4
    steps: int = 20
    step_size: float = 0.01
    shift: int = 16
    scales: int = 4
    coarse: float = 0.8
    decorrelate: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", _pairs(self.layers))
        if self.units is not None:
            object.__setattr__(self, "units", _units(self.units))
        octave_sizes((1, 1), self.octaves, self.ratio)
        at_least("steps", self.steps, 0)
        in_range("step_size", self.step_size, 0, float("inf"))
        at_least("shift", self.shift, 0)
        in_range("shift", self.shift, 0, MAX_SHIFT)
        at_least("scales", self.scales, 0)
        in_range("scales", self.scales, 0, 16)
        in_range("coarse", self.coarse, 0, float("inf"))
        if self.coarse == 0:
            raise InputError("coarse", self.coarse, "a number above 0, such as 0.8")
        of_kind("decorrelate", self.decorrelate, bool, "True or False")


class Dreamed(NamedTuple):
    """A dream.

    Attributes:
      image: `[H, W, C]` in [0, 1].
      objective: `[K, S]`, the objective before each step of each octave, of the shifted image.
      before: `[K]`, the objective of each octave as it starts, not shifted.
      after: `[K]`, the objective of each octave after its last step.
      frames: for each octave `[S, h, w, C]`, the image after each step, in 0..255.

    Example: see `dream`.
    """

    image: Float[np.ndarray, "H W C"]
    objective: Float[np.ndarray, "K S"]
    before: Float[np.ndarray, " K"]
    after: Float[np.ndarray, " K"]
    frames: list[UInt8[np.ndarray, "S h w C"]]


def dream(
    f: Layer,
    image: Float[np.ndarray, "H W C"],
    key: Key[Array, ""],
    options: Dream | None = None,
) -> Dreamed:
    """Returns an image that excites layers more, by gradient ascent in several sizes.

        x <- clip(x + a d / rms(d), 0, 1),    d = direction(dL/dx),    L = objective(f, x)

    The smallest octave is changed first. Its change is enlarged and added to the next octave. So
    large patterns frame small ones, and the image keeps its own detail. In each step the image is
    shifted at random; pixels that leave it at one side enter at the other.

    Each size of an octave is compiled once, for all images, keys and weights of a network. No
    gradient of the weights is computed.

    Source: Mordvintsev, Olah and Tyka 2015, Inceptionism.

    Args:
      f: function `images [B, H, W, C] -> {name: maps [B, I, J, U]}`, such as
        `explain.activations(...)`.
      image: `[H, W, C]`, floats in [0, 1].
      key: root key of the shifts.
      options: options; None means `Dream()`.

    Returns:
      The dream. Its image is the given one, bit for bit, if there are no steps.

    Raises:
      InputError: a layer or unit that f does not have; an image or an octave below the stride of a
        layer; a gradient that is zero in every step, or not finite.

    Example:
      >>> from jaxdl.rng import root
      >>> image = np.random.default_rng(0).random((16, 16, 3), np.float32)
      >>> options = Dream(octaves=2, steps=5, shift=1)
      >>> dreamed = dream(lambda x: {"edges": x[:, 1:] - x[:, :-1]}, image, root(0), options)
      >>> dreamed.objective.shape, bool((dreamed.after > dreamed.before).all())
      ((2, 5), True)
    """
    not_in_jit("dream")
    check_single_key(key)
    of_kind("options", options, Dream | None, "art.Dream(...), or None")
    options = options or Dream()
    check_image(image)
    pixels = np.asarray(image, np.float32)
    sizes = octave_sizes(pixels.shape, options.octaves, options.ratio)
    weights = check_maps(f, pixels.shape, sizes, options.layers, options.units)
    change = np.zeros((1, 1, pixels.shape[2]), np.float32)
    parts = []
    octave_key = stream(key, "dream")
    for k, octave in enumerate(split(pixels, options.octaves, options.ratio)):
        found = _change(as_partial(f), octave, change, weights, fold(octave_key, k), options)
        _check_finite(found)
        parts.append(found)
        change = found.image - octave
    if options.steps and not any(each.is_live for each in parts):
        allowed = "layers that this image excites, such as those before an activation function"
        raise InputError("layers", "a gradient of zero in every step", allowed)
    before, after = np.array([each.ends for each in parts], np.float32).T
    return Dreamed(
        parts[-1].image,
        np.stack([each.values for each in parts]),
        before,
        after,
        [each.frames for each in parts],
    )


def objective(
    f: Layer, images: Float[Array, "B H W C"], options: Dream | None = None
) -> Float[Array, " B"]:
    """Returns the number that a dream increases, for each image; a pure function.

        L = sum_l w_l mean(h_l^2),    or with units    L = sum_l w_l mean(h_l[..., units])

    Means are over all positions and units.

    Args:
      f: see `dream`.
      images: `[B, H, W, C]`.
      options: of which `layers` and `units` are used.

    Returns:
      `[B]`.

    Raises:
      InputError: a layer or unit that f does not have.

    Example:
      >>> images = jnp.stack([jnp.full((4, 4, 1), 1.0), jnp.full((4, 4, 1), 3.0)])
      >>> objective(lambda x: {"a": x, "b": -x}, images, Dream({"a": 0.5, "b": 2.0})).tolist()
      [2.5, 22.5]
    """
    options = options or Dream()
    maps: Any = f(images)
    shapes = {name: each.shape for name, each in checked_maps(maps).items()}
    weights = weights_of(shapes, options.layers, options.units)
    return _objective(maps, weights, options.units)


def _objective(
    maps: Mapping[str, Float[Array, "B I J U"]],
    weights: Mapping[str, float | Float[Array, ""]],
    units: tuple[int, ...] | None,
) -> Float[Array, " B"]:
    total = jnp.zeros(len(next(iter(maps.values()))), jnp.float32)
    for name, weight in weights.items():
        h = maps[name].astype(jnp.float32)
        if units is None:
            h = h**2
        else:
            h = h[..., np.array(units)]
        total += weight * h.mean(tuple(range(1, h.ndim)))
    return total


class _Changed(NamedTuple):
    """One octave after its steps.

    Attributes:
      image: `[h, w, C]`.
      ends: the objective before the first step and after the last one, not shifted.
      values: `[S]`, the objective before each step, shifted.
      frames: `[S, h, w, C]`.
      is_live: False if the gradient was zero in every step.
    """

    image: Float[np.ndarray, "h w C"]
    ends: tuple[float, float]
    values: Float[np.ndarray, " S"]
    frames: UInt8[np.ndarray, "S h w C"]
    is_live: bool


def _change(
    f: Partial,
    octave: Float[np.ndarray, "h w C"],
    change: Float[np.ndarray, "i j C"],
    weights: dict[str, float],
    key: Key[Array, ""],
    options: Dream,
) -> _Changed:
    """Returns an octave with the change of the smaller one after all steps."""
    x = jnp.clip(join(jnp.asarray(octave), jnp.asarray(change)), 0, 1)
    # Options that do not change the compiled step are the same in all programs.
    static = replace(options, layers=None, octaves=1, ratio=2.0, steps=0, shift=0)
    shifts = _shifts(key, options.steps, options.shift)
    step = _compiled_step()
    values = []
    frames = []
    is_live = False
    # Without a shift the same program computes the objective at both ends.
    first = step(f, x, weights, np.zeros(2, np.int32), static)[1]
    for shift in shifts:
        x, value, frame, has_gradient = step(f, x, weights, shift, static)
        values.append(value)
        frames.append(np.asarray(frame))
        is_live = is_live or bool(has_gradient)
    last = first
    if options.steps:
        last = step(f, x, weights, np.zeros(2, np.int32), static)[1]
    stacked = np.reshape(np.array(frames, np.uint8), (len(frames), *x.shape))
    ends = (float(first), float(last))
    return _Changed(np.asarray(x), ends, np.array(values, np.float32), stacked, is_live)


def _shifts(key: Key[Array, ""], steps: int, most: int) -> Int[np.ndarray, "S 2"]:
    """Returns the random shifts of an octave, which depend on the key and the step only."""
    if not steps:
        return np.zeros((0, 2), np.int32)

    def one(i: Int[Array, ""]) -> Int[Array, " 2"]:
        return jax.random.randint(fold(key, i), (2,), -most, most + 1)

    return np.asarray(jax.vmap(one)(jnp.arange(steps, dtype=jnp.int32)))


@cache
def _compiled_step() -> Any:
    """Returns the compiled step.

    The loop over steps is on the host. Inside of a compiled loop, grouped convolutions are slow on
    a CPU.
    """
    return jax.jit(_step, static_argnames="options", compiler_options=convolution_options())


def _step(
    f: Partial,
    x: Float[Array, "H W C"],
    weights: dict[str, Float[Array, ""]],
    shift: Int[Array, " 2"],
    options: Dream,
) -> Any:
    """Returns the next image, the objective before, the image in 0..255, and its liveness."""

    def value(x: Float[Array, "H W C"]) -> Float[Array, ""]:
        return _objective(f(x[None]), weights, options.units)[0]

    before, gradient = jax.value_and_grad(value)(jnp.roll(x, shift, (0, 1)))
    gradient = jnp.roll(gradient, -shift, (0, 1))
    d = direction(gradient, options.scales, options.coarse, options.decorrelate)
    x = jnp.clip(x + options.step_size * normalized(d), 0, 1)
    return x, before, jnp.round(255 * x).astype(jnp.uint8), (gradient != 0).any()


def _check_finite(found: _Changed) -> None:
    if not np.isfinite(found.image).all():
        allowed = "finite weights, and a function that is differentiable for this image"
        raise InputError("layers", "NaN or infinity in the gradient", allowed)


def _pairs(layers: Any) -> tuple[tuple[str, float], ...] | None:
    """Returns layers with their weights as pairs."""
    if layers is None:
        return None
    allowed = "names of layers, or {name: weight}, such as {'conv_3': 1.0}"
    pairs = layers
    if isinstance(layers, Mapping):
        pairs = layers.items()
    elif isinstance(layers, str):
        raise InputError("layers", layers, allowed)
    try:
        pairs = tuple((each, 1.0) if isinstance(each, str) else tuple(each) for each in pairs)
    except TypeError:
        raise InputError("layers", layers, allowed) from None
    if not pairs or not all(len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
        raise InputError("layers", layers, allowed)
    for _, weight in pairs:
        in_range("weight", weight, -MAX_WEIGHT, MAX_WEIGHT)
    if not any(weight for _, weight in pairs):
        raise InputError("layers", layers, "at least one weight other than 0")
    if len(dict(pairs)) < len(pairs):
        raise InputError("layers", layers, "each layer once, such as {'conv_3': 2.0}")
    return tuple((name, float(weight)) for name, weight in pairs)


def _units(units: Any) -> tuple[int, ...]:
    """Returns indices of units as integers."""
    chosen = tuple(np.ravel(units).tolist())
    if not chosen:
        raise InputError("units", [], "at least one unit, such as (0,), or None for all")
    for unit in chosen:
        at_least("units", unit, 0)
    return chosen
