"""Writers: files are readable after any interruption, and a terminal never stops a run."""

import contextlib
import io
import json
import math
import os
import pty
import re
import sys
import types

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from jaxdl.errors import InputError
from jaxdl.training import writers
from jaxdl.training.writers import Console, JsonLines, Memory, TensorBoard, read_metrics


def test_memory_stores_copies():
    memory = Memory()
    metrics = {"train/loss": 0.5}
    memory.write(np.int32(10), metrics)
    metrics["train/loss"] = 9.0
    memory.write(20, {"validation/loss": 0.7})
    memory.close()
    assert memory.records == [(10, {"train/loss": 0.5}), (20, {"validation/loss": 0.7})]
    assert memory.latest == {"train/loss": 0.5, "validation/loss": 0.7}


def _strict_json(text):
    """Parses JSON without NaN and infinities."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_json_lines_are_strict_and_exact(tmp_path):
    path = tmp_path / "run" / "metrics.jsonl"
    rng = np.random.default_rng(0)
    values = [*rng.normal(size=20).tolist(), 1e-300, math.inf, -math.inf]
    values[3] = np.float32(values[3])
    writer = JsonLines(path)
    for step, value in enumerate(values):
        writer.write(step, {"train/loss": value})
        assert len(path.read_text().splitlines()) == step + 1, "flushed at once"
    writer.write(99, {"train/loss": math.nan})
    writer.close()
    writer.close()
    assert [_strict_json(line)["step"] for line in path.read_text().splitlines()] == [
        *range(len(values)),
        99,
    ]
    values[3] = float(values[3])
    *records, last = read_metrics(path)
    assert records == [{"step": step, "train/loss": value} for step, value in enumerate(values)]
    assert last["step"] == 99
    assert math.isnan(last["train/loss"])


def test_a_file_cut_anywhere_is_read_and_extended(tmp_path):
    path = tmp_path / "metrics.jsonl"
    writer = JsonLines(path)
    for step, validation_loss in ((1, 0.25), (2, math.nan)):
        writer.write(step, {"train/loss": step / 3, "validation/loss": validation_loss})
    writer.close()
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        steps = [1] * (cut >= first - 1) + [2] * (cut >= len(whole) - 1)
        assert [record["step"] for record in read_metrics(path)] == steps
        writer = JsonLines(path)
        writer.write(3, {"train/loss": 1.5})
        writer.close()
        assert [record["step"] for record in read_metrics(path)] == [*steps, 3]
        assert read_metrics(path)[-1] == {"step": 3, "train/loss": 1.5}


def test_an_intact_file_is_not_changed_by_opening_it(tmp_path):
    path = tmp_path / "metrics.jsonl"
    for _ in range(2):
        JsonLines(path).close()
        assert path.read_bytes() == b""
    path.write_bytes(b'{"step": 1}\n')
    JsonLines(path).close()
    assert path.read_bytes() == b'{"step": 1}\n'


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_a_path_that_is_not_a_regular_file_is_refused(make, tmp_path):
    path = tmp_path / "metrics.jsonl"
    make(path)
    message = "^path: got .*metrics.jsonl.*, allowed: a regular file, or a new path$"
    with pytest.raises(InputError, match=message):
        JsonLines(path)


def test_later_values_of_a_step_replace_earlier_ones(tmp_path):
    path = tmp_path / "metrics.jsonl"
    writer = JsonLines(path)
    writer.write(20, {"train/loss": 1.0})
    writer.write(10, {"train/loss": 2.0})
    writer.write(20, {"validation/loss": 3.0})
    writer.write(20, {"train/loss": 4.0})
    writer.close()
    assert read_metrics(path) == [
        {"step": 10, "train/loss": 2.0},
        {"step": 20, "train/loss": 4.0, "validation/loss": 3.0},
    ]


def test_reading_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_metrics(tmp_path / "metrics.jsonl")


class _Stream:
    """A stream that stores its text, or raises an error."""

    def __init__(self, terminal=False, error=None):
        self.terminal = terminal
        self.error = error
        self.text = ""
        self.encoding = "utf-8"

    def isatty(self):
        return self.terminal

    def write(self, text):
        if self.error:
            raise self.error
        self.text += text
        return len(text)

    def flush(self):
        if self.error:
            raise self.error


@pytest.fixture
def clock(monkeypatch):
    now = types.SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(writers, "time", types.SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_lines_are_five_seconds_apart_and_the_last_is_the_newest(clock):
    stream = _Stream()
    console = Console(100, "cnn [digits]", stream)
    for step in range(50, 101):
        console.write(step, {"train/loss": 1 / step, "examples_per_second": 1234.4})
        clock.seconds += 0.5
    console.write(100, {"validation/accuracy": 0.975})
    console.close()
    console.close()
    lines = stream.text.splitlines()
    assert len(lines) == 1 + 6 + 1
    assert lines[0] == "cnn [digits]  compiling"
    assert lines[1] == "cnn [digits]  50 %  step 50/100  1,234 examples/s  loss 0.0200"
    # 40 steps are left after 10 steps took 5 seconds.
    middle = "60 %  step 60/100  1,234 examples/s  00:20 left  loss 0.0167"
    assert lines[2] == f"cnn [digits]  {middle}"
    last = (
        "100 %  step 100/100  1,234 examples/s  loss 0.0100  validation accuracy 97.5 %  in 00:26"
    )
    assert lines[-1] == f"cnn [digits]  {last}"


def test_the_time_left_is_without_compilation(clock):
    stream = _Stream()
    console = Console(20, "cnn", stream)
    clock.seconds += 60
    console.write(10, {})
    clock.seconds += 10
    console.write(15, {})
    console.close()
    assert stream.text.splitlines()[2] == "cnn  75 %  step 15/20  00:10 left"


def test_a_notebook_has_one_line_that_is_updated(clock):
    stream = type("OutStream", (_Stream,), {"__module__": "ipykernel.iostream"})()
    console = Console(20, "cnn", stream)
    for step in range(1, 21):
        console.write(step, {"train/loss": 10.0 ** (20 - step)})
        clock.seconds += 1
    console.close()
    assert stream.text.count("\n") == 1 and stream.text.endswith("\n")
    shown = ""
    for line in stream.text.strip("\n").split("\r"):
        shown = line + shown[len(line) :]
    assert shown.rstrip() == "cnn  100 %  step 20/20  loss 1.0000  in 00:20"


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_line_fits_into_a_narrow_terminal(columns, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", str(columns))
    stream = _Stream(terminal=True)
    console = Console(1000, "text_generation", stream)
    console.write(300, {"train/loss": 0.5, "examples_per_second": 12345.0})
    frames = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.text).replace("\r", "\n").split("\n")
    shown = [frame for frame in frames if "30 %" in frame][-1]
    assert len(shown) <= columns and "loss 0.5000" in shown and "━" in shown
    assert ("12,345 examples/s" in shown) == (columns == 80)
    console.close()


def test_without_accuracy_the_validation_loss_is_shown(clock):
    stream = _Stream()
    console = Console(10, "vae", stream)
    console.write(5, {"train/loss": math.nan, "validation/loss": 2.0})
    console.close()
    assert stream.text.splitlines()[1] == "vae  50 %  step 5/10  loss nan  validation loss 2.0000"


def _read_all(descriptor):
    """Reads the text in a pseudo-terminal whose other end was closed."""
    parts = []
    with contextlib.suppress(OSError):
        while part := os.read(descriptor, 65536):
            parts.append(part)
    os.close(descriptor)
    return b"".join(parts).decode()


def test_the_bar_is_shown_on_a_terminal_which_is_then_restored(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    parent, child = pty.openpty()
    with os.fdopen(child, "w", encoding="utf-8") as stream:
        console = Console(10, "cnn [digits]", stream)
        try:
            console.write(3, {"train/loss": 0.5, "validation/accuracy": 0.75})
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            console.close()
    shown = _read_all(parent)
    assert "━" in shown
    assert "\x1b[?25l" in shown, "the cursor is hidden while the bar is shown"
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l"), "the cursor is visible at the end"
    last = shown.split("\x1b[?25h")[-1]
    for control in ("\x1b[2K", "\x1b[1A", "\r"):
        last = last.replace(control, "")
    expected = "cnn [digits]  30 %  step 3/10  loss 0.5000  validation accuracy 75.0 %  in 00:00"
    assert last.strip() == expected


def test_other_output_to_a_file_stays_there(monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm-256color")
    stream = _Stream(terminal=True)
    console = Console(10, "mlp", stream)
    print("another line")
    console.close()
    assert capsys.readouterr().out == "another line\n"
    assert "another" not in stream.text


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize(
    "error", [BrokenPipeError(), ValueError("closed"), UnicodeEncodeError("ascii", "→", 0, 1, "")]
)
def test_a_broken_terminal_never_raises(terminal, error, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    stdout = sys.stdout
    stderr = sys.stderr
    for error_at_start in (error, None):
        stream = _Stream(terminal, error_at_start)
        console = Console(10, "mlp", stream)
        stream.error = error
        console.write(1, {"train/loss": 0.5})
        console.close()
        assert (sys.stdout, sys.stderr) == (stdout, stderr), "not left redirected"


def test_no_stream_at_all(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    console = Console(10, "mlp")
    console.write(1, {"train/loss": 0.5})
    console.close()


def _read(directory, name):
    """Returns `(step, value)` of one metric, as TensorBoard shows it."""
    events = EventAccumulator(str(directory)).Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_tensorboard_reads_scalars(tmp_path):
    values = [*np.random.default_rng(0).normal(size=20).tolist(), math.inf, -math.inf, 1e300]
    values[3] = np.float32(values[3])
    writer = TensorBoard(tmp_path / "run")
    for step, value in enumerate(values):
        writer.write(np.int32(7 * step), {"train/loss": value, "validation/accuracy": 1.0})
    writer.write(2**40, {"train/loss": math.nan})
    writer.close()
    writer.close()
    *read, last = _read(tmp_path / "run", "train/loss")
    with np.errstate(over="ignore"):
        expected = [float(np.float32(value)) for value in values]
    assert read == [(7 * step, value) for step, value in enumerate(expected)]
    assert last[0] == 2**40 and math.isnan(last[1])
    assert len(_read(tmp_path / "run", "validation/accuracy")) == len(values)


def test_tensorboard_reads_a_picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grid.png")
    writer = TensorBoard(tmp_path / "events")
    writer.picture(300, "samples", tmp_path / "grid.png")
    writer.close()
    (event,) = EventAccumulator(str(tmp_path / "events")).Reload().Images("samples")
    assert event.step == 300
    read = Image.open(io.BytesIO(event.encoded_image_string)).convert("RGB")
    np.testing.assert_array_equal(np.asarray(read), pixels)


def test_tensorboard_drops_the_events_after_the_step_of_a_resume(tmp_path):
    for first, last, value in ((1, 5, 0.25), (4, 6, 0.5)):
        writer = TensorBoard(tmp_path)
        for step in range(first, last):
            writer.write(step, {"train/loss": value * step})
        writer.close()
    assert len(list(tmp_path.iterdir())) == 2, "both within one second"
    values = _read(tmp_path, "train/loss")
    assert values == [(1, 0.25), (2, 0.5), (3, 0.75), (4, 2.0), (5, 2.5)]


def test_tensorboard_without_its_package_is_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    message = r"^tensorboard: got None, allowed: .*pip install 'jaxdl\[tensorboard\]'$"
    with pytest.raises(InputError, match=message):
        TensorBoard(tmp_path)
