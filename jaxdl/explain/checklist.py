"""A checklist for evaluations of robustness: signs that an attack is too weak for a network."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Bool, Float, Int, Key

from jaxdl.errors import InputError, at_least, in_range, not_in_jit, one_of
from jaxdl.explain.active import Active, active_test
from jaxdl.explain.adversarial import Adversarial, check_label, improve, unattacked
from jaxdl.explain.attacks import (
    LOSSES,
    Attack,
    ascend,
    fgsm,
    noise,
    perturb,
    pgd,
    projection,
)
from jaxdl.explain.balls import BALLS
from jaxdl.explain.layers import as_partial
from jaxdl.explain.scores import Scores, check_scores, in_batches, scores_of
from jaxdl.explain.square import square_search
from jaxdl.rng import check_single_key, fold, stream

#: Largest share of images that counts as none, one point and its rounding.
NEGLIGIBLE = 0.01 + 1e-6

#: Largest share of images that another start, or random squares, may fool in addition. On networks
#: without masked gradients up to 1.6 points were measured, and tens of points on others.
MORE_FOUND = 0.02

#: Largest share of images that one of two losses may miss. On networks without masked gradients the
#: two losses differ by up to three points. A masked gradient costs tens of points.
LOSSES_DIFFER = 0.05

#: Noise may fool this fraction of the images that an attack fools.
NOISE_FOOLS = 0.5

#: Least share of the images for which an active test must succeed.
FOUND = 0.95

#: Logarithm of the smallest float32 number. The gradient of the cross-entropy has the factor
#: 1 - p, with the probability p of the label, and vanishes if its logarithm is smaller.
LOG_TINY = -87.3

#: Number of steps of PGD, of starts, of random squares, and of images in the active test.
STEPS = 40
STARTS = 5
SQUARES = 500
ACTIVE = 50


class Check(NamedTuple):
    """One check of an evaluation.

    Attributes:
      name: the expected behavior of the network.
      is_passed: True if the network behaves so.
      detail: the measured numbers, in one line.

    Example:
      >>> print(format_checks([Check("scores are logits", False, "all in [0, 1]")]))
      FAIL  scores are logits: all in [0, 1]
    """

    name: str
    is_passed: bool
    detail: str


def format_checks(checks: Sequence[Check]) -> str:
    """Returns one line per check, which begins with `pass` or `FAIL`.

    Example: see `Check`.
    """
    words = {True: "pass", False: "FAIL"}
    return "\n".join(f"{words[check.is_passed]}  {check.name}: {check.detail}" for check in checks)


def checklist(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    label: Any,
    key: Key[Array, ""],
    epsilon: float,
    *,
    norm: Literal["linf", "l2"] = "linf",
    other: Scores | None = None,
    batch_size: int = 100,
) -> list[Check]:
    """Returns the checks of an evaluation of robustness.

    A failed check shows that PGD is too weak an attack for this network, for example because its
    gradient is masked. The robust accuracy is then overstated. Passed checks prove nothing. The
    result depends on the arguments only. A thousand images are enough, and take about as long as
    600 steps of PGD.

    Source: Carlini et al. 2019, On evaluating adversarial robustness; Croce and Hein 2020, Reliable
    evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks;
    Zimmermann et al. 2022, Increasing confidence in adversarial robustness evaluations.

    Args:
      f: logits as a function of images, such as `logits(model, variables)`.
      images: `[N, H, W, C]`, pixels in [0, 1].
      label: `[N]`, the class of each image.
      key: root key of the random numbers.
      epsilon: radius of the ball, above 0.
      norm: norm of the ball, see `Attack`.
      other: another network for the same classes, whose adversarial examples are transferred. None
        leaves this check out.
      batch_size: number of images in a batch.

    Returns:
      One `Check` for each expected behavior.

    Raises:
      InputError: bad images or classes; no image that is classified correctly.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxdl.rng import root
      >>> def f(x):
      ...     return jnp.stack([x.sum((1, 2, 3)), 8 - x.sum((1, 2, 3))], -1)
      >>> images = np.linspace(0.1, 0.9, 20, dtype=np.float32).reshape(20, 1, 1, 1)
      >>> images = images * np.ones((1, 4, 2, 1), np.float32)
      >>> label = (images.mean((1, 2, 3)) < 0.5).astype(np.int32)
      >>> all(check.is_passed for check in checklist(f, images, label, root(0), 0.1))
      True
    """
    not_in_jit("checklist")
    in_range("epsilon", epsilon, 0, float("inf"))
    if epsilon == 0:
        raise InputError("epsilon", epsilon, "a number above 0")
    one_of("norm", norm, BALLS)
    at_least("batch_size", batch_size, 1)
    check_single_key(key)
    given = check_label(f, images, label)
    images = np.asarray(images, np.float32)
    size = min(batch_size, len(images))
    if other is not None:
        _check_other(other, f, images)
    clean = unattacked(f, images, given, False, size)
    if clean.is_fooled.all():
        allowed = "the classes of the images, of which the network predicts some correctly"
        raise InputError("label", "an accuracy of 0 %", allowed)
    case = _Case(as_partial(f), images, given, stream(key, "attack"), epsilon, norm, size, clean)
    checks = [_is_deterministic(case), _has_logits(case), _has_gradients(case)]
    checks += _with_attacks(case)
    checks.append(_has_found_hidden(case))
    if other is not None:
        checks.append(_beats_transfer(case, other))
    return checks


class _Case(NamedTuple):
    """The arguments of a checklist, and the images without an attack."""

    f: Partial
    images: Float[np.ndarray, "N H W C"]
    label: Int[np.ndarray, " N"]
    key: Key[Array, ""]
    epsilon: float
    norm: Literal["linf", "l2"]
    size: int
    clean: Adversarial

    def robust(self, attack: Attack, number: int = 0, starts: int = 1) -> Bool[np.ndarray, "S N"]:
        """Returns the images that are robust after each start. The number selects the key."""
        found = self.clean
        flags = []
        for start in range(starts):
            key = fold(fold(self.key, number), start)
            found = improve(self.f, self.images, self.label, key, attack, found, self.size)
            flags.append(~found.is_fooled)
        return np.array(flags)


def _is_deterministic(case: _Case) -> Check:
    name = "outputs are deterministic and independent of the batch"
    first = scores_of(case.f, case.images, case.size)
    second = scores_of(case.f, case.images, case.size)
    mixed = case.images.copy()
    mixed[1::2] = 0.5
    third = scores_of(case.f, mixed, case.size)
    change = np.abs(first - second).max()
    by_batch = np.abs(first - third)[::2].max() / max(float(np.abs(first).max()), 1e-30)
    detail = f"largest change {change:.1g} when repeated, {by_batch:.1g} in other batches"
    return Check(name, bool(change == 0 and by_batch < 1e-3), detail)


def _has_logits(case: _Case) -> Check:
    scores = scores_of(case.f, case.images, case.size)
    is_probability = (scores >= 0).all(1) & (np.abs(scores.sum(1) - 1) < 1e-3)
    detail = f"outputs in [{scores.min():.3g}, {scores.max():.3g}]"
    share = is_probability.mean()
    if share > 0.5:
        detail += f", {_percent(share)} of them positive with sum 1; write them without softmax"
    return Check("outputs are logits, not probabilities", bool(share <= 0.5), detail)


def _has_gradients(case: _Case) -> Check:
    flat = in_batches(_flat, case.f, (case.images, case.label), case.size)
    share = flat[~case.clean.is_fooled].mean()
    detail = f"it is zero in float32, or not finite, for {_percent(share)} of the correct images"
    return Check("the cross-entropy has a gradient", bool(share <= NEGLIGIBLE), detail)


def _with_attacks(case: _Case) -> list[Check]:
    """Returns the checks that compare attacks with each other."""
    ball = {"norm": case.norm}
    usual = pgd(case.epsilon, STEPS, **ball)
    single = case.robust(fgsm(case.epsilon, **ball), 0)[-1]
    starts = case.robust(usual, 1, STARTS)
    margin = case.robust(replace(usual, loss="margin"), 1)[-1]
    longer = case.robust(pgd(case.epsilon, 4 * STEPS, **ball), 1)[-1]
    by_noise = case.robust(noise(case.epsilon, **ball), 2, STARTS)[-1]
    sizes = [case.epsilon / 4, case.epsilon / 2]
    smaller = [case.robust(pgd(each, STEPS, **ball), 1)[-1] for each in sizes]
    largest = {"linf": 1.0, "l2": math.sqrt(case.images[0].size)}[case.norm]
    unbounded = case.robust(pgd(largest, STEPS, **ball), 1, 2)[-1]
    squares = _by_squares(case)
    gradient = starts[-1] & margin & longer
    one = starts[0]
    return [
        _not_above("several steps beat a single one", "PGD", one, "FGSM", single),
        _not_above("more steps never help", f"{4 * STEPS} steps", longer, f"{STEPS}", one),
        _is_monotone(case, [*smaller, one]),
        _reaches_zero(unbounded, largest),
        _noise_is_weak(case, by_noise, one),
        _losses_agree(one, margin),
        _starts_agree(starts),
        _squares_are_weak(gradient, gradient & squares),
    ]


def _not_above(name: str, low_name: str, low: Any, high_name: str, high: Any) -> Check:
    detail = f"{_percent(low.mean())} after {low_name}, {_percent(high.mean())} after {high_name}"
    return Check(name, bool(low.mean() <= high.mean() + NEGLIGIBLE), detail)


def _is_monotone(case: _Case, robust: list[Any]) -> Check:
    shares = [1 - case.clean.is_fooled.mean(), *(each.mean() for each in robust)]
    rises = np.diff(shares)
    texts = [_percent(share) for share in shares]
    detail = f"{', '.join(texts)} at 0, 1/4, 1/2 and 1 of {case.epsilon:.3g}"
    return Check("accuracy falls with epsilon", bool((rises <= NEGLIGIBLE).all()), detail)


def _reaches_zero(robust: Any, largest: float) -> Check:
    detail = f"{_percent(robust.mean())} at {largest:.3g}"
    name = "a ball of all images leaves nothing"
    return Check(name, bool(robust.mean() <= NEGLIGIBLE), detail)


def _noise_is_weak(case: _Case, by_noise: Any, by_attack: Any) -> Check:
    accuracy = 1 - case.clean.is_fooled.mean()
    noise_fools = accuracy - by_noise.mean()
    attack_fools = accuracy - by_attack.mean()
    detail = f"it fools {_percent(noise_fools)}, PGD {_percent(attack_fools)}"
    is_weak = noise_fools <= NOISE_FOOLS * attack_fools + NEGLIGIBLE
    return Check("noise of the same size is much weaker", bool(is_weak), detail)


def _losses_agree(cross_entropy: Any, margin: Any) -> Check:
    worst = (cross_entropy & margin).mean()
    missed = max(cross_entropy.mean(), margin.mean()) - worst
    detail = f"{_percent(cross_entropy.mean())} and {_percent(margin.mean())}"
    detail += f", {_percent(worst)} after both"
    return Check("cross-entropy and margin agree", bool(missed <= LOSSES_DIFFER), detail)


def _starts_agree(robust: Bool[np.ndarray, "S N"]) -> Check:
    shares = robust.mean(1)
    detail = ", ".join(_percent(share) for share in shares)
    detail = f"{detail} after 1 to {len(shares)}"
    is_settled = shares[-2] - shares[-1] <= MORE_FOUND
    return Check("another start finds little more", bool(is_settled), detail)


def _squares_are_weak(gradient: Any, both: Any) -> Check:
    detail = f"{SQUARES} random squares fool {_percent(gradient.mean() - both.mean())} more"
    is_weak = gradient.mean() - both.mean() <= MORE_FOUND
    return Check("no gradient-free attack finds more", bool(is_weak), detail)


def _by_squares(case: _Case) -> Bool[np.ndarray, " N"]:
    attack = Attack(case.epsilon, case.norm, steps=SQUARES)
    arrays = (case.images, case.label, _rows(case))
    program = partial(_squares, attack)
    margin = in_batches(program, case.f, arrays, case.size, fold(case.key, 3))
    return ~case.clean.is_fooled & (margin <= 0)


def _has_found_hidden(case: _Case) -> Check:
    """Returns the active test on the first images that are classified correctly."""
    rows = np.flatnonzero(~case.clean.is_fooled)[:ACTIVE]
    attack = pgd(case.epsilon, STEPS, norm=case.norm)
    arrays = (case.images[rows], rows.astype(np.int32))
    test = in_batches(partial(_active, attack), case.f, arrays, ACTIVE, fold(case.key, 4))
    name = "PGD finds planted adversarial examples"
    possible = test.is_possible.sum()
    detail = f"{(test.is_found & test.is_possible).sum()} of {possible}"
    if not possible:
        return Check(name, False, f"no example could be planted for {len(rows)} images")
    share = test.is_found[test.is_possible].mean()
    return Check(name, bool(share >= FOUND), detail)


def _beats_transfer(case: _Case, other: Scores) -> Check:
    attack = pgd(case.epsilon, STEPS, norm=case.norm)
    arrays = (case.images, case.label, _rows(case))
    moved = in_batches(partial(_perturbed, attack), other, arrays, case.size, fold(case.key, 5))
    transferred = ~unattacked(case.f, moved, case.label, False, case.size).is_fooled
    white = case.robust(attack, 1)[-1]
    name = "the network's gradient beats that of another"
    return _not_above(name, "its own", white, "the other", transferred)


def _check_other(other: Scores, f: Scores, images: Float[np.ndarray, "N H W C"]) -> None:
    count = check_scores(f, images)
    others = check_scores(other, images)
    if others != count:
        raise InputError("other", f"{others} classes", f"a network with {count} classes")


def _rows(case: _Case) -> Int[np.ndarray, " N"]:
    """Returns the indices of the images, from which their keys follow."""
    return np.arange(len(case.images), dtype=np.int32)


def _percent(share: Any) -> str:
    return f"{100 * float(share):.1f} %"


@jax.jit
def _flat(f: Partial, images: Float[Array, "B H W C"], label: Int[Array, " B"]) -> Array:
    """Returns True where the cross-entropy, as usually written, has no gradient in float32."""
    attack = fgsm(0.0)
    step = ascend(f, images, label, attack, projection(images, attack))
    odds = jax.vmap(LOSSES["cross_entropy"])(step.scores, label)
    return step.is_flat | (odds < LOG_TINY)


@partial(jax.jit, static_argnums=0)
def _squares(
    attack: Attack,
    f: Partial,
    images: Float[Array, "B H W C"],
    label: Int[Array, " B"],
    rows: Int[Array, " B"],
    key: Key[Array, ""],
) -> Float[Array, " B"]:
    return square_search(f, images, label, _keys(key, rows), attack).margin


@partial(jax.jit, static_argnums=0)
def _active(
    attack: Attack,
    f: Partial,
    images: Float[Array, "B H W C"],
    rows: Int[Array, " B"],
    key: Key[Array, ""],
) -> Active:
    return active_test(f, images, _keys(key, rows), attack)


@partial(jax.jit, static_argnums=0)
def _perturbed(
    attack: Attack,
    f: Partial,
    images: Float[Array, "B H W C"],
    label: Int[Array, " B"],
    rows: Int[Array, " B"],
    key: Key[Array, ""],
) -> Float[Array, "B H W C"]:
    return perturb(f, images, label, _keys(key, rows), attack)


def _keys(key: Key[Array, ""], rows: Int[Array, " B"]) -> Key[Array, " B"]:
    return jax.vmap(partial(fold, key))(rows)
