"""Learning from rewards: environments as pure functions, and exact solutions of finite ones."""

from jaxdl.rl.environment import (
    Environment,
    FiniteEnvironment,
    Outcomes,
    Transition,
    check_action,
    check_environment,
    step_and_reset,
)
from jaxdl.rl.environments import Acrobot, CartPole, Catch, Flippers, MountainCar
from jaxdl.rl.named import ENVIRONMENTS, environment

__all__ = [
    "Acrobot",
    "CartPole",
    "Catch",
    "ENVIRONMENTS",
    "Environment",
    "FiniteEnvironment",
    "Flippers",
    "MountainCar",
    "Outcomes",
    "Transition",
    "check_action",
    "check_environment",
    "environment",
    "step_and_reset",
]
