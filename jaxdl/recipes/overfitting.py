"""Over- and underfitting: polynomials of each degree, random features, few or random labels."""

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from jaxdl import plots
from jaxdl.classic import bias_variance, double_descent, fit_polynomial
from jaxdl.classic.generalization import Fit
from jaxdl.data import few_labels, standardize
from jaxdl.data.curves import Curve, curve_points
from jaxdl.data.dataset import Dataset
from jaxdl.plots.curves import Records, series
from jaxdl.recipes.variants import error_table, values_of_seeds

#: Number of places of a curve at which errors are measured.
PLACES = 401

#: Level of the bands around a fit.
LEVEL = 0.95

#: Methods against overfitting, in words.
WORDS = {
    "none": "no method",
    "l1": "L1 penalty",
    "l2": "L2 penalty",
    "dropout": "dropout",
    "batch_norm": "batch norm",
    "early_stopping": "early stopping",
    "augmentation": "augmentation",
    "more_data": "more data",
}

#: Largest number of random features, as a multiple of the number of examples.
MOST = 10


@functools.cache
def polynomial(degree: int) -> Fit:
    """Returns a fit of a polynomial for `jaxdl.classic.bias_variance`.

    Equal degrees give the same function, so its programs are compiled once.

    Example:
      >>> import jax.numpy as jnp
      >>> x = jnp.array([0.0, 1.0, 2.0])
      >>> polynomial(1)(x, 2 * x, jnp.array([3.0])).round(4).tolist()
      [6.0]
    """

    def fit(x: Array, y: Array, at: Array) -> Array:
        return fit_polynomial(x, y, degree).predict(at)

    return fit


def draw_polynomials(
    curve: Curve, degrees: Sequence[int], size: int, key: Key[Array, ""], path: Path
) -> dict[int, float]:
    """Draws polynomials through the same points, with their bands and the truth.

    Args:
      curve: the curve.
      degrees: degrees, one panel each.
      size: number of points.
      key: root key of the points.
      path: path of the PNG file.

    Returns:
      The mean squared error of each degree against the truth.

    Example:
      >>> import tempfile, jaxdl
      >>> with tempfile.TemporaryDirectory() as directory:
      ...     path = Path(directory) / "fits.png"
      ...     errors = draw_polynomials(jaxdl.data.SINE, (1, 3), 20, jaxdl.root(0), path)
      >>> errors[3] < errors[1]
      True
    """
    points = curve_points(curve, size, key)
    x, y = (jnp.asarray(points[field][:, 0]) for field in ("input", "target"))
    at = curve.even(PLACES)
    truth = np.asarray(curve.truth(at))
    fits = {}
    errors = {}
    for degree in degrees:
        fitted = fit_polynomial(x, y, degree)
        prediction = np.asarray(fitted.predict(at))
        errors[degree] = float(((prediction - truth) ** 2).mean())
        name = f"degree {degree}: error {_number(errors[degree])}"
        lower, upper = (np.asarray(each) for each in fitted.band(at, LEVEL))
        fits[name] = (prediction, lower, upper)
    best = min(errors, key=lambda degree: errors[degree])
    title = (
        f"{size} points: degree {best} is nearest to the truth. "
        f"Bands contain {100 * LEVEL:g} % of new points if the degree is right"
    )
    plots.fitted_curves(
        fits,
        path,
        points=(np.asarray(x), np.asarray(y)),
        at=np.asarray(at),
        truth=truth,
        title=title,
        labels=curve.labels,
    )
    return errors


