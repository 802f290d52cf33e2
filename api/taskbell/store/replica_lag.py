"""Measures once how far a replica is behind: for people who ask, not for requests."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from taskbell.kit.postgres.statements import Reader, load
from taskbell.store.log_positions import end_of_log

_PRIMARY = load(__package__, "select_primary_position")
_REPLICA = load(__package__, "select_replica_position")
_EVERY = 0.005


@dataclass(frozen=True, slots=True)
class Lag:
    """How long a replica took to replay what the primary had, None if it did not; and how many bytes it lacks."""

    seconds: float | None
    behind: int


async def measure_lag(primary: Reader, replica: Reader, *, most: float) -> Lag:
    """Wait until a replica has replayed all that the primary has now, `most` seconds at the longest."""
    row = await _PRIMARY.row(primary)
    assert row is not None  # noqa: S101 -- it has no condition
    end = end_of_log(row["log_end"], page=row["page"], segment=row["segment"])
    began = time.monotonic()
    while True:
        seen = await _REPLICA.row(replica)
        assert seen is not None  # noqa: S101 -- it has no condition
        replayed, took = seen["replayed"] or 0, time.monotonic() - began
        if replayed >= end:
            return Lag(seconds=took, behind=0)
        if took > most:
            return Lag(seconds=None, behind=end - replayed)
        await asyncio.sleep(_EVERY)
