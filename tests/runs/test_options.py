"""The command line: help texts, checks of values, and the directories of runs."""

import ast
import dataclasses
import inspect
import json
import math
import signal
from typing import ClassVar

import numpy as np
import pytest

from jaxdl.data import Dataset, Simulated
from jaxdl.environment import threads
from jaxdl.errors import InputError, JaxdlError
from jaxdl.recipes import ClassificationOptions, TrainingOptions
from jaxdl.runs import Options, RunOptions, flat_options, launch, with_options
from jaxdl.runs.options import NOT_IDENTITY, from_json, hashed_out, identity
from jaxdl.training.shutdown import SIGNALS
from tests.runs.scripts import EXPERIMENTS, script

CONFIGS = [
    Options,
    *(script(path.stem).Config for path in sorted(EXPERIMENTS.glob("*.py"))),
]


@dataclasses.dataclass(frozen=True)
class Classifier(Options):
    """Options of a classifier."""

    training: TrainingOptions = TrainingOptions()
    classification: ClassificationOptions = ClassificationOptions()


def groups(config: type) -> list[type]:
    """Returns a class of options and the classes of its groups."""
    values = [getattr(config(), field.name) for field in dataclasses.fields(config)]
    return [config, *(type(value) for value in values if dataclasses.is_dataclass(value))]


def help_texts(config: type) -> dict[str, str]:
    """Returns the text under each field that the class declares; inherited ones are left out."""
    body = ast.parse(inspect.getsource(config)).body[0].body
    return {
        field.target.id: text.value.value
        for field, text in zip(body, body[1:], strict=False)
        if isinstance(field, ast.AnnAssign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }


@pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda config: f"{config.__module__}.{config.__name__}"
)
def test_every_option_has_a_help_text(config):
    texts = {
        name: text
        for group in groups(config)
        for c in group.__mro__
        if dataclasses.is_dataclass(c)
        for name, text in help_texts(c).items()
    }
    for name in flat_options(config()):
        assert texts.get(name, "").endswith("."), f"{config.__module__}: {name}"


@pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda config: f"{config.__module__}.{config.__name__}"
)
def test_option_names_are_unique_and_a_repeated_declaration_has_another_help(config):
    fields = [field.name for group in groups(config) for field in dataclasses.fields(group)]
    names = [name for name in fields if not dataclasses.is_dataclass(getattr(config(), name, None))]
    assert sorted(names) == sorted(flat_options(config()))
    for group in groups(config):
        bases = [c for c in group.__mro__[1:] if dataclasses.is_dataclass(c)]
        inherited = {name: text for base in bases for name, text in help_texts(base).items()}
        own = help_texts(group)
        for name in inspect.get_annotations(group).keys() & inherited.keys():
            assert own.get(name) not in (None, inherited[name]), f"{group.__name__}.{name}"


@pytest.mark.parametrize("name", [path.stem for path in sorted(EXPERIMENTS.glob("*.py"))])
def test_help_shows_the_file_and_every_option(name, capsys):
    module = script(name)
    with pytest.raises(SystemExit) as stopped:
        launch(module.main, module.Config, ["--help"])
    assert not stopped.value.code
    output = capsys.readouterr().out
    assert module.__doc__.splitlines()[0] in output
    for option in flat_options(module.Config()):
        assert f"--{option.replace('_', '-')}" in output
    for group in ("run", "devices", "training"):
        if not hasattr(module.Config, group):
            continue
        assert f" {group} options " in output


def test_help_shows_inherited_texts(capsys):
    """`GANTrainingOptions` inherits `schedule`."""
    module = script("gan")
    with pytest.raises(SystemExit):
        launch(module.main, module.Config, ["--help"])
    output = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Schedule of the learning rate: constant, step, exponential" in output


