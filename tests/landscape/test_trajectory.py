"""The plane of a path: principal directions by SVD, exact planes, shares of variance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.landscape import plane, surface

RNG = np.random.default_rng(0)


def tree(w):
    return {
        "a": jnp.asarray(w[:6].reshape(2, 3), jnp.float32),
        "b": jnp.asarray(w[6:], jnp.float32),
    }


def flat(params):
    return np.concatenate([np.ravel(params["a"]), np.ravel(params["b"])]).astype(float)


def test_directions_are_those_of_a_singular_value_decomposition():
    path = np.cumsum(RNG.normal(size=(12, 10)), 0)
    found = plane([tree(w) for w in path])
    m = path - path[-1]
    _, values, vectors = np.linalg.svd(m, full_matrices=False)
    for direction, expected in zip((found.x, found.y), vectors[:2], strict=True):
        np.testing.assert_allclose(abs(flat(direction) @ expected), 1, rtol=1e-5)
    np.testing.assert_allclose(found.share, values[:2] ** 2 / (values**2).sum(), rtol=1e-5)
    directions = np.stack([flat(found.x), flat(found.y)])
    np.testing.assert_allclose(found.coordinates, m @ directions.T, atol=1e-5)
    np.testing.assert_allclose(directions @ directions.T, np.eye(2), atol=1e-6)
    assert found.coordinates[-1].tolist() == [0, 0]
    assert (found.coordinates[0] > 0).all()


def test_a_path_in_a_plane_is_that_plane():
    u, v, end = RNG.normal(size=(3, 10))
    path = np.array([end + a * u + b * v for a, b in RNG.normal(size=(8, 2))] + [end])
    found = plane([tree(w) for w in path])
    np.testing.assert_allclose(found.share.sum(), 1, rtol=1e-6)
    directions = np.stack([flat(found.x), flat(found.y)])
    np.testing.assert_allclose(end + found.coordinates @ directions, path, atol=1e-5)


def test_a_random_walk_has_known_shares():
    walk = np.cumsum(RNG.normal(size=(100, 5000)), 0)
    found = plane([{"w": jnp.asarray(w, jnp.float32)} for w in walk])
    np.testing.assert_allclose(found.share, [8 / np.pi**2, 8 / (9 * np.pi**2)], atol=0.01)


def test_losses_on_the_plane_are_those_of_the_states():
    u, v, end = RNG.normal(size=(3, 10))
    states = [tree(end + a * u + b * v) for a, b in ((2, 0), (1, -1), (0, 0))]
    found = plane(states)

    def f(params):
        return (params["a"] ** 2).sum() + jnp.cos(params["b"]).sum()

    for state, (x, y) in zip(states, found.coordinates, strict=True):
        span = ((x, x + 1), (y, y + 1))
        losses = surface(f, states[-1], found.x, found.y, span=span, points=2).losses
        np.testing.assert_allclose(losses[0, 0], f(state), rtol=1e-4)


def test_directions_have_the_dtypes_of_the_parameters():
    states = [
        jax.tree.map(lambda x: x.astype(jnp.bfloat16), tree(w)) for w in RNG.normal(size=(4, 10))
    ]
    assert plane(states).x["a"].dtype == jnp.bfloat16


STATES = [tree(w) for w in RNG.normal(size=(3, 10))]


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (
            STATES[:2],
            "states: got '2 states', allowed: a list of the parameters at 3 or more steps",
        ),
        (
            STATES[0],
            "states: got 'dict', allowed: a list of the parameters at 3 or more steps",
        ),
        (
            [STATES[0], {**STATES[1], "b": jnp.zeros(5)}, STATES[2]],
            "states[1]: got 'b [5]', allowed: the shape [4], as in the network",
        ),
        (
            [STATES[0], {"a": STATES[1]["a"]}, STATES[2]],
            "states[1]: got 'no b', allowed: the arrays of the same network, such as those of "
            "random_direction(params, key)",
        ),
        (
            [tree(i * np.arange(10.0)) for i in range(4)],
            "states: got 'a path on one line', allowed: states that span a plane",
        ),
        (3 * STATES[:1], "states: got 'a path on one line', allowed: states that span a plane"),
    ],
)
def test_bad_states(states, message):
    with pytest.raises(InputError) as raised:
        plane(states)
    assert str(raised.value) == message
