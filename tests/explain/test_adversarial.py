"""Tests of adversarial examples: flags predicted again, worst cases of linear networks, errors."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.explain import Attack, adversarial, adversarial_examples, fgsm, noise, perturb, pgd
from jaxdl.rng import root
from tests.explain import foolbox_arrays

IMAGES = foolbox_arrays.images()[:90].reshape(90, 6, 6, 1)
LABEL = foolbox_arrays.labels()[:90]


def network(x):
    return foolbox_arrays.scores(x.reshape(len(x), -1))


def predicted(x):
    return np.asarray(jax.jit(network)(x)).argmax(1)


@pytest.mark.parametrize(
    "attack", [fgsm(0.05), pgd(0.05, 25), noise(0.1), pgd(0.2, 12, norm="l2", loss="margin")]
)
@pytest.mark.parametrize("batch_size", [32, 500])
def test_flags_are_those_of_predicting_again(attack, batch_size):
    found = adversarial_examples(
        network, IMAGES, LABEL, root(0), attack, starts=2, batch_size=batch_size
    )
    np.testing.assert_array_equal(found.is_fooled, predicted(found.images) != LABEL)
    assert found.images.dtype == np.float32
    assert found.images.min() >= 0 and found.images.max() <= 1
    change = (found.images.astype(np.float64) - IMAGES).reshape(90, -1)
    size = np.linalg.norm(change, {"linf": np.inf, "l2": 2}[attack.norm], axis=1)
    assert size.max() <= attack.epsilon
    np.testing.assert_allclose(found.distance, size, rtol=1e-6)
    scores = np.array(network(found.images))
    label = scores[np.arange(90), LABEL].copy()
    scores[np.arange(90), LABEL] = -np.inf
    np.testing.assert_allclose(found.margin, scores.max(1) - label, atol=1e-5)
    assert not found.is_flat.any()


def test_misclassified_images_are_fooled_without_a_change():
    wrong = predicted(IMAGES) != LABEL
    assert 0.05 < wrong.mean() < 0.2
    found = adversarial_examples(network, IMAGES, LABEL, root(0), pgd(0.001, 3))
    assert found.is_fooled[wrong].all()
    np.testing.assert_array_equal(found.images[wrong], IMAGES[wrong])
    assert (found.distance[wrong] == 0).all()


def test_an_iterate_before_the_last_one_is_kept():
    """The gradient leads through the other class and out again."""

    def ring(x):
        s = x.mean((1, 2, 3))
        return jnp.stack([jnp.zeros_like(s), jnp.sin(8 * s) + 0.5 * s], -1)

    x = np.array([0.2, 0.3, 0.9], np.float32).reshape(3, 1, 1, 1) * np.ones((1, 2, 2, 1))
    x = x.astype(np.float32)
    attack = fgsm(0.5, step_size=0.3, steps=7)
    keys = root([0, 1, 2])
    zero = jnp.zeros(3, jnp.int32)
    steps = [dataclasses.replace(attack, steps=n) for n in range(8)]
    reached = [np.asarray(ring(perturb(ring, x, zero, keys, each))) for each in steps]
    margins = np.array([scores[:, 1] - scores[:, 0] for scores in reached])
    wrong = margins[0] > 0
    found = adversarial_examples(ring, x, 0, root(0), attack)
    expected = np.where(wrong, margins[0], margins.max(0))
    np.testing.assert_allclose(found.margin, expected, atol=1e-5)
    assert (margins[-1] < margins.max(0) - 0.1).any()


def test_more_starts_never_help_the_network():
    counts = []
    for starts in (1, 2, 4):
        found = adversarial_examples(network, IMAGES, LABEL, root(1), noise(0.3), starts=starts)
        counts.append(found.is_fooled)
    assert (counts[0] <= counts[1]).all() and (counts[1] <= counts[2]).all()
    assert counts[0].sum() < counts[2].sum()


@pytest.mark.parametrize("attack", [pgd(0.03, 12), noise(0.2)])
def test_the_result_of_an_image_is_independent_of_the_batch(attack):
    """Compaction moves images to other rows; the key follows the index of the image."""
    whole = adversarial_examples(network, IMAGES, LABEL, root(2), attack, starts=3)
    for size in (7, 90):
        part = adversarial_examples(
            network, IMAGES, LABEL, root(2), attack, starts=3, batch_size=size
        )
        np.testing.assert_array_equal(part.is_fooled, whole.is_fooled)
        np.testing.assert_allclose(part.images, whole.images, atol=1e-5)
    first = adversarial_examples(network, IMAGES[:50], LABEL[:50], root(2), attack, starts=3)
    np.testing.assert_allclose(first.images, whole.images[:50], atol=1e-5)
    again = adversarial_examples(network, IMAGES, LABEL, root(2), attack, starts=3)
    for one, two in zip(again, whole, strict=True):
        np.testing.assert_array_equal(one, two)


def test_pgd_equals_the_pure_function_where_nothing_is_fooled():
    """A linear network falls with each step, so the best iterate is the last one."""
    weights = np.random.default_rng(0).normal(size=(36, 2)).astype(np.float32)

    def linear(x):
        return x.reshape(len(x), -1) @ weights + jnp.array([[1e3, 0.0]])

    attack = fgsm(0.1)
    found = adversarial_examples(linear, IMAGES, 0, root(0), attack)
    step = np.sign(weights[:, 1] - weights[:, 0]).reshape(6, 6, 1)
    np.testing.assert_allclose(found.images, np.clip(IMAGES + 0.1 * step, 0, 1), atol=1e-6)
    assert not found.is_fooled.any()


def test_robust_accuracy_of_a_linear_network_is_known():
    """A margin m survives if m > epsilon ||w||_1, for images away from the ends of the range."""
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(36, 2)).astype(np.float32)
    x = (0.45 + 0.1 * rng.random((200, 6, 6, 1))).astype(np.float32)

    def linear(x):
        return (x.reshape(len(x), -1) - 0.5) @ weights

    scores = (x.reshape(200, -1).astype(np.float64) - 0.5) @ weights
    label = scores.argmax(1).astype(np.int32)
    fall = 0.005 * np.abs(weights[:, 0].astype(np.float64) - weights[:, 1]).sum()
    expected = np.abs(scores[:, 0] - scores[:, 1]) > fall
    assert 0.1 < expected.mean() < 0.9
    for attack in (fgsm(0.005), pgd(0.005, 20), pgd(0.005, 20, loss="margin")):
        found = adversarial_examples(linear, x, label, root(0), attack)
        np.testing.assert_array_equal(~found.is_fooled, expected)


def test_targeted_attacks_reach_the_target():
    target = ((predicted(IMAGES) + 1) % 4).astype(np.int32)
    attack = pgd(0.6, 30, targeted=True)
    found = adversarial_examples(network, IMAGES, target, root(0), attack)
    np.testing.assert_array_equal(found.is_fooled, predicted(found.images) == target)
    assert found.is_fooled.mean() > 0.9
    same = adversarial_examples(network, IMAGES, predicted(IMAGES), root(0), attack)
    assert same.is_fooled.all() and (same.distance == 0).all()
    np.testing.assert_array_equal(found.margin > 0, found.is_fooled)


def test_flat_gradients_are_counted():
    def steps(x):
        return network(jnp.round(4 * x) / 4)

    label = np.asarray(jax.jit(steps)(IMAGES)).argmax(1)
    found = adversarial_examples(steps, IMAGES, label, root(0), pgd(0.05, 3))
    assert found.is_flat.all()

    def broken(x):
        scores = network(x)
        return scores + 0 * jnp.sqrt(jnp.abs(x - x).sum())

    found = adversarial_examples(broken, IMAGES, predicted(IMAGES), root(0), pgd(0.05, 3))
    assert found.is_flat.all() and np.isfinite(found.images).all()


def test_one_program_for_all_radii_and_numbers_of_steps():
    def f(x):
        return network(x) * 1.5

    for attack in (pgd(0.01, 3), pgd(0.02, 25), pgd(0.03, 11, step_size=0.01), fgsm(0.01)):
        adversarial_examples(f, IMAGES, LABEL, root(0), attack, starts=2, batch_size=40)
        size = adversarial._steps._cache_size()
        if attack.steps == 3:
            first = size
    assert size == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": 255 * IMAGES}, "images: got pixels in .*write images / np.float32"),
        ({"images": IMAGES[0]}, "write image.None. for one"),
        ({"images": (255 * IMAGES).astype(np.uint8)}, "images: got 'uint8'"),
        ({"label": np.full(90, 4)}, r"label: got 4, allowed: an integer in \[0, 4\)"),
        ({"label": -1}, "label: got -1"),
        ({"label": np.zeros(90)}, "an integer"),
        ({"label": LABEL[:5]}, r"label: got 'an array \[5\]', allowed: one class, or 90"),
        ({"attack": 0.3}, r"attack: got 0.3, allowed: an Attack, such as explain.pgd\(0.3, 40\)"),
        ({"starts": 0}, "starts: got 0, allowed: at least 1"),
        ({"batch_size": 0}, "batch_size: got 0"),
        ({"key": 0}, r"key: got 0, allowed: root\(seed\)"),
        ({"f": lambda x: x}, "scores: got"),
        ({"f": lambda x: jnp.log(network(x) - 1e9)}, "scores: got nan, allowed: finite logits"),
        ({"key": root([0, 1])}, "key: got '2 keys', allowed: one key"),
        ({"attack": fgsm(0.1, low=0.5)}, "low: got 0.5, allowed: at most the pixels"),
        ({"attack": fgsm(0.1, high=0.5)}, "high: got 0.5, allowed: at least the pixels"),
        ({"f": lambda x: x.reshape(len(x), -1)[:, :1]}, "classes: got 1, allowed: at least two"),
    ],
)
def test_bad_inputs_are_one_line(options, message):
    usual = {"f": network, "images": IMAGES, "label": LABEL, "key": root(0), "attack": fgsm(0.1)}
    with pytest.raises(InputError, match=message) as raised:
        adversarial_examples(**{**usual, **options})
    assert "\n" not in str(raised.value)


def test_a_negative_radius_is_refused():
    with pytest.raises(InputError, match="epsilon: got -1"):
        Attack(-1)
