"""Tests of attacks: exact bounds, closed forms of linear networks, a NumPy loop, and foolbox."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.explain import Attack, fgsm, noise, perturb, pgd
from jaxdl.rng import fold, root
from tests.explain import foolbox_arrays

SIZE = 30
RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(SIZE, 2)).astype(np.float32)
EPSILONS = [0.1, 0.3, 1 / 3, 8 / 255, 1e-4, 0.0]


def linear(x):
    return x.reshape(len(x), -1) @ WEIGHTS


def bumpy(x):
    """Returns scores whose gradients have all sizes."""
    flat = x.reshape(len(x), -1)
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(flat.shape[1], 3)), jnp.float32)
    return jnp.sin(3 * flat @ weights) * jnp.array([[1.0, 2.0, 3.0]])


def keys(count, seed=0):
    return jax.vmap(partial(fold, root(seed)))(jnp.arange(count, dtype=jnp.int32))


def extreme_images(shape):
    """Returns random images with pixels of 0, of 1, near them, and of tiny numbers."""
    rng = np.random.default_rng(2)
    images = rng.random((64, *shape)).astype(np.float32)
    near = [0.0, 1.0, 1e-8, 1e-30, 1 - 6e-8, 0.3, 0.7, np.nextafter(np.float32(0.5), 1)]
    special = rng.choice(np.array(near, np.float32), images.shape)
    return np.where(rng.random(images.shape) < 0.4, special, images).astype(np.float32)


IMAGES = extreme_images((5, 6, 1))
LABEL = np.arange(64, dtype=np.int32) % 3

ATTACKS = {
    "fgsm": fgsm(0.1),
    "inside": pgd(0.1, 5),
    "margin": pgd(0.1, 5, loss="margin", start="surface"),
    "noise": noise(0.1),
    "huge steps": pgd(0.1, 3, step_size=50.0),
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_linf_changes_are_within_epsilon_without_tolerance(name, epsilon):
    attack = dataclasses.replace(ATTACKS[name], epsilon=epsilon)
    x = np.asarray(jitted(bumpy, IMAGES, LABEL, keys(64), attack))
    assert x.dtype == np.float32
    assert x.min() >= 0 and x.max() <= 1
    assert np.abs(x - IMAGES).max() <= np.float32(epsilon)
    # The exact change, too, and the number as the user wrote it.
    assert np.abs(x.astype(np.float64) - IMAGES).max() <= epsilon


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_l2_changes_are_within_epsilon_without_tolerance(name, epsilon):
    attack = dataclasses.replace(ATTACKS[name], epsilon=epsilon, norm="l2")
    x = np.asarray(jitted(bumpy, IMAGES, LABEL, keys(64), attack))
    assert x.min() >= 0 and x.max() <= 1
    change = (x.astype(np.float64) - IMAGES).reshape(64, -1)
    assert np.linalg.norm(change, axis=1).max() <= epsilon
    assert np.linalg.norm(change.astype(np.float32), axis=1).max() <= np.float32(epsilon)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_other_ranges_of_pixels(norm):
    images = (6 * IMAGES - 3).astype(np.float32)
    attack = pgd(0.7, 4, norm=norm, low=-3.0, high=3.0, step_size=1.0)
    x = np.asarray(jitted(bumpy, images, LABEL, keys(64), attack))
    assert x.min() >= -3 and x.max() <= 3
    change = (x.astype(np.float64) - images).reshape(64, -1)
    assert np.linalg.norm(change, {"linf": np.inf, "l2": 2}[norm], axis=1).max() <= 0.7


def interior(count=8):
    return (0.4 + 0.2 * np.random.default_rng(3).random((count, SIZE))).astype(np.float32)


def margins(x, label):
    scores = np.asarray(x, np.float64) @ WEIGHTS.astype(np.float64)
    return scores[np.arange(len(x)), label] - scores[np.arange(len(x)), 1 - label]


@pytest.mark.parametrize("loss", ["cross_entropy", "margin"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_worst_case_of_a_linear_network(norm, loss):
    """The margin falls by epsilon times the dual norm of the difference of the weights."""
    x = interior()
    label = np.arange(len(x), dtype=np.int32) % 2
    difference = WEIGHTS[:, 0].astype(np.float64) - WEIGHTS[:, 1]
    fall = 0.1 * np.linalg.norm(difference, {"linf": 1, "l2": 2}[norm])
    for steps in (1, 30):
        attack = fgsm(0.1, norm=norm, loss=loss)
        if steps > 1:
            attack = pgd(0.1, steps, norm=norm, loss=loss, step_size=0.05)
        worst = jitted(linear, x, label, keys(len(x)), attack)
        found = margins(x, label) - margins(worst, label)
        np.testing.assert_allclose(found, fall, rtol=3e-5)
    drawn = jitted(linear, x, label, keys(len(x)), noise(0.1, norm=norm))
    assert (margins(x, label) - margins(drawn, label) < 0.9 * fall).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_targeted_attacks_lower_the_loss_of_the_target_at_each_step(norm):
    target = (np.asarray(bumpy(IMAGES)).argmin(1)).astype(np.int32)

    def loss(x):
        scores = np.asarray(bumpy(x), np.float64)
        logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
        return -logs[np.arange(len(x)), target]

    length = {"linf": 1e-4, "l2": 1e-3}[norm]
    losses = []
    for steps in range(6):
        attack = fgsm(0.3, norm=norm, targeted=True, step_size=length)
        attack = dataclasses.replace(attack, steps=steps)
        losses.append(loss(jitted(bumpy, IMAGES, target, keys(64), attack)))
    falls = -np.diff(losses, axis=0)
    assert (falls > -1e-6).all()
    assert (falls > 1e-5).mean() > 0.9


def test_no_step_from_the_image_is_the_image():
    attack = Attack(0.3, steps=0, start="image")
    np.testing.assert_array_equal(jitted(bumpy, IMAGES, LABEL, keys(64), attack), IMAGES)
    ball = pgd(0.0, 5)
    np.testing.assert_array_equal(jitted(bumpy, IMAGES, LABEL, keys(64), ball), IMAGES)


@pytest.mark.parametrize("attack", [pgd(0.3, 4), pgd(0.5, 4, norm="l2"), noise(0.2)])
def test_an_image_depends_on_its_own_key_only(attack):
    whole = np.asarray(jitted(bumpy, IMAGES, LABEL, keys(64), attack))
    part = np.asarray(jitted(bumpy, IMAGES[9:14], LABEL[9:14], keys(64)[9:14], attack))
    np.testing.assert_allclose(part, whole[9:14], atol=1e-5)
    order = np.random.default_rng(4).permutation(64)
    mixed = np.asarray(jitted(bumpy, IMAGES[order], LABEL[order], keys(64)[order], attack))
    np.testing.assert_allclose(mixed, whole[order], atol=1e-5)
    other = np.asarray(jitted(bumpy, IMAGES, LABEL, keys(64, 1), attack))
    assert (np.abs(other - whole).max((1, 2, 3)) > 1e-3).all()


def cross_entropy_gradient(x, label):
    """Returns the gradient of a network with one hidden layer, in float64."""
    weights, biases = foolbox_arrays.weights()
    x = x.astype(np.float64)
    before = x @ weights[0] + biases[0]
    scores = np.maximum(before, 0) @ weights[1] + biases[1]
    p = np.exp(scores - scores.max(1, keepdims=True))
    p = p / p.sum(1, keepdims=True)
    p[np.arange(len(x)), label] -= 1
    return (p @ weights[1].T * (before > 0)) @ weights[0].T


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_pgd_is_a_plain_loop(norm, targeted):
    x = foolbox_arrays.images()[:40]
    label = foolbox_arrays.labels()[:40]
    attack = pgd(0.3, 4, norm=norm, start="image", step_size=0.1, targeted=targeted)
    found = np.asarray(jitted(foolbox_arrays.scores, x, label, keys(40), attack))
    z = x.astype(np.float64)
    for _ in range(4):
        g = cross_entropy_gradient(z, label) * (1 - 2 * targeted)
        if norm == "linf":
            z = np.clip(z + 0.1 * np.sign(g), x - 0.3, x + 0.3)
            z = np.clip(z, 0, 1)
        else:
            z = np.clip(z + 0.1 * g / np.linalg.norm(g, axis=1, keepdims=True), 0, 1)
            size = np.linalg.norm(z - x, axis=1, keepdims=True)
            z = x + (z - x) * np.minimum(1, 0.3 / np.maximum(size, 1e-12))
    np.testing.assert_allclose(found, z, atol=2e-5)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_a_confident_network_has_the_direction_of_the_cross_entropy(scale):
    """In float32 the usual form is 0 for these logits."""
    x = foolbox_arrays.images()[:40]
    label = np.asarray(foolbox_arrays.scores(x)).argmax(1).astype(np.int32)

    def f(x):
        return scale * foolbox_arrays.scores(x)

    plain = jax.grad(lambda x: jnp.diagonal(jax.nn.log_softmax(f(x))[:, label]).sum())(x)
    if scale == 1e4:
        assert np.abs(plain).max() < 1e-25
    step = np.asarray(jitted(f, x, label, keys(40), fgsm(0.01))) - x
    if scale == 1:
        expected = np.sign(cross_entropy_gradient(x, label))
    else:
        scores = np.asarray(f(x), np.float64)
        scores[np.arange(40), label] = -np.inf
        second = scores.argmax(1)
        g = jax.grad(lambda x: (f(x)[np.arange(40), second] - f(x)[np.arange(40), label]).sum())(x)
        expected = np.sign(np.asarray(g))
    is_inside = (x > 0.01) & (x < 0.99)
    assert (np.sign(step) == expected)[is_inside].mean() > 0.99


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_a_gradient_that_is_not_finite_leaves_finite_images(norm):
    def f(x):
        scores = linear(x)
        return scores + jnp.sqrt(scores - scores[:, ::-1] - 1e3)

    attack = pgd(0.1, 3, norm=norm)
    x = interior()
    found = np.asarray(jitted(f, x, np.zeros(len(x), np.int32), keys(len(x)), attack))
    assert np.isfinite(found).all()


def test_probabilities_are_labels_of_the_cross_entropy():
    x = interior()
    label = np.arange(len(x), dtype=np.int32) % 2
    soft = np.eye(2, dtype=np.float32)[label]
    hard = jitted(linear, x, label, keys(len(x)), pgd(0.1, 3))
    np.testing.assert_allclose(jitted(linear, x, soft, keys(len(x)), pgd(0.1, 3)), hard, atol=1e-6)


def test_fgsm_equals_foolbox():
    arrays = foolbox_arrays.read()
    x = foolbox_arrays.images()
    for epsilon in foolbox_arrays.EPSILONS:
        found = jitted(
            foolbox_arrays.scores, x, foolbox_arrays.labels(), keys(len(x)), fgsm(epsilon)
        )
        expected = arrays[f"fgsm_{epsilon}"].astype(np.float32)
        np.testing.assert_allclose(found, foolbox_arrays.decoded(expected, x, epsilon), atol=1e-6)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_pgd_fools_as_many_images_as_foolbox(norm):
    """Both begin at the image and do the same steps; rounding flips the sign of tiny gradients."""
    arrays = foolbox_arrays.read()
    x = foolbox_arrays.images()
    label = foolbox_arrays.labels()
    for epsilon in foolbox_arrays.RADII[norm]:
        attack = pgd(epsilon, foolbox_arrays.STEPS, norm=norm, start="image")
        attack = dataclasses.replace(attack, step_size=epsilon * foolbox_arrays.RELATIVE)
        found = jitted(foolbox_arrays.scores, x, label, keys(len(x)), attack)
        is_fooled = np.asarray(foolbox_arrays.scores(found)).argmax(1) != label
        expected = arrays[f"{norm}_{epsilon}"]
        assert abs(is_fooled.mean() - expected.mean()) <= 0.003
        assert (is_fooled == expected).mean() >= 0.99


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": -0.1}, "epsilon: got -0.1, allowed: a number in"),
        ({"epsilon": float("nan")}, "epsilon: got nan"),
        ({"norm": "l1"}, "norm: got 'l1', allowed: l2, linf"),
        ({"steps": -1}, "steps: got -1, allowed: at least 0"),
        ({"step_size": -0.1}, "step_size: got -0.1"),
        ({"start": "random"}, "start: got 'random', allowed: image, inside, surface"),
        ({"loss": "margins"}, "did you mean 'margin'"),
        ({"low": 1.0}, "low: got 1.0, allowed: less than high, 1.0"),
        ({"low": "a"}, "low: got 'a', allowed: a number in"),
        ({"high": None}, "high: got None, allowed: a number in"),
        ({"targeted": "no"}, "targeted: got 'no', allowed: True or False"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Attack(**{"epsilon": 0.1, **options})


@pytest.mark.parametrize(
    ("attack", "length"),
    [(fgsm(0.3), 0.3), (pgd(0.3, 1), 0.75), (pgd(0.4, 10), 0.1), (noise(0.2), 0.5)],
)
def test_the_default_length_of_a_step(attack, length):
    assert attack.length == pytest.approx(length)


def test_the_module_is_exported():
    assert explain.perturb is perturb


@partial(jax.jit, static_argnums=(0, 4))
def _jitted(f, images, label, keys, attack):
    return perturb(f, images, label, keys, attack)


def jitted(f, images, label, keys, attack):
    return _jitted(f, images, label, keys, attack)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.full((3, 2), 255, np.uint8)}, "images: got 'uint8', allowed: floats"),
        ({"label": np.zeros(2, np.int32)}, r"label: got 'int32\[2\]', allowed: integers \[3\]"),
        ({"label": np.zeros(3, np.float32)}, r"label: got 'float32\[3\]', allowed: integers"),
        ({"label": np.zeros((), np.int32)}, r"label: got 'int32\[\]', allowed: integers"),
        ({"keys": keys(2)}, r"keys: got \[2\], allowed: 3 keys"),
        ({"keys": root(0)}, r"keys: got \[\], allowed: 3 keys"),
        ({"attack": None}, "attack: got <class 'NoneType'>, allowed: an Attack"),
        (
            {"label": np.full((3, 2), 0.5, np.float32), "attack": pgd(0.1, loss="margin")},
            "label: got 'probabilities', allowed: classes",
        ),
    ],
)
def test_bad_batches_are_one_line(change, message):
    usual = {
        "f": lambda x: x,
        "images": np.full((3, 2), 0.5, np.float32),
        "label": np.zeros(3, np.int32),
        "keys": keys(3),
        "attack": pgd(0.1, 2),
    }
    with pytest.raises(InputError, match=message):
        perturb(**{**usual, **change})
