"""Layers chosen by name, in trees of parameters and collections.

The name of an array is its path in `params`, such as `head/dense_0/kernel`. The name of a layer is
the beginning of the names of its arrays: `head/dense_0`, or `head` for all layers inside of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax

from jaxdl.errors import InputError, one_of

#: The collection of running statistics, which belong to the layer that they are measured in.
STATISTICS = "batch_stats"


class Selection(NamedTuple):
    """A choice of layers.

    Attributes:
      only: names of the chosen layers; None means all layers.
      skip: names of layers that are not chosen.

    Example:
      >>> chosen = Selection(("head",), ("head/out",))
      >>> [chosen.has(name) for name in ("head/dense_0/bias", "head/out/bias", "header/bias")]
      [True, False, False]
    """

    only: tuple[str, ...] | None
    skip: tuple[str, ...]

    def has(self, *names: str) -> bool:
        """Returns True if an array with these names belongs to a chosen layer."""

        def listed(layers: tuple[str, ...]) -> bool:
            return any(is_inside(name, layer) for name in names for layer in layers)

        return (self.only is None or listed(self.only)) and not listed(self.skip)

    def text(self) -> str:
        """Returns the choice as arguments of `select`, for messages."""
        given = {"only": self.only, "skip": self.skip}
        texts = [f"{field}={list(names)}" for field, names in given.items() if names]
        return ", ".join(texts) or "all layers"

    def check(self, arrays: Iterable[str], function: str = "") -> None:
        """Raises InputError for a name without arrays, with the nearest name that has some.

        Args:
          arrays: names of all arrays.
          function: name of the function for the message; empty names the argument alone.
        """
        arrays = list(arrays)
        for field, names in (("only", self.only or ()), ("skip", self.skip)):
            for name in names:
                check_name(f"{function} {field}".strip(), name, arrays)


def select(only: Sequence[str] | None, skip: Sequence[str] | None) -> Selection:
    """Returns a choice of layers.

    Args:
      only: names of the chosen layers; None means all layers.
      skip: names of layers that are not chosen; None means none of them.

    Raises:
      InputError: anything else than a list of names, or an empty one.

    Example:
      >>> select("head", None)
      Traceback (most recent call last):
      jaxdl.errors.InputError: only: got 'head', allowed: None or a list of layers: ['head']
    """
    for field, names in (("only", only), ("skip", skip)):
        if names is None:
            continue
        example = names if isinstance(names, str) else "head"
        allowed = f"None or a list of layers: [{example!r}]"
        of_names = isinstance(names, Sequence) and all(isinstance(each, str) for each in names)
        if isinstance(names, str) or not of_names or not names:
            raise InputError(field, names, allowed)
    return Selection(None if only is None else tuple(only), tuple(skip or ()))


def is_inside(array: str, layer: str) -> bool:
    """Returns True if the path of an array begins with that of a layer.

    Example:
      >>> is_inside("conv_1/kernel", "conv_1"), is_inside("conv_10/kernel", "conv_1")
      (True, False)
    """
    return f"{array}/".startswith(f"{layer}/")


def check_name(field: str, name: str, arrays: Iterable[str]) -> None:
    """Raises InputError unless some arrays are inside of a layer.

    Args:
      field: name of the argument for the message.
      name: name of the layer.
      arrays: names of all arrays.

    Example:
      >>> check_name("skip", "haed", ["conv_0/bias", "head/bias"])
      Traceback (most recent call last):
      jaxdl.errors.InputError: skip: got 'haed', allowed: conv_0, head (did you mean 'head'?)
    """
    arrays = list(arrays)
    if not any(is_inside(array, name) for array in arrays):
        one_of(field, name, {layer for array in arrays for layer in _layers(array)})


def _layers(array: str) -> list[str]:
    """Returns the names of all layers that contain an array, or of an array without a layer."""
    parts = array.split("/")
    return ["/".join(parts[:i]) for i in range(1, len(parts))] or [array]


def named_leaves(tree: Any) -> dict[str, Any]:
    """Returns the arrays of a tree by name.

    Example:
      >>> named_leaves({"head": {"bias": 1, "kernel": 2}})
      {'head/bias': 1, 'head/kernel': 2}
    """
    return {path_name(path): leaf for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]}


def path_name(path: Any) -> str:
    """Returns a path of JAX as the name of an array.

    Example:
      >>> path_name((jax.tree_util.DictKey("head"), jax.tree_util.DictKey("bias")))
      'head/bias'
    """
    return jax.tree_util.keystr(path, simple=True, separator="/")


def trained(params: Any, on: str | None, frozen: Selection | None) -> Any:
    """Returns the parameters that an update changes.

    Args:
      params: all parameters.
      on: the top-level entry that the update changes; None means all of them.
      frozen: the layers that it does not change, by their names in all parameters.

    Returns:
      `params` or one of its entries, without the frozen arrays, and without layers that have no
      others.

    Raises:
      InputError: frozen layers of parameters that are no dictionary.

    Example:
      >>> params = {"conv_0": {"bias": 1}, "head": {"bias": 2}}
      >>> trained(params, None, select(["conv_0"], None)), trained(params, "head", None)
      ({'head': {'bias': 2}}, {'bias': 2})
    """
    if on is not None:
        params = params[on]
    if frozen is None:
        return params
    if not isinstance(params, Mapping):
        raise InputError("params", type(params).__name__, "a dictionary by layer, to freeze some")
    return _without(params, frozen, on or "")


def with_trained(params: Any, on: str | None, frozen: Selection | None, part: Any) -> Any:
    """Returns the parameters with another part that an update changes.

    Args:
      params: all parameters.
      on: as in `trained`.
      frozen: as in `trained`.
      part: the other part, with the structure of `trained(params, on, frozen)`.

    Example:
      >>> params = {"conv_0": {"bias": 1}, "head": {"bias": 2}}
      >>> with_trained(params, None, select(["conv_0"], None), {"head": {"bias": 3}})
      {'conv_0': {'bias': 1}, 'head': {'bias': 3}}
    """
    if frozen is not None:
        part = _put(trained(params, on, None), part)
    if on is None:
        return part
    return {**params, on: part}


def check_frozen(params: Any, on: str | None, frozen: Selection) -> None:
    """Raises InputError for frozen layers that do not exist, or if no layer is left to train.

    Args:
      params: all parameters.
      on: as in `trained`.
      frozen: as in `trained`.

    Example:
      >>> check_frozen({"head": {"bias": 2}}, None, select(["head"], None))
      Traceback (most recent call last):
      jaxdl.errors.InputError: freeze: got "only=['head']", allowed: fewer layers; some must train
    """
    names = list(named_leaves(params))
    if on is not None:
        names = [name for name in names if is_inside(name, on)]
    frozen.check(names, "freeze")
    if not jax.tree.leaves(trained(params, on, frozen)):
        raise InputError("freeze", frozen.text(), "fewer layers; some must train")


def _without(tree: Mapping[str, Any], frozen: Selection, inside: str) -> dict[str, Any]:
    """Returns a tree without frozen arrays; `inside` is the layer that the tree belongs to."""
    kept = {}
    for key, node in tree.items():
        name = f"{inside}/{key}" if inside else str(key)
        if isinstance(node, Mapping):
            node = _without(node, frozen, name)
            if node:
                kept[key] = node
        elif not frozen.has(name):
            kept[key] = node
    return kept


def _put(tree: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a tree with the arrays of a part of it replaced."""
    changed = dict(tree)
    for key, node in part.items():
        if isinstance(node, Mapping):
            node = _put(tree[key], node)
        changed[key] = node
    return changed


