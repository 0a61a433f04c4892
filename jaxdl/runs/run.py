"""A run: its directory, training with resuming from checkpoints, evaluation and its result.

config.json  environment.json  data.json  metrics.jsonl  result.json
model.json  weights.safetensors  README.md
checkpoints/  figures/*.png  samples/
"""

import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import jax
import numpy as np
from jaxtyping import Array, Key

from jaxdl import rng
from jaxdl.core import Learner, State
from jaxdl.data.dataset import Dataset, check_batch_size
from jaxdl.data.owner import Owner
from jaxdl.data.source import Simulated, Source
from jaxdl.errors import InputError
from jaxdl.output import log_to_file
from jaxdl.plots import image_grid, pictures_gif
from jaxdl.runs.card import model_card, print_result
from jaxdl.runs.directory import (
    check_data,
    check_out,
    claim,
    read_json,
    read_result,
    write_json,
    write_text,
)
from jaxdl.runs.options import C, Options, default_intervals, flat_options, run_directory
from jaxdl.runs.result import result_of
from jaxdl.saving import model_description, save_weights
from jaxdl.selection.folds import MemberRows
from jaxdl.tasks import Task
from jaxdl.training import Directory, Patience, evaluate, strategy, train
from jaxdl.training.cost import step_flops
from jaxdl.training.ensemble import strategy_for_keys
from jaxdl.training.trackers import Tolerant, tracker
from jaxdl.training.writers import Console, JsonLines, Memory, read_metrics
from jaxdl.weights import MODEL, write_model

#: File of the numbers that a run computes before its training.
NUMBERS = "numbers.json"

#: Sources of a training, which a file describes.
Readable = Dataset | MemberRows | Simulated

#: Class of the options; a `Run[Options]` is a run of any experiment.
C_co = TypeVar("C_co", bound=Options, covariant=True)


class Stopped(Exception):
    """A run reached `--stop-after`. It is saved but not finished."""


class Finished(Exception):
    """A run was finished by another process while this one waited for it."""


