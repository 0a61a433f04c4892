"""Writers of a run's metrics: memory, a file of JSON lines, the terminal, TensorBoard.

Names are flat, with a slash after the part: `train/loss`, `validation/accuracy`,
`train/learning_rate`, `seconds/compile`, `examples_per_second`.
"""

import contextlib
import datetime
import functools
import json
import math
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO, runtime_checkable

import numpy as np

from jaxdl.data.files import parse_json_object, read_bytes
from jaxdl.errors import InputError
from jaxdl.output import Guarded


@runtime_checkable
class Writer(Protocol):
    """A writer of metrics."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Writes metrics of one step; several calls may have the same step."""

    def close(self) -> None:
        """Closes the writer; a second call does nothing."""


class Memory:
    """A writer that keeps all metrics in memory, for tests and notebooks.

    Attributes:
      records: `(step, metrics)` in the order of the calls.
      latest: the newest value of every metric.

    Example:
      >>> memory = Memory()
      >>> memory.write(10, {"train/loss": 0.5})
      >>> memory.records, memory.latest
      ([(10, {'train/loss': 0.5})], {'train/loss': 0.5})
    """

    def __init__(self) -> None:
        self.records: list[tuple[int, dict[str, float]]] = []
        self.latest: dict[str, float] = {}

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends a copy of the metrics."""
        self.records.append((int(step), dict(metrics)))
        self.latest |= metrics

    def close(self) -> None:
        """Returns at once, because nothing is open."""


class JsonLines:
    """A file with one strict JSON object per line: `{"step": 10, "train/loss": 0.5}`.

    Every line is flushed. JSON has no NaN and infinities, so they are written as strings. If the
    last line of the file is incomplete, for example after a kill, it is ended before the next one.

    Args:
      path: the file; it and its directory are created if missing.

    Raises:
      InputError: the path exists and is not a regular file.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     writer = JsonLines(Path(directory) / "metrics.jsonl")
      ...     writer.write(10, {"train/loss": math.nan})
      ...     writer.close()
      ...     (Path(directory) / "metrics.jsonl").read_text()
      '{"step": 10, "train/loss": "NaN"}\\n'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not path.is_file():
            raise InputError("path", str(path), "a regular file, or a new path")
        self._file = open(path, "ab+")  # noqa: SIM115
        if self._file.tell():
            self._file.seek(-1, os.SEEK_END)
            if self._file.read() != b"\n":
                self._file.write(b"\n")

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one line."""
        line = {"step": int(step)} | {name: strict(float(value)) for name, value in metrics.items()}
        self._file.write(json.dumps(line, allow_nan=False).encode() + b"\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def read_metrics(path: str | os.PathLike[str]) -> list[dict[str, float]]:
    """Reads a file of `JsonLines`: one record per step, in order of the steps.

    A run that was killed and resumed may have written a step twice; the later value counts. Lines
    that are incomplete, or do not have a step and numbers, are skipped.

    Args:
      path: the file.

    Returns:
      `[{"step": 10, "train/loss": 0.5, ...}, ...]`, with NaN and infinities as floats.

    Raises:
      OSError: the file does not exist, or is not a regular file.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = Path(directory) / "metrics.jsonl"
      ...     _ = path.write_text('{"step": 1, "a": 2.0}\\n{"step": 1, "a": 3.0}\\n{"step": 2, "a"')
      ...     read_metrics(path)
      [{'step': 1, 'a': 3.0}]
    """
    records: dict[int, dict[str, float]] = {}
    for line in read_bytes(Path(path)).decode("utf-8", errors="replace").split("\n"):
        with contextlib.suppress(ValueError, TypeError, KeyError, OverflowError):
            numbers = {name: float(value) for name, value in parse_json_object(line).items()}
            step = int(numbers["step"])
            if 0 <= step < 2**31:
                records.setdefault(step, {}).update({**numbers, "step": step})
    return [records[step] for step in sorted(records)]


def strict(value: float) -> float | str:
    """Returns a number as JSON can represent it: NaN and infinities as strings.

    Example:
      >>> strict(0.5), strict(math.nan)
      (0.5, 'NaN')
    """
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    if value > 0:
        return "Infinity"
    return "-Infinity"


class Console:
    """A progress bar on a terminal, a line that is updated in a notebook, else lines of a log.

    It shows the share that is done, steps, examples per second, the time left, the loss, and the
    validation accuracy or loss. Until the first call it shows `compiling`. The time left does
    not include that. A log gets a line every five seconds. In a narrow terminal the less
    important parts are left out. The stream is `Guarded`, so that an error of the terminal never
    stops a run.

    Args:
      steps: the last step.
      title: the name of the run.
      stream: the output stream; None means standard error.

    Example:
      >>> console = Console(100, "mlp", sys.stdout)
      mlp  compiling
      >>> console.write(25, {"train/loss": 0.5, "validation/accuracy": 0.75})
      mlp  25 %  step 25/100  loss 0.5000  validation accuracy 75.0 %
      >>> console.close()
      mlp  25 %  step 25/100  loss 0.5000  validation accuracy 75.0 %  in 00:00
    """

    def __init__(self, steps: int, title: str, stream: TextIO | None = None) -> None:
        self._steps = steps
        self._title = title
        self._stream: Any = Guarded(stream or sys.stderr)
        self._started = time.monotonic()
        self._first: tuple[int, float] | None = None
        self._step = 0
        self._shown = -math.inf
        self._closed = False
        self._latest: dict[str, float] = {}
        self._bar: Any = None
        self._length = 0
        self._in_notebook = type(stream or sys.stderr).__module__.startswith("ipykernel")
        if self._stream.isatty() and os.environ.get("TERM") != "dumb":
            self._bar = _bar(self._stream, steps, title)
        self._show("compiling")

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Shows the newest metrics, unless the last update was only a moment ago."""
        now = time.monotonic()
        self._first = self._first or (step, now)
        self._step = step
        self._latest |= metrics
        interval = 5.0
        if self._bar or self._in_notebook:
            interval = 0.1
        if now - self._shown < interval:
            return
        self._shown = now
        columns = None
        if self._bar:
            columns = self._bar.console.width - len(self._title) - BAR
        self._show(_joined(self._parts(now), columns))

    def close(self) -> None:
        """Restores the terminal; prints the last metrics and the duration."""
        if self._closed:
            return
        self._closed = True
        now = time.monotonic()
        if self._bar:
            self._bar.stop()
            self._bar = None
        self._show(f"{_joined(self._parts(None))}  in {_clock(now - self._started)}")
        if self._in_notebook:
            print(file=self._stream, flush=True)

    def _show(self, text: str) -> None:
        """Shows a text in the form of the stream."""
        if self._bar:
            self._bar.update(self._bar.task_ids[0], completed=self._step, text=text)
            self._bar.refresh()
            return
        line = f"{self._title}  {text}"
        if not self._in_notebook:
            print(line, file=self._stream, flush=True)
            return
        # Spaces cover what is left of a longer line.
        print("\r" + line.ljust(self._length), end="", file=self._stream, flush=True)
        self._length = len(line)

    def _parts(self, now: float | None) -> list[tuple[int, str]]:
        """Returns the parts of the line, each with its rank: parts of a high rank go first.

        There is no time left if `now` is None.
        """
        latest = self._latest
        parts = [(0, f"{100 * self._step / max(self._steps, 1):.0f} %")]
        parts.append((4, f"step {self._step}/{self._steps}"))
        if "examples_per_second" in latest:
            parts.append((5, f"{latest['examples_per_second']:,.0f} examples/s"))
        if now and self._first and self._step > self._first[0]:
            step, began = self._first
            seconds_per_step = (now - began) / (self._step - step)
            parts.append((1, f"{_clock(seconds_per_step * (self._steps - self._step))} left"))
        for name in ("loss", "discriminator_loss", "generator_loss"):
            if f"train/{name}" in latest:
                parts.append((2, f"{name.replace('_', ' ')} {latest[f'train/{name}']:.4f}"))
        if "validation/accuracy" in latest:
            accuracy = f"{latest['validation/accuracy']:.1%}".replace("%", " %")
            parts.append((3, f"validation accuracy {accuracy}"))
        elif "validation/loss" in latest:
            parts.append((3, f"validation loss {latest['validation/loss']:.4f}"))
        return parts


