"""Adversarial training and TRADES against losses that are written out, and their warm-up."""

import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.description import build_task, describe_task
from jaxdl.errors import InputError
from jaxdl.explain import Attack, fgsm, perturb, pgd
from jaxdl.metrics import means
from jaxdl.models import CNN, MLP, Stage
from jaxdl.tasks import classify
from tests.tasks.scalar import scalar
from tests.training.linear import KEY

RNG = np.random.default_rng(2)
MODEL = MLP((), 3)
BATCH = {
    "input": jnp.asarray(RNG.uniform(0.2, 0.8, size=(5, 4)), jnp.float32),
    "label": jnp.asarray(RNG.integers(0, 3, 5), jnp.int32),
    "mask": jnp.asarray([1, 1, 0, 1, 1], jnp.float32),
}
PARAMS = {
    "out": {
        "kernel": jnp.asarray(RNG.normal(size=(4, 3)), jnp.float32),
        "bias": jnp.asarray(RNG.normal(size=3), jnp.float32),
    }
}
EPSILON = 0.05


def logits(x):
    return np.asarray(x) @ np.asarray(PARAMS["out"]["kernel"]) + np.asarray(PARAMS["out"]["bias"])


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_hand() -> np.ndarray:
    """Returns FGSM's images, one example after the other."""
    kernel = np.asarray(PARAMS["out"]["kernel"])
    changed = []
    for x, y in zip(np.asarray(BATCH["input"]), np.asarray(BATCH["label"]), strict=True):
        gradient = kernel @ (softmax(logits(x)) - np.eye(3)[y])
        changed.append(x + EPSILON * np.sign(gradient))
    return np.stack(changed)


def mean(values) -> float:
    mask = np.asarray(BATCH["mask"])
    return float((values * mask).sum() / mask.sum())


def entropy(z) -> np.ndarray:
    return -np.log(softmax(z))[np.arange(5), np.asarray(BATCH["label"])]


@pytest.mark.parametrize("train", [True, False])
def test_adversarial_training_has_the_loss_of_attacked_inputs(train):
    task = classify(MODEL, attack=fgsm(EPSILON))
    _, (_, metrics) = task.loss(PARAMS, {}, BATCH, KEY, train=train)
    found = means(metrics)
    changed = logits(by_hand())
    label = np.asarray(BATCH["label"])
    assert found["loss"] == pytest.approx(mean(entropy(changed)), rel=1e-5)
    assert found["accuracy"] == pytest.approx(mean(logits(BATCH["input"]).argmax(1) == label))
    assert found["robust_accuracy"] == pytest.approx(mean(changed.argmax(1) == label))


def test_the_gradient_is_that_of_constant_attacked_inputs():
    task = classify(MODEL, attack=fgsm(EPSILON))
    gradient = jax.grad(lambda p: scalar(task.loss)(p, {}, BATCH, KEY, train=True)[0])(PARAMS)
    fixed = {**BATCH, "input": jnp.asarray(by_hand(), jnp.float32)}
    plain = classify(MODEL)
    expected = jax.grad(lambda p: scalar(plain.loss)(p, {}, fixed, KEY, train=True)[0])(PARAMS)
    for found, other in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-6)


def test_trades_adds_the_divergence_of_its_own_attack():
    attack = pgd(EPSILON, 3)
    task = classify(MODEL, attack=attack, trades=2.0)
    _, (_, metrics) = task.loss(PARAMS, {}, BATCH, KEY, train=True)
    clean = logits(BATCH["input"])
    keys = jax.random.split(jax.random.fold_in(KEY, 2), 5)

    def f(x):
        return x @ PARAMS["out"]["kernel"] + jnp.broadcast_to(PARAMS["out"]["bias"], (5, 3))

    changed = logits(perturb(f, BATCH["input"], jnp.asarray(softmax(clean)), keys, attack))
    p = softmax(clean)
    divergence = (p * (np.log(p) - np.log(softmax(changed)))).sum(1)
    assert (divergence > 0).all()
    assert means(metrics)["loss"] == pytest.approx(mean(entropy(clean) + 2 * divergence), rel=1e-4)


