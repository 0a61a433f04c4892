"""Trackers, which are writers for other programs: CSV, MLflow, W&B and modules of its form.

Metrics stay in the directory of the run, too, so no tracker can lose them: see `Tolerant`.
"""

import contextlib
import csv
import hashlib
import importlib
import inspect
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxdl.errors import InputError, one_line, one_of
from jaxdl.training.writers import JsonLines, TensorBoard, Writer


class Csv:
    """A table of metrics as a CSV file with the columns `step`, `name` and `value`.

    A resumed run may write a step twice; the later value counts. In pandas,
    `table.drop_duplicates(["step", "name"], keep="last").pivot(index="step", columns="name")` has a
    column for each metric.

    Args:
      path: the file. The first call creates it if missing; rows are appended to it.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     writer = Csv(Path(directory) / "metrics.csv")
      ...     writer.write(10, {"train/loss": 0.5})
      ...     writer.close()
      ...     (Path(directory) / "metrics.csv").read_text()
      'step,name,value\\n10,train/loss,0.5\\n'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._file: Any = None

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one row per metric."""
        rows: list[list[Any]] = [[int(step), name, float(x)] for name, x in metrics.items()]
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self._path, "a", newline="", encoding="utf-8")  # noqa: SIM115
            if not self._file.tell():
                rows.insert(0, ["step", "name", "value"])
        csv.writer(self._file, lineterminator="\n").writerows(rows)
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()


class Wandb:
    """A run of W&B, or of another module with `init`, `log` and `finish`, such as trackio.

    The module decides where its data go: its own settings and environment variables hold here.

    Args:
      module: name of the module.
      directory: directory of the run. A run that is resumed there continues its curves, if `init`
        has an argument `id`.
      config: options of the run.
      project: name of the project.

    Raises:
      InputError: the module is not installed.
    """

    def __init__(
        self,
        module: str,
        directory: str | os.PathLike[str],
        config: Mapping[str, Any],
        project: str = "jaxdl",
    ) -> None:
        self._module = _module(module, module)
        path = Path(directory).resolve()
        identity = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        name = f"{path.name}-{identity[:8]}"
        arguments = {"project": project, "name": name, "config": dict(config), "resume": "allow"}
        if "id" in inspect.signature(self._module.init).parameters:
            arguments["id"] = identity
        self._arguments = arguments
        self._started = False

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs the metrics of one step."""
        self._log(step, {name: float(x) for name, x in metrics.items()})

    def picture(self, step: int, name: str, path: str | os.PathLike[str]) -> None:
        """Logs the picture of a PNG file."""
        self._log(step, {name: self._module.Image(os.fspath(path))})

    def close(self) -> None:
        """Ends the run of the module."""
        if self._started:
            self._module.finish()

    def _log(self, step: int, values: dict[str, Any]) -> None:
        """Logs values of a step; the first call starts the run of the module."""
        if not self._started:
            self._module.init(**self._arguments)
            self._started = True
        self._module.log(values, step=int(step))


class MLflow:
    """A run of MLflow, in the store that MLflow's settings name.

    Args:
      directory: directory of the run; its name is that of MLflow's run.
      config: options of the run.

    Raises:
      InputError: MLflow is not installed.
    """

    def __init__(self, directory: str | os.PathLike[str], config: Mapping[str, Any]) -> None:
        self._module = _module("mlflow", "mlflow")
        self._name = Path(directory).resolve().name
        self._config = dict(config)
        self._started = False

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Logs the metrics of one step."""
        self._start()
        self._module.log_metrics({name: float(x) for name, x in metrics.items()}, step=int(step))

    def picture(self, step: int, name: str, path: str | os.PathLike[str]) -> None:
        """Logs a PNG file as an artifact."""
        self._start()
        self._module.log_artifact(os.fspath(path), artifact_path=name)

    def close(self) -> None:
        """Ends MLflow's run."""
        if self._started:
            self._module.end_run()

    def _start(self) -> None:
        """Starts MLflow's run, unless that has happened."""
        if not self._started:
            self._module.start_run(run_name=self._name)
            self._started = True
            self._module.log_params(self._config)


class Profiler:
    """A trace of the steps between the first two calls, for XProf and Perfetto.

    The first call comes after compilation, so the trace has none of it.

    Args:
      directory: directory of the trace.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self._directory = os.fspath(directory)
        self._traces = False
        self._first: int | None = None

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Starts the trace at the first step, and ends it at the second one."""
        import jax

        if self._first is None:
            self._first = step
            self._traces = True
            jax.profiler.start_trace(self._directory, create_perfetto_trace=True)
        elif step > self._first:
            self.close()

    def close(self) -> None:
        """Ends the trace, unless that has happened."""
        import jax

        if self._traces:
            self._traces = False
            jax.profiler.stop_trace()


