"""Histories of tasks at any times, and plain counts of what happened in them."""

import dataclasses
import json
import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

from taskbell.kit.ids import lowest_id, new_id

OPEN = ("pending", "in_progress")
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def _wire(instant):
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclasses.dataclass
class Task:
    """A task as the history knows it."""

    creator: UUID
    created_at: datetime
    status: str
    assignees: list
    due_at: datetime | None
    id: UUID = dataclasses.field(default_factory=new_id)
    version: int = 1
    changed_at: datetime | None = None
    completed_at: datetime | None = None

    def document(self, **previous):
        """The data of an event."""
        told = {
            "id": str(self.id),
            "title": 'A "status":"completed" task',
            "description": None,
            "status": self.status,
            "assignee_ids": [str(who) for who in self.assignees],
            "due_at": _wire(self.due_at),
            "version": self.version,
            "created_by": str(self.creator),
            "created_at": _wire(self.created_at),
            "status_changed_at": _wire(self.changed_at),
            "completed_at": _wire(self.completed_at),
        }
        return json.dumps(told | ({"previous": previous} if previous else {}))

    def people(self, actor):
        """Whom a change of it counts for."""
        return self.assignees or [actor]


class History:
    """Writes what the API writes, at times that it does not let one choose; and keeps a plain list of what happened."""

    def __init__(self, owner, workspace_id):
        """Take a connection of the owner and the workspace."""
        self.owner = owner
        self.workspace_id = UUID(workspace_id)
        self.tasks = []
        self.happened = []
        """What happened: measure, when, for whom, and the duration if it was a completion."""

    async def create(self, actor, *, at, status="pending", assignees=(), due_at=None):
        """Create a task."""
        task = Task(actor, at, status, list(assignees), due_at, changed_at=at)
        task.completed_at = at if status == "completed" else None
        self.tasks.append(task)
        await self.owner.execute(
            "INSERT INTO tasks (id, workspace_id, title, status, assignee_ids, due_at, created_by, created_at,"
            " status_changed_at, completed_at) VALUES ($1, $2, 'T', $3, $4, $5, $6, $7, $7, $8)",
            task.id,
            self.workspace_id,
            status,
            task.assignees,
            due_at,
            actor,
            at,
            task.completed_at,
        )
        told = [("task.created", task.document())]
        if assignees:
            told.append(("task.assigned", task.document(assignee_ids=[])))
        await self._tell(task, actor, told, at=at)
        self.happened.append(("created", at, [actor], None))
        if status in {"completed", "cancelled"}:
            self.happened.append((status, at, task.people(actor), None))
        return task

    async def change(self, actor, task, *, at, **fields):
        """Change a task: any of status, assignees, due_at; with none, its title."""
        former = dataclasses.replace(task)
        task.version += 1
        for name, value in fields.items():
            setattr(task, name, value)
        told, previous = [], {}
        if task.due_at != former.due_at:
            previous["due_at"] = _wire(former.due_at)
        if not fields:
            previous["title"] = "Before"
        if task.status != former.status:
            task.changed_at = at
            task.completed_at = at if task.status == "completed" else None
            if task.status in {"completed", "cancelled"}:
                took = at - task.created_at if task.status == "completed" else None
                self.happened.append((task.status, at, task.people(actor), took))
            elif former.status in {"completed", "cancelled"}:
                self.happened.append(("reopened", at, task.people(actor), None))
        if previous:
            told.append(("task.updated", task.document(**previous)))
        if task.status != former.status:
            told.append(("task.status_changed", task.document(status=former.status)))
        if task.assignees != former.assignees:
            told.append(("task.assigned", task.document(assignee_ids=[str(who) for who in former.assignees])))
        await self.owner.execute(
            "UPDATE tasks SET status = $2, assignee_ids = $3, due_at = $4, status_changed_at = $5, completed_at = $6"
            " WHERE id = $1",
            task.id,
            task.status,
            task.assignees,
            task.due_at,
            task.changed_at,
            task.completed_at,
        )
        await self._tell(task, actor, told, at=at)

    async def delete(self, actor, task, *, at):
        """Delete a task."""
        self.tasks.remove(task)
        await self.owner.execute("DELETE FROM tasks WHERE id = $1", task.id)
        await self._tell(task, actor, [("task.deleted", task.document())], at=at)
        self.happened.append(("deleted", at, task.people(actor), None))

    async def _tell(self, task, actor, told, *, at):
        for type_, document in told:
            await self.owner.execute(
                "INSERT INTO events (workspace_id, type, subject_id, actor_id, audience, data, created_at, id)"
                " VALUES ($1, $2, $3, $4, '{}', $5, $6, $7)",
                self.workspace_id,
                type_,
                task.id,
                actor,
                document,
                at,
                UUID(int=lowest_id(at).int | secrets.randbits(72)),
            )


def counted(happened, *, since, until, who=None):
    """A plain count of what happened in a time, of everybody or of one person."""
    return Counter(
        measure for measure, at, people, _ in happened if since <= at < until and (who is None or who in people)
    )


def durations(happened, *, since, until, who=None):
    """The durations of what was completed in a time, sorted."""
    return sorted(
        took
        for _, at, people, took in happened
        if took is not None and since <= at < until and (who is None or who in people)
    )


class Transactional(History):
    """A history each change of which is one transaction, as in the API."""

    async def create(self, *given, **fields):
        """See `History.create`."""
        async with self.owner.transaction():
            return await super().create(*given, **fields)

    async def change(self, *given, **fields):
        """See `History.change`."""
        async with self.owner.transaction():
            return await super().change(*given, **fields)

    async def delete(self, *given, **fields):
        """See `History.delete`."""
        async with self.owner.transaction():
            return await super().delete(*given, **fields)


def span(day, zone):
    """A local day in UTC, computed minute by minute: from the first minute that shows its date to the next date's."""
    moment = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(hours=26)
    while moment.astimezone(zone).date() < day:
        moment += timedelta(minutes=1)
    end = moment
    while end.astimezone(zone).date() <= day:
        end += timedelta(minutes=1)
    return moment, end
