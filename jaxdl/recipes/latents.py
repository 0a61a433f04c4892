"""Latent spaces of autoencoders: codes and their scores, and pictures of decoded codes.

A trained network is a function of its inputs, such as `bind(task.decode, state)`.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.tree_util import Partial
from jaxtyping import Float, Int

from jaxdl import plots, scores, tasks
from jaxdl.classic import pca
from jaxdl.core import State
from jaxdl.data.dataset import Dataset
from jaxdl.errors import InputError
from jaxdl.functions import bind, predict_batched
from jaxdl.recipes.feature_classifier import FeatureClassifier
from jaxdl.recipes.sample_quality import (
    class_rows,
    evaluate_samples,
    grid_inputs,
    path_columns,
)
from jaxdl.runs.directory import read_array
from jaxdl.runs.options import Options
from jaxdl.runs.run import Run

#: Number of images in a row of a picture.
COLUMNS = 10

#: Largest number of codes in a latent map, and of classes that it has colours for.
MAP_SIZE = 5_000
MAP_CLASSES = 20

#: Sides of the images are multiples of this number, by the kind of `encoder_decoder`.
SIDE_MULTIPLE = {"dense": 1, "conv": 4}

PathLike = str | os.PathLike[str]
Network = Callable[..., Any]


def check_map(classes: int | None) -> None:
    """Raises an `InputError` for more classes than a latent map has colours for."""
    if (classes or 0) > MAP_CLASSES:
        allowed = f"at most {MAP_CLASSES}: the latent map has {MAP_CLASSES} colours"
        raise InputError("data", f"{classes} classes", allowed)


class Codes(NamedTuple):
    """The codes of two sets.

    Attributes:
      train: codes of the training set, `[N, Z]`.
      test: codes of the test set, `[M, Z]`.
      accuracy: accuracy of a 5-nearest-neighbour classifier on the test codes.
    """

    train: np.ndarray
    test: np.ndarray
    accuracy: float


def encode_sets(encode: Network, train: Dataset, test: Dataset) -> Codes:
    """Computes the codes of both sets, and how well they separate the classes.

    Args:
      encode: `encode(inputs [B, ...])`, which returns codes `[B, Z]` or, for a VAE, the mean and
        log s^2 of a Gaussian. Its mean is the code.
      train: set with `input [N, ...]` and `label [N]`.
      test: another such set.

    Returns:
      The codes, with the accuracy of `jaxdl.scores.neighbour_accuracy`.

    Example:
      >>> x = np.arange(12, dtype=np.float32)[:, None]
      >>> data = Dataset({"input": x, "label": np.arange(12) // 12}, "line", 1)
      >>> encode_sets(lambda x: x**2, data, data).accuracy
      1.0
    """
    code = Partial(_code, Partial(encode))
    known = predict_batched(code, np.asarray(train["input"]))
    return _scored(known, predict_batched(code, np.asarray(test["input"])), train, test)


def _code(encode: Network, inputs: Any) -> Any:
    codes = encode(inputs)
    return codes[0] if isinstance(codes, tuple) else codes


def _scored(known: np.ndarray, codes: np.ndarray, train: Dataset, test: Dataset) -> Codes:
    """Returns the codes of both sets with their accuracy."""
    label = np.asarray(train["label"])
    truth = np.asarray(test["label"])
    return Codes(known, codes, scores.neighbour_accuracy(known, label, codes, truth))


def principal_components(train: Dataset, test: Dataset, count: int = 2) -> Codes:
    """Projects both sets on the directions in which the training set varies most.

    Args:
      train: set with `input [N, ...]`, N at least 5, and `label [N]`.
      test: another such set.
      count: number of directions of `jaxdl.classic.pca`.

    Returns:
      The components as codes `[N, count]`, with their accuracy.

    Example:
      >>> x = np.array([[0.0, 3.0], [1.0, 3.0], [2.0, 3.0], [3.0, 3.0], [4.0, 3.0]])
      >>> data = Dataset({"input": x, "label": np.zeros(5, int)}, "line", 2)
      >>> abs(principal_components(data, data, 1).test).ravel().tolist()
      [2.0, 1.0, 0.0, 1.0, 2.0]
    """
    known = np.asarray(train["input"]).reshape(train.size, -1)
    queries = np.asarray(test["input"]).reshape(test.size, -1)
    found = pca(known, count)
    codes = [np.asarray(found.transform(each)) for each in (known, queries)]
    return _scored(codes[0], codes[1], train, test)


def gaussian_generator(decode: Network, codes: Float[np.ndarray, "N Z"]) -> Network:
    """Returns a generator that decodes samples of a Gaussian with the moments of the codes.

        x = decode(m + z R),    z ~ N(0, I),    R^T R = C,    m and C mean and covariance

    Args:
      decode: `decode(codes [B, Z]) -> images [B, ...]`.
      codes: codes `[N, Z]` of a training set. 1e-6 is added to their variances.

    Returns:
      `generate(z [B, Z]) -> images [B, ...]`, a `jax.tree_util.Partial`.

    Example:
      >>> codes = np.array([[1.0, 5.0], [3.0, 5.0]], np.float32)
      >>> generate = gaussian_generator(lambda z: z, codes)
      >>> np.asarray(generate(np.array([[0, 0], [1, 0]], np.float32))).round(2).tolist()
      [[2.0, 5.0], [3.4100000858306885, 5.0]]
    """
    covariance = np.cov(codes, rowvar=False) + 1e-6 * np.eye(codes.shape[1])
    factor = np.linalg.cholesky(covariance).T.astype(np.float32)
    return Partial(_decode_affine, Partial(decode), codes.mean(0), factor)


def _decode_affine(decode: Network, mean: Any, factor: Any, z: Any) -> Any:
    return decode(mean[None] + z @ factor)


def write_samples(
    generate: Network,
    inputs: Sequence[np.ndarray],
    path: PathLike,
    columns: int = COLUMNS,
    rows: Sequence[str] | None = None,
) -> None:
    """Draws images that were decoded from random latents.

    Args:
      generate: `generate(*inputs) -> images [N, H, W, C]`.
      inputs: latents `[N, Z]` and, for a conditional network, labels `[N]`.
      path: path of the PNG file.
      columns: images per row.
      rows: for a conditional network, the class of each row.
    """
    images = predict_batched(generate, *inputs)
    title = (
        f"{len(images)} images decoded from random latent vectors of {inputs[0].shape[1]} numbers"
    )
    if rows is not None:
        title += "\nthe same vector in each column"
    plots.image_grid(images, path, columns, title=title, rows=rows)


def write_interpolation(
    decode: Network,
    start: Float[np.ndarray, "N Z"],
    end: Float[np.ndarray, "N Z"],
    path: PathLike,
    *label: Int[np.ndarray, " N"],
    rows: Sequence[str] | None = None,
) -> None:
    """Draws one row of decoded images for each line between two codes.

    The title has the mean squared difference of neighbours, which a smooth latent space keeps
    small.

    Args:
      decode: `decode(codes [B, Z], *label) -> images [B, H, W, C]`.
      start: the codes at the left, `[N, Z]`.
      end: the codes at the right, `[N, Z]`.
      path: path of the PNG file.
      *label: for a conditional network, the class `[N]` of each row.
      rows: a text beside each row; None means the number of the line.
    """
    pairs = zip(start, end, strict=True)
    codes = np.concatenate([tasks.interpolate(a, b, COLUMNS) for a, b in pairs])
    images = predict_batched(decode, codes, *(np.repeat(each, COLUMNS) for each in label))
    change = np.diff(images.reshape(len(start), COLUMNS, -1), axis=1)
    title = (
        "Decoded on the line between the codes of two test images: "
        f"mean squared change per step {np.mean(change**2):.4f}"
    )
    if rows is None:
        rows = [f"pair {i + 1}" for i in range(len(start))]
    plots.image_grid(images, path, path_columns(COLUMNS), title=title, rows=rows)


def write_latent_grid(decode: Network, side: int, path: PathLike) -> None:
    """Draws the images that points of a two-dimensional latent space decode to.

    Args:
      decode: `decode(latents [B, 2]) -> images [B, H, W, C]`.
      side: number of rows and columns of `jaxdl.tasks.latent_grid`.
      path: path of the PNG file.
    """
    images = predict_batched(decode, tasks.latent_grid(side))
    title = (
        f"{side} × {side} decoded points of the latent plane, at quantiles of the prior\n"
        "columns: first number of the latent vector; rows: second number"
    )
    values = [f"{each:.2f}".replace("-", "−") for each in tasks.latent_grid(side)[:side, 0]]
    plots.image_grid(images, path, values, title=title, rows=values[::-1])


def write_latent_maps(maps: Mapping[str, Codes], test: Dataset, path: PathLike) -> None:
    """Draws the test codes of two dimensions, titled by the accuracy of their neighbours.

    Nothing is written for more classes than the map has colours for, or other dimensions.

    Args:
      maps: codes by the name of their encoder. The first 5,000 are shown.
      test: test set, with the `label` of each code and the names of the classes.
      path: path of the PNG file.
    """
    label = np.asarray(test["label"])
    if label.max() >= MAP_CLASSES or any(each.test.shape[1] != 2 for each in maps.values()):
        return
    planes = {
        f"{name}: {100 * codes.accuracy:.1f} % right by the 5 nearest codes": codes.test[:MAP_SIZE]
        for name, codes in maps.items()
    }
    plots.latent_maps(planes, label[:MAP_SIZE], path, test.class_names)


def compare_with_components(
    encoders: Sequence[Network],
    decode: Network,
    sets: Mapping[str, Dataset],
    figure: Callable[[str], Path],
) -> dict[str, Any]:
    """Compares codes with principal components by their neighbours, and draws the latent space.

    The picture `latent_map` has the codes of the first encoder beside two components. The picture
    `interpolation` has a row from the first test image of each class to that of the next class.

    Args:
      encoders: `encode(images [B, H, W, C]) -> codes [B, Z]`, one per seed.
      decode: the decoder of the first encoder.
      sets: the sets `train` and `test`, with `input` and `label`.
      figure: path of a picture by its name, such as `Run.figure`.

    Returns:
      Accuracies by name: `neighbours_accuracy`, one per seed, and `neighbours_pca_accuracy`.
    """
    train = sets["train"]
    test = sets["test"]
    codes = [encode_sets(encode, train, test) for encode in encoders]
    components = principal_components(train, test)
    label = np.asarray(test["label"])
    maps = {"autoencoder": codes[0], "two principal components": components}
    write_latent_maps(maps, test, figure("latent_map"))
    start = codes[0].test[np.unique(label, return_index=True)[1]]
    # The last row returns to the first class.
    end = np.roll(start, -1, 0)
    names = class_rows(test, np.unique(label), 1)
    pairs = zip(names, [*names[1:], names[0]], strict=True)
    rows = [f"{a} → {b.removeprefix('class ')}" for a, b in pairs][:COLUMNS]
    path = figure("interpolation")
    write_interpolation(decode, start[:COLUMNS], end[:COLUMNS], path, rows=rows)
    return {
        "neighbours_accuracy": [each.accuracy for each in codes],
        "neighbours_pca_accuracy": components.accuracy,
    }


def evaluate_latent_space(
    run: Run[Options],
    classifier: FeatureClassifier,
    task: tasks.Task,
    state: State,
    sets: Mapping[str, Dataset],
    *,
    fit_gaussian: bool,
) -> dict[str, Any]:
    """Evaluates a latent space of two dimensions by its codes and by images of random codes.

    The first seed has the pictures `grid` and `samples`, and the file `codes.npy` with its first
    5,000 test codes, which `write_maps_of_runs` draws.

    Args:
      run: run of the network.
      classifier: feature classifier of the same data.
      task: the `jaxdl.tasks.vae` or `jaxdl.tasks.reconstruct` of the network.
      state: the trained state.
      sets: the sets `train` and `test`, with `input` and `label`.
      fit_gaussian: if True, images are generated from a Gaussian fitted to the codes of the
        training set (`gaussian_generator`), else from the standard normal distribution.

    Returns:
      Metrics for `Run.finish`: `test/neighbours_accuracy`, `test/psnr` of the reconstructions, and
      those of `evaluate_samples`.
    """
    members = run.members(state)
    images = np.asarray(sets["test"]["input"])
    outputs = [predict_batched(bind(task.reconstruct, member), images) for member in members]
    codes = [
        encode_sets(bind(task.encode, member), sets["train"], sets["test"]) for member in members
    ]
    generators = [bind(task.decode, member) for member in members]
    if fit_gaussian:
        pairs = zip(generators, codes, strict=True)
        generators = [gaussian_generator(decode, each.train) for decode, each in pairs]
    write_latent_grid(generators[0], 15, run.figure("grid"))
    inputs = grid_inputs(run.seeds[0], 2, side=15)
    write_samples(generators[0], inputs, run.figure("samples"), 15)
    np.save(run.sample("codes.npy"), codes[0].test[:MAP_SIZE])
    return {
        "test/neighbours_accuracy": run.per_seed([each.accuracy for each in codes]),
        "test/psnr": run.per_seed([scores.psnr(images, each) for each in outputs]),
        **evaluate_samples(run, classifier, generators, 2, False),
    }


def write_maps_of_runs(results: Mapping[str, Mapping[str, Any]], test: Dataset, out: Path) -> Path:
    """Draws the codes that runs of `evaluate_latent_space` have saved, titled by their scores.

    Args:
      results: results of the runs, by their directory below `out`.
      test: test set, with the `label` of each code and the names of the classes.
      out: parent directory of the runs (`run_variants`).

    Returns:
      The path of the picture, `latent_maps.png` in `out`.
    """
    maps = {}
    for name, result in results.items():
        accuracy = result["metrics"]["test/neighbours_accuracy"]
        precision = result["metrics"]["samples/precision"]
        title = (
            f"{name}: {100 * accuracy:.1f} % right by the 5 nearest codes,\n"
            f"{100 * precision:.1f} % of the decoded random codes look real"
        )
        maps[title] = read_array(out / name / "samples" / "codes.npy")
    label = np.asarray(test["label"])[:MAP_SIZE]
    return plots.latent_maps(maps, label, out / "latent_maps.png", test.class_names)
