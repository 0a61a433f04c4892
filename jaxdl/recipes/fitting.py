"""Training with a single loss: the options of the optimizer, and a run from a task to its test."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Self

import flax.linen as nn
import jax.numpy as jnp
import optax

from jaxdl import optimizers
from jaxdl.core import Learner, State, Update, learner
from jaxdl.data.dataset import Dataset, split
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.models import table
from jaxdl.rng import root
from jaxdl.runs.options import Options
from jaxdl.runs.run import Run
from jaxdl.training import Patience
from jaxdl.wrappers import accumulate, skip_nonfinite, with_ema


@dataclasses.dataclass(frozen=True)
class TrainingOptions(Options):
    """Options of the experiments that train with one optimizer."""

    optimizer: str = "adam"
    """Name of the optimizer:
    sgd, momentum, nesterov, rmsprop, adagrad, adadelta,
    adam, adamw, nadam, lion, muon or schedule_free."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    schedule: str = "constant"
    """Schedule of the learning rate:
    constant, step, exponential, cosine, polynomial, warmup_cosine or one_cycle."""
    warmup: float = 0.0
    """Fraction of the steps in which the learning rate rises, in [0, 1).
    0 means the default of the schedule."""
    momentum: float = 0.9
    """Decay of the running mean of gradients, for optimizers that have one."""
    weight_decay: float = 0.0
    """Weight decay of kernels.
    Decoupled for adamw, lion, muon and schedule_free, else an L2 penalty."""
    l1: float = 0.0
    """Weight of the L1 norm of kernels in the loss."""
    clip: float = 0.0
    """Largest global norm of the gradient; 0 disables clipping."""
    accumulate: int = 1
    """Number of parts of a batch whose gradients are accumulated one after the other."""
    ema: float = 0.0
    """Decay of a moving average of the weights; 0 disables it.
    The average is evaluated instead of the weights."""
    skip_nonfinite: bool = False
    """If True, steps with NaN or infinite values are skipped and counted, up to 100 in a row.
    If False, or with --debug, the first such step ends the run."""
    patience: int = 0
    """Number of validations without a smaller loss after which the run stops.
    0 disables early stopping. With several seeds their mean loss counts."""
    bfloat16: bool = False
    """If True, the network computes in bfloat16. Parameters stay float32."""

    def validate(self) -> Self:
        at_least("accumulate", self.accumulate, 1)
        at_least("patience", self.patience, 0)
        in_range("ema", self.ema, 0, 1)
        if self.ema and self.optimizer == "schedule_free":
            allowed = "0 with schedule_free, which averages the weights already"
            raise InputError("ema", self.ema, allowed)
        if self.patience and not self.validation:
            raise InputError("patience", self.patience, "0, when there is no validation set")
        if self.batch_size % self.accumulate:
            allowed = f"a divisor of the batch size {self.batch_size}"
            raise InputError("accumulate", self.accumulate, allowed)
        # Checks names and numbers before any data are read.
        self.make_optimizer(1)
        return super().validate()

    @property
    def dtype(self) -> Any:
        """Data type of the computation. None means the type of the input."""
        if self.bfloat16:
            return jnp.bfloat16
        return None

    def make_optimizer(self, steps: int) -> optax.GradientTransformation:
        """Returns the optimizer for a run of `steps` updates."""
        rate = optimizers.schedule(self.schedule, self.learning_rate, steps, warmup=self.warmup)
        return optimizers.optimizer(
            self.optimizer,
            rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            l1=self.l1,
            clip=self.clip,
        )

    def make_updates(self, task: Any, steps: int) -> tuple[Update, ...]:
        """Returns the updates that one step of the run consists of."""
        return task.updates(self.make_optimizer(steps))

    def make_learner(self, task: Any, size: int) -> Learner:
        """Returns the learner for a training set of `size` examples."""
        updates = self.make_updates(task, self.total_steps(size))
        net = learner(task.init, *(accumulate(update, self.accumulate) for update in updates))
        if self.ema:
            net = with_ema(net, self.ema)
        if self.skip_nonfinite:
            net = skip_nonfinite(net)
        return net


def split_sets(config: Any, train: Dataset, test: Dataset) -> dict[str, Dataset]:
    """Splits a validation set from the training set, the same one for every seed.

    Args:
      config: options of the run.
      train: whole training set.
      test: test set, which stays as it is.

    Returns:
      The sets by part: `train`, `test` and, if `config.validation` is not 0, `validation`.

    Raises:
      InputError: the fraction for validation leaves one of the parts empty.
    """
    sets = {"train": train, "test": test}
    if config.validation:
        if not 0 < round(config.validation * train.size) < train.size:
            allowed = f"a fraction that leaves both parts of {train.size} examples non-empty"
            raise InputError("validation", config.validation, allowed)
        sets["train"], sets["validation"] = split(train, root(0), config.validation)
    return sets


def fit_and_test(
    run: Run[Any],
    model: nn.Module | None,
    task: Any,
    sets: Mapping[str, Dataset],
    on_validation: Callable[[State], None] | None = None,
) -> tuple[State, dict[str, Any]]:
    """Trains a task with the options of the run, then evaluates it on the test set.

    Args:
      run: run whose options are a `TrainingOptions`.
      model: model of the task, whose table of parameters is printed. None prints nothing.
      task: task with `init` and the losses that the options' `make_updates` uses.
      sets: `train`, `test` and optionally `validation`.
      on_validation: called with the state at every validation (`jaxdl.train`).

    Returns:
      The trained state and the metrics of the test set.
    """
    config = run.config
    train = sets["train"]
    net = config.make_learner(task, train.size)
    if model is not None:
        print(table(model, train["input"][:1]))
    patience = None
    if config.patience:
        patience = Patience("loss", config.patience)
    state = run.fit(net, train, sets.get("validation"), patience, on_validation)
    return state, run.test(net, state, sets["test"])
