"""Tests of decoded images: Pillow's own arrays, and formulas for transparency and bits."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from jaxdl.data.decoding import Form, decode, form_of
from jaxdl.errors import InputError
from tests.data.folders import random_pixels, write_image

GREY = random_pixels(6, 5)
RGB = random_pixels(6, 5, 3)


def read(path, channels=None, bits=None):
    """Decodes an image in its own form, or in one with other channels and bits."""
    form = form_of(path)
    return decode(path, form._replace(channels=channels or form.channels, bits=bits or form.bits))


def test_grey_and_rgb_are_the_written_pixels(tmp_path):
    write_image(tmp_path / "grey.png", GREY)
    write_image(tmp_path / "rgb.png", RGB)
    assert form_of(tmp_path / "grey.png") == Form(6, 5, 1, 8)
    assert form_of(tmp_path / "rgb.png") == Form(6, 5, 3, 8)
    np.testing.assert_array_equal(read(tmp_path / "grey.png")[..., 0], GREY)
    np.testing.assert_array_equal(read(tmp_path / "rgb.png"), RGB)
    tripled = read(tmp_path / "grey.png", channels=3)
    np.testing.assert_array_equal(tripled, np.stack([GREY] * 3, -1))


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_has_the_pixels_that_pillow_decodes(mode, tmp_path):
    pixels = {"L": GREY, "RGB": RGB}[mode]
    write_image(tmp_path / "a.jpg", pixels)
    with Image.open(tmp_path / "a.jpg") as image:
        expected = np.asarray(image)
    np.testing.assert_array_equal(read(tmp_path / "a.jpg").squeeze(), expected)


def test_one_bit_is_black_and_white(tmp_path):
    Image.fromarray(GREY > 128).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png")[..., 0], 255 * (GREY > 128))


def test_transparent_pixels_are_composed_on_white(tmp_path):
    alpha = random_pixels(6, 5, 1)
    write_image(tmp_path / "rgba.png", np.concatenate([RGB, alpha], -1))
    write_image(tmp_path / "la.png", np.concatenate([GREY[..., None], alpha], -1))
    for name, colour in {"rgba.png": RGB, "la.png": GREY[..., None]}.items():
        got = read(tmp_path / name)
        expected = (colour * (alpha / 255) + 255 * (1 - alpha / 255)).round()
        assert got.shape == expected.shape
        assert abs(got.astype(float) - expected).max() <= 1


def test_a_palette_is_rgb_and_its_transparent_color_white(tmp_path):
    image = Image.fromarray(RGB).quantize(8)
    image.save(tmp_path / "palette.png")
    image.save(tmp_path / "transparent.png", transparency=int(np.asarray(image)[0, 0]))
    np.testing.assert_array_equal(read(tmp_path / "palette.png"), np.asarray(image.convert("RGB")))
    assert read(tmp_path / "transparent.png")[0, 0].tolist() == [255, 255, 255]


def test_pixels_of_16_bits_keep_them(tmp_path):
    deep = np.random.RandomState(1).randint(0, 2**16, (6, 5)).astype(np.uint16)
    write_image(tmp_path / "deep.png", deep)
    write_image(tmp_path / "grey.png", GREY)
    assert form_of(tmp_path / "deep.png") == Form(6, 5, 1, 16)
    got = read(tmp_path / "deep.png")
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got[..., 0], deep)
    # The fraction of white is the same with the other number of bits.
    np.testing.assert_array_equal(read(tmp_path / "grey.png", bits=16)[..., 0] / 65535, GREY / 255)
    few = read(tmp_path / "deep.png", bits=8)[..., 0]
    np.testing.assert_array_equal(few, np.floor(deep / 257 + 0.5))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_turned_as_its_orientation_states(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for ending in ("jpg", "png"):
        path = tmp_path / f"a.{ending}"
        write_image(path, RGB, exif=exif)
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image))
        assert form_of(path)[:2] == expected.shape[:2]
        np.testing.assert_array_equal(read(path), expected)
    shape = (5, 6) if orientation > 4 else (6, 5)
    assert expected.shape[:2] == shape


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_scaling_is_the_mean_of_blocks_where_sides_are_multiples(dtype, tmp_path):
    """A centred square of constant blocks is cropped, and each block becomes a pixel."""
    blocks = np.random.RandomState(2).randint(0, 256, (3, 5)).astype(dtype)
    write_image(tmp_path / "a.png", blocks.repeat(8, 0).repeat(8, 1))
    form = form_of(tmp_path / "a.png")._replace(height=3, width=3)
    got = decode(tmp_path / "a.png", form, scaled=True)[..., 0].astype(float)
    # Linear interpolation reaches into the neighbours by half a pixel.
    assert np.corrcoef(got.ravel(), blocks[:, 1:4].ravel())[0, 1] > 0.9
    write_image(tmp_path / "b.png", np.full((24, 40), 7, dtype))
    assert (decode(tmp_path / "b.png", form, scaled=True) == 7).all()


def write_bytes(content):
    return lambda path: path.write_bytes(content)


def truncated(path):
    write_image(path, random_pixels(60, 60))
    path.write_bytes(path.read_bytes()[:1000])


def huge(path):
    Image.new("1", (40_000, 40_000)).save(path)


def animated(path):
    frames = [Image.fromarray(random_pixels(4, 4)) for _ in range(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:])


def empty_but_large(path):
    Image.new("L", (8000, 8000)).save(path)


@pytest.mark.parametrize(
    ("write", "allowed"),
    [
        (write_bytes(b""), "an image that can be read (it is no PNG or JPEG file, or its header"),
        (write_bytes(b"GIF89a"), "an image that can be read (it is no PNG or JPEG file"),
        (truncated, "an image that can be read (image file is truncated"),
        (huge, "an image that can be read (Image size (1600000000 pixels) exceeds limit"),
        (empty_but_large, "at most "),
        (animated, "one image per file"),
        (lambda path: path.mkdir(), "an image that can be read (Is a directory); repair or"),
        (lambda path: Image.new("CMYK", (4, 4)).save(path, "JPEG"), "grey or RGB; convert it,"),
    ],
    ids=["empty", "gif", "truncated", "bomb", "zeros", "animated", "directory", "cmyk"],
)
def test_other_files_are_refused_in_one_line_with_their_path(write, allowed, tmp_path):
    path = tmp_path / "a.png"
    write(path)
    with pytest.raises(InputError) as caught:
        decode(path, form_of(path))
    assert str(path) in str(caught.value)
    assert f"allowed: {allowed}" in str(caught.value)


def test_another_size_than_that_of_the_set_is_refused(tmp_path):
    write_image(tmp_path / "a.png", GREY)
    with pytest.raises(InputError, match=r"a.png of 6 x 5', allowed: 5 x 6 pixels, the size"):
        decode(tmp_path / "a.png", Form(5, 6, 1, 8))


@pytest.mark.parametrize("seed", range(20))
def test_damaged_files_give_an_image_or_one_line(seed, tmp_path):
    """Random bytes of valid files are changed."""
    random = np.random.RandomState(seed)
    for ending in ("png", "jpg"):
        path = tmp_path / f"a.{ending}"
        write_image(path, random.randint(0, 256, (20, 20, 3)).astype(np.uint8))
        content = np.frombuffer(path.read_bytes(), np.uint8).copy()
        content[random.randint(0, len(content), 3)] = random.randint(0, 256, 3)
        path.write_bytes(content.tobytes())
        try:
            pixels = decode(path, form_of(path))
        except InputError:
            continue
        assert pixels.dtype == np.uint8
