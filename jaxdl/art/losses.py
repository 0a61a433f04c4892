"""The losses of style and content, relative to their targets."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.tree_util import Partial
from jaxtyping import Array, Float

from jaxdl.art.descent import METHODS
from jaxdl.art.gram import gram
from jaxdl.art.octaves import check_image
from jaxdl.art.sizes import map_shapes
from jaxdl.errors import InputError, at_least, in_range, of_kind, one_of
from jaxdl.explain.layers import as_partial
from jaxdl.xla import convolution_options

Image = Float[Array, "H W C"]

#: Several layers as a function of images, see `jaxdl.explain.activations`.
Layers = Callable[..., Any]

#: Layers of VGG16 after whose first convolutions the maps become smaller.
VGG16_STYLE = ("activation_0", "activation_2", "activation_4", "activation_7", "activation_10")


@dataclass(frozen=True)
class Style:
    """Options of a style transfer.

        L = content_weight L_c + style_weight L_s + smoothness L_v

    The losses are relative to the targets, see `style_losses`. So the same weights fit images of
    different sizes, and different networks.

    Attributes:
      content_layers: layers whose maps are kept, by their names or with weights by name. The
        default is conv4_2 of VGG16.
      style_layers: layers whose Gram matrices are taken from the style. The default is conv1_1,
        conv2_1, conv3_1, conv4_1 and conv5_1 of VGG16.
      content_weight: weight of the content loss.
      style_weight: weight of the style loss.
      smoothness: weight of the mean squared difference of neighbouring pixels.
      optimizer: "lbfgs", which needs fewer evaluations, or "adam".
      evaluations: number of evaluations of the loss and its gradient.
      start: first image; "recolored", the content with the colors of the style, "content", or
        "noise". The first needs fewest evaluations.
      keep_colors: if True, the style gets the colors of the content first, see `match_colors`.
      learning_rate: size of a step of "adam".
      frames: number of images that are returned, from the start to the end.

    Raises:
      InputError: an invalid option.

    Example:
      >>> Style(evaluations=0)
      Traceback (most recent call last):
      jaxdl.errors.InputError: evaluations: got 0, allowed: at least 1
    """

    content_layers: Sequence[str] | Mapping[str, float] = ("activation_8",)
    style_layers: Sequence[str] | Mapping[str, float] = VGG16_STYLE
    content_weight: float = 1.0
    style_weight: float = 10.0
    smoothness: float = 0.0
    optimizer: Literal["lbfgs", "adam"] = "lbfgs"
    evaluations: int = 300
    start: Literal["recolored", "content", "noise"] = "recolored"
    keep_colors: bool = False
    learning_rate: float = 0.02
    frames: int = 8

    def __post_init__(self) -> None:
        _weights("content_layers", self.content_layers)
        if not _weights("style_layers", self.style_layers):
            raise InputError("style_layers", self.style_layers, "at least one name of a layer")
        for field in ("content_weight", "style_weight", "smoothness"):
            in_range(field, getattr(self, field), 0, float("inf"))
        one_of("optimizer", self.optimizer, METHODS)
        at_least("evaluations", self.evaluations, 1)
        one_of("start", self.start, ("recolored", "content", "noise"))
        of_kind("keep_colors", self.keep_colors, bool, "True or False")
        in_range("learning_rate", self.learning_rate, 0, float("inf"))
        at_least("frames", self.frames, 1)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of all layers, for `jaxdl.explain.activations`."""
        return tuple(dict.fromkeys((*self.style_layers, *self.content_layers)))


class Targets(NamedTuple):
    """Values that a picture is compared with.

    Attributes:
      content: `[I, J, U]` maps by layer; empty for a texture.
      style: `[U, U]` Gram matrices by layer.

    Example: see `targets`.
    """

    content: dict[str, Float[Array, "I J U"]]
    style: dict[str, Float[Array, "U U"]]


class Losses(NamedTuple):
    """Losses of an image.

    Attributes:
      total: the sum that is minimized.
      style: L_s.
      content: L_c; 0 for a texture.

    Example: see `style_losses`.
    """

    total: Float[Array, ""] | float
    style: Float[Array, ""] | float
    content: Float[Array, ""] | float


