"""Classification against PyTorch and NumPy; augmentation by brute force."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.metrics import means
from jaxdl.models import MLP, SequenceNet
from jaxdl.nn import RNN
from jaxdl.tasks import classify
from tests.tasks.scalar import scalar
from tests.training.linear import KEY

RNG = np.random.default_rng(0)
BATCH = {
    "input": jnp.asarray(RNG.normal(size=(6, 5)), jnp.float32),
    "label": jnp.asarray(RNG.integers(0, 4, 6), jnp.int32),
}
MASKED = {**BATCH, "mask": jnp.asarray([1, 1, 0, 1, 0, 1], jnp.float32)}


class Linear(nn.Module):
    """A custom module: a linear classifier without bias."""

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(4, use_bias=False, name="out")(x)


@functools.cache
def started(smoothing: float = 0.0):
    task = classify(Linear(), label_smoothing=smoothing)
    return task, *task.init(KEY, BATCH)


def by_torch(smoothing: float, batch) -> tuple[float, np.ndarray]:
    """Returns the loss over the rows that count, and its gradient by the kernel."""
    torch = pytest.importorskip("torch")
    rows = np.flatnonzero(np.asarray(batch.get("mask", np.ones(6))))
    weight = torch.tensor(np.array(started()[1]["out"]["kernel"]), requires_grad=True)
    logits = torch.tensor(np.array(batch["input"])[rows]) @ weight
    label = torch.tensor(np.array(batch["label"])[rows])
    if label.ndim == 1:
        label = label.long()
    loss = torch.nn.functional.cross_entropy(logits, label, label_smoothing=smoothing)
    loss.backward()
    return loss.item(), weight.grad.numpy()


SOFT = {**BATCH, "label": jnp.asarray(RNG.dirichlet(np.ones(4), 6), jnp.float32)}


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("batch", [BATCH, MASKED, SOFT], ids=["whole", "masked", "soft"])
def test_loss_and_gradient_match_pytorch(smoothing, batch):
    task, params, extra = started(smoothing)

    def loss(params):
        return scalar(task.loss)(params, extra, batch, KEY, train=True)

    (value, (_, metrics)), grads = jax.value_and_grad(loss, has_aux=True)(params)
    expected, expected_grad = by_torch(smoothing, batch)
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert means(metrics)["loss"] == pytest.approx(expected, rel=1e-5)
    assert float(metrics["loss"][1]) == float(batch.get("mask", jnp.ones(6)).sum())
    np.testing.assert_allclose(grads["out"]["kernel"], expected_grad, rtol=1e-4, atol=1e-6)


def test_evaluation_does_not_smooth_the_labels():
    task, params, extra = started(0.3)
    value, _ = scalar(task.loss)(params, extra, BATCH, KEY, train=False)
    assert float(value) == pytest.approx(by_torch(0.0, BATCH)[0], rel=1e-5)


@pytest.mark.parametrize("batch", [BATCH, MASKED, SOFT], ids=["whole", "masked", "soft"])
def test_accuracy_counts_correct_predictions(batch):
    task, params, extra = started()
    _, (_, metrics) = scalar(task.loss)(params, extra, batch, KEY, train=False)
    predicted = (np.asarray(batch["input"]) @ np.asarray(params["out"]["kernel"])).argmax(1)
    label = np.asarray(batch["label"])
    if label.ndim == 2:
        label = label.argmax(1)
    correct = predicted == label
    mask = np.asarray(batch.get("mask", np.ones(6)))
    assert [float(x) for x in metrics["accuracy"]] == [(correct * mask).sum(), mask.sum()]


class OneLogit(nn.Module):
    """A linear logit of class 1 of two; `lengths` limits the inputs that are used."""

    @nn.compact
    def __call__(self, x, train, lengths=None):
        if lengths is not None:
            x = jnp.where(jnp.arange(x.shape[1])[None] < lengths[:, None], x, 0)
        return nn.Dense(1, name="out")(x)


LENGTHS = jnp.asarray([5, 1, 2, 3, 4, 5], jnp.int32)
TWO = {**BATCH, "label": jnp.asarray([0, 1, 1, 0, 1, 1], jnp.int32)}


@pytest.mark.parametrize(
    "mask", [np.ones(6), np.array([1, 1, 0, 1, 0, 1])], ids=["whole", "masked"]
)
@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["full", "lengths"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_one_logit_is_a_sigmoid(mask, lengths, smoothing):
    task = classify(OneLogit(), label_smoothing=smoothing)
    params, extra = task.init(KEY, TWO)
    batch = {**TWO, "mask": jnp.asarray(mask, jnp.float32)}
    x = np.asarray(TWO["input"], np.float64)
    if lengths is not None:
        batch["length"] = lengths
        x = np.where(np.arange(5)[None] < np.asarray(lengths)[:, None], x, 0)
    p = 1 / (1 + np.exp(-(x @ np.asarray(params["out"]["kernel"], np.float64))[:, 0]))
    target = (1 - smoothing) * np.asarray(TWO["label"]) + smoothing / 2
    entropy = -target * np.log(p) - (1 - target) * np.log(1 - p)
    value, (_, metrics) = scalar(task.loss)(params, extra, batch, KEY, train=True)
    assert float(value) == pytest.approx((entropy * mask).sum() / mask.sum(), rel=1e-5)
    correct = (p > 0.5) == np.asarray(TWO["label"])
    assert [float(n) for n in metrics["accuracy"]] == [(correct * mask).sum(), mask.sum()]
    predicted = task.predict(params, extra, TWO["input"], lengths)
    np.testing.assert_allclose(predicted, np.stack([1 - p, p], 1), rtol=1e-4)


def test_lengths_are_passed_to_the_model_if_there_are_any():
    task = classify(OneLogit())
    params, extra = task.init(KEY, {**TWO, "length": LENGTHS})
    short = task.predict(params, extra, TWO["input"], LENGTHS)
    for i, n in enumerate(LENGTHS):
        alone = TWO["input"][i : i + 1].at[:, int(n) :].set(0)
        np.testing.assert_allclose(short[i], task.predict(params, extra, alone)[0], rtol=1e-5)
    assert (short != task.predict(params, extra, TWO["input"])).any()
    with pytest.raises(InputError, match="a module with a parameter `lengths`"):
        classify(Linear()).init(KEY, {**BATCH, "length": LENGTHS})


def test_rows_that_do_not_count_have_no_influence():
    task, params, extra = started()
    changed = {
        **MASKED,
        "input": BATCH["input"].at[2].set(7.0),
        "label": BATCH["label"].at[4].set(3),
    }

    def gradient(batch):
        grads = jax.grad(lambda p: scalar(task.loss)(p, extra, batch, KEY, train=True)[0])(params)
        return grads["out"]["kernel"]

    np.testing.assert_array_equal(gradient(changed), gradient(MASKED))


def test_predictions_are_the_softmax_of_the_logits():
    task, params, extra = started()
    logits = np.asarray(BATCH["input"], np.float64) @ np.asarray(
        params["out"]["kernel"], np.float64
    )
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(task.predict(params, extra, BATCH["input"]), expected, rtol=1e-5)


def test_statistics_change_in_training_only():
    task = classify(MLP((3,), 4, norm="batch"))
    params, extra = task.init(KEY, BATCH)
    assert list(extra) == ["batch_stats"]
    _, (trained, _) = scalar(task.loss)(params, extra, BATCH, KEY, train=True)
    _, (evaluated, _) = scalar(task.loss)(params, extra, BATCH, KEY, train=False)
    assert jaxdl.state_sha256(evaluated) == jaxdl.state_sha256(extra) != jaxdl.state_sha256(trained)
    assert jax.tree.structure(trained) == jax.tree.structure(extra)
    two_rows = task.predict(params, trained, BATCH["input"][:2])
    all_rows = task.predict(params, trained, BATCH["input"])
    np.testing.assert_allclose(two_rows, all_rows[:2], rtol=1e-5)


def test_dropout_and_augmentation_follow_the_key_in_training_only():
    def add_noise(key, x):
        return x + jax.random.normal(key, x.shape)

    for task in (classify(MLP((20,), 4, dropout=0.5)), classify(Linear(), augment=add_noise)):
        params, extra = task.init(KEY, BATCH)
        loss = jax.jit(scalar(task.loss), static_argnames="train")
        values = {
            (seed, train): float(loss(params, extra, BATCH, jax.random.key(seed), train=train)[0])
            for seed in (0, 1)
            for train in (True, False)
        }
        assert values[0, True] != values[1, True]
        assert values[0, False] == values[1, False]
        assert values[0, True] == float(
            loss(params, extra, BATCH, jax.random.key(0), train=True)[0]
        )


def test_augmentation_has_a_key_for_each_example():
    keys = []

    def augment(key, x):
        jax.debug.callback(lambda k: keys.append(tuple(k.tolist())), jax.random.key_data(key))
        return x

    task = classify(Linear(), augment=augment)
    scalar(task.loss)(*started()[1:], BATCH, KEY, train=True)
    jax.effects_barrier()
    assert len(keys) == len(set(keys)) == 6


def test_a_learner_has_the_metrics_of_the_loss():
    task = started()[0]
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    state = net.init(KEY, BATCH)
    assert sorted(net.evaluate(state, BATCH, KEY)) == ["accuracy", "loss"]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (
            lambda: classify(Linear(), label_smoothing=1.0),
            "label_smoothing: got 1.0, allowed: a number in [0, 1)",
        ),
        (
            lambda: classify(Linear(), label_smoothing=-0.1),
            "label_smoothing: got -0.1, allowed: a number in [0, 1)",
        ),
    ],
)
def test_bad_values_are_refused(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line


@pytest.mark.parametrize(
    ("label", "line"),
    [
        (
            np.arange(8)[:, None] % 3,
            "got 'int32[4, 1]', allowed: integers [B], such as label[:, 0]",
        ),
        (np.arange(8) > 3, "got 'bool[4]', allowed: integers [B], such as label.astype(int)"),
        (np.ones(8, "f"), "got 'float32[4]', allowed: integers [B], such as label.astype(int)"),
        (np.ones((8, 1), "f"), "got 'float32[4, 1]', allowed: integers [B], such as label[:, 0]"),
        (np.eye(8), "got 'float32[4, 8]', allowed: integers [B], or probabilities [B, 3]"),
    ],
)
def test_labels_of_a_set_in_another_form_are_one_line(label, line):
    task = classify(jaxdl.models.MLP((), 3))
    net = jaxdl.learner(task.init, *task.updates(optax.sgd(0.1)))
    data = jaxdl.data.Dataset({"input": np.eye(8, 4, dtype="f"), "label": label}, "mine")
    with pytest.raises(InputError) as caught:
        jaxdl.train(net, data, key=KEY, steps=1, batch_size=4, strategy=jaxdl.strategy("single"))
    assert str(caught.value) == f"label: {line}"


def test_one_output_per_step_is_refused():
    batch = {"input": jnp.ones((2, 7, 3)), "label": jnp.array([0, 1])}
    task = classify(SequenceNet(None, RNN("gru", 4), 5))
    params, extra = task.init(KEY, batch)
    for call in (
        lambda: task.loss(params, extra, batch, KEY, train=True),
        lambda: task.predict(params, extra, batch["input"]),
    ):
        with pytest.raises(InputError) as caught:
            call()
        assert str(caught.value) == (
            "output of the model: got (2, 7, 5), allowed: [B, C], one vector of logits per "
            "example; for one per sequence write SequenceNet(..., pool='last'), or "
            "RNN(..., return_sequences=False)"
        )
    task = classify(SequenceNet(None, RNN("gru", 4), 5, pool="last"))
    assert np.isfinite(scalar(task.loss)(params, extra, batch, KEY, train=True)[0])


SEVERAL = {**BATCH, "label": jnp.asarray(RNG.integers(0, 2, (6, 4)), jnp.int32)}


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.float32, jnp.bool_])
@pytest.mark.parametrize("mask", [None, MASKED["mask"]], ids=["whole", "masked"])
def test_several_classes_per_example_match_numpy(dtype, mask):
    task = classify(Linear(), multi_label=True)
    batch = {**SEVERAL, "label": SEVERAL["label"].astype(dtype)}
    rows = np.arange(6)
    if mask is not None:
        batch["mask"] = mask
        rows = np.flatnonzero(np.asarray(mask))
    params, extra = task.init(KEY, batch)

    def loss(params):
        return scalar(task.loss)(params, extra, batch, KEY, train=True)

    (value, (_, metrics)), grads = jax.value_and_grad(loss, has_aux=True)(params)
    x = np.asarray(batch["input"], np.float64)
    p = 1 / (1 + np.exp(-x @ np.asarray(params["out"]["kernel"], np.float64)))
    y = np.asarray(SEVERAL["label"])
    expected = -np.where(y, np.log(p), np.log(1 - p))[rows].mean()
    assert float(value) == pytest.approx(expected, rel=1e-5)
    assert means(metrics)["accuracy"] == pytest.approx(((p > 0.5) == y)[rows].mean())
    expected_grad = x[rows].T @ (p - y)[rows] / (4 * len(rows))
    np.testing.assert_allclose(grads["out"]["kernel"], expected_grad, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(task.predict(params, extra, batch["input"]), p, rtol=1e-5)


def test_several_classes_per_example_are_learned():
    x = RNG.normal(size=(200, 3)).astype(np.float32)
    data = jaxdl.data.Dataset({"input": x, "label": (x > 0).astype(np.int32)}, "signs", 3)
    task = classify(MLP((), 3), multi_label=True)
    net = jaxdl.learner(task.init, *task.updates(optax.adam(0.1)))
    state = jaxdl.train(net, data, key=jaxdl.root(0), steps=100, batch_size=40)
    assert jaxdl.evaluate(net, state, data)["accuracy"] > 0.95


def test_labels_of_another_shape_and_smoothing_are_refused_with_several_classes():
    task = classify(Linear(), multi_label=True)
    params, extra = task.init(KEY, BATCH)
    with pytest.raises(InputError) as caught:
        task.loss(params, extra, BATCH, KEY, train=True)
    assert str(caught.value) == (
        "label shape: got [6], allowed: [6, 4], 0 or 1 for each class, as the outputs of the model"
    )
    with pytest.raises(InputError, match="^label_smoothing: got 0.1, allowed: 0 with multi_label"):
        classify(Linear(), multi_label=True, label_smoothing=0.1)
