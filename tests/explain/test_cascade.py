"""Tests of the cascade: its order, its weights, SciPy's rank correlation, and the control."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxdl import explain
from jaxdl.errors import InputError
from jaxdl.explain.cascade import layers_from_output
from jaxdl.models import CNN, Stage
from jaxdl.rng import root
from tests.explain.networks import images
from tests.models.random_variables import random_variables

SHAPE = (8, 7, 2)
IMAGES = images(3, SHAPE)
MODEL = CNN((Stage(3), Stage(4)), (5,), 3, norm="batch")
VARIABLES = jax.tree.map(lambda x: x + 0.1, random_variables(MODEL, IMAGES))
ORDER = ["head/out", "head/norm_0", "head/dense_0", "norm_1", "conv_1", "norm_0", "conv_0"]
KEY = root(0)


def gradient(f, x, target):
    """Returns gradients of the scores, compiled once for all networks."""
    return np.asarray(_gradient(f, jnp.asarray(x), target))


@jax.jit
def _gradient(f, x, target):
    return jax.grad(lambda x: jnp.take_along_axis(f(x), target[:, None], 1).sum())(x)


def recorder(found):
    """Returns a method that keeps the variables of each network."""

    def method(f, x, target):
        found.append((f.args[0], target))
        return x

    return method


def flat(tree):
    """Returns leaves by their path."""
    return {jax.tree_util.keystr(p): x for p, x in jax.tree_util.tree_leaves_with_path(tree)}


def test_layers_are_random_from_the_output_and_stay_so():
    assert layers_from_output(MODEL, VARIABLES, SHAPE) == ORDER
    found = []
    result = explain.cascade(MODEL, VARIABLES, recorder(found), IMAGES, KEY, target=[0, 2, 1])
    assert result.names == ["trained", *ORDER]
    assert result.correlation.tolist() == [1.0] * 8
    trained = flat(VARIABLES)
    for count, (variables, target) in enumerate(found):
        assert target.tolist() == [0, 2, 1]
        random = {"".join(f"['{part}']" for part in name.split("/")) for name in ORDER[:count]}
        for path, value in flat(variables).items():
            collection, _, leaf = path.partition("]")
            module = leaf[: leaf.rindex("[")]
            last = flat(found[-1][0])[path]
            expected = last if module in random else trained[path]
            np.testing.assert_array_equal(value, expected)
            assert (np.asarray(last) != trained[path]).all(), collection


def test_new_weights_have_the_distribution_of_the_models_own():
    """Biases and statistics are those of `init`; kernels differ by the key."""
    found = []
    for seed in (0, 0, 1):
        each = []
        explain.cascade(MODEL, VARIABLES, recorder(each), IMAGES, root(seed))
        found.append(flat(each[-1][0]))
    fresh = flat(MODEL.init(jax.random.key(5), IMAGES, train=False))
    assert fresh.keys() == found[0].keys()
    for path, value in fresh.items():
        np.testing.assert_array_equal(found[0][path], found[1][path])
        if "kernel" in path:
            assert (np.asarray(found[0][path]) != found[2][path]).all()
            assert 0.4 < np.std(found[0][path]) / np.std(value) < 2.5
        else:
            np.testing.assert_array_equal(found[0][path], value)


def test_correlations_are_those_of_scipy_at_pixels_off_the_baseline():
    x = IMAGES.copy()
    x[:, :4] = 0.25
    x[:, 1, 2, 0] = 0.5
    result = explain.cascade(MODEL, VARIABLES, gradient, x, KEY, baseline=0.25)
    counts = (x != 0.25).any(-1)
    assert (counts.sum((1, 2)) == 29).all()
    target = np.asarray(explain.logits(MODEL, VARIABLES)(x)).argmax(1)
    trained = gradient(explain.logits(MODEL, VARIABLES), x, target)
    np.testing.assert_allclose(result.maps[0], trained, rtol=1e-4, atol=1e-6)
    for step in range(8):
        expected = [
            stats.spearmanr(result.maps[0, n][counts[n]].ravel(), each[counts[n]].ravel())[0]
            for n, each in enumerate(result.maps[step])
        ]
        np.testing.assert_allclose(result.correlations[step], expected, atol=1e-9)
        np.testing.assert_allclose(result.correlation[step], np.mean(expected), atol=1e-9)
    assert abs(result.correlation[-1]) < 0.9


def test_an_edge_detector_does_not_change():
    result = explain.cascade(MODEL, VARIABLES, lambda f, x, target: explain.sobel(x), IMAGES, KEY)
    assert result.correlation.tolist() == [1.0] * 8
    assert result.correlations.shape == (8, 3)
    assert result.maps.shape == (8, 3, 8, 7, 1)


def test_a_map_of_the_first_layer_changes_last():
    """The method reads the first kernel only, so all layers above leave it as it is."""

    def method(f, x, target):
        kernel = f.args[0]["params"]["conv_0"]["kernel"]
        first = nn.Conv(3, (3, 3), use_bias=False)
        return np.asarray(first.apply({"params": {"kernel": kernel}}, x))[..., :1]

    result = explain.cascade(MODEL, VARIABLES, method, IMAGES, KEY)
    assert result.correlation[:-1].tolist() == [1.0] * 7
    assert result.correlation[-1] < 0.95


def test_input_times_a_constant_map_shows_why_the_baseline_is_left_out():
    """Over all pixels of a black image even noise times the input correlates."""
    rng = np.random.default_rng(0)
    x = np.zeros((4, 28, 28, 1), np.float32)
    x[:, 10:16, 10:16] = 0.5 + rng.random((4, 6, 6, 1), np.float32) / 2
    model = CNN((Stage(2),), outputs=2)
    variables = random_variables(model, x)

    def method(f, images, target):
        return images * rng.random(images.shape)

    inside = explain.cascade(model, variables, method, x, KEY).correlation
    everywhere = explain.cascade(model, variables, method, x, KEY, baseline=1.0).correlation
    assert (np.abs(inside[1:]) < 0.45).all()
    assert (everywhere[1:] > 0.95).all()


def test_prepare_is_part_of_the_network():
    seen = []

    def method(f, x, target):
        seen.append(np.asarray(f(jnp.asarray(x))))
        return x

    explain.cascade(MODEL, VARIABLES, method, IMAGES, KEY, prepare=lambda x: 2 * x - 1)
    expected = MODEL.apply(VARIABLES, 2 * IMAGES - 1, train=False)
    np.testing.assert_allclose(seen[0], expected, rtol=1e-4, atol=1e-5)


class Repeated(nn.Module):
    """A shared layer that is called twice, one under a transformation, and a bare parameter."""

    @nn.compact
    def __call__(self, x):
        scale = self.param("scale", nn.initializers.normal(), (1, 4))
        shared = nn.Dense(4, name="shared")
        x = shared(x.reshape(len(x), -1)[:, :4])
        x = nn.relu(nn.Dense(4, name="a_middle")(x))
        inner = nn.remat(nn.Dense)(4, name="inner")
        return shared(inner(x) * scale)


def test_shared_and_transformed_layers_have_a_place():
    x = IMAGES[..., :1]
    variables = Repeated().init(jax.random.key(0), x)
    names = layers_from_output(Repeated(), variables, (8, 7, 1))
    assert set(names) == {"", "shared", "a_middle", "inner"}
    assert names.index("shared") < names.index("a_middle")
    found = []
    result = explain.cascade(Repeated(), variables, recorder(found), x, KEY)
    assert sorted(result.names[1:]) == sorted(names)
    for a, b in zip(jax.tree.leaves(found[-1][0]), jax.tree.leaves(variables), strict=True):
        assert (np.asarray(a) != np.asarray(b)).any() or not np.asarray(b).any()


@pytest.mark.parametrize("size", [2, 9, 50])
@pytest.mark.parametrize("values", [3, 1000])
def test_rank_correlation_is_that_of_scipy(size, values):
    rng = np.random.default_rng(size + values)
    for _ in range(5):
        a, b = rng.integers(0, values, (2, size)).astype(float)
        a[0] = -1
        b[0] = values
        expected = stats.spearmanr(a, b)[0]
        assert explain.rank_correlation(a, b) == pytest.approx(expected, abs=1e-12)
    assert explain.rank_correlation(a, 3 * a + 1) == 1.0
    assert explain.rank_correlation(a, -a) == pytest.approx(-1.0)
    assert explain.rank_correlation(a, np.ones(size)) == 0.0
    with pytest.raises(InputError, match="^b: got '1 values', allowed: as many as a"):
        explain.rank_correlation(a, a[:1])
    with pytest.raises(InputError, match="^a, b: got 'NaN or infinity'"):
        explain.rank_correlation(a, a * np.nan)


def test_an_image_without_pixels_is_refused():
    x = IMAGES.copy()
    x[1] = 0.0
    with pytest.raises(InputError, match=r"^images\[1\]: got 'the baseline alone', allowed"):
        explain.cascade(MODEL, VARIABLES, gradient, x, KEY)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        (lambda f, x, target: x[0], {}, r"^maps: got \[8, 7, 2\]"),
        (lambda f, x, target: x * np.nan, {}, "^maps: got 'NaN or infinity'"),
        (gradient, {"target": 3}, "^target: got 3"),
        (gradient, {"baseline": "x"}, "^baseline: got 'x'"),
    ],
)
def test_bad_methods_and_options_are_refused(method, options, message):
    with pytest.raises(InputError, match=message):
        explain.cascade(MODEL, VARIABLES, method, IMAGES, KEY, **options)


def test_other_keys_and_models_are_refused():
    with pytest.raises(InputError, match="^key: got 0"):
        explain.cascade(MODEL, VARIABLES, gradient, IMAGES, 0)
    model = nn.Sequential([lambda x: x.mean((1, 2))])
    with pytest.raises(InputError, match="^variables: got .*allowed: a model with parameters"):
        explain.cascade(model, {"params": {}}, gradient, IMAGES, KEY)