class Run(Generic[C_co]):
    """One run of an experiment, with all its seeds in one program.

    Nothing is written to the directory before the first training has begun.

    Attributes:
      config: options of the run.
      seeds: seed of each member.
      out: directory of the run.
      name: name of the experiment.
      key: root key; `[N]` keys for N > 1 seeds.
      started: time at which the run was started, in seconds of `time.perf_counter`.
      latest: newest value of every metric.
      metadata: further entries of the result, by name, such as the feature classifier.
      warnings: signs of failure, which the result contains; see `warn`.
      wait_for: activity of another process to wait for; see `run_experiment`.
      owner: owner of the directory, after `fit` was called.
      folds: number of folds that each seed trains, see `divide`; else 0.
    """

    def __init__(self, config: C_co, out: Path, name: str, wait_for: str = ""):
        self.config = config
        self.out = out
        self.name = name
        seed = config.run.seed
        self.seeds: Sequence[int] = range(seed, seed + config.run.seeds)
        self.key = rng.root(self.seeds if config.run.seeds > 1 else seed)
        self.started = time.perf_counter()
        self.latest = Memory()
        self.metadata: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.wait_for = wait_for
        self.owner = Owner(out)
        self.folds = 0
        self._trackers: list[Tolerant] = []
        self._owned = False

    def divide(self, folds: int) -> None:
        """Makes the folds of every seed the members of the run. Folds of one seed share its key.

        Member m has fold m mod `folds`.

        Args:
          folds: number of folds of a cross-validation.
        """
        self.folds = folds
        self.seeds = [seed for seed in self.seeds for _ in range(folds)]
        self.key = rng.root(self.seeds)

    def number(self, name: str, compute: Callable[[], float]) -> float:
        """Returns a number that is computed before the training, and only once.

        It is stored with the run, so a resumed run reads it. The result contains it.

        Args:
          name: name of the number in the result.
          compute: function that computes it.
        """
        stored = self.out / NUMBERS
        numbers = read_json(stored) if stored.exists() else {}
        if name not in numbers:
            numbers[name] = float(compute())
            self._own()
            if jax.process_index() == 0:
                write_json(stored, numbers)
        self.metadata[name] = numbers[name]
        return numbers[name]

    def _own(self) -> None:
        """Makes the directory and this process its owner, if it is not the owner yet."""
        if self._owned or jax.process_index():
            return
        self.owner = claim(self.out, self.config, self.wait_for)
        self._owned = True
        if (self.out / "result.json").exists():
            raise Finished

    def fit(
        self,
        learner: Learner,
        data: Readable,
        validation: Readable | None = None,
        patience: Patience | None = None,
        on_validation: Callable[[State], None] | None = None,
        task: Task | None = None,
    ) -> State:
        """Trains with the options of the run and resumes from its newest checkpoint.

        Args:
          learner: learner to train.
          data: training set.
          validation: validation set. None means no validation.
          patience: rule for early stopping.
          on_validation: called with the state at every validation. See also `jaxdl.train`.
          task: task that is trained. `finish` then writes the network for `jaxdl.load`.

        Returns:
          The trained state.

        Raises:
          Stopped: `stop_after` ended the run before its last step.
          RunError: another process has the directory, or the directory was moved.
        """
        options = self.config.run
        run_strategy = strategy(self.config.devices.strategy_name)
        # Everything is checked before anything is written.
        devices = 1
        if self.key.ndim == 0:
            devices = len(run_strategy.devices)
        check_batch_size(data, options.batch_size, devices)
        strategy_for_keys(self.key, run_strategy)
        sets = {"train": data.sha256}
        if validation:
            sets["validation"] = validation.sha256
        check_data(self.out, sets)
        steps = options.total_steps(data)
        if jax.process_index() == 0:
            names = dict.fromkeys([*options.track, *["profile"] * options.profile])
            config = flat_options(self.config)
            self._trackers = [tracker(name, self.out, config, self.warn) for name in names]
        store = self._claim(sets, data, task)
        # The interval of validations is a multiple of the interval of log lines. Both fall on the
        # same steps after any interruption.
        epoch = data.steps_per_epoch(options.batch_size)
        log_every, save_every = default_intervals(self.config, steps, epoch)
        with contextlib.ExitStack() as stack:
            writers = [
                stack.enter_context(contextlib.closing(writer)) for writer in self._writers(steps)
            ]
            stack.enter_context(log_to_file("absl", self.out / "orbax.log"))
            state = train(
                learner,
                data,
                key=self.key,
                steps=steps,
                batch_size=options.batch_size,
                log_every=log_every,
                save_every=save_every,
                validation=validation,
                patience=patience,
                strategy=run_strategy,
                store=store,
                writers=writers,
                stop_after=options.stop_after,
                on_validation=on_validation,
            )
        self._warn_of_skipped(state)
        if options.stop_after is not None and state.steps_done == options.stop_after < steps:
            raise Stopped(
                f"stopped after step {options.stop_after} of {steps}; "
                "the same command without --stop-after resumes the run"
            )
        if options.profile:
            counted = step_flops(learner, data, self.key, options.batch_size)
            self.metadata["flops_per_step"] = counted
        return state

    def _claim(self, sets: dict[str, str], data: Readable, task: Task | None) -> Directory:
        """Checks `stop_after`, makes the directory of the run and returns its store."""
        store = Directory(self.out / "checkpoints", warn=self.warn)
        newest = max(store.steps(), default=0)
        stop_after = self.config.run.stop_after
        if stop_after is not None and stop_after < newest:
            allowed = f"at least {newest}, the step that {self.out} has reached"
            raise InputError("stop_after", stop_after, allowed)
        if jax.process_index() == 0:
            self._own()
            write_json(self.out / "data.json", sets)
            if task is not None:
                write_model(self.out, model_description(task, data))
        return store

    def _writers(self, steps: int) -> list[Any]:
        """Returns the metric writers: files and the terminal for the first process only."""
        writers: list[Any] = [self.latest, *self._trackers]
        if jax.process_index() == 0:
            writers += [JsonLines(self.out / "metrics.jsonl"), Console(steps, self.name)]
        return writers

    def _warn_of_skipped(self, state: State) -> None:
        """Adds a warning if `skip_nonfinite` skipped steps."""
        skipped = np.sum(jax.device_get(state.wrapped.get("skipped", {"steps": 0})["steps"]))
        if skipped:
            runs = ""
            if self.key.ndim:
                runs = f" of {self.key.size} runs in total"
            self.warn(f"{skipped} steps{runs} were skipped because of NaN or infinite values")

    def test(self, learner: Learner, state: State, data: Source) -> dict[str, Any]:
        """Computes the metrics of the test set, as `test/...`; arrays `[N]` for N > 1 seeds.

        An experiment should call this once, at its end.
        """
        metrics = evaluate(
            learner,
            state,
            data,
            key=self.key,
            batch_size=min(500, self.config.run.batch_size),
            strategy=strategy(self.config.devices.strategy_name),
        )
        return {f"test/{name}": value for name, value in metrics.items()}

    def records(self) -> list[dict]:
        """Reads the metrics written so far, including those before an interruption."""
        self.owner.check()
        return read_metrics(self.out / "metrics.jsonl")

    def figure(self, name: str) -> Path:
        """Returns the path of the figure `name` and makes its directory."""
        return self._folder("figures") / f"{name}.png"

    def sample(self, name: str) -> Path:
        """Returns the path of the file `name` for outputs of the network; makes its directory."""
        return self._folder("samples") / name

    def _folder(self, name: str) -> Path:
        """Returns a folder of the run, which is created if missing."""
        self.owner.check()
        (self.out / name).mkdir(parents=True, exist_ok=True)
        return self.out / name

    def grid(
        self,
        step: int,
        images: np.ndarray,
        columns: int | Sequence[str] | None = None,
        title: str = "images from the same noise at every step",
        rows: Sequence[str] | None = None,
    ) -> None:
        """Draws images that were generated at a step by `image_grid`, and for the trackers."""
        if jax.process_index():
            return
        path = self.sample(f"step-{step:07d}.png")
        # The step is a separate line, so that the pictures of all steps have one size.
        image_grid(images, path, columns, title=f"step {step:,}\n{title}", rows=rows)
        for each in self._trackers:
            each.picture(step, "samples", path)

    def training_gif(self) -> None:
        """Joins the grids of all steps into `figures/training.gif`."""
        grids = sorted((self.out / "samples").glob("step-*.png"))
        pictures_gif(grids, self.figure("training").with_suffix(".gif"))

    def warn(self, message: str) -> None:
        """Prints a warning and adds it to the result; repeated messages are ignored."""
        if message not in self.warnings:
            self.warnings.append(message)
            print(f"warning: {message}", file=sys.stderr, flush=True)

    def first_seed(self, state: State) -> State:
        """Returns the state of the first seed, the one that figures show."""
        return state.members()[0]

    def first_key(self) -> Key[Array, ""]:
        """Returns the root key of the first seed."""
        return self.key.reshape(-1)[0]

    def members(self, state: State) -> list[State]:
        """Returns the state of each seed."""
        return state.members()

    def per_seed(self, values: Any) -> np.ndarray:
        """Returns a metric as `finish` expects it, from one value per seed or one for all seeds."""
        return np.broadcast_to(values, len(self.seeds)).reshape(self.key.shape)

    def finish(self, state: State, metrics: Mapping[str, Any], **data: Source) -> dict[str, Any]:
        """Writes `result.json`, which marks the run as finished.

        Args:
          state: state that the metrics were computed with.
          metrics: numbers by name. With N > 1 seeds arrays `[N]`; the result then contains their
            mean, their sample standard deviation, and the value of each seed.
          **data: sets by their part in the run (`train`, `validation`, `test`).

        Returns:
          The result.
        """
        self.owner.check()
        state = jax.device_get(state)
        result = result_of(self, state, metrics, data)
        if jax.process_index() == 0:
            if (self.out / MODEL).exists():
                save_weights(self.out, state)
                model = read_json(self.out / MODEL)
                write_text(self.out / "README.md", model_card(str(self.out), result, model))
            write_json(self.out / "result.json", result)
        return result


