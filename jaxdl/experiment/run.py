"""A run: its directory, what it goes on from, what it leaves behind.

config.json  data.json  metrics.jsonl  checkpoints/  figures/*.png  samples/  result.json
"""

import dataclasses
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

import jax
import numpy as np

from jaxdl import rng
from jaxdl.core import Learner, State
from jaxdl.data.checks import check_batch_size
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError, one_line
from jaxdl.experiment.directory import (
    check_data,
    check_out,
    claim,
    conversions,
    environment,
    peak_memory,
    read_result,
    write_json,
)
from jaxdl.experiment.options import LENGTH, Options, run_directory
from jaxdl.plots import image_grid, pictures_gif
from jaxdl.training import Directory, Patience, evaluate, state_sha256, strategy, train
from jaxdl.training.ensemble import for_runs
from jaxdl.training.tensorboard import TensorBoard
from jaxdl.training.writers import Console, JsonLines, Memory, read_metrics

C = TypeVar("C", bound=Options)


class Stopped(Exception):
    """`--stop-after` was reached: the run is saved and not finished."""


class Run(Generic[C]):
    """One run of an experiment, with all its seeds in one program.

    Attributes:
      config: the options.
      seeds: the seed of each member.
      out: its directory; nothing is written there before `fit` has checked what it was given.
      key: its root key; `[N]` of them for several seeds.
      about: what else the result says, by name: what the numbers were measured with.
      warnings: what does not look like success, for the result; see `warn`.
    """

    def __init__(self, config: C, out: Path, name: str):
        self.config = config
        self.out = out
        self.name = name
        self.seeds = range(config.seed, config.seed + config.seeds)
        self.key = rng.root(self.seeds if config.seeds > 1 else config.seed)
        self.began = time.perf_counter()
        self.latest = Memory()
        self.metadata: dict[str, Any] = {}
        self.warnings: list[str] = []
        self._board: TensorBoard | None = None

    def fit(
        self,
        learner: Learner,
        data: Dataset,
        validation: Dataset | None = None,
        patience: Patience | None = None,
        on_validation: Callable[[State], None] | None = None,
    ) -> State:
        """Trains with the options of the run, going on from its newest checkpoint; arguments as of `jaxdl.train`."""
        config = self.config
        where = strategy(self.config.where)
        check_batch_size(data, config.batch_size, len(where.devices) if config.seeds == 1 else 1)
        for_runs(self.key, where)  # raises while nothing is written yet
        sets = {"train": data.sha256} | ({"validation": validation.sha256} if validation else {})
        check_data(self.out, sets)
        steps = config.total_steps(data.size)
        store = Directory(self.out / "checkpoints", warn=self.warn)
        self._check_stop(store)
        if jax.process_index() == 0:
            claim(self.out, config, max(store.steps(), default=0))
            write_json(self.out / "data.json", sets)
        epoch = data.size // config.batch_size
        # A line of metrics, a validation and a checkpoint fall on the same steps again after any interruption.
        log_every, save_every = default_intervals(config, steps, epoch)
        writers: list[Any] = [self.latest]
        if jax.process_index() == 0:
            writers += [JsonLines(self.out / "metrics.jsonl"), Console(steps, self.name)]
            self._board = TensorBoard(self.out / "tensorboard") if config.tensorboard else None
            writers += [self._board] if self._board else []
        try:
            state = train(
                learner,
                data,
                key=self.key,
                steps=steps,
                batch_size=config.batch_size,
                log_every=log_every,
                save_every=save_every,
                validation=validation,
                patience=patience,
                strategy=where,
                store=store,
                writers=writers,
                stop_after=config.stop_after,
                on_validation=on_validation,
            )
        finally:
            for writer in writers:
                writer.close()
        skipped = np.sum(jax.device_get(state.extra.get("skipped", {"steps": 0})["steps"]))
        if skipped:
            of = f" of {self.key.size} runs together" if self.key.ndim else ""
            self.warn(f"{skipped} steps{of} were left out, whose numbers were not finite")
        if config.stop_after is not None and state.steps_done == config.stop_after < steps:
            raise Stopped(
                f"stopped after step {config.stop_after} of {steps}; without --stop-after the same command goes on"
            )
        return state

    def _check_stop(self, store: Directory) -> None:
        """What would otherwise be found out with the directory made, or not at all."""
        stop = self.config.stop_after
        done = max(store.steps(), default=0)
        if stop is not None and stop < done:
            raise InputError(
                "stop_after", stop, f"at least {done}, the step that {self.out} has reached"
            )

    def test(self, learner: Learner, state: State, data: Dataset) -> dict[str, Any]:
        """The test set's metrics, of several seeds an array each: asked for once, at the end."""
        size = min(500, self.config.batch_size)
        where = strategy(self.config.where)
        found = evaluate(learner, state, data, key=self.key, batch_size=size, strategy=where)
        return {f"test/{name}": value for name, value in found.items()}

    def records(self) -> list[dict]:
        """The metrics written so far, those before an interruption too."""
        return read_metrics(self.out / "metrics.jsonl")

    def figure(self, name: str) -> Path:
        """Where the picture called `name` goes."""
        (self.out / "figures").mkdir(parents=True, exist_ok=True)
        return self.out / "figures" / f"{name}.png"

    def sample(self, name: str) -> Path:
        """Where what the trained network made goes: a file called `name`."""
        (self.out / "samples").mkdir(parents=True, exist_ok=True)
        return self.out / "samples" / name

    def grid(self, step: int, images: np.ndarray, columns: int | None = None) -> None:
        """Draws what the network makes at this step into a file of its own, and for TensorBoard."""
        if jax.process_index():
            return
        path = image_grid(images, self.sample(f"step-{step:07d}.png"), columns)
        if self._board:
            self._board.picture(step, "samples", path)

    def training_gif(self) -> None:
        """Joins the grids of all steps into `figures/training.gif`."""
        grids = sorted((self.out / "samples").glob("step-*.png"))
        pictures_gif(grids, self.figure("training").with_suffix(".gif"))

    def warn(self, said: str) -> None:
        """Tells the log, and later the result, of something that does not look like success; once."""
        if said not in self.warnings:
            self.warnings.append(said)
            print(f"warning: {said}", file=sys.stderr, flush=True)

    def first_seed(self, state: State) -> State:
        """The state to draw: the only one, or that of the first seed."""
        return self.members(state)[0]

    def members(self, state: State) -> list[State]:
        """The state of each seed."""
        return [state] if self.key.ndim == 0 else [state.member(i) for i in range(self.key.size)]

    def finish(self, state: State, metrics: Mapping[str, Any], **data: Dataset) -> dict[str, Any]:
        """Writes `result.json`, which marks the run as finished.

        Args:
          state: the state that the metrics belong to.
          metrics: flat names to numbers; to arrays `[N]` of several seeds, of which the result has mean, standard
            deviation (of a sample), and all.
          **data: the sets, by their part in the run (`train`, `validation`, `test`).
        """
        state = jax.device_get(state)
        last = self.latest.latest
        measured = {
            part: last.get(f"seconds/{part}", 0.0)
            for part in ("compile", "train", "evaluate", "save")
        }
        result = {
            "experiment": self.name,
            "config": dataclasses.asdict(self.config),
            "seed": self.config.seed,
            "steps": state.steps_done,
            "metrics": {name: float(np.mean(value)) for name, value in metrics.items()},
            "state_sha256": state_sha256(state),
            **(self._each(state, metrics) if self.key.ndim else {}),
            "warnings": self.warnings,
            **self.metadata,
            **({"conversions": changed} if (changed := conversions(self.out)) else {}),
            "data": _described(data),
            "environment": environment(),
            "seconds": {"total": time.perf_counter() - self.began, **measured},
            "throughput": {"examples_per_second": last.get("examples_per_second", 0.0)},
            "memory": peak_memory(),
        }
        if jax.process_index() == 0:
            write_json(self.out / "result.json", result)
        return result

    def _each(self, state: State, metrics: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "seeds": list(self.seeds),
            "metrics_std": {name: float(np.std(value, ddof=1)) for name, value in metrics.items()},
            "members": [
                {
                    "seed": seed,
                    "metrics": {name: float(value[i]) for name, value in metrics.items()},
                    "state_sha256": state_sha256(state.member(i)),
                }
                for i, seed in enumerate(self.seeds)
            ],
        }


