"""Pictures of activations: the sheet, layers of random networks, decisions, fits, dead units."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Key

from jaxdl import data, plots
from jaxdl.explain import collapse
from jaxdl.models import MLP
from jaxdl.network import load
from jaxdl.recipes.activations import (
    COMPARED,
    curves_of_activations,
    first_death,
    layers_at_start,
    one_layer,
    read_dead,
    wavy,
)


def draw_sheet(path: Path) -> Path:
    """Draws all activations with their derivatives.

    Args:
      path: path of the PNG file.
    """
    x = np.linspace(-4, 4, 401)
    curves = curves_of_activations(x)
    title = f"{len(curves)} activations and their derivatives"
    return plots.activation_sheet(curves, x, path, title=title)


def draw_layers(key: Key[Array, ""], networks: int, folder: Path) -> tuple[list[Path], float]:
    """Draws layers of random networks: `histograms.png` and `variances.png`.

    Args:
      key: random key.
      networks: number of networks whose variances are averaged.
      folder: folder of the pictures.

    Returns:
      The paths, and the largest relative difference between measured variances and the formula.
    """
    found = {pair: layers_at_start(*pair, key, networks=networks) for pair in COMPARED}
    values = {}
    notes = {}
    for (name, kernel_init), layers in found.items():
        row = f"{name}\n{kernel_init}"
        values[row] = {f"hidden layer {i}": each for i, each in layers.values.items()}
        notes[row] = {
            f"hidden layer {i}": f"sd {each.std():.2g}, formula {layers.deviations[i - 1]:.2g}"
            for i, each in layers.values.items()
        }
    gap = max(layers.gap() for layers in found.values())
    histograms = plots.activation_histograms(
        values,
        folder / "histograms.png",
        title="Values after the activation of one network before its training",
        notes=notes,
    )
    variances = plots.variance_by_layer(
        {", ".join(pair): layers.measured for pair, layers in found.items()},
        {", ".join(pair): layers.predicted for pair, layers in found.items()},
        folder / "variances.png",
        title=f"Mean of {networks} networks: at most {100 * gap:.2g} % from the formula",
    )
    return [histograms, variances], gap


def softmax(logits: Float[np.ndarray, "B K"]) -> Float[np.ndarray, "B K"]:
    """Returns probabilities.

    Example:
      >>> softmax(np.zeros((1, 2))).tolist()
      [[0.5, 0.5]]
    """
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def collapsed(params: Any, x: Float[np.ndarray, "B D"]) -> Float[np.ndarray, "B K"]:
    """Returns the probabilities of a linear network, from the one matrix that it is.

    Args:
      params: parameters of an `MLP` with the activation "linear".
      x: `[B, D]`.

    Example:
      >>> params = {"out": {"kernel": np.zeros((3, 2)), "bias": np.zeros(2)}}
      >>> collapsed(params, np.ones((1, 3))).tolist()
      [[0.5, 0.5]]
    """
    kernel, bias = (np.asarray(each) for each in collapse(params))
    return softmax(x @ kernel + bias)


def draw_decisions(runs: Mapping[str, Path], path: Path) -> Path:
    """Draws the decisions of networks for the spirals; a linear one beside its one matrix.

    Args:
      runs: directories of finished runs, by the name of their activation.
      path: path of the PNG file.
    """
    maps: dict[str, plots.decisions.Predict] = {}
    for name, run in runs.items():
        net = load(run)
        depth = len(net.model.hidden)
        maps[f"{depth} hidden layers, {name}"] = net.predict
        if name == "linear":
            params = net.variables["params"]
            shapes = " x ".join(str(size) for size in collapse(params)[0].shape)
            maps[f"their product, one matrix {shapes}"] = partial(collapsed, params)
    _, test = data.load("spirals")
    title = "Decisions of deep networks for three spirals"
    return plots.decision_maps(maps, test["input"], test["label"], path, title=title)


def draw_fits(
    runs: Mapping[str, Path], path: Path, units: Sequence[int] = (4, 10, 30, 100)
) -> Path:
    """Draws networks that fit a curve: built by hand with one hidden layer, and trained.

    Args:
      runs: directories of finished runs, by words for their networks.
      path: path of the PNG file.
      units: numbers of hidden units of the networks that are built.
    """
    x = np.linspace(0, 1, 1000)
    target = wavy(x)
    inputs = x[:, None].astype(np.float32)
    fits = {}
    for count in units:
        knots = np.linspace(0, 1, count + 1)
        params = one_layer(knots, wavy(knots))
        y = np.asarray(MLP((count,), 1).apply({"params": params}, inputs, train=False))[:, 0]
        fits[f"{count} units, built: error {abs(y - target).mean():.2g}"] = y
    for words, run in runs.items():
        y = np.asarray(load(run).predict(inputs))[:, 0]
        fits[f"{words}, trained: error {abs(y - target).mean():.2g}"] = y
    title = "One hidden layer fits any curve, with a bend for each ReLU; training must find it"
    return plots.approximated_curves(fits, x, target, path, title=title, columns=3)


def draw_dead(runs: Mapping[float, tuple[Path, float]], path: Path) -> Path:
    """Draws dead units over the training, by learning rate.

    Args:
      runs: folder of the files of `DeadUnitFiles`, and accuracy, by learning rate.
      path: path of the PNG file.
    """
    panels = {}
    for rate, (folder, accuracy) in runs.items():
        found = read_dead(folder)
        panels[f"learning rate {rate:g}: {100 * accuracy:.1f} % right\n{first_death(*found)}"] = (
            found
        )
    return plots.dead_unit_curves(panels, path, title="ReLUs that are 0 for all examples")
