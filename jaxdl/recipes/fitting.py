"""Training with a single loss: the options of the optimizer, and a run from a task to its test."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxdl import optimizers
from jaxdl.core import Learner, State, learner
from jaxdl.data.dataset import Dataset, split
from jaxdl.data.faults import find_faults
from jaxdl.data.source import Source
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.models import table
from jaxdl.network import load
from jaxdl.recipes.failures import find_failures
from jaxdl.recipes.finding import found_rate
from jaxdl.rng import root
from jaxdl.runs.options import Options, RunOptions
from jaxdl.runs.run import Run
from jaxdl.tasks import Task
from jaxdl.training import Patience
from jaxdl.transfer import freeze, with_initial
from jaxdl.wrappers import accumulate, skip_nonfinite, with_ema


@dataclasses.dataclass(frozen=True)
class TrainingOptions:
    """Options of the optimizer and of the steps of training."""

    optimizer: str = "adam"
    """Name of the optimizer:
    sgd, momentum, nesterov, rmsprop, adagrad, adadelta,
    adam, adamw, nadam, lion, muon or schedule_free."""
    learning_rate: float = 1e-3
    """Peak learning rate."""
    find_lr: bool = False
    """If True, 200 steps with a rising learning rate come first.
    The rate that their losses suggest replaces --learning-rate."""
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
    initial: str | None = None
    """Directory of a finished run, from whose weights the training starts."""
    skip_initial: tuple[str, ...] = ()
    """Names of the layers that start at random nevertheless, such as out or head/out."""
    freeze: tuple[str, ...] = ()
    """Names of the layers that keep their weights and statistics, such as conv_0 norm_0."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range or does not fit the run."""
        at_least("accumulate", self.accumulate, 1)
        at_least("patience", self.patience, 0)
        in_range("ema", self.ema, 0, 1)
        if self.ema and self.optimizer == "schedule_free":
            allowed = "0 with schedule_free, which averages the weights already"
            raise InputError("ema", self.ema, allowed)
        if self.patience and not run.validation:
            raise InputError("patience", self.patience, "0, when there is no validation set")
        if self.skip_initial and not self.initial:
            raise InputError("skip_initial", self.skip_initial, "none, without --initial")
        if run.batch_size % self.accumulate:
            allowed = f"a divisor of the batch size {run.batch_size}"
            raise InputError("accumulate", self.accumulate, allowed)
        # Checks names and numbers before any data are read.
        self.make_optimizer(1)

    @property
    def dtype(self) -> Any:
        """Data type of the computation. None means the type of the input."""
        if self.bfloat16:
            return jnp.bfloat16
        return None

    def make_optimizer(self, steps: int) -> optax.GradientTransformation:
        """Returns the optimizer for a run of `steps` updates."""
        rate = optimizers.schedule(self.schedule, self.learning_rate, steps, warmup=self.warmup)
        return self.optimizer_with(rate)

    def optimizer_with(self, rate: optax.Schedule) -> optax.GradientTransformation:
        """Returns the optimizer with a schedule of its learning rate."""
        return optimizers.optimizer(
            self.optimizer,
            rate,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            l1=self.l1,
            clip=self.clip,
        )

    def refuse_find_lr(self, reason: str) -> None:
        """Raises InputError for `find_lr` in an experiment that chooses its rates itself.

        Args:
          reason: the end of the message, such as "whose rates are compared".
        """
        if self.find_lr:
            raise InputError("find_lr", True, f"False in this experiment, {reason}")

    def with_found_rate(self, run: Run[Options], task: Task, train: Source) -> Self:
        """Returns the options with the learning rate of `find_lr`, or unchanged without it.

        Args:
          run: run before its training.
          task: task to train.
          train: training set.

        Raises:
          InputError: no rate lets the loss fall.
        """
        if not self.find_lr:
            return self
        short = dataclasses.replace(self, skip_nonfinite=False, ema=0.0)

        def make(rate: optax.Schedule) -> Learner:
            return short.make_learner(task, short.optimizer_with(rate))

        return dataclasses.replace(self, learning_rate=found_rate(run, make, train))

    def make_learner(self, task: Task, *optimizers: optax.GradientTransformation) -> Learner:
        """Returns the learner of a task, whose `updates` use the optimizers."""
        updates: Any = task.updates(*optimizers)
        if self.freeze:
            updates = tuple(freeze(update, self.freeze) for update in updates)
        if self.accumulate > 1:
            updates = tuple(accumulate(update, self.accumulate) for update in updates)
        net = learner(task.init, *updates)
        if self.initial:
            net = with_initial(net, load(self.initial).variables, skip=self.skip_initial or None)
        if self.ema:
            net = with_ema(net, self.ema)
        if self.skip_nonfinite:
            net = skip_nonfinite(net)
        return net