#: Columns of a terminal that the shortest bar and its margins take.
BAR = 6


def _joined(parts: list[tuple[int, str]], columns: int | None = None) -> str:
    """Returns the parts that fit into some columns, those of the lowest ranks.

    Example:
      >>> _joined([(0, "50 %"), (2, "step 5/10"), (1, "loss 0.5")], 14)
      '50 %  loss 0.5'
    """
    kept = list(parts)
    while columns is not None and len(kept) > 1 and len(_line(kept)) > columns:
        kept.remove(max(kept))
    return _line(kept)


def _line(parts: list[tuple[int, str]]) -> str:
    """Returns the texts of parts as one line."""
    return "  ".join(text for _, text in parts)


def _bar(stream: Any, steps: int, name: str) -> Any:
    """Starts a Rich progress bar without a refresh thread, which could fail."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    title = TextColumn(
        "{task.fields[title]}", markup=False, table_column=Column(no_wrap=True, min_width=len(name))
    )
    text = TextColumn("{task.fields[text]}", markup=False, table_column=Column(no_wrap=True))
    # Other output to the same terminal must appear above the bar. Output to a file must stay there.
    bar = Progress(
        title,
        BarColumn(20, table_column=Column(min_width=4)),
        text,
        console=Console(file=stream),
        auto_refresh=False,
        transient=True,
        redirect_stdout=Guarded(sys.stdout).isatty(),
        redirect_stderr=Guarded(sys.stderr).isatty(),
    )
    bar.add_task("", total=steps, title=name, text="compiling")
    bar.start()
    return bar


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=round(seconds))).removeprefix("0:")


class TensorBoard:
    """Event files for TensorBoard, written by tensorboardX.

    Every writer creates a new file at its first call. The file starts with a mark at that step.
    TensorBoard then drops the events of an interrupted run from that step on. Events are flushed
    every ten seconds.

    Args:
      directory: the directory of the files, created if missing.

    Raises:
      InputError: tensorboardX is not installed.

    Example:
      >>> import tempfile
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     writer = TensorBoard(directory)
      ...     writer.write(10, {"train/loss": 0.5})
      ...     writer.close()
      ...     [path.name[:20] for path in Path(directory).iterdir()]
      ['events.out.tfevents.']
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            allowed = "tensorboardX; run: pip install 'jaxdl[tensorboard]'"
            raise InputError("tensorboard", None, allowed) from None
        self._open = functools.partial(SummaryWriter, os.fspath(directory), flush_secs=10)
        self._file: Any = None

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Appends one event per metric."""
        for name, value in metrics.items():
            self._file_from(step).add_scalar(name, value, int(step))

    def picture(self, step: int, name: str, path: str | os.PathLike[str]) -> None:
        """Appends one event with the picture of a PNG file."""
        from PIL import Image

        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
        self._file_from(step).add_image(name, pixels, int(step), dataformats="HWC")

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def _file_from(self, step: int) -> Any:
        """Returns the open file; the first call creates it with the mark at `step`."""
        if self._file is None:
            # The name of the file starts with the time in seconds, so a second writer within one
            # second would replace it.
            suffix = f".{time.time_ns()}"
            self._file = self._open(purge_step=int(step), filename_suffix=suffix)
        return self._file
