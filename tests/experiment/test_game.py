"""The options of two players: each one's rate, and when a discriminator has BatchNorm."""

import jax.numpy as jnp
import pytest

from jaxdl.experiment import Game

W = {"w": jnp.array([1.0, 2.0])}


class Task:
    """Takes the optimizers that a game makes."""

    def updates(self, discriminator, generator, critic):
        return discriminator, generator, critic


def rates(config: Game, steps: int, after: int) -> list[float]:
    """The learning rate that each player uses after so many of its own updates."""
    found = []
    for optimizer in config.make_updates(Task(), steps)[:2]:
        state = optimizer.init(W)
        for _ in range(after + 1):
            _, state = optimizer.update(W, state, W)
        found.append(float(state.hyperparams["learning_rate"]))
    return found


def test_each_player_has_its_rate():
    config = Game(learning_rate=0.5, discriminator_learning_rate=0.25, schedule="constant").checked()
    assert rates(config, 10, 3) == pytest.approx([0.25, 0.5])


def test_both_schedules_end_with_the_run():
    """Of four updates of the critic in a step the schedule sees each."""
    config = Game(learning_rate=0.5, discriminator_learning_rate=0.25, schedule="cosine", critic=4).checked()
    assert rates(config, 10, 5) == pytest.approx([0.25 * 0.9619, 0.5 * 0.5], rel=1e-3)  # 5 of 40, and 5 of 10


@pytest.mark.parametrize(
    ("options", "norm"),
    [
        ({}, "batch"),
        ({"cost": "hinge"}, "batch"),
        ({"spectral": True}, None),
        ({"r1": 1.0}, None),
        ({"penalty": 10.0}, None),
        ({"cost": "wasserstein"}, None),
    ],
)
def test_who_has_a_norm(options, norm):
    assert Game(**options).norm == norm
