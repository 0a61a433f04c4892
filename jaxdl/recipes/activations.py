"""Activations of networks: all functions, layers at the start, dead units, curves of one layer."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxdl.core import State, inference
from jaxdl.errors import InputError
from jaxdl.explain import dead_units, predicted_variances, signal
from jaxdl.models import MLP
from jaxdl.nn import PReLU, activation, activation_names, tap
from jaxdl.rng import stream

#: Straight-through gradients, which are no derivatives.
STRAIGHT_THROUGH = ("step", "sign")

#: Activations and initializers whose layers are compared.
COMPARED = (
    ("relu", "he_normal"),
    ("relu", "glorot_normal"),
    ("tanh", "glorot_normal"),
    ("sigmoid", "glorot_normal"),
    ("selu", "lecun_normal"),
    ("linear", "he_normal"),
)


def curves_of_activations(
    x: Float[np.ndarray, " N"],
) -> dict[str, tuple[Float[np.ndarray, " N"], Float[np.ndarray, " N"]]]:
    """Computes values and derivatives of all activations with their default numbers.

    Args:
      x: `[N]`, points.

    Returns:
      `{name: (values [N], derivatives [N])}`, with PReLU at the start of its training.

    Example:
      >>> curves = curves_of_activations(np.array([-1.0, 2.0]))
      >>> curves["relu"][0].tolist(), curves["prelu (slope is trained)"][1].tolist()
      ([0.0, 2.0], [0.25, 1.0])
    """
    functions: dict[str, Callable] = {}
    for name in activation_names():
        if name == "swish":
            continue
        label = f"{name} (straight-through)" if name in STRAIGHT_THROUGH else name
        functions[label] = activation(name)
    slope = {"params": {"slope": jnp.array([0.25])}}
    functions["prelu (slope is trained)"] = lambda each: PReLU(shared=True).apply(
        slope, each[None]
    )[0]

    def all_of_them(points: Float[Array, " N"]) -> dict[str, tuple[Array, Array]]:
        return {label: jax.vmap(jax.value_and_grad(f))(points) for label, f in functions.items()}

    # A compiled function returns a dictionary in alphabetic order.
    found = jax.jit(all_of_them)(jnp.asarray(x, jnp.float32))
    return {
        label: (np.asarray(found[label][0]), np.asarray(found[label][1])) for label in functions
    }


class Layers(NamedTuple):
    """Hidden layers of random networks with one activation and initializer.

    Attributes:
      measured: `[L]`, variance before the activation, as the mean of the networks.
      predicted: `[L]`, that of the formula.
      values: `{layer from 1: values after the activation}` of one network.
      deviations: `[L]`, standard deviations after the activation by the formula.
    """

    measured: Float[np.ndarray, " L"]
    predicted: Float[np.ndarray, " L"]
    values: dict[int, Float[np.ndarray, " V"]]
    deviations: Float[np.ndarray, " L"]

    def gap(self) -> float:
        """Returns the largest relative difference between measured and predicted variances."""
        return float(np.abs(self.measured / self.predicted - 1).max())


def layers_at_start(
    name: str,
    kernel_init: str,
    key: Key[Array, ""],
    *,
    width: int = 128,
    depth: int = 10,
    networks: int = 400,
    shown: Sequence[int] = (1, 2, 4, 7, 10),
    examples: int = 4,
) -> Layers:
    """Measures the layers of random deep networks whose inputs are standard normal.

    The variance of one ReLU network is a product of random numbers, one per layer. Its mean over
    many networks is that of the formula.

    Args:
      name: name of the activation.
      kernel_init: name of the initializer.
      key: random key.
      width: number of inputs and width of all hidden layers.
      depth: number of hidden layers.
      networks: number of networks of the mean.
      shown: layers from 1 whose values are returned, for one network and 50 examples.
      examples: inputs of each network.

    Example:
      >>> key = jax.random.key(0)
      >>> found = layers_at_start(
      ...     "relu", "he_normal", key, width=64, depth=2, networks=200, shown=(2,)
      ... )
      >>> found.gap() < 0.1, found.values[2].shape
      (True, (3200,))
    """
    model = MLP((width,) * depth, 2, activation=name, kernel_init=kernel_init)

    def one(key: Key[Array, ""]) -> list[Array]:
        x = jax.random.normal(stream(key, "sample"), (examples, width))
        found = signal(model, model.init(stream(key, "init"), x, train=False), x)
        return [found[f"dense_{i}"].variance for i in range(depth)]

    def mean(keys: Key[Array, " N"]) -> Float[Array, " L"]:
        return jnp.stack(jax.lax.map(one, keys, batch_size=20)).mean(1)

    measured = np.asarray(jax.jit(mean)(jax.random.split(stream(key, "eval"), networks)))
    predicted = predicted_variances(name, kernel_init, (width,) * (depth + 1))
    x = jax.random.normal(stream(key, "sample"), (50, width))
    layers = _hidden(model, model.init(stream(key, "init"), x, train=False), x)
    values = {i: np.ravel(layers[i - 1]) for i in shown}
    return Layers(measured, predicted.before, values, np.sqrt(predicted.after))


def _hidden(model: MLP, variables: Any, x: Float[Array, "B D"]) -> list[Float[Array, "B U"]]:
    """Returns the values after each activation."""
    count = len(model.hidden)
    seen = tap(model, variables, train=False)(x)[1]
    return [seen[f"activation_{i}"] for i in range(count)]


class DeadUnitFiles:
    """The share of dead units of the first seed over a training, one file for each validation.

    An instance is the `on_validation` of `fit_and_test`. The files of an interrupted training stay.

    Args:
      folder: returns the path of a file in the folder of the run, as `Run.sample` does.
      model: the network.
      x: `[B, ...]`, examples for which a dead unit is 0.

    Example: see `experiments/activations.py`.
    """

    def __init__(
        self, folder: Callable[[str], Path], model: nn.Module, x: Float[np.ndarray, "B ..."]
    ):
        self.folder = folder
        self._shares = jax.jit(
            lambda params: {
                name: dead.astype(jnp.float32).mean()
                for name, dead in dead_units(model, {"params": params}, jnp.asarray(x)).items()
            }
        )

    def __call__(self, state: State) -> None:
        """Writes the shares of a state."""
        first = inference(state.members()[0])
        self.write(first.steps_done, first.params)

    def write(self, step: int, params: Any) -> None:
        """Writes the shares of parameters after a step."""
        shares = {name: float(share) for name, share in self._shares(params).items()}
        path = self.folder(f"dead-{step:08d}.json")
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps(shares))
        partial.replace(path)


def read_dead(folder: Path) -> tuple[Int[np.ndarray, " S"], dict[str, Float[np.ndarray, " S"]]]:
    """Reads the files of `DeadUnitFiles`.

    Args:
      folder: their folder.

    Returns:
      Steps `[S]`, and the shares `[S]` by layer.

    Raises:
      InputError: a folder without such files.
    """
    files = sorted(folder.glob("dead-*.json"))
    if not files:
        raise InputError("folder", str(folder), "a folder with files dead-*.json")
    rows = [json.loads(path.read_text()) for path in files]
    steps = np.array([int(path.stem.split("-")[1]) for path in files])
    return steps, {name: np.array([row[name] for row in rows]) for name in rows[0]}


def first_death(
    steps: Int[np.ndarray, " S"], shares: Mapping[str, Float[np.ndarray, " S"]], share: float = 0.5
) -> str:
    """Returns a line with the first layer of which more than a share is dead, and the step.

    Args:
      steps: `[S]`, steps in ascending order.
      shares: `[S]` by layer.
      share: the share, in [0, 1).

    Example:
      >>> first_death(np.array([0, 10]), {"activation_1": np.array([0.1, 0.9])})
      'activation_1: 90 % dead at step 10'
      >>> first_death(np.array([0]), {"activation_1": np.array([0.1])})
      'no layer with more than 50 % dead'
    """
    for i, step in enumerate(steps):
        worst = max(shares, key=lambda name: shares[name][i])
        if shares[worst][i] > share:
            return f"{worst}: {100 * shares[worst][i]:.0f} % dead at step {step}"
    return f"no layer with more than {100 * share:.0f} % dead"


def one_layer(x: Float[np.ndarray, " K"], y: Float[np.ndarray, " K"]) -> dict[str, Any]:
    """Builds a ReLU network with one hidden layer that passes through given points.

        f(x) = y_1 + sum_k (s_k - s_{k-1}) relu(x - x_k),    s_k = (y_{k+1} - y_k) / (x_{k+1} - x_k)

    Here s_0 is 0. Each hidden unit adds a bend, so the network is the straight lines between the
    points.

    Args:
      x: `[K]`, ascending.
      y: `[K]`.

    Returns:
      Parameters of `MLP((K - 1,), 1)`.

    Example:
      >>> params = one_layer(np.array([0.0, 1.0, 3.0]), np.array([5.0, 7.0, 3.0]))
      >>> model = MLP((2,), 1)
      >>> points = jnp.array([[0.0], [0.5], [1.0], [3.0]])
      >>> model.apply({"params": params}, points, train=False)[:, 0].tolist()
      [5.0, 6.0, 7.0, 3.0]

    Source: after Cybenko 1989, Approximation by superpositions of a sigmoidal function; Leshno et
    al. 1993, Multilayer feedforward networks with a nonpolynomial activation function.
    """
    slopes = np.diff(y) / np.diff(x)
    changes = np.diff(slopes, prepend=0.0)
    arrays = {
        "dense_0": {"kernel": np.ones((1, len(slopes))), "bias": -x[:-1]},
        "out": {"kernel": changes[:, None], "bias": y[:1]},
    }
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), arrays)


def wavy(x: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
    """Returns the curve that one hidden layer fits: waves that get faster, and a jump.

    Args:
      x: `[N]` in [0, 1].

    Example:
      >>> wavy(np.array([0.0, 0.75])).round(2).tolist()
      [0.0, 1.51]
    """
    return np.sin(2 * np.pi * x * (1 + 2.5 * x)) * (0.4 + 0.6 * x) + 0.8 * (x > 0.7)
