"""The perceptron against a loop and scikit-learn; Novikoff's bound; cycles; bad inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from jaxdl.classic import find_cycle, novikoff_bound, perceptron, widest_separator
from jaxdl.errors import InputError

XOR = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
OPPOSITE = np.array([-1, 1, 1, -1])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def separable(rng, count=20, features=2, margin=0.02):
    """Returns points at some distance from a random line, their labels, and the line."""
    w = rng.normal(size=features)
    b = 0.3 * rng.normal()
    x = rng.uniform(-1, 1, (20 * count, features))
    distance = (x @ w + b) / np.sqrt(w @ w + b * b)
    x = x[np.abs(distance) > margin][:count]
    return x, np.where(x @ w + b > 0, 1, -1), (w, b)


def loop(x, labels, epochs, rate=1.0):
    """Returns weights with the bias, the examples of mistakes, and the number of passes."""
    line = np.zeros(x.shape[1] + 1)
    examples = []
    lines = [line]
    for epoch in range(1, epochs + 1):
        before = len(examples)
        for i in range(len(x)):
            row = np.append(x[i], 1.0)
            if labels[i] * (line @ row) <= 0:
                line = line + rate * labels[i] * row
                examples.append(i)
                lines.append(line)
        if len(examples) == before:
            return lines, examples, epoch, True
    return lines, examples, epochs, False


@pytest.mark.parametrize("seed", range(5))
def test_it_is_a_loop_over_examples(seed):
    rng = np.random.default_rng(seed)
    x, labels, _ = separable(rng, 30, 3)
    if seed == 4:
        # Random labels have no separator.
        labels = rng.choice([-1, 1], len(x))
    found = jax.tree.map(np.asarray, perceptron(x, labels, epochs=20))
    lines, examples, epochs, converged = loop(x, labels, 20)
    count = len(examples)
    assert found.mistakes == count
    assert found.examples[:count].tolist() == examples
    assert set(found.examples[count:].tolist()) <= {-1}
    np.testing.assert_allclose(found.lines[: count + 1], lines, atol=1e-12)
    np.testing.assert_array_equal(found.lines[count], [*found.weights, found.bias])
    np.testing.assert_array_equal(found.lines[count:] - found.lines[count], 0)
    assert (int(found.epochs), bool(found.converged)) == (epochs, converged)
    assert found.totals[epochs] == count
    np.testing.assert_array_equal(found.passes[epochs], found.lines[count])
    if converged:
        np.testing.assert_array_equal(found.predict(x), labels)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_scikit_learns(seed):
    from sklearn.linear_model import Perceptron

    rng = np.random.default_rng(seed)
    x, labels, _ = separable(rng, 60, 4)
    # Multiples of 1/64 add up without rounding, so the weights must be equal.
    x = np.round(64 * x) / 64
    for epochs in (1, 3, 50):
        model = Perceptron(shuffle=False, tol=None, max_iter=epochs).fit(x, labels)
        found = perceptron(x, labels, epochs=epochs)
        np.testing.assert_array_equal(found.weights, model.coef_[0])
        assert float(found.bias) == model.intercept_[0]


def test_the_rate_only_scales():
    x, labels, _ = separable(np.random.default_rng(8), 40)
    one = perceptron(x, labels)
    for rate in (0.25, 8.0):
        other = perceptron(x, labels, rate=rate)
        np.testing.assert_array_equal(other.examples, one.examples)
        np.testing.assert_array_equal(other.lines, rate * one.lines)


def test_a_thousand_sets_have_at_most_as_many_mistakes_as_novikoffs_bound():
    rng = np.random.default_rng(0)
    sets = [separable(rng, 20, 2, margin=0.05) for _ in range(1000)]
    x = jnp.asarray(np.stack([each[0] for each in sets]))
    labels = jnp.asarray(np.stack([each[1] for each in sets]))
    train = jax.jit(jax.vmap(lambda x, y: perceptron(x, y, epochs=300, max_mistakes=300)))
    found = jax.tree.map(np.asarray, train(x, labels))
    assert found.converged.all()
    shares = []
    for i, (points, y, line) in enumerate(sets):
        widest = novikoff_bound(points, y)
        given = novikoff_bound(points, y, line)
        assert found.mistakes[i] <= widest <= given * (1 + 1e-9)
        shares.append(int(found.mistakes[i]) / widest)
    # A bound that were far too high would prove nothing.
    assert max(shares) > 0.2


@pytest.mark.parametrize("seed", range(3))
def test_the_widest_separator_minimizes_the_norm(seed):
    x, labels, _ = separable(np.random.default_rng(seed), 15, 3)
    x = 7 * x
    w, b = widest_separator(x, labels)
    assert (labels * (x @ w + b)).min() == pytest.approx(1, abs=1e-9)
    rows = labels[:, None] * np.column_stack([x, np.ones(len(x))])
    constraint = {"type": "ineq", "fun": lambda v: rows @ v - 1, "jac": lambda v: rows}
    start = 2 * np.append(w, b) + 0.1
    best = minimize(lambda v: v @ v, start, jac=lambda v: 2 * v, constraints=constraint, tol=1e-13)
    np.testing.assert_allclose([*w, b], best.x, atol=1e-5)


def test_the_bound_counts_the_bias():
    # One example at 0: the line needs a bias, and R is 1.
    assert novikoff_bound(np.zeros((1, 1)), [1]) == pytest.approx(1)
    assert novikoff_bound(np.array([[3.0]]), [1], (np.array([1.0]), 0.0)) == pytest.approx(10 / 9)


def test_xor_cycles():
    found = perceptron(XOR, OPPOSITE, epochs=50)
    assert not found.converged
    assert find_cycle(found)._asdict() == {"start": 0, "epochs": 1, "mistakes": 4}
    assert find_cycle(perceptron(XOR, XOR[:, 0].astype(int))) is None


def test_a_cycle_has_the_length_that_a_loop_finds():
    rng = np.random.default_rng(5)
    lengths = set()
    for _ in range(30):
        x = rng.integers(-3, 4, (6, 2)).astype(float)
        labels = rng.choice([-1, 1], 6)
        found = perceptron(x, labels, epochs=200, max_mistakes=2000)
        _, examples, _, converged = loop(x, labels, 200)
        cycle = find_cycle(found)
        assert (cycle is None) == converged
        if cycle is None:
            continue
        passes = [tuple(row) for row in found.passes.tolist()]
        assert passes[cycle.start] == passes[cycle.start + cycle.epochs]
        middle = passes[cycle.start : cycle.start + cycle.epochs]
        assert len(set(middle)) == cycle.epochs
        totals = found.totals
        start = int(totals[cycle.start])
        end = int(totals[cycle.start + cycle.epochs])
        assert cycle.mistakes == end - start
        # The mistakes repeat, too.
        assert examples[start:end] == examples[end : 2 * end - start]
        lengths.add(cycle.epochs)
    assert len(lengths) > 2


def test_the_largest_number_of_mistakes_stops_the_loop():
    found = perceptron(XOR, OPPOSITE, max_mistakes=6)
    assert (int(found.mistakes), int(found.epochs), bool(found.converged)) == (6, 2, False)
    assert found.examples.tolist() == [0, 1, 2, 3, 0, 1]


LINE = np.array([[0.0], [1.0]])


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: perceptron(LINE, [0, 1]), "labels[0]: got 0, allowed: -1 or 1, such as 2 * label"),
        (lambda: perceptron(LINE, [1]), "labels: got [1], allowed: one for each of 2 examples"),
        (lambda: perceptron([0.0, 1.0], [1, 1]), "inputs: got [2], allowed: numbers [N, D], N and"),
        (lambda: perceptron([[np.inf]], [1]), "inputs[0]: got [inf], allowed: finite numbers"),
        (lambda: perceptron(LINE, [1, 1], epochs=0), "epochs: got 0, allowed: at least 1"),
        (lambda: perceptron(LINE, [1, 1], max_mistakes=0), "max_mistakes: got 0, allowed: at le"),
        (lambda: perceptron(LINE, [1, 1], rate=0.0), "rate: got 0.0, allowed: a finite number a"),
        (
            lambda: novikoff_bound(XOR, OPPOSITE),
            "labels: got 'classes that no line separates', allowed: classes on the two sides of a "
            "line; add features, such as squares",
        ),
        (
            lambda: novikoff_bound(LINE, [-1, 1], ([1.0], 0.0)),
            "separator: got [1.0, 0.0], allowed: a line with all examples on their side; example 0",
        ),
        (
            lambda: novikoff_bound(LINE, [-1, 1], ([1.0, 1.0], 0.0)),
            "separator: got '2 weights', allowed: (weights [1], bias) of finite numbers",
        ),
    ],
)
def test_bad_inputs(call, line):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value).startswith(line)
    assert "\n" not in str(error.value)
