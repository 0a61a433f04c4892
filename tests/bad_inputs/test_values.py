"""Sets that training would refuse are refused by evaluation, validation and prediction too."""

import jax
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.data import Dataset, check_classification, mapped_array
from jaxdl.data.checks import check_numbers
from jaxdl.data.dataset import check_source
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import InputError
from jaxdl.models import MLP
from jaxdl.training import Sharded

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(10, 4)).astype(np.float32)
LABEL = np.arange(10) % 3
TASK = jaxdl.tasks.classify(MLP((3,), 3))
NET = jaxdl.learner(TASK.init, *TASK.updates(optax.sgd(0.1)))
TRAIN = Dataset({"input": X, "label": LABEL}, "train", 3)
ONE = Sharded(jax.devices()[:1])
STATE = jax.eval_shape(NET.init, jaxdl.root(0), {"input": X})
STATE = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), STATE)


def changed(array, row, value):
    array = np.array(array, np.result_type(array, type(value)))
    array[row] = value
    return array


def with_fields(**fields):
    return Dataset({"input": X, "label": LABEL, **fields}, "mine", 3)


def evaluate(data):
    return jaxdl.evaluate(NET, STATE, data, strategy=ONE)


def validate(data):
    options = {"key": jaxdl.root(0), "steps": 1, "batch_size": 4, "strategy": ONE}
    return jaxdl.train(NET, TRAIN, validation=data, **options)


def predict(data):
    return jaxdl.predict_batched(jaxdl.bind(TASK.predict, STATE), data["input"])


NAN = changed(X, (7, 2), np.float32("nan"))
INFINITE = changed(X, (3, 0), np.float32("-inf"))
ROWS = {
    "NaN, evaluation": (evaluate, {"input": NAN}, "input[7]: got nan, allowed: finite numbers"),
    "NaN, validation": (
        validate,
        {"input": NAN},
        "validation input[7]: got nan, allowed: finite numbers",
    ),
    "NaN, prediction": (predict, {"input": NAN}, "input[7]: got nan, allowed: finite numbers"),
    "infinite, evaluation": (
        evaluate,
        {"input": INFINITE},
        "input[3]: got -inf, allowed: finite numbers",
    ),
    **{
        f"label out of range, {call.__name__}": (
            call,
            {"label": changed(LABEL, 4, 3)},
            "label[4]: got 3, allowed: an integer in [0, 3)",
        )
        for call in (evaluate, validate, predict)
    },
    "shape, evaluation": (
        evaluate,
        {"input": X[:, :2]},
        "data: got 'mine, whose inputs need dense_0/kernel [2, 3]', "
        "allowed: inputs of the shape in training, which gave it [4, 3]",
    ),
    "shape, validation": (
        validate,
        {"input": X[:, :2]},
        "validation input: got 'float32[10, 2]', allowed: float32[N, 4], as in training",
    ),
    "shape, prediction": (
        predict,
        {"input": X[:, :2]},
        "input shape: got [10, 2], allowed: that of the training set; "
        'For parameter "kernel" in "/dense_0", the given initializer is expected to generate '
        "shape (2, 3), but the existing parameter it received has shape (4, 3).",
    ),
    "dtype, evaluation": (
        evaluate,
        {"input": X.astype(np.uint8)},
        "x: got 'uint8[10, 4]', allowed: floats [B, ...]",
    ),
    "dtype, validation": (
        validate,
        {"input": np.abs(X).astype(np.uint8)},
        "validation input: got 'uint8[10, 4]', allowed: float32[N, 4], as in training",
    ),
    "dtype, prediction": (
        predict,
        {"input": np.abs(X).astype(np.uint8)},
        "x: got 'uint8[10, 4]', allowed: floats [B, ...]",
    ),
    "weights": (
        lambda data: jaxdl.train(NET, data, key=jaxdl.root(0), steps=1, batch_size=4, strategy=ONE),
        {"weight": X[:, 0]},
        "field: got 'weight', allowed: `mask`, which weighs examples in loss and metrics",
    ),
}


