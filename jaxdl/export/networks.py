"""The functions of a trained network that can be exported, with an example of their inputs."""

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from jaxdl.applied import input_field
from jaxdl.data.preprocessing import Steps
from jaxdl.errors import InputError, one_of
from jaxdl.functions import bind
from jaxdl.models.conditional import num_classes
from jaxdl.network import Network
from jaxdl.tasks.task import more_inputs
from jaxdl.updates import Params

#: Functions that draw random numbers, or that have arguments which are no arrays `[B, ...]`.
NOT_EXPORTED = ("bound", "sample")


class Exportable(NamedTuple):
    """A function of arrays and an example of each.

    Attributes:
      function: a pure function of raw inputs: the scaling of the training set is a part of it.
      examples: arrays `[2, ...]` of the shapes and dtypes that the function takes.
    """

    function: Callable[..., Any]
    examples: tuple[np.ndarray, ...]


def exportable(network: Network, name: str | None = None) -> dict[str, Exportable]:
    """Returns the functions of a network that can be exported.

    Args:
      network: a trained network.
      name: name of the only function to return. None means all of them.

    Returns:
      The functions by name. Inputs are raw numbers: pixels in [0, 1], ids of tokens, or columns of
      a table as `jaxdl.data.encode_rows` returns them.

    Raises:
      InputError: a name that the network does not have, or a network without a field `input`.

    Example:
      >>> from jaxdl.network import Network
      >>> sorted(Exportable._fields)
      ['examples', 'function']
    """
    names = [each for each in network.functions if each not in NOT_EXPORTED]
    if network.task.name == "language":
        names = ["predict"]
    if name is not None:
        names = [one_of("function", name, names)]
    return {each: _exportable(network, each) for each in names}


def _exportable(network: Network, name: str) -> Exportable:
    """Returns one function with its scaling, and its examples."""
    apply = network.task.functions[name]
    arguments = inspect.signature(apply).parameters
    examples = _examples(network, name, [*arguments.values()][2:])
    scaling = network.preprocessing.scaling
    before = {field: scaling.get(field, ()) for field in examples}
    if "inputs" in examples:
        before["inputs"] = scaling.get("input", ())
    after: Steps = ()
    if name == "predict":
        after = scaling.get("target", ())

    def function(params: Params, extra: Any, *inputs: Any) -> Any:
        named = {
            field: _scaled(x, before[field]) for field, x in zip(examples, inputs, strict=True)
        }
        outputs = apply(params, extra, **named)
        if after:
            outputs = _restored(outputs, after)
        return outputs

    # The names of the inputs become those of an ONNX graph.
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(each, kind) for each in ("params", "extra", *examples)]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__name__ = name
    return Exportable(bind(function, network.state), tuple(examples.values()))


def _examples(
    network: Network, name: str, arguments: list[inspect.Parameter]
) -> dict[str, np.ndarray]:
    """Returns an example of each argument that a function needs, by name."""
    if "input" not in network.fields:
        allowed = "a field input; write to_onnx(network.functions['predict'], *arrays)"
        raise InputError("network", f"the fields {', '.join(network.fields)}", allowed)
    inputs = _rows(network.fields[input_field(network.fields, name)])
    found: dict[str, np.ndarray] = {}
    for argument in arguments:
        if argument.name in ("inputs", "observation"):
            found[argument.name] = inputs
        elif argument.name == "lengths" and "length" in network.fields:
            found["lengths"] = np.ones(2, np.int32)
        elif argument.name == "label" and conditional_classes(network) is not None:
            found["label"] = np.zeros(2, np.int32)
        elif argument.kind is argument.VAR_KEYWORD:
            more = more_inputs(network.model, network.fields)
            found |= {field: _rows(spec) for field, spec in more.items() if field != "lengths"}
        elif argument.name not in ("lengths", "label", "legal"):
            found[argument.name] = _latent(network, inputs)
    return found


def _rows(field: jax.ShapeDtypeStruct) -> np.ndarray:
    """Returns two examples of a field."""
    return np.zeros((2, *field.shape), field.dtype)


def conditional_classes(network: Network) -> int | None:
    """Returns the number of classes of a conditional network, or None for others.

    Example:
      >>> import jaxdl
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> conditional_classes(Network(task, {}, jaxdl.data.Preprocessing(), {})) is None
      True
    """
    modules = [each for each in network.task.arguments.values() if hasattr(each, "apply")]
    classes = num_classes(*modules)
    if classes is None:
        return getattr(network.model, "classes", None)
    return classes


def _latent(network: Network, inputs: np.ndarray) -> np.ndarray:
    """Returns an example of a latent vector, or of the code of an autoencoder."""
    size = network.task.arguments.get("latent", getattr(network.model, "latent", None))
    if size is not None:
        return np.zeros((2, size), np.float32)
    code = jax.eval_shape(network.functions["encode"], inputs)
    return np.zeros(code.shape, code.dtype)


def _scaled(x: Float[Array, "B ..."], steps: Steps) -> Float[Array, "B ..."]:
    """Returns `(x - shift) / scale` for each pair."""
    for shift, scale in steps:
        pair = [jnp.broadcast_to(jnp.asarray(each, x.dtype), x.shape) for each in (shift, scale)]
        x = (x - pair[0]) / pair[1]
    return x


def _restored(x: Float[Array, "B ..."], steps: Steps) -> Float[Array, "B ..."]:
    """Returns `x * scale + shift` for each pair, from the last to the first."""
    for shift, scale in reversed(steps):
        pair = [jnp.broadcast_to(jnp.asarray(each, x.dtype), x.shape) for each in (shift, scale)]
        x = x * pair[1] + pair[0]
    return x
