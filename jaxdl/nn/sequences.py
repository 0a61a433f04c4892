"""Sequences with padding on the right: masks, lengths, pooling, and models for single steps."""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num, Shaped

from jaxdl.errors import InputError, is_traced, lengths_within, one_of
from jaxdl.nn.tap import train_kwargs

Pool = Literal["last", "mean", "max"]


def length_mask(lengths: Int[Array, " B"], size: int) -> Bool[Array, "B T"]:
    """Returns the mask of sequences: True for the first `lengths` of `size` steps.

        m_bt = t < lengths_b

    Args:
      lengths: `[B]`, integers in [1, size].
      size: T, the number of steps with padding.

    Returns:
      `[B, T]`.

    Raises:
      InputError: a length below 1 or above `size`. Traced lengths are not checked, because their
        values are unknown.

    Example:
      >>> length_mask(jnp.array([1, 3]), 3).astype(int).tolist()
      [[1, 0, 0], [1, 1, 1]]
    """
    lengths = lengths_array(lengths)
    lengths_within(lengths, size)
    steps = jnp.arange(size)[None]
    return steps < lengths[:, None].astype(steps.dtype)


def zero_invalid(x: Shaped[Array, "B ..."], valid: Bool[Array, "B ..."]) -> Shaped[Array, "B ..."]:
    """Returns an array with 0 where it is not valid.

    A gradient through an invalid number is 0 times that number, which is NaN for a NaN. So the
    number is replaced before anything is computed from it.

    Args:
      x: `[B, ...]` or `[B, T, ...]`.
      valid: `[B]` or `[B, T]`, the first axes of `x`.

    Returns:
      An array with the shape and dtype of `x`.

    Example:
      >>> zero_invalid(jnp.array([[1.0, jnp.nan]]), jnp.array([[True, False]])).tolist()
      [[1.0, 0.0]]
    """
    valid = valid.reshape(*valid.shape, *[1] * (x.ndim - valid.ndim))
    return jnp.where(valid, x, jnp.zeros_like(x))


def lengths_array(lengths: Any) -> Any:
    """Returns lengths as an array; a list stays outside of the program, so that it is checked.

    Example:
      >>> lengths_array([3, 2])
      array([3, 2], dtype=int32)
    """
    if isinstance(lengths, jax.Array):
        return lengths
    lengths = np.asarray(lengths)
    if lengths.dtype == np.int64:
        return lengths.clip(-1, 2**31 - 1).astype(np.int32)
    return lengths


def mask_steps(
    x: Float[Array, "B T D"], lengths: Int[Array, " B"] | None
) -> tuple[Float[Array, "B T D"], Bool[Array, "B T"] | None]:
    """Returns sequences with zeros after their ends, and the mask of their steps.

    So values in the padding, also NaN, change neither outputs nor gradients. A sequence whose
    traced length is out of range is NaN at every step, and so are all outputs computed from it.

    Args:
      x: `[B, T, D]`, float.
      lengths: `[B]`, integers in [1, T]; None means T.

    Returns:
      `(x, mask)`. The mask is None without lengths, and True for a length out of range.

    Raises:
      InputError: another number of lengths, or a length that is known to be out of range.

    Example:
      >>> x, mask = mask_steps(jnp.ones((1, 3, 1)), jnp.array([2]))
      >>> x.ravel().tolist(), mask.astype(int).tolist()
      ([1.0, 1.0, 0.0], [[1, 1, 0]])
    """
    if lengths is None:
        return x, None
    lengths = lengths_array(lengths)
    if lengths.shape != x.shape[:1]:
        raise InputError("length", lengths.shape, f"[B], {x.shape[:1]}")
    valid = length_mask(lengths, x.shape[1])
    known = _within(lengths, x.shape[1])
    fill = jnp.where(known, 0, jnp.nan).astype(x.dtype)
    x = jnp.where((valid & known[:, None])[..., None], x, fill[:, None, None])
    return x, valid | ~known[:, None]


def _within(lengths: Int[Array, " B"], size: int) -> Bool[Array, " B"]:
    return (lengths >= 1) & (lengths <= size)


