"""Convolutions in the programs of a CPU, and devices that share its threads."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from jaxdl.training.cpu import convolution_options, convolutions, few_threads

X = jnp.zeros((2, 6, 6, 3))
KERNEL = jnp.zeros((3, 3, 3, 4))


def convolve(x, kernel, **options):
    return lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), **options
    )


def kernel_gradient(x, kernel):
    return jax.grad(lambda kernel: convolve(x, kernel).sum())(kernel)


def grouped(x, kernel):
    return convolve(x, kernel[:, :, :1, :3], feature_group_count=3)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x, kernel: x @ kernel[0, 0], "none"),
        (convolve, "fast"),
        (kernel_gradient, "slow"),
        (grouped, "slow"),
        (lambda x, kernel: (convolve(x, kernel), grouped(x, kernel)), "slow"),
    ],
)
def test_one_slow_convolution_makes_a_program_slow(function, kind):
    assert convolutions(jax.jit(function).lower(X, KERNEL).as_text()) == kind


def test_xla_has_the_compiler_option_for_convolutions():
    """Without the option, convolutions would silently take up to five times as long."""
    assert convolution_options()


def test_several_devices_of_a_cpu_share_a_few_threads():
    assert [few_threads(jax.devices()[:count]) for count in (1, 2, 4)] == [False, True, True]
