"""CycleGAN: losses against their formulas, the pool, separate weights, loading, bad inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxdl
from jaxdl.data import Dataset
from jaxdl.errors import InputError
from jaxdl.export.networks import exportable
from jaxdl.metrics import mean
from jaxdl.models import UNet, patch_discriminator
from jaxdl.ring import push_all, ring
from jaxdl.tasks import translate_unpaired
from jaxdl.tasks.translate_unpaired import some_earlier

KEY = jaxdl.root(4)
RNG = np.random.default_rng(1)
NET = UNet((3, 4), 1)
PATCHES = patch_discriminator((3,))
X = RNG.random((6, 8, 8, 1)).astype(np.float32)
T = RNG.random((6, 8, 8, 1)).astype(np.float32)
MASK = np.array([1, 1, 0, 1, 0, 1], np.float32)
ROWS = np.flatnonzero(MASK)
SGD = optax.sgd(0.05)


def apply(model, params, x):
    return np.asarray(model.apply({"params": params}, x, train=False), np.float64)


def per_image(x):
    return x.reshape(len(x), -1).mean(1)


def means(metrics):
    return {name: float(mean(pair)) for name, pair in metrics.items()}


@pytest.mark.parametrize("identity", [0.0, 0.5])
def test_losses_of_a_cycle_follow_from_the_networks(identity):
    task = translate_unpaired(NET, PATCHES, cycle=4.0, identity=identity, loss="hinge")
    batch = {"input_a": X, "input_b": T, "mask_a": MASK}
    params, extra = task.init(KEY, batch)
    nets = params["generators"]
    critics = params["discriminators"]
    losses = []
    cycles = []
    same = []
    of_discriminators = []
    for x, real, forth, back, there, rows in (
        (X, T, "a_to_b", "b_to_a", "b", ROWS),
        (T, X, "b_to_a", "a_to_b", "a", np.arange(6)),
    ):
        fake = apply(NET, nets[forth], x).astype(np.float32)
        cycle = per_image(abs(x - apply(NET, nets[back], fake)))[rows]
        kept = per_image(abs(x - apply(NET, nets[back], x)))[rows]
        score = apply(PATCHES, critics[there], fake)
        losses.append(-per_image(score)[rows] + 4 * cycle + 4 * identity * kept)
        cycles.append(cycle)
        same.append(kept)
        score_real = per_image(np.maximum(1 - apply(PATCHES, critics[there], real), 0))
        score_fake = per_image(np.maximum(1 + score, 0))[rows]
        real_rows = ROWS if there == "a" else np.arange(6)
        of_discriminators.append(np.concatenate([score_real[real_rows], score_fake]) / 2)
    expected = {
        "generator_loss": 2 * np.concatenate(losses).mean(),
        "cycle": np.concatenate(cycles).mean(),
        "discriminator_loss": 4 * np.concatenate(of_discriminators).mean(),
    }
    if identity:
        expected["identity"] = np.concatenate(same).mean()
    found = {}
    for loss in (task.generator_loss, task.discriminator_loss):
        _, (_, metrics) = loss(params, extra, batch, KEY, train=False)
        found |= means(metrics)
    found = {name: value for name, value in found.items() if name in expected or name == "identity"}
    assert found == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(
        task.back(params, extra, T), apply(NET, nets["b_to_a"], T), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("sizes", [(12, 4), (4, 12)])
def test_sets_of_other_sizes_have_one_loss_for_every_batch_size(sizes):
    task = translate_unpaired(NET, PATCHES)
    net = jaxdl.learner(task.init, *task.updates(SGD, SGD))
    images = [RNG.random((size, 8, 8, 1)).astype(np.float32) for size in sizes]
    both = jaxdl.data.paired(*(Dataset({"input": x}, "images") for x in images))
    state = net.init(KEY, {"input_a": images[0], "input_b": images[1]})
    found = [jaxdl.evaluate(net, state, both, batch_size=size) for size in (4, 8, 12)]
    for name in ("generator_loss", "discriminator_loss", "cycle"):
        values = [float(each[name]) for each in found]
        np.testing.assert_allclose(values, values[0], rtol=1e-5)


def test_the_four_networks_begin_with_other_weights():
    task = translate_unpaired(NET, PATCHES)
    params, _ = task.init(KEY, {"input_a": X, "input_b": T})
    for group in params.values():
        first, second = (jax.tree.leaves(each)[1] for each in group.values())
        assert float(jnp.abs(first - second).max()) > 1e-3


def test_the_pool_contains_the_newest_outputs():
    task = translate_unpaired(NET, PATCHES, pool=8)
    still = optax.sgd(0.0)
    net = jaxdl.learner(task.init, *task.updates(SGD, still))
    batch = {"input_a": X, "input_b": T}
    state = net.init(KEY, batch)
    outputs = {
        "b": np.asarray(task.predict(state.params, state.extra, X)),
        "a": np.asarray(task.back(state.params, state.extra, T)),
    }
    for i in range(3):
        state, _ = jax.jit(net.step)(state, batch, jax.random.fold_in(KEY, i))
    for name, expected in outputs.items():
        pool = state.extra["pool"][name]
        assert int(pool.added) == 18
        rows = np.resize(np.arange(6), 18)[-8:]
        found = np.roll(np.asarray(pool.items), -(18 % 8), 0)
        np.testing.assert_allclose(found, expected[rows], rtol=1e-5, atol=1e-6)


def test_earlier_images_take_half_of_the_places():
    fake = jnp.asarray(RNG.random((400, 2, 2, 1)), jnp.float32)
    empty = ring(fake[0], 5)
    np.testing.assert_array_equal(some_earlier(empty, fake, KEY), fake)
    pool = push_all(empty, jnp.arange(3.0)[:, None, None, None] * jnp.ones((3, 2, 2, 1)) + 5)
    shown = np.asarray(some_earlier(pool, fake, KEY))
    old = shown.min((1, 2, 3)) >= 5
    assert 0.42 < old.mean() < 0.58
    assert set(shown[old].ravel().tolist()) == {5.0, 6.0, 7.0}
    np.testing.assert_array_equal(shown[~old], fake[~old])


def test_domains_with_other_channels_have_other_generators():
    colour = np.repeat(T, 3, -1)
    task = translate_unpaired(UNet((3, 4), 3), PATCHES, backward=UNet((3, 4), 1), identity=0.0)
    params, extra = task.init(KEY, {"input_a": X, "input_b": colour})
    assert task.predict(params, extra, X).shape == (6, 8, 8, 3)
    assert task.back(params, extra, colour).shape == (6, 8, 8, 1)


def test_masked_images_never_enter_the_pool():
    task = translate_unpaired(NET, PATCHES, pool=4)
    batch = {"input_a": X, "input_b": T, "mask": np.array([1, 0, 0, 1, 0, 0], np.float32)}
    params, extra = task.init(KEY, batch)
    _, (extra, _) = task.discriminator_loss(params, extra, batch, KEY, train=True)
    for name, apply, images in (("b", task.predict, X), ("a", task.back, T)):
        pool = extra["pool"][name]
        assert int(pool.added) == 2
        expected = apply(params, extra, images[[0, 3]])
        np.testing.assert_allclose(pool.items[:2], expected, rtol=1e-5, atol=1e-6)


def test_loading_a_cycle(tmp_path):
    task = translate_unpaired(NET, PATCHES, pool=4)
    net = jaxdl.learner(task.init, *task.updates(SGD, SGD))
    sets = [Dataset({"input": x}, name) for x, name in ((X, "a"), (T, "b"))]
    both = jaxdl.data.paired(*sets)
    state = jaxdl.train(net, both, key=KEY, steps=3, batch_size=4)
    jaxdl.save(tmp_path, task, state, both)
    network = jaxdl.load(tmp_path)
    for name in ("predict", "back"):
        expected = jaxdl.bind(task.functions[name], state)(X)
        np.testing.assert_allclose(getattr(network, name)(X), expected, rtol=1e-5, atol=1e-6)
    expected = jaxdl.evaluate(net, state, both, batch_size=4)["cycle"]
    metrics = network.evaluate(both, batch_size=8)
    assert metrics["cycle"] == pytest.approx(float(expected), rel=1e-5)


def test_both_directions_of_a_loaded_cycle_take_images_of_their_domain(tmp_path):
    colour = np.repeat(T, 3, -1)
    task = translate_unpaired(UNet((3, 4), 3), PATCHES, backward=UNet((3, 4), 1), identity=0.0)
    net = jaxdl.learner(task.init, *task.updates(SGD, SGD))
    both = jaxdl.data.paired(Dataset({"input": X}, "a"), Dataset({"input": colour}, "b"))
    state = jaxdl.train(net, both, key=KEY, steps=1, batch_size=4)
    jaxdl.save(tmp_path, task, state, both)
    network = jaxdl.load(tmp_path)
    assert network.predict(X).shape == colour.shape
    assert network.back(colour).shape == X.shape
    assert exportable(network, "back")["back"].examples[0].shape == (2, 8, 8, 3)
    with pytest.raises(InputError, match=r"inputs shape: got \[6, 8, 8, 1\], allowed"):
        network.back(X)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: translate_unpaired(NET, PATCHES, cycle=-1.0), "cycle: got -1.0, allowed: "),
        (
            lambda: translate_unpaired(NET, PATCHES, loss="wasserstein"),
            "loss: got 'wasserstein', allowed: hinge, least_squares, nonsaturating",
        ),
        (lambda: translate_unpaired(NET, PATCHES, pool=-1), "pool: got -1, allowed: at least 0"),
        (lambda: translate_unpaired(NET, UNet), "discriminator: got 'the class UNet', allowed"),
        (
            lambda: translate_unpaired(NET, PATCHES).init(
                KEY, {"input_a": X, "input_b": np.repeat(T, 3, -1)}
            ),
            "generator a_to_b: got [8, 8, 1], allowed: images like those of domain b, [8, 8, 3]",
        ),
        (
            lambda: translate_unpaired(UNet((3, 4), 3), PATCHES, backward=NET).init(
                KEY, {"input_a": X, "input_b": np.repeat(T, 3, -1)}
            ),
            "identity: got 0.5, allowed: 0, for domains whose images have different shapes",
        ),
    ],
)
def test_options_out_of_range(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value).startswith(message)
