"""Decides which chosen endpoints get an alert, and when. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from taskbell.delivery.quiet import QuietHours


class Row(Protocol):
    """A row that names a user's time zone and quiet hours, and `now`; one of `choose_endpoints` also `sent`."""

    def __getitem__(self, key: str, /) -> Any:
        """The value of a column."""
        ...


Wanted = list[tuple[Row, datetime | None]]
"""Rows of `choose_endpoints`, each with the end of the quiet hours that it waits for, if it does."""


def quiet_hours(row: Row) -> QuietHours | None:
    """Return the user's quiet hours, if there are any."""
    if row["quiet_from"] is None:
        return None
    return QuietHours(zone=row["time_zone"], begin=row["quiet_from"], end=row["quiet_until"])


def due_at(row: Row, *, urgent: bool) -> datetime | None:
    """Return the end of the quiet hours that an alert waits for, or None: it is due at once."""
    hours = None if urgent else quiet_hours(row)
    return None if hours is None else hours.until(row["now"])


def within_limit(rows: Sequence[Row], dues: Sequence[datetime | None], *, most: int) -> Wanted:
    """Return what is to be sent, with its due time: all but the e-mails beyond a user's limit.

    E-mails that wait do not count: they become one.
    """
    sent: Counter[UUID] = Counter()
    wanted = Wanted()
    for row, due in zip(rows, dues, strict=True):
        if row["channel"] == "email" and due is None:
            sent[row["user_id"]] += 1
            if row["sent"] + sent[row["user_id"]] > most:
                continue
        wanted.append((row, due))
    return wanted
