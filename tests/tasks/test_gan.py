"""The adversarial game: costs against NumPy, penalties against PyTorch and closed forms, and a tiny game played."""

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
from tests.training.linear import KEY

RNG = np.random.default_rng(0)
BATCH = {
    "input": jnp.asarray(RNG.normal(size=(6, 3, 1)), jnp.float32),
    "label": jnp.asarray(RNG.integers(0, 4, 6), jnp.int32),
}
MASKED = {**BATCH, "mask": jnp.asarray([1, 1, 0, 1, 0, 1], jnp.float32)}
G = Reshaped(MLP((5,), 3, "tanh"), (3, 1))
D = MLP((5,), 1, "tanh")
FLAT = MLP((), 1)


@functools.cache
def started(discriminator=D, generator=G, **options):
    task = gan(generator, discriminator, latent=2, **options)
    losses = [
        jax.jit(loss, static_argnames="train")
        for loss in (task.discriminator_loss, task.generator_loss)
    ]
    # Away from the start's zero biases.
    params, extra = task.init(KEY, BATCH)
    params = jax.tree.map(
        lambda x: x + jnp.asarray(0.5 * np.random.default_rng(1).normal(size=x.shape), x.dtype),
        params,
    )
    return task, params, extra, *losses


def latent() -> jax.Array:
    """What both losses draw with `KEY`."""
    return jax.random.normal(jax.random.fold_in(jax.random.fold_in(KEY, 0), 0), (6, 2))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


LOSSES = {
    "nonsaturating": lambda real, drawn: (softplus(-real) + softplus(drawn), softplus(-drawn)),
    "hinge": lambda real, drawn: (np.maximum(1 - real, 0) + np.maximum(1 + drawn, 0), -drawn),
    "wasserstein": lambda real, drawn: (drawn - real, -drawn),
}


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("batch", [BATCH, MASKED], ids=["whole", "masked"])
@pytest.mark.parametrize("loss", LOSSES)
def test_costs_are_those_of_the_scores(loss, batch, train):
    task, params, extra, *losses = started(loss=loss)
    rows = np.flatnonzero(np.asarray(batch.get("mask", np.ones(6))))
    drawn = task.generate(params, extra, latent())
    real, fake = (
        np.asarray(task.score(params, extra, x), np.float64)[rows] for x in (batch["input"], drawn)
    )
    first, second = (each.mean() for each in LOSSES[loss](real, fake))
    names = (
        {"discriminator_loss": first, "score_real": real.mean(), "score_fake": fake.mean()},
        {"generator_loss": second},
    )
    for loss, expected in zip(losses, names, strict=True):
        value, (after, metrics) = loss(params, extra, batch, KEY, train=train)
        assert float(value) == pytest.approx(next(iter(expected.values())), rel=1e-5)
        assert means(metrics) == pytest.approx(expected, rel=1e-5)
        assert {float(count) for _, count in metrics.values()} == {len(rows)}
        assert after == extra == {}
    other = losses[1](params, extra, batch, jax.random.key(1), train=train)[0]
    assert float(other) != float(value)


@pytest.mark.parametrize(
    ("loss", "values"), [("nonsaturating", (2 * np.log(2), np.log(2))), ("hinge", (2, 0))]
)
def test_a_discriminator_that_cannot_tell(loss, values):
    _, params, extra, *losses = started(loss=loss)
    params = {**params, "discriminator": jax.tree.map(jnp.zeros_like, params["discriminator"])}
    found = [float(loss(params, extra, BATCH, KEY, train=True)[0]) for loss in losses]
    assert found == pytest.approx(values, rel=1e-6)


def test_smoothing_is_the_cross_entropy_with_a_target_below_one():
    task, params, extra, loss, _ = started(label_smoothing=0.2)
    drawn = task.generate(params, extra, latent())
    real, fake = (
        expit(np.asarray(task.score(params, extra, x), np.float64)) for x in (BATCH["input"], drawn)
    )
    expected = -(0.8 * np.log(real) + 0.2 * np.log(1 - real) + np.log(1 - fake)).mean()
    assert float(loss(params, extra, BATCH, KEY, train=True)[0]) == pytest.approx(
        expected, rel=1e-5
    )
    judged, plain = (one(params, extra, BATCH, KEY, train=False)[0] for one in (loss, started()[3]))
    assert float(judged) == float(plain)


