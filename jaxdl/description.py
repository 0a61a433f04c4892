"""Networks and tasks as JSON values, and back. Only classes of the library are made."""

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from jaxdl import augment, models, tasks
from jaxdl import nn as layers
from jaxdl.augment import Augment, Mix
from jaxdl.errors import InputError, of_kind, one_of
from jaxdl.explain import Attack
from jaxdl.nn.embedding import Vectors
from jaxdl.rl import environments
from jaxdl.tasks import Task

#: Fields of every Linen module that describe its place in another module.
PLACE = ("parent", "name")

#: Most numbers in the vectors of an embedding.
MAX_VECTORS = 2**28

#: Most parts of a list, such as layers. JAX needs minutes to trace many more.
MAX_PARTS = 1000

#: Functions that make a task, by name. A description names one of them, and no other code.
TASKS: dict[str, Callable[..., Task]] = {
    "autoregressive": tasks.autoregressive,
    "classify": tasks.classify,
    "embed": tasks.embed,
    "gan": tasks.gan,
    "glove": tasks.glove,
    "language": tasks.language,
    "q_network": tasks.q_network,
    "q_table": tasks.q_table,
    "reconstruct": tasks.reconstruct,
    "regress": tasks.regress,
    "reinforce": tasks.reinforce,
    "translate": tasks.translate,
    "translate_unpaired": tasks.translate_unpaired,
    "vae": tasks.vae,
}


#: Functions that make an augmentation or a mixture, by name.
AUGMENTS: dict[str, Callable[..., Any]] = {
    name: getattr(augment, name)
    for name in (
        *("affine", "brightness", "chain", "clipped", "contrast", "cutmix", "cutout", "elastic"),
        *("gaussian_noise", "mixup", "random_crop", "random_flip", "random_shift"),
        *("salt_and_pepper", "sometimes"),
    )
}


@functools.cache
def classes() -> dict[str, type]:
    """Returns the classes that a description may name: modules of the library and their parts."""
    found: dict[str, type] = {"Attack": Attack}
    for library in (layers, models, environments):
        for name, value in vars(library).items():
            if isinstance(value, type) and dataclasses.is_dataclass(value):
                found[name] = value
    return found


