"""SQL about accounts, sessions and failed sign-ins. Transactions belong to the service."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from uuid import UUID

import asyncpg

from taskbell.api.accounts.errors import EmailTaken
from taskbell.api.accounts.policy import EXPIRED_AFTER, Attempts, TokenState
from taskbell.api.accounts.schemas import ProfileChange, SignIn, User
from taskbell.api.http.paging import Place, Slice
from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection, Database

_CHANGE_PASSWORD = load(__package__, "change_password")
_CONFIRM_PASSWORD = load(__package__, "confirm_password")
_DELETE_EXPIRED_ATTEMPTS = load(__package__, "delete_expired_attempts")
_CONFIRM_EMAIL = load(__package__, "confirm_email")
_COUNT_CONFIRMATIONS = load(__package__, "count_confirmations")
_END_EMAIL_CHANGES = load(__package__, "end_email_changes")
_FIND_ACCOUNT = load(__package__, "find_account")
_FIND_TOKEN_OWNER = load(__package__, "find_token_owner")
_GET_PASSWORD_HASH = load(__package__, "get_password_hash")
_GET_PROFILE = load(__package__, "get_profile")
_INSERT_CONFIRMATION = load(__package__, "insert_confirmation")
_INSERT_MESSAGE = load(__package__, "insert_message")
_INSERT_OWNER = load(__package__, "insert_owner")
_INSERT_PERSONAL_WORKSPACE = load(__package__, "insert_personal_workspace")
_INSERT_REFRESH_TOKEN = load(__package__, "insert_refresh_token")
_INSERT_SESSION = load(__package__, "insert_session")
_INSERT_USER = load(__package__, "insert_user")
_LIST_REVOKED = load(__package__, "list_revoked")
_LIST_SESSIONS = load(__package__, "list_sessions")
_LOCK_MAILBOX = load(__package__, "lock_mailbox")
_LOCK_TOKEN = load(__package__, "lock_token")
_MARK_TOKEN_USED = load(__package__, "mark_token_used")
_PROLONG_SESSION = load(__package__, "prolong_session")
_REPLACE_PASSWORD_HASH = load(__package__, "replace_password_hash")
_REVOKE_OTHER_SESSIONS = load(__package__, "revoke_other_sessions")
_REVOKE_SESSION = load(__package__, "revoke_session")
_REVOKE_SESSION_OF_TOKEN = load(__package__, "revoke_session_of_token")
_TAKE_ATTEMPTS = load(__package__, "take_attempts")
_UPDATE_ATTEMPTS = load(__package__, "update_attempts")
_UPDATE_PROFILE = load(__package__, "update_profile")
_CLEANED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Account:
    """What a sign-in needs to know of an account."""

    id: UUID
    password_hash: str | None
    personal_workspace_id: UUID
    password_version: int
    """Grows when the user changes the password."""


@dataclass(frozen=True, slots=True)
class PresentedToken:
    """A refresh token that was found, with whom it belongs to; its row and its session's are locked."""

    state: TokenState
    now: datetime
    session_id: UUID
    workspace_id: UUID
    password_version: int


async def add_account(
    connection: Connection, *, user_id: UUID, workspace_id: UUID, email: str, name: str, password_hash: str | None
) -> User:
    """Write a user with a personal workspace that the user owns. Raises `EmailTaken`."""
    try:
        row = await _INSERT_USER.row(
            connection, id=user_id, email=email, name=name, password_hash=password_hash, workspace_id=workspace_id
        )
    except asyncpg.UniqueViolationError as taken:
        raise EmailTaken from taken
    await _INSERT_PERSONAL_WORKSPACE.count(connection, id=workspace_id, owner=user_id)
    await _INSERT_OWNER.count(connection, user_id=user_id, workspace_id=workspace_id)
    return User.of(row)


async def find_account(database: Database, email: str) -> Account | None:
    """The account with this address, before anybody is signed in."""
    row = await _FIND_ACCOUNT.row(database, email=email)
    if row is None:
        return None
    return Account(
        id=bare_uuid(row["id"]),
        password_hash=row["password_hash"],
        personal_workspace_id=bare_uuid(row["personal_workspace_id"]),
        password_version=row["password_version"],
    )


async def get_profile(connection: Connection, user_id: UUID) -> User | None:
    """An account, or None when it is gone."""
    row = await _GET_PROFILE.row(connection, id=user_id)
    return None if row is None else User.of(row)