def _number(value: float) -> str:
    """Returns an error with three digits, and without an exponent if it is large.

    Example:
      >>> _number(0.01234), _number(123456.7)
      ('0.0123', '123,457')
    """
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def errors_by_degree(
    curve: Curve, degrees: Sequence[int], size: int, sets: int, key: Key[Array, ""]
) -> dict[str, np.ndarray]:
    """Measures bias, variance and errors of polynomials of each degree.

    Args:
      curve: the curve; its points are at equal distances.
      degrees: degrees.
      size: number of points of each data set.
      sets: number of data sets.
      key: root key of the noise.

    Returns:
      Arrays by name: `degrees`, `bias2`, `variance`, `noise`, `measured` and `standard_error`, each
      `[P]`; `train_error` and `test_error`, `[S, P]`.

    Example:
      >>> import jaxdl
      >>> found = errors_by_degree(jaxdl.data.SINE, (1, 3), 20, 10, jaxdl.root(0))
      >>> bool(found["bias2"][1] < found["bias2"][0]), found["test_error"].shape
      (True, (10, 2))
    """
    found = [
        bias_variance(
            polynomial(degree),
            curve.truth,
            curve.noise,
            curve.even(size),
            key,
            at=curve.even(PLACES),
            sets=sets,
        )
        for degree in degrees
    ]
    return {
        "degrees": np.array(degrees),
        "bias2": np.array([each.bias2.mean() for each in found]),
        "variance": np.array([each.variance.mean() for each in found]),
        "noise": np.array([each.noise for each in found]),
        "measured": np.array([each.test_error for each in found]),
        "standard_error": np.array([each.standard_error for each in found]),
        "train_error": np.stack([each.train_error for each in found], 1),
        "test_error": np.stack([each.error for each in found], 1),
    }


def draw_errors_by_degree(
    errors: Mapping[str, np.ndarray], figure: Callable[[str], Path]
) -> dict[str, float]:
    """Draws errors by degree (`capacity`), and their parts beside them (`bias_variance`).

    Args:
      errors: arrays of `errors_by_degree`.
      figure: returns the path of a picture by its name.

    Returns:
      The best degree, its error, and the largest difference of the two sides, in standard errors.

    Example: see `experiments/overfitting.py`.
    """
    degrees = errors["degrees"]
    best = int(errors["measured"].argmin())
    value = errors["measured"][best]
    noise = float(errors["noise"][0])
    sets = len(errors["test_error"])
    title = (
        f"Degree {degrees[best]} has the least error on new points, {value:.3g}, "
        f"of which {noise:.3g} is noise"
    )
    curves = (errors["train_error"], errors["test_error"])
    plots.capacity_curves(degrees, *curves, figure("capacity"), floor=noise, title=title)
    parts = {"bias²": errors["bias2"], "variance": errors["variance"], "noise": errors["noise"]}
    total = sum(parts.values())
    away = np.abs(errors["measured"] - total) / errors["standard_error"]
    percent = 100 * np.abs(errors["measured"] / total - 1).max()
    plots.error_parts(
        [str(degree) for degree in degrees],
        parts,
        errors["measured"],
        figure("bias_variance"),
        spread=errors["standard_error"],
        title=f"{sets} data sets: bias² + variance + noise = error, to {percent:.1f} %",
    )
    return {
        "best_degree": float(degrees[best]),
        "best_error": float(value),
        "standard_errors_away": float(away.max()),
    }


def descent_on_images(
    train: Dataset, test: Dataset, per_class: int, keys: Key[Array, " S"], most: int = MOST
) -> dict[str, np.ndarray]:
    """Fits least squares on random features to few images, for many numbers of features.

    The targets are one-hot vectors of the classes. Inputs are standardized.

    Args:
      train: training set of images with classes.
      test: test set.
      per_class: training images of each class, chosen with the first key.
      keys: one key for each draw of the features.
      most: largest number of features, as a multiple of the number of training images.

    Returns:
      `features [P]`, `train_error` and `test_error [S, P]`, and `examples`, the number of training
      images.

    Example: see `experiments/overfitting.py`.
    """
    few = few_labels(train, per_class, keys[0])
    classes = train.classes or 1
    n = few.size
    around = [round(n * share) for share in (0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.5)]
    wide = np.geomspace(2, most * n, 24).round().astype(int).tolist()
    sets = []
    for each in standardize(few, test):
        x = np.asarray(each["input"], np.float32).reshape(each.size, -1)
        targets = np.eye(classes, dtype=np.float32)[each["label"]]
        sets.append((jnp.asarray(x), jnp.asarray(targets)))
    found = double_descent(sets[0], sets[1], sorted({*around, *wide}), keys)
    return {
        "features": found.features,
        "train_error": found.train_error,
        "test_error": found.test_error,
        "examples": np.array(found.examples),
    }


