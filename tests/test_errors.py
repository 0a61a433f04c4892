"""Error messages: one line with the field, the value and the allowed values."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import errors
from jaxdl.errors import InputError


def test_input_error_names_field_value_and_allowed_values():
    error = InputError("steps", -3, "at least 1")
    assert str(error) == "steps: got -3, allowed: at least 1"
    assert isinstance(error, ValueError)
    assert isinstance(error, errors.JaxdlError)


@pytest.mark.parametrize("value", ["two\nlines", np.zeros((3, 3)), "tab\there", object()])
def test_input_error_is_one_line_for_any_value(value):
    assert "\n" not in str(InputError("field", value, "a value"))
    assert "\t" not in str(InputError("field", value, "a value"))


@pytest.mark.parametrize(
    "name", ["InputError", "DataUnavailable", "NonFinite", "CheckpointError", "RunError"]
)
def test_all_errors_have_one_base_class(name):
    assert issubclass(getattr(errors, name), errors.JaxdlError)


def test_one_of_returns_a_known_name():
    assert errors.one_of("optimizer", "adam", ["sgd", "adam"]) == "adam"
    assert errors.one_of("optimizer", "adam", (name for name in ["sgd", "adam"])) == "adam"


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("adm", "optimizer: got 'adm', allowed: adam, adamw, sgd (did you mean 'adam'?)"),
        ("sdg", "optimizer: got 'sdg', allowed: adam, adamw, sgd (did you mean 'sgd'?)"),
        ("zzzzzz", "optimizer: got 'zzzzzz', allowed: adam, adamw, sgd"),
        ("", "optimizer: got '', allowed: adam, adamw, sgd"),
        (3, "optimizer: got 3, allowed: adam, adamw, sgd"),
        (None, "optimizer: got None, allowed: adam, adamw, sgd"),
    ],
)
def test_one_of_suggests_the_nearest_name(value, line):
    with pytest.raises(InputError) as raised:
        errors.one_of("optimizer", value, ["sgd", "adamw", "adam"])
    assert str(raised.value) == line


def test_at_least_includes_the_bound():
    errors.at_least("steps", 1, 1)
    errors.at_least("steps", np.int32(7), 1)
    for value in (0, -3):
        with pytest.raises(InputError) as raised:
            errors.at_least("steps", value, 1)
        assert str(raised.value) == f"steps: got {value}, allowed: at least 1"


@pytest.mark.parametrize("value", [1.0, 93.75, math.inf, math.nan, "10", None, True])
def test_at_least_refuses_values_that_are_not_integers(value):
    with pytest.raises(InputError) as raised:
        errors.at_least("steps", value, 1)
    assert str(raised.value) == f"steps: got {value!r}, allowed: an integer, at least 1"


def test_of_kind_shows_short_values_and_types_of_others():
    errors.of_kind("data", [1], list, "a list")
    for value, shown in [("runs/x", "'runs/x'"), (3, "3"), ({"x": np.zeros(9)}, "<class 'dict'>")]:
        with pytest.raises(InputError) as raised:
            errors.of_kind("data", value, list, "a list")
        assert str(raised.value) == f"data: got {shown}, allowed: a list"


def test_in_range_includes_the_low_end_only():
    errors.in_range("dropout", 0, 0, 1)
    errors.in_range("dropout", math.nextafter(1, 0), 0, 1)
    for value, shown in [(1, "1"), (-1e-9, "-1e-09"), (math.inf, "inf"), (math.nan, "nan")]:
        with pytest.raises(InputError) as raised:
            errors.in_range("dropout", value, 0, 1)
        assert str(raised.value) == f"dropout: got {shown}, allowed: a number in [0, 1)"


def test_a_raised_error_can_be_caught_as_a_value_error():
    with pytest.raises(ValueError, match="seed: got -1"):
        raise InputError("seed", -1, "an integer in [0, 2**32)")


@pytest.mark.parametrize(
    "f", [np.sin, lambda x: np.sin(x), math.sin, float, lambda x: 1.0 if x > 0 else 0.0]
)
def test_functions_that_read_their_numbers_are_named(f):
    with pytest.raises(InputError, match=r"^f: got 'np.sin, math.sin, float"), errors.in_jax("f"):
        jax.eval_shape(f, jnp.ones(()))


def test_other_errors_of_a_function_are_raised_as_they_are():
    with pytest.raises(TypeError, match="mine"), errors.in_jax("f"):
        raise TypeError("mine")


@pytest.mark.parametrize("value", [None, "1", [1.0, 2.0], 1j, jax.random.key(0), 0.0, math.inf])
def test_positive_numbers(value):
    errors.positive("rate", np.float32(2))
    with pytest.raises(InputError, match="^rate: got .*, allowed: a finite number above 0$"):
        errors.positive("rate", value)


@pytest.mark.parametrize("value", [None, "1", [1j], jax.random.key(0), [[1], [1, 2]], print])
def test_arrays_of_real_numbers(value):
    assert errors.real_array("x", [1, 2.5], "numbers").tolist() == [1, 2.5]
    with pytest.raises(InputError, match="^x: got .*, allowed: numbers$"):
        errors.real_array("x", value, "numbers")
