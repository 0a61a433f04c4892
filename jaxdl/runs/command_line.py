"""The command line of an experiment."""

import contextlib
import difflib
import io
import itertools
import logging
import math
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import jax

from jaxdl.data.cache import cache_root
from jaxdl.data.files import parse_json_object, read_bytes
from jaxdl.errors import InputError, JaxdlError, one_line
from jaxdl.output import guarded_output, log_thread_exception, log_to_file, restore_log
from jaxdl.plots.page import SMOKE, stamped
from jaxdl.runs import backend
from jaxdl.runs.options import C, Options, flat_options, run_directory, with_options
from jaxdl.training.shutdown import (
    SIGNALS,
    end_if_swallowed,
    end_process,
    exit_at_once,
    replace_handlers,
    restore_handlers,
)

#: Errors of the system, which give one line. A `JaxRuntimeError` is one only without memory.
SYSTEM_ERRORS = (OSError, MemoryError, UnicodeError, jax.errors.JaxRuntimeError)

#: Loggers of a script's background threads: those of Orbax, of its event loops, and of `launch`.
LOGGERS = ("absl", "asyncio", "jaxdl")


def launch(main: Callable[[C], Any], config: type[C], arguments: list[str] | None = None) -> None:
    """Parses the command line and runs an experiment; the last call of a script.

    A `JaxdlError` is printed as one line and gives exit code 2. So does an error of the system,
    such as a file that cannot be read, or a device without memory.

    On Ctrl-C or another signal a run saves a checkpoint first. The exit code is then 128 + the
    signal's number, 130 for Ctrl-C. A second signal ends the run without another checkpoint, and a
    third one ends the process at once. Output that cannot be written is lost and does not end the
    run (`jaxdl.output`). Exceptions in threads and callbacks, such as those of Orbax after a failed
    save, are written to `orbax.log` in the directory of the run.

    Args:
      main: function that runs the experiment.
      config: dataclass of its options.
      arguments: command-line arguments. None means `sys.argv[1:]`, in a process that ends after
        this call: a further signal then ends it without a traceback.
    """
    handlers = replace_handlers(end_process)
    unraisable_hook = sys.unraisablehook
    thread_hook = threading.excepthook
    loggers = [logging.getLogger(name) for name in LOGGERS]
    before = [(log, log.propagate, log.handlers) for log in loggers]
    sys.unraisablehook = end_if_swallowed
    threading.excepthook = log_thread_exception
    try:
        with (
            guarded_output(),
            contextlib.ExitStack() as logs,
            warnings.catch_warnings(),
            _errors_in_one_line(),
        ):
            warnings.showwarning = _print_warning
            options = _prepared(main, config, arguments)
            log = run_directory(options, main)[1] / "orbax.log"
            for logger in LOGGERS:
                logs.enter_context(log_to_file(logger, log))
            if options.run.smoke:
                logs.enter_context(stamped(SMOKE))
            main(options)
    finally:
        restore_handlers(handlers)
        if arguments is None:
            replace_handlers(exit_at_once)
        else:
            sys.unraisablehook = unraisable_hook
            threading.excepthook = thread_hook
            for each in before:
                restore_log(*each)


def _prepared(main: Callable[[C], Any], config: type[C], arguments: list[str] | None) -> C:
    """Returns the options of a command line, after the settings of JAX that they ask for."""
    description = sys.modules[main.__module__].__doc__ or ""
    requested = parsed(config, arguments, description)
    _check_epochs(requested)
    options = _with_stored_threads(requested, main)
    if options.devices.deterministic:
        backend.set_deterministic()
    backend.enable_compilation_cache(cache_root(options.run.cache_dir))
    backend.set_cpu_threads(options.devices.cpu_threads or backend.threads())
    _make_cpu_devices(options)
    return options


@contextlib.contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Ends the process with a line and an exit code for errors and signals; see `launch`."""
    try:
        yield
    except JaxdlError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except SYSTEM_ERRORS as error:
        message = _message(error)
        if not message:
            raise
        print(f"error: {one_line(message)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        _exit_on_signal(signal.SIGINT)
    except SystemExit as stop:
        if isinstance(stop.code, int) and stop.code - 128 in SIGNALS:
            _exit_on_signal(stop.code - 128)
        raise


def _print_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Prints a warning as one line; Python prints its line of code, too."""
    print(f"warning: {one_line(message)}", file=sys.stderr)


def _message(error: BaseException) -> str:
    """Returns an error of the system with a remedy; empty for one that has no known remedy."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return f"out of memory ({text}); use a smaller --batch-size, or --accumulate where it is"
    if isinstance(error, UnicodeError):
        return f"{text}; set PYTHONUTF8=1, and write names in UTF-8"
    if isinstance(error, OSError):
        return f"{text}; use a path that can be read and written, on a disk with space"
    return ""


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
                config,
                args=arguments,
                description=description,
                return_unknown_args=True,
                config=(tyro.conf.OmitArgPrefixes,),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise JaxdlError(_in_one_line(output.getvalue())) from None
    if unknown:
        given = unknown[0].partition("=")[0]
        names = ["--" + name.replace("_", "-") for name in flat_options(options)]
        near = [name for name in names if name.startswith(given)]
        near = near or difflib.get_close_matches(given, names, n=1)
        hint = ""
        if near:
            hint = f" (did you mean {near[0]!r}?)"
        raise InputError("option", unknown[0], f"the options that --help lists{hint}")
    return options


def _check_epochs(options: Options) -> None:
    """Raises if both a number of steps and other epochs than the default were requested."""
    run = options.run
    default = type(options)().run.epochs
    # The options of a finished smoke test contain the number of its steps.
    if run.steps is not None and run.epochs != default and not run.smoke:
        allowed = f"the default, {default:g}, because the run has {run.steps} steps (--steps)"
        raise InputError("epochs", run.epochs, allowed)


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
    """Makes the CPU devices: those requested, or as many as divide both seeds and threads.

    Raises:
      InputError: JAX cannot start its backend, or it has started with other devices.
    """
    devices = config.devices
    requested = devices.cpu_devices or 1
    count = requested
    seeds = config.run.seeds
    if seeds > 1 and devices.strategy != "single" and config.seeds_share_cores:
        count = math.gcd(seeds, devices.cpu_threads or 1)
    backend.make_cpu_devices(count)
    backend.start()
    if requested > 1 and jax.default_backend() == "cpu" and jax.local_device_count() != count:
        allowed = f"{jax.local_device_count()}, the number that XLA was started with"
        raise InputError("cpu_devices", count, allowed)


def _with_stored_threads(requested: C, main: Callable) -> C:
    """Returns valid options, with the number of threads of a run that is resumed.

    A run keeps its number of threads unless another one is requested.
    """
    options = requested.validate()
    if requested.devices.cpu_threads is not None:
        return options
    out = run_directory(options, main)[1]
    for file in [out / "config.json", *sorted(out.glob("*/config.json"))]:
        # Files that cannot be read are reported later, when the directory is checked.
        with contextlib.suppress(OSError, ValueError):
            stored = parse_json_object(read_bytes(file)).get("cpu_threads")
            if type(stored) is int and 1 <= stored <= backend.MOST_THREADS:
                count = max(stored, options.devices.cpu_devices or 1)
                return with_options(options, cpu_threads=count)
    return options
