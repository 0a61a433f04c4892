"""Learning from rewards: environments as pure functions, and exact solutions of finite ones."""

from jaxdl.rl.dynamics import Dynamics, dynamics, transitions
from jaxdl.rl.environment import (
    Environment,
    FiniteEnvironment,
    Outcomes,
    Transition,
    check_action,
    check_environment,
    step_and_reset,
)
from jaxdl.rl.environments import (
    Acrobot,
    CartPole,
    Catch,
    Flippers,
    MountainCar,
    TicTacToe,
)
from jaxdl.rl.exact import (
    Solution,
    distances,
    expected_moves,
    greedy,
    optimal_boards,
    policy_evaluation,
    value_iteration,
)
from jaxdl.rl.gymnasium import evaluate_in_gymnasium, to_gymnasium
from jaxdl.rl.named import ENVIRONMENTS, environment
from jaxdl.rl.replies import Replies, against_every_reply

__all__ = [
    "Acrobot",
    "CartPole",
    "Catch",
    "Dynamics",
    "ENVIRONMENTS",
    "Environment",
    "FiniteEnvironment",
    "Flippers",
    "MountainCar",
    "Outcomes",
    "Replies",
    "Solution",
    "TicTacToe",
    "Transition",
    "against_every_reply",
    "check_action",
    "check_environment",
    "distances",
    "dynamics",
    "environment",
    "evaluate_in_gymnasium",
    "expected_moves",
    "greedy",
    "optimal_boards",
    "policy_evaluation",
    "step_and_reset",
    "to_gymnasium",
    "transitions",
    "value_iteration",
]
