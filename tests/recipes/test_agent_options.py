"""Options of agents: defaults of each environment, and options that a method does not have."""

import dataclasses

import pytest

from jaxdl.errors import InputError
from jaxdl.recipes.agent_options import PRESETS, AgentOptions, agent_task, with_preset
from jaxdl.rl import environment
from jaxdl.runs import RunOptions, with_options
from tests.runs.scripts import script


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("method", ["dqn", "reinforce"])
def test_the_defaults_of_each_environment_make_an_agent(name, method):
    agent = with_preset(AgentOptions(method=method), name)
    task = agent_task(agent, environment(name))
    assert task.arguments["discount"] == PRESETS[name].agent["discount"]
    assert None not in dataclasses.asdict(agent).values()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"explore_from": 2.0}, "explore_from: got 2.0, allowed: a number in [0, 1]"),
        ({"method": "sarsa"}, "method: got 'sarsa', allowed: dqn, reinforce"),
        *(
            (
                {"method": "reinforce", name: value},
                f"{name}: got {value}, allowed: no value, since reinforce has no such option; "
                "leave it out",
            )
            for name, value in (
                *(("dueling", True), ("double", False), ("n_steps", 2), ("updates", 1)),
                *(("replay", 100), ("explore_to", 0.1), ("target_rate", 0.5)),
            )
        ),
    ],
)
def test_options_of_no_agent(options, message):
    with pytest.raises(InputError) as error:
        AgentOptions(**options).validate(RunOptions())
    assert str(error.value) == message


def test_options_of_a_policy_gradient():
    AgentOptions(method="reinforce", hidden=(8,), discount=0.5).validate(RunOptions())


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("changes", [{}, {"replay_batch": 512, "first_moves": 600}])
def test_a_smoke_test_has_a_replay_of_at_least_a_batch(name, changes):
    config = with_options(script("dqn").Config(), environment=name, smoke=True, **changes)
    config = config.validate()
    agent = with_preset(config.agent, name)
    task = agent_task(agent, environment(name))
    assert task.arguments["replay_batch"] <= task.arguments["first_moves"] == 200