def split_sets(run: RunOptions, train: Dataset, test: Dataset) -> dict[str, Dataset]:
    """Splits a validation set from the training set, the same one for every seed.

    Args:
      run: options of the run.
      train: whole training set.
      test: test set, which stays as it is.

    Returns:
      The sets by part: `train`, `test` and, if `run.validation` is not 0, `validation`.

    Raises:
      InputError: the fraction for validation leaves one of the parts empty.
    """
    sets = {"train": train, "test": test}
    if run.validation:
        if not 0 < round(run.validation * train.size) < train.size:
            allowed = f"a fraction that leaves both parts of {train.size} examples non-empty"
            raise InputError("validation", run.validation, allowed)
        sets["train"], sets["validation"] = split(train, root(0), run.validation)
    return sets


def fit_and_test(
    run: Run[Options],
    training: TrainingOptions,
    model: nn.Module | None,
    task: Task,
    sets: Mapping[str, Dataset],
    *,
    optimizers: Callable[[int], Sequence[optax.GradientTransformation]] | None = None,
    on_validation: Callable[[State], None] | None = None,
) -> tuple[State, dict[str, Any]]:
    """Trains a task with the options of the run, then evaluates it on the test set.

    Faults of the sets (`jaxdl.data.find_faults`) and signs of a failed training
    (`jaxdl.recipes.failures`) are warnings of the run.

    Args:
      run: run to train in.
      training: options of the optimizer.
      model: model of the task, whose table of parameters is printed. None prints nothing.
      task: task to train.
      sets: `train`, `test` and optionally `validation`.
      optimizers: `optimizers(steps)` returns those that `task.updates` takes, for a run of `steps`
        steps. None means the one of the options.
      on_validation: called with the state at every validation (`jaxdl.train`).

    Returns:
      The trained state and the metrics of the test set.
    """
    train = sets["train"]
    for fault in find_faults(train, sets["test"]):
        run.warn(fault)
    if training.find_lr and optimizers is not None:
        raise InputError("find_lr", True, "False, for an experiment with several optimizers")
    training = training.with_found_rate(run, task, train)
    steps = run.config.run.total_steps(train)
    made: Sequence[optax.GradientTransformation] = [training.make_optimizer(steps)]
    if optimizers is not None:
        made = optimizers(steps)
    net = training.make_learner(task, *made)
    if training.initial or training.freeze:
        # Names of layers are checked before the run has a directory.
        batch = {
            field: jax.ShapeDtypeStruct((2, *x.shape[1:]), x.dtype)
            for field, x in train.arrays.items()
        }
        jax.eval_shape(net.init, root(0), batch)
    if model is not None:
        print(table(model, train["input"][:1]))
    patience = None
    if training.patience:
        patience = Patience("loss", training.patience)
    state = run.fit(net, train, sets.get("validation"), patience, on_validation, task)
    metrics = run.test(net, state, sets["test"])
    if not run.config.run.smoke:
        members = run.members(state)
        for sign in find_failures(run.records(), model, members, metrics, sets["test"]):
            run.warn(sign)
    return state, metrics
