"""Taps around calls: errors, transformations, threads, and modules of a user."""

import gc
from concurrent.futures import ThreadPoolExecutor

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.models import (
    MLP,
)
from jaxdl.nn import LSTM, named, tap
from jaxdl.nn.tap import tapped
from tests.models.random_variables import random_variables
from tests.nn import recurrences
from tests.nn.tapped import MODELS, VECTORS, B, close, seen, variables_of


def test_the_names_select_and_bumps_need_no_name():
    model, x, _ = MODELS["mlp"]
    f = tap(model, variables_of("mlp"), "out", "dense_0", train=False)
    y, activations = f(x)
    assert list(activations) == ["out", "dense_0"]
    bump = np.full((B, 4), 0.5, np.float32)
    moved, bumped = f(x, {"activation_1": bump})
    assert set(bumped) == set(activations)
    out = variables_of("mlp")["params"]["out"]["kernel"]
    close(moved, y + bump @ out, 1e-5)
    close(bumped["out"], moved)
    shapes = jax.eval_shape(tap(model, variables_of("mlp"), train=False), x)[1]
    assert {"norm_1", "activation_1"} < set(shapes)


def test_a_sum_of_a_narrow_activation_and_a_wide_bump_is_narrow():
    model = MLP((4,), 2, dtype=jnp.bfloat16)
    f = tap(model, random_variables(model, VECTORS), "dense_0", train=False)
    bump = np.ones((B, 4), np.float32)
    values = f(VECTORS)[1]["dense_0"]
    bumped = f(VECTORS, {"dense_0": bump})[1]["dense_0"]
    assert values.dtype == bumped.dtype == jnp.bfloat16
    close(bumped.astype(jnp.float32), values.astype(jnp.float32) + bump, 0.01)
    gradient = jax.grad(lambda bump: f(VECTORS, {"dense_0": bump})[0].sum())(bump)
    assert gradient.dtype == jnp.float32


def test_training_mode_returns_the_updated_statistics(key):
    model = MLP((50,), 2, dropout=0.5, norm="batch")
    variables = random_variables(model, VECTORS)
    more = {"train": True, "rngs": {"dropout": key}, "mutable": ["batch_stats"]}
    (y, updates), activations = tap(model, variables, **more)(VECTORS)
    expected, expected_updates = model.apply(variables, VECTORS, **more)
    close((y, updates), (expected, expected_updates))
    dropped = np.asarray(activations["Dropout_0"]) == 0
    kept = activations["activation_0"] * 2
    close(activations["Dropout_0"], np.where(dropped, 0, kept))


