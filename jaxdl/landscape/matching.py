"""Weight matching: the order of one network's hidden units that is nearest to another network."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key
from scipy.optimize import linear_sum_assignment

from jaxdl.core import State, inference
from jaxdl.errors import InputError, at_least, not_in_jit, of_kind
from jaxdl.functions import one_run
from jaxdl.landscape.directions import check_params, check_same
from jaxdl.landscape.units import Units, hidden_units, reorder, rows
from jaxdl.layer_names import named_leaves, path_name
from jaxdl.rng import check_single_key, fold, stream

#: Permutations by layer: the old index of each new unit.
Permutations = dict[str, Int[np.ndarray, " U"]]

#: Arrays by name.
_Arrays = dict[str, Float[np.ndarray, "..."]]

#: Smallest gain of a new order, relative to the squares of all parameters; less is rounding.
_LEAST_GAIN = 1e-12


class Matched(NamedTuple):
    """A network with matched units.

    Attributes:
      state: the state of b with its units in another order, in all arrays that have them.
      permutations: `{layer: [U]}`, for each unit of the result its index in b.
      distance: `[S]`, Euclidean distance of the parameters from those of a after each sweep. It
        never rises. Averaged parameters count where a state has them.

    Example: see `match_units`.
    """

    state: State
    permutations: Permutations
    distance: Float[np.ndarray, " S"]


def match_units(
    model: nn.Module,
    a: State,
    b: State,
    key: Key[Array, ""] | None = None,
    *,
    orders: int = 1,
) -> Matched:
    """Returns network b with its hidden units in the order that is nearest to network a.

        min_P  ||a - P(b)||^2,    which is    max_P  sum_l <a_l, P(b_l)>

    P permutes the hidden units of every layer, so P(b) is the same function as b. The first sweep
    goes from the input to the output: each layer is matched by its weights from layers that are
    matched already. So the result does not depend on the order of the units of b, and a permuted
    copy of a becomes a again, exactly. Further sweeps improve one layer after the other, given all
    others, until nothing changes. Each of these problems is solved exactly, as a linear assignment.
    The end is a local minimum.

    Source: Ainsworth, Hayase, Srinivasa 2023, Git re-basin: merging models modulo permutation
    symmetries.

    Args:
      model: the `MLP` or `CNN` of both states, without skip connections and groups.
      a: the state that stays as it is.
      b: the state whose units are permuted. Its running statistics and the moments of its optimizer
        are permuted, too, so its training can be continued.
      key: root key of the random orders; not needed for one order.
      orders: number of orders in which the layers are improved. The first one is that from input
        to output, the others are random. The nearest result is returned.

    Returns:
      The permuted state of b, the permutations, and the distances.

    Raises:
      InputError: a network that cannot be matched, states of several runs, states of other shapes,
        parameters that are not finite, or several orders without a key.

    Example:
      >>> import jaxdl
      >>> model = jaxdl.models.MLP((4,), 3)
      >>> params, extra = jaxdl.tasks.classify(model).init(
      ...     jaxdl.root(0), {"input": jnp.ones((1, 2)), "label": jnp.zeros(1, jnp.int32)}
      ... )
      >>> a = State(jnp.zeros((), jnp.int32), params, (), extra)
      >>> b = permute_units(model, a, {"dense_0": np.array([2, 0, 3, 1])})
      >>> matched = match_units(model, a, b)
      >>> matched.permutations["dense_0"].tolist(), float(matched.distance[-1])
      ([1, 3, 0, 2], 0.0)
    """
    not_in_jit("match_units")
    at_least("orders", orders, 1)
    if orders > 1 and key is None:
        raise InputError("key", None, "a key, root(seed), with more than one order")
    if key is not None:
        check_single_key(key)
    fixed = _variables(one_run("a", a))
    moved = _variables(one_run("b", b))
    check_params("a", fixed)
    check_same(fixed, moved, "b")
    layers = hidden_units(model, fixed)
    start, permutations = _first_sweep(layers, _numbers(fixed), _numbers(moved))
    sweeps: list[Iterator[list[Units]]] = [itertools.repeat(layers)]
    if key is not None:
        own = stream(key, "matching")
        sweeps += [_random_sweeps(layers, fold(own, i)) for i in range(1, orders)]
    results = [_improved(start, dict(permutations), each) for each in sweeps]
    found, distance = min(results, key=lambda result: result[1][-1])
    return Matched(_permuted(b, layers, found), found, distance)


def permute_units(model: nn.Module, state: State, permutations: Mapping[str, Any]) -> State:
    """Returns a network with its hidden units in another order, which is the same function.

    Args:
      model: the `MLP` or `CNN` of the state, without skip connections and groups.
      state: the state of one run.
      permutations: `{layer: [U]}`, for each new unit its old index. Other layers keep their order.

    Returns:
      The state with the order in all arrays that have the units, as in `Matched`.

    Raises:
      InputError: a network whose units cannot be permuted, an unknown layer, or indices that are
        no permutation.

    Example: see `match_units`.
    """
    layers = hidden_units(model, _variables(one_run("state", state)))
    of_kind("permutations", permutations, Mapping, "{layer: indices [U]}, as in Matched")
    sizes = {units.name: units.size for units in layers}
    orders = {}
    for name, order in permutations.items():
        if name not in sizes:
            raise InputError("permutations", name, f"the hidden layers {', '.join(sizes)}")
        indices = np.asarray(order)
        orders[name] = indices
        is_vector = indices.ndim == 1 and indices.dtype.kind in "iu"
        if not is_vector or sorted(indices.tolist()) != list(range(sizes[name])):
            allowed = f"each of 0 to {sizes[name] - 1} once, in one array [{sizes[name]}]"
            raise InputError(f"permutations[{name!r}]", order, allowed)
    return _permuted(state, layers, orders)


class _Problem(NamedTuple):
    """Two networks, the second one with its units in the present order; in float64."""

    a: _Arrays
    b: _Arrays

    def products(self, places: Any, size: int) -> Float[np.ndarray, "U U"]:
        """Returns the inner products of each unit of a with each unit of b."""
        total = np.zeros((size, size))
        for name, axis in places:
            if name in self.a:
                total += rows(self.a[name], axis, size).T @ rows(self.b[name], axis, size)
        return total

    def reordered(self, units: Units, order: Int[np.ndarray, " U"]) -> "_Problem":
        """Returns the problem with the units of a layer of b in another order."""
        b = dict(self.b)
        for name, axis in (*units.inward, units.outward):
            if name in b:
                b[name] = reorder(b[name], axis, order)
        return _Problem(self.a, b)

    def distance(self) -> float:
        """Returns the Euclidean distance of the parameters."""
        return float(np.sqrt(sum(np.square(x - self.b[name]).sum() for name, x in self.a.items())))

    def scale(self) -> float:
        """Returns the sum of the products of the norms of all arrays."""
        norms = (np.linalg.norm(x) * np.linalg.norm(self.b[name]) for name, x in self.a.items())
        return float(sum(norms))


def _random_sweeps(layers: list[Units], key: Key[Array, ""]) -> Iterator[list[Units]]:
    """Yields the layers in a random order for each sweep."""
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    while True:
        yield [layers[i] for i in random.permutation(len(layers))]


def _first_sweep(layers: list[Units], a: _Arrays, b: _Arrays) -> tuple[_Problem, Permutations]:
    """Matches each layer by its weights from the input or from matched layers."""
    problem = _Problem(a, b)
    permutations = {}
    for units in layers:
        places = units.inward
        if units is layers[-1]:
            # The order of the outputs is given, as that of the inputs is.
            places = (*places, units.outward)
        order = _best(problem.products(places, units.size))
        permutations[units.name] = order
        problem = problem.reordered(units, order)
    return problem, permutations


def _improved(
    problem: _Problem, permutations: Permutations, sweeps: Iterator[list[Units]]
) -> tuple[Permutations, Float[np.ndarray, " S"]]:
    """Improves one layer after the other, until a sweep changes nothing."""
    distance = [problem.distance()]
    least = _LEAST_GAIN * problem.scale()
    is_changed = True
    while is_changed:
        is_changed = False
        for units in next(sweeps):
            products = problem.products((*units.inward, units.outward), units.size)
            order = _best(products)
            gain = products[np.arange(units.size), order].sum() - np.trace(products)
            if gain > least:
                is_changed = True
                permutations[units.name] = permutations[units.name][order]
                problem = problem.reordered(units, order)
        distance.append(problem.distance())
    return permutations, np.array(distance)


def _best(products: Float[np.ndarray, "U U"]) -> Int[np.ndarray, " U"]:
    """Returns the assignment of columns to rows with the largest sum."""
    return linear_sum_assignment(products, maximize=True)[1].astype(np.int32)


def _variables(state: State) -> dict[str, Any]:
    """Returns the parameters and collections with which a state is evaluated."""
    final = inference(state)
    return {"params": final.params, **final.extra}


def _numbers(variables: Mapping[str, Any]) -> _Arrays:
    """Returns the parameters in float64, by name."""
    leaves = named_leaves({"params": variables["params"]})
    return {name: np.asarray(x).astype(np.float64) for name, x in leaves.items()}


def _permuted(state: State, layers: list[Units], permutations: Mapping[str, Any]) -> State:
    """Returns a state with permuted units, in parameters and in all arrays beside them."""
    shapes = {name: np.shape(x) for name, x in named_leaves(_variables(state)).items()}
    moves: dict[str, list[tuple[int, Any]]] = {}
    for units in layers:
        if units.name in permutations:
            for name, axis in (*units.inward, units.outward):
                moves.setdefault(name, []).append((axis, permutations[units.name]))

    ends = {name: f"/{name.removeprefix('params/')}" for name in shapes}

    def moved(path: Any, array: Array) -> Array:
        # Moments and averages have the path of the parameter at the end of theirs. The path of
        # head/norm_0/scale ends with norm_0/scale, too, so the longest name counts.
        fitting = [name for name, end in ends.items() if path_name(path).endswith(end)]
        name = max(fitting, key=len, default="")
        if name in moves and np.shape(array) == shapes[name]:
            for axis, order in moves[name]:
                array = jnp.asarray(reorder(array, axis, order))
        return array

    return jax.tree_util.tree_map_with_path(moved, state)
