"""Optimizers by name against plain Optax and PyTorch, and schedules against closed forms."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest

from jaxdl import metrics
from jaxdl.core import Learner, inference, learner
from jaxdl.optimizers import OPTIMIZERS, SCHEDULES, optimizer, schedule
from jaxdl.updates import Update

RNG = np.random.default_rng(0)
SHAPES = {"conv": (3, 3, 2, 4), "dense": (5, 3), "bias": (4,), "scale": ()}
DECOUPLED = ("adamw", "lion", "muon", "schedule_free")
STEPS = 4


def tree(scale=1.0):
    return {
        name: np.asarray(RNG.normal(0, scale, shape), np.float32) for name, shape in SHAPES.items()
    }


PARAMS = tree()
GRADS = [tree(0.3) for _ in range(STEPS)]
KERNEL = {name: len(shape) >= 2 for name, shape in SHAPES.items()}
MATRIX = {
    "conv": optax.contrib.MuonDimensionNumbers((0, 1, 2), 3),
    "dense": optax.contrib.MuonDimensionNumbers(0, 1),
    "bias": None,
    "scale": None,
}

#: The same optimizers built with plain Optax.
PLAIN = {
    "sgd": optax.sgd(0.1),
    "momentum": optax.sgd(0.1, momentum=0.9),
    "nesterov": optax.sgd(0.1, momentum=0.9, nesterov=True),
    "rmsprop": optax.rmsprop(0.1),
    "adagrad": optax.adagrad(0.1),
    "adadelta": optax.adadelta(0.1),
    "adam": optax.adam(0.1),
    "nadam": optax.nadam(0.1),
    "adamw": optax.adamw(0.1, weight_decay=0.0),
    "lion": optax.lion(0.1, weight_decay=0.0),
    "muon": optax.contrib.muon(0.1, consistent_rms=0.2, muon_weight_dimension_numbers=MATRIX),
    "schedule_free": optax.contrib.schedule_free_adamw(0.1),
}


def run(made, params=PARAMS, grads=GRADS):
    """Returns the updates of all steps `[T, ...]`, and the last parameters."""

    def step(carry, g):
        updates, state = made.update(g, carry[1], carry[0])
        return strong((optax.apply_updates(carry[0], updates), state)), updates

    grads = jax.tree.map(lambda *g: jnp.stack(g), *grads)
    (params, _), updates = jax.lax.scan(step, strong((params, made.init(params))), grads)
    return updates, params


def strong(tree):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.asarray(x).dtype), tree)


def run_all(table, names=tuple(SHAPES)):
    """Runs all optimizers of a table in one program, on the arrays of these names."""
    params, *grads = ({name: tree[name] for name in names} for tree in (PARAMS, *GRADS))

    def everything(params, grads):
        return {name: run(made, params, grads)[0] for name, made in table.items()}

    with jax.numpy_dtype_promotion("standard"):  # for plain Optax
        return jax.device_get(jax.jit(everything)(params, grads))


@pytest.fixture(scope="module")
def by_name():
    """Updates of each optimizer that `optimizer` returns."""
    return run_all({name: optimizer(name, 0.1) for name in PLAIN})


def assert_close(a, b, rtol=1e-5, atol=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=rtol, atol=atol), a, b)


def test_the_tables_have_all_names():
    assert set(OPTIMIZERS) == set(PLAIN) == set(RATES)


def test_each_optimizer_equals_plain_optax(by_name):
    plain = run_all(PLAIN)
    for name in PLAIN:
        assert_close(by_name[name], plain[name])
        assert all(np.abs(leaf[0]).max() > 1e-5 for leaf in jax.tree.leaves(by_name[name])), name


def test_momentum_is_passed_to_the_optimizers_that_have_it():
    plain = {
        "momentum": optax.sgd(0.1, momentum=0.5),
        "nesterov": optax.sgd(0.1, momentum=0.5, nesterov=True),
        "adam": optax.adam(0.1, b1=0.5),
        "nadam": optax.nadam(0.1, b1=0.5),
        "adamw": optax.adamw(0.1, b1=0.5, weight_decay=0.0),
        "lion": optax.lion(0.1, b1=0.5, weight_decay=0.0),
        "schedule_free": optax.contrib.schedule_free_adamw(0.1, b1=0.5),
    }
    made = {name: optimizer(name, 0.1, momentum=0.5) for name in plain}
    assert_close(run_all(made, ["bias"]), run_all(plain, ["bias"]))


def test_muon_orthogonalizes_the_update_of_each_kernel(by_name):
    """All singular values are near 0.2 r sqrt(max(fan in, fan out)); the gradient's are not."""
    for name in ("conv", "dense"):
        for t in range(STEPS):
            step = by_name["muon"][name][t]
            step = step.reshape(-1, step.shape[-1])
            size = 0.1 * 0.2 * math.sqrt(max(step.shape))
            values = np.linalg.svd(step, compute_uv=False) / size
            assert values.min() > 0.6
            assert values.max() < 1.25
        grad = GRADS[STEPS - 1][name]
        of_gradient = np.linalg.svd(grad.reshape(-1, grad.shape[-1]), compute_uv=False)
        assert of_gradient.max() > 1.4 * of_gradient.min(), "the gradient is orthogonal already"
    # Other arrays use Adam with Nesterov momentum, whose first step is
    # r (1 + b1 (1 - b1) / (1 - b1^2)) sign(g).
    first = -0.1 * (1 + 0.09 / 0.19) * np.sign(GRADS[0]["bias"])
    np.testing.assert_allclose(by_name["muon"]["bias"][0], first, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "options", "peer", "peer_options"),
    [
        ("sgd", {}, "SGD", {}),
        ("momentum", {"momentum": 0.8}, "SGD", {"momentum": 0.8}),
        ("nesterov", {"momentum": 0.8}, "SGD", {"momentum": 0.8, "nesterov": True}),
        ("adam", {"momentum": 0.7}, "Adam", {"betas": (0.7, 0.999)}),
        ("adamw", {}, "AdamW", {}),
        ("adagrad", {}, "Adagrad", {"initial_accumulator_value": 0.1}),
        ("adadelta", {}, "Adadelta", {}),
    ],
)
def test_weight_decay_agrees_with_torch(name, options, peer, peer_options):
    torch = pytest.importorskip("torch")
    _, params = run(optimizer(name, 0.1, weight_decay=0.3, **options))
    weights = {k: torch.tensor(v, requires_grad=True) for k, v in PARAMS.items()}
    groups = [{"params": [weights[k]], "weight_decay": 0.3 * KERNEL[k]} for k in weights]
    made = getattr(torch.optim, peer)(groups, lr=0.1, **peer_options)
    for g in GRADS:
        for k, w in weights.items():
            w.grad = torch.tensor(g[k])
        made.step()
    # In Adagrad, Optax adds epsilon before it computes the root, and PyTorch after it.
    expected = {k: w.detach().numpy() for k, w in weights.items()}
    assert_close(params, expected, rtol=1e-4, atol=1e-5)


