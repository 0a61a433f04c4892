"""Codes, components and decoded pictures of two-dimensional latent spaces."""

import dataclasses
from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import scores, tasks
from jaxdl.core import State
from jaxdl.data import Dataset
from jaxdl.errors import InputError
from jaxdl.recipes import grid_inputs, latents, repeat_first
from jaxdl.runs import Options, Run, RunOptions
from tests.plots.pictures import pixels

RNG = np.random.default_rng(0)


def points(size: int) -> Dataset:
    """Returns images of three classes, which differ by their mean."""
    label = np.arange(size) % 3
    images = RNG.normal(size=(size, 4, 4, 1)) + label[:, None, None, None]
    return Dataset({"input": images.astype(np.float32), "label": label}, "points", 3)


TRAIN = points(90)
TEST = points(30)
NAMED = dataclasses.replace(TEST, class_names=("cat", "dog", "owl"))
SETS = {"train": TRAIN, "test": TEST}


def halves(x):
    """Returns codes `[B, 2]`: the means of the upper and of the lower half."""
    return jnp.stack([x[:, :2].mean((1, 2, 3)), x[:, 2:].mean((1, 2, 3))], 1)


def decode(z):
    """Returns images `[B, 4, 4, 1]` that are constant in each half."""
    return jnp.repeat(jnp.repeat(z, 2, 1)[:, :, None], 4, 2)[..., None]


