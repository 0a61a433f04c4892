"""Tests of the barrier on a line: closed forms, invariances, bad values."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxdl.errors import InputError
from jaxdl.landscape import barrier

T = np.linspace(0, 1, 21)


def test_a_parabola_has_a_quarter_of_its_coefficient():
    # 4 c t (1 - t) has its maximum c at 1/2, and a straight line adds nothing.
    for c in (0.3, 2.0):
        assert barrier(4 * c * T * (1 - T) + 5 - 3 * T) == pytest.approx(c, rel=1e-12)


def test_a_convex_loss_has_none():
    assert barrier(np.exp(3 * T)) == 0
    assert barrier((T - 0.3) ** 2) == 0
    assert barrier(2 - 7 * T) == pytest.approx(0, abs=1e-12)


def test_it_equals_a_loop_over_points():
    rng = np.random.default_rng(0)
    for size in (3, 4, 25):
        losses = rng.normal(size=size).astype(np.float32)
        highest = 0.0
        for i, loss in enumerate(losses.tolist()):
            t = i / (size - 1)
            highest = max(highest, loss - (1 - t) * float(losses[0]) - t * float(losses[-1]))
        assert barrier(losses) == pytest.approx(highest, rel=1e-12)
        assert barrier(losses[::-1]) == pytest.approx(highest, rel=1e-12)
        assert barrier(jnp.asarray(losses)) == barrier(losses)
        assert type(barrier(losses)) is float


@pytest.mark.parametrize(
    "losses", [[1.0, 2.0], 3.0, [[1.0, 2.0, 3.0]], ["a", "b", "c"], [True] * 3]
)
def test_other_arrays_are_refused(losses):
    with pytest.raises(InputError, match=r"losses: got .* losses \[P\] at 3 or more"):
        barrier(losses)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_losses_that_are_not_finite_are_refused(value):
    with pytest.raises(InputError, match=r"losses\[2\]: got (nan|inf), allowed: finite"):
        barrier([0.0, 1.0, value, 2.0])
