"""Lists: the query they take, the page they answer with, and the cursor between two pages.

An endpoint makes a `PageRequest` of the query; a repository answers it with a `Slice`; together they are the page.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from taskbell.api.http.query import QueryParameters
from taskbell.contract.problems import FieldError, ProblemCode, Refused

T = TypeVar("T")
R = TypeVar("R")
P = TypeVar("P", bound="Page")  # type: ignore[type-arg]  # any page
PAGE_BYTES = 1024 * 1024
"""A page ends, with a cursor, before it is larger than this; it has one item at least."""
LIST_SECONDS = 5.0
"""How long a statement of a list may take."""
_MARK_BYTES = 8
_ID_BYTES = 16


class CursorInvalid(Refused):
    """The cursor was not given out for this list with this sort and these filters."""

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
    """Whether another page may follow. A page may hold fewer items than `limit`, or none, and still not be the last."""
    next_cursor: str | None
    """Send it as `cursor`, with the same sort and filters, for the next page."""


class Page(BaseModel, Generic[T]):
    """One page of a list."""

    items: list[T]
    meta: PageMeta


class PageQuery(QueryParameters):
    """Query parameters that every list takes."""

    limit: int | None = Field(default=None, ge=1)
    """Items in a page; 100 by default, 1,000 at most."""
    cursor: str | None = Field(default=None, max_length=512)
    """`meta.next_cursor` of the page before."""


@dataclass(frozen=True, slots=True)
class PageLimits:
    """How many items a page holds: `default` when the client names no limit, `most` at most."""

    default: int
    most: int

    def of(self, wanted: int | None) -> int:
        """The limit to use. Raises `LimitTooLarge`."""
        limit = self.default if wanted is None else wanted
        if limit > self.most:
            message = f"at most {self.most}"
            raise LimitTooLarge(f"limit: {message}", errors=(FieldError("?limit", "less_than_equal", message),))
        return limit


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list: the id of its item and, where the list is not ordered by id, the sort key as text."""

    id: UUID
    key: str = ""


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """The items of one page, and the place to continue after if another page follows: of the last item, or further."""

    items: Sequence[T]
    last: Place | None

    @classmethod
    def of(cls, rows: Sequence[R], *, limit: int, item: Callable[[R], T], place: Callable[[R], Place]) -> Slice[T]:
        """Take rows that were read with `limit + 1`: the last one only tells that another page follows."""
        if len(rows) <= limit:
            return cls([item(row) for row in rows], None)
        return cls([item(row) for row in rows[:limit]], place(rows[limit - 1]))

    @classmethod
    def of_documents(cls, rows: Sequence[R], *, limit: int, place: Callable[[R], Place]) -> Slice[str]:
        """Take rows that were read with `limit` + 1 and begin with a document, as far as the page stays small enough.

        A document that is None was not read, because the page is full before it.
        """
        items: list[str] = []
        size = 0
        for row in rows:
            document: str | None = row[0]  # type: ignore[index]  # a record of asyncpg
            if document is None or len(items) == limit:
                break
            size += json_bytes(document)
            if size > PAGE_BYTES and items:
                break
            items.append(document)
        if len(items) == len(rows):
            return Slice(items, None)
        return Slice(items, place(rows[len(items) - 1]))


def json_bytes(document: str) -> int:
    """The size of a document in UTF-8."""
    return len(document) if document.isascii() else len(document.encode())


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page of a list a client asks for.

    Attributes:
        limit: How many items it holds at most.
        after: The place of the last item of the page before; None for the first page.
        bound_to: The list, its sort and its filters: a cursor is good for no other.
    """

    limit: int
    after: Place | None
    bound_to: tuple[object, ...]

    @classmethod
    def of(cls, request: Request, query: PageQuery, *bound_to: object) -> PageRequest:
        """Read a query. Raises `LimitTooLarge`, `CursorInvalid`."""
        limits: PageLimits = request.app.state.page_limits
        after = None if query.cursor is None else read_cursor(query.cursor, bound_to=bound_to)
        return cls(limit=limits.of(query.limit), after=after, bound_to=bound_to)

    def meta(self, found: Slice[T]) -> PageMeta:
        """Tell where the page stands."""
        cursor = None if found.last is None else write_cursor(found.last, bound_to=self.bound_to)
        return PageMeta(limit=self.limit, has_more=cursor is not None, next_cursor=cursor)

    def page(self, model: type[P], found: Slice[T]) -> P:
        """The page as a model that reads the attributes of its items."""
        return model.model_validate({"items": found.items, "meta": self.meta(found)}, from_attributes=True)


def documents_page(documents: Sequence[str], meta: BaseModel) -> Response:
    """A page of items that are JSON already."""
    return Response(
        f'{{"items":[{",".join(documents)}],"meta":{meta.model_dump_json()}}}', media_type="application/json"
    )


def write_cursor(place: Place, *, bound_to: tuple[object, ...]) -> str:
    """The opaque cursor for the page after `place` of one list."""
    return urlsafe_b64encode(_mark(bound_to) + place.id.bytes + place.key.encode()).decode().rstrip("=")


def read_cursor(cursor: str, *, bound_to: tuple[object, ...]) -> Place:
    """The place in a cursor. Raises `CursorInvalid` unless `write_cursor` made it for this list."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        key = raw[_MARK_BYTES + _ID_BYTES :].decode()
    except ValueError as malformed:
        raise CursorInvalid from malformed
    if len(raw) < _MARK_BYTES + _ID_BYTES or raw[:_MARK_BYTES] != _mark(bound_to):
        raise CursorInvalid
    return Place(id=UUID(bytes=raw[_MARK_BYTES : _MARK_BYTES + _ID_BYTES]), key=key)


def _mark(bound_to: tuple[object, ...]) -> bytes:
    return blake2b("\x1f".join(map(str, bound_to)).encode(), digest_size=_MARK_BYTES).digest()
