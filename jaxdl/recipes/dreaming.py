"""Deep dreams of any network of images: options, photographs, and dreams that files keep."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Key, UInt8

from jaxdl import art, explain
from jaxdl.art import Dream
from jaxdl.art.octaves import octave_sizes
from jaxdl.art.sizes import check_maps
from jaxdl.data.decoding import Form, decode, form_of
from jaxdl.data.files import expand_path
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.explain.layers import Prepare, as_partial
from jaxdl.recipes.seeing import body
from jaxdl.recipes.stored import stored_arrays
from jaxdl.rng import root, stream
from jaxdl.runs.options import RunOptions

Image = Float[np.ndarray, "H W C"]

#: Photographs of scikit-learn by name.
PHOTOGRAPHS = {"temple": "china.jpg", "flower": "flower.jpg"}

#: Depths of the default layers, as parts of the number of activations of a network.
DEPTHS = (1 / 5, 1 / 2, 2 / 3)

#: Number of frames that are kept of each octave.
FRAMES = 5


@dataclasses.dataclass(frozen=True)
class DreamOptions:
    """Options of the dreams."""

    photograph: str = "temple"
    """Photograph that is changed: temple, flower, or the path of a PNG or JPEG file."""
    size: int = 256
    """Longer side of the photograph in pixels."""
    layers: tuple[str, ...] = ()
    """Layers, one dream for each. Default: three activations at different depths."""
    octaves: int = 4
    """Sizes of the photograph in which it is changed."""
    ratio: float = 1.4
    """Size of an octave relative to the one before it."""
    dream_steps: int = 20
    """Steps in each octave."""
    step_size: float | None = None
    """Root mean square of a step, for pixels in [0, 1]. Default: 0.01 for a loaded network; 0.005
    for the small one that is trained, with which pictures saturate sooner."""
    shift: int = 16
    """Largest random shift of the photograph in a step, in pixels."""
    scales: int = 4
    """Scales of the gradient that are normalized; 0: the plain gradient."""
    coarse: float = 0.8
    """Share of a scale of the gradient, relative to that of the next finer one. Above 1 large parts
    become black or white."""
    decorrelate: bool = True
    """If True, colors change as they vary in photographs."""
    random: bool = True
    """If True, the same network with random weights dreams, too."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        at_least("size", self.size, 1)
        at_least("dream_steps", self.dream_steps, 0)
        self.dream()

    def dream(self) -> Dream:
        """Returns the options of a dream."""
        step_size = self.step_size
        if step_size is None:
            step_size = Dream().step_size
        return Dream(
            octaves=self.octaves,
            ratio=self.ratio,
            steps=self.dream_steps,
            step_size=step_size,
            shift=self.shift,
            scales=self.scales,
            coarse=self.coarse,
            decorrelate=self.decorrelate,
        )


def load_photograph(name: str, size: int, channels: int = 3) -> Image:
    """Returns an embedded photograph, or that of a file, with its proportions.

    Source: scikit-learn, `load_sample_images`, CC BY 2.0.

    Args:
      name: "temple" or "flower", or the path of a PNG or JPEG file.
      size: longer side in pixels.
      channels: 3, or 1 for grey.

    Returns:
      `[H, W, channels]` in [0, 1].

    Raises:
      InputError: another name that is no file, or a file that is no image; a size below 1; another
        number of channels.

    Example:
      >>> load_photograph("flower", 96).shape, load_photograph("temple", 48, channels=1).shape
      ((64, 96, 3), (32, 48, 1))
    """
    check_size(size, channels)
    path = photograph_path(name, "photograph")
    form = form_of(path)
    factor = size / max(form.height, form.width)
    height = max(1, round(factor * form.height))
    width = max(1, round(factor * form.width))
    return read_image(path, height, width, channels)


def read_image(path: Path, height: int, width: int, channels: int) -> Image:
    """Returns the largest centred part of a file with these proportions, scaled.

    Args:
      path: a PNG or JPEG file.
      height: height in pixels.
      width: width in pixels.
      channels: 3, or 1 for grey.

    Returns:
      `[height, width, channels]` in [0, 1].

    Example:
      >>> read_image(photograph_path("flower", "photograph"), 20, 30, 1).shape
      (20, 30, 1)
    """
    pixels = decode(path, Form(height, width, 3, 8), scaled=True) / np.float32(255)
    return in_channels(pixels, channels)


