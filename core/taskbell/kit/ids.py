"""Identifiers: UUIDv7 (RFC 9562), which begin with their time of creation."""

from __future__ import annotations

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a new UUIDv7."""
    return uuid7()


def bare_uuid(value: UUID) -> UUID:
    """Return a standard `uuid.UUID` for a driver's subclass of it (asyncpg's), which serialisers refuse."""
    return UUID(int=value.int)
