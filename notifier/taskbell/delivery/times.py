"""Tells times to readers: minutes on the clock of their zone, in a form that every language reads alike. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from taskbell.delivery.quiet import zone_of

_TOLD = re.compile(
    r"\A(?P<words>Due at|Was due at|Status [a-z_]+ since) "
    r"(?P<day>\d{4}-\d\d-\d\d)[T ](?P<minute>\d\d:\d\d)(?::\d\d(?:\.\d+)?Z| UTC)\Z",
    re.ASCII,
)
"""The bodies of notifications that end with a time (SQL function `plain_time`; before, `rfc3339`)."""


def told_time(instant: datetime, zone: str) -> str:
    """Tell an instant: `2026-11-21 08:30 Europe/Berlin`.

    In the hour that the clock shows twice, its offset follows: `2026-10-25 02:30 Europe/Berlin (UTC+01:00)`.

    Args:
        instant: With a time zone.
        zone: The reader's IANA time zone; an unknown one is UTC.
    """
    known = zone_of(zone)
    try:
        local = instant.astimezone(known)
    except OverflowError:  # within a day of the first or the last year
        local, known = instant.astimezone(UTC), zone_of("UTC")
    told = f"{local.replace(tzinfo=None).isoformat(sep=' ', timespec='minutes')} {known.key}"
    if local.replace(fold=0).utcoffset() == local.replace(fold=1).utcoffset():
        return told
    return f"{told} (UTC{local.isoformat()[-6:]})"


def told_body(body: str, zone: str) -> str:
    """Return the body of a notification with its time told in a zone, or as it is if it is no such body.

    Only whole bodies in the platform's own words are changed: what people write is theirs.
    """
    found = _TOLD.match(body)
    if found is None:
        return body
    try:
        instant = datetime.fromisoformat(f"{found['day']}T{found['minute']}+00:00")
    except ValueError:
        return body
    return f"{found['words']} {told_time(instant, zone)}"
