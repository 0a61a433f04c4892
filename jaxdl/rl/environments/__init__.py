"""Environments, one in each file."""

from jaxdl.rl.environments.acrobot import Acrobot
from jaxdl.rl.environments.cart_pole import CartPole
from jaxdl.rl.environments.catch import Catch
from jaxdl.rl.environments.flippers import Flippers
from jaxdl.rl.environments.mountain_car import MountainCar
from jaxdl.rl.environments.tic_tac_toe import TicTacToe

__all__ = ["Acrobot", "CartPole", "Catch", "Flippers", "MountainCar", "TicTacToe"]
