"""Stores: they restore what was saved, and refuse the state of another run."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from jax.sharding import NamedSharding, PartitionSpec

from jaxdl.core import State
from jaxdl.errors import CheckpointError, InputError
from jaxdl.training import Checkpoint, Directory, InMemory, Sharded, state_sha256
from jaxdl.training.store import steps_to_keep
from tests.training.linear import abstract, state_at


@pytest.fixture(params=["directory", "memory"])
def store(request, tmp_path):
    if request.param == "memory":
        return InMemory()
    return Directory(tmp_path / "run", last=2)


def hashed(restored) -> str:
    """Returns the hash of a restored state."""
    return state_sha256(restored[0])


# Stores in a directory and in memory.


def test_an_empty_store_restores_nothing(store):
    assert store.restore(abstract(state_at(0))) is None
    with pytest.raises(CheckpointError):
        store.restore(abstract(state_at(0)), 7)


def test_a_saved_state_is_restored(store):
    for step in (1, 2):
        store.save(Checkpoint(state_at(step), [(step, 1 / step)]))
    newest = store.restore(abstract(state_at(0)))
    first = store.restore(abstract(state_at(0)), 1)
    assert hashed(newest) == state_sha256(state_at(2)) != hashed(first)
    assert hashed(first) == state_sha256(state_at(1))
    assert (newest[1], first[1]) == ([(2, 0.5)], [(1, 1.0)])
    assert jax.tree.structure(newest[0]) == jax.tree.structure(state_at(2))
    store.close()


def test_a_saved_state_may_be_deleted(store):
    state = state_at(1)
    expected = state_sha256(state)
    store.save(Checkpoint(state, []))
    jax.tree.map(lambda x: x.delete(), state)
    first = store.restore(abstract(state_at(1)))
    assert hashed(first) == expected
    jax.tree.map(lambda x: x.delete(), first[0])
    assert hashed(store.restore(abstract(state_at(1)))) == expected


def test_the_steps_that_are_kept(store):
    values = {1: 0.9, 2: 0.1, 3: 0.1, 4: 0.5, 5: math.nan, 6: math.inf, 7: math.nan}
    history = []
    for step, value in values.items():
        history = [*history, (step, value)]
        store.save(Checkpoint(state_at(step), history))
    store.close()
    steps = []
    for step in values:
        try:
            steps.append(int(store.restore(abstract(state_at(0)), step)[0].step))
        except CheckpointError:
            continue
    assert steps == [2, 4, 6, 7]
    restored = store.restore(abstract(state_at(0)))[1]
    assert [step for step, _ in restored] == list(values)
    np.testing.assert_array_equal([value for _, value in restored], list(values.values()))


#: Changes of a state: the function, the leaf, its layout in the checkpoint and in the run.
OTHERS = {
    "shape": (
        lambda s: s.replace(params={**s.params, "w": jnp.zeros((4, 2))}),
        "params/w",
        "float32[4, 3]",
        "float32[4, 2]",
    ),
    "dtype": (
        lambda s: s.replace(params={**s.params, "b": jnp.zeros((), jnp.int32)}),
        "params/b",
        "float32[]",
        "int32[]",
    ),
    "lacking": (
        lambda s: s.replace(params={"w": s.params["w"]}),
        "params/b",
        "float32[]",
        "missing",
    ),
    "more": (
        lambda s: s.replace(extra={**s.extra, "ema": jnp.zeros(2)}),
        "extra/ema",
        "missing",
        "float32[2]",
    ),
    "optimizer": (lambda s: s.replace(opt=()), "opt/0/0/count", "int32[]", "missing"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_state_with_another_layout_is_refused(store, name):
    change, path, stored, wanted = OTHERS[name]
    store.save(Checkpoint(state_at(1), []))
    for step in (None, 1):
        with pytest.raises(CheckpointError) as caught:
            store.restore(abstract(change(state_at(1))), step)
        message = str(caught.value)
        assert f"{path} is {stored} in the checkpoint and {wanted} in this run" in message
        assert "\n" not in message
    # The refused state is still there.
    assert hashed(store.restore(abstract(state_at(1)))) == state_sha256(state_at(1))


def test_a_state_is_restored_on_other_devices(store):
    """The state is saved on four devices, partly sharded, and restored with other shardings."""

    def placed(state, devices, spec):
        mesh = Sharded(jax.devices()[:devices]).mesh

        def place(x):
            partition = PartitionSpec()
            if x.shape == (4, 3):
                partition = PartitionSpec(*spec)
            return jax.device_put(x, NamedSharding(mesh, partition))

        return jax.tree.map(place, state)

    expected = state_sha256(state_at(1))
    store.save(Checkpoint(placed(state_at(1), 4, ["data"]), []))
    for devices, spec in ((1, []), (2, ["data"]), (4, []), (4, ["data"])):
        wanted = abstract(placed(state_at(1), devices, spec))
        state, *_ = store.restore(wanted)
        assert state_sha256(state) == expected
        for x, expected_x in zip(jax.tree.leaves(state), jax.tree.leaves(wanted), strict=True):
            assert x.sharding == expected_x.sharding


# Failures to write.

#: Parameters with two leaves for which Orbax uses one name.
ONE_NAME = {
    "dot": ({"a": {"b": jnp.ones(3)}, "a.b": jnp.zeros(3)}, "params/a/b and params/a.b"),
    "number": ({1: {5: jnp.ones(3)}, 1.5: jnp.zeros(2)}, "params/1/5 and params/1.5"),
}


@pytest.mark.parametrize("case", ONE_NAME)
def test_two_leaves_with_one_name(tmp_path, case):
    """Orbax would restore the values of one leaf for both."""
    params, names = ONE_NAME[case]
    state = state_at(1).replace(params=params)
    store = Directory(tmp_path / "run")
    for attempt in (
        lambda: store.save(Checkpoint(state, [])),
        lambda: store.restore(abstract(state)),
    ):
        with pytest.raises(CheckpointError) as caught:
            attempt()
        message = f"{store.path}: {names} would be one leaf of a checkpoint; rename one"
        assert str(caught.value) == message
    assert not store.path.exists()


def test_names_with_dots_and_slashes_that_are_different(store):
    x = jnp.ones(3)
    y = jnp.zeros(3)
    params = {"a": {"b": x}, "a/b": y, "'a/b'": x, "c.d": y, "c/d": x, "e.f": {"g": y}}
    state = state_at(1).replace(params=params)
    store.save(Checkpoint(state, []))
    restored, *_ = store.restore(abstract(state))
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, restored, state)
    store.close()


# The function `keep`.

VALUES = some.dictionaries(
    some.integers(0, 30),
    some.one_of(
        some.none(),
        some.sampled_from([math.nan, math.inf, -math.inf]),
        some.integers(-3, 3).map(float),
    ),
)


@settings(max_examples=200, deadline=None)
@given(values=VALUES, last=some.integers(1, 4))
def test_keep_agrees_with_its_definition(values, last):
    kept = steps_to_keep(values, last)
    assert kept == sorted(set(kept))
    finite = {step: v for step, v in values.items() if v is not None and abs(v) < math.inf}
    for step in values:
        newest = sum(other > step for other in values) < last
        worse = [
            other for other, v in finite.items() if (v, other) < (finite.get(step, math.inf), step)
        ]
        best = step in finite and not worse
        last_finite = step in finite and not any(other > step for other in finite)
        assert (step in kept) == (newest or best or last_finite)


@settings(max_examples=100, deadline=None)
@given(
    values=some.lists(
        some.one_of(some.none(), some.just(math.nan), some.floats(-2, 2)), max_size=12
    )
)
def test_the_best_and_the_newest_survive_all_saves(values):
    stored = {}
    for step, value in enumerate(values):
        stored[step] = value
        stored = {s: stored[s] for s in steps_to_keep(stored)}
    finite = [(v, s) for s, v in enumerate(values) if v is not None and math.isfinite(v)]
    assert not values or len(values) - 1 in stored
    assert not finite or min(finite)[1] in stored
    assert len(stored) <= 4


@pytest.mark.parametrize("last", [0, -1])
def test_a_number_of_steps_below_1_is_refused(tmp_path, last):
    with pytest.raises(InputError) as caught:
        Directory(tmp_path / "run", last=last)
    assert str(caught.value) == f"last: got {last}, allowed: at least 1"


# The hash.


def test_the_hash_depends_on_every_bit_and_name():
    state = state_at(1)
    w = np.asarray(state.params["w"])
    flipped = w.view(np.uint32).copy()
    flipped[2, 1] ^= 1
    zero = {"x": jnp.zeros(3)}
    hashes = [
        state_sha256(state),
        state_sha256(
            state.replace(params={**state.params, "w": jnp.asarray(flipped.view(np.float32))})
        ),
        state_sha256(state.replace(params={**state.params, "w": state.params["w"].T})),
        state_sha256(state.replace(params={"w": state.params["w"], "c": state.params["b"]})),
        state_sha256(state.replace(step=state.step + 1)),
        state_sha256(zero),
        state_sha256({"y": jnp.zeros(3)}),
        state_sha256({"x": jnp.zeros((3, 1))}),
        state_sha256({"x": jnp.zeros(3, jnp.int32)}),
        state_sha256({"x": -jnp.zeros(3)}),
        state_sha256({"x": jnp.zeros(())}),
        state_sha256({"x": jnp.zeros(1)}),
        state_sha256({}),
        state_sha256({"a": {"b": zero, "c": {}}, "a/b": {"x": jnp.ones(3)}}),
        state_sha256({"a": {"b": zero, "c": {}}, "a/b": {"x": jnp.full(3, 2.0)}}),
        *(state_sha256(tree) for tree in ({"a": {"b": 1}}, {"a/b": 1}, {"'a/b'": 1}, {"a.b": 1})),
    ]
    assert len(set(hashes)) == len(hashes)


def test_the_hash_depends_on_nothing_else():
    state = state_at(1)
    reordered = State(state.step, dict(reversed(state.params.items())), state.opt, state.extra)
    column_major = jax.tree.map(lambda x: np.array(x, order="F"), jax.device_get(state))
    expected = state_sha256(state)
    assert state_sha256(reordered) == expected
    assert state_sha256(jax.device_get(state)) == expected
    assert state_sha256(column_major) == expected
    assert state_sha256(Sharded(jax.devices()).place(state)) == expected
