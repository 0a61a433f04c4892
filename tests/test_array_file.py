"""Tests of files of unfinished work: contents, identity, damage and places."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.array_file import ArrayFile
from jaxdl.errors import InputError
from jaxdl.rng import root

RANDOM = np.random.default_rng(0)
INPUTS = {
    "weights": {"a": RANDOM.normal(size=(3, 2)), "b": np.arange(4)},
    "key": root(1),
    "options": (0.1, "text", None),
}
ARRAYS = {"x": RANDOM.normal(size=5).astype(np.float32), "count": np.int64(3)}


def test_a_file_has_its_arrays_with_the_same_bits(tmp_path):
    path = tmp_path / "work.npz"
    assert ArrayFile(path, INPUTS).read() is None
    ArrayFile(path, INPUTS).write({"x": np.zeros(2)})
    ArrayFile(path, INPUTS).write(ARRAYS)
    found = ArrayFile(str(path), INPUTS).read()
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.asarray(array).dtype
    assert [each.name for each in tmp_path.iterdir()] == ["work.npz"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", {"a": INPUTS["weights"]["a"] + 1e-7, "b": np.arange(4)}),
        ("weights", {"a": INPUTS["weights"]["a"].astype(np.float32), "b": np.arange(4)}),
        ("weights", {"a": INPUTS["weights"]["a"].T, "b": np.arange(4)}),
        ("weights", {"a": INPUTS["weights"]["a"].reshape(2, 3), "b": np.arange(4)}),
        ("weights", {"a": INPUTS["weights"]["a"].view(np.int64), "b": np.arange(4)}),
        ("key", root(2)),
        ("options", (0.2, "text", None)),
        ("options", (0.1, "texts", None)),
    ],
)
def test_a_file_that_was_made_from_other_inputs_is_refused(tmp_path, name, value):
    path = tmp_path / "work.npz"
    ArrayFile(path, INPUTS).write(ARRAYS)
    with pytest.raises(InputError) as raised:
        ArrayFile(path, {**INPUTS, name: value}, "out").read()
    allowed = f"a file with the same {name}; remove this one, or choose another out"
    assert str(raised.value) == f"out: got '{path}', allowed: {allowed}"


def test_a_damaged_file_is_refused_in_one_line(tmp_path):
    path = tmp_path / "work.npz"
    file = ArrayFile(path, INPUTS)
    file.write(ARRAYS)
    contents = path.read_bytes()
    cuts = [contents[:count] for count in range(0, len(contents), 97)]
    for damaged in [*cuts, b"no archive"]:
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="^path: got .*a complete file; remove this one, or"):
            file.read()
    for fields in ({"other": np.zeros(3)}, {"identity": np.array("3")}):
        np.savez(path, **fields)
        with pytest.raises(InputError, match="a complete file"):
            file.read()


def test_random_damage_is_refused_or_changes_no_array(tmp_path):
    path = tmp_path / "work.npz"
    file = ArrayFile(path, INPUTS)
    file.write(ARRAYS)
    contents = bytearray(path.read_bytes())
    refused = 0
    for place in RANDOM.integers(0, len(contents), 300):
        damaged = bytearray(contents)
        damaged[place] ^= 1 << int(RANDOM.integers(8))
        path.write_bytes(damaged)
        try:
            found = file.read()
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
            continue
        for name in ARRAYS.keys() & found.keys():
            np.testing.assert_array_equal(found[name], ARRAYS[name])
    assert refused > 100


def test_a_failed_write_keeps_the_earlier_file(tmp_path):
    path = tmp_path / "work.npz"
    file = ArrayFile(path, INPUTS)
    file.write(ARRAYS)

    class Broken:
        def __array__(self, *args, **kwargs):
            raise MemoryError

    with pytest.raises(MemoryError):
        file.write({"x": Broken()})
    np.testing.assert_array_equal(file.read()["x"], ARRAYS["x"])
    assert [each.name for each in tmp_path.iterdir()] == ["work.npz"]


def test_a_place_that_holds_no_file_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    places = (tmp_path / "folder", tmp_path / "no" / "x.npz", "a\0b", tmp_path / ("x" * 300))
    for path in places:
        with pytest.raises(InputError, match="^path: got .*a file in a folder"):
            ArrayFile(path, {})
    with pytest.raises(InputError, match="^path: got 3, allowed: the path of a file"):
        ArrayFile(3, {})


def test_the_hash_of_an_array_is_that_of_its_numbers(tmp_path):
    """The same numbers in another memory layout, or on a device, are the same input."""
    path = tmp_path / "work.npz"
    array = RANDOM.normal(size=(4, 3)).astype(np.float32)
    ArrayFile(path, {"x": array}).write(ARRAYS)
    for same in (np.asfortranarray(array), jnp.asarray(array), jax.device_put(array)):
        assert ArrayFile(path, {"x": same}).read() is not None
