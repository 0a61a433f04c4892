"""Agents with networks: their options by environment."""

import pytest

from jaxdl.recipes.rewards import PRESETS, agent_task, with_preset
from jaxdl.rl import environment
from jaxdl.runs import with_options
from tests.runs.scripts import script


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("changes", [{}, {"replay_batch": 512, "first_moves": 600}])
def test_a_smoke_test_has_a_replay_of_at_least_a_batch(name, changes):
    config = with_options(script("dqn").Config(), environment=name, smoke=True, **changes)
    config = config.validate()
    agent = with_preset(config.agent, name)
    task = agent_task(agent, environment(name))
    assert task.arguments["replay_batch"] <= task.arguments["first_moves"] == 200
