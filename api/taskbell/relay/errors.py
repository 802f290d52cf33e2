"""What interrupts the relay. Nothing is lost by any of these: it begins anew from the database and the stream.

RelayInterrupted
├── LeaseLost
├── DatabaseUnavailable
├── StreamReconnected
└── StreamChanged
"""

from __future__ import annotations


class RelayInterrupted(Exception):
    """Carrying ended early and begins anew."""


class LeaseLost(RelayInterrupted):
    """Another relay holds the lease now."""


class DatabaseUnavailable(RelayInterrupted):
    """The session with PostgreSQL failed or could not be made."""


class StreamReconnected(RelayInterrupted):
    """The connection to NATS was made anew: the stream may have changed in between."""


class StreamChanged(RelayInterrupted):
    """The stream was lost, cut or written to by somebody else."""
