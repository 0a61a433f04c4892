"""Training that starts from trained weights: initial weights of another network, frozen layers."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxdl.core import Initial, Learner
from jaxdl.errors import InputError, of_kind
from jaxdl.layer_names import Selection, layer_and_collection, named_leaves, path_name, select
from jaxdl.nn.norm import frozen_norms
from jaxdl.updates import Batch, Params, Update
from jaxdl.wrappers import Accumulated, accumulate

#: Largest number of arrays or layers in a message.
MOST_SHOWN = 4

#: The collection of recurrent states, which belong to examples and not to a network.
CARRY = "carry"


def with_initial(
    learner: Learner,
    variables: Mapping[str, Any],
    only: Sequence[str] | None = None,
    skip: Sequence[str] | None = None,
) -> Learner:
    """Wraps a learner to start from the weights of a trained network.

        w_0 = w of the network    for the arrays of chosen layers
        w_0 = init(key)           for all others

    The parameters and all collections are copied, such as the running statistics of BatchNorm. Only
    the recurrent state `carry` is not, because it belongs to the examples of a batch. The
    optimizer's state, the step and the arrays of wrappers start as in any other run. All members of
    an ensemble start from the same weights.

    Args:
      learner: the result of `jaxdl.learner`. Apply other wrappers afterwards, so that an average of
        weights starts at these weights.
      variables: arrays of the network as Linen has them: `{"params": ..., "batch_stats": ...}`.
        Those of a state are `{"params": state.params, **state.extra}`. Layers that the learner does
        not have are not used.
      only: names of the layers to copy, such as `["conv_0", "encoder/dense_0"]`. A name stands for
        all layers inside of it. The name of a collection stands for its arrays. None means all.
      skip: names of layers that start as in any other run, such as `["head"]`.

    Returns:
      A learner with another `init`. Its arrays are constants of the compiled `init`, so they are a
      part of the fingerprint of a run.

    Raises:
      InputError: no learner, a wrapped one, variables without "params", or no list of names. Raised
        by `init`: a name that no layer has, or chosen arrays that the network does not have, or has
        with another shape or dtype.

    Example:
      >>> import jaxdl, optax
      >>> def net(classes):
      ...     task = jaxdl.tasks.classify(jaxdl.models.MLP([8], classes))
      ...     return jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
      >>> batch = {"input": jnp.ones((4, 3)), "label": jnp.arange(4)}
      >>> trained = net(10).init(jaxdl.root(0), batch)
      >>> weights = {"params": trained.params, **trained.extra}
      >>> state = with_initial(net(4), weights, skip=["out"]).init(jaxdl.root(1), batch)
      >>> bool((state.params["dense_0"]["kernel"] == trained.params["dense_0"]["kernel"]).all())
      True
    """
    of_kind("learner", learner, Learner, "a learner; for a sweep, the one inside of `make`")
    initial = learner.init
    if not isinstance(initial, Initial):
        allowed = "a result of jaxdl.learner; apply other wrappers after with_initial"
        raise InputError("learner", "a wrapped learner", allowed)
    chosen = select(only, skip)
    given = _arrays(variables)

    def initial_variables(key: Key[Array, ""], batch: Batch) -> tuple[Params, Any]:
        params, extra = initial.variables(key, batch)
        return _replaced(params, extra, given, chosen)

    return learner._replace(init=dataclasses.replace(initial, variables=initial_variables))


def freeze(
    update: Update, only: Sequence[str] | None = None, skip: Sequence[str] | None = None
) -> Update:
    """Wraps an update to leave some layers as they are.

        L(w, f),   w <- w + optimizer(dL/dw),   f constant

    The parameters f of frozen layers keep their bits. No gradient of them is computed, and the
    optimizer has no state for them, so weight decay cannot change them either.

    A frozen BatchNorm of Linen uses its running statistics in training, as in evaluation, and they
    keep their bits. So a frozen layer is one function in training and evaluation, as in Keras. In
    PyTorch, without `requires_grad`, a BatchNorm still uses and changes statistics. Any statistics
    in the collection `batch_stats` of frozen layers are constant. Other collections change as
    before. Dropout is no layer with a name here, and applies to frozen layers too.

    Args:
      update: any update without frozen layers.
      only: names of the frozen layers, such as `["conv_0", "norm_0"]`. A name stands for all layers
        inside of it. In a GAN names begin with that of the network: `["discriminator/conv_0"]`.
        None means all layers.
      skip: names of layers that are trained, such as `["head"]`.

    Returns:
      An update with the same metrics.

    Raises:
      InputError: no update, one with frozen layers, or no list of names. Raised by `init`: a name
        that no layer of the update has, no layer left to train, or a schedule-free optimizer.

    Source: Yosinski et al. 2014, How transferable are features in deep neural networks?

    Example:
      >>> import jaxdl, optax
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([8]))
      >>> update = freeze(*task.updates(optax.adam(0.1)), skip=["out"])
      >>> net = jaxdl.learner(task.init, update)
      >>> batch = {"input": jnp.ones((4, 3)), "label": jnp.arange(4)}
      >>> state = net.init(jaxdl.root(0), batch)
      >>> after, _ = net.step(state, batch, jaxdl.root(0))
      >>> same = jax.tree.map(lambda a, b: bool((a == b).all()), state.params, after.params)
      >>> same["dense_0"]["kernel"], same["out"]["kernel"]
      (True, False)
    """
    of_kind("update", update, Update, "an Update, such as that of task.updates(optax.adam(1e-3))")
    if update.frozen is not None:
        allowed = "an update without frozen layers; name all of them in one call"
        raise InputError("update", f"freeze(..., {update.frozen.text()})", allowed)
    frozen = select(only, skip)
    if isinstance(update.loss, Accumulated):
        # The parts of a batch compute gradients themselves, so their loss is frozen.
        whole = update._replace(loss=update.loss.update.loss)
        return accumulate(freeze(whole, only, skip), update.loss.n)

    def loss(params: Params, extra: Any, batch: Batch, key: Key[Array, ""], *, train: bool) -> Any:
        if not train:
            return update.loss(params, extra, batch, key, train=train)
        with frozen_norms(lambda layer: frozen.has(f"{layer}/mean")):
            return update.loss(params, extra, batch, key, train=train)

    return update._replace(loss=loss, frozen=frozen)


def _arrays(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns copies of all arrays of a network on the host, by name.

    The caller may donate or change the arrays that were given.
    """
    if not isinstance(variables, Mapping) or not isinstance(variables.get("params"), Mapping):
        allowed = 'the arrays of a network, {"params": state.params, **state.extra}'
        shown: object = type(variables)
        if isinstance(variables, Mapping):
            shown = sorted(map(str, variables))
        raise InputError("variables", shown, allowed)
    return {name: np.array(x) for name, x in named_leaves(jax.device_get(dict(variables))).items()}


