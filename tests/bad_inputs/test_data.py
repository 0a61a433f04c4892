"""Errors for bad data: one line with the field, the value and what is allowed."""

import jax
import numpy as np
import pytest

import jaxdl
from jaxdl import root
from jaxdl.data import (
    Dataset,
    check_batch_size,
    check_classification,
    holdout,
    load,
    split,
    standardize,
)
from jaxdl.errors import InputError

RANDOM = np.random.RandomState(0)
IMAGES = RANDOM.uniform(0, 1, (10, 8, 8, 1)).astype(np.float32)
LABEL = RANDOM.randint(0, 10, 10)
DATA = Dataset({"input": IMAGES, "label": LABEL}, "random", 10)
SETS = (
    "digits, photos, moons, spirals, fruits, curved_fruits, an image classification set of TFDS, "
    "a .npz or .csv file, or a folder of images"
)

RAGGED = "numbers of one dtype; pad sequences to one length and add a field `length`"
WORDS = "numbers; np.unique(x, return_inverse=True)[1] numbers the words"


def changed(array, row, value):
    """Returns a copy of the array with another value in a row."""
    array = array.copy()
    array[row] = value
    return array


def check(input=IMAGES, label=LABEL, classes=10):
    """Checks a set for classification with these fields."""
    check_classification(Dataset({"input": input, "label": label}, "random", classes))


