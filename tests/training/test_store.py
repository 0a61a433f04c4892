"""Stores: what goes in comes out, in the places asked for; what is damaged or another run's is not taken."""

import itertools
import json
import math
import os
import shutil
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from jax.sharding import NamedSharding, PartitionSpec

from jaxdl.core import State
from jaxdl.errors import CheckpointError, InputError
from jaxdl.training import Directory, InMemory, Sharded, state_sha256
from jaxdl.training.store import keep
from tests.training.linear import abstract, state_at


@pytest.fixture(params=["directory", "memory"])
def store(request, tmp_path):
    return Directory(tmp_path / "run", last=2) if request.param == "directory" else InMemory()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A directory with good checkpoints of steps 1 and 2, to be copied and damaged."""
    path = tmp_path_factory.mktemp("saved") / "run"
    made = Directory(path)
    made.save(state_at(1), [(1, 0.5)])
    made.save(state_at(2), [(1, 0.5), (2, 0.25)])
    made.close()
    return path


def hashed(restored) -> str:
    return state_sha256(restored[0])


# Both kinds.


def test_an_empty_store_has_nothing(store):
    assert store.restore(abstract(state_at(0))) is None
    with pytest.raises(CheckpointError):
        store.restore(abstract(state_at(0)), 7)


def test_what_goes_in_comes_out(store):
    for step in (1, 2):
        store.save(state_at(step), [(step, 1 / step)])
    newest = store.restore(abstract(state_at(0)))
    first = store.restore(abstract(state_at(0)), 1)
    assert hashed(newest) == state_sha256(state_at(2)) != hashed(first)
    assert hashed(first) == state_sha256(state_at(1))
    assert (newest[1], first[1]) == ([(2, 0.5)], [(1, 1.0)])
    assert jax.tree.structure(newest[0]) == jax.tree.structure(state_at(2))
    store.close()


def test_a_saved_state_may_be_given_away(store):
    state = state_at(1)
    expected = state_sha256(state)
    store.save(state, [])
    jax.tree.map(lambda x: x.delete(), state)
    first = store.restore(abstract(state_at(1)))
    assert hashed(first) == expected
    jax.tree.map(lambda x: x.delete(), first[0])
    assert hashed(store.restore(abstract(state_at(1)))) == expected


def test_what_is_kept(store):
    values = {1: 0.9, 2: 0.1, 3: 0.1, 4: 0.5, 5: math.nan, 6: math.inf, 7: math.nan}
    history = []
    for step, value in values.items():
        history = [*history, (step, value)]
        store.save(state_at(step), history)
    store.close()
    found = []
    for step in values:
        try:
            found.append(int(store.restore(abstract(state_at(0)), step)[0].step))
        except CheckpointError:
            continue
    assert found == [2, 4, 6, 7]
    restored = store.restore(abstract(state_at(0)))[1]
    assert [step for step, _ in restored] == list(values)
    np.testing.assert_array_equal([value for _, value in restored], list(values.values()))


OTHERS = {
    "shape": (
        lambda s: s.replace(params={**s.params, "w": jnp.zeros((4, 2))}),
        "params/w",
        "[4, 3]",
        "[4, 2]",
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
        "nothing",
    ),
    "more": (
        lambda s: s.replace(extra={**s.extra, "ema": jnp.zeros(2)}),
        "extra/ema",
        "nothing",
        "float32[2]",
    ),
    "optimizer": (lambda s: s.replace(opt=()), "opt/0/0/count", "int32[]", "nothing"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_another_runs_state_is_refused(store, name):
    change, path, stored, wanted = OTHERS[name]
    store.save(state_at(1), [])
    for step in (None, 1):
        with pytest.raises(CheckpointError) as caught:
            store.restore(abstract(change(state_at(1))), step)
        line = str(caught.value)
        assert all(
            word in line for word in (f"{path} is ", stored, "there", f"{wanted} in this run")
        )
        assert "\n" not in line
    assert hashed(store.restore(abstract(state_at(1)))) == state_sha256(state_at(1))  # still there


def test_restored_elsewhere(store):
    """Saved on four devices, some of it cut up; the same bits on one, on two, and cut up otherwise."""

    def placed(state, devices, spec):
        mesh = Sharded(jax.devices()[:devices]).mesh

        def where(x):
            return NamedSharding(
                mesh, PartitionSpec(*spec) if x.shape == (4, 3) else PartitionSpec()
            )

        return jax.tree.map(lambda x: jax.device_put(x, where(x)), state)

    expected = state_sha256(state_at(1))
    store.save(placed(state_at(1), 4, ["data"]), [])
    for devices, spec in ((1, []), (2, ["data"]), (4, []), (4, ["data"])):
        wanted = abstract(placed(state_at(1), devices, spec))
        state, _ = store.restore(wanted)
        assert state_sha256(state) == expected
        assert all(
            x.sharding == a.sharding
            for x, a in zip(jax.tree.leaves(state), jax.tree.leaves(wanted), strict=True)
        )


# Damage.


def files_of_a_checkpoint(saved) -> list:
    return sorted(p.relative_to(saved) for p in (saved / "2").rglob("*") if p.is_file())


def flip(path):
    data = bytearray(path.read_bytes())
    if not data:
        path.write_bytes(b"\0")
        return
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] if data else b"\0")


def swap(path):
    others = [
        p
        for p in path.parents[0].iterdir()
        if p.is_file() and p != path and p.read_bytes() != path.read_bytes()
    ]
    if not others:
        path.rename(path.with_name("other"))
        return
    mine = path.read_bytes()
    theirs = others[0].read_bytes()
    path.write_bytes(theirs)
    others[0].write_bytes(mine)


DAMAGE = {"flip": flip, "cut": cut, "delete": lambda path: path.unlink(), "swap": swap}


@pytest.mark.parametrize("damage", DAMAGE)
def test_any_damaged_file_sends_back_to_the_step_before(saved, tmp_path, damage):
    files = files_of_a_checkpoint(saved)
    assert len(files) > 3
    good = state_sha256(state_at(1))
    for i, name in enumerate(files):
        path = tmp_path / str(i)
        shutil.copytree(saved, path)
        DAMAGE[damage](path / name)
        if not (path / "2" / "manifest.json").exists():
            assert Directory(path).steps() == [1]  # not complete: nothing to warn of
            continue
        with pytest.warns(UserWarning, match="going back to step") as warned:
            state, history = Directory(path).restore(abstract(state_at(0)))
        assert state_sha256(state) == good
        assert history == [(1, 0.5)]
        said = str(warned[0].message)
        assert damage == "swap" or str(path / name) in said
        assert str(path / "2") in said
        with pytest.raises(CheckpointError):
            Directory(path).restore(abstract(state_at(0)), 2)


def test_where_damage_leads_is_said(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    said = []
    for step, left in ((2, "going back to step 1"), (1, "no step is left")):
        (tmp_path / "run" / str(step) / "manifest.json").write_text("{")
        found = Directory(tmp_path / "run", warn=said.append).restore(abstract(state_at(0)))
        assert (found is None) == (step == 1)
        assert said[-1].endswith(f"; {left}") and str(tmp_path / "run" / str(step)) in said[-1]
    assert len(said) == 2


def test_every_bit_of_the_manifest_counts(saved, tmp_path):
    text = (saved / "2" / "manifest.json").read_bytes()
    shutil.copytree(saved, tmp_path / "run")
    for at in range(0, len(text), 7):
        changed = bytearray(text)
        changed[at] ^= 1 << at % 7
        (tmp_path / "run" / "2" / "manifest.json").write_bytes(bytes(changed))
        with pytest.raises(CheckpointError):
            Directory(tmp_path / "run").restore(abstract(state_at(0)), 2)


def test_a_file_that_does_not_belong_there(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    (tmp_path / "run" / "2" / "state" / "intruder").write_text("here")
    with pytest.warns(UserWarning, match="intruder does not belong there"):
        state, _ = Directory(tmp_path / "run").restore(abstract(state_at(0)))
    assert int(state.step) == 1


def test_a_file_that_the_disk_does_not_give_back(saved, monkeypatch):
    data = next(p for p in (saved / "2" / "state").rglob("*") if p.is_file())
    opened = Path.open

    def broken(path, *how):
        if path == data:
            raise OSError(5, "EIO")
        return opened(path, *how)

    monkeypatch.setattr(Path, "open", broken)
    with pytest.warns(UserWarning, match=f"{data} cannot be read: .*EIO; going back to step"):
        state, _ = Directory(saved).restore(abstract(state_at(0)))
    assert int(state.step) == 1


def test_a_copy_under_another_number_is_not_that_step(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    shutil.copytree(saved / "1", tmp_path / "run" / "3")
    with pytest.raises(CheckpointError, match=f"{tmp_path / 'run' / '3'} holds step 1"):
        Directory(tmp_path / "run").restore(abstract(state_at(0)), 3)
    with pytest.warns(UserWarning, match="holds step 1; going back to step"):
        assert int(Directory(tmp_path / "run").restore(abstract(state_at(0)))[0].step) == 2


def test_a_name_that_no_step_gets(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    for name in ("002", "003", "\N{ARABIC-INDIC DIGIT FOUR}"):
        shutil.copytree(saved / "2", tmp_path / "run" / name)
    store = Directory(tmp_path / "run", last=1)
    assert store.steps() == [1, 2]
    store.save(state_at(5), [])
    store.close()
    assert (
        len(list((tmp_path / "run").glob("*/manifest.json"))) == 5
    )  # 2 is the best one, three are nobody's


def test_nothing_good_is_nothing(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    for step in (1, 2):
        flip(tmp_path / "run" / str(step) / "manifest.json")
    with pytest.warns(UserWarning, match="is damaged|cannot be read") as warned:
        assert Directory(tmp_path / "run").restore(abstract(state_at(0))) is None
    (said,) = [str(each.message) for each in warned]
    assert all(str(tmp_path / "run" / step) in said for step in "12")


def test_a_manifest_that_is_no_manifest(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    for text in (
        "",
        "[]",
        "{}",
        "null",
        '{"files": 1, "layout": 2, "history": 3, "sha256": 4}',
        "\xff",
    ):
        (tmp_path / "run" / "2" / "manifest.json").write_text(text, "latin-1")
        with pytest.raises(CheckpointError, match=r"manifest\.json"):
            Directory(tmp_path / "run").restore(abstract(state_at(0)), 2)


def test_the_step_just_saved_stays_beside_damaged_later_ones(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    for step in (7, 8):
        shutil.copytree(saved / "2", tmp_path / "run" / str(step))
        flip(next(p for p in (tmp_path / "run" / str(step) / "state").rglob("*") if p.is_file()))
    store = Directory(tmp_path / "run")
    store.save(state_at(3), [])
    store.close()
    with pytest.warns(UserWarning, match="going back"):
        assert int(store.restore(abstract(state_at(0)))[0].step) == 3


def test_what_a_kill_left_behind_goes(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    (tmp_path / "run" / "2" / "manifest.json").unlink()
    (tmp_path / "run" / "2" / "manifest.json.partial").write_text("{")
    store = Directory(tmp_path / "run")
    assert store.steps() == [1]
    assert int(store.restore(abstract(state_at(0)))[0].step) == 1
    store.save(state_at(3), [])
    store.close()
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == ["1", "3"]


def test_what_orbax_leaves_half_written_goes(tmp_path, monkeypatch):
    store = Directory(tmp_path / "run")
    with monkeypatch.context() as before_the_commit:
        before_the_commit.setattr(
            "os.rename", lambda *names, **kwargs: (_ for _ in ()).throw(OSError("killed"))
        )
        store.save(state_at(1), [])
        with pytest.raises(CheckpointError, match="killed"):
            store.close()
    left = [p.name for p in (tmp_path / "run" / "1").iterdir()]
    assert left and "state" not in left, "the test has to leave what a kill leaves"
    store.save(state_at(2), [])
    store.close()
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["2"]
    shutil.copytree(tmp_path / "run" / "2", tmp_path / "run" / "3" / left[0])
    store.save(state_at(3), [])
    assert hashed(store.restore(abstract(state_at(0)))) == state_sha256(state_at(3))


FOREIGN = ["2023/thesis.txt", "2023/deep/thesis.txt", "2023/.hidden", "2023/manifest.txt", "2023"]


@pytest.mark.parametrize("name", FOREIGN)
def test_what_no_store_wrote_stays(tmp_path, name):
    mine = tmp_path / "run" / name
    mine.parent.mkdir(parents=True, exist_ok=True)
    mine.write_text("mine")
    store = Directory(tmp_path / "run", last=1)
    for step in (1, 2):
        store.save(state_at(step), [])
    store.close()
    assert store.steps() == [2]
    assert mine.read_text() == "mine"
    with pytest.raises(CheckpointError) as caught:
        store.save(state_at(2023), [])
    first = tmp_path / "run" / "/".join(name.split("/")[:2])
    assert f"failed: {first} is no part of a checkpoint and would be lost; move it away" in str(
        caught.value
    )
    assert mine.read_text() == "mine"


def test_a_note_beside_a_checkpoint_keeps_it(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "run")
    (tmp_path / "run" / "1" / "note").write_text("mine")
    store = Directory(tmp_path / "run", last=1)
    store.save(state_at(3), [])
    store.close()
    assert (tmp_path / "run" / "1" / "note").read_text() == "mine"
    assert (tmp_path / "run" / "1" / "manifest.json").exists()
    assert store.steps() == [1, 2, 3]  # 2 is the best one, 1 is not worth keeping


@pytest.mark.parametrize("last", [0, -1])
def test_at_least_one_step_is_kept(tmp_path, last):
    with pytest.raises(InputError) as caught:
        Directory(tmp_path / "run", last=last)
    assert str(caught.value) == f"last: got {last}, allowed: at least 1"


def test_manifest_is_strict_json_with_hashes(saved):
    manifest = json.loads((saved / "2" / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert manifest["layout"]["params/w"] == "float32[4, 3]"
    assert manifest["layout"]["extra/batch_stats/mean"] == "bfloat16[3]"
    listed = {f"2/{name}" for name in manifest["files"]} | {"2/manifest.json"}
    assert listed == {str(name) for name in files_of_a_checkpoint(saved)}


# Failures to write.

ONE_NAME = {
    "dot": ({"a": {"b": jnp.ones(3)}, "a.b": jnp.zeros(3)}, "params/a/b and params/a.b"),
    "number": ({1: {5: jnp.ones(3)}, 1.5: jnp.zeros(2)}, "params/1/5 and params/1.5"),
}


@pytest.mark.parametrize("case", ONE_NAME)
def test_two_leaves_with_one_name(tmp_path, case):
    """Orbax would give both the numbers of one."""
    params, names = ONE_NAME[case]
    state = state_at(1).replace(params=params)
    store = Directory(tmp_path / "run")
    for attempt in (lambda: store.save(state, []), lambda: store.restore(abstract(state))):
        with pytest.raises(CheckpointError) as caught:
            attempt()
        assert (
            str(caught.value)
            == f"{store.path}: {names} would be one leaf of a checkpoint; rename one"
        )
    assert not store.path.exists()


def test_names_with_dots_and_slashes_that_are_two(store):
    x = jnp.ones(3)
    y = jnp.zeros(3)
    params = {"a": {"b": x}, "a/b": y, "'a/b'": x, "c.d": y, "c/d": x, "e.f": {"g": y}}
    state = state_at(1).replace(params=params)
    store.save(state, [])
    restored, _ = store.restore(abstract(state))
    assert jax.tree.structure(restored) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, restored, state)
    store.close()


def test_a_path_that_is_a_file(tmp_path):
    (tmp_path / "run").write_text("mine")
    store = Directory(tmp_path / "run")
    with pytest.raises(CheckpointError, match=f"saving step 1 to {tmp_path / 'run'} failed"):
        store.save(state_at(1), [])
    assert (tmp_path / "run").read_text() == "mine"


@pytest.mark.parametrize("look", [5, 10, 15, 20])
def test_a_machine_that_sleeps_during_a_save(tmp_path, monkeypatch, look):
    """By the clock an hour goes by before somebody looks at it again."""
    looks = itertools.count()
    clock = time.time
    store = Directory(tmp_path / "run")
    monkeypatch.setattr(time, "time", lambda: clock() + 3600 * (next(looks) >= look))
    store.save(state_at(1), [(1, 0.5)])
    store.close()
    monkeypatch.undo()
    assert store.steps() == [1] and next(looks) > look


@pytest.mark.parametrize("part", ["1", "state.orbax"])
def test_a_directory_that_cannot_be_made(tmp_path, monkeypatch, part):
    """Said by the save itself: threads of Orbax would wait for the directory for minutes, and the process for them."""
    make = os.mkdir
    store = Directory(tmp_path / "run")

    def refuse(path, *args, **kwargs):
        if Path(path).name.startswith(part):
            raise PermissionError(13, "Permission denied", str(path))
        make(path, *args, **kwargs)

    monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(
        CheckpointError,
        match=f"saving step 1 to {store.path} failed: .*Permission denied: '{store.path}/1",
    ):
        store.save(state_at(1), [])
    monkeypatch.undo()
    store.save(state_at(1), [])
    store.close()
    assert store.steps() == [1]


def test_a_disk_that_is_full(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    store = Directory(tmp_path / "run")
    store.save(state_at(1), [])
    store.close()
    monkeypatch.setattr("jaxdl.training.store.write_manifest", full)
    store.save(state_at(2), [])
    with pytest.raises(CheckpointError, match="No space left on device"):
        store.close()
    store.close()  # said once
    assert int(store.restore(abstract(state_at(0)))[0].step) == 1
    store.save(state_at(3), [])
    with pytest.raises(CheckpointError, match="No space left on device"):
        store.save(state_at(4), [])


# What is kept.

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
def test_keep_is_its_definition(values, last):
    kept = keep(values, last)
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
    there = {}
    for step, value in enumerate(values):
        there[step] = value
        there = {s: there[s] for s in keep(there)}
    finite = [(v, s) for s, v in enumerate(values) if v is not None and math.isfinite(v)]
    assert not values or len(values) - 1 in there
    assert not finite or min(finite)[1] in there
    assert len(there) <= 4


# The hash.


def test_hash_sees_every_difference():
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


def test_hash_sees_nothing_else():
    state = state_at(1)
    turned = State(state.step, dict(reversed(state.params.items())), state.opt, state.extra)
    expected = state_sha256(state)
    assert state_sha256(turned) == expected
    assert state_sha256(jax.device_get(state)) == expected
    assert (
        state_sha256(jax.tree.map(lambda x: np.array(x, order="F"), jax.device_get(state)))
        == expected
    )
    assert state_sha256(Sharded(jax.devices()).place(state)) == expected
