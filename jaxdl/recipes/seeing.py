"""Units of a trained network: what excites them, in numbers and pictures."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl import explain, plots
from jaxdl.data.preprocessing import Preprocessing
from jaxdl.errors import InputError, one_of
from jaxdl.explain import Ascent, Crops, Maximized
from jaxdl.explain.layers import Prepare, check_units
from jaxdl.models import CNN

Images = Float[np.ndarray, "N H W C"]

#: Number of real crops beside each made image.
CROPS = 9


class Units(NamedTuple):
    """Units of one layer with the images that excite them.

    Attributes:
      layer: name of the layer.
      units: `[N]` indices of the units.
      made: images that were made for them.
      made_crops: `[N, h, w, C]`, the part of each made image that excites the unit most.
      crops: crops of real images, of all units of the layer.
      real_crops: for each unit `[K, h, w, C]`.

    Example: see `see_units`.
    """

    layer: str
    units: Sequence[int]
    made: Maximized
    made_crops: Images
    crops: Crops
    real_crops: list[Images]

    @property
    def is_live(self) -> np.ndarray:
        """`[N]`, True for units with a positive activation for a real image."""
        return self.crops.value[self.units, 0] > 0

    @property
    def exceeds(self) -> np.ndarray:
        """`[N]`, True if the made image excites the unit at least as much as every real one."""
        best = self.crops.value[self.units, 0]
        return self.made.activation >= best - 1e-5 * np.abs(best)


def body(model: nn.Module, name: str) -> nn.Module:
    """Returns a CNN without its head, which then takes images of any size.

    Args:
      model: any module. Another one than a `CNN` is returned as it is.
      name: the layer that is needed. A network keeps its head for a layer in the head.

    Example:
      >>> from jaxdl.models import Stage
      >>> body(CNN((Stage(4),), (8,), 3), "conv_0").outputs is None
      True
    """
    if isinstance(model, CNN) and not name.startswith("head"):
        return model.clone(dense=(), outputs=None, dropout=0.0)
    return model


def preparation(preprocessing: Preprocessing) -> Prepare | None:
    """Returns the scaling of images in [0, 1] as a function with a gradient; None for no scaling.

    Example:
      >>> scaling = {"input": ((np.array(0.5), np.array(2.0)),)}
      >>> float(preparation(Preprocessing(scaling))(jnp.array(1.5)))
      0.5
    """
    steps = preprocessing.scaling.get("input", ())
    factor = 1.0
    if not preprocessing.is_unit:
        # The network was trained on pixels in 0..255.
        assert preprocessing.range is not None
        factor = float(preprocessing.range[1])
    if not steps and factor == 1.0:
        return None

    def prepare(x: Float[Array, "B ..."]) -> Float[Array, "B ..."]:
        x = factor * x
        for shift, scale in steps:
            full = (
                jnp.broadcast_to(jnp.asarray(each, x.dtype), x.shape) for each in (shift, scale)
            )
            x = (x - next(full)) / next(full)
        return x

    return prepare


def convolutions(model: nn.Module, variables: Any, shape: tuple[int, ...]) -> list[str]:
    """Returns the layers that are worth a picture: those before each activation with positions.

    Norms are preferred to the convolution before them.

    Args:
      model: any module.
      variables: its parameters and collections.
      shape: shape of an image.

    Returns:
      Names, in order; none for a network without positions.

    Example:
      >>> import jax
      >>> from jaxdl.models import Stage
      >>> model = CNN((Stage(4), Stage(4)), norm="batch")
      >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False)
      >>> convolutions(model, variables, (8, 8, 1))
      ['norm_0', 'norm_1']
    """
    shapes = explain.layers(model, variables, shape)
    maps = [name for name, each in shapes.items() if len(each) == 3]
    names = []
    for name, following in zip(maps, [*maps[1:], ""], strict=False):
        last = following.rsplit("/")[-1]
        if "activation" in last and not name.rsplit("/")[-1].startswith(("activation", "pool")):
            names.append(name)
    return names or [name for name in maps if "conv" in name.lower()] or maps


def check_layers(
    model: nn.Module,
    variables: Any,
    shape: tuple[int, ...],
    names: Sequence[str],
    units: Sequence[int] = (),
) -> None:
    """Raises for a layer that a network does not have, or units that a layer does not have.

    Args:
      model: any module.
      variables: its parameters and collections, or their shapes and dtypes.
      shape: shape of an image.
      names: names of layers.
      units: indices that each of these layers must have.

    Raises:
      InputError: an unknown layer or unit.

    Example:
      >>> import jax
      >>> from jaxdl.models import Stage
      >>> model = CNN((Stage(4),))
      >>> variables = jax.eval_shape(
      ...     lambda: model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False)
      ... )
      >>> check_layers(model, variables, (8, 8, 1), ["conv_0"], [4])
      Traceback (most recent call last):
      jaxdl.errors.InputError: units: got 4, allowed: at most 3; conv_0 has 4 units
    """
    shapes = explain.layers(model, variables, shape)
    for name in names:
        one_of("layers", name, shapes)
        count = shapes[name][-1]
        for unit in units:
            if unit >= count:
                raise InputError("units", unit, f"at most {count - 1}; {name} has {count} units")


def see_units(
    model: nn.Module,
    variables: Any,
    name: str,
    images: Images,
    key: Key[Array, ""],
    *,
    units: Sequence[int] | None = None,
    size: int | None = None,
    ascent: Ascent | None = None,
    prepare: Prepare | None = None,
) -> Units:
    """Returns the crops of a set and the made images that excite units of a layer most.

    Args:
      model: any module.
      variables: its parameters and collections.
      name: name of the layer, see `jaxdl.explain.layers`.
      images: `[N, H, W, C]` in [0, 1].
      key: root key of the made images.
      units: indices; None means the first 16.
      size: side of the made images; None means that of the images.
      ascent: options of the made images.
      prepare: see `jaxdl.explain.layer`.

    Raises:
      InputError: an unknown layer or unit, bad images, or a size below the receptive field.
    """
    shape = np.shape(images)[1:]
    one_of("layer", name, explain.layers(model, variables, shape, prepare))
    f = explain.layer(body(model, name), variables, name, prepare)
    count = explain.layers(model, variables, shape, prepare)[name][-1]
    chosen = check_units(range(min(16, count)) if units is None else units, f, shape)
    boxes = explain.receptive_fields(f, shape)
    crops = explain.best_crops(f, images, CROPS, boxes=boxes)
    made_shape = shape
    if size is not None:
        made_shape = (size, size, shape[-1])
    made = explain.maximize(f, chosen, key, made_shape, ascent, clipped=size is None)
    if made_shape != shape:
        boxes = explain.receptive_fields(f, made_shape)
    made_crops = made.images
    if ascent is None or ascent.score != "mean":
        edges = [edge.reshape(-1, count)[made.position, chosen] for edge in boxes]
        rows = np.arange(len(chosen))[:, None]
        own = Crops(
            made.activation[:, None],
            rows,
            made.position[:, None],
            np.stack(edges, -1)[:, None],
            boxes.size,
        )
        made_crops = np.concatenate(
            [explain.cut(made.images, own, i, np.nan) for i in range(len(chosen))]
        )
    real = [explain.cut(images, crops, unit, np.nan) for unit in chosen]
    return Units(name, chosen, made, made_crops, crops, real)


def draw_units(seen: Units, path: str | os.PathLike[str], data: str = "real images") -> Path:
    """Draws the made image and the best crops of each unit; see `jaxdl.plots.unit_images`.

    Args:
      seen: units of one layer.
      path: path of the PNG file.
      data: name of the set of real images.
    """
    live = int(seen.is_live.sum())
    wins = int((seen.exceeds & seen.is_live).sum())
    height, width = seen.crops.size
    title = (
        f"{seen.layer}, receptive field {height} × {width}: the made image excites "
        f"{wins} of {live} live units at least as much as all of {data}"
    )
    return plots.unit_images(
        seen.units,
        seen.made_crops,
        seen.made.activation,
        seen.real_crops,
        seen.crops.value[seen.units],
        path,
        title,
        dead=(~seen.is_live).tolist(),
    )


def draw_network(
    model: nn.Module,
    variables: Any,
    images: Images,
    figure: Callable[[str], Path],
    prepare: Prepare | None = None,
) -> None:
    """Draws the filters of the first layer, and the maps of the first image at every layer.

    Args:
      model: any module.
      variables: its parameters and collections.
      images: `[N, H, W, C]` in [0, 1].
      figure: function from the name of a figure to its path.
      prepare: see `jaxdl.explain.layer`.
    """
    maps = explain.feature_maps(model, variables, images[:1], prepare)
    shown = {
        name: each[0]
        for name, each in maps.items()
        if each.ndim == 4 and "dropout" not in name.lower()
    }
    if not shown:
        allowed = "a network of images with convolutions"
        raise InputError("network", type(model).__name__, allowed)
    names = list(shown)[:: max(1, round(len(shown) / 12))]
    plots.layer_maps(images[0], {name: shown[name] for name in names}, figure("maps"))
    first = next(iter(shown))
    kernel = _kernel(variables["params"], first)
    if kernel is not None:
        plots.filters(kernel, figure("filters"))


def _kernel(params: Any, name: str) -> np.ndarray | None:
    """Returns the kernel of a layer if it reads images."""
    for part in name.split("/"):
        params = params.get(part, {})
    kernel = params.get("kernel")
    if kernel is None or np.ndim(kernel) != 4 or kernel.shape[2] not in (1, 3):
        return None
    return np.asarray(kernel)
