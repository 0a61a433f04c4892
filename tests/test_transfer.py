"""Initial weights of other networks and frozen layers, bit by bit and against plain JAX."""

import functools
from collections import Counter
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import models, nn, tasks
from jaxdl.core import Learner, State
from jaxdl.errors import CheckpointError, InputError
from jaxdl.metrics import mean, means
from jaxdl.selection import named_leaves
from jaxdl.training import InMemory, Pmapped, Sharded, state_sha256
from tests.contract import SIZE, classifier, language, pictures, random_set

KEY = jax.random.key(5)
ADAM = jaxdl.optimizers.optimizer("adamw", 0.01, weight_decay=0.1)


def arrays(state: State) -> dict:
    """Returns copies of all parameters and collections of a state, by name."""
    return named_leaves(jax.device_get(variables(state)))


def variables(state: State) -> dict:
    return {"params": state.params, **state.extra}


def equal(a: State, b: State) -> set[str]:
    """Returns the names of the arrays that are equal in every bit."""
    first = arrays(a)
    second = arrays(b)
    assert first.keys() == second.keys()
    return {name for name in first if first[name].tobytes() == second[name].tobytes()}


@functools.cache
def row():
    """Returns a classifier with BatchNorm after both hidden layers."""
    return classifier(models.MLP((6, 4), 3, norm="batch"), (5,))


def batch(size: int = 8) -> dict:
    return {name: jnp.asarray(x[:size]) for name, x in row().data.arrays.items()}


def net(outputs: int = 3, optimizer=ADAM, change: Callable = lambda update: update) -> Learner:
    task = tasks.classify(models.MLP((6, 4), outputs, norm="batch"))
    return jaxdl.learner(task.init, *map(change, task.updates(optimizer)))


@functools.cache
def trained() -> State:
    """Returns the state after some steps, whose statistics differ from the initial ones."""
    return jaxdl.train(net(), row().data, key=KEY, steps=5, batch_size=8)


def start(learner: Learner, seed: int = 0, size: int = 8) -> State:
    return learner.init(jaxdl.root(seed), batch(size))


# Initial weights.


def test_all_arrays_are_copied():
    state = start(jaxdl.with_initial(net(), variables(trained())))
    assert equal(state, trained()) == set(arrays(state))
    plain = start(net())
    assert state.steps_done == 0
    assert state_sha256(state.replace(params={}, extra={})) == state_sha256(
        plain.replace(params={}, extra={})
    )


STATISTICS = {f"batch_stats/norm_{i}/{name}" for i in (0, 1) for name in ("mean", "var")}
NORMS = STATISTICS | {f"params/norm_{i}/{name}" for i in (0, 1) for name in ("scale", "bias")}
DENSE = {"params/dense_0/kernel", "params/dense_1/kernel"}
FIRST = {name for name in NORMS | DENSE if "_0" in name}


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


def gan(outputs: int = 1, change: Callable = lambda updates: updates):
    """Returns the task and the learner of a GAN whose networks have layers of the same names."""
    generator = models.Reshaped(models.MLP((6,), 4, norm="batch"), (2, 2, 1))
    discriminator = models.MLP((6,), outputs, norm="batch")
    task = tasks.gan(generator, discriminator, latent=3, spectral_norm=True)
    updates = change(task.updates(optax.sgd(0.1), optax.sgd(0.1)))
    return task, jaxdl.learner(task.init, *updates)


def images(size: int = 8) -> dict:
    return {"input": jnp.asarray(pictures(4, 2, 2, 1).arrays["input"][:size])}


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


# Frozen layers.


def all_but_out(update):
    return jaxdl.freeze(update, skip=["out"])


def first(update):
    return jaxdl.freeze(update, ["dense_0", "norm_0"])


@pytest.mark.parametrize(
    ("change", "frozen"),
    [
        (first, FIRST),
        (all_but_out, NORMS | DENSE),
        (lambda update: jaxdl.accumulate(first(update), 2), FIRST),
        (lambda update: first(jaxdl.accumulate(update, 2)), FIRST),
        (lambda update: jaxdl.freeze(update, ["dense_1/kernel"]), {"params/dense_1/kernel"}),
    ],
    ids=["first", "all but out", "accumulated", "accumulated first", "one array"],
)
def test_frozen_layers_keep_their_bits_for_50_steps(change, frozen):
    learner = jaxdl.with_initial(net(change=change), variables(trained()))
    state = jaxdl.train(learner, row().data, key=KEY, steps=50, batch_size=8)
    assert equal(state, trained()) == frozen
    assert state.steps_done == 50


