"""Modules that people write: other names of the flag, further streams, auxiliary losses."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import tasks
from jaxdl.errors import InputError
from jaxdl.nn import TimeDistributed, tap
from jaxdl.nn.tap import train_kwargs
from jaxdl.tasks.task import apply, init_variables, without_padding
from tests.training.linear import KEY

X = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
LABEL = np.arange(8, dtype=np.int32) % 3
BATCH = {"input": jnp.asarray(X), "label": jnp.asarray(LABEL)}
DATA = jaxdl.data.Dataset({"input": X, "label": LABEL}, "mine", classes=3)


class Tutorial(nn.Module):
    """A module as in Flax's tutorials, without a flag."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.Dense(5, name="hidden")(x)))


class Training(nn.Module):
    @nn.compact
    def __call__(self, x, training: bool):
        return nn.Dropout(0.5, deterministic=not training)(nn.Dense(3)(x))


class Deterministic(nn.Module):
    @nn.compact
    def __call__(self, x, deterministic: bool = True):
        return nn.Dropout(0.5)(nn.Dense(3)(x), deterministic=deterministic)


class Flag(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.Dropout(0.5, deterministic=not train)(nn.Dense(3)(x))


class Passing(nn.Module):
    inner: nn.Module

    def __call__(self, x, **kwargs):
        return self.inner(x, **kwargs)


class Noisy(nn.Module):
    """A module with a further random stream, in training and perhaps in inference."""

    always: bool = False

    @nn.compact
    def __call__(self, x, train):
        if train or self.always:
            x = x + jax.random.normal(self.make_rng("noise"), x.shape)
        return nn.Dropout(0.5, deterministic=not train)(nn.Dense(3)(x))


class Sowing(nn.Module):
    """A module with auxiliary losses: the mean squares of two layers, for each example or not."""

    collection: str = "losses"
    axis: int | None = -1

    @nn.compact
    def __call__(self, x):
        for name in ("a", "b"):
            x = nn.Dense(3, name=name)(x)
            self.sow(self.collection, f"size_{name}", 0.5 * (x**2).mean(self.axis))
        return x


class Pair(nn.Module):
    @nn.compact
    def __call__(self, x):
        h = nn.Dense(3)(x)
        return h, x


MODULES = {
    "tutorial": Tutorial(),
    "training": Training(),
    "deterministic": Deterministic(),
    "kwargs": Passing(Noisy()),
    "sequential": nn.Sequential([nn.Dense(4), nn.relu, nn.Dense(3)]),
    "dense": nn.Dense(3),
    "noisy": Noisy(),
    "sowing": Sowing(),
}


@pytest.mark.parametrize("name", MODULES)
def test_a_module_trains_and_predicts(name):
    model = MODULES[name]
    task = tasks.classify(model)
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    state = jaxdl.train(net, DATA, key=KEY, steps=3, batch_size=4)
    predictions = jaxdl.bind(task.predict, state)(X)
    f = tap(model, {"params": state.params, **state.extra}, train=False)
    np.testing.assert_allclose(predictions, jax.nn.softmax(f(jnp.asarray(X))[0]), rtol=1e-5)
    assert jaxdl.evaluate(net, state, DATA)["loss"] > 0
    assert "numbers" in jaxdl.models.table(model, X[:1])


def test_a_module_inside_of_another_one():
    x = jnp.asarray(X)
    model = jaxdl.models.Autoencoder(Tutorial(), jaxdl.models.Reshaped(Training(), (3, 1)))
    variables = model.init(KEY, x, train=False)
    y, _ = apply(model, variables["params"], {}, x, KEY, train=True)
    assert y.shape == (8, 3, 1) and (np.asarray(y) == 0).any()
    label = jnp.asarray(LABEL)
    conditional = jaxdl.models.Conditional(Deterministic(), 3)
    y = conditional.init_with_output(KEY, x, train=False, label=label)[0]
    assert y.shape == (8, 3) and (np.asarray(y) != 0).all()
    assert TimeDistributed(Tutorial()).init_with_output(KEY, x[:, None], False)[0].shape == (
        8,
        1,
        3,
    )


@pytest.mark.parametrize("model", [Training(), Deterministic(), Passing(Flag())])
def test_the_flag_has_its_meaning_under_each_name(model):
    params, extra = init_variables(model, KEY, BATCH)
    trained, _ = apply(model, params, extra, BATCH["input"], KEY, train=True)
    evaluated, _ = apply(model, params, extra, BATCH["input"], KEY, train=False)
    dropped = np.asarray(trained) == 0
    assert 0 < dropped.mean() < 1 and not (np.asarray(evaluated) == 0).any()
    np.testing.assert_allclose(trained, np.where(dropped, 0, 2 * evaluated), rtol=1e-6)


def test_the_flag_of_a_method():
    class Model(nn.Module):
        def __call__(self, x):
            return x

        def encode(self, x, deterministic):
            return x

    assert train_kwargs(Model(), True) == {}
    assert train_kwargs(Model(), True, "encode") == {"deterministic": False}


class Averages(nn.Module):
    """A module whose flag has the name of that of BatchNorm."""

    @nn.compact
    def __call__(self, x, use_running_average):
        return nn.Dense(3)(nn.BatchNorm(momentum=0.5)(x, use_running_average))


@pytest.mark.parametrize(
    "model",
    [Averages(), nn.Sequential([nn.BatchNorm(momentum=0.5), nn.Dense(3)])],
    ids=["flag", "sequential"],
)
def test_running_averages_are_updated_in_training_only(model):
    params, extra = init_variables(model, KEY, BATCH)
    _, trained = apply(model, params, extra, BATCH["input"], KEY, train=True)
    _, evaluated = apply(model, params, extra, BATCH["input"], KEY, train=False)
    (mean,) = [x for path, x in jax.tree.leaves_with_path(trained) if "mean" in str(path)]
    np.testing.assert_allclose(mean, 0.5 * X.mean(0), rtol=1e-5)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), evaluated, extra))


