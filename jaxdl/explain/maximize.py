"""Images that excite units most, by gradient ascent from noise."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least, in_range, not_in_jit, of_kind, one_of
from jaxdl.explain.layers import Layer, as_partial, check_finite, check_units, layer_shape
from jaxdl.explain.parametrization import NOISE, parametrization
from jaxdl.explain.receptive import check_image_shape, passing_nan, receptive_fields
from jaxdl.explain.transformations import random_warp
from jaxdl.rng import check_single_key, fold, stream

#: Fraction of the steps after which an image is not shifted, scaled and rotated any more.
SETTLED = 0.75

#: Most pixels of a random shift, which is a 32-bit integer.
MAX_SHIFT = 2**20


@dataclass(frozen=True)
class Ascent:
    """Options of a gradient ascent on an image.

    `Ascent("pixels", "normalized", "mean", shift=0, scale=0, rotation=0)` is the plain ascent from
    noise. Random shifts, scalings and rotations shrink linearly, and the last quarter of the steps
    has none.

    Attributes:
      parametrization: "fourier", with the spectrum of photographs, or "pixels".
      optimizer: "adam", or "normalized": steps along the gradient, divided by its root mean square.
      score: number of a unit's map, which is maximized: "center", the value at the middle
        position; "mean", which gives textures; or "max". None means "center", and "max" if the
        receptive field of the middle position spans the image.
      steps: number of steps.
      learning_rate: size of a step.
      shift: largest random shift in pixels; None means 1/16 of the receptive field's smaller side.
      scale: largest random change of the size, as a fraction.
      rotation: largest random rotation in degrees.
      decorrelate: if True, colors vary as in photographs, for images with three channels.
      fill: color that shifts and rotations move into the image.

    Raises:
      InputError: an invalid option.

    Example:
      >>> Ascent(steps=0)
      Traceback (most recent call last):
      jaxdl.errors.InputError: steps: got 0, allowed: at least 1
    """

    parametrization: Literal["fourier", "pixels"] = "fourier"
    optimizer: Literal["adam", "normalized"] = "adam"
    score: Literal["center", "mean", "max"] | None = None
    steps: int = 512
    learning_rate: float = 0.1
    shift: int | None = None
    scale: float = 0.1
    rotation: float = 10.0
    decorrelate: bool = True
    fill: float = 0.5

    def __post_init__(self) -> None:
        one_of("parametrization", self.parametrization, NOISE)
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        if self.score is not None:
            one_of("score", self.score, SCORES)
        at_least("steps", self.steps, 1)
        if self.shift is not None:
            at_least("shift", self.shift, 0)
            in_range("shift", self.shift, 0, MAX_SHIFT)
        in_range("scale", self.scale, 0, 1)
        in_range("rotation", self.rotation, 0, 360)
        in_range("learning_rate", self.learning_rate, 0, float("inf"))
        if not 0 <= self.fill <= 1:
            raise InputError("fill", self.fill, "a color in [0, 1]")


class Maximized(NamedTuple):
    """Images that were made for units.

    Attributes:
      images: `[N, H, W, C]` in [0, 1], rounded to 8 bits.
      activation: `[N]`, largest value of the unit over all positions, for this image.
      position: `[N]`, its position, in row-major order.
      is_live: `[N]`, False for a unit whose gradient was 0 in every step.

    Example: see `maximize`.
    """

    images: Float[np.ndarray, "N H W C"]
    activation: Float[np.ndarray, " N"]
    position: Int[np.ndarray, " N"]
    is_live: Bool[np.ndarray, " N"]


def maximize(
    f: Layer,
    units: Any,
    key: Key[Array, ""],
    shape: tuple[int, int, int],
    ascent: Ascent | None = None,
    *,
    clipped: bool = False,
    batch_size: int = 16,
) -> Maximized:
    """Returns images that excite units, made by gradient ascent from noise.

        x* = argmax_x  E_t [ score(f(t(x))[..., u]) ],    x in [0, 1],   t a random warp

    The image of a unit depends on the key, on the unit and on the options only. So other units in
    the same call change it by rounding at most.

    Source: Olah, Mordvintsev and Schubert 2017, Feature visualization; Chollet, How convolutional
    networks see the world.

    Args:
      f: function of images, see `layer`.
      units: indices of the units, one or several.
      key: root key of the random numbers.
      shape: shape of the images, `(H, W, C)`, at least the receptive field.
      ascent: options; None means `Ascent()`.
      clipped: if True, images smaller than the receptive field are allowed, as for a network that
        was trained on images of this shape.
      batch_size: number of units that are computed at the same time.

    Returns:
      One image for each unit, with its activation.

    Raises:
      InputError: a unit that the layer does not have; a layer that is not finite; a shape smaller
        than the receptive field.

    Example:
      >>> from jaxdl.rng import root
      >>> def layer(images):
      ...     return images.mean((1, 2)) * jnp.array([[1.0, -1.0]])
      >>> made = maximize(layer, [0, 1], root(0), (4, 4, 1))
      >>> made.images.shape, made.images.mean((1, 2, 3)).round().tolist(), made.is_live.tolist()
      ((2, 4, 4, 1), [1.0, 0.0], [True, True])
    """
    not_in_jit("maximize")
    check_single_key(key)
    check_image_shape(shape)
    shape = (*shape,)
    of_kind("ascent", ascent, Ascent | None, "explain.Ascent(...), or None")
    at_least("batch_size", batch_size, 1)
    chosen = check_units(units, f, shape)
    check_finite(f, shape)
    if not clipped:
        check_field(f, shape)
    options = _completed(f, shape, ascent or Ascent())
    size = min(batch_size, len(chosen))
    parts = []
    for first in range(0, len(chosen), size):
        part = chosen[first : first + size]
        padded = np.array(part + part[:1] * (size - len(part)), np.int32)
        keys = jax.vmap(partial(fold, stream(key, "maximize")))(jnp.asarray(padded))
        made = _ascend(as_partial(f), padded, keys, tuple(shape), options)
        parts.append([np.asarray(x)[: len(part)] for x in made])
    return Maximized(*map(np.concatenate, zip(*parts, strict=True)))


def _completed(f: Layer, shape: tuple[int, int, int], ascent: Ascent) -> Ascent:
    """Returns the options with the defaults that depend on the receptive field."""
    if ascent.shift is not None and ascent.score is not None:
        return ascent
    boxes = receptive_fields(f, shape)
    positions = boxes.top.shape[:-1]
    middle = tuple(size // 2 for size in positions)
    height = (boxes.bottom - boxes.top)[middle].max()
    width = (boxes.right - boxes.left)[middle].max()
    score = ascent.score
    if score is None:
        score = "center"
        if height == shape[0] or width == shape[1]:
            score = "max"
    shift = ascent.shift
    if shift is None:
        shift = min(boxes.size) // 16
    return replace(ascent, score=score, shift=shift)


def check_field(f: Layer, shape: tuple[int, int, int]) -> None:
    """Raises for images that are smaller than the receptive field of a layer.

    The layer is applied to images of three times the size. A function of one size only, and a layer
    whose units depend on the whole image, pass.

    Example:
      >>> import flax.linen as nn
      >>> conv = nn.Conv(1, (5, 5))
      >>> variables = conv.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)))
      >>> check_field(lambda x: conv.apply(variables, x), (4, 6, 1))
      Traceback (most recent call last):
      jaxdl.errors.InputError: shape: got (4, 6, 1), allowed: at least (5, 5, 1), the receptive ...
    """
    height, width, channels = shape
    large = (3 * height, 3 * width, channels)
    try:
        outputs = layer_shape(f, large)
    except Exception:
        # A dense layer after the flattened maps has weights for one size of images only.
        return
    if len(outputs) != 3:
        return
    inside, corner = np.asarray(passing_nan(_framed, "large")(as_partial(f), large))
    if inside or not corner:
        return
    field = receptive_fields(f, large, batch_size=8).size
    if height >= field[0] and width >= field[1]:
        # With strides, the field of no position may lie exactly inside of the frame.
        return
    shown = f"at least {(*field, channels)}, the receptive field of the layer"
    raise InputError("shape", tuple(shape), shown)


def _framed(f: Partial, large: tuple[int, int, int]) -> Bool[Array, " 2"]:
    """Returns if a unit depends on the middle third only, and if one is free of the corner."""
    height, width, _ = large
    rows = jax.lax.broadcasted_iota(jnp.int32, large, 0)
    columns = jax.lax.broadcasted_iota(jnp.int32, large, 1)
    in_rows = (rows >= height // 3) & (rows < 2 * height // 3)
    in_columns = (columns >= width // 3) & (columns < 2 * width // 3)
    framed = jnp.where(in_rows & in_columns, 0.5, jnp.nan)
    corner = jnp.where((rows == 0) & (columns == 0), jnp.nan, 0.5)
    y = f(jnp.stack([framed, corner]))
    return (~jnp.isnan(y)).any((1, 2, 3))


def _normalized(learning_rate: float) -> optax.GradientTransformation:
    """Returns an optimizer with steps of a fixed root mean square."""

    def update(gradient: Any, params: Any) -> Any:
        size = jnp.sqrt(jnp.mean(gradient**2))
        return -learning_rate * gradient / jnp.maximum(size, 1e-12)

    return optax.stateless(update)


def _adam(learning_rate: float) -> optax.GradientTransformation:
    # Gradients can be smaller than the usual 1e-8. With a longer memory of their squares a
    # saturated pixel hardly moves again.
    return optax.adam(learning_rate, b2=0.95, eps=1e-12)


OPTIMIZERS = {"adam": _adam, "normalized": _normalized}


def _mean(values: Float[Array, "..."]) -> Float[Array, ""]:
    return values.mean()


def _max(values: Float[Array, "..."]) -> Float[Array, ""]:
    return values.max()


def _center(values: Float[Array, "..."]) -> Float[Array, ""]:
    return values[tuple(size // 2 for size in values.shape)]


SCORES = {"mean": _mean, "max": _max, "center": _center}


@partial(jax.jit, static_argnames=("shape", "options"))
def _ascend(
    f: Partial,
    units: Int[Array, " N"],
    keys: Key[Array, " N"],
    shape: tuple[int, int, int],
    options: Ascent,
) -> Any:
    """Returns the fields of `Maximized`."""
    image_of = parametrization(options.parametrization, shape, options.decorrelate)
    optimizer = OPTIMIZERS[options.optimizer](options.learning_rate)
    assert options.shift is not None
    assert options.score is not None
    shift = options.shift
    score = SCORES[options.score]
    is_warped = shift > 0 or options.scale > 0 or options.rotation > 0

    def maps_of(images: Float[Array, "N H W C"]) -> Float[Array, "N ..."]:
        return jax.vmap(lambda y, unit: y[..., unit])(f(images), units).astype(jnp.float32)

    def warped(key: Key[Array, ""], z: Any, rest: Float[Array, ""]) -> Float[Array, "H W C"]:
        image = image_of.image(z)
        if not is_warped:
            return image
        pixels = jnp.round(rest * shift).astype(jnp.int32)
        limits = (pixels, rest * options.scale, rest * options.rotation)
        return random_warp(key, image, *limits, fill=options.fill)

    def loss(z: Float[Array, "N ..."], step: Int[Array, ""]) -> Float[Array, ""]:
        # Examples are independent, so the gradient of the sum is that of each score.
        rest = jnp.maximum(1 - step.astype(jnp.float32) / (SETTLED * options.steps), 0)
        now = jax.vmap(lambda key: fold(fold(key, 1), step))(keys)
        maps = maps_of(jax.vmap(partial(warped, rest=rest))(now, z))
        return -jax.vmap(score)(maps).sum()

    def ascend(carry: Any, step: Int[Array, ""]) -> Any:
        z, state, is_live = carry
        gradient = jax.grad(loss)(z, step)
        # Some of Optax's code mixes dtypes, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            update, state = jax.vmap(optimizer.update)(gradient, state, z)
        is_live |= (gradient != 0).any(tuple(range(1, z.ndim)))
        return (z + update, state, is_live), None

    z = jax.vmap(lambda key: image_of.init(fold(key, 0)))(keys)
    carry = (z, jax.vmap(optimizer.init)(z), jnp.zeros(units.shape, bool))
    steps = jnp.arange(options.steps, dtype=jnp.int32)
    (z, _, is_live), _ = jax.lax.scan(ascend, carry, steps)
    images = jnp.round(255 * jax.vmap(image_of.image)(z)) / 255
    maps = maps_of(images).reshape(len(units), -1)
    return images, maps.max(1), maps.argmax(1).astype(jnp.int32), is_live
