"""Optimizers on test functions with equal budgets, and the noise of batches."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Key

from jaxdl import plots
from jaxdl.data.dataset import Dataset
from jaxdl.landscape import RATES, TERRAINS, Surface, Terrain, Tuned, descend, tuned_rate
from jaxdl.optimizers import SCHEDULES, optimizer, schedule
from jaxdl.plots import BatchSize
from jaxdl.rng import fold, stream
from jaxdl.tasks import Task
from jaxdl.training.writers import read_metrics

#: Optimizers of the pictures. adamw without decay is adam, and muon is adam for vectors.
NAMES = ("sgd", "momentum", "nesterov", "adagrad", "adadelta", "rmsprop", "adam", "nadam", "lion")

#: Terrains of the plane.
PLANES = tuple(name for name, terrain in TERRAINS.items() if len(terrain.start) == 2)

#: Points of a picture along each axis.
POINTS = 121

#: Batches of each size that measure the noise.
BATCHES = 32

#: Tuned rates with their paths by terrain and optimizer.
Races = Mapping[str, Mapping[str, Tuned]]


def race(
    terrains: Sequence[str] = PLANES, names: Sequence[str] = NAMES, steps: int = 100
) -> dict[str, dict[str, Tuned]]:
    """Returns the paths of optimizers with the same steps and the same grid of rates.

    The best rate has the lowest mean value of its path.

    Args:
      terrains: names of terrains.
      names: names of optimizers.
      steps: number of steps of each path.

    Example:
      >>> found = race(["bowl"], ["sgd"], 20)
      >>> found["bowl"]["sgd"].descent.points.shape
      (21, 2)
    """
    return {
        terrain: {
            name: tuned_rate(
                name, TERRAINS[terrain].function, TERRAINS[terrain].start, steps, measure="mean"
            )
            for name in names
        }
        for terrain in terrains
    }


def plane_of(terrain: Terrain, points: int = POINTS) -> Surface:
    """Returns the values of a terrain on its picture.

    Args:
      terrain: a terrain of the plane.
      points: number of points along each axis.

    Example:
      >>> plane_of(TERRAINS["bowl"], 3).losses[1].tolist()
      [3.125, 0.0, 3.125]
    """
    x, y = (np.linspace(*each, points) for each in terrain.limits)
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    values = jax.vmap(terrain.function)(jnp.asarray(grid, jnp.float32))
    return Surface(np.asarray(values).reshape(points, points), x, y)


def labels(tuned: Mapping[str, Tuned]) -> dict[str, str]:
    """Returns the name of each optimizer with its rate and its final value.

    Example:
      >>> labels(race(["bowl"], ["sgd"], 1)["bowl"])
      {'sgd': 'sgd: 1 → 0'}
    """
    return {
        name: f"{name}: {_short(each.rate)} → {_short(each.descent.values[-1])}"
        for name, each in tuned.items()
    }


def _short(value: float) -> str:
    """Returns a value with two digits.

    Example:
      >>> _short(0.0341), _short(357.0), _short(2.2e-7)
      ('0.034', '360', '2.2e-07')
    """
    number = float(f"{float(value):.1e}")
    if number and not 1e-3 <= abs(number) < 1e4:
        return f"{number:.1e}"
    return f"{number:g}"


def table(races: Races) -> str:
    """Returns a table of tuned rates and final values.

    Example:
      >>> print(table(race(["bowl"], ["sgd"], 1)))
                       bowl
      sgd         1     0
    """
    names = list(next(iter(races.values())))
    lines = [" " * 10 + "".join(f"{terrain:>16}" for terrain in races)]
    for name in names:
        cells = [(tuned[name].rate, tuned[name].descent.values[-1]) for tuned in races.values()]
        lines.append(f"{name:<10}" + "".join(f"{r:>8.2g}{_short(v):>8}" for r, v in cells))
    return "\n".join(line.rstrip() for line in lines)


def draw_races(races: Races, picture: Callable[[str], Path], *, moving: bool = True) -> list[Path]:
    """Draws all paths on their terrains, as one picture and as a GIF, and the rates.

    Args:
      races: the paths.
      picture: returns the path of the PNG file of a name.
      moving: if True, a GIF is written, too.

    Returns:
      The paths of the pictures.
    """
    planes = {name: plane_of(TERRAINS[name]) for name in races}
    minima = {name: TERRAINS[name].minimum for name in races}
    steps = len(next(iter(next(iter(races.values())).values())).descent.values) - 1
    paths = {
        terrain: {label: tuned[name].descent.points for name, label in labels(tuned).items()}
        for terrain, tuned in races.items()
    }
    points = {
        terrain: {name: each.descent.points for name, each in tuned.items()}
        for terrain, tuned in races.items()
    }
    measures = {
        terrain: {name: each.measures for name, each in tuned.items()}
        for terrain, tuned in races.items()
    }
    title = f"{steps} steps, each optimizer with its best of {len(RATES)} rates: rate → final value"
    text = (
        f"The mean value of {steps} steps depends on the learning rate; points mark the best rate"
    )
    columns = 2 if len(races) in (2, 4) else 3
    options: dict[str, Any] = {"label": "mean value", "title": text, "columns": columns}
    found = [
        plots.descent_maps(planes, paths, picture("optimizers"), title=title, minima=minima),
        plots.tuning_curves(RATES, measures, picture("rates"), **options),
    ]
    if moving:
        gif = picture("optimizers").with_suffix(".gif")
        words = "Each optimizer with its best rate"
        found.append(plots.descent_gif(planes, points, gif, title=words, minima=minima))
    return found


def draw_too_small_and_too_large(
    picture: Path, terrain: str = "ravine", rates: Sequence[float] = (5e-4, 0.018, 0.0201)
) -> Path:
    """Draws gradient descent with a rate that is too small, good and too large.

    Args:
      picture: path of the PNG file.
      terrain: name of a terrain.
      rates: three rates.
    """
    found = TERRAINS[terrain]
    plane = plane_of(found)
    planes = {}
    paths = {}
    for word, rate in zip(("too small", "good", "too large"), rates, strict=True):
        path = descend(optimizer("sgd", rate), found.function, found.start, 150)
        name = f"{word}: rate {rate:g}"
        planes[name] = plane
        # A path that diverges ends where it leaves the picture.
        is_outside = (np.abs(path.points) > np.abs(np.array(found.limits)).max(1)).any(1)
        end = len(is_outside)
        if is_outside.any():
            end = int(is_outside.argmax()) + 1
        paths[name] = {f"value {_short(path.values[-1])}": path.points[:end]}
    minima = dict.fromkeys(planes, found.minimum)
    title = f"Gradient descent, 150 steps, on the {terrain}"
    return plots.descent_maps(planes, paths, picture, title=title, minima=minima, columns=3)


def draw_plateau(picture: Path, rate: float = 0.03, steps: int = 200) -> Path:
    """Draws the values of gradient descent and momentum on the plateau, with one rate for all.

    Args:
      picture: path of the PNG file.
      rate: the rate.
      steps: number of steps.
    """
    found = TERRAINS["plateau"]
    values = {
        name: descend(optimizer(name, rate), found.function, found.start, steps).values
        for name in ("sgd", "momentum", "nesterov", "adam")
    }
    title = f"On a plateau with the rate {rate:g}: momentum collects small slopes"
    return plots.value_curves({"plateau": values}, picture, title=title, log=False)


def draw_hills(
    picture: Callable[[str], Path], steps: int = 150, *, moving: bool = True
) -> list[Path]:
    """Draws balls on a line with hills, as a picture and as a GIF.

    Args:
      picture: returns the path of the PNG file of a name.
      steps: number of steps.
      moving: if True, a GIF is written, too.
    """
    terrain = TERRAINS["hills"]
    cases = {
        "sgd, rate 0.01: slow": optimizer("sgd", 0.01),
        "sgd, rate 0.1: a local minimum": optimizer("sgd", 0.1),
        "momentum, rate 0.1: over the hills": optimizer("momentum", 0.1),
        "sgd, rate 4: too large": optimizer("sgd", 4.0),
    }
    paths = {}
    for name, made in cases.items():
        path = descend(made, terrain.function, terrain.start, steps)
        paths[f"{name}\nloss at the end {path.values[-1]:.2f}"] = (path.points[:, 0], path.values)
    x = np.linspace(*terrain.limits[0], 400)
    curve = (x, np.asarray(jax.vmap(terrain.function)(jnp.asarray(x, jnp.float32)[:, None])))
    title = "One weight"
    found = [plots.hill_paths(curve, paths, picture("hills"), title=title)]
    if moving:
        gif = picture("hills").with_suffix(".gif")
        found.append(plots.hill_paths(curve, paths, gif, title=title))
    return found


def draw_schedules(picture: Path, learning_rate: float = 0.1, steps: int = 200) -> Path:
    """Draws the learning rates of all schedules.

    Args:
      picture: path of the PNG file.
      learning_rate: the highest rate.
      steps: number of steps.
    """
    t = jnp.arange(steps)
    rates = {
        name: np.asarray(jax.vmap(schedule(name, learning_rate, steps))(t)) for name in SCHEDULES
    }
    title = f"The learning rate of each step, at most {learning_rate:g}"
    return plots.schedule_lines(rates, picture, title=title)


def noise_of_batches(
    task: Task,
    params: Any,
    extra: Any,
    data: Dataset,
    size: int,
    key: Key[Array, ""],
    batches: int = BATCHES,
) -> float:
    """Returns the size of a batch gradient's error, divided by the length of the gradient.

        sqrt(E |g_B - g|^2) / |g|

    Batches of B independent examples give sigma / sqrt(B). Batches without repetitions, as here,
    give sigma / sqrt(B) sqrt((N - B) / (N - 1)), which is 0 for the whole set.

    Args:
      task: the task, with one loss.
      params: parameters of its model.
      extra: further variables of the model.
      data: N examples.
      size: B, examples of a batch, at most N.
      key: key of the batches.
      batches: number of batches.

    Example: see `experiments/downhill.py`.
    """
    arrays = {name: jnp.asarray(each) for name, each in data.arrays.items()}
    key = stream(key, "gradient_noise")
    return float(_noise(task.loss, params, extra, arrays, key, size=size, batches=batches))


@functools.partial(jax.jit, static_argnames=("loss_of_task", "size", "batches"))
def _noise(
    loss_of_task: Callable[..., Any],
    params: Any,
    extra: Any,
    arrays: dict[str, Array],
    key: Key[Array, ""],
    *,
    size: int,
    batches: int,
) -> Float[Array, ""]:
    """Returns the result of `noise_of_batches`; one program for all weights and keys."""
    examples = len(next(iter(arrays.values())))

    def gradient(batch: dict[str, Array]) -> Float[Array, " P"]:
        def loss(params: Any) -> Array:
            (total, count), _ = loss_of_task(params, extra, batch, key, train=False)
            return total / count

        return ravel_pytree(jax.grad(loss)(params))[0]

    whole = gradient(arrays)

    def error(i: Array) -> Array:
        rows = jax.random.permutation(fold(key, i), examples)[:size]
        return ((gradient({name: each[rows] for name, each in arrays.items()}) - whole) ** 2).sum()

    errors = jax.lax.map(error, jnp.arange(batches))
    return jnp.sqrt(errors.mean() / (whole**2).sum())


def batch_numbers(out: Path, size: int, members: Sequence[int], noise: float) -> BatchSize:
    """Returns the numbers of a finished run for the picture of batch sizes.

    Args:
      out: directory of the run.
      size: examples of a batch.
      members: indices of its seeds, from 0.
      noise: result of `noise_of_batches`.

    Example: see `experiments/downhill.py`.
    """
    records = [each for each in read_metrics(out / "metrics.jsonl") if "train/loss" in each]
    # The last record may be the mean of fewer steps than the others.
    if len(records) > 2:
        records = records[:-1]
    losses = [
        [each.get(f"train/loss/{member}", each["train/loss"]) for member in members]
        for each in records
    ]
    return BatchSize(
        np.array([each["step"] * size for each in records], float),
        np.array(losses),
        np.array([each["seconds/train"] for each in records]),
        noise,
    )
