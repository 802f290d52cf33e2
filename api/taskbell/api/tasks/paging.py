"""Keyset paging: which order a list has, and the cursor that continues it. Pure.

A cursor is bound to the list it came from: it carries a fingerprint of the sort and the filters, and the sort key and
id of the last task that was given out.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import blake2b
from uuid import UUID

import orjson

from taskbell.api.tasks.errors import CursorInvalid
from taskbell.api.tasks.schemas import Sort

_INTEGER = re.compile(r"\A-?[0-9]{1,18}\Z", re.ASCII)
_INSTANT = re.compile(
    r"\A[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?\+00\Z|\Ainfinity\Z", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Order:
    """An order of tasks.

    Attributes:
        key: SQL expression over `t` that an index begins with (after the workspace).
        type: The key's SQL type, to which a cursor's text is cast back.
        descending: Whether it goes from high to low.
    """

    key: str
    type: str
    descending: bool


_KEYS = {
    "position": ("t.position", "bigint"),
    "priority": ("t.priority", "smallint"),
    # As the index has it. Not coalesce: row-level security takes it for leaky, and no index would serve a cursor.
    "due_at": ("least(t.due_at, 'infinity'::timestamptz)", "timestamptz"),
    "created_at": ("t.created_at", "timestamptz"),
    "updated_at": ("t.updated_at", "timestamptz"),
}


def order_of(sort: Sort) -> Order:
    """The order of a sort; tasks without a due date come after all others."""
    key, kind = _KEYS[sort.value.lstrip("-")]
    return Order(key=key, type=kind, descending=sort.value.startswith("-"))


@dataclass(frozen=True, slots=True)
class Place:
    """The last task given out: its sort key as PostgreSQL writes it, and its id."""

    key: str
    id: UUID


def fingerprint(*parts: object) -> str:
    """A short digest of what a cursor is bound to."""
    return blake2b("\x1f".join(map(str, parts)).encode(), digest_size=9).hexdigest()


def encode_cursor(place: Place, *, bound_to: str) -> str:
    """The opaque cursor for the page after `place`."""
    return urlsafe_b64encode(orjson.dumps([bound_to, place.key, str(place.id)])).decode().rstrip("=")


def decode_cursor(cursor: str, *, bound_to: str, order: Order) -> Place:
    """Read a cursor back.

    Raises:
        CursorInvalid: It is malformed, or was given out for another list.
    """
    try:
        raw = orjson.loads(urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)))
        bound, key, identity = raw
        place = Place(key=key, id=UUID(identity))
        form = _INSTANT if order.type == "timestamptz" else _INTEGER
        if bound != bound_to or not form.match(key):
            raise CursorInvalid
    except (ValueError, TypeError, AttributeError, Base64Error) as malformed:
        raise CursorInvalid from malformed
    return place
