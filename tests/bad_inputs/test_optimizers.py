"""Errors of optimizers and schedules for numbers and names that are not allowed."""

import math

import jax.numpy as jnp
import optax
import pytest

from jaxdl.errors import InputError
from jaxdl.optimizers import OPTIMIZERS, SCHEDULES, by_layer, optimizer, schedule

RATE = "a finite number above 0"
RATES = [0.0, -0.1, -0.0, math.nan, math.inf, -math.inf]
PENALTIES = [-1e-9, math.nan, math.inf, -math.inf]


def line_of(call, *args, **options):
    """Returns the error message of a call, which has one line."""
    with pytest.raises(InputError) as raised:
        call(*args, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learning_rate_of_an_optimizer(name, rate):
    assert line_of(optimizer, name, rate) == f"learning_rate: got {rate!r}, allowed: {RATE}"


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", SCHEDULES)
def test_learning_rate_of_a_schedule(name, rate):
    assert line_of(schedule, name, rate, 10) == f"learning_rate: got {rate!r}, allowed: {RATE}"


@pytest.mark.parametrize("steps", [0, -1, -(10**9)])
@pytest.mark.parametrize("name", SCHEDULES)
def test_steps(name, steps):
    assert line_of(schedule, name, 0.1, steps) == f"steps: got {steps}, allowed: at least 1"


@pytest.mark.parametrize("warmup", [-0.1, 1.0, 1000, math.nan])
@pytest.mark.parametrize("name", SCHEDULES)
def test_warmup(name, warmup):
    assert (
        line_of(schedule, name, 0.1, 10, warmup=warmup)
        == f"warmup: got {warmup!r}, allowed: a number in [0, 1)"
    )


@pytest.mark.parametrize("value", PENALTIES)
@pytest.mark.parametrize("field", ["weight_decay", "l1", "clip"])
@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_penalties(name, field, value):
    line = line_of(optimizer, name, 0.1, **{field: value})
    assert line == f"{field}: got {value!r}, allowed: a number in [0, inf)"


@pytest.mark.parametrize("value", [-0.1, 1, 1.5, math.nan])
@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "schedule_free"])
def test_momentum(name, value):
    line = line_of(optimizer, name, 0.1, momentum=value)
    assert line == f"momentum: got {value!r}, allowed: a number in [0, 1)"


def test_momentum_of_schedule_free_is_above_zero():
    found = line_of(optimizer, "schedule_free", 0.1, momentum=0.0)
    assert (
        found
        == "momentum: got 0.0, allowed: a number in (0, 1) with schedule_free, which divides by it"
    )


ALL = (
    "adadelta, adagrad, adam, adamw, lion, momentum, muon, nadam, "
    "nesterov, rmsprop, schedule_free, sgd"
)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("adm", " (did you mean 'adam'?)"),
        ("Adam", " (did you mean 'adam'?)"),
        ("rms_prop", " (did you mean 'rmsprop'?)"),
        ("schedule-free", " (did you mean 'schedule_free'?)"),
        ("xyzzy", ""),
    ],
)
def test_unknown_optimizer(name, hint):
    assert line_of(optimizer, name, 0.1) == f"optimizer: got {name!r}, allowed: {ALL}{hint}"


@pytest.mark.parametrize(("name", "hint"), [("cosin", " (did you mean 'cosine'?)"), ("xyzzy", "")])
def test_unknown_schedule(name, hint):
    allowed = "constant, cosine, exponential, one_cycle, polynomial, step, warmup_cosine"
    assert line_of(schedule, name, 0.1, 10) == f"schedule: got {name!r}, allowed: {allowed}{hint}"


SGD = optax.sgd(0.1)
BY_NAME = 'a dictionary such as {"conv_0": optax.adam(1e-4)}'


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (([SGD], SGD), f"optimizers: got <class 'list'>, allowed: {BY_NAME}"),
        (({}, SGD), f"optimizers: got [], allowed: {BY_NAME}"),
        (({0: SGD}, SGD), f"optimizers: got [0], allowed: {BY_NAME}"),
        (
            ({"head": optax.sgd}, SGD),
            "head: got 'sgd', allowed: a transformation, as optax.adam(1e-3)",
        ),
        (({"head": SGD}, 0.1), "default: got 0.1, allowed: a transformation, as optax.adam(1e-3)"),
        (
            ({"haed": SGD}, SGD),
            "by_layer: got 'haed', allowed: conv_0, head, head/out (did you mean 'head'?)",
        ),
        (
            ({"head": optimizer("schedule_free", 0.1)}, SGD),
            "by_layer: got 'a schedule-free optimizer', "
            "allowed: others; it averages all parameters",
        ),
    ],
)
def test_optimizers_by_layer(arguments, line):
    params = {"conv_0": {"bias": jnp.zeros(1)}, "head": {"out": {"bias": jnp.zeros(1)}}}
    assert line_of(lambda: by_layer(*arguments).init(params)) == line
