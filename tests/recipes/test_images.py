"""Tests of the images of the experiments that generate, with classes and without."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from jaxdl.errors import InputError
from jaxdl.recipes import classifier_of_classes, image_sets
from jaxdl.recipes.images import photograph_crops
from jaxdl.runs import RunOptions
from tests.data.folders import write_digits


@pytest.fixture
def options(tmp_path):
    """Options with a folder of 120 digits, with or without classes."""

    def make(classes, **changes):
        folder = tmp_path / str(classes)
        write_digits(folder, 120, classes)
        return RunOptions(data=str(folder), cache_dir=str(tmp_path / "cache"), **changes)

    return make


@pytest.mark.parametrize("classes", [True, False])
def test_images_need_no_classes_unless_the_experiment_does(classes, options):
    run = options(classes, validation=0.25)
    train, test, sets = image_sets(run, labelled=False)
    assert len(train) + len(test) == 120
    assert train["input"].shape[1:] == (8, 8, 1)
    assert train.classes == (10 if classes else None)
    assert {part: len(data) for part, data in sets.items()} == {
        "train": len(train) - round(len(train) / 4),
        "validation": round(len(train) / 4),
        "test": len(test),
    }
    if classes:
        assert len(image_sets(run)[0]) == len(train)
        return
    with pytest.raises(InputError) as caught:
        image_sets(run, 4)
    assert str(caught.value) == (
        f"data: got '{run.data} [24, 8, 8, 1] without classes', allowed: grey or RGB images with "
        "classes and sides that are multiples of 4, at least 20 in the test set"
    )


def test_no_classifier_scores_images_without_classes(options, capsys):
    run = options(False)
    train, test, _ = image_sets(run, labelled=False)
    assert classifier_of_classes(run, None, train, test) is None
    assert "no classifier" in capsys.readouterr().out
    with pytest.raises(InputError, match="allowed: none for images without classes"):
        classifier_of_classes(run, "runs/mine", train, test)


def test_images_of_points_and_too_few_are_refused(options, tmp_path):
    with pytest.raises(
        InputError, match=r"got 'moons \[400, 2\]', allowed: grey or RGB images, at"
    ):
        image_sets(RunOptions(data="moons"), labelled=False)
    np.savez(tmp_path / "few.npz", x=np.zeros((20, 4, 4, 1)), y=np.arange(20) % 2)
    with pytest.raises(InputError, match="at least 20 in the test set"):
        image_sets(RunOptions(data=str(tmp_path / "few.npz")), labelled=False)


def test_squares_of_photographs_cover_them_at_any_size():
    squares = photograph_crops(200, step=100)
    photographs = load_sample_images().images
    np.testing.assert_allclose(squares[0], photographs[0][:200, :200] / 255, atol=1e-6)
    np.testing.assert_allclose(squares[-1], photographs[1][200:400, 400:600] / 255, atol=1e-6)
    assert photograph_crops(500, step=1000).shape == (2, 500, 500, 3)
