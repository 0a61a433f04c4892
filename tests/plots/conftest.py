"""Fixtures of the tests of figures."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def drawn(monkeypatch):
    """The axes of each new figure."""
    all_axes = []

    def keeping(create):
        def keep(self, *args, **kwargs):
            all_axes.append(create(self, *args, **kwargs))
            return all_axes[-1]

        return keep

    for name in ("subplots", "add_axes"):
        monkeypatch.setattr(Figure, name, keeping(getattr(Figure, name)))
    return all_axes
