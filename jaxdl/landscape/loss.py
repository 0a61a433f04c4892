"""The loss of a network on fixed data as a function of its parameters."""

import dataclasses
from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.errors import FlaxError
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int, Key

from jaxdl.core import State, inference
from jaxdl.data.dataset import Dataset, check_source
from jaxdl.data.order import gather, sequential_order
from jaxdl.errors import InputError, at_least, is_traced, not_in_jit, of_kind
from jaxdl.functions import one_run
from jaxdl.layer_names import STATISTICS, named_leaves
from jaxdl.metrics import wide
from jaxdl.nn.norm import batch_statistics
from jaxdl.rng import check_single_key, fold, root, stream
from jaxdl.updates import Batch, Params
from jaxdl.xla import convolution_options, convolutions

#: A loss as a function of parameters, such as the result of `loss_of`.
Loss = Callable[[Params], Float[Array, ""]]

#: Examples in a batch that a CPU computes faster than a large one, which exceeds its caches.
BATCH_SIZE = 100


def loss_of(
    loss: Callable[..., Any],
    state: State,
    data: Dataset,
    *,
    examples: int | None = None,
    batch_size: int | None = None,
    key: Key[Array, ""] | None = None,
) -> Partial:
    """Returns the mean loss of a network on fixed data as a pure function of its parameters.

        f(w) = sum_b s_b / sum_b n_b,    (s_b, n_b) = loss(w, extra, batch_b)

    The network is that of evaluation, without dropout. Its BatchNorm layers are an exception. Their
    running statistics fit the trained weights only, so they use those of the data at each w. This
    includes frozen layers, which training applies with their running statistics.

    Without BatchNorm f of the trained parameters is the metric "loss" of `jaxdl.evaluate`. A loss
    with further terms, such as auxiliary ones or that of TRADES, is larger than this metric.

    The result is a `jax.tree_util.Partial` with the data as leaves. A call with numbers runs a
    compiled program. A call inside of another program is a part of that one.

    Source: Li et al. 2018, Visualizing the loss landscape of neural nets.

    Args:
      loss: the loss of a task, `loss(params, extra, batch, key, *, train)`, such as `task.loss`.
      state: the state of one run, of which `extra` is read.
      data: the set.
      examples: number of examples, evenly spaced over the set; None means all.
      batch_size: number of examples in a batch. With BatchNorm it must divide the number of
        examples, and each batch has its own statistics. None means all examples with BatchNorm, and
        100 otherwise.
      key: root key of losses that sample noise, which is the same for all parameters. None means
        the root key of seed 0.

    Returns:
      `f(params) -> ()`, float32.

    Raises:
      InputError: an argument of a wrong type, the state of several runs, or a batch size that does
        not divide the examples of a network with BatchNorm.

    Example:
      >>> import jaxdl, optax
      >>> train, _ = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([16]))
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
      >>> state = jaxdl.train(net, train, key=jaxdl.root(0), steps=100)
      >>> f = loss_of(task.loss, state, train, examples=200)
      >>> bool(f(state.params) < f(jax.tree.map(jnp.zeros_like, state.params)))
      True
    """
    not_in_jit("loss_of")
    of_kind("loss", loss, Callable, "the loss of a task, such as task.loss")
    one_run("state", state)
    of_kind("data", data, Dataset, "a jaxdl.data.Dataset")
    check_source(data)
    if key is None:
        key = root(0)
    check_single_key(key)
    if examples is not None:
        at_least("examples", examples, 1)
        rows = np.linspace(0, data.size - 1, min(examples, data.size)).round().astype(int)
        data = data.take(rows)
    final = inference(state)
    has_norms = any(STATISTICS in name.split("/") for name in named_leaves(final.extra))
    size = _batch_size(batch_size, data.size, has_norms)
    function = _MeanLoss(loss, has_norms)
    arrays = {name: jnp.asarray(x) for name, x in data.arrays.items()}
    order = jnp.asarray(sequential_order(data.size, size))
    f = Partial(function, final.extra, arrays, order, stream(key, "eval"))
    if batch_size is None and len(order) > 1 and _is_slow_in_loops(f, final.params):
        order = jnp.arange(data.size)[None]
        f = Partial(function, final.extra, arrays, order, stream(key, "eval"))
    return f


