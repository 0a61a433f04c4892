"""Gradients of one batch, computed as a whole, in accumulated parts and on mapped devices.

    python -m tests.gradients    # the largest relative difference of each row, in both precisions

The gradients are equal for each row of `tests/contract.py` without batch statistics or random
draws. On the other rows they differ, because each part has its own statistics or noise.
"""

import os
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=4")

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxdl
from jaxdl import models
from jaxdl.core import Learner
from jaxdl.replicas import AXIS
from tests.contract import BATCH, ROWS, Row, pictures

KEY = jax.random.key(3)
DEVICES = 4


def autoencoder() -> Row:
    """Returns a dense autoencoder without noise."""
    net = models.Autoencoder(models.MLP((6,), 3), models.Reshaped(models.MLP((6,), 4), (2, 2, 1)))
    task = jaxdl.tasks.reconstruct(net)
    return Row(task.updates, task.init, pictures(9, 2, 2, 1))


ALL: dict[str, Callable[[], Row]] = {**ROWS, "autoencoder": autoencoder}

#: Rows without batch statistics or random draws.
EXACT = (
    *("mlp", "lstm_language", "gru_language_carried", "birnn_classifier", "cnn1d_classifier"),
    *("tcn_regression", "autoencoder", "auxiliary_loss", "pretrained"),
    *("residual", "residual_groupnorm", "residual_instancenorm", "tied_language"),
    *("gated_pixelcnn", "row_pixelrnn", "diagonal_pixelrnn", "wavenet_language_carried"),
)

#: Rows whose inputs are sequences, which may have lengths.
SEQUENCES = (
    *("lstm_language", "gru_language_carried", "birnn_classifier", "cnn1d_classifier"),
    "tcn_regression",
)

#: Largest relative difference of two gradients.
LIMITS = {"float32": 1e-5, "float64": 1e-12}


@cache
def row(name: str) -> Row:
    return ALL[name]()


def recorder() -> optax.GradientTransformation:
    """Returns an optimizer that changes nothing, and whose state is the last gradient."""

    def update(gradients, state, params=None):
        return jax.tree.map(jnp.zeros_like, gradients), gradients

    return optax.GradientTransformation(lambda params: jax.tree.map(jnp.zeros_like, params), update)


@cache
def step(name: str, how: str, dtype: str) -> Callable:
    """Returns the compiled step that records its gradients.

    Args:
      name: the row.
      how: "whole", "accumulated" in two parts, or "mapped" over four devices.
      dtype: that of the computation; it only makes the program another one.
    """
    net = learner(name, 2 if how == "accumulated" else 1)
    if how != "mapped":
        return jax.jit(net.step)
    devices = jax.devices()[:DEVICES]
    mapped = jax.pmap(net.step, AXIS, in_axes=(None, 0, None), out_axes=None, devices=devices)

    def on_parts(state, batch, key):
        parts = {x: v.reshape(DEVICES, -1, *v.shape[1:]) for x, v in batch.items()}
        return mapped(state, parts, key)

    return on_parts


@cache
def learner(name: str, n: int) -> Learner:
    updates = row(name).updates(recorder())
    return row(name).learner_of(*(jaxdl.accumulate(update, n) for update in updates))


def gradients(name: str, how: str, dtype: str, batch: dict) -> tuple[list[np.ndarray], Any]:
    """Returns the gradients of a row's updates for a batch, and the metrics."""
    state = _cast(jax.jit(learner(name, 1).init)(KEY, batch), dtype)
    after, metrics = step(name, how, dtype)(state, _cast(batch, dtype), KEY)
    return [np.asarray(x) for x in jax.tree.leaves(after.opt)], jax.device_get(metrics)


