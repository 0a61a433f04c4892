"""The options that every experiment has, and the command line made from them."""

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
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import jax

from jaxdl.data.cache import cache_root
from jaxdl.data.files import content, json_object, path_of
from jaxdl.errors import InputError, JaxdlError, at_least, in_range
from jaxdl.experiment import backend
from jaxdl.experiment.signals import exit_on_signal, signal_watchdog
from jaxdl.training.shutdown import SIGNALS


@dataclasses.dataclass(frozen=True)
class Options:
    """What every experiment can be told; an experiment's own Config adds its fields to these."""

    data: str = "digits"
    """Data set: digits, photos, moons, spirals, the name of a TFDS image classification set, or a .npz file."""
    data_dir: str | None = None
    """Where prepared TFDS sets are; default: TFDS's own ($TFDS_DATA_DIR or ~/tensorflow_datasets)."""
    cache_dir: str | None = None
    """Where decoded data and compiled programs are kept; default: $JAXDL_CACHE or ~/.cache/jaxdl."""
    seed: int = 0
    """Every random number follows from it; in [0, 2**32)."""
    seeds: int = 1
    """Repeats with seed, seed + 1, ... in one program; the result then has mean and standard deviation."""
    epochs: float = 10.0
    """Passes over the training set."""
    steps: int | None = None
    """Updates; instead of --epochs."""
    batch_size: int = 128
    """Examples per step."""
    validation: float = 0.1
    """Share of the training set kept for validation; 0: none."""
    strategy: Literal["auto", "single", "sharded", "fsdp", "pmap"] = "auto"
    """Where steps run; auto: sharded over all devices."""
    cpu_devices: int | None = None
    """Devices to make of a CPU, among which each batch is divided; the last bits of a result depend on it.
    Default: what suits the network, 2 for recurrent ones, else 1."""
    cpu_threads: int | None = None
    """Threads among which a CPU divides its sums, at least one per device; the last bits of a result depend on it, not
    on the cores. Default: what the run was begun with; a new one has as many as there are cores."""
    log_every: int = 0
    """Steps between two lines of metrics; 0: about twenty times in a run."""
    save_every: int = 0
    """Steps between two validations, each saved; 0: once an epoch."""
    stop_after: int | None = None
    """End after this step as if interrupted; the same command without it goes on from there."""
    out: str | None = None
    """The run's directory; default: one under runs/ named after experiment, data and options."""
    tensorboard: bool = False
    """Write TensorBoard event files too."""
    debug: bool = False
    """Check every step, on one device: NaN, indices, keys used twice. Slow; also for a run that goes on."""
    smoke: bool = False
    """The same code for a few steps, to see that it runs."""
    deterministic: bool = False
    """Ask accelerators for the same bits every time; a CPU gives them anyway."""

    #: Whether several seeds share out a CPU's cores; a convolution takes them all, so its seeds take turns.
    seeds_share_cores: ClassVar[bool] = True
    #: How many CPU devices a network gains from; one where seeds, the strategy or the batch size allow no more.
    default_cpu_devices: ClassVar[int] = 1
    #: How many validations and checkpoints a run has at most, where the options do not say.
    max_saves: ClassVar[int] = 100

    def validate(self) -> Self:
        """Itself, if its values can be used together, nothing left open; with `smoke`, its short form."""
        if self.cpu_devices is None:
            single = (
                self.seeds != 1
                or self.where in ("single", "debug")
                or self.batch_size % self.default_cpu_devices
            )
            single = single or backend.cpu_devices_are_set()
            return dataclasses.replace(
                self, cpu_devices=1 if single else self.default_cpu_devices
            ).validate()
        if self.cpu_threads is None:
            some = min(max(backend.threads(), self.cpu_devices), backend.MOST_THREADS)
            return dataclasses.replace(self, cpu_threads=some).validate()
        at_least("seeds", self.seeds, 1)
        if not 0 <= self.seed <= 2**32 - self.seeds:
            raise InputError("seed", self.seed, f"an integer in [0, 2**32 - {self.seeds}]")
        if self.steps is None and not 0 < self.epochs < float("inf"):
            raise InputError("epochs", self.epochs, "a number above 0")
        at_least("steps", 1 if self.steps is None else self.steps, 1)
        at_least("batch_size", self.batch_size, 1)
        at_least("cpu_devices", self.cpu_devices, 1)
        if not self.cpu_devices <= self.cpu_threads <= backend.MOST_THREADS:
            allowed = f"an integer in [{self.cpu_devices}, {backend.MOST_THREADS}], at least one per device"
            raise InputError("cpu_threads", self.cpu_threads, allowed)
        if self.debug and self.strategy not in ("auto", "single"):
            raise InputError(
                "debug", True, f"without --strategy {self.strategy}: it checks on one device"
            )
        if self.debug and self.seeds > 1:
            raise InputError("debug", True, f"with one seed, not {self.seeds}")
        if self.cpu_devices > 1 and (self.seeds > 1 or self.where in ("single", "debug")):
            raise InputError(
                "cpu_devices",
                self.cpu_devices,
                "1 with several seeds, --debug or the strategy single",
            )
        if self.batch_size % self.cpu_devices:
            raise InputError(
                "cpu_devices", self.cpu_devices, f"a divisor of the batch size, {self.batch_size}"
            )
        at_least("log_every", self.log_every, 0)
        at_least("save_every", self.save_every, 0)
        at_least("stop_after", 1 if self.stop_after is None else self.stop_after, 1)
        in_range("validation", self.validation, 0, 1)
        for name in ("out", "cache_dir"):
            if getattr(self, name) == "":
                raise InputError(name, "", "a directory")
        if self.cache_dir and os.path.isfile(os.path.expanduser(self.cache_dir)):
            raise InputError("cache_dir", self.cache_dir, "a directory; this is a file")
        return self.for_smoke() if self.smoke else self

    @property
    def where(self) -> str:
        """The name of the strategy (`jaxdl.strategy`)."""
        return "debug" if self.debug else self.strategy

    @property
    def length_dependent_option(self) -> str:
        """What goes by the run's length, so that it cannot be made longer; empty where nothing is known to."""
        return "this experiment"

    def default_out(self, name: str) -> Path:
        """The directory of a run of the experiment `name`, where `out` does not say."""
        return hashed_out(name, self)

    def for_smoke(self) -> Self:
        """What `--smoke` runs, as far as nothing shorter is asked for."""
        steps = min(self.steps or 20, 20)
        return dataclasses.replace(
            self, steps=steps, save_every=self.save_every or 10, log_every=self.log_every or 5
        )

    def total_steps(self, size: int) -> int:
        """Updates of the run, for a training set of `size` examples."""
        steps = self.steps or self.epochs * (size // self.batch_size)
        if steps >= 2**31:  # the state counts them in int32
            field = "steps" if self.steps else "epochs"
            raise InputError(field, getattr(self, field), "fewer than 2**31 updates")
        return max(1, round(steps))


C = TypeVar("C", bound=Options)

#: Options that say how a run is driven, not what it is: they may differ when it goes on.
DRIVING = ("out", "stop_after", "tensorboard", "data_dir", "cache_dir")

#: Options that say where steps run: a run may go on elsewhere, with other last bits.
ELSEWHERE = ("strategy", "cpu_devices", "cpu_threads", "debug", "deterministic")

#: Options that say how long a run is: it may be made longer, unless something is planned by its length.
LENGTH = ("steps", "epochs")


def launch(main: Callable[[C], Any], config: type[C], arguments: list[str] | None = None) -> None:
    """Reads the command line and runs an experiment; what a script ends with.

    A `JaxdlError` becomes one line and exit code 2. Told to end, by Ctrl-C or a signal, a run saves its step first; the
    exit code is 130, or 128 + the signal's number.

    Args:
      main: the experiment.
      config: its dataclass.
      arguments: instead of `sys.argv[1:]`.
    """
    try:
        with signal_watchdog():
            asked = parsed(config, arguments, sys.modules[main.__module__].__doc__ or "")
            read = _as_begun(asked, main)
            if read.deterministic:
                backend.set_deterministic()
            backend.enable_compilation_cache(cache_root(read.cache_dir))
            backend.set_cpu_threads(read.cpu_threads or backend.threads())
            _make_cpu_devices(read)
            main(read)
    except JaxdlError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        exit_on_signal(signal.SIGINT)
    except SystemExit as stop:
        if isinstance(stop.code, int) and stop.code - 128 in SIGNALS:
            exit_on_signal(stop.code - 128)
        raise


def parsed(config: type[C], arguments: list[str] | None, about: str = "") -> C:
    """The command line; what Tyro says about a wrong one, several lines in a box, becomes one line."""
    import tyro

    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            read, unknown = tyro.cli(
                config, args=arguments, description=about, return_unknown_args=True
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise JaxdlError(_in_one_line(said.getvalue())) from None
    if unknown:
        given = unknown[0].partition("=")[0]
        names = ["--" + field.name.replace("_", "-") for field in dataclasses.fields(config)]
        near = [name for name in names if name.startswith(given)] or difflib.get_close_matches(
            given, names, n=1
        )
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise InputError("option", unknown[0], f"the options that --help lists{hint}")
    return read


def _in_one_line(box: str) -> str:
    """What a box of Tyro's says is wrong and, where it shows how the option is used, that."""
    rows = (re.sub(r"\x1b\[[0-9;]*m", "", row).strip(" |│") for row in box.strip().splitlines()[1:])
    is_text = itertools.groupby(rows, lambda row: bool(row.strip("-+─╰╯")))
    wrong, *more = [list(part) for text, part in is_text if text] or [[]]
    usage = more[0][1:2] if more and more[0][0] == "Argument helptext:" else []
    return ", allowed: ".join([" ".join(wrong).removeprefix("Error parsing "), *usage])


def _make_cpu_devices(config: Options) -> None:
    """As many as are asked for, or as can take turns with the seeds, one thread each."""
    asked = count = config.cpu_devices or 1
    if config.seeds > 1 and config.strategy != "single" and config.seeds_share_cores:
        count = math.gcd(config.seeds, config.cpu_threads or 1)
    backend.make_cpu_devices(count)
    if asked > 1 and jax.default_backend() == "cpu" and jax.local_device_count() != count:
        raise InputError(
            "cpu_devices", count, f"{jax.local_device_count()}, which XLA was told before"
        )


def _as_begun(asked: C, main: Callable) -> C:
    """The options of a run; one that has been begun goes on with as many threads, if no other number is asked for."""
    read = asked.validate()
    if asked.cpu_threads is None:
        out = run_directory(read, main)[1]
        for file in [out / "config.json", *sorted(out.glob("*/config.json"))]:
            with contextlib.suppress(
                OSError, ValueError
            ):  # whose directory it is, is found out later
                begun = json_object(content(file)).get("cpu_threads")
                if type(begun) is int and 1 <= begun <= backend.MOST_THREADS:
                    return dataclasses.replace(read, cpu_threads=max(begun, read.cpu_devices or 1))
    return read


def from_json(config: type[C], said: dict[str, Any]) -> C | None:
    """Options from what `identity` gave, through JSON; None if one is unknown or of another type.

    Example:
      >>> from_json(Options, {"seed": 3}).seed, from_json(Options, {"seed": "3"})
      (3, None)
    """
    kinds = get_type_hints(config)
    names = {field.name for field in dataclasses.fields(config)}
    if not said.keys() <= names or not all(
        _fits(value, kinds[name]) for name, value in said.items()
    ):
        return None
    values: dict[str, Any] = {
        name: tuple(x) if isinstance(x, list) else x for name, x in said.items()
    }
    return config(**values)


def _fits(value: Any, kind: Any) -> bool:
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
    """A directory that every set of options has for itself, so that the same command finds its run again."""
    said = repr(sorted(directory_key(config).items()))
    data = Path(config.data).stem if config.data.endswith(".npz") else config.data.replace("/", "-")
    return Path("runs") / f"{name}-{data}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"


def run_directory(config: Options, one: Callable) -> tuple[str, Path]:
    """The name of the experiment that `one` belongs to, its file's, and the run's directory."""
    name = Path(getattr(sys.modules[one.__module__], "__file__", None) or "experiment").stem
    return name, path_of(config.out, "out") if config.out else config.default_out(name)


def identity(config: Options) -> dict[str, Any]:
    """The options that make a run what it is."""
    return {k: v for k, v in dataclasses.asdict(config).items() if k not in DRIVING}


def directory_key(config: Options) -> dict[str, Any]:
    """Those that its directory is named by: not the threads, which are those of a machine's cores if nobody says."""
    return {k: v for k, v in identity(config).items() if k != "cpu_threads"}