def targets(f: Layers, content: Image | None, style: Image, options: Style) -> Targets:
    """Returns the maps of the content and the Gram matrices of the style.

    Args:
      f: function of images, see `jaxdl.explain.activations`.
      content: image `[H, W, C]`; None for a texture.
      style: image `[H', W', C]`, perhaps of another size.
      options: options, of which the layers are used.

    Raises:
      InputError: an image of another shape; a layer that f does not have, or one without positions.

    Example:
      >>> options = Style(("pixels",), ("pixels",))
      >>> light = jnp.ones((4, 4, 3)), jnp.ones((6, 2, 3))
      >>> found = targets(lambda x: {"pixels": x}, *light, options)
      >>> found.content["pixels"].shape, found.style["pixels"].tolist()[0]
      ((4, 4, 3), [1.0, 1.0, 1.0])
    """
    of_kind("options", options, Style, "art.Style(...)")
    f = as_partial(f)
    kept = {}
    if content is not None:
        content = checked_image("content", content)
        kept = _maps(f, "content", content, options.content_layers)
    style = checked_image("style", style)
    if content is not None and content.shape[-1] != style.shape[-1]:
        allowed = f"{content.shape[-1]} channels, as the content has"
        raise InputError("style", list(style.shape), allowed)
    maps = _maps(f, "style", style, options.style_layers)
    return Targets(kept, {name: gram(each) for name, each in maps.items()})


def style_losses(f: Layers, image: Image, found: Targets, options: Style) -> Losses:
    """Returns the losses of an image, each relative to its targets.

        L_c = sum_l w_l ||F_l - P_l||^2 / ||P_l||^2,    F_l the maps, P_l those of the content
        L_s = sum_l v_l ||G_l - A_l||^2 / ||A_l||^2,    G_l the Gram matrix, A_l that of the style

    The weights w and v of the layers are divided by their sums.

    Args:
      f: function of images, see `jaxdl.explain.activations`.
      image: `[H, W, C]`.
      found: see `targets`.
      options: layers and weights.

    Returns:
      Numbers with a gradient.

    Raises:
      InputError: targets that do not have the layers of the options, or another shape.

    Example:
      >>> options = Style((), ("pixels",))
      >>> image = jnp.ones((4, 4, 3))
      >>> f = lambda x: {"pixels": x}
      >>> found = targets(f, None, image, options)
      >>> float(style_losses(f, image, found, options).style)
      0.0
      >>> float(style_losses(f, 2 * image, found, options).style)
      9.0
    """
    f = as_partial(f)
    numbers = numbers_of(found, options)
    if jnp.ndim(image) != 3 or not jnp.issubdtype(image.dtype, jnp.floating):
        raise InputError("image", f"{image.dtype}{list(image.shape)}", "floats [H, W, C]")
    _check_targets(jax.eval_shape(maps_of, f, image), found, numbers)
    return losses_of(f, image, found, numbers)


def _weights(field: str, layers: Sequence[str] | Mapping[str, float]) -> dict[str, float]:
    """Returns the weights of layers, with the sum 1."""
    allowed = "names of layers, such as ('activation_0',), or weights by name"
    if isinstance(layers, str) or not isinstance(layers, Sequence | Mapping):
        raise InputError(field, layers, allowed)
    if len(set(layers)) < len(layers):
        raise InputError(field, layers, "each layer once, such as {'activation_0': 2.0}")
    weights = dict.fromkeys(layers, 1.0)
    if isinstance(layers, Mapping):
        weights = dict(layers)
    for name, weight in weights.items():
        of_kind(field, name, str, allowed)
        in_range(field, weight, 0, float("inf"))
    total = sum(weights.values())
    if weights and not total:
        raise InputError(field, weights, "at least one weight above 0")
    return {name: weight / total for name, weight in weights.items()}


class Numbers(NamedTuple):
    """Weights of the losses, as an argument of a compiled function."""

    content_layers: dict[str, float]
    style_layers: dict[str, float]
    content: float
    style: float
    smoothness: float


