"""Robustness of a linear network, whose accuracies under attacks are known in closed form."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from jax.tree_util import Partial

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.recipes.robustness import (
    AttackOptions,
    accuracy_under,
    draw_gradients,
    draw_robustness,
    evaluate_robustness,
    loss_gradient,
    one_of_each_class,
    share_on_strokes,
)
from jaxdl.rng import root
from jaxdl.runs import RunOptions

RNG = np.random.default_rng(7)
WEIGHTS = RNG.normal(size=(4, 4, 1)).astype(np.float32)
# No attack of size 0.15 or 0.225 reaches the ends of the range of pixels.
IMAGES = RNG.uniform(0.3, 0.7, size=(80, 4, 4, 1)).astype(np.float32)
CENTER = float((WEIGHTS * 0.5).sum())
SCORES = (IMAGES * WEIGHTS).sum((1, 2, 3)) - CENTER
LABEL = (SCORES < 0).astype(np.int32)


def linear(weights, x):
    z = jnp.tensordot(x, weights, 3) - CENTER
    return jnp.stack([z, -z], -1)


F = Partial(linear, jnp.asarray(WEIGHTS))


def robust_share(epsilon: float) -> float:
    """Returns the share of images with a larger margin than the attack can remove."""
    return float((np.abs(SCORES) > epsilon * np.abs(WEIGHTS).sum()).mean())


@pytest.mark.parametrize("epsilon", [0.0, 0.01, 0.02, 0.05])
def test_accuracy_under_fgsm_is_that_of_the_margins(epsilon):
    found = accuracy_under(F, IMAGES, LABEL, root(0), explain.fgsm(epsilon))
    assert found == pytest.approx(robust_share(epsilon))


def test_a_network_without_a_correct_image_has_a_failed_check():
    wrong = 1 - LABEL[:1]
    options = AttackOptions(0.02, attack_steps=1, starts=1)
    found = evaluate_robustness(F, IMAGES[:1], wrong, root(0), options, progress=len)
    assert [check.is_passed for check in found.checks] == [False]
    assert found.metrics["robust_accuracy/worst"] == found.metrics["checklist/passed"] == 0


def test_numbers_and_curves_are_those_of_the_margins(tmp_path):
    lines: list[str] = []
    options = AttackOptions(0.02, attack_steps=8)
    path = tmp_path / "attacks.npz"
    found = evaluate_robustness(
        F, IMAGES, LABEL, root(0), options, path=path, progress=lines.append
    )
    expected = robust_share(0.02)
    assert 0.2 < expected < 0.95
    for name in ("fgsm", "pgd", "worst"):
        assert found.metrics[f"robust_accuracy/{name}"] == pytest.approx(expected)
    assert found.metrics["robust_accuracy/noise"] > expected
    assert found.metrics["attacked_images"] == 80
    shares = [robust_share(epsilon) for epsilon in found.epsilons]
    np.testing.assert_allclose(found.curves["fgsm"], shares)
    assert found.curves["noise"][0] == 1
    assert any("margin" in line for line in lines)
    # The state of the worst case is read again: no start is computed twice.
    before = path.read_bytes()
    again = evaluate_robustness(F, IMAGES, LABEL, root(0), options, path=path, progress=len)
    assert again.metrics == found.metrics
    assert path.read_bytes() == before
    json.dumps(again.metrics)


def test_fewer_images_are_the_first_ones():
    options = AttackOptions(0.02, attack_steps=2, starts=1, attacked_images=10)
    found = evaluate_robustness(F, IMAGES, LABEL, root(0), options, progress=len)
    expected = (np.abs(SCORES[:10]) > 0.02 * np.abs(WEIGHTS).sum()).mean()
    assert found.metrics["robust_accuracy/worst"] == pytest.approx(expected)


def test_the_gradient_of_the_loss_in_closed_form():
    found = loss_gradient(F, IMAGES, LABEL, batch_size=32)
    z = SCORES * np.where(LABEL == 0, 1, -1)
    factor = -2 / (1 + np.exp(2 * z)) * np.where(LABEL == 0, 1, -1)
    expected = factor[:, None, None, None] * WEIGHTS
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_the_share_on_strokes_against_a_loop():
    images = (RNG.uniform(size=(5, 4, 4, 1)) > 0.6).astype(np.float32)
    gradient = RNG.normal(size=images.shape)
    shares = []
    for g, x in zip(np.abs(gradient), images, strict=True):
        shares.append(g[x > 0].sum() / g.sum() / (x > 0).mean())
    assert share_on_strokes(gradient, images) == pytest.approx(np.mean(shares))
    assert share_on_strokes(np.ones_like(gradient), images) == pytest.approx(1)


def test_pictures_are_written(tmp_path):
    options = AttackOptions(0.02, attack_steps=2, starts=1)
    found = evaluate_robustness(F, IMAGES, LABEL, root(0), options, progress=len)

    def figure(name):
        return tmp_path / f"{name}.png"

    draw_robustness(F, IMAGES, LABEL, root(0), options, found, figure, ["dark", "bright"])
    shares = draw_gradients({"one": F, "two": F}, IMAGES, LABEL, tmp_path / "gradients.png")
    assert shares["one"] == shares["two"] > 0
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"accuracy_over_epsilon.png", "attacked.png", "gradients.png"}


def test_gradients_are_drawn_for_classes_of_the_first_images_only(monkeypatch, tmp_path):
    monkeypatch.setattr("jaxdl.recipes.robustness.FEW", 5)
    label = (np.arange(80) >= 5).astype(np.int32)
    shares = draw_gradients({"one": F}, IMAGES, label, tmp_path / "gradients.png")
    expected = share_on_strokes(loss_gradient(F, IMAGES[:5], label[:5]), IMAGES[:5])
    assert shares["one"] == pytest.approx(expected)


def test_one_image_of_each_class():
    label = np.array([2, 2, 0, 5, 0])
    assert one_of_each_class(label, 2).tolist() == [2, 0]
    assert one_of_each_class(label, 9).tolist() == [2, 0, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": -0.1}, "^epsilon: got -0.1"),
        ({"epsilon": 0}, "^epsilon: got 0, allowed: above 0"),
        ({"norm": "l1"}, "^norm: got 'l1', allowed: l2, linf"),
        ({"attack_steps": 0}, "^attack_steps: got 0"),
        ({"starts": 0}, "^starts: got 0"),
        ({"attacked_images": 0}, "^attacked_images: got 0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        AttackOptions(**options).validate(RunOptions())