def by_torch(params, at: np.ndarray, penalty: float, r1: float) -> tuple[float, dict]:
    """The penalty of the discriminator `D` at some things, and its gradient by the parameters."""
    torch = pytest.importorskip("torch")
    p = jax.tree.map(
        lambda x: torch.tensor(np.array(x), requires_grad=True), params["discriminator"]
    )
    x = torch.tensor(at.reshape(6, 3), requires_grad=True)
    h = torch.tanh(x @ p["dense_0"]["kernel"] + p["dense_0"]["bias"])
    score = h @ p["out"]["kernel"] + p["out"]["bias"]
    (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)
    value = (penalty * (slope.norm(dim=1) - 1) ** 2 + r1 / 2 * (slope**2).sum(1)).mean()
    value.backward()
    return value.item(), jax.tree.map(
        lambda x: np.zeros(x.shape) if x.grad is None else x.grad.numpy(), p
    )


@pytest.mark.parametrize("weights", [{"penalty": 3.0}, {"r1": 2.0}], ids=["penalty", "r1"])
def test_penalties_and_their_gradients_are_pytorchs(weights):
    task, params, extra, loss, _ = started(**weights)
    bare = started()[3]
    found = [
        jax.value_and_grad(lambda p, one=one: one(p, extra, BATCH, KEY, train=True)[0])(params)
        for one in (loss, bare)
    ]
    value, grads = jax.tree.map(lambda a, b: np.asarray(a - b), *found)
    u = np.asarray(jax.random.uniform(jax.random.fold_in(KEY, 2), (6, 1, 1)))
    at = np.asarray(BATCH["input"])
    if "penalty" in weights:
        at = u * at + (1 - u) * np.asarray(task.generate(params, extra, latent()))
    expected, slopes = by_torch(params, at, weights.get("penalty", 0), weights.get("r1", 0))
    assert float(value) == pytest.approx(expected, rel=1e-4)
    jax.tree.map(
        functools.partial(np.testing.assert_allclose, rtol=1e-3, atol=2e-6),
        grads["discriminator"],
        slopes,
    )
    assert float(loss(params, extra, BATCH, KEY, train=False)[0]) == float(
        bare(params, extra, BATCH, KEY, train=False)[0]
    )


def test_penalties_of_a_line_depend_on_its_slope_alone():
    _, params, extra, loss, _ = started(FLAT, loss="wasserstein", penalty=3.0, r1=2.0)
    bare = started(FLAT, loss="wasserstein")[3]
    w = np.asarray(params["discriminator"]["out"]["kernel"], np.float64)
    size = np.linalg.norm(w)
    for batch in (BATCH, MASKED):
        both = [
            jax.value_and_grad(lambda p, one=one, b=batch: one(p, extra, b, KEY, train=True)[0])(
                params
            )
            for one in (loss, bare)
        ]
        value, grads = jax.tree.map(lambda a, b: np.asarray(a - b), *both)
        assert float(value) == pytest.approx(3 * (size - 1) ** 2 + size**2, rel=1e-4)
        expected = 6 * (size - 1) * w / size + 2 * w
        np.testing.assert_allclose(
            grads["discriminator"]["out"]["kernel"], expected, rtol=1e-3, atol=1e-5
        )


def test_a_flat_discriminator_has_a_finite_gradient():
    _, params, extra, loss, _ = started(FLAT, loss="wasserstein", penalty=3.0, r1=2.0)
    params = jax.tree.map(jnp.zeros_like, params)
    value, grads = jax.value_and_grad(lambda p: loss(p, extra, BATCH, KEY, train=True)[0])(params)
    assert float(value) == pytest.approx(3, rel=1e-4)
    assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(grads))


