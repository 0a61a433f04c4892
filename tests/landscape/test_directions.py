"""Directions: norms of filters, differences, and trees of other networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.landscape import between, random_direction
from jaxdl.models import SequenceNet
from jaxdl.nn import RNN
from tests.landscape.networks import network

KEY = jaxdl.root(0)


def random_tree(**shapes):
    rng = np.random.default_rng(0)
    return {
        name: {key: jnp.asarray(rng.normal(size=shape), jnp.float32) for key, shape in each.items()}
        for name, each in shapes.items()
    }


TREE = random_tree(
    dense={"kernel": (5, 3), "bias": (3,)},
    conv={"kernel": (3, 2, 4, 6), "bias": (6,)},
    norm={"scale": (6,), "bias": (6,)},
    rnn={"kernel": (4, 12), "recurrent_kernel": (3, 12), "bias": (12,)},
    words={"embedding": (7, 4)},
)


def test_each_filter_has_the_norm_of_the_trained_one():
    d = random_direction(TREE, KEY)
    for layer in ("dense", "conv", "rnn"):
        for name, w in TREE[layer].items():
            if w.ndim == 1:
                continue
            for unit in range(w.shape[-1]):
                found = np.linalg.norm(d[layer][name][..., unit])
                np.testing.assert_allclose(found, np.linalg.norm(w[..., unit]), rtol=1e-6)
    rows = np.linalg.norm(d["words"]["embedding"], axis=1)
    np.testing.assert_allclose(rows, np.linalg.norm(TREE["words"]["embedding"], axis=1), rtol=1e-6)


def test_each_layer_has_the_norm_of_the_trained_one():
    d = random_direction(TREE, KEY, "layer", vectors=True)
    for found, w in zip(jax.tree.leaves(d), jax.tree.leaves(TREE), strict=True):
        np.testing.assert_allclose(np.linalg.norm(found), np.linalg.norm(w), rtol=1e-6)


def test_the_numbers_before_normalization_are_normal_and_the_same():
    params = {"a": jnp.zeros((200, 100)), "b": jnp.ones((200, 100))}
    d = random_direction(params, KEY, None)
    numbers = np.stack([np.ravel(d["a"]), np.ravel(d["b"])])
    np.testing.assert_allclose(numbers.std(1), 1, atol=0.02)
    np.testing.assert_allclose(numbers.mean(1), 0, atol=0.02)
    assert abs(np.corrcoef(numbers)[0, 1]) < 0.03
    scaled = random_direction(params, KEY)
    np.testing.assert_allclose(
        scaled["b"] / np.linalg.norm(scaled["b"], axis=0, keepdims=True),
        d["b"] / np.linalg.norm(d["b"], axis=0, keepdims=True),
        rtol=1e-5,
    )
    assert not np.any(scaled["a"])


@pytest.mark.parametrize("normalization", ["filter", "layer", None])
def test_vectors_are_zero_unless_asked(normalization):
    d = random_direction(TREE, KEY, normalization)
    asked = random_direction(TREE, KEY, normalization, vectors=True)
    for w, zero, found in zip(*map(jax.tree.leaves, (TREE, d, asked)), strict=True):
        if w.ndim == 1:
            assert not np.any(zero)
            assert np.all(found)
        else:
            assert np.array_equal(zero, found)


def test_keys_give_other_directions():
    one = random_direction(TREE, KEY)
    again = random_direction(TREE, KEY)
    other = random_direction(TREE, jaxdl.root(1))
    assert all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(again)))
    pair = [np.concatenate([np.ravel(x) for x in jax.tree.leaves(d)]) for d in (one, other)]
    assert abs(np.corrcoef(pair)[0, 1]) < 0.3


def test_small_and_half_numbers():
    params = {
        "half": jnp.ones((64, 2), jnp.bfloat16),
        "small": jnp.full((3, 2), 1e-30),
    }
    d = random_direction(params, KEY)
    assert d["half"].dtype == jnp.bfloat16
    wide = np.asarray(d["half"], np.float32)
    np.testing.assert_allclose(np.linalg.norm(wide, axis=0), 8, rtol=1e-2)
    small = np.asarray(d["small"], np.float64)
    np.testing.assert_allclose(np.linalg.norm(small, axis=0), 3**0.5 * 1e-30, rtol=1e-5)


def test_recurrent_networks_have_directions():
    model = SequenceNet(None, RNN("lstm", 5), outputs=2)
    variables = model.init(KEY, jnp.zeros((1, 4, 3)), train=False)
    d = random_direction(variables["params"], KEY)
    assert jax.tree.structure(d) == jax.tree.structure(variables["params"])
    assert all(np.any(x) for x in jax.tree.leaves(d) if x.ndim > 1)


def test_the_direction_between_two_networks():
    a, b = (network("cnn", seed)[1].params for seed in (1, 2))
    for x, y, d in zip(*map(jax.tree.leaves, (a, b, between(a, b))), strict=True):
        np.testing.assert_array_equal(d, np.asarray(y) - np.asarray(x))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: between(network("mlp")[1].params, network("cnn")[1].params),
            "b: got 'no dense_0/bias', allowed: the arrays of the same network, such as those of "
            "random_direction(params, key)",
        ),
        (
            lambda: between(TREE, {**TREE, "more": {"bias": jnp.zeros(1)}}),
            "b: got 'more/bias', allowed: the arrays of the same network, such as those of "
            "random_direction(params, key)",
        ),
        (
            lambda: between(TREE, {**TREE, "words": {"embedding": jnp.zeros((8, 4))}}),
            "b: got 'words/embedding [8, 4]', allowed: the shape [7, 4], as in the network",
        ),
        (
            lambda: between({"w": jnp.array([jnp.nan])}, {"w": jnp.zeros(1)}),
            "a: got 'NaN or infinity in w', allowed: finite parameters",
        ),
        (
            lambda: random_direction({}, KEY),
            "params: got 'dict', allowed: the parameters of a network, such as state.params",
        ),
        (
            lambda: random_direction(network("mlp")[1], KEY),
            "params: got 'a State', allowed: its parameters, state.params",
        ),
        (
            lambda: between(TREE, {**TREE, "words": {"embedding": jnp.ones((7, 4), jnp.int32)}}),
            "b: got 'int32 in words/embedding', allowed: parameters in floats",
        ),
        (
            lambda: random_direction(TREE, KEY, "filters"),
            "normalization: got 'filters', allowed: filter, layer (did you mean 'filter'?)",
        ),
        (
            lambda: random_direction(TREE, jaxdl.root([0, 1])),
            "key: got '2 keys', allowed: one key, root(seed)",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(InputError) as raised:
        call()
    assert str(raised.value) == message
