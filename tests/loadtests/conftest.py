"""Where the load tests are."""

from pathlib import Path

import pytest

LOADTESTS = Path(__file__).parents[2] / "loadtests"


@pytest.fixture(scope="session")
def loadtests() -> Path:
    """The folder of the load tests."""
    return LOADTESTS
