"""What interrupts the relay. None of these loses an event: the relay starts again from the database and the stream.

RelayInterrupted
├── LeaseLost
├── DatabaseUnavailable
├── StreamReconnected
└── StreamChanged
"""

from __future__ import annotations

from taskbell.kit.postgres.errors import FAILED, describe, translating


class RelayInterrupted(Exception):
    """The relay stopped publishing and starts again."""


class LeaseLost(RelayInterrupted):
    """Another relay holds the lease now."""


class DatabaseUnavailable(RelayInterrupted):
    """The session with PostgreSQL failed or could not be opened."""


class StreamReconnected(RelayInterrupted):
    """NATS was connected again: the stream may have changed in between."""


class StreamChanged(RelayInterrupted):
    """The stream was lost, cut or written to by somebody else."""


AWAY = translating(lambda lost: DatabaseUnavailable(describe(lost)), errors=FAILED)
"""Raises `DatabaseUnavailable` for whatever PostgreSQL or the connection to it raises."""
