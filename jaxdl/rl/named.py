"""Environments by name."""

import dataclasses
from typing import Any

from jaxdl.errors import InputError, one_of
from jaxdl.rl import environments
from jaxdl.rl.environment import Environment

#: Environments by name.
ENVIRONMENTS: dict[str, type[Environment]] = {
    "acrobot": environments.Acrobot,
    "cart_pole": environments.CartPole,
    "catch": environments.Catch,
    "flippers": environments.Flippers,
    "mountain_car": environments.MountainCar,
    "tic_tac_toe": environments.TicTacToe,
}


def environment(name: str, **options: Any) -> Environment:
    """Returns an environment by its name.

    Args:
      name: a key of `ENVIRONMENTS`.
      options: fields of its class, such as `limit`.

    Raises:
      InputError: an unknown name or option, with the nearest one; an option out of its range.

    Example:
      >>> environment("flippers", flips=0.1).flips
      0.1
      >>> environment("cartpole")
      Traceback (most recent call last):
      jaxdl.errors.InputError: environment: got 'cartpole', allowed: ... (did you mean 'cart_pole'?)
    """
    kind = ENVIRONMENTS[one_of("environment", name, ENVIRONMENTS)]
    fields = [field.name for field in dataclasses.fields(kind)]
    for option in options:
        if not fields:
            raise InputError("option", option, f"none; {name} has no options")
        one_of(f"option of {name}", option, fields)
    return kind(**options)
