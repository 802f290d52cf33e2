"""Identifiers: UUIDv7 (RFC 9562), which begin with their time of creation."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a new UUIDv7."""
    return uuid7()


def lowest_id(instant: datetime) -> UUID:
    """Return the smallest id that a UUIDv7 made at this instant could have: 48 bits of Unix ms, then zeros.

    An instant before 1970 gives the nil UUID, the smallest of all.
    """
    return UUID(int=max(0, int(instant.timestamp() * 1000)) << 80)


def bare_uuid(value: UUID) -> UUID:
    """Return a standard `uuid.UUID` for asyncpg's subclass of it, which serialisers refuse."""
    return UUID(int=value.int)
