"""Lines and planes: closed forms, exact points, the scale of ReLU networks, interrupted files."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxdl
from jaxdl.errors import InputError
from jaxdl.landscape import between, line, loss_of, random_direction, surface
from jaxdl.rng import fold
from tests.landscape.networks import dataset, network, scaled

KEY = jaxdl.root(0)


def quadratic(size=6, seed=0):
    """Returns a loss 1/2 w'Aw + b'w with an indefinite A, and its NumPy form."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(size, size)).astype(np.float32)
    a = a + a.T
    b = rng.normal(size=size).astype(np.float32)

    def f(params):
        w = jnp.concatenate([params["one"], params["two"]])
        return w @ jnp.asarray(a) @ w / 2 + jnp.asarray(b) @ w

    return f, lambda w: w @ a.astype(float) @ w / 2 + b.astype(float) @ w


def point(seed, size=6):
    w = np.random.default_rng(seed).normal(size=size).astype(np.float32)
    return {"one": jnp.asarray(w[:2]), "two": jnp.asarray(w[2:])}, w.astype(float)


def test_a_quadratic_loss_is_its_paraboloid():
    f, exact = quadratic()
    (w, v), (x, p), (y, q) = (point(seed) for seed in (1, 2, 3))
    found = surface(f, w, x, y, span=((-1, 2), (-3, 0.5)), points=5)
    np.testing.assert_allclose(found.x, [-1, -0.25, 0.5, 1.25, 2])
    np.testing.assert_allclose(found.y, [-3, -2.125, -1.25, -0.375, 0.5])
    expected = [[exact(v + a * p + b * q) for a in found.x] for b in found.y]
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5, atol=1e-5)


def test_a_line_of_a_quadratic_loss_is_a_parabola():
    f, exact = quadratic()
    (a, v), (b, u) = (point(seed) for seed in (1, 2))
    found = line(f, a, b, points=7, span=(-0.5, 1.5))
    expected = [exact((1 - t) * v + t * u) for t in found.t.astype(float)]
    np.testing.assert_allclose(found.losses, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["mlp", "cnn", "norms"])
def test_the_middle_has_the_bits_of_the_loss(name):
    task, state = network(name)
    f = loss_of(task.loss, state, dataset())
    x, y = (random_direction(state.params, fold(KEY, i)) for i in (0, 1))
    found = surface(f, state.params, x, y, points=3)
    assert found.x[1] == found.y[1] == 0
    assert found.losses[1, 1] == np.float32(f(state.params))
    assert len(np.unique(found.losses)) == 9


