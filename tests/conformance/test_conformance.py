"""Every case that the layers can express agrees with ONNX and Flax."""

import jax
import pytest

from tests.conformance import flax_cases
from tests.conformance.cases import Case, Inexpressible


def failures(cases):
    results = {case.name: case.result() for case in cases}
    return {name: text for name, text in results.items() if text.startswith("failed")}


def test_the_result_names_the_reason():
    def refuse():
        raise Inexpressible("groups")

    assert Case("a", lambda: [1.0], [1.0]).result() == ""
    assert Case("b", lambda: [1.0], [2.0]).result().startswith("failed: AssertionError")
    assert Case("c", refuse, [1.0]).result() == "cannot be expressed: groups"


@pytest.fixture
def as_users_run_it():
    """The default promotion, which Linen's layers need."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.mark.slow
@pytest.mark.release
def test_flax(as_users_run_it):
    assert not failures([*flax_cases.cases(), *flax_cases.grid()])


@pytest.mark.slow
@pytest.mark.release
def test_onnx(as_users_run_it):
    pytest.importorskip("onnx", reason="pip install onnx")
    from tests.conformance import onnx_cases

    cases = onnx_cases.cases()
    assert len(cases) > 100
    assert not failures(cases)
