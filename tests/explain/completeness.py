"""Completeness errors of integrated gradients on test images of MNIST, for a CNN with biases.

    python -m tests.explain.completeness                  # 1,000 images, 256 steps
    python -m tests.explain.completeness --images 100 --steps 16 64 256

Prints the median, the 99th percentile and the largest error for each number of steps, and the steps
that a tolerance of 5e-4 takes. The exit code is 1 if more than 1 % of the images have an error
above 2e-3 at 256 steps. It is also 1 if one image does not reach the tolerance.
"""

import argparse
import sys
import time

import numpy as np

import jaxdl
from jaxdl import explain
from jaxdl.models import CNN, Stage
from jaxdl.optimizers import optimizer

#: Largest error of 99 % of the images at 256 steps, and a tolerance that all images reach.
LARGEST = 2e-3
TOLERANCE = 5e-4


def trained(data_dir=None, steps=300):
    """Returns the logits of a CNN trained on MNIST for a short time, and the test images."""
    train_set, test_set = jaxdl.data.load("mnist", data_dir)
    model = CNN((Stage(16), Stage(32)), (64,), 10)
    task = jaxdl.tasks.classify(model)
    net = jaxdl.learner(task.init, *task.updates(optimizer("adam", 1e-3)))
    state = jaxdl.train(net, train_set, key=jaxdl.root(0), steps=steps, batch_size=128)
    f = explain.logits(model, {"params": state.params})
    test = {name: test_set[name] for name in ("input", "label")}
    return f, test


def errors(f, images, steps):
    """Returns the completeness errors with a black baseline, for the predicted classes."""
    return explain.integrated_gradients(f, images, steps=steps).completeness_error


def main(arguments):
    """Prints the errors; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.explain.completeness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--images", type=int, default=1000, help="number of test images")
    parser.add_argument("--steps", type=int, nargs="+", default=[64, 256], help="numbers of steps")
    parser.add_argument("--data-dir", help="directory of prepared sets of TFDS")
    options = parser.parse_args(arguments)
    f, test = trained(options.data_dir)
    images = test["input"][: options.images]
    accuracy = (np.asarray(f(images)).argmax(1) == test["label"][: options.images]).mean()
    print(f"{len(images)} images, accuracy {accuracy:.3f}")
    is_failed = False
    for steps in options.steps:
        start = time.perf_counter()
        found = errors(f, images, steps)
        median, most = np.quantile(found, [0.5, 0.99])
        print(
            f"{steps} steps: median {median:.1e}, 99 % below {most:.1e}, "
            f"largest {found.max():.1e}, {time.perf_counter() - start:.0f} s"
        )
        is_failed |= steps == 256 and most > LARGEST
    start = time.perf_counter()
    found = explain.integrated_gradients(f, images, steps=64, tolerance=TOLERANCE)
    used, count = np.unique(found.steps, return_counts=True)
    print(
        f"tolerance {TOLERANCE}: largest error {found.completeness_error.max():.1e}, "
        f"images by steps {dict(zip(used.tolist(), count.tolist(), strict=True))}, "
        f"{time.perf_counter() - start:.0f} s"
    )
    return int(is_failed or not found.is_complete.all())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