def layer_and_collection(name: str, params: Any) -> tuple[str, str]:
    """Returns the name of an array of `extra` without its collection, and the collection.

    A collection is the first part of a name. If a task has several networks, it is the second one,
    as in `generator/batch_stats/norm_0/mean`.

    Args:
      name: path of the array in `extra`.
      params: the parameters, whose first keys are the names of the networks, or of layers.

    Example:
      >>> layer_and_collection("batch_stats/norm_0/mean", {"norm_0": {}})
      ('norm_0/mean', 'batch_stats')
      >>> layer_and_collection("generator/batch_stats/norm_0/mean", {"generator": {}})
      ('generator/norm_0/mean', 'batch_stats')
    """
    parts = name.split("/")
    i = int(len(parts) > 1 and isinstance(params, Mapping) and parts[0] in params)
    return "/".join(parts[:i] + parts[i + 1 :]), parts[i]


def keep_statistics(frozen: Selection, params: Any, old: Any, new: Any) -> Any:
    """Returns the new `extra`, in which the running statistics of frozen layers are the old ones.

    Args:
      frozen: the frozen layers.
      params: the parameters.
      old: `extra` before a step.
      new: `extra` after it.

    Example:
      >>> old = {"batch_stats": {"norm_0": {"mean": 1}, "norm_1": {"mean": 1}}}
      >>> new = {"batch_stats": {"norm_0": {"mean": 2}, "norm_1": {"mean": 2}}}
      >>> keep_statistics(select(["norm_0"], None), {"norm_0": {}, "norm_1": {}}, old, new)
      {'batch_stats': {'norm_0': {'mean': 1}, 'norm_1': {'mean': 2}}}
    """

    def kept(path: Any, before: Any, after: Any) -> Any:
        name, collection = layer_and_collection(path_name(path), params)
        if collection == STATISTICS and frozen.has(name):
            return before
        return after

    return jax.tree_util.tree_map_with_path(kept, old, new)
