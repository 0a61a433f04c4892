"""The smallest learner: linear regression on random points, which compiles quickly."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxdl
from jaxdl.core import Learner, State
from jaxdl.data.dataset import Dataset
from jaxdl.metrics import total
from jaxdl.updates import Update

KEY = jax.random.key(7)


def points(size: int = 22, seed: int = 0, **changed: Any) -> Dataset:
    """Generates `input [N, 3]` and noisy `target [N]`.

    Args:
      size: N.
      seed: seed of the random numbers.
      **changed: `rows={row: value}` sets rows of `input` to a value.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, 3)).astype(np.float32)
    y = x @ np.array([1.0, -2.0, 0.5], np.float32) + 0.3 + 0.1 * rng.normal(size=size)
    for row, value in changed.get("rows", {}).items():
        x[row] = value
    return Dataset({"input": x, "target": y.astype(np.float32)}, "points")


def init(key, batch):
    return {"w": jax.random.normal(key, (batch["input"].shape[1],)), "b": jnp.zeros(())}, {}


def loss(params, extra, batch, key, *, train):
    if train:
        noise = 0.1 * jax.random.normal(key, batch["target"].shape)
    else:
        noise = jnp.zeros_like(batch["target"])
    error = (batch["input"] @ params["w"] + params["b"] + noise - batch["target"]) ** 2
    metrics = {"loss": total(error, batch.get("mask"))}
    return metrics["loss"], (extra, metrics)


def line(optimizer: optax.GradientTransformation | None = None) -> Learner:
    """Returns linear regression with new noise in each step; the default optimizer is SGD."""
    return jaxdl.learner(init, Update(loss, optimizer or optax.sgd(0.05)))


def state_at(step: int, seed: int = 0) -> State:
    """Returns a state of random numbers, as if after so many steps."""
    rng = np.random.default_rng(seed + step)
    params = {
        "w": jnp.asarray(rng.normal(size=(4, 3)), jnp.float32),
        "b": jnp.asarray(rng.normal(), jnp.float32),
    }
    opt = (optax.adam(1e-3).init(params), optax.EmptyState())
    extra = {"batch_stats": {"mean": jnp.asarray(rng.normal(size=3), jnp.bfloat16)}}
    return State(jnp.asarray(step, jnp.int32), params, opt, extra)


def abstract(state: State) -> State:
    """Returns the shapes, dtypes and shardings of a state."""
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
    )