def describe(value: Any) -> Any:
    """Returns a value as JSON, from which `build` makes an equal one.

    Args:
      value: a module of the library, a part of one, or numbers, texts, dtypes, tuples and None.

    Returns:
      JSON values. A module is a dictionary with its `class` and its fields. Functions that make
      initial parameters are left out, because trained ones replace them.

    Raises:
      InputError: a value that has no description, such as a module of the user.

    Example:
      >>> describe(models.Stage(8))["class"], describe(jnp.bfloat16)
      ('Stage', {'dtype': 'bfloat16'})
      >>> build(describe(models.MLP((4,), 2))).hidden
      (4,)
    """
    name = type(value).__name__
    if classes().get(name) is type(value):
        return {"class": name, **_described_fields(value)}
    if isinstance(value, list | tuple):
        return [describe(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.dtype | type) and value is not type(None):
        return {"dtype": jnp.dtype(value).name}
    if isinstance(value, Vectors):
        return {"known": np.flatnonzero(value.known).tolist(), "shape": value.array.shape}
    if isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "iu":
        return {"integers": value.tolist()}
    if hasattr(value, augment.MADE_BY):
        made_by, arguments = getattr(value, augment.MADE_BY)
        return {"augment": made_by, "arguments": describe(arguments)}
    raise InputError("description", name, "modules, numbers and texts of the library")


def _described_fields(value: Any) -> dict[str, Any]:
    """Returns the fields of a module, without functions that make initial parameters."""
    fields = {}
    for field in dataclasses.fields(value):
        content = getattr(value, field.name)
        if isinstance(value, nn.Module) and field.name in PLACE:
            continue
        if field.name.endswith("_init") and callable(content):
            continue
        fields[field.name] = describe(content)
    return fields


def build(description: Any) -> Any:
    """Returns the value that `describe` was given.

    Args:
      description: JSON values.

    Raises:
      InputError: an unknown class, dtype or field, too long a list, or values that the class
        refuses.

    Example:
      >>> build({"class": "os.system", "command": "true"})
      Traceback (most recent call last):
      jaxdl.errors.InputError: class: got 'os.system', allowed: Acrobot, Attack, Autoencoder, ...
    """
    if isinstance(description, list):
        if len(description) > MAX_PARTS:
            raise InputError("model.json", f"a list of {len(description)}", f"at most {MAX_PARTS}")
        return tuple(build(each) for each in description)
    if not isinstance(description, Mapping):
        return description
    form = VALUES.get(frozenset(description))
    if form is not None:
        return _call(form, description, "/".join(description))
    fields = dict(description)
    name: Any = fields.pop("class", None)
    of_kind("class", name, str, "the name of a class, a text")
    made_of = {field: build(value) for field, value in fields.items()}
    return _call(classes()[one_of("class", name, classes())], made_of, name)


def describe_task(task: Task) -> dict[str, Any]:
    """Returns the name and the arguments of a task as JSON, from which `build_task` makes it.

    Args:
      task: a task of the library.

    Returns:
      `{"task": name, **arguments}`. A module without a description is its class name under
      `unknown`. Functions of the user, such as an augmentation, are left out.

    Raises:
      InputError: a task that the library has not made.

    Example:
      >>> described = describe_task(tasks.classify(models.MLP((4,), 2)))
      >>> described["task"], described["model"]["class"], sorted(build_task(described).functions)
      ('classify', 'MLP', ['loss', 'predict'])
    """
    if not task.name:
        raise InputError("task", "a task without a name", "a task of jaxdl.tasks")
    described: dict[str, Any] = {"task": task.name}
    for name, value in task.arguments.items():
        if isinstance(value, nn.Module):
            described[name] = _described_module(value)
        elif not callable(value) or hasattr(value, augment.MADE_BY):
            described[name] = describe(value)
    return described


def _described_module(module: nn.Module) -> dict[str, Any]:
    """Returns the description of a module, or its class name if it has none."""
    try:
        return describe(module)
    except InputError:
        return {"unknown": type(module).__name__}


def build_task(description: Mapping[str, Any], **modules: nn.Module) -> Task:
    """Returns the task that `describe_task` was given.

    Args:
      description: JSON values.
      **modules: modules by the name of the argument, such as `model`, in place of described ones.

    Raises:
      InputError: an unknown task or argument, a module that is missing, or values that the task
        refuses.

    Example:
      >>> described = {"task": "classify", "model": {"unknown": "Mine"}}
      >>> build_task(described)
      Traceback (most recent call last):
      jaxdl.errors.InputError: model: got 'Mine', allowed: a class of the library; write model=...
      >>> sorted(build_task(described, model=nn.Dense(3)).functions)
      ['loss', 'predict']
    """
    of_kind("task", description, Mapping, "a task of jaxdl.tasks; write task=... with yours")
    arguments = dict(description)
    name: Any = arguments.pop("task", None)
    if name is None:
        allowed = "one of jaxdl.tasks; in Python write jaxdl.load(directory, task=...)"
        raise InputError("task", "a task of the user", allowed)
    of_kind("task", name, str, "the name of a task, a text")
    task = TASKS[one_of("task", name, TASKS)]
    for field in modules:
        one_of("module", field, [key for key, value in arguments.items() if _is_module(value)])
    made_of = {}
    for field, value in arguments.items():
        if field in modules:
            made_of[field] = modules[field]
        elif _is_module(value) and "unknown" in value:
            allowed = f"a class of the library; write {field}=... with your module"
            raise InputError(field, value["unknown"], allowed)
        else:
            made_of[field] = build(value)
    return _call(task, made_of, name)


def _is_module(value: Any) -> bool:
    return isinstance(value, Mapping) and bool({"class", "unknown"} & set(value))


def _call(function: Callable[..., Any], arguments: Mapping[str, Any], name: str) -> Any:
    """Calls a function with arguments from a file; wrong ones are an InputError."""
    try:
        return function(**arguments)
    except InputError:
        raise
    except Exception as error:
        # Wrong values make these functions raise too many kinds of exceptions to list them.
        raise InputError(name, str(error), "the fields that the library has written") from None


def _number(**number: str) -> float:
    """Returns a number that JSON lacks, such as "inf"."""
    return float(number["float"])


def _dtype(dtype: str) -> np.dtype:
    """Returns a dtype by its name."""
    return jnp.dtype(dtype)


def _augmentation(augment: str, arguments: list[Any]) -> Augment | Mix:
    """Returns an augmentation or a mixture of the library."""
    return AUGMENTS[one_of("augment", augment, AUGMENTS)](*build(arguments))


def _vectors(known: list[int], shape: list[int]) -> np.ndarray:
    """Returns vectors whose rows are known or not; trained ones replace their values."""
    if math.prod(shape) > MAX_VECTORS:
        raise InputError("vectors", shape, f"at most {MAX_VECTORS} numbers")
    rows = np.full(shape, np.nan, np.float32)
    rows[list(known)] = 0
    return rows


def _integers(integers: list[int]) -> np.ndarray:
    """Returns an array of integers, such as the counts of words."""
    return np.array(integers, np.int64).reshape(-1)


#: Functions from the values that JSON lacks to these values, by the names in their dictionaries.
VALUES: dict[frozenset[str], Callable[..., Any]] = {
    frozenset({"float"}): _number,
    frozenset({"dtype"}): _dtype,
    frozenset({"integers"}): _integers,
    frozenset({"known", "shape"}): _vectors,
    frozenset({"augment", "arguments"}): _augmentation,
}
