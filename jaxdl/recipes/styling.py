"""Style transfer with any network of images: options, images and layers."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Key

from jaxdl import art, explain
from jaxdl.art import Style
from jaxdl.data.paintings import painting
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.explain.layers import Prepare
from jaxdl.models import CNN
from jaxdl.recipes.dreaming import check_size, in_channels, photograph_path, read_image
from jaxdl.rng import stream
from jaxdl.runs.options import RunOptions

Image = Float[np.ndarray, "H W C"]

#: Most layers whose Gram matrices are matched, if none are given.
STYLE_LAYERS = 5


@dataclasses.dataclass(frozen=True)
class StyleOptions:
    """Options of the pictures."""

    content: str = "temple"
    """Image whose content is kept: temple, flower, painting, or the path of a PNG or JPEG file."""
    style: str = "painting"
    """Image whose style is taken, in the same form."""
    size: int = 128
    """Height and width of the pictures in pixels. Images are cropped and scaled."""
    evaluations: int = 200
    """Evaluations of the losses for each picture."""
    content_layers: tuple[str, ...] = ()
    """Layers whose maps are kept. Default: the second convolution of the second smallest maps."""
    style_layers: tuple[str, ...] = ()
    """Layers whose Gram matrices are matched. Default: the first convolution of each size of maps,
    at most five."""
    content_weight: float = 1.0
    """Weight of the relative content loss."""
    style_weight: float | None = None
    """Weight of the relative style loss. Default: 1000; 10 for imported weights. Relative
    losses of a network that was trained on few classes are small."""
    smoothness: float = 0.0
    """Weight of the squared difference of neighbouring pixels."""
    optimizer_of_images: Literal["lbfgs", "adam"] = "lbfgs"
    """Optimizer of the pictures."""
    start: Literal["recolored", "content", "noise"] = "recolored"
    """First picture; recolored: the content with the colors of the style."""
    keep_colors: bool = False
    """If True, the style gets the colors of the content."""
    pooling: Literal["average", "max"] = "average"
    """Pooling of the network; average pooling gives smoother pictures."""
    compare_random: bool = True
    """If True, the same picture is made with random weights, too."""
    textures: bool = True
    """If True, textures of the style are made from noise, with one more layer in each picture."""
    table: bool = False
    """If True, a table of pictures shows content layers and style weights."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        at_least("size", self.size, 1)
        for field in ("content", "style"):
            if not getattr(self, field):
                raise InputError(field, "", "temple, flower, painting, or the path of an image")
        self.style_of(("content",), ("style",))

    @property
    def weight(self) -> float:
        """Weight of the style, which is 1000 if none is set."""
        if self.style_weight is None:
            return 1000.0
        return self.style_weight

    def style_of(self, content: Sequence[str], style: Sequence[str]) -> Style:
        """Returns the options of a style transfer with these layers."""
        return Style(
            content,
            style,
            self.content_weight,
            self.weight,
            self.smoothness,
            self.optimizer_of_images,
            self.evaluations,
            self.start,
            self.keep_colors,
        )


def picture(name: str, size: int, channels: int = 3) -> Image:
    """Returns an embedded image, or that of a file, as a square.

    Args:
      name: "temple" or "flower", photographs of scikit-learn; "painting"; or the path of a PNG or
        JPEG file. The largest centred square is scaled.
      size: height and width in pixels.
      channels: 3, or 1 for grey.

    Returns:
      `[size, size, channels]` in [0, 1].

    Raises:
      InputError: another name that is no file, or a file that is no image; a size below 1; another
        number of channels.

    Example:
      >>> picture("flower", 32).shape, picture("painting", 32, channels=1).shape
      ((32, 32, 3), (32, 32, 1))
    """
    check_size(size, channels)
    if name == "painting":
        return in_channels(painting(size, size), channels)
    path = photograph_path(name, "image", ["painting"])
    return read_image(path, size, size, channels)


class Painter(NamedTuple):
    """A network with the images and layers of a style transfer.

    Attributes:
      model: a CNN without a head.
      variables: its parameters and collections.
      prepare: see `jaxdl.explain.layer`.
      options: options of the pictures.
      content: image whose content is kept.
      style: image whose style is taken.
      transfer: layers and weights.

    Example: see `painter`.
    """

    model: CNN
    variables: Any
    prepare: Prepare | None
    options: StyleOptions
    content: Image
    style: Image
    transfer: Style


