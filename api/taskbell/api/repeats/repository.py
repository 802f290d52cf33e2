"""Kept answers in PostgreSQL."""

from __future__ import annotations

from uuid import UUID

import asyncpg

from taskbell.api.repeats.errors import StillRunning
from taskbell.api.repeats.policy import Answer
from taskbell.api.repeats.sealing import Seal
from taskbell.kit.postgres.statements import load
from taskbell.store.functions import call
from taskbell.store.pool import Connection

_TAKE = call("take_kept_answer")
_KEEP = load(__package__, "keep_answer")


async def take(connection: Connection, *, actor: UUID, seal: Seal, patience: float) -> Answer | None:
    """Read a kept answer. The transaction acts for the user, and holds the name until its end. One round trip.

    Args:
        connection: In a transaction.
        actor: Whose it is.
        seal: Its name, and what opens it.
        patience: Seconds to wait for another transaction that holds the name.

    Raises:
        StillRunning: It holds the name for longer.
    """
    milliseconds = max(1, round(patience * 1000))
    try:
        row = await _TAKE.row(connection, actor=actor, wanted=seal.name, lock=seal.lock, patience=milliseconds)
    except asyncpg.LockNotAvailableError:
        raise StillRunning from None
    if row is None or row["sealed"] is None:
        return None
    return seal.open(row["sealed"], reached=int(row["reached"]))


async def keep(connection: Connection, *, actor: UUID, seal: Seal, sealed: bytes) -> int:
    """Keep an answer in the transaction of `take`. One round trip. Returns the position of the transaction."""
    return int(await _KEEP.value(connection, user_id=actor, name=seal.name, sealed=sealed))
