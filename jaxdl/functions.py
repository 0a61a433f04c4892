"""A trained network as a function: weights bound to it, and its application to a whole set."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Num

from jaxdl.core import State, inference
from jaxdl.data.arrays import as_numbers, check_finite, check_range
from jaxdl.data.mapped_array import MappedArray
from jaxdl.errors import InputError, at_least, of_kind


def bind(f: Callable[..., Any], state: State) -> Callable[..., Any]:
    """Returns a trained network as a pure function of its inputs.

        bind(f, state)(*inputs) = f(params, extra, *inputs),   params, extra of inference(state)

    The weights are those that evaluation uses: averaged ones where there are any. The result is a
    `jax.tree_util.Partial`, a pytree with the weights as leaves. It can be an argument of a
    compiled function, which then compiles once for all weights.

    Args:
      f: `f(params, extra, *inputs, **options)`, such as the `predict` of a task.
      state: the state of one run.

    Returns:
      `(*inputs, **options) -> outputs`.

    Raises:
      InputError: the state of several runs.

    Example:
      >>> import jaxdl, optax
      >>> data, test = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([32]))
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
      >>> state = jaxdl.train(net, data, key=jaxdl.root(0), steps=100)
      >>> predict = bind(task.predict, state)
      >>> predict(test["input"][:5]).shape
      (5, 10)
    """
    final = inference(one_run("state", state))
    return Partial(f, final.params, final.extra)


def one_run(field: str, state: Any) -> State:
    """Returns a state; raises unless it is the state of one run.

    Args:
      field: name of the argument, for the message.
      state: the state.

    Raises:
      InputError: the state of several runs, or something else.

    Example:
      >>> one_run("a", {"out": 1})
      Traceback (most recent call last):
      jaxdl.errors.InputError: a: got <class 'dict'>, allowed: the state of one run, such as ...
    """
    of_kind(field, state, State, "the state of one run, such as that of `train`")
    if np.ndim(state.step):
        allowed = "the state of one run, state.member(i)"
        raise InputError(field, f"{len(state.step)} runs", allowed)
    return state


def predict_batched(
    f: Callable[..., Any], *inputs: Num[np.ndarray, "N ..."], batch_size: int = 500
) -> Any:
    """Applies a function to a whole set, batch by batch, with one compiled program.

    Args:
      f: `f(*inputs [B, ...]) -> [B, ...]`, such as `bind(task.predict, state)`. The output may be a
        tree of arrays.
      *inputs: arrays `[N, ...]`.
      batch_size: B. The last batch is padded to this size; outputs of the padding are removed.

    Returns:
      `[N, ...]`, on the host.

    Raises:
      InputError: a batch size below 1, no inputs, no rows, or different numbers of rows; inputs
        that are not finite real numbers.

    Example:
      >>> predict_batched(lambda x: 2 * x, np.arange(5.0, dtype=np.float32), batch_size=2)
      array([0., 2., 4., 6., 8.], dtype=float32)
    """
    at_least("batch_size", batch_size, 1)
    if not inputs:
        raise InputError("inputs", inputs, "at least one array [N, ...]")
    rows = len(inputs[0])
    at_least("rows", rows, 1)
    for x in inputs:
        if len(x) != rows:
            raise InputError("rows", len(x), f"{rows}, as many as the first array has")
    arrays = [_checked(x) for x in inputs]
    size = min(batch_size, rows)
    function = f if isinstance(f, Partial) else Partial(f)
    outputs = []
    for first in range(0, rows, size):
        batch = [np.asarray(x[first : first + size]) for x in arrays]
        count = len(batch[0])
        padded = [np.concatenate([x, np.repeat(x[:1], size - count, 0)]) for x in batch]
        outputs.append(jax.tree.map(lambda y, n=count: np.asarray(y)[:n], _call(function, *padded)))
    return jax.tree.map(lambda *parts: np.concatenate(parts), *outputs)


def _checked(x: Any) -> Num[np.ndarray, "N ..."] | MappedArray:
    """Returns an input as an array; raises for values that a set would not have either."""
    if not isinstance(x, MappedArray):
        x = as_numbers("input", x)
        x = x.astype(x.dtype.newbyteorder("="), copy=False)
        check_range("input", x)
    check_finite("input", x)
    return x


@jax.jit
def _call(f: Partial, *inputs: Any) -> Any:
    return f(*inputs)