def _batch_size(batch_size: int | None, examples: int, has_norms: bool) -> int:
    """Returns the number of examples in a batch; raises if batches would differ in their norms."""
    if batch_size is None:
        return examples if has_norms else min(BATCH_SIZE, examples)
    at_least("batch_size", batch_size, 1)
    size = min(batch_size, examples)
    if has_norms and examples % size:
        allowed = f"a divisor of the {examples} examples, or None; BatchNorm needs equal batches"
        raise InputError("batch_size", batch_size, allowed)
    return size


@dataclasses.dataclass(frozen=True)
class _MeanLoss:
    """The function of `loss_of`. Two of them are equal, and compiled once, if their losses are.

    Attributes:
      loss: the loss of a task.
      has_norms: True for a network with running statistics.
    """

    loss: Callable[..., Any]
    has_norms: bool

    def __call__(
        self,
        extra: Any,
        arrays: dict[str, Array],
        order: Int[Array, "S B"],
        key: Key[Array, ""],
        params: Params,
    ) -> Float[Array, ""]:
        leaves = jax.tree.leaves((extra, arrays, order, params))
        is_compiled = not jax.config.jax_disable_jit  # type: ignore[attr-defined]
        if is_compiled and not any(map(is_traced, leaves)):
            f = Partial(self, extra, arrays, order, key)
            return compiled(call)(f, params)

        def sums(i: Int[Array, ""]) -> tuple[Array, Array]:
            batch = gather(arrays, order[i])
            # The key of the first update in an evaluation.
            return self._sums(params, extra, batch, fold(fold(key, i), 0))

        # A single batch needs no loop, in which some convolutions are slow.
        if len(order) == 1:
            value, count = sums(jnp.int32(0))
        else:
            values, counts = jax.lax.map(sums, jnp.arange(len(order)))
            value = values.sum()
            count = counts.sum()
        return value / count

    def _sums(
        self, params: Params, extra: Any, batch: Batch, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Returns the sum and the count of one batch, float32."""
        context = batch_statistics() if self.has_norms else nullcontext()
        with context:
            (value, count), _ = self.loss(params, extra, batch, key, train=False)
        value = wide(jnp.asarray(value))
        return value, jnp.asarray(count).astype(value.dtype)


def check_loss(f: Any, params: Params) -> jax.ShapeDtypeStruct:
    """Raises unless a value is a function of parameters with one number as result.

    Args:
      f: the function.
      params: parameters, of which only the shapes matter.

    Returns:
      The shape and dtype of the number.

    Raises:
      InputError: another value, another result, or parameters of another network.

    Example:
      >>> check_loss(jnp.sum, jnp.ones(3)).dtype
      dtype('float32')
    """
    if not callable(f):
        raise InputError("f", f, "a function of parameters, such as landscape.loss_of(...)")
    try:
        shape = jax.eval_shape(f, params)
    except FlaxError as error:
        allowed = "the parameters of the network of f, such as state.params"
        raise InputError("params", type(error).__name__, allowed) from None
    if not isinstance(shape, jax.ShapeDtypeStruct) or shape.shape != ():
        shown = jax.tree.map(lambda leaf: f"{leaf.dtype}{list(leaf.shape)}", shape)
        raise InputError("f", shown, "a function of parameters with one number as result")
    return shape


def call(f: Partial, params: Params) -> Any:
    """Returns `f(params)`.

    Example:
      >>> call(Partial(jnp.sin), 0.0).item()
      0.0
    """
    return f(params)


@cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function compiled with the options for convolutions, the same for equal functions.

    A point of a surface and a single loss are then computed by the same routines, with equal bits.

    Args:
      function: a function of arrays that exists once, such as one of a module.

    Example:
      >>> compiled(call) is compiled(call)
      True
    """
    options = {}
    if jax.default_backend() == "cpu":
        options = convolution_options()
    return jax.jit(function, compiler_options=options)


def _is_slow_in_loops(f: Partial, params: Params) -> bool:
    """Returns True for a loss with convolutions that a CPU computes slowly in a loop."""
    if jax.default_backend() != "cpu":
        return False
    return convolutions(jax.jit(call).lower(f, params).as_text()) == "slow"
