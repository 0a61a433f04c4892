"""The loss around trained networks: planes, the path of a training, lines between two networks."""

import dataclasses
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, Key

from jaxdl import data, landscape, plots
from jaxdl.core import State, inference
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.landscape.loss import Loss
from jaxdl.layer_names import named_leaves
from jaxdl.network import Network
from jaxdl.rng import fold
from jaxdl.runs.options import RunOptions
from jaxdl.tasks import Task
from jaxdl.updates import Params

#: Space around a path, as a fraction of its longer side.
MARGIN = 0.15

#: Least number of seconds between two lines of progress.
SECONDS = 5

#: Points on a line between two networks.
LINE_POINTS = 41

Planes = Mapping[str, landscape.Surface]


@dataclasses.dataclass(frozen=True)
class LandscapeOptions:
    """Options of the planes of losses."""

    points: int = 21
    """Points along each direction of a plane. An odd number has a point at the trained weights."""
    span: float = 1.0
    """Largest distance from the trained weights, in multiples of the norms of their filters."""
    examples: int = 500
    """Largest number of training examples, of which the loss is the mean."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        at_least("points", self.points, 2)
        in_range("span", self.span, 0, float("inf"))
        if self.span == 0:
            raise InputError("span", self.span, "above 0")
        at_least("examples", self.examples, 1)


def planes_around(
    f: Loss,
    params: Params,
    key: Key[Array, ""],
    options: LandscapeOptions,
    *,
    length: float | None = None,
    folder: Path | None = None,
    progress: Callable[[str], Any] = print,
) -> dict[str, landscape.Surface]:
    """Returns planes of the loss through a network with random directions.

    Directions without normalization have one length. If it is the same for two networks, the one
    with the larger weights seems to be flatter.

    Args:
      f: the loss.
      params: the trained parameters.
      key: root key of the directions.
      options: options of the planes.
      length: Euclidean norm of the directions without normalization; None leaves that plane out.
      folder: folder for finished rows, from which an interrupted call continues.
      progress: function of one line of text.

    Returns:
      The planes by normalization, "filter" and perhaps "none".

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxdl.rng import root
      >>> w = {"kernel": jnp.array([[3.0], [4.0]])}
      >>> f = lambda w: (w["kernel"] ** 2).sum()
      >>> found = planes_around(f, w, root(0), LandscapeOptions(3), length=1.0)
      >>> {name: float(plane.losses[1, 1]) for name, plane in found.items()}
      {'filter': 25.0, 'none': 25.0}
    """
    planes = {}
    for name in ("filter", "none") if length is not None else ("filter",):
        x, y = (_direction(params, fold(key, i), name, length) for i in range(2))
        planes[name] = landscape.surface(
            f,
            params,
            x,
            y,
            span=options.span,
            points=options.points,
            path=None if folder is None else folder / f"plane-{name}.npz",
            progress=_some_rows(f"plane, normalization {name}", progress),
        )
    return planes


def write_planes(planes: Planes, path: Path) -> None:
    """Writes planes into a file; see `read_planes`."""
    arrays = {f"{name}/{i}": x for name, plane in planes.items() for i, x in enumerate(plane)}
    with open(path, "wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_planes(path: Path) -> dict[str, landscape.Surface]:
    """Reads the planes of a file.

    Example:
      >>> import tempfile
      >>> x = np.array([0.0, 1.0])
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     file = Path(directory) / "planes.npz"
      ...     write_planes({"filter": landscape.Surface(np.eye(2), x, x)}, file)
      ...     read_planes(file)["filter"].losses.tolist()
      [[1.0, 0.0], [0.0, 1.0]]
    """
    with np.load(path, allow_pickle=False) as archive:
        names = dict.fromkeys(each.split("/")[0] for each in archive)
        return {
            name: landscape.Surface(*(archive[f"{name}/{i}"] for i in range(3))) for name in names
        }


def _direction(params: Params, key: Key[Array, ""], name: str, length: float | None) -> Params:
    """Returns a random direction; without normalization it has a given length."""
    if name == "filter":
        return landscape.random_direction(params, key)
    direction = landscape.random_direction(params, key, None)
    assert length is not None
    scale = length / norm_of(direction)
    return jax.tree.map(lambda x: (scale * x).astype(x.dtype), direction)


def norm_of(params: Params) -> float:
    """Returns the Euclidean norm of all arrays with two axes or more, which directions change.

    Example:
      >>> norm_of({"kernel": np.full((2, 2), 2.0), "bias": np.ones(2)})
      4.0
    """
    kernels = [np.asarray(x, np.float64) for x in jax.tree.leaves(params) if np.ndim(x) > 1]
    return float(np.sqrt(sum((x**2).sum() for x in kernels)))


def _some_rows(name: str, progress: Callable[[str], Any]) -> Callable[[str], Any]:
    """Returns a progress function that passes a line on every few seconds."""
    last = time.monotonic()

    def some(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SECONDS:
            progress(f"{name}: {line}")
            last = time.monotonic()

    return some


class PathFiles:
    """The parameters of the first seed during a training, one file for each of its validations.

    An instance is the `on_validation` of `fit_and_test`. The files of an interrupted training stay.

    Args:
      folder: returns the path of a file in the folder of the run, as `Run.sample` does.

    Example: see `experiments/landscape.py`.
    """

    def __init__(self, folder: Callable[[str], Path]):
        self.folder = folder

    def __call__(self, state: State) -> None:
        """Writes the parameters of a state."""
        first = inference(state.members()[0])
        path = self.folder(f"path-{first.steps_done:08d}.npz")
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        arrays = {name: np.asarray(x) for name, x in named_leaves(first.params).items()}
        try:
            with open(partial, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def states(self, like: Params) -> list[Params]:
        """Returns the parameters of all files in the order of their steps.

        Args:
          like: parameters of the same network.
        """
        names = list(named_leaves(like))
        structure = jax.tree.structure(like)
        found = []
        for path in sorted(self.folder("").glob("path-*.npz")):
            with np.load(path, allow_pickle=False) as archive:
                arrays = [archive[name] for name in names]
            found.append(jax.tree.unflatten(structure, arrays))
        return found


class OnPath(NamedTuple):
    """The loss on the plane of a training's path.

    Attributes:
      surface: the losses.
      plane: the plane with the path in it.

    Example: see `loss_on_path`.
    """

    surface: landscape.Surface
    plane: landscape.Plane


def loss_on_path(
    f: Loss,
    states: Sequence[Params],
    options: LandscapeOptions,
    *,
    folder: Path | None = None,
    progress: Callable[[str], Any] = print,
) -> OnPath:
    """Returns the loss on the plane that contains most of a path.

    Args:
      f: the loss.
      states: parameters in order, at least 3.
      options: options of the planes.
      folder: folder for finished rows.
      progress: function of one line of text.

    Example:
      >>> import jax.numpy as jnp
      >>> states = [{"w": jnp.array(w)} for w in ([2.0, 0.0], [1.0, 1.0], [0.0, 0.0])]
      >>> f = lambda w: (w["w"] ** 2).sum()
      >>> found = loss_on_path(f, states, LandscapeOptions(3), progress=lambda line: None)
      >>> round(float(found.plane.share.sum()), 3), found.surface.losses.shape
      (1.0, (3, 3))
    """
    found = landscape.plane(states)
    low = found.coordinates.min(0)
    high = found.coordinates.max(0)
    # Both directions have one unit and one length, so the picture has no distortion.
    half = (0.5 + MARGIN) * (high - low).max()
    middle = (low + high) / 2
    ranges = tuple((float(m - half), float(m + half)) for m in middle)
    surface = landscape.surface(
        f,
        states[-1],
        found.x,
        found.y,
        span=ranges,
        points=options.points,
        path=None if folder is None else folder / "plane-path.npz",
        progress=_some_rows("plane of the path", progress),
    )
    return OnPath(surface, found)


class Between(NamedTuple):
    """The loss on lines between two networks.

    Attributes:
      lines: the line from the first network to the second, and to the second with its units in the
        order of the first, by name in words.
      barrier: the barrier of the first line.
      barrier_matched: the barrier of the second one.

    Example: see `experiments/landscape.py`.
    """

    lines: dict[str, landscape.Line]
    barrier: float
    barrier_matched: float


def loss_between(f: Loss, model: nn.Module, a: State, b: State) -> Between:
    """Returns the loss between two networks, before and after their units are matched.

    Args:
      f: the loss.
      model: the module of both networks, an `MLP` or a `CNN` without skip connections.
      a: the first state.
      b: the second state.
    """
    matched = landscape.match_units(model, a, b).state
    start = inference(a).params
    lines = {
        name: landscape.line(f, start, inference(end).params, points=LINE_POINTS)
        for name, end in (("straight line", b), ("after matching the units", matched))
    }
    barriers = [landscape.barrier(each.losses) for each in lines.values()]
    return Between(lines, *barriers)


def draw_between(found: Between, path: Path, ends: tuple[str, str]) -> Path:
    """Draws the loss on both lines, with the barriers in the title."""
    ratio = ""
    if found.barrier > 0:
        ratio = f" ({100 * found.barrier_matched / found.barrier:.1f} %)"
    title = (
        f"Barrier of the loss between two seeds: {found.barrier:.3g}, "
        f"after matching the units {found.barrier_matched:.3g}{ratio}"
    )
    return plots.loss_lines(found.lines, path, title=title, ends=ends)


def draw_path(found: OnPath, path: Path, name: str) -> Path:
    """Draws the path of a training on the loss, with its share of the variance in the title."""
    x, y = 100 * found.plane.share
    title = f"Path of the training: this plane has {x + y:.1f} % of the variance of the weights"
    return plots.loss_planes(
        {name: found.surface},
        path,
        title=title,
        labels=(f"first principal direction, {x:.1f} %", f"second one, {y:.1f} %"),
        paths={name: found.plane.coordinates},
    )


def caption(name: str, loss: float, eigenvalue: float) -> str:
    r"""Returns the title of a panel in two lines.

    Example:
      >>> caption("batches of 32", 0.01234, 56.78)
      'batches of 32\nloss 0.0123, largest eigenvalue 56.8'
    """
    return f"{name}\nloss {loss:.3g}, largest eigenvalue {eigenvalue:.3g}"


def set_of(net: Network, source: str, run: RunOptions) -> Dataset:
    """Returns the training set of a loaded network, as the network reads it.

    Args:
      net: the network.
      source: its path, for the message.
      run: options, of which `data` and its directories are used. The default of `data` means the
        set of the network's own training.

    Raises:
      InputError: a network without a single loss, or inputs of another shape.

    Example: see `experiments/landscape.py`.
    """
    loss_function(net.task, source)
    name = run.data
    if name == RunOptions().data:
        name = net.result.get("config", {}).get("data", name)
    train, _ = data.load(name, run.data_dir, run.cache_dir)
    shape = net.fields["input"].shape
    given = train["input"].shape[1:]
    if given != shape or not net.fields.keys() - {"mask"} <= train.arrays.keys():
        allowed = f"inputs {list(shape)} with {', '.join(net.fields)}, as in the training"
        raise InputError("data", f"{train.name} {list(given)}", allowed)
    if net.preprocessing.scaling and not train.scaling:
        train = net.prepared(train)
    return train


def loss_function(task: Task, source: str) -> Callable[..., Any]:
    """Returns the loss of a task; raises for a task with several losses.

    Args:
      task: the task.
      source: path of the network, for the message.
    """
    if "loss" not in task.functions:
        raise InputError("load", source, "a run with one loss, such as that of a classifier")
    return task.functions["loss"]
