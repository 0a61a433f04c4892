"""Root keys and streams: a stream follows from a seed and a name."""

import re
import zlib
from types import SimpleNamespace

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest

from jaxdl import art, classic, explain, landscape, rl, rng, selection
from jaxdl.core import State
from jaxdl.data import SINE, Dataset, curve_points, few_labels, paired, random_labels, split
from jaxdl.errors import InputError
from jaxdl.explain import Ascent, maximize
from jaxdl.models import MLP
from jaxdl.recipes import latent_noise
from jaxdl.recipes.pixels import PixelOptions
from jaxdl.training import train
from tests.training.linear import line, points

ALLOWED = "an integer in [0, 2**32), or a sequence of them"
NAMES = [
    *("init", "data", "split", "train", "eval", "sample", "maximize", "baseline", "smooth"),
    *("lime", "rise", "faithfulness", "random_order", "cascade", "attack", "dream", "direction"),
    *("eigenvalue", "matching", "gradient_noise"),
    *("style", "random_layer", "folds", "search"),
    *("curve", "few_labels", "random_labels", "bias_variance", "features"),
    *("step", "binarize", "a", "b"),
]


def bits(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


def test_root_is_a_typed_threefry_key():
    key = rng.root(7)
    assert jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key)
    assert str(jax.random.key_impl(key)) == "threefry2x32"
    assert bits(key) == (0, 7)


def test_root_ignores_the_default_generator():
    with jax.default_prng_impl("rbg"):
        assert bits(rng.root(7)) == (0, 7)


def test_different_seeds_give_different_keys():
    assert bits(rng.root(2**32 - 1)) == (0, 2**32 - 1)
    assert len({bits(rng.root(seed)) for seed in [0, 1, 2, 2**31 - 1, 2**31, 2**32 - 1]}) == 6


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64, 1.0, "0", True, None])
def test_other_seeds_are_refused(seed):
    with pytest.raises(InputError) as raised:
        rng.root(seed)
    assert str(raised.value) == f"seed: got {seed!r}, allowed: {ALLOWED}"


@pytest.mark.parametrize("kind", [np.int64, np.uint32, np.uint8, np.array, jax.numpy.int32])
def test_integers_of_other_libraries_are_seeds(kind):
    assert bits(rng.root(kind(3))) == (0, 3)


@pytest.mark.parametrize(
    "seed", [np.int64(-1), np.uint64(2**32), np.float32(3), np.bool_(True), np.array([[0, 1]])]
)
def test_arrays_and_numbers_that_are_no_seeds_are_refused(seed):
    with pytest.raises(InputError) as raised:
        rng.root(seed)
    assert str(raised.value) == f"seed: got {seed!r}, allowed: {ALLOWED}"


def explained():
    """Calls the explanations that have random numbers."""
    key = rng.root(0)
    images = np.ones((1, 4, 4, 1), np.float32)

    def f(x):
        return x.mean((1, 2))

    explain.baselines("noise", images, key)
    explain.smooth_gradient(f, images, 0, key=key, samples=1)
    cells = explain.grid((4, 4), 2)
    explain.lime(f, images, key=key, segments=cells, baseline=0.0, samples=10)
    explain.rise(f, images, key=key, masks=2, cells=2)
    explain.deletion(f, images, explain.random_order(images, key), steps=2, score="raw")
    model = nn.Sequential([lambda x: x.reshape(1, -1), nn.Dense(2)])
    variables = model.init(key, images)
    three = np.ones((1, 4, 4, 3), np.float32)
    explain.adversarial_examples(f, three, 0, key, explain.pgd(0.1, 1))
    explain.cascade(model, variables, lambda f, x, target: x, images, key)
    art.random_layer(key, features=1, scales=(1,))
    options = art.Style((), ("pixels",), evaluations=1)
    art.texture(lambda x: {"pixels": x}, three[0], (2, 2), key, options)
    art.dream(lambda x: {"pixels": x}, images[0], key, art.Dream(octaves=1, steps=1, shift=1))
    landscape.random_direction(variables, key)
    two = MLP((2,), 2)
    params = two.init(key, images, train=False)["params"]
    landscape.largest_eigenvalue(lambda w: (w**2).sum(), three, key)
    state = State(np.zeros((), np.int32), params, (), {})
    landscape.match_units(two, state, state, key, orders=2)
    landscape.descend(optax.sgd(0.1), lambda x: x.sum(), [1.0], 1, noise=1.0, key=key)
    curve_points(SINE, 2, key)
    labelled = Dataset({"input": images[:, 0, :, 0], "label": np.zeros(1, int)}, "one", classes=2)
    random_labels(labelled, key)
    few_labels(labelled, 1, key)
    x = jax.numpy.ones(2)
    classic.bias_variance(lambda x, y, at: at, lambda x: x, 1.0, x, key, sets=2)
    classic.double_descent((x[:, None], x), (x[:, None], x), [1], key)
    selection.kfold(points(), 2, key=key)
    selection.sample(key, 1)
    catch = rl.Catch()
    rl.step_and_reset(catch, catch.reset(key), 0, key)
    next(paired(labelled, labelled).training(key, 1, 0, lambda host: host))