def test_the_middle_of_any_odd_number_of_points_is_zero():
    w = {"w": jnp.array([0.3])}
    for points in (5, 51, 101):
        found = surface(lambda w: w["w"].sum(), w, w, w, span=0.7, points=points)
        assert found.x[points // 2] == 0
        assert found.x[-1] == -found.x[0] == np.float32(0.7)
        assert found.losses[points // 2, points // 2] == np.float32(0.3)


@pytest.mark.parametrize("name", ["mlp", "cnn", "norms"])
def test_the_ends_of_a_line_have_the_bits_of_both_losses(name):
    task, a = network(name)
    b = network(name, 2)[1].params
    f = loss_of(task.loss, a, dataset())
    found = line(f, a.params, b, points=4)
    assert found.losses[0] == np.float32(f(a.params))
    assert found.losses[-1] == np.float32(f(b))
    middle = jax.tree.map(lambda x, d: x + d / 3, a.params, between(a.params, b))
    np.testing.assert_allclose(found.losses[1], f(middle), rtol=1e-4)


SCALED = {
    "mlp": [("dense_0", "dense_1"), ("dense_1", "out")],
    "cnn": [("conv_0", "conv_1")],
}


@pytest.mark.parametrize("name", ["mlp", "cnn"])
@pytest.mark.parametrize("vectors", [False, True])
def test_the_scale_of_layers_changes_a_picture_without_normalization_only(name, vectors):
    task, state = network(name)
    f = loss_of(task.loss, state, dataset())
    other = state.params
    for first, second in SCALED[name]:
        other = scaled(other, first, second, 5.0)
    np.testing.assert_allclose(f(other), f(state.params), rtol=1e-5)

    def picture(params, normalization):
        x, y = (
            random_direction(params, fold(KEY, i), normalization, vectors=vectors) for i in (0, 1)
        )
        return surface(f, params, x, y, points=3).losses

    # One norm for all biases of a layer scales with the layer, too.
    for normalization in ("filter", "layer"):
        before, after = (picture(params, normalization) for params in (state.params, other))
        np.testing.assert_allclose(after, before, rtol=1e-4)
    before, after = (picture(params, None) for params in (state.params, other))
    assert np.abs(after / before - 1).max() > 0.1


def test_one_program_for_any_number_of_points():
    traces = []

    def f(params):
        traces.append(1)
        return (params["one"] ** 2).sum() + params["two"].sum()

    (w, _), (x, _), (y, _) = (point(seed) for seed in (1, 2, 3))
    f = jax.tree_util.Partial(f)
    surface(f, w, x, y, points=2)
    once = len(traces)
    surface(f, w, x, y, points=5, span=3)
    assert len(traces) == once


def test_losses_far_away_may_be_infinite():
    w = {"w": jnp.array([1.0])}
    found = surface(lambda w: jnp.exp(w["w"]).sum(), w, w, w, span=200.0, points=3)
    assert found.losses.tolist()[2][2] == np.inf
    np.testing.assert_allclose(found.losses[1, 1], np.exp(1), rtol=1e-6)


def test_an_interrupted_surface_continues_with_equal_bits(tmp_path):
    f, _ = quadratic()
    (w, _), (x, _), (y, _) = (point(seed) for seed in (1, 2, 3))
    lines = []
    whole = surface(f, w, x, y, points=5, progress=lines.append)
    assert len(lines) == 5
    assert lines[1].startswith("row 2 of 5, ")

    class Interrupted(Exception):
        pass

    def stop(text):
        if text.startswith("row 3"):
            raise Interrupted

    path = tmp_path / "surface.npz"
    with pytest.raises(Interrupted):
        surface(f, w, x, y, points=5, path=path, progress=stop)
    lines.clear()
    found = surface(f, w, x, y, points=5, path=path, progress=lines.append)
    assert [text.split(",")[0] for text in lines] == ["row 4 of 5", "row 5 of 5"]
    np.testing.assert_array_equal(found.losses, whole.losses)
    lines.clear()
    again = surface(f, w, x, y, points=5, path=str(path), progress=lines.append)
    np.testing.assert_array_equal(again.losses, whole.losses)
    assert not lines
    assert [each.name for each in tmp_path.iterdir()] == ["surface.npz"]


def test_a_file_of_another_surface_is_refused(tmp_path):
    task, state = network("mlp")
    f = loss_of(task.loss, state, dataset(5))
    other = loss_of(task.loss, state, dataset(5, seed=1))
    w = state.params
    x, y = (random_direction(w, fold(KEY, i)) for i in (0, 1))
    path = tmp_path / "surface.npz"
    surface(f, w, x, y, points=2, path=path)

    def message(*arguments, **options):
        with pytest.raises(InputError) as raised:
            surface(*arguments, **{"points": 2, "path": path, **options})
        text = str(raised.value)
        assert text.startswith(f"path: got '{path}', allowed: ")
        return text.split("allowed: ")[1]

    same = "a file with the same"
    remedy = "remove this one, or choose another path"
    assert message(other, w, x, y) == f"{same} data; {remedy}"
    assert message(f, w, y, x) == f"{same} parameters and directions; {remedy}"
    assert message(f, w, x, y, points=3) == f"{same} span and points; {remedy}"
    twice = jax.tree_util.Partial(lambda f, w: 2 * f(w), f)
    assert message(twice, w, x, y) == f"{same} loss; {remedy}"
    path.write_bytes(path.read_bytes()[:-30])
    complete = f"a complete file; {remedy}"
    assert message(f, w, x, y) == complete
    path.write_text("no archive")
    assert message(f, w, x, y) == complete


def call(**changes):
    f, _ = quadratic()
    (w, _), (x, _), (y, _) = (point(seed) for seed in (1, 2, 3))
    arguments = {"f": f, "params": w, "x": x, "y": y, "points": 2, **changes}
    return surface(**arguments)


PAIRS = "a positive number, or pairs (least, largest) such as ((-1, 3), (0, 2))"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"points": 1}, "points: got 1, allowed: at least 2"),
        ({"span": -1.0}, "span: got -1.0, allowed: a number in [0, inf)"),
        ({"span": 0}, f"span: got (-0.0, 0.0), allowed: {PAIRS}"),
        ({"span": ((2, 1), (0, 1))}, f"span: got (2, 1), allowed: {PAIRS}"),
        ({"span": 1e39}, "span: got (-1e+39, 1e+39), allowed: 2 different numbers in float32"),
        (
            {"span": ((1, 1 + 1e-9), (0, 1))},
            "span: got (1.0, 1.000000001), allowed: 2 different numbers in float32",
        ),
        ({"f": 3}, "f: got 3, allowed: a function of parameters, such as landscape.loss_of(...)"),
        (
            {"f": lambda w: w["one"]},
            "f: got 'float32[2]', allowed: a function of parameters with one number as result",
        ),
        (
            {"x": {"one": jnp.zeros(2)}},
            "x: got 'no two', allowed: the arrays of the same network, such as those of "
            "random_direction(params, key)",
        ),
        (
            {"y": {"one": jnp.zeros(2), "two": jnp.zeros(3)}},
            "y: got 'two [3]', allowed: the shape [4], as in the network",
        ),
        (
            {"params": 1},
            "params: got 'int', allowed: the parameters of a network, such as state.params",
        ),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(InputError) as raised:
        call(**changes)
    assert str(raised.value) == message


def test_two_networks_of_different_shapes_have_no_line():
    f, _ = quadratic()
    with pytest.raises(InputError, match=r"b: got 'one \[3\]', allowed: the shape \[2\]"):
        line(f, point(1)[0], {"one": jnp.zeros(3), "two": jnp.zeros(4)})


def test_the_span_of_a_line_is_a_pair():
    f, _ = quadratic()
    with pytest.raises(InputError, match=r"span: got 1.0, allowed: first and last t, such as"):
        line(f, point(1)[0], point(2)[0], span=1.0)


def test_the_parameters_of_another_network_are_refused():
    task, state = network("mlp")
    other = network("cnn")[1].params
    f = loss_of(task.loss, state, dataset())
    with pytest.raises(InputError, match="allowed: the parameters of the network of f") as raised:
        line(f, other, other, points=2)
    assert "\n" not in str(raised.value)


def test_a_path_in_no_folder(tmp_path):
    with pytest.raises(InputError, match="allowed: a file in a folder that exists"):
        call(path=tmp_path / "none" / "surface.npz")
