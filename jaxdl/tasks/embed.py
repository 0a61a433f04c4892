"""Word vectors by prediction: skip-gram and CBOW with negative sampling."""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from jaxdl.errors import InputError, at_least, in_range, of_kind, one_of, positive
from jaxdl.metrics import Metrics
from jaxdl.models import SkipGram
from jaxdl.replicas import one_replica
from jaxdl.tasks.pairs import (
    Centres,
    capacity,
    checked_counts,
    in_blocks,
    keep_words,
    kept_probabilities,
    negative_table,
    sample_negatives,
)
from jaxdl.tasks.task import Task, apply, check_fields, init_variables, recorded, without_padding
from jaxdl.updates import Batch, Params, Rule

#: Methods by which words are predicted.
METHODS = ("skip_gram", "cbow")


class _Settings(NamedTuple):
    """The options of `embed`, and the tables that follow from the counts."""

    method: str
    window: int
    negatives: int
    shared: int
    rate: float
    steps: int | None
    limit: float
    counts: Int[np.ndarray, " V"]
    kept: Float[np.ndarray, " V"]
    table: Int[np.ndarray, " V"]


class _Moves(NamedTuple):
    """Negative gradients of the loss for the rows that are moved, and the changes of scores.

    Attributes:
      input: `[P, D]`, of skip-gram's centres or CBOW's contexts.
      output: `[Q, D]`, of skip-gram's contexts or CBOW's centres.
      negative: `[K, D]`.
      input_change: `[P]`, the sum over the pairs of a row of |error| |vector of the other word|^2,
        which bounds the change of their scores for a learning rate of 1.
      output_change: `[Q]`, the same.
      negative_change: `[K]`, the same.
      loss: sum over the pairs.
      pairs: number of pairs.
    """

    input: Float[Array, "P D"]
    output: Float[Array, "Q D"]
    negative: Float[Array, "K D"]
    input_change: Float[Array, " P"]
    output_change: Float[Array, " Q"]
    negative_change: Float[Array, " K"]
    loss: Float[Array, ""]
    pairs: Float[Array, ""]


