"""Robustness of classifiers against attacks: numbers, curves and pictures."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int, Key

from jaxdl import explain, plots
from jaxdl.errors import InputError, at_least, in_range, one_of
from jaxdl.explain.layers import as_partial
from jaxdl.explain.scores import Scores
from jaxdl.recipes.methods import Images, probabilities
from jaxdl.runs.options import RunOptions

#: Sizes of an attack on the curves, as multiples of epsilon.
CURVE = (0.25, 0.5, 0.75, 1.0, 1.25, 1.5)

#: Number of images of the curves and of the checklist.
FEW = 500


@dataclasses.dataclass(frozen=True)
class AttackOptions:
    """Options of the attacks that a network is evaluated with."""

    epsilon: float = 0.15
    """Largest change of an image, in units of pixels in [0, 1]."""
    norm: Literal["linf", "l2"] = "linf"
    """Size of a change: linf, the largest change of a pixel; l2, the Euclidean norm."""
    attack_steps: int = 40
    """Steps of the attacks that decide the robust accuracy."""
    starts: int = 2
    """Random starts of each of these attacks."""
    attacked_images: int | None = None
    """Number of test images that are attacked. Default: all."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        in_range("epsilon", self.epsilon, 0, float("inf"))
        if self.epsilon == 0:
            raise InputError("epsilon", self.epsilon, "above 0; --defences none trains as usual")
        one_of("norm", self.norm, ("linf", "l2"))
        at_least("attack_steps", self.attack_steps, 1)
        at_least("starts", self.starts, 1)
        if self.attacked_images is not None:
            at_least("attacked_images", self.attacked_images, 1)

    def worst(self) -> dict[str, tuple[explain.Attack, int]]:
        """Returns the attacks of the robust accuracy, with their numbers of starts."""
        fgsm = explain.fgsm(self.epsilon, norm=self.norm)
        entropy = explain.pgd(self.epsilon, self.attack_steps, norm=self.norm)
        margin = dataclasses.replace(entropy, loss="margin")
        return {
            "fgsm": (fgsm, 1),
            "cross_entropy": (entropy, self.starts),
            "margin": (margin, self.starts),
        }


class Evaluated(NamedTuple):
    """The robustness of one network.

    Attributes:
      metrics: `attacked_images`, their number; `robust_accuracy/ATTACK`; `zero_gradient`, the share
        of images with such a gradient; and `checklist/passed`, the share of passed checks.
      curves: `{attack: accuracies}` for the sizes of `epsilons`.
      epsilons: `[E]`, sizes of the attacks on the curves, with 0 as the first one.
      checks: the checklist, see `jaxdl.explain.checklist`.

    Example: see `evaluate_robustness`.
    """

    metrics: dict[str, float]
    curves: dict[str, Float[np.ndarray, " E"]]
    epsilons: Float[np.ndarray, " E"]
    checks: Sequence[Any]


def evaluate_robustness(
    f: Scores,
    images: Images,
    label: Int[np.ndarray, " N"],
    key: Key[Array, ""],
    options: AttackOptions,
    *,
    path: Path | None = None,
    progress: Callable[[str], Any] = print,
) -> Evaluated:
    """Returns the accuracies of a network under attacks, its curves, and its checklist.

    Accuracies of single attacks are those of all images: `noise` has the size of the attack, `fgsm`
    one step, and `pgd` the steps of the options from one start. `worst` is the share of images that
    no attack of `AttackOptions.worst` fools from any of its starts.

    Args:
      f: logits as a function of images, see `jaxdl.explain.logits`.
      images: `[N, H, W, C]` in [0, 1], at least two.
      label: `[N]`.
      key: root key of the attacks.
      options: attacks.
      path: file with the state of the worst case, from which an interrupted evaluation continues.
      progress: function of one line of text.

    Returns:
      Numbers and curves.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxdl.rng import root
      >>> def f(x):
      ...     return jnp.stack([x.mean((1, 2, 3)), 1 - x.mean((1, 2, 3))], -1)
      >>> x = np.random.default_rng(0).uniform(size=(6, 4, 4, 1)).astype(np.float32)
      >>> label = np.asarray(f(x).argmax(1))
      >>> found = evaluate_robustness(
      ...     f, x, label, root(0), AttackOptions(attack_steps=3), progress=lambda line: None
      ... )
      >>> float(found.curves["pgd"][0]), round(found.metrics["robust_accuracy/worst"], 2)
      (1.0, 0.17)
    """
    images = np.asarray(images[: options.attacked_images], np.float32)
    label = np.asarray(label[: options.attacked_images])
    singles = {
        "noise": explain.noise(options.epsilon, norm=options.norm),
        "fgsm": explain.fgsm(options.epsilon, norm=options.norm),
        "pgd": explain.pgd(options.epsilon, options.attack_steps, norm=options.norm),
    }
    metrics = {"attacked_images": float(len(images))}
    for name, attack in singles.items():
        value = accuracy_under(f, images, label, key, attack)
        metrics[f"robust_accuracy/{name}"] = value
        progress(f"accuracy under {name}: {100 * value:.2f} %")
    worst = explain.robustness(f, images, label, key, options.worst(), path=path, progress=progress)
    metrics["robust_accuracy/worst"] = worst.robust_accuracy
    metrics["zero_gradient"] = worst.flat
    epsilons = options.epsilon * np.array((0.0, *CURVE))
    curves = {}
    for name, attack in singles.items():
        sized = [dataclasses.replace(attack, epsilon=float(e)) for e in epsilons]
        curves[name] = np.array(
            [accuracy_under(f, images[:FEW], label[:FEW], key, each) for each in sized]
        )
    # A training that failed keeps its other numbers.
    checks = [explain.Check("some images are classified correctly", False, "0.0 %")]
    if curves["fgsm"][0]:
        checks = explain.checklist(
            f, images[:FEW], label[:FEW], key, options.epsilon, norm=options.norm
        )
    metrics["checklist/passed"] = float(np.mean([check.is_passed for check in checks]))
    return Evaluated(metrics, curves, epsilons, checks)


