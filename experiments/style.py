"""Style transfer: the content of one image in the style of another, and textures from noise.

    python experiments/style.py
    python experiments/style.py --content flower --size 192 --table
    python experiments/style.py --weights vgg16.h5 --size 256 --evaluations 300
    python experiments/style.py --run runs/mine --content photograph.png --style drawing.jpg

The first commands train a small CNN on crops of two photographs. `--run` and `--weights` are one
option: a finished run, or a file with weights that `jaxdl.load` reads, such as VGG16.

The first command takes 143 s of processor time. The style loss falls from 0.012 to 0.00004, and the
content loss stays at 2.0. Colors arrive, strokes do not.

Measured with the VGG16 of an edge detector, a cat of 256 pixels, 130 evaluations and a style weight
of 20: the style loss falls from 0.24 to 0.011, and the content loss is 0.62.

The temple was made with the default weight of 10 and 300 evaluations. At 256 pixels the style loss
falls from 2.88 to 0.010, and the content loss is 0.59, after 181 seconds on two cores. At 128
pixels they are 0.019 and 0.53, after 56 seconds. At 384 pixels they are 0.008 and 0.62, after 603
seconds beside other work.
"""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import jax
import numpy as np
import tyro

from jaxdl import load, plots, root, tasks
from jaxdl.core import inference
from jaxdl.errors import InputError
from jaxdl.models import CNN, Stage
from jaxdl.recipes import AugmentOptions, TrainingOptions, fit_and_test, image_sets
from jaxdl.recipes.loaded import print_results, refuse_options_of_training
from jaxdl.recipes.seeing import preparation
from jaxdl.recipes.styled import make_pictures
from jaxdl.recipes.styling import StyleOptions, painter
from jaxdl.runs import Options, Run, RunOptions, launch, run_experiment
from jaxdl.runs.options import run_directory


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the experiment."""

    run: RunOptions = RunOptions(data="photos", epochs=5.0, batch_size=64)
    training: TrainingOptions = TrainingOptions(learning_rate=2e-3)
    pictures: StyleOptions = StyleOptions()
    augmentation: AugmentOptions = AugmentOptions()

    load: Annotated[str | None, tyro.conf.arg(aliases=["--run", "--weights"])] = None
    """A finished run, or a file of weights, in place of a training."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        refuse_options_of_training(self, self.load)
        return super().validate()

    def for_smoke(self) -> Self:
        short = dataclasses.replace(self.pictures, size=16, evaluations=3)
        return dataclasses.replace(super().for_smoke(), pictures=short)


def network(classes: int) -> CNN:
    """Returns the network that is trained: pairs of convolutions, as in VGG networks."""
    widths = (32, 64, 96)
    stages = [Stage(width, pool=pool) for width in widths for pool in (None, "max")]
    return CNN(tuple(stages), (), classes, head_size=1)


def train_and_paint(run: Run[Config]) -> dict[str, Any]:
    """Trains a CNN, and makes pictures with it; figures show those of the first seed."""
    config = run.config
    train, _, sets = image_sets(config.run)
    model = network(train.classes or 1).clone(dtype=config.training.dtype)
    shape = (1, *sets["train"]["input"].shape[1:])
    abstract = jax.eval_shape(lambda: model.init(root(0), np.zeros(shape, np.float32), train=False))
    painter(model, abstract, config.pictures)
    task = tasks.classify(model, **config.augmentation.changes(shape[1:])._asdict())
    state, metrics = fit_and_test(run, config.training, model, task, sets)
    values: list[dict[str, float]] = []
    for seed, member in zip(run.seeds, run.members(state), strict=True):
        final = inference(member)
        variables = {"params": final.params, **final.extra}
        net = painter(model, variables, config.pictures)
        figure = run.figure if not values else None
        values.append(make_pictures(net, seed, figure, run.sample))
    metrics |= {name: run.per_seed([each[name] for each in values]) for name in values[0]}
    plots.learning_curves(run.records(), run.figure("curves"))
    return run.finish(state, metrics, **sets)


def paint_with_loaded(config: Config) -> dict[str, Any]:
    """Makes pictures with a loaded network; figures show those of the first seed."""
    assert config.load is not None
    net = load(config.load)
    if not isinstance(net.model, CNN):
        raise InputError("load", config.load, "a network of images, a CNN")
    options = config.pictures
    if options.style_weight is None and net.preprocessing.crop is not None:
        # Imported weights, such as those of VGG16.
        options = dataclasses.replace(options, style_weight=10.0)
    found = painter(net.model, net.variables, options, preparation(net.preprocessing))
    _, out = run_directory(config, paint_with_loaded)
    out.mkdir(parents=True, exist_ok=True)

    def figure(name: str) -> Path:
        return out / f"{name}.png"

    values = [
        make_pictures(found, seed, figure if i == 0 else None, lambda name: out / "samples" / name)
        for i, seed in enumerate(range(config.run.seed, config.run.seed + config.run.seeds))
    ]
    metrics = {name: float(np.mean([each[name] for each in values])) for name in values[0]}
    print_results(metrics, out)
    return metrics


def main(config: Config) -> dict[str, Any]:
    """Trains a network and makes pictures with it, or makes them with a loaded network."""
    if config.load is not None:
        return paint_with_loaded(config)
    return run_experiment(config, train_and_paint)


if __name__ == "__main__":
    launch(main, Config)
