"""Initial weights of other networks, bit by bit."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import models, tasks
from jaxdl.errors import CheckpointError, InputError
from jaxdl.layer_names import named_leaves
from jaxdl.training import InMemory, state_sha256
from tests.contract import language
from tests.transferred import (
    DENSE,
    FIRST,
    KEY,
    NORMS,
    STATISTICS,
    arrays,
    batch,
    equal,
    gan,
    images,
    net,
    row,
    start,
    trained,
    variables,
)


def test_all_arrays_are_copied():
    state = start(jaxdl.with_initial(net(), variables(trained())))
    assert equal(state, trained()) == set(arrays(state))
    plain = start(net())
    assert state.steps_done == 0
    assert state_sha256(state.replace(params={}, extra={})) == state_sha256(
        plain.replace(params={}, extra={})
    )


@pytest.mark.parametrize(
    ("choice", "copied"),
    [
        ({"skip": ["out"]}, NORMS | DENSE),
        ({"only": ["dense_0", "norm_0"]}, FIRST),
        ({"only": ["batch_stats"]}, STATISTICS),
        (
            {"skip": ["batch_stats", "out", "dense_1/kernel"]},
            (NORMS | DENSE) - STATISTICS - {"params/dense_1/kernel"},
        ),
        (
            {"only": ["norm_1"], "skip": ["norm_1/bias"]},
            {name for name in NORMS if "_1" in name} - {"params/norm_1/bias"},
        ),
    ],
)
def test_only_chosen_layers_are_copied(choice, copied):
    learner = net(outputs=7)
    source = jax.tree.map(lambda x: x + 0.5, variables(trained()))
    state = start(jaxdl.with_initial(learner, source, **choice))
    for name, x in arrays(state).items():
        expected = named_leaves(source)[name] if name in copied else arrays(start(learner))[name]
        np.testing.assert_array_equal(x, expected, name)


def test_init_is_pure_and_traceable():
    learner = jaxdl.with_initial(net(), variables(trained()), skip=["out"])
    eager = start(learner)
    compiled = jax.jit(learner.init)(jaxdl.root(0), batch())
    assert equal(eager, compiled) == set(arrays(eager))
    shapes = jax.eval_shape(learner.init, jaxdl.root(0), batch())
    assert jax.tree.map(jnp.shape, shapes) == jax.tree.map(jnp.shape, eager)
    assert not any(x.weak_type for x in jax.tree.leaves(eager))
    other = start(learner, seed=1)
    assert set(arrays(eager)) - equal(eager, other) == {"params/out/kernel"}


def test_the_copied_arrays_are_copies():
    """Training donates its state, and the caller may change arrays of NumPy."""
    given = jax.tree.map(np.array, variables(trained()))
    learner = jaxdl.with_initial(net(), given)
    before = arrays(trained())
    given["params"]["out"]["bias"][:] = 99
    step = jax.jit(learner.step, donate_argnums=0)
    for _ in range(2):
        state = start(learner)
        for name, x in arrays(state).items():
            np.testing.assert_array_equal(x, before[name])
        for _ in range(2):
            state, _ = step(state, batch(), KEY)
    live = start(net())
    copied = jaxdl.with_initial(net(), variables(live))
    expected = arrays(live)
    step(live, batch(), KEY)
    for name, x in arrays(start(copied)).items():
        np.testing.assert_array_equal(x, expected[name])


def test_the_optimizer_starts_at_the_copied_weights():
    free = jaxdl.optimizers.optimizer("schedule_free", 0.1)
    state = start(jaxdl.with_initial(net(optimizer=free), variables(trained())))
    (node,) = jaxdl.optimizer_states.schedule_free(state.opt)
    assert equal(state.replace(params=node.z), trained()) == set(arrays(trained()))


def test_an_average_starts_at_the_copied_weights():
    learner = jaxdl.with_ema(jaxdl.with_initial(net(), variables(trained())), 0.9)
    state = start(learner)
    average = state.replace(params=state.wrapped["ema"])
    assert equal(average, trained()) == set(arrays(trained()))


def test_members_start_from_the_same_weights():
    learner = jaxdl.with_initial(net(optimizer=optax.sgd(0.0)), variables(trained()), skip=["out"])
    states = jaxdl.train(learner, row().data, key=jaxdl.root([3, 4]), steps=1, batch_size=8)
    for i in range(2):
        member = states.member(i)
        alone = learner.init(jaxdl.stream(jaxdl.root(3 + i), "init"), batch())
        assert {f"params/{name}" for name in named_leaves(alone.params)} <= equal(member, alone)
    assert "params/out/kernel" not in equal(states.member(0), states.member(1))
    assert equal(states.member(0), trained()) >= DENSE


def test_runs_of_a_sweep_start_from_the_same_weights():
    def make(rate):
        optimizer = jaxdl.optimizers.optimizer("sgd", rate)
        return jaxdl.with_initial(net(optimizer=optimizer), variables(trained()))

    grid = jaxdl.sweep(make, rate=[0.1, 0.2])
    states = grid.init(jaxdl.root([0, 1]), batch())
    for i in range(2):
        assert equal(states.member(i), trained()) == set(arrays(trained()))


def test_the_recurrent_state_is_not_copied():
    made = language(carried=True)
    learner = made.learner(optax.sgd(0.1))
    fields = {name: jnp.asarray(x) for name, x in made.data.arrays.items()}
    state = learner.init(KEY, {name: x[:4] for name, x in fields.items()})
    other = jax.tree.map(lambda x: x + 1, variables(state))
    copied = jaxdl.with_initial(learner, other)
    small = copied.init(KEY, {name: x[:2] for name, x in fields.items()})
    assert all((x == 0).all() and len(x) == 2 for x in jax.tree.leaves(small.extra["carry"]))
    for name, x in named_leaves(small.params).items():
        np.testing.assert_array_equal(x, named_leaves(other["params"])[name])


def test_both_networks_of_a_gan_are_copied():
    _, learner = gan()
    source = jax.tree.map(lambda x: x + 1, learner.init(KEY, images()))
    given = variables(source)
    state = jaxdl.with_initial(learner, given).init(KEY, images())
    assert equal(state, source) == set(arrays(source))
    state = jaxdl.with_initial(learner, given, only=["generator"]).init(KEY, images())
    same = equal(state, source)
    assert same == {name for name in arrays(state) if "generator" in name}
    assert "generator/batch_stats/body/norm_0/mean" in same


def test_a_store_of_a_run_with_other_initial_weights_is_refused():
    others = jax.tree.map(lambda x: x + 0.5, variables(trained()))
    store = InMemory()
    arguments = {"key": KEY, "steps": 4, "batch_size": 8, "save_every": 2, "store": store}
    learner = jaxdl.with_initial(net(), variables(trained()))
    jaxdl.train(learner, row().data, stop_after=2, **arguments)
    for other in (net(), jaxdl.with_initial(net(), others)):
        with pytest.raises(
            CheckpointError, match="^store: the initialization is program .* in the"
        ):
            jaxdl.train(other, row().data, **arguments)
    again = jaxdl.with_initial(net(), variables(trained()))
    resumed = jaxdl.train(again, row().data, **arguments)
    whole = jaxdl.train(again, row().data, key=KEY, steps=4, batch_size=8)
    assert state_sha256(resumed) == state_sha256(whole)


def changed(name: str, value):
    """Returns the trained arrays with one of them replaced, or removed for None."""
    leaves = arrays(trained())
    leaves[name] = value
    tree: dict = {}
    for path, x in leaves.items():
        *layers, last = path.split("/")
        node = tree
        for layer in layers:
            node = node.setdefault(layer, {})
        if x is not None:
            node[last] = x
    return tree


START = "which start as in a run without them"


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: start(jaxdl.with_initial(net(outputs=7), variables(trained()))),
            "variables: got 'out/bias float32[3], out/kernel float32[4, 3]', "
            f"allowed: float32[7], float32[4, 7]; or skip=['out'], {START}",
        ),
        (
            lambda: start(jaxdl.with_initial(net(), changed("params/norm_0/bias", None))),
            "variables: got 'norm_0/bias missing', "
            f"allowed: float32[6]; or skip=['norm_0'], {START}",
        ),
        (
            lambda: start(
                jaxdl.with_initial(net(), changed("batch_stats/norm_1/mean", np.zeros(4)))
            ),
            "variables: got 'batch_stats/norm_1/mean float64[4]', "
            f"allowed: float32[4]; or skip=['norm_1'], {START}",
        ),
        (
            lambda: start(jaxdl.with_initial(net(), {"params": {}}, skip=["batch_stats"])),
            "variables: got 'dense_0/kernel missing, dense_1/kernel missing, norm_0/bias missing, "
            "norm_0/scale missing, and 4 more', allowed: float32[5, 6], float32[6, 4], float32[6], "
            f"float32[6]; or skip=['dense_0', 'dense_1', 'norm_0', 'norm_1', 'out'], {START}",
        ),
        (
            lambda: start(jaxdl.with_initial(net(), variables(trained()), ["dense"])),
            "only: got 'dense', allowed: batch_stats, batch_stats/norm_0, batch_stats/norm_1, "
            "dense_0, dense_1, norm_0, norm_1, out (did you mean 'dense_1'?)",
        ),
        (
            lambda: jaxdl.with_initial(net(), trained().params),
            "variables: got ['dense_0', 'dense_1', 'norm_0', 'norm_1', 'out'], "
            'allowed: the arrays of a network, {"params": state.params, **state.extra}',
        ),
        (
            lambda: jaxdl.with_initial(net(), trained()),
            "variables: got <class 'jaxdl.core.State'>, "
            'allowed: the arrays of a network, {"params": state.params, **state.extra}',
        ),
        (
            lambda: jaxdl.with_initial(jaxdl.with_ema(net(), 0.9), variables(trained())),
            "learner: got 'a wrapped learner', "
            "allowed: a result of jaxdl.learner; apply other wrappers after with_initial",
        ),
        (
            lambda: jaxdl.with_initial(tasks.classify(models.MLP()), variables(trained())),
            "learner: got <class 'jaxdl.tasks.task.Task'>, "
            "allowed: a learner; for a sweep, the one inside of `make`",
        ),
        (
            lambda: jaxdl.with_initial(
                jaxdl.sweep(lambda rate: net(optimizer=optax.sgd(rate)), rate=[0.1]), {}
            ),
            "learner: got <class 'jaxdl.core.Sweep'>, "
            "allowed: a learner; for a sweep, the one inside of `make`",
        ),
    ],
)
def test_bad_initial_weights_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line
