"""SQL about accounts, sessions and failed sign-ins. Transactions belong to the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import asyncpg

from taskbell.api.accounts.errors import EmailTaken
from taskbell.api.accounts.policy import Attempts, TokenState
from taskbell.kit.ids import bare_uuid
from taskbell.store.pool import Connection, Database


@dataclass(frozen=True, slots=True)
class Profile:
    """An account without its secret."""

    id: UUID
    email: str
    name: str
    time_zone: str
    personal_workspace_id: UUID
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Account:
    """What a sign-in needs to know of an account."""

    id: UUID
    password_hash: str | None
    personal_workspace_id: UUID


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A refresh token that was found, with whom it belongs to; its row and its session's are locked."""

    state: TokenState
    now: datetime
    session_id: UUID
    workspace_id: UUID


async def add_account(
    connection: Connection, *, user_id: UUID, workspace_id: UUID, email: str, name: str, password_hash: str
) -> Profile:
    """Write a user with a personal workspace that is theirs. Raises `EmailTaken`."""
    try:
        row = await connection.fetchrow(
            "INSERT INTO users (id, email, name, password_hash, personal_workspace_id) VALUES ($1, $2, $3, $4, $5)"
            " RETURNING id, email, name, time_zone, personal_workspace_id, created_at",
            user_id,
            email,
            name,
            password_hash,
            workspace_id,
        )
    except asyncpg.UniqueViolationError as taken:
        raise EmailTaken from taken
    await connection.execute(
        "INSERT INTO workspaces (id, name, created_by) VALUES ($1, 'Personal', $2)", workspace_id, user_id
    )
    await connection.execute(
        "INSERT INTO memberships (user_id, workspace_id, role) VALUES ($1, $2, 'owner')", user_id, workspace_id
    )
    return _profile(cast("asyncpg.Record", row))


async def find_account(database: Database, email: str) -> Account | None:
    """The account with this address, before anybody is signed in."""
    row = await database.row(
        "SELECT id, password_hash, personal_workspace_id FROM taskbell.account_by_email($1)", email
    )
    if row is None:
        return None
    return Account(
        id=bare_uuid(row["id"]),
        password_hash=row["password_hash"],
        personal_workspace_id=bare_uuid(row["personal_workspace_id"]),
    )


async def get_profile(connection: Connection, user_id: UUID) -> Profile | None:
    """An account, or None when it is gone."""
    row = await connection.fetchrow(
        "SELECT id, email, name, time_zone, personal_workspace_id, created_at FROM users WHERE id = $1", user_id
    )
    return None if row is None else _profile(row)


async def change_profile(
    connection: Connection, user_id: UUID, *, name: str | None, time_zone: str | None
) -> Profile | None:
    """Change what is given, leave what is None; None when the account is gone."""
    row = await connection.fetchrow(
        "UPDATE users SET name = coalesce($2, name), time_zone = coalesce($3, time_zone),"
        " updated_at = clock_timestamp() WHERE id = $1"
        " RETURNING id, email, name, time_zone, personal_workspace_id, created_at",
        user_id,
        name,
        time_zone,
    )
    return None if row is None else _profile(row)


async def get_password_hash(connection: Connection, user_id: UUID) -> str | None:
    """The hash of a user's password, None when there is none."""
    found: str | None = await connection.fetchval("SELECT password_hash FROM users WHERE id = $1", user_id)
    return found


async def replace_password_hash(connection: Connection, user_id: UUID, *, old: str, new: str) -> bool:
    """Store a new hash if the old one is still there; whether it was."""
    return (
        await connection.fetchval(
            "UPDATE users SET password_hash = $3, updated_at = clock_timestamp()"
            " WHERE id = $1 AND password_hash = $2 RETURNING true",
            user_id,
            old,
            new,
        )
        is True
    )


async def add_session(
    connection: Connection, *, session_id: UUID, user_id: UUID, token_hash: bytes, ttl: timedelta
) -> None:
    """Begin a session with its first refresh token."""
    await connection.execute(
        "INSERT INTO sessions (id, user_id, expires_at) VALUES ($1, $2, clock_timestamp() + $3)",
        session_id,
        user_id,
        ttl,
    )
    await connection.execute(
        "INSERT INTO refresh_tokens (token_hash, session_id, user_id) VALUES ($1, $2, $3)",
        token_hash,
        session_id,
        user_id,
    )


