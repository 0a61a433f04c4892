"""Adversarial examples: the worst change of an image within a ball, by steps along the gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key, Num

from jaxdl.errors import InputError, at_least, in_range, of_kind, one_of
from jaxdl.explain.balls import BALLS, Projection, axes, float32_below


@dataclass(frozen=True)
class Attack:
    """Options of an attack on images.

    Steps of fixed length follow the gradient of a loss. Each is projected onto the range of pixels
    and onto the ball of radius `epsilon` around the image. `fgsm`, `pgd` and `noise` return the
    usual attacks.

    Attributes:
      epsilon: radius of the ball, in units of pixels, at least 0.
      norm: "linf", the largest change of a pixel; "l2", the Euclidean norm of the change.
      steps: number of steps. With 0 the images are the starts.
      step_size: length of a step in `norm`. None means 2.5 epsilon / steps, and epsilon for a
        single step from the image itself.
      start: "image"; "inside", a random point of the ball; "surface", a random point at the full
        distance: random signs for "linf".
      loss: "cross_entropy", whose gradient is computed without rounding to 0 for confident
        networks; or "margin": the largest other logit minus the label's.
      targeted: if True, the label is a class to reach, and the loss falls.
      low: smallest pixel.
      high: largest pixel.

    Raises:
      InputError: an invalid option.

    Example:
      >>> Attack(-0.1)
      Traceback (most recent call last):
      jaxdl.errors.InputError: epsilon: got -0.1, allowed: a number in [0, inf)
    """

    epsilon: float
    norm: Literal["linf", "l2"] = "linf"
    steps: int = 40
    step_size: float | None = None
    start: Literal["image", "inside", "surface"] = "inside"
    loss: Literal["cross_entropy", "margin"] = "cross_entropy"
    targeted: bool = False
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        in_range("epsilon", self.epsilon, 0, float("inf"))
        one_of("norm", self.norm, BALLS)
        at_least("steps", self.steps, 0)
        if self.step_size is not None:
            in_range("step_size", self.step_size, 0, float("inf"))
        one_of("start", self.start, ("image", "inside", "surface"))
        one_of("loss", self.loss, LOSSES)
        of_kind("targeted", self.targeted, bool, "True or False")
        in_range("high", self.high, -float("inf"), float("inf"))
        in_range("low", self.low, -float("inf"), float("inf"))
        if not self.low < self.high:
            raise InputError("low", self.low, f"less than high, {self.high}")

    @property
    def length(self) -> float:
        """Length of a step in `norm`."""
        if self.step_size is not None:
            return self.step_size
        if self.steps <= 1 and self.start == "image":
            return self.epsilon
        return 2.5 * self.epsilon / max(self.steps, 1)


def fgsm(epsilon: float, **options: Any) -> Attack:
    """Returns the fast gradient sign method: one step of full length from the image.

        x' = clip(x + epsilon sign(dL/dx), 0, 1)

    Source: Goodfellow, Shlens, Szegedy 2015, Explaining and harnessing adversarial examples.

    Args:
      epsilon: radius of the ball.
      **options: other fields of `Attack`.

    Example:
      >>> attack = fgsm(0.1)
      >>> attack.steps, attack.length
      (1, 0.1)
    """
    return Attack(epsilon, **{"steps": 1, "start": "image", **options})


def pgd(epsilon: float, steps: int = 40, **options: Any) -> Attack:
    """Returns projected gradient descent from a random start in the ball.

        x_0 uniform in the ball,   x_{t+1} = P(x_t + a sign(dL/dx_t))

    P is the projection onto the ball and the range of pixels, and a the length of a step.

    Source: Madry et al. 2018, Towards deep learning models resistant to adversarial attacks.

    Args:
      epsilon: radius of the ball.
      steps: number of steps.
      **options: other fields of `Attack`.

    Example:
      >>> pgd(0.3, 40, step_size=0.01).length
      0.01
    """
    return Attack(epsilon, **{"steps": steps, **options})


def noise(epsilon: float, **options: Any) -> Attack:
    """Returns random noise of full size, which an attack must exceed by far.

    Args:
      epsilon: radius of the ball.
      **options: other fields of `Attack`.

    Example:
      >>> noise(0.3).steps
      0
    """
    return Attack(epsilon, **{"steps": 0, "start": "surface", **options})


def perturb(
    f: Callable[[Float[Array, "B ..."]], Float[Array, "B C"]],
    images: Float[Array, "B ..."],
    label: Num[Array, "B ..."],
    keys: Key[Array, " B"],
    attack: Attack,
) -> Float[Array, "B ..."]:
    """Returns attacked images; a pure function for `jax.jit` and for losses of training.

        x' = argmax_{|x' - x| <= epsilon} L(f(x'), y),   approximately

    As float32 numbers the changes are at most epsilon, and the pixels in [low, high].

    Args:
      f: function from images to logits.
      images: `[B, ...]` with pixels in [low, high].
      label: classes `[B]`, or probabilities `[B, C]` with the loss "cross_entropy".
      keys: one key for each image. The change of an image depends on its own key only.
      attack: options.

    Returns:
      `[B, ...]`, the images after the last step.

    Raises:
      InputError: images that are not floats; another number of labels or keys. Values of traced
        arrays are not checked.

    Example:
      >>> from jaxdl.rng import root
      >>> def f(x):
      ...     return jnp.stack([x.sum(-1), -x.sum(-1)], -1)
      >>> x = jnp.full((1, 2), 0.5)
      >>> perturb(f, x, jnp.array([0]), root([0]), fgsm(0.25)).tolist()
      [[0.25, 0.25]]
    """
    _check_batch(images, label, keys, attack)
    project = projection(images, attack)

    def step(x: Float[Array, "B ..."], _: None) -> tuple[Float[Array, "B ..."], None]:
        return ascend(f, x, label, attack, project).images, None

    x = begin(images, keys, attack, project)
    return jax.lax.scan(step, x, None, length=attack.steps)[0]


def _check_batch(images: Any, label: Any, keys: Any, attack: Attack) -> None:
    """Raises for types and shapes that do not fit; the values may be traced."""
    of_kind("attack", attack, Attack, "an Attack, such as explain.pgd(0.3, 40)")
    if not jnp.issubdtype(images.dtype, jnp.floating):
        raise InputError("images", f"{images.dtype}", "floats; write images / np.float32(255)")
    count = len(images)
    is_class = label.ndim == 1 and jnp.issubdtype(label.dtype, jnp.integer)
    if not (is_class or label.ndim == 2) or len(label) != count:
        allowed = f"integers [{count}], or probabilities [{count}, C]"
        raise InputError("label", f"{label.dtype}{list(label.shape)}", allowed)
    if label.ndim == 2 and attack.loss != "cross_entropy":
        raise InputError("label", "probabilities", "classes with the loss 'margin'")
    if attack.start != "image" and jnp.shape(keys) != (count,):
        raise InputError("keys", list(jnp.shape(keys)), f"{count} keys, one for each image")


class Step(NamedTuple):
    """One step of an attack.

    Attributes:
      images: `[B, ...]` after the step.
      scores: `[B, C]`, logits of the images before the step.
      is_flat: `[B]`, True if the gradient was zero or not finite.

    Example: see `ascend`.
    """

    images: Float[Array, "B ..."]
    scores: Float[Array, "B C"]
    is_flat: Bool[Array, " B"]


#: Images to the nearest images within the ball and the range of pixels.
def projection(images: Float[Array, "B ..."], attack: Attack) -> Projection:
    """Returns the projection onto the ball around images and onto the range of pixels.

    Example:
      >>> project = projection(jnp.full((1, 2), 0.5), fgsm(0.25))
      >>> project(jnp.array([[0.0, 0.625]])).tolist()
      [[0.25, 0.625]]
    """
    ball = BALLS[attack.norm](float32_below(attack.epsilon))
    return ball.projection(images, attack.low, attack.high)


def begin(
    images: Float[Array, "B ..."], keys: Key[Array, " B"], attack: Attack, project: Projection
) -> Float[Array, "B ..."]:
    """Returns the starts of an attack, which depend on the key of each image.

    Example:
      >>> from jaxdl.rng import root
      >>> x = jnp.full((1, 2), 0.5)
      >>> begin(x, root([0]), fgsm(0.25), projection(x, fgsm(0.25))).tolist()
      [[0.5, 0.5]]
    """
    if attack.start == "image":
        return images
    draw = getattr(BALLS[attack.norm](float32_below(attack.epsilon)), attack.start)
    return project(images + jax.vmap(lambda key, x: draw(key, x.shape))(keys, images))


def ascend(
    f: Callable[[Float[Array, "B ..."]], Float[Array, "B C"]],
    x: Float[Array, "B ..."],
    label: Num[Array, "B ..."],
    attack: Attack,
    project: Projection,
) -> Step:
    """Returns images after one step along the gradient of the loss.

    Only the gradient of the images is computed. A value that is not finite counts as 0, so that
    the image stays within its range.

    Example:
      >>> x = jnp.full((1, 2), 0.5)
      >>> def f(x):
      ...     return jnp.stack([x.sum(-1), -x.sum(-1)], -1)
      >>> step = ascend(f, x, jnp.array([0]), fgsm(0.25), projection(x, fgsm(0.25)))
      >>> step.images.tolist(), step.scores.tolist(), step.is_flat.tolist()
      ([[0.25, 0.25]], [[1.0, -1.0]], [False])
    """
    sign = -1.0 if attack.targeted else 1.0

    def loss(x: Float[Array, "B ..."]) -> tuple[Float[Array, ""], Float[Array, "B C"]]:
        scores = f(x).astype(jnp.float32)
        return sign * jax.vmap(LOSSES[attack.loss])(scores, label).sum(), scores

    gradient, scores = jax.grad(loss, has_aux=True)(x)
    # On a CPU the maximum of many numbers may ignore NaN.
    is_flat = ~(jnp.isfinite(gradient).all(axes(x)) & (gradient != 0).any(axes(x)))
    ball = BALLS[attack.norm](float32_below(attack.epsilon))
    direction = ball.direction(jnp.nan_to_num(gradient))
    return Step(project(x + attack.length * direction), scores, is_flat)


def _cross_entropy(logits: Float[Array, " C"], label: Num[Array, "..."]) -> Float[Array, ""]:
    if label.ndim:
        return -(label * jax.nn.log_softmax(logits)).sum()
    # The gradient of log(exp(L) - 1) has the direction of that of L. It does not vanish where the
    # probability of the label is rounded to 1.
    return jax.nn.logsumexp(_others(logits, label)) - _own(logits, label)


def _margin(logits: Float[Array, " C"], label: Num[Array, ""]) -> Float[Array, ""]:
    return _others(logits, label).max() - _own(logits, label)


def _own(logits: Float[Array, " C"], label: Num[Array, ""]) -> Float[Array, ""]:
    # Checks of indices in JAX fail for the gradient of a batch of indexed vectors.
    return jnp.where(_is_label(logits, label), logits, 0).sum()


def _others(logits: Float[Array, " C"], label: Num[Array, ""]) -> Float[Array, " C"]:
    return jnp.where(_is_label(logits, label), -jnp.inf, logits)


def _is_label(logits: Float[Array, " C"], label: Num[Array, ""]) -> Bool[Array, " C"]:
    return jnp.arange(logits.size, dtype=jnp.int32) == label.astype(jnp.int32)


LOSSES = {"cross_entropy": _cross_entropy, "margin": _margin}
