"""The loss around trained networks: sharp and flat minima, skip connections, paths and barriers.

    python experiments/landscape.py
    python experiments/landscape.py --data mnist --networks small_batch large_batch --epochs 5 \\
        --points 51 --examples 2000
    python experiments/landscape.py --networks two_seeds --hidden 512 512 --seeds 3
    python experiments/landscape.py --load runs/mine --points 51

The first command trains five networks. `small_batch` and `large_batch` are one MLP with two sizes
of a batch and equal numbers of steps. `two_seeds` is this MLP twice. `residual` and `plain` have 20
layers, with and without skip connections. The last command draws the loss around a finished run.

Measured with the digits and the first command, in 278 s of processor time on two cores of an AMD
EPYC. The first three networks take about 32 s of it:

    network             training loss   largest eigenvalue   test accuracy
    batches of 32              0.0185                 1.45          98.1 %
    batches of 1024            0.0221                 2.36          97.8 %
    with skips                 0.0005                0.067          98.9 %
    without skips              0.0027                 0.29          97.8 %

The barrier between two seeds is 0.189, and 0.035 with matched units. With shorter trainings,
`--networks residual plain --points 13 --examples 300 --epochs 8 --batch-size 64`, the largest
eigenvalue is 1.64 with skip connections and 7.39 without. Their losses are 0.0048 and 0.0305.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import tyro

from jaxdl import load, plots, root, stream, tasks
from jaxdl.core import State, inference
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least
from jaxdl.landscape import Surface, largest_eigenvalue, loss_of
from jaxdl.models import MLP, resnet20
from jaxdl.recipes import TrainingOptions, fit_and_test, image_sets
from jaxdl.recipes.landscape import (
    LandscapeOptions,
    PathFiles,
    caption,
    draw_between,
    draw_path,
    loss_between,
    loss_function,
    loss_on_path,
    norm_of,
    planes_around,
    read_planes,
    set_of,
    write_planes,
)
from jaxdl.recipes.loaded import print_results, refuse_options_of_training
from jaxdl.runs import Options, Run, RunOptions, launch, run_variants
from jaxdl.runs.options import run_directory
from jaxdl.tasks import Task

Name = Literal["small_batch", "large_batch", "two_seeds", "residual", "plain"]

#: Normalizations of the directions, in words.
WORDS = {"filter": "norms of filters", "none": "equal length"}

#: Metrics in the title of a panel.
NUMBERS = ("training_loss", "largest_eigenvalue")

#: Least number of states that have a plane.
LEAST = 3


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the experiment."""

    run: RunOptions = RunOptions(epochs=20.0, batch_size=32, validation=0.0)
    training: TrainingOptions = TrainingOptions(
        optimizer="momentum", learning_rate=0.05, schedule="cosine"
    )
    planes: LandscapeOptions = LandscapeOptions()

    networks: tuple[Name, ...] = ("small_batch", "large_batch", "two_seeds", "residual", "plain")
    """Networks that are trained."""
    hidden: tuple[int, ...] = (512,)
    """Widths of the hidden layers of the MLP."""
    large_batch: int = 1024
    """Examples per step of large_batch; --batch-size is that of the others."""
    features: int = 8
    """Kernels of the first layers of residual and plain; later ones have 2 and 4 times as many."""
    load: Annotated[str | None, tyro.conf.arg(aliases=["--run", "--weights"])] = None
    """A finished run with one loss, in place of a training."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        if not self.networks or len(set(self.networks)) < len(self.networks):
            allowed = "small_batch, large_batch, two_seeds, residual, plain, each once"
            raise InputError("networks", self.networks, allowed)
        for width in self.hidden:
            at_least("hidden", width, 1)
        at_least("large_batch", self.large_batch, 1)
        at_least("features", self.features, 1)
        others = ("seeds", "networks", "hidden", "large_batch", "features")
        refuse_options_of_training(self, self.load, others)
        return super().validate()

    def for_smoke(self) -> Self:
        planes = dataclasses.replace(self.planes, points=3, examples=60)
        networks = self.networks
        if networks == Config.networks:
            # The two deep networks take minutes to compile.
            networks = networks[:3]
        return dataclasses.replace(
            super().for_smoke(), planes=planes, features=2, networks=networks
        )


def network(config: Config, name: str, classes: int) -> Any:
    """Returns the model of a name."""
    dtype = config.training.dtype
    if name in ("residual", "plain"):
        model = resnet20(classes, config.features, residual=name == "residual")
        return model.clone(dtype=dtype)
    return MLP(config.hidden, classes, dtype=dtype)


def train_and_look(run: Run[Config]) -> dict[str, Any]:
    """Trains the first network, and computes the loss around it."""
    config = run.config
    name = config.networks[0]
    _, _, sets = image_sets(config.run)
    train = sets["train"]
    model = network(config, name, train.classes or 1)
    task = tasks.classify(model)
    path = PathFiles(run.sample)
    state, metrics = fit_and_test(run, config.training, model, task, sets, on_validation=path)
    members = run.members(state)
    if name == "two_seeds":
        metrics |= look_between(run, model, task, members, train)
    else:
        metrics |= look_around(run, task, members, train, path)
    plots.learning_curves(run.records(), run.figure("curves"))
    return run.finish(state, metrics, **sets)


def look_around(
    run: Run[Config], task: Task, members: list[State], train: Dataset, path: PathFiles
) -> dict[str, Any]:
    """Computes loss and curvature of all seeds, and draws the planes and the path of the first."""
    key = root(run.config.run.seed)
    examples = run.config.planes.examples
    losses = [loss_of(task.loss, each, train, examples=examples) for each in members]
    params = [inference(each).params for each in members]
    found = [numbers(f, each, key) for f, each in zip(losses, params, strict=True)]
    metrics = {name: run.per_seed([each[name] for each in found]) for name in found[0]}
    start, _ = task.init(stream(key, "init"), {field: x[:2] for field, x in train.arrays.items()})
    draw_first(run, losses[0], params[0], start, found[0])
    states = path.states(start)
    if run.config.training.initial is None:
        states = [start, *states]
    if len(states) >= LEAST:
        on_path = loss_on_path(losses[0], states, run.config.planes, folder=run.sample(""))
        draw_path(on_path, run.figure("path"), words(run.config))
        metrics["path_share"] = run.per_seed(float(on_path.plane.share.sum()))
    return metrics


def draw_first(
    run: Run[Config], f: Any, params: Any, start: Any, values: Mapping[str, float]
) -> None:
    """Draws the plane around the first seed, and stores the planes for the comparison.

    The directions without normalization have the length of the initial weights, which are the same
    for both sizes of a batch.
    """
    config = run.config
    length = None
    if config.networks[0].endswith("batch"):
        length = norm_of(start)
    key = root(config.run.seed)
    folder = run.sample("")
    planes = planes_around(f, params, key, config.planes, length=length, folder=folder)
    write_planes(planes, run.sample("planes.npz"))
    draw_around(planes, words(config), values, run.figure("around"))


def numbers(f: Any, params: Any, key: Any) -> dict[str, float]:
    """Returns the loss of a network and the largest eigenvalue of the Hessian there."""
    found = largest_eigenvalue(f, params, key, which="highest", tolerance=1e-3)
    values = {"training_loss": float(f(params)), "largest_eigenvalue": found.value}
    print(f"loss {values['training_loss']:.4g}, largest eigenvalue {found.value:.4g}")
    return values


def look_between(
    run: Run[Config], model: Any, task: Task, members: list[State], train: Dataset
) -> dict[str, Any]:
    """Computes the barriers between pairs of seeds, and draws the lines of the first pair."""
    examples = run.config.planes.examples
    values = []
    for a, b in zip(members[::2], members[1::2], strict=True):
        f = loss_of(task.loss, a, train, examples=examples)
        found = loss_between(f, model, a, b)
        if not values:
            first, second = (f"seed {seed}" for seed in run.seeds[:2])
            draw_between(found, run.figure("line"), (first, second))
        # Both networks of a pair have its barriers.
        values += 2 * [(found.barrier, found.barrier_matched)]
    barrier, matched = np.array(values).T
    return {"barrier": run.per_seed(barrier), "barrier_matched": run.per_seed(matched)}


def draw_around(
    planes: Mapping[str, Surface], name: str, values: Mapping[str, float], path: Path
) -> Path:
    """Draws the plane with the norms of filters."""
    loss, eigenvalue = (values[each] for each in NUMBERS)
    title = f"Loss around the network, largest eigenvalue {eigenvalue:.3g}"
    return plots.loss_planes({f"{name}, loss {loss:.3g}": planes["filter"]}, path, title=title)


def words(config: Config, name: str | None = None) -> str:
    """Returns the name of a network in words; None means the first one."""
    return {
        "small_batch": f"batches of {config.run.batch_size}",
        "large_batch": f"batches of {config.large_batch}",
        "residual": "20 layers with skips",
        "plain": "20 layers without skips",
    }[name or config.networks[0]]


def compare(config: Config, out: Path, results: Mapping[str, dict[str, Any]]) -> None:
    """Draws the planes of networks that are compared, with equal colors."""
    pairs = {
        "batch_sizes": (("small_batch", "large_batch"), ("filter", "none")),
        "skip_connections": (("residual", "plain"), ("filter",)),
    }
    for picture, (names, normalizations) in pairs.items():
        if not all(name in results for name in names):
            continue
        planes = {name: read_planes(out / name / "samples" / "planes.npz") for name in names}
        # The pictures are those of the first seed.
        values = {
            name: results[name].get("members", [results[name]])[0]["metrics"] for name in names
        }
        shown = {}
        for normalization in normalizations:
            for name in names:
                label = f"{words(config, name)}, {WORDS[normalization]}"
                numbers_of = (values[name][each] for each in NUMBERS)
                shown[caption(label, *numbers_of)] = planes[name][normalization]
        first, second = (
            f"{values[name]['largest_eigenvalue']:.3g} ({words(config, name)})" for name in names
        )
        title = f"Largest eigenvalue of the Hessian: {first} and {second}"
        path = plots.loss_planes(shown, out / f"{picture}.png", title=title, columns=2)
        print(f"picture  {path}")
    if "two_seeds" in results:
        found = results["two_seeds"]["metrics"]
        print(f"barrier {found['barrier']:.4g}, matched {found['barrier_matched']:.4g}")
        print(f"picture  {out / 'two_seeds' / 'figures' / 'line.png'}")


def look_at_loaded(config: Config) -> dict[str, float]:
    """Draws the loss around a loaded network."""
    assert config.load is not None
    net = load(config.load)
    train = set_of(net, config.load, config.run)
    loss = loss_function(net.task, config.load)
    f = loss_of(loss, net.state, train, examples=config.planes.examples)
    key = root(config.run.seed)
    _, out = run_directory(config, look_at_loaded)
    out.mkdir(parents=True, exist_ok=True)
    metrics = numbers(f, net.state.params, key)
    planes = planes_around(f, net.state.params, key, config.planes, folder=out)
    draw_around(planes, Path(config.load).name, metrics, out / "around.png")
    print_results(metrics, out)
    return metrics


def variants(config: Config) -> dict[str, dict[str, Any]]:
    """Returns the options that each network changes."""
    steps = config.run.total_steps(image_sets(config.run)[2]["train"])
    changes: dict[str, dict[str, Any]] = {}
    for name in config.networks:
        changes[name] = {"networks": (name,)}
        if name == "large_batch":
            changes[name] |= {"batch_size": config.large_batch, "steps": steps}
        if name == "two_seeds":
            changes[name]["seeds"] = 2 * config.run.seeds
    return changes


def main(config: Config) -> dict[str, Any]:
    """Trains networks and draws the loss around them, or around a loaded network."""
    if config.load is not None:
        return look_at_loaded(config)
    changes = variants(config)
    out, results = run_variants(config, changes, train_and_look)
    if len(results) == len(changes):
        compare(config, out, results)
    return results


if __name__ == "__main__":
    launch(main, Config)
