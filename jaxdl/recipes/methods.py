"""Methods that explain a classifier, with the same arguments for all of them."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import numpy as np
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int, Key
from scipy.special import softmax

from jaxdl import explain
from jaxdl.core import State, inference
from jaxdl.errors import InputError, at_least, one_of
from jaxdl.explain.baselines import Kind
from jaxdl.explain.layers import Prepare
from jaxdl.explain.scores import Scores, Target, check_target, scores_of
from jaxdl.runs.options import RunOptions
from jaxdl.tasks.robust import WARMUP

Images = Float[np.ndarray, "N H W C"]
Maps = Float[np.ndarray, "N H W D"]


@dataclasses.dataclass(frozen=True)
class WhyOptions:
    """Options of the explanations."""

    methods: tuple[str, ...] = (
        "gradient",
        "smooth_gradient",
        "gradient_times_input",
        "integrated_gradients",
        "occlusion",
        "grad_cam",
        "lime",
        "rise",
        "sobel",
    )
    """Methods, in the order of the pictures. sobel: edges of the image alone, for comparison."""
    baseline: Kind = "black"
    """Image that stands for absent pixels: black, white, grey, mean, blurred or noise."""
    gradients: int = 64
    """Gradients of integrated_gradients for each image."""
    samples: int = 500
    """Masked images of lime, and of rise, for each image."""

    def validate(self, run: RunOptions) -> None:
        """Raises InputError for a value that is out of range."""
        for name in self.methods:
            one_of("methods", name, METHODS)
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise InputError("methods", self.methods, "different methods, at least one")
        at_least("gradients", self.gradients, 1)
        at_least("samples", self.samples, 200)


class Classifier(NamedTuple):
    """A classifier of images in [0, 1].

    Attributes:
      model: module whose outputs are logits.
      scores: its logits as a function of images, with the weights as leaves.
      prepare: see `jaxdl.explain.layer`.

    Example: see `classifier`.
    """

    model: nn.Module
    scores: Partial
    prepare: Prepare | None

    @property
    def variables(self) -> Any:
        """The parameters and collections."""
        return self.scores.args[0]

    def with_variables(self, variables: Any) -> "Classifier":
        """Returns the classifier with other weights, for the same compiled programs."""
        return self._replace(scores=Partial(self.scores.func, variables))

    def probabilities(self, images: Images) -> Float[np.ndarray, "N K"]:
        """Returns the probability of each class."""
        return probabilities(self.scores, images)


def classifier(model: nn.Module, variables: Any, prepare: Prepare | None = None) -> Classifier:
    """Returns a classifier from a module with its weights.

    Args:
      model: module whose outputs are logits.
      variables: its parameters and collections.
      prepare: see `jaxdl.explain.layer`.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP
      >>> model = MLP((4,), outputs=3)
      >>> images = np.zeros((2, 8, 8, 1), np.float32)
      >>> variables = model.init(jax.random.key(0), images, train=False)
      >>> classifier(model, variables).probabilities(images).shape
      (2, 3)
    """
    return Classifier(model, explain.logits(model, variables, prepare), prepare)


def classifiers(model: nn.Module, states: Sequence[State]) -> list[Classifier]:
    """Returns the trained networks of several seeds, which share their compiled programs.

    Args:
      model: module whose outputs are logits.
      states: states of the training, such as `run.members(state)`.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP
      >>> model = MLP((4,), outputs=3)
      >>> images = np.zeros((2, 8, 8, 1), np.float32)
      >>> params = model.init(jax.random.key(0), images, train=False)["params"]
      >>> first, second = classifiers(model, [State(np.int32(0), params, (), {}, {})] * 2)
      >>> first.scores.func is second.scores.func
      True
    """
    found: list[Classifier] = []
    for state in states:
        final = inference(state)
        # No model reads the number of steps of an attack that grows.
        extra = {name: each for name, each in final.extra.items() if name != WARMUP}
        variables = {"params": final.params, **extra}
        net = found[0].with_variables(variables) if found else classifier(model, variables)
        found.append(net)
    return found


def probabilities(f: Scores, images: Images) -> Float[np.ndarray, "N K"]:
    """Returns the probability of each class, computed in batches.

    Example:
      >>> import jax.numpy as jnp
      >>> images = np.zeros((1, 2, 2, 1), np.float32)
      >>> probabilities(lambda x: jnp.zeros((len(x), 2)), images).tolist()
      [[0.5, 0.5]]
    """
    return softmax(scores_of(f, images).astype(np.float64), 1)


class Explained(NamedTuple):
    """Explanations of images by several methods.

    Attributes:
      images: `[N, H, W, C]`.
      target: `[N]`, the class that is explained.
      probability: `[N]`, its probability.
      maps: `[N, H, W, 1]` or `[N, H, W, C]` by method.
      numbers: `[N]` by name: `completeness_error` of integrated gradients, `r2` and `agreement` of
        LIME.
      left_out: reason by method that does not fit the network.

    Example: see `explain_images`.
    """

    images: Images
    target: Int[np.ndarray, " N"]
    probability: Float[np.ndarray, " N"]
    maps: dict[str, Maps]
    numbers: dict[str, Float[np.ndarray, " N"]]
    left_out: dict[str, str]


def explain_images(
    net: Classifier,
    images: Images,
    key: Key[Array, ""],
    options: WhyOptions = WhyOptions(),
    target: Target = None,
) -> Explained:
    """Returns explanations of images by several methods.

    Windows of occlusion are 3/28 of the smaller side, which is 3 pixels for MNIST. Segments of LIME
    are squares of about 1/8 of a side for images below 64 pixels, else superpixels. The maps of
    RISE are relative to their mean, because all pixels share a constant.

    Args:
      net: the classifier.
      images: `[N, H, W, C]` in [0, 1].
      key: root key of the random numbers.
      options: options of the methods.
      target: a class, one for each image, or None for the class with the largest score.

    Raises:
      InputError: bad images, or a class that does not exist.

    Example:
      >>> import jax
      >>> from jaxdl.models import MLP
      >>> from jaxdl.rng import root
      >>> model = MLP((4,), outputs=3)
      >>> images = np.random.default_rng(0).random((2, 8, 8, 1), np.float32)
      >>> net = classifier(model, model.init(jax.random.key(0), images, train=False))
      >>> found = explain_images(net, images, root(0), WhyOptions(("gradient", "grad_cam")))
      >>> list(found.maps), found.left_out
      (['gradient'], {'grad_cam': 'the network has no layer with positions'})
    """
    images = np.asarray(images, np.float32)
    chosen = check_target(net.scores, images, target)
    job = Job(net, images, chosen, key, options, baseline_images(options, images, key))
    maps = {}
    numbers: dict[str, Any] = {}
    left_out = {}
    for name in options.methods:
        if name == "grad_cam" and not _has_positions(net, images.shape[1:]):
            left_out[name] = "the network has no layer with positions"
            continue
        maps[name], more = METHODS[name](job)
        numbers |= more
    if not maps:
        allowed = "others, such as gradient; the network has no layer with positions"
        raise InputError("methods", ", ".join(options.methods), allowed)
    probability = net.probabilities(images)[np.arange(len(images)), chosen]
    return Explained(images, chosen, probability, maps, numbers, left_out)


class Job(NamedTuple):
    """The arguments of a method: what to explain, and how."""

    net: Classifier
    images: Images
    target: Int[np.ndarray, " N"]
    key: Key[Array, ""]
    options: WhyOptions
    baseline: Images

    @property
    def basis(self) -> tuple[Any, Any, Any]:
        """Scores, images and target."""
        return self.net.scores, self.images, self.target

    @property
    def side(self) -> int:
        """Smaller side of the images in pixels."""
        return min(self.images.shape[1:3])


#: A method: maps, and numbers by name.
Method = Callable[[Job], tuple[Maps, dict[str, Any]]]


def _gradient(job: Job) -> tuple[Maps, dict[str, Any]]:
    return explain.gradient(*job.basis), {}


def _smooth_gradient(job: Job) -> tuple[Maps, dict[str, Any]]:
    return explain.smooth_gradient(*job.basis, key=job.key), {}


def _gradient_times_input(job: Job) -> tuple[Maps, dict[str, Any]]:
    return explain.gradient_times_input(*job.basis), {}


def _integrated_gradients(job: Job) -> tuple[Maps, dict[str, Any]]:
    steps = job.options.gradients
    found = explain.integrated_gradients(*job.basis, baseline=job.baseline, steps=steps)
    return found.maps, {"completeness_error": found.completeness_error}


def _occlusion(job: Job) -> tuple[Maps, dict[str, Any]]:
    window = max(2, round(job.side * 3 / 28))
    stride = 1
    if job.side >= 64:
        stride = max(1, window // 2)
    maps = explain.occlusion(*job.basis, window=window, stride=stride, baseline=job.baseline)
    return maps, {}


def _grad_cam(job: Job) -> tuple[Maps, dict[str, Any]]:
    net = job.net
    found = explain.grad_cam(net.model, net.variables, job.images, job.target, prepare=net.prepare)
    return found.maps, {}


def _lime(job: Job) -> tuple[Maps, dict[str, Any]]:
    samples = job.options.samples
    if job.side < 64:
        segments = explain.grid(job.images.shape[1:], math.ceil(job.side / 8))
    else:
        segments = explain.superpixels(job.images)
    # A linear model needs more samples than segments.
    samples = max(samples, 2 * (int(segments.max()) + 2))
    found = explain.lime(
        *job.basis,
        key=job.key,
        segments=segments,
        baseline=job.baseline,
        samples=samples,
        most_samples=samples,
    )
    return found.maps, {"r2": found.r2, "agreement": found.agreement}


def _rise(job: Job) -> tuple[Maps, dict[str, Any]]:
    maps = explain.rise(
        *job.basis,
        key=job.key,
        masks=job.options.samples,
        cells=min(7, job.side),
        baseline=job.baseline,
    )
    return maps - maps.mean((1, 2, 3), keepdims=True), {}


def _sobel(job: Job) -> tuple[Maps, dict[str, Any]]:
    return explain.sobel(job.images), {}


METHODS: dict[str, Method] = {
    "gradient": _gradient,
    "smooth_gradient": _smooth_gradient,
    "gradient_times_input": _gradient_times_input,
    "integrated_gradients": _integrated_gradients,
    "occlusion": _occlusion,
    "grad_cam": _grad_cam,
    "lime": _lime,
    "rise": _rise,
    "sobel": _sobel,
}


def baseline_images(options: WhyOptions, images: Images, key: Key[Array, ""]) -> Images:
    """Returns the images that stand for absent pixels.

    Example:
      >>> from jaxdl.rng import root
      >>> options = WhyOptions(baseline="grey")
      >>> float(baseline_images(options, np.zeros((1, 2, 2, 1)), root(0)).mean())
      0.5
    """
    return explain.baselines(options.baseline, images, key)


def _has_positions(net: Classifier, shape: Sequence[int]) -> bool:
    shapes = explain.layers(net.model, net.variables, tuple(shape), net.prepare)
    return any(len(each) == 3 for each in shapes.values())


def first_of(found: Explained, count: int) -> Explained:
    """Returns the explanations of the first images.

    Example:
      >>> three = np.zeros(3)
      >>> found = Explained(np.zeros((3, 2, 2, 1)), three, three, {}, {}, {})
      >>> len(first_of(found, 2).images)
      2
    """
    return Explained(
        found.images[:count],
        found.target[:count],
        found.probability[:count],
        {name: maps[:count] for name, maps in found.maps.items()},
        {name: values[:count] for name, values in found.numbers.items()},
        found.left_out,
    )
