"""VAEs: the bound of a linear model against the exact density, its terms against Monte Carlo."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

import jaxdl
from jaxdl.errors import InputError
from jaxdl.metrics import means
from jaxdl.models import MLP, VAE, Autoencoder, Conditional, Reshaped
from jaxdl.tasks import binarize, vae
from tests.tasks.scalar import scalar
from tests.training.linear import KEY

RNG = np.random.default_rng(0)
BATCH = {
    "input": jnp.asarray(RNG.uniform(size=(6, 3, 2, 1)), jnp.float32),
    "label": jnp.asarray(RNG.integers(0, 4, 6), jnp.int32),
}
MASKED = {**BATCH, "mask": jnp.asarray([1, 1, 0, 1, 0, 1], jnp.float32)}
PARTS = MLP((5,), 4, "tanh"), Reshaped(MLP((5,), 6, "tanh"), (3, 2, 1))
PLAIN = VAE(*PARTS, latent=2)
CONDITIONAL = VAE(*(Conditional(part, 4, 3) for part in PARTS), latent=2)


@functools.cache
def started(model=PLAIN, **options):
    task = vae(model, **options)
    return task, *task.init(KEY, BATCH), jax.jit(scalar(task.loss), static_argnames="train")


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("batch", [BATCH, MASKED], ids=["whole", "masked"])
def test_loss_and_bound_are_sums_of_their_terms(batch, train):
    task, params, extra, loss = started(beta=0.3)
    value, (_, metrics) = loss(params, extra, batch, KEY, train=train)
    values = means(metrics)
    assert set(values) == {"loss", "bound", "nll", "kl"}
    assert values["bound"] == pytest.approx(values["nll"] + values["kl"], rel=1e-5)
    assert values["loss"] == pytest.approx(values["nll"] + 0.3 * values["kl"], rel=1e-5)
    assert float(value) == pytest.approx(values["loss"], rel=1e-6)
    rows = np.flatnonzero(np.asarray(batch.get("mask", np.ones(6))))
    assert {float(count) for _, count in metrics.values()} == {len(rows)}
    mean, logvar = (
        np.asarray(x, np.float64)[rows] for x in task.encode(params, extra, batch["input"])
    )
    s = np.exp(logvar / 2)
    z = mean + s * RNG.normal(size=(20000, *mean.shape))
    ratio = (norm.logpdf(z, mean, s) - norm.logpdf(z)).sum(-1).mean(-1)
    assert values["kl"] == pytest.approx(ratio.mean(), abs=5 * ratio.std() / len(ratio) ** 0.5)


def test_the_weight_of_the_divergence_rises_during_the_warmup():
    _, params, extra, loss = started(beta=0.6, warmup=3)
    weights = []
    for _ in range(5):
        _, (evaluated, metrics) = loss(params, extra, BATCH, KEY, train=False)
        assert jaxdl.state_sha256(evaluated) == jaxdl.state_sha256(extra)
        # Evaluation uses the final weight, so that models of different steps can be compared.
        values = means(metrics)
        assert values["loss"] == pytest.approx(values["nll"] + 0.6 * values["kl"], rel=1e-5)
        _, (extra, metrics) = loss(params, extra, BATCH, KEY, train=True)
        values = means(metrics)
        weights.append((values["loss"] - values["nll"]) / values["kl"])
        assert values["bound"] == pytest.approx(values["nll"] + values["kl"], rel=1e-5)
    np.testing.assert_allclose(weights, 0.6 * np.array([0, 1 / 3, 2 / 3, 1, 1]), atol=1e-5)


def matrices() -> dict[str, np.ndarray]:
    kernels = {"encoder": 0.3 * RNG.normal(size=(3, 4)), "decoder": 0.7 * RNG.normal(size=(2, 3))}
    return {**kernels, "encoder_bias": 0.3 * RNG.normal(size=4), "decoder_bias": RNG.normal(size=3)}


@functools.cache
def linear():
    """Returns a linear VAE, whose density is known.

    The decoder is `p(x | z) = N(z K + b, 0.8^2)`, so that `p(x) = N(b, K^T K + 0.8^2)`.
    """
    task = vae(VAE(MLP((), 4), MLP((), 3), latent=2), likelihood="gaussian", sigma=0.8)
    weights = matrices()
    x = RNG.normal(size=(5, 3)) + weights["decoder_bias"]
    params = {
        part: {
            "out": {
                "kernel": jnp.asarray(weights[part], jnp.float32),
                "bias": jnp.asarray(weights[f"{part}_bias"], jnp.float32),
            }
        }
        for part in ("encoder", "decoder")
    }
    covariance = weights["decoder"].T @ weights["decoder"] + 0.64 * np.eye(3)
    exact = -multivariate_normal(weights["decoder_bias"], covariance).logpdf(x)
    x32 = jnp.asarray(x, jnp.float32)
    initial_shapes = jax.tree.map(jnp.shape, task.init(KEY, {"input": x32})[0])
    assert initial_shapes == jax.tree.map(jnp.shape, params)

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def bounds(k, samples):
        return jax.vmap(lambda key: task.bound(params, {}, x32, key, k))(
            jax.random.split(KEY, samples)
        )

    @functools.partial(jax.jit, static_argnums=0)
    def losses(samples):
        keys = jax.random.split(KEY, samples)
        return jax.vmap(
            lambda key: scalar(task.loss)(params, {}, {"input": x32}, key, train=True)[0]
        )(keys)

    return weights, x, exact, bounds, losses


def test_many_latents_give_the_exact_density():
    _, _, exact, bounds, _ = linear()
    np.testing.assert_allclose(bounds(4000, 1)[0], exact, atol=0.05)
    mean_bounds = np.stack(
        [bounds(k, samples).mean(0) for k, samples in [(1, 4000), (5, 4000), (50, 400)]]
    )
    assert (mean_bounds > exact - 0.01).all()
    assert (np.diff(mean_bounds, axis=0) < 0).all()


def test_one_latent_and_the_loss_give_the_evidence_bound():
    weights, x, _, bounds, losses = linear()
    mean, logvar = np.split(x @ weights["encoder"] + weights["encoder_bias"], 2, 1)
    distance = ((x - mean @ weights["decoder"] - weights["decoder_bias"]) ** 2).sum(1)
    distance += np.exp(logvar) @ (weights["decoder"] ** 2).sum(1)
    nll = distance / 1.28 + 3 * np.log(0.8) + 1.5 * np.log(2 * np.pi)
    kl = (mean**2 + np.exp(logvar) - 1 - logvar).sum(1) / 2
    for values, expected in ((bounds(1, 4000), nll + kl), (losses(4000), (nll + kl).mean())):
        values = np.asarray(values, np.float64)
        assert (np.abs(values.mean(0) - expected) < 5 * values.std(0) / 4000**0.5).all()


def test_samples_are_decoded_from_standard_normal_latents():
    task, params, extra, _ = started(warmup=3)
    samples = task.sample(params, extra, KEY, 7)
    assert samples.shape == (7, 3, 2, 1)
    np.testing.assert_array_equal(
        samples, task.decode(params, extra, jax.random.normal(KEY, (7, 2)))
    )
    mean, _ = task.encode(params, extra, BATCH["input"])
    np.testing.assert_array_equal(
        task.reconstruct(params, extra, BATCH["input"]), task.decode(params, extra, mean)
    )


def test_dynamic_binarization_preserves_the_means():
    grey = jnp.asarray(np.concatenate([RNG.uniform(size=20), [0.0, 1.0]]), jnp.float32)
    sample = jax.vmap(binarize("dynamic"), (0, None))
    samples = np.asarray(sample(jax.random.split(KEY, 4000), grey))
    assert set(np.unique(samples)) == {0.0, 1.0}
    np.testing.assert_allclose(samples.mean(0), grey, atol=0.04)
    assert (samples[:, -2] == 0).all()
    assert (samples[:, -1] == 1).all()
    bad = binarize("dynamic")(KEY, jnp.array([-0.01, 0.3, 1.01, jnp.nan]))
    assert np.isnan(bad).tolist() == [True, False, True, True]
    np.testing.assert_array_equal(binarize(0.3)(KEY, grey), np.asarray(grey) > np.float32(0.3))
    np.testing.assert_array_equal(binarize(0.0)(KEY, grey), np.asarray(grey) > 0)
    np.testing.assert_array_equal(binarize(None)(KEY, grey), grey)


def test_dynamic_binarization_follows_the_key():
    task, params, extra, loss = started(binarize="dynamic")
    for train in (True, False):
        first, again, other = (
            means(loss(params, extra, BATCH, jax.random.key(seed), train=train)[1][1])["kl"]
            for seed in (0, 0, 1)
        )
        assert first == again != other
    assert np.isfinite(np.asarray(task.bound(params, extra, BATCH["input"], KEY, 2))).all()


def test_loss_and_bound_apply_the_threshold():
    task, params, extra, loss = started(binarize=0.4)
    plain_task, _, _, plain_loss = started()
    white = {**BATCH, "input": (BATCH["input"] > 0.4).astype(jnp.float32)}
    value = loss(params, extra, BATCH, KEY, train=True)[0]
    expected = plain_loss(params, extra, white, KEY, train=True)[0]
    assert float(value) == pytest.approx(float(expected), rel=1e-6)
    np.testing.assert_allclose(
        task.bound(params, extra, BATCH["input"], KEY, 3),
        plain_task.bound(params, extra, white["input"], KEY, 3),
        rtol=1e-6,
    )


def test_labels_reach_conditional_models_only():
    task, params, extra, loss = started(CONDITIONAL)
    other = {**BATCH, "label": (BATCH["label"] + 1) % 4}
    assert float(loss(params, extra, BATCH, KEY, train=True)[0]) != float(
        loss(params, extra, other, KEY, train=True)[0]
    )
    samples = [task.sample(params, extra, KEY, 6, batch["label"]) for batch in (BATCH, other)]
    assert (samples[0] != samples[1]).any()
    assert task.bound(params, extra, BATCH["input"], KEY, 2, BATCH["label"]).shape == (6,)
    _, params, extra, loss = started()
    unlabelled = {"input": BATCH["input"]}
    assert float(loss(params, extra, BATCH, KEY, train=True)[0]) == float(
        loss(params, extra, unlabelled, KEY, train=True)[0]
    )


def test_statistics_of_both_parts_change_in_training_only():
    parts = MLP((4,), 4, norm="batch"), Reshaped(MLP((4,), 6, norm="batch"), (3, 2, 1))
    _, params, extra, loss = started(VAE(*parts, latent=2))
    trained, evaluated = (
        loss(params, extra, BATCH, KEY, train=train)[1][0] for train in (True, False)
    )
    assert jaxdl.state_sha256(evaluated) == jaxdl.state_sha256(extra)
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), trained, extra)
    assert all(jax.tree.leaves(changed)), changed


NEEDED = "got None, allowed: the class of each example, in [0, 4)"
REFUSED = "allowed: None, for a network without classes"


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: vae(PLAIN, beta=-0.1), "beta: got -0.1, allowed: a number in [0, inf)"),
        (lambda: vae(PLAIN, warmup=-1), "warmup: got -1, allowed: at least 0"),
        (lambda: vae(Autoencoder(*PARTS)), f"model: got {Autoencoder}, allowed: a VAE"),
        (
            lambda: vae(PLAIN, likelihood="gaussian", binarize=0.5),
            "binarize: got 0.5, allowed: None, with the likelihood gaussian; "
            "binary pixels need bernoulli",
        ),
        (
            lambda: vae(PLAIN, binarize=[0.5]),
            "binarize: got [0.5], allowed: 'dynamic', a threshold in [0, 1) or None",
        ),
        (
            lambda: vae(PLAIN, likelihood="mse"),
            "likelihood: got 'mse', allowed: bernoulli, continuous_bernoulli, gaussian",
        ),
        *(
            (
                functools.partial(vae, PLAIN, binarize=how),
                f"binarize: got {how!r}, allowed: 'dynamic', a threshold in [0, 1) or None",
            )
            for how in ("static", 1.0, -0.1)
        ),
        (lambda: call("sample", KEY, 0), "n: got 0, allowed: at least 1"),
        (lambda: call("bound", BATCH["input"], KEY, 0), "k: got 0, allowed: at least 1"),
        (lambda: call("sample", KEY, 2, 3), f"label: got 3, {REFUSED}"),
        (lambda: call("encode", BATCH["input"], 3), f"label: got 3, {REFUSED}"),
        (lambda: call("bound", BATCH["input"], KEY, 2, model=CONDITIONAL), f"label: {NEEDED}"),
        (lambda: call("sample", KEY, 2, model=CONDITIONAL), f"label: {NEEDED}"),
        (
            lambda: started(CONDITIONAL)[0].init(KEY, {"input": BATCH["input"]}),
            "label: got None, allowed: the class of each example, in [0, 4)",
        ),
    ],
)
def test_bad_values_are_refcall(make, line):
    with pytest.raises(InputError) as caught:
        make()
    assert str(caught.value) == line


def call(function: str, *arguments, model=PLAIN):
    task, params, extra, _ = started(model)
    return getattr(task, function)(params, extra, *arguments)


@pytest.mark.parametrize("how", ["dynamic", 0.5])
def test_a_pixel_out_of_range_becomes_nan(how):
    binary = binarize(how)(KEY, jnp.array([0.0, 1.0, -1e-9, 255.0, jnp.nan]))
    assert np.isnan(binary).tolist() == [False, False, True, True, True]


@pytest.mark.parametrize("binarize", [None, "dynamic"])
def test_an_augmented_image_is_the_input_and_the_target(binarize):
    """It is binarized afterwards, and evaluation has the unchanged image."""
    half = lambda key, x: x / 2  # noqa: E731
    task = vae(PLAIN, binarize=binarize, augment=half)
    plain = vae(PLAIN, binarize=binarize)
    params, extra = task.init(KEY, BATCH)
    for train, batch in ((True, {"input": BATCH["input"] / 2}), (False, BATCH)):
        value, (_, metrics) = task.loss(params, extra, BATCH, KEY, train=train)
        expected, (_, same) = plain.loss(params, extra, batch, KEY, train=train)
        assert (value, metrics) == (expected, same)
