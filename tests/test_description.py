"""Tests of the description of networks: they come back equal, and files cannot name other code."""

import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import augment, models, tasks
from jaxdl import nn as layers
from jaxdl.description import build, build_task, classes, describe, describe_task
from jaxdl.errors import InputError
from jaxdl.models import CNN, CNN1D, MLP, VAE, Conditional, OneHot, Reshaped, SequenceNet, Stage

VECTORS = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]], np.float32)

MODULES = [
    MLP((4, 3), 2, activation="gelu", dropout=0.1, norm="batch", dtype=jnp.bfloat16),
    MLP((), np.int64(2)),
    CNN((Stage(3), Stage(2, padding="VALID", pool=None)), (4,), 3, remat=True),
    models.lecture_cnn_5x5(),
    models.resnet20(4),
    CNN((Stage(3, padding=[(1, 0), 2]),), outputs=None),
    models.tcn((3, 3)),
    CNN1D((3,), dropout=np.float32(0.25).item()),
    *models.dcgan((8, 8, 1), 4),
    VAE(Conditional(MLP((4,), 4), 3), Conditional(Reshaped(MLP((4,), 4), (2, 2)), 3), latent=2),
    SequenceNet(OneHot(5), layers.RNN("gru", 4), 5),
    SequenceNet(layers.Embedding(3, 2, padding=0), layers.LSTM(4, reverse=True), 2, pool="mean"),
    layers.TimeDistributed(MLP((3,))),
    layers.Conv(4, 3, strides=2, padding=1),
]


def through_json(value):
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: type(module).__name__)
def test_a_module_comes_back_equal(module):
    again = build(through_json(describe(module)))
    assert type(again) is type(module)
    assert again == module
    assert describe(again) == describe(module)


def test_an_embedding_of_given_vectors_has_the_same_trained_rows():
    layer = layers.Embedding(3, 2, vectors=VECTORS, train_rows="unknown")
    again = build(through_json(describe(layer)))
    ids = jnp.array([0, 1, 2])
    shapes = [jax.eval_shape(each.init, jax.random.key(0), ids) for each in (layer, again)]
    assert shapes[0] == shapes[1]
    variables = layer.init(jax.random.key(0), ids)
    np.testing.assert_array_equal(layer.apply(variables, ids), again.apply(variables, ids))


def test_functions_that_make_initial_parameters_are_left_out():
    layer = layers.RNN("gru", 4, kernel_init=nn.initializers.normal(0.5))
    assert "kernel_init" not in describe(layer)
    assert build(describe(layer)).features == 4


def test_numbers_that_json_lacks_come_back():
    for number in (float("inf"), -float("inf")):
        assert build(through_json(describe(number))) == number
    assert np.isnan(build(through_json(describe(float("nan")))))


class Mine(nn.Module):
    """A module of a user."""

    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(3)(x)


class MLP2(MLP):
    """A class below one of the library."""


