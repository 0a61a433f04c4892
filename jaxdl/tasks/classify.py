"""Classification: one label per input, or several, with a cross-entropy loss from logits."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Num

from jaxdl import losses
from jaxdl.augment import Augment, Mix, augment_batch
from jaxdl.errors import InputError, in_range, is_zero
from jaxdl.explain.attacks import Attack
from jaxdl.metrics import accuracy, total
from jaxdl.tasks.robust import WARMUP, check_attack, growing, robust_values
from jaxdl.tasks.task import (
    Task,
    apply,
    check_fields,
    check_model,
    init_variables,
    more_inputs,
    one_update,
    recorded,
    with_sown_losses,
    without_padding,
)
from jaxdl.updates import Batch, Params


@recorded
def classify(
    model: nn.Module,
    *,
    label_smoothing: float = 0.0,
    augment: Augment | None = None,
    mix: Mix | None = None,
    multi_label: bool = False,
    attack: Attack | None = None,
    attack_warmup: int = 0,
    trades: float | None = None,
) -> Task:
    """Returns the functions that train and apply a classifier.

        L = -1/|B| sum_i m_i log softmax(f(x_i))[y_i]

    With `multi_label` an example may have several classes, or none. Each class then has a
    logit for a separate binary classification, with y_ic 1 or 0:

        L = -1/(|B| C) sum_ic m_i [y_ic log s(f(x_i)_c) + (1 - y_ic) log(1 - s(f(x_i)_c))]

    Here s is the sigmoid. With `attack` the inputs are attacked in every step, which is
    adversarial training:

        L = -1/|B| sum_i m_i log softmax(f(x'_i))[y_i],    x' = perturb(f, x, y, attack)

    With `mix` each input is mixed with another one of the batch, and the loss with the loss of its
    label:

        L = -1/|B| sum_i m_i [l_i log softmax(f(x'_i))[y_i] + (1 - l_i) log softmax(f(x'_i))[z_i]]

    With `trades`, b, the attack increases a divergence instead, which is a second term of the loss:

        L = 1/|B| sum_i m_i [-log softmax(f(x_i))[y_i] + b KL(p(x_i) || p(x'_i))]

    Source: Madry et al. 2018, Towards deep learning models resistant to adversarial attacks; Zhang
    et al. 2019, Theoretically principled trade-off between robustness and accuracy (TRADES).

    Args:
      model: a Linen module called as `model(inputs [B, ...], train=bool) -> logits [B, C]`. It is
        also given `lengths=` if the batch has lengths, and each field with the name of one of its
        parameters, such as a second input. Its collections other than `params`, such as
        the `batch_stats` of BatchNorm, are stored in `extra`. A model with one logit `[B, 1]` is a
        binary classifier: the sigmoid of the logit is the probability of class 1.
      label_smoothing: fraction of the target that is spread over all classes, in [0, 1). Only used
        in training.
      augment: `augment(key, input) -> input` for one example. Only used in training.
      mix: `mix(key, batch) -> (inputs x', labels z of the partners, weights l [B])`, such as
        `jaxdl.augment.mixup()`. It follows `augment`. Only used in training, where the accuracy is
        that of the label with the larger weight. None means no mixture.
      multi_label: if True, labels are `[B, C]` of 0 and 1, and each class has its probability.
      attack: options of adversarial training, such as `jaxdl.explain.pgd(0.3, steps=7)`. The
        attacked network has the weights of the step, and neither dropout nor statistics of the
        batch. The inputs must lie in [attack.low, attack.high]. None means no attack.
      attack_warmup: number of training batches in which the attack's epsilon and steps grow from
        0. Large attacks need some thousand batches. They are counted in `extra`; with `accumulate`,
        every part of a batch counts.
      trades: weight of the divergence; None means adversarial training.

    Returns:
      A `Task` with `loss` and
      `predict(params, extra, inputs [B, ...], lengths=None, **more) -> probabilities [B, C]`. A
      batch has `input [B, ...]` and `label [B]` (integers, or probabilities `[B, C]`). It has
      `length [B]` for sequences of different lengths, and `mask [B]` if some rows do not count. The
      metrics are `loss` and `accuracy`, with `multi_label` the fraction of right labels at a
      threshold of 1/2. With an attack `accuracy` is that of the clean inputs, and
      `robust_accuracy` that of the attacked ones.

    Raises:
      InputError: a label smoothing outside [0, 1), or with `multi_label`; options of an attack
        that do not fit each other, or an attack with a mixture. Raised by the loss: an output
        that is not `[B, C]`, or labels of another shape or dtype.

    Example:
      >>> import jaxdl
      >>> task = classify(jaxdl.models.MLP([16]))
      >>> batch = {"input": jnp.ones((2, 8, 8, 1)), "label": jnp.array([3, 7])}
      >>> params, extra = task.init(jaxdl.root(0), batch)
      >>> task.predict(params, extra, batch["input"]).shape
      (2, 10)
    """
    check_model(model)
    in_range("label_smoothing", label_smoothing, 0, 1)
    if multi_label and not is_zero(label_smoothing):
        raise InputError("label_smoothing", label_smoothing, "0 with multi_label")
    check_attack(attack, trades, attack_warmup, multi_label)
    if mix is not None and attack is not None:
        raise InputError("mix", "a mixture", "None with an attack")

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        params, extra = init_variables(model, key, batch)
        if attack_warmup:
            extra = {**extra, WARMUP: {"step": jnp.zeros(())}}
        return params, extra

    @with_sown_losses
    def loss(params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool):
        check_fields(batch, "label")
        batch = without_padding(batch)
        inputs = batch["input"]
        label = batch["label"]
        mask = batch.get("mask")
        dropout_key = jax.random.fold_in(key, 0)
        mixture = None
        if train:
            inputs, mixture = _changed(batch, key, augment, mix)
        more = more_inputs(model, batch)
        smoothing = label_smoothing if train else 0.0

        def forward(params: Params, inputs: Array, extra: Any, train: bool = train):
            rng = dropout_key if train or attack is None else None
            logits, extra = apply(model, params, extra, inputs, rng, train=train, **more)
            if multi_label:
                return _checked(logits), extra
            return _logits_of_classes(logits), extra

        values_of = partial(_values, label, mixture, multi_label, smoothing)
        if attack is None:
            logits, extra = forward(params, inputs, extra)
            entropy, correct = values_of(logits)
            values = {"loss": entropy, "accuracy": correct}
        else:
            attack_key = jax.random.fold_in(key, 2)
            now, extra = growing(attack, attack_warmup, extra, train)
            arguments = (params, inputs, label, extra, attack_key)
            values, extra = robust_values(forward, values_of, *arguments, now, trades, train)
        metrics = {name: total(value, mask) for name, value in values.items()}
        return metrics["loss"], (extra, metrics)

    def predict(
        params: Params,
        extra: Any,
        inputs: Float[Array, "B ..."],
        lengths: Int[Array, " B"] | None = None,
        **more: Num[Array, "B ..."],
    ):
        kwargs: dict[str, Any] = dict(more)
        if lengths is not None:
            kwargs["lengths"] = lengths
        logits, _ = apply(model, params, extra, inputs, None, train=False, **kwargs)
        if multi_label:
            return jax.nn.sigmoid(_checked(logits))
        return jax.nn.softmax(_logits_of_classes(logits))

    return Task(init, one_update(loss), {"loss": loss, "predict": predict})


def _changed(
    batch: Batch, key: Key[Array, ""], augment: Augment | None, mix: Mix | None
) -> tuple[Float[Array, "B ..."], Any]:
    """Returns the augmented inputs of a training batch, and labels and weights of a mixture."""
    inputs = batch["input"]
    if augment is not None:
        inputs = augment_batch(augment, jax.random.fold_in(key, 1), inputs)
    if mix is None:
        return inputs, None
    inputs, *mixture = mix(jax.random.fold_in(key, 3), {**batch, "input": inputs})
    return inputs, mixture


def _values(
    label: Num[Array, "B ..."],
    mixture: Any,
    multi_label: bool,
    smoothing: float,
    logits: Float[Array, "B C"],
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Returns loss and accuracy of each example, for its labels or those of its mixture."""

    def of(label: Num[Array, "B ..."]):
        if multi_label:
            return _binary(logits, label)
        return _exclusive(logits, label, smoothing)

    if mixture is None:
        return of(label)
    return _mixed(of(label), of(mixture[0]), mixture[1])


def _check_label(label: Array, logits: Float[Array, "B C"]) -> None:
    """Raises InputError unless labels are integers `[B]`, or probabilities `[B, C]`."""
    if label.shape == logits.shape:
        return
    if label.ndim == 1 and jnp.issubdtype(label.dtype, jnp.integer):
        return
    allowed = f"integers [B], or probabilities [B, {logits.shape[-1]}]"
    if label.shape[1:] == (1,):
        allowed = "integers [B], such as label[:, 0]"
    elif label.ndim == 1:
        allowed = "integers [B], such as label.astype(int)"
    raise InputError("label", f"{label.dtype}{list(label.shape)}", allowed)


def _exclusive(
    logits: Float[Array, "B C"], label: Num[Array, "B ..."], smoothing: float
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Returns loss and accuracy of each example, which has one class."""
    _check_label(label, logits)
    entropy = jax.vmap(lambda x, y: losses.cross_entropy(x, y, smoothing))(logits, label)
    if label.ndim != 1:
        label = label.argmax(-1)
    return entropy, jax.vmap(accuracy)(logits, label)


def _mixed(
    own: tuple[Float[Array, " B"], Float[Array, " B"]],
    other: tuple[Float[Array, " B"], Float[Array, " B"]],
    lam: Float[Array, " B"],
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Returns the loss of mixed labels, and the accuracy of the label with the larger weight."""
    entropy = lam * own[0] + (1 - lam) * other[0]
    return entropy, jnp.where(lam >= 0.5, own[1], other[1])


def _binary(
    logits: Float[Array, "B C"], label: Num[Array, "B C"]
) -> tuple[Float[Array, " B"], Float[Array, " B"]]:
    """Returns loss and accuracy of each example as a mean over the classes, each 0 or 1."""
    if label.shape != logits.shape:
        allowed = f"{list(logits.shape)}, 0 or 1 for each class, as the outputs of the model"
        raise InputError("label shape", list(label.shape), allowed)
    entropy = jax.vmap(losses.binary_cross_entropy)(logits, label) / logits.shape[1]
    correct = (logits > 0) == (label.astype(jnp.float32) > 0.5)
    return entropy, correct.astype(jnp.float32).mean(1)


def _logits_of_classes(logits: Float[Array, "B C"]) -> Float[Array, "B C"]:
    """Extends a single logit x to the two logits (0, x), whose softmax is the sigmoid of x.

    Raises:
      InputError: an output of the model that is not `[B, C]`.
    """
    logits = _checked(logits)
    if logits.shape[-1] > 1:
        return logits
    return jnp.concatenate([jnp.zeros_like(logits), logits], -1)


def _checked(logits: Float[Array, "B C"]) -> Float[Array, "B C"]:
    """Returns the logits; raises for an output of the model that is not `[B, C]`."""
    if logits.ndim != 2:
        allowed = "[B, C], one vector of logits per example"
        if logits.ndim == 3:
            allowed += (
                "; for one per sequence write SequenceNet(..., pool='last'), or "
                "RNN(..., return_sequences=False)"
            )
        raise InputError("output of the model", logits.shape, allowed)
    return logits
