"""Laws on gradients, checked on every row of the table in `contract.py`."""

import numpy as np
import pytest

from jaxdl import state_sha256
from jaxdl.errors import InputError
from tests import gradients
from tests.contract import ROWS

#: Rows with rules, which have no gradient. Their batches are environments and have no padding.
RULED = {"q_table", "q_network", "skip_gram", "cbow", "glove"}

#: Rows whose parts of a batch have own statistics only after the first step.
POOLED = {"unpaired_translation"}


@pytest.mark.parametrize("dtype", gradients.LIMITS)
@pytest.mark.parametrize("how", ["accumulated", "mapped"])
@pytest.mark.parametrize("name", gradients.EXACT)
def test_parts_give_the_gradient_of_the_whole_batch(name, how, dtype):
    """With lengths, masks and fractional weights, down to weights whose sum is below 1."""
    if "carried" in name and how == "accumulated":
        with pytest.raises(InputError, match="the batch size of the carry, which accumulate"):
            gradients.largest_difference(name, how, dtype)
        return
    difference, kind = gradients.largest_difference(name, how, dtype)
    assert difference <= gradients.LIMITS[dtype], kind


@pytest.mark.parametrize("how", ["accumulated", "mapped"])
@pytest.mark.parametrize("name", sorted(set(ROWS) - set(gradients.EXACT) - RULED - POOLED))
def test_parts_have_their_own_statistics_and_noise(name, how):
    batch = gradients.batches(name)["mask"]
    whole, whole_metrics = gradients.gradients(name, "whole", "float32", batch)
    parts, metrics = gradients.gradients(name, how, "float32", batch)
    assert all(np.isfinite(x).all() for x in parts)
    assert gradients.relative_difference(parts, whole) > 1e-4
    for metric in metrics:
        np.testing.assert_allclose(metrics[metric][1], whole_metrics[metric][1], rtol=1e-6)


@pytest.mark.parametrize("name", sorted(set(gradients.ALL) - RULED))
def test_nan_in_padding_changes_no_bit_of_a_gradient(name):
    """Padding may also hold ids and labels that are out of range."""
    for kind, batch in gradients.batches(name).items():
        if kind == "plain" or "weights" in kind:
            continue
        if "mask" in kind and "carried" in name:
            continue  # these steps still determine the state of the next batch
        zeros, nans = (
            gradients.gradients(name, "whole", "float32", gradients.with_padding(batch, nan=nan))
            for nan in (False, True)
        )
        assert all(np.isfinite(x).all() for x in nans[0]), kind
        assert state_sha256(zeros) == state_sha256(nans), kind
