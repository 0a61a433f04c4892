"""Deep dream: a photograph that is changed until it excites layers of a network more.

    python experiments/dream.py
    python experiments/dream.py --data mnist --epochs 2 --photograph flower
    python experiments/dream.py --load runs/mine --layers conv_1 conv_2
    python experiments/dream.py --load weights.pth --size 384 --seeds 2
    python experiments/dream.py --load weights.pth --scales 0 --no-decorrelate --octaves 1

The first commands train a small CNN. `--load` takes a finished run, or a file with weights that
`jaxdl.load` reads. The last command is the plain ascent, without what makes dreams smooth.

`depths.png` has the dreams of three layers, beside those of the same network with random weights.

Seen on two cores with a dozen other processes, with a photograph of up to 256 x 384 pixels and 4
octaves. Growth is from the start of the smallest octave to the end of the largest:

- The imported weights of EfficientNet-Lite0, block_11/activation_expand, 20 steps of 0.02: faces of
  animals in the sky, 2.2-fold. block_8/activation_expand gives eyes and windows, and
  block_5/norm_project strokes. With `--no-decorrelate` colors are gaudy. block_10/norm_project with
  steps of 0.01 and `--coarse 1` gives fine lines only.
- An imported body of VGG16 that was fine-tuned for edges, 15 steps: activation_9 and activation_11
  give dark holes like pupils, 8.4-fold and 50-fold. Patterns saturate, and none is an object.
- The CNN of the digits draws strokes of ink, 1.7-fold. Steps of 0.02 turn the photograph black and
  white, 2.4-fold with trained and with random weights alike.
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
from jaxdl.recipes.dream_pictures import (
    draw_dreams,
    draw_own_images,
    dream_all,
    growths,
    save_pictures,
)
from jaxdl.recipes.dreaming import (
    DreamOptions,
    check_dreams,
    dream_layers,
    dreamer,
    load_photograph,
)
from jaxdl.recipes.loaded import print_results
from jaxdl.recipes.robustness import one_of_each_class
from jaxdl.recipes.seeing import check_layers, preparation
from jaxdl.runs import Options, Run, RunOptions, launch, run_experiment
from jaxdl.runs.options import run_directory

#: Size of a step for the network that is trained.
SMALL_STEP = 0.005

#: Number of images of the training set that are changed.
OWN = 8


@dataclasses.dataclass(frozen=True)
class Config(Options):
    """Options of the experiment."""

    run: RunOptions = RunOptions(epochs=20.0, validation=0.0)
    training: TrainingOptions = TrainingOptions(learning_rate=2e-3)
    dreaming: DreamOptions = DreamOptions()
    augmentation: AugmentOptions = AugmentOptions()

    load: Annotated[str | None, tyro.conf.arg(aliases=["--run", "--weights"])] = None
    """A finished run, or a file of weights, in place of a training."""

    seeds_share_cores: ClassVar[bool] = False

    def validate(self) -> Self:
        self.augmentation.refuse_without_training(self.load)
        return super().validate()

    def for_smoke(self) -> Self:
        short = dataclasses.replace(self.dreaming, dream_steps=2, octaves=2, size=48, shift=2)
        return dataclasses.replace(super().for_smoke(), dreaming=short)


def network(classes: int) -> CNN:
    """Returns the network that is trained: three convolutions and a dense layer."""
    return CNN((Stage(16), Stage(32), Stage(32, pool=None)), (64,), classes)


def train_and_dream(run: Run[Config]) -> dict[str, Any]:
    """Trains a CNN, evaluates it, and lets the network of each seed dream."""
    config = run.config
    dreaming = config.dreaming
    if dreaming.step_size is None:
        dreaming = dataclasses.replace(dreaming, step_size=SMALL_STEP)
    train, test, sets = image_sets(config.run)
    model = network(train.classes or 1).clone(dtype=config.training.dtype)
    shape = train["input"].shape[1:]
    photograph = load_photograph(dreaming.photograph, dreaming.size, shape[-1])
    image = np.zeros((1, *shape), np.float32)
    abstract = jax.eval_shape(lambda: model.init(root(0), image, train=False))
    names = dreaming.layers or dream_layers(model, abstract, shape)
    check_layers(model, abstract, shape, names)
    empty = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), abstract)
    check_dreams(dreamer(model, empty, names, shape), photograph.shape, dreaming.dream())
    task = tasks.classify(model, **config.augmentation.changes(shape)._asdict())
    state, metrics = fit_and_test(run, config.training, model, task, sets)
    nets = []
    for seed, member in zip(run.seeds, run.members(state), strict=True):
        final = inference(member)
        random = root(seed) if dreaming.random else None
        variables = {"params": final.params, **final.extra}
        nets.append(dreamer(model, variables, names, shape, random=random))
    folder = run.sample("dreams")
    dreams = dream_all(nets, photograph, run.seeds, dreaming, folder)
    name = f"a CNN of {train.name}"
    draw_dreams(dreams, name, run.seeds, run.figure)
    save_pictures(dreams.trained, folder)
    rows = one_of_each_class(np.asarray(test["label"]), OWN)
    own = np.asarray(test["input"])[rows]
    titles = [f"class {name}" for name in np.asarray(test["label"])[rows]]
    draw_own_images(nets[0], own, dreaming, config.run.seed, run.figure("own"), titles)
    plots.learning_curves(run.records(), run.figure("curves"))
    metrics |= {key: run.per_seed(value) for key, value in growths(dreams).items()}
    return run.finish(state, metrics, **sets)


def dream_of_loaded(config: Config) -> dict[str, float]:
    """Lets a loaded network dream, once for each seed."""
    assert config.load is not None
    net = load(config.load)
    shape = net.fields["input"].shape
    if net.model is None or len(shape) != 3 or shape[-1] not in (1, 3):
        allowed = "a network of grey or RGB images with one module"
        raise InputError("load", config.load, allowed)
    options = config.dreaming
    names = options.layers or dream_layers(net.model, net.variables, shape)
    check_layers(net.model, net.variables, shape, names)
    photograph = load_photograph(options.photograph, options.size, shape[-1])
    seeds = range(config.run.seed, config.run.seed + config.run.seeds)
    random = root(config.run.seed) if options.random else None
    prepare = preparation(net.preprocessing)
    one = dreamer(net.model, net.variables, names, shape, prepare, random)
    check_dreams(one, photograph.shape, options.dream())
    out = run_directory(config, dream_of_loaded)[1]
    out.mkdir(parents=True, exist_ok=True)
    dreams = dream_all([one] * len(seeds), photograph, seeds, options, out / "dreams")
    draw_dreams(dreams, Path(config.load).stem, seeds, lambda name: out / f"{name}.png")
    save_pictures(dreams.trained, out / "dreams")
    metrics = {name: float(np.mean(values)) for name, values in growths(dreams).items()}
    print_results(metrics, out)
    print(f"picture  {out / 'dream.gif'}")
    return metrics


def main(config: Config) -> dict[str, Any]:
    """Trains a network that dreams, or lets a loaded network dream."""
    if config.load is not None:
        return dream_of_loaded(config)
    return run_experiment(config, train_and_dream)


if __name__ == "__main__":
    launch(main, Config)
