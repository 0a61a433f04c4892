"""Networks that are told a class."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from jaxdl.errors import InputError, at_least
from jaxdl.models.sequence import OneHot


class Conditional(nn.Module):
    """A network that also sees a class: a learned vector beside its input, or a learned plane on top of its images.

        y = body([x, e_label])

    Source: Mirza, Osindero 2014, Conditional generative adversarial nets; Sohn et al. 2015 (conditional VAE).

    Attributes:
      body: called as `body(x, train=bool)`.
      classes: how many, at least 2.
      features: the length of a class's vector, beside inputs `[B, D]`.

    Raises:
      InputError: when built, for a field that cannot be used.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP
      >>> model, x, label = Conditional(MLP((), 3), 10), jnp.ones((2, 5)), jnp.array([1, 7])
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
        """What the body says.

        Args:
          x: `[B, D]` or images `[B, H, W, C]`, float.
          train: handed on.
          label: `[B]` in [0, classes); any other integer gives NaN, which stops a run.

        Returns:
          What the body returns.

        Raises:
          InputError: no label, or an input of another rank.
        """
        if label is None:
            raise InputError("label", None, f"the class of each input, in [0, {self.classes})")
        label = jnp.asarray(label)
        if label.shape != x.shape[:1] or not jnp.issubdtype(label.dtype, jnp.integer):
            raise InputError(
                "label",
                f"{label.dtype}{list(label.shape)}",
                f"integers [{x.shape[0]}], one for each",
            )
        if x.ndim not in (2, 4):
            raise InputError("x", list(x.shape), "[B, D] or images [B, H, W, C]")
        shape = (x.shape[0], self.features) if x.ndim == 2 else (*x.shape[:3], 1)
        numbers = shape[1] if x.ndim == 2 else x.shape[1] * x.shape[2]
        # Rows as large as what they stand beside, whatever the number of classes.
        draw = nn.initializers.normal(1.0)
        e = nn.Dense(numbers, use_bias=False, kernel_init=draw, name="embed")(
            OneHot(self.classes)(label, train)
        )
        return self.body(jnp.concatenate([x, e.reshape(shape).astype(x.dtype)], -1), train=train)  # type: ignore[operator]


def label_kwargs(part: nn.Module, label: Int[Array | np.ndarray, " B"] | None) -> dict[str, Any]:
    """What a part of a network is told of the class: `label=` if it is `Conditional`, else nothing.

    Example:
      >>> from jaxdl.models import MLP
      >>> label_kwargs(MLP(), None), label_kwargs(Conditional(MLP(), 3), None)
      ({}, {'label': None})
    """
    return {"label": label} if isinstance(part, Conditional) else {}


def num_classes(*parts: nn.Module) -> int | None:
    """How many classes the conditional ones among the parts know; None: no part is conditional.

    Raises:
      InputError: they differ.

    Example:
      >>> from jaxdl.models import MLP
      >>> num_classes(MLP()), num_classes(MLP(), Conditional(MLP(), 3))
      (None, 3)
    """
    known = {part.classes for part in parts if isinstance(part, Conditional)}
    if len(known) > 1:
        raise InputError("classes", sorted(known), "one number for all parts")
    return known.pop() if known else None


def check_label(classes: int | None, label: object) -> None:
    """Raises unless a label is given exactly where a network is conditional.

    Example:
      >>> check_label(None, 3)
      Traceback (most recent call last):
      jaxdl.errors.InputError: label: got 3, allowed: None, for a network without classes
    """
    if classes is None and label is not None:
        raise InputError("label", label, "None, for a network without classes")
    if classes is not None and label is None:
        raise InputError("label", None, f"the class of each, in [0, {classes})")
