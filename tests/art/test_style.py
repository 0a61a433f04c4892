"""Style transfer: losses and gradients against PyTorch, the optimizers, and bad inputs."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl import explain
from jaxdl.art import Style, average_pooled, match_colors, style_losses, stylize, targets, texture
from jaxdl.errors import InputError, NonFinite
from jaxdl.models import CNN, MLP, Stage, vgg
from jaxdl.rng import root
from tests.models.random_variables import random_variables

LAYERS = (("activation_3",), {"activation_0": 1.0, "conv_2": 2.0, "activation_4": 0.5})
OPTIONS = Style(*LAYERS, content_weight=0.7, style_weight=3.0, smoothness=0.2, evaluations=12)
MODEL = average_pooled(vgg(((6, 6), (8, 8), (10,)), outputs=None))
VARIABLES = random_variables(MODEL, jnp.zeros((1, 16, 16, 3)))
F = explain.activations(MODEL, VARIABLES, OPTIONS.layers, lambda x: (x - 0.4) / 0.25)
RANDOM = np.random.default_rng(0)
CONTENT, IMAGE = (jnp.asarray(RANDOM.uniform(size=(16, 20, 3)), jnp.float32) for _ in range(2))
STYLE = jnp.asarray(RANDOM.uniform(size=(24, 16, 3)), jnp.float32)


def test_losses_and_gradient_are_those_of_pytorch():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional

    def layers(image):
        x = (image.permute(2, 0, 1)[None] - 0.4) / 0.25
        found = {}
        for i in range(5):
            layer = VARIABLES["params"][f"conv_{i}"]
            kernel = torch.tensor(np.asarray(layer["kernel"])).permute(3, 2, 0, 1)
            x = functional.conv2d(x, kernel, torch.tensor(np.asarray(layer["bias"])), padding=1)
            found[f"conv_{i}"] = x[0]
            x = functional.relu(x)
            found[f"activation_{i}"] = x[0]
            if i in (1, 3):
                x = functional.avg_pool2d(x, 2)
        return found

    def matrix(maps):
        flat = maps.flatten(1)
        return flat @ flat.T / flat.shape[1]

    def relative(a, b):
        return ((a - b) ** 2).sum() / (b**2).sum()

    content, style, image = (torch.tensor(np.asarray(x)) for x in (CONTENT, STYLE, IMAGE))
    image.requires_grad_()
    maps = layers(image)
    kept = layers(content)
    seen = layers(style)
    content_loss = relative(maps["activation_3"], kept["activation_3"])
    weights = {"activation_0": 1 / 3.5, "conv_2": 2 / 3.5, "activation_4": 0.5 / 3.5}
    style_loss = sum(w * relative(matrix(maps[n]), matrix(seen[n])) for n, w in weights.items())
    rough = (image.diff(dim=0) ** 2).mean() + (image.diff(dim=1) ** 2).mean()
    total = 0.7 * content_loss + 3 * style_loss + 0.2 * rough
    total.backward()

    found = targets(F, CONTENT, STYLE, OPTIONS)

    @jax.jit
    def losses(image):
        each = style_losses(F, image, found, OPTIONS)
        return each.total, each

    (_, each), gradient = jax.value_and_grad(losses, has_aux=True)(IMAGE)
    expected = [float(x.detach()) for x in (total, style_loss, content_loss)]
    np.testing.assert_allclose([*each], expected, rtol=1e-5)
    g = np.asarray(gradient, np.float64).ravel()
    e = image.grad.numpy().astype(np.float64).ravel()
    assert np.linalg.norm(g - e) < 1e-4 * np.linalg.norm(e)
    assert g @ e > (1 - 1e-8) * np.linalg.norm(g) * np.linalg.norm(e)


def test_the_gradient_is_the_limit_of_differences():
    with jax.enable_x64(True):
        variables = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, np.float64)), VARIABLES)
        f = explain.activations(MODEL, variables, OPTIONS.layers)
        content, image, style = (
            jnp.asarray(np.asarray(x, np.float64)) for x in (CONTENT, IMAGE, STYLE)
        )
        found = targets(f, content, style, OPTIONS)
        losses = jax.jit(lambda image: style_losses(f, image, found, OPTIONS).total)
        gradient = jax.grad(losses)(image)
        direction = jnp.asarray(np.random.default_rng(1).normal(size=image.shape))
        step = 1e-6
        slope = (losses(image + step * direction) - losses(image - step * direction)) / (2 * step)
        np.testing.assert_allclose(jnp.vdot(gradient, direction), slope, rtol=1e-6)


def test_an_image_has_no_distance_from_itself():
    losses = style_losses(F, CONTENT, targets(F, CONTENT, CONTENT, OPTIONS), OPTIONS)
    assert (float(losses.style), float(losses.content)) == (0.0, 0.0)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_both_optimizers_reduce_the_loss_within_the_budget(optimizer):
    calls = []
    options = dataclasses.replace(OPTIONS, optimizer=optimizer, frames=4)
    made = stylize(F, CONTENT, STYLE, root(0), options, progress=lambda *each: calls.append(each))
    assert made.evaluations == len(calls) == len(made.style_loss) == 12
    assert [count for count, _ in calls] == list(range(1, 13))
    total = [losses.total for _, losses in calls]
    assert min(total) < 0.8 * total[0]
    assert made.losses.total < 1.02 * min(total)
    assert made.frame_at.tolist() == [1, 2, 5, 12] and made.frames.shape == (4, 16, 20, 3)
    best = [1 + int(np.argmin(total[:count])) for count in made.frame_at]
    assert made.found_at.tolist() == best
    start = match_colors(np.asarray(CONTENT), np.asarray(STYLE))
    np.testing.assert_allclose(made.frames[0], start, atol=1e-6)
    # The result is the last frame in 8 bits, with the losses of these bits.
    np.testing.assert_allclose(made.image, made.frames[-1], atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(made.image, np.round(255 * made.image) / np.float32(255))
    found = targets(F, CONTENT, STYLE, options)
    losses = style_losses(F, jnp.asarray(made.image), found, options)
    np.testing.assert_allclose(made.losses, losses, rtol=1e-4)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_pixels_are_clipped_and_never_wrap(optimizer):
    """The target lies above the range, so that every pixel ends at its limit."""
    layers = {"bright": 1.0}

    def f(images):
        return {"bright": images - 3.0, "dark": images + 3.0}

    options = Style((), layers, optimizer=optimizer, evaluations=60, learning_rate=0.1)
    # Gram matrices of `images - 3` are smallest for white.
    white = texture(f, jnp.ones((2, 2, 1)), (3, 3), root(0), options)
    assert white.image.min() > 0.98 and white.image.max() == 1.0
    assert white.frames.min() >= 0 and white.frames.max() <= 1


def test_a_start_that_is_the_optimum_ends_early():
    options = dataclasses.replace(OPTIONS, start="content", smoothness=0.0)
    made = stylize(F, CONTENT, CONTENT, root(0), options)
    assert made.losses.total < 1e-3
    assert made.evaluations < 12
    assert made.frame_at[-1] == made.evaluations


def test_one_setting_fits_images_of_three_sizes():
    """Losses that are sums over positions would grow by the number of pixels, a factor of nine."""
    random = np.random.default_rng(4)
    content, style = (jnp.asarray(random.uniform(size=(8, 8, 3)), jnp.float32) for _ in range(2))
    options = dataclasses.replace(OPTIONS, smoothness=0.0)
    found = []
    for times in (2, 4, 6):
        large, other = (jnp.tile(image, (times, times, 1)) for image in (content, style))
        losses = style_losses(F, large, targets(F, other, other, options), options)
        found.append([losses.style, losses.content])
    # Only positions near the edges differ.
    assert (np.max(found, 0) < 2.5 * np.min(found, 0)).all(), found


def test_noise_follows_from_the_key_and_textures_have_any_shape():
    options = dataclasses.replace(OPTIONS, content_layers=(), evaluations=3, frames=2)
    first, again, other = (texture(F, STYLE, (9, 14), root(s), options) for s in (0, 0, 1))
    assert first.image.shape == (9, 14, 3)
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.allclose(first.frames[0], other.frames[0])
    assert (first.content_loss == 0).all()


def test_keep_colors_gives_the_style_the_colors_of_the_content():
    options = dataclasses.replace(OPTIONS, keep_colors=True, evaluations=1)
    blue = STYLE * jnp.array([[[0.2, 0.2, 1.0]]])
    made = stylize(F, CONTENT, blue, root(0), options)
    np.testing.assert_allclose(made.image.mean((0, 1)), CONTENT.mean((0, 1)), atol=0.01)


def test_average_pooling_keeps_parameters_and_sizes():
    model = CNN((Stage(4), Stage(4, pool=None)), outputs=None)
    variables = random_variables(model, jnp.zeros((1, 8, 8, 1)))
    x = jnp.asarray(np.random.default_rng(5).uniform(size=(1, 8, 8, 1)), jnp.float32)
    maps = [
        explain.activations(each, variables, ("activation_0", "pool_0"))(x)
        for each in (model, average_pooled(model))
    ]
    windows = np.asarray(maps[0]["activation_0"]).reshape(1, 4, 2, 4, 2, 4)
    np.testing.assert_allclose(maps[0]["pool_0"], windows.max((2, 4)), rtol=1e-5)
    np.testing.assert_allclose(maps[1]["pool_0"], windows.mean((2, 4)), rtol=1e-5)
    with pytest.raises(InputError, match="model: got .*, allowed: a CNN"):
        average_pooled(MLP((4,)))


def test_matched_colors_have_mean_and_covariance_of_the_reference():
    random = np.random.default_rng(6)
    mixing = random.normal(0, 0.05, (3, 3))
    image = 0.5 + random.uniform(-0.1, 0.1, (20, 20, 3))
    reference = 0.5 + random.uniform(-0.5, 0.5, (30, 10, 3)) @ mixing
    made = match_colors(image, reference)
    for of in (lambda x: x.mean(0), lambda x: np.cov(x.T)):
        np.testing.assert_allclose(
            of(made.reshape(-1, 3)), of(reference.reshape(-1, 3)), rtol=0.02, atol=1e-5
        )
    with pytest.raises(InputError, match="allowed: 3 channels"):
        match_colors(image[..., :1], reference)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"evaluations": 0}, "evaluations: got 0, allowed: at least 1"),
        ({"frames": 0}, "frames: got 0, allowed: at least 1"),
        ({"optimizer": "sgd"}, "optimizer: got 'sgd', allowed: adam, lbfgs"),
        ({"start": "photo"}, "start: got 'photo', allowed: content, noise, recolored"),
        ({"style_weight": -1.0}, "style_weight: got -1.0"),
        ({"smoothness": float("nan")}, "smoothness: got nan"),
        ({"style_layers": ()}, r"style_layers: got \(\), allowed: at least one name"),
        ({"style_layers": "conv_0"}, "style_layers: got 'conv_0', allowed: names of layers"),
        ({"content_layers": {"conv_0": 0.0}}, "at least one weight above 0"),
        ({"style_layers": ("conv_0", "conv_0")}, "style_layers: got .*, allowed: each layer once"),
        ({"content_layers": (3,)}, "content_layers: got 3"),
        ({"keep_colors": 1}, "keep_colors: got 1, allowed: True or False"),
    ],
)
def test_bad_options_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(OPTIONS, **change)


def pixels_of(images):
    return {"pixels": images}


def image(*shape):
    return jnp.full(shape, 0.5)


@pytest.mark.parametrize(
    ("content", "style", "message"),
    [
        (image(3, 3, 3), STYLE, "image: got .*3, 3.*, allowed: larger"),
        (CONTENT, image(3, 16, 3), "image: got .*, allowed: larger"),
        (image(16, 16, 1), image(16, 16, 1), "shape: got .*, allowed: that of an input of the"),
        (CONTENT, image(16, 16, 1), r"style: got \[16, 16, 1\], allowed: 3 channels"),
        (2 * CONTENT, STYLE, r"content: got 'pixels in .*', allowed: pixels in \[0, 1\]"),
        (CONTENT * jnp.nan, STYLE, "content: got 'pixels in "),
        (CONTENT[..., 0], STYLE, r"content: got \[16, 20\], allowed: one image \[H, W, C\]"),
        (CONTENT, jnp.zeros((16, 16, 3), jnp.int32), "style: got 'int32"),
        (CONTENT, [[[0.5]]], "style: got 'list', allowed: an array"),
    ],
)
def test_bad_images_are_refused(content, style, message):
    with pytest.raises(InputError, match=message):
        stylize(F, content, style, root(0), dataclasses.replace(OPTIONS, keep_colors=False))


def test_a_layer_that_is_missing_is_refused_with_the_nearest_name():
    options = Style(("activation_8",), ("conv_0",))
    f = explain.activations(MODEL, VARIABLES, options.layers)
    with pytest.raises(InputError, match=r"name: got 'activation_8', .*did you mean 'activation_"):
        stylize(f, CONTENT, STYLE, root(0), options)
    with pytest.raises(InputError, match=r"layer: got 'conv_1', allowed: .*did you mean 'conv_2'"):
        stylize(F, CONTENT, STYLE, root(0), dataclasses.replace(OPTIONS, style_layers=("conv_1",)))
    with pytest.raises(InputError, match="layer flat: got .*, allowed: a layer with maps"):
        texture(lambda x: {"flat": x.mean((1, 2))}, STYLE, (4, 4), root(0), Style((), ("flat",)))


def test_functions_and_keys_that_do_not_fit_are_refused():
    options = Style((), ("a",))
    for f, message in (
        (lambda x: {"a": x / 0.0}, "layer a: got 'NaN or infinity', allowed: finite maps"),
        (lambda x: x, "f: got .*, allowed: a function of images that returns {name: maps}"),
        (3, "f: got 'int', allowed: a function of images"),
    ):
        with pytest.raises(InputError, match=message):
            texture(f, STYLE, (4, 4), root(0), options)
    for call in (
        lambda key: texture(pixels_of, STYLE, (4, 4), key, options),
        lambda key: stylize(F, CONTENT, STYLE, key, OPTIONS),
    ):
        with pytest.raises(InputError, match="key: got '2 keys', allowed: one key"):
            call(jax.random.split(root(0)))


def test_a_loss_that_overflows_ends_with_its_evaluation():
    options = Style((), ("pixels",), style_weight=3.4e38, start="noise")
    with pytest.raises(NonFinite, match="step 1: the loss overflows; reduce the weights"):
        texture(lambda x: {"pixels": 9 * x}, STYLE / 99, (4, 4), root(0), options)


def test_images_of_one_row_or_pixel_have_a_finite_loss():
    options = Style(("pixels",), ("pixels",), smoothness=0.1, evaluations=3)
    for height, width in ((1, 1), (1, 9), (9, 1)):
        content = CONTENT[:height, :width]
        made = stylize(pixels_of, content, STYLE, root(0), options)
        assert made.image.shape == content.shape and np.isfinite(made.losses.total)
    # With one row, only differences along it are left.
    row = CONTENT[:1]
    found = targets(pixels_of, row, row, options)
    loss = style_losses(pixels_of, row, found, options).total
    rough = 0.1 * np.mean(np.diff(np.asarray(row), axis=1) ** 2)
    np.testing.assert_allclose(loss, rough, rtol=1e-5)


def test_targets_of_other_layers_or_sizes_are_refused():
    options = Style(("pixels",), ("pixels",))
    found = targets(pixels_of, CONTENT, STYLE, options)
    with pytest.raises(InputError, match="style_layers: got 'conv_0', allowed: pixels"):
        style_losses(pixels_of, CONTENT, found, Style(("pixels",), ("conv_0",)))
    with pytest.raises(InputError, match="image: got .*, allowed: an image for which pixels has"):
        style_losses(pixels_of, CONTENT[1:], found, options)
    with pytest.raises(InputError, match="image: got .*, allowed: floats"):
        style_losses(pixels_of, CONTENT[0], found, options)


def test_inside_of_jit_it_is_refused():
    with pytest.raises(InputError):
        jax.jit(lambda x: stylize(F, x, STYLE, root(0), OPTIONS).image)(CONTENT)
