"""Runs AutoAttack on a finished run: an evaluation of robustness by other code, in PyTorch.

    pip install --no-deps torchattacks==3.5.1                # and torch; torchvision is not needed
    python -m tests.explain.autoattack RUN --epsilon 0.3 --images 1000

AutoAttack is an ensemble of four attacks without parameters: APGD on the cross-entropy, targeted
APGD, targeted FAB and Square. The network of the run is built again in PyTorch, and its logits are
compared with those of jaxdl. Stages of one convolution, with or without pooling, are supported.

Source: Croce and Hein 2020, Reliable evaluation of adversarial robustness with an ensemble of
diverse parameter-free attacks.
"""

import argparse
import importlib.util
import time

import jax
import jax.numpy as jnp
import numpy as np

import jaxdl
from jaxdl import explain
from jaxdl.models import CNN, Stage
from jaxdl.nn.sizes import geometry_of

#: Largest difference of logits, relative to the largest logit.
TOLERANCE = 1e-5

#: Names of the norms in torchattacks.
NORMS = {"linf": "Linf", "l2": "L2"}


def converted(model, variables, shift=0.0, scale=1.0):
    """Returns a CNN without norms as a PyTorch module of images `[N, C, H, W]` in [0, 1].

    Args:
      model: a `jaxdl.models.CNN`.
      variables: its parameters.
      shift: number or `[H, W, C]`, added to the scaled images.
      scale: number or `[H, W, C]`, factor of the images.
    """
    import torch

    check_supported(model)
    params = jax.tree.map(lambda x: torch.tensor(np.asarray(x)), variables["params"])
    shift, scale = (torch.tensor(np.asarray(each, np.float32)) for each in (shift, scale))

    class Twin(torch.nn.Module):
        def __init__(self):
            super().__init__()
            # torchattacks finds the device by a parameter.
            self.device = torch.nn.Parameter(torch.zeros(()), requires_grad=False)

        def forward(self, x):
            x = (x.permute(0, 2, 3, 1) * scale + shift).permute(0, 3, 1, 2)
            for i, stage in enumerate(model.stages):
                kernel = params[f"conv_{i}"]["kernel"].permute(3, 2, 0, 1)
                x = torch.nn.functional.pad(x, pads(x.shape[2:], stage))
                bias = params[f"conv_{i}"]["bias"]
                x = torch.relu(torch.nn.functional.conv2d(x, kernel, bias, stage.strides))
                if stage.pool == "max":
                    x = torch.nn.functional.max_pool2d(x, stage.window)
            x = x.permute(0, 2, 3, 1).flatten(1)
            for i in range(len(model.dense)):
                layer = params["head"][f"dense_{i}"]
                x = torch.relu(x @ layer["kernel"] + layer["bias"])
            layer = params["head"]["out"]
            return x @ layer["kernel"] + layer["bias"]

    return Twin().eval()


def check_supported(model):
    """Ends the program unless a network has the layers that `converted` builds."""
    allowed = CNN(model.stages, model.dense, model.outputs)
    plain = [
        Stage(s.features, s.kernel, s.strides, s.padding, s.pool, s.window, s.dropout)
        for s in getattr(model, "stages", [])
    ]
    is_plain = list(getattr(model, "stages", [])) == plain and model.activation == "relu"
    pools = {stage.pool for stage in plain}
    if not is_plain or model.norm is not None or model.head_size or "average" in pools:
        raise SystemExit(f"autoattack: {type(model).__name__} has layers besides {allowed}")


def pads(size, stage):
    """Returns the padding of a stage as PyTorch orders it: left, right, top, bottom."""
    geometry = geometry_of(tuple(size), (stage.kernel,) * 2, stage.strides, stage.padding)
    return [*geometry.pads[1], *geometry.pads[0]]


