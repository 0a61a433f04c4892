"""A trained network: the files from which `load` makes its functions."""

import dataclasses
import functools
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key

from jaxdl import rng
from jaxdl.applied import Applied
from jaxdl.core import State, learner
from jaxdl.data.arrays import as_numbers, checked_scaling
from jaxdl.data.columns import encode_rows
from jaxdl.data.dataset import Dataset
from jaxdl.data.preprocessing import Preprocessing
from jaxdl.data.source import Source
from jaxdl.description import build_task
from jaxdl.errors import InputError, JaxdlError, of_kind
from jaxdl.foreign import is_weights, read_network
from jaxdl.functions import bind
from jaxdl.saving import network_description, without_carry
from jaxdl.tasks import Task
from jaxdl.training import evaluate
from jaxdl.updates import Batch, Params
from jaxdl.weights import (
    MODEL,
    WEIGHTS,
    read_model,
    read_result,
    read_weights,
    write_model,
    write_weights,
)

#: Images with numbers this many times larger than those of the training set have another unit.
FAR = 16


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A trained network with its preprocessing, which `jaxdl.load` returns.

    The functions of the task are attributes, such as `network.encode`. Those of `inputs` take raw
    ones, as they were before the preprocessing, and are applied batch by batch.

    Attributes:
      task: the task that was trained.
      variables: `{"params": ..., collection: ...}`, the weights that evaluation uses.
      preprocessing: scaling of the inputs, names of the classes, encoding of texts.
      fields: shape and dtype of each field of an example of the training set.
      steps: number of steps of the training.
      result: the result of the run, `result.json`; empty if the file is missing.
      member: index of the run, if several seeds were trained in one program.

    Example:
      >>> import tempfile, jaxdl
      >>> data, test = jaxdl.data.load("digits")
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([32]))
      >>> net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
      >>> state = jaxdl.train(net, data, key=jaxdl.root(0), steps=100)
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     jaxdl.save(directory, task, state, data)
      ...     network = load(directory)
      >>> network.predict(test["input"][:5]).shape, network.model.hidden
      ((5, 10), (32,))
      >>> network.evaluate(test) == jaxdl.evaluate(net, state, test, key=jaxdl.root(0))
      True
    """

    task: Task
    variables: dict[str, Any]
    preprocessing: Preprocessing
    fields: Mapping[str, jax.ShapeDtypeStruct]
    steps: int = 0
    result: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    member: int = 0

    @property
    def model(self) -> Any:
        """The module of the task; a GAN's are in `task.arguments`."""
        return self.task.arguments.get("model")

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The name of each class; None if they have none."""
        return self.preprocessing.class_names

    @property
    def functions(self) -> dict[str, Callable[..., Any]]:
        """The inference functions by name: pure functions of inputs after the preprocessing."""
        state = self.state
        return {
            name: bind(f, state)
            for name, f in self.task.functions.items()
            if name != "loss" and not name.endswith("_loss")
        }

    @property
    def state(self) -> State:
        """The weights as a `State` without an optimizer, for `jaxdl.evaluate` and `jaxdl.bind`."""
        extra = {name: value for name, value in self.variables.items() if name != "params"}
        step = jnp.asarray(self.steps, jnp.int32)
        return State(step, self.variables["params"], (), extra)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        task = self.__dict__.get("task")
        if task is None or name not in task.functions or name.endswith("loss"):
            names = "" if task is None else ", ".join(_names(task))
            raise AttributeError(f"this network has no {name!r}, only {names}")
        return Applied(self, name)

    def __repr__(self) -> str:
        name = self.task.name or "a task of the user"
        sizes = [np.size(x) for x in jax.tree.leaves(self.variables.get("params"))]
        inputs = ", ".join(f"{key} {list(spec.shape)}" for key, spec in self.fields.items())
        numbers = f"{sum(sizes):,} parameters, {self.steps:,} steps"
        return f"Network({name}, {numbers}; fields {inputs}; functions {', '.join(self.functions)})"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *_names(self.task)]

    def predict(
        self, inputs: Any, lengths: Any = None, *, batch_size: int | None = None, **more: Any
    ) -> np.ndarray:
        """Returns the outputs for raw inputs: probabilities of a classifier, numbers in their unit.

        Args:
          inputs: `[N, ...]`, as they were before the preprocessing of the training. If these were
            in [0, 1], pixels may be so, or uint8, or uint16 of images. Grey images may lack the
            channel axis. Texts are a list, and rows of a table are a list of dictionaries. If the
            preprocessing has a crop, images may have any size, also different ones in a list.
          lengths: `[N]`, number of steps of each sequence. None means all of them.
          batch_size: number of examples in a batch; None means 500, or fewer large ones.
          **more: `[N, ...]`, further inputs of a module of the user by name.

        Returns:
          Class probabilities `[N, C]`, regression outputs in the unit of the target, or the
          probabilities of the next token `[N, T, V]`.

        Raises:
          InputError: a network of another kind; inputs that do not fit the training set.
        """
        if "predict" not in self.task.functions:
            allowed = f"one with predict; this one has {', '.join(_names(self.task))}"
            raise InputError("network", self.task.name or "a task of yours", allowed)
        rows = [inputs] if lengths is None else [inputs, lengths]
        return Applied(self, "predict")(*rows, batch_size=batch_size, **more)

    def prepare(self, inputs: Any, field: str = "input") -> list[np.ndarray]:
        """Returns raw inputs as the network reads them.

        Args:
          inputs: `[N, ...]`, a list of texts, or a list of dictionaries, the rows of a table.
          field: name of the field whose shape they have.

        Returns:
          `[inputs]`, or `[inputs, lengths]` for texts.

        Raises:
          InputError: another number of axes, channels or features than the training set has, images
            in another unit, texts or rows that the training set does not have, or cells that
            `jaxdl.data.encode_rows` refuses.
        """
        if self.preprocessing.crop is not None:
            inputs = self.preprocessing.crop(inputs)
        if isinstance(inputs, str):
            inputs = [inputs]
        if _are_all(inputs, str):
            return self._encoded(list(inputs))
        if _are_all(inputs, Mapping):
            if self.preprocessing.columns is None:
                allowed = "arrays; the network was not trained on a table"
                raise InputError("inputs", "dictionaries", allowed)
            inputs = encode_rows(self.preprocessing.columns, inputs)
        spec = self.fields[field]
        x = as_numbers("inputs", inputs)
        if x.ndim == len(spec.shape) and spec.shape[-1:] == (1,) and x.shape[1:] == spec.shape[:-1]:
            x = x[..., None]
        if x.ndim != len(spec.shape) + 1:
            allowed = f"[N, {', '.join(map(str, spec.shape))}]; write x[None] for one example"
            raise InputError("inputs shape", list(x.shape), allowed)
        if self.preprocessing.columns is not None and x.shape[1:] != spec.shape:
            allowed = f"[N, {spec.shape[0]}], or dictionaries of the columns"
            raise InputError("inputs shape", list(x.shape), allowed)
        if jnp.issubdtype(spec.dtype, jnp.floating):
            self._check_numbers(x, spec.shape)
            x = self.preprocessing(x)
            if x.dtype.kind in "iub":
                x = x.astype(np.float32)
        return [x]

    def prepared(self, data: Dataset) -> Dataset:
        """Returns a set of raw examples as the network reads it, such as for `evaluate`.

        Args:
          data: a set with raw inputs, and with a target in its own unit.

        Returns:
          The set with the scaling of the training set.

        Raises:
          InputError: inputs that do not fit the training set; a set that is scaled already.
        """
        if data.scaling:
            raise InputError("data", f"{data.name}, which is scaled", "a set of raw inputs")
        arrays: dict[str, Any] = {**data.arrays, "input": self.prepare(data["input"])[0]}
        for field in self.preprocessing.scaling.keys() & data.arrays.keys() - {"input"}:
            arrays[field] = self.preprocessing(np.asarray(data[field]), field)
        return dataclasses.replace(data, arrays=arrays, scaling=self.preprocessing.scaling)

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Writes the network into a directory, from which `load` reads it.

        Args:
          directory: the directory, which is created if missing. It gets `model.json` and
            `weights.safetensors`.

        Raises:
          RunError: a directory that cannot be written.
        """
        directory = Path(directory).expanduser()
        described = network_description(self.task, self.fields, self.preprocessing)
        write_model(directory, described)
        write_weights(directory, self.variables, self.steps, None)

    def _check_numbers(self, x: np.ndarray, shape: tuple[int, ...]) -> None:
        """Raises for another number of channels or features, and for images in another unit."""
        if shape and x.shape[-1] != shape[-1]:
            raise InputError("inputs shape", list(x.shape), f"[N, {str(list(shape))[1:]}")
        limits = self.preprocessing.range
        if limits is None or len(shape) != 3 or not x.size:
            return
        is_divided = self.preprocessing.is_unit and x.dtype in (np.uint8, np.uint16)
        largest = max(abs(float(x.min())), abs(float(x.max())))
        if not is_divided and FAR * max(*map(abs, limits), 1 / FAR) < largest < np.inf:
            allowed = f"pixels in [{limits[0]:.4g}, {limits[1]:.4g}], as in the training set"
            if self.preprocessing.is_unit:
                allowed = "pixels in [0, 1], or in uint8, such as x.astype(np.uint8)"
            raise InputError("inputs", f"pixels up to {largest:.6g}", allowed)

    def _encoded(self, texts: list[str]) -> list[np.ndarray]:
        """Returns texts as ids, with their lengths if the network was trained with lengths."""
        if self.preprocessing.text is None:
            raise InputError("inputs", "texts", "arrays of numbers; the network has no vocabulary")
        rows, lengths = self.preprocessing.text(texts)
        if "length" in self.fields:
            return [rows, lengths]
        return [rows]

    def evaluate(
        self, data: Source, *, key: Key[Array, ""] | None = None, batch_size: int = 500
    ) -> dict[str, Any]:
        """Returns the metrics of a set, as `jaxdl.evaluate` does.

        Args:
          data: a set after the preprocessing, such as the test set of the run, or
            `network.prepared(raw)` for a set of raw examples.
          key: root key of random numbers, such as the noise of a VAE. None means that of the seed
            of the run, or seed 0.
          batch_size: number of examples in a batch.

        Returns:
          Means by name.

        Raises:
          InputError: a set without the scaling of the training set.
        """
        missing = set(self.preprocessing.scaling) - set(getattr(data, "scaling", {}))
        if missing and isinstance(data, Dataset):
            got = f"{data.name} without the scaling of {', '.join(sorted(missing))}"
            allowed = "a set that is scaled as the training set; write network.prepared(data)"
            raise InputError("data", got, allowed)
        if key is None:
            seeds = self.result.get("seeds", [self.result.get("seed", 0)])
            key = rng.root(seeds[min(self.member, len(seeds) - 1)])
        # Optimizers only count here; evaluation does not use them.
        count = len(inspect.signature(self.task.updates).parameters)
        init = functools.partial(_init_without_carry, self.task)
        updates = self.task.updates(*[optax.identity()] * count)
        net = learner(init, *updates)
        state = self.state.replace(opt=(optax.EmptyState(),) * len(updates))
        return evaluate(net, state, data, key=key, batch_size=batch_size)


