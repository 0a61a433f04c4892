"""Signs of a failed training, read from numbers that a run has already."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from jaxdl.core import State, inference
from jaxdl.data.dataset import Dataset
from jaxdl.models.conditional import num_classes
from jaxdl.nn import tap
from jaxdl.tasks.task import more_inputs

#: KL divergence in nats per example below which the latents of a VAE carry no information.
COLLAPSED = 0.05
#: Fraction of the units of a layer that are 0 for all examples, from which on it counts as dead.
DEAD = 0.95
#: Number of test examples that are given to the network.
EXAMPLES = 250


def find_failures(
    records: Sequence[Mapping[str, float]],
    model: nn.Module | None,
    members: Sequence[State],
    metrics: Mapping[str, Any],
    test: Dataset,
) -> list[str]:
    """Returns a line for each sign of a failed training.

    They are a loss that never fell, an accuracy at chance, a collapsed posterior, and a layer of
    dead units. A smoke test is too short for them.

    Args:
      records: metrics of the training by step, as `Run.records` returns them.
      model: model whose activations are examined. None means that none are.
      members: trained state of each seed.
      metrics: metrics of the test set, `test/...`.
      test: test set.

    Example:
      >>> losses = [{"train/loss": 2.3}] * 3
      >>> find_failures(losses, None, [], {}, Dataset({"input": np.zeros(3)}, "none"))
      ['the training loss never fell below its first value, 2.3']
    """
    messages = [never_fell([each["train/loss"] for each in records if "train/loss" in each])]
    if "test/accuracy" in metrics and "label" in test.arrays and "mask" not in test.arrays:
        worst = float(np.min(metrics["test/accuracy"]))
        messages.append(at_chance(worst, np.asarray(test["label"])))
    if "test/kl" in metrics:
        messages.append(collapsed(float(np.min(metrics["test/kl"]))))
    # Another process may have a part of the state.
    if model is not None and jax.process_count() == 1:
        messages += [dead_layers(model, member, test) for member in members]
    return [message for message in messages if message]


def never_fell(losses: Sequence[float]) -> str:
    """Returns a warning if no training loss is below the first one, by a thousandth of its size.

    Example:
      >>> never_fell([2.3, 2.4, 2.3])
      'the training loss never fell below its first value, 2.3'
      >>> never_fell([2.3, 0.4])
      ''
    """
    losses = [loss for loss in losses if math.isfinite(loss)]
    if len(losses) < 3 or min(losses[1:]) < losses[0] - 1e-3 * abs(losses[0]):
        return ""
    return f"the training loss never fell below its first value, {losses[0]:.4g}"


def at_chance(accuracy: float, label: np.ndarray) -> str:
    """Returns a warning if a constant prediction is as accurate, within a binomial interval.

        a <= p + 1.96 sqrt(p (1 - p) / n),    p the frequency of the most frequent class

    Args:
      accuracy: a, the accuracy of a classifier.
      label: integers, or probabilities `[n, C]`.

    Returns:
      The warning, or an empty text. With a single class there is no chance to compare with.

    Example:
      >>> at_chance(0.11, np.arange(1000) % 10)
      'the accuracy, 11.0 %, is that of a constant prediction, 10.0 %'
      >>> at_chance(0.9, np.arange(1000) % 10)
      ''
    """
    if not np.issubdtype(label.dtype, np.integer):
        label = label.argmax(-1)
    count = label.size
    chance = np.bincount(label.reshape(-1).astype(np.int64)).max() / count
    limit = chance + 1.96 * math.sqrt(chance * (1 - chance) / count)
    if not accuracy <= limit or chance == 1:
        return ""
    constant = f"a constant prediction, {100 * chance:.1f} %"
    return f"the accuracy, {100 * accuracy:.1f} %, is that of {constant}"


def collapsed(kl: float) -> str:
    """Returns a warning if the latents of a VAE carry no information about their examples.

    Example:
      >>> collapsed(0.001)
      'the posterior collapsed: the KL divergence is only 0.0010 nats; use a smaller --beta'
      >>> collapsed(20.0)
      ''
    """
    if not kl < COLLAPSED:
        return ""
    return f"the posterior collapsed: the KL divergence is only {kl:.4f} nats; use a smaller --beta"


def dead_layers(model: nn.Module, state: State, test: Dataset) -> str:
    """Returns a warning if nearly all units of a layer are 0 for all examples.

    The layers are the named activations of the library's models (`jaxdl.nn.tap`).

    Args:
      model: model called with the `input` of the set, and with its `length` if there is one.
      state: trained state of one run.
      test: set whose first examples are used.
    """
    final = inference(state)
    # Arrays that belong to a task, such as the counter of a warm-up, are no collections.
    collections = {
        name: value
        for name, value in final.extra.items()
        if name != "carry" and isinstance(value, Mapping)
    }
    variables = {"params": final.params, **collections}
    kwargs: dict[str, Any] = {}
    parts: list[Any] = [getattr(model, name, None) for name in ("encoder", "decoder")]
    if num_classes(model, *parts):
        kwargs["label"] = test["label"][:EXAMPLES]
    kwargs |= more_inputs(model, {name: x[:EXAMPLES] for name, x in test.arrays.items()})

    def largest(variables: Any, inputs: Any, kwargs: Any) -> dict[str, Any]:
        seen = tap(model, variables, train=False, **kwargs)(inputs)[1]
        units = {name: value for name, value in seen.items() if "activation" in name}
        return {name: abs(x).max(tuple(range(x.ndim - 1))) for name, x in units.items()}

    units = jax.device_get(jax.jit(largest)(variables, test["input"][:EXAMPLES], kwargs))
    dead = {name: np.mean(value == 0) for name, value in units.items()}
    worst = [f"{name} ({100 * part:.0f} %)" for name, part in dead.items() if part > DEAD]
    if not worst:
        return ""
    return f"layers whose units are 0 for all examples: {', '.join(worst)}"
