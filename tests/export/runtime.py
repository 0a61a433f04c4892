"""Comparison of a function with its ONNX model in onnxruntime."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install jaxdl[export]")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install jaxdl[export]")


def started(model: bytes) -> Callable[..., list[np.ndarray]]:
    """Returns a model as a function of its inputs."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [x.name for x in session.get_inputs()]
    return lambda *inputs: session.run(None, dict(zip(names, inputs, strict=True)))


def assert_same(
    f: Callable, *inputs: np.ndarray, sizes: Sequence[int] = (3,), tolerance: float = 1e-5
) -> bytes:
    """Exports a function, compares it at several batch sizes, and returns the model."""
    from jaxdl.export import to_onnx

    model = to_onnx(f, *(x[:2] for x in inputs))
    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    call = started(model)
    live = jax.jit(lambda *x: f(*x))
    for size in sizes:
        rows = [x[:size] for x in inputs]
        paths = jax.tree_util.tree_flatten_with_path(live(*rows))[0]
        found = call(*rows)
        assert len(found) == len(paths)
        for (path, y), z in zip(paths, found, strict=True):
            place = f"{jax.tree_util.keystr(path)}, batch size {size}"
            assert (z.dtype, z.shape) == (y.dtype, y.shape), place
            np.testing.assert_allclose(z, y, rtol=tolerance, atol=tolerance, err_msg=place)
    return model