def test_regularizers_agree_with_the_docstring():
    """Compares a step with r f(g'), plus r weight_decay w if decoupled; biases have neither."""
    decay = 0.3
    l1 = 0.05
    clip = 0.2
    norm = math.sqrt(sum(float((x**2).sum()) for x in jax.tree.leaves(GRADS[0])))
    assert norm > 2 * clip
    clipped = {
        k: np.asarray(g * (clip / norm) + l1 * KERNEL[k] * np.sign(PARAMS[k]))
        for k, g in GRADS[0].items()
    }
    coupled = {k: np.asarray(g + decay * KERNEL[k] * PARAMS[k]) for k, g in clipped.items()}

    def everything(params, grads, clipped, coupled):
        computed = {}
        expected = {}
        for name in OPTIMIZERS:
            made = optimizer(name, 0.1, weight_decay=decay, l1=l1, clip=clip)
            computed[name] = run(made, params, [grads])[0]
            if name not in DECOUPLED:
                expected[name] = run(PLAIN[name], params, [coupled])[0]
                continue
            plain = run(PLAIN[name], params, [clipped])[0]
            shrink = {k: 0.1 * decay * KERNEL[k] for k in plain}
            expected[name] = {k: u - shrink[k] * params[k] for k, u in plain.items()}
        return computed, expected

    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        computed, expected = jax.device_get(jax.jit(everything)(PARAMS, GRADS[0], clipped, coupled))
    for name in OPTIMIZERS:
        assert_close(computed[name], expected[name], rtol=1e-4)


def test_a_gradient_below_the_clip_is_unchanged():
    assert_close(run(optimizer("sgd", 0.1, clip=1e3))[0], run(PLAIN["sgd"])[0], rtol=0, atol=0)


def test_clip_limits_the_norm_of_the_whole_gradient():
    updates, _ = run(optimizer("sgd", 1.0, clip=0.5), grads=GRADS[:1])
    norm = math.sqrt(sum(float((x**2).sum()) for x in jax.tree.leaves(updates)))
    assert norm == pytest.approx(0.5, rel=1e-5)


class Counted(NamedTuple):
    """A learner of a regression, its batch, and one entry per trace of its loss for training."""

    net: Learner
    batch: dict
    traces: list