class Function:
    """A plain function `f(step, metrics)` as a writer.

    Example:
      >>> Function(print).write(10, {"train/loss": 0.5})
      10 {'train/loss': 0.5}
    """

    def __init__(self, function: Callable[[int, Mapping[str, float]], Any]) -> None:
        self._function = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Calls the function."""
        self._function(step, dict(metrics))

    def close(self) -> None:
        """Returns at once, because nothing is open."""


class Tolerant:
    """A writer whose failure ends no run: after its first error it is closed.

    Args:
      writer: a writer; its pictures are ignored if it has no `picture`.
      warn: function that is called once, with a line about the first error.
      name: name of the writer in this line; that of its class or function by default.

    Example:
      >>> def fails(step, metrics):
      ...     raise ConnectionError("no network")
      >>> writer = Tolerant(Function(fails), print)
      >>> writer.write(10, {})
      the writer fails gets no more metrics: ConnectionError: no network
      >>> writer.write(20, {})
    """

    def __init__(
        self, writer: Any, warn: Callable[[str], None] | None = None, name: str = ""
    ) -> None:
        self._writer = writer
        self._name = name
        self._warn = warn or _warn
        self._failed = False

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes metrics, unless the writer has failed."""
        self._call("write", step, metrics)

    def picture(self, step: int, name: str, path: str | os.PathLike[str]) -> None:
        """Writes a picture, unless the writer has failed or writes none."""
        if hasattr(self._writer, "picture"):
            self._call("picture", step, name, path)

    def close(self) -> None:
        """Closes the writer, unless it has failed."""
        self._call("close")

    def _call(self, method: str, *arguments: Any) -> None:
        if self._failed:
            return
        try:
            getattr(self._writer, method)(*arguments)
        except Exception as error:  # Any error of a service or of its module.
            self._failed = True
            if method != "close":
                # A later run in this process may open the same service.
                with contextlib.suppress(Exception):
                    self._writer.close()
            name = self._name or getattr(self._writer, "__name__", type(self._writer).__name__)
            reason = one_line(f"{type(error).__name__}: {error}")
            self._warn(f"the writer {name} gets no more metrics: {reason}")


#: A writer, or a function `f(step, metrics)`.
Written = Writer | Callable[[int, Mapping[str, float]], Any]


def tolerant(writer: Written) -> Writer:
    """Returns a writer, or a plain function as one, whose failure ends no run.

    A `JsonLines` is returned as it is, because it is the record of a run.

    Raises:
      InputError: another kind of object.

    Example:
      >>> tolerant("metrics.csv")
      Traceback (most recent call last):
      jaxdl.errors.InputError: writers: got <class 'str'>, allowed: functions f(step, metrics), ...
    """
    if isinstance(writer, JsonLines | Tolerant):
        return writer
    if isinstance(writer, Writer) and not isinstance(writer, type):
        return Tolerant(writer)
    if not callable(writer) or isinstance(writer, type):
        allowed = "functions f(step, metrics), or objects with write(step, metrics) and close()"
        raise InputError("writers", type(writer), allowed)
    return Tolerant(Function(writer))


#: Trackers by name: those of `--track`, and that of `--profile`.
TRACKERS: dict[str, Callable[[Path, Mapping[str, Any]], Any]] = {
    "csv": lambda out, config: Csv(out / "metrics.csv"),
    "tensorboard": lambda out, config: TensorBoard(out / "tensorboard"),
    "mlflow": MLflow,
    "wandb": lambda out, config: Wandb("wandb", out, config),
    "trackio": lambda out, config: Wandb("trackio", out, config),
    "profile": lambda out, config: Profiler(out / "profile"),
}


def tracker(
    name: str,
    out: str | os.PathLike[str],
    config: Mapping[str, Any],
    warn: Callable[[str], None] | None = None,
) -> Tolerant:
    """Returns a tracker of a run by its name.

    Args:
      name: a name of `TRACKERS`.
      out: directory of the run.
      config: options of the run.
      warn: function for a line about an error; see `Tolerant`.

    Raises:
      InputError: an unknown name, or a module that is not installed.

    Example:
      >>> tracker("excel", "runs/mine", {})
      Traceback (most recent call last):
      jaxdl.errors.InputError: track: got 'excel', allowed: csv, mlflow, profile, ...
    """
    one_of("track", name, list(TRACKERS))
    return Tolerant(TRACKERS[name](Path(out), config), warn, name)


def _module(name: str, package: str) -> Any:
    """Imports a module; raises InputError if it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError:
        allowed = f"an installed module; run: pip install {package}"
        raise InputError("track", name, allowed) from None


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)
