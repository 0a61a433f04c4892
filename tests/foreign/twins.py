"""A VGG network of PyTorch with the names of torchvision, and its weights in files of every kind.

The weights and the biases are random. The network is a plain `torch.nn.Sequential`.
"""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

h5py = pytest.importorskip("h5py")
torch = pytest.importorskip("torch")

#: Widths of VGG16, and those of a small twin.
FULL = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)
SMALL = ((4, 5), (6, 7), (8, 9, 8), (9, 8, 9), (8, 9, 8))

#: Channels of the maps that the head reads, and their height and width.
HEAD = 7


def vgg(widths=SMALL, dense=(12, 11), outputs=10, seed=0):
    """Returns the network `[N, 3, H, W] -> [N, outputs]` with random weights and biases."""
    torch.manual_seed(seed)
    layers = []
    channels = 3
    for block in widths:
        for width in block:
            layers += [torch.nn.Conv2d(channels, width, 3, padding=1), torch.nn.ReLU()]
            channels = width
        layers.append(torch.nn.MaxPool2d(2))
    head = [torch.nn.Linear(channels * HEAD**2, dense[0]), torch.nn.ReLU(), torch.nn.Dropout()]
    head += [torch.nn.Linear(*dense), torch.nn.ReLU(), torch.nn.Dropout()]
    head.append(torch.nn.Linear(dense[1], outputs))
    parts = [
        ("features", torch.nn.Sequential(*layers)),
        ("avgpool", torch.nn.AdaptiveAvgPool2d(HEAD)),
        ("flatten", torch.nn.Flatten()),
        ("classifier", torch.nn.Sequential(*head)),
    ]
    network = torch.nn.Sequential(OrderedDict(parts)).eval()
    with torch.no_grad():
        for name, value in network.named_parameters():
            fan_in = max(1, value[0].numel())
            deviation = 0.1 if name.endswith("bias") else (2 / fan_in) ** 0.5
            value.normal_(std=deviation)
    return network


def reference(network, images):
    """Returns all activations after ReLU, pooling and the last layer, in the order H, W, C."""
    maps = torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))
    outputs = []
    with torch.no_grad():
        for layer in network.features:
            maps = layer(maps)
            if isinstance(layer, torch.nn.ReLU):
                outputs.append(maps.permute(0, 2, 3, 1).numpy())
        x = network.flatten(network.avgpool(maps))
        for layer in network.classifier:
            x = layer(x)
            if isinstance(layer, torch.nn.ReLU):
                outputs.append(x.numpy())
    return [*outputs, x.numpy()]


def arrays_of(network):
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def timm(arrays):
    """Returns the weights in the layout of timm, whose dense layers are convolutions."""
    names = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2"}
    names["classifier.6"] = "head.fc"
    renamed = {}
    for key, value in arrays.items():
        layer, _, kind = key.rpartition(".")
        if kind == "weight" and layer in ("classifier.0", "classifier.3"):
            size = HEAD if layer == "classifier.0" else 1
            value = value.reshape(len(value), -1, size, size)
        renamed[f"{names.get(layer, layer)}.{kind}"] = value
    return renamed


def keras(arrays):
    """Returns `{layer: (kernel, bias)}` in the layout of Keras, for BGR images."""
    convs = [key for key in arrays if key.startswith("features.") and key.endswith("weight")]
    names = [f"block{b + 1}_conv{i + 1}" for b, w in enumerate(SMALL) for i in range(len(w))]
    layers = {}
    for name, key in zip(names, convs, strict=True):
        kernel = arrays[key].transpose(2, 3, 1, 0)
        if name == "block1_conv1":
            kernel = kernel[:, :, ::-1]
        layers[name] = (kernel, arrays[key.replace("weight", "bias")])
    if "classifier.0.weight" not in arrays:
        return layers
    for name, number in (("fc1", 0), ("fc2", 3), ("predictions", 6)):
        kernel = arrays[f"classifier.{number}.weight"].T
        if number == 0:
            maps = kernel.reshape(-1, HEAD, HEAD, kernel.shape[-1])
            kernel = maps.transpose(1, 2, 0, 3).reshape(kernel.shape)
        layers[name] = (kernel, arrays[f"classifier.{number}.bias"])
    return layers


def write_keras_2(path: Path, layers):
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in ["input_1", *layers]]
        file.create_group("input_1").attrs["weight_names"] = []
        for name, weights in layers.items():
            group = file.create_group(name)
            keys = [f"{name}_W_1:0", f"{name}_b_1:0"]
            group.attrs["weight_names"] = [key.encode() for key in keys]
            for key, value in zip(keys, weights, strict=True):
                group[key] = value


def write_keras_3(path: Path, layers, named=True):
    """Writes layers by their order of creation, with their own names in attributes if `named`."""
    counts = {"conv2d": 0, "dense": 0}
    with h5py.File(path, "w") as file:
        for name, weights in layers.items():
            kind = "conv2d" if weights[0].ndim == 4 else "dense"
            number = f"_{counts[kind]}" if counts[kind] else ""
            counts[kind] += 1
            group = file.create_group(f"layers/{kind}{number}/vars")
            if named:
                group.attrs["name"] = name
            for i, value in enumerate(weights):
                group[str(i)] = value


def _torch_file(path, arrays, new):
    tensors = OrderedDict((key, torch.from_numpy(value)) for key, value in arrays.items())
    torch.save(tensors, path, _use_new_zipfile_serialization=new)


#: Functions that write the arrays of `arrays_of` into a file, by the name of the file.
WRITERS = {
    "vgg.safetensors": lambda path, arrays: safetensors.numpy.save_file(arrays, path),
    "timm.safetensors": lambda path, arrays: safetensors.numpy.save_file(timm(arrays), path),
    "new.pth": lambda path, arrays: _torch_file(path, arrays, True),
    "old.pth": lambda path, arrays: _torch_file(path, arrays, False),
    "vgg.npz": lambda path, arrays: np.savez(path, **arrays),
    "keras2.h5": lambda path, arrays: write_keras_2(path, keras(arrays)),
    "keras3.weights.h5": lambda path, arrays: write_keras_3(path, keras(arrays)),
    "numbered.weights.h5": lambda path, arrays: write_keras_3(path, keras(arrays), named=False),
}