def test_a_flag_that_is_an_attribute_is_not_passed_again():
    assert train_kwargs(nn.BatchNorm(use_running_average=True), True) == {}
    assert train_kwargs(nn.Dropout(0.5, deterministic=False), False) == {}


class Context(nn.Module):
    @nn.compact
    def __call__(self, x, context, train):
        return nn.Dense(3)(x + context)


class PositionalOnly(nn.Module):
    @nn.compact
    def __call__(self, x, train, /):
        return nn.Dense(3)(x)


class NoInputs(nn.Module):
    def __call__(self):
        return jnp.zeros(3)


@pytest.mark.parametrize(
    ("model", "fields", "message"),
    [
        (Context(), {}, "model: got \"Context.__call__ missing a required argument: 'context'"),
        (
            PositionalOnly(),
            {},
            # The second one is that of Python 3.13.
            (
                "model: got \"PositionalOnly.__call__ 'train' parameter is positional only",
                'model: got "PositionalOnly.__call__ got some positional-only arguments passed as',
            ),
        ),
        (NoInputs(), {}, "model: got 'NoInputs.__call__ too many positional arguments', allowed"),
        (
            Tutorial(),
            {"length": np.full(8, 2)},
            "model: got \"Tutorial.__call__ got an unexpected keyword argument 'lengths'\", "
            "allowed: a module with a parameter `lengths` for a set with a `length`",
        ),
        (
            nn.Sequential([Training(), nn.Dense(3)]),
            {"length": np.full(8, 2)},
            "model: got \"Training.__call__ got an unexpected keyword argument 'lengths'\", ",
        ),
        (
            Passing(Tutorial()),
            {},
            "model: got \"Tutorial.__call__() got an unexpected keyword argument 'train'\", "
            "allowed: a module whose `**kwargs` fit the module that receives them",
        ),
    ],
)
def test_a_module_that_cannot_be_called_is_one_line(model, fields, message):
    task = tasks.classify(model)
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    data = jaxdl.data.Dataset({**DATA.arrays, **fields}, "mine", classes=3)
    with pytest.raises(InputError) as caught:
        jaxdl.train(net, data, key=KEY, steps=1, batch_size=4)
    assert str(caught.value).startswith(message)


