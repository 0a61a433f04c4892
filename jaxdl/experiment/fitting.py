"""What the experiments that minimise one loss share: the optimizer's options, and a run from task to test."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import flax.linen as nn
import jax.numpy as jnp
import optax

from jaxdl import optimizers
from jaxdl.core import Learner, State, Update, learner
from jaxdl.data.dataset import Dataset, split
from jaxdl.errors import InputError, at_least, in_range
from jaxdl.experiment.options import Options, run_directory
from jaxdl.experiment.run import Run, run_experiment
from jaxdl.models import table
from jaxdl.rng import root
from jaxdl.training import Patience
from jaxdl.wrappers import accumulate, skip_nonfinite, with_ema


@dataclasses.dataclass(frozen=True)
class TrainingOptions(Options):
    """Options of everything that one optimizer trains."""

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
    ema: float = 0.0
    """Decay of a moving average of the weights, which is then what is evaluated; 0: none."""
    skip_nonfinite: bool = False
    """Leave out steps whose numbers are not finite, up to 100 in a row, and count them; else, or with --debug, the
    first ends the run."""
    patience: int = 0
    """Stop after this many validations without a smaller loss (of several seeds, their mean); 0: never."""
    bfloat16: bool = False
    """Compute in bfloat16; parameters stay float32."""

    def validate(self) -> Self:
        at_least("accumulate", self.accumulate, 1)
        at_least("patience", self.patience, 0)
        in_range("ema", self.ema, 0, 1)
        if self.ema and self.optimizer == "schedule_free":
            raise InputError("ema", self.ema, "0 with schedule_free, which averages by itself")
        if self.patience and not self.validation:
            raise InputError("patience", self.patience, "0, when there is no validation set")
        if self.batch_size % self.accumulate:
            raise InputError(
                "accumulate", self.accumulate, f"a divisor of the batch size {self.batch_size}"
            )
        self.make_optimizer(1)  # names and numbers, before data are read
        return super().validate()

    @property
    def length_dependent_option(self) -> str:
        if self.schedule != "constant":
            return f"--schedule {self.schedule}"
        # When a set is looked at goes by the length, too.
        return "--warmup" if self.warmup else "--patience" if self.patience else ""

    @property
    def dtype(self) -> Any:
        """Of the computation: bfloat16, or None, that of the input."""
        return jnp.bfloat16 if self.bfloat16 else None

    def make_optimizer(self, steps: int) -> optax.GradientTransformation:
        """The optimizer that the options describe."""
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
        """What a step of the run does."""
        return (Update(task.loss, self.make_optimizer(steps)),)

    def make_learner(self, task: Any, size: int) -> Learner:
        """The learner that the options describe, for a training set of `size` examples."""
        updates = self.make_updates(task, self.total_steps(size))
        net = learner(task.init, *(accumulate(update, self.accumulate) for update in updates))
        net = with_ema(net, self.ema) if self.ema else net
        return skip_nonfinite(net) if self.skip_nonfinite else net


def split_sets(config: Any, train: Dataset, test: Dataset) -> dict[str, Dataset]:
    """The sets of a run: the test set apart from the start, the validation set the same for every seed.

    Args:
      config: the run's options.
      train: the whole training set.
      test: the test set.

    Returns:
      By part: `train`, `test` and, if the options keep some, `validation`.

    Raises:
      InputError: a share for validation that leaves one of the parts empty.
    """
    sets = {"train": train, "test": test}
    if config.validation:
        if not 0 < round(config.validation * train.size) < train.size:
            said = f"a share that leaves both parts of {train.size} not empty"
            raise InputError("validation", config.validation, said)
        sets["train"], sets["validation"] = split(train, root(0), config.validation)
    return sets


def fit_and_test(
    run: Run[Any],
    model: nn.Module | None,
    task: Any,
    sets: Mapping[str, Dataset],
    on_validation: Callable[[State], None] | None = None,
) -> tuple[State, dict[str, Any]]:
    """Trains a task with the options of the run and tests it once.

    Args:
      run: the run; its options are a `TrainingOptions`.
      model: what the task trains, to be shown; None: it has been.
      task: has `init`, and what the options' `make_updates` asks for.
      sets: `train`, `test` and, if there is one, `validation`.
      on_validation: is shown the state at every validation (`jaxdl.train`).

    Returns:
      The trained state and the test set's metrics.
    """
    config = run.config
    train = sets["train"]
    net = config.make_learner(task, train.size)
    if model is not None:
        print(table(model, train["input"][:1]))
    patience = Patience("loss", config.patience) if config.patience else None
    state = run.fit(net, train, sets.get("validation"), patience, on_validation)
    return state, run.test(net, state, sets["test"])


def run_variants(
    config: Any,
    variants: Mapping[str, Mapping[str, Any]],
    one: Callable[[Run[Any]], dict[str, Any]],
) -> tuple[Path, dict[str, dict[str, Any]]]:
    """Runs an experiment once for each variant, each in a directory of its own; finished ones are not run again.

    Args:
      config: the options; `out`, or its default, is the directory of all.
      variants: by the name of its directory, the options in which each differs.
      one: from a `Run` to the result of `Run.finish`.

    Returns:
      The directory of all, and the results by name, without those that `stop_after` left unfinished.
    """
    out = run_directory(config, one)[1]
    results = {}
    for name, changes in variants.items():
        print(f"\n{name}")
        results[name] = run_experiment(
            dataclasses.replace(config, **changes, out=str(out / name)), one
        )
    return out, {name: result for name, result in results.items() if result}
