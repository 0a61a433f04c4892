"""Sets of fine-tuning: halves of classes, smaller images, regions of photographs; and layers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import root
from jaxdl.data import Dataset
from jaxdl.errors import InputError
from jaxdl.models import CNN, MLP, Stage, efficientnet_lite0
from jaxdl.recipes.fine_tuning import (
    few_repeated,
    gains,
    half_of_classes,
    head_and_body,
    photograph_regions,
    reduced,
)
from jaxdl.recipes.images import photograph_tiles

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("classes", [4, 7])
def test_both_halves_have_all_examples_and_other_classes(classes):
    label = RNG.integers(0, classes, 60)
    names = tuple("abcdefg"[:classes])
    fields = {"input": np.arange(60.0), "label": label}
    data = Dataset(fields, "letters", classes, class_names=names)
    first, second = (half_of_classes(data, second) for second in (False, True))
    assert first.class_names + second.class_names == names
    assert first.classes + second.classes == classes
    rows = np.concatenate([first["input"], second["input"]])
    assert sorted(rows) == list(range(60))
    for half in (first, second):
        words = [half.class_names[each] for each in half["label"]]
        assert words == [names[label[int(row)]] for row in half["input"]]


def test_pixels_of_a_smaller_image_are_means():
    images = RNG.random((3, 7, 11, 2)).astype(np.float32)
    small = reduced(Dataset({"input": images}, "photographs"), (2, 3, 2))["input"]
    for i in range(2):
        for j in range(3):
            block = images[:, 3 * i : 3 * i + 3, 1 + 3 * j : 4 + 3 * j]
            np.testing.assert_allclose(small[:, i, j], block.mean((1, 2)), rtol=1e-5)


def test_regions_do_not_share_squares():
    train, test = photograph_regions(64)
    assert train.classes == test.classes == len(train.class_names) == 12
    tiles = np.concatenate([each.reshape(-1, 64, 64, 3) for each in photograph_tiles(64, 2.0)])
    known = {tile.tobytes() for tile in tiles}
    found = [x.tobytes() for x in (*np.asarray(train["input"]), *np.asarray(test["input"]))]
    assert len(found) == len(set(found)) and set(found) <= known
    for part, count in ((train, 24), (test, 12)):
        assert (np.bincount(part["label"]) == count).all()


def test_the_head_is_new_and_the_body_has_all_other_layers():
    x = jnp.zeros((1, 16, 16, 3))
    for model, head in (
        (CNN((Stage(4),), (8,), 3, norm="batch"), "head"),
        (MLP((5, 6), 3), "out"),
        (efficientnet_lite0(3), "out"),
    ):
        variables = jax.eval_shape(lambda model=model: model.init(root(0), x, train=False))
        found, body = head_and_body(variables["params"])
        assert found == head
        assert not any(name.split("/")[0] == head for name in body)
        assert {name.split("/")[0] for name in body} | {head} == set(variables["params"])


def test_few_examples_are_repeated():
    data = Dataset({"input": np.arange(6.0), "label": np.arange(6) % 3}, "six", 3)
    assert few_repeated(data, 3, 7)["input"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    curves = {"a": np.array([[0.5, 0.6], [0.7, 0.6]]), "b": np.array([[0.7, 0.5]])}
    np.testing.assert_allclose(gains(curves, "a")["b"], [10, -10])


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: half_of_classes(
                Dataset({"input": np.ones(3), "label": [0, 1, 2]}, "x", 3), True
            ),
            "data: got 'x', allowed: a set with at least 4 classes, two for each half",
        ),
        (
            lambda: reduced(Dataset({"input": np.ones((1, 4, 4, 3))}, "x"), (8, 8, 3)),
            "shape: got [8, 8, 3], allowed: at most [4, 4, 3], the shape of x, with as many "
            "channels",
        ),
        (
            lambda: head_and_body({"out": {"bias": 0}}),
            "layers: got ['out'], allowed: a network with one layer named 'out', and layers below "
            "its head",
        ),
    ],
)
def test_bad_values_are_refused(make, line):
    with pytest.raises(InputError) as raised:
        make()
    assert str(raised.value) == line
