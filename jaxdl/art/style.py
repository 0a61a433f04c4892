"""Style transfer and textures: images with the maps of one image and the statistics of another."""

import contextlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int, Key

from jaxdl.art.colors import match_colors
from jaxdl.art.descent import METHODS, Budget, Spent
from jaxdl.art.losses import (
    Image,
    Layers,
    Losses,
    Style,
    Targets,
    checked_image,
    compiled,
    losses_of,
    maps_of,
    numbers_of,
    targets,
    value_and_gradient,
)
from jaxdl.errors import InputError, NonFinite, integers, not_in_jit, of_kind
from jaxdl.explain.layers import as_partial, fitting
from jaxdl.rng import check_single_key, stream


class Stylized(NamedTuple):
    """A picture with the losses on the way to it.

    Attributes:
      image: `[H, W, C]` in [0, 1], rounded to 8 bits. It had the smallest total loss.
      losses: losses of this rounded image, of the style, the content and in total.
      style_loss: `[N]`, L_s at each evaluation.
      content_loss: `[N]`, L_c at each evaluation.
      frames: `[K, H, W, C]`, the best image after some of the evaluations.
      frame_at: `[K]`, their numbers of evaluations, increasing.
      found_at: `[K]`, the evaluations at which these images were found, at most those of frame_at.
      evaluations: N, at most that of the options. It is smaller if no step reduces the loss.
      seconds: duration of the evaluations, without compilation.

    Example: see `stylize`.
    """

    image: Float[np.ndarray, "H W C"]
    losses: Losses
    style_loss: Float[np.ndarray, " N"]
    content_loss: Float[np.ndarray, " N"]
    frames: Float[np.ndarray, "K H W C"]
    frame_at: Int[np.ndarray, " K"]
    found_at: Int[np.ndarray, " K"]
    evaluations: int
    seconds: float


def stylize(
    f: Layers,
    content: Image,
    style: Image,
    key: Key[Array, ""],
    options: Style | None = None,
    *,
    progress: Callable[[int, Losses], None] | None = None,
) -> Stylized:
    """Returns an image with the content of one image in the style of another.

        x* = argmin_x  content_weight L_c(x) + style_weight L_s(x) + smoothness L_v(x)

    Pixels stay in [0, 1], by bounds of the optimizer.

    Source: Gatys, Ecker, Bethge 2016, Image style transfer using convolutional neural networks.

    Args:
      f: function of images, see `jaxdl.explain.activations`. It returns the layers of the options.
      content: image `[H, W, C]` in [0, 1].
      style: image `[H', W', C]` in [0, 1], perhaps of another size.
      key: root key, from which the start "noise" follows.
      options: options; None means `Style()`.
      progress: function of the number of an evaluation and its losses.

    Returns:
      The picture with its losses.

    Raises:
      InputError: an image that is no image in [0, 1], or that is too small for the network; another
        number of channels; a layer that f does not have; maps that are not finite.
      NonFinite: a loss that overflows, such as by a huge weight.

    Example:
      >>> from jaxdl.rng import root
      >>> def f(images):
      ...     return {"pixels": images}
      >>> light = jnp.full((4, 4, 1), 0.8)
      >>> made = stylize(f, light / 2, light, root(0), Style(("pixels",), ("pixels",), 0.0))
      >>> made.image.shape, round(float(made.image.mean()), 2)
      ((4, 4, 1), 0.8)
    """
    not_in_jit("stylize")
    of_kind("options", options, Style | None, "art.Style(...), or None")
    options = options or Style()
    check_single_key(key)
    if not options.content_layers:
        raise InputError("content_layers", (), "at least one name of a layer; see art.texture")
    content = checked_image("content", content)
    style = checked_image("style", style)
    if options.keep_colors:
        style = jnp.asarray(match_colors(np.asarray(style), np.asarray(content)))
    found = targets(f, content, style, options)
    start = content
    if options.start == "recolored":
        start = jnp.asarray(match_colors(np.asarray(content), np.asarray(style)))
    elif options.start == "noise":
        start = _noise(key, content.shape)
    return _descend(as_partial(f), start, found, options, progress)


def texture(
    f: Layers,
    style: Image,
    shape: tuple[int, int],
    key: Key[Array, ""],
    options: Style | None = None,
    *,
    progress: Callable[[int, Losses], None] | None = None,
) -> Stylized:
    """Returns an image with the texture of another image, made from noise.

        x* = argmin_x  style_weight L_s(x) + smoothness L_v(x)

    Source: Gatys, Ecker, Bethge 2015, Texture synthesis using convolutional neural networks.

    Args:
      f: as for `stylize`.
      style: image `[H', W', C]` in [0, 1].
      shape: height and width of the result.
      key: root key of the noise.
      options: options; the content is ignored.
      progress: as for `stylize`.

    Returns:
      The picture with its losses.

    Raises:
      InputError: as for `stylize`.
      NonFinite: as for `stylize`.

    Example:
      >>> from jaxdl.rng import root
      >>> options = Style((), ("pixels",), evaluations=20)
      >>> light = jnp.full((4, 4, 1), 0.8)
      >>> made = texture(lambda x: {"pixels": x}, light, (6, 6), root(0), options)
      >>> made.image.shape, float(made.losses.style) < 1e-4
      ((6, 6, 1), True)
    """
    not_in_jit("texture")
    of_kind("options", options, Style | None, "art.Style(...), or None")
    check_single_key(key)
    options = options or Style()
    style = checked_image("style", style)
    size = integers("shape", shape, 2, "height and width, such as (128, 128)")
    found = targets(f, None, style, options)
    return _descend(as_partial(f), _noise(key, (*size, style.shape[-1])), found, options, progress)


def _noise(key: Key[Array, ""], shape: tuple[int, ...]) -> Image:
    return jnp.clip(0.5 + 0.2 * jax.random.normal(stream(key, "style"), shape), 0, 1)


def _descend(
    f: Partial,
    start: Image,
    found: Targets,
    options: Style,
    progress: Callable[[int, Losses], None] | None,
) -> Stylized:
    """Returns the result of the optimizer from a start."""
    for values in (found.content, found.style):
        for name, target in values.items():
            if not jnp.isfinite(target).all():
                allowed = "finite maps; weights of the network may be NaN"
                raise InputError(f"layer {name}", "NaN or infinity", allowed)
    numbers = numbers_of(found, options)
    history: list[Losses] = []

    def evaluate(image: Image) -> tuple[float, Image]:
        found_losses, gradient = compiled(value_and_gradient)(f, image, found, numbers)
        losses = Losses(*map(float, found_losses))
        history.append(losses)
        if not np.isfinite(losses.total):
            raise NonFinite(len(history), "the loss overflows; reduce the weights of the losses")
        if progress is not None:
            progress(len(history), losses)
        return float(losses.total), gradient

    with fitting(start.shape):
        jax.eval_shape(maps_of, f, start)
    budget = Budget(evaluate, options.evaluations, options.frames)
    with contextlib.suppress(Spent):
        METHODS[options.optimizer](budget, start, options.learning_rate)
    image = np.round(255 * budget.best) / np.asarray(255, budget.best.dtype)
    losses = compiled(losses_of)(f, jnp.asarray(image), found, numbers)
    frames = budget.frames
    return Stylized(
        image,
        Losses(*map(float, losses)),
        np.array([each.style for each in history]),
        np.array([each.content for each in history]),
        np.stack(list(frames.values())),
        np.array(list(frames)),
        np.array(list(budget.found_at.values())),
        len(history),
        budget.seconds,
    )