def batches(name: str) -> dict[str, dict]:
    """Returns batches of a row by kind, all of the same shapes."""
    rng = np.random.default_rng(11)
    plain = {field: jnp.asarray(x[:BATCH]) for field, x in row(name).data.arrays.items()}
    shape = (BATCH,)
    if "language" in name:
        shape = plain["label"].shape
    if name in SEQUENCES:
        plain["length"] = jnp.full(BATCH, plain["input"].shape[1], jnp.int32)
    # The first two rows are those of the first device.
    counts = np.array([0, 0, 1, 1, 1, 0, 1, 1], np.float32)
    masks = {
        "plain": np.ones(shape),
        "mask": np.broadcast_to(counts.reshape(-1, *[1] * (len(shape) - 1)), shape),
        "weights of 0.05": np.full(shape, 0.05),
        "random weights": rng.uniform(0.0, 1.0, shape),
        "small weights": rng.uniform(0.0, 0.01, shape),
    }
    if len(shape) == 2:
        masks["mask of steps"] = rng.integers(0, 2, shape)
    made = {kind: {**plain, "mask": jnp.asarray(mask, jnp.float32)} for kind, mask in masks.items()}
    if "length" in plain:
        lengths = jnp.asarray([1, 7, 2, 3, 7, 1, 5, 4], jnp.int32)
        made["lengths"] = {**made["plain"], "length": lengths}
        made["lengths and weights"] = {**made["random weights"], "length": lengths}
    return made


def relative_difference(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    """Computes |a - b| / |b| over all arrays together, as L2 norms in double precision."""
    flat_a, flat_b = (
        np.concatenate([np.asarray(x, np.float64).ravel() for x in g]) for g in (a, b)
    )
    return float(np.linalg.norm(flat_a - flat_b) / np.linalg.norm(flat_b))


def largest_difference(name: str, how: str, dtype: str) -> tuple[float, str]:
    """Returns the largest difference between a row's gradients and the whole batch's.

    Returns:
      The difference, and the kind of batch that has it.
    """
    # Layers promote ids and float32 constants to the dtype of their parameters.
    with jax.enable_x64(dtype == "float64"), jax.numpy_dtype_promotion("standard"):
        found = []
        for kind, batch in batches(name).items():
            whole, whole_metrics = gradients(name, "whole", dtype, batch)
            parts, metrics = gradients(name, how, dtype, batch)
            assert all(x.dtype == dtype for x in [*whole, *parts])
            assert whole_metrics["loss"][0].dtype == metrics["loss"][0].dtype == dtype
            for metric in metrics:
                np.testing.assert_allclose(metrics[metric], whole_metrics[metric], rtol=2e-5)
            found.append((relative_difference(parts, whole), kind))
        return max(found)


def with_padding(batch: dict, nan: bool) -> dict:
    """Returns a batch with NaN in its padding, and ids that are out of range; or with zeros.

    The padding is the steps after the length, and the rows without a weight.
    """
    padded = dict(batch)
    counts = (np.asarray(batch["mask"]) != 0).reshape(BATCH, -1).any(1)
    for field in set(batch) - {"mask", "length"}:
        x = np.array(batch[field])
        bad = -1 if np.issubdtype(x.dtype, np.integer) else np.nan
        x[~counts] = bad if nan else 0
        if field == "input":
            for i, end in enumerate(_ends(batch)):
                x[i, end:] = bad if nan else 0
        padded[field] = jnp.asarray(x)
    return padded


def _ends(batch: dict) -> list[int]:
    """Returns the number of steps of each row before its padding."""
    if "length" not in batch:
        return []
    ends = np.asarray(batch["length"])
    mask = np.asarray(batch["mask"])
    if mask.ndim == 2:
        last = mask.shape[1] - (mask[:, ::-1] != 0).argmax(1)
        ends = np.minimum(ends, np.where(mask.any(1), last, 0))
    return ends.tolist()


def _cast(tree: Any, dtype: str) -> Any:
    def cast(x):
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return x
        return jnp.asarray(x).astype(dtype)

    return jax.tree.map(cast, tree)


def main() -> int:
    worst = dict.fromkeys(LIMITS, 0.0)
    for name in EXACT:
        for how in ("accumulated", "mapped"):
            if "carried" in name and how == "accumulated":
                continue  # a carry cannot be divided
            for dtype in LIMITS:
                difference, kind = largest_difference(name, how, dtype)
                worst[dtype] = max(worst[dtype], difference)
                print(f"{name:<22} {how:<12} {dtype}  {difference:.1e}  {kind}", flush=True)
    print("largest relative L2:", ", ".join(f"{key} {x:.1e}" for key, x in worst.items()))
    return int(any(worst[dtype] > limit for dtype, limit in LIMITS.items()))


if __name__ == "__main__":
    sys.exit(main())
