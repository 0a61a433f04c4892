"""Tests of the checklist: honest networks pass, and each masked one fails at the expected lines."""

from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.explain import checklist, format_checks, logits, perturb, pgd
from jaxdl.models import MLP
from jaxdl.rng import fold, root

MODEL = MLP((64,), outputs=10)
EPSILON = 0.1
TRAININGS = {"undefended": None, "one step": pgd(EPSILON, 1, step_size=0.125), "pgd": pgd(0.1, 5)}


@cache
def digits():
    train, test = jaxdl.data.load("digits")
    sets = [
        (np.asarray(s["input"]), np.asarray(s["label"]).astype(np.int32)) for s in (train, test)
    ]
    return sets[0], (sets[1][0][:200], sets[1][1][:200])


@cache
def trained(kind):
    """Returns the logits of a small network after 300 steps of adversarial training."""
    (images, label), _ = digits()
    attack = TRAININGS[kind]
    variables = MODEL.init(jax.random.key(0), images[:1], train=False)

    @jax.jit
    def step(carry, number):
        variables, velocity = carry
        key = fold(root(0), number)
        rows = jax.random.randint(key, (128,), 0, len(images))
        x = jnp.asarray(images)[rows]
        y = jnp.asarray(label)[rows]

        def f(variables, x):
            return MODEL.apply(variables, x, train=False)

        if attack is not None:
            keys = jax.vmap(partial(fold, key))(jnp.arange(128, dtype=jnp.int32))
            x = perturb(partial(f, variables), x, y, keys, attack)

        def loss(variables):
            scores = f(variables, x)
            return optax.softmax_cross_entropy_with_integer_labels(scores, y).mean()

        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, jax.grad(loss)(variables))
        return (jax.tree.map(lambda w, v: w - 0.05 * v, variables, velocity), velocity), None

    @jax.jit
    def train(carry):
        return jax.lax.scan(step, carry, jnp.arange(300, dtype=jnp.int32))[0]

    return logits(MODEL, train((variables, jax.tree.map(jnp.zeros_like, variables)))[0])


@cache
def checks_of(kind, norm="linf", epsilon=EPSILON):
    images, label = digits()[1]
    other = trained("undefended")
    return checklist(changed(kind), images, label, root(0), epsilon, norm=norm, other=other)


def changed(kind):
    f = trained("undefended")
    masked = {
        "logits times 1e4": lambda x: 1e4 * f(x),
        "quantized": lambda x: f(jnp.round(8 * x) / 8),
        "probabilities": lambda x: jax.nn.softmax(f(x)),
        "batch statistics": lambda x: f(x) - jnp.broadcast_to(f(x).mean(0), (len(x), 10)),
    }
    if kind in masked:
        return masked[kind]
    return trained(kind)


def failed(checks):
    return {check.name for check in checks if not check.is_passed}


@pytest.mark.parametrize("kind", TRAININGS)
def test_honest_networks_pass(kind):
    checks = checks_of(kind)
    assert not failed(checks), format_checks(checks)
    assert len(checks) == len({check.name for check in checks}) == 13


def test_the_euclidean_ball_has_the_same_checks():
    checks = checks_of("pgd", "l2", 0.5)
    assert not failed(checks), format_checks(checks)


GRADIENT = "the cross-entropy has a gradient"
FAILURES = {
    "logits times 1e4": {GRADIENT},
    "quantized": {
        GRADIENT,
        "noise of the same size is much weaker",
        "no gradient-free attack finds more",
        "PGD finds planted adversarial examples",
    },
    "probabilities": {"outputs are logits, not probabilities"},
    "batch statistics": {"outputs are deterministic and independent of the batch"},
}


@pytest.mark.parametrize("kind", FAILURES)
def test_masked_networks_fail(kind):
    checks = checks_of(kind)
    assert failed(checks) >= FAILURES[kind], format_checks(checks)


def test_the_checklist_depends_on_the_key_only():
    images, label = digits()[1]
    one, two = (checklist(trained("pgd"), images[:60], label[:60], root(3), 0.1) for _ in "12")
    assert one == two
    assert len(one) == 12


def test_the_format_has_one_line_per_check():
    lines = format_checks(checks_of("probabilities")).splitlines()
    assert len(lines) == 13
    assert {line[:6] for line in lines} == {"pass  ", "FAIL  "}


def test_bad_inputs_are_one_line():
    images, label = digits()[1]
    f = trained("undefended")
    usual = {"f": f, "images": images, "label": label, "key": root(0), "epsilon": 0.1}
    wrong = (np.asarray(f(images)).argmax(1) + 1) % 10
    cases = [
        ({"epsilon": 0}, "epsilon: got 0, allowed: a number above 0"),
        ({"epsilon": -1}, "epsilon: got -1"),
        ({"norm": "l1"}, "norm: got 'l1', allowed: l2, linf"),
        ({"label": wrong}, "label: got 'an accuracy of 0 %'"),
        ({"images": 16 * images}, "images: got pixels in"),
        ({"other": lambda x: f(x)[:, :3]}, "other: got '3 classes', allowed: a network with 10"),
    ]
    for options, message in cases:
        with pytest.raises(InputError, match=message):
            checklist(**{**usual, **options})
