"""Methods that are not networks, applied to images: components, clusters, neighbours, fits."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from jaxdl import plots, scores
from jaxdl.classic import KMeans, fit_polynomial, kmeans, kmeans_starts, pca, purity
from jaxdl.data.dataset import Dataset
from jaxdl.errors import at_least
from jaxdl.filters import grey
from jaxdl.plots import classic as pictures

#: Function from the name of a figure to its path.
Figure = Callable[[str], Path]

#: Numbers of components and of neighbours, and degrees of polynomials, that are compared.
COMPONENTS = (1, 2, 5, 10, 20, 40)
NEIGHBOURS = (1, 3, 5, 9)
DEGREES = (1, 4, 15)

#: Points of the fits, and the standard deviation of their noise.
POINTS = 20
NOISE = 0.1


class Images(NamedTuple):
    """Images as vectors, with their classes.

    Attributes:
      train: `[N, D]` float32.
      test: `[M, D]`.
      train_label: `[N]`.
      test_label: `[M]`.
      shape: height and width, with product D.
    """

    train: Float[np.ndarray, "N D"]
    test: Float[np.ndarray, "M D"]
    train_label: Int[np.ndarray, " N"]
    test_label: Int[np.ndarray, " M"]
    shape: tuple[int, int]

    def pictures(self, rows: Float[np.ndarray, "K D"]) -> list[Float[np.ndarray, "H W 1"]]:
        """Returns vectors as images in [0, 1]."""
        return list(np.clip(np.asarray(rows).reshape(-1, *self.shape, 1), 0, 1))


def evenly(data: Dataset, examples: int) -> Dataset:
    """Returns at most this many examples, spread evenly over a set.

    Raises:
      InputError: `examples` is below 1.

    Example:
      >>> evenly(Dataset({"x": np.arange(5)}, "five"), 3)["x"].tolist()
      [0, 2, 4]
    """
    at_least("examples", examples, 1)
    rows = np.linspace(0, data.size - 1, min(examples, data.size)).round().astype(int)
    return data.take(rows)


def as_vectors(train: Dataset, test: Dataset, examples: int) -> Images:
    """Returns the brightness of images as vectors.

    Args:
      train: set with `input [N, H, W, C]`, C 1 or 3, and `label [N]`.
      test: another such set.
      examples: largest number of examples of each set, spread evenly over it.

    Raises:
      InputError: `examples` is below 1.

    Example:
      >>> images = np.ones((4, 2, 3, 1), np.float32)
      >>> data = Dataset({"input": images, "label": np.zeros(4, int)}, "white", 1)
      >>> as_vectors(data, data, 3).train.shape
      (3, 6)
    """
    found = []
    for data in (train, test):
        few = evenly(data, examples)
        inputs = np.asarray(few["input"], np.float32)
        if inputs.shape[-1] == 3:
            inputs = np.stack([grey(each) for each in inputs])
        found.append((inputs.reshape(few.size, -1), np.asarray(few["label"])))
    (first, labels), (second, others) = found
    return Images(first, second, labels, others, inputs.shape[1:3])


def components_of(images: Images, figure: Figure, shown: int = 17) -> dict[str, float]:
    """Draws eigen-images, and images from more and more components.

    Args:
      images: the images.
      figure: function from the name of a figure to its path.
      shown: number of eigen-images.

    Returns:
      Explained variance of the training set and squared error per pixel of the test set, by number
      of components.

    Example: see `experiments/without_networks.py`.
    """
    largest = min(images.train.shape)
    found = pca(images.train, largest)
    share = np.asarray(found.share)
    counts = [count for count in COMPONENTS if count < largest]
    explained = {count: float(share[:count].sum()) for count in counts}
    middle = counts[len(counts) // 2]
    words = (
        f"{100 * explained[middle]:.0f} % of the variance lies in {middle} of {largest} directions"
    )
    few = np.asarray(found.components)[: min(shown, largest)]
    mean = np.asarray(found.mean)
    pictures.eigen_images(mean, few, share, images.shape, figure("eigen_images"), words)
    rows = np.linspace(0, len(images.test) - 1, 3).round().astype(int)
    columns = [images.pictures(images.test[rows])]
    errors = {}
    for count in counts:
        part = found._replace(components=found.components[:count])
        again = np.asarray(part.inverse(part.transform(images.test)))
        errors[count] = float(((again - images.test) ** 2).mean())
        columns.append(images.pictures(again[rows]))
    titles = ["image", *(f"{count}: error {errors[count]:.4f}" for count in counts)]
    plots.picture_table(
        list(zip(*columns, strict=True)),
        titles,
        figure("reconstructions"),
        "Test images from more and more components, with the mean squared error of all",
    )
    metrics = {
        f"explained_variance/components_{count}": value for count, value in explained.items()
    }
    return metrics | {f"test_error/components_{count}": value for count, value in errors.items()}


def clusters_of(images: Images, count: int, seed: int, figure: Figure | None) -> dict[str, float]:
    """Applies k-means to images, and to their first two components for a picture.

    Args:
      images: the images.
      count: number of clusters, from 2 to 10.
      seed: seed of the first centers.
      figure: function from the name of a figure to its path; None means no pictures.

    Returns:
      The purity, the inertia at the start and at the end, and the number of steps.

    Example: see `experiments/without_networks.py`.
    """
    found = kmeans(images.train, kmeans_starts(images.train, count, seed))
    metrics = {
        "kmeans/purity": purity(found.label[-1], images.train_label),
        "kmeans/inertia_of_the_start": float(found.inertia[0]),
        "kmeans/inertia": float(found.inertia[-1]),
        "kmeans/steps": float(found.steps),
        "kmeans/largest_rise_of_the_inertia": float(np.diff(found.inertia).max(initial=0.0)),
    }
    if figure is None:
        return metrics
    _draw_centers(images, found, metrics["kmeans/purity"], figure("centers"))
    first = pca(images.train, 2)
    plane = np.asarray(first.transform(images.train))
    # A poor start has more to show than that of k-means++.
    flat = kmeans(plane, plane[:count])
    steps = pictures.Steps(plane, flat.centers, flat.label, flat.inertia)
    axes = ("first component", "second component")
    fall = f"{flat.inertia[0]:.0f} to {flat.inertia[-1]:.0f}"
    title = f"k-means from the first {count} images: the squared distances fall from {fall}"
    path = figure("kmeans")
    pictures.kmeans_steps(steps, path, title, axes)
    pictures.kmeans_gif(steps, path.with_suffix(".gif"), axes)
    return metrics


def _draw_centers(images: Images, found: KMeans, pure: float, path: Path) -> None:
    """Draws the centers as images at several steps, with the classes of their clusters."""
    shown = sorted({0, 1, 2, found.steps})
    label = found.label[-1]
    notes = []
    for k in range(found.centers.shape[1]):
        classes = images.train_label[label == k]
        if not len(classes):
            notes.append("empty")
            continue
        names, counts = np.unique(classes, return_counts=True)
        share = 100 * counts.max() / len(classes)
        notes.append(f"{share:.0f} % are {names[counts.argmax()]}")
    order = sorted(range(len(notes)), key=lambda k: notes[k].split()[-1])
    empty = [""] * len(notes)
    plots.picture_table(
        [images.pictures(found.centers[step][order]) for step in shown],
        [f"cluster {k + 1}" for k in range(len(notes))],
        path,
        f"Centers of k-means at the start and after steps: {100 * pure:.1f} % purity",
        rows=[f"step {step}" for step in shown],
        notes=[*[empty] * (len(shown) - 1), [notes[k] for k in order]],
    )


def neighbours_of(images: Images, figure: Figure) -> dict[str, float]:
    """Classifies images by their nearest neighbours, and draws right and wrong ones.

    Args:
      images: the images.
      figure: function from the name of a figure to its path.

    Returns:
      The accuracy by number of neighbours.

    Example: see `experiments/without_networks.py`.
    """
    from sklearn.neighbors import NearestNeighbors

    known = (images.train, images.train_label, images.test, images.test_label)
    metrics = {
        f"accuracy/{k}_nearest_neighbours": scores.neighbour_accuracy(*known, k)
        for k in NEIGHBOURS
        if k <= len(images.train)
    }
    model = NearestNeighbors().fit(images.train)
    distances, indices = model.kneighbors(images.test, min(5, len(images.train)))
    nearest = images.train_label[indices]
    is_right = nearest[:, 0] == images.test_label
    queries = [*np.flatnonzero(is_right)[:2], *np.flatnonzero(~is_right)[:2]]
    rows = [images.pictures(np.stack([images.test[q], *images.train[indices[q]]])) for q in queries]
    notes = [
        [
            f"a {images.test_label[q]}",
            *(f"{a}, distance {d:.2f}" for a, d in zip(*each, strict=True)),
        ]
        for q, each in ((q, (nearest[q], distances[q])) for q in queries)
    ]
    wrong = int((~is_right).sum())
    plots.picture_table(
        rows,
        ["test image", *(f"neighbour {k + 1}" for k in range(indices.shape[1]))],
        figure("neighbours"),
        f"Nearest neighbours: the first one is wrong for {wrong} of {len(is_right)} test images",
        rows=["right" if is_right[q] else "wrong" for q in queries],
        notes=notes,
    )
    return metrics


def other_classifiers(images: Images, count: int, seed: int) -> dict[str, float]:
    """Returns the accuracy of three classifiers.

    - the nearest mean of a class;
    - the class of most images in the nearest of `count` clusters;
    - softmax regression, of scikit-learn.

    Example: see `experiments/without_networks.py`.
    """
    from sklearn.linear_model import LogisticRegression

    found = kmeans(images.train, kmeans_starts(images.train, count, seed))
    majority = np.array(
        [
            np.bincount(images.train_label[found.label[-1] == k], minlength=1).argmax()
            for k in range(count)
        ]
    )
    classes = np.unique(images.train_label)
    means = np.stack([images.train[images.train_label == each].mean(0) for each in classes])
    regression = LogisticRegression(max_iter=1000).fit(images.train, images.train_label)
    predicted = {
        "nearest_of_clusters": majority[_nearest(images.test, found.centers[-1])],
        "nearest_mean": classes[_nearest(images.test, means)],
        "softmax_regression": regression.predict(images.test),
    }
    return {
        f"accuracy/{name}": float((each == images.test_label).mean())
        for name, each in predicted.items()
    }


def _nearest(
    x: Float[np.ndarray, "N D"], centers: Float[np.ndarray, "K D"]
) -> Int[np.ndarray, " N"]:
    """Returns the index of the nearest center to each row."""
    return ((x[:, None] - centers[None]) ** 2).sum(-1).argmin(1)


def fits_of(seed: int, figure: Figure | None) -> dict[str, float]:
    """Fits polynomials of three degrees to noisy points of a cosine, with bands.

        y = cos(3/2 pi x) + 0.1 e,    e ~ N(0, 1)

    Args:
      seed: seed of the points.
      figure: function from the name of a figure to its path; None means no picture.

    Returns:
      For each degree the squared errors at the points and against new ones, and the share of new
      points within the band.

    Example: see `experiments/without_networks.py`.

    Source: scikit-learn, the example of underfitting and overfitting, with the same function.
    """
    random = np.random.default_rng(seed)

    def truth(x: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return np.cos(1.5 * np.pi * x)

    x = np.sort(random.random(POINTS))
    y = truth(x) + NOISE * random.normal(size=POINTS)
    new = random.uniform(x[0], x[-1], 1000)
    values = truth(new) + NOISE * random.normal(size=new.size)
    grid = np.linspace(0, 1, 300)
    metrics: dict[str, float] = {}
    shown = {}
    with jax.enable_x64(True):
        for degree in DEGREES:
            fit = fit_polynomial(jnp.asarray(x), jnp.asarray(y), degree)
            low, high = (np.asarray(each) for each in fit.band(new))
            found = {
                "points": float(((np.asarray(fit.predict(x)) - y) ** 2).mean()),
                "new_points": float(((np.asarray(fit.predict(new)) - values) ** 2).mean()),
                "share_in_band": float(((low <= values) & (values <= high)).mean()),
            }
            metrics |= {f"fit/degree_{degree}/{name}": value for name, value in found.items()}
            title = (
                f"degree {degree}: squared error {found['points']:.4f}\n"
                f"new points {found['new_points']:.4f}, "
                f"{100 * found['share_in_band']:.0f} % in the band"
            )
            curve, lower, upper = (np.asarray(y) for y in (fit.predict(grid), *fit.band(grid)))
            shown[title] = (curve, lower, upper)
    if figure is not None:
        title = f"{POINTS} points with noise: too simple, about right, too flexible"
        plots.fitted_curves(
            shown, figure("fits"), points=(x, y), at=grid, truth=truth(grid), title=title
        )
    return metrics


def draw_accuracies(values: Mapping[str, float], figure: Figure) -> None:
    """Draws accuracies of several classifiers as bars, in ascending order."""
    names: Sequence[str] = sorted(values, key=lambda name: values[name])
    shown = {name.removeprefix("accuracy/").replace("_", " "): 100 * values[name] for name in names}
    best = names[-1].removeprefix("accuracy/").replace("_", " ")
    title = f"Best test accuracy: {100 * values[names[-1]]:.1f} %, {best}"
    pictures.bars_by_name(shown, figure("accuracies"), title, "test accuracy in %")