TASKS = [
    tasks.classify(MLP((4,)), label_smoothing=0.1, augment=lambda key, x: x),
    tasks.classify(MLP((4,)), mix=augment.cutmix(0.5)),
    tasks.regress(MLP((4,), 1)),
    tasks.reconstruct(
        models.Autoencoder(MLP((4,), 2), MLP((4,), 4)),
        likelihood="gaussian",
        corrupt=augment.chain(augment.random_shift(2, 0.5), augment.gaussian_noise(0.5)),
    ),
    tasks.vae(VAE(MLP((4,), 4), MLP((4,), 4)), beta=2.0, binarize="dynamic", warmup=3),
    tasks.gan(MLP((4,), 4), MLP((4,), 1), latent=3, loss="hinge"),
    tasks.language(SequenceNet(OneHot(5), layers.RNN("gru", 4), 5), carried=True),
    tasks.language(SequenceNet(OneHot(5), models.WaveNet(5, layers=2), 5)),
    tasks.autoregressive(models.PixelCNN((4, 4), features=4), binarize="dynamic"),
    tasks.autoregressive(models.PixelRNN((4, 4), levels=3, kind="diagonal", classes=2)),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_a_task_comes_back_with_its_arguments(task):
    again = build_task(through_json(describe_task(task)))
    assert (again.name, sorted(again.functions)) == (task.name, sorted(task.functions))
    for name, value in task.arguments.items():
        if name == "augment":
            value = None
        elif name == "mix" and value is not None:
            assert again.arguments[name].made_by == value.made_by
            continue
        elif name == "corrupt" and value is not None:
            x = jnp.arange(16.0).reshape(4, 4, 1)
            given = [f(jax.random.key(3), x) for f in (value, again.arguments[name])]
            np.testing.assert_array_equal(*given)
            continue
        assert again.arguments[name] == value


@pytest.mark.parametrize("module", [Mine(), MLP2((3,))])
def test_a_module_of_the_user_is_only_named(module):
    described = describe_task(tasks.classify(module))
    assert described["model"] == {"unknown": type(module).__name__}
    with pytest.raises(InputError, match="^model: got .* write model="):
        build_task(described)
    assert build_task(described, model=module).arguments["model"] is module


def test_modules_are_named_as_arguments_of_the_task():
    described = describe_task(tasks.gan(Mine(), MLP((4,), 1)))
    with pytest.raises(InputError, match="^module: got 'model', allowed: discriminator, generator"):
        build_task(described, model=Mine())


@pytest.mark.parametrize("text", ["rotate=15,shift=2,flip=0.5,cutout=3", "crop=1", "elastic=0.5"])
def test_augmentations_of_a_text_come_back(text):
    made = augment.parse(text, probability=0.5).augment
    again = build(through_json(describe(made)))
    x = jnp.arange(64.0).reshape(8, 8, 1)
    np.testing.assert_array_equal(again(jax.random.key(1), x), made(jax.random.key(1), x))


def test_a_task_of_the_user_has_no_description():
    task = tasks.Task(lambda key, batch: ({}, {}), lambda *_: (), {})
    with pytest.raises(InputError, match="^task: got"):
        describe_task(task)


HOSTILE = [
    {"class": "os.system", "command": "true"},
    {"class": "jaxdl.models.MLP"},
    {"class": "MLP", "hidden": [3], "command": "true"},
    {"class": "MLP", "hidden": "many"},
    {"class": "MLP", "hidden": [{"class": "__import__"}]},
    {"class": ["MLP"]},
    {"class": None},
    {"CLASS": "MLP"},
    {"dtype": "datetime"},
    {"dtype": ["f4"]},
    {"float": "1; import os"},
    {"float": [1]},
    {"known": [0], "shape": [2**40, 2**40]},
    {"known": [9], "shape": [2, 2]},
    {"known": "ab", "shape": [2, 2]},
    {"known": [0], "shape": "ab"},
    {"augment": "exec", "arguments": ["1"]},
    {"augment": "random_shift", "arguments": {"class": "MLP"}},
    {"augment": "affine", "arguments": [15, 2, 0]},
    {"augment": "sometimes", "arguments": [{"augment": "mixup", "arguments": [-1]}, 0.5]},
    {"class": "Stage", "features": [1, [2, {"dtype": "x"}]]},
]


@pytest.mark.parametrize("content", HOSTILE, ids=json.dumps)
def test_hostile_contents_are_refused_in_one_line(content):
    with pytest.raises(InputError) as caught:
        build({"class": "MLP", "hidden": content} if "class" not in content else content)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"task": None},
        {"task": "exec"},
        {"task": "classify"},
        {"task": "classify", "model": 3},
        {"task": "classify", "model": {"class": "MLP"}, "code": "1"},
        {"task": "vae", "model": {"class": "MLP"}},
    ],
    ids=json.dumps,
)
def test_hostile_tasks_are_refused_in_one_line(content):
    with pytest.raises(InputError):
        build_task(content)


def test_every_module_of_the_library_can_be_described():
    modules = {name for name, value in classes().items() if issubclass(value, nn.Module)}
    named = {*vars(models), *vars(layers)}
    assert modules and modules <= named
    assert {"Stage", "UpStage"} <= set(classes())