TABLE = {
    # Sets.
    "no fields": (lambda: Dataset({}, "a"), "arrays: got {}, allowed: at least one field"),
    "empty": (
        lambda: check(IMAGES[:0], LABEL[:0]),
        "input rows: got 0, allowed: at least 1, not an empty set",
    ),
    "empty subset": (
        lambda: DATA.take(np.array([], int)),
        "input rows: got 0, allowed: at least 1, not an empty set",
    ),
    "unequal lengths": (
        lambda: check(label=LABEL[:9]),
        "label rows: got 9, allowed: 10, as many as input has",
    ),
    "scalar": (
        lambda: check(label=np.array(3)),
        "label shape: got (), allowed: [N, ...], one row per example",
    ),
    "unknown field": (lambda: DATA["image"], "field: got 'image', allowed: input, label"),
    "misspelt field": (
        lambda: DATA["lable"],
        "field: got 'lable', allowed: input, label (did you mean 'label'?)",
    ),
    "no label": (
        lambda: check_classification(Dataset({"input": IMAGES}, "a")),
        "field: got 'label', allowed: input",
    ),
    "not a dictionary": (
        lambda: Dataset([IMAGES], "a"),
        "arrays: got <class 'list'>, allowed: a dictionary {field: array [N, ...]}",
    ),
    # Values that are not numbers, or not the same numbers in 32 bits.
    **{
        name: (lambda values=values: Dataset({"x": values}, "a"), f"x{got}, allowed: {allowed}")
        for name, values, got, allowed in [
            ("objects", np.array([1, "a"], object), " dtype: got 'object'", RAGGED),
            ("nothing", [None, 1.0], " dtype: got 'object'", RAGGED),
            ("names", ["cat", "dog"], " dtype: got 'str96'", WORDS),
            ("bytes", np.array([b"cat"]), " dtype: got 'bytes24'", WORDS),
            (
                "times",
                np.array([1], "M8[s]"),
                " dtype: got 'datetime64[s]'",
                "numbers, such as (x - x[0]) / np.timedelta64(1, 'h')",
            ),
            (
                "durations",
                np.array([1], "m8[s]"),
                " dtype: got 'timedelta64[s]'",
                "numbers, such as x / np.timedelta64(1, 'h')",
            ),
            (
                "records",
                np.zeros(3, [("a", "f4"), ("b", "f4")]),
                " dtype: got 'void64'",
                "numbers of one dtype, such as np.stack([x[name] for name in x.dtype.names], -1)",
            ),
            (
                "missing values",
                np.ma.masked_array([1.0, 2.0], [False, True]),
                ": got 'a masked array'",
                "an array without missing values, such as x.filled(0) with a field `mask`",
            ),
            (
                "keys",
                jax.random.split(root(0), 3),
                ": got 'PRNGKeyArray'",
                "an array [N, ...] of numbers (JAX array with PRNGKey dtype cannot be converted to "
                "a NumPy array. Use jax.random.key_data(arr) if you wish to extract the underlying "
                "integer array.)",
            ),
            ("int64", [0, -(2**31) - 1], "[1]: got -2147483649", "a number that fits into int32"),
            (
                "uint64",
                np.array([0, 2**63], np.uint64),
                "[1]: got 9223372036854775808",
                "a number that fits into uint32",
            ),
            (
                "float64",
                [[1, 2], [np.inf, -1e39]],
                "[1]: got -1e+39",
                "a number that fits into float32",
            ),
            (
                "long double",
                np.longdouble([1, 1e300]),
                "[1]: got 1e+300",
                "a number that fits into float32",
            ),
        ]
    },
    "a label that would be 1": (
        lambda: check(label=changed(LABEL, 4, 2**32 + 1)),
        "label[4]: got 4294967297, allowed: an integer in [0, 10)",
    ),
    "a label that would be 1, classes unknown": (
        lambda: check(label=changed(LABEL, 4, 2**32 + 1), classes=None),
        "label[4]: got 4294967297, allowed: a number that fits into int32",
    ),
    # Labels.
    "label too large": (
        lambda: check(label=changed(LABEL, 7, 10)),
        "label[7]: got 10, allowed: an integer in [0, 10)",
    ),
    "label negative": (
        lambda: check(label=changed(LABEL, 3, -1)),
        "label[3]: got -1, allowed: an integer in [0, 10)",
    ),
    "label negative, classes unknown": (
        lambda: check(label=changed(LABEL, 3, -1), classes=None),
        "label[3]: got -1, allowed: a non-negative integer",
    ),
    "label of a large dtype": (
        lambda: check(label=changed(LABEL.astype(np.uint64), 2, 2**64 - 1)),
        "label[2]: got 18446744073709551615, allowed: an integer in [0, 10)",
    ),
    "first of several": (
        lambda: check(label=changed(LABEL, slice(4, 9), 11)),
        "label[4]: got 11, allowed: an integer in [0, 10)",
    ),
    "float labels": (
        lambda: check(label=LABEL.astype(np.float32)),
        "label dtype: got 'float32', "
        "allowed: integers, the class of each example, such as y.astype('int32')",
    ),
    "Boolean labels": (
        lambda: check(label=LABEL > 4),
        "label dtype: got 'bool', "
        "allowed: integers, the class of each example, such as y.astype('int32')",
    ),
    "fractions as labels": (
        lambda: check(label=changed(LABEL / 1, 6, 0.5)),
        "label[6]: got 0.5, allowed: integers, the class of each example",
    ),
    "a missing label": (
        lambda: check(label=changed(LABEL / 1, 2, np.nan)),
        "label[2]: got nan, allowed: integers, the class of each example",
    ),
    "one-hot labels": (
        lambda: check(label=np.eye(10, dtype=np.float32)),
        "label shape: got (10, 10), allowed: [N], one integer per example, such as y.argmax(1)",
    ),
    "labels in a column": (
        lambda: check(label=LABEL[:, None]),
        "label shape: got (10, 1), allowed: [N], one integer per example, such as y[:, 0]",
    ),
    "one class": (lambda: check(classes=1), "classes: got 1, allowed: at least 2"),
    # Inputs.
    "one dimension": (
        lambda: check(IMAGES[:, 0, 0, 0]),
        "input shape: got (10,), allowed: images [N, H, W, C] or vectors [N, D]",
    ),
    "five dimensions": (
        lambda: check(IMAGES[None].swapaxes(0, 1)),
        "input shape: got (10, 1, 8, 8, 1), allowed: images [N, H, W, C] or vectors [N, D]",
    ),
    "no channel": (
        lambda: check(IMAGES[..., 0]),
        "input shape: got (10, 8, 8), "
        "allowed: [N, H, W, C], for grey images x[..., None]; sequences need a field `length`",
    ),
    "no pixels": (
        lambda: check(IMAGES[:, :0]),
        "input shape: got (10, 0, 8, 1), allowed: images [N, H, W, C] or vectors [N, D]",
    ),
    "one channel first": (
        lambda: check(IMAGES.transpose(0, 3, 1, 2)),
        "input shape: got (10, 1, 8, 8), "
        "allowed: [N, H, W, C], channels last; use x.transpose(0, 2, 3, 1)",
    ),
    "three channels first": (
        lambda: check(RANDOM.uniform(0, 1, (10, 3, 7, 9))),
        "input shape: got (10, 3, 7, 9), "
        "allowed: [N, H, W, C], channels last; use x.transpose(0, 2, 3, 1)",
    ),
    "pixels in bytes": (
        lambda: check((IMAGES * 255).astype(np.uint8)),
        "input dtype: got 'uint8', allowed: float32 in [0, 1]; divide the pixels by 255",
    ),
    "integers": (
        lambda: check((IMAGES * 255).astype(np.int32)),
        "input dtype: got 'int32', allowed: a floating-point dtype such as float32",
    ),
    "whole numbers 0..255": (
        lambda: check(changed(changed((IMAGES * 90).round(), 0, 0), 1, 93)),
        "input: got 'values from 0 to 93', allowed: pixels in [0, 1], or standardized",
    ),
    "numbers 0..255": (
        lambda: check(changed(changed(IMAGES * 200, 0, 0), 1, 254.5)),
        "input: got 'values from 0 to 254.5', allowed: pixels in [0, 1], or standardized",
    ),
    "whole numbers 0..16": (
        lambda: check(changed((IMAGES * 15).round(), [0, 1], [[[[0]]], [[[16]]]])),
        "input: got 'values from 0 to 16', allowed: pixels in [0, 1], or standardized",
    ),
    "NaN": (
        lambda: check(changed(IMAGES, (4, 2, 3), np.nan)),
        "input[4]: got nan, allowed: finite numbers",
    ),
    "infinite": (
        lambda: check(changed(IMAGES, (9, 0, 0), -np.inf)),
        "input[9]: got -inf, allowed: finite numbers",
    ),
    "NaN in a vector": (
        lambda: check(changed(IMAGES, (2, 7, 7), np.nan).reshape(10, 64)),
        "input[2]: got nan, allowed: finite numbers",
    ),
    # Batches and splits.
    **{
        f"batch of {size}": (
            lambda size=size: check_batch_size(DATA, size),
            f"batch_size: got {size}, allowed: an integer from 1 to 10, the size of random",
        )
        for size in (11, 0, -1, 2.0, True, None)
    },
    **{
        f"fraction of {fraction}": (
            lambda fraction=fraction: split(DATA, root(0), fraction),
            f"fraction: got {fraction}, allowed: a number in (0, 1)",
        )
        for fraction in (0, 1, 1.5, -0.1, float("nan"))
    },
    "fraction too small": (
        lambda: split(DATA, root(0), 0.01),
        "fraction: got 0.01, allowed: a fraction that leaves both parts of 10 examples non-empty",
    ),
    "nothing to hold out": (
        lambda: holdout(Dataset({"label": np.arange(5)}, "five")),
        "size: got 5, allowed: a set with several examples per class, to split off a test set",
    ),
    "holdout of one-hot labels": (
        lambda: holdout(Dataset({"label": np.eye(4)}, "four")),
        "label shape: got (4, 4), allowed: [N]",
    ),
    "holdout of everything": (
        lambda: holdout(DATA, 1.0),
        "fraction: got 1.0, allowed: a number in (0, 1)",
    ),
    "standardize a missing field": (
        lambda: standardize(DATA, field="image"),
        "field: got 'image', allowed: input, label",
    ),
    # None of these names is used as a path or passed to another process.
    **{
        f"name {name!r}": (lambda name=name: load(name), f"data: got {name!r}, allowed: {SETS}")
        for name in (
            "a/../b",
            "a/..",
            "C:\\x",
            "-x",
            "a\nb",
            "\0",
            "a.npz\0",
            "kaggle:a/b",
            "a/b/c",
        )
    },
    **{
        f"path {name!r}": (
            lambda name=name: load(name),
            f"data: got {name!r}, allowed: a folder, or a .npz or .csv file, that exists",
        )
        for name in ("../digits", "/etc/passwd", "./mnist", "~/no such folder")
    },
    "no name": (lambda: load(""), f"data: got '', allowed: {SETS}"),
    "data_dir": (
        lambda: load("mnist", "a\0b"),
        "data_dir: got 'a\\x00b', allowed: a path without a null byte",
    ),
    "cache_dir": (
        lambda: load("mnist", "a", "a\0b"),
        "cache_dir: got 'a\\x00b', allowed: a path without a null byte",
    ),
}