def painter(
    model: nn.Module, variables: Any, options: StyleOptions, prepare: Prepare | None = None
) -> Painter:
    """Returns a network with images and layers, which are checked.

    Args:
      model: a `CNN` of grey or RGB images.
      variables: its parameters and collections, or their shapes and dtypes.
      options: options of the pictures.
      prepare: see `jaxdl.explain.layer`.

    Raises:
      InputError: another module; a layer that it does not have, or one without positions; an image
        that is too small for it.

    Example:
      >>> import jax
      >>> from jaxdl.models import Stage
      >>> model = CNN((Stage(4), Stage(4, pool=None)), outputs=2, head_size=1)
      >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)), train=False)
      >>> found = painter(model, variables, StyleOptions(size=16))
      >>> found.transfer.content_layers, found.transfer.style_layers
      (('activation_0',), ('activation_0', 'activation_1'))
    """
    if not isinstance(model, CNN):
        raise InputError("network", type(model).__name__, "a CNN, whose layers have maps")
    channels = _channels(variables["params"])
    content = picture(options.content, options.size, channels)
    style = picture(options.style, options.size, channels)
    net = model.clone(dense=(), outputs=None, dropout=0.0)
    if options.pooling == "average":
        net = art.average_pooled(net)
    shapes = explain.layers(net, variables, content.shape, prepare)
    explain.layers(net, variables, style.shape, prepare)
    defaults = default_layers(shapes)
    layers = (options.content_layers or defaults[0], options.style_layers or defaults[1])
    for name in (*layers[0], *layers[1]):
        one_of("layer", name, [each for each, shape in shapes.items() if len(shape) == 3])
    return Painter(net, variables, prepare, options, content, style, options.style_of(*layers))


def _channels(params: Any) -> int:
    """Returns the channels of the images of a CNN."""
    first = params.get("conv_0", params.get("conv_0a"))
    return int(first["kernel"].shape[2])


def default_layers(
    shapes: Mapping[str, tuple[int, ...]],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns layers of content and of style for a network.

    The style has the first activation of each size of maps, at most five. The content has the
    second activation of the second smallest of these sizes, or else the first. For VGG16 they are
    conv4_2, and the first convolutions of the five blocks, after their ReLU.

    Args:
      shapes: shapes of layers in order, `(I, J, U)` for maps, see `jaxdl.explain.layers`.

    Returns:
      Names for the content, and names for the style.

    Example:
      >>> names = ["activation_0", "activation_1", "activation_2", "activation_3", "activation_4"]
      >>> shapes = dict(zip(names, [(8, 8, 4), (8, 8, 4), (4, 4, 8), (4, 4, 8), (2, 2, 8)]))
      >>> default_layers(shapes)
      (('activation_3',), ('activation_0', 'activation_2', 'activation_4'))
    """
    sizes: dict[tuple[int, ...], list[str]] = {}
    for name, shape in shapes.items():
        if len(shape) == 3 and name.startswith("activation"):
            sizes.setdefault(shape[:2], []).append(name)
    groups = list(sizes.values())[:STYLE_LAYERS]
    kept = groups[max(0, len(groups) - 2)]
    return (kept[:2][-1],), tuple(group[0] for group in groups)


def random_twin(net: Painter, key: Key[Array, ""]) -> Painter:
    """Returns a network of the same layers with random weights, He initialization and no biases.

    Example: see `experiments/style.py`.
    """
    shape = (1, *net.content.shape)
    variables = net.model.init(stream(key, "init"), jnp.zeros(shape), train=False)
    return net._replace(variables=variables)


def layers_of(net: Painter, transfer: Style) -> Callable[..., Any]:
    """Returns the layers of a style transfer as a function of images.

    Example: see `experiments/style.py`.
    """
    return Partial(_function(net.model, transfer.layers, net.prepare), net.variables)


@lru_cache(maxsize=16)
def _function(model: CNN, names: tuple[str, ...], prepare: Prepare | None) -> Callable[..., Any]:
    """Returns the function of weights and images, the same one for trained and random weights.

    So it is compiled once for both.
    """
    return explain.activations(model, None, names, prepare).func  # type: ignore[attr-defined]


def shuffled(image: Image, seed: int) -> Image:
    """Returns an image with its pixels in a random order: the same colors without a texture.

    Example:
      >>> image = np.arange(12.0).reshape(2, 2, 3)
      >>> bool((np.sort(shuffled(image, 0), None) == np.sort(image, None)).all())
      True
    """
    pixels = image.reshape(-1, image.shape[-1])
    return np.random.default_rng(seed).permutation(pixels).reshape(image.shape)
