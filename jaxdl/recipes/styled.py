"""Pictures of a style transfer and of textures, which an interrupted script keeps."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl import art, plots
from jaxdl.art import Losses, Style, Stylized
from jaxdl.art.random_layer import TAPS
from jaxdl.recipes.stored import stored_arrays
from jaxdl.recipes.styling import Painter, layers_of, random_twin, shuffled
from jaxdl.rng import root

Image = Float[np.ndarray, "H W C"]

#: Factors of the style weight in the table.
FACTORS = (0.1, 1.0, 10.0)

#: Sides of the blocks of random filters, of which those are used that fit an image.
SCALES = (1, 2, 4, 8)

#: Smallest relative loss that is not written as 0.
ROUNDING = 1e-10


def make_pictures(
    net: Painter, seed: int, figure: Callable[[str], Path] | None, sample: Callable[[str], Path]
) -> dict[str, float]:
    """Makes the pictures of a network and draws them.

    Args:
      net: the network with its images, see `painter`.
      seed: seed of the random weights and of noise.
      figure: function from the name of a figure to its path; None draws nothing, and textures and
        the table are left out.
      sample: function from the name of a file of arrays to its path.

    Returns:
      `style_loss` and `content_loss` of the picture, and the same with random weights as
      `random/style_loss` and `random/content_loss`.

    Example: see `experiments/style.py`.
    """
    key = root(seed)
    made = transferred(net, key, sample(f"style-{seed}.npz"), "picture")
    metrics = _numbers(made)
    if figure is not None:
        draw_transfer(net, made, figure)
    if net.options.compare_random:
        twin = random_twin(net, key)
        other = transferred(twin, key, sample(f"random-{seed}.npz"), "random weights")
        metrics |= {f"random/{name}": value for name, value in _numbers(other).items()}
        if figure is not None:
            draw_comparison(made, other, figure("random_weights"))
    if figure is not None and net.options.textures:
        draw_textures(net, seed, figure("textures"), sample)
    if figure is not None and net.options.table:
        draw_table(net, key, figure("table"), sample)
    return metrics


def _numbers(made: Stylized) -> dict[str, float]:
    return {
        "style_loss": float(made.losses.style),
        "content_loss": float(made.losses.content),
    }


def draw_transfer(net: Painter, made: Stylized, figure: Callable[[str], Path]) -> None:
    """Draws content, style and picture, the picture after some evaluations, and a film of these.

    Example: see `experiments/style.py`.
    """
    title = (
        f"Style loss {short(made.style_loss[0])} → {short(made.losses.style)}, content loss "
        f"{short(made.losses.content)} after {made.evaluations} evaluations, relative to targets"
    )
    names = ["content", "style", "picture"]
    row = [net.content, net.style, made.image]
    plots.picture_table([row], names, figure("style"), title)
    columns = [f"evaluation {count}" for count in made.frame_at]
    best = made.found_at - 1
    captions = [
        _captions(*each)
        for each in zip(made.style_loss[best], made.content_loss[best], strict=True)
    ]
    title = (
        f"The best picture so far, style loss {short(made.style_loss[0])} → "
        f"{short(made.losses.style)}"
    )
    frames = [list(made.frames)]
    plots.picture_table(frames, columns, figure("evaluations"), title, notes=[captions])
    titles = [f"{each}: {text}" for each, text in zip(columns, captions, strict=True)]
    plots.picture_gif(frames[0], titles, figure("style").with_suffix(".gif"))


def short(loss: float | Float[Array, ""]) -> str:
    """Returns a loss with two digits, and 0 for what only rounding leaves.

    Example:
      >>> short(2.04), short(0.01234), short(0.0000388), short(24.0), short(7.6e-15)
      ('2.0', '0.012', '3.9e-05', '24', '0')
    """
    value = float(loss)
    if abs(value) < ROUNDING:
        return "0"
    return f"{value:#.2g}".rstrip(".")


def _captions(style: float | Float[Array, ""], content: float | Float[Array, ""]) -> str:
    return f"style {short(style)}, content {short(content)}"


def draw_comparison(made: Stylized, other: Stylized, path: Path) -> None:
    """Draws the picture of a network beside that of the same layers with random weights.

    Example: see `experiments/style.py`.
    """
    title = (
        f"The same layers with random weights: style loss {short(made.losses.style)} and "
        f"{short(other.losses.style)}, of two networks, so not comparable"
    )
    both = (made, other)
    captions = [_captions(each.losses.style, each.losses.content) for each in both]
    images = [[each.image for each in both]]
    columns = ["weights of the network", "random weights"]
    plots.picture_table(images, columns, path, title, notes=[captions])


def draw_textures(net: Painter, seed: int, path: Path, sample: Callable[[str], Path]) -> None:
    """Draws textures of the style from noise, beside its pixels in a random order.

    Each texture of the network matches one layer more than the one before. The last texture comes
    from a layer of random filters. A second layer, with other random filters, measures all of them.

    Example: see `experiments/style.py`.
    """
    key = root(seed)
    size, _, channels = net.style.shape
    names = list(net.transfer.style_layers)
    columns = ["style", "its pixels, shuffled"]
    images = [net.style, shuffled(net.style, seed)]
    for count in range(1, len(names) + 1):
        options = dataclasses.replace(net.transfer, style_layers=tuple(names[:count]))
        f = layers_of(net, dataclasses.replace(options, content_layers=()))
        where = sample(f"texture-{seed}-{count}.npz")
        name = f"texture of {names[count - 1]}"
        columns.append(f"layers to {names[count - 1]}" if count > 1 else names[0])
        made = textured(f, net.style, key, where, name, options, net.options.pooling)
        images.append(made.image)
    scales = [scale for scale in SCALES if TAPS * scale <= size]
    if scales:
        options = dataclasses.replace(net.transfer, style_layers=("random",))
        f = art.random_layer(key, channels, scales=scales)
        where = sample(f"texture-{seed}-random.npz")
        images.append(
            textured(f, net.style, key, where, "texture of random filters", options).image
        )
        columns.append("one random layer")
    captions = [""] * len(images)
    title = f"Textures from noise, {net.transfer.evaluations} evaluations"
    if scales:
        other = art.random_layer(root(seed + 1), channels, scales=scales)
        losses = _independent(other, images)
        captions = [f"style loss {short(loss)}" for loss in losses]
        title += f": a layer of other random filters measures {short(losses[-1])} for the last one "
        title += f"and {short(losses[1])} for shuffled pixels"
    plots.picture_table([images], columns, path, title, notes=[captions])


def _independent(f: Callable[..., Any], images: Sequence[Image]) -> list[float]:
    """Returns the style losses of images in a layer, with the first image as style."""
    options = Style((), ("random",))
    found = art.targets(f, None, jnp.asarray(images[0]), options)
    return [float(art.style_losses(f, jnp.asarray(x), found, options).style) for x in images]


def draw_table(
    net: Painter, key: Key[Array, ""], path: Path, sample: Callable[[str], Path]
) -> None:
    """Draws pictures with other content layers in each row, and other style weights in each column.

    Example: see `experiments/style.py`.
    """
    layers = net.transfer.style_layers
    made = []
    for name in layers:
        row = []
        for factor in FACTORS:
            weight = factor * net.transfer.style_weight
            options = dataclasses.replace(net.transfer, content_layers=(name,), style_weight=weight)
            where = sample(f"table-{name}-{factor:g}.npz")
            row.append(transferred(net, key, where, f"{name}, weight {weight:g}", options))
        made.append(row)
    pictures = [[m.image for m in row] for row in made]
    captions = [[_captions(m.losses.style, m.losses.content) for m in row] for row in made]
    columns = [f"style weight {factor * net.transfer.style_weight:g}" for factor in FACTORS]
    losses = [(m.losses.style, m.losses.content) for row in made for m in row]
    style, content = (f"{short(min(x))} to {short(max(x))}" for x in zip(*losses, strict=True))
    title = f"Content layers and style weights: style loss {style}, content loss {content}"
    rows = [f"content {name}" for name in layers]
    plots.picture_table(pictures, columns, path, title, rows, captions)


def transferred(
    net: Painter, key: Key[Array, ""], path: Path, name: str, transfer: Style | None = None
) -> Stylized:
    """Returns the picture of a network, which is read from a file if it was made before.

    Args:
      net: the network with its images.
      key: root key.
      path: path of the `.npz` file.
      name: name of the picture in the progress.
      transfer: layers and weights; None means those of the network.

    Example: see `experiments/style.py`.
    """
    chosen = transfer or net.transfer

    def make() -> Stylized:
        progress = Progress(name, chosen.evaluations)
        f = layers_of(net, chosen)
        images = (jnp.asarray(net.content), jnp.asarray(net.style))
        return art.stylize(f, *images, key, chosen, progress=progress)

    inputs = {
        "options": (chosen, net.options.pooling, key),
        "images": (net.content, net.style),
        "weights": net.variables,
    }
    return stored(path, inputs, make)


def textured(
    f: Callable[..., Any],
    style: Image,
    key: Key[Array, ""],
    path: Path,
    name: str,
    options: Style,
    pooling: str = "",
) -> Stylized:
    """Returns a texture from noise, which is read from a file if it was made before.

    Args:
      f: layers as a function of images, a `jax.tree_util.Partial`.
      style: the image whose texture it gets.
      key: root key.
      path: path of the `.npz` file.
      name: name of the picture in the progress.
      options: layers and weights.
      pooling: pooling of the network of f, by which files differ, too.

    Example: see `experiments/style.py`.
    """

    def make() -> Stylized:
        progress = Progress(name, options.evaluations)
        shape = (style.shape[0], style.shape[1])
        return art.texture(f, jnp.asarray(style), shape, key, options, progress=progress)

    inputs = {"options": (options, pooling, key), "images": style, "weights": f}
    return stored(path, inputs, make)


class Progress:
    """Lines with the losses, about five for each picture.

    Args:
      name: name of the picture.
      evaluations: number of evaluations.

    Example:
      >>> progress = Progress("picture", 10)
      >>> progress(10, Losses(1.0, 0.1, 0.5))
      picture: evaluation 10 of 10, style loss 0.10, content loss 0.50, 0 s
    """

    def __init__(self, name: str, evaluations: int) -> None:
        self.name = name
        self.evaluations = evaluations
        self.every = max(1, evaluations // 5)
        self.started = time.perf_counter()

    def __call__(self, done: int, losses: Losses) -> None:
        """Prints a line at every fifth of the evaluations."""
        if done % self.every:
            return
        text = f"{self.name}: evaluation {done} of {self.evaluations}"
        text += f", style loss {short(losses.style)}"
        if losses.content:
            text += f", content loss {short(losses.content)}"
        print(f"{text}, {time.perf_counter() - self.started:.0f} s", flush=True)


def stored(path: Path, inputs: Mapping[str, Any], make: Callable[[], Stylized]) -> Stylized:
    """Returns the picture of a file if it was made from the same inputs, else makes it.

    So a script that was interrupted makes only the missing pictures.

    Args:
      path: path of the `.npz` file.
      inputs: by name the options and arrays that decide the picture.
      make: function without arguments.

    Raises:
      InputError: a file that was made from other inputs, or a damaged one.

    Example: see `experiments/style.py`.
    """

    def make_arrays() -> dict[str, Any]:
        made = make()
        return {**made._asdict(), "losses": np.array(made.losses)}

    arrays = stored_arrays(path, inputs, make_arrays)
    losses = Losses(*arrays.pop("losses").tolist())
    count = int(arrays.pop("evaluations"))
    seconds = float(arrays.pop("seconds"))
    return Stylized(losses=losses, evaluations=count, seconds=seconds, **arrays)
