"""Sets with few labels and with shuffled ones, and a network that memorizes shuffled labels."""

import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.data import Dataset, few_labels, first_labels, random_labels
from jaxdl.errors import InputError

TRAIN, TEST = jaxdl.data.load("digits")


def mine(labels):
    labels = np.asarray(labels)
    rows = np.arange(len(labels), dtype=np.float32)[:, None]
    return Dataset({"input": rows, "label": labels}, "mine", classes=3)


def test_each_class_has_as_many_examples_in_the_order_of_the_set():
    data = mine(np.random.default_rng(0).integers(0, 3, 60))
    few = few_labels(data, 7, jaxdl.root(2))
    assert np.bincount(few["label"]).tolist() == [7, 7, 7]
    rows = few["input"][:, 0].astype(int)
    assert np.all(np.diff(rows) > 0)
    np.testing.assert_array_equal(few["label"], data["label"][rows])


def test_more_labels_contain_the_fewer():
    few, more, other = (
        set(few_labels(mine(np.arange(90) % 3), k, jaxdl.root(seed))["input"][:, 0])
        for k, seed in ((4, 0), (9, 0), (4, 1))
    )
    assert few < more
    assert few != other


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_share_of_the_labels_is_shuffled(share):
    shuffled = random_labels(TRAIN, jaxdl.root(5), share)
    np.testing.assert_array_equal(shuffled["input"], TRAIN["input"])
    # Every class keeps its number of examples.
    assert np.bincount(shuffled["label"]).tolist() == np.bincount(TRAIN["label"]).tolist()
    wrong = (shuffled["label"] != TRAIN["label"]).mean()
    assert abs(wrong - 0.9 * share) < 0.03


def test_labels_follow_from_their_key():
    one, same, other = (random_labels(TRAIN, jaxdl.root(seed)) for seed in (0, 0, 1))
    assert one.sha256 == same.sha256 != other.sha256


def test_a_network_memorizes_shuffled_labels_and_guesses_on_new_examples():
    """All training labels become right. On average over draws, new answers are right by chance."""
    scores = []
    task = jaxdl.tasks.classify(jaxdl.models.MLP((128,)))
    net = jaxdl.learner(task.init, *task.updates(optax.adam(5e-3)))
    for seed in range(3):
        train = random_labels(few_labels(TRAIN, 8, jaxdl.root(seed)), jaxdl.root(seed))
        state = jaxdl.train(net, train, key=jaxdl.root(seed), steps=300, batch_size=40)
        assert jaxdl.evaluate(net, state, train)["accuracy"] == 1.0
        scores.append(jaxdl.evaluate(net, state, TEST)["accuracy"])
    assert abs(np.mean(scores) - 0.1) < 0.06


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: few_labels(mine([0, 1, 2, 1]), 2, jaxdl.root(0)),
            "per_class: got 2, allowed: at most 1 of class 0 in the training set",
        ),
        (lambda: few_labels(TRAIN, 0, jaxdl.root(0)), "per_class: got 0, allowed: at least 1"),
        (
            lambda: random_labels(TRAIN, jaxdl.root(0), 1.5),
            "share: got 1.5, allowed: a number in [0, 1]",
        ),
        (
            lambda: random_labels(TRAIN, jaxdl.root([0, 1])),
            "key: got '2 keys', allowed: one key, root(seed)",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == message


def test_a_set_without_labels_is_refused():
    data = Dataset({"input": np.ones((3, 2), np.float32)}, "mine")
    with pytest.raises(InputError, match="label"):
        random_labels(data, jaxdl.root(0))


def test_few_labels_are_the_first_of_each_class():
    label = np.random.default_rng(0).integers(0, 3, 50)
    few = first_labels(Dataset({"input": np.arange(50.0), "label": label}, "fifty", 3), 10)
    expected = [np.flatnonzero(label == c)[: (4, 3, 3)[c]] for c in range(3)]
    np.testing.assert_array_equal(few["input"], np.sort(np.concatenate(expected)))


@pytest.mark.parametrize(
    ("count", "line"),
    [
        (2, "labels: got 2, allowed: at least 3"),
        (9, "labels: got 9, allowed: at most 2 of class 0 in the training set"),
    ],
)
def test_counts_that_classes_lack_are_refused(count, line):
    examples = Dataset({"input": np.arange(7.0), "label": np.array([0, 0, 1, 1, 1, 2, 2])}, "s", 3)
    with pytest.raises(InputError) as raised:
        first_labels(examples, count)
    assert str(raised.value) == line
