"""Scores of translations: the best linear filter, hidden messages, classifiers, and bad options."""

import numpy as np
import pytest
from scipy import ndimage

from jaxdl.data import Dataset
from jaxdl.errors import InputError
from jaxdl.recipes.translation import (
    TranslationOptions,
    baseline_scores,
    domain_classifier,
    draw_translations,
    hidden_message,
    linear_filter,
    reversed_pairs,
    translation_scores,
)
from jaxdl.runs import RunOptions

RNG = np.random.default_rng(2)
IMAGES = RNG.random((6, 12, 12, 1)).astype(np.float32)


def test_the_linear_filter_is_recovered():
    kernel = RNG.normal(size=(5, 5)) / 20
    blurred = ndimage.correlate(IMAGES[..., 0].astype(float), kernel[None], mode="constant")
    targets = (0.5 + blurred).astype(np.float32)[..., None]
    others = RNG.random((3, 12, 12, 1)).astype(np.float32)
    expected = 0.5 + ndimage.correlate(others[..., 0], kernel[None], mode="constant")
    found = linear_filter(IMAGES, targets)(others)
    np.testing.assert_allclose(found[..., 0], expected.clip(0, 1), atol=1e-3)


def test_a_message_in_the_last_bits_is_found():
    """The middle is always the same picture, plus the input divided by 1,000."""

    def forth(x):
        return 0.5 + x / 1000

    def back(middle):
        return ((middle - 0.5) * 1000).clip(0, 1)

    found = hidden_message(forth, back, IMAGES)
    assert found.errors["none"] < 1e-3 and found.errors["noisy"] > 0.2
    assert found.ratio > 100


def test_an_honest_cycle_hides_nothing():
    perfect = hidden_message(lambda x: 1 - x, lambda x: 1 - x, IMAGES)
    assert perfect.ratio == pytest.approx(1, abs=1e-3)
    assert perfect.errors["none"] < 1e-6 < perfect.errors["noisy"]
    assert set(perfect.errors) == {"none", "rounded", "blurred", "noisy"}
    imperfect = hidden_message(lambda x: 1 - x, lambda x: 0.8 * (1 - x), IMAGES)
    assert imperfect.ratio == pytest.approx(0.8, abs=1e-3)


def test_a_cycle_that_ends_at_one_image_hides_nothing():
    found = hidden_message(lambda x: x, lambda x: 0 * x + 0.5, IMAGES)
    assert found.ratio == 0
    assert found.errors["none"] == pytest.approx(np.abs(IMAGES - 0.5).mean())


def test_a_network_that_is_not_finite_has_no_ratio():
    assert np.isnan(hidden_message(lambda x: x, lambda x: x * np.nan, IMAGES).ratio)


def test_a_middle_outside_of_the_pixels_is_clipped_before_all_changes():
    found = hidden_message(lambda x: 2 * x, lambda x: x / 2, IMAGES)
    assert found.errors["none"] == pytest.approx(np.abs(IMAGES - IMAGES.clip(0, 0.5)).mean())
    assert found.ratio == pytest.approx(0.5, abs=1e-3)


def labelled():
    """Returns pairs of which each class has another brightness."""
    label = np.arange(60, dtype=np.int32) % 3
    level = (label / 3)[:, None, None, None].astype(np.float32)
    x = (level + 0.2 * RNG.random((60, 8, 8, 1))).astype(np.float32)
    return Dataset({"input": x, "target": 1 - x, "label": label}, "levels", 3)


def test_a_classifier_names_the_images_of_its_domain():
    pairs = labelled()
    classifier = domain_classifier(pairs, "target", 40)
    truth = np.asarray(pairs["target"])
    scores = translation_scores(truth, truth, pairs["label"], classifier)
    assert scores["l1"] == 0 and scores["psnr"] == np.inf and scores["ssim"] == 1
    assert scores["agreement"] > 0.9 and scores["frechet"] < 1e-3
    baselines = baseline_scores(pairs, pairs, classifier)
    assert list(baselines) == ["nothing", "linear_filter"]
    assert baselines["linear_filter"]["l1"] < 1e-3 < baselines["nothing"]["l1"]


def test_pairs_are_reversed():
    pairs = labelled()
    back = reversed_pairs(pairs)
    np.testing.assert_array_equal(back["input"], pairs["target"])
    np.testing.assert_array_equal(back["target"], pairs["input"])


def test_a_picture_has_a_column_for_each_class(tmp_path):
    pairs = labelled()
    kinds = {"input": pairs["input"], "colour": np.repeat(pairs["target"], 3, -1)}
    assert draw_translations(kinds, pairs["label"], tmp_path / "a.png", "levels").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "thick", "target": "thick"}, "target: got 'thick', allowed: another domain"),
        ({"source": "blurred"}, "source: got 'blurred', allowed: coloured, grey, "),
        ({"source": "thin", "classifier_steps": 0}, "classifier_steps: got 0, allowed: at least 1"),
        ({"source": "thin", "features": (8,)}, "features: got (8,), allowed: a sequence of at"),
        ({"source": "thin", "patches": ()}, "features: got (), allowed: at least one width"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(InputError) as error:
        TranslationOptions(**options).validate(RunOptions())
    assert str(error.value).startswith(message)


def test_a_classifier_needs_classes():
    pairs = Dataset({"input": IMAGES, "target": IMAGES}, "pairs")
    with pytest.raises(InputError, match="data: got 'pairs', allowed: images with classes"):
        domain_classifier(pairs, "target", 1)
