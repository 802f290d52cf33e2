"""Reads the header with which a receiver says when to try again."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

_LONGEST = 86_400.0


def seconds_of(retry_after: str | None, *, now: float) -> float | None:
    """Return the seconds of a `Retry-After` header (RFC 9110, section 10.2.3), at most a day; None if malformed."""
    if not retry_after:
        return None
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _LONGEST)
    try:
        wanted = parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
    return min(max(wanted, 0.0), _LONGEST)
