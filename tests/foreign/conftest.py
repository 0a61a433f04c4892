"""Files of one small VGG network, shared by the tests."""

import pytest

from tests.foreign import twins


@pytest.fixture(scope="session")
def twin():
    """The network of PyTorch."""
    return twins.vgg()


@pytest.fixture(scope="session")
def files(twin, tmp_path_factory):
    """The weights of the network in a file of every kind, by name."""
    folder = tmp_path_factory.mktemp("weights")
    arrays = twins.arrays_of(twin)
    paths = {name: folder / name for name in twins.WRITERS}
    for name, path in paths.items():
        twins.WRITERS[name](path, arrays)
    return paths
