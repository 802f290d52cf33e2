"""Deletes accounts: what is the user's ends, what is shared stays without them."""

from __future__ import annotations

from uuid import UUID

import structlog

from taskbell.api import metrics
from taskbell.api.accounts.errors import AccountGone
from taskbell.api.accounts.proofs import Proven
from taskbell.api.deletions.errors import LastOwnerStayed
from taskbell.api.events.recorder import EventRecorder
from taskbell.api.second_factors.service import SecondFactors
from taskbell.contract.events import EventType
from taskbell.kit.postgres.statements import load
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Database

_DELETE = load(__package__, "delete_account")
_LOCK = load(__package__, "lock_departure")
_log = structlog.get_logger(__name__)


class Deletions:
    """Deletes the account of a signed-in user, in one transaction."""

    def __init__(self, database: Database, *, second_factors: SecondFactors, recorder: EventRecorder) -> None:
        """Take what asks for the second factor, and what pokes the relay about the workspaces that the user leaves."""
        self._database = database
        self._second_factors = second_factors
        self._recorder = recorder

    async def delete(self, proven: Proven, *, code: str | None) -> None:
        """Delete the account; maintenance erases the rest of what was the user's alone.

        Raises:
            LastOwnerStayed: A workspace of others would have no owner.
            AccountGone: It is deleted already.
            CodeWrong: A second factor is in force, and the code is wrong, was used, or is missing.
            SignInThrottled: Too many codes were wrong.
        """
        await self._second_factors.demand(proven, code=code)
        left, told = await self._delete(proven.user_id)
        metrics.ACCOUNTS_DELETED.inc()
        _log.info("account_deleted", user_id=str(proven.user_id), workspaces_left=left)
        await self._recorder.committed(*[EventType.MEMBER_REMOVED] * left, *[EventType.NOTIFICATION_CREATED] * told)

    async def _delete(self, user_id: UUID) -> tuple[int, int]:
        async with self._database.acting(user_id) as connection:
            kept = await _LOCK.rows(connection)
            if kept:
                raise LastOwnerStayed([f"{row['name']} ({row['workspace_id']})" for row in kept])
            done = await _DELETE.row(connection, traceparent=traceparent())
        if done is None:
            raise AccountGone
        return done["workspaces_left"], done["notified"]