WIDTH = 4


def regression(made) -> Counted:
    traces = []
    rng = np.random.default_rng(1)
    batch = {
        "x": jnp.asarray(rng.normal(size=(16, WIDTH)).astype(np.float32)),
        "y": jnp.asarray(rng.normal(size=(16, 3)).astype(np.float32)),
    }

    def init(key, batch):
        return {"kernel": jax.random.normal(key, (WIDTH, 3)), "bias": jnp.zeros(3)}, {}

    def loss(params, extra, batch, key, *, train):
        traces.extend([1] * train)
        error = (batch["x"] @ params["kernel"] + params["bias"][None] - batch["y"]) ** 2
        return metrics.total(error), (extra, {"loss": metrics.total(error)})

    return Counted(learner(init, Update(loss, made)), batch, traces)


#: Learning rates with which the loss falls in forty steps. Adadelta starts with steps of 0.001.
RATES = dict.fromkeys(PLAIN, 0.05) | {
    "sgd": 0.2,
    "adagrad": 0.3,
    "adadelta": 20.0,
    "muon": 0.5,
    "schedule_free": 0.2,
}


@pytest.mark.parametrize("name", PLAIN)
def test_the_loss_falls_with_one_trace_and_the_logged_rate_is_the_one_used(name, key):
    rate = schedule("cosine", RATES[name], 40, warmup=0.1)
    net, batch, traces = regression(optimizer(name, rate, weight_decay=1e-4, l1=1e-4, clip=10.0))
    state = net.init(key, batch)
    assert not any(leaf.weak_type for leaf in jax.tree.leaves(state))
    step = jax.jit(net.step)
    losses = []
    logged = []
    for _ in range(40):
        state, record = step(state, batch, key)
        losses.append(float(metrics.mean(record["loss"])))
        logged.append(float(metrics.mean(record["learning_rate"])))
    # The loss cannot fall below that of the least-squares solution.
    inputs = np.concatenate([batch["x"], np.ones((16, 1), np.float32)], 1)
    rest = np.linalg.lstsq(inputs, np.asarray(batch["y"]), rcond=None)[1].sum() / batch["y"].size
    assert losses[-1] - rest < 0.5 * (losses[0] - rest)
    assert len(traces) == 1
    np.testing.assert_allclose(logged, [float(rate(t)) for t in range(40)], rtol=1e-5)
    assert len(set(logged)) > 30


@pytest.mark.parametrize("name", SCHEDULES)
def test_logged_rate_is_the_one_that_changed_the_weights(name, key):
    """With SGD on a linear loss, w changes by -rate x, so the rate is -change / x."""
    x = jnp.asarray(np.random.default_rng(2).uniform(0.5, 2.0, (4, 3)).astype(np.float32))
    rate = schedule(name, 0.3, 12, warmup=0.25)

    def loss(params, extra, batch, key, *, train):
        each = batch["x"] @ params["w"]
        return metrics.total(each), (extra, {"loss": metrics.total(each)})

    net = learner(
        lambda key, batch: ({"w": jnp.zeros(3)}, {}), Update(loss, optimizer("sgd", rate))
    )
    state = net.init(key, {"x": x})
    step = jax.jit(net.step)
    for t in range(14):
        state, record = step(state.replace(params={"w": jnp.zeros(3)}), {"x": x}, key)
        logged = float(metrics.mean(record["learning_rate"]))
        np.testing.assert_allclose(-state.params["w"] / x.mean(0), np.full(3, logged), rtol=1e-6)
        assert logged == pytest.approx(float(rate(t)), rel=1e-5)


def test_a_constant_rate_and_a_schedule_of_optax_are_logged_too(key):
    for rate, expected in [
        (0.25, [0.25] * 3),
        (optax.cosine_decay_schedule(0.2, 4), [0.2, 0.17071068, 0.1]),
    ]:
        net, batch, _ = regression(optimizer("momentum", rate))
        state = net.init(key, batch)
        step = jax.jit(net.step)
        logged = []
        for _ in range(3):
            state, record = step(state, batch, key)
            logged.append(float(metrics.mean(record["learning_rate"])))
        assert logged == pytest.approx(expected, rel=1e-6)


R = 0.3
N = 40
CLOSED = {
    "constant": lambda s: 1.0,
    "step": lambda s: 0.1 ** ((s >= 0.5) + (s >= 0.75)),
    "exponential": lambda s: 0.01**s,
    "cosine": lambda s: (1 + math.cos(math.pi * s)) / 2,
    "warmup_cosine": lambda s: (1 + math.cos(math.pi * s)) / 2,
    "polynomial": lambda s: (1 - s) ** 2,
}