def numbers_of(found: Targets, options: Style) -> Numbers:
    """Returns the weights of the losses, those of layers with the sum 1.

    Example:
      >>> numbers_of(Targets({}, {}), Style((), {"a": 1.0, "b": 3.0})).style_layers
      {'a': 0.25, 'b': 0.75}
    """
    content = _weights("content_layers", options.content_layers)
    if not found.content:
        content = {}
    style = _weights("style_layers", options.style_layers)
    weights = (options.content_weight, options.style_weight, options.smoothness)
    return Numbers(content, style, *weights)


def _check_targets(maps: Any, found: Targets, numbers: Numbers) -> None:
    """Raises unless maps and targets have all layers, and maps the shapes of the content."""
    for kind, layers in (("content", numbers.content_layers), ("style", numbers.style_layers)):
        values = getattr(found, kind)
        for name in layers:
            one_of(f"{kind}_layers", name, set(values) & set(maps))
            shape = maps[name].shape
            wanted = values[name].shape
            if kind == "style":
                shape = shape[-1:] * 2
            if shape != wanted:
                allowed = f"an image for which {name} has the shape of the target, {list(wanted)}"
                raise InputError("image", f"{name} {list(shape)}", allowed)


def checked_image(field: str, image: Any) -> Image:
    """Returns an image as an array; raises unless its pixels lie in [0, 1]."""
    check_image(image, field)
    return jnp.asarray(image)


def _maps(f: Partial, field: str, image: Image, names: Any) -> dict[str, Array]:
    """Returns the maps of an image by layer."""
    shapes = map_shapes(f, image.shape, image.dtype)
    for name in names:
        one_of("layer", name, shapes)
        if len(shapes[name]) != 3:
            shape = list(shapes[name])
            raise InputError(f"layer {name}", shape, f"a layer with maps [I, J, U] of the {field}")
    maps = compiled(maps_of)(f, image)
    return {name: maps[name] for name in names}


def maps_of(f: Partial, image: Image) -> dict[str, Array]:
    """Returns the maps of one image by layer, `[I, J, U]`.

    Example:
      >>> maps_of(Partial(lambda x: {"pixels": x}), jnp.ones((4, 4, 3)))["pixels"].shape
      (4, 4, 3)
    """
    return {name: each[0] for name, each in f(image[None]).items()}


def losses_of(f: Partial, image: Image, found: Targets, numbers: Numbers) -> Losses:
    """Returns the losses of an image as a pure function of arrays; see `style_losses`."""
    maps = maps_of(f, image)
    zero = jnp.zeros((), image.dtype)
    content = sum(
        (
            weight * _relative(maps[name], found.content[name])
            for name, weight in numbers.content_layers.items()
        ),
        zero,
    )
    style = sum(
        (
            weight * _relative(gram(maps[name]), found.style[name])
            for name, weight in numbers.style_layers.items()
        ),
        zero,
    )
    # An image with one row or column has no neighbours there, and a mean of nothing is NaN.
    axes = [axis for axis in (0, 1) if image.shape[axis] > 1]
    rough = sum((jnp.mean(jnp.diff(image, axis=axis) ** 2) for axis in axes), zero)
    total = numbers.content * content + numbers.style * style + numbers.smoothness * rough
    return Losses(total, style, content)


def _relative(values: Array, target: Array) -> Array:
    """Returns the squared distance, relative to the squared norm of the target."""
    # A layer that is 0 everywhere gives 0 instead of NaN.
    size = jnp.sum(target**2)
    return jnp.sum((values - target) ** 2) / jnp.where(size > 0, size, 1)


def value_and_gradient(f: Partial, image: Image, found: Targets, numbers: Numbers) -> Any:
    """Returns the losses and the gradient of their total."""

    def loss(image: Image) -> Any:
        losses = losses_of(f, image, found, numbers)
        return losses.total, losses

    (_, losses), gradient = jax.value_and_grad(loss, has_aux=True)(image)
    return losses, gradient


@cache
def compiled(f: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function of this file as a compiled one with fast convolutions.

    The loop over evaluations is on the host. Inside of a compiled loop convolutions can be slow.
    """
    return jax.jit(f, compiler_options=convolution_options())
