"""The worst mistakes are chosen, and stand under the right titles."""

import numpy as np

from jaxdl import plots
from tests.plots.pictures import axes, pixels


def test_worst_agrees_with_brute_force():
    draw = np.random.default_rng(0)
    for _ in range(30):
        n = draw.integers(1, 40)
        k = draw.integers(2, 6)
        count = draw.integers(0, 12)
        label = draw.integers(0, k, n)
        probabilities = draw.dirichlet(np.ones(k), n).round(1)
        found = []
        for row in range(n):
            if max(range(k), key=lambda c: (probabilities[row, c], -c)) != label[row]:
                found.append((probabilities[row, label[row]], row))
        assert (
            plots.worst(label, probabilities, count).tolist()
            == [row for _, row in sorted(found)][:count]
        )


def test_mistakes_shows_the_worst_under_their_titles():
    draw = np.random.default_rng(0)
    images = draw.random((50, 6, 6, 1))
    label = draw.integers(0, 3, 50)
    probabilities = draw.dirichlet(np.ones(3), 50)
    ax = axes()
    plots.draw_mistakes(ax, images, label, probabilities, 7, ["cat", "dog", "owl"])
    rows = plots.worst(label, probabilities, 7)
    assert len(ax.images) == len(ax.texts) == 7
    for row, image, text in zip(rows, ax.images, ax.texts, strict=True):
        np.testing.assert_array_equal(image.get_array(), images[row, ..., 0])
        t = ["cat", "dog", "owl"][label[row]]
        s = ["cat", "dog", "owl"][probabilities[row].argmax()]
        assert text.get_text() == f"{t} → {s} ({100 * probabilities[row].max():.0f} %)"
    wrong = int((probabilities.argmax(1) != label).sum())
    assert (
        ax.get_title("left") + ax.get_title()
        == f"true → predicted: the worst 7 of {wrong} mistakes in 50"
    )


def test_no_mistakes_says_so(tmp_path):
    ax = axes()
    images = np.zeros((3, 8, 8, 1))
    plots.draw_mistakes(ax, images, np.arange(3), np.eye(3))
    assert [text.get_text() for text in ax.texts] == ["no mistakes: all 3 right"]
    pixels(plots.mistakes(images, np.arange(3), np.eye(3), tmp_path / "none.png"))