async def find_token_owner(database: Database, token_hash: bytes) -> UUID | None:
    """Whose refresh token this is, before anybody is signed in."""
    found = await database.value("SELECT taskbell.refresh_token_owner($1)", token_hash)
    return None if found is None else bare_uuid(found)


async def lock_token(connection: Connection, token_hash: bytes) -> PresentedToken | None:
    """Lock a refresh token and its session, so that uses of one session happen one after the other."""
    row = await connection.fetchrow(
        "SELECT r.used_at, s.revoked_at, s.expires_at, s.id, u.personal_workspace_id, clock_timestamp() AS now"
        " FROM refresh_tokens r JOIN sessions s ON s.id = r.session_id JOIN users u ON u.id = s.user_id"
        " WHERE r.token_hash = $1 FOR NO KEY UPDATE OF s, r",
        token_hash,
    )
    if row is None:
        return None
    return PresentedToken(
        state=TokenState(used_at=row["used_at"], revoked_at=row["revoked_at"], expires_at=row["expires_at"]),
        now=row["now"],
        session_id=bare_uuid(row["id"]),
        workspace_id=bare_uuid(row["personal_workspace_id"]),
    )


async def rotate_token(
    connection: Connection, *, used: bytes, successor: bytes, session_id: UUID, user_id: UUID, ttl: timedelta
) -> None:
    """Mark a refresh token as used, add the next one and let the session live on."""
    await connection.execute("UPDATE refresh_tokens SET used_at = clock_timestamp() WHERE token_hash = $1", used)
    await connection.execute(
        "INSERT INTO refresh_tokens (token_hash, session_id, user_id) VALUES ($1, $2, $3)",
        successor,
        session_id,
        user_id,
    )
    await connection.execute("UPDATE sessions SET expires_at = clock_timestamp() + $2 WHERE id = $1", session_id, ttl)


async def revoke_session(connection: Connection, session_id: UUID, *, reason: str) -> None:
    """End a session; one that has ended already stays as it is."""
    await connection.execute(
        "UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = $2 WHERE id = $1 AND revoked_at IS NULL",
        session_id,
        reason,
    )


async def revoke_session_of_token(connection: Connection, token_hash: bytes, *, reason: str) -> None:
    """End the session that a refresh token belongs to."""
    await connection.execute(
        "UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = $2 WHERE revoked_at IS NULL"
        " AND id = (SELECT r.session_id FROM refresh_tokens r WHERE r.token_hash = $1)",
        token_hash,
        reason,
    )


async def revoke_other_sessions(connection: Connection, *, user_id: UUID, keep: UUID, reason: str) -> None:
    """End all sessions of a user but one."""
    await connection.execute(
        "UPDATE sessions SET revoked_at = clock_timestamp(), revoked_reason = $3"
        " WHERE user_id = $1 AND id <> $2 AND revoked_at IS NULL",
        user_id,
        keep,
        reason,
    )


async def change_attempts(
    database: Database,
    keys: list[bytes],
    decide: Callable[[Mapping[bytes, Attempts], datetime], Mapping[bytes, Attempts]],
) -> None:
    """Replace the attempts under some keys by what `decide` makes of them, as if nobody else were there.

    The rows are locked in the order of their keys, so that simultaneous calls wait for each other and never in a
    circle. What `decide` raises leaves everything as it was.
    """
    ordered = sorted(keys)
    async with database.connection() as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO login_attempts (key) SELECT k FROM unnest($1::bytea[]) k ORDER BY k ON CONFLICT DO NOTHING",
            ordered,
        )
        rows = await connection.fetch(
            "SELECT key, failures, window_started_at, blocked_until FROM login_attempts"
            " WHERE key = ANY($1::bytea[]) ORDER BY key FOR UPDATE",
            ordered,
        )
        now = await connection.fetchval("SELECT clock_timestamp()")
        found = {
            row["key"]: Attempts(
                failures=row["failures"],
                window_started_at=row["window_started_at"],
                blocked_until=row["blocked_until"],
            )
            for row in rows
        }
        changed = decide(found, now)
        await connection.executemany(
            "UPDATE login_attempts SET failures = $2, window_started_at = $3, blocked_until = $4 WHERE key = $1",
            [(key, each.failures, each.window_started_at, each.blocked_until) for key, each in changed.items()],
        )


def _profile(row: asyncpg.Record) -> Profile:
    return Profile(
        id=bare_uuid(row["id"]),
        email=row["email"],
        name=row["name"],
        time_zone=row["time_zone"],
        personal_workspace_id=bare_uuid(row["personal_workspace_id"]),
        created_at=row["created_at"],
    )
