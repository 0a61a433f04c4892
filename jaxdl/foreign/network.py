"""The parts of a network from a weights file of another library."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxdl.data.preprocessing import Preprocessing
from jaxdl.errors import InputError
from jaxdl.foreign.efficientnet import efficientnet_layout
from jaxdl.foreign.files import ENDINGS, read_arrays
from jaxdl.foreign.layouts import checked, read_variables
from jaxdl.foreign.vgg import vgg_layout
from jaxdl.tasks import Task, classify, regress

#: Functions that recognise a network by the names of its arrays.
LAYOUTS = (vgg_layout, efficientnet_layout)

#: The number of classes of ImageNet, and the file with their names.
IMAGENET = 1000
NAMES = Path(__file__).parent / "imagenet.txt"


class ForeignNetwork(NamedTuple):
    """The parts of a network.

    Attributes:
      task: classification, or regression of feature maps for a network without a head.
      variables: `{"params": ..., collection: ...}`, float32.
      preprocessing: crop and scaling of photographs, and the names of classes.
      fields: shape and dtype of an input.
    """

    task: Task
    variables: dict[str, Any]
    preprocessing: Preprocessing
    fields: dict[str, jax.ShapeDtypeStruct]


def is_weights(path: Path) -> bool:
    """Returns True for a path that is no directory, with the ending of a weights file.

    Example:
      >>> is_weights(Path("vgg16.pth")), is_weights(Path("runs/cnn"))
      (True, False)
    """
    return path.suffix.lower() in ENDINGS and not path.is_dir()


def read_network(path: Path) -> ForeignNetwork:
    """Reads a network from a weights file of another library.

    The layout is recognised by the names of the arrays. No code in the file is executed.

    Args:
      path: a file of VGG11 to VGG19 in the layout of torchvision, timm or Keras, or of
        EfficientNet-Lite0. Networks without a head are read, too.

    Returns:
      The parts of the network.

    Raises:
      InputError: a file that cannot be read, an unknown layout, arrays that are missing, left over
        or of another shape, or numbers that are not finite.

    Example:
      >>> read_network(Path("nowhere.safetensors"))
      Traceback (most recent call last):
      jaxdl.errors.InputError: weights: got 'nowhere.safetensors', allowed: a file that can be ...
    """
    arrays = read_arrays(path)
    for recognise in LAYOUTS:
        layout = recognise(arrays, path) if arrays else None
        if layout is not None:
            break
    else:
        some = f"arrays {', '.join(sorted(arrays)[:3])}" if arrays else "no arrays"
        allowed = (
            "the arrays of a VGG network of torchvision, timm or Keras, or of EfficientNet-Lite0; "
            "a run of jaxdl is loaded by its directory"
        )
        raise InputError(str(path), some, allowed)
    checked(layout, arrays, path)
    variables = read_variables(layout, arrays, path)
    if "NaN" in layout.name:
        warnings.warn(f"{path}: {layout.name}; its outputs are feature maps", stacklevel=3)
    model: Any = layout.model
    preprocessing = layout.preprocessing
    size = preprocessing.crop.size if preprocessing.crop else 1
    fields = {"input": jax.ShapeDtypeStruct((size, size, 3), np.dtype(np.float32))}
    if model.outputs is None:
        return ForeignNetwork(regress(model), variables, preprocessing, fields)
    if model.outputs == IMAGENET:
        preprocessing = dataclasses.replace(preprocessing, class_names=imagenet_classes())
    return ForeignNetwork(classify(model), variables, preprocessing, fields)


def imagenet_classes() -> tuple[str, ...]:
    """Returns the names of the 1000 classes of ImageNet, in the order of the labels.

    Source: torchvision, BSD 3-Clause licence; see the first lines of the file.

    Example:
      >>> imagenet_classes()[281:283]
      ('tabby', 'tiger cat')
    """
    lines = NAMES.read_text(encoding="utf-8").splitlines()
    return tuple(line for line in lines if not line.startswith("#"))