def test_without_a_change_trades_is_the_plain_loss():
    task = classify(MODEL, attack=fgsm(0.0), trades=6.0)
    found = scalar(task.loss)(PARAMS, {}, BATCH, KEY, train=True)[0]
    plain = scalar(classify(MODEL).loss)(PARAMS, {}, BATCH, KEY, train=True)[0]
    assert float(found) == pytest.approx(float(plain), rel=1e-6)


def test_the_attack_grows_in_training_and_has_its_size_in_evaluation():
    data = jaxdl.data.Dataset(
        {"input": np.asarray(BATCH["input"]), "label": np.asarray(BATCH["label"])}, "few"
    )
    task = classify(MODEL, attack=fgsm(EPSILON), attack_warmup=4)
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.0)))
    state = jaxdl.train(net, data, key=KEY, steps=3, batch_size=4)
    assert float(state.extra["attack"]["step"]) == 3
    whole = classify(MODEL, attack=fgsm(EPSILON))
    params = state.params
    expected = scalar(whole.loss)(params, {}, BATCH, KEY, train=False)[0]
    found = scalar(task.loss)(params, state.extra, BATCH, KEY, train=False)[0]
    assert float(found) == float(expected)
    smaller = classify(MODEL, attack=fgsm(EPSILON * 0.75))
    expected = scalar(smaller.loss)(params, {}, BATCH, KEY, train=True)[0]
    found = scalar(task.loss)(params, state.extra, BATCH, KEY, train=True)[0]
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
    assert task.predict(params, state.extra, BATCH["input"]).shape == (5, 3)


def test_the_attacked_network_has_no_dropout_and_its_running_statistics():
    model = CNN((Stage(4, 3, dropout=0.5),), (), 3, norm="batch")
    x = jnp.asarray(RNG.uniform(size=(6, 6, 6, 1)), jnp.float32)
    batch = {"input": x, "label": jnp.asarray(RNG.integers(0, 3, 6), jnp.int32)}
    # Gradients of pixels with the wrong statistics would have other signs.
    task = classify(model, attack=fgsm(0.1))
    params, extra = task.init(KEY, batch)
    _, (updated, _) = task.loss(params, extra, batch, KEY, train=True)

    def f(x):
        return model.apply({"params": params, **extra}, x, train=False)

    changed = perturb(f, x, batch["label"], jax.random.split(KEY, 6), fgsm(0.1))
    plain = classify(model)
    _, (expected, _) = plain.loss(params, extra, {**batch, "input": changed}, KEY, train=True)
    for found, other in zip(jax.tree.leaves(updated), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, other, rtol=1e-5, atol=1e-6)


def test_a_description_contains_the_attack():
    task = classify(MODEL, attack=pgd(0.3, 7, norm="l2"), attack_warmup=9, trades=6.0)
    rebuilt = build_task(json.loads(json.dumps(describe_task(task))))
    assert rebuilt.arguments["attack"] == Attack(0.3, "l2", 7)
    assert rebuilt.arguments["attack_warmup"] == 9
    # Descriptions of earlier versions have no attack.
    old = {key: value for key, value in describe_task(classify(MODEL)).items() if key[0] != "a"}
    assert build_task(old).arguments["attack"] is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attack": 0.3}, "^attack: got 0.3, allowed: jaxdl.explain.pgd"),
        ({"trades": 6.0}, "^trades: got 6.0, allowed: None without an attack; write attack="),
        ({"attack_warmup": 5}, "^attack_warmup: got 5, allowed: 0 without an attack"),
        ({"attack": pgd(0.1), "attack_warmup": -1}, "^attack_warmup: got -1"),
        ({"attack": pgd(0.1), "trades": -1.0}, "^trades: got -1.0"),
        ({"attack": pgd(0.1, loss="margin"), "trades": 1.0}, "^attack: got 'margin'"),
        ({"attack": pgd(0.1, targeted=True)}, "^attack: got 'targeted=True'"),
        ({"attack": pgd(0.1), "multi_label": True}, "^multi_label: got True, allowed: False with"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(InputError, match=message):
        classify(MODEL, **options)


def test_inputs_that_are_no_floats_cannot_be_attacked():
    task = classify(MODEL, attack=pgd(0.1))
    with pytest.raises(InputError, match="^input: got 'int32', allowed: floats with an attack"):
        task.loss(PARAMS, {}, {**BATCH, "input": jnp.ones((5, 4), jnp.int32)}, KEY, train=True)
