"""What the experiments that name classes share: options, and a run from data to pictures."""

import dataclasses
from collections.abc import Callable
from typing import Any, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxdl import data, optimizers, plots, tasks
from jaxdl.core import State, Update, inference, learner
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.experiment.options import Options
from jaxdl.experiment.run import Run
from jaxdl.models import table
from jaxdl.plots.page import PALETTE
from jaxdl.rng import root
from jaxdl.training import Patience
from jaxdl.wrappers import accumulate, with_ema


@dataclasses.dataclass(frozen=True)
class Classification(Options):
    """Options of every classifier."""

    optimizer: str = "adam"
    """sgd, momentum, nesterov, rmsprop, adagrad, adadelta, adam, adamw, nadam, lion, muon, schedule_free."""
    learning_rate: float = 1e-3
    """The largest of the run."""
    schedule: str = "constant"
    """constant, step, exponential, cosine, polynomial, warmup_cosine, one_cycle."""
    warmup: float = 0.0
    """Share of the steps over which the learning rate rises, in [0, 1); 0: the schedule's own."""
    momentum: float = 0.9
    """Decay of the running mean of gradients, where the optimizer has one."""
    weight_decay: float = 0.0
    """Pulls kernels to zero: decoupled for adamw, lion, muon and schedule_free, else L2."""
    l1: float = 0.0
    """Weight of the sum of the kernels' absolute values in the loss."""
    clip: float = 0.0
    """Largest norm of the whole gradient; 0: any."""
    accumulate: int = 1
    """Parts of a batch whose gradients are added up one after the other."""
    label_smoothing: float = 0.0
    """Share of the target spread over all classes, in [0, 1)."""
    shift: int = 0
    """Augmentation: moves each image by up to this many pixels."""
    ema: float = 0.0
    """Decay of a moving average of the weights, which is then what is evaluated; 0: none."""
    patience: int = 0
    """Stop after this many validations without a smaller loss (of several seeds, their mean); 0: never."""
    bfloat16: bool = False
    """Compute in bfloat16; parameters stay float32."""
    standardize: bool = False
    """Rescale inputs to mean 0 and variance 1 with the training set's statistics."""

    def checked(self) -> Self:
        at_least("accumulate", self.accumulate, 1)
        at_least("shift", self.shift, 0)
        at_least("patience", self.patience, 0)
        in_range("label_smoothing", self.label_smoothing, 0, 1)
        in_range("ema", self.ema, 0, 1)
        if self.ema and self.optimizer == "schedule_free":
            raise InputError("ema", self.ema, "0 with schedule_free, which averages by itself")
        if self.patience and not self.validation:
            raise InputError("patience", self.patience, "0, when there is no validation set")
        if self.batch_size % self.accumulate:
            raise InputError("accumulate", self.accumulate, f"a divisor of the batch size {self.batch_size}")
        self.make_optimizer(1)  # names and numbers, before data are read
        return super().checked()

    @property
    def dtype(self) -> Any:
        """Of the computation: bfloat16, or None, that of the input."""
        return jnp.bfloat16 if self.bfloat16 else None

    def make_optimizer(self, steps: int) -> optax.GradientTransformation:
        """The optimizer that the options describe."""
        rate = optimizers.schedule(self.schedule, self.learning_rate, steps, warmup=self.warmup)
        return optimizers.optimizer(
            self.optimizer, rate, momentum=self.momentum, weight_decay=self.weight_decay, l1=self.l1, clip=self.clip
        )


def classification(
    run: Run[Any], model_for: Callable[[int], nn.Module], first_layer: Callable[[Any, tuple], np.ndarray]
) -> dict[str, Any]:
    """Trains a classifier, tests it once, draws what it learned and writes the result.

    Args:
      run: the run.
      model_for: `model_for(classes) -> model`.
      first_layer: `first_layer(params, shape of an input) -> kernel` to be drawn as filters.

    Returns:
      The result of `Run.finish`.
    """
    config = run.config
    sets = prepared(run)
    shape = sets["train"]["input"].shape[1:]
    if config.shift and len(shape) != 3:
        raise InputError("shift", config.shift, f"0, for inputs that are not images but {list(shape)}")
    classes = sets["train"].classes
    if classes is None:
        raise InputError("data", config.data, "a set with classes")
    model = model_for(classes)
    augment = tasks.random_shift(config.shift) if config.shift else None
    task = tasks.classify(model, label_smoothing=config.label_smoothing, augment=augment)
    update = Update(task.loss, config.make_optimizer(config.total_steps(sets["train"].size)))
    net = learner(task.init, accumulate(update, config.accumulate))
    net = with_ema(net, config.ema) if config.ema else net
    print(table(model, sets["train"]["input"][:1]))

    patience = Patience("loss", config.patience) if config.patience else None
    state = run.fit(net, sets["train"], sets.get("validation"), patience)
    metrics = run.test(net, state, sets["test"])
    draw(run, task, inference(run.first(state)), sets["test"], first_layer)
    return run.finish(state, metrics, **sets)


def prepared(run: Run[Any]) -> dict[str, Dataset]:
    """The sets of a run: the test set apart from the start, the validation set the same for every seed."""
    config = run.config
    train, test = data.load(config.data, config.data_dir, config.cache_dir)
    sets = {"train": train, "test": test}
    if config.validation:
        if not 0 < round(config.validation * train.size) < train.size:
            raise InputError(
                "validation", config.validation, f"a share that leaves both parts of {train.size} not empty"
            )
        sets["train"], sets["validation"] = data.split(train, root(0), config.validation)
    if config.standardize:
        sets = dict(zip(sets, data.standardize(*sets.values()), strict=True))
    return sets


def draw(run: Run[Any], task: tasks.Classifier, state: State, test: Dataset, first_layer: Callable) -> None:
    """Learning curves, confusion matrix, worst mistakes, and what the first layer looks for."""
    inputs, label = np.asarray(test["input"]), np.asarray(test["label"])
    predict = jax.jit(task.predict)
    parts = [inputs[i : i + 500] for i in range(0, len(inputs), 500)]
    probabilities = np.concatenate([predict(state.params, state.extra, part) for part in parts])
    plots.learning_curves(run.records(), run.figure("curves"))
    plots.confusion_matrix(label, probabilities.argmax(1), probabilities.shape[1], run.figure("confusion"))
    if inputs.ndim == 4 and inputs.shape[-1] in (1, 3):
        plots.mistakes(inputs, label, probabilities, run.figure("mistakes"))
        kernel = first_layer(state.params, inputs.shape[1:])
        plots.filters(kernel, run.figure("filters"))
        few = slice(12)
        plots.hero(inputs[few], label[few], probabilities[few], run.records(), kernel, run.figure("overview"))
    elif inputs.shape[1:] == (2,) and probabilities.shape[1] <= len(PALETTE):
        plots.decision_map(
            lambda points: np.asarray(predict(state.params, state.extra, points)),
            inputs,
            label,
            run.figure("decisions"),
        )