def load(
    path: str | os.PathLike[str],
    *,
    member: int = 0,
    task: Task | None = None,
    **modules: nn.Module,
) -> Network:
    """Returns the trained network of a run, or that of a weights file of another library.

    The directory of a run needs two files, `model.json` and `weights.safetensors`, which may be
    copied elsewhere. Nothing in a file is executed: a description names classes of the library
    only.

    A file ending in `.safetensors`, `.npz`, `.h5`, `.pth` or `.pt` has the weights of a network
    that another library has trained: VGG11 to VGG19 of torchvision, timm or Keras, or
    EfficientNet-Lite0. Its names of arrays decide the network and its preprocessing.

    Args:
      path: the directory of a finished run, or a file in it; or a weights file.
      member: index of the seed, if several were trained in one program.
      task: the task, if `jaxdl.tasks` has not made it.
      **modules: modules of the user by the name of the task's argument, such as `model=Mine()`.

    Returns:
      The network.

    Raises:
      InputError: a missing or damaged file, unknown classes, weights that do not fit the model, or
        a member out of range.

    Example: see `Network`.
    """
    directory = _directory(path)
    if is_weights(directory):
        if member or task is not None or modules:
            raise InputError("path", str(path), "a run, with a member, a task or modules")
        return Network(*read_network(directory))
    stored = read_model(directory)
    preprocessing = Preprocessing.from_json(_of_member(stored["preprocessing"], member))
    if task is None:
        task = build_task(stored["task"], **modules)
    fields = stored["fields"]
    checked_scaling(preprocessing.scaling, _batch(fields))
    variables, steps = read_weights(directory, _expected(task, fields), member)
    result = read_result(directory)
    return Network(task, variables, preprocessing, fields, steps, result, member)