async def change_profile(connection: Connection, user_id: UUID, wanted: ProfileChange) -> User | None:
    """Change what is given and keep the rest. Returns None when the account is gone."""
    given, quiet = wanted.model_fields_set, wanted.quiet_hours
    row = await _UPDATE_PROFILE.row(
        connection,
        id=user_id,
        name=wanted.name if "name" in given else None,
        time_zone=wanted.time_zone if "time_zone" in given else None,
        sets_quiet_hours="quiet_hours" in given,
        quiet_from=None if quiet is None else time.fromisoformat(quiet.begin),
        quiet_until=None if quiet is None else time.fromisoformat(quiet.until),
        sets_digest="digest_at" in given,
        digest_at=None if wanted.digest_at is None else time.fromisoformat(wanted.digest_at),
    )
    return None if row is None else User.of(row)


async def get_password_hash(connection: Connection, user_id: UUID) -> str | None:
    """The hash of a user's password, None when there is none."""
    found: str | None = await _GET_PASSWORD_HASH.value(connection, id=user_id)
    return found


async def replace_password_hash(connection: Connection, user_id: UUID, *, old: str, new: str) -> bool:
    """Store another hash of the same password if the old one is still there; returns whether it was."""
    return await _REPLACE_PASSWORD_HASH.count(connection, id=user_id, old=old, new=new) == 1


async def change_password(connection: Connection, user_id: UUID, *, old: str, new: str) -> bool:
    """Store the hash of a new password if the old one is still there; returns whether it was. Device tokens end."""
    return await _CHANGE_PASSWORD.count(connection, id=user_id, old=old, new=new) == 1


@dataclass(frozen=True, slots=True)
class ConfirmedPassword:
    """The password is the one that was verified; whether a second factor is in force."""

    has_second_factor: bool


async def confirm_password(connection: Connection, user_id: UUID, *, version: int) -> ConfirmedPassword | None:
    """Whether the password is still the one that was verified; it is not changed before the transaction ends."""
    row = await _CONFIRM_PASSWORD.row(connection, id=user_id, version=version)
    return None if row is None else ConfirmedPassword(row["has_second_factor"])


async def add_session(
    connection: Connection, *, session_id: UUID, user_id: UUID, client: str | None, token_hash: bytes, ttl: timedelta
) -> None:
    """Begin a session with its first refresh token."""
    await _INSERT_SESSION.count(connection, id=session_id, user_id=user_id, client=client, ttl=ttl)
    await _INSERT_REFRESH_TOKEN.count(connection, token_hash=token_hash, session_id=session_id, user_id=user_id)


async def find_token_owner(database: Database, token_hash: bytes) -> UUID | None:
    """The user of a refresh token, before anybody is signed in."""
    found = await _FIND_TOKEN_OWNER.value(database, token_hash=token_hash)
    return None if found is None else bare_uuid(found)


async def lock_token(connection: Connection, token_hash: bytes) -> PresentedToken | None:
    """Lock a refresh token and its session, so that uses of one session happen one after the other."""
    row = await _LOCK_TOKEN.row(connection, token_hash=token_hash)
    if row is None:
        return None
    return PresentedToken(
        state=TokenState(used_at=row["used_at"], revoked_at=row["revoked_at"], expires_at=row["expires_at"]),
        now=row["now"],
        session_id=bare_uuid(row["id"]),
        workspace_id=bare_uuid(row["personal_workspace_id"]),
        password_version=row["password_version"],
    )


async def rotate_token(
    connection: Connection, *, used: bytes, successor: bytes, session_id: UUID, user_id: UUID, ttl: timedelta
) -> None:
    """Mark a refresh token as used, add the next one and prolong the session."""
    await _MARK_TOKEN_USED.count(connection, token_hash=used)
    await _INSERT_REFRESH_TOKEN.count(connection, token_hash=successor, session_id=session_id, user_id=user_id)
    await _PROLONG_SESSION.count(connection, id=session_id, ttl=ttl)


async def list_sessions(
    connection: Connection, *, user_id: UUID, present: UUID, after: Place | None, limit: int
) -> Slice[SignIn]:
    """The sessions of a user that have not ended, the newest first."""
    past = None if after is None else after.id
    rows = await _LIST_SESSIONS.rows(connection, user_id=user_id, present=present, past=past, at_most=limit + 1)
    return Slice.of(rows, limit=limit, item=SignIn.of, place=lambda row: Place(row["id"]))


async def list_revoked(
    database: Database, after: datetime | None, keep: timedelta, past: UUID, at_most: int
) -> list[tuple[UUID, datetime]]:
    """Sessions of all users that were revoked after a time, or within the last `keep`, and when; the first first."""
    rows = await _LIST_REVOKED.rows(database, after=after, past=past, keep=keep, at_most=at_most)
    return [(bare_uuid(row["id"]), row["revoked_at"]) for row in rows]


