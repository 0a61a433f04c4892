"""Adversarial examples of a set of images: several starts, and the best iterate of each image."""

from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least, not_in_jit, of_kind
from jaxdl.explain.attacks import LOSSES, Attack, ascend, begin, projection
from jaxdl.explain.balls import float32_below
from jaxdl.explain.layers import as_partial
from jaxdl.explain.scores import Scores, check_classes, check_scores
from jaxdl.rng import check_single_key, fold, stream

#: Number of steps after which the images that are not fooled yet are collected into full batches.
STEPS_AT_ONCE = 10

#: Least margin of success during an attack, relative to the largest score: it exceeds rounding.
ROUNDING = 1e-5


class Adversarial(NamedTuple):
    """Attacked images with the numbers of each.

    Attributes:
      images: `[N, H, W, C]`, float32. Images that are misclassified without an attack stay as they
        are.
      is_fooled: `[N]`, True if the prediction for these images is another class than the label.
        For a targeted attack: True if it is the label.
      margin: `[N]`, the largest other logit minus the label's; positive means fooled. For a
        targeted attack it has the opposite sign.
      distance: `[N]`, size of the change in the norm of the attack.
      is_flat: `[N]`, True if the gradient was zero or not finite in a step. Such gradients cannot
        guide an attack, and the robustness of the network is unknown.

    Example: see `adversarial_examples`.
    """

    images: Float[np.ndarray, "N H W C"]
    is_fooled: Bool[np.ndarray, " N"]
    margin: Float[np.ndarray, " N"]
    distance: Float[np.ndarray, " N"]
    is_flat: Bool[np.ndarray, " N"]


def adversarial_examples(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    label: Any,
    key: Key[Array, ""],
    attack: Attack,
    *,
    starts: int = 1,
    batch_size: int = 100,
) -> Adversarial:
    """Returns adversarial examples of a set of images.

        x' = argmax_{x_t of any start} margin(f(x_t), y),    |x_t - x| <= epsilon

    Of all iterates of all starts each image keeps the one with the largest margin. An image that is
    fooled is not attacked again, nor is one that is misclassified without an attack. The flags are
    those of predicting the returned images again. The result of an image depends on the key, its
    index and the image, up to rounding.

    Args:
      f: logits as a function of images, such as `logits(model, variables)`.
      images: `[N, H, W, C]`, pixels in [0, 1].
      label: `[N]`, the class of each image; for a targeted attack the class to reach. One integer
        stands for all images.
      key: root key of the random numbers.
      attack: options, such as `pgd(0.3, 40)`.
      starts: number of starts of each image.
      batch_size: number of images in a batch.

    Returns:
      The attacked images.

    Raises:
      InputError: images of another shape or range, classes that do not exist, outputs that are not
        finite scores.

    Example:
      >>> from jaxdl.rng import root
      >>> def f(x):
      ...     return jnp.stack([x.sum((1, 2, 3)), 1 - x.sum((1, 2, 3))], -1)
      >>> images = np.array([0.25, 0.4375], np.float32).reshape(2, 1, 1, 1)
      >>> one_step = Attack(0.125, steps=1, start="image")
      >>> found = adversarial_examples(f, images, 1, root(0), one_step)
      >>> found.is_fooled.tolist(), found.distance.tolist()
      ([False, True], [0.125, 0.125])
    """
    not_in_jit("adversarial_examples")
    of_kind("attack", attack, Attack, "an Attack, such as explain.pgd(0.3, 40)")
    at_least("starts", starts, 1)
    at_least("batch_size", batch_size, 1)
    check_single_key(key)
    given = check_label(f, images, label)
    check_range(images, attack)
    found = unattacked(f, images, given, attack.targeted, batch_size)
    for start in range(starts):
        start_key = fold(stream(key, "attack"), start)
        found = improve(f, images, given, start_key, attack, found, batch_size)
    return found


def check_label(
    f: Scores, images: Float[np.ndarray, "N H W C"], label: Any
) -> Int[np.ndarray, " N"]:
    """Returns the classes of images as `[N]`; raises for bad images or classes.

    Example:
      >>> check_label(lambda x: x.mean((1, 2)), np.zeros((2, 4, 4, 3), np.float32), [0, 3])
      Traceback (most recent call last):
      jaxdl.errors.InputError: label: got 3, allowed: an integer in [0, 3)
    """
    count = check_scores(f, images)
    if count < 2:
        allowed = "at least two; explain.logits(...) has the scores (0, z) for a single logit z"
        raise InputError("classes", count, allowed)
    return check_classes("label", label, len(images), count, f"an integer in [0, {count})")


