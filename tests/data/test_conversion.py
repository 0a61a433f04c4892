"""Tests of sets from objects of other libraries; those that are not installed are imitated."""

import numpy as np
import pytest
from PIL import Image

from jaxdl.data import as_dataset
from jaxdl.errors import InputError

RANDOM = np.random.RandomState(0)
PIXELS = RANDOM.randint(0, 256, (12, 6, 5)).astype(np.uint8)
LABEL = np.arange(12) % 3
GREY = (PIXELS / np.float32(255)).astype(np.float32)[..., None]


class Frame:
    """The part of a data frame that pandas and polars share."""

    def __init__(self, columns):
        self.values = columns

    @property
    def columns(self):
        return list(self.values)

    def __getitem__(self, name):
        return Series(self.values[name])


class Series:
    def __init__(self, values):
        self.values = values

    def to_numpy(self):
        return np.asarray(self.values)


class ClassLabel:
    names = ["cat", "dog", "cow", "ox"]


class HuggingFace:
    """The part of a set of `datasets` that is used: columns, format and features."""

    features = {"img": None, "label": ClassLabel()}
    column_names = ["img", "label"]

    def __init__(self, pixels=PIXELS):
        self.pixels = pixels

    def with_format(self, kind):
        assert kind == "numpy"
        return self

    def __getitem__(self, rows):
        return {"img": self.pixels[rows], "label": LABEL[rows]}


class Torch:
    """A set of PyTorch: a length and items, but no iterator."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


PAIRS = list(zip(PIXELS, LABEL, strict=True))


@pytest.mark.parametrize(
    "values",
    [
        {"image": PIXELS, "label": LABEL},
        {"X": GREY, "Y": LABEL.tolist()},
        Torch(PAIRS),
        PAIRS,
        Torch([(Image.fromarray(pixels), int(label)) for pixels, label in PAIRS]),
        Torch([{"img": pixels, "labels": label} for pixels, label in PAIRS]),
        HuggingFace(),
    ],
    ids=["arrays", "floats", "torch", "pairs", "pillow", "items", "hugging face"],
)
def test_images_with_classes(values):
    data = as_dataset(values, "pets")
    np.testing.assert_array_equal(data["input"], GREY)
    np.testing.assert_array_equal(data["label"], LABEL)
    assert (data["label"].dtype, data["input"].dtype, data.name) == (np.int32, np.float32, "pets")
    named = isinstance(values, HuggingFace)
    assert data.class_names == (tuple(ClassLabel.names) if named else None)
    assert data.classes == (4 if named else 3)


def test_columns_of_a_frame_are_the_inputs():
    age, size = RANDOM.normal(size=(2, 12))
    kind = np.array(["cat", "dog", "cow"])[LABEL]
    price = RANDOM.normal(size=12)
    frame = Frame({"age": age, "size": size, "kind": kind.astype(object), "price": price})
    data = as_dataset(frame, input=["size", "age"], label="kind", target="price")
    np.testing.assert_array_equal(data["input"], np.stack([size, age], 1).astype(np.float32))
    np.testing.assert_array_equal(np.array(data.class_names)[data["label"]], kind)
    np.testing.assert_array_equal(data["target"], price[:, None].astype(np.float32))


def test_real_labels_of_pairs_are_targets():
    x = RANDOM.normal(size=(5, 3)).astype(np.float32)
    data = as_dataset([(row, float(row.sum())) for row in x])
    assert (data.classes, sorted(data.arrays)) == (None, ["input", "target"])
    np.testing.assert_allclose(data["target"][:, 0], x.sum(1), rtol=1e-6)


def test_inputs_alone():
    assert list(as_dataset({"image": PIXELS}).arrays) == ["input"]


def test_tensors_of_pytorch():
    torch = pytest.importorskip("torch")
    data = as_dataset([(torch.ones(3), torch.tensor(i % 2)) for i in range(4)])
    assert (data["input"].shape, data["label"].tolist()) == ((4, 3), [0, 1, 0, 1])


def test_the_real_package():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "x": datasets.Sequence(datasets.Value("float32")),
            "label": datasets.ClassLabel(names="ab"),
        }
    )
    values = datasets.Dataset.from_dict({"x": [[1.0, 2.0]] * 4, "label": [0, 1] * 2}, features)
    data = as_dataset(values)
    assert (data["input"].shape, data.class_names) == ((4, 2), ("a", "b"))


X = np.zeros((4, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: as_dataset(3),
            "values: got <class 'int'>, allowed: a dictionary of arrays, a data",
        ),
        (lambda: as_dataset([]), "values: got <class 'list'>, allowed: a dictionary of arrays"),
        (lambda: as_dataset(x for x in [1]), "values: got <class 'generator'>, allowed: a dict"),
        (lambda: as_dataset((X, X, X)), "values[0]: got <class 'numpy.ndarray'>, allowed: pairs"),
        (
            lambda: as_dataset({"train": HuggingFace(), "test": HuggingFace()}),
            "values: got \"the parts ['train', 'test']\", allowed: one part, such as ['train']",
        ),
        (
            lambda: as_dataset({"a": X}),
            "input: got None, allowed: input=..., the name of a column: a",
        ),
        (lambda: as_dataset({"x": X}, input="y"), "input: got 'y', allowed: x"),
        (lambda: as_dataset({"x": X}, label="y"), "label: got 'y', allowed: x"),
        (
            lambda: as_dataset({"x": X, "image": X}),
            "input: got ['x', 'image'], allowed: one of these",
        ),
        (lambda: as_dataset({"x": X}, input=[]), "input: got [], allowed: at least one column"),
        (
            lambda: as_dataset({"a": [1, 2], "b": ["x", "y"]}, input=["a", "b"]),
            "column 'b': got 'str32[2]', allowed: numbers",
        ),
        (
            lambda: as_dataset([(np.zeros((3, 2)), 0), (np.zeros((4, 2)), 1)]),
            "column 'input': got 'rows of the shapes [(3, 2), (4, 2)]', allowed: one shape; scale",
        ),
        (
            lambda: as_dataset({"x": X, "y": [0.0, 1.0, 1.0, 0.0]}),
            "label dtype: got 'float64', allow",
        ),
        (
            lambda: as_dataset({"x": X, "y": [0, 1, -1, 0]}),
            "label[2]: got -1, allowed: an integer in",
        ),
        (
            lambda: as_dataset({"x": X, "y": [0, 1, 2**40, 0]}),
            "label: got 1099511627777, allowed: at",
        ),
        (
            lambda: as_dataset({"x": X, "y": [0, 1]}),
            "label rows: got 2, allowed: 4, as many as input",
        ),
        (
            lambda: as_dataset({"x": np.zeros((4, 3, 8, 8)), "y": [0, 1, 1, 0]}),
            "input shape: got (4, 3, 8, 8), allowed: [N, H, W, C], channels last; use x.transpose(",
        ),
        (lambda: as_dataset({"x": [["a"]] * 4}), "input dtype: got 'str32', allowed: numbers"),
    ],
)
def test_other_objects_are_refused_in_one_line(call, message):
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value).startswith(message)
