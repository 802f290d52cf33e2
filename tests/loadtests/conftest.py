"""Makes `loadtests` importable, as `make capacity` does."""

import sys
from pathlib import Path

import pytest

LOADTESTS = Path(__file__).parents[2] / "loadtests"
sys.path.append(str(LOADTESTS))


@pytest.fixture(scope="session")
def loadtests() -> Path:
    """The folder of the load tests."""
    return LOADTESTS
