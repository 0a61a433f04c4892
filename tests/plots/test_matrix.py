"""Tests of confusion matrices: the counts, and their picture."""

import numpy as np
import pytest

from jaxdl import plots
from tests.plots.pictures import axes, pixels, raises_input_error


def test_confusion_agrees_with_brute_force():
    rng = np.random.default_rng(0)
    label = rng.integers(0, 5, 200)
    prediction = rng.integers(0, 5, 200)
    counts = plots.confusion(label, prediction, 6)
    for i in range(6):
        for j in range(6):
            assert counts[i, j] == sum(
                t == i and p == j for t, p in zip(label, prediction, strict=True)
            )


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.uint64])
@pytest.mark.parametrize("classes", [100, 300])
def test_confusion_is_the_same_in_every_integer_dtype(dtype, classes):
    rng = np.random.default_rng(0)
    label, prediction = rng.integers(0, 100, (2, 500))
    expected = np.zeros((classes, classes), int)
    for i, j in zip(label, prediction, strict=True):
        expected[i, j] += 1
    np.testing.assert_array_equal(
        plots.confusion(label.astype(dtype), prediction.astype(dtype), classes), expected
    )


def test_confusion_matrix_writes_the_counts_where_they_fit():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 3, (4, 4)) + np.eye(4, dtype=int)
    ax = axes()
    counts[0, 1] = 0
    plots.draw_confusion_matrix(ax, counts, list("abcd"))
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {
        (j, i): str(counts[i, j]) for i in range(4) for j in range(4) if counts[i, j]
    }
    np.testing.assert_allclose(ax.images[0].get_array(), counts / counts.sum(1, keepdims=True))
    assert [label.get_text() for label in ax.get_yticklabels()] == list("abcd")
    ax = axes()
    plots.draw_confusion_matrix(ax, rng.integers(0, 9, (100, 100)))
    assert not ax.texts


def test_confusion_matrix_with_a_class_that_never_occurs(tmp_path):
    path = plots.confusion_matrix(
        np.array([0, 0, 1]), np.array([0, 1, 1]), 3, tmp_path / "c.png", ["a", "b", "none"]
    )
    pixels(path)


def test_bad_labels_and_names(tmp_path):
    label = np.array([0, 1])
    path = tmp_path / "x.png"
    with raises_input_error("label: got 2, allowed: integers in [0, 2)"):
        plots.confusion_matrix(np.array([0, 2]), label, 2, path)
    with raises_input_error("prediction: got -1, allowed: integers in [0, 2)"):
        plots.confusion_matrix(label, np.array([0, -1]), 2, path)
    with raises_input_error("label dtype: got 'float32', allowed: integers in [0, 2)"):
        plots.confusion(label.astype(np.float32), label, 2)
    with raises_input_error("prediction dtype: got 'bool', allowed: integers in [0, 2)"):
        plots.confusion(label, label == 1, 2)
    with raises_input_error("prediction: got (3,), allowed: one for each label, (2,)"):
        plots.confusion_matrix(label, np.array([0, 1, 1]), 2, path)
    with raises_input_error("names: got 3, allowed: as many as classes, 2"):
        plots.confusion_matrix(label, label, 2, path, list("abc"))
    with raises_input_error("probabilities: got (3, 2), allowed: the shape [N, K] for labels (2,)"):
        plots.worst(label, np.ones((3, 2)), 5)
    with raises_input_error("label: got 2, allowed: integers in [0, 2)"):
        plots.worst(np.array([0, 2]), np.eye(2), 5)
    with raises_input_error("images: got (1, 8, 8, 1), allowed: one for each of 2 labels"):
        plots.mistakes(np.zeros((1, 8, 8, 1)), label, np.eye(2), path)
    assert not path.exists()