def test_whose_gradient_it_is():
    _, params, extra, *losses = started(penalty=3.0, r1=2.0)
    first, second = (
        jax.grad(lambda p, f=f: f(p, extra, BATCH, KEY, train=True)[0])(params) for f in losses
    )
    assert not any(bool(x.any()) for x in jax.tree.leaves(first["generator"]))
    assert any(bool(x.any()) for x in jax.tree.leaves(first["discriminator"]))
    assert all(bool(x.any()) for x in jax.tree.leaves(second["generator"]))


def test_statistics_move_in_the_players_own_update_only():
    normed = MLP((5,), 1, norm="batch"), Reshaped(MLP((5,), 3, norm="batch"), (3, 1))
    _, params, extra, *losses = started(*normed)
    assert sorted(extra) == ["discriminator", "generator"]
    for loss, player, other in zip(losses, sorted(extra), sorted(extra, reverse=True), strict=True):
        trained, judged = (
            loss(params, extra, BATCH, KEY, train=train)[1][0] for train in (True, False)
        )
        assert jaxdl.state_sha256(judged) == jaxdl.state_sha256(extra)
        assert jaxdl.state_sha256(trained[other]) == jaxdl.state_sha256(extra[other])
        assert all(
            jax.tree.leaves(
                jax.tree.map(lambda a, b: bool((a != b).any()), trained[player], extra[player])
            )
        )


def test_a_discriminator_of_spectral_norm_one_is_steeper_nowhere():
    task, params, extra, loss, _ = started(spectral_norm=True)
    # The first guess of the singular vectors gets better with every look at a batch.
    for _ in range(100):
        extra = loss(params, extra, BATCH, KEY, train=True)[1][0]
    x = jnp.asarray(RNG.normal(size=(200, 3, 1)), jnp.float32)

    def slopes(task, extra):
        return np.linalg.norm(
            jax.grad(lambda x: task.score(params, extra, x).sum())(x).reshape(200, -1), axis=1
        )

    assert slopes(started()[0], {}).max() > 1.1 > 1.001 > slopes(task, extra).max() > 0.5


def test_the_vectors_of_the_spectral_norm_move_in_the_discriminators_training_only():
    _, params, extra, *losses = started(spectral_norm=True)
    for loss in losses:
        for train in (True, False):
            moved = loss(params, extra, BATCH, KEY, train=train)[1][0]["spectral"]
            still = all(np.array_equal(moved[path], u) for path, u in extra["spectral"].items())
            assert still == (loss is losses[1] or not train)


def test_the_discriminators_statistics_move_with_the_real_and_then_with_the_drawn():
    net = MLP((5,), 1, norm="batch")
    task, params, extra, loss, _ = started(net)
    moved = extra["discriminator"]
    for x in (BATCH["input"], task.generate(params, extra, latent())):
        variables = {"params": params["discriminator"], **moved}
        moved = net.apply(variables, x, train=True, mutable=["batch_stats"])[1]
    found = loss(params, extra, BATCH, KEY, train=True)[1][0]["discriminator"]
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-6), found, moved)


def test_each_player_has_its_own_optimizer_and_the_critic_steps_more_often():
    """The first step of Adam is as long as its rate."""
    task = started()[0]
    net = jaxdl.learner(
        task.init, *task.updates(optax.adam(1e-3), optax.adam(1e-2), critic_steps=3)
    )
    before = net.init(KEY, BATCH)
    after, _ = jax.jit(net.step)(before, BATCH, KEY)
    assert [int(opt[0].count) for opt in after.opt] == [3, 1]
    way = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), after.params, before.params)
    first, second = (max(jax.tree.leaves(way[player])) for player in ("discriminator", "generator"))
    assert 2e-3 < first < 3.1e-3
    assert second == pytest.approx(1e-2, rel=1e-3)