@pytest.mark.parametrize("row", TABLE)
def test_a_bad_set_is_one_line_with_field_value_and_what_is_allowed(row):
    call, message = TABLE[row]
    with pytest.raises(InputError) as raised:
        call()
    assert str(raised.value) == message


def sequences(**fields):
    """Returns a set of sequences of 4 steps, with other fields if they are given."""
    ids = np.random.default_rng(0).integers(0, 5, (6, 4)).astype(np.int32)
    arrays = {"input": ids, "label": np.arange(6) % 2, "length": np.full(6, 4), **fields}
    return Dataset(arrays, "sequences", 2)


@pytest.mark.parametrize(
    ("length", "line"),
    [
        (np.array([4, 1, 0, 2, 2, 2]), "length[2]: got 0, allowed: an integer in [1, 4]"),
        (np.array([4, 1, 2, 2, 2, 5]), "length[5]: got 5, allowed: an integer in [1, 4]"),
        (np.ones(6), "length: got 'float64[6]', allowed: integers [B], one per sequence"),
    ],
)
def test_lengths_are_checked_before_anything_compiles(length, line):
    task = jaxdl.tasks.classify(jaxdl.models.MLP((3,), 2))
    net = jaxdl.learner(task.init, *task.updates(jaxdl.optimizers.optimizer("sgd", 0.1)))
    arguments = {"key": jaxdl.root(0), "steps": 1, "batch_size": 4}
    bad = sequences(length=length)
    for call in (
        lambda: check_classification(bad),
        lambda: jaxdl.train(net, bad, **arguments),
        lambda: jaxdl.train(net, sequences(), validation=bad, **arguments),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value) == line
    check_classification(sequences())


def test_a_contiguous_set_is_not_shuffled_or_split_at_random():
    data = jaxdl.data.contiguous_windows(np.random.default_rng(0).integers(0, 5, 200), 8)
    assert data.contiguous
    assert not data.take(np.array([3, 1])).contiguous
    with pytest.raises(InputError, match="rows can be shuffled; divide a text by `split_text`"):
        jaxdl.data.split(data, jaxdl.root(0), 0.5)


def test_a_carried_state_needs_a_contiguous_set():
    model = jaxdl.models.SequenceNet(jaxdl.models.OneHot(5), jaxdl.nn.RNN("gru", 3), 5)
    task = jaxdl.tasks.language(model, carried=True)
    net = jaxdl.learner(task.init, *task.updates(jaxdl.optimizers.optimizer("sgd", 0.1)))
    data = jaxdl.data.windows(np.random.default_rng(0).integers(0, 5, 200), 8, 8)
    with pytest.raises(
        InputError, match="data: got 'text', allowed: a contiguous set, for a model with a carry"
    ):
        jaxdl.train(net, data, key=jaxdl.root(0), steps=1, batch_size=4)
