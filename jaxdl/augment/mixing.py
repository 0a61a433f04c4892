"""Mixtures of two examples of a batch and of their labels."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxdl.augment.example import Mix, recorded
from jaxdl.errors import InputError, positive


@recorded
def mixup(alpha: float = 1.0) -> Mix:
    """Returns a mixture that averages each example with another one of the batch.

        x' = lam x_i + (1 - lam) x_j,    lam ~ Beta(alpha, alpha)

    The partner j of example i is the one before it; the order of a batch is random. Each example
    has its lam. With gradient accumulation or pmap, partners are in the same part of a batch.

    Args:
      alpha: parameter of the Beta distribution, above 0. With 1 lam is uniform, with 0.2 most are
        close to 0 or 1.

    Returns:
      `mix(key, batch) -> (inputs [B, ...], other labels, lam [B])` for `jaxdl.tasks.classify`. An
      example whose partner has the mask 0 stays as it is, with lam 1.

    Raises:
      InputError: an alpha out of range. Raised by the mixture: sequences with lengths.

    Source: Zhang et al. 2018, mixup: Beyond empirical risk minimization.

    Example:
      >>> import jaxdl
      >>> batch = {"input": jnp.array([[0.0], [1.0]]), "label": jnp.array([3, 4])}
      >>> inputs, other, lam = mixup()(jaxdl.root(0), batch)
      >>> other.tolist(), bool(jnp.allclose(inputs[:, 0], jnp.array([1 - lam[0], lam[1]])))
      ([4, 3], True)
    """
    _check_alpha(alpha)

    def mix(key: Key[Array, ""], batch: Mapping[str, Any]) -> tuple[Array, Array, Array]:
        x = _inputs(batch)
        lam = _lams(key, alpha, batch)
        weight = lam.astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1))
        return weight * x + (1 - weight) * _partner(x), _partner(batch["label"]), lam

    return mix


@recorded
def cutmix(alpha: float = 1.0) -> Mix:
    """Returns a mixture that replaces a rectangle of each image by that of another one.

        lam = 1 - area of the rectangle / area of the image

    The rectangle has sqrt(1 - b) of each side of the image, b ~ Beta(alpha, alpha), rounded to
    pixels. Its center is a random pixel. The part outside of the image is cut off before lam is
    computed, so lam is exactly the part of the image that is kept. Its mean is above 1/2.

    Args:
      alpha: parameter of the Beta distribution, above 0.

    Returns:
      `mix(key, batch) -> (inputs [B, H, W, C], other labels, lam [B])`, as of `mixup`.

    Raises:
      InputError: an alpha out of range. Raised by the mixture: no images.

    Source: Yun et al. 2019, CutMix: Regularization strategy to train strong classifiers.

    Example:
      >>> import jaxdl
      >>> image = jnp.stack([jnp.zeros((4, 4, 1)), jnp.ones((4, 4, 1))])
      >>> batch = {"input": image, "label": jnp.array([3, 4])}
      >>> inputs, _, lam = cutmix()(jaxdl.root(0), batch)
      >>> bool((inputs.mean((1, 2, 3)) == jnp.array([1 - lam[0], lam[1]])).all())
      True
    """
    _check_alpha(alpha)

    def mix(key: Key[Array, ""], batch: Mapping[str, Any]) -> tuple[Array, Array, Array]:
        x = _inputs(batch)
        if x.ndim != 4:
            raise InputError("cutmix", f"{x.dtype}{list(x.shape)}", "images [B, H, W, C]")
        shape = jnp.array(x.shape[1:3])
        part = jnp.sqrt(1 - _lams(jax.random.fold_in(key, 0), alpha, batch))
        center = jax.random.randint(jax.random.fold_in(key, 1), (len(x), 2), 0, shape[None])
        inside = jax.vmap(lambda p, c: _rectangle(p, c, x.shape[1], x.shape[2]))(part, center)
        mixed = jnp.where(inside[..., None], _partner(x), x)
        size = x.shape[1] * x.shape[2]
        # A table, because XLA multiplies by the rounded reciprocal of a constant.
        parts = jnp.asarray(np.arange(size + 1) / size, jnp.float32)
        return mixed, _partner(batch["label"]), parts[size - inside.sum((1, 2))]

    return mix


def _rectangle(part: Float[Array, ""], center: Int[Array, " 2"], height: int, width: int) -> Array:
    """Returns True for the pixels `[H, W]` of a rectangle with a part of each side of an image."""

    def inside(size: int, center: Int[Array, ""]) -> Array:
        length = jnp.round(part * size).astype(jnp.int32)
        distance = jnp.arange(size) - (center - length // 2)
        return (distance >= 0) & (distance < length)

    return inside(height, center[0])[:, None] & inside(width, center[1])[None, :]


def _check_alpha(alpha: float) -> None:
    positive("alpha", alpha)


def _inputs(batch: Mapping[str, Any]) -> Array:
    """Returns the inputs of a batch that can be mixed."""
    if "length" in batch:
        raise InputError("mix", "sequences of different lengths", "inputs of one size")
    x = batch["input"]
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise InputError("mix", f"{x.dtype}{list(x.shape)}", "inputs of floats")
    return x


def _partner(x: Array) -> Array:
    """Returns the value of each example's partner."""
    return jnp.roll(x, 1, 0)


def _lams(key: Key[Array, ""], alpha: float, batch: Mapping[str, Any]) -> Float[Array, " B"]:
    """Returns the weight of each example; 1 if its partner does not count."""
    size = batch["input"].shape[:1]
    lam = jax.random.uniform(key, size)
    if alpha != 1:
        lam = jax.random.beta(key, alpha, alpha, size)
    if "mask" in batch:
        valid = _partner(jnp.asarray(batch["mask"])) != 0
        lam = jnp.where(valid, lam, 1.0)
    return lam
