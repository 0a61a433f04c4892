"""Tests of exported networks: both forms equal the loaded network on raw inputs."""

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.data import (
    Dataset,
    Preprocessing,
    Reviews,
    Simulated,
    Vocabulary,
    encode_reviews,
    standardize,
)
from jaxdl.errors import InputError
from jaxdl.export import from_stablehlo, to_onnx, to_stablehlo
from jaxdl.export.__main__ import main
from jaxdl.export.networks import exportable
from jaxdl.models import MLP, VAE, Autoencoder, Conditional, OneHot, Reshaped, SequenceNet
from jaxdl.network import Network
from tests.test_predict import saved

pytest.importorskip("onnx", reason="needs jaxdl[export]")
pytest.importorskip("flatbuffers", reason="needs jaxdl[export]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs jaxdl[export]")

RANDOM = np.random.default_rng(0)
SHAPE = (6, 5, 1)
IMAGES = RANDOM.random((30, *SHAPE), np.float32)
LABEL = RANDOM.integers(0, 3, 30).astype(np.int32)
SCALED = standardize(Dataset({"input": IMAGES, "label": LABEL}, "images", 3))[0]
PLAIN = Dataset({"input": IMAGES, "label": LABEL}, "images", 3)
TEXTS = ["good film", "bad film", "a good plot", "a bad plot"] * 5
WORDS = Vocabulary.build(TEXTS, "word")
POLE = jaxdl.rl.environment("cart_pole", limit=20)
IDS = RANDOM.integers(0, 6, (20, 9)).astype(np.int32)


def decoder(inputs=None):
    return Reshaped(MLP((4,), 30), SHAPE)


def gru(outputs, size, **options):
    return SequenceNet(OneHot(size), jaxdl.nn.RNN("gru", 4), outputs, **options)


#: Task and training set of each kind of network.
NETWORKS = {
    "classify": (jaxdl.tasks.classify(MLP((4,), 3, norm="batch")), SCALED),
    "regress": (
        jaxdl.tasks.regress(MLP((4,), 1)),
        standardize(Dataset({"input": IMAGES, "target": 5 + IMAGES[:, 0, 0]}, "a"), field="target")[
            0
        ],
    ),
    "reconstruct": (jaxdl.tasks.reconstruct(Autoencoder(MLP((4,), 2), decoder())), PLAIN),
    "vae": (
        jaxdl.tasks.vae(
            VAE(Conditional(MLP((4,), 4), 3), Conditional(decoder(), 3), latent=2),
        ),
        PLAIN,
    ),
    "gan": (jaxdl.tasks.gan(decoder(), MLP((4,), 1), latent=3), PLAIN),
    "texts": (
        jaxdl.tasks.classify(gru(2, len(WORDS), pool="mean")),
        encode_reviews(Reviews(TEXTS, np.arange(20) % 2, ("pos", "neg")), WORDS, 4),
    ),
    "language": (
        jaxdl.tasks.language(gru(6, 6), carried=True),
        Dataset({"input": IDS[:, :-1], "label": IDS[:, 1:]}, "text", contiguous=True),
    ),
    "q_table": (
        jaxdl.tasks.q_table(jaxdl.rl.environment("flippers", game="box", size=2)),
        Simulated(2, arrays={"input": np.zeros(1, np.int32)}),
    ),
    "q_network": (
        jaxdl.tasks.q_network(
            MLP((4,), 2), POLE, replay=64, first_moves=32, replay_batch=16, updates=2
        ),
        Simulated(2, arrays={"input": np.zeros((1, 4), np.float32)}),
    ),
    "reinforce": (
        jaxdl.tasks.reinforce(MLP((4,), 3), POLE, length=8),
        Simulated(2, arrays={"input": np.zeros((1, 4), np.float32)}),
    ),
}

#: Names of the functions that are exported.
NAMES = {
    "reconstruct": {"encode", "decode", "reconstruct"},
    "vae": {"encode", "decode", "reconstruct"},
    "gan": {"generate", "score"},
    "q_table": {"predict", "act"},
    "q_network": {"predict", "act"},
    "reinforce": {"predict", "act"},
}


class Aged(nn.Module):
    """A network of a user with a second input."""

    @nn.compact
    def __call__(self, x, age, train=False):
        return nn.Dense(3)(x.reshape(-1, 30) * age[:, None])


