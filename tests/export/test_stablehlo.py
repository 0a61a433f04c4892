"""StableHLO artefacts: the numbers of the live function, any batch size, JAX alone."""

import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl import models, nn, tasks
from jaxdl.errors import InputError
from tests.export import networks

pytest.importorskip("flatbuffers", reason="jax.export needs flatbuffers: pip install jaxdl[export]")

from jaxdl.export import from_stablehlo, to_stablehlo

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
FEW = ("mlp", "bidirectional_lstm", "dcgan", "diagonal_pixelrnn")
#: An artefact is any traced function, so the other networks are tested before a release.
RELEASE = (pytest.mark.slow, pytest.mark.release)
OTHERS = [pytest.param(name, marks=RELEASE) for name in networks.ALL if name not in FEW]


def assert_same(artefact: bytes, case: networks.Case, sizes: tuple[int, ...]) -> None:
    loaded = jax.jit(from_stablehlo(artefact))
    live = jax.jit(case.f)
    for size in sizes:
        inputs = [x[:size] for x in case.inputs]
        expected = jax.tree.leaves(live(*inputs))
        found = jax.tree.leaves(loaded(*inputs))
        assert len(found) == len(expected)
        for y, z in zip(expected, found, strict=True):
            np.testing.assert_allclose(z, y, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [*FEW, *OTHERS])
def test_the_numbers_are_those_of_the_live_function(name, request):
    case = networks.ALL[name]()
    artefact = to_stablehlo(case.f, *(x[:3] for x in case.inputs))
    slow = request.node.get_closest_marker("slow") is not None
    assert_same(artefact, case, (1, 100) if slow else (7,))


def test_one_artefact_is_for_any_batch_size_and_three_platforms():
    case = networks.mlp()
    artefact = to_stablehlo(case.f, case.inputs[0][:3])
    assert_same(artefact, case, (1, 2, 7, 100))
    assert jax.export.deserialize(bytearray(artefact)).platforms == ("cpu", "cuda", "tpu")
    assert to_stablehlo(case.f, case.inputs[0]) == artefact, "the example's size does not matter"


def test_a_trained_state_is_exported_with_the_weights_of_its_evaluation():
    x = networks.normal(4)
    data = jaxdl.data.Dataset({"input": x, "label": networks.integers(0, 3)}, "random")
    task = tasks.classify(models.MLP((5,), 3))
    net = jaxdl.with_ema(jaxdl.learner(task.init, *task.updates(optax.adam(0.1))), 0.9)
    state = jaxdl.train(net, data, key=jaxdl.root(0), steps=5, batch_size=20)
    predict = jaxdl.bind(task.predict, state)
    assert_same(to_stablehlo(predict, x), networks.Case(predict, (x,)), (5,))


def test_a_process_without_jaxdl_runs_the_loader_of_the_documents(tmp_path):
    case = networks.ALL["bidirectional_lstm"]()
    (tmp_path / "predict.stablehlo").write_bytes(to_stablehlo(case.f, *case.inputs))
    np.savez(tmp_path / "inputs.npz", *(x[:7] for x in case.inputs))
    loader = re.findall(r"```python\n(import jax\n.*?)```", DOCS.read_text(), re.DOTALL)[0]
    assert len(loader.strip().splitlines()) <= 10
    program = f"""
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("jaxdl", "flax", "optax", "orbax"):
            raise ImportError(name)
sys.meta_path.insert(0, Blocker())
import numpy as np
{loader}
with np.load("inputs.npz") as arrays:
    np.save("outputs.npy", predict(*arrays.values()))
assert not any(name.split(".")[0] in ("jaxdl", "flax") for name in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = case.f(*(x[:7] for x in case.inputs))
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), expected, rtol=1e-6, atol=1e-6)


def lstm() -> networks.Case:
    """Returns a classifier without lengths, which cuDNN could run."""
    model = models.SequenceNet(None, nn.RNN("lstm", 5), 3, "last")
    return networks.classifier(model, networks.normal(networks.STEPS, 4))


def test_an_lstm_of_a_process_with_a_gpu_is_a_loop(monkeypatch):
    """On one NVIDIA GPU the layer runs in cuDNN, whose call has sizes that are numbers."""

    def cudnn(*args):
        raise AssertionError("cuDNN")

    for module in ("jaxdl.nn.lstm_cudnn", "jaxdl.nn.recurrent"):
        monkeypatch.setattr(f"{module}.count_nvidia_gpus", lambda: 1)
    case = lstm()
    monkeypatch.setattr("jaxdl.nn.recurrent.lstm_cudnn", cudnn)
    with pytest.raises(AssertionError, match="cuDNN"):
        jax.eval_shape(case.f, *case.inputs)
    artefact = to_stablehlo(case.f, *case.inputs)
    monkeypatch.undo()
    assert_same(artefact, lstm(), (7,))


def test_no_path_of_this_machine_is_in_the_artefact():
    case = networks.mlp()
    before = jax.config.jax_traceback_in_locations_limit
    assert b".py" not in to_stablehlo(case.f, *case.inputs)
    assert jax.config.jax_traceback_in_locations_limit == before


def test_wrong_arguments_are_one_line():
    x = jnp.zeros((2, 3))
    with pytest.raises(InputError, match=r"^platform: got 'gpu', allowed: cpu, cuda, rocm, tpu"):
        to_stablehlo(jnp.sin, x, platforms=["gpu"])
    with pytest.raises(InputError, match=r"^platforms: got 'cpu', allowed: a sequence such as"):
        to_stablehlo(jnp.sin, x, platforms="cpu")
    with pytest.raises(InputError, match=r"^f: got 'a function that needs the batch size', all"):
        to_stablehlo(lambda x: jnp.zeros(int(x.shape[0])), x)
    with pytest.raises(InputError, match=r"^artefact: got '4 bytes .*', allowed: the bytes that"):
        from_stablehlo(b"text")


def test_a_missing_flatbuffers_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    message = r"^export: got None, allowed: the package flatbuffers; run: pip install 'jaxdl\["
    with pytest.raises(InputError, match=message):
        to_stablehlo(jnp.sin, jnp.zeros((2, 3)))
    with pytest.raises(InputError, match=message):
        from_stablehlo(b"")
