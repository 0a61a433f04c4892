"""The record that every task returns."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from jaxtyping import Array, Key

from jaxdl.core import Batch, Params, Update


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """The pure functions that train and apply a model.

    Each entry of `functions` is an attribute, too: `task.predict` is `task.functions["predict"]`.

    Attributes:
      init: `init(key, batch) -> (params, extra)`.
      updates: `updates(*optimizers) -> updates`, the updates of a learner. A task has one optimizer
        for each network that is trained on its own: one, or two for a GAN.
      functions: the losses and the inference functions, by name. A loss is
        `loss(params, extra, batch, key, *, train) -> ((sum, count), (extra, metrics))`. An
        inference function is `f(params, extra, *inputs) -> outputs` (see `jaxdl.bind`).

    Example:
      >>> import jaxdl
      >>> task = jaxdl.tasks.classify(jaxdl.models.MLP([16]))
      >>> sorted(task.functions)
      ['loss', 'predict']
    """

    init: Callable[[Key[Array, ""], Batch], tuple[Params, Any]]
    updates: Callable[..., tuple[Update, ...]]
    functions: Mapping[str, Callable[..., Any]]

    def __getattr__(self, name: str) -> Callable[..., Any]:
        functions = self.__dict__.get("functions", {})
        if name in functions:
            return functions[name]
        names = ", ".join(["init", "updates", *functions])
        raise AttributeError(f"this task has no {name!r}, only {names}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.functions]


def one_update(loss: Callable[..., Any]) -> Callable[..., tuple[Update, ...]]:
    """Returns the function `updates(optimizer)` of a task with a single loss.

    Example:
      >>> import optax
      >>> len(one_update(lambda *_: None)(optax.sgd(0.1)))
      1
    """
    return lambda optimizer: (Update(loss, optimizer),)