def test_a_second_input_is_an_input_of_the_file(tmp_path):
    age = RANDOM.random(30, np.float32)
    data = Dataset({**SCALED.arrays, "age": age}, "aged", 3, scaling=SCALED.scaling)
    task = jaxdl.tasks.classify(Aged())
    optimizer = task.updates(optax.sgd(0.1))
    net = jaxdl.learner(task.init, *optimizer)
    state = jaxdl.train(net, data, key=jaxdl.root(0), steps=2, batch_size=8)
    jaxdl.save(tmp_path, task, state, data)
    network = jaxdl.load(tmp_path, model=Aged())
    function, examples = exportable(network)["predict"]
    expected = network.predict(IMAGES, age=age)
    program = from_stablehlo(to_stablehlo(function, *examples))
    np.testing.assert_allclose(program(IMAGES, age), expected, atol=1e-6)
    session = onnxruntime.InferenceSession(to_onnx(function, *examples))
    (given,) = session.run(None, {"inputs": IMAGES, "age": age})
    np.testing.assert_allclose(given, expected, atol=1e-5)


@pytest.mark.parametrize("kind", NETWORKS)
def test_exported_functions_equal_the_loaded_network(kind, tmp_path):
    task, data = NETWORKS[kind]
    network = saved(tmp_path, task, data)
    found = exportable(network)
    assert set(found) == NAMES.get(kind, {"predict"})
    for name, (function, examples) in found.items():
        inputs = [random_like(x, 7) for x in examples]
        expected = jax.tree.leaves(getattr(network, name)(*inputs))
        program = from_stablehlo(to_stablehlo(function, *examples))
        for y, z in zip(jax.tree.leaves(program(*inputs)), expected, strict=True):
            np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-6)
        session = onnxruntime.InferenceSession(to_onnx(function, *examples))
        names = [each.name for each in session.get_inputs()]
        outputs = session.run(None, dict(zip(names, inputs, strict=True)))
        for y, z in zip(outputs, expected, strict=True):
            np.testing.assert_allclose(y, z, rtol=1e-4, atol=1e-5)


def random_like(x, size):
    """Returns a random batch of an input: lengths and ids are small integers."""
    if x.dtype.kind == "f":
        return RANDOM.random((size, *x.shape[1:]), np.float32)
    return RANDOM.integers(1, 3, (size, *x.shape[1:])).astype(x.dtype)


def test_the_command_writes_each_form(tmp_path, capsys):
    network = saved(tmp_path / "run", *NETWORKS["reconstruct"])
    assert main([str(tmp_path / "run")]) == 0
    written = capsys.readouterr().out.splitlines()
    names = {path.name for path in (tmp_path / "run" / "export").iterdir()}
    functions = ("encode", "decode", "reconstruct")
    expected = {f"{name}.{form}" for name in functions for form in ("onnx", "stablehlo")}
    assert names == expected | {"weights.safetensors"} and len(written) == 7
    out = tmp_path / "elsewhere"
    words = ["--to", "stablehlo", "--function", "encode", "--out", str(out)]
    assert main([str(tmp_path / "run"), *words]) == 0
    assert [path.name for path in out.iterdir()] == ["encode.stablehlo"]
    program = from_stablehlo((out / "encode.stablehlo").read_bytes())
    np.testing.assert_allclose(program(IMAGES), network.encode(IMAGES), atol=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--function", "sample"], "function: got 'sample', allowed: "),
        (["--member", "2"], "member: got 2"),
        (["--out", "{run}/model.json"], "cannot be made"),
    ],
)
def test_errors_are_one_line(tmp_path, capsys, words, message):
    saved(tmp_path, *NETWORKS["reconstruct"])
    words = [word.replace("{run}", str(tmp_path)) for word in words]
    assert main([str(tmp_path), *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert main([str(tmp_path / "nowhere")]) == 2


def test_a_network_of_other_fields_is_refused():
    task = jaxdl.tasks.Task(lambda key, batch: ({}, {}), lambda optimizer: (), {"predict": abs})
    network = Network(task, {"params": {}}, Preprocessing(), {"image": np.zeros(3)})
    with pytest.raises(
        InputError, match="^network: got 'the fields image', allowed: a field input"
    ):
        exportable(network)
