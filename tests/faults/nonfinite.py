"""Puts a NaN or an infinity at a random step into the data, the loss, a gradient or a parameter.

    python -m tests.faults.nonfinite

Half of the runs must end at that step with an error that names the array that is not finite. Their
newest checkpoint must be finite and from before that step. The other half skip such steps
(`jaxdl.skip_nonfinite`). They must end like a run in which those steps change nothing. Exits with
code 1 unless all trials pass.
"""

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxdl
from jaxdl.core import Learner
from jaxdl.data.order import epoch_order
from jaxdl.errors import NonFinite
from jaxdl.training import Directory, strategy
from jaxdl.updates import Update
from tests.faults.command import main
from tests.training.linear import KEY, abstract, init, loss, points

SIZE = 64
BATCH = 4
STEPS = 40
SAVE = 7
SUMMARY = "runs ended at the step or skipped it, with a finite state"

#: By place of the value, a part of the error message.
NAMED = {"data": "params/", "loss": "loss", "gradient": "params/w", "parameters": "params/b"}
KINDS = [f"{where}, {how}" for how in ("ends", "skips") for where in NAMED]


def linear_learner() -> Learner:
    """Builds the linear learner, trained by Adam."""
    return jaxdl.learner(init, Update(loss, optax.adam(0.05)))


def poisoned_learner(where: str, step: int, value: float) -> Learner:
    """Builds the linear learner and adds `value` in one step.

    Args:
      where: "loss", "gradient" or "parameters".
      step: number of the step, counted from 1.
      value: a number that is not finite.
    """

    @jax.custom_vjp
    def poisoned(params: Any, bad: Any) -> Any:
        return params

    def backward(bad: Any, slopes: Any) -> tuple[Any, None]:
        return {**slopes, "w": slopes["w"].at[1].add(bad)}, None

    poisoned.defvjp(lambda params, bad: (params, bad), backward)

    def objective(params: Any, extra: Any, batch: Any, key: Any, *, train: bool) -> Any:
        bad = batch.get("bad", jnp.zeros(()))
        batch = {name: x for name, x in batch.items() if name != "bad"}
        if where == "gradient":
            params = poisoned(params, bad)
        pair, (extra, metrics) = loss(params, extra, batch, key, train=train)
        if where == "loss":
            pair = pair[0] + bad, pair[1]
            metrics = {"loss": pair}
        return pair, (extra, metrics)

    net = jaxdl.learner(init, Update(objective, optax.adam(0.05)))

    def poisoned_step(state: Any, batch: Any, key: Any) -> Any:
        bad = jnp.where(state.step == step - 1, value, 0.0)
        after, metrics = net.step(state, {**batch, "bad": bad}, key)
        if where == "parameters":
            after = after.replace(params={**after.params, "b": after.params["b"] + bad})
        return after, metrics

    return net._replace(step=poisoned_step)


def idle(net: Learner, step: int) -> Learner:
    """Wraps a learner so that the step with this number changes nothing."""

    def idle_step(state: Any, batch: Any, key: Any) -> Any:
        after, metrics = net.step(state, batch, key)
        is_idle = state.step == step - 1
        before = state.replace(step=after.step)
        return jax.tree.map(lambda old, new: jnp.where(is_idle, old, new), before, after), metrics

    return net._replace(step=idle_step)


def run(net: Learner, data: Any, store: Directory | None = None) -> Any:
    """Trains with the options of all trials."""
    return jaxdl.train(
        net,
        data,
        key=KEY,
        steps=STEPS,
        batch_size=BATCH,
        log_every=11,
        save_every=SAVE,
        strategy=strategy("single"),
        store=store,
    )


def trial(kind: str, rng: np.random.Generator, directory: Path) -> None:
    """Trains with one value that is not finite."""
    where, how = kind.split(", ")
    step = int(rng.integers(1, STEPS + 1))
    value = float(rng.choice([np.nan, np.inf, -np.inf]))
    if where == "data":
        epoch, within = divmod(step - 1, SIZE // BATCH)
        # Other epochs read the same row, so several steps have the value. The first one counts.
        row = int(epoch_order(KEY, epoch, SIZE, BATCH)[within][0])
        steps = steps_that_read(row)
        data = points(SIZE, rows={row: value})
        net = linear_learner()
    else:
        steps = [step]
        data = points(SIZE)
        net = poisoned_learner(where, step, value)
    if how == "ends":
        check_ends(net, data, where, steps[0], directory)
    else:
        check_skips(net, data, steps)


def steps_that_read(row: int) -> list[int]:
    """Returns the steps, counted from 1, that read a row."""
    epochs = -(-STEPS // (SIZE // BATCH))
    orders = [epoch_order(KEY, epoch, SIZE, BATCH) for epoch in range(epochs)]
    order = np.concatenate(orders)[:STEPS]
    return [int(i) + 1 for i in np.flatnonzero((order == row).any(1))]


def check_skips(net: Learner, data: Any, steps: list[int]) -> None:
    """Trains with `skip_nonfinite`; compares with a run in which these steps change nothing."""
    state = run(jaxdl.skip_nonfinite(net), data)
    plain = linear_learner()
    for step in steps:
        plain = idle(plain, step)
    expected = run(plain, points(SIZE))
    skipped = int(state.wrapped["skipped"]["steps"])
    assert skipped == len(steps), f"{skipped} steps were skipped, not {len(steps)}"
    pairs = zip(jax.tree.leaves(state.replace(wrapped={})), jax.tree.leaves(expected), strict=True)
    # The two programs are compiled differently, so they may differ by rounding.
    difference = max(float(jnp.abs(a - b).max()) for a, b in pairs)
    assert difference < 1e-5, f"the states differ by {difference:.1e}"


def check_ends(net: Learner, data: Any, where: str, step: int, directory: Path) -> None:
    """Trains until the error; checks its message and the newest checkpoint."""
    try:
        run(net, data, Directory(directory))
    except NonFinite as error:
        message = str(error)
    else:
        raise AssertionError("the run did not end")
    assert message.startswith(f"step {step}: "), f"the error should name step {step}: {message}"
    assert NAMED[where] in message, f"the error does not name {NAMED[where]}: {message}"
    store = Directory(directory)
    newest = max(store.steps(), default=0)
    assert newest == (step - 1) // SAVE * SAVE, f"the newest checkpoint is of step {newest}"
    if newest:
        batch = {name: x[:BATCH] for name, x in data.arrays.items()}
        restored = store.restore(abstract(net.init(KEY, batch)))
        assert restored is not None
        state, *_ = restored
        finite = [bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(state)]
        assert all(finite), "the newest checkpoint is not finite"


if __name__ == "__main__":
    sys.exit(main("nonfinite", SUMMARY, trial, KINDS, 40))
