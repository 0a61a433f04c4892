"""Mixtures of examples: weights, pixels, and the loss of mixed labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import augment, tasks
from jaxdl.augment import cutmix, mixup
from jaxdl.errors import InputError
from jaxdl.explain import pgd
from jaxdl.models import MLP
from tests.tasks.scalar import scalar

KEY = jax.random.key(2)
RNG = np.random.default_rng(0)


def batch(size: int, shape: tuple[int, ...] = (6, 5, 2), **more: np.ndarray) -> dict:
    x = jnp.asarray(RNG.uniform(size=(size, *shape)), jnp.float32)
    label = jnp.asarray(RNG.integers(0, 10, size))
    return {"input": x, "label": label, **{name: jnp.asarray(a) for name, a in more.items()}}


@pytest.mark.parametrize("alpha", [1.0, 0.2])
def test_mixup_is_the_weighted_mean_of_two_examples(alpha):
    given = batch(500)
    inputs, other, lam = mixup(alpha)(KEY, given)
    x = np.asarray(given["input"])
    weight = np.asarray(lam)[:, None, None, None]
    np.testing.assert_allclose(inputs, weight * x + (1 - weight) * np.roll(x, 1, 0), rtol=1e-6)
    np.testing.assert_array_equal(other, np.roll(given["label"], 1))
    assert len(np.unique(lam)) > 450


@pytest.mark.parametrize("alpha", [1.0, 0.2, 3.0])
def test_the_weights_have_the_moments_of_a_beta_distribution(alpha):
    lam = np.asarray(mixup(alpha)(KEY, batch(20000, (1,)))[2])
    assert lam.min() >= 0 and lam.max() <= 1
    assert lam.mean() == pytest.approx(0.5, abs=0.01)
    assert lam.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)


def test_the_weight_of_cutmix_is_the_part_that_is_kept():
    given = batch(400)
    inputs, other, lam = jax.jit(cutmix())(KEY, given)
    x = np.asarray(given["input"])
    own = (np.asarray(inputs) == x).all(-1)
    partner = (np.asarray(inputs) == np.roll(x, 1, 0)).all(-1)
    np.testing.assert_array_equal(lam, np.float32(own.sum((1, 2))) / np.float32(30))
    np.testing.assert_array_equal(own, ~partner)
    np.testing.assert_array_equal(other, np.roll(given["label"], 1))
    assert len(np.unique(lam)) > 10
    for cut in partner:
        # The pixels of the partner are a rectangle.
        np.testing.assert_array_equal(cut, cut.any(1)[:, None] & cut.any(0))


@pytest.mark.parametrize("make", [mixup, cutmix])
def test_a_weight_of_one_keeps_an_example(make):
    """The partner of example 1 does not count, so it is not mixed."""
    given = batch(4, mask=np.array([0, 1, 1, 1]))
    inputs, _, lam = make()(KEY, given)
    assert lam[1] == 1
    np.testing.assert_array_equal(inputs[1], given["input"][1])
    alone, _, lam = make()(KEY, batch(1))
    assert alone.shape[0] == 1 and 0 <= lam[0] <= 1


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["classes", "probabilities", "several"])
def test_the_loss_is_that_of_mixed_labels(kind, smoothing):
    """One label of probabilities, which sum to 1, gives the same loss as two labels."""
    multi_label = kind == "several"
    if multi_label and smoothing:
        return
    given = batch(7, mask=np.array([1, 1, 0, 1, 1, 1, 1]))
    if kind != "classes":
        given["label"] = jax.nn.one_hot(given["label"], 10)
    mix = mixup()
    model = MLP((4,), 10)
    options = {"label_smoothing": smoothing, "multi_label": multi_label}
    mixed = tasks.classify(model, mix=mix, **options)
    plain = tasks.classify(model, **options)
    params, extra = mixed.init(KEY, given)
    (value, count), (_, metrics) = mixed.loss(params, extra, given, KEY, train=True)
    clean = {
        **given,
        "input": given["input"] * given["mask"].astype(jnp.float32)[:, None, None, None],
    }
    inputs, other, lam = mix(jax.random.fold_in(KEY, 3), clean)
    label = given["label"]
    if kind == "classes":
        label = jax.nn.one_hot(label, 10)
        other = jax.nn.one_hot(other, 10)
    target = lam[:, None] * label + (1 - lam[:, None]) * other
    if not multi_label:
        np.testing.assert_allclose(target[jnp.array([0, 1, 4, 5, 6])].sum(1), 1, atol=1e-6)
    soft = {"input": inputs, "label": target, "mask": given["mask"]}
    (expected, expected_count), _ = plain.loss(params, extra, soft, KEY, train=True)
    assert value == pytest.approx(float(expected), rel=1e-5) and count == expected_count
    if kind == "classes":
        logits = np.log(np.asarray(plain.predict(params, extra, inputs)))
        hard = np.asarray(given["label"])
        larger = np.where(np.asarray(lam) >= 0.5, hard, np.roll(hard, 1))
        correct = (logits.argmax(1) == larger) * np.asarray(given["mask"])
        assert float(metrics["accuracy"][0]) == correct.sum()


def test_mixtures_are_for_training_only():
    given = batch(5)
    mixed = tasks.classify(MLP((4,), 10), mix=cutmix())
    plain = tasks.classify(MLP((4,), 10))
    params, extra = plain.init(KEY, given)
    f, g = (scalar(task.loss) for task in (mixed, plain))
    assert f(params, extra, given, KEY, train=False) == g(params, extra, given, KEY, train=False)
    assert f(params, extra, given, KEY, train=True) != g(params, extra, given, KEY, train=True)


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: mixup(0), "alpha: got 0, allowed: a finite number above 0"),
        (
            lambda: cutmix(float("nan")),
            "alpha: got nan, allowed: a finite number above 0",
        ),
        (
            lambda: cutmix()(KEY, batch(3, (4,))),
            "cutmix: got 'float32[3, 4]', allowed: images [B, H, W, C]",
        ),
        (
            lambda: mixup()(KEY, batch(3, (4,), length=np.ones(3, np.int32))),
            "mix: got 'sequences of different lengths', allowed: inputs of one size",
        ),
        (
            lambda: mixup()(KEY, {"input": jnp.ones((2, 3), jnp.int32)}),
            "mix: got 'int32[2, 3]', allowed: inputs of floats",
        ),
        (
            lambda: tasks.classify(MLP((4,)), mix=augment.mixup(), attack=pgd(0.1, steps=1)),
            "mix: got 'a mixture', allowed: None with an attack",
        ),
    ],
)
def test_bad_values_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line
