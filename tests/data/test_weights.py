"""Tests of weights of classes: scikit-learn's, and the loss that they give."""

import jax
import numpy as np
import optax
import pytest
from sklearn.utils.class_weight import compute_sample_weight

import jaxdl
from jaxdl.data import Dataset, class_weights
from jaxdl.errors import InputError

RANDOM = np.random.RandomState(0)
LABEL = RANDOM.choice(4, 60, p=[0.7, 0.2, 0.1, 0.0])
X = RANDOM.normal(size=(60, 3)).astype(np.float32)


def test_they_are_the_balanced_ones_of_scikit_learn():
    weights = class_weights(LABEL)
    np.testing.assert_allclose(weights, compute_sample_weight("balanced", LABEL), rtol=1e-6)
    assert weights.sum() == pytest.approx(60)
    sums = np.bincount(LABEL, weights)[:3]
    np.testing.assert_allclose(sums, 20, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [60, 16])
def test_the_loss_is_the_weighted_mean_also_over_batches(batch_size):
    arrays = {"input": X, "label": LABEL, "mask": class_weights(LABEL)}
    data = Dataset(arrays, "mine", 4)
    task = jaxdl.tasks.classify(jaxdl.models.MLP((), 4))
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    state = net.init(jaxdl.root(0), {name: array[:2] for name, array in arrays.items()})
    metrics = jaxdl.evaluate(net, state, data, batch_size=batch_size)
    log_p = np.log(np.asarray(jaxdl.bind(task.predict, state)(X), np.float64))
    weights = arrays["mask"]
    loss = -(weights * log_p[np.arange(60), LABEL]).sum() / weights.sum()
    assert metrics["loss"] == pytest.approx(loss, rel=1e-5)
    correct = log_p.argmax(1) == LABEL
    per_class = [correct[c == LABEL].mean() for c in range(3)]
    assert metrics["accuracy"] == pytest.approx(np.mean(per_class), rel=1e-5)


def test_the_gradient_is_the_weighted_mean():
    task = jaxdl.tasks.classify(jaxdl.models.MLP((), 4))
    batch = {"input": X, "label": LABEL.astype(np.int32), "mask": class_weights(LABEL)}
    params, extra = task.init(jaxdl.root(0), batch)

    def gradient(rows):
        part = {name: array[rows] for name, array in batch.items() if name != "mask"}

        def loss(params):
            (value, count), _ = task.loss(params, extra, part, jaxdl.root(0), train=True)
            return value / count

        return jax.grad(loss)(params)

    def weighted(params):
        (value, count), _ = task.loss(params, extra, batch, jaxdl.root(0), train=True)
        return value / count

    # All classes weigh the same, so this is the mean of the gradients of the classes.
    parts = [gradient(np.flatnonzero(c == LABEL)) for c in range(3)]
    expected = jax.tree.map(lambda *each: sum(each) / 3, *parts)
    got = jax.grad(weighted)(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, expected)


@pytest.mark.parametrize("label", [[], [0.5], [[0, 1]], ["a"]])
def test_other_labels_are_refused(label):
    with pytest.raises(InputError, match=r"^label: got .*, allowed: integers \[N\], N at least 1"):
        class_weights(label)
