"""Tests of pictures of attacks: curves, attacked images with answers, gradients side by side."""

import numpy as np
import pytest

from jaxdl import plots
from jaxdl.plots.page import BLUE, RED
from tests.plots.pictures import pixels

RNG = np.random.default_rng(0)


def test_curves_are_in_percent_with_a_line_at_the_size(drawn, tmp_path):
    epsilons = np.array([0.0, 0.1, 0.2])
    curves = {"fgsm": RNG.random(3), "a $ b": RNG.random(3)}
    path = plots.accuracy_curves(epsilons, curves, tmp_path / "c.png", "Title $", at=0.1)
    pixels(path)
    (ax,) = drawn
    lines = {line.get_label(): line for line in ax.lines}
    np.testing.assert_allclose(lines["fgsm"].get_ydata(), 100 * curves["fgsm"])
    np.testing.assert_allclose(lines["fgsm"].get_xdata(), epsilons)
    assert any(list(line.get_xdata()) == [0.1, 0.1] for line in ax.lines)
    assert ax.get_xlabel() and ax.get_ylabel() == "accuracy in %"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["fgsm", r"a \$ b"]


@pytest.mark.parametrize("channels", [1, 3])
def test_answers_are_blue_if_right_and_red_if_wrong(channels, drawn, tmp_path):
    images = RNG.random((3, 5, 4, channels))
    attacked = np.clip(images + RNG.uniform(-0.1, 0.1, images.shape), 0, 1)
    label = np.array([0, 1, 2])
    after = np.array([[0.9, 0.1, 0.0], [0.7, 0.2, 0.1], [0.0, 0.4, 0.6]])
    names = ["cat", "dog", "cow"]
    path = tmp_path / "a.png"
    plots.attacked_images(images, attacked, label, np.eye(3), after, path, 0.1, names)
    pixels(path)
    (axes,) = drawn
    titles = [ax.get_title(loc="left") for ax in axes[2]]
    assert titles == ["cat, 90 %", "cat, 70 %", "cow, 60 %"]
    colors = [ax._left_title.get_color() for ax in axes[2]]
    assert colors == [BLUE, RED, BLUE]
    figure = axes[0, 0].get_figure()
    title = figure.get_suptitle().replace("\n", " ")
    assert title.startswith("1 of 3 images are misclassified after a change of size 0.1, ")
    # All changes have one color scale around zero.
    scales = {image.get_clim() for ax in axes[1] for image in ax.images}
    largest = np.abs(attacked - images).max()
    assert scales == {(-largest, largest)}


def test_gradients_have_a_row_for_each_network(drawn, tmp_path):
    images = RNG.random((2, 5, 5, 1))
    gradients = {"none": RNG.normal(size=images.shape), "pgd": np.zeros(images.shape)}
    shares = {"none": 1.25, "pgd": 2.5}
    pixels(plots.gradients_of_networks(images, gradients, shares, tmp_path / "g.png"))
    (axes,) = drawn
    assert axes.shape == (3, 2)
    assert axes[2, 0].get_ylabel() == "pgd\n2.50 × on strokes"
    title = axes[0, 0].get_figure().get_suptitle().replace("\n", " ")
    assert title.startswith("Gradient of the loss: that of 'pgd' is 2.50 times")
