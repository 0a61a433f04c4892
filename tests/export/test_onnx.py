"""ONNX models: the numbers of the live function in onnxruntime, names, and refusals."""

import sys

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl import models, nn, tasks
from jaxdl.errors import InputError
from jaxdl.export import to_onnx
from tests.export import networks
from tests.export.runtime import assert_same, onnx, started

FEW = ("mlp", "bidirectional_lstm", "dcgan", "tcn", "diagonal_pixelrnn")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in networks.ALL if name not in FEW]


@pytest.mark.parametrize("name", [*FEW, *SLOW])
def test_the_numbers_are_those_of_the_live_function(name, request):
    case = networks.ALL[name]()
    slow = request.node.get_closest_marker("slow") is not None
    assert_same(case.f, *case.inputs, sizes=(1, 2, 7, 100) if slow else (1, 7))


def test_one_model_is_for_any_batch_size_and_gives_the_same_labels():
    case = networks.cnn("batch")
    model = assert_same(case.f, *case.inputs, sizes=(1, 2, 7, 100))
    labels = started(model)(*case.inputs)[0].argmax(1)
    np.testing.assert_array_equal(labels, case.f(*case.inputs).argmax(1))
    assert to_onnx(case.f, *case.inputs) == model, "the example's size does not matter"


def test_names_are_those_of_the_arguments_and_the_layers():
    case = networks.rnn("gru")
    model = onnx.load_from_string(to_onnx(case.f, *case.inputs))
    assert [x.name for x in model.graph.input] == ["inputs", "lengths"]
    assert [x.name for x in model.graph.output] == ["output"]
    sizes = [d.dim_param or d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert sizes == ["batch", networks.STEPS, 4]
    weights = {x.name for x in model.graph.initializer}
    assert {"body/gru_0/recurrent_kernel", "out/kernel", "out/bias"} <= weights
    assert any("out" in node.name and node.op_type == "MatMul" for node in model.graph.node)
    assert (model.producer_name, model.producer_version) == ("jaxdl", jaxdl.__version__)
    assert model.graph.name == "predict"


def test_names_of_several_outputs():
    def outputs(f):
        model = onnx.load_from_string(to_onnx(f, np.zeros((2, 3), np.float32)))
        return [x.name for x in model.graph.output]

    assert outputs(lambda x: (x, x + 1)) == ["output_0", "output_1"]
    assert outputs(lambda x: {"mean": x, "more": [x]}) == ["mean", "more/0"]
    assert outputs(lambda x: jnp.ones(3)) == ["output"]


def test_only_the_weights_that_the_function_reads_are_in_the_file():
    case = networks.dcgan()
    model = onnx.load_from_string(to_onnx(case.f, *case.inputs))
    names = [x.name for x in model.graph.initializer]
    assert any(name.startswith("generator") for name in names)
    assert not any(name.startswith("discriminator") for name in names)


def test_ids_labels_and_lengths_out_of_range_give_nan():
    case = networks.words()
    ids, lengths = (x[:3].copy() for x in case.inputs)
    ids[0, 0] = 7
    lengths[:] = [networks.STEPS, 0, networks.STEPS + 1]
    found = started(to_onnx(case.f, ids, lengths))(ids, lengths)[0]
    np.testing.assert_array_equal(np.isnan(jax.jit(case.f)(ids, lengths)), np.isnan(found))
    assert np.isnan(found).all()


def test_another_opset():
    case = networks.mlp()
    model = to_onnx(case.f, *case.inputs, opset=20)
    assert onnx.load_from_string(model).opset_import[0].version == 20
    np.testing.assert_allclose(started(model)(*case.inputs)[0], case.f(*case.inputs), atol=1e-6)
    for opset, message in ((17, "at least 18"), (999, "at most .*, the last one of the package")):
        with pytest.raises(InputError, match=rf"^opset: got {opset}, allowed: {message}"):
            to_onnx(case.f, *case.inputs, opset=opset)


def test_an_unknown_primitive_is_one_line_with_its_layer():
    class Sorted(linen.Module):
        @linen.compact
        def __call__(self, x):
            return jnp.sort(linen.Dense(3)(x))

    case = networks.classifier(linen.Sequential([Sorted(name="order")]), networks.normal(4))
    message = r"^layer Sequential/layers_0: got 'the primitive sort', allowed: .*; or write to_st"
    with pytest.raises(InputError, match=message) as caught:
        to_onnx(case.f, *case.inputs)
    assert "\n" not in str(caught.value)


def test_bfloat16_is_refused():
    case = networks.classifier(models.MLP((4,), 3, dtype=jnp.bfloat16), networks.normal(4))
    message = r"^layer MLP.*: got 'the dtype bfloat16', allowed: float32: build the model with"
    with pytest.raises(InputError, match=message):
        to_onnx(case.f, *case.inputs)


def test_a_function_with_a_key_is_refused():
    task = tasks.vae(models.VAE(*models.encoder_decoder(networks.IMAGES, 4, hidden=(4,))))
    case = networks.case(task, "encode", {"input": networks.normal(*networks.IMAGES)[:2]})

    def noisy(x):
        return x + jax.random.normal(jax.random.key(0), x.shape)

    with pytest.raises(
        InputError,
        match=r"got 'the primitive random_",
    ):
        to_onnx(noisy, networks.normal(3))
    with pytest.raises(InputError, match=r"^examples\[0\]: .* without keys"):
        to_onnx(case.f, jax.random.key(0))


def test_an_lstm_of_a_process_with_a_gpu_is_a_loop(monkeypatch):
    for module in ("jaxdl.nn.lstm_cudnn", "jaxdl.nn.recurrent"):
        monkeypatch.setattr(f"{module}.count_nvidia_gpus", lambda: 1)
    model = models.SequenceNet(None, nn.RNN("lstm", 5), 3, "last")
    case = networks.classifier(model, networks.normal(networks.STEPS, 4))
    proto = onnx.load_from_string(to_onnx(case.f, *case.inputs))
    assert "Scan" in [node.op_type for node in proto.graph.node]


def test_a_missing_onnx_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    message = r"^export: got None, allowed: the package onnx; run: pip install 'jaxdl\[export\]'$"
    with pytest.raises(InputError, match=message):
        to_onnx(jnp.sin, jnp.zeros((2, 3)))
