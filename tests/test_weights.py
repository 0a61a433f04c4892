"""Tests of the files of a network: damage and foreign contents are refused in one line."""

import json
import os
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError, RunError
from jaxdl.training.manifest import leaves
from jaxdl.weights import (
    MODEL,
    WEIGHTS,
    read_model,
    read_result,
    read_weights,
    write_model,
    write_weights,
)

RANDOM = np.random.default_rng(0)
VARIABLES = {
    "params": {"a": RANDOM.normal(size=(3, 2)).astype(np.float32), "b/c": np.float32(0.5)},
    "batch_stats": {"mean": RANDOM.normal(size=2).astype(np.float32), "n": np.int32(7)},
}


def shapes(tree):
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype), tree)


def stacked(count):
    return jax.tree.map(lambda x: np.stack([x + i for i in range(count)]), VARIABLES)


def test_weights_come_back_bit_equal(tmp_path):
    write_weights(tmp_path, VARIABLES, 12, None)
    found, steps = read_weights(tmp_path, shapes(VARIABLES), 0)
    assert steps == 12
    assert jax.tree.structure(found) == jax.tree.structure(VARIABLES)
    jax.tree.map(np.testing.assert_array_equal, found, VARIABLES)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "bool", "uint8", "int8"])
def test_each_dtype_of_a_parameter_comes_back(dtype, tmp_path):
    variables = {"params": {"a": jnp.array([[1, 0], [3, 2]], dtype)}}
    write_weights(tmp_path, variables, 1, None)
    found, _ = read_weights(tmp_path, shapes(variables), 0)
    assert found["params"]["a"].dtype == dtype
    np.testing.assert_array_equal(found["params"]["a"], variables["params"]["a"])


def test_each_member_comes_back(tmp_path):
    write_weights(tmp_path, stacked(3), 1, 3)
    for i in range(3):
        found, _ = read_weights(tmp_path, shapes(VARIABLES), i)
        jax.tree.map(lambda x, y, i=i: np.testing.assert_array_equal(x, y + i), found, VARIABLES)
    for member in (3, -1):
        with pytest.raises(InputError, match=r"^member: got .* allowed: an index in \[0, 3\)"):
            read_weights(tmp_path, shapes(VARIABLES), member)


def test_other_libraries_read_the_weights(tmp_path):
    from safetensors.numpy import load_file

    write_weights(tmp_path, VARIABLES, 12, None)
    arrays = load_file(tmp_path / WEIGHTS)
    assert set(arrays) == set(leaves(VARIABLES))
    np.testing.assert_array_equal(arrays["params/a"], VARIABLES["params"]["a"])


def refused(directory, expected=None, match="allowed: "):
    with pytest.raises(InputError, match=match) as caught:
        read_weights(directory, expected or shapes(VARIABLES), 0)
    assert "\n" not in str(caught.value)


def test_every_changed_byte_of_the_numbers_is_found(tmp_path):
    write_weights(tmp_path, VARIABLES, 12, None)
    content = (tmp_path / WEIGHTS).read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    for position in range(start, len(content)):
        damaged = bytearray(content)
        damaged[position] ^= 1
        (tmp_path / WEIGHTS).write_bytes(damaged)
        refused(tmp_path, match="undamaged copy")


def test_files_of_random_bytes_are_refused(tmp_path):
    write_weights(tmp_path, VARIABLES, 12, None)
    content = (tmp_path / WEIGHTS).read_bytes()
    random = np.random.default_rng(1)
    for _ in range(200):
        damaged = bytearray(content)
        for position in random.integers(0, len(content), 3):
            damaged[position] ^= int(random.integers(1, 256))
        (tmp_path / WEIGHTS).write_bytes(damaged)
        refused(tmp_path)
    for size in range(0, len(content), 13):
        (tmp_path / WEIGHTS).write_bytes(content[:size])
        refused(tmp_path)


def test_headers_with_impossible_numbers_are_refused(tmp_path):
    def write(header):
        text = json.dumps(header).encode()
        (tmp_path / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text)

    array = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
    for header in ({"a": array}, {"__metadata__": {"steps": "x"}}, {"__metadata__": {}}, {}, [1]):
        write(header)
        refused(tmp_path)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "directory"])
def test_a_file_that_is_no_file_is_refused(tmp_path, make):
    make(tmp_path / WEIGHTS)
    refused(tmp_path, match="a regular file")


def test_weights_of_another_model_name_the_first_array(tmp_path):
    write_weights(tmp_path, VARIABLES, 12, None)
    other = shapes({**VARIABLES, "params": {**VARIABLES["params"], "a": np.ones((3, 3), "f4")}})
    refused(tmp_path, other, r"params/a: got 'float32\[3, 2\]', allowed: float32\[3, 3\]")
    other = shapes({**VARIABLES, "more": {"x": np.zeros(2)}})
    refused(tmp_path, other, "more/x: got 'no array'")


def test_missing_weights_name_the_way_out(tmp_path):
    refused(tmp_path, match="a finished run; its command resumes it")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"format": 2}',
        '{"format": 1, "task": {}}',
        '{"format": 1, "task": {}, "preprocessing": {}, "fields": []}',
        '{"format": 1, "task": {}, "preprocessing": {}, "fields": {"x": {"shape": [-1]}}}',
        '{"format": 1, "task": {}, "preprocessing": 3, "fields": {}}',
        '{"format": 1, "preprocessing": {}, "fields": {"x": {"shape": "a", "dtype": "f4"}}}',
        '{"format": 1, "preprocessing": {}, "fields": {"x": {"shape": [1], "dtype": "O"}}}',
    ],
)
def test_other_models_are_refused_in_one_line(tmp_path, content):
    (tmp_path / MODEL).write_text(content)
    with pytest.raises(InputError) as caught:
        read_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_directories_without_a_model_name_the_way_out(tmp_path):
    with pytest.raises(InputError, match="such as that of a finished run"):
        read_model(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="run its command again"):
        read_model(tmp_path)


def test_results_are_optional_but_intact(tmp_path):
    assert read_result(tmp_path) == {}
    (tmp_path / "result.json").write_text("{")
    with pytest.raises(InputError, match="remove it, or restore it"):
        read_result(tmp_path)


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot be written"):
        write_model(tmp_path / "file", {})
    with pytest.raises(RunError, match="cannot be written"):
        write_weights(tmp_path / "nowhere", VARIABLES, 1, None)
