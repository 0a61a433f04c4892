"""Arrays of Captum 0.9.0 for two small networks with random weights, for the tests.

    python -m tests.explain.captum_arrays            # compares the file with the installed Captum
    python -m tests.explain.captum_arrays --write    # makes the file

Weights, images, baselines and segments follow from NumPy seeds. So the file has Captum's results
only, and the tests that compare with it need neither Captum nor PyTorch.
"""

import argparse
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.models import CNN, MLP, Stage

PATH = Path(__file__).with_name("captum.npz")

SHAPE = (12, 11, 2)
IMAGES = np.random.default_rng(1).random((5, *SHAPE), np.float32)
BASELINE = np.random.default_rng(2).random((5, *SHAPE), np.float32)
SEGMENTS = np.random.default_rng(3).integers(0, 7, (5, *SHAPE[:2]))
TARGET = np.array([2, 0, 3, 1, 2])
STEPS = 24

#: Window and stride of the occlusions. The last windows of the second one are cut.
WINDOWS = {"small": ((3, 3), (1, 1)), "cut": ((5, 4), (3, 2))}

MODELS = {
    "cnn": CNN((Stage(6), Stage(8, pool="average"), Stage(7, pool=None)), (10,), 4),
    "mlp": MLP((16, 12), 4, norm="batch"),
}


def variables(name):
    """Returns random parameters with biases, and random statistics of BatchNorm."""
    rng = np.random.default_rng(4)
    shapes = jax.eval_shape(
        lambda: MODELS[name].init(jax.random.key(0), jnp.zeros((1, *SHAPE)), train=False)
    )

    def sample(path, leaf):
        kind = path[-1].key
        fan_in = 9
        if kind == "kernel":
            fan_in = leaf.size // leaf.shape[-1]
        value = rng.normal(scale=fan_in**-0.5, size=leaf.shape)
        if kind in ("scale", "var"):
            value = np.abs(value) + 0.5
        return value.astype(np.float32)

    return jax.tree_util.tree_map_with_path(sample, shapes)


def twin(name):
    """Returns the same network in PyTorch, for images `[N, C, H, W]`.

    Its layer `last` has the last activation with positions. The numbers are float64.
    """
    import torch
    from torch.nn import functional

    params = jax.tree.map(lambda x: torch.tensor(x, dtype=torch.float64), variables(name))

    def dense(x, weights):
        return x @ weights["kernel"] + weights.get("bias", 0.0)

    def conv(x, weights):
        kernel = weights["kernel"].permute(3, 2, 0, 1)
        return functional.conv2d(x, kernel, weights["bias"], padding=kernel.shape[-1] // 2)

    def norm(x, weights, statistics):
        values = (statistics["mean"], statistics["var"], weights["scale"], weights["bias"])
        return functional.batch_norm(x, *values, eps=1e-5)

    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.last = torch.nn.ReLU()

        def forward(self, x):
            own = params["params"]
            if name == "cnn":
                x = functional.max_pool2d(torch.relu(conv(x, own["conv_0"])), 2)
                x = functional.avg_pool2d(torch.relu(conv(x, own["conv_1"])), 2)
                x = self.last(conv(x, own["conv_2"]))
                own = own["head"]
            x = x.permute(0, 2, 3, 1).flatten(1)
            for i in range(len(own)):
                if f"dense_{i}" in own:
                    x = dense(x, own[f"dense_{i}"])
                    if f"norm_{i}" in own:
                        x = norm(x, own[f"norm_{i}"], params["batch_stats"][f"norm_{i}"])
                    x = torch.relu(x)
            return dense(x, own["out"])

    return Twin().eval()


def captum_arrays():
    """Returns Captum's results, `{"cnn gradient": [N, H, W, C], ...}`."""
    import torch
    from captum import attr

    def images(x):
        return torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2).contiguous()

    x = images(IMAGES).requires_grad_()
    start = images(BASELINE)
    target = torch.tensor(TARGET)
    segments = torch.tensor(SEGMENTS)[:, None]
    arrays = {}
    for name in MODELS:
        f = twin(name)
        found = {
            "gradient": attr.Saliency(f).attribute(x, target, abs=False),
            "gradient_times_input": attr.InputXGradient(f).attribute(x, target),
            "integrated_gradients": attr.IntegratedGradients(f).attribute(
                x, start, target, n_steps=STEPS, method="gausslegendre"
            ),
            "ablation": attr.FeatureAblation(f).attribute(x, start, target, feature_mask=segments)[
                :, :1
            ],
        }
        for each, (window, stride) in WINDOWS.items():
            maps = attr.Occlusion(f).attribute(
                x, (SHAPE[2], *window), (SHAPE[2], *stride), start, target
            )
            found[f"occlusion {each}"] = maps[:, :1]
        if name == "cnn":
            cam = attr.LayerGradCam(f, f.last)
            for relu in (True, False):
                raw = cam.attribute(x, target, relu_attributions=relu)
                maps = attr.LayerAttribution.interpolate(raw, SHAPE[:2], "bilinear")
                found[f"grad_cam {relu}"] = maps
        for method, maps in found.items():
            maps = maps.detach().permute(0, 2, 3, 1).numpy()
            arrays[f"{name} {method}"] = maps.astype(np.float32)
    return arrays


def stored_arrays():
    """Returns the results in the file."""
    with np.load(PATH) as arrays:
        return dict(arrays)


def largest_difference(found, expected):
    """Returns the largest difference, relative to the largest value of `expected`."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def main(arguments):
    """Writes the file, or prints its differences from Captum; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.explain.captum_arrays",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--write", action="store_true", help="make the file")
    arrays = captum_arrays()
    if parser.parse_args(arguments).write:
        np.savez_compressed(PATH, **arrays)
        print(f"{PATH.name}: {len(arrays)} arrays, {PATH.stat().st_size} bytes")
        return 0
    stored = stored_arrays()
    differences = {name: largest_difference(arrays[name], stored[name]) for name in arrays}
    for name, difference in differences.items():
        print(f"{name:30} {difference:.1e}")
    return int(max(differences.values()) > 1e-6)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
