"""Results of foolbox 3.3.4, an oracle for attacks, on a small network through PyTorch.

    pip install foolbox==3.3.4 eagerpy torch
    python -m tests.explain.foolbox_arrays            # compares with the stored results
    python -m tests.explain.foolbox_arrays --write    # writes foolbox_arrays.npz

The tests read `foolbox_arrays.npz` and need no foolbox. For the sign method each pixel is stored as
the direction of its change.
"""

import argparse
from pathlib import Path

import jax.numpy as jnp
import numpy as np

PATH = Path(__file__).with_suffix(".npz")
EPSILONS = (0.02, 0.1, 0.3)
RADII = {"linf": (0.02, 0.05, 0.1), "l2": (0.1, 0.3, 0.6)}
STEPS = 20
#: Length of a step, relative to the radius.
RELATIVE = 0.1


def images():
    """Returns 1,000 random images `[N, 36]`, some pixels 0 or 1."""
    rng = np.random.default_rng(7)
    return np.clip(rng.normal(0.5, 0.4, (1000, 36)), 0, 1).astype(np.float32)


def weights():
    """Returns kernels and biases of a network with 20 hidden units and 4 classes."""
    rng = np.random.default_rng(8)
    kernels = [rng.normal(0, 0.25, (36, 20)), rng.normal(0, 0.5, (20, 4))]
    biases = [rng.normal(0, 0.1, 20), rng.normal(0, 0.1, 4)]
    return [[x.astype(np.float32) for x in each] for each in (kernels, biases)]


def scores(x):
    """Returns the logits of the network."""
    kernels, biases = weights()
    hidden = x @ kernels[0] + jnp.broadcast_to(biases[0], (len(x), 20))
    return jnp.maximum(hidden, 0) @ kernels[1] + jnp.broadcast_to(biases[1], (len(x), 4))


def labels():
    """Returns the predictions of the network, a tenth of them changed to another class."""
    predicted = np.asarray(scores(images())).argmax(1)
    return np.where(np.arange(1000) % 10, predicted, (predicted + 1) % 4).astype(np.int32)


def decoded(direction, x, epsilon):
    """Returns images from the directions of their changes."""
    return np.clip(x + np.float32(epsilon) * direction, 0, 1).astype(np.float32)


def read():
    """Returns the stored results."""
    with np.load(PATH) as file:
        return dict(file)


def computed():
    """Returns the results of foolbox."""
    import foolbox
    import torch

    kernels, biases = weights()
    layers = [torch.nn.Linear(36, 20), torch.nn.ReLU(), torch.nn.Linear(20, 4)]
    for layer, kernel, bias in zip(layers[::2], kernels, biases, strict=True):
        layer.weight.data = torch.tensor(kernel.T.copy())
        layer.bias.data = torch.tensor(bias)
    model = torch.nn.Sequential(*layers).eval()
    bounded = foolbox.PyTorchModel(model, bounds=(0, 1))
    x = torch.tensor(images())
    y = torch.tensor(labels().astype(np.int64))
    results = {}
    for epsilon in EPSILONS:
        raw = foolbox.attacks.LinfFastGradientAttack()(bounded, x, y, epsilons=epsilon)[0]
        results[f"fgsm_{epsilon}"] = _direction(raw.numpy(), epsilon)
    kinds = {"linf": foolbox.attacks.LinfPGD, "l2": foolbox.attacks.L2PGD}
    for norm, kind in kinds.items():
        options = {"rel_stepsize": RELATIVE, "steps": STEPS, "random_start": False}
        for epsilon in RADII[norm]:
            found = kind(**options)(bounded, x, y, epsilons=epsilon)[1]
            results[f"{norm}_{epsilon}"] = model(found).argmax(1).numpy() != y.numpy()
    return results


def _direction(attacked, epsilon):
    """Returns the directions of changes, and checks that they decode to the same images."""
    x = images()
    direction = np.sign(attacked - x).astype(np.int8)
    np.testing.assert_allclose(decoded(direction, x, epsilon), attacked, atol=1e-6)
    return direction


def main():
    """Writes the results, or compares them with the stored ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {PATH.name}")
    if parser.parse_args().write:
        np.savez_compressed(PATH, **computed())
        print(f"{PATH} {PATH.stat().st_size / 1000:.0f} kB")
        return
    stored = read()
    for name, values in computed().items():
        print(f"{name}: {(values == stored[name]).mean():.4f} equal")


if __name__ == "__main__":
    main()