@pytest.mark.parametrize("strategy", [Sharded, Pmapped], ids=["sharded", "pmap"])
def test_frozen_layers_keep_their_bits_on_several_devices(strategy):
    """The head sees running statistics only, so each strategy computes the same steps."""
    learner = jaxdl.with_initial(net(change=all_but_out), variables(trained()))
    arguments = {"key": KEY, "steps": 6, "batch_size": 9}
    many = jaxdl.train(learner, row().data, strategy=strategy(jax.devices()[:3]), **arguments)
    one = jaxdl.train(learner, row().data, strategy=jaxdl.strategy("single"), **arguments)
    assert equal(many, trained()) == NORMS | DENSE
    for name, x in arrays(many).items():
        np.testing.assert_allclose(x, arrays(one)[name], rtol=2e-5, atol=2e-6)


def test_members_and_averages_with_frozen_layers():
    learner = jaxdl.with_initial(net(change=first), variables(trained()))
    states = jaxdl.train(
        jaxdl.with_ema(learner, 0.9), row().data, key=jaxdl.root([1, 2]), steps=8, batch_size=8
    )
    for member in states.members():
        assert equal(member, trained()) == FIRST
        average = member.replace(params=member.wrapped["ema"])
        assert equal(average, trained()) == FIRST


def test_the_order_of_freezing_and_accumulating_does_not_matter():
    nets = [
        net(change=lambda update: jaxdl.accumulate(first(update), 4)),
        net(change=lambda update: first(jaxdl.accumulate(update, 4))),
    ]
    states = [jax.jit(each.step)(start(each), batch(), KEY)[0] for each in nets]
    assert state_sha256(states[0]) == state_sha256(states[1])


def test_parts_of_a_batch_have_the_gradient_of_the_whole():
    """With all norms frozen no example depends on another one."""
    whole = net(change=all_but_out)
    parts = net(change=lambda update: jaxdl.accumulate(all_but_out(update), 4))
    a, b = (jax.jit(each.step)(start(each), batch(), KEY) for each in (whole, parts))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-6), a, b)


def test_the_trained_layer_gets_the_gradient_of_evaluation():
    """With all norms frozen the loss is that of evaluation, in which plain JAX trains the head."""
    plain = net()
    learner = jaxdl.with_initial(net(change=all_but_out, optimizer=ADAM), variables(trained()))
    state = start(learner)
    head = state.params["out"]
    opt = ADAM.init({"out": head})

    def loss(head):
        params = {**trained().params, "out": head}
        return mean(plain.evaluate(trained().replace(params=params), batch(), KEY)["loss"])

    step = jax.jit(learner.step)
    for _ in range(4):
        state, metrics = step(state, batch(), KEY)
        value, gradient = jax.value_and_grad(loss)(head)
        np.testing.assert_allclose(means(metrics)["loss"], value, rtol=1e-5)
        delta, opt = ADAM.update({"out": gradient}, opt, {"out": head})
        head = optax.apply_updates({"out": head}, delta)["out"]
        for name in head:
            np.testing.assert_allclose(state.params["out"][name], head[name], rtol=1e-4, atol=1e-6)


def test_frozen_parameters_have_no_optimizer_state():
    state = start(net(change=first, optimizer=optax.adam(0.1)))
    assert set(state.opt[0][0].mu) == {"dense_1", "norm_1", "out"}
    state = start(net(change=lambda update: jaxdl.freeze(update, skip=["out/bias"])))
    assert max(x.ndim for x in jax.tree.leaves(state.opt)) == 1


def test_frozen_norms_accept_one_example():
    learner = net(change=all_but_out)
    _, metrics = jax.jit(learner.step)(start(learner), batch(1), KEY)
    expected = learner.evaluate(start(learner), batch(1), KEY)
    np.testing.assert_allclose(metrics["loss"], expected["loss"], rtol=1e-5)
    with pytest.raises(InputError, match="^norm_1: got"):
        other = net(change=first)
        other.step(start(other), batch(1), KEY)


def test_evaluation_is_that_of_the_plain_learner():
    learner = net(change=first)
    state = start(learner)
    assert means(learner.evaluate(state, batch(), KEY)) == means(
        net().evaluate(state, batch(), KEY)
    )


def test_frozen_dropout_still_drops():
    task = tasks.classify(models.MLP((6,), 3, dropout=0.5))
    learner = jaxdl.learner(task.init, jaxdl.freeze(*task.updates(ADAM), skip=["out"]))
    state = start(learner)
    losses = [float(learner.step(state, batch(), jaxdl.root(i))[1]["loss"][0]) for i in range(2)]
    assert losses[0] != losses[1]


