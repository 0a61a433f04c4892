"""Paths of optimizers: PyTorch in float64, closed forms of quadratics, noise, the tuned rate."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize

import jaxdl
from jaxdl.errors import InputError
from jaxdl.landscape import RATES, TERRAINS, descend, quadratic_optimum, tuned_rate
from jaxdl.optimizers import OPTIMIZERS, optimizer

STEPS = 200
NAMES = ("rosenbrock", "beale", "saddle", "ravine")

#: The transformations that the docstring of `optimizer` gives for PyTorch's conventions.
RMSPROP = {"decay": 0.99, "eps": 1e-8, "eps_in_sqrt": False}

#: Our optimizer by its learning rate, PyTorch's with its arguments, and the learning rate.
PEERS = {
    "sgd": (lambda r: optimizer("sgd", r), "SGD", {}, 1e-3),
    "momentum": (lambda r: optimizer("momentum", r), "SGD", {"momentum": 0.9}, 5e-4),
    "nesterov": (
        lambda r: optimizer("nesterov", r, momentum=0.8),
        "SGD",
        {"momentum": 0.8, "nesterov": True},
        5e-4,
    ),
    "rmsprop": (lambda r: optax.rmsprop(r, **RMSPROP), "RMSprop", {}, 1e-2),
    "adagrad": (
        lambda r: optax.adagrad(r, initial_accumulator_value=0.0, eps=0.0),
        "Adagrad",
        {"eps": 0.0},
        0.3,
    ),
    "adadelta": (lambda r: optimizer("adadelta", r), "Adadelta", {}, 2.0),
    "adam": (lambda r: optimizer("adam", r), "Adam", {}, 0.05),
    "adamw": (lambda r: optax.adamw(r, weight_decay=0.1), "AdamW", {"weight_decay": 0.1}, 0.05),
    # PyTorch lets the momentum grow in the first steps; with this decay it is constant.
    "nadam": (lambda r: optimizer("nadam", r), "NAdam", {"momentum_decay": 1e9}, 0.05),
}


@pytest.fixture
def torch():
    """PyTorch with float64 as default dtype; NAdam keeps the product of its momenta in it."""
    torch = pytest.importorskip("torch")
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(torch.float32)


def by_torch(torch, name, terrain, rate, options):
    """Returns the points of PyTorch's optimizer in float64."""
    constants = ((1, 1.5), (2, 2.25), (3, 2.625))
    f = {
        "rosenbrock": lambda x, y: (1 - x) ** 2 + 100 * (y - x**2) ** 2,
        "beale": lambda x, y: sum((c - x + x * y**i) ** 2 for i, c in constants),
        "saddle": lambda x, y: x**2 + (y**2 - 2) ** 2 / 4,
        "ravine": lambda x, y: (x**2 + 100 * y**2) / 2,
    }[terrain]
    point = torch.tensor(TERRAINS[terrain].start, dtype=torch.float64, requires_grad=True)
    made = getattr(torch.optim, name)([point], lr=rate, **options)
    points = [point.detach().numpy().copy()]
    for _ in range(STEPS):
        made.zero_grad()
        f(*point).backward()
        made.step()
        points.append(point.detach().numpy().copy())
    return np.array(points)


@pytest.mark.parametrize("terrain", NAMES)
@pytest.mark.parametrize("name", PEERS)
def test_paths_are_those_of_torch(name, terrain, torch):
    make, peer, options, rate = PEERS[name]
    with jax.enable_x64(True):
        start = jnp.asarray(TERRAINS[terrain].start, jnp.float64)
        found = descend(make(rate), TERRAINS[terrain].function, start, STEPS)
    expected = by_torch(torch, peer, terrain, rate, options)
    assert found.points.dtype == found.values.dtype == np.float64
    assert np.abs(expected[-1] - expected[0]).max() > 0.05
    np.testing.assert_allclose(found.points, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["rmsprop", "adagrad"])
def test_the_default_conventions_are_those_of_the_docstring(name):
    """A NumPy loop: epsilon inside of the root, decay 0.9; a sum that starts at 0.1."""
    terrain = TERRAINS["saddle"]
    with jax.enable_x64(True):
        found = descend(optimizer(name, 0.05), terrain.function, jnp.asarray(terrain.start), STEPS)
        gradient = jax.jit(jax.grad(terrain.function))
        x = np.array(terrain.start)
        v = np.full(2, {"rmsprop": 0.0, "adagrad": 0.1}[name])
        for point in found.points:
            np.testing.assert_allclose(point, x, rtol=1e-10, atol=1e-10)
            g = np.asarray(gradient(jnp.asarray(x)))
            if name == "rmsprop":
                v = 0.9 * v + 0.1 * g**2
                x = x - 0.05 * g / np.sqrt(v + 1e-8)
            else:
                v = v + g**2
                x = x - 0.05 * g / np.sqrt(v + 1e-7)


