"""The layout of EfficientNet-Lite0 in PyTorch, with the names of the TensorFlow model."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from jaxdl.foreign.arrays import Stored
from jaxdl.foreign.layouts import Layout, Parameter, kernel, outputs_of, photographs, vector
from jaxdl.models.efficientnet import EfficientNet, efficientnet_lite0

#: Mean and deviation of pixels in [0, 255].
MEAN = 127 / 255
DEVIATION = 128 / 255

#: Parameters of BatchNorm: their collection and name, and the name in PyTorch.
NORM = {
    "params/{}/scale": "weight",
    "params/{}/bias": "bias",
    "batch_stats/{}/mean": "running_mean",
    "batch_stats/{}/var": "running_var",
}


def efficientnet_layout(arrays: Mapping[str, Stored], path: Path) -> Layout | None:
    """Returns the layout of EfficientNet-Lite0, or None for other arrays.

    The widths are those of the file; kernels, strides and repeats are those of Lite0.

    Args:
      arrays: arrays of the file by name.
      path: the file, for messages.

    Example:
      >>> efficientnet_layout({}, Path("x")) is None
      True
    """
    if "_conv_stem.weight" not in arrays or "_blocks.0._depthwise_conv.weight" not in arrays:
        return None
    stem = outputs_of(arrays, "_conv_stem.weight")
    top = outputs_of(arrays, "_conv_head.weight")
    parameters = [kernel("params/conv_stem/kernel", "_conv_stem.weight", 3, stem, 3)]
    parameters += _norm("norm_stem", "_bn0", stem)
    stages = []
    inputs = stem
    i = 0
    for stage in efficientnet_lite0().stages:
        features = outputs_of(arrays, f"_blocks.{i}._project_conv.weight")
        stages.append(dataclasses.replace(stage, features=features))
        for _ in range(stage.blocks):
            parameters += _block(i, inputs, features, stage.kernel, stage.expansion)
            inputs = features
            i += 1
    parameters.append(kernel("params/conv_top/kernel", "_conv_head.weight", inputs, top, 1))
    parameters += _norm("norm_top", "_bn1", top)
    outputs = None
    if "_fc.weight" in arrays or "_fc.bias" in arrays:
        outputs = outputs_of(arrays, "_fc.weight")
        shape = (top, outputs)
        dense = Parameter("params/out/kernel", "_fc.weight", (outputs, top), shape, (1, 1))
        parameters += [dense, vector("params/out/bias", "_fc.bias", outputs)]
    model = EfficientNet(tuple(stages), stem, top, outputs)
    preprocessing = photographs((MEAN,) * 3, (DEVIATION,) * 3, "bicubic")
    unused = frozenset(key for key in arrays if key.endswith(".num_batches_tracked"))
    return Layout("EfficientNet-Lite0", model, parameters, preprocessing, unused)


def _block(i: int, inputs: int, features: int, size: int, expansion: int) -> list[Parameter]:
    """Returns the parameters of one block."""
    place = f"block_{i}"
    name = f"_blocks.{i}."
    width = inputs * expansion
    parameters = []
    if expansion > 1:
        key = f"{name}_expand_conv.weight"
        parameters.append(kernel(f"params/{place}/expand/kernel", key, inputs, width, 1))
        parameters += _norm(f"{place}/norm_expand", f"{name}_bn0", width)
    key = f"{name}_depthwise_conv.weight"
    parameters.append(kernel(f"params/{place}/depthwise/kernel", key, 1, width, size))
    parameters += _norm(f"{place}/norm_depthwise", f"{name}_bn1", width)
    key = f"{name}_project_conv.weight"
    parameters.append(kernel(f"params/{place}/project/kernel", key, width, features, 1))
    return parameters + _norm(f"{place}/norm_project", f"{name}_bn2", features)


def _norm(place: str, name: str, size: int) -> list[Parameter]:
    return [vector(form.format(place), f"{name}.{key}", size) for form, key in NORM.items()]