@recorded
def embed(
    model: SkipGram,
    counts: np.ndarray,
    *,
    method: str = "skip_gram",
    window: int = 5,
    negatives: int = 5,
    shared: int = 128,
    subsample: float = 1e-4,
    power: float = 0.75,
    rate: float = 0.025,
    steps: int | None = None,
    limit: float = 16.0,
) -> Task:
    """Returns the functions that train word vectors by the words around each word.

        L = -sum over pairs (w, c) of [ log s(v_w . u_c) + n/K sum_k log s(-v_w . u_k) ]

    s is the logistic function, and c is a word in the window of the centre w. K words k are sampled
    in proportion to count^0.75, once for a whole step, and weigh as n negatives of each pair. CBOW
    has the mean vector of the window in place of v_w, and the centre in place of c.

    Each step has new negatives, and chooses at random which occurrences it keeps
    (`kept_probabilities`) and the size of each window in [1, window]. Only the rows of these words
    are moved, by the gradient. The batch is texts: `input [B, L]`, int32 ids, 0 for padding
    (`jaxdl.data.word_rows`). A window ends with its text. Words that are left out do not count as
    distance.

    A word with many pairs in one step would make one long step in place of many short ones, and
    diverge. So its move is the sum of those of its pairs, times min(1, limit / change). The change
    is a bound on how much its scores would change: rate times the sum of |error| |vector of the
    other word|^2 over its pairs.

    Args:
      model: two tables of V words.
      counts: `[V]`, the number of times that each id occurs in the text, an integer array.
      method: skip_gram or cbow.
      window: largest number of words on each side.
      negatives: n, at least 1.
      shared: K, number of words sampled for a step.
      subsample: t, frequency above which occurrences are left out; 0 keeps all.
      power: exponent of the counts for negatives.
      rate: learning rate at first.
      steps: number of steps in which the rate falls to 0. None means that it is constant.
      limit: largest change of the scores of a word by its own move in a step.

    Returns:
      A task without losses: `task.updates()` takes no optimizer. Its function
      `predict(params, extra, inputs [...]) -> [..., D]` returns the vectors of words: the sum of
      the rows of both tables, each divided by its length. Metrics are `loss`, the mean over the
      pairs, and in training `learning_rate`.

    Raises:
      InputError: a model of another kind or with biases, counts of another length, or an option
        out of range.

    Source: Mikolov et al. 2013, Distributed representations of words and phrases and their
    compositionality; Ji et al. 2016, Parallelizing word2vec in shared and distributed memory.

    Example:
      >>> import jaxdl
      >>> ids = np.array([2, 3] * 64 + [4, 5] * 64, np.int32)
      >>> rows = jaxdl.data.Dataset({"input": ids.reshape(4, 64)}, "pairs")
      >>> model = jaxdl.models.SkipGram(6, 4)
      >>> task = embed(model, np.bincount(ids), window=1, subsample=0, rate=0.005)
      >>> net = jaxdl.learner(task.init, *task.updates())
      >>> state = jaxdl.train(net, rows, key=jaxdl.root(0), steps=300, batch_size=4)
      >>> vectors = jaxdl.bind(task.predict, state)(jnp.array([2, 3, 4, 5]))
      >>> bool(vectors[0] @ state.params["output"][3] > vectors[0] @ state.params["output"][5])
      True
    """
    check_tables(model, biases=False)
    counts = checked_counts(counts)
    if len(counts) > model.vocabulary:
        raise InputError("counts", len(counts), f"at most {model.vocabulary}, the vocabulary")
    counts = np.pad(counts, (0, model.vocabulary - len(counts)))
    one_of("method", method, METHODS)
    for name, value in {"window": window, "negatives": negatives, "shared": shared}.items():
        at_least(name, value, 1)
    if steps is not None:
        at_least("steps", steps, 1)
    in_range("subsample", subsample, 0, 1)
    in_range("power", power, 0, 10)
    for name, number in {"rate": rate, "limit": limit}.items():
        positive(name, number)
    kept = kept_probabilities(counts, subsample)
    table = negative_table(counts, power)
    settings = _Settings(method, window, negatives, shared, rate, steps, limit, counts, kept, table)

    def init(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        params, _ = init_variables(model, key, batch)
        return params, {"progress": {"steps": jnp.zeros((), jnp.int32)}}

    rules = (Rule(partial(_move, settings), partial(_evaluate, settings)),)
    return Task(init, lambda: rules, {"predict": partial(vectors_of, model)})


def vectors_of(
    model: nn.Module, params: Params, extra: Any, inputs: Int[Array, "*B"]
) -> Float[Array, "*B D"]:
    """Returns the vectors of words; the `predict` of word vectors.

        v_w / |v_w| + u_w / |u_w|

    Words that have the same contexts, and words that occur together, are near each other in the sum
    of both tables.
    """
    del extra
    both = []
    for table in ("input", "output"):
        rows = apply(model, params, {}, inputs, None, train=False, table=table)[0]
        both.append(rows / jnp.maximum(jnp.sqrt(_squares(rows)), 1e-12)[..., None])
    return both[0] + both[1]


def check_tables(model: Any, *, biases: bool) -> None:
    """Raises InputError unless a model is a `SkipGram` with or without biases.

    Example:
      >>> check_tables(SkipGram(4, 2), biases=True)
      Traceback (most recent call last):
      jaxdl.errors.InputError: biases: got False, allowed: True for this task
    """
    of_kind("model", model, SkipGram, "jaxdl.models.SkipGram(vocabulary, features)")
    if model.biases != biases:
        raise InputError("biases", model.biases, f"{biases} for this task")


def _move(
    settings: _Settings, params: Params, extra: Any, batch: Batch, key: Key[Array, ""]
) -> tuple[Params, Any, Metrics]:
    """Moves the vectors of the words of one batch."""
    one_replica("embed", "moves the rows of one table")
    done = extra["progress"]["steps"]
    rate = jnp.float32(settings.rate)
    if settings.steps is not None:
        rate = rate * jnp.maximum(1e-4, 1 - done.astype(jnp.float32) / settings.steps)
    centres, negatives = _sampled(settings, batch, key)
    inputs = centres.ids.reshape(-1)
    outputs = centres.contexts.reshape(-1)
    moves = _moves(settings, params, centres, negatives)
    if settings.method == "cbow":
        inputs = centres.contexts.reshape(-1)
        outputs = centres.ids.reshape(-1)
    size = len(params["input"])
    limit = settings.limit / rate
    outputs = jnp.concatenate([outputs, negatives])
    change = jnp.concatenate([moves.output_change, moves.negative_change])
    moved = jnp.concatenate([moves.output, moves.negative])
    params = {
        "input": params["input"]
        .at[inputs]
        .add(rate * _factors(limit, inputs, moves.input_change, size) * moves.input),
        "output": params["output"]
        .at[outputs]
        .add(rate * _factors(limit, outputs, change, size) * moved),
    }
    one = jnp.ones((), jnp.float32)
    metrics = {"loss": (moves.loss, moves.pairs), "learning_rate": (rate, one)}
    return params, {"progress": {"steps": done + 1}}, metrics


def _evaluate(
    settings: _Settings, params: Params, extra: Any, batch: Batch, key: Key[Array, ""]
) -> Metrics:
    """Computes the loss of one batch, with fresh negatives."""
    centres, negatives = _sampled(settings, batch, key)
    moves = _moves(settings, params, centres, negatives)
    return {"loss": (moves.loss, moves.pairs)}


def _moves(
    settings: _Settings, params: Params, centres: Centres, negatives: Int[Array, " K"]
) -> _Moves:
    """Computes the moves by the method of the options."""
    if settings.method == "cbow":
        return _cbow(settings, params, centres, negatives)
    return _skip_gram(settings, params, centres, negatives)


def _sampled(
    settings: _Settings, batch: Batch, key: Key[Array, ""]
) -> tuple[Centres, Int[Array, " K"]]:
    """Returns the centres with their windows, and the negatives of a step."""
    check_fields(batch, "input")
    batch = without_padding(batch)
    texts = batch["input"]
    if texts.ndim != 2:
        raise InputError("input", list(texts.shape), "rows of words [B, L]; write x[None] for one")
    keep_key, reach_key, negative_key = jax.random.split(key, 3)
    places = capacity(settings.kept, settings.counts, texts.size)
    # An id out of range has the probability NaN and is left out; `_checked` makes the loss NaN.
    probability = jnp.asarray(settings.kept).at[texts].get(mode="fill", fill_value=jnp.nan)
    keep = jax.random.uniform(keep_key, texts.shape) < probability
    if "mask" in batch:
        keep &= (batch["mask"] != 0).reshape(len(texts), -1)[:, :1]
    ids, rows = keep_words(texts, keep, places)
    reach = jax.random.randint(reach_key, (places,), 1, settings.window + 1)
    centres = in_blocks(ids, rows, reach, settings.window)
    bad = jnp.isnan(probability).any()
    centres = centres._replace(pairs=jnp.where(bad, jnp.nan, centres.pairs))
    return centres, sample_negatives(jnp.asarray(settings.table), negative_key, settings.shared)


def _skip_gram(
    settings: _Settings, params: Params, centres: Centres, negatives: Int[Array, " K"]
) -> _Moves:
    """Computes the moves of skip-gram."""
    v = params["input"][centres.ids]
    u = params["output"][centres.contexts]
    others = params["output"][negatives]
    pairs = centres.pairs.sum(-1)
    logits = jnp.einsum("nsd,ntd->nst", v, u)
    missing = centres.pairs * jax.nn.sigmoid(-logits)
    v_rows = v.reshape(-1, v.shape[-1])
    false = _false_pairs(settings, v_rows, others, pairs.reshape(-1, 1))
    moved = jnp.einsum("nst,ntd->nsd", missing, u).reshape(v_rows.shape)
    change = jnp.einsum("nst,nt->ns", missing, _squares(u)).reshape(-1)
    return _Moves(
        moved - false.wrong @ others,
        jnp.einsum("nst,nsd->ntd", missing, v).reshape(-1, v.shape[-1]),
        -_over_places(false.wrong, v),
        change + false.wrong @ _squares(others),
        jnp.einsum("nst,ns->nt", missing, _squares(v)).reshape(-1),
        _squares(v_rows) @ false.wrong,
        _total(centres.pairs * jax.nn.softplus(-logits)) + false.loss,
        _total(pairs),
    )


def _cbow(
    settings: _Settings, params: Params, centres: Centres, negatives: Int[Array, " K"]
) -> _Moves:
    """Computes the moves of CBOW, which predicts by the mean vector of each window."""
    v = params["input"][centres.contexts]
    u = params["output"][centres.ids].reshape(-1, v.shape[-1])
    others = params["output"][negatives]
    count = centres.pairs.sum(-1, keepdims=True)
    share = centres.pairs / jnp.maximum(count, 1)
    mean = jnp.einsum("nst,ntd->nsd", share, v)
    h = mean.reshape(u.shape)
    # A NaN in the pairs of an id out of range stays a NaN.
    counts = jnp.minimum(count, 1).reshape(-1, 1)
    logits = (h * u).sum(-1, keepdims=True)
    missing = counts * jax.nn.sigmoid(-logits)
    false = _false_pairs(settings, h, others, counts)
    moved = (missing * u - false.wrong @ others).reshape(mean.shape)
    change = missing[:, 0] * _squares(u) + false.wrong @ _squares(others)
    return _Moves(
        jnp.einsum("nst,nsd->ntd", share, moved).reshape(-1, v.shape[-1]),
        missing * h,
        -_over_places(false.wrong, mean),
        jnp.einsum("nst,ns->nt", share, change.reshape(count.shape[:2])).reshape(-1),
        missing[:, 0] * _squares(h),
        _squares(h) @ false.wrong,
        _total((counts * jax.nn.softplus(-logits)).reshape(count.shape)) + false.loss,
        _total(counts.reshape(count.shape)),
    )


class _False(NamedTuple):
    """Pairs of P centres with K negatives.

    Attributes:
      wrong: `[P, K]`, weights times the probabilities of these pairs.
      loss: their sum.
    """

    wrong: Float[Array, "P K"]
    loss: Float[Array, ""]


def _false_pairs(
    settings: _Settings,
    rows: Float[Array, "P D"],
    others: Float[Array, "K D"],
    pairs: Float[Array, "P 1"],
) -> _False:
    """Returns the pairs of centres with negatives, which weigh n / K for each pair of a centre."""
    weight = pairs * (settings.negatives / settings.shared)
    logits = rows @ others.T
    return _False(weight * jax.nn.sigmoid(logits), _total(weight * jax.nn.softplus(logits)))


def _over_places(wrong: Float[Array, "P K"], rows: Float[Array, "N S D"]) -> Float[Array, "K D"]:
    """Returns the product of both over all places, with the same bits on any number of threads.

    XLA divides one long sum among threads. Sums of short blocks are not divided.
    """
    blocks = jnp.einsum("nsk,nsd->nkd", wrong.reshape(*rows.shape[:2], -1), rows)
    ones = jnp.ones((1, len(blocks)), blocks.dtype)
    return (ones @ blocks.reshape(len(blocks), -1)).reshape(blocks.shape[1:])


def _total(x: Float[Array, "N ..."]) -> Float[Array, ""]:
    """Returns the sum of all numbers, with the same bits on any number of threads."""
    rows = x.reshape(len(x), -1).sum(1)
    return (jnp.ones((1, len(rows)), rows.dtype) @ rows)[0]


def _squares(x: Float[Array, "*B D"]) -> Float[Array, "*B"]:
    """Returns the squared lengths of vectors."""
    return (x * x).sum(-1)


def _factors(
    limit: Array, rows: Int[Array, " P"], change: Float[Array, " P"], size: int
) -> Float[Array, " P 1"]:
    """Returns the factor of each row's move: below 1 if it would change its scores too much."""
    whole = jnp.zeros(size, change.dtype).at[rows].add(change)[rows]
    return jnp.minimum(1.0, limit / jnp.maximum(whole, limit / 2))[:, None]
