"""Tests of robust accuracy: the worst case per image, resuming with the same bits, errors."""

import numpy as np
import pytest

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.explain import adversarial_examples, fgsm, logits, noise, pgd, robustness
from jaxdl.models import MLP
from jaxdl.rng import root
from tests.explain import foolbox_arrays
from tests.models.random_variables import random_variables

IMAGES = foolbox_arrays.images()[:150].reshape(150, 6, 6, 1)
MODEL = MLP((8,), outputs=4)
VARIABLES = random_variables(MODEL, IMAGES[:1])
NETWORK = logits(MODEL, VARIABLES)
LABEL = np.asarray(NETWORK(IMAGES)).argmax(1)
LABEL[:15] = (LABEL[:15] + 1) % 4
ATTACKS = {
    "fgsm": (fgsm(0.02), 1),
    "pgd": (pgd(0.02, 12), 2),
    "margin": (pgd(0.03, 12, loss="margin"), 1),
}


def equal(one, two):
    """Returns True if two results have the same bits, up to the times."""
    pairs = zip(one._replace(seconds={}), two._replace(seconds={}), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def test_the_worst_case_over_attacks():
    result = robustness(NETWORK, IMAGES, LABEL, root(0), ATTACKS)
    single = adversarial_examples(NETWORK, IMAGES, LABEL, root(0), ATTACKS["fgsm"][0])
    assert result.after["fgsm"] == pytest.approx(1 - single.is_fooled.mean())
    np.testing.assert_array_equal(result.is_correct, np.arange(150) >= 15)
    assert result.accuracy == pytest.approx(0.9)
    shares = [result.accuracy, *result.after.values()]
    assert (np.diff(shares) <= 0).all() and shares[-1] < shares[1] < shares[0]
    assert result.robust_accuracy == result.is_robust.mean() == shares[-1]
    assert not (result.is_robust & ~result.is_correct).any()
    np.testing.assert_array_equal(result.is_robust, result.margin <= 0)
    assert list(result.seconds) == list(ATTACKS) and result.flat < 0.1


class Stopped(Exception):
    """An interruption of the evaluation."""


@pytest.mark.parametrize("after", [1, 2, 3])
def test_an_interrupted_evaluation_continues_with_the_same_bits(tmp_path, after):
    whole = robustness(NETWORK, IMAGES, LABEL, root(1), ATTACKS)
    path = tmp_path / "state.npz"
    lines = []

    def stop(line):
        lines.append(line)
        if len(lines) == after:
            raise Stopped

    with pytest.raises(Stopped):
        robustness(NETWORK, IMAGES, LABEL, root(1), ATTACKS, path=path, progress=stop)
    rest = []
    again = robustness(
        NETWORK, IMAGES, LABEL, root(1), ATTACKS, path=str(path), progress=rest.append
    )
    assert len(lines) + len(rest) == 4
    assert equal(whole, again)
    done = robustness(NETWORK, IMAGES, LABEL, root(1), ATTACKS, path=path, progress=rest.append)
    assert len(lines) + len(rest) == 4
    assert equal(whole, done)
    assert [each.name for each in tmp_path.iterdir()] == ["state.npz"]


def test_progress_names_attack_share_and_time():
    lines = []
    robustness(NETWORK, IMAGES, LABEL, root(1), {"pgd": (pgd(0.02, 2), 2)}, progress=lines.append)
    assert [line.split(":")[0] for line in lines] == ["pgd, start 1 of 2", "pgd, start 2 of 2"]
    assert all("% robust" in line and " s in all" in line for line in lines)


def test_the_file_of_another_evaluation_is_refused(tmp_path):
    path = tmp_path / "state.npz"
    one = {"noise": (noise(0.1), 1)}
    robustness(NETWORK, IMAGES, LABEL, root(0), one, path=path)
    other = logits(MODEL, random_variables(MODEL, IMAGES[:1], seed=2))
    label = (LABEL + 1) % 4
    usual = {"f": NETWORK, "images": IMAGES, "label": LABEL, "key": root(0), "attacks": one}
    changes = {
        "weights": {"f": other},
        "images": {"images": IMAGES[::-1]},
        "label": {"label": label},
        "key": {"key": root(1)},
        "attacks": {"attacks": {"noise": (noise(0.2), 1)}},
    }
    for name, change in changes.items():
        with pytest.raises(
            InputError, match=f"the same .*{name}.*; remove this one, or choose"
        ) as raised:
            robustness(**{**usual, **change}, path=path)
        assert "\n" not in str(raised.value)
    robustness(**usual, path=path)


def test_the_file_of_a_function_with_other_scores_is_refused(tmp_path):
    """A plain function has no leaves that could be compared."""
    path = tmp_path / "state.npz"
    one = {"noise": (noise(0.1), 1)}
    robustness(lambda x: NETWORK(x), IMAGES, LABEL, root(0), one, path=path)
    robustness(lambda x: NETWORK(x), IMAGES, LABEL, root(0), one, path=path)
    with pytest.raises(InputError, match="the same scores"):
        robustness(lambda x: NETWORK(1 - x), IMAGES, LABEL, root(0), one, path=path)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "state.npz"
    one = {"noise": (noise(0.1), 1)}
    robustness(NETWORK, IMAGES, LABEL, root(0), one, path=path)
    contents = path.read_bytes()
    for damaged in (b"", contents[: len(contents) // 2], b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"path: got .*a complete file; remove this one"):
            robustness(NETWORK, IMAGES, LABEL, root(0), one, path=path)
    np.savez(path, other=np.zeros(3))
    with pytest.raises(InputError, match=r"path: got .*a complete file; remove this one"):
        robustness(NETWORK, IMAGES, LABEL, root(0), one, path=path)


@pytest.mark.parametrize(
    "change",
    [
        {"identity": np.array("[]")},
        {"identity": np.array("3")},
        {"is_fooled": np.zeros(7, bool)},
        {"is_fooled": np.zeros(150)},
        {"margin": np.zeros(2, np.float32)},
        {"seconds": np.zeros(3)},
        {"seconds": np.zeros(2), "robust": np.zeros(2)},
        {"robust": np.zeros((1, 1))},
        {"without_attack": np.zeros(2, np.float32)},
    ],
)
def test_a_file_with_other_arrays_is_refused(tmp_path, change):
    path = tmp_path / "state.npz"
    one = {"noise": (noise(0.1), 1)}
    robustness(NETWORK, IMAGES, LABEL, root(0), one, path=path)
    np.savez(path, **{**np.load(path), **change})
    with pytest.raises(InputError, match=r"path: got .*(remove this one|choose another)"):
        robustness(NETWORK, IMAGES, LABEL, root(0), one, path=path)


def test_a_place_that_holds_no_file_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", "/dev/null", "a\0b", tmp_path / ("x" * 300)):
        with pytest.raises(InputError, match="path: got .*a file in a folder"):
            robustness(NETWORK, IMAGES, LABEL, root(0), ATTACKS, path=path)
    with pytest.raises(InputError, match="path: got 3, allowed: the path of a file"):
        robustness(NETWORK, IMAGES, LABEL, root(0), ATTACKS, path=3)


@pytest.mark.parametrize(
    ("attacks", "message"),
    [
        ({}, r"attacks: got \{\}, allowed: \{name: \(attack, starts\)\}"),
        ([pgd(0.1)], "attacks: got .*such as"),
        ({"pgd": pgd(0.1)}, r"attacks\['pgd'\]: got .*such as"),
        ({"pgd": (0.1, 1)}, r"attacks\['pgd'\]: got 0.1"),
        ({"pgd": (pgd(0.1), 0)}, "starts of 'pgd': got 0, allowed: at least 1"),
        ({"pgd": (pgd(0.1, targeted=True), 1)}, "an attack that is not targeted"),
        ({"pgd": (pgd(0.1, high=0.5), 1)}, "high: got 0.5, allowed: at least the pixels"),
    ],
)
def test_bad_attacks_are_one_line(attacks, message):
    with pytest.raises(InputError, match=message):
        robustness(NETWORK, IMAGES, LABEL, root(0), attacks)


def test_a_path_in_no_folder_is_refused_before_the_first_attack(tmp_path):
    lines = []
    with pytest.raises(InputError, match="path: got .*a file in a folder that exists"):
        path = tmp_path / "no" / "x.npz"
        robustness(NETWORK, IMAGES, LABEL, root(0), ATTACKS, path=path, progress=lines.append)
    assert not lines


def test_exports():
    assert explain.robustness is robustness