def run_experiment(
    config: C, experiment: Callable[[Run[C]], dict[str, Any]], wait_for: str = ""
) -> dict[str, Any]:
    """Runs an experiment with all its seeds, and prints the result.

    A finished run is not repeated; its stored result is printed.

    Args:
      config: options of the run.
      experiment: function from a `Run` to the result of `Run.finish`.
      wait_for: activity of another process in the directory, which is printed before the run waits
        for its end. If empty, the directory of another process is refused.

    Returns:
      The result. With several seeds `metrics` contains means, `metrics_std` standard deviations
      and `members` the values of each seed. Empty if `stop_after` ended the run.

    Raises:
      RunError: the directory belongs to a run with other options, or another process has it.
    """
    name, out = run_directory(config, experiment)
    changes = check_out(out, config)
    try:
        # A finished run has no steps left that could use other devices.
        if (out / "result.json").exists():
            options = ", ".join(f"{option} {stored}" for option, (stored, _) in changes.items())
            used = f", with {options}" if options else ""
            result = read_result(out / "result.json")
            print(f"{out} is finished already{used}; this is its result")
        else:
            run = Run(config, out, name, wait_for)
            try:
                result = experiment(run)
            finally:
                run.owner.close()
    except Stopped as stop:
        print(stop)
        return {}
    except Finished:
        result = read_result(out / "result.json")
    print_result(result, out)
    return result
