"""Class-conditional networks."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least
from jaxdl.models.sequence import OneHot
from jaxdl.nn.tap import train_kwargs


class Conditional(nn.Module):
    """A network with a class as additional input.

    A vector input gets a learned vector per class, an image a learned plane as another channel.

        y = body([x, e_label])

    Source: Mirza, Osindero 2014, Conditional generative adversarial nets; Sohn et al. 2015
    (conditional VAE).

    Attributes:
      body: module called as `body(x, train=bool)`.
      classes: number of classes, at least 2.
      features: length of the vector of a class, used for inputs `[B, D]`.

    Raises:
      InputError: an invalid field, raised when the module is created.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP
      >>> model = Conditional(MLP((), 3), 10)
      >>> x = jnp.ones((2, 5))
      >>> label = jnp.array([1, 7])
      >>> variables = model.init(jax.random.key(0), x, train=False, label=label)
      >>> model.apply(variables, x, train=False, label=label).shape
      (2, 3)
    """

    body: nn.Module
    classes: int
    features: int = 16

    def __post_init__(self) -> None:
        at_least("classes", self.classes, 2)
        at_least("features", self.features, 1)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, x: Float[Array, "B ..."], train: bool, label: Int[Array, " B"] | None = None
    ) -> Float[Array, "B ..."]:
        """Applies the body to the input with its class.

        Args:
          x: `[B, D]` or images `[B, H, W, C]`, float.
          train: passed to the body.
          label: `[B]` in [0, classes). Any other integer gives NaN, which stops a run.

        Returns:
          The output of the body.

        Raises:
          InputError: no label, or an input of another rank.
        """
        if label is None:
            raise InputError("label", None, f"the class of each example, in [0, {self.classes})")
        label = jnp.asarray(label)
        if label.shape != x.shape[:1] or not jnp.issubdtype(label.dtype, jnp.integer):
            raise InputError(
                "label",
                f"{label.dtype}{list(label.shape)}",
                f"integers [{x.shape[0]}], one per example",
            )
        if x.ndim not in (2, 4):
            raise InputError("x", list(x.shape), "[B, D] or images [B, H, W, C]")
        shape: tuple[int, ...] = (*x.shape[:3], 1)
        if x.ndim == 2:
            shape = (x.shape[0], self.features)
        # The variance is that of a normalized input, whatever the number of classes.
        init = nn.initializers.normal(1.0)
        width = math.prod(shape[1:])
        embed = nn.Dense(width, use_bias=False, kernel_init=init, name="embed")
        e = embed(OneHot(self.classes)(label, train)).reshape(shape)
        joined = jnp.concatenate([x, e.astype(x.dtype)], -1)
        return self.body(joined, **train_kwargs(self.body, train))  # type: ignore[operator]


def label_kwargs(part: nn.Module, label: Int[Array | np.ndarray, " B"] | None) -> dict[str, Any]:
    """Returns `{"label": label}` for a `Conditional` module, else `{}`.

    Example:
      >>> from jaxdl.models import MLP
      >>> label_kwargs(MLP(), None), label_kwargs(Conditional(MLP(), 3), None)
      ({}, {'label': None})
    """
    if isinstance(part, Conditional):
        return {"label": label}
    return {}


def num_classes(*parts: nn.Module) -> int | None:
    """Returns the number of classes of the `Conditional` modules, or None if there are none.

    Raises:
      InputError: the modules have different numbers of classes.

    Example:
      >>> from jaxdl.models import MLP
      >>> num_classes(MLP()), num_classes(MLP(), Conditional(MLP(), 3))
      (None, 3)
    """
    counts = {part.classes for part in parts if isinstance(part, Conditional)}
    if len(counts) > 1:
        raise InputError("classes", sorted(counts), "the same number for all parts")
    return counts.pop() if counts else None


def check_label(classes: int | None, label: object) -> None:
    """Raises `InputError` unless a label is given exactly if the network has classes.

    Example:
      >>> check_label(None, 3)
      Traceback (most recent call last):
      jaxdl.errors.InputError: label: got 3, allowed: None, for a network without classes
    """
    if classes is None and label is not None:
        raise InputError("label", label, "None, for a network without classes")
    if classes is not None and label is None:
        raise InputError("label", None, f"the class of each example, in [0, {classes})")