def test_labels_reach_both_players():
    flat = {**BATCH, "input": BATCH["input"][..., 0]}
    task = gan(Conditional(MLP((5,), 3), 4, 3), Conditional(MLP((5,), 1), 4, 3), latent=2)
    params, extra = task.init(KEY, flat)
    other = {**flat, "label": (flat["label"] + 1) % 4}
    for loss in (task.discriminator_loss, task.generator_loss):
        values = [float(loss(params, extra, batch, KEY, train=True)[0]) for batch in (flat, other)]
        assert values[0] != values[1]
    drawn = [task.sample(params, extra, KEY, 6, batch["label"]) for batch in (flat, other)]
    assert drawn[0].shape == (6, 3)
    assert bool((drawn[0] != drawn[1]).any(-1).all())
    scores = [task.score(params, extra, flat["input"], batch["label"]) for batch in (flat, other)]
    assert bool((scores[0] != scores[1]).all())
    with pytest.raises(InputError) as caught:
        task.sample(params, extra, KEY, 2)
    assert str(caught.value) == "label: got None, allowed: the class of each, in [0, 4)"


def test_samples_are_standard_normal_numbers_drawn_from():
    task, params, extra, *_ = started()
    found = task.sample(params, extra, KEY, 7)
    assert found.shape == (7, 3, 1)
    np.testing.assert_array_equal(
        found, task.generate(params, extra, jax.random.normal(KEY, (7, 2)))
    )


@pytest.mark.parametrize(
    ("options", "rate", "critic_steps"),
    [({"r1": 0.1}, 5e-3, 2), ({"loss": "wasserstein", "penalty": 1.0}, 2e-3, 5)],
    ids=["r1", "wasserstein"],
)
def test_a_game_circles_around_the_mean_of_a_gaussian(options, rate, critic_steps):
    """Players of constant rates do not come to rest; over 20 seeds the average ended within 0.08."""
    task = gan(MLP((16,), 2), MLP((16,), 1, "leaky_relu"), latent=2, **options)
    net = jaxdl.learner(
        task.init,
        *task.updates(optax.adam(rate, 0.5), optax.adam(rate, 0.5), critic_steps=critic_steps),
    )
    mean = jnp.broadcast_to(jnp.array([2.0, -1.5]), (64, 2))

    def step(state, key):
        batch = {"input": mean + 0.5 * jax.random.normal(key, (64, 2))}
        state, _ = net.step(state, batch, KEY)
        return state, task.sample(state.params, state.extra, KEY, 1000).mean(0) - mean[0]

    def play(state):
        return jax.lax.scan(step, state, jax.random.split(KEY, 700))

    start = net.init(KEY, {"input": mean})
    state, off = jax.jit(play)(start)
    assert np.linalg.norm(off[0]) > 1
    assert np.linalg.norm(off[350:].mean(0)) < 0.15
    assert (np.asarray(task.sample(state.params, state.extra, KEY, 1000)).std(0) > 0.1).all()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"latent": 0}, "latent: got 0, allowed: at least 1"),
        ({"loss": "mse"}, "loss: got 'mse', allowed: hinge, nonsaturating, wasserstein"),
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


def test_smoothing_is_refused_for_other_costs():
    for loss in ("hinge", "wasserstein"):
        with pytest.raises(InputError) as caught:
            gan(G, D, loss=loss, label_smoothing=0.1)
        assert str(caught.value) == f"label_smoothing: got 0.1, allowed: 0, with the loss {loss}"


@pytest.mark.parametrize(
    ("use", "line"),
    [
        (
            lambda task, *at: task.generator_loss(
                *at, {"input": BATCH["input"][:, :2]}, KEY, train=True
            ),
            "generator: got [6, 3, 1], allowed: things as the data's, [6, 2, 1]",
        ),
        (lambda task, *at: task.sample(*at, KEY, 0), "n: got 0, allowed: at least 1"),
        (
            lambda task, *at: task.sample(*at, KEY, 2, 3),
            "label: got 3, allowed: None, for a network without classes",
        ),
        (
            lambda task, *at: task.score(*at, BATCH["input"], 3),
            "label: got 3, allowed: None, for a network without classes",
        ),
    ],
)
def test_bad_uses_are_refused(use, line):
    task, params, extra, *_ = started()
    with pytest.raises(InputError) as caught:
        use(task, params, extra)
    assert str(caught.value) == line


