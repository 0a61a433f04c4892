"""Explanations of a classifier with numbers on their quality, and their pictures."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Key

from jaxdl import explain, plots
from jaxdl.explain import Cascade
from jaxdl.plots.attributions import two_lines
from jaxdl.recipes.methods import (
    METHODS,
    Classifier,
    Explained,
    Job,
    Maps,
    WhyOptions,
    baseline_images,
    first_of,
)

#: Methods that are too slow for the networks of a cascade.
SLOW = ("lime", "rise")

#: Largest number of networks in the picture of a cascade.
COLUMNS = 8


class Areas(NamedTuple):
    """Areas below the curves of deletion and insertion.

    Attributes:
      deletion: `[N]` by method, the smaller the better. "random" is a random order of pixels.
      insertion: `[N]` by method, the larger the better.

    Example: see `areas`.
    """

    deletion: dict[str, Float[np.ndarray, " N"]]
    insertion: dict[str, Float[np.ndarray, " N"]]


def areas(
    net: Classifier,
    found: Explained,
    key: Key[Array, ""],
    options: WhyOptions = WhyOptions(),
    steps: int = 50,
) -> Areas:
    """Returns the areas of deletion and insertion for each method, and for a random order.

    Args:
      net: the classifier.
      found: explanations of its images.
      key: root key of the random order.
      options: the options of the explanations, of which the baseline is used.
      steps: number of changes of each image, at most the number of its pixels.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP
      >>> from jaxdl.recipes.methods import classifier, explain_images
      >>> from jaxdl.rng import root
      >>> model = MLP((4,), outputs=3)
      >>> images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
      >>> net = classifier(model, model.init(jax.random.key(0), images, train=False))
      >>> found = explain_images(net, images, root(0), WhyOptions(("gradient",)))
      >>> list(areas(net, found, root(0)).deletion)
      ['gradient', 'random']
    """
    baseline = baseline_images(options, found.images, key)
    orders = {**found.maps, "random": explain.random_order(found.images, key)}
    steps = min(steps, int(np.prod(found.images.shape[1:3])))
    results: dict[str, dict[str, Any]] = {"deletion": {}, "insertion": {}}
    for name, maps in orders.items():
        for curve in results:
            results[curve][name] = getattr(explain, curve)(
                net.scores, found.images, maps, found.target, baseline=baseline, steps=steps
            ).area
    return Areas(**results)


def cascades(
    net: Classifier, found: Explained, key: Key[Array, ""], options: WhyOptions = WhyOptions()
) -> dict[str, Cascade]:
    """Returns the cascade of random layers for each method, without those that take long.

    Args:
      net: the classifier.
      found: explanations of the images that are used.
      key: root key of the random layers.
      options: the options of the explanations.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP
      >>> from jaxdl.recipes.methods import classifier, explain_images
      >>> from jaxdl.rng import root
      >>> model = MLP((4,), outputs=3)
      >>> images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
      >>> net = classifier(model, model.init(jax.random.key(0), images, train=False))
      >>> found = explain_images(net, images, root(0), WhyOptions(("lime", "sobel")))
      >>> {name: each.correlation.tolist() for name, each in cascades(net, found, root(0)).items()}
      {'sobel': [1.0, 1.0, 1.0]}
    """
    names = [name for name in found.maps if name not in SLOW]
    if not names:
        return {}
    count = len(found.images)
    baseline = baseline_images(options, found.images, key)

    def method(f: Partial, images: Any, target: Any) -> Maps:
        """Explains the images of each method by it, with one map for all channels."""
        job = Job(net._replace(scores=f), found.images, found.target, key, options, baseline)
        maps = [METHODS[name](job)[0].sum(-1, keepdims=True) for name in names]
        return np.concatenate(maps)

    # One cascade for all methods initializes the layers once.
    whole = explain.cascade(
        net.model,
        net.variables,
        method,
        np.concatenate([found.images] * len(names)),
        key,
        target=np.concatenate([found.target] * len(names)),
        prepare=net.prepare,
        baseline=np.concatenate([baseline] * len(names)),
    )
    results = {}
    for i, name in enumerate(names):
        rows = slice(i * count, (i + 1) * count)
        correlations = whole.correlations[:, rows]
        means = correlations.mean(1)
        results[name] = Cascade(whole.names, means, correlations, whole.maps[:, rows])
    return results


class Measured(NamedTuple):
    """Explanations with the numbers that need no ground truth.

    Attributes:
      found: the explanations.
      areas: areas of deletion and insertion.
      cascades: cascade of random layers by method, for the first images.
      metrics: numbers by name, see `measure`.
    """

    found: Explained
    areas: Areas
    cascades: dict[str, Cascade]
    metrics: dict[str, float]


def measure(
    net: Classifier,
    found: Explained,
    key: Key[Array, ""],
    options: WhyOptions = WhyOptions(),
    count: int = 50,
    cascaded: int = 10,
) -> Measured:
    """Returns the numbers of explanations that need no ground truth.

    Metrics are the largest and the median completeness error, and the numbers of LIME. Areas of
    deletion and insertion are means. `cascade/...` is the rank correlation with all layers random.

    Args:
      net: the classifier.
      found: explanations of its images.
      key: root key.
      options: the options of the explanations.
      count: number of images for deletion and insertion.
      cascaded: number of images for the cascade; 0 for none.

    Example: see `areas` and `cascades`.
    """
    metrics = {}
    for name, values in found.numbers.items():
        if name == "completeness_error":
            metrics["completeness_error/max"] = float(values.max())
            metrics["completeness_error/median"] = float(np.median(values))
        else:
            metrics[f"lime/{name}"] = float(values.mean())
    curves = areas(net, first_of(found, count), key, options)
    for curve, by_method in curves._asdict().items():
        for name, values in by_method.items():
            metrics[f"{curve}/{name}"] = float(values.mean())
    layers: dict[str, Cascade] = {}
    if cascaded:
        layers = cascades(net, first_of(found, cascaded), key, options)
    for name, each in layers.items():
        metrics[f"cascade/{name}"] = float(each.correlation[-1])
    return Measured(found, curves, layers, metrics)


def draw(
    measured: Measured,
    figure: Callable[[str], Path],
    names: Sequence[str] | None = None,
    rows: int = 6,
) -> None:
    """Draws the explanations of the first images, and the cascade of the first one.

    Args:
      measured: explanations with their numbers.
      figure: function from the name of a figure to its path, for `explanations` and `cascade`.
      names: names of the classes; None means their numbers.
      rows: number of images.
    """
    found = first_of(measured.found, min(rows, len(measured.areas.deletion["random"])))
    areas = measured.areas
    count = len(found.images)
    labels = [
        f"{names[each] if names else each}\n{100 * probability:.1f} %"
        for each, probability in zip(found.target.tolist(), found.probability, strict=True)
    ]
    captions = {"image": ["deletion, insertion"] * count}
    for name in found.maps:
        pairs = zip(areas.deletion[name], areas.insertion[name], strict=True)
        captions[two_lines(name)] = [f"{a:.2f}, {b:.2f}" for a, b in list(pairs)[:count]]
    order = [measured.metrics[f"{curve}/random"] for curve in ("deletion", "insertion")]
    title = f"Areas of deletion and insertion; a random order {order[0]:.2f}, {order[1]:.2f}"
    if "completeness_error" in found.numbers:
        error = measured.metrics["completeness_error/max"]
        title += f"; completeness error of integrated gradients at most {error:.1e}"
    plots.attribution_maps(
        found.images,
        {two_lines(name): maps for name, maps in found.maps.items()},
        figure("explanations"),
        title=title,
        labels=labels,
        captions=captions,
    )
    if measured.cascades:
        _draw_cascade(measured.cascades, found.images[0], figure("cascade"))


def _draw_cascade(cascades: Mapping[str, Cascade], image: np.ndarray, path: Path) -> None:
    """Draws a row for each method, and a column for each network of the cascade."""
    columns = next(iter(cascades.values())).names
    maps = {}
    captions = {}
    for i in np.linspace(0, len(columns) - 1, min(len(columns), COLUMNS)).round().astype(int):
        heading = f"{columns[i]}\nrandom" if i else columns[i]
        maps[heading] = np.stack([each.maps[i, 0] for each in cascades.values()])
        correlations = [each.correlation[i] for each in cascades.values()]
        captions[heading] = [f"{each:.2f}".replace("-", "−") for each in correlations]
    images = np.repeat(image[None], len(cascades), 0)
    last = {name: each.correlation[-1] for name, each in cascades.items() if name != "sobel"}
    worst = max(last, key=lambda name: abs(last[name]), default="sobel")
    title = "Rank correlation with the map of the trained network, while layers become random"
    if last:
        text = f"{last[worst]:.2f}".replace("-", "−")
        title += f"; at the end at most {text}, {two_lines(worst, 1)}"
    labels = [two_lines(name) for name in cascades]
    plots.attribution_maps(images, maps, path, title=title, labels=labels, captions=captions)
