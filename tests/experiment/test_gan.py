"""The options of two players: each one's rate, and when a discriminator has BatchNorm."""

from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.experiment import GANOptions

W = {"w": jnp.array([1.0, 2.0])}


class Task:
    """Takes the optimizers that a game makes."""

    def updates(self, discriminator, generator, critic):
        return discriminator, generator, critic


def rates(config: GANOptions, steps: int, after: int) -> list[float]:
    """The learning rate that each player uses after so many of its own updates."""
    found = []
    for optimizer in config.make_updates(Task(), steps)[:2]:
        state = optimizer.init(W)
        for _ in range(after + 1):
            _, state = optimizer.update(W, state, W)
        found.append(float(state.hyperparams["learning_rate"]))
    return found


def test_each_player_has_its_rate():
    config = GANOptions(
        learning_rate=0.5, discriminator_learning_rate=0.25, schedule="constant"
    ).validate()
    assert rates(config, 10, 3) == pytest.approx([0.25, 0.5])


def test_both_schedules_end_with_the_run():
    """Of four updates of the critic in a step the schedule sees each."""
    config = GANOptions(
        learning_rate=0.5, discriminator_learning_rate=0.25, schedule="cosine", critic_steps=4
    ).validate()
    assert rates(config, 10, 5) == pytest.approx(
        [0.25 * 0.9619, 0.5 * 0.5], rel=1e-3
    )  # 5 of 40, and 5 of 10


@pytest.mark.parametrize("shift", [0, 1])
def test_the_discriminator_sees_some_images_moved_and_some_as_they_are(shift):
    told = {}
    with mock.patch("jaxdl.tasks.gan", lambda *players, **options: told.update(options)):
        GANOptions(shift=shift).make_task(None, None)
    if not shift:
        assert told["augment"] is None
        return
    image = jnp.asarray(np.random.default_rng(0).normal(size=(5, 6, 1)), jnp.float32)
    seen = jax.jit(jax.vmap(told["augment"], (0, None)))(
        jax.random.split(jax.random.key(0), 900), image
    )
    stayed = (np.asarray(seen) == np.asarray(image)).all((1, 2, 3)).mean()
    assert stayed == pytest.approx(1 / 2 + 1 / 18, abs=0.08)  # of the nine moves one is none


@pytest.mark.parametrize(
    ("options", "norm"),
    [
        ({}, "batch"),
        ({"loss": "hinge"}, "batch"),
        ({"spectral_norm": True}, None),
        ({"r1": 1.0}, None),
        ({"penalty": 10.0}, None),
        ({"loss": "wasserstein"}, None),
    ],
)
def test_who_has_a_norm(options, norm):
    assert GANOptions(**options).norm == norm