def test_a_further_stream_depends_on_the_key_and_not_on_that_of_dropout():
    model = Noisy()
    params, extra = init_variables(model, KEY, BATCH)
    x = jnp.ones((1000, 4))
    outputs = [apply(model, params, extra, x, jax.random.key(i), train=True)[0] for i in (0, 0, 1)]
    np.testing.assert_array_equal(outputs[0], outputs[1])
    assert (outputs[0] != outputs[2]).any()


def test_random_numbers_in_inference_are_refused():
    task = tasks.classify(Noisy(always=True))
    params, extra = task.init(KEY, BATCH)
    with pytest.raises(InputError, match='PRNG for "noise"'):
        task.predict(params, extra, BATCH["input"])


def sown(params, x):
    """Returns the auxiliary losses of `Sowing` in NumPy."""
    total = 0.0
    for name in ("a", "b"):
        x = x @ np.asarray(params[name]["kernel"]) + np.asarray(params[name]["bias"])
        total += 0.5 * (x**2).mean()
    return total


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("axis", [-1, None])
def test_sown_losses_are_added_to_the_objective_and_are_a_metric(train, axis):
    task = tasks.classify(Sowing(axis=axis))
    params, extra = task.init(KEY, BATCH)
    assert extra == {}
    batch = {**BATCH, "mask": jnp.arange(8) < 5}
    (value, count), (extra, metrics) = task.loss(params, extra, batch, KEY, train=train)
    assert extra == {} and count == 5
    # A mean of the whole batch includes the masked examples, which are zeros.
    examples = X * (np.arange(8) < 5)[:, None]
    if axis is not None:
        examples = X[:5]
    np.testing.assert_allclose(metrics["auxiliary_loss"][0], 5 * sown(params, examples), rtol=1e-5)
    auxiliary = metrics["auxiliary_loss"][0]
    np.testing.assert_allclose(value, metrics["loss"][0] + auxiliary, rtol=1e-6)


@pytest.mark.parametrize("strategy", ["single", "sharded", "pmap"])
def test_sown_losses_train_on_every_strategy(strategy):
    task = tasks.classify(Sowing())
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.5)))
    memory = jaxdl.training.writers.Memory()
    state = jaxdl.train(
        net,
        DATA,
        key=KEY,
        steps=40,
        batch_size=8,
        log_every=1,
        strategy=jaxdl.strategy(strategy),
        writers=[memory],
    )
    first, *_, last = [m["train/auxiliary_loss"] for _, m in memory.records if "train/loss" in m]
    assert last < first
    assert jaxdl.evaluate(net, state, DATA)["auxiliary_loss"] == pytest.approx(
        sown(state.params, X), rel=1e-4
    )


def test_sown_losses_of_an_autoencoder_and_a_gan():
    x = {"input": BATCH["input"][:, :3]}
    vae = tasks.vae(jaxdl.models.VAE(nn.Sequential([Sowing(), nn.Dense(4)]), Sowing(), latent=2))
    params, extra = vae.init(KEY, x)
    (value, count), (extra, metrics) = vae.loss(params, extra, x, KEY, train=True)
    assert extra == {} and metrics["auxiliary_loss"][0] > 0
    np.testing.assert_allclose(value, metrics["loss"][0] + metrics["auxiliary_loss"][0], rtol=1e-6)
    gan = tasks.gan(Sowing(), nn.Sequential([Sowing(), nn.Dense(1)]), latent=4)
    net = jaxdl.learner(gan.init, *gan.updates(optax.sgd(0.1), optax.sgd(0.1)))
    state, metrics = net.step(net.init(KEY, x), x, KEY)
    assert state.extra == {}
    assert {"discriminator_auxiliary_loss", "generator_auxiliary_loss"} <= set(metrics)