@pytest.mark.parametrize("name", TERRAINS)
def test_a_terrain_has_its_minimum_and_starts_in_its_picture(name):
    terrain = TERRAINS[name]
    with jax.enable_x64(True):
        lowest = jnp.asarray(terrain.minimum)
        assert float(terrain.function(lowest)) == pytest.approx(0, abs=1e-15)
        np.testing.assert_allclose(jax.grad(terrain.function)(lowest), 0, atol=1e-12)
        grid = np.meshgrid(*(np.linspace(*each, 41) for each in terrain.limits))
        points = jnp.asarray(np.stack(grid, -1).reshape(-1, len(terrain.start)))
        assert float(jax.vmap(terrain.function)(points).min()) >= 0
        for value, (low, high) in zip(terrain.start, terrain.limits, strict=True):
            assert low < value < high


def test_rosenbrock_is_that_of_scipy():
    x = np.random.default_rng(0).normal(size=2)
    with jax.enable_x64(True):
        value = TERRAINS["rosenbrock"].function(jnp.asarray(x))
        curvature = np.linalg.eigvalsh(jax.hessian(TERRAINS["ravine"].function)(jnp.asarray(x)))
    assert float(value) == pytest.approx(scipy.optimize.rosen(x), rel=1e-13)
    np.testing.assert_allclose(curvature, [1, 100])


@pytest.mark.parametrize("condition", [10.0, 100.0, 1000.0])
def test_the_distance_shrinks_by_the_closed_form(condition):
    """Its factor per step, from two late steps; at the optimum momentum's error is t q^t."""

    def f(x):
        return (x[0] ** 2 + condition * x[1] ** 2) / 2

    for name in ("sgd", "momentum"):
        rate, momentum, factor = quadratic_optimum(name, condition)
        made = optimizer(name, rate)
        if name == "momentum":
            made = optimizer(name, rate, momentum=momentum)
        a = round(-6 / np.log(factor))
        b = round(-24 / np.log(factor))
        with jax.enable_x64(True):
            points = descend(made, f, jnp.array([1.0, 1.0]), b).points
        distance = np.linalg.norm(points, axis=1)
        growth = {"sgd": 1.0, "momentum": b / a}[name]
        measured = (distance[b] / distance[a] / growth) ** (1 / (b - a))
        assert measured == pytest.approx(factor, rel=5e-3)
    assert quadratic_optimum("sgd", condition).factor > factor


def test_a_larger_rate_than_two_divided_by_the_curvature_diverges():
    f = TERRAINS["ravine"].function
    for rate, diverges in ((0.0199, False), (0.0201, True)):
        values = descend(optimizer("sgd", rate), f, [0.0, 0.5], 300).values
        assert (values[-1] > values[0]) == diverges


def test_noise_has_its_size_and_its_key():
    """On a plane the path is a random walk, whose steps are the noise."""

    def f(x):
        return 0.0 * x.sum()

    made = optax.sgd(1.0)
    found = descend(made, f, jnp.zeros(3), 4000, noise=0.3, key=jaxdl.root(1))
    steps = -np.diff(found.points, axis=0)
    assert np.std(steps) == pytest.approx(0.3, rel=0.03)
    assert abs(steps.mean()) < 0.01
    assert abs(np.corrcoef(steps[1:].ravel(), steps[:-1].ravel())[0, 1]) < 0.03
    again = descend(made, f, jnp.zeros(3), 4000, noise=0.3, key=jaxdl.root(1))
    np.testing.assert_array_equal(found.points, again.points)
    other = descend(made, f, jnp.zeros(3), 4000, noise=0.3, key=jaxdl.root(2))
    assert np.abs(found.points - other.points).max() > 0.1


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam", "schedule_free"])
def test_the_tuned_rate_is_the_best_of_single_descents(name):
    terrain = TERRAINS["rosenbrock"]
    rates = (1e-4, 1e-3, 3e-3, 1e-1, 10.0)
    found = tuned_rate(name, terrain.function, terrain.start, 50, rates)
    final = [
        descend(optimizer(name, rate), terrain.function, terrain.start, 50).values[-1]
        for rate in rates
    ]
    higher = float(terrain.function(jnp.array(terrain.start)))
    final = np.where(np.array(final) <= higher, final, np.inf)
    np.testing.assert_allclose(found.measures, final, rtol=1e-3)
    assert found.rate == rates[int(np.argmin(final))]
    assert found.descent.values[-1] == found.measures.min()
    assert found.descent.points.shape == (51, 2)