def run_experiment(config: C, one: Callable[[Run[C]], dict[str, Any]]) -> dict[str, Any]:
    """Runs an experiment, with all its seeds at once, and prints what came out; a finished one is not run again.

    Args:
      config: the options.
      one: from a `Run` to the result of `Run.finish`.

    Returns:
      The result; with several seeds `metrics` holds means, `metrics_std` standard deviations, `members` each one's
      own. Empty if `stop_after` ended the run before its end.

    Raises:
      RunError: the directory belongs to a run with other options.
    """
    name, out = run_directory(config, one)
    changes = check_out(out, config)
    try:
        # A run that only moves elsewhere has nothing left to do there.
        if (out / "result.json").exists() and not changes.keys() & set(LENGTH):
            other = ", ".join(f"{name} {there}" for name, (there, _) in changes.items())
            print(
                f"{out} is finished already{f', with {other}' if other else ''}; this is its result"
            )
            result = read_result(out / "result.json")
        else:
            result = one(Run(config, out, name))
    except Stopped as stop:
        print(stop)
        return {}
    _print(result, out)
    return result


def default_intervals(config: Options, steps: int, epoch: int) -> tuple[int, int]:
    """How often to log and to save, where the options do not say: about 20 lines in a run, and once an epoch.

    A validation falls on a line, so that no line is an average over the few steps between the two.

    Example:
      >>> default_intervals(Options(), steps=4210, epoch=421)
      (210, 420)
    """
    save = config.save_every or max(epoch, steps // config.max_saves)
    lines = max(1, round(20 * save / steps))
    log = config.log_every or max(1, save // lines)
    return log, config.save_every or max(1, save // log) * log


def _described(data: Mapping[str, Dataset]) -> dict[str, Any]:
    return {part: {"name": d.name, "sha256": d.sha256, "size": d.size} for part, d in data.items()}


def _print(result: Mapping[str, Any], out: Path) -> None:
    spread = result.get("metrics_std", {})
    print()
    for name, value in result["metrics"].items():
        percent = name.endswith("accuracy")
        said = f"{100 * float(value):.2f} %" if percent else f"{float(value):.4f}"
        if name in spread:
            said += (
                f" ± {100 * float(spread[name]):.2f} %"
                if percent
                else f" ± {float(spread[name]):.4f}"
            )
        print(f"{one_line(name):<22} {said}")
    seconds = result["seconds"]
    rate = result["throughput"]["examples_per_second"]
    print(
        f"{'time':<22} {seconds['total']:.1f} s, {seconds['compile']:.1f} s to the first step; {rate:,.0f} examples/s"
    )
    for said in result.get("warnings", []):
        print(f"{'warning':<22} {one_line(said)}")
    for picture in sorted(out.glob("**/figures/*.*")):
        print(f"{'picture':<22} {picture}")
    print(f"{'result':<22} {out / 'result.json'}")