def test_players_of_different_classes_are_refused():
    with pytest.raises(InputError) as caught:
        gan(Conditional(MLP((), 3), 4), Conditional(MLP((), 1), 5))
    assert str(caught.value) == "classes: got [4, 5], allowed: one number for all parts"


def test_a_discriminator_says_one_number_and_looks_at_each_thing_alone_under_a_penalty():
    with pytest.raises(InputError) as caught:
        task = gan(G, MLP((5,)), latent=2)
        task.discriminator_loss(*task.init(KEY, BATCH), BATCH, KEY, train=True)
    assert (
        str(caught.value) == "discriminator: got [6, 10], allowed: one score for each thing, [6, 1]"
    )
    for option in ("penalty", "r1"):
        with pytest.raises(InputError) as caught:
            gan(G, MLP((5,), 1, norm="batch"), latent=2, **{option: 1.0}).init(KEY, BATCH)
        said = "discriminator: got 'a norm over the batch', allowed: none, with a penalty on each thing's gradient"
        assert str(caught.value) == said
    with pytest.raises(InputError) as caught:
        gan(G, D).updates(optax.sgd(0.1), optax.sgd(0.1), critic_steps=0)
    assert str(caught.value) == "critic_steps: got 0, allowed: at least 1"


def test_runs_may_differ_in_their_penalties():
    def make(penalty, r1, label_smoothing):
        task = gan(G, D, latent=2, penalty=penalty, r1=r1, label_smoothing=label_smoothing)
        return jaxdl.learner(task.init, *task.updates(optax.sgd(0.1), optax.sgd(0.1)))

    values = {"penalty": [0.5, 2.0], "r1": [0.1, 0.3], "label_smoothing": [0.1, 0.2]}
    net = jaxdl.sweep(make, **values)
    for i in range(2):
        alone = make(*(value[i] for value in values.values()))
        _, metrics = jax.jit(net.step)(net.init(KEY, BATCH, i), BATCH, KEY)
        _, expected = jax.jit(alone.step)(alone.init(KEY, BATCH), BATCH, KEY)
        for name, value in means(expected).items():
            assert means(metrics)[name] == pytest.approx(value, rel=1e-5)


def test_the_discriminator_sees_what_augment_makes():
    """A linear one of twice the thing is one of twice the kernel, for both players; in training only."""
    plain, params, extra, *losses = started(FLAT)
    twice, _, _, *augmented = started(FLAT, augment=lambda key, x: 2 * x)
    layers = params["discriminator"]
    kernels = jax.tree_util.tree_map_with_path(
        lambda path, x: 2 * x if path[-1].key == "kernel" else x, layers
    )
    doubled = {**params, "discriminator": kernels}
    for loss, expected in zip(augmented, losses, strict=True):
        np.testing.assert_allclose(
            loss(params, extra, BATCH, KEY, train=True)[0],
            expected(doubled, extra, BATCH, KEY, train=True)[0],
            rtol=1e-6,
        )
        assert (
            loss(params, extra, BATCH, KEY, train=False)[0]
            == expected(params, extra, BATCH, KEY, train=False)[0]
        )
    slopes = [
        jax.grad(
            lambda g, task=task, at=at: task.generator_loss(
                {**at, "generator": g}, extra, BATCH, KEY, train=True
            )[0]
        )(params["generator"])
        for task, at in ((twice, params), (plain, doubled))
    ]
    for a, b in zip(*map(jax.tree.leaves, slopes), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
        assert np.abs(a).max() > 0


def test_every_thing_is_augmented_by_itself():
    seen = []

    def augment(key, x):
        shift = jax.random.normal(key)
        jax.debug.callback(lambda value: seen.append(float(value)), shift)
        return x + shift

    _, params, extra, loss, _ = started(FLAT, augment=augment)
    loss(params, extra, BATCH, KEY, train=True)
    jax.effects_barrier()
    assert len(set(seen)) == len(BATCH["label"])