@pytest.mark.parametrize("warmup", [0.0, 0.25])
@pytest.mark.parametrize("name", CLOSED)
def test_schedules_have_their_closed_forms(name, warmup):
    n = round(N * (warmup or {"warmup_cosine": 0.1}.get(name, 0.0)))
    rates = jax.jit(jax.vmap(schedule(name, R, N, warmup=warmup)))(jnp.arange(N + 10))
    expected = [R * (t + 1) / (n + 1) for t in range(n)]
    expected += [R * CLOSED[name](min((t - n) / (N - n), 1.0)) for t in range(n, N + 10)]
    assert rates.dtype == jnp.float32
    np.testing.assert_allclose(rates, expected, rtol=2e-5, atol=1e-7)


@pytest.mark.parametrize(("warmup", "top"), [(0.0, 12), (0.25, 10)])
def test_one_cycle_has_its_closed_form(warmup, top):
    rate = schedule("one_cycle", R, N, warmup=warmup)

    def between(a, b, s):
        return b + (a - b) * (1 + math.cos(math.pi * s)) / 2

    expected = [between(R / 25, R, t / top) for t in range(top)]
    expected += [between(R, R * 4e-6, min((t - top) / (N - top), 1.0)) for t in range(top, N + 5)]
    for t, value in enumerate(expected):
        assert float(rate(t)) == pytest.approx(value, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("name", SCHEDULES)
def test_the_rate_of_short_runs_is_never_zero(name, steps):
    for warmup in (0.0, 0.1, 0.5, 0.999):
        rate = schedule(name, R, steps, warmup=warmup)
        values = [float(rate(t)) for t in range(steps)]
        assert all(0 < value <= R * (1 + 1e-6) for value in values), values


def test_a_schedule_is_the_same_inside_jit_and_for_any_integer_type():
    rate = schedule("one_cycle", R, N)
    assert float(rate(7)) == pytest.approx(float(jax.jit(rate)(jnp.int32(7))), rel=1e-6)
    assert rate(np.int64(7)) == rate(7) == rate(jnp.int32(7))


def test_schedule_free_is_evaluated_at_its_average(key):
    """Compares with the recurrence of Defazio et al. in NumPy, including Adam's second moment."""
    rate = schedule("constant", 0.1, 10, warmup=0.4)
    net, batch, _ = regression(optimizer("schedule_free", rate))
    state = net.init(key, batch)
    step = jax.jit(net.step)
    x_in, target = (np.asarray(batch[name], np.float64) for name in ("x", "y"))
    y = {k: np.asarray(v, np.float64) for k, v in state.params.items()}
    z = dict(y)
    x = dict(y)
    v = dict.fromkeys(y, 0.0)
    weights = 0.0
    for t in range(8):
        error = 2 * (x_in @ y["kernel"] + y["bias"] - target) / target.size
        grads = {"kernel": x_in.T @ error, "bias": error.sum(0)}
        r = float(rate(t))
        weights += r**2
        for k, g in grads.items():
            v[k] = 0.999 * v[k] + 0.001 * g**2
            z[k] = z[k] - r * g / (np.sqrt(v[k] / (1 - 0.999 ** (t + 1))) + 1e-8)
            x[k] = x[k] + r**2 / weights * (z[k] - x[k])
            y[k] = 0.1 * z[k] + 0.9 * x[k]
        state, _ = step(state, batch, key)
    assert_close(state.params, y, rtol=1e-3, atol=1e-5)
    assert_close(inference(state).params, x, rtol=1e-3, atol=1e-5)
    assert np.abs(x["kernel"] - y["kernel"]).max() > 1e-3, "the average equals the iterate"
    loss = ((x_in @ x["kernel"] + x["bias"] - target) ** 2).mean()
    evaluated = float(metrics.mean(net.evaluate(state, batch, key)["loss"]))
    assert evaluated == pytest.approx(loss, rel=1e-4)


@pytest.mark.parametrize("options", [{}, {"clip": 1.0, "l1": 1e-3, "weight_decay": 1e-3}])
def test_inference_finds_the_average_after_clipping_and_penalties(options, key):
    net, batch, _ = regression(optimizer("schedule_free", 0.1, **options))
    state = net.init(key, batch)
    step = jax.jit(net.step)
    for _ in range(3):
        state, _ = step(state, batch, key)
    free = [s for s in state.opt[0].inner_state if isinstance(s, optax.contrib.ScheduleFreeState)]
    assert len(free) == 1
    average = inference(state).params
    assert_close(average, optax.contrib.schedule_free_eval_params(free[0], state.params))
    assert any((average[name] != state.params[name]).any() for name in average)
