"""SQL about personal access tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from taskbell.api.http.paging import Place, Slice
from taskbell.api.personal_tokens.schemas import PersonalToken
from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection, Database

_COUNT = load(__package__, "count_tokens")
_DELETE = load(__package__, "delete_token")
_DELETE_EXPIRED = load(__package__, "delete_expired_tokens")
_FIND = load(__package__, "find_token")
_INSERT = load(__package__, "insert_token")
_LIST = load(__package__, "list_tokens")
_LOCK = load(__package__, "lock_tokens")
_NOTE_USE = load(__package__, "note_use")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a token that may be used says.

    Attributes:
        id: The token's own id.
        user_id: In whose name it acts.
        workspace_id: The personal workspace of that user.
        scopes: As its maker named them.
        expires_at: When it ends.
    """

    id: UUID
    user_id: UUID
    workspace_id: UUID
    scopes: tuple[str, ...]
    expires_at: datetime


async def find(database: Database, digest: bytes) -> Found | None:
    """The token with this digest, before anybody is signed in; None if there is none, or it has expired."""
    row = await _FIND.row(database, digest=digest)
    if row is None:
        return None
    return Found(
        id=bare_uuid(row["id"]),
        user_id=bare_uuid(row["user_id"]),
        workspace_id=bare_uuid(row["workspace_id"]),
        scopes=tuple(row["scopes"]),
        expires_at=row["expires_at"],
    )


async def note_use(database: Database, used: Mapping[UUID, datetime]) -> None:
    """Write when tokens were used last."""
    await _NOTE_USE.value(database, ids=list(used), instants=list(used.values()))


async def reserve(connection: Connection, user_id: UUID) -> int:
    """Count the tokens of a user, without those that expired long ago, which are deleted.

    Other transactions that would add one wait until this one ends.
    """
    await _LOCK.value(connection, user_id=user_id)
    await _DELETE_EXPIRED.count(connection, user_id=user_id)
    count: int = await _COUNT.value(connection, user_id=user_id)
    return count


async def add(
    connection: Connection,
    *,
    token_id: UUID,
    user_id: UUID,
    name: str,
    scopes: list[str],
    digest: bytes,
    expires_at: datetime,
) -> PersonalToken:
    """Write a token."""
    (row,) = await _INSERT.rows(
        connection, id=token_id, user_id=user_id, name=name, scopes=scopes, digest=digest, expires_at=expires_at
    )
    return PersonalToken.of(row)


async def page(connection: Connection, user_id: UUID, *, after: Place | None, limit: int) -> Slice[PersonalToken]:
    """Tokens of a user, by id."""
    past = None if after is None else after.id
    rows = await _LIST.rows(connection, user_id=user_id, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=PersonalToken.of, place=lambda row: Place(row["id"]))


async def delete(connection: Connection, user_id: UUID, token_id: UUID) -> bool:
    """Delete a token; returns whether the user had it."""
    return await _DELETE.count(connection, id=token_id, user_id=user_id) == 1
