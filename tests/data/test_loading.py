"""Tests of loading; of the embedded sets: fixed bytes, and the properties in their docstrings."""

import numpy as np
import pytest

from jaxdl.data import check_classification, load
from jaxdl.errors import InputError

SHA256 = {
    "digits": (
        "aa8a4a05f9cb2ba8259ecdc400cd9c52d560e21442efb4d479c26faf41efd0a0",
        "eba0bdfa2e2f6a11df2e65fccee9ada298655e0cd8122ecbd274eff39f6c9bf8",
    ),
    "moons": (
        "4e60eccc8c38ef1572dc99273417e2343b25c7e53024a6eef9ddd4520de28ad5",
        "c5d59131f745c8fa99d62bdeabfe2762edf6469522e36513324494c8482fa119",
    ),
    "spirals": (
        "0a6bd51050410229ca26ebfdfcbd160d0e0ad9b02310a231e9123581f8b760e2",
        "f17bfb1cbd52ee4736daa71b9af536a259c7ac1d6bec71a700c68741eb16f5c8",
    ),
    "fruits": (
        "a9acceaf15281b47ae212666659bd8efd8419a0888c85ad36b00e071e9142d36",
        "466a1f88f67aeab62a0b7a9d2e9aa3a64ebbb011b5e904eb1f42f6abd195ebe6",
    ),
    "curved_fruits": (
        "5bdb022f2b7863307cb1e87dff885236358087309d0cd202e03ebeea666f4874",
        "55a44d33d9c2204da724cdec37ee80e58be453a2aa96b67ce857a0e1f7db6c94",
    ),
}


@pytest.mark.parametrize("name", SHA256)
def test_the_same_bytes_everywhere(name):
    assert tuple(data.sha256 for data in load(name)) == SHA256[name]


@pytest.mark.parametrize("name", [*SHA256, "photos"])
def test_is_a_classification_set_with_every_class_in_both_parts(name):
    train, test = load(name)
    for data in (train, test):
        check_classification(data)
        assert data["input"].dtype == np.float32
        assert data["label"].dtype == np.int32
        assert sorted(set(data["label"].tolist())) == list(range(data.classes))
        assert data.name == name


@pytest.mark.parametrize("name", [*SHA256, "photos"])
def test_no_example_is_in_both_parts(name):
    train, test = ({row.tobytes() for row in data["input"]} for data in load(name))
    assert not train & test


def test_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    data = np.concatenate([part["input"] for part in load("digits")])
    images = {(image * 16).astype(int).tobytes() for image in data[..., 0]}
    assert data.shape == (1797, 8, 8, 1)
    assert images == {image.astype(int).tobytes() for image in bunch.images}
    label = {
        image.tobytes(): int(y) for image, y in zip(bunch.images / 16, bunch.target, strict=True)
    }
    for part in load("digits"):
        assert [label[x[..., 0].astype(float).tobytes()] for x in part["input"]] == part[
            "label"
        ].tolist()


def test_moons_lie_on_their_half_circles():
    for part in load("moons"):
        center = np.where(part["label"][:, None] == 0, [0.0, 0.0], [1.0, 0.5])
        radius = np.linalg.norm(part["input"] - center, axis=1)
        assert abs(radius.mean() - 1) < 0.03
        assert 0.1 < radius.std() < 0.2


def test_spirals_turn_with_the_radius():
    for part in load("spirals"):
        x, y = part["input"].T
        radius = np.hypot(x, y)
        noise = np.angle(
            np.exp(1j * (np.arctan2(y, x) - 2 * np.pi * part["label"] / 3 - 4 * radius))
        )
        assert abs(noise.mean()) < 0.03
        assert 0.17 < noise.std() < 0.23


def test_photos_are_crops_of_the_photographs():
    from sklearn.datasets import load_sample_images

    train, test = load("photos")
    for label, photo in enumerate(load_sample_images().images):
        half = photo[:426].reshape(213, 2, 320, 2, 3).mean((1, 3)) / 255
        for part, columns in ((train, slice(0, 240)), (test, slice(240, 320))):
            windows = np.lib.stride_tricks.sliding_window_view(half[:, columns], (32, 32, 3))[
                :, :, 0
            ]
            for crop in np.asarray(part["input"])[np.asarray(part["label"]) == label][::50]:
                candidates = np.argwhere(
                    np.abs(windows[:, :, 0, 0] - crop[0, 0][None, None]).sum(-1) < 1e-6
                )
                assert any(np.abs(windows[y, x] - crop).max() < 1e-6 for y, x in candidates)


def test_a_line_separates_the_fruits():
    for part in load("fruits"):
        length, weight = part["input"].T
        margin = (length - 4 - weight / 20) * np.where(part["label"] == 1, 1, -1)
        assert margin.min() > 0.49
        assert margin.min() < 1.5


def test_a_curve_separates_the_curved_fruits_and_no_line():
    from jaxdl.classic import widest_separator

    train, _ = load("curved_fruits")
    for part in load("curved_fruits"):
        length, weight = (part["input"] - np.array([12, 60])).T
        inside = (length > 0) & (length * weight > 60)
        assert inside.tolist() == (part["label"] == 1).tolist()
    with pytest.raises(InputError, match="no line separates"):
        widest_separator(train["input"], 2 * train["label"] - 1)
