"""Pictures of the dreams of a network, and their numbers."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxdl import art, plots
from jaxdl.art import Dream
from jaxdl.art.octaves import octave_sizes
from jaxdl.art.sizes import check_maps
from jaxdl.errors import InputError
from jaxdl.recipes.dreaming import Dreamer, DreamOptions, Kept, kept_dream
from jaxdl.rng import root

Image = Float[np.ndarray, "H W C"]


class Dreams(NamedTuple):
    """The dreams of a network.

    Attributes:
      photograph: `[H, W, C]`, the image that was changed.
      trained: `{layer: dream of each seed}`.
      random: `{layer: dream}` of the network with random weights; empty without a comparison.

    Example: see `dream_all`.
    """

    photograph: Image
    trained: dict[str, list[Kept]]
    random: dict[str, Kept]


def dream_all(
    nets: Sequence[Dreamer],
    photograph: Image,
    seeds: Sequence[int],
    options: DreamOptions,
    folder: Path,
    progress: Callable[[str], Any] = print,
) -> Dreams:
    """Returns the dreams of all layers, of all seeds, and of random weights.

    Args:
      nets: the network of each seed, with the same layers.
      photograph: `[H, W, C]`.
      seeds: seeds of the shifts.
      options: options of the dreams.
      folder: folder of the files of finished dreams, from which an interrupted call continues.
      progress: function of one line of text.

    Example: see `experiments/dream.py`.
    """
    dream = options.dream()
    trained: dict[str, list[Kept]] = {}
    random = {}
    for name, twin in {name: nets[0].twins.get(name) for name in nets[0].layers}.items():
        short = name.replace("/", "-")
        trained[name] = []
        for net, seed in zip(nets, seeds, strict=True):
            path = folder / f"{short}-{seed}.npz"
            trained[name].append(kept_dream(net.layers[name], photograph, seed, dream, path))
            progress(f"{name}, seed {seed}: the objective grew {factor(trained[name][-1].growth)}")
        if twin is not None:
            path = folder / f"{short}-random.npz"
            random[name] = kept_dream(twin, photograph, seeds[0], dream, path)
            progress(f"{name}, random weights: it grew {factor(random[name].growth)}")
    return Dreams(photograph, trained, random)


def growths(dreams: Dreams) -> dict[str, list[float]]:
    """Returns the growth of the objective by layer, for each seed.

    Example: see `experiments/dream.py`.
    """
    found = {}
    for name, kept in dreams.trained.items():
        short = name.replace("/", "-")
        found[f"{short}/growth"] = [each.growth for each in kept]
        if name in dreams.random:
            found[f"{short}/random_growth"] = [dreams.random[name].growth] * len(kept)
    return found


def draw_dreams(
    dreams: Dreams, network: str, seeds: Sequence[int], figure: Callable[[str], Path]
) -> None:
    """Draws the dreams of all depths, the octaves and steps of the deepest one, and other keys.

    Args:
      dreams: result of `dream_all`.
      network: name of the network for the titles.
      seeds: seeds of the dreams.
      figure: function from the name of a figure to its path.
    """
    names = list(dreams.trained)
    deepest = dreams.trained[names[-1]]
    rows = ["trained"]
    table = [[dreams.photograph, *(dreams.trained[name][0].image for name in names)]]
    notes = [["", *(f"objective {factor(dreams.trained[name][0].growth)}" for name in names)]]
    if dreams.random:
        rows.append("random weights")
        table.append([dreams.photograph, *(dreams.random[name].image for name in names)])
        notes.append(["", *(f"objective {factor(dreams.random[name].growth)}" for name in names)])
    title = f"Dreams of {network}: the mean square of {names[-1]} grows "
    title += f"{factor(deepest[0].growth)}"
    columns = ["photograph", *names]
    plots.picture_table(table, columns, figure("depths"), title, rows, notes)
    shown, texts = _frames(deepest[0], dreams.photograph)
    last = np.cumsum([len(each) for each in deepest[0].frames])
    octaves = [shown[0], *(shown[i] for i in last)]
    sizes = [f"{each.shape[1]} × {each.shape[2]} pixels" for each in deepest[0].frames]
    title = f"{names[-1]} of {network}, from small octaves to large: "
    title += f"the mean square grows {factor(deepest[0].growth)}"
    plots.picture_table([octaves], ["photograph", *sizes], figure("octaves"), title)
    texts[-1] += f": {factor(deepest[0].growth)}"
    texts = [texts[0], *(f"{names[-1]}, {text}" for text in texts[1:])]
    plots.picture_gif(shown, texts, figure("dream").with_suffix(".gif"))
    if len(deepest) > 1:
        images = [each.image for each in deepest]
        notes = [[f"objective {factor(each.growth)}" for each in deepest]]
        difference = np.mean([np.abs(images[0] - each).mean() for each in images[1:]])
        title = f"{names[-1]} of {network}, seeds differ by {difference:.3f} per pixel on average"
        titles = [f"seed {seed}" for seed in seeds]
        plots.picture_table([images], titles, figure("seeds"), title, notes=notes)


def _frames(kept: Kept, photograph: Image) -> tuple[list[Image], list[str]]:
    """Returns the photograph and all frames in its size, with their titles."""
    size = (photograph.shape[0], photograph.shape[1])
    shown = [photograph]
    texts = ["photograph"]
    for k, (frames, steps) in enumerate(zip(kept.frames, kept.steps, strict=True)):
        for frame, step in zip(frames, steps, strict=True):
            enlarged = np.asarray(art.resize(frame / np.float32(255), size))
            shown.append(np.clip(enlarged, 0, 1))
            texts.append(f"octave {k + 1} of {len(kept.frames)}, step {step}")
    return shown, texts


def draw_own_images(
    net: Dreamer,
    images: Float[np.ndarray, "N H W C"],
    options: DreamOptions,
    seed: int,
    path: Path,
    names: Sequence[str] | None = None,
) -> None:
    """Draws images of the set that a network was trained on, above the dreams of each layer.

    Octaves and shifts are reduced to what small images allow.

    Args:
      net: the network.
      images: `[N, H, W, C]` in [0, 1], a few.
      options: options of the dreams.
      seed: seed of the shifts.
      path: path of the PNG file.
      names: a text for each image, such as its class; None means numbers.
    """
    table = [list(images)]
    growth = []
    for name, f in net.layers.items():
        fitted = fitting_dream(f, images.shape[1:], options.dream(), name)
        dreamed = [art.dream(f, image, root(seed), fitted).image for image in images]
        before, after = (
            float(art.objective(f, jnp.asarray(each), fitted).mean())
            for each in (images, np.stack(dreamed))
        )
        growth.append(after / max(before, 1e-30))
        table.append(dreamed)
    last = list(net.layers)[-1]
    title = f"Images of the network's set: the mean square of {last} grows "
    title += factor(growth[-1])
    columns = names or [str(i) for i in range(len(images))]
    plots.picture_table(table, columns, path, title, ["image", *net.layers])


def fitting_dream(f: Any, shape: tuple[int, ...], options: Dream, name: str) -> Dream:
    """Returns options with as many octaves as a small image allows, and small shifts.

    Example:
      >>> options = fitting_dream(lambda x: {"a": x[:, ::4, ::4]}, (8, 8, 1), Dream(), "a")
      >>> options.octaves, options.shift
      (3, 1)
    """
    shift = min(options.shift, min(shape[:2]) // 8)
    for octaves in range(options.octaves, 1, -1):
        fitted = dataclasses.replace(options, octaves=octaves, shift=shift)
        try:
            check_maps(f, shape, octave_sizes(shape, octaves, options.ratio), [(name, 1.0)])
        except InputError:
            continue
        return fitted
    return dataclasses.replace(options, octaves=1, shift=shift)


def save_pictures(dreams: Mapping[str, Sequence[Kept]], folder: Path) -> None:
    """Writes the dream of each layer, of the first seed, as a PNG file without a title."""
    from PIL import Image as Pillow

    folder.mkdir(parents=True, exist_ok=True)
    for name, kept in dreams.items():
        pixels = np.round(255 * kept[0].image).astype(np.uint8)
        if pixels.shape[-1] == 1:
            pixels = pixels[..., 0]
        Pillow.fromarray(pixels).save(folder / f"{name.replace('/', '-')}.png")


def factor(growth: float) -> str:
    """Returns a growth in words; NaN stands for an objective that was 0.

    Example:
      >>> factor(2.345), factor(12.3)
      ('2.3-fold', '12-fold')
    """
    if np.isnan(growth):
        return "from 0"
    if growth < 10:
        return f"{growth:.1f}-fold"
    return f"{growth:,.0f}-fold"
