"""Optimizers of images within [0, 1], with a fixed number of evaluations of a loss."""

import time
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

Image = Float[Array, "H W C"]

#: An image to its loss and the gradient.
Evaluate = Callable[[Image], tuple[float, Image]]

#: Number of pairs of steps and gradient changes that L-BFGS remembers.
MEMORY = 10

#: Root mean square of the first step, which no curvature determines.
FIRST_STEP = 0.02

#: Number of lengths that are tried for a step.
SHORTER = 8


class Spent(Exception):
    """The end of a budget."""


class Budget:
    """A loss that can be evaluated a fixed number of times, with the best image so far.

    Args:
      evaluate: function of an image, with its loss and gradient.
      evaluations: number of evaluations.
      frames: number of images that are kept, denser at the start.

    Attributes:
      best: image with the smallest loss.
      best_loss: its loss.
      best_at: number of its evaluation.
      frames: best image after some numbers of evaluations, by this number.
      found_at: number of the evaluation of each of these images, by the same number.
      seconds: duration of all evaluations but the first, which compiles.

    Example:
      >>> budget = Budget(lambda x: (float((x**2).sum()), 2 * x), 3, 2)
      >>> adam(budget, jnp.ones((2, 2, 1)), 0.1)
      Traceback (most recent call last):
      jaxdl.art.descent.Spent
      >>> budget.done, round(budget.best_loss, 2), list(budget.frames), budget.found_at
      (3, 2.56, [1, 3], {1: 1, 3: 3})
    """

    def __init__(self, evaluate: Evaluate, evaluations: int, frames: int) -> None:
        self.evaluate = evaluate
        self.evaluations = evaluations
        self.done = 0
        self.best = np.zeros((0, 0, 0))
        self.best_loss = float("inf")
        self.best_at = 0
        self.frames: dict[int, np.ndarray] = {}
        self.found_at: dict[int, int] = {}
        self.seconds = 0.0
        self._frame_at = set(np.geomspace(1, evaluations, frames).round().astype(int).tolist())

    def __call__(self, image: Image) -> tuple[float, Image]:
        """Returns the loss and the gradient; raises Spent after the last evaluation."""
        if self.done == self.evaluations:
            raise Spent
        started = time.perf_counter()
        loss, gradient = self.evaluate(image)
        if self.done:
            self.seconds += time.perf_counter() - started
        self.done += 1
        if loss < self.best_loss:
            self.best_loss = loss
            self.best = np.asarray(image)
            self.best_at = self.done
        if self.done in self._frame_at:
            self.finish()
        return loss, gradient

    def finish(self) -> None:
        """Makes the best image a frame, the last one if the optimizer stops early."""
        self.frames[self.done] = self.best
        self.found_at[self.done] = self.best_at


def lbfgs(budget: Budget, start: Image, learning_rate: float) -> None:
    """Minimizes by L-BFGS with bounds; a step that does not reduce the loss is shortened.

        d = H g,    y = clip(x - t d, 0, 1),    H the estimate of the inverse Hessian matrix

    Gradients that point out of the bounds count as 0. Most steps need one evaluation.

    Source: Liu, Nocedal 1989, On the limited memory BFGS method; Bertsekas 1982, Projected Newton
    methods for optimization problems with simple constraints.

    Args:
      budget: the loss.
      start: first image.
      learning_rate: not used; lengths of steps follow from the gradients.

    Raises:
      Spent: all evaluations are done.

    Example:
      >>> budget = Budget(lambda x: (float(((x - 0.5) ** 2).sum()), 2 * x - 1), 100, 2)
      >>> lbfgs(budget, jnp.ones((2, 2, 1)), 0.0)
      >>> budget.best.ravel().round(3).tolist(), budget.done < 100
      ([0.5, 0.5, 0.5, 0.5], True)
    """
    init, direction = _directions()
    image = jnp.asarray(start)
    loss, gradient = budget(image)
    state = init(image)
    is_fresh = True
    while True:
        step, slope, state = direction(image, gradient, state)
        size = float(jnp.sqrt(jnp.mean(step**2)))
        length = 1.0
        if is_fresh and size:
            length = FIRST_STEP / size
        for _ in range(SHORTER):
            tried = _moved(image, step, length)
            new_loss, new_gradient = budget(tried)
            if new_loss < loss + 1e-4 * length * min(float(slope), 0.0):
                break
            length *= 0.4
        else:
            if is_fresh:
                # Not even a small step along the gradient helps: rounding has the rest.
                break
            state = init(image)
            is_fresh = True
            continue
        image = tried
        loss = new_loss
        gradient = new_gradient
        is_fresh = False
    budget.finish()


@cache
def _directions() -> tuple[Any, Any]:
    """Returns compiled functions: the first state of L-BFGS, and its next step."""
    method = optax.scale_by_lbfgs(MEMORY)

    def init(image: Array) -> Any:
        return method.init(image)

    def direction(image: Array, gradient: Array, state: Any) -> Any:
        is_out = ((image <= 0) & (gradient > 0)) | ((image >= 1) & (gradient < 0))
        gradient = jnp.where(is_out, jnp.zeros_like(gradient), gradient)
        # Some of Optax's code mixes dtypes, which strict promotion refuses.
        with jax.numpy_dtype_promotion("standard"):
            step, state = method.update(gradient, state, image)
        return -step, -jnp.sum(gradient * step), state

    return jax.jit(init), jax.jit(direction)


@jax.jit
def _moved(image: Array, step: Array, length: float) -> Array:
    return jnp.clip(image + length * step, 0, 1)


def adam(budget: Budget, start: Image, learning_rate: float) -> None:
    """Minimizes by Adam; pixels are clipped to [0, 1] after each step.

    Args:
      budget: the loss.
      start: first image.
      learning_rate: size of a step.

    Raises:
      Spent: all evaluations are done.

    Example: see `Budget`.
    """
    # With the usual 1e-8 the small gradients of pixels would give smaller steps.
    optimizer = optax.adam(learning_rate, eps=1e-16)
    image = jnp.asarray(start)
    state = optimizer.init(image)
    while True:
        _, gradient = budget(image)
        with jax.numpy_dtype_promotion("standard"):
            step, state = optimizer.update(gradient, state)
        image = _moved(image, step, 1.0)


METHODS = {"lbfgs": lbfgs, "adam": adam}
