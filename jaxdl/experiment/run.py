"""A run: its directory, what it goes on from, what it leaves behind.

config.json  data.json  metrics.jsonl  checkpoints/  figures/*.png  result.json
"""

import dataclasses
import statistics
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
from jaxdl.errors import InputError
from jaxdl.experiment.directory import check_data, check_out, claim, environment, read_json, write_json
from jaxdl.experiment.options import Options, default_out
from jaxdl.training import Directory, Every, Patience, evaluate, state_sha256, strategy, train
from jaxdl.training.writers import Console, JsonLines, Memory, TensorBoard, read_metrics

C = TypeVar("C", bound=Options)


class Stopped(Exception):
    """`--stop-after` was reached: the run is saved and not finished."""


class Run(Generic[C]):
    """One seed of an experiment.

    Attributes:
      config: the options.
      seed: this run's.
      out: its directory; nothing is written there before `fit` has checked what it was given.
      key: its root key.
    """

    def __init__(self, config: C, seed: int, out: Path, name: str):
        self.config, self.seed, self.out, self.name = config, seed, out, name
        self.key = rng.root(seed)
        self.began, self.latest = time.perf_counter(), Memory()

    def fit(
        self, learner: Learner, data: Dataset, validation: Dataset | None = None, patience: Patience | None = None
    ) -> State:
        """Trains with the options of the run, going on from its newest checkpoint."""
        config, where = self.config, strategy(self.config.strategy)
        check_batch_size(data, config.batch_size, len(where.devices))
        sets = {"train": data.sha256} | ({"validation": validation.sha256} if validation else {})
        check_data(self.out, sets)
        steps, store = config.total_steps(data.size), Directory(self.out / "checkpoints")
        self._check_stop(store)
        claim(self.out if config.seeds == 1 else self.out.parent, config)
        self.out.mkdir(exist_ok=True)
        write_json(self.out / "data.json", sets)
        epoch = data.size // config.batch_size
        # A line of metrics, a validation and a checkpoint fall on the same steps again after any interruption.
        every = Every(config.log_every or max(1, steps // 20), config.save_every or max(epoch, steps // 100))
        writers: list[Any] = [self.latest]
        if jax.process_index() == 0:
            writers += [JsonLines(self.out / "metrics.jsonl"), Console(steps, self.name)]
            writers += [TensorBoard(self.out / "tensorboard")] if config.tensorboard else []
        try:
            state = train(
                learner,
                data,
                key=self.key,
                steps=steps,
                batch_size=config.batch_size,
                every=every,
                validation=validation,
                patience=patience,
                strategy=where,
                store=store,
                writers=writers,
                stop_after=config.stop_after,
            )
        finally:
            for writer in writers:
                writer.close()
        if config.stop_after is not None and int(state.step) == config.stop_after < steps:
            raise Stopped(
                f"stopped after step {config.stop_after} of {steps}; without --stop-after the same command goes on"
            )
        return state

    def _check_stop(self, store: Directory) -> None:
        """What would otherwise be found out with the directory made, or not at all."""
        stop, done = self.config.stop_after, max(store.steps(), default=0)
        if stop is not None and stop < done:
            raise InputError("stop_after", stop, f"at least {done}, the step that {self.out} has reached")

    def test(self, learner: Learner, state: State, data: Dataset) -> dict[str, float]:
        """The test set's metrics: asked for once, at the end."""
        found = evaluate(learner, state, data, key=self.key, strategy=strategy(self.config.strategy))
        return {f"test/{name}": value for name, value in found.items()}

    def records(self) -> list[dict]:
        """The metrics written so far, those before an interruption too."""
        return read_metrics(self.out / "metrics.jsonl")

    def figure(self, name: str) -> Path:
        """Where the picture called `name` goes."""
        (self.out / "figures").mkdir(parents=True, exist_ok=True)
        return self.out / "figures" / f"{name}.png"

    def finish(self, state: State, metrics: Mapping[str, float], **data: Dataset) -> dict[str, Any]:
        """Writes `result.json`, which marks the run as finished.

        Args:
          state: the state that the metrics belong to.
          metrics: flat names to numbers.
          **data: the sets, by their part in the run (`train`, `validation`, `test`).
        """
        last = self.latest.latest
        measured = {part: last.get(f"seconds/{part}", 0.0) for part in ("compile", "train", "evaluate", "save")}
        result = {
            "experiment": self.name,
            "config": dataclasses.asdict(self.config),
            "seed": self.seed,
            "steps": int(state.step),
            "metrics": {name: float(value) for name, value in metrics.items()},
            "state_sha256": state_sha256(jax.device_get(state)),
            "data": _described(data),
            "environment": environment(),
            "seconds": {"total": time.perf_counter() - self.began, **measured},
            "throughput": {"examples_per_second": last.get("examples_per_second", 0.0)},
        }
        if jax.process_index() == 0:
            write_json(self.out / "result.json", result)
        return result


def repeat(config: C, one: Callable[[Run[C]], dict[str, Any]]) -> dict[str, Any]:
    """Runs an experiment once per seed and prints what came out.

    Each seed is a run of its own in the directory, so all of them can be interrupted and gone on
    with. A finished run is not run again.

    Args:
      config: the options.
      one: one run, from its `Run` to the result of `Run.finish`.

    Returns:
      The result; with several seeds `metrics` holds means, `metrics_std` standard deviations. Empty
      if `stop_after` ended a run before its end.

    Raises:
      RunError: the directory belongs to a run with other options.
    """
    name = Path(getattr(sys.modules[one.__module__], "__file__", None) or "experiment").stem
    out = Path(config.out) if config.out else default_out(name, config)
    check_out(out, config)
    seeds = range(config.seed, config.seed + config.seeds)
    results = []
    for seed in seeds:
        place = out if config.seeds == 1 else out / f"seed-{seed}"
        if (place / "result.json").exists():
            print(f"{place} is finished already; this is its result")
            results.append(read_json(place / "result.json"))
        else:
            try:
                results.append(one(Run(config, seed, place, name)))
            except Stopped as stop:
                print(stop)
    if len(results) < config.seeds:
        return {}
    result = results[0] if config.seeds == 1 else _together(results, out)
    _print(result, out)
    return result


def _described(data: Mapping[str, Dataset]) -> dict[str, Any]:
    return {part: {"name": d.name, "sha256": d.sha256, "size": d.size} for part, d in data.items()}


def _together(results: list[dict[str, Any]], out: Path) -> dict[str, Any]:
    """Mean and (sample) standard deviation over the seeds."""
    table = {name: [r["metrics"][name] for r in results] for name in results[0]["metrics"]}
    together = {
        **{name: results[0][name] for name in ("experiment", "config", "seed", "steps", "data", "environment")},
        "seeds": [r["seed"] for r in results],
        "metrics": {name: statistics.fmean(values) for name, values in table.items()},
        "metrics_std": {name: statistics.stdev(values) for name, values in table.items()},
        "runs": {str(r["seed"]): {"metrics": r["metrics"], "state_sha256": r["state_sha256"]} for r in results},
        "state_sha256": [r["state_sha256"] for r in results],
        "seconds": {name: sum(r["seconds"][name] for r in results) for name in results[0]["seconds"]},
        "throughput": {
            name: float(np.median([r["throughput"][name] for r in results])) for name in results[0]["throughput"]
        },
    }
    write_json(out / "result.json", together)
    return together


def _print(result: Mapping[str, Any], out: Path) -> None:
    spread = result.get("metrics_std", {})
    print()
    for name, value in result["metrics"].items():
        percent = name.endswith("accuracy")
        said = f"{100 * value:.2f} %" if percent else f"{value:.4f}"
        if name in spread:
            said += f" ± {100 * spread[name]:.2f} %" if percent else f" ± {spread[name]:.4f}"
        print(f"{name:<22} {said}")
    for picture in sorted(out.glob("**/figures/*.png")):
        print(f"{'picture':<22} {picture}")
    print(f"{'result':<22} {out / 'result.json'}")
