"""The scores of a classifier as a function of images, and the score of one class per image."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError
from jaxdl.explain.images import as_array, batches, check_images, check_pixels
from jaxdl.explain.layers import Prepare, as_partial, layer_shape
from jaxdl.nn.tap import train_kwargs

#: Scores of the classes as a function of images, such as logits.
Scores = Callable[[Float[Array, "B ..."]], Float[Array, "B K"]]

#: A class for all images, or one for each. None means the class with the largest score.
Target = int | Sequence[int] | Int[np.ndarray, " N"] | None


def logits(model: nn.Module, variables: Any, prepare: Prepare | None = None) -> Partial:
    """Returns the logits of a classifier as a pure function of images.

        f(x) = model(prepare(x))

    A network with a single logit z, for two classes, has the scores (0, z).

    Args:
      model: any Linen module whose outputs are logits `[B, K]`.
      variables: its parameters and collections.
      prepare: see `jaxdl.explain.layer`.

    Returns:
      `f(images [B, H, W, C]) -> [B, K]`, a `jax.tree_util.Partial` with the weights as leaves.

    Example:
      >>> from jaxdl.models import MLP
      >>> model = MLP((4,), outputs=3)
      >>> variables = model.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), train=False)
      >>> logits(model, variables)(jnp.zeros((2, 8, 8, 1))).shape
      (2, 3)
    """

    def scores(variables: Any, images: Float[Array, "B ..."]) -> Any:
        if prepare is not None:
            images = prepare(images)
        return two_scores(model.apply(variables, images, **train_kwargs(model, False)))

    return Partial(scores, variables)


def two_scores(z: Any) -> Any:
    """Returns the scores (0, z) for a single logit z, and other outputs as they are.

    Example:
      >>> two_scores(jnp.array([[3.0]])).tolist(), two_scores(jnp.array([[3.0, 4.0]])).tolist()
      ([[0.0, 3.0]], [[3.0, 4.0]])
    """
    if getattr(z, "shape", ())[1:] == (1,):
        return jnp.concatenate([jnp.zeros_like(z), z], -1)
    return z


def select(scores: Float[Array, "B K"], target: Int[Array, " B"]) -> Float[Array, " B"]:
    """Returns the score of one class for each image.

    Example:
      >>> select(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1, 0])).tolist()
      [2.0, 3.0]
    """
    return jnp.take_along_axis(scores, target[:, None], 1)[:, 0]


def check_scores(f: Scores, images: Float[np.ndarray, "N H W C"]) -> int:
    """Returns the number of classes; raises for bad images, or outputs that are not scores.

    Example:
      >>> check_scores(lambda x: x, np.zeros((1, 4, 4, 3), np.float32))
      Traceback (most recent call last):
      jaxdl.errors.InputError: scores: got [B, 4, 4, 3], allowed: outputs [B, K], one score for ...
    """
    check_images(images)
    check_pixels(images)
    if isinstance(f, nn.Module) or not callable(f):
        allowed = "a function of images, such as explain.logits(model, variables)"
        raise InputError("f", type(f).__name__, allowed)
    allowed = "outputs [B, K], one score for each class, such as explain.logits(...)"
    try:
        shape = layer_shape(f, np.shape(images)[1:], "scores", allowed)
    except jax.errors.TracerArrayConversionError:
        allowed = "a function of jax.numpy; jax.pure_callback calls one of NumPy, without gradient"
        raise InputError("f", "a function of NumPy", allowed) from None
    if len(shape) != 1:
        raise InputError("scores", _Shape(shape), allowed)
    return shape[0]


def check_target(
    f: Scores, images: Float[np.ndarray, "N H W C"], target: Target, batch_size: int = 128
) -> Int[np.ndarray, " N"]:
    """Returns the class whose score is explained, for each image.

    Args:
      f: scores of the classes as a function of images.
      images: `[N, H, W, C]` in [0, 1].
      target: a class, one for each image, or None for the class with the largest score.
      batch_size: number of images in a batch.

    Returns:
      `[N]`, int32.

    Raises:
      InputError: bad images, outputs that are not scores, or a class that does not exist.

    Example:
      >>> images = np.zeros((2, 4, 4, 1), np.float32)
      >>> check_target(lambda x: x.mean((1, 2)) + jnp.array([[0.0, 1.0, 0.5]]), images, None)
      array([1, 1], dtype=int32)
      >>> check_target(lambda x: x.mean((1, 2)), images, 3)
      Traceback (most recent call last):
      jaxdl.errors.InputError: target: got 3, allowed: a class in [0, 1), or None for ...
    """
    count = check_scores(f, images)
    if target is None:
        return scores_of(f, images, batch_size).argmax(1).astype(np.int32)
    allowed = f"a class in [0, {count}), or None for the class with the largest score"
    return check_classes("target", target, len(images), count, allowed)


def check_classes(
    field: str, value: Any, rows: int, count: int, allowed: str
) -> Int[np.ndarray, " N"]:
    """Returns one class for each image; raises for other arrays.

    Args:
      field: name of the value.
      value: a class, or one for each image.
      rows: number of images.
      count: number of classes.
      allowed: a description of the classes for the message.

    Returns:
      `[N]`, int32.

    Raises:
      InputError: no integers, another number of them, or a class that does not exist.

    Example:
      >>> check_classes("label", 2, 3, 4, "a class in [0, 4)")
      array([2, 2, 2], dtype=int32)
      >>> check_classes("label", np.eye(2), 2, 4, "a class in [0, 4)")
      Traceback (most recent call last):
      jaxdl.errors.InputError: label: got 'float64[2, 2]', allowed: a class in [0, 4)
    """
    given = as_array(field, value, allowed)
    if not np.issubdtype(given.dtype, np.integer):
        shown = value
        if given.ndim:
            shown = f"{given.dtype}{list(given.shape)}"
        raise InputError(field, shown, allowed)
    if given.ndim == 0:
        given = np.full(rows, given)
    if given.shape != (rows,):
        allowed = f"one class, or {rows}, one for each image"
        raise InputError(field, f"an array {list(given.shape)}", allowed)
    outside = given[(given < 0) | (given >= count)]
    if outside.size:
        raise InputError(field, int(outside[0]), allowed)
    return given.astype(np.int32)


def scores_of(
    f: Scores, images: Float[np.ndarray, "N H W C"], batch_size: int = 128
) -> Float[np.ndarray, "N K"]:
    """Returns the scores of all images, computed in batches.

    Example:
      >>> scores_of(lambda x: x.sum((1, 2)), np.ones((2, 2, 2, 1), np.float32)).tolist()
      [[4.0], [4.0]]
    """
    return in_batches(_scores, f, (images,), batch_size)


def in_batches(
    program: Callable[..., Any],
    f: Callable[..., Any],
    arrays: Sequence[Any],
    batch_size: int,
    *constants: Any,
) -> Any:
    """Returns the results of a compiled function for all images, computed in batches.

    All batches have the same size, so that there is one program.

    Args:
      program: `program(f, *batch, *constants)`, usually a function of `jax.jit`. Its results are
        one array or a tuple of arrays, `[B, ...]`.
      f: function of images.
      arrays: arrays `[N, ...]`, of which the batches are cut.
      batch_size: number of images in a batch.
      *constants: further arguments, the same for each batch.

    Returns:
      `[N, ...]`, NumPy arrays.

    Example:
      >>> in_batches(lambda f, x, y: f(x) + y, np.negative, (np.arange(5), np.ones(5)), 2)
      array([ 1.,  0., -1., -2., -3.])
    """
    parts = []
    for triples in zip(*(batches(np.asarray(each), batch_size) for each in arrays), strict=True):
        rows = triples[0][1]
        found = program(as_partial(f), *(batch for _, _, batch in triples), *constants)
        parts.append(jax.tree.map(lambda x, rows=rows: np.asarray(x)[:rows], found))
    return jax.tree.map(lambda *each: np.concatenate(each), *parts)


@jax.jit
def _scores(f: Partial, images: Float[Array, "B H W C"]) -> Float[Array, "B K"]:
    return f(images)


class _Shape:
    """The value in the message of `check_scores`."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.text = f"[B, {', '.join(map(str, shape))}]"

    def __repr__(self) -> str:
        return self.text
