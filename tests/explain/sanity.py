"""Measures on MNIST if explanations depend on the network, and if they find what it uses.

    python -m tests.explain.sanity              # a CNN with a dense head
    python -m tests.explain.sanity --average    # a CNN with global average pooling

Trains the network for two epochs of 15,000 images. The first table has the rank correlation of the
maps with those of the trained network while its layers become random, at pixels with ink. Its last
column is that of absolute values at all pixels, for the last network. The second table has the mean
areas of deletion and insertion, with the share of images in which a method beats a random order.
"""

import argparse

import numpy as np
import optax

import jaxdl
from jaxdl import explain
from jaxdl.models import CNN, Stage

IMAGES = 30
STAGES = (Stage(16), Stage(32), Stage(32, pool=None))


def train(is_average):
    """Returns a model with its trained variables, and images of the test set."""
    data, test = jaxdl.data.load("mnist")
    part = jaxdl.data.Dataset(
        {name: np.asarray(x[:15000]) for name, x in data.arrays.items()}, "part", classes=10
    )
    model = CNN(STAGES, (64,), 10)
    if is_average:
        model = CNN(STAGES, (), 10, head_size=1)
    task = jaxdl.tasks.classify(model)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(2e-3)))
    state = jaxdl.train(net, part, key=jaxdl.root(0), steps=470, batch_size=64)
    print("accuracy", float(jaxdl.evaluate(net, state, test)["accuracy"]))
    variables = {"params": state.params, **state.extra}
    return model, variables, np.asarray(test["input"][:IMAGES])


def methods(model):
    """Returns the methods by name, as functions `(f, images, target) -> maps`."""
    key = jaxdl.root(1)
    cells = explain.grid((28, 28), 4)

    def integrated(f, x, target):
        return explain.integrated_gradients(f, x, target, steps=32).maps

    def smooth(f, x, target):
        return explain.smooth_gradient(f, x, target, key=key)

    def grad_cam(f, x, target):
        return explain.grad_cam(model, f.args[0], x, target, relu=False).maps

    def lime(f, x, target):
        options = {"segments": cells, "baseline": 0.0, "most_samples": 1000}
        return explain.lime(f, x, target, key=key, **options).maps

    def rise(f, x, target):
        return explain.rise(f, x, target, key=key, masks=2000)

    return {
        "gradient": explain.gradient,
        "integrated gradients": integrated,
        "Grad-CAM, signed": grad_cam,
        "gradient x input": explain.gradient_times_input,
        "SmoothGrad": smooth,
        "occlusion 3x3": explain.occlusion,
        "LIME, cells of 4x4": lime,
        "RISE": rise,
        "Sobel": lambda f, x, target: explain.sobel(x),
    }


def print_cascade(model, variables, images):
    """Prints the correlations of each method by layer."""
    names = explain.cascade(model, variables, lambda f, x, t: x, images[:1], jaxdl.root(7)).names
    print(f"{'':22s}" + "".join(f"{name:>14s}" for name in names) + "  |maps|, all pixels")
    found = {}
    for name, method in methods(model).items():
        result = explain.cascade(model, variables, method, images, jaxdl.root(7))
        pairs = zip(result.maps[0], result.maps[-1], strict=True)
        everywhere = np.mean([explain.rank_correlation(np.abs(a), np.abs(b)) for a, b in pairs])
        row = "".join(f"{value:14.2f}" for value in result.correlation)
        print(f"{name:22s}{row}{everywhere:20.2f}", flush=True)
        found[name] = result.maps[0]
    return found


def print_areas(model, variables, images, found):
    """Prints the areas of deletion and insertion of each method."""
    f = explain.logits(model, variables)
    found["random order"] = explain.random_order(images, jaxdl.root(3))
    for kind in ("black", "blurred"):
        baseline = explain.baselines(kind, images)
        options = {"baseline": baseline, "steps": 49}
        print(f"baseline {kind:13s} deletion  beats random  insertion  beats random")
        random = found["random order"]
        deleted = explain.deletion(f, images, random, **options).area
        inserted = explain.insertion(f, images, random, **options).area
        for name, maps in found.items():
            low = explain.deletion(f, images, maps, **options).area
            high = explain.insertion(f, images, maps, **options).area
            print(
                f"{name:22s} {low.mean():8.3f} {(low < deleted).mean():13.2f} "
                f"{high.mean():10.3f} {(high > inserted).mean():13.2f}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--average", action="store_true", help="global average pooling")
    options = parser.parse_args()
    model, variables, images = train(options.average)
    found = print_cascade(model, variables, images)
    print_areas(model, variables, images, found)


if __name__ == "__main__":
    main()