def test_what_cannot_be_sown_is_refused():
    task = tasks.classify(Sowing("notes"))
    params, extra = task.init(KEY, BATCH)
    with pytest.raises(InputError, match="collection 'notes'.*sow only into 'losses'"):
        task.loss(params, extra, BATCH, KEY, train=True)

    class Vector(nn.Module):
        @nn.compact
        def __call__(self, x):
            self.sow("losses", "each", x)
            return nn.Dense(3)(x)

    task = tasks.classify(Vector())
    with pytest.raises(InputError, match=r"sown into 'losses'.*\(\) or \(8,\)"):
        task.loss(*task.init(KEY, BATCH), BATCH, KEY, train=True)


def test_a_tuple_is_refused_and_tap_returns_it():
    task = tasks.classify(Pair())
    params, extra = task.init(KEY, BATCH)
    with pytest.raises(InputError, match="output of the model: got 'a tuple of 2', allowed: one"):
        task.loss(params, extra, BATCH, KEY, train=True)
    outputs, seen = tap(Pair(), {"params": params})(BATCH["input"])
    assert len(outputs) == 2 and "Dense_0" in seen


@pytest.mark.parametrize(
    "make",
    [tasks.classify, tasks.regress, tasks.reconstruct, tasks.language, lambda m: tasks.gan(m, m)],
)
@pytest.mark.parametrize("model", [Tutorial, jnp.tanh, "mlp"])
def test_something_else_than_a_module_is_refused(make, model):
    with pytest.raises(InputError, match="allowed: a (Linen )?module"):
        make(model)


def test_a_language_model_without_resume_is_refused():
    with pytest.raises(InputError, match="the same method `resume`"):
        tasks.language(Tutorial())


def test_old_keys_are_taken_by_tasks_and_refused_by_train():
    old = jax.random.PRNGKey(0)
    task = tasks.classify(Training())
    params, extra = task.init(old, BATCH)
    assert task.loss(params, extra, BATCH, old, train=True)[0][1] == 8
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    with pytest.raises(InputError, match=r"key: got 'uint32\[2\]', allowed: root\(seed\)"):
        jaxdl.train(net, DATA, key=old, steps=1)


def test_a_sequence_of_modules_passes_the_flag_to_the_first_one():
    task = tasks.classify(nn.Sequential([jaxdl.models.MLP((4,), 8, dropout=0.5), nn.Dense(3)]))
    params, extra = task.init(KEY, BATCH)
    losses = [task.loss(params, extra, BATCH, KEY, train=train)[0][0] for train in (True, False)]
    assert losses[0] != losses[1]


def test_a_field_of_examples_beside_a_mask_of_steps():
    rng = np.random.default_rng(3)
    batch = {
        "input": jnp.asarray(rng.normal(size=(3, 3, 2)), jnp.float32),
        "id": jnp.array([1.0, jnp.nan, 3.0]),
        "mask": jnp.array([[1, 0, 0], [0, 0, 0], [1, 1, 1]]),
    }
    cleaned = without_padding(batch)
    assert cleaned["id"].tolist() == [1.0, 0.0, 3.0]
    np.testing.assert_array_equal(cleaned["input"][0, 1:], 0)
    np.testing.assert_array_equal(cleaned["input"][2], batch["input"][2])
    with pytest.raises(InputError, match="^field: got 'weight'"):
        without_padding({**batch, "weight": batch["id"]})


@pytest.mark.parametrize(
    ("task", "fields", "missing"),
    [
        (tasks.classify(jaxdl.models.MLP((4,), 3)), {"input": X, "target": X}, "label"),
        (tasks.classify(jaxdl.models.MLP((4,), 3)), {"x": X, "label": LABEL}, "input"),
        (tasks.regress(jaxdl.models.MLP((4,), 1)), {"input": X, "label": LABEL}, "target"),
        (tasks.reconstruct(jaxdl.models.Autoencoder(nn.Dense(2), nn.Dense(4))), {"x": X}, "input"),
    ],
)
def test_a_missing_field_is_named(task, fields, missing):
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    with pytest.raises(InputError, match=f"^fields: got .*allowed: also '{missing}'"):
        jaxdl.train(net, jaxdl.data.Dataset(fields, "mine"), key=KEY, steps=1, batch_size=4)