MASK = np.ones(10, np.float32)
MASKS = {
    "negative": (changed(MASK, 4, -1.0), "mask[4]: got -1.0, allowed: a weight, at least 0; "),
    "negative integers": (changed(np.ones(10, int), 2, -3), "mask[2]: got -3, allowed: a weight"),
    "NaN": (changed(MASK, 7, np.nan), "mask[7]: got nan, allowed: a weight, at least 0; 0 leaves"),
    "infinite": (changed(MASK, 1, np.inf), "mask[1]: got inf, allowed: a weight, at least 0; 0"),
    "zeros": (0 * MASK, "mask: got 'zeros only', allowed: 1 for each example that counts"),
    "no examples": (MASK < 0, "mask: got 'zeros only', allowed: 1 for each example that counts"),
    "a column": (MASK[:, None], "mask shape: got (10, 1), allowed: [N], such as mask[:, 0]; or"),
}


@pytest.mark.parametrize("name", MASKS)
@pytest.mark.parametrize("call", ["train", "evaluate", "validate"])
def test_a_bad_mask_is_one_line(call, name):
    mask, message = MASKS[name]
    data = with_fields(mask=mask)
    calls = {"train": ROWS["weights"][0], "evaluate": evaluate, "validate": validate}
    with pytest.raises(InputError) as caught:
        calls[call](data)
    assert str(caught.value).startswith(message)


def test_masks_of_other_forms_are_taken():
    tokens = np.zeros((10, 1), np.int32)
    for fields in (
        {"mask": changed(MASK, 3, 0.5)},
        {"mask": MASK > 0},
        {"mask": changed(np.ones((10, 4)), (2, 3), 0.0)},
        {"input": tokens, "mask": MASK[:, None]},
        {"input": X[:, None], "mask": MASK[:, None]},
    ):
        check_source(with_fields(**fields))


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("row", ROWS)
def test_a_bad_value_is_one_line(row):
    call, fields, message = ROWS[row]
    with pytest.raises(InputError) as caught:
        call(with_fields(**fields))
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "values", [["a", "b"], [[2.0**200]], np.array([1j]), np.array([{}])], ids=repr
)
def test_prediction_refuses_what_a_set_refuses(values):
    with pytest.raises(InputError, match="^input"):
        jaxdl.predict_batched(lambda x: x, values)
    with pytest.raises(InputError, match="^input"):
        Dataset({"input": values}, "mine")


def test_prediction_takes_the_forms_of_a_set():
    for values in (X.tolist(), X.astype(">f4"), MappedArray(X), X.astype(np.float64)):
        np.testing.assert_array_equal(jaxdl.predict_batched(lambda x: x, values), X)


def test_values_that_do_not_count_may_be_anything(monkeypatch):
    check_numbers(with_fields(input=NAN, mask=changed(np.ones(10), 7, 0.0)))
    steps = changed(RANDOM.normal(size=(10, 4, 2)), (7, 2), np.nan)
    length = changed(np.full(10, 4), 7, 2)
    check_classification(with_fields(input=steps, length=length))
    check_numbers(Dataset({"input": steps, "mask": ~np.isnan(steps[..., 0])}, "mine"))
    with pytest.raises(InputError, match=r"^input\[7\]: got nan"):
        check_numbers(with_fields(input=steps, length=length + (length < 4)))
    pair = jaxdl.data.paired(TRAIN, with_fields(input=NAN))
    with pytest.raises(InputError, match=r"^data b input\[7\]: got nan"):
        check_numbers(pair)
    monkeypatch.setattr(mapped_array, "IN_MEMORY", 0)
    monkeypatch.setattr(mapped_array, "BLOCK_BYTES", 64)
    with pytest.raises(InputError, match=r"^input\[7\]: got nan"):
        check_numbers(with_fields(input=MappedArray(NAN)))