def draw_descent(errors: Mapping[str, np.ndarray], path: Path) -> dict[str, float]:
    """Draws double descent; returns the peak and the smallest errors on both sides of it.

    Args:
      errors: arrays of `descent_on_images`.
      path: path of the PNG file.

    Example: see `experiments/overfitting.py`.
    """
    features = errors["features"]
    mean = errors["test_error"].mean(0)
    n = int(errors["examples"])
    peak = int(features[mean.argmax()])
    few = float(mean[features < n].min())
    many = float(mean[features > n].min())
    title = f"{n} digits: largest error at p = {peak}; least {few:.3g} before it, {many:.3g} after"
    arrays = (errors["train_error"], errors["test_error"])
    plots.double_descent_curves(features, *arrays, n, path, title=title)
    return {"peak": float(peak), "error_before": few, "error_after": many}


def compare_labels(
    results: Mapping[str, Mapping[str, Any]],
    records: Mapping[str, Records],
    path: Path,
    *,
    classes: int = 10,
) -> dict[str, float]:
    """Draws the errors of networks that were trained on true and on shuffled labels.

    Args:
      results: results of the runs `true_labels` and `random_labels`, with the accuracies of
        training set and test set.
      records: their metrics by step.
      path: path of the PNG file.
      classes: number of classes, all equally frequent in the test set.

    Returns:
      The errors in percent by name, which are printed too.

    Example: see `experiments/overfitting.py`.
    """
    curves = {}
    new = {}
    errors = {}
    for name in ("true_labels", "random_labels"):
        words = name.replace("_", " ")
        steps, accuracy = series(records[name], "train/accuracy")
        curves[words] = (steps, 1 - accuracy)
        metrics = results[name]["metrics"]
        new[words] = 1 - metrics["test/accuracy"]
        for part in ("train", "test"):
            errors[f"{name}/{part}_error"] = 100 * (1 - metrics[f"{part}/accuracy"])
    for name, value in errors.items():
        print(f"{name:<40} {value:.2f} %")
    wrong, missed = (errors[f"random_labels/{part}_error"] for part in ("test", "train"))
    title = f"Shuffled labels: {missed:.1f} % wrong in training, {wrong:.0f} % on new examples"
    plots.error_curves(curves, path, new=new, chance=1 - 1 / classes, title=title)
    print(f"picture  {path}")
    return errors


def compare_methods(
    results: Mapping[str, Mapping[str, Any]], records: Mapping[str, Records], out: Path
) -> dict[str, np.ndarray]:
    """Draws the test errors of methods against overfitting, and the losses without any.

    Args:
      results: results by method, with `test/accuracy` of each seed.
      records: their metrics by step.
      out: folder of `methods.png` and, if there is a run `none`, of `time.png`.

    Returns:
      Test errors in percent, `[S]` for S seeds, by the name of the method in words.

    Example: see `experiments/overfitting.py`.
    """
    errors = {
        WORDS.get(name, name): 100 * (1 - values_of_seeds(result, "test/accuracy"))
        for name, result in results.items()
    }
    print(error_table({name: each[:, None] for name, each in errors.items()}, ["test error, %"]))
    best = min(errors, key=lambda name: errors[name].mean())
    reference = WORDS["none"] if "none" in results else None
    title = f"Least test error with {best}: {errors[best].mean():.1f} %"
    if reference is not None:
        title += f", {errors[reference].mean():.1f} % without any method"
    pictures = [plots.spread_bars(errors, out / "methods.png", reference=reference, title=title)]
    if reference is not None:
        pictures.append(plots.best_stop(records["none"], out / "time.png"))
    for path in pictures:
        print(f"picture  {path}")
    return errors
