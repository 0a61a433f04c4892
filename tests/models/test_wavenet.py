"""WaveNet against a loop, its causality, and its queues against whole sequences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import WaveNet
from tests.models.random_variables import random_variables

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 13, 3)).astype(np.float32)
MODEL = WaveNet(3, skip=4, layers=2, stacks=2, kernel_size=3)
VARIABLES = random_variables(MODEL, X)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def looped(x):
    """Returns the outputs by a loop over layers, steps and taps."""
    p = jax.tree.map(np.asarray, VARIABLES["params"])
    total = 0
    for i in range(4):
        kernel = p[f"conv_{i}"]["kernel"]
        a = np.zeros((*x.shape[:2], 6)) + p[f"conv_{i}"]["bias"]
        for t, k in np.ndindex(x.shape[1], 3):
            at = t - (2 - k) * 2 ** (i % 2)
            if at >= 0:
                a[:, t] += x[:, at] @ kernel[k]
        z = np.tanh(a[..., :3]) * sigmoid(a[..., 3:])
        both = z @ p[f"mix_{i}"]["kernel"] + p[f"mix_{i}"]["bias"]
        x = x + both[..., :3]
        total = total + both[..., 3:]
    hidden = np.maximum(total, 0) @ p["hidden"]["kernel"] + p["hidden"]["bias"]
    return np.maximum(hidden, 0)


def call(x, carry=None, lengths=None):
    return MODEL.apply(VARIABLES, x, False, lengths, carry)


def test_outputs_are_those_of_a_loop():
    np.testing.assert_allclose(call(X)[0], looped(X), atol=2e-5)


def test_outputs_depend_on_the_steps_of_the_receptive_field_only():
    variables = random_variables(MODEL, np.zeros((1, 20, 3), np.float32))

    def outputs(x):
        return MODEL.apply(variables, x[None], False)[0][0].sum(-1)

    x = RNG.normal(size=(20, 3)).astype(np.float32)
    found = np.abs(jax.jit(jax.jacrev(outputs))(x)).sum(2) > 0
    ago = np.arange(20)[:, None] - np.arange(20)[None]
    assert MODEL.receptive_field == 13
    np.testing.assert_array_equal(found, (ago >= 0) & (ago < 13))


@pytest.mark.parametrize("parts", [[1] * 13, [13], [1, 5, 1, 1, 4, 1], [7, 6], [2, 11]])
def test_queues_continue_a_sequence(parts):
    expected, end = call(X)
    compiled = jax.jit(call)
    start = 0
    carry = None
    for size in parts:
        y, carry = compiled(X[:, start : start + size], carry)
        np.testing.assert_allclose(y, expected[:, start : start + size], atol=1e-5)
        start += size
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), carry, end)


@pytest.mark.parametrize("size", [1, 3])
def test_rows_of_different_steps_can_be_joined(size):
    _, early = call(X[:1, :5])
    _, late = call(X[1:, :8])
    carry = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), early, late)
    x = np.concatenate([X[:1, 5 : 5 + size], X[1:, 8 : 8 + size]])
    expected = call(X)[0]
    y, (steps, _) = call(x, carry)
    np.testing.assert_allclose(y[0], expected[0, 5 : 5 + size], atol=1e-5)
    np.testing.assert_allclose(y[1], expected[1, 8 : 8 + size], atol=1e-5)
    assert steps.tolist() == [5 + size, 8 + size]


def test_padding_has_no_effect():
    x = X.copy()
    x[1, 5:] = np.nan
    y, carry = call(x, lengths=np.array([13, 5], np.int32))
    expected = call(X)[0]
    np.testing.assert_allclose(y[0], expected[0], atol=1e-6)
    np.testing.assert_allclose(y[1, :5], expected[1, :5], atol=1e-6)
    assert not np.any(y[1, 5:])
    assert carry == ()


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: WaveNet(0), "features: got 0"),
        (lambda: WaveNet(4, kernel_size=1), "kernel_size: got 1"),
        (lambda: call(X[..., :2]), r"x: got \[2, 13, 2\], allowed: sequences \[B, T, 3\]"),
        (lambda: call(X, call(X[:1])[1]), "carry: got"),
        (lambda: call(X, (*call(X)[1], 0)), r"carry: got 'tuple', allowed: a tuple \(steps, qu"),
        (lambda: call(X, X), r"carry: got 'ndarray', allowed: a tuple \(steps, queues\)"),
        (lambda: call(X, (np.int32(3), call(X)[1][1])), r"steps of the carry: got \(\)"),
        (lambda: call(X, call(X)[1], np.array([1, 2])), "carry: got 'a carry with lengths'"),
    ],
)
def test_bad_inputs_are_refused(make, error):
    with pytest.raises(InputError, match=error):
        make()


def test_a_generator_uses_the_queues():
    """One step at a time gives the tokens of passes over the whole sequence."""
    from jaxdl.models import SequenceNet
    from jaxdl.nn import Embedding
    from jaxdl.tasks import language, sample_token

    model = SequenceNet(Embedding(5, 4), WaveNet(4, skip=6, layers=2), 5)
    ids = jnp.array([[1, 4, 2, 0], [3, 3, 1, 2]])
    task = language(model)
    params = random_variables(model, np.asarray(ids))["params"]
    key = jax.random.key(1)
    found = task.generate(params, {}, ids, key, length=9)
    text = ids
    for t in range(9):
        logits = jnp.log(task.predict(params, {}, text)[:, -1])
        step = jax.random.fold_in(key, t)
        new = [sample_token(logits[row], jax.random.fold_in(step, row)) for row in range(2)]
        text = jnp.concatenate([text, jnp.stack(new)[:, None]], 1)
    np.testing.assert_array_equal(found, text[:, 4:])
