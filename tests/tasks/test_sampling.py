"""Sampling of a token: frequencies against filters that are written as NumPy loops."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.tasks import check_filters, sample_token
from tests.training.linear import KEY

SAMPLES = 3000
LOGITS = 1.5 * np.random.default_rng(0).normal(size=(8, 5)).astype(np.float32)


def by_numpy(logits, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """Returns the probabilities after the filters, computed token by token."""
    logits = np.asarray(logits, np.float64)
    p = np.exp(logits / temperature)
    if top_k:
        p = np.where([(logits > x).sum() < top_k for x in logits], p, 0)
    p = p / p.sum()
    filtered = np.zeros(len(p))
    total = 0.0
    for token in np.argsort(-p, kind="stable"):
        if total < top_p:
            filtered[token] = p[token]
            total += p[token]
    return filtered / filtered.sum()


@functools.cache
def token_counts(temperature: float, top_k: int, top_p: float) -> np.ndarray:
    """Returns the number of samples of each token, for each row of `LOGITS`."""
    sample = functools.partial(sample_token, temperature=temperature, top_k=top_k, top_p=top_p)
    sample_many = jax.vmap(jax.vmap(sample, (None, 0)), (0, None))
    keys = jax.random.split(KEY, SAMPLES)
    tokens = np.asarray(jax.jit(sample_many)(jnp.asarray(LOGITS), keys))
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
def test_frequencies_match_the_filtered_probabilities(filters):
    for counts, logits in zip(token_counts(*filters), LOGITS, strict=True):
        p = by_numpy(logits, *filters)
        assert (counts[p == 0] == 0).all()
        error = (counts - SAMPLES * p)[p > 0] ** 2 / (SAMPLES * p[p > 0])
        # The sum is larger with a probability of 1e-5, for 4 degrees of freedom.
        assert error.sum() < 28


def test_a_temperature_can_be_an_array():
    keys = jax.random.split(KEY, 50)

    def tokens(t):
        return jax.vmap(lambda key: sample_token(jnp.asarray(LOGITS[0]), key, t, 4, 0.9))(keys)

    np.testing.assert_array_equal(jax.jit(tokens)(jnp.float32(0.7)), tokens(0.7))
    np.testing.assert_array_equal(tokens(jnp.float32(0.7)), tokens(0.7))


def test_temperature_zero_selects_the_likeliest_token_for_every_key():
    for seed, logits in enumerate(LOGITS):
        for filters in ({}, {"top_k": 3}, {"top_p": 0.4}):
            token = sample_token(jnp.asarray(logits), jax.random.key(seed), 0.0, **filters)
            assert int(token) == logits.argmax()
    assert int(sample_token(jnp.array([1.0, 2.0, 2.0]), KEY, 0.0)) == 1


def sampled_tokens(logits, **filters) -> set[int]:
    tokens = jax.vmap(lambda key: sample_token(jnp.asarray(logits), key, **filters))(
        jax.random.split(KEY, 300)
    )
    return set(tokens.tolist())


def test_ties():
    """Includes all tokens equal to the k-th for top_k, and only as many as needed for top_p."""
    assert sampled_tokens([0.0, 1.0, 1.0, 1.0], top_k=1) == {1, 2, 3}
    assert sampled_tokens([2.0, 1.0, 1.0, 0.0], top_k=2) == {0, 1, 2}
    assert sampled_tokens([0.0, 0.0, 0.0, 0.0], top_k=3) == {0, 1, 2, 3}
    assert len(sampled_tokens([0.0, 0.0, 0.0, 0.0], top_p=0.5)) == 2
    assert len(sampled_tokens([0.0, 0.0, 0.0, 0.0], top_p=0.51)) == 3
    assert len(sampled_tokens([0.0, 0.0, 0.0, 0.0], top_p=1e-12)) == 1


def test_tokens_of_probability_zero_are_never_sampled():
    assert sampled_tokens([-np.inf, 0.0, 0.0, -np.inf]) == {1, 2}
    assert sampled_tokens([-np.inf, 0.0, 0.0, -np.inf], top_k=3) == {1, 2}
    assert sampled_tokens([-np.inf, 0.0, 0.0, -np.inf], top_p=0.999) == {1, 2}


def test_low_precision_logits_are_converted_to_float32():
    logits = jnp.asarray(LOGITS[0], jnp.bfloat16)
    np.testing.assert_array_equal(
        sample_token(logits, KEY, 0.9, 3, 0.9),
        sample_token(logits.astype(jnp.float32), KEY, 0.9, 3, 0.9),
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
def test_bad_filters_are_refused(filters, line):
    with pytest.raises(InputError) as caught:
        check_filters(*filters)
    assert str(caught.value) == line


@pytest.mark.parametrize("filters", [(0, 0, 1), (0.0, 3, 1e-9), (1e9, 10**6, 1.0)])
def test_good_filters_are_accepted(filters):
    check_filters(*filters)