def accuracy_under(
    f: Scores,
    images: Images,
    label: Int[np.ndarray, " N"],
    key: Key[Array, ""],
    attack: explain.Attack,
) -> float:
    """Returns the share of images that are classified correctly after one attack.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxdl.rng import root
      >>> def f(x):
      ...     return jnp.stack([x.sum((1, 2, 3)), 1 - x.sum((1, 2, 3))], -1)
      >>> images = np.array([0.2, 0.45], np.float32).reshape(2, 1, 1, 1)
      >>> accuracy_under(f, images, np.array([1, 1]), root(0), explain.fgsm(0.1))
      0.5
    """
    found = explain.adversarial_examples(f, images, label, key, attack)
    return float(1 - found.is_fooled.mean())


def draw_robustness(
    f: Scores,
    images: Images,
    label: Int[np.ndarray, " N"],
    key: Key[Array, ""],
    options: AttackOptions,
    found: Evaluated,
    figure: Callable[[str], Path],
    class_names: Sequence[str] | None = None,
) -> None:
    """Draws the curves of a network, and images with the change that fools it.

    Args:
      f: logits as a function of images.
      images: `[N, H, W, C]` in [0, 1].
      label: `[N]`.
      key: root key of the attacks.
      options: attacks.
      found: result of `evaluate_robustness`.
      figure: function from the name of a figure to its path.
      class_names: names of the classes; None means their numbers.
    """
    plots.accuracy_curves(
        found.epsilons,
        found.curves,
        figure("accuracy_over_epsilon"),
        f"{100 * found.metrics['robust_accuracy/worst']:.1f} % of the images withstand every "
        f"attack of size {options.epsilon:g}",
        at=options.epsilon,
    )
    rows = one_of_each_class(label, 6)
    images = np.asarray(images[rows], np.float32)
    attack = explain.pgd(options.epsilon, options.attack_steps, norm=options.norm)
    changed = explain.adversarial_examples(f, images, label[rows], key, attack)
    before = probabilities(f, images)
    after = probabilities(f, changed.images)
    plots.attacked_images(
        images,
        changed.images,
        label[rows],
        before,
        after,
        figure("attacked"),
        options.epsilon,
        class_names,
    )


def draw_gradients(
    networks: Mapping[str, Scores],
    images: Images,
    label: Int[np.ndarray, " N"],
    path: Path,
) -> dict[str, float]:
    """Draws the gradients of several networks side by side; returns their shares on the strokes.

    The share is the part of the absolute gradient on pixels that are brighter than 0.1, divided by
    the share of such pixels. It is 1 for a gradient that is spread over the image.

    Source: Tsipras et al. 2019, Robustness may be at odds with accuracy.

    Args:
      networks: logits as functions of images, by name.
      images: `[N, H, W, C]` in [0, 1].
      label: `[N]`, the class whose loss has the gradient.
      path: path of the PNG file.

    Returns:
      `{name: share}`, the mean over all images.
    """
    images = np.asarray(images[:FEW], np.float32)
    label = label[:FEW]
    shown = one_of_each_class(label, 6)
    maps = {}
    shares = {}
    for name, f in networks.items():
        gradient = loss_gradient(f, images, label)
        shares[name] = share_on_strokes(gradient, images)
        maps[name] = gradient[shown]
    plots.gradients_of_networks(images[shown], maps, shares, path)
    return shares


def loss_gradient(
    f: Scores, images: Images, label: Int[np.ndarray, " N"], batch_size: int = 128
) -> Images:
    """Returns the gradient of each image's cross-entropy with respect to its pixels.

        -d log softmax(f(x))[y] / dx

    Example:
      >>> import jax.numpy as jnp
      >>> def f(x):
      ...     return jnp.stack([x.sum((1, 2, 3)), jnp.zeros(len(x))], -1)
      >>> loss_gradient(f, np.zeros((1, 1, 1, 1), np.float32), np.array([0])).tolist()
      [[[[-0.5]]]]
    """
    logs = Partial(_log_probabilities, as_partial(f))
    return -explain.gradient(logs, images, label, batch_size=batch_size)


def _log_probabilities(f: Partial, x: Float[Array, "B H W C"]) -> Float[Array, "B K"]:
    return jax.nn.log_softmax(f(x).astype(np.float32))


def share_on_strokes(gradient: Images, images: Images, threshold: float = 0.1) -> float:
    """Returns the mean part of the absolute gradient on bright pixels, relative to their number.

    Example:
      >>> gradient = np.array([3.0, 1.0]).reshape(1, 1, 2, 1)
      >>> share_on_strokes(gradient, np.array([1.0, 0.0]).reshape(1, 1, 2, 1))
      1.5
    """
    size = np.abs(gradient).sum(-1)
    bright = images.max(-1) > threshold
    total = np.maximum(size.sum((1, 2)), 1e-30)
    share = (size * bright).sum((1, 2)) / total
    return float(np.mean(share / np.maximum(bright.mean((1, 2)), 1e-30)))


def one_of_each_class(label: Int[np.ndarray, " N"], count: int) -> Int[np.ndarray, " K"]:
    """Returns the first image of each of the first classes.

    Example:
      >>> one_of_each_class(np.array([1, 1, 0, 2]), 2).tolist()
      [2, 0]
    """
    first = [int(np.flatnonzero(label == each)[0]) for each in np.unique(label)[:count]]
    return np.array(first)