BAD = [
    ({"seeds": 0}, "seeds: got 0, allowed: at least 1"),
    ({"seed": -1}, "seed: got -1, allowed: an integer in [0, 2**32 - 1]"),
    ({"seed": 2**32}, "seed: got 4294967296, allowed: an integer in [0, 2**32 - 1]"),
    (
        {"seed": 2**32 - 2, "seeds": 3},
        "seed: got 4294967294, allowed: an integer in [0, 2**32 - 3]",
    ),
    ({"epochs": 0.0}, "epochs: got 0.0, allowed: a number above 0"),
    ({"epochs": math.nan}, "epochs: got nan, allowed: a number above 0"),
    ({"epochs": math.inf}, "epochs: got inf, allowed: a number above 0"),
    ({"steps": 0}, "steps: got 0, allowed: at least 1"),
    ({"steps": -3, "smoke": True}, "steps: got -3, allowed: at least 1"),
    ({"batch_size": 0}, "batch_size: got 0, allowed: at least 1"),
    ({"cpu_devices": 0}, "cpu_devices: got 0, allowed: at least 1"),
    ({"cpu_devices": 3}, "cpu_devices: got 3, allowed: a divisor of the batch size, 128"),
    (
        {"cpu_devices": 2, "seeds": 2},
        "cpu_devices: got 2, allowed: 1 with several seeds, --debug or the strategy single",
    ),
    (
        {"cpu_devices": 2, "strategy": "single"},
        "cpu_devices: got 2, allowed: 1 with several seeds, --debug or the strategy single",
    ),
    (
        {"cpu_threads": 0},
        "cpu_threads: got 0, allowed: an integer in [1, 1024], at least one per device",
    ),
    (
        {"cpu_threads": 1025},
        "cpu_threads: got 1025, allowed: an integer in [1, 1024], at least one per device",
    ),
    (
        {"cpu_threads": 3, "cpu_devices": 4},
        "cpu_threads: got 3, allowed: an integer in [4, 1024], at least one per device",
    ),
    ({"log_every": -1}, "log_every: got -1, allowed: at least 0"),
    ({"save_every": -1}, "save_every: got -1, allowed: at least 0"),
    ({"stop_after": 0}, "stop_after: got 0, allowed: at least 1"),
    ({"validation": 1.0}, "validation: got 1.0, allowed: a number in [0, 1)"),
    ({"validation": -0.1}, "validation: got -0.1, allowed: a number in [0, 1)"),
    ({"validation": math.nan}, "validation: got nan, allowed: a number in [0, 1)"),
]

BAD_CLASSIFICATION = [
    ({"accumulate": 0}, "accumulate: got 0, allowed: at least 1"),
    (
        {"accumulate": 3, "batch_size": 8},
        "accumulate: got 3, allowed: a divisor of the batch size 8",
    ),
    ({"augment": "shift=-1"}, "augment: got 'shift=-1', allowed: at least 0"),
    ({"patience": -1}, "patience: got -1, allowed: at least 0"),
    (
        {"patience": 1, "validation": 0.0},
        "patience: got 1, allowed: 0, when there is no validation set",
    ),
    ({"label_smoothing": 1.0}, "label_smoothing: got 1.0, allowed: a number in [0, 1)"),
    ({"ema": 1.0}, "ema: got 1.0, allowed: a number in [0, 1)"),
    ({"weight_decay": -1.0}, "weight_decay: got -1.0, allowed: a number in [0, inf)"),
    ({"clip": math.nan}, "clip: got nan, allowed: a number in [0, inf)"),
    ({"warmup": 1.0}, "warmup: got 1.0, allowed: a number in [0, 1)"),
    ({"seeds": 0}, "seeds: got 0, allowed: at least 1"),
]


@pytest.mark.parametrize(
    ("config", "changes", "line"),
    [(Options, *row) for row in BAD] + [(Classifier, *row) for row in BAD_CLASSIFICATION],
)
def test_invalid_values_are_refused(config, changes, line):
    with pytest.raises(InputError) as raised:
        with_options(config(), **changes).validate()
    assert str(raised.value) == line


def test_validate_changes_only_smoke_options():
    config = with_options(Classifier(), epochs=3.0, seeds=2, cpu_devices=1, cpu_threads=3)
    assert config.validate() is config
    short = with_options(config, smoke=True).validate().run
    assert (short.steps, short.save_every, short.log_every, short.seeds) == (20, 10, 5, 2)


@dataclasses.dataclass(frozen=True)
class Divided(Options):
    """Options of a network that gains from two devices."""

    default_cpu_devices: ClassVar[int] = 2


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (Options(), 1),
        (with_options(Classifier(), seeds=3), 1),
        (Divided(), 2),
        (with_options(Divided(), smoke=True), 2),
        (with_options(Divided(), strategy="sharded"), 2),
        (with_options(Divided(), strategy="pmap", batch_size=6), 2),
        (with_options(Divided(), batch_size=7), 1),
        (with_options(Divided(), seeds=2), 1),
        (with_options(Divided(), strategy="single"), 1),
        (with_options(Divided(), cpu_devices=1), 1),
        (with_options(Divided(), cpu_devices=4), 4),
    ],
)
def test_the_default_number_of_cpu_devices_suits_the_network(config, count, monkeypatch):
    # The tests run with XLA's flag for devices.
    assert config.validate().devices.cpu_devices in (config.devices.cpu_devices, 1)
    monkeypatch.delenv("XLA_FLAGS")
    checked = config.validate()
    assert checked.devices.cpu_devices == count
    assert checked.validate() is checked or checked.run.smoke
    given = with_options(config, cpu_devices=count).validate()
    assert given == checked
    assert checked.devices.cpu_threads == max(count, threads())
    assert hashed_out("rnn", checked) == hashed_out("rnn", given)