async def revoke_session(connection: Connection, session_id: UUID, *, reason: str) -> bool:
    """End a session; one that has ended already stays as it is. Returns whether it was the actor's, and had not."""
    return await _REVOKE_SESSION.count(connection, id=session_id, reason=reason) == 1


async def revoke_session_of_token(connection: Connection, token_hash: bytes, *, reason: str) -> None:
    """End the session that a refresh token belongs to."""
    await _REVOKE_SESSION_OF_TOKEN.count(connection, token_hash=token_hash, reason=reason)


async def end_email_changes(connection: Connection, *, user_id: UUID) -> None:
    """Let no token give the account another address any more: who asked for it may not know the new password."""
    await _END_EMAIL_CHANGES.count(connection, user_id=user_id)


async def revoke_other_sessions(connection: Connection, *, user_id: UUID, keep: UUID | None, reason: str) -> None:
    """End all sessions of a user but one, or really all."""
    await _REVOKE_OTHER_SESSIONS.count(connection, user_id=user_id, keep=keep, reason=reason)


async def change_attempts(
    database: Database,
    keys: list[bytes],
    decide: Callable[[Mapping[bytes, Attempts], datetime], Mapping[bytes, Attempts]],
) -> None:
    """Replace the attempts under some keys by what `decide` returns; no other call changes them meanwhile.

    When `decide` raises, nothing is changed.
    """
    async with database.transaction() as connection:
        rows = await _TAKE_ATTEMPTS.rows(connection, keys=keys)
        now = max(row["now"] for row in rows)
        found = {
            row["key"]: Attempts(
                failures=row["failures"],
                window_started_at=row["window_started_at"],
                blocked_until=row["blocked_until"],
            )
            for row in rows
        }
        changed = decide(found, now)
        await _UPDATE_ATTEMPTS.count(
            connection,
            keys=list(changed),
            failures=[each.failures for each in changed.values()],
            window_starts=[each.window_started_at for each in changed.values()],
            blocked_until=[each.blocked_until for each in changed.values()],
        )


async def delete_expired_attempts(database: Database) -> None:
    """Delete some counts whose windows and pauses are over."""
    await _DELETE_EXPIRED_ATTEMPTS.count(database, expired_after=EXPIRED_AFTER, at_most=_CLEANED_AT_ONCE)


@dataclass(frozen=True, slots=True)
class SentConfirmations:
    """Messages that a mailbox got within a period, by the database's clock."""

    number: int
    oldest: datetime
    now: datetime


async def reserve_confirmation(connection: Connection, *, mailbox: bytes, period: timedelta) -> SentConfirmations:
    """Count the messages to a mailbox; transactions that would add one wait until this one ends."""
    await _LOCK_MAILBOX.value(connection, mailbox=mailbox)
    (row,) = await _COUNT_CONFIRMATIONS.rows(connection, mailbox=mailbox, period=period)
    return SentConfirmations(number=row["sent"], oldest=row["oldest"] or row["now"], now=row["now"])


async def add_confirmation(
    connection: Connection,
    *,
    user_id: UUID,
    email: str,
    former_email: str | None,
    mailbox: bytes,
    token_hash: bytes,
    expires_at: datetime,
) -> None:
    """Write a token that is sent; the token itself is only in the message.

    With a `former_email` it gives the account the address in place of that one.
    """
    await _INSERT_CONFIRMATION.count(
        connection,
        user_id=user_id,
        email=email,
        former_email=former_email,
        mailbox=mailbox,
        token_hash=token_hash,
        expires_at=expires_at,
    )


async def add_message(
    connection: Connection,
    *,
    event_id: UUID,
    user_id: UUID,
    workspace_id: UUID,
    event_type: str,
    payload: str,
    traceparent: str | None,
    retry_for: timedelta,
) -> None:
    """Have a delivery worker send a message to the user."""
    await _INSERT_MESSAGE.count(
        connection,
        event_id=event_id,
        user_id=user_id,
        workspace_id=workspace_id,
        event_type=event_type,
        payload=payload,
        traceparent=traceparent,
        retry_for=retry_for,
    )


async def confirm_email(connection: Connection, *, user_id: UUID, token_hash: bytes) -> tuple[User, str] | None:
    """Use a token: confirm the account's address, or set it. Returns the account and the address that it had.

    None if the token is not valid, not the user's, or for an account that had another address.

    Raises:
        EmailTaken: Somebody has the address by now; the transaction is void.
    """
    try:
        row = await _CONFIRM_EMAIL.row(connection, user_id=user_id, token_hash=token_hash)
    except asyncpg.UniqueViolationError as taken:
        raise EmailTaken from taken
    if row is None:
        return None
    values = dict(row)
    former: str = values.pop("former_email")
    return User.of(values), former