ERRORS = {
    "name: got 'conv_7', allowed: .*norm_0.* \\(did you mean 'conv_2'": (["conv_7"], {}),
    "name: got 3, allowed: names of activations": ([3], {}),
    "bumps: got 'pool', allowed: .*pool_0": ([], {"pool": np.zeros(1)}),
    "bumps\\['pool_0'\\]: got \\[1, 4, 4, 8\\], allowed: \\[2, 4, 4, 8\\], the shape": (
        [],
        {"pool_0": np.zeros((1, 4, 4, 8))},
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_list_what_is_allowed(message):
    names, bumps = ERRORS[message]
    model, x, _ = MODELS["cnn"]
    with pytest.raises(InputError, match=message) as error:
        jax.eval_shape(tap(model, variables_of("cnn"), *names, train=False), x, bumps)
    assert "\n" not in str(error.value)


def test_a_bump_of_a_gate_has_its_shape():
    model, x, _ = MODELS["lstm"]
    f = tap(model, variables_of("lstm"), train=False)
    with pytest.raises(InputError, match="forget'\\]: got \\[2, 5, 3\\], allowed: \\[2, 6, 3\\]"):
        f(x, {"body/lstm_1/forget": np.zeros((2, 5, 3), np.float32)})


def test_nothing_remains_after_a_call_or_an_error():
    model, x, _ = MODELS["cnn"]
    variables = variables_of("cnn")

    def program():
        return gradient_of(lambda x: (model.apply(variables, x, train=False), None))

    def gradient_of(f):
        return str(jax.make_jaxpr(jax.grad(lambda x: f(x)[0].sum()))(x))

    class Probe(linen.Module):
        @linen.compact
        def __call__(self, x):
            assert (tapped(self) is None) == (len(x) == 1)
            if len(x) == 3:
                raise ZeroDivisionError
            return x

    before = program()
    f = tap(model, variables, train=False)
    jax.eval_shape(f, x)
    with pytest.raises(InputError):
        f(x, {"conv_0": np.zeros(1)})
    with pytest.raises(ZeroDivisionError):
        tap(Probe(), {})(np.zeros(3))
    tap(Probe(), {})(np.zeros(2))
    Probe().apply({}, np.zeros(1))
    assert program() == before
    assert "remat" in before
    assert "remat" not in gradient_of(f)


@pytest.fixture
def few_objects():
    """Hides all objects of other tests from the garbage collector, which a leak check starts."""
    gc.freeze()
    yield
    gc.unfreeze()


def test_transformations_of_f_leak_nothing(few_objects):
    model, x, _ = MODELS["smooth_cnn"]
    f = tap(model, variables_of("smooth_cnn"), "pool_0", train=False)
    y, activations = seen("smooth_cnn")
    with jax.checking_leaks():
        close(jax.jit(f)(x)[0], y)
        mapped = jax.vmap(lambda x: f(x[None]))(x)
        close(mapped[1]["pool_0"][:, 0], activations["pool_0"])
        gradient = jax.jit(jax.grad(lambda x: f(x)[1]["pool_0"].sum()))(x)
        rest = jax.checkpoint(lambda x: f(x)[1]["pool_0"].sum())
        close(jax.jit(jax.grad(rest))(x), gradient, 1e-5)
        _, scanned = jax.lax.scan(lambda c, x: (c, f(x[None])[1]), 0, x)
        close(scanned["pool_0"][:, 0], activations["pool_0"])


def test_threads_have_taps_of_their_own():
    names = ["mlp", "weight_norm", "conditional", "vae"] * 3

    def run(name):
        model, x, more = MODELS[name]
        return tap(model, variables_of(name), train=False, **more)(x)

    with ThreadPoolExecutor(4) as threads:
        for name, result in zip(names, threads.map(run, names), strict=True):
            close(result, seen(name), 1e-5)


class Users(linen.Module):
    """A module of a user: a shared layer, a base class, loops, and a value with a name."""

    def setup(self):
        self.shared = linen.Dense(6)
        self.scaled = Scaled(6)
        self.again = linen.remat(linen.Dense)(6)

    def __call__(self, x):
        x = named(self, "square", self.shared(x) ** 2)
        x = self.shared(x) + self.scaled(x) + self.again(x)
        x = jax.jit(lambda x: named(self, "inside", x) + 1)(x)
        return jax.lax.scan(lambda c, row: (c, named(self, "row", row)), 0, x)[1]


class Scaled(linen.Dense):
    @linen.compact
    def __call__(self, x):
        return super().__call__(x) * 3


def test_a_module_of_a_user_has_names():
    model = Users()
    variables = random_variables_of_a_user(model)
    params = variables["params"]
    y, activations = jax.jit(tap(model, variables))(VECTORS)

    def dense(name, x):
        return x @ params[name]["kernel"] + params[name]["bias"][None]

    square = dense("shared", VECTORS) ** 2
    expected = {
        "shared": dense("shared", VECTORS),
        "square": square,
        "shared:1": dense("shared", square),
        "scaled": 3 * dense("scaled", square),
    }
    close(activations, expected, 1e-5)
    again = dense("again", square)
    close(y, expected["shared:1"] + expected["scaled"] + again + 1, 1e-5)


def random_variables_of_a_user(model):
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), VECTORS))
    return recurrences.random_like(shapes, 0)


def test_a_tapped_model_may_apply_another_one():
    inner = MLP((5,), 6, "tanh")
    inner_variables = random_variables(inner, VECTORS)

    class Outer(linen.Module):
        tap: bool

        @linen.compact
        def __call__(self, x, train):
            if self.tap:
                x, activations = tap(inner, inner_variables, train=False)(x)
                assert set(activations) >= {"dense_0", "activation_0"}
            else:
                x = inner.apply(inner_variables, x, train=False)
            return linen.Dense(3, name="dense_0")(x)

    variables = random_variables(Outer(False), VECTORS)
    results = [tap(Outer(each), variables, train=False)(VECTORS) for each in (True, False)]
    assert set(results[0][1]) == {"dense_0"}
    close(results[0], results[1])
    close(results[0][0], results[0][1]["dense_0"])


def test_an_lstm_by_itself_has_names_without_a_path():
    model = LSTM(3)
    variables = recurrences.parameters("lstm")
    x = recurrences.normal(1, recurrences.B, recurrences.T, recurrences.D)
    carry = recurrences.carries("lstm", 5)
    (ys, end), activations = tap(model, variables, carry=carry, mask=recurrences.HOLES)(x)
    close((ys, end), model.apply(variables, x, carry, recurrences.HOLES))
    close(activations["h"], ys)
    assert set(activations) == {"input", "forget", "candidate", "output", "cell", "h"}
