"""Options that all experiments share, in groups, and their flat form by name."""

import dataclasses
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import UnionType
from typing import (
    Any,
    ClassVar,
    Literal,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from jaxdl.data.files import expand_path
from jaxdl.data.loading import file_of
from jaxdl.data.source import Source
from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.runs import backend


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Options of the data and the length of a run, and of its directory."""

    data: str = "digits"
    """Data set: digits, photos, moons, spirals, fruits, curved_fruits,
    a TFDS image set by name, or a path.
    Paths are a .npz or .csv file, or a folder of images by class or of idx files.
    In pictures:64 the images are scaled to 64 x 64 pixels.
    In table.csv:price the column price is predicted."""
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
    track: tuple[Literal["csv", "tensorboard", "mlflow", "wandb", "trackio"], ...] = ()
    """Programs that get the metrics, too. All but csv need their package; see docs/runs.md."""
    profile: bool = False
    """If True, the steps between the first two log lines are traced for XProf and Perfetto, and
    the result has the operations of a step."""
    smoke: bool = False
    """If True, only a few steps are run, as a quick test."""

    def validate(self) -> None:
        """Raises InputError for a value that is out of range."""
        at_least("seeds", self.seeds, 1)
        if not 0 <= self.seed <= 2**32 - self.seeds:
            raise InputError("seed", self.seed, f"an integer in [0, 2**32 - {self.seeds}]")
        if self.steps is None and not 0 < self.epochs < float("inf"):
            raise InputError("epochs", self.epochs, "a number above 0")
        if self.steps is not None:
            at_least("steps", self.steps, 1)
        at_least("batch_size", self.batch_size, 1)
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

    def refuse_validation(self, reason: str) -> None:
        """Raises InputError for a `validation` in an experiment that holds no examples back.

        Args:
          reason: the end of the message, such as "whose labels are all trained on".
        """
        if self.validation:
            raise InputError("validation", self.validation, f"0 in this experiment, {reason}")

    def for_smoke(self) -> Self:
        """Returns the options of a smoke test: at most 20 steps, logged and saved often."""
        steps = min(self.steps or 20, 20)
        return dataclasses.replace(
            self, steps=steps, save_every=self.save_every or 10, log_every=self.log_every or 5
        )

    def total_steps(self, train: Source) -> int:
        """Returns the number of steps of the run, for this training set."""
        steps = self.steps or self.epochs * train.steps_per_epoch(self.batch_size)
        if steps >= 2**31:  # the state counts steps in int32
            field = "epochs"
            if self.steps:
                field = "steps"
            raise InputError(field, getattr(self, field), "fewer than 2**31 steps")
        return max(1, round(steps))


@dataclasses.dataclass(frozen=True)
class DeviceOptions:
    """Options that select the devices of a run."""

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
    debug: bool = False
    """If True, every step is checked for NaN, indices out of bounds and keys used twice.
    Checks are slow and need one device. They can be switched on when a run is resumed."""
    deterministic: bool = False
    """If True, GPUs compute bit-identical results. A CPU always does."""

    def validate(self, run: RunOptions, default_cpu_devices: int) -> Self:
        """Checks the options and fills in the missing ones.

        Args:
          run: options of the run.
          default_cpu_devices: number of CPU devices that suits the network.

        Returns:
          The options with numbers of devices and threads.

        Raises:
          InputError: a value is out of range, or two values cannot be combined.
        """
        one_device = run.seeds > 1 or self.strategy_name in ("single", "debug")
        devices = self.cpu_devices
        if devices is None:
            devices = default_cpu_devices
            if one_device or run.batch_size % devices or backend.cpu_devices_are_set():
                devices = 1
        threads = self.cpu_threads
        if threads is None:
            threads = min(max(backend.threads(), devices), backend.MOST_THREADS)
        at_least("cpu_devices", devices, 1)
        if not devices <= threads <= backend.MOST_THREADS:
            allowed = f"an integer in [{devices}, {backend.MOST_THREADS}], at least one per device"
            raise InputError("cpu_threads", threads, allowed)
        if self.debug and self.strategy not in ("auto", "single"):
            allowed = f"False with --strategy {self.strategy}; steps are checked on one device"
            raise InputError("debug", True, allowed)
        if self.debug and run.seeds > 1:
            raise InputError("debug", True, f"False with --seeds {run.seeds}; use one seed")
        if devices > 1 and one_device:
            allowed = "1 with several seeds, --debug or the strategy single"
            raise InputError("cpu_devices", devices, allowed)
        if run.batch_size % devices:
            allowed = f"a divisor of the batch size, {run.batch_size}"
            raise InputError("cpu_devices", devices, allowed)
        return dataclasses.replace(self, cpu_devices=devices, cpu_threads=threads)

    @property
    def strategy_name(self) -> str:
        """Name of the strategy that the run uses (`jaxdl.strategy`)."""
        if self.debug:
            return "debug"
        return self.strategy


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of every experiment, the base class of its `Config`.

    A field is an option of the experiment, or a group of options: a frozen dataclass with a method
    `validate(run)`, which raises InputError. Another default of an option in a group is an argument
    of the group, such as `run: RunOptions = RunOptions(epochs=20.0)`. On the command line and in
    JSON files all options are flat, so no two of them have the same name (`flat_options`).
    """

    run: RunOptions = RunOptions()
    devices: DeviceOptions = DeviceOptions()

    #: True if several seeds are distributed over the cores of a CPU. A convolution uses all cores,
    #: so the seeds of a convolutional network are trained in turn.
    seeds_share_cores: ClassVar[bool] = True
    #: Number of CPU devices that speeds up the network. One device is used instead where the seeds,
    #: the strategy or the batch size do not allow more.
    default_cpu_devices: ClassVar[int] = 1
    #: Largest number of validations and checkpoints of a run, unless `save_every` is set.
    max_saves: ClassVar[int] = 100

    def validate(self) -> Self:
        """Checks the options of all groups and fills in the missing ones.

        Returns:
          The options; with `smoke`, their short form (`for_smoke`).

        Raises:
          InputError: a value is out of range, or two values cannot be combined.
        """
        for name, group in _groups(self).items():
            if name not in ("run", "devices"):
                group.validate(self.run)
        self.run.validate()
        devices = self.devices.validate(self.run, self.default_cpu_devices)
        config = self
        if devices != self.devices:
            config = dataclasses.replace(self, devices=devices)
        if self.run.smoke:
            return config.for_smoke()
        return config

    def default_out(self, name: str) -> Path:
        """Returns the directory of a run of the experiment `name` for which `out` is not set."""
        return hashed_out(name, self)

    def for_smoke(self) -> Self:
        """Returns the options of a smoke test; an experiment may reduce its network, too."""
        return dataclasses.replace(self, run=self.run.for_smoke())


C = TypeVar("C", bound=Options)

#: Options that do not define a run. They may differ when the run is resumed.
NOT_IDENTITY = ("out", "stop_after", "track", "profile", "data_dir", "cache_dir")

#: Options that select the devices. A run may be resumed with other values, which changes rounding.
PLACEMENT = tuple(field.name for field in dataclasses.fields(DeviceOptions))


def _groups(config: Options) -> dict[str, Any]:
    """Returns the groups of options, by the name of their field."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {name: value for name, value in values.items() if dataclasses.is_dataclass(value)}


def flat_options(config: Options) -> dict[str, Any]:
    """Returns all options by name, as on the command line.

    Example:
      >>> flat_options(Options(RunOptions(seed=3)))["seed"]
      3
    """
    options: dict[str, Any] = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            options |= {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        else:
            options[field.name] = value
    return options


def with_options(config: C, **changes: Any) -> C:
    """Returns a copy with other values of some options, which are named as on the command line.

    Args:
      config: options of an experiment.
      **changes: the new values by name, in whatever group the option is.

    Returns:
      The copy.

    Raises:
      InputError: there is no option of such a name.

    Example:
      >>> with_options(Options(), seed=3, strategy="single").devices.strategy
      'single'
    """
    names = list(flat_options(config))
    for name in changes:
        one_of("option", name, names)
    own = dict(changes)
    for field, group in _groups(config).items():
        members = {each.name for each in dataclasses.fields(group)}
        inside = {name: own.pop(name) for name in changes if name in members}
        own[field] = dataclasses.replace(group, **inside)
    return dataclasses.replace(config, **own)


def from_json(config: type[C], stored: dict[str, Any]) -> C | None:
    """Returns the options stored in a JSON file, or None if a name or type does not fit.

    Args:
      config: dataclass of the options.
      stored: options as `identity` returns them, after a round trip through JSON.

    Example:
      >>> from_json(Options, {"seed": 3}).run.seed, from_json(Options, {"seed": "3"})
      (3, None)
    """
    default = config()
    kinds = get_type_hints(config)
    for group in _groups(default).values():
        kinds |= get_type_hints(type(group))
    if not stored.keys() <= flat_options(default).keys():
        return None
    if not all(_fits(value, kinds[name]) for name, value in stored.items()):
        return None
    values: dict[str, Any] = {}
    for name, value in stored.items():
        values[name] = tuple(value) if isinstance(value, list) else value
    return with_options(default, **values)


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
    data = config.run.data.replace("/", "-")
    path, _ = file_of(config.run.data)
    if path is not None:
        data = path.resolve().stem
    return Path("runs") / f"{name}-{data}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def default_intervals(config: Options, steps: int, epoch: int) -> tuple[int, int]:
    """Returns the steps between two log lines, and between two validations.

    The defaults are about 20 log lines per run, and one validation per epoch. The second interval
    is a multiple of the first, so that every log line is an average over equally many steps.

    Args:
      config: options of the run; `log_every` and `save_every` take precedence if not 0.
      steps: number of steps of the run.
      epoch: number of steps of an epoch.

    Example:
      >>> default_intervals(Options(), steps=4210, epoch=421)
      (210, 420)
    """
    save = config.run.save_every or max(epoch, steps // config.max_saves)
    lines = max(1, round(20 * save / steps))
    log = config.run.log_every or max(1, save // lines)
    return log, config.run.save_every or max(1, save // log) * log


def run_directory(config: Options, experiment: Callable) -> tuple[str, Path]:
    """Returns the name of an experiment, which is that of its file, and the run's directory."""
    name = Path(getattr(sys.modules[experiment.__module__], "__file__", None) or "experiment").stem
    if config.run.out:
        return name, expand_path(config.run.out, "out")
    return name, config.default_out(name)


def identity(config: Options) -> dict[str, Any]:
    """Returns the options that define a run."""
    return {k: v for k, v in flat_options(config).items() if k not in NOT_IDENTITY}


def directory_key(config: Options) -> dict[str, Any]:
    """Returns the options that the default directory depends on.

    These are all of `identity` except `cpu_threads`, whose default differs between machines.
    """
    return {k: v for k, v in identity(config).items() if k != "cpu_threads"}
