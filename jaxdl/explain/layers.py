"""The layers of a network: their names with shapes, and one layer as a function of images."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import ScopeParamShapeError
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jaxdl.errors import InputError, at_least
from jaxdl.nn import tap

#: Images or other inputs to what a network reads, such as `lambda x: (x - mean) / deviation`.
Prepare = Callable[[Float[Array, "B ..."]], Float[Array, "B ..."]]

#: A layer as a function of inputs. The units are the last axis, the positions those before it.
Layer = Callable[[Float[Array, "B ..."]], Float[Array, "B ... U"]]


def layers(
    model: nn.Module, variables: Any, shape: tuple[int, ...], prepare: Prepare | None = None
) -> dict[str, tuple[int, ...]]:
    """Returns the names of a network's activations in order, with their shapes.

    Nothing is computed. `jaxdl.nn.tap` lists the kinds of names.

    Args:
      model: any Linen module.
      variables: its parameters and collections, or their shapes and dtypes.
      shape: shape of one input, such as `(28, 28, 1)`.
      prepare: see `layer`.

    Returns:
      `{name: shape}` without the axis of the batch. The last axis has the units of the layer.

    Example:
      >>> from jaxdl.models import CNN, Stage
      >>> model = CNN((Stage(4),), outputs=3)
      >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False)
      >>> for name, shape in layers(model, variables, (8, 8, 1)).items():
      ...     print(name, shape)
      conv_0 (8, 8, 4)
      activation_0 (8, 8, 4)
      pool_0 (4, 4, 4)
      Dropout_0 (4, 4, 4)
      head/out (3,)
      head (3,)
    """
    names: list[str] = []

    def values(variables: Any, images: Float[Array, "B ..."]) -> Any:
        seen = tap(model, variables, train=False)(_prepared(prepare, images))[1]
        # JAX returns a dictionary in the alphabetic order of its keys.
        names.extend(seen)
        return seen

    with fitting(shape):
        shapes = jax.eval_shape(values, variables, _image(shape))
    return {name: shapes[name].shape[1:] for name in names}


def feature_maps(
    model: nn.Module,
    variables: Any,
    images: Float[np.ndarray, "B ..."],
    prepare: Prepare | None = None,
) -> dict[str, Float[np.ndarray, "B ..."]]:
    """Returns the activations of every layer for a few images.

    Args:
      model: any Linen module.
      variables: its parameters and collections.
      images: `[B, H, W, C]`, or other inputs of the network.
      prepare: see `layer`.

    Returns:
      `{name: activations}` in order, `[B, I, J, U]` or `[B, U]`.

    Example: see `layers`, which has the same names.
    """

    def values(variables: Any, images: Float[Array, "B ..."]) -> Any:
        return tap(model, variables, train=False)(_prepared(prepare, images))[1]

    names = layers(model, variables, np.shape(images)[1:], prepare)
    seen = jax.jit(values)(variables, jnp.asarray(images))
    return {name: np.asarray(seen[name]) for name in names}


def layer(
    model: nn.Module, variables: Any, name: str, prepare: Prepare | None = None
) -> Callable[..., Any]:
    """Returns one layer as a pure function of images, which the functions of this part take.

        f(x) = h_name(prepare(x))

    The result is a `jax.tree_util.Partial` with the weights as leaves. Units are the last axis.

    Args:
      model: any Linen module.
      variables: its parameters and collections.
      name: name of an activation, see `layers`. Values before an activation function, such as
        those of `conv_0` or `norm_0`, have a gradient everywhere.
      prepare: function from images in [0, 1] to the inputs of the network. None means that the
        network reads images as they are.

    Returns:
      `f(images [B, H, W, C]) -> [B, I, J, U]`, or `[B, U]` for a layer without positions.

    Raises:
      InputError: by f, for an unknown name; the message contains the nearest one.

    Example:
      >>> from jaxdl.models import CNN, Stage
      >>> model = CNN((Stage(4),), outputs=3)
      >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False)
      >>> layer(model, variables, "pool_0")(jnp.zeros((2, 8, 8, 1))).shape
      (2, 4, 4, 4)
    """

    def values(f: Partial, images: Float[Array, "B ..."]) -> Any:
        return f(images)[name]

    return Partial(values, activations(model, variables, (name,), prepare))


def activations(
    model: nn.Module, variables: Any, names: Sequence[str], prepare: Prepare | None = None
) -> Callable[..., Any]:
    """Returns several layers as one pure function of images.

        f(x) = {name: h_name(prepare(x))}

    In a compiled program only the layers before the last of them are computed.

    Args:
      model: any Linen module.
      variables: its parameters and collections.
      names: names of activations, see `layers`.
      prepare: see `layer`.

    Returns:
      `f(images [B, H, W, C]) -> {name: [B, I, J, U] or [B, U]}`, a `jax.tree_util.Partial`.

    Raises:
      InputError: no names; by f, an unknown name, and the message contains the nearest one.

    Example:
      >>> from jaxdl.models import CNN, Stage
      >>> model = CNN((Stage(4),), outputs=3)
      >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False)
      >>> maps = activations(model, variables, ("conv_0", "pool_0"))(jnp.zeros((2, 8, 8, 1)))
      >>> {name: each.shape for name, each in maps.items()}
      {'conv_0': (2, 8, 8, 4), 'pool_0': (2, 4, 4, 4)}
    """
    if isinstance(names, str) or not names:
        raise InputError("names", names, "at least one name of a layer, such as ('conv_0',)")

    def values(variables: Any, images: Float[Array, "B ..."]) -> Any:
        return tap(model, variables, *names, train=False)(_prepared(prepare, images))[1]

    return Partial(values, variables)


def as_partial(f: Layer) -> Partial:
    """Returns a function as an argument of compiled functions.

    Example:
      >>> f = as_partial(jnp.sin)
      >>> as_partial(f) is f
      True
    """
    if isinstance(f, Partial):
        return f
    if not callable(f):
        raise InputError("f", type(f).__name__, "a function of images, such as explain.layer(...)")
    return Partial(f)


def layer_shape(
    f: Layer,
    shape: tuple[int, ...],
    field: str = "layer",
    allowed: str = "a function of images with outputs [B, ..., U], such as explain.layer(...)",
) -> tuple[int, ...]:
    """Returns the shape of a layer's activation for one input, with the units as last axis.

    Args:
      f: function of images.
      shape: shape of one image.
      field: name of the function in the message.
      allowed: a description of the outputs for the message.

    Raises:
      InputError: a function of images whose outputs are not floats `[B, ..., U]`.

    Example:
      >>> layer_shape(lambda x: x.mean((1, 2)), (8, 8, 3))
      (3,)
    """
    with fitting(shape):
        y = jax.eval_shape(f, _image(shape))
    if not hasattr(y, "shape") or y.ndim < 2 or not jnp.issubdtype(y.dtype, jnp.floating):
        shown = jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", y)
        raise InputError(field, shown, allowed)
    return y.shape[1:]


@contextlib.contextmanager
def fitting(shape: Any) -> Iterator[None]:
    """Raises InputError for weights that fit no input of a shape.

    Example:
      >>> with fitting((8, 8, 3)):
      ...     nn.Dense(2).apply({"params": {"kernel": jnp.zeros((3, 1))}}, jnp.zeros((1, 3)))
      Traceback (most recent call last):
      jaxdl.errors.InputError: shape: got (8, 8, 3), allowed: that of an input of the network, ...
    """
    if not isinstance(shape, tuple | list) or not all(isinstance(n, Integral) for n in shape):
        raise InputError("shape", shape, "integers, such as (28, 28, 1)")
    try:
        yield
    except ScopeParamShapeError:
        allowed = "that of an input of the network, which has weights for other sizes or channels"
        raise InputError("shape", tuple(shape), allowed) from None


def check_units(units: Any, f: Layer, shape: tuple[int, ...]) -> list[int]:
    """Returns units as integers; raises for one that the layer does not have.

    Example:
      >>> check_units([3], lambda x: x.mean((1, 2)), (8, 8, 3))
      Traceback (most recent call last):
      jaxdl.errors.InputError: unit: got 3, allowed: at most 2; the layer has 3 units
    """
    count = layer_shape(f, shape)[-1]
    chosen = np.ravel(units).tolist()
    if not chosen:
        raise InputError("units", [], "at least one unit, such as [0]")
    for unit in chosen:
        at_least("unit", unit, 0)
        if unit >= count:
            raise InputError("unit", unit, f"at most {count - 1}; the layer has {count} units")
    return chosen


def check_finite(f: Layer, shape: tuple[int, ...]) -> None:
    """Raises for a layer that is not finite for a grey image.

    Example:
      >>> check_finite(lambda x: x.mean((1, 2)) * jnp.nan, (8, 8, 3))
      Traceback (most recent call last):
      jaxdl.errors.InputError: layer: got NaN or infinity for a grey image, allowed: finite ...
    """
    layer_shape(f, shape)
    y = jax.jit(_call)(as_partial(f), jnp.full((1, *shape), 0.5))
    if not np.isfinite(y).all():
        allowed = "finite weights, and a function of pixels in [0, 1]"
        raise InputError("layer", _NotFinite(), allowed)


class _NotFinite:
    """The value in the message of `check_finite`."""

    def __repr__(self) -> str:
        return "NaN or infinity for a grey image"


def _image(shape: tuple[int, ...]) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct((1, *shape), jnp.float32)


def _prepared(prepare: Prepare | None, images: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
    if prepare is None:
        return images
    return prepare(images)


def _call(f: Partial, images: Float[Array, "B ..."]) -> Any:
    return f(images)
