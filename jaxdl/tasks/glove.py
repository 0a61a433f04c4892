"""Word vectors from counts of pairs: GloVe."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, in_range, positive
from jaxdl.metrics import Metrics, total
from jaxdl.models import SkipGram
from jaxdl.replicas import one_replica
from jaxdl.tasks.embed import check_tables, vectors_of
from jaxdl.tasks.task import Task, check_fields, init_variables, recorded, without_padding
from jaxdl.updates import Batch, Params, Rule

#: Parameters of the first and of the second word of a pair, and their biases.
TABLES = (("input", "output"), ("input_bias", "output_bias"))


@recorded
def glove(
    model: SkipGram,
    *,
    most: float = 10.0,
    power: float = 0.75,
    rate: float = 0.05,
) -> Task:
    """Returns the functions that factorize the logarithm of counts of pairs of words.

        L = sum_ij f(X_ij) (v_i . u_j + b_i + c_j - log X_ij)^2 / 2
        f(x) = min(1, (x / most)^power)

    The batch is pairs: `input [B, 2]`, int32 ids, and their counts as `target [B]`
    (`jaxdl.data.cooccurrences`). A row may have several pairs, `[B, P, 2]` and `[B, P]`. A pair
    with the count 0 is padding. Only the rows of these words are moved, by AdaGrad. Moves of a
    word with several pairs in a batch are added.

    Args:
      model: two tables of words with biases.
      most: count from which on all pairs weigh the same.
      power: exponent of smaller counts.
      rate: learning rate of AdaGrad, whose sums of squares start at 1. They contain the squares of
        the step itself, which keeps the moves of a word with many pairs in a batch small. The
        program of the authors moves pair by pair, and counts squares of `rate g` afterwards.

    Returns:
      A task without losses: `task.updates()` takes no optimizer. Its function
      `predict(params, extra, inputs [...]) -> [..., D]` returns the vectors of words, as that of
      `embed`. The metric is `loss`, the mean over the pairs.

    Raises:
      InputError: a model of another kind or without biases, or an option out of range.

    Source: Pennington, Socher, Manning 2014, GloVe: global vectors for word representation.

    Example:
      >>> import jaxdl, numpy as np
      >>> pairs = jaxdl.data.cooccurrences(np.array([2, 3, 4, 2] * 20), 2)
      >>> task = glove(jaxdl.models.SkipGram(5, 4, biases=True))
      >>> net = jaxdl.learner(task.init, *task.updates())
      >>> state = jaxdl.train(net, pairs, key=jaxdl.root(0), steps=1000, batch_size=4)
      >>> jaxdl.evaluate(net, state, pairs)["loss"] < 0.01
      True
    """
    check_tables(model, biases=True)
    positive("most", most)
    in_range("power", power, 0, 10)
    positive("rate", rate)

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        params, _ = init_variables(model, key, batch)
        return params, {"squares": jax.tree.map(jnp.ones_like, params)}

    settings = most, power
    rules = (Rule(partial(_move, settings, rate), partial(_evaluate, settings)),)
    return Task(init, lambda: rules, {"predict": partial(vectors_of, model)})


def _errors(
    settings: tuple[float, float], params: Params, batch: Batch
) -> tuple[Float[Array, " B"], Float[Array, " B"], Float[Array, " B"]]:
    """Returns errors, weights and the mask of the pairs of a batch."""
    check_fields(batch, "input", "target")
    batch = without_padding(batch)
    most, power = settings
    counts = batch["target"].astype(jnp.float32)
    if batch["input"].shape != (*counts.shape, 2):
        allowed = f"{[*counts.shape, 2]}, two words for each count"
        raise InputError("input", list(batch["input"].shape), allowed)
    mask = batch.get("mask")
    mask = jnp.ones(len(counts)) if mask is None else mask
    mask = jnp.broadcast_to(mask.reshape(-1, *[1] * (counts.ndim - 1)), counts.shape).reshape(-1)
    counts = counts.reshape(-1)
    mask = jnp.where(counts == 0, 0, mask)
    first, second = batch["input"].reshape(-1, 2).T
    # A count below 0 and a word out of range make the loss NaN.
    inside = (batch["input"].reshape(-1, 2) >= 0) & (
        batch["input"].reshape(-1, 2) < len(params["input"])
    )
    counts = jnp.where((counts >= 0) & inside.all(1), counts, jnp.nan)
    product = (params["input"][first] * params["output"][second]).sum(-1)
    biases = params["input_bias"][first] + params["output_bias"][second]
    weight = jnp.minimum(1.0, (counts / most) ** power)
    # Padding has the count 0, whose logarithm is not finite.
    error = product + biases - jnp.log(jnp.where(mask != 0, counts, 1.0))
    return error, weight, mask


def _move(
    settings: tuple[float, float],
    rate: float,
    params: Params,
    extra: Any,
    batch: Batch,
    key: Key[Array, ""],
) -> tuple[Params, Any, Metrics]:
    """Moves the rows of the words of a batch."""
    del key
    one_replica("glove", "moves the rows of one table")
    error, weight, mask = _errors(settings, params, batch)
    slope = jnp.where(mask != 0, weight * error, 0.0)
    rows = tuple(batch["input"].reshape(-1, 2).T)
    partners = params["output"][rows[1]], params["input"][rows[0]]
    moved = dict(params)
    squares = dict(extra["squares"])
    for side, (words, partner) in enumerate(zip(rows, partners, strict=True)):
        gradients = {TABLES[0][side]: slope[:, None] * partner, TABLES[1][side]: slope}
        for name, gradient in gradients.items():
            moved[name], squares[name] = _adagrad(
                params[name], extra["squares"][name], words, gradient, rate
            )
    loss = total(weight * error**2 / 2, mask)
    return moved, {"squares": squares}, {"loss": loss}


def _adagrad(
    table: Float[Array, " V *D"],
    squares: Float[Array, " V *D"],
    rows: Int[Array, " B"],
    gradient: Float[Array, " B *D"],
    rate: float,
) -> tuple[Float[Array, " V *D"], Float[Array, " V *D"]]:
    """Returns a table and its sums of squares after a step of AdaGrad on some rows."""
    squares = squares.at[rows].add(gradient**2)
    return table.at[rows].add(-rate * gradient * jax.lax.rsqrt(squares[rows])), squares


def _evaluate(
    settings: tuple[float, float], params: Params, extra: Any, batch: Batch, key: Key[Array, ""]
) -> Metrics:
    """Computes the loss of a batch."""
    error, weight, mask = _errors(settings, params, batch)
    return {"loss": total(weight * error**2 / 2, mask)}