def test_codes_are_those_of_the_whole_sets():
    codes = latents.encode_sets(halves, TRAIN, TEST)
    known = np.asarray(halves(TRAIN["input"]))
    queries = np.asarray(halves(TEST["input"]))
    np.testing.assert_allclose(codes.train, known, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(codes.test, queries, rtol=1e-5, atol=1e-6)
    label = np.asarray(TRAIN["label"])
    truth = np.asarray(TEST["label"])
    assert codes.accuracy == scores.neighbour_accuracy(known, label, queries, truth)
    mean = latents.encode_sets(lambda x: (halves(x), 0 * halves(x)), TRAIN, TEST)
    np.testing.assert_array_equal(mean.test, codes.test)


def test_components_are_the_right_singular_vectors():
    components = latents.principal_components(TRAIN, TEST)
    flat = np.asarray(TRAIN["input"]).reshape(90, -1).astype(np.float64)
    directions = np.linalg.svd(flat - flat.mean(0))[2][:2]
    expected = (np.asarray(TEST["input"]).reshape(30, -1) - flat.mean(0)) @ directions.T
    np.testing.assert_allclose(abs(components.test), abs(expected), rtol=1e-4, atol=1e-5)


def test_generated_codes_have_the_moments_of_the_codes():
    codes = RNG.normal(size=(500, 2)).astype(np.float32) @ np.array([[2, 1], [0, 3]], np.float32)
    generate = latents.gaussian_generator(lambda z: z, codes + 5)
    z = RNG.normal(size=(500, 2)).astype(np.float32)
    # This noise has exactly mean 0 and covariance 1.
    z -= z.mean(0)
    z = z @ np.linalg.inv(np.linalg.cholesky(np.cov(z, rowvar=False))).T.astype(np.float32)
    samples = np.asarray(generate(z))
    np.testing.assert_allclose(samples.mean(0), codes.mean(0) + 5, atol=1e-3)
    np.testing.assert_allclose(np.cov(samples.T), np.cov(codes.T), rtol=1e-3)


def test_codes_and_components_are_compared(tmp_path):
    encoders = [halves, lambda x: 0 * halves(x)]

    def figure(name):
        return tmp_path / f"{name}.png"

    values = latents.compare_with_components(encoders, decode, SETS, figure)
    accuracy = [latents.encode_sets(encode, TRAIN, TEST).accuracy for encode in encoders]
    assert values["neighbours_accuracy"] == accuracy
    components = latents.principal_components(TRAIN, TEST)
    assert values["neighbours_pca_accuracy"] == components.accuracy
    for name in ("latent_map", "interpolation"):
        pixels(figure(name))


def test_images_are_decoded_on_lines(tmp_path, monkeypatch):
    grids = []
    monkeypatch.setattr(
        latents.plots,
        "image_grid",
        lambda images, path, columns, title, rows: grids.append((images, columns, title, rows)),
    )
    start = RNG.normal(size=(3, 2)).astype(np.float32)
    end = RNG.normal(size=(3, 2)).astype(np.float32)
    label = np.array([0, 1, 2], np.float32)

    def labelled(z, y):
        return decode(z) + y[:, None, None, None]

    latents.write_interpolation(labelled, start, end, tmp_path / "x.png", label)
    images, columns, title, rows = grids[0]
    assert columns == [f"{100 * i / 9:.0f} %" for i in range(10)]
    assert rows == ["pair 1", "pair 2", "pair 3"]
    for i in range(3):
        path = tasks.interpolate(start[i], end[i], latents.COLUMNS)
        row = images[i * latents.COLUMNS : (i + 1) * latents.COLUMNS]
        np.testing.assert_allclose(row, decode(path) + label[i], rtol=1e-5, atol=1e-6)
    # Each half of the images has half of the pixels.
    change = np.mean(((end - start) / (latents.COLUMNS - 1)) ** 2)
    assert title.endswith(f"mean squared change per step {change:.4f}")


def scaled(f, params, extra, x):
    """Returns `f(x)` times the parameter, as a function of a `Task`."""
    return params * f(x)


@pytest.mark.parametrize("fit_gaussian", [False, True])
def test_the_latent_space_of_each_seed_is_evaluated(tmp_path, monkeypatch, fit_gaussian):
    given = []

    def evaluate_samples(run, classifier, generators, latent, conditional):
        given.extend(generators)
        return {"samples/precision": run.per_seed(0.5)}

    monkeypatch.setattr(latents, "evaluate_samples", evaluate_samples)
    functions = {"encode": halves, "decode": decode, "reconstruct": lambda x: x}
    task = tasks.Task(None, None, {name: partial(scaled, f) for name, f in functions.items()})
    scales = jnp.array([1.0, 0.5])
    state = State(jnp.array([4, 4]), scales, (), {})
    run = Run(Options(RunOptions(seeds=2)), tmp_path / "plane", "test")
    metrics = latents.evaluate_latent_space(run, None, task, state, SETS, fit_gaussian=fit_gaussian)
    images = np.asarray(TEST["input"])
    codes = [latents.encode_sets(lambda x, s=s: s * halves(x), TRAIN, TEST) for s in scales]
    assert metrics["test/neighbours_accuracy"].tolist() == [each.accuracy for each in codes]
    psnr = [scores.psnr(images, np.asarray(s) * images) for s in scales]
    np.testing.assert_allclose(metrics["test/psnr"], psnr, rtol=1e-5)
    z = RNG.normal(size=(7, 2)).astype(np.float32)
    for generate, scale, each in zip(given, scales, codes, strict=True):
        expected = scale * decode(z)
        if fit_gaussian:
            expected = latents.gaussian_generator(lambda z, s=scale: s * decode(z), each.train)(z)
        np.testing.assert_allclose(generate(z), expected, rtol=1e-5, atol=1e-6)
    for name in ("grid", "samples"):
        pixels(run.figure(name))
    saved = np.load(run.sample("codes.npy"))
    np.testing.assert_allclose(saved, codes[0].test, rtol=1e-5, atol=1e-6)

    shown = []
    monkeypatch.setattr(latents.plots, "latent_maps", lambda *arguments: shown.extend(arguments))
    result = {"metrics": {name: np.mean(value) for name, value in metrics.items()}}
    latents.write_maps_of_runs({"plane": result}, NAMED, tmp_path)
    maps, label, path, names = shown
    assert names == ("cat", "dog", "owl")
    accuracy = np.mean([each.accuracy for each in codes])
    first = f"plane: {100 * accuracy:.1f} % right by the 5 nearest codes"
    assert list(maps) == [f"{first},\n50.0 % of the decoded random codes look real"]
    np.testing.assert_array_equal(*maps.values(), saved)
    assert label.tolist() == TEST["label"].tolist() and path == tmp_path / "latent_maps.png"


def test_grids_and_samples_are_written(tmp_path):
    latents.write_latent_grid(decode, 5, tmp_path / "grid.png")
    latents.write_samples(decode, grid_inputs(0, 2), tmp_path / "samples.png")
    for path in tmp_path.iterdir():
        pixels(path)


def test_no_map_without_colours_or_with_other_dimensions(tmp_path):
    codes = latents.encode_sets(halves, TRAIN, TEST)
    many = Dataset({"label": np.asarray(TEST["label"]) + 18}, "many", 21)
    latents.write_latent_maps({"a": codes}, many, tmp_path / "classes.png")
    wide = codes._replace(test=np.zeros((30, 3)))
    latents.write_latent_maps({"a": wide}, TEST, tmp_path / "dimensions.png")
    assert not list(tmp_path.iterdir())
    latents.write_latent_maps({"a": codes}, NAMED, tmp_path / "names.png")
    pixels(tmp_path / "names.png")
    latents.check_map(20)
    with pytest.raises(InputError, match="data: got '21 classes', allowed: at most 20: the latent"):
        latents.check_map(21)


def test_inputs_of_a_grid():
    (plain,) = grid_inputs(3, 4, side=5)
    assert plain.shape == (25, 4)
    conditional, label = grid_inputs(3, 4, classes=3, side=5)
    np.testing.assert_array_equal(label.reshape(3, 5), np.arange(3)[:, None] + np.zeros((1, 5)))
    columns = conditional.reshape(3, 5, 4)
    np.testing.assert_array_equal(columns, np.broadcast_to(columns[:1], columns.shape))
    assert len(np.unique(columns[0], axis=0)) == 5
    assert len(grid_inputs(3, 4, classes=9, side=5)[1]) == 25


def test_first_examples_are_repeated():
    repeated = repeat_first(TEST, 4)
    assert (repeated.size, repeated.classes) == (TEST.size, 3)
    for name in ("input", "label"):
        rows = np.arange(TEST.size) % 4
        np.testing.assert_array_equal(repeated[name], np.asarray(TEST[name])[rows])
    for count in (0, 31):
        with pytest.raises(InputError, match=f"images: got {count}, allowed: at most the size"):
            repeat_first(TEST, count)
