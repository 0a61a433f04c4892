"""A function of a trained network, applied to raw inputs batch by batch."""

import inspect
from collections.abc import Callable, Collection
from typing import Any, NamedTuple

import numpy as np
from jax.tree_util import Partial

from jaxdl.errors import lengths_within
from jaxdl.functions import bind, predict_batched

#: Names of the arguments of functions that are applied batch by batch. Functions with others, such
#: as a key, are called once.
ROWS = frozenset({"inputs", "lengths", "label"})


#: Most examples of a batch, and most numbers of its inputs, if the caller gives no batch size. The
#: maps of a large convolutional network need 50 times the memory of its inputs.
MAX_ROWS = 500
MAX_NUMBERS = 2**21


def input_field(fields: Collection[str], function: str) -> str:
    """Returns the name of the field that a function takes: the second domain's for `back`.

    Example:
      >>> input_field(["input", "input_a", "input_b"], "back")
      'input_b'
    """
    if function == "back" and "input_b" in fields:
        return "input_b"
    return "input"


class Applied:
    """A function of a network, such as `network.predict`, that takes raw inputs.

    Args:
      network: a `jaxdl.Network`.
      name: name of an inference function of its task.
    """

    def __init__(self, network: Any, name: str) -> None:
        function = network.task.functions[name]
        self.__doc__ = function.__doc__
        parameters = list(inspect.signature(function).parameters.values())[2:]
        self.names = [each.name for each in parameters if each.kind is not each.VAR_KEYWORD]
        self.takes_more = len(self.names) < len(parameters)
        self.network = network
        self.name = name

    def __call__(self, *args: Any, batch_size: int | None = None, **kwargs: Any) -> Any:
        network = self.network
        function = bind(network.task.functions[self.name], network.state)
        if self.names[:1] != ["inputs"]:
            return function(*args, **kwargs)
        given = {**dict(zip(self.names, args, strict=False)), **kwargs}
        surplus = not self.takes_more and given.keys() - {*self.names}
        if "inputs" not in given or len(args) > len(self.names) or surplus:
            # The error of the function names the argument.
            return function(*args, **kwargs)
        field = input_field(network.fields, self.name)
        given["inputs"], *lengths = network.prepare(given["inputs"], field)
        if lengths and "lengths" in self.names and given.get("lengths") is None:
            given["lengths"] = lengths[0]
        if given.get("lengths") is not None:
            lengths_within(np.asarray(given["lengths"]), given["inputs"].shape[1])
        if not ROWS.issuperset(self.names):
            return function(**given)
        rows = {name: np.asarray(each) for name, each in given.items() if each is not None}
        for name in [name for name in rows if name not in ROWS]:
            rows[name] = network.preprocessing(rows[name], name)
        if batch_size is None:
            size = max(1, np.asarray(given["inputs"][:1]).size)
            batch_size = max(1, min(MAX_ROWS, MAX_NUMBERS // size))
        call = Partial(_Named(tuple(rows)), function)
        outputs = predict_batched(call, *rows.values(), batch_size=batch_size)
        if self.name == "predict" and "target" in network.fields:
            return network.preprocessing.restored(outputs)
        return outputs


class _Named(NamedTuple):
    """A call of a function with arrays by name; equal names share a compiled program."""

    names: tuple[str, ...]

    def __call__(self, function: Callable[..., Any], *arrays: Any) -> Any:
        return function(**dict(zip(self.names, arrays, strict=True)))