def test_errors_name_the_given_option():
    for changes, line in (
        ({"batch_size": 0}, "batch_size: got 0, allowed: at least 1"),
        ({"seeds": 0}, "seeds: got 0, allowed: at least 1"),
    ):
        with pytest.raises(InputError) as raised:
            with_options(Divided(), **changes).validate()
        assert str(raised.value) == line


HUNDRED = Dataset({"input": np.zeros((100, 1))}, "hundred")


def test_steps_follow_from_epochs():
    assert RunOptions(epochs=2.0, batch_size=30).total_steps(HUNDRED) == 6
    assert RunOptions(epochs=0.5, batch_size=30).total_steps(HUNDRED) == 2
    assert RunOptions(epochs=0.01, batch_size=30).total_steps(HUNDRED) == 1
    assert RunOptions(steps=7, batch_size=100).total_steps(HUNDRED) == 7
    assert RunOptions(epochs=3.0).total_steps(Simulated(50)) == 150


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            RunOptions(steps=2**31, batch_size=9),
            "steps: got 2147483648, allowed: fewer than 2**31 steps",
        ),
        (
            RunOptions(epochs=1e300, batch_size=1),
            "epochs: got 1e+300, allowed: fewer than 2**31 steps",
        ),
    ],
)
def test_too_many_steps_are_refused(config, line):
    with pytest.raises(InputError) as raised:
        config.total_steps(HUNDRED)
    assert str(raised.value) == line


def test_other_options_give_another_directory():
    config = with_options(Options(), data="emnist/letters")
    out = hashed_out("cnn", config)
    assert out == hashed_out("cnn", with_options(Options(), data="emnist/letters"))
    assert out.parent.name == "runs" and out.name.startswith("cnn-emnist-letters-")
    for name in flat_options(config):
        same = hashed_out("cnn", with_options(config, **{name: "other"})) == out
        assert same == (name in (*NOT_IDENTITY, "cpu_threads")), name
        assert (name in identity(config)) == (name not in NOT_IDENTITY)


def test_the_default_directory_depends_on_the_flat_options_alone():
    """A regression test: directories of older runs are found again."""
    config = with_options(script("mlp").Config(), cpu_devices=1)
    assert hashed_out("mlp", config).name == "mlp-digits-ca29851f"


@pytest.mark.parametrize("config", CONFIGS[1:], ids=lambda config: config.__module__)
def test_options_survive_a_round_trip_through_their_flat_form(config):
    changes = {"seed": 7, "cpu_devices": 1}
    if "learning_rate" in flat_options(config()):
        changes["learning_rate"] = 0.5
    options = with_options(config(), **changes)
    flat = flat_options(options)
    assert {name: flat[name] for name in changes} == changes
    assert with_options(config(), **flat) == options
    assert from_json(config, json.loads(json.dumps(flat))) == options
    assert from_json(config, {"seed": "7"}) is from_json(config, {"run": {"seed": 7}}) is None
    with pytest.raises(InputError, match=r"^option: got 'run', allowed: "):
        with_options(config(), run=RunOptions())


def test_a_command_line_is_parsed(monkeypatch):
    monkeypatch.setattr("sys.argv", ["script", "--batch-size", "7"])
    seen = []

    def main(config):
        seen.append(config)

    launch(
        main,
        Classifier,
        ["--batch_size", "32", "--seed=4", "--data", "moons", "--smoke", "--ema", "0.9"],
    )
    launch(main, Classifier)
    assert (
        seen[0]
        == with_options(
            Classifier(), batch_size=32, seed=4, data="moons", smoke=True, ema=0.9
        ).validate()
    )
    assert seen[1] == with_options(Classifier(), batch_size=7, cpu_devices=1, cpu_threads=threads())


HINT = "the same command resumes from the last checkpoint\n"


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (JaxdlError("this and that"), 2, "error: this and that\n"),
        (KeyboardInterrupt(), 130, f"stopped by SIGINT; {HINT}"),
        (SystemExit(143), 143, f"stopped by SIGTERM; {HINT}"),
        (SystemExit(3), 3, ""),
    ],
)
def test_exit_codes_and_messages_of_a_script(error, code, line, capsys):
    def main(config):
        raise error

    with pytest.raises(SystemExit) as stopped:
        launch(main, Options, [])
    assert stopped.value.code == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_outside_of_a_run_a_signal_ends_the_script_at_once(number, code, capsys, signals):
    before = [signal.getsignal(each) for each in SIGNALS]
    cleaned_up = []

    def main(config):
        try:
            signal.raise_signal(number)
            pytest.fail("the script continued")
        finally:
            cleaned_up.append(True)

    with pytest.raises(SystemExit) as stopped:
        launch(main, Options, [])
    assert stopped.value.code == code and cleaned_up
    assert capsys.readouterr().err == f"stopped by {number.name}; {HINT}"
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_other_exceptions_keep_their_traceback():
    def main(config):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        launch(main, Options, [])
