"""Tests of trained networks that are saved and loaded: their functions, inputs and errors."""

import dataclasses
import json
import shutil

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.data import Dataset, Reviews, Vocabulary, encode_reviews, standardize
from jaxdl.errors import InputError
from jaxdl.models import MLP, VAE, Conditional, OneHot, PixelCNN, Reshaped, SequenceNet, WaveNet

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (60, 6, 5, 1), np.uint8)
LABEL = RANDOM.integers(0, 3, 60).astype(np.int32)
IMAGES = Dataset(
    {"input": PIXELS / np.float32(255), "label": LABEL}, "images", 3, class_names=("a", "b", "c")
)


def trained(task, data, key=None, steps=3, wrap=lambda net: net, optimizer=None, batch_size=20):
    count = 2 if task.name == "gan" else 1
    optimizers = [optimizer or optax.adam(0.01)] * count
    net = wrap(jaxdl.learner(task.init, *task.updates(*optimizers)))
    key = jaxdl.root(0) if key is None else key
    return net, jaxdl.train(net, data, key=key, steps=steps, batch_size=batch_size)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A classifier of standardized images, its directory and its learner."""
    train, _ = standardize(IMAGES, IMAGES)
    task = jaxdl.tasks.classify(MLP((4,), 3, norm="batch"))
    net, state = trained(task, train)
    directory = tmp_path_factory.mktemp("classifier")
    jaxdl.save(directory, task, state, train)
    return directory, task, net, state, train


def test_a_loaded_network_repeats_outputs_and_metrics(classifier):
    directory, task, net, state, train = classifier
    network = jaxdl.load(directory)
    expected = jaxdl.predict_batched(jaxdl.bind(task.predict, state), train["input"])
    np.testing.assert_array_equal(network.predict(PIXELS), expected)
    given = jax.jit(network.functions["predict"])(train["input"])
    np.testing.assert_allclose(given, expected, atol=1e-6)
    assert network.evaluate(train, key=jaxdl.root(0)) == jaxdl.evaluate(net, state, train)
    assert network.classes == ("a", "b", "c")
    assert network.steps == 3 and network.result == {}
    jax.tree.map(np.testing.assert_array_equal, network.variables["params"], state.params)


def test_raw_inputs_come_in_several_forms(classifier):
    network = jaxdl.load(classifier[0])
    expected = network.predict(PIXELS)
    for same in (
        PIXELS[..., 0],
        PIXELS / np.float32(255),
        PIXELS.astype(np.int64) / np.float64(255),
    ):
        np.testing.assert_allclose(network.predict(same), expected, atol=1e-6)
    np.testing.assert_allclose(network.predict(PIXELS, batch_size=7), expected, atol=1e-6)
    with pytest.raises(InputError, match=r"^inputs shape: got \[6, 5, 1\].*write x\[None\]"):
        network.predict(PIXELS[0])
    with pytest.raises(InputError, match="^input shape: got"):
        network.predict(PIXELS[:, :4])
    with pytest.raises(InputError, match="the network has no vocabulary"):
        network.predict(["a text"])
    with pytest.raises(InputError, match="^input"):
        network.predict(np.full((2, 6, 5, 1), np.nan, np.float32))


@pytest.mark.parametrize("path", [3, None, b"runs"])
def test_a_path_is_a_text(path):
    with pytest.raises(InputError, match="path: got .*, allowed: a path, such as"):
        jaxdl.load(path)


def test_images_in_another_unit_are_refused(classifier):
    network = jaxdl.load(classifier[0])
    for inputs in (PIXELS.astype(np.float32), PIXELS.astype(np.int64)):
        with pytest.raises(InputError, match=r"^inputs: got 'pixels up to 25.', allowed: .* uint8"):
            network.predict(inputs)
    with pytest.raises(InputError, match="^inputs: got"):
        network.predict([[1, 2], [3]])


def test_scaled_channels_are_those_of_the_training_set(tmp_path):
    colours = RANDOM.random((30, 2, 2, 3)).astype(np.float32)
    (data,) = standardize(Dataset({"input": colours, "label": LABEL[:30]}, "few", 3))
    task = jaxdl.tasks.classify(MLP((3,), 3))
    _, state = trained(task, data)
    jaxdl.save(tmp_path, task, state, data)
    with pytest.raises(InputError, match=r"^inputs shape: got \[30, 2, 2, 1\], allowed: \[N, 2"):
        jaxdl.load(tmp_path).predict(colours[..., :1])


def test_two_files_are_enough_wherever_they_lie(classifier, tmp_path):
    for name in ("model.json", "weights.safetensors"):
        shutil.copy(classifier[0] / name, tmp_path / name)
    expected = jaxdl.load(classifier[0]).predict(PIXELS)
    for path in (tmp_path, str(tmp_path), tmp_path / "weights.safetensors"):
        np.testing.assert_array_equal(jaxdl.load(path).predict(PIXELS), expected)


def test_attributes_are_the_functions_of_the_task(classifier):
    network = jaxdl.load(classifier[0])
    assert "predict" in dir(network)
    with pytest.raises(AttributeError, match="this network has no 'encode', only predict"):
        network.encode(PIXELS)
    with pytest.raises(AttributeError, match="only predict"):
        network.loss()


@pytest.mark.parametrize("wrapper", ["ema", "schedule_free", "members"])
def test_the_weights_are_those_of_the_evaluation(wrapper, tmp_path):
    task = jaxdl.tasks.classify(MLP((4,), 3))
    options = {}
    if wrapper == "ema":
        options["wrap"] = lambda net: jaxdl.with_ema(net, 0.9)
    if wrapper != "ema":
        options["optimizer"] = jaxdl.optimizers.optimizer("schedule_free", 0.01)
    if wrapper == "members":
        options["key"] = jaxdl.root([0, 5])
    net, state = trained(task, IMAGES, **options)
    jaxdl.save(tmp_path, task, state, IMAGES)
    for i, member in enumerate(state.members()):
        network = jaxdl.load(tmp_path, member=i)
        assert network.evaluate(IMAGES) == jaxdl.evaluate(net, member, IMAGES)
        weights = jax.jit(jaxdl.inference)(member).params
        jax.tree.map(np.testing.assert_array_equal, network.variables["params"], weights)
    with pytest.raises(InputError, match="^member: got"):
        jaxdl.load(tmp_path, member=2)


def test_functions_of_a_vae(tmp_path):
    model = VAE(MLP((4,), 4), Reshaped(MLP((4,), 30), (6, 5, 1)), latent=2)
    task = jaxdl.tasks.vae(model, warmup=5)
    net, state = trained(task, IMAGES)
    jaxdl.save(tmp_path, task, state, IMAGES)
    network = jaxdl.load(tmp_path)
    mean, log_variance = network.encode(PIXELS)
    assert mean.shape == log_variance.shape == (60, 2)
    expected = jaxdl.bind(task.reconstruct, state)(IMAGES["input"])
    np.testing.assert_allclose(network.reconstruct(PIXELS), expected, atol=1e-6)
    np.testing.assert_allclose(network.decode(mean), expected, atol=1e-6)
    assert network.sample(jaxdl.root(1), 4).shape == (4, 6, 5, 1)
    assert network.bound(PIXELS, jaxdl.root(1), 3).shape == (60,)
    key = jaxdl.root(4)
    assert network.evaluate(IMAGES, key=key) == jaxdl.evaluate(net, state, IMAGES, key=key)
    np.testing.assert_array_equal(network.encode(inputs=PIXELS)[0], mean)
    with pytest.raises(TypeError, match="inputs"):
        network.encode()
    with pytest.raises(InputError, match="^network: got 'vae', allowed: .* has encode, decode"):
        network.predict(PIXELS)


def test_functions_of_a_gan(tmp_path):
    task = jaxdl.tasks.gan(Reshaped(MLP((4,), 30), (6, 5, 1)), MLP((4,), 1), latent=3)
    net, state = trained(task, IMAGES)
    jaxdl.save(tmp_path, task, state, IMAGES)
    network = jaxdl.load(tmp_path)
    z = RANDOM.normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_array_equal(network.generate(z), jaxdl.bind(task.generate, state)(z))
    assert network.score(PIXELS).shape == (60,)
    assert network.evaluate(IMAGES) == jaxdl.evaluate(net, state, IMAGES)
    assert network.model is None and "generator" in network.task.arguments


def test_regression_has_the_unit_of_the_target(tmp_path):
    x = RANDOM.normal(size=(50, 3)).astype(np.float32)
    data = Dataset({"input": x, "target": 100 + 10 * x[:, :1]}, "line")
    scaling = {"target": ((np.array([100.0]), np.array([10.0])),)}
    scaled = Dataset({"input": x, "target": x[:, :1]}, "line", scaling=scaling)
    task = jaxdl.tasks.regress(nn.Dense(1))
    _, state = trained(task, scaled, steps=300, optimizer=optax.adam(0.1))
    jaxdl.save(tmp_path, task, state, scaled)
    network = jaxdl.load(tmp_path, model=nn.Dense(1))
    np.testing.assert_allclose(network.predict(x), data["target"], atol=0.1)


def test_a_set_without_the_scaling_of_the_run_is_refused(classifier):
    network = jaxdl.load(classifier[0])
    given = network.evaluate(network.prepared(IMAGES))
    assert given == pytest.approx(network.evaluate(classifier[4]))
    with pytest.raises(InputError, match="allowed: a set of raw inputs"):
        network.prepared(classifier[4])
    with pytest.raises(InputError, match="^data: got 'images without the scaling of input'"):
        network.evaluate(IMAGES)
    arrays = {"input": network.prepare(PIXELS)[0], "label": LABEL}
    scaled = Dataset(arrays, "images", 3, scaling=network.preprocessing.scaling)
    expected = network.evaluate(classifier[4], key=jaxdl.root(0))
    assert network.evaluate(scaled, key=jaxdl.root(0)) == pytest.approx(expected, rel=1e-5)


def test_a_network_as_text_has_no_arrays(classifier):
    network = jaxdl.load(classifier[0])
    numbers = sum(x.size for x in jax.tree.leaves(network.variables["params"]))
    assert str(network) == (
        f"Network(classify, {numbers} parameters, 3 steps; "
        "fields input [6, 5, 1], label []; functions predict)"
    )


def test_texts_are_raw_inputs(tmp_path):
    texts = ["good film", "bad film", "a good plot", "a bad plot and a bad end"] * 5
    reviews = Reviews(texts, np.arange(20) % 2, ("pos", "neg"))
    vocabulary = Vocabulary.build(texts, "word")
    data = encode_reviews(reviews, vocabulary, 4, "first")
    net = SequenceNet(OneHot(len(vocabulary)), jaxdl.nn.RNN("gru", 4), 2, pool="mean")
    task = jaxdl.tasks.classify(net)
    _, state = trained(task, data, batch_size=20)
    jaxdl.save(tmp_path, task, state, data)
    network = jaxdl.load(tmp_path)
    expected = jaxdl.bind(task.predict, state)(data["input"], data["length"])
    np.testing.assert_allclose(network.predict(texts), expected, atol=1e-6)
    np.testing.assert_allclose(network.predict(texts[3]), expected[3:4], atol=1e-6)
    assert network.preprocessing.text.vocabulary == vocabulary
    one = network.predict(texts, np.ones(20, int))
    rows = data["input"], np.ones(20, np.int32)
    np.testing.assert_allclose(one, jaxdl.bind(task.predict, state)(*rows), atol=1e-6)
    for length in (0, 5):
        with pytest.raises(InputError, match=rf"^length\[0\]: got {length}, allowed: .* \[1, 4\]"):
            network.predict(data["input"], np.full(20, length))


def test_labels_are_given_by_place_or_by_name(tmp_path):
    encoder = Conditional(MLP((4,), 4), 3)
    model = VAE(encoder, Conditional(Reshaped(MLP((4,), 30), (6, 5, 1)), 3), latent=2)
    task = jaxdl.tasks.vae(model)
    _, state = trained(task, IMAGES)
    jaxdl.save(tmp_path, task, state, IMAGES)
    network = jaxdl.load(tmp_path)
    expected = network.reconstruct(PIXELS, LABEL, batch_size=7)
    np.testing.assert_array_equal(network.reconstruct(PIXELS, label=LABEL, batch_size=7), expected)
    direct = jaxdl.bind(task.reconstruct, state)(IMAGES["input"], LABEL)
    np.testing.assert_allclose(expected, direct, atol=1e-6)


@pytest.mark.parametrize(
    "body", [jaxdl.nn.RNN("gru", 4), WaveNet(6, skip=4, layers=2)], ids=["gru", "wavenet"]
)
def test_a_language_model_continues_a_prompt(body, tmp_path):
    ids = RANDOM.integers(2, 6, (20, 8)).astype(np.int32)
    data = Dataset({"input": ids[:, :-1], "label": ids[:, 1:]}, "text", contiguous=True)
    task = jaxdl.tasks.language(SequenceNet(OneHot(6), body, 6), carried=True)
    net, state = trained(task, data)
    jaxdl.save(tmp_path, task, state, data)
    network = jaxdl.load(tmp_path)
    key = jaxdl.root(3)
    np.testing.assert_allclose(
        network.predict(ids), jaxdl.bind(task.predict, state)(ids), atol=1e-6
    )
    with pytest.raises(TypeError, match="arguments"):
        network.predict(ids, np.ones(20, int))
    given = network.generate(ids[:2], key, length=5)
    expected = jaxdl.bind(task.generate, state)(ids[:2], key, length=5)
    np.testing.assert_array_equal(given, expected)
    assert network.evaluate(data, batch_size=20) == jaxdl.evaluate(net, state, data, batch_size=20)


def test_an_autoregressive_model_draws_the_same_images(tmp_path):
    data = Dataset({"input": PIXELS / np.float32(255), "label": LABEL}, "images", 3)
    model = PixelCNN((6, 5), levels=3, features=4, layers=1, first_size=3, classes=3)
    task = jaxdl.tasks.autoregressive(model)
    params, extra = task.init(jaxdl.root(0), {"input": data["input"][:1], "label": LABEL[:1]})
    state = jaxdl.State(np.int32(0), params, (), extra)
    jaxdl.save(tmp_path, task, state, data)
    network = jaxdl.load(tmp_path)
    expected = jaxdl.bind(task.predict, state)(data["input"], LABEL)
    np.testing.assert_allclose(network.predict(PIXELS, label=LABEL), expected, atol=1e-6)
    images = network.sample(jaxdl.root(1), 2, LABEL[:2])
    expected = jaxdl.bind(task.sample, state)(jaxdl.root(1), 2, LABEL[:2])
    np.testing.assert_array_equal(images, expected)


class Two(nn.Module):
    """A network of a user, which reads two halves of its input."""

    @nn.compact
    def __call__(self, x, train=False):
        return nn.Dense(3)(jax.nn.relu(x[:, 0]) + x[:, 1])


def test_a_module_of_the_user_is_an_argument(tmp_path):
    x = RANDOM.normal(size=(30, 2, 4)).astype(np.float32)
    data = Dataset({"input": x, "label": LABEL[:30]}, "halves", 3)
    task = jaxdl.tasks.classify(Two())
    _, state = trained(task, data, batch_size=20)
    jaxdl.save(tmp_path, task, state, data)
    with pytest.raises(InputError, match="^model: got 'Two', allowed: .* write model="):
        jaxdl.load(tmp_path)
    network = jaxdl.load(tmp_path, model=Two())
    np.testing.assert_allclose(
        network.predict(x), jaxdl.bind(task.predict, state)(x), rtol=1e-6, atol=1e-7
    )
    with pytest.raises(InputError, match="as the model needs"):
        jaxdl.load(tmp_path, model=MLP((3,), 3))
    assert jaxdl.load(tmp_path, task=task).task is task
    jaxdl.save(tmp_path, dataclasses.replace(task, name=""), state, data)
    with pytest.raises(InputError, match=r"^task: got 'a task of the user', .* task=\.\.\.\)"):
        jaxdl.load(tmp_path)


class Aged(nn.Module):
    """A network of a user with a second input."""

    @nn.compact
    def __call__(self, x, age, train=False):
        return nn.Dense(3)(x * age[:, None])


def test_a_second_input_is_a_field_with_its_name(tmp_path):
    x = RANDOM.normal(size=(40, 4)).astype(np.float32)
    age = RANDOM.random(40, np.float32)
    data = Dataset({"input": x, "age": age, "label": LABEL[:40]}, "aged", 3)
    task = jaxdl.tasks.classify(Aged())
    net, state = trained(task, data)
    jaxdl.save(tmp_path, task, state, data)
    network = jaxdl.load(tmp_path, model=Aged())
    kernel, bias = (np.asarray(state.params["Dense_0"][name]) for name in ("kernel", "bias"))
    logits = (x * age[:, None]) @ kernel + bias
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(network.predict(x, age=age, batch_size=7), expected, atol=1e-5)
    assert network.evaluate(data) == jaxdl.evaluate(net, state, data)
    with pytest.raises(InputError, match="a field of the set with its name"):
        network.predict(x)


def changed(source, target, change):
    """Copies a network with a changed description."""
    shutil.copytree(source, target)
    stored = json.loads((source / "model.json").read_text())
    change(stored)
    (target / "model.json").write_text(json.dumps(stored))
    return target


CHANGES = {
    "wider": lambda stored: stored["task"]["model"].update(hidden=[5]),
    "huge": lambda stored: stored["task"]["model"].update(hidden=[2**40]),
    "deep": lambda stored: stored["task"]["model"].update(hidden=[1] * 40),
    "too deep": lambda stored: stored["task"]["model"].update(hidden=[1] * 10**5),
    "zero": lambda stored: stored["preprocessing"].update(scaling={"input": [[0, 0]]}),
    "channels": lambda stored: stored["preprocessing"].update(scaling={"input": [[0, [1] * 5]]}),
    "foreign": lambda stored: stored["task"]["model"].update({"class": "subprocess.Popen"}),
    "task": lambda stored: stored["task"].update(task="exec"),
    "norm": lambda stored: stored["task"]["model"].update(norm=None),
    "dtype": lambda stored: stored["task"]["model"].update(dtype={"dtype": "S9"}),
    "field": lambda stored: stored["fields"].pop("input"),
    "shape": lambda stored: stored["fields"]["input"].update(shape=[2**31 - 1, 2**31 - 1, 9]),
    "scaling": lambda stored: stored["preprocessing"].update(scaling=[[1]]),
    "no task": lambda stored: stored.update(task=None),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_descriptions_are_refused_in_one_line(classifier, tmp_path, change):
    directory = changed(classifier[0], tmp_path / "copy", change)
    with pytest.raises(InputError) as caught:
        jaxdl.load(directory)
    assert "\n" not in str(caught.value)
