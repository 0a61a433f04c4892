"""Robust accuracy: the worst case of several attacks and starts for each image, resumable."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Key

from jaxdl.array_file import ArrayFile
from jaxdl.errors import InputError, at_least, not_in_jit, of_kind
from jaxdl.explain.adversarial import Adversarial, check_label, check_range, improve, unattacked
from jaxdl.explain.attacks import Attack
from jaxdl.explain.layers import as_partial
from jaxdl.explain.scores import Scores
from jaxdl.rng import check_single_key, fold, stream

#: Largest difference of margins without an attack, relative to the largest one, for one network.
SAME = 1e-3


class Robustness(NamedTuple):
    """The result of several attacks on a set.

    Attributes:
      is_robust: `[N]`, True if the image is classified correctly, and no attack has fooled it.
      is_correct: `[N]`, True if the image is classified correctly without an attack.
      accuracy: share of the images that are classified correctly without an attack.
      robust_accuracy: share of the robust images.
      after: `{attack: share}`, the share of robust images after an attack and all before it. The
        first one is the accuracy under this attack alone. The others attack surviving images only,
        so their accuracy on the whole set is unknown here: `adversarial_examples` computes it.
      margin: `[N]`, the largest margin that was found, see `Adversarial`.
      flat: share of the images with a gradient that was zero or not finite. The robustness of such
        images is unknown.
      seconds: `{attack: seconds}`, the time of each attack.

    Example: see `robustness`.
    """

    is_robust: Bool[np.ndarray, " N"]
    is_correct: Bool[np.ndarray, " N"]
    accuracy: float
    robust_accuracy: float
    after: dict[str, float]
    margin: Float[np.ndarray, " N"]
    flat: float
    seconds: dict[str, float]


def robustness(
    f: Scores,
    images: Float[np.ndarray, "N H W C"],
    label: Any,
    key: Key[Array, ""],
    attacks: Mapping[str, tuple[Attack, int]],
    *,
    path: str | Path | None = None,
    progress: Callable[[str], Any] | None = None,
    batch_size: int = 100,
) -> Robustness:
    """Returns the robust accuracy of a classifier under several attacks.

        robust_n = all over attacks and starts of  [ argmax f(x'_n) = y_n ]

    Attacks run in order, each from all its starts. An image that is fooled is not attacked again,
    so the cheapest attack should be the first.

    Args:
      f: logits as a function of images, such as `logits(model, variables)`.
      images: `[N, H, W, C]`, pixels in [0, 1].
      label: `[N]`, the class of each image.
      key: root key of the random numbers.
      attacks: `{name: (attack, starts)}`.
      path: file for the state after each start, an `.npz`. A call that finds it there continues
        after the last start, and its result has the same bits. None means no file.
      progress: function of one line of text per start, such as `print`.
      batch_size: number of images in a batch.

    Returns:
      The robust accuracy with the flags of each image.

    Raises:
      InputError: bad images or classes; a targeted attack; a file of another evaluation.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxdl.rng import root
      >>> def f(x):
      ...     return jnp.stack([x.sum((1, 2, 3)), 1 - x.sum((1, 2, 3))], -1)
      >>> images = np.linspace(0, 0.4, 5, dtype=np.float32).reshape(5, 1, 1, 1)
      >>> one = Attack(0.15, steps=1, start="image")
      >>> result = robustness(f, images, 1, root(0), {"fgsm": (one, 1), "pgd": (Attack(0.25), 2)})
      >>> result.accuracy, result.after
      (1.0, {'fgsm': 0.8, 'pgd': 0.6})
    """
    not_in_jit("robustness")
    check_single_key(key)
    at_least("batch_size", batch_size, 1)
    of_kind("path", path, str | Path | None, "the path of a file, or None")
    _check_attacks(attacks)
    given = check_label(f, images, label)
    for attack, _ in attacks.values():
        check_range(images, attack)
    clean = unattacked(f, images, given, False, batch_size)
    state = _State(clean.is_fooled, clean.margin, clean.is_flat, np.zeros(0), np.zeros(0))
    units = [(name, start) for name, (_, starts) in attacks.items() for start in range(starts)]
    file = None
    if path is not None:
        texts = [f"{name} {starts} {asdict(attack)}" for name, (attack, starts) in attacks.items()]
        inputs = {"weights": as_partial(f), "images": clean.images, "label": given, "key": key}
        file = ArrayFile(path, {**inputs, "attacks": texts})
        state = _read(file, clean.margin, len(units)) or state
    for number in range(len(state.seconds), len(units)):
        name, start = units[number]
        began = time.perf_counter()
        start_key = fold(fold(stream(key, "attack"), list(attacks).index(name)), start)
        earlier = clean._replace(is_fooled=state.is_fooled)
        found = improve(f, images, given, start_key, attacks[name][0], earlier, batch_size)
        state = _merged(state, found, time.perf_counter() - began)
        if file is not None:
            file.write({"without_attack": clean.margin, **state._asdict()})
        if progress is not None:
            progress(f"{name}, start {start + 1} of {attacks[name][1]}: {_line(state)}")
    return _result(state, clean, attacks)


class _State(NamedTuple):
    """The state after some starts.

    Attributes:
      is_fooled: `[N]`, True if an attack has fooled the image.
      margin: `[N]`, the largest margin.
      is_flat: `[N]`, True after a gradient that was zero or not finite.
      robust: `[S]`, the share of robust images after each start.
      seconds: `[S]`, the time of each start.
    """

    is_fooled: Bool[np.ndarray, " N"]
    margin: Float[np.ndarray, " N"]
    is_flat: Bool[np.ndarray, " N"]
    robust: Float[np.ndarray, " S"]
    seconds: Float[np.ndarray, " S"]


def _merged(state: _State, found: Adversarial, seconds: float) -> _State:
    is_fooled = state.is_fooled | found.is_fooled
    return _State(
        is_fooled,
        np.maximum(state.margin, found.margin),
        state.is_flat | found.is_flat,
        np.append(state.robust, 1 - is_fooled.mean()),
        np.append(state.seconds, seconds),
    )


def _line(state: _State) -> str:
    share = f"{100 * state.robust[-1]:.2f} % robust"
    return f"{share}, {state.seconds[-1]:.1f} s, {state.seconds.sum():.1f} s in all"


def _result(
    state: _State, clean: Adversarial, attacks: Mapping[str, tuple[Attack, int]]
) -> Robustness:
    ends = np.cumsum([starts for _, starts in attacks.values()])
    times = np.split(state.seconds, ends[:-1])
    return Robustness(
        is_robust=~state.is_fooled,
        is_correct=~clean.is_fooled,
        accuracy=1 - float(clean.is_fooled.mean()),
        robust_accuracy=1 - float(state.is_fooled.mean()),
        after={name: float(state.robust[end - 1]) for name, end in zip(attacks, ends, strict=True)},
        margin=state.margin,
        flat=float(state.is_flat.mean()),
        seconds={name: float(part.sum()) for name, part in zip(attacks, times, strict=True)},
    )


def _check_attacks(attacks: Any) -> None:
    """Raises unless attacks are `{name: (attack, starts)}`."""
    allowed = '{name: (attack, starts)}, such as {"pgd": (explain.pgd(0.3, 100), 10)}'
    if not isinstance(attacks, Mapping) or not attacks:
        raise InputError("attacks", attacks, allowed)
    for name, pair in attacks.items():
        if not isinstance(pair, tuple) or len(pair) != 2:
            raise InputError(f"attacks[{name!r}]", pair, allowed)
        of_kind(f"attacks[{name!r}]", pair[0], Attack, allowed)
        at_least(f"starts of {name!r}", pair[1], 1)
        if pair[0].targeted:
            allowed = "an attack that is not targeted; any other class counts as fooled"
            raise InputError(f"attacks[{name!r}]", pair[0], allowed)


def _read(file: ArrayFile, margin: Float[np.ndarray, " N"], starts: int) -> _State | None:
    """Returns the state in a file, None without a file; raises for another evaluation.

    Args:
      file: the file.
      margin: `[N]`, margins without an attack, which find a function with other code.
      starts: number of starts of all attacks.
    """
    arrays = file.read()
    if arrays is None:
        return None
    if set(arrays) != {"without_attack", *_State._fields}:
        file.refuse_damaged()
    stored = arrays.pop("without_attack")
    state = _State(**arrays)
    flags = np.zeros(len(margin), bool)
    numbers = np.zeros(len(np.ravel(state.seconds)))
    usual = (flags, margin, flags, numbers, numbers, margin)
    pairs = zip((*state, stored), usual, strict=True)
    is_usual = all(a.dtype == b.dtype and a.shape == b.shape for a, b in pairs)
    if not is_usual or numbers.size > starts:
        file.refuse_damaged()
    if np.abs(stored - margin).max() > SAME * np.abs(stored).max():
        file.refuse("scores")
    return state
