"""Tests of matched units: the same function, known permutations, brute force, invariances."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.core import State, inference
from jaxdl.errors import InputError
from jaxdl.landscape import match_units, permute_units
from jaxdl.landscape.units import hidden_units
from jaxdl.models import CNN, MLP, Conditional, Stage
from jaxdl.rng import root
from tests.models.random_variables import random_variables

SHAPE = (8, 8, 2)

STAGES = (Stage(4, convs=2), Stage(5, padding="VALID", pool=None))

MODELS = {
    "mlp": MLP((5,), 3),
    "mlp_deep": MLP((6, 4, 5), 3, activation="tanh"),
    "mlp_batch": MLP((5, 4), 3, norm="batch"),
    "mlp_layer": MLP((5, 4), 3, norm="layer"),
    "mlp_weight": MLP((5, 4), 3, norm="weight"),
    "cnn": CNN(STAGES, (6,), 3),
    "cnn_batch": CNN(STAGES, (6, 4), 3, norm="batch"),
    "cnn_instance": CNN(STAGES, (), 3, norm="instance"),
    "cnn_some_norms": CNN((Stage(4), Stage(3, use_norm=False)), (), 3, norm="rms"),
    # norm_0 and head/norm_0 have arrays of equal shapes.
    "cnn_equal": CNN((Stage(4), Stage(4)), (4, 4), 3, norm="layer"),
    "cnn_equal_batch": CNN((Stage(4), Stage(4)), (4, 4), 3, norm="batch"),
    "cnn_pooled": CNN(STAGES, (4,), 3, head_size=2),
    "cnn_maps": CNN(STAGES, outputs=None),
}


def network(model, seed=1):
    """Returns a state with random parameters and random running statistics."""
    variables = dict(random_variables(model, jnp.zeros((1, *SHAPE)), seed))
    params = variables.pop("params")
    rng = np.random.default_rng(seed)
    extra = jax.tree.map(
        lambda x: jnp.asarray(rng.uniform(0.5, 2, x.shape), jnp.float32), variables
    )
    return State(jnp.zeros((), jnp.int32), params, (), extra)


def random_orders(model, state, seed=0):
    """Returns a random permutation of each hidden layer."""
    rng = np.random.default_rng(seed)
    variables = {"params": state.params, **state.extra}
    return {each.name: rng.permutation(each.size) for each in hidden_units(model, variables)}


def outputs(model, state, count=5):
    x = jnp.asarray(np.random.default_rng(3).normal(size=(count, *SHAPE)), jnp.float32)
    return model.apply({"params": state.params, **state.extra}, x, train=False)


def distance(a, b):
    parts = jax.tree.map(lambda x, y: float(((x - y) ** 2).sum()), a.params, b.params)
    return np.sqrt(sum(jax.tree.leaves(parts)))


def assert_equal(a, b):
    assert jax.tree.structure((a.params, a.extra)) == jax.tree.structure((b.params, b.extra))
    jax.tree.map(np.testing.assert_array_equal, (a.params, a.extra), (b.params, b.extra))


@pytest.mark.parametrize("name", MODELS)
def test_a_permuted_network_is_the_same_function(name):
    model = MODELS[name]
    state = network(model)
    permuted = permute_units(model, state, random_orders(model, state))
    assert distance(state, permuted) > 1
    expected = outputs(model, state)
    np.testing.assert_allclose(outputs(model, permuted), expected, rtol=1e-4, atol=1e-5)
    assert np.ptp(expected) > 0.1


@pytest.mark.parametrize("name", MODELS)
def test_a_known_permutation_is_recovered_exactly(name):
    model = MODELS[name]
    a = network(model)
    orders = random_orders(model, a)
    found = match_units(model, a, permute_units(model, a, orders))
    assert_equal(found.state, a)
    assert found.distance[-1] == 0
    assert list(found.permutations) == list(orders)
    for layer, order in orders.items():
        np.testing.assert_array_equal(found.permutations[layer], np.argsort(order))


@pytest.mark.parametrize("name", MODELS)
def test_matching_keeps_the_function_and_lowers_the_distance(name):
    model = MODELS[name]
    a = network(model, 1)
    b = network(model, 2)
    found = match_units(model, a, b)
    np.testing.assert_allclose(outputs(model, found.state), outputs(model, b), rtol=1e-4, atol=1e-5)
    assert_equal(found.state, permute_units(model, b, found.permutations))
    assert found.distance[-1] == pytest.approx(distance(a, found.state), rel=1e-5)
    assert distance(a, found.state) < distance(a, b)


def test_one_hidden_layer_has_the_best_of_all_permutations():
    model = MODELS["mlp"]
    for seed in range(5):
        a = network(model, seed)
        b = network(model, seed + 10)
        every = [
            distance(a, permute_units(model, b, {"dense_0": np.array(order)}))
            for order in itertools.permutations(range(5))
        ]
        found = match_units(model, a, b)
        assert len(every) == 120
        assert distance(a, found.state) == pytest.approx(min(every), rel=1e-6)


def test_no_other_order_of_one_layer_is_better():
    model = MLP((4, 3), 3)
    a = network(model, 1)
    b = network(model, 2)
    found = match_units(model, a, b)
    for layer, size in (("dense_0", 4), ("dense_1", 3)):
        for order in itertools.permutations(range(size)):
            other = permute_units(model, found.state, {layer: np.array(order)})
            assert distance(a, other) >= found.distance[-1] - 1e-5


def test_the_distance_never_rises_and_more_orders_are_no_worse(key):
    model = MODELS["mlp_deep"]
    last = []
    for seed in range(20):
        a = network(model, seed)
        b = network(model, seed + 50)
        one = match_units(model, a, b)
        several = match_units(model, a, b, key, orders=4)
        for each in (one, several):
            assert (np.diff(each.distance) <= 0).all()
        assert several.distance[-1] <= one.distance[-1]
        last.append((one.distance[0], one.distance[-1], several.distance[-1]))
    first, one, several = np.transpose(last)
    # Both improve some of the 20 networks, or this test would show nothing.
    assert (one < first).any() and (several < one).any()


@pytest.mark.parametrize("name", ["mlp_deep", "mlp_batch", "cnn", "cnn_batch"])
def test_the_result_does_not_depend_on_the_order_of_the_units(name, key):
    model = MODELS[name]
    a = network(model, 1)
    b = network(model, 2)
    orders = random_orders(model, b, 7)
    moved = permute_units(model, b, orders)
    for orders_tried in (1, 3):
        found = match_units(model, a, b, key, orders=orders_tried)
        again = match_units(model, a, moved, key, orders=orders_tried)
        assert_equal(found.state, again.state)
        for layer, order in orders.items():
            back = order[again.permutations[layer]]
            np.testing.assert_array_equal(back, found.permutations[layer])


def test_units_follow_positions_where_maps_are_flattened():
    model = MODELS["cnn"]
    state = network(model)
    units = {each.name: each for each in hidden_units(model, {"params": state.params})}
    assert list(units) == ["conv_0a", "conv_0b", "conv_1", "head/dense_0"]
    order = np.array([2, 0, 4, 1, 3])
    moved = permute_units(model, state, {"conv_1": order})
    kernel = np.asarray(state.params["head"]["dense_0"]["kernel"]).reshape(2, 2, 5, 6)
    np.testing.assert_array_equal(
        moved.params["head"]["dense_0"]["kernel"], kernel[:, :, order].reshape(20, 6)
    )


def test_averaged_weights_are_matched():
    model = MODELS["mlp"]
    a = network(model, 1)
    b = network(model, 2)
    averaged = b.replace(params=network(model, 3).params, wrapped={"ema": b.params})
    found = match_units(model, a, averaged)
    expected = match_units(model, a, b)
    assert_equal(inference(found.state), expected.state)
    np.testing.assert_array_equal(found.distance, expected.distance)
    order = expected.permutations["dense_0"]
    kernel = averaged.params["dense_0"]["kernel"][:, order]
    np.testing.assert_array_equal(found.state.params["dense_0"]["kernel"], kernel)


@pytest.mark.parametrize("optimizer", ["adam", "nesterov", "schedule_free"])
def test_training_from_permuted_units_permutes_the_result(optimizer, key):
    data, _ = jaxdl.data.load("digits")
    batch = {name: jnp.asarray(x[:50]) for name, x in data.arrays.items()}
    model = MLP((5, 4), norm="batch")
    task = jaxdl.tasks.classify(model)
    made = jaxdl.optimizers.optimizer(optimizer, 1e-2)
    net = jaxdl.wrappers.with_ema(jaxdl.learner(task.init, *task.updates(made)), 0.9)
    step = jax.jit(net.step)
    state, _ = step(net.init(key, batch), batch, key)
    orders = random_orders(model, state)
    one = permute_units(model, step(state, batch, key)[0], orders)
    other, _ = step(permute_units(model, state, orders), batch, key)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5), one, other)


def test_trained_networks_are_matched(key):
    train, _ = jaxdl.data.load("digits")
    model = MLP((32,), norm="batch")
    task = jaxdl.tasks.classify(model)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-2)))
    states = jaxdl.train(net, train, key=root([0, 1]), steps=50)
    a, b = states.members()
    found = match_units(model, a, b)
    assert found.distance[-1] < 0.9 * distance(a, b)
    loss = partial(jaxdl.evaluate, net, data=train)
    assert loss(state=found.state)["loss"] == pytest.approx(loss(state=b)["loss"], rel=1e-4)


A = network(MODELS["mlp"])
SEVERAL = jax.tree.map(lambda x: jnp.stack([x, x]), A)
NAN = A.replace(params=jax.tree.map(lambda x: x * jnp.nan, A.params))
NORM = MLP((4,), 3, norm="group")

BAD = {
    "residual": (
        lambda: match_units(CNN((Stage(4, residual=True),), (), 3), A, A),
        r"stages\[0\].residual: got True, allowed: False; a skip connection ties",
    ),
    "groups": (
        lambda: match_units(CNN((Stage(4), Stage(4, groups=2)), (), 3), A, A),
        r"stages\[1\].groups: got 2, allowed: 1; groups divide units by their order",
    ),
    "norm": (
        lambda: match_units(NORM, A, A),
        "norm: got 'group', allowed: another norm, such as 'batch'",
    ),
    "module": (
        lambda: match_units(Conditional(MLP((4,), 3), 3), A, A),
        "model: got 'Conditional', allowed: an MLP, or a CNN without skip",
    ),
    "no_hidden": (
        lambda: match_units(MLP((), 3), A, A),
        "model: got 'MLP without hidden layers', allowed: one with some",
    ),
    "other_model": (
        lambda: match_units(MODELS["cnn"], A, A),
        "parameters: got 'no conv_0a/kernel', allowed: those of the model",
    ),
    "shapes": (
        lambda: match_units(MODELS["mlp"], A, network(MLP((4,), 3))),
        r"b: got 'params/dense_0/bias \[4\]', allowed: the shape \[5\]",
    ),
    "layers": (
        lambda: match_units(MODELS["mlp"], A, network(MODELS["mlp_deep"])),
        r"b: got '?\"?params/dense_1/bias",
    ),
    "runs": (
        lambda: match_units(MODELS["mlp"], A, SEVERAL),
        r"b: got '2 runs', allowed: the state of one run, state.member\(i\)",
    ),
    "params": (
        lambda: match_units(MODELS["mlp"], A.params, A),
        "a: got <class 'dict'>, allowed: the state of one run, such as that of `train`",
    ),
    "finite": (
        lambda: match_units(MODELS["mlp"], A, NAN),
        "b: got 'NaN or infinity in params/dense_0/bias'",
    ),
    "orders": (lambda: match_units(MODELS["mlp"], A, A, orders=0), "orders: got 0, allowed"),
    "key": (
        lambda: match_units(MODELS["mlp"], A, A, orders=2),
        "key: got None, allowed: a key, root",
    ),
    "layer": (
        lambda: permute_units(MODELS["mlp"], A, {"dense_1": [0, 1]}),
        "permutations: got 'dense_1', allowed: the hidden layers dense_0",
    ),
    "mapping": (
        lambda: permute_units(MODELS["mlp"], A, [[1, 0, 2, 3, 4]]),
        r"permutations: got .*, allowed: {layer: indices \[U\]}, as in Matched",
    ),
    "floats": (
        lambda: permute_units(MODELS["mlp"], A, {"dense_0": np.arange(5.0)}),
        r"permutations\['dense_0'\]: got .*, allowed: each of 0 to 4 once",
    ),
    "permutation": (
        lambda: permute_units(MODELS["mlp"], A, {"dense_0": [0, 1, 2, 3, 3]}),
        r"permutations\['dense_0'\]: got .*, allowed: each of 0 to 4 once",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_values_are_refused_in_one_line(name):
    call, message = BAD[name]
    with pytest.raises(InputError, match=message) as raised:
        call()
    assert "\n" not in str(raised.value)
