"""A tiny GAN for the tests: networks, batches, and a task with its initial parameters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl.models import MLP, Reshaped
from jaxdl.tasks import gan
from tests.tasks.scalar import scalar
from tests.training.linear import KEY

RNG = np.random.default_rng(0)
BATCH = {
    "input": jnp.asarray(RNG.normal(size=(6, 3, 1)), jnp.float32),
    "label": jnp.asarray(RNG.integers(0, 4, 6), jnp.int32),
}
MASKED = {**BATCH, "mask": jnp.asarray([1, 1, 0, 1, 0, 1], jnp.float32)}
G = Reshaped(MLP((5,), 3, "tanh"), (3, 1))
D = MLP((5,), 1, "tanh")
LINEAR = MLP((), 1)


@functools.cache
def started(discriminator=D, generator=G, **options):
    """Returns the task, parameters, `extra`, and the two compiled losses."""
    task = gan(generator, discriminator, latent=2, **options)
    losses = [
        jax.jit(scalar(loss), static_argnames="train")
        for loss in (task.discriminator_loss, task.generator_loss)
    ]
    params, extra = task.init(KEY, BATCH)
    # The initial biases are 0, so noise is added to all parameters.
    params = jax.tree.map(
        lambda x: x + jnp.asarray(0.5 * np.random.default_rng(1).normal(size=x.shape), x.dtype),
        params,
    )
    return task, params, extra, *losses


def latent() -> jax.Array:
    """Returns the latents that both losses sample with `KEY`."""
    return jax.random.normal(jax.random.fold_in(jax.random.fold_in(KEY, 0), 0), (6, 2))