def in_channels(image: Image, channels: int) -> Image:
    """Returns an RGB image, or its mean over the colors for 1 channel.

    Example:
      >>> in_channels(np.ones((2, 2, 3)), 1).shape
      (2, 2, 1)
    """
    if channels == 1:
        return image.mean(-1, keepdims=True)
    return image


def check_size(size: int, channels: int) -> None:
    """Raises for a size or a number of channels that no picture has."""
    at_least("size", size, 1)
    if channels not in (1, 3):
        raise InputError("channels", channels, "3 for RGB, or 1 for grey")


def photograph_path(name: str, field: str, further: Sequence[str] = ()) -> Path:
    """Returns the path of an embedded photograph, or of a file.

    Args:
      name: "temple" or "flower", or the path of a file.
      field: name of the option in messages.
      further: other names that the option takes, for messages.

    Raises:
      InputError: another name that is no file.

    Example:
      >>> photograph_path("temple", "photograph").name
      'china.jpg'
    """
    import sklearn.datasets

    if name in PHOTOGRAPHS:
        return Path(sklearn.datasets.__file__).parent / "images" / PHOTOGRAPHS[name]
    path = expand_path(name, field)
    if not path.is_file():
        one_of(field, name, [*PHOTOGRAPHS, *further, "the path of a PNG or JPEG file"])
    return path


