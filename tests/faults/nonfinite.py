"""A NaN or an infinity at a random step, in the data, the loss, a gradient or the parameters.

    python -m tests.faults.nonfinite

Half of the runs must end at that very step, name what is broken, and leave a newest checkpoint that is finite and from
before it. The other half skip such steps (`jaxdl.skip_nonfinite`) and must end as a run in which that step did nothing.
Exit code 1 unless every trial was as it should be.
"""

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxdl
from jaxdl.core import Learner, Update
from jaxdl.data.order import epoch_order
from jaxdl.errors import NonFinite
from jaxdl.training import Directory, strategy
from tests.faults.command import main
from tests.training.linear import KEY, abstract, init, loss, points

SIZE = 64
BATCH = 4
STEPS = 40
SAVE = 7
WHAT = "ended at the step, or skipped it, and kept what was finite"
WHERE = ("data", "loss", "gradient", "parameters")
KINDS = [f"{where}, {how}" for how in ("ends", "skips") for where in WHERE]


def broken(where: str, step: int, value: float) -> Learner:
    """The line, into which `value` comes in the step with this number, counted from 1."""

    @jax.custom_vjp
    def poisoned(params: Any, bad: Any) -> Any:
        return params

    def backward(bad: Any, slopes: Any) -> tuple[Any, None]:
        return {**slopes, "w": slopes["w"].at[1].add(bad)}, None

    poisoned.defvjp(lambda params, bad: (params, bad), backward)

    def objective(params: Any, extra: Any, batch: Any, key: Any, *, train: bool) -> Any:
        bad = batch.get("bad", jnp.zeros(()))
        batch = {name: x for name, x in batch.items() if name != "bad"}
        params = poisoned(params, bad) if where == "gradient" else params
        found, (extra, metrics) = loss(params, extra, batch, key, train=train)
        if where == "loss":
            found = found + bad
            metrics = {"loss": (metrics["loss"][0] + bad, metrics["loss"][1])}
        return found, (extra, metrics)

    net = jaxdl.learner(init, Update(objective, optax.adam(0.05)))

    def stepped(state: Any, batch: Any, key: Any) -> Any:
        bad = jnp.where(state.step == step - 1, value, 0.0)
        after, metrics = net.step(state, {**batch, "bad": bad}, key)
        if where == "parameters":
            after = after.replace(params={**after.params, "b": after.params["b"] + bad})
        return after, metrics

    return net._replace(step=stepped)


def idle(net: Learner, step: int) -> Learner:
    """The same learner, which does nothing in the step with this number."""

    def stepped(state: Any, batch: Any, key: Any) -> Any:
        after, metrics = net.step(state, batch, key)
        rests = state.step == step - 1
        before = state.replace(step=after.step)
        return jax.tree.map(lambda old, new: jnp.where(rests, old, new), before, after), metrics

    return net._replace(step=stepped)


def run(net: Learner, data: Any, place: Path | None = None) -> Any:
    """The run that all of them are."""
    store = Directory(place) if place else None
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


def trial(kind: str, rng: np.random.Generator, place: Path) -> None:
    """One run; raises what was not as it should be."""
    where, how = kind.split(", ")
    step = int(rng.integers(1, STEPS + 1))
    value = float(rng.choice([np.nan, np.inf, -np.inf]))
    clean = points(SIZE)
    net = broken(where, step, value)
    data = points(SIZE)
    if where == "data":
        epoch, within = divmod(step - 1, SIZE // BATCH)
        # A row that no other step of the run reads would have to be looked for; the first step that reads it counts.
        row = int(epoch_order(KEY, epoch, SIZE, BATCH)[within][0])
        reading = _reading(row)
        step = reading[0]
        data = points(SIZE, rows={row: value})
        net = jaxdl.learner(init, Update(loss, optax.adam(0.05)))
    if how == "ends":
        _ends(net, data, where, step, place)
    else:
        steps = _reading(row) if where == "data" else [step]
        left = jaxdl.skip_nonfinite(
            jaxdl.learner(init, Update(loss, optax.adam(0.05))) if where == "data" else net
        )
        found = run(left, data)
        plain = jaxdl.learner(init, Update(loss, optax.adam(0.05)))
        for each in steps:
            plain = idle(plain, each)
        expected = run(plain, clean)
        skipped = int(found.extra["skipped"]["steps"])
        assert skipped == len(steps), f"{skipped} steps skipped, not {len(steps)}"
        pairs = zip(
            jax.tree.leaves(found.replace(extra={})), jax.tree.leaves(expected), strict=True
        )
        apart = max(
            float(jnp.abs(a - b).max()) for a, b in pairs
        )  # another program rounds otherwise
        assert apart < 1e-5, f"the states are {apart:.1e} apart"


def _reading(row: int) -> list[int]:
    """The steps, from 1, that read a row."""
    epochs = -(-STEPS // (SIZE // BATCH))
    order = np.concatenate([epoch_order(KEY, epoch, SIZE, BATCH) for epoch in range(epochs)])[
        :STEPS
    ]
    return [int(i) + 1 for i in np.flatnonzero((order == row).any(1))]


def _ends(net: Learner, data: Any, where: str, step: int, place: Path) -> None:
    try:
        run(net, data, place)
    except NonFinite as error:
        said = str(error)
    else:
        raise AssertionError("it trained on")
    assert said.startswith(f"step {step}: "), f"step {step} was broken, but: {said}"
    named = {"data": "params/", "loss": "loss", "gradient": "params/w", "parameters": "params/b"}[
        where
    ]
    assert named in said, f"{named} is not named: {said}"
    store = Directory(place)
    newest = max(store.steps(), default=0)
    assert newest == (step - 1) // SAVE * SAVE, f"the newest checkpoint is of step {newest}"
    if newest:
        state, _ = store.restore(
            abstract(net.init(KEY, {name: x[:BATCH] for name, x in data.arrays.items()}))
        ) or (
            0,
            0,
        )
        assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(state)), (
            "what is saved is not finite"
        )


if __name__ == "__main__":
    sys.exit(main("nonfinite", WHAT, trial, KINDS, 40))
