"""Accounts of people who sign in through a provider of identity: without a password."""

from __future__ import annotations

from uuid import UUID

from taskbell.api.accounts import repository
from taskbell.store.pool import Connection, Database


async def find_account_id(database: Database, email: str) -> UUID | None:
    """The user with this address, before anybody is signed in."""
    found = await repository.find_account(database, email)
    return None if found is None else found.id


async def add_provided_account(
    connection: Connection, *, user_id: UUID, workspace_id: UUID, email: str, name: str
) -> None:
    """Write a user with a personal workspace and without a password. Raises `EmailTaken`."""
    await repository.add_account(
        connection, user_id=user_id, workspace_id=workspace_id, email=email, name=name, password_hash=None
    )