def test_the_mean_prefers_a_steady_path():
    """The best rate by the mean value of the path is that of single descents, too."""
    terrain = TERRAINS["rosenbrock"]
    rates = (1e-3, 1e-2, 1e-1, 0.5)
    found = tuned_rate("rmsprop", terrain.function, terrain.start, 100, rates, "mean")
    paths = [
        descend(optimizer("rmsprop", rate), terrain.function, terrain.start, 100).values
        for rate in rates
    ]
    means = [path.mean() for path in paths]
    np.testing.assert_allclose(found.measures, means, rtol=1e-3)
    assert found.rate == rates[int(np.argmin(means))]
    assert found.rate < rates[int(np.argmin([path[-1] for path in paths]))]


def test_options_of_the_optimizer_are_passed():
    f = TERRAINS["bowl"].function
    found = tuned_rate("momentum", f, [1.0, 1.0], 3, [0.1], momentum=0.5)
    made = optimizer("momentum", 0.1, momentum=0.5)
    np.testing.assert_allclose(found.descent.points, descend(made, f, [1.0, 1.0], 3).points)


def test_the_grid_has_four_rates_per_decade():
    np.testing.assert_allclose(np.diff(np.log10(RATES)), 0.25, atol=0.003)


@pytest.mark.slow
def test_every_optimizer_goes_downhill():
    for name in OPTIMIZERS:
        found = tuned_rate(name, TERRAINS["bowl"].function, TERRAINS["bowl"].start, 20, RATES[::6])
        assert found.descent.values[-1] < found.descent.values[0]


def test_momentum_crosses_a_plateau_and_a_hill():
    """The documented pictures: with the same rate, only momentum reaches the minimum."""
    for name, rate, steps in (("plateau", 0.05, 200), ("hills", 0.1, 200)):
        terrain = TERRAINS[name]
        final = {
            each: descend(optimizer(each, rate), terrain.function, terrain.start, steps).values[-1]
            for each in ("sgd", "momentum")
        }
        assert final["momentum"] < 0.05 < 0.2 < final["sgd"]


def call(**changes):
    arguments = {"f": TERRAINS["bowl"].function, "start": [1.0, 1.0], "steps": 3, **changes}
    return descend(optax.sgd(0.1), **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "steps: got 0, allowed: at least 1"),
        ({"start": [1.0]}, "start: got [1], allowed: a point [2] of this terrain"),
        (
            {"start": [1.0, 1.0], "f": TERRAINS["hills"].function},
            "start: got [2], allowed: a point [1] of this terrain",
        ),
        ({"start": 1.0}, "start: got 'float32[]', allowed: a point [D] of real numbers"),
        ({"start": [1j, 1.0]}, "start: got 'complex64[2]', allowed: a point [D] of real numbers"),
        ({"start": "a"}, "start: got 'a', allowed: a point [D] of real numbers"),
        ({"noise": -1.0}, "noise: got -1.0, allowed: a number in [0, inf)"),
        ({"f": lambda x: x}, "f: got 'float32[2]', allowed: a function with one number as result"),
        ({"f": 3}, "f: got 3, allowed: a function of a point [D], such as landscape.beale"),
        (
            {"f": lambda x: np.sin(x).sum()},
            "f: got 'np.sin, math.sin, float(x) or a condition on a number', allowed: operations "
            "of jax.numpy, such as jnp.sin(x) and jnp.where(x > 0, a, b)",
        ),
        ({"key": 3}, "key: got 3, allowed: root(seed) or root(range(n))"),
    ],
)
def test_bad_descents(changes, message):
    with pytest.raises(InputError) as raised:
        call(**changes)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ([10.0, 100.0], "rates: got [10.0, 100.0], allowed: smaller ones; sgd diverges"),
        ([], "rates: got [], allowed: at least one number above 0"),
        ([0.0], "rates: got [0.0], allowed: at least one number above 0"),
    ],
)
def test_bad_rates(rates, message):
    with pytest.raises(InputError) as raised:
        tuned_rate("sgd", TERRAINS["bowl"].function, [1.0, 1.0], 50, rates)
    assert str(raised.value) == message


def test_bad_names():
    f = TERRAINS["bowl"].function
    with pytest.raises(InputError, match="optimizer: got 'sdg', allowed: adadelta"):
        tuned_rate("sdg", f, [1.0, 1.0], 5)
    with pytest.raises(InputError, match="measure: got 'last', allowed: final, mean"):
        tuned_rate("sgd", f, [1.0, 1.0], 5, measure="last")
    with pytest.raises(InputError, match="name: got 'adam', allowed: sgd or momentum"):
        quadratic_optimum("adam", 10.0)
    with pytest.raises(InputError, match=r"condition: got 0.5, allowed: a number in \[1, inf\)"):
        quadratic_optimum("sgd", 0.5)
