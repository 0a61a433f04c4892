"""Grad-CAM: the places of a feature map that speak for a class."""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least, not_in_jit, of_kind, one_of
from jaxdl.explain.gradients import check_gradients
from jaxdl.explain.images import check_images
from jaxdl.explain.layers import Prepare, layers
from jaxdl.explain.scores import Target, check_target, in_batches, logits, select, two_scores
from jaxdl.nn import tap

#: First letters of layers without weights, which change the positions or nothing at all.
SKIPPED = ("pool", "dropout")


class GradCam(NamedTuple):
    """The maps of Grad-CAM.

    Attributes:
      maps: `[N, H, W, 1]`, of the size of the images.
      raw: `[N, I, J]`, values at the positions of the activation, before the ReLU.

    Example: see `grad_cam`.
    """

    maps: Float[np.ndarray, "N H W 1"]
    raw: Float[np.ndarray, "N I J"]


def grad_cam(
    model: nn.Module,
    variables: Any,
    images: Float[np.ndarray, "N H W C"],
    target: Target = None,
    *,
    name: str | None = None,
    prepare: Prepare | None = None,
    relu: bool = True,
    batch_size: int = 128,
) -> GradCam:
    """Returns the places of a feature map that raise a class's logit, Grad-CAM.

        w_u = mean over positions of dz_c / dh_u,    raw = sum_u w_u h_u,    maps = E(relu(raw))

    z are the logits, h an activation with positions, and E the bilinear enlargement to the size of
    the images. Centers of pixels are at half integers, and the border is repeated.

    All values of `raw` may be negative, and then the map is 0 everywhere. `relu=False` gives the
    signed map. The mean over positions fits networks that end in global average pooling. A dense
    head on flattened maps has other weights at each position, which the mean mixes.

    Source: Selvaraju et al. 2017, Grad-CAM: visual explanations from deep networks.

    Args:
      model: any Linen module whose outputs are logits. A single logit z, for two classes, stands
        for the scores (0, z).
      variables: its parameters and collections.
      images: `[N, H, W, C]` in [0, 1].
      target: a class, one for each image, or None for the class with the largest logit.
      name: name of the activation, see `layers`. None means the last one named `activation_...`,
        so the values after the activation function and before the pooling. A network without such
        names has its last layer with positions there, apart from pooling and dropout.
      prepare: see `explain.layer`.
      relu: if False, negative values are kept.
      batch_size: number of images in a batch.

    Returns:
      The maps, and the values at the positions of the activation.

    Raises:
      InputError: bad images, or a class that does not exist; an unknown name; an activation or a
        network without positions; a gradient that is zero for every image.

    Example:
      >>> from jaxdl.models import CNN, Stage
      >>> model = CNN((Stage(4), Stage(8)), outputs=3, head_size=1)
      >>> images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
      >>> variables = model.init(jax.random.key(0), images, train=False)
      >>> found = grad_cam(model, variables, images)
      >>> found.maps.shape, found.raw.shape, bool((found.maps >= 0).all())
      ((2, 8, 8, 1), (2, 4, 4), True)
    """
    not_in_jit("grad_cam")
    of_kind("relu", relu, bool, "True or False")
    at_least("batch_size", batch_size, 1)
    check_images(images)
    shapes = layers(model, variables, np.shape(images)[1:], prepare)
    where = _with_positions(shapes, name)
    chosen = check_target(logits(model, variables, prepare), images, target, batch_size)

    def values(variables: Any, images: Any, bump: Any) -> Any:
        if prepare is not None:
            images = prepare(images)
        z, seen = tap(model, variables, where, train=False)(images, {where: bump})
        return two_scores(z), seen[where]

    program = partial(_grad_cam, shape=shapes[where], relu=relu)
    found = in_batches(program, Partial(values, variables), (images, chosen), batch_size)
    maps, raw, is_live = found
    check_gradients(raw, is_live)
    return GradCam(maps, raw)


def _with_positions(shapes: dict[str, tuple[int, ...]], name: str | None) -> str:
    """Returns the name of an activation with positions; raises if there is none."""
    having = [each for each, shape in shapes.items() if len(shape) == 3]
    if not having:
        allowed = (
            "a network with maps [I, J, U], such as a CNN; "
            "explain.gradient(...) and explain.occlusion(...) fit any network"
        )
        raise InputError("model", "a network without positions", allowed)
    if name is not None:
        one_of("name", name, shapes)
        if name not in having:
            allowed = f"one with positions [I, J, U], such as {having[-1]!r}"
            raise InputError("name", f"{name}, with the shape {list(shapes[name])}", allowed)
        return name
    several = [each for each in having if shapes[each][0] * shapes[each][1] > 1] or having
    activations = [each for each in several if _last_part(each).startswith("activation")]
    others = [each for each in several if not _last_part(each).startswith(SKIPPED)]
    return (activations or others or several)[-1]


def _last_part(name: str) -> str:
    return name.rsplit("/", 1)[-1].lower()


@partial(jax.jit, static_argnames=("shape", "relu"))
def _grad_cam(
    f: Partial,
    images: Float[Array, "B H W C"],
    target: Int[Array, " B"],
    shape: tuple[int, int, int],
    relu: bool,
) -> Any:
    """Returns the maps, their values at the positions, and if a gradient is not zero."""
    images = images.astype(jnp.float32)

    def score(bump: Float[Array, "B I J U"]) -> Any:
        scores, h = f(images, bump)
        return select(scores, target).sum(), h

    bump = jnp.zeros((images.shape[0], *shape), jnp.float32)
    slope, h = jax.grad(score, has_aux=True)(bump)
    weights = slope.mean((1, 2), keepdims=True)
    raw = (weights * h.astype(jnp.float32)).sum(-1)
    kept = raw
    if relu:
        kept = jax.nn.relu(raw)
    size = (*images.shape[:3], 1)
    maps = jax.image.resize(kept[..., None], size, "bilinear", antialias=False)
    return maps, raw, (slope != 0).any((1, 2, 3))
