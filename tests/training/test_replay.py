"""Where something stopped being finite: found by going again, and the first error stays where that cannot be done."""

import warnings

import jax
import jax.numpy as jnp
import pytest

import jaxdl
from jaxdl.core import Learner
from jaxdl.errors import CheckpointError, NonFinite
from jaxdl.training import InMemory
from tests.training.linear import KEY, line, points

BAD = 6


def breaking(
    net: Learner, name: str = "b", steps: tuple[int, ...] = (BAD,), value: float = jnp.nan
) -> Learner:
    """The same learner, one of whose leaves is spoiled after these steps."""

    def step(state, batch, key):
        after, metrics = net.step(state, batch, key)
        bad = jnp.stack([after.step == each for each in steps]).any()
        leaf = jnp.where(bad, value, after.params[name])
        return after.replace(params={**after.params, name: leaf}), metrics

    return net._replace(step=step)


def said(net: Learner, store=None, key=KEY, **more) -> str:
    """The error of a run whose dispatches hold several steps."""
    options = {
        "steps": 20,
        "batch_size": 4,
        "log_every": 100,
        "save_every": 4,
        "strategy": jaxdl.strategy("single"),
    } | more
    with pytest.raises(NonFinite) as caught:
        jaxdl.train(net, points(80), key=key, store=store, **options)
    return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])


def test_the_step_and_the_leaf():
    """The loss tells of it in step 7 only."""
    store = InMemory()
    assert said(breaking(line()), store) == (
        f"step {BAD}: params/b is not finite; nothing of it is saved"
    )
    assert max(store.states) == 4
    assert said(breaking(line(), "w"), InMemory()).startswith(f"step {BAD}: params/w is not finite")


def test_from_the_start_where_nothing_is_saved_yet():
    assert said(breaking(line()), InMemory(), log_every=100, save_every=0).startswith(
        f"step {BAD}: params/b"
    )


def test_without_a_store_nothing_is_done_again():
    assert said(breaking(line())).startswith(f"step {BAD + 1}: loss is not finite; first leaf")


def test_a_leaf_that_is_finite_again_was_in_order():
    def step(state, batch, key):
        after, metrics = net.step(state.replace(extra={}), batch, key)
        rests = jnp.where(after.step == 5, jnp.inf, 0.0)  # and 0 again in the step after
        return after.replace(extra={"rests": rests}), metrics

    net = breaking(line(), steps=(7,))
    resting = Learner(
        lambda *args: net.init(*args).replace(extra={"rests": jnp.zeros(())}), step, net.evaluate
    )
    assert said(resting, InMemory()).startswith("step 7: params/b is not finite")


def test_the_error_stays_where_going_again_fails():
    class Lost(InMemory):
        def restore(self, abstract, step=None):
            if self.states:
                raise CheckpointError("the disk is gone")
            return super().restore(abstract, step)

    first, note = said(breaking(line()), Lost()).splitlines()
    assert first.startswith(f"step {BAD + 1}: loss is not finite")
    assert note == "the step where it began was not found: the disk is gone"


def test_of_several_runs_the_step_at_which_the_last_one_broke():
    net = line()
    keys = jaxdl.root(range(4))

    def late(key):
        """One step or none, by the run's own key."""
        return (jax.random.key_data(key)[..., -1] % 2).astype(jnp.int32)

    def step(state, batch, key):
        after, metrics = net.step(state, batch, key)
        b = jnp.where(after.step == 5 + late(key), jnp.nan, after.params["b"])
        return after.replace(params={**after.params, "b": b}), metrics

    assert set(late(jaxdl.stream(keys, "train")).tolist()) == {0, 1}
    with warnings.catch_warnings(action="ignore"):
        found = said(net._replace(step=step), InMemory(), keys)
    assert found.startswith("step 6: params/b is not finite")
