"""Frozen layers, bit by bit and against plain JAX."""

import functools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import models, nn, tasks
from jaxdl.errors import CheckpointError, InputError
from jaxdl.metrics import mean, means
from jaxdl.training import InMemory, Pmapped, Sharded, state_sha256
from tests.contract import ROWS, SIZE, language, random_set
from tests.transferred import (
    ADAM,
    DENSE,
    FIRST,
    KEY,
    NORMS,
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


def test_layers_of_a_residual_stage_are_frozen_by_name():
    made = ROWS["residual_batchnorm"]()
    (update,) = made.updates(ADAM)
    names = ["conv_0a", "norm_0a", "skip_0", "norm_skip_0"]
    learner = jaxdl.learner(made.init, jaxdl.freeze(update, names))
    before, after = (
        jaxdl.train(learner, made.data, key=KEY, steps=steps, batch_size=8) for steps in (1, 4)
    )
    assert equal(before, after) == {name for name in arrays(before) if name.split("/")[1] in names}


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