def _replaced(
    params: Params, extra: Any, given: Mapping[str, np.ndarray], chosen: Selection
) -> tuple[Params, Any]:
    """Returns the parameters and collections with the chosen arrays of another network.

    Args:
      params: the parameters.
      extra: the other collections.
      given: arrays of the other network by name; names of parameters begin with `params/`.
      chosen: the layers whose arrays are replaced.

    Raises:
      InputError: names that do not exist, or arrays that the other network does not have.
    """
    names = {f"params/{name}": [name] for name in named_leaves(params)}
    copied = set(names)
    for name in named_leaves(extra):
        layer, collection = layer_and_collection(name, params)
        # A layer's arrays in all collections have its name, and a collection's have its own.
        names[name] = [layer or name, name]
        if collection != CARRY:
            copied.add(name)
    chosen.check(each for both in names.values() for each in both)
    copied = {name for name in copied if chosen.has(*names[name])}
    variables = {"params": params, **extra}
    _check_arrays(copied, names, named_leaves(variables), given)

    def start(path: Any, x: Any) -> Any:
        name = path_name(path)
        if name not in copied:
            return x
        return jnp.array(given[name])

    variables = jax.tree_util.tree_map_with_path(start, variables)
    return variables.pop("params"), variables


def _check_arrays(
    copied: Iterable[str],
    names: Mapping[str, Sequence[str]],
    own: Mapping[str, Any],
    given: Mapping[str, np.ndarray],
) -> None:
    """Raises InputError unless the other network has all arrays in the same shape and dtype."""
    wrong = [name for name in sorted(copied) if _kind(own[name]) != _kind(given.get(name))]
    if not wrong:
        return
    shown = [f"{names[name][-1]} {_kind(given.get(name))}" for name in wrong[:MOST_SHOWN]]
    allowed = [_kind(own[name]) for name in wrong[:MOST_SHOWN]]
    if len(wrong) > MOST_SHOWN:
        shown.append(f"and {len(wrong) - MOST_SHOWN} more")
    layers = {names[name][0].rpartition("/")[0] or names[name][0] for name in wrong}
    if len(layers) > MOST_SHOWN:
        layers = {layer.partition("/")[0] for layer in layers}
    to_do = f"skip={sorted(layers)}, which start as in a run without them"
    raise InputError("variables", ", ".join(shown), f"{', '.join(allowed)}; or {to_do}")


def _kind(x: Any) -> str:
    """Returns dtype and shape of an array as text."""
    if x is None:
        return "missing"
    return f"{getattr(x, 'dtype', type(x).__name__)}{list(np.shape(x))}"