def lengths_of(mask: Bool[Array, "B T"] | Num[Array, "B T"]) -> Int[Array, " B"]:
    """Returns the lengths of sequences from a mask with padding on the right.

    Args:
      mask: `[B, T]`, True or not 0 for valid steps. The first step must be valid, and no valid
        step may follow an invalid one.

    Returns:
      int32 `[B]`, in [1, T].

    Raises:
      InputError: a mask with a hole or without a valid step. A traced mask is not checked. The
        length of such a row is then 0, and the outputs of a `SequenceNet` are NaN.

    Example:
      >>> lengths_of(jnp.array([[1, 1, 0], [1, 0, 0]])).tolist()
      [2, 1]
      >>> lengths_of(jnp.array([[1, 0, 1]]))
      Traceback (most recent call last):
      jaxdl.errors.InputError: mask[0]: got [1, 0, 1], allowed: ones, then zeros; ...
    """
    mask = jnp.asarray(mask)
    if mask.ndim != 2 or not mask.shape[1]:
        raise InputError("mask", mask.shape, "[B, T]")
    valid = mask.astype(bool)
    padded = valid[:, 0] & (valid[:, 1:] <= valid[:, :-1]).all(1)
    if not is_traced(mask) and not bool(padded.all()):
        row = int(jnp.argmin(padded))
        allowed = "ones, then zeros; move the steps with mask 0 to the end of the sequence"
        raise InputError(f"mask[{row}]", np.asarray(valid[row]).astype(int).tolist(), allowed)
    return jnp.where(padded, valid.sum(1, dtype=jnp.int32), 0)


def pool_steps(
    ys: Float[Array, "B T D"], how: Pool, lengths: Int[Array, " B"] | None = None
) -> Float[Array, "B D"]:
    """Pools the valid steps of each sequence into one vector.

        last: y_{b, L_b - 1}        mean: 1/L_b sum_{t < L_b} y_bt        max: max_{t < L_b} y_bt

    Args:
      ys: `[B, T, D]`, float.
      how: "last", "mean" or "max".
      lengths: L, `[B]` in [1, T]; None means T.

    Returns:
      `[B, D]`; NaN for a traced length out of range.

    Raises:
      InputError: an unknown `how`, a wrong rank or dtype, or a length out of range.

    Example:
      >>> ys = jnp.array([[[1.0], [3.0], [9.0]]])
      >>> [pool_steps(ys, how, jnp.array([2])).item() for how in ("last", "mean", "max")]
      [3.0, 2.0, 3.0]
    """
    one_of("pool", how, ("last", "mean", "max"))
    if ys.ndim != 3 or not ys.shape[1] or not jnp.issubdtype(ys.dtype, jnp.floating):
        raise InputError("ys", f"{ys.dtype}{list(ys.shape)}", "sequences of floats [B, T, D]")
    if lengths is None:
        return _pool_all_steps(ys, how)
    lengths = lengths_array(lengths)
    if lengths.shape != ys.shape[:1]:
        raise InputError("length", lengths.shape, f"[B], {ys.shape[:1]}")
    pooled = _pool_valid_steps(ys, how, lengths)
    return jnp.where(_within(lengths, ys.shape[1])[:, None], pooled, jnp.nan)


def _pool_valid_steps(ys: Array, how: Pool, lengths: Array) -> Array:
    valid = length_mask(lengths, ys.shape[1])[..., None]
    if how == "max":
        return jnp.where(valid, ys, -jnp.inf).max(1)
    count = lengths
    if how == "last":
        steps = jnp.arange(ys.shape[1])[None]
        valid = valid & (steps == lengths[:, None].astype(steps.dtype) - 1)[..., None]
        count = jnp.ones_like(lengths)
    return jnp.where(valid, ys, 0).sum(1) / jnp.asarray(count)[:, None].astype(ys.dtype)


def _pool_all_steps(ys: Float[Array, "B T D"], how: Pool) -> Float[Array, "B D"]:
    if how == "max":
        return ys.max(1)
    if how == "mean":
        return ys.mean(1)
    return ys[:, -1]


class TimeDistributed(nn.Module):
    """A model applied to each step of a sequence, for example a CNN to the frames of a video.

        y_bt = f(x_bt)

    Attributes:
      model: called as `model(inputs [B T, ...], train)`. For BatchNorm all steps are one batch,
        including padding.

    Example:
      >>> import jax
      >>> from jaxdl.nn import Conv
      >>> class Net(nn.Module):
      ...     @nn.compact
      ...     def __call__(self, x, train):
      ...         return Conv(3, (2, 2))(x).mean((1, 2))
      >>> film = jnp.ones((2, 5, 8, 8, 1))
      >>> TimeDistributed(Net()).init_with_output(jax.random.key(0), film, False)[0].shape
      (2, 5, 3)
    """

    model: nn.Module

    @nn.compact
    def __call__(self, x: Num[Array, "B T ..."], train: bool) -> Float[Array, "B T ..."]:
        """Computes the model's outputs for each step.

        Args:
          x: `[B, T, ...]`.
          train: argument for the model.

        Returns:
          `[B, T, ...]`.

        Raises:
          InputError: an input with fewer than two axes.
        """
        if x.ndim < 2:
            raise InputError("x", x.shape, "[B, T, ...]")
        y: Any = self.model(x.reshape(-1, *x.shape[2:]), **train_kwargs(self.model, train))
        return y.reshape(*x.shape[:2], *y.shape[1:])
