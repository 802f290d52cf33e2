"""One platform for each module: what one module does to it is not the next one's concern."""

import pytest

from taskbell.testing.platform import Platform


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    """A running platform."""
    with Platform(tmp_path_factory.mktemp("platform")).up() as running:
        yield running