def _of_member(preprocessing: Sequence[Any], member: int) -> Any:
    """Returns the preprocessing of a member; raises InputError for one that does not exist."""
    if len(preprocessing) == 1:
        return preprocessing[0]
    if not 0 <= member < len(preprocessing):
        raise InputError("member", member, f"an integer in [0, {len(preprocessing)})")
    return preprocessing[member]


def _directory(path: str | os.PathLike[str]) -> Path:
    """Returns the directory of a run, from its path or that of one of its files."""
    of_kind("path", path, str | os.PathLike, "a path, such as 'runs/mine' or 'vgg16.pth'")
    directory = Path(path).expanduser()
    if directory.name in (MODEL, WEIGHTS, "result.json"):
        return directory.parent
    return directory


def _expected(task: Task, fields: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, Any]:
    """Returns shapes and dtypes of the variables that a task needs, without computing any."""
    try:
        init = functools.partial(_init_without_carry, task)
        params, extra = jax.eval_shape(init, rng.root(0), _batch(fields))
    except JaxdlError:
        raise
    except Exception as error:
        # A description with impossible sizes makes JAX raise too many kinds of exceptions.
        raise InputError("model", str(error), f"a {MODEL} that a run has written") from None
    return {"params": params, **extra}


def _batch(fields: Mapping[str, jax.ShapeDtypeStruct]) -> dict[str, jax.ShapeDtypeStruct]:
    return {name: jax.ShapeDtypeStruct((1, *f.shape), f.dtype) for name, f in fields.items()}


def _init_without_carry(task: Task, key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
    params, extra = task.init(key, batch)
    return params, without_carry(extra)


def _names(task: Task) -> list[str]:
    """Returns the names of the inference functions of a task."""
    return [name for name in task.functions if not name.endswith("loss")]


def _are_all(inputs: Any, kind: type) -> bool:
    is_list = isinstance(inputs, Sequence) and len(inputs) > 0
    return is_list and all(isinstance(each, kind) for each in inputs)
