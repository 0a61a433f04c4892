"""Shapes and names of the inputs of an exported function."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdl.errors import InputError
from jaxdl.export.inputs import any_batch_size, batch_specs, input_names, require


def test_all_inputs_share_one_batch_size():
    first, second = batch_specs(np.zeros((3, 4), np.float32), jnp.zeros(7, jnp.int32))
    assert first.shape[0] == second.shape[0]
    assert first.shape[1:] == (4,)
    assert (str(first.shape[0]), first.dtype, second.dtype) == ("batch", np.float32, np.int32)


def test_a_shape_without_numbers_is_an_example():
    (spec,) = batch_specs(jax.ShapeDtypeStruct((1, 4), jnp.float32))
    assert spec.shape[1:] == (4,)


def test_float64_of_numpy_is_what_jax_would_compute():
    assert batch_specs(np.zeros((1, 2)))[0].dtype == np.float32


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ((), r"^examples: got \(\), allowed: an array \[B, ...\] for each input"),
        (([1.0],), r"^examples\[0\]: got 'list', allowed: an array \[B, ...\]$"),
        ((np.zeros(2), 3), r"^examples\[1\]: got 'int', allowed: an array"),
        ((np.float32(1),), r"^examples\[0\]: got .*with the batch as first axis$"),
        ((jax.random.key(0),), r"^examples\[0\]: got 'key<fry>', allowed: .* without keys"),
    ],
)
def test_other_examples_are_refused(examples, message):
    with pytest.raises(InputError, match=message):
        batch_specs(*examples)


def test_names_are_those_of_the_arguments_that_are_left():
    def predict(params, extra, inputs, lengths=None):
        return inputs

    assert input_names(Partial(predict, 1, 2), 1) == ["inputs"]
    assert input_names(Partial(predict, 1, 2), 2) == ["inputs", "lengths"]
    assert input_names(predict, 2) == ["params", "extra"]
    assert input_names(lambda x, *, y: x, 2) == ["x", "input_1"]
    assert input_names(max, 1) == ["input_0"]


def test_a_function_that_needs_the_batch_size_is_one_line():
    def f(x):
        return jnp.zeros(int(x.shape[0]))

    message = r"^f: got 'a function that needs the batch size', allowed: a function for any"
    with pytest.raises(InputError, match=message), any_batch_size():
        jax.eval_shape(f, *batch_specs(np.zeros((2, 3))))


def test_a_missing_package_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    message = r"^export: got None, allowed: the package onnx; run: pip install 'jaxdl\[export\]'$"
    with pytest.raises(InputError, match=message):
        require("onnx")