def dream_layers(model: nn.Module, variables: Any, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Returns up to three activations with positions at different depths of a network.

    Args:
      model: any module.
      variables: its parameters and collections, or their shapes and dtypes.
      shape: shape of an image.

    Raises:
      InputError: a network without positions.

    Example:
      >>> from jaxdl.models import CNN, Stage
      >>> model = CNN((Stage(4), Stage(4)), norm="batch")
      >>> variables = model.init(root(0), jnp.zeros((1, 8, 8, 1)), train=False)
      >>> dream_layers(model, variables, (8, 8, 1))
      ('activation_0', 'activation_1')
    """
    shapes = explain.layers(model, variables, shape)
    maps = [name for name, each in shapes.items() if len(each) == 3]
    names = [name for name in maps if name.rsplit("/")[-1].startswith("activation")] or maps
    if not names:
        raise InputError("network", type(model).__name__, "a network of images with convolutions")
    return tuple(dict.fromkeys(names[int(share * len(names))] for share in DEPTHS))


class Dreamer(NamedTuple):
    """Layers of a network as functions of images, each without what follows it.

    Attributes:
      layers: `{name: f}`, f returns `{name: maps}`.
      twins: the same functions with random weights; empty for no comparison.

    Example: see `dreamer`.
    """

    layers: dict[str, Partial]
    twins: dict[str, Partial]


def dreamer(
    model: nn.Module,
    variables: Any,
    names: Sequence[str],
    shape: tuple[int, ...],
    prepare: Prepare | None = None,
    random: Key[Array, ""] | None = None,
) -> Dreamer:
    """Returns layers of a network as functions of images of any size.

    Args:
      model: any module. A CNN loses its head, so that it takes images of any size.
      variables: its parameters and collections.
      names: names of layers.
      shape: shape of the images, by which random weights are initialized.
      prepare: see `jaxdl.explain.layer`.
      random: root key of random weights to compare with; None means none.

    Example:
      >>> from jaxdl.models import CNN, Stage
      >>> model = CNN((Stage(4),), outputs=2)
      >>> variables = model.init(root(0), jnp.zeros((1, 8, 8, 1)), train=False)
      >>> found = dreamer(model, variables, ["conv_0"], (8, 8, 1), random=root(1))
      >>> found.twins["conv_0"](jnp.zeros((1, 20, 30, 1)))["conv_0"].shape
      (1, 20, 30, 4)
    """
    layers = {
        name: as_partial(explain.activations(body(model, name), variables, (name,), prepare))
        for name in names
    }
    twins = {}
    if random is not None:
        fresh = model.init(stream(random, "init"), jnp.zeros((1, *shape)), train=False)
        # With the same functions the compiled programs are the same.
        twins = {name: Partial(f.func, fresh) for name, f in layers.items()}
    return Dreamer(layers, twins)


def check_dreams(net: Dreamer, shape: tuple[int, ...], options: Dream) -> None:
    """Raises for a photograph that is too small for a layer, before anything is computed.

    Args:
      net: layers of a network; only the shapes of its weights matter.
      shape: shape of the photograph.
      options: options of the dreams.

    Raises:
      InputError: a photograph or an octave below the stride of a layer.

    Example:
      >>> from jaxdl.models import CNN, Stage
      >>> model = CNN((Stage(4),), outputs=2)
      >>> variables = model.init(root(0), jnp.zeros((1, 8, 8, 1)), train=False)
      >>> check_dreams(dreamer(model, variables, ["pool_0"], (8, 8, 1)), (4, 3, 1), Dream())
      Traceback (most recent call last):
      jaxdl.errors.InputError: octaves: got 4, allowed: at most 3; the smallest octave would ...
    """
    sizes = octave_sizes(shape, options.octaves, options.ratio)
    for name, f in net.layers.items():
        check_maps(f, shape, sizes, [(name, 1.0)])


class Kept(NamedTuple):
    """A dream as a file keeps it.

    Attributes:
      image: `[H, W, C]` in [0, 1].
      growth: objective of the image, divided by that of the photograph.
      frames: for each octave `[T, h, w, C]`, some of its steps, the last one included.
      steps: for each octave `[T]`, the numbers of steps after which the frames were taken.

    Example: see `kept_dream`.
    """

    image: Image
    growth: float
    frames: list[UInt8[np.ndarray, "T h w C"]]
    steps: list[np.ndarray]


def kept_dream(f: Partial, image: Image, seed: int, options: Dream, path: Path) -> Kept:
    """Returns a dream from its file, or computes it and writes the file.

    So an interrupted experiment continues after its last dream, with the same bits.

    Args:
      f: function of images, see `jaxdl.art.dream`.
      image: `[H, W, C]` in [0, 1].
      seed: seed of the shifts.
      options: options of the dream.
      path: an `.npz` file. Its folder is created.

    Raises:
      InputError: a file of another dream, or a damaged one.

    Example:
      >>> import tempfile
      >>> image = np.random.default_rng(0).random((8, 8, 3), np.float32)
      >>> f = Partial(lambda x: {"edges": x[:, 1:] - x[:, :-1]})
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = Path(folder) / "dream.npz"
      ...     dreams = [kept_dream(f, image, 0, Dream(octaves=1, steps=7), path) for _ in "ab"]
      >>> bool((dreams[0].image == dreams[1].image).all()), dreams[0].steps[0].tolist()
      (True, [1, 3, 5, 7])
    """
    inputs = {"weights": f, "photograph": image, "options": f"seed {seed}, {options}"}
    arrays = stored_arrays(path, inputs, lambda: _dream_arrays(f, image, seed, options))
    return Kept(
        arrays["image"],
        float(arrays["growth"]),
        [arrays[f"frames_{k}"] for k in range(options.octaves)],
        [arrays["steps"]] * options.octaves,
    )


def _dream_arrays(f: Partial, image: Image, seed: int, options: Dream) -> dict[str, Any]:
    """Returns a dream, its growth, and some of its frames."""
    dreamed = art.dream(f, image, root(seed), options)
    before, after = (
        float(art.objective(f, jnp.asarray(each)[None], options)[0])
        for each in (image, dreamed.image)
    )
    every = max(1, -(-options.steps // FRAMES))
    steps = np.arange(1, options.steps + 1)[::-1][::every][::-1]
    frames = {f"frames_{k}": each[steps - 1] for k, each in enumerate(dreamed.frames)}
    # An objective of zero has no ratio.
    growth = after / before if before else float("nan")
    return {"image": dreamed.image, "growth": growth, "steps": steps, **frames}
