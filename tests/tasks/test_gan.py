"""GANs: losses against NumPy, statistics, updates, and a tiny GAN trained on a Gaussian."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import expit

import jaxdl
from jaxdl.errors import InputError
from jaxdl.metrics import means
from jaxdl.models import MLP, Conditional, Reshaped
from jaxdl.tasks import gan
from tests.tasks.scalar import scalar
from tests.tasks.tiny_gan import BATCH, LINEAR, MASKED, RNG, D, G, latent, started
from tests.training.linear import KEY


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


LOSSES = {
    "nonsaturating": lambda real, fake: (softplus(-real) + softplus(fake), softplus(-fake)),
    "hinge": lambda real, fake: (np.maximum(1 - real, 0) + np.maximum(1 + fake, 0), -fake),
    "wasserstein": lambda real, fake: (fake - real, -fake),
    "least_squares": lambda real, fake: ((real - 1) ** 2 + fake**2, (fake - 1) ** 2),
}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("batch", [BATCH, MASKED], ids=["whole", "masked"])
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_follow_from_the_scores(loss, batch, train):
    task, params, extra, *losses = started(loss=loss)
    rows = np.flatnonzero(np.asarray(batch.get("mask", np.ones(6))))
    generated = task.generate(params, extra, latent())
    real, fake = (
        np.asarray(task.score(params, extra, x), np.float64)[rows]
        for x in (batch["input"], generated)
    )
    of_discriminator, of_generator = (values.mean() for values in LOSSES[loss](real, fake))
    expected_metrics = (
        {
            "discriminator_loss": of_discriminator,
            "score_real": real.mean(),
            "score_fake": fake.mean(),
        },
        {"generator_loss": of_generator},
    )
    for loss, expected in zip(losses, expected_metrics, strict=True):
        value, (after, metrics) = loss(params, extra, batch, KEY, train=train)
        assert float(value) == pytest.approx(next(iter(expected.values())), rel=1e-5)
        assert means(metrics) == pytest.approx(expected, rel=1e-5)
        assert {float(count) for _, count in metrics.values()} == {len(rows)}
        assert after == extra == {}
    other = losses[1](params, extra, batch, jax.random.key(1), train=train)[0]
    assert float(other) != float(value)


@pytest.mark.parametrize(
    ("loss", "expected"), [("nonsaturating", (2 * np.log(2), np.log(2))), ("hinge", (2, 0))]
)
def test_losses_of_a_constant_discriminator(loss, expected):
    _, params, extra, *losses = started(loss=loss)
    params = {**params, "discriminator": jax.tree.map(jnp.zeros_like, params["discriminator"])}
    values = [float(loss(params, extra, BATCH, KEY, train=True)[0]) for loss in losses]
    assert values == pytest.approx(expected, rel=1e-6)


def test_smoothing_is_the_cross_entropy_with_a_target_below_one():
    task, params, extra, loss, _ = started(label_smoothing=0.2)
    plain_loss = started()[3]
    generated = task.generate(params, extra, latent())
    real, fake = (
        expit(np.asarray(task.score(params, extra, x), np.float64))
        for x in (BATCH["input"], generated)
    )
    expected = -(0.8 * np.log(real) + 0.2 * np.log(1 - real) + np.log(1 - fake)).mean()
    assert float(loss(params, extra, BATCH, KEY, train=True)[0]) == pytest.approx(
        expected, rel=1e-5
    )
    evaluated, plain = (f(params, extra, BATCH, KEY, train=False)[0] for f in (loss, plain_loss))
    assert float(evaluated) == float(plain)


def test_statistics_change_in_their_networks_own_update_only():
    discriminator = MLP((5,), 1, norm="batch")
    generator = Reshaped(MLP((5,), 3, norm="batch"), (3, 1))
    _, params, extra, *losses = started(discriminator, generator)
    names = ["discriminator", "generator"]
    assert sorted(extra) == names
    for loss, name, other in zip(losses, names, reversed(names), strict=True):
        trained, evaluated = (
            loss(params, extra, BATCH, KEY, train=train)[1][0] for train in (True, False)
        )
        assert jaxdl.state_sha256(evaluated) == jaxdl.state_sha256(extra)
        assert jaxdl.state_sha256(trained[other]) == jaxdl.state_sha256(extra[other])
        changed = jax.tree.map(lambda a, b: bool((a != b).any()), trained[name], extra[name])
        assert all(jax.tree.leaves(changed))


def test_spectral_norm_bounds_the_slope_of_the_discriminator():
    task, params, extra, loss, _ = started(spectral_norm=True)
    # Every step of the power iteration improves the first guess of the singular vectors.
    for _ in range(100):
        extra = loss(params, extra, BATCH, KEY, train=True)[1][0]
    x = jnp.asarray(RNG.normal(size=(200, 3, 1)), jnp.float32)

    def slopes(task, extra):
        gradient = jax.grad(lambda x: task.score(params, extra, x).sum())(x)
        return np.linalg.norm(gradient.reshape(200, -1), axis=1)

    assert slopes(started()[0], {}).max() > 1.1 > 1.001 > slopes(task, extra).max() > 0.5


def test_spectral_vectors_change_in_the_discriminators_training_only():
    _, params, extra, *losses = started(spectral_norm=True)
    for loss in losses:
        for train in (True, False):
            vectors = loss(params, extra, BATCH, KEY, train=train)[1][0]["spectral"]
            equal = all(np.array_equal(vectors[path], u) for path, u in extra["spectral"].items())
            assert equal == (loss is losses[1] or not train)


def test_discriminator_statistics_follow_the_real_and_then_the_generated_batch():
    net = MLP((5,), 1, norm="batch")
    task, params, extra, loss, _ = started(net)
    expected = extra["discriminator"]
    for x in (BATCH["input"], task.generate(params, extra, latent())):
        variables = {"params": params["discriminator"], **expected}
        expected = net.apply(variables, x, train=True, mutable=["batch_stats"])[1]
    updated = loss(params, extra, BATCH, KEY, train=True)[1][0]["discriminator"]
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), updated, expected
    )


def test_each_network_has_its_optimizer_and_the_discriminator_takes_more_steps():
    """Relies on Adam, whose first step is as long as its learning rate."""
    task = started(critic_steps=3)[0]
    net = jaxdl.learner(task.init, *task.updates(optax.adam(1e-3), optax.adam(1e-2)))
    before = net.init(KEY, BATCH)
    after, _ = jax.jit(net.step)(before, BATCH, KEY)
    assert [int(opt[0].count) for opt in after.opt] == [3, 1]
    change = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), after.params, before.params)
    assert 2e-3 < max(jax.tree.leaves(change["discriminator"])) < 3.1e-3
    assert max(jax.tree.leaves(change["generator"])) == pytest.approx(1e-2, rel=1e-3)


def test_labels_reach_both_networks():
    flat = {**BATCH, "input": BATCH["input"][..., 0]}
    task = gan(Conditional(MLP((5,), 3), 4, 3), Conditional(MLP((5,), 1), 4, 3), latent=2)
    params, extra = task.init(KEY, flat)
    other = {**flat, "label": (flat["label"] + 1) % 4}
    for loss in (scalar(task.discriminator_loss), scalar(task.generator_loss)):
        values = [float(loss(params, extra, batch, KEY, train=True)[0]) for batch in (flat, other)]
        assert values[0] != values[1]
    samples = [task.sample(params, extra, KEY, 6, batch["label"]) for batch in (flat, other)]
    assert samples[0].shape == (6, 3)
    assert bool((samples[0] != samples[1]).any(-1).all())
    scores = [task.score(params, extra, flat["input"], batch["label"]) for batch in (flat, other)]
    assert bool((scores[0] != scores[1]).all())
    with pytest.raises(InputError) as caught:
        task.sample(params, extra, KEY, 2)
    assert str(caught.value) == "label: got None, allowed: the class of each example, in [0, 4)"


def test_samples_are_generated_from_standard_normal_latents():
    task, params, extra, *_ = started()
    samples = task.sample(params, extra, KEY, 7)
    assert samples.shape == (7, 3, 1)
    np.testing.assert_array_equal(
        samples, task.generate(params, extra, jax.random.normal(KEY, (7, 2)))
    )


@pytest.mark.parametrize(
    ("options", "rate", "critic_steps"),
    [({"r1": 0.1}, 5e-3, 2), ({"loss": "wasserstein", "penalty": 1.0}, 2e-3, 5)],
    ids=["r1", "wasserstein"],
)
def test_a_gan_learns_the_mean_of_a_gaussian(options, rate, critic_steps):
    """Compares the average over steps, because the networks oscillate at a constant learning rate.

    For 20 seeds, the average ended within 0.08 of the mean.
    """
    task = gan(
        MLP((16,), 2), MLP((16,), 1, "leaky_relu"), latent=2, critic_steps=critic_steps, **options
    )
    net = jaxdl.learner(task.init, *task.updates(optax.adam(rate, 0.5), optax.adam(rate, 0.5)))
    mean = jnp.broadcast_to(jnp.array([2.0, -1.5]), (64, 2))

    def step(state, key):
        batch = {"input": mean + 0.5 * jax.random.normal(key, (64, 2))}
        state, _ = net.step(state, batch, KEY)
        return state, task.sample(state.params, state.extra, KEY, 1000).mean(0) - mean[0]

    def train(state):
        return jax.lax.scan(step, state, jax.random.split(KEY, 700))

    start = net.init(KEY, {"input": mean})
    state, error = jax.jit(train)(start)
    assert np.linalg.norm(error[0]) > 1
    assert np.linalg.norm(error[350:].mean(0)) < 0.15
    assert (np.asarray(task.sample(state.params, state.extra, KEY, 1000)).std(0) > 0.1).all()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"latent": 0}, "latent: got 0, allowed: at least 1"),
        (
            {"loss": "mse"},
            "loss: got 'mse', allowed: hinge, least_squares, nonsaturating, wasserstein",
        ),
        ({"label_smoothing": 1.0}, "label_smoothing: got 1.0, allowed: a number in [0, 1)"),
        ({"label_smoothing": -0.1}, "label_smoothing: got -0.1, allowed: a number in [0, 1)"),
        ({"penalty": -1.0}, "penalty: got -1.0, allowed: a number in [0, inf)"),
        ({"r1": float("nan")}, "r1: got nan, allowed: a number in [0, inf)"),
    ],
)
def test_bad_values_are_refused(options, line):
    with pytest.raises(InputError) as caught:
        gan(G, D, **options)
    assert str(caught.value) == line


def test_smoothing_is_refused_for_other_losses():
    for loss in ("hinge", "wasserstein"):
        with pytest.raises(InputError) as caught:
            gan(G, D, loss=loss, label_smoothing=0.1)
        assert str(caught.value) == f"label_smoothing: got 0.1, allowed: 0, with the loss {loss}"


@pytest.mark.parametrize(
    ("use", "line"),
    [
        (
            lambda task, *variables: scalar(task.generator_loss)(
                *variables, {"input": BATCH["input"][:, :2]}, KEY, train=True
            ),
            "generator: got [6, 3, 1], allowed: the shape of the data, [6, 2, 1]",
        ),
        (lambda task, *variables: task.sample(*variables, KEY, 0), "n: got 0, allowed: at least 1"),
        (
            lambda task, *variables: task.sample(*variables, KEY, 2, 3),
            "label: got 3, allowed: None, for a network without classes",
        ),
        (
            lambda task, *variables: task.score(*variables, BATCH["input"], 3),
            "label: got 3, allowed: None, for a network without classes",
        ),
    ],
)
def test_bad_uses_are_refused(use, line):
    task, params, extra, *_ = started()
    with pytest.raises(InputError) as caught:
        use(task, params, extra)
    assert str(caught.value) == line


def test_networks_with_different_classes_are_refused():
    with pytest.raises(InputError) as caught:
        gan(Conditional(MLP((), 3), 4), Conditional(MLP((), 1), 5))
    assert str(caught.value) == "classes: got [4, 5], allowed: the same number for all parts"


def test_discriminators_that_do_not_fit_are_refused():
    with pytest.raises(InputError) as caught:
        task = gan(G, MLP((5,)), latent=2)
        scalar(task.discriminator_loss)(*task.init(KEY, BATCH), BATCH, KEY, train=True)
    assert str(caught.value) == "discriminator: got [6, 10], allowed: one score per example, [6, 1]"
    for option in ("penalty", "r1"):
        with pytest.raises(InputError) as caught:
            gan(G, MLP((5,), 1, norm="batch"), latent=2, **{option: 1.0}).init(KEY, BATCH)
        allowed = "a network without it, if penalty or r1 is above 0"
        message = f"discriminator: got 'batch normalization', allowed: {allowed}"
        assert str(caught.value) == message
    with pytest.raises(InputError) as caught:
        gan(G, D, critic_steps=0)
    assert str(caught.value) == "critic_steps: got 0, allowed: at least 1"


def test_the_discriminator_processes_augmented_inputs_in_training_only():
    """Doubles the inputs of a linear discriminator, which is the same as doubling its kernel."""
    plain, params, extra, *plain_losses = started(LINEAR)
    augmented, _, _, *augmented_losses = started(LINEAR, augment=lambda key, x: 2 * x)
    layers = params["discriminator"]
    kernels = jax.tree_util.tree_map_with_path(
        lambda path, x: 2 * x if path[-1].key == "kernel" else x, layers
    )
    doubled = {**params, "discriminator": kernels}
    for loss, plain_loss in zip(augmented_losses, plain_losses, strict=True):
        np.testing.assert_allclose(
            loss(params, extra, BATCH, KEY, train=True)[0],
            plain_loss(doubled, extra, BATCH, KEY, train=True)[0],
            rtol=1e-6,
        )
        assert (
            loss(params, extra, BATCH, KEY, train=False)[0]
            == plain_loss(params, extra, BATCH, KEY, train=False)[0]
        )

    def generator_gradient(task, params):
        def loss(generator):
            variables = {**params, "generator": generator}
            return scalar(task.generator_loss)(variables, extra, BATCH, KEY, train=True)[0]

        return jax.tree.leaves(jax.grad(loss)(params["generator"]))

    gradients = generator_gradient(augmented, params)
    for a, b in zip(gradients, generator_gradient(plain, doubled), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        assert np.abs(a).max() > 0


def test_every_example_is_augmented_separately():
    shifts = []

    def augment(key, x):
        shift = jax.random.normal(key)
        jax.debug.callback(lambda value: shifts.append(float(value)), shift)
        return x + shift

    _, params, extra, loss, _ = started(LINEAR, augment=augment)
    loss(params, extra, BATCH, KEY, train=True)
    jax.effects_barrier()
    assert len(set(shifts)) == len(BATCH["label"])
