"""Fixture: a port that is free for as long as a test needs it; and two ports next to each other."""

import socket
from collections.abc import Iterator

import pytest

from taskbell.local.embedded import process


@pytest.fixture
def free_port() -> Iterator[int]:
    """A port of 127.0.0.1 on which nothing listens; it is held for this test, which may listen on it.

    It is bound without listening: connections are refused, and no other process is given it.
    """
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", process.free_port()))
        yield held.getsockname()[1]


def two_free_ports() -> int:
    """The first of two ports next to each other that nobody uses, and no outgoing connection takes."""
    while not process.port_is_free((port := process.free_port()) + 1):
        pass
    return port
