"""SQL about identities and finished sign-ins. Transactions belong to the service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from taskbell.kit.ids import bare_uuid, new_id
from taskbell.kit.postgres.statements import load
from taskbell.store.pool import Connection, Database

_CONFIRM_ADDRESS = load(__package__, "confirm_address")
_FIND_ACCOUNT = load(__package__, "find_account")
_INSERT_IDENTITY = load(__package__, "insert_identity")
_LOCK_ACCOUNT = load(__package__, "lock_account")
_USE_SIGN_IN = load(__package__, "use_sign_in")
_CLEANED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Account:
    """What a session begins with."""

    user_id: UUID
    workspace_id: UUID
    password_version: int

    @classmethod
    def of_newcomer(cls) -> Account:
        """One that is to be made, with the password's version as the table's default has it."""
        return cls(user_id=new_id(), workspace_id=new_id(), password_version=1)


@dataclass(frozen=True, slots=True)
class LockedAccount:
    """An account that may be linked; nobody changes it before the transaction ends."""

    email: str
    is_confirmed: bool
    has_second_factor: bool
    account: Account


async def find_account(database: Database, *, issuer: str, subject: str) -> Account | None:
    """The account of an identity, before anybody is signed in."""
    row = await _FIND_ACCOUNT.row(database, issuer=issuer, subject=subject)
    if row is None:
        return None
    return Account(
        user_id=bare_uuid(row["id"]),
        workspace_id=bare_uuid(row["personal_workspace_id"]),
        password_version=row["password_version"],
    )


async def lock_account(connection: Connection, user_id: UUID) -> LockedAccount | None:
    """Lock the actor's account, or None when it is gone."""
    row = await _LOCK_ACCOUNT.row(connection, id=user_id)
    if row is None:
        return None
    account = Account(
        user_id=user_id,
        workspace_id=bare_uuid(row["personal_workspace_id"]),
        password_version=row["password_version"],
    )
    return LockedAccount(
        email=row["email"],
        is_confirmed=row["is_confirmed"],
        has_second_factor=row["has_second_factor"],
        account=account,
    )


async def add_identity(connection: Connection, *, issuer: str, subject: str, user_id: UUID) -> bool:
    """Link an identity to the actor; returns False if it, or another one of the provider, is linked already."""
    return await _INSERT_IDENTITY.count(connection, issuer=issuer, subject=subject, user_id=user_id) == 1


async def confirm_address(connection: Connection, user_id: UUID) -> None:
    """Mark the address of the actor's new account as confirmed: the provider vouches for it."""
    await _CONFIRM_ADDRESS.count(connection, id=user_id)


async def use_sign_in(database: Database, sign_in: UUID, *, expires_at: datetime) -> bool:
    """Use a sign-in; returns False if it was used before, in whatever process. Removes some expired ones."""
    return await _USE_SIGN_IN.count(database, id=sign_in, expires_at=expires_at, cleaned=_CLEANED_AT_ONCE) == 1
