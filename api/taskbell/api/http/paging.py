"""What pages of every list have in common, and the cursor of lists that are ordered by id."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import blake2b
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from taskbell.contract.problems import FieldError, ProblemCode, Refused

_MARK_BYTES = 8


class CursorNotOfThisList(Refused):
    """The cursor was not given out for this list."""

    code = ProblemCode.INVALID_CURSOR


class LimitTooLarge(Refused):
    """The limit is larger than a page can be."""

    code = ProblemCode.VALIDATION_FAILED


class PageMeta(BaseModel):
    """Where a page stands in its list."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    limit: int
    """The most items the page could hold."""
    has_more: bool
    """Whether another page follows."""
    next_cursor: str | None
    """Send it as `cursor`, with the same sort and filters, for the next page."""


class PageQuery(BaseModel):
    """Query parameters that every list takes."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    limit: int | None = Field(default=None, ge=1)
    """Items in a page; 100 by default, 1,000 at most."""
    cursor: str | None = Field(default=None, max_length=512)
    """`meta.next_cursor` of the page before."""


def page_limit(wanted: int | None, *, default: int, most: int) -> int:
    """The limit to use. Raises `LimitTooLarge` over `most`."""
    limit = default if wanted is None else wanted
    if limit > most:
        message = f"at most {most}"
        raise LimitTooLarge(f"limit: {message}", errors=(FieldError("?limit", "less_than_equal", message),))
    return limit


def id_cursor(last: UUID, *, bound_to: str) -> str:
    """The opaque cursor for the page after `last` of the list named by `bound_to`."""
    return urlsafe_b64encode(_mark(bound_to) + last.bytes).decode().rstrip("=")


def read_id_cursor(cursor: str, *, bound_to: str) -> UUID:
    """The last id of the page before. Raises `CursorNotOfThisList`."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    except ValueError as malformed:
        raise CursorNotOfThisList from malformed
    if len(raw) != _MARK_BYTES + 16 or raw[:_MARK_BYTES] != _mark(bound_to):
        raise CursorNotOfThisList
    return UUID(bytes=raw[_MARK_BYTES:])


def _mark(bound_to: str) -> bytes:
    return blake2b(bound_to.encode(), digest_size=_MARK_BYTES).digest()
