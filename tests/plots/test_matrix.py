"""Tests of pictures of confusion matrices."""

import numpy as np

from jaxdl import plots
from tests.plots.pictures import axes, pixels, raises_input_error


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


def test_shares_are_written_in_percent_of_each_row():
    counts = np.array([[1, 1, 0], [0, 3, 2997], [0, 0, 0]])
    ax = axes()
    plots.draw_confusion_matrix(ax, counts, title="mine", shares=True)
    written = {text.get_position(): text.get_text() for text in ax.texts}
    assert written == {(0, 0): "50", (1, 0): "50", (1, 1): "0.1", (2, 1): "100"}
    assert ax.get_title() == "mine"
    assert "%" in ax.get_xlabel()


def test_dollar_signs_in_names_are_no_formulas(tmp_path):
    names = ["US$ and $", "$\\frac$"]
    label = np.array([0, 1])
    pixels(plots.confusion_matrix(label, label, 2, tmp_path / "c.png", names))


def test_the_title_states_the_accuracy_unless_there_is_another(tmp_path):
    ax = axes()
    plots.draw_confusion_matrix(ax, np.array([[3, 1], [0, 4]]))
    assert ax.get_title() == "87.50 % of 8 correct"
    path = tmp_path / "c.png"
    pixels(plots.confusion_matrix(np.array([0, 1]), np.array([0, 1]), 2, path, title="LSTM"))


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