def robust(model, images, label, epsilon, norm="linf", seed=0, batch_size=500):
    """Returns the images `[N]` that the module classifies correctly after AutoAttack.

    Args:
      model: module from images `[N, C, H, W]` to logits.
      images: `[N, H, W, C]` in [0, 1].
      label: `[N]`.
      epsilon: radius of the ball.
      norm: "linf" or "l2".
      seed: seed of the random numbers.
      batch_size: number of images in a batch.
    """
    import torch
    import torchattacks

    options = {"n_classes": model(to_torch(images[:1])).shape[1], "seed": seed}
    attack = torchattacks.AutoAttack(model, norm=NORMS[norm], eps=epsilon, **options)
    parts = []
    for first in range(0, len(images), batch_size):
        x = to_torch(images[first : first + batch_size])
        y = torch.tensor(np.asarray(label[first : first + batch_size]).astype(np.int64))
        attacked = attack(x, y)
        with torch.no_grad():
            parts.append((model(attacked).argmax(1) == y).numpy())
        done = np.concatenate(parts)
        print(f"{len(done)} images: {100 * done.mean():.2f} % robust", flush=True)
    return np.concatenate(parts)


def to_torch(images):
    """Returns images `[N, H, W, C]` as a tensor `[N, C, H, W]`."""
    import torch

    return torch.tensor(np.ascontiguousarray(np.asarray(images, np.float32).transpose(0, 3, 1, 2)))


def main():
    """Reads the options, attacks the network of a run, and prints its robust accuracy."""
    parser = argparse.ArgumentParser(prog="python -m tests.explain.autoattack")
    parser.add_argument("run", help="directory of a finished run of a CNN")
    parser.add_argument("--member", type=int, default=0, help="index of the seed")
    parser.add_argument("--data", default="mnist", help="name of the set")
    parser.add_argument("--images", type=int, default=1000, help="number of test images")
    parser.add_argument("--epsilon", type=float, default=0.3, help="radius of the ball")
    parser.add_argument("--norm", choices=NORMS, default="linf", help="norm of the ball")
    parser.add_argument("--seed", type=int, default=0, help="seed of the random numbers")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    parser.add_argument("--batch-size", type=int, default=500, help="images in a batch")
    options = parser.parse_args()
    for name in ("torch", "torchattacks"):
        if importlib.util.find_spec(name) is None:
            raise SystemExit(f"autoattack: {name} is missing; the docstring has the command")
    import torch

    # Several threads on busy cores wait for each other.
    torch.set_num_threads(options.threads)
    network = jaxdl.load(options.run, member=options.member)
    test = jaxdl.data.load(options.data)[1]
    x = np.asarray(test["input"][: options.images], np.float32)
    y = np.asarray(test["label"][: options.images])
    # The scaling of the run maps black and white images to these.
    ends = np.stack([np.zeros_like(x[0]), np.ones_like(x[0])])
    shift, top = np.asarray(network.preprocessing(ends), np.float32)
    model = converted(network.model, network.variables, shift, top - shift)
    difference = compared(model, network, x[:100], shift, top - shift)
    accuracy = (model(to_torch(x)).argmax(1).numpy() == y).mean()
    print(f"logits differ by {difference:.1g} of the largest; accuracy {100 * accuracy:.2f} %")
    began = time.time()
    flags = robust(model, x, y, options.epsilon, options.norm, options.seed, options.batch_size)
    print(f"robust accuracy {100 * flags.mean():.2f} % of {len(x)} images at {options.epsilon:.3g}")
    print(f"time {time.time() - began:.0f} s")


def compared(model, network, x, shift, scale):
    """Returns the relative difference of the logits; ends the program if it is too large."""

    def prepare(x):
        return x * jnp.broadcast_to(scale, x.shape) + jnp.broadcast_to(shift, x.shape)

    expected = np.asarray(explain.logits(network.model, network.variables, prepare)(jnp.asarray(x)))
    difference = np.abs(model(to_torch(x)).detach().numpy() - expected).max()
    relative = float(difference / np.abs(expected).max())
    if not relative <= TOLERANCE:
        raise SystemExit(f"autoattack: logits differ by {relative:.1g}, more than {TOLERANCE}")
    return relative


if __name__ == "__main__":
    main()
