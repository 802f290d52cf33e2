"""SQL of the export, within a transaction of the actor: one statement for each kind of line, in pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from taskbell.kit.ids import bare_uuid
from taskbell.kit.postgres.statements import Statement, load
from taskbell.store.pool import Connection

LINES_AT_ONCE = 100
_NIL = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Section:
    """The lines of one kind.

    Attributes:
        statement: Reads a page of them.
        covers: Which columns that refer to a user it is about, as `table.column`.
        least: A sort key before all others, where the order is not that of ids.
    """

    statement: Statement
    covers: frozenset[str]
    least: str


def _section(statement: Statement, *covers: str, least: str = "") -> Section:
    return Section(statement, frozenset(covers), least)


SECTIONS: Mapping[str, Section] = {
    "profile": _section(
        load(__package__, "export_profile"),
        *("identities.user_id", "second_factors.user_id", "recovery_codes.user_id"),
        *("email_channels.user_id", "alert_preferences.user_id"),
    ),
    "session": _section(load(__package__, "export_sessions"), "sessions.user_id"),
    "personal_token": _section(load(__package__, "export_personal_tokens"), "personal_tokens.user_id"),
    "device": _section(load(__package__, "export_devices"), "alert_endpoints.user_id"),
    "membership": _section(load(__package__, "export_memberships"), "memberships.user_id", "workspaces.created_by"),
    "invitation": _section(load(__package__, "export_invitations"), "invitations.invited_by"),
    "email_confirmation": _section(load(__package__, "export_email_confirmations"), "email_confirmations.user_id"),
    "password_reset": _section(load(__package__, "export_password_resets"), "password_resets.user_id"),
    "webhook": _section(load(__package__, "export_webhooks"), "webhooks.created_by", "webhooks.responsible_id"),
    "task": _section(load(__package__, "export_tasks"), "tasks.created_by", least="-infinity"),
    "assignment": _section(load(__package__, "export_assignments"), least="-infinity"),
    "subscription": _section(load(__package__, "export_subscriptions"), "task_subscriptions.user_id"),
    "comment": _section(load(__package__, "export_comments"), "comments.author_id", least=f"{_NIL} {_NIL}"),
    "notification": _section(load(__package__, "export_notifications"), "notifications.user_id"),
}
"""Every kind of line, in their order."""


@dataclass(frozen=True, slots=True)
class Place:
    """After which line a page begins."""

    key: str | None
    id: UUID


def arguments(section: Section, after: Place | None) -> dict[str, Any]:
    """What the statement of a page takes; nothing in it depends on NULL, so that each page is a range of an index."""
    place = Place(section.least, _NIL) if after is None else after
    named = {"key": place.key, "past": place.id, "at_most": LINES_AT_ONCE}
    return {name: named[name] for name in section.statement.parameters}


async def page(connection: Connection, section: Section, after: Place | None) -> tuple[list[str], Place | None]:
    """Read a page of documents, and the place to continue after; None if it was the last one."""
    rows = await section.statement.rows(connection, **arguments(section, after))
    last = Place(rows[-1]["key"], bare_uuid(rows[-1]["id"])) if len(rows) == LINES_AT_ONCE else None
    return [row["document"] for row in rows], last