def check_range(images: Float[np.ndarray, "N H W C"], attack: Attack) -> None:
    """Raises for pixels outside of the attack's range, whose change would exceed epsilon.

    Example:
      >>> check_range(np.zeros((1, 2, 2, 1)), Attack(0.1, low=0.5))
      Traceback (most recent call last):
      jaxdl.errors.InputError: low: got 0.5, allowed: at most the pixels, 0
    """
    low = np.min(images)
    high = np.max(images)
    if low < attack.low:
        raise InputError("low", attack.low, f"at most the pixels, {low:.4g}")
    if high > attack.high:
        raise InputError("high", attack.high, f"at least the pixels, {high:.4g}")


def unattacked(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    label: Int[np.ndarray, " N"],
    targeted: bool,
    batch_size: int,
) -> Adversarial:
    """Returns the images as they are, with their flags and margins.

    Raises:
      InputError: scores that are not finite.

    Example:
      >>> images = np.full((1, 2, 2, 3), 0.5, np.float32)
      >>> label = np.zeros(1, np.int32)
      >>> unattacked(lambda x: x.mean((1, 2)), images, label, False, 1).margin.tolist()
      [0.0]
    """
    images = np.array(images, np.float32)
    program = partial(_judged, as_partial(f), targeted=targeted)
    margin, is_fooled, _ = _in_batches(program, min(batch_size, len(images)), images, label)
    if not np.isfinite(margin).all():
        allowed = "finite logits, of finite weights and images in [0, 1]"
        raise InputError("scores", float(margin[~np.isfinite(margin)][0]), allowed)
    nothing = np.zeros(len(images), np.float32)
    return Adversarial(images, is_fooled, margin, nothing, np.zeros(len(images), bool))


def improve(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    label: Int[np.ndarray, " N"],
    key: Key[Array, ""],
    attack: Attack,
    found: Adversarial,
    batch_size: int,
) -> Adversarial:
    """Returns better adversarial examples: earlier ones, improved by an attack from one start.

    Images that are fooled already stay as they are.

    Args:
      f: logits as a function of images.
      images: `[N, H, W, C]`, without an attack.
      label: `[N]`, int32.
      key: key of this start.
      attack: options.
      found: the result so far.
      batch_size: number of images in a batch.

    Example: see `adversarial_examples`, which calls it once for each start.
    """
    size = min(batch_size, len(images))
    rows = np.flatnonzero(~found.is_fooled)
    if not rows.size:
        return found
    clean = np.asarray(images[rows], np.float32)
    keys = jax.vmap(partial(fold, key))(jnp.asarray(rows))
    form = replace(attack, epsilon=0.0, step_size=0.0, steps=0)
    numbers = (float32_below(attack.epsilon), np.float32(attack.length))
    begun = _in_batches(partial(_begun, form, numbers), size, clean, keys)
    best = (found.images[rows], found.margin[rows], found.is_flat[rows])
    state = _State(begun, *best, np.zeros(len(rows), bool))
    # Attacks that differ in their starts share a program.
    moves = replace(form, start="image")
    active = np.arange(len(rows))
    for done in range(0, attack.steps, STEPS_AT_ONCE):
        steps = np.int32(min(STEPS_AT_ONCE, attack.steps - done))
        program = partial(_steps, as_partial(f), moves, (*numbers, steps))
        _update(
            state, active, _in_batches(program, size, *_at((state, clean, label[rows]), active))
        )
        active = active[~state.is_done[active]]
        if not active.size:
            break
    if active.size:
        last = partial(_kept, as_partial(f), targeted=attack.targeted)
        _update(state, active, _in_batches(last, size, *_at((state, label[rows]), active)))
    return _merged(f, found, rows, clean, label[rows], state, attack, size)


class _State(NamedTuple):
    """The images of an attack: the iterates, and the best ones so far.

    Attributes:
      x: `[N, H, W, C]`, the iterates.
      best: `[N, H, W, C]`, the iterates with the largest margins.
      margin: `[N]`, their margins.
      is_flat: `[N]`, True after a gradient that was zero or not finite.
      is_done: `[N]`, True if the best iterate is misclassified beyond rounding.
    """

    x: Any
    best: Any
    margin: Any
    is_flat: Any
    is_done: Any


def _at(tree: Any, rows: Int[np.ndarray, " R"]) -> Any:
    return jax.tree.map(lambda x: x[rows], tree)


