"""Hashes of traced functions: equal for equal computations, in every process."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.training.canonical import hash_of

X = jnp.ones((3, 2))

#: Prints the hashes of a learner with every kind of parameter that could print an address.
PROGRAM = """
import jax, optax, jaxdl, numpy as np
from jaxdl.training.program import traced_init, traced_step
from jaxdl.training.canonical import hash_of
from tests.contract import ROWS
for name in ("mlp_dropout", "lstm_language"):
    row = ROWS[name]()
    net = row.learner(jaxdl.optimizers.optimizer("adam", 1e-3))
    example = [(field, (8, *x.shape[1:]), x.dtype) for field, x in row.data.arrays.items()]
    example = (*example, ("mask", (8,), np.dtype("float32")))
    for traced in (traced_step(net, example), traced_init(net, example)):
        print(name, *hash_of(traced, "optimizer", ".opt").values())
"""


def digest(f, *args) -> str:
    return hash_of(jax.jit(f).trace(*args or (X,)), "optimizer", ".opt")["all"]


def with_constant(value):
    return lambda x: x + value


def looped(length: int):
    return lambda x: jax.lax.scan(lambda c, _: (jnp.sin(c), None), x, length=length)[0]


def called_back(number: float):
    def on_host(x):
        return np.asarray(x) * np.float32(number)

    return lambda x: jax.pure_callback(on_host, jax.ShapeDtypeStruct(x.shape, x.dtype), x)


@jax.custom_vjp
def doubled(x):
    return 2 * x


doubled.defvjp(lambda x: (2 * x, None), lambda _, g: (3 * g,))

OTHERS = {
    "number": (with_constant(1.0), with_constant(2.0)),
    "array": (with_constant(np.ones((3, 2))), with_constant(np.eye(3, 2))),
    "dtype": (lambda x: x.astype(jnp.bfloat16), lambda x: x.astype(jnp.float16)),
    "operation": (jnp.sin, jnp.cos),
    "order": (lambda x: x[0] - x[1], lambda x: x[1] - x[0]),
    "length": (looped(2), looped(3)),
    "key": (
        lambda x: x + jax.random.normal(jax.random.key(0), x.shape),
        lambda x: x + jax.random.normal(jax.random.key(1), x.shape),
    ),
    "callback": (called_back(1.0), called_back(2.0)),
    "gradient": (lambda x: doubled(x).sum(), jax.grad(lambda x: doubled(x).sum())),
    "outputs": (lambda x: (x, 2 * x), lambda x: (2 * x, x)),
    "branch": (
        lambda x: jax.lax.cond(x[0, 0] > 0, jnp.sin, jnp.cos, x),
        lambda x: jax.lax.cond(x[0, 0] > 0, jnp.cos, jnp.sin, x),
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_computations_have_other_hashes(kind):
    with jax.numpy_dtype_promotion("standard"):
        one, two = (digest(f) for f in OTHERS[kind])
        assert one != two
        # The same function traced again is a new trace with the same hash.
        first = OTHERS[kind][0]
        assert digest(lambda x: first(x)) == one


def test_names_and_positions_do_not_count():
    def f(x):
        y = jnp.tanh(x)
        return y * 2

    def renamed(values):
        with jax.named_scope("layer"):
            squashed = jnp.tanh(values)
        return squashed * 2

    assert digest(f) == digest(renamed)


def test_copies_between_devices_do_not_count():
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    everywhere = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    shape = jax.ShapeDtypeStruct(X.shape, X.dtype, sharding=everywhere)

    def f(x):
        return jnp.where(x > 0, x / x.sum(), 0.0)

    assert digest(f, shape) == digest(lambda x: f(x), X)


def test_the_parts_of_a_function():
    def step(factor, rate):
        def f(x):
            y = jnp.sin(factor * x)
            with jax.named_scope("optimizer"):
                return y * rate + jnp.ones(())

        return hash_of(jax.jit(f).trace(X), "optimizer", ".opt")

    plain = step(1.5, 2.0)
    other_loss = step(2.5, 2.0)
    other_rate = step(1.5, 3.0)
    assert plain["inside"] == other_loss["inside"] != other_rate["inside"]
    assert plain["outside"] == other_rate["outside"] != other_loss["outside"]


def test_hashes_are_equal_in_every_process():
    outputs = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert not done.returncode, done.stderr
        outputs.append(done.stdout)
    assert outputs[0] == outputs[1] and len(outputs[0].splitlines()) == 4
