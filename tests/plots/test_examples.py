"""Tests of mistakes: the choice of the worst ones, and their titles."""

import numpy as np

from jaxdl import plots
from tests.plots.pictures import axes, pixels


def test_worst_agrees_with_brute_force():
    rng = np.random.default_rng(0)
    for _ in range(30):
        n = rng.integers(1, 40)
        k = rng.integers(2, 6)
        count = rng.integers(0, 12)
        label = rng.integers(0, k, n)
        probabilities = rng.dirichlet(np.ones(k), n).round(1)
        mistakes = []
        for row in range(n):
            if max(range(k), key=lambda c: (probabilities[row, c], -c)) != label[row]:
                mistakes.append((probabilities[row, label[row]], row))
        assert (
            plots.worst(label, probabilities, count).tolist()
            == [row for _, row in sorted(mistakes)][:count]
        )


def test_mistakes_shows_the_worst_below_their_titles():
    rng = np.random.default_rng(0)
    images = rng.random((50, 6, 6, 1))
    label = rng.integers(0, 3, 50)
    probabilities = rng.dirichlet(np.ones(3), 50)
    ax = axes()
    plots.draw_mistakes(ax, images, label, probabilities, 7, ["cat", "dog", "owl"])
    rows = plots.worst(label, probabilities, 7)
    assert len(ax.images) == len(ax.texts) == 7
    for row, image, text in zip(rows, ax.images, ax.texts, strict=True):
        np.testing.assert_array_equal(image.get_array(), images[row, ..., 0])
        true = ["cat", "dog", "owl"][label[row]]
        predicted = ["cat", "dog", "owl"][probabilities[row].argmax()]
        percent = f"{100 * probabilities[row].max():.0f} %"
        assert text.get_text() == f"{true} → {predicted} ({percent})"
    wrong = int((probabilities.argmax(1) != label).sum())
    assert (
        ax.get_title("left") + ax.get_title()
        == f"true → predicted: the worst 7 of {wrong} mistakes in 50"
    )


def test_no_mistakes(tmp_path):
    ax = axes()
    images = np.zeros((3, 8, 8, 1))
    plots.draw_mistakes(ax, images, np.arange(3), np.eye(3))
    assert [text.get_text() for text in ax.texts] == ["no mistakes: all 3 correct"]
    pixels(plots.mistakes(images, np.arange(3), np.eye(3), tmp_path / "none.png"))
