"""Classification: one label per input, cross-entropy from logits."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl import losses
from jaxdl.core import Batch, Params
from jaxdl.errors import at_least, in_range, is_zero
from jaxdl.metrics import Metrics, accuracy, mean, total
from jaxdl.tasks.linen import apply, init_variables, lengths_kwargs

Augment = Callable[[Key[Array, ""], Float[Array, "H W C"]], Float[Array, "H W C"]]


class Classifier(NamedTuple):
    """What `classify` returns: pure functions, to use together or alone.

    Attributes:
      init: `init(key, batch) -> (params, extra)`.
      loss: `loss(params, extra, batch, key, *, train) -> (scalar, (extra, metrics))`.
      predict: `predict(params, extra, inputs [B, ...], lengths=None) -> probabilities [B, C]`.
    """

    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    loss: Callable[..., tuple[Float[Array, ""], tuple[Any, Metrics]]]
    predict: Callable[..., Float[Array, "B C"]]


def classify(
    model: nn.Module, *, label_smoothing: float = 0.0, augment: Augment | None = None
) -> Classifier:
    """The task of naming the class of each input.

        L = -1/|B| sum_i m_i log softmax(f(x_i))[y_i]

    Args:
      model: a Linen module called as `model(inputs [B, ...], train=bool) -> logits [B, C]`, with `lengths=` where a
        batch has them; its collections beside `params` (BatchNorm's `batch_stats`) travel in `extra`. One logit
        `[B, 1]` is a sigmoid: the probability of class 1 of two.
      label_smoothing: in [0, 1), the share of the target spread over all classes, in training only.
      augment: `augment(key, input) -> input` for one example, in training only.

    Returns:
      A `Classifier`. A batch has `input [B, ...]`, `label [B]` (integers, or `[B, C]` probabilities), for sequences
      of different lengths `length [B]`, and, if some rows do not count, `mask [B]`. Metrics: `loss` and `accuracy`.

    Raises:
      InputError: a label smoothing outside [0, 1).

    Example:
      >>> import jaxdl
      >>> task = classify(jaxdl.models.MLP([16]))
      >>> batch = {"input": jnp.ones((2, 8, 8, 1)), "label": jnp.array([3, 7])}
      >>> params, extra = task.init(jaxdl.root(0), batch)
      >>> task.predict(params, extra, batch["input"]).shape
      (2, 10)
    """
    in_range("label_smoothing", label_smoothing, 0, 1)

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        return init_variables(model, key, batch)

    def loss(params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool):
        inputs = batch["input"]
        label = batch["label"]
        mask = batch.get("mask")
        dropout = jax.random.fold_in(key, 0)
        changes = jax.random.fold_in(key, 1)
        if train and augment is not None:
            inputs = jax.vmap(augment)(jax.random.split(changes, inputs.shape[0]), inputs)
        logits, extra = apply(
            model, params, extra, inputs, dropout, train=train, **lengths_kwargs(batch)
        )
        logits = _of_classes(logits)
        smoothing = label_smoothing if train else 0.0
        each = jax.vmap(lambda x, y: losses.cross_entropy(x, y, smoothing))(logits, label)
        correct = jax.vmap(accuracy)(logits, label if label.ndim == 1 else label.argmax(-1))
        metrics = {"loss": total(each, mask), "accuracy": total(correct, mask)}
        return mean(metrics["loss"]), (extra, metrics)

    def predict(
        params: Params,
        extra: Any,
        inputs: Float[Array, "B ..."],
        lengths: Int[Array, " B"] | None = None,
    ):
        more: dict[str, Any] = {} if lengths is None else {"lengths": lengths}
        logits: Any = model.apply({"params": params, **extra}, inputs, train=False, **more)
        return jax.nn.softmax(_of_classes(logits))

    return Classifier(init, loss, predict)


def _of_classes(logits: Float[Array, "B C"]) -> Float[Array, "B C"]:
    """One logit x as the two (0, x), whose softmax is its sigmoid."""
    return logits if logits.shape[-1] > 1 else jnp.concatenate([jnp.zeros_like(logits), logits], -1)


def random_shift(pixels: int, still: float = 0.0) -> Augment:
    """An augmentation: moves an image by up to `pixels` in each direction, zeros coming in.

    Args:
      pixels: at least 0.
      still: the probability that an image stays where it is, whatever is drawn for it; in [0, 1).

    Returns:
      `augment(key, image [H, W, C]) -> image [H, W, C]`, for those not still uniform over the (2 pixels + 1)^2 shifts.

    Raises:
      InputError: fewer than 0 pixels, `still` out of range.

    Example:
      >>> import jaxdl
      >>> random_shift(1)(jaxdl.root(0), jnp.ones((4, 4, 1))).shape
      (4, 4, 1)
    """
    at_least("pixels", pixels, 0)
    in_range("still", still, 0, 1)

    def augment(key: Key[Array, ""], image: Float[Array, "H W C"]) -> Float[Array, "H W C"]:
        padded = jnp.pad(image, ((pixels, pixels), (pixels, pixels), (0, 0)))
        at = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
        if not is_zero(still):
            at = jnp.where(jax.random.bernoulli(jax.random.fold_in(key, 0), still), pixels, at)
        return jax.lax.dynamic_slice(padded, (*at, 0), image.shape)

    return augment
