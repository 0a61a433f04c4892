"""Options that all experiments share, and the command line that is built from them."""

import contextlib
import dataclasses
import difflib
import hashlib
import io
import itertools
import math
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    NoReturn,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import jax

from jaxdl.data.cache import cache_root
from jaxdl.data.files import expand_path, parse_json_object, read_bytes
from jaxdl.errors import InputError, JaxdlError, at_least, in_range
from jaxdl.runs import backend
from jaxdl.training.shutdown import (
    SIGNALS,
    raise_for_signal,
    replace_handlers,
    restore_handlers,
)


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of every experiment. The Config of an experiment adds its fields to these."""

    data: str = "digits"
    """Data set: digits, photos, moons, spirals, a TFDS image set by name, or a .npz file."""
    data_dir: str | None = None
    """Directory of prepared TFDS sets. Default: $TFDS_DATA_DIR, else ~/tensorflow_datasets."""
    cache_dir: str | None = None
    """Directory for decoded data and compiled programs.
    Default: $JAXDL_CACHE, else ~/.cache/jaxdl."""
    seed: int = 0
    """Seed of all random numbers, in [0, 2**32)."""
    seeds: int = 1
    """Number of runs in one program, with the seeds seed, seed + 1, and so on.
    The result then contains mean and standard deviation."""
    epochs: float = 10.0
    """Passes over the training set."""
    steps: int | None = None
    """Number of steps; replaces --epochs."""
    batch_size: int = 128
    """Examples per step."""
    validation: float = 0.1
    """Fraction of the training set used for validation, in [0, 1); 0 disables validation."""
    strategy: Literal["auto", "single", "sharded", "fsdp", "pmap"] = "auto"
    """Distribution of a step over devices; auto means sharded over all devices."""
    cpu_devices: int | None = None
    """Number of devices that the CPU is divided into. Each batch is split among them.
    It affects the rounding of results.
    Default: 1 or 2, depending on the network."""
    cpu_threads: int | None = None
    """Size of XLA's CPU thread pool, at least one per device.
    Results are bit-identical for the same value.
    Default: the value stored in the run directory, else the number of cores."""
    log_every: int = 0
    """Steps between two log lines; 0 means about twenty lines per run."""
    save_every: int = 0
    """Steps between two validations, each followed by a checkpoint; 0 means once per epoch."""
    stop_after: int | None = None
    """Step after which the run stops as if interrupted.
    The same command without this option resumes the run."""
    out: str | None = None
    """Directory of the run.
    Default: a directory under runs/ named after experiment, data and options."""
    tensorboard: bool = False
    """If True, TensorBoard event files are written too. Needs jaxdl[tensorboard]."""
    debug: bool = False
    """If True, every step is checked for NaN, indices out of bounds and keys used twice.
    Checks are slow and need one device. They can be switched on when a run is resumed."""
    smoke: bool = False
    """If True, only a few steps are run, as a quick test."""
    deterministic: bool = False
    """If True, GPUs compute bit-identical results. A CPU always does."""

    #: True if several seeds are distributed over the cores of a CPU. A convolution uses all cores,
    #: so the seeds of a convolutional network are trained in turn.
    seeds_share_cores: ClassVar[bool] = True
    #: Number of CPU devices that speeds up the network. One device is used instead where the seeds,
    #: the strategy or the batch size do not allow more.
    default_cpu_devices: ClassVar[int] = 1
    #: Largest number of validations and checkpoints of a run, unless `save_every` is set.
    max_saves: ClassVar[int] = 100

    def validate(self) -> Self:
        """Checks the options and fills in the missing ones.

        Returns:
          The options; with `smoke`, their short form (`for_smoke`).

        Raises:
          InputError: a value is out of range, or two values cannot be combined.
        """
        if self.cpu_devices is None:
            return dataclasses.replace(self, cpu_devices=self._usable_cpu_devices()).validate()
        if self.cpu_threads is None:
            count = min(max(backend.threads(), self.cpu_devices), backend.MOST_THREADS)
            return dataclasses.replace(self, cpu_threads=count).validate()
        at_least("seeds", self.seeds, 1)
        if not 0 <= self.seed <= 2**32 - self.seeds:
            raise InputError("seed", self.seed, f"an integer in [0, 2**32 - {self.seeds}]")
        if self.steps is None and not 0 < self.epochs < float("inf"):
            raise InputError("epochs", self.epochs, "a number above 0")
        if self.steps is not None:
            at_least("steps", self.steps, 1)
        at_least("batch_size", self.batch_size, 1)
        self._check_devices(self.cpu_devices, self.cpu_threads)
        at_least("log_every", self.log_every, 0)
        at_least("save_every", self.save_every, 0)
        if self.stop_after is not None:
            at_least("stop_after", self.stop_after, 1)
        in_range("validation", self.validation, 0, 1)
        for name in ("out", "cache_dir"):
            if getattr(self, name) == "":
                raise InputError(name, "", "a directory")
        if self.cache_dir and os.path.isfile(os.path.expanduser(self.cache_dir)):
            raise InputError("cache_dir", self.cache_dir, "a directory; this is a file")
        if self.smoke:
            return self.for_smoke()
        return self

    def _usable_cpu_devices(self) -> int:
        """Returns `default_cpu_devices` if the other options allow it, else 1."""
        one_device = self.seeds != 1 or self.strategy_name in ("single", "debug")
        indivisible = self.batch_size % self.default_cpu_devices
        if one_device or indivisible or backend.cpu_devices_are_set():
            return 1
        return self.default_cpu_devices

    def _check_devices(self, devices: int, threads: int) -> None:
        """Raises unless the strategy and the numbers of CPU devices and threads fit together."""
        at_least("cpu_devices", devices, 1)
        if not devices <= threads <= backend.MOST_THREADS:
            allowed = f"an integer in [{devices}, {backend.MOST_THREADS}], at least one per device"
            raise InputError("cpu_threads", threads, allowed)
        if self.debug and self.strategy not in ("auto", "single"):
            allowed = f"False with --strategy {self.strategy}; steps are checked on one device"
            raise InputError("debug", True, allowed)
        if self.debug and self.seeds > 1:
            raise InputError("debug", True, f"False with --seeds {self.seeds}; use one seed")
        if devices > 1 and (self.seeds > 1 or self.strategy_name in ("single", "debug")):
            allowed = "1 with several seeds, --debug or the strategy single"
            raise InputError("cpu_devices", devices, allowed)
        if self.batch_size % devices:
            allowed = f"a divisor of the batch size, {self.batch_size}"
            raise InputError("cpu_devices", devices, allowed)

    @property
    def strategy_name(self) -> str:
        """Name of the strategy that the run uses (`jaxdl.strategy`)."""
        if self.debug:
            return "debug"
        return self.strategy

    def default_out(self, name: str) -> Path:
        """Returns the directory of a run of the experiment `name` for which `out` is not set."""
        return hashed_out(name, self)

    def for_smoke(self) -> Self:
        """Returns the options of a smoke test: at most 20 steps, logged and saved often."""
        steps = min(self.steps or 20, 20)
        return dataclasses.replace(
            self, steps=steps, save_every=self.save_every or 10, log_every=self.log_every or 5
        )

    def total_steps(self, size: int) -> int:
        """Returns the number of steps of the run, for a training set of `size` examples."""
        steps = self.steps or self.epochs * (size // self.batch_size)
        if steps >= 2**31:  # the state counts steps in int32
            field = "epochs"
            if self.steps:
                field = "steps"
            raise InputError(field, getattr(self, field), "fewer than 2**31 steps")
        return max(1, round(steps))


C = TypeVar("C", bound=Options)

#: Options that do not define a run. They may differ when the run is resumed.
NOT_IDENTITY = ("out", "stop_after", "tensorboard", "data_dir", "cache_dir")

#: Options that select the devices. A run may be resumed with other values, which changes rounding.
PLACEMENT = ("strategy", "cpu_devices", "cpu_threads", "debug", "deterministic")


def launch(main: Callable[[C], Any], config: type[C], arguments: list[str] | None = None) -> None:
    """Parses the command line and runs an experiment; the last call of a script.

    A `JaxdlError` is printed as one line and gives exit code 2. On Ctrl-C or another signal a run
    saves a checkpoint first. The exit code is then 128 + the signal's number, 130 for Ctrl-C.

    Args:
      main: function that runs the experiment.
      config: dataclass of its options.
      arguments: command-line arguments. None means `sys.argv[1:]`.
    """
    handlers = replace_handlers(raise_for_signal)
    try:
        description = sys.modules[main.__module__].__doc__ or ""
        requested = parsed(config, arguments, description)
        options = _with_stored_threads(requested, main)
        if options.deterministic:
            backend.set_deterministic()
        backend.enable_compilation_cache(cache_root(options.cache_dir))
        backend.set_cpu_threads(options.cpu_threads or backend.threads())
        _make_cpu_devices(options)
        main(options)
    except JaxdlError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        _exit_on_signal(signal.SIGINT)
    except SystemExit as stop:
        if isinstance(stop.code, int) and stop.code - 128 in SIGNALS:
            _exit_on_signal(stop.code - 128)
        raise
    finally:
        restore_handlers(handlers)


def _exit_on_signal(number: int) -> NoReturn:
    """Prints which signal ended the process and exits with code 128 + its number."""
    name = signal.Signals(number).name
    print(
        f"stopped by {name}; the same command resumes from the last checkpoint",
        file=sys.stderr,
        flush=True,
    )
    sys.exit(128 + number)


def parsed(config: type[C], arguments: list[str] | None, description: str = "") -> C:
    """Parses a command line; raises one-line errors where Tyro prints a box of several lines."""
    import tyro

    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output):
            options, unknown = tyro.cli(
                config, args=arguments, description=description, return_unknown_args=True
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise JaxdlError(_in_one_line(output.getvalue())) from None
    if unknown:
        given = unknown[0].partition("=")[0]
        names = ["--" + field.name.replace("_", "-") for field in dataclasses.fields(config)]
        near = [name for name in names if name.startswith(given)]
        near = near or difflib.get_close_matches(given, names, n=1)
        hint = ""
        if near:
            hint = f" (did you mean {near[0]!r}?)"
        raise InputError("option", unknown[0], f"the options that --help lists{hint}")
    return options


def _in_one_line(box: str) -> str:
    """Returns the error from a box that Tyro printed, with the usage of the option if shown."""
    rows = (re.sub(r"\x1b\[[0-9;]*m", "", row).strip(" |│") for row in box.strip().splitlines()[1:])
    is_text = itertools.groupby(rows, lambda row: bool(row.strip("-+─╰╯")))
    error, *more = [list(part) for text, part in is_text if text] or [[]]
    parts = [" ".join(error).removeprefix("Error parsing ")]
    if more and more[0][0] == "Argument helptext:":
        parts += more[0][1:2]
    return ", allowed: ".join(parts)


def _make_cpu_devices(config: Options) -> None:
    """Makes the CPU devices: those requested, or as many as divide both seeds and threads."""
    requested = config.cpu_devices or 1
    count = requested
    if config.seeds > 1 and config.strategy != "single" and config.seeds_share_cores:
        count = math.gcd(config.seeds, config.cpu_threads or 1)
    backend.make_cpu_devices(count)
    if requested > 1 and jax.default_backend() == "cpu" and jax.local_device_count() != count:
        allowed = f"{jax.local_device_count()}, the number that XLA was started with"
        raise InputError("cpu_devices", count, allowed)


def _with_stored_threads(requested: C, main: Callable) -> C:
    """Returns valid options, with the number of threads of a run that is resumed.

    A run keeps its number of threads unless another one is requested.
    """
    options = requested.validate()
    if requested.cpu_threads is not None:
        return options
    out = run_directory(options, main)[1]
    for file in [out / "config.json", *sorted(out.glob("*/config.json"))]:
        # Files that cannot be read are reported later, when the directory is checked.
        with contextlib.suppress(OSError, ValueError):
            stored = parse_json_object(read_bytes(file)).get("cpu_threads")
            if type(stored) is int and 1 <= stored <= backend.MOST_THREADS:
                count = max(stored, options.cpu_devices or 1)
                return dataclasses.replace(options, cpu_threads=count)
    return options


def from_json(config: type[C], stored: dict[str, Any]) -> C | None:
    """Returns the options stored in a JSON file, or None if a name or type does not fit.

    Args:
      config: dataclass of the options.
      stored: options as `identity` returns them, after a round trip through JSON.

    Example:
      >>> from_json(Options, {"seed": 3}).seed, from_json(Options, {"seed": "3"})
      (3, None)
    """
    kinds = get_type_hints(config)
    names = {field.name for field in dataclasses.fields(config)}
    if not stored.keys() <= names:
        return None
    if not all(_fits(value, kinds[name]) for name, value in stored.items()):
        return None
    values: dict[str, Any] = {}
    for name, value in stored.items():
        values[name] = tuple(value) if isinstance(value, list) else value
    return config(**values)


def _fits(value: Any, kind: Any) -> bool:
    """Returns True if a value from a JSON file has the annotated type of a field."""
    origin = get_origin(kind)
    parts = get_args(kind)
    if origin in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if origin is Literal:
        return value in parts
    if origin is tuple:
        return isinstance(value, list) and all(_fits(each, parts[0]) for each in value)
    return type(value) is kind or (kind is float and type(value) is int and abs(value) < 2**63)


def hashed_out(name: str, config: Options) -> Path:
    """Returns a directory that depends on the options, so that the same command finds its run."""
    key = repr(sorted(directory_key(config).items()))
    data = config.data.replace("/", "-")
    if config.data.endswith(".npz"):
        data = Path(config.data).stem
    return Path("runs") / f"{name}-{data}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def run_directory(config: Options, experiment: Callable) -> tuple[str, Path]:
    """Returns the name of an experiment, which is that of its file, and the run's directory."""
    name = Path(getattr(sys.modules[experiment.__module__], "__file__", None) or "experiment").stem
    if config.out:
        return name, expand_path(config.out, "out")
    return name, config.default_out(name)


def identity(config: Options) -> dict[str, Any]:
    """Returns the options that define a run."""
    return {k: v for k, v in dataclasses.asdict(config).items() if k not in NOT_IDENTITY}


def directory_key(config: Options) -> dict[str, Any]:
    """Returns the options that the default directory depends on.

    These are all of `identity` except `cpu_threads`, whose default differs between machines.
    """
    return {k: v for k, v in identity(config).items() if k != "cpu_threads"}
