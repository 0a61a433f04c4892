"""Measures how many features of a sparse model LIME finds.

    python -m tests.explain.recall
    python -m tests.explain.recall --samples 15000   # as in the paper

The experiment of Ribeiro et al. 2016, section 5.2, on the embedded digits in place of reviews. The
interpretable features are the 64 pixels, on or off. A logistic regression of two digits by an L1
penalty uses at most ten of them. For each image of the test set, the ten strongest coefficients are
compared with the used pixels that are on. The recall is the share of these that are found, averaged
over images that have any.
"""

import argparse
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from jaxdl import explain
from jaxdl.rng import root

#: Most features of the model, and number of coefficients that are taken.
FEATURES = 10


def sparse_model(x, y):
    """Returns the weights and bias of the largest logistic regression with at most ten features."""
    found = None
    for strength in np.geomspace(1e-3, 1, 40):
        model = LogisticRegression(C=strength, l1_ratio=1.0, solver="liblinear", random_state=0)
        model.fit(x, y)
        if (model.coef_ != 0).sum() > FEATURES:
            break
        found = (model.coef_[0], model.intercept_[0], model.score(x, y))
    return found


def recall(pair=(3, 8), instances=100, samples=1000, *, is_silent=True):
    """Returns the mean share of used features that LIME finds, for two digits."""
    pixels, digits = load_digits(return_X_y=True)
    chosen = np.isin(digits, pair)
    x = (pixels[chosen] > 7).astype(np.float32)
    y = digits[chosen] == pair[1]
    half = len(x) // 2
    weights, bias, accuracy = sparse_model(x[:half], y[:half])

    def f(images):
        flat = images.reshape(len(images), -1)
        return jax.nn.sigmoid(flat @ jnp.asarray(weights, jnp.float32)[:, None] + np.float32(bias))

    test = x[half : half + instances].reshape(-1, 8, 8, 1)
    found = explain.lime(
        f,
        test,
        0,
        key=root(0),
        segments=explain.grid((8, 8), 1),
        baseline=0.0,
        samples=samples,
        agreement=0.0,
        batch_size=1000,
    )
    shares = []
    for image, coefficients in zip(test, found.coefficients, strict=True):
        gold = set(np.flatnonzero((weights != 0) & (image.ravel() > 0)))
        if gold:
            best = set(np.argsort(-np.abs(coefficients))[:FEATURES])
            shares.append(len(gold & best) / len(gold))
    value = float(np.mean(shares))
    if not is_silent:
        used = int((weights != 0).sum())
        print(
            f"digits {pair[0]} and {pair[1]}: {used} features, accuracy {accuracy:.3f}, "
            f"{len(shares)} images, recall {value:.4f}",
            flush=True,
        )
    return value


def main() -> None:
    """Prints the recall for ten pairs of digits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1000)
    options = parser.parse_args()
    pairs = list(itertools.combinations(range(10), 2))[::4][:10]
    values = [recall(pair, samples=options.samples, is_silent=False) for pair in pairs]
    print(f"mean recall {np.mean(values):.4f}, least {np.min(values):.4f}")


if __name__ == "__main__":
    main()