def test_the_docstring_lists_the_streams_in_use(monkeypatch):
    used = set()
    monkeypatch.setattr(
        rng, "zlib", SimpleNamespace(crc32=lambda name: used.add(name.decode()) or zlib.crc32(name))
    )
    training, validation = split(points(), rng.root(0), 0.3)
    train(
        line(),
        training,
        key=rng.root(0),
        steps=1,
        batch_size=4,
        save_every=1,
        validation=validation,
    )
    latent_noise(0, 2, 1)
    grey = Dataset({"input": np.zeros((1, 2, 2, 1), np.float32)}, "grey")
    PixelOptions(bits=1, binarize="fixed").prepared(grey, 0)
    maximize(lambda x: x.mean((1, 2)), [0], rng.root(0), (4, 4, 1), Ascent(steps=1))
    explained()
    listed = re.findall(
        r'"(\w+)"', rng.stream.__doc__.split("changes no other one.")[1].split("Args:")[0]
    )
    assert used == set(listed) == set(NAMES)


def test_streams_differ_by_name_and_by_root():
    keys = [rng.stream(rng.root(seed), name) for seed in (0, 1) for name in NAMES]
    assert len({bits(key) for key in keys}) == 2 * len(NAMES)
    numbers = np.array([jax.random.normal(key, (1000,)) for key in keys])
    correlation = np.corrcoef(numbers) - np.eye(len(keys))
    assert np.abs(correlation).max() < 0.15


def test_a_stream_depends_on_its_name_only():
    key = rng.root(3)
    for name in NAMES:
        assert bits(rng.stream(key, name)) == bits(
            jax.random.fold_in(key, zlib.crc32(name.encode()))
        )
    # The literal value ensures that later versions derive the same stream.
    assert bits(rng.stream(key, "train")) == (811860491, 1371050023)


def test_a_stream_is_the_same_inside_jit(key):
    assert bits(jax.jit(lambda key: rng.stream(key, "data"))(key)) == bits(rng.stream(key, "data"))


def test_several_seeds_give_the_root_key_of_each():
    keys = rng.root([3, 0, 2**32 - 1])
    numbers = (3, 0, 2**32 - 1)
    streams = rng.stream(keys, "x")
    for i, number in enumerate(numbers):
        root = rng.root(number)
        assert bits(keys[i]) == bits(root)
        assert bits(streams[i]) == bits(rng.stream(root, "x"))


def test_an_array_of_seeds():
    from_array = jax.random.key_data(rng.root(np.arange(3)))
    assert (from_array == jax.random.key_data(rng.root(range(3)))).all()


@pytest.mark.parametrize("seeds", [[], [1, -1], [0, 2.5], "12"])
def test_bad_seeds_among_several(seeds):
    with pytest.raises(InputError):
        rng.root(seeds)
