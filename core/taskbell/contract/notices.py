"""Who hears what: each fact with its kind of notification, the relations to a task that hear of it, and its urgency.

Nobody hears of what they did themselves, except a reminder that they send themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The kind of a notification."""

    ASSIGNED = "assigned"
    """A task was assigned to you."""
    STATUS_CHANGED = "status_changed"
    """The status of a task that you created, watch, or that is assigned to you, was changed."""
    COMMENT = "comment"
    """Somebody commented on a task that you created, watch, commented on, or that is assigned to you."""
    MENTION = "mention"
    """You were mentioned in a comment."""
    DUE_SOON = "due_soon"
    """A task that is assigned to you (or to nobody, and created by you) is due soon."""
    OVERDUE = "overdue"
    """Such a task, or one that you watch, is past its due time."""
    STALE = "stale"
    """The status of such a task has not changed for a week (TASKBELL_STALE_AFTER)."""
    REMINDER = "reminder"
    """Somebody reminds you of such a task."""
    DIGEST = "digest"
    """What is due, overdue and unread, once a day at the time that you chose."""
    INVITED = "invited"
    """You are invited to a workspace: the invitation has the id of the notification."""
    WEBHOOKS_PAUSED = "webhooks_paused"
    """Webhooks of a workspace that you own are switched off: the user who is responsible for them left."""


class Relation(StrEnum):
    """What a user has to do with a task."""

    CREATOR = "creator"
    ASSIGNEE = "assignee"
    NEW_ASSIGNEE = "new_assignee"
    """Assigned by this very change."""
    RESPONSIBLE = "responsible"
    """The assignees, or the creator if there are none."""
    WATCHER = "watcher"
    COMMENTER = "commenter"
    """Commented on it before."""
    MENTIONED = "mentioned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Who hears of a fact about a task.

    Attributes:
        heard_by: The relations that hear of it.
        passes_mute: Whether one who muted the task hears of it all the same.
        urgent_for_first: Whether it passes quiet hours if the task has priority 1.
    """

    heard_by: frozenset[Relation]
    passes_mute: bool = False
    urgent_for_first: bool = False


def _rule(*heard_by: Relation, passes_mute: bool = False, urgent_for_first: bool = False) -> Rule:
    return Rule(heard_by=frozenset(heard_by), passes_mute=passes_mute, urgent_for_first=urgent_for_first)


RULES: Mapping[Kind, Rule] = {
    Kind.ASSIGNED: _rule(Relation.NEW_ASSIGNEE, passes_mute=True),
    Kind.STATUS_CHANGED: _rule(Relation.CREATOR, Relation.ASSIGNEE, Relation.WATCHER),
    Kind.COMMENT: _rule(Relation.CREATOR, Relation.ASSIGNEE, Relation.WATCHER, Relation.COMMENTER),
    Kind.MENTION: _rule(Relation.MENTIONED, passes_mute=True),
    Kind.DUE_SOON: _rule(Relation.RESPONSIBLE, urgent_for_first=True),
    Kind.OVERDUE: _rule(Relation.RESPONSIBLE, Relation.WATCHER, urgent_for_first=True),
    Kind.STALE: _rule(Relation.RESPONSIBLE),
    Kind.REMINDER: _rule(Relation.RESPONSIBLE),
}
"""The rules of notifications about tasks; one test compares each with what the database does."""
