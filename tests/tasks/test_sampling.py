"""Drawing a token: frequencies against a NumPy filter that goes through the vocabulary by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.tasks import check_filters, draw
from tests.training.linear import KEY

DRAWS = 3000
LOGITS = 1.5 * np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)


def by_hand(logits, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """The probabilities that are left, one token after the other."""
    logits = np.asarray(logits, np.float64)
    p = np.exp(logits / temperature)
    if top_k:
        p = np.where([(logits > x).sum() < top_k for x in logits], p, 0)
    p, kept, reached = p / p.sum(), np.zeros(len(p)), 0.0
    for token in np.argsort(-p, kind="stable"):
        if reached < top_p:
            kept[token], reached = p[token], reached + p[token]
    return kept / kept.sum()


@functools.cache
def drawn(temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """How often each token of each row of `LOGITS` comes."""
    one = functools.partial(draw, temperature=temperature, top_k=top_k, top_p=top_p)
    many = jax.vmap(jax.vmap(one, (None, 0)), (0, None))
    tokens = np.asarray(jax.jit(many)(jnp.asarray(LOGITS), jax.random.split(KEY, DRAWS)))
    assert tokens.dtype == np.int32
    return np.stack([np.bincount(row, minlength=5) for row in tokens])


FILTERS = [
    (1.0, 0, 1.0),
    (0.3, 0, 1.0),
    (2.5, 0, 1.0),
    (1.0, 1, 1.0),
    (1.0, 3, 1.0),
    (0.7, 2, 1.0),
    (1.0, 5, 1.0),
    (1.0, 99, 1.0),
    (1.0, 0, 0.5),
    (1.0, 0, 0.9),
    (2.0, 0, 0.8),
    (1.0, 3, 0.7),
    (0.5, 4, 0.95),
    (1.0, 0, 1e-9),
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_frequencies_are_those_of_what_is_kept(filters):
    for counts, logits in zip(drawn(*filters), LOGITS, strict=True):
        p = by_hand(logits, *filters)
        assert (counts[p == 0] == 0).all()
        error = (counts - DRAWS * p)[p > 0] ** 2 / (DRAWS * p[p > 0])
        assert error.sum() < 28  # 4 degrees of freedom: above it with a chance of 1e-5


def test_a_temperature_may_be_an_array():
    keys = jax.random.split(KEY, 50)

    def tokens(t):
        return jax.vmap(lambda key: draw(jnp.asarray(LOGITS[0]), key, t, 4, 0.9))(keys)

    np.testing.assert_array_equal(jax.jit(tokens)(jnp.float32(0.7)), tokens(0.7))
    np.testing.assert_array_equal(tokens(jnp.float32(0.7)), tokens(0.7))


def test_without_temperature_the_likeliest_whatever_the_key():
    for seed, logits in enumerate(LOGITS):
        for filters in ({}, {"top_k": 3}, {"top_p": 0.4}):
            assert (
                int(draw(jnp.asarray(logits), jax.random.key(seed), 0.0, **filters))
                == logits.argmax()
            )
    assert int(draw(jnp.array([1.0, 2.0, 2.0]), KEY, 0.0)) == 1


def seen(logits, **filters) -> set[int]:
    tokens = jax.vmap(lambda key: draw(jnp.asarray(logits), key, **filters))(
        jax.random.split(KEY, 300)
    )
    return set(tokens.tolist())


def test_ties():
    """All that are equal to the k-th stay; of a nucleus as many as it takes."""
    assert seen([0.0, 1.0, 1.0, 1.0], top_k=1) == {1, 2, 3}
    assert seen([2.0, 1.0, 1.0, 0.0], top_k=2) == {0, 1, 2}
    assert seen([0.0, 0.0, 0.0, 0.0], top_k=3) == {0, 1, 2, 3}
    assert len(seen([0.0, 0.0, 0.0, 0.0], top_p=0.5)) == 2
    assert len(seen([0.0, 0.0, 0.0, 0.0], top_p=0.51)) == 3
    assert len(seen([0.0, 0.0, 0.0, 0.0], top_p=1e-12)) == 1


def test_tokens_that_cannot_come_do_not():
    assert seen([-np.inf, 0.0, 0.0, -np.inf]) == {1, 2}
    assert seen([-np.inf, 0.0, 0.0, -np.inf], top_k=3) == {1, 2}
    assert seen([-np.inf, 0.0, 0.0, -np.inf], top_p=0.999) == {1, 2}


def test_low_precision_logits():
    logits = jnp.asarray(LOGITS[0], jnp.bfloat16)
    np.testing.assert_array_equal(
        draw(logits, KEY, 0.9, 3, 0.9), draw(logits.astype(jnp.float32), KEY, 0.9, 3, 0.9)
    )


@pytest.mark.parametrize(
    ("filters", "line"),
    [
        ((-0.1, 0, 1.0), "temperature: got -0.1, allowed: a number, at least 0"),
        ((float("nan"), 0, 1.0), "temperature: got nan, allowed: a number, at least 0"),
        ((float("inf"), 0, 1.0), "temperature: got inf, allowed: a number, at least 0"),
        ((1.0, -1, 1.0), "top_k: got -1, allowed: at least 0"),
        ((1.0, 2.5, 1.0), "top_k: got 2.5, allowed: an integer, at least 0"),
        ((1.0, 0, 0.0), "top_p: got 0.0, allowed: a number in (0, 1]"),
        ((1.0, 0, 1.01), "top_p: got 1.01, allowed: a number in (0, 1]"),
        ((1.0, 0, float("nan")), "top_p: got nan, allowed: a number in (0, 1]"),
    ],
)
def test_filters_that_cannot_be_used(filters, line):
    with pytest.raises(InputError) as caught:
        check_filters(*filters)
    assert str(caught.value) == line


@pytest.mark.parametrize("filters", [(0, 0, 1), (0.0, 3, 1e-9), (1e9, 10**6, 1.0)])
def test_filters_that_can(filters):
    check_filters(*filters)
