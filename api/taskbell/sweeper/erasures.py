"""Erases what is left of deleted accounts and workspaces: in batches, since it may be much.

Each batch commits by itself. Whoever goes on after a crash finds the rest, and two at once do no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog

from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.connection import Session
from taskbell.kit.postgres.statements import Statement, load

_NOTE = load(__package__, "note_erasures")
_SELECT = load(__package__, "select_erasures")
_NAMING = load(__package__, "select_naming_notices")
_HIDE_NAMES = load(__package__, "hide_names")
_DONE = load(__package__, "delete_erasure")
_OF_A_USER = (
    load(__package__, "erase_notifications"),
    load(__package__, "erase_subscriptions"),
    load(__package__, "erase_emails"),
)
_MEMBERS = load(__package__, "erase_members")
_TASKS = load(__package__, "erase_tasks")
_WORKSPACE = load(__package__, "erase_workspace")
_AT_ONCE = 1000
"""Accounts and workspaces whose erasure begins together: their names are looked for in one walk."""
_ROWS_AT_ONCE = 1000
_NOTICES_AT_ONCE = 100
"""Few enough that PostgreSQL looks the event of each up."""
_MEMBERS_AT_ONCE = 20
"""Each may have thousands of notifications."""
_log = structlog.get_logger(__name__)


async def erase(session: Session) -> int:
    """Note the deleted workspaces whose time is over, and carry out all erasures that wait. Returns how many."""
    await _NOTE.count(session)
    done = 0
    while rows := await _SELECT.rows(session, at_most=_AT_ONCE):
        people = [bare_uuid(row["id"]) for row in rows if row["kind"] == "user"]
        if people:
            await _hide_names(session, people)
        for row in rows:
            subject = bare_uuid(row["id"])
            if row["kind"] == "user":
                for statement in _OF_A_USER:
                    await _in_batches(session, statement, subject)
            else:
                await _in_batches(session, _MEMBERS, subject, at_most=_MEMBERS_AT_ONCE)
                await _in_batches(session, _TASKS, subject)
                await _WORKSPACE.count(session, id=subject)
            await _DONE.count(session, id=subject)
            _log.info("erased", kind=row["kind"], id=str(subject))
        done += len(rows)
    return done


async def _hide_names(session: Session, people: Sequence[UUID]) -> None:
    notices = [row["id"] for row in await _NAMING.rows(session, people=people)]
    for begin in range(0, len(notices), _NOTICES_AT_ONCE):
        await _HIDE_NAMES.count(session, notices=notices[begin : begin + _NOTICES_AT_ONCE])


async def _in_batches(session: Session, statement: Statement, subject: UUID, *, at_most: int = _ROWS_AT_ONCE) -> None:
    while await statement.count(session, id=subject, at_most=at_most) == at_most:
        pass