def _update(state: _State, rows: Int[np.ndarray, " R"], new: _State) -> None:
    for old, values in zip(state, new, strict=True):
        old[rows] = values


def _in_batches(program: Any, size: int, *arrays: Any) -> Any:
    """Returns the results of a program for all rows of trees; every batch has `size` of them.

    All batches are dispatched before the first result is read, so that the device never waits.
    The last one is filled with its first row.
    """
    count = len(jax.tree.leaves(arrays)[0])
    parts = []
    for first in range(0, count, size):
        rows = np.arange(first, first + size)
        rows[rows >= count] = first
        parts.append(program(*_at(arrays, rows)))
    return jax.tree.map(lambda *part: np.concatenate(part)[:count], *parts)


def _merged(
    f: Scores,
    found: Adversarial,
    rows: Int[np.ndarray, " R"],
    clean: Float[np.ndarray, "R H W C"],
    label: Int[np.ndarray, " R"],
    state: _State,
    attack: Attack,
    size: int,
) -> Adversarial:
    """Returns the result with new images in some rows, whose flags are predicted again."""
    program = partial(_judged, as_partial(f), targeted=attack.targeted)
    margin, is_fooled, _ = _in_batches(program, size, state.best, label)
    change = (state.best.astype(np.float64) - clean).reshape(len(rows), -1)
    order = {"linf": np.inf, "l2": 2}[attack.norm]
    distance = np.linalg.norm(change, order, axis=1).astype(np.float32)
    new = (state.best, is_fooled, margin, distance, state.is_flat)
    result = Adversarial(*map(np.array, found))
    for field, values in zip(result, new, strict=True):
        field[rows] = values
    return result


@partial(jax.jit, static_argnames="targeted")
def _judged(
    f: Partial, images: Float[Array, "B H W C"], label: Int[Array, " B"], targeted: bool
) -> Any:
    """Returns margins and flags of images, and flags of success beyond rounding."""
    return _success(f(images).astype(jnp.float32), label, targeted)


def _success(scores: Float[Array, "B K"], label: Int[Array, " B"], targeted: bool) -> Any:
    margin = jax.vmap(LOSSES["margin"])(scores, label)
    is_fooled = scores.argmax(-1).astype(jnp.int32) != label
    if targeted:
        margin = -margin
        is_fooled = ~is_fooled
    # On a CPU the maximum of many numbers may ignore NaN.
    is_finite = jnp.isfinite(scores).all(-1)
    margin = jnp.where(is_finite, margin, jnp.nan)
    is_beyond = margin > ROUNDING * jnp.abs(scores).max(-1)
    return margin, is_fooled & is_finite, is_beyond


@partial(jax.jit, static_argnums=0)
def _begun(
    form: Attack, numbers: Any, images: Float[Array, "B H W C"], keys: Key[Array, " B"]
) -> Float[Array, "B H W C"]:
    """Returns the starts of a batch."""
    attack = replace(form, epsilon=numbers[0], step_size=numbers[1])
    return begin(images, keys, attack, projection(images, attack))


@partial(jax.jit, static_argnums=1)
def _steps(
    f: Partial,
    form: Attack,
    numbers: Any,
    state: _State,
    images: Float[Array, "B H W C"],
    label: Int[Array, " B"],
) -> _State:
    """Returns the state of a batch after some steps. Radius, length and number are arrays."""
    attack = replace(form, epsilon=numbers[0], step_size=numbers[1])
    project = projection(images, attack)

    def step(_: Any, state: _State) -> _State:
        moved = ascend(f, state.x, label, attack, project)
        kept = _better(state, moved.scores, label, attack.targeted)
        return kept._replace(x=moved.images, is_flat=state.is_flat | moved.is_flat)

    return jax.lax.fori_loop(0, numbers[2], step, state)


@partial(jax.jit, static_argnames="targeted")
def _kept(f: Partial, state: _State, label: Int[Array, " B"], targeted: bool) -> _State:
    """Returns the state of a batch after the scores of the last iterates."""
    return _better(state, f(state.x).astype(jnp.float32), label, targeted)


def _better(
    state: _State, scores: Float[Array, "B K"], label: Int[Array, " B"], targeted: bool
) -> _State:
    """Returns the state in which better iterates have replaced the best ones."""
    margin, _, is_beyond = _success(scores, label, targeted)
    is_better = margin > state.margin
    best = jax.vmap(jnp.where)(is_better, state.x, state.best)
    margin = jnp.where(is_better, margin, state.margin)
    return _State(state.x, best, margin, state.is_flat, state.is_done | is_beyond)
