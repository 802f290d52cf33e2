"""Reminders that a user sends to those responsible for a task."""

from __future__ import annotations

import math
from uuid import UUID

from taskbell.api.events.recorder import EventRecorder
from taskbell.api.quotas.service import Quotas
from taskbell.api.reminders import repository
from taskbell.api.reminders.errors import RemindedOften, TaskDone
from taskbell.api.reminders.schemas import Reminded, RemindTask
from taskbell.api.tasks import access
from taskbell.api.tasks.policy import OPEN
from taskbell.contract.events import EventType
from taskbell.kit.postgres.errors import RowRefused
from taskbell.kit.trace import traceparent
from taskbell.store.pool import Database

MOST_AN_HOUR = 3
"""Reminders of one task within any hour, by whomever: they may pass quiet hours, so members together must not flood a
colleague. What one user sends of all tasks is bounded by the rate limit."""


class Reminders:
    """Reminders on behalf of a signed-in user."""

    def __init__(self, database: Database, *, recorder: EventRecorder, quotas: Quotas) -> None:
        """Take the database, the recorder of events, and the quotas."""
        self._database = database
        self._recorder = recorder
        self._quotas = quotas

    async def send(self, actor: UUID, task_id: UUID, wanted: RemindTask) -> Reminded:
        """Remind the assignees of a task, or its creator if there are none; the actor too, if it is one of them.

        Raises:
            TaskNotFound: The actor sees no such task.
            ChangeForbidden: The actor may only read it.
            TaskDone: It is completed or cancelled.
            QuotaExceeded: The workspace has written too much for now.
            RemindedOften: There were `MOST_AN_HOUR` reminders of it within the last hour.
        """
        try:
            sent = await self._send_allowed(actor, task_id, wanted)
        except RowRefused as refused:
            # The actor was removed or demoted since the task was locked: what is left of it decides.
            async with self._database.acting(actor) as connection:
                raise await access.refusal(connection, task_id) from refused
        await self._recorder.committed(*[EventType.NOTIFICATION_CREATED] * sent.notified)
        return Reminded(notified=sent.notified)

    async def _send_allowed(self, actor: UUID, task_id: UUID, wanted: RemindTask) -> repository.Sent:
        async with self._database.acting(actor) as connection:
            task = await access.lock_task(connection, task_id)
            if task["status"] not in OPEN:
                raise TaskDone
            self._quotas.check(task["workspace_id"])
            sent = await repository.send(
                connection,
                task=task,
                actor=actor,
                note=wanted.note,
                urgent=wanted.urgent,
                most=MOST_AN_HOUR,
                traceparent=traceparent(),
            )
        if sent.wait > 0:
            raise RemindedOften(headers={"Retry-After": str(math.ceil(sent.wait))})
        return sent