def operations(jaxpr, names: tuple[str, ...]) -> Counter:
    """Counts operations of a trace, also in those inside of others."""
    found = Counter(eqn.primitive.name for eqn in jaxpr.eqns if eqn.primitive.name in names)
    for eqn in jaxpr.eqns:
        for value in jax.tree.leaves(eqn.params, is_leaf=lambda x: hasattr(x, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                found += operations(inner, names)
    return found


PRODUCTS = ("dot_general", "conv_general_dilated")


@functools.cache
def cnn_products(choice: tuple[str, ...] | None, part: str = "step") -> Counter:
    """Counts the products of the default CNN with smaller layers and all but `choice` frozen."""
    stages = (models.Stage(2), models.Stage(3), models.Stage(3, pool=None))
    task = tasks.classify(models.CNN(stages, (4,), 3, dropout=0.3, norm="batch"))
    (update,) = task.updates(ADAM)
    if choice is not None:
        update = jaxdl.freeze(update, skip=list(choice))
    learner = jaxdl.learner(task.init, update)
    x = {"input": jnp.ones((4, 8, 8, 1)), "label": jnp.zeros(4, jnp.int32)}
    state = jax.eval_shape(learner.init, KEY, x)
    return operations(jax.make_jaxpr(getattr(learner, part))(state, x, KEY).jaxpr, PRODUCTS)


def test_no_product_of_frozen_layers_is_in_the_step():
    forward = cnn_products(None, "evaluate")
    head = cnn_products(("head",))
    # Both dense layers have a gradient of weights, and the second one that of its input.
    assert head["dot_general"] == forward["dot_general"] + 3
    assert head["conv_general_dilated"] == forward["conv_general_dilated"]
    out = cnn_products(("head/out",))
    assert out["dot_general"] == forward["dot_general"] + 1
    assert out["conv_general_dilated"] == forward["conv_general_dilated"]
    everything = cnn_products(None)
    assert (
        everything["conv_general_dilated"]
        > cnn_products(("head", "conv_2", "norm_2"))["conv_general_dilated"]
    )


def test_a_frozen_layer_between_trained_ones_has_no_gradient_of_its_weights():
    """The gradient passes through the layer, so that its input has one."""
    task = tasks.classify(models.MLP((6, 4), 3))
    counts = {}
    for name in (None, "dense_1"):
        (update,) = task.updates(optax.sgd(0.1))
        if name is not None:
            update = jaxdl.freeze(update, [name])
        learner = jaxdl.learner(task.init, update)
        text = jax.jit(learner.step).lower(start(learner), batch(), KEY).compile().as_text()
        counts[name] = text.count(" dot(") + text.count("__onednn$matmul")
    assert counts["dense_1"] == counts[None] - 1


@pytest.mark.parametrize("parts", [1, 2])
def test_each_network_of_a_gan_is_frozen_separately(parts):
    """Both networks have a layer `dense_0` and a norm. Those of the discriminator are frozen."""
    names = ["discriminator/dense_0", "discriminator/norm_0"]

    def change(updates):
        return jaxdl.freeze(jaxdl.accumulate(updates[0], parts), names), updates[1]

    _, learner = gan(change=change)
    state = learner.init(KEY, images())
    after, _ = jax.jit(learner.step)(state, images(), KEY)
    same = equal(state, after)
    frozen = {name for name in arrays(state) if "discriminator" in name and "out" not in name}
    # The vector of a kernel with one output is 1 or -1.
    assert same - {"spectral/out/kernel"} == frozen
    # The generator's update does not train the discriminator, whose statistics are not used there.
    _, plain = gan()
    reference, _ = jax.jit(plain.step)(state, images(), KEY)
    assert {name for name in arrays(state) if "generator" in name}.isdisjoint(same)
    assert not equal(after, reference) & {"discriminator/batch_stats/norm_0/mean"}


def test_a_frozen_recurrent_layer_still_has_a_state():
    made = language(carried=True)
    learner = jaxdl.learner(made.init, jaxdl.freeze(*made.updates(optax.sgd(0.1)), ["body"]))
    fields = {name: jnp.asarray(x[:8]) for name, x in made.data.arrays.items()}
    state = learner.init(KEY, fields)
    after, _ = jax.jit(learner.step)(state, fields, KEY)
    same = equal(state, after)
    assert {name for name in arrays(state) if name.startswith("params/body")} <= same
    assert not any(name.startswith("carry") for name in same)


def test_statistics_of_a_custom_loss_are_kept():
    """A loss that calls the model itself, with its networks in two entries, is frozen too."""
    model = models.MLP((4,), 2, norm="batch")
    x = jnp.asarray(np.random.default_rng(0).normal(size=(8, 3)), jnp.float32)

    def init(key, batch):
        made = model.init(key, batch["x"], train=False)
        return {"net": made["params"]}, {"net": {"batch_stats": made["batch_stats"]}}

    def loss(params, extra, batch, key, *, train):
        y, updated = model.apply(
            {"params": params["net"], **extra["net"]},
            batch["x"],
            train=train,
            mutable="batch_stats",
        )
        total = jaxdl.metrics.total((y**2).sum(-1))
        return total, ({"net": updated}, {"loss": total})

    update = jaxdl.freeze(jaxdl.Update(loss, optax.sgd(0.1)), ["net/dense_0", "net/norm_0"])
    learner = jaxdl.learner(init, update)
    state = learner.init(KEY, {"x": x})
    after, _ = jax.jit(learner.step)(state, {"x": x}, KEY)
    same = {name for name in arrays(state) if "out" not in name}
    assert equal(state, after) == same


def test_a_larger_network_in_two_stages():
    """The documented way: the head first, then all layers at a smaller rate."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(SIZE, 5)).astype(np.float32)
    data = random_set(3, input=x, label=(x[:, 0] > 0).astype(np.int32))
    head = jaxdl.with_initial(net(2, change=all_but_out), variables(trained()), skip=["out"])
    state = jaxdl.train(head, data, key=KEY, steps=20, batch_size=8)
    slow = jaxdl.optimizers.optimizer("adam", 1e-3)
    whole = jaxdl.with_initial(net(2, optimizer=slow), variables(state))
    tuned = jaxdl.train(whole, data, key=KEY, steps=20, batch_size=8)
    assert equal(tuned, state) == set()
    assert (
        jaxdl.evaluate(whole, tuned, data)["loss"] < jaxdl.evaluate(head, start(head), data)["loss"]
    )


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: start(net(change=lambda update: jaxdl.freeze(update, ["dense_9"]))),
            "freeze only: got 'dense_9', allowed: dense_0, dense_1, norm_0, norm_1, out "
            "(did you mean 'dense_1'?)",
        ),
        (
            lambda: start(net(change=lambda update: jaxdl.freeze(update))),
            "freeze: got 'all layers', allowed: fewer layers; some must train",
        ),
        (
            lambda: first(first(net_update())),
            "update: got \"freeze(..., only=['dense_0', 'norm_0'])\", "
            "allowed: an update without frozen layers; name all of them in one call",
        ),
        (
            lambda: jaxdl.freeze(optax.adam(0.1), ["dense_0"]),
            "update: got <class 'optax._src.base.GradientTransformationExtraArgs'>, "
            "allowed: an Update, such as that of task.updates(optax.adam(1e-3))",
        ),
        (
            lambda: jaxdl.freeze(net_update(), "dense_0"),
            "only: got 'dense_0', allowed: None or a list of layers: ['dense_0']",
        ),
        (
            lambda: start(
                net(change=first, optimizer=jaxdl.optimizers.optimizer("schedule_free", 0.1))
            ),
            "freeze: got \"only=['dense_0', 'norm_0']\", allowed: no frozen layers with a "
            "schedule-free optimizer, which averages all parameters",
        ),
        (
            lambda: gan(change=lambda updates: (jaxdl.freeze(updates[0], ["dense_0"]), updates[1]))[
                1
            ].init(KEY, images()),
            "freeze only: got 'dense_0', allowed: discriminator, discriminator/dense_0, "
            "discriminator/norm_0, discriminator/out (did you mean 'discriminator/dense_0'?)",
        ),
    ],
)
def test_bad_frozen_layers_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line


def net_update():
    (update,) = row().updates(ADAM)
    return update


def test_frozen_layers_are_part_of_the_fingerprint():
    store = InMemory()
    arguments = {"key": KEY, "steps": 4, "batch_size": 8, "save_every": 2, "store": store}
    sgd = optax.sgd(0.1)
    jaxdl.train(net(3, sgd, first), row().data, stop_after=2, **arguments)
    with pytest.raises(
        CheckpointError, match="^store: the step .* is program .* in the checkpoint"
    ):
        jaxdl.train(net(3, sgd), row().data, **arguments)


def test_layers_that_are_no_norms_are_called_as_before():
    """Interceptors of other layers see the same calls."""
    model = models.SequenceNet(nn.Embedding(6, 4), nn.RNN("gru", 4), 2, "last")
    task = tasks.classify(model)
    ids = {"input": jnp.ones((4, 3), jnp.int32), "label": jnp.zeros(4, jnp.int32)}
    plain = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    frozen = jaxdl.learner(task.init, jaxdl.freeze(*task.updates(optax.sgd(0.1)), ["body"]))
    state = plain.init(KEY, ids)
    expected, _ = jax.jit(plain.step)(state, ids, KEY)
    found, _ = jax.jit(frozen.step)(state, ids, KEY)
    for name, x in arrays(found).items():
        source = state if name.startswith("params/body") else expected
        np.testing.assert_allclose(x, arrays(source)[name], rtol=1e-5, atol=1e-7)
