"""Sequences of different lengths, padded on the right: which steps count, and what is read off a whole sequence."""

from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from jaxdl.errors import InputError, is_traced, lengths_within, one_of

Pool = Literal["last", "mean", "max"]


def steps(lengths: Int[Array, " B"], size: int) -> Bool[Array, "B T"]:
    """The mask of sequences: true for the first `lengths` of `size` steps.

        m_bt = t < lengths_b

    Args:
      lengths: `[B]`, integers in [1, size].
      size: T, the steps that every sequence was padded to.

    Returns:
      `[B, T]`.

    Raises:
      InputError: a length below 1 or above `size`, where its value is known: not while tracing.

    Example:
      >>> steps(jnp.array([1, 3]), 3).astype(int).tolist()
      [[1, 0, 0], [1, 1, 1]]
    """
    lengths_within(lengths, size)
    return jnp.arange(size)[None] < lengths[:, None]


def lengths_of(mask: Bool[Array, "B T"] | Num[Array, "B T"]) -> Int[Array, " B"]:
    """The lengths that a right-padded mask says, for what takes lengths.

    Args:
      mask: `[B, T]`, true (or not 0) in the steps that count: at least the first one, and none behind one that
        does not.

    Returns:
      int32 `[B]`, in [1, T].

    Raises:
      InputError: a mask with a hole, or with no step. While tracing it cannot be seen; the length of such a row
        is then 0, which makes the outputs of a `SequenceNet` NaN.

    Example:
      >>> lengths_of(jnp.array([[1, 1, 0], [1, 0, 0]])).tolist()
      [2, 1]
      >>> lengths_of(jnp.array([[1, 0, 1]]))
      Traceback (most recent call last):
      jaxdl.errors.InputError: mask[0]: got [1, 0, 1], allowed: ones, then zeros: ...
    """
    if mask.ndim != 2:
        raise InputError("mask", mask.shape, "[B, T]")
    here = mask.astype(bool)
    padded = here[:, 0] & (here[:, 1:] <= here[:, :-1]).all(1)
    if not is_traced(mask) and not bool(padded.all()):
        row = int(jnp.argmin(padded))
        why = "ones, then zeros: a step that is left out inside a sequence has no place in its order; put it last"
        raise InputError(f"mask[{row}]", np.asarray(here[row]).astype(int).tolist(), why)
    return jnp.where(padded, here.sum(1, dtype=jnp.int32), 0)


def pool_steps(
    ys: Float[Array, "B T D"], how: Pool, lengths: Int[Array, " B"] | None = None
) -> Float[Array, "B D"]:
    """One vector per sequence, from the steps that count.

        last: y_{b, L_b - 1}        mean: 1/L_b sum_{t < L_b} y_bt        max: max_{t < L_b} y_bt

    Args:
      ys: `[B, T, D]`, float.
      how: "last", "mean" or "max".
      lengths: L, `[B]` in [1, T]; None: T.

    Returns:
      `[B, D]`.

    Raises:
      InputError: another `how`, or a length out of range.

    Example:
      >>> ys = jnp.array([[[1.0], [3.0], [9.0]]])
      >>> [pool_steps(ys, how, jnp.array([2])).item() for how in ("last", "mean", "max")]
      [3.0, 2.0, 3.0]
    """
    one_of("pool", how, ("last", "mean", "max"))
    if lengths is None:
        return {"last": lambda: ys[:, -1], "mean": lambda: ys.mean(1), "max": lambda: ys.max(1)}[
            how
        ]()
    here = steps(lengths, ys.shape[1])[..., None]
    if how == "max":
        return jnp.where(here, ys, -jnp.inf).max(1)
    if how == "last":
        here = here & (jnp.arange(ys.shape[1])[None] == lengths[:, None] - 1)[..., None]
    count = jnp.ones_like(lengths) if how == "last" else lengths
    return jnp.where(here, ys, 0).sum(1) / count[:, None].astype(ys.dtype)


class TimeDistributed(nn.Module):
    """Any model on each step of a sequence by itself: a CNN on the frames of a video.

        y_bt = f(x_bt)

    Attributes:
      model: called as `model(inputs [B T, ...], train)`; to BatchNorm all steps are one batch, padding too.

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
        """The model's outputs, step by step.

        Args:
          x: `[B, T, ...]`.
          train: handed on.

        Returns:
          `[B, T, ...]`.

        Raises:
          InputError: fewer than two axes.
        """
        if x.ndim < 2:
            raise InputError("x", x.shape, "[B, T, ...]")
        y: Any = self.model(x.reshape(-1, *x.shape[2:]), train)
        return y.reshape(*x.shape[:2], *y.shape[1:])
