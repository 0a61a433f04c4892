"""A check of one-line errors of environments."""

import contextlib

import pytest

from jaxdl.errors import InputError


@contextlib.contextmanager
def refused(field, allowed):
    """Checks that the block raises an `InputError` of this field with this description."""
    with pytest.raises(InputError) as caught:
        yield
    message = str(caught.value)
    assert message.startswith(f"{field}: got ")
    assert allowed in message.split(", allowed: ")[-1]
    assert "\n" not in message
