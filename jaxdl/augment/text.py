"""Augmentations from a text, such as `rotate=15,shift=2`."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxdl.augment.affine import affine
from jaxdl.augment.elastic import elastic
from jaxdl.augment.example import Augment, Mix, chain, sometimes
from jaxdl.augment.mixing import cutmix, mixup
from jaxdl.augment.movement import random_crop, random_flip, random_shift
from jaxdl.augment.noise import brightness, contrast, cutout, gaussian_noise, salt_and_pepper
from jaxdl.errors import InputError, of_kind, one_of, real_number

#: Parts of the one interpolation of `affine`, which has their names as arguments.
AFFINE = ("rotate", "shift", "scale", "shear")

#: Augmentations with one number, by their name in a text.
OTHERS: dict[str, Callable[..., Augment]] = {
    "flip": random_flip,
    "crop": random_crop,
    "brightness": brightness,
    "contrast": contrast,
    "noise": gaussian_noise,
    "salt_and_pepper": salt_and_pepper,
    "cutout": cutout,
    "elastic": elastic,
}

#: Mixtures of two examples, by their name in a text.
MIXTURES: dict[str, Callable[..., Mix]] = {"mixup": mixup, "cutmix": cutmix}

NAMES = (*AFFINE, *OTHERS, *MIXTURES)

#: Names that are not for images only.
ANY_INPUT = ("brightness", "noise", "salt_and_pepper", "mixup")


class Augmentation(NamedTuple):
    """The augmentations of a text.

    Attributes:
      augment: change of one example, or None.
      mix: mixture of two examples and their labels, or None.
    """

    augment: Augment | None = None
    mix: Mix | None = None


def parse(
    text: str | None,
    shape: tuple[int, ...] | None = None,
    probability: float = 1.0,
) -> Augmentation:
    """Returns the augmentations that a text names.

    A text has pairs `name=number` and commas between them:

    | name | number | function |
    |---|---|---|
    | rotate, shear | largest angle in degrees | `affine` |
    | scale | largest factor of the size, at least 1 | `affine` |
    | shift | largest shift in pixels | `affine`, alone `random_shift` |
    | crop | mirrored pixels at each border | `random_crop` |
    | flip | probability of exchanging left and right | `random_flip` |
    | elastic | standard deviation of a displacement in pixels | `elastic` |
    | brightness, contrast | largest change, in [0, 1) | `brightness`, `contrast` |
    | noise | standard deviation | `gaussian_noise` |
    | salt_and_pepper | fraction of changed pixels | `salt_and_pepper` |
    | cutout | side of a blank square in pixels | `cutout` |
    | mixup, cutmix | alpha of the weights | `mixup`, `cutmix` |

    They are applied in the order of the text. rotate, shift, scale and shear are one interpolation
    in the place of the first of them. shift alone moves by whole pixels. mixup or cutmix comes
    last.

    A label must survive a change. For digits `rotate=180` would be wrong, because a 6 becomes a 9,
    and so would `flip=0.5`, because a mirrored 2 is close to a 5. Large values of shift, scale or
    cutout can remove what is shown.

    The numbers are those of the arrays that a network reads. In standardized images 0 is the mean
    of the training set. Pixels outside of the image, a cutout and black pixels of salt_and_pepper
    then have the mean, and white ones are a standard deviation above it.

    Args:
      text: the text; None means no augmentation.
      shape: shape of an example, with which the numbers are compared. None checks the text alone.
      probability: probability in (0, 1] that an example is changed. Others stay as they are.

    Returns:
      The change of one example and the mixture, each None if the text has none.

    Raises:
      InputError: an unknown name, one that occurs twice, a number that is missing or out of range,
        inputs that are not images, or a change that would leave nothing of them.

    Example:
      >>> parse("rotate=15,shift=2,mixup=0.2", (28, 28, 1)).augment.made_by
      ('affine', (15, 2, 1.0, 0.0, 1))
      >>> parse("rotat=15")
      Traceback (most recent call last):
      jaxdl.errors.InputError: augment: got 'rotat', ... (did you mean 'rotate'?)
      >>> parse("cutout=9", (8, 8, 1))
      Traceback (most recent call last):
      jaxdl.errors.InputError: augment: got 'cutout=9', allowed: less than the smaller side ...
    """
    number = real_number(probability)
    if number is None or not 0 < number <= 1:
        raise InputError("probability", probability, "a number in (0, 1]")
    if text is None:
        return Augmentation()
    of_kind("augment", text, str, "a text such as rotate=15,shift=2, or None")
    if shape is not None:
        of_kind("shape", shape, Sequence, "the shape of an example, such as (28, 28, 1)")
    numbers = _numbers(text)
    mixtures = [name for name in numbers if name in MIXTURES]
    if len(mixtures) > 1:
        raise InputError("augment", text, "one of mixup and cutmix")
    if shape is not None and len(shape) != 3:
        for name in numbers:
            if name not in ANY_INPUT:
                allowed = f"none for inputs of shape {list(shape)}, which are not images"
                raise InputError("augment", f"{name}={numbers[name]}", allowed)
    mix = None
    for name in mixtures:
        with _named(numbers, name):
            mix = MIXTURES[name](numbers[name])
    parts = _parts(numbers, shape)
    if not parts:
        return Augmentation(None, mix)
    augment = parts[0]
    if len(parts) > 1:
        augment = chain(*parts)
    if probability < 1:
        augment = sometimes(augment, probability)
        if [name for name in numbers if name not in MIXTURES] == ["shift"]:
            # The same as `sometimes`, with the bits of earlier runs.
            augment = random_shift(int(numbers["shift"]), 1 - probability)
    return Augmentation(augment, mix)


def _numbers(text: str) -> dict[str, float]:
    """Returns the numbers of a text by name, whole ones as integers."""
    numbers: dict[str, float] = {}
    for pair in text.split(","):
        name, _, value = pair.partition("=")
        name = one_of("augment", name.strip(), NAMES)
        if name in numbers:
            raise InputError("augment", text, f"{name} once")
        try:
            numbers[name] = int(value)
        except ValueError:
            try:
                numbers[name] = float(value)
            except ValueError:
                allowed = f"a name and a number, such as {name}=1"
                raise InputError("augment", pair, allowed) from None
    return numbers


def _parts(numbers: Mapping[str, Any], shape: tuple[int, ...] | None) -> list[Augment]:
    """Returns the changes of one example in their order, checked with the shape of an example."""
    fused = {name: numbers[name] for name in numbers if name in AFFINE}
    parts: list[Augment] = []
    for name in numbers:
        if name in MIXTURES or (name in fused and name != next(iter(fused))):
            continue
        with _named(numbers, name):
            if name in OTHERS:
                part = OTHERS[name](numbers[name])
            elif list(fused) == ["shift"]:
                part = random_shift(numbers["shift"])
            else:
                part = affine(**fused)
            if shape is not None:
                jax.eval_shape(part, jax.random.key(0), jax.ShapeDtypeStruct(shape, jnp.float32))
        parts.append(part)
    return parts


@contextlib.contextmanager
def _named(numbers: Mapping[str, float], name: str) -> Iterator[None]:
    """Raises the errors of an augmentation with its name and number in the text."""
    try:
        yield
    except InputError as error:
        field = str(error).partition(":")[0]
        if field in AFFINE:
            name = field
        allowed = str(error).partition("allowed: ")[2]
        raise InputError("augment", f"{name}={numbers[name]}", allowed) from None
