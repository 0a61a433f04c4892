"""Losses of attacked images: adversarial training and TRADES."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num

from jaxdl.errors import InputError, at_least, in_range, of_kind
from jaxdl.explain.attacks import Attack, perturb
from jaxdl.updates import Params

#: Logits of the classes as a function of inputs.
Logits = Callable[[Float[Array, "B ..."]], Float[Array, "B C"]]


#: Collection of `extra` with the number of steps, which the warm-up of an attack reads.
WARMUP = "attack"


def check_attack(attack: Any, trades: Any, warmup: Any, multi_label: bool) -> None:
    """Raises for options of adversarial training that do not fit each other.

    Example:
      >>> check_attack(None, 6.0, 0, False)
      Traceback (most recent call last):
      jaxdl.errors.InputError: trades: got 6.0, allowed: None without an attack; write ...
    """
    of_kind("attack", attack, Attack | None, "jaxdl.explain.pgd(0.3, steps=7), or None")
    at_least("attack_warmup", warmup, 0)
    if attack is None:
        if warmup:
            raise InputError("attack_warmup", warmup, "0 without an attack")
        if trades is not None:
            raise InputError("trades", trades, "None without an attack; write attack=pgd(0.3, 7)")
        return
    if trades is not None:
        in_range("trades", trades, 0, float("inf"))
        if attack.loss != "cross_entropy":
            raise InputError("attack", attack.loss, "the loss 'cross_entropy' with trades")
    if multi_label:
        raise InputError("multi_label", True, "False with an attack")
    if attack.targeted:
        raise InputError("attack", "targeted=True", "targeted=False in training")


def growing(attack: Attack, warmup: int, extra: Any, train: bool) -> tuple[Attack, Any]:
    """Returns the attack of a step, smaller during the warm-up, and the updated collections.

        epsilon_t = epsilon min(1, t / warmup)

    Without a warm-up a network may stay at a constant prediction, because a large attack leaves
    no gradient that separates classes.

    Args:
      attack: options, with the final epsilon.
      warmup: number of steps; 0 means none.
      extra: collections, with the number of steps if there is a warm-up.
      train: if False, the attack has its final size.

    Example:
      >>> from jaxdl.explain import fgsm
      >>> extra = {WARMUP: {"step": jnp.array(1.0)}}
      >>> smaller, extra = growing(fgsm(0.5), 4, extra, True)
      >>> float(smaller.epsilon), float(extra[WARMUP]["step"])
      (0.125, 2.0)
    """
    if not (warmup and train):
        return attack, extra
    step = extra[WARMUP]["step"]
    fraction = jnp.minimum(step / warmup, 1.0)
    sizes: dict[str, Any] = {
        "epsilon": attack.epsilon * fraction,
        "step_size": attack.length * fraction,
    }
    smaller = dataclasses.replace(attack, **sizes)
    return smaller, {**extra, WARMUP: {"step": step + 1.0}}


def attacked(
    logits: Logits,
    inputs: Float[Array, "B ..."],
    label: Num[Array, "B ..."],
    key: Key[Array, ""],
    attack: Attack,
    *,
    to_clean: bool = False,
) -> Float[Array, "B ..."]:
    """Returns attacked inputs of a batch, without a gradient with respect to the parameters.

    Args:
      logits: function of inputs. Its parameters are constants, see `jax.lax.stop_gradient`.
      inputs: `[B, ...]`, floats in the range of the attack.
      label: classes `[B]`, or probabilities `[B, C]`.
      key: key of the starts.
      attack: options.
      to_clean: if True, the attack increases the divergence from the prediction for the clean
        inputs, as in TRADES, in place of the label's loss.

    Returns:
      `[B, ...]`.

    Raises:
      InputError: inputs that are not floats.

    Example:
      >>> from jaxdl.explain import fgsm
      >>> from jaxdl.rng import root
      >>> def f(x):
      ...     return jnp.stack([x.sum(-1), -x.sum(-1)], -1)
      >>> attacked(f, jnp.full((1, 2), 0.5), jnp.array([0]), root(0), fgsm(0.25)).tolist()
      [[0.25, 0.25]]
    """
    if not jnp.issubdtype(inputs.dtype, jnp.floating):
        raise InputError("input", f"{inputs.dtype}", "floats with an attack, such as pixels")
    target = label
    if to_clean:
        # The cross-entropy with the clean probabilities differs from the divergence by a constant.
        target = jax.nn.softmax(logits(inputs).astype(jnp.float32))
    keys = jax.random.split(key, inputs.shape[0])
    return jax.lax.stop_gradient(perturb(logits, inputs, target, keys, attack))


def robust_values(
    forward: Callable[..., tuple[Float[Array, "B C"], Any]],
    values_of: Callable[[Float[Array, "B C"]], tuple[Float[Array, " B"], Float[Array, " B"]]],
    params: Params,
    inputs: Float[Array, "B ..."],
    label: Num[Array, "B ..."],
    extra: Any,
    key: Key[Array, ""],
    attack: Attack,
    trades: float | None,
    train: bool,
) -> tuple[dict[str, Float[Array, " B"]], Any]:
    """Returns loss and accuracies of each example under an attack, and the updated collections.

    Args:
      forward: `forward(params, inputs, extra, train=...) -> (logits, extra)`. The default of
        `train` is that of the step.
      values_of: function from logits to the label's loss and the accuracy of each example.
      params: parameters of the model.
      inputs: `[B, ...]`.
      label: classes `[B]`, or probabilities `[B, C]`.
      extra: other collections of the model.
      key: key of the starts of the attack.
      attack: options.
      trades: weight of the divergence, or None for adversarial training.
      train: if False, the attack of TRADES increases the label's loss too, so that the robust
        accuracies of both kinds of training can be compared.

    Returns:
      `loss`, `accuracy` of clean inputs and `robust_accuracy` of attacked ones, each `[B]`, and the
      collections after both forward passes.

    Example: see `jaxdl.tasks.classify`.
    """
    # Without this, the steps of the attack would be differentiated, too.
    fixed = jax.lax.stop_gradient(params)

    def constant(x: Float[Array, "B ..."]) -> Float[Array, "B C"]:
        return forward(fixed, x, extra, train=False)[0]

    to_clean = trades is not None and train
    changed = attacked(constant, inputs, label, key, attack, to_clean=to_clean)
    if trades is None:
        # The gradient does not pass through the clean predictions.
        clean = constant(inputs)
        worst, extra = forward(params, changed, extra)
        loss, robust = values_of(worst)
        return {"loss": loss, "accuracy": values_of(clean)[1], "robust_accuracy": robust}, extra
    clean, extra = forward(params, inputs, extra)
    worst, extra = forward(params, changed, extra)
    loss, accuracy = values_of(clean)
    loss = loss + trades * divergence(clean, worst)
    return {"loss": loss, "accuracy": accuracy, "robust_accuracy": values_of(worst)[1]}, extra


def divergence(clean: Float[Array, "B C"], attacked: Float[Array, "B C"]) -> Float[Array, " B"]:
    """Computes the Kullback-Leibler divergence of the predictions for attacked inputs.

        KL(p(x) || p(x')) = sum_c p_c(x) [log p_c(x) - log p_c(x')]

    Source: Zhang et al. 2019, Theoretically principled trade-off between robustness and accuracy.

    Args:
      clean: logits `[B, C]` for the clean inputs.
      attacked: logits `[B, C]` for the attacked inputs.

    Returns:
      `[B]`, at least 0.

    Example:
      >>> z = jnp.array([[1.0, 2.0]])
      >>> divergence(z, z).tolist(), float(divergence(z, z[:, ::-1])[0]) > 0
      ([0.0], True)
    """
    logs = jax.nn.log_softmax(clean)
    return (jnp.exp(logs) * (logs - jax.nn.log_softmax(attacked))).sum(-1)
