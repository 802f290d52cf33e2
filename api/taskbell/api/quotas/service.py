"""Which workspaces may write. What the relay measured is read every few seconds; a check costs a look-up in memory."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Mapping
from uuid import UUID

from taskbell.api import metrics
from taskbell.api.quotas import repository
from taskbell.api.quotas.errors import QuotaExceeded, StorageFull
from taskbell.api.quotas.repository import Over
from taskbell.store.pool import Database, DatabaseUnavailable

_EVERY = 5.0


class Quotas:
    """The workspaces that are over a quota, as they were some seconds ago. `run` is a role for `kit.looper`.

    While PostgreSQL or the relay is away, the last answer holds.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Start without knowledge: nothing is refused."""
        self._database = database
        self._clock = clock
        self._read_at = 0.0
        self._over: Mapping[UUID, Over] = {}

    async def run(self) -> None:
        """Read regularly, until cancelled."""
        while True:
            with contextlib.suppress(DatabaseUnavailable):  # `/readyz` reports it
                await self.read()
            await asyncio.sleep(_EVERY)

    async def read(self) -> None:
        """Read which workspaces are over a quota. Raises `DatabaseUnavailable`."""
        found = await repository.refused(self._database)
        self._over, self._read_at = {over.workspace_id: over for over in found}, self._clock()

    def refusal(self, workspace_id: UUID, *, grows: bool = False) -> QuotaExceeded | StorageFull | None:
        """Return why a workspace may not be changed now; None if it may. `grows`: its tasks take more afterwards.

        Ask only for a workspace that the user may change, or a stranger learns that it exists.
        """
        over = self._over.get(workspace_id)
        if over is None:
            return None
        wait = over.refused_for - (self._clock() - self._read_at)
        if wait > 0:
            metrics.QUOTA_REFUSALS.labels(quota="daily").inc()
            return QuotaExceeded(headers={"Retry-After": str(math.ceil(wait))})
        if over.tasks_full and grows:
            metrics.QUOTA_REFUSALS.labels(quota="tasks").inc()
            return StorageFull()
        return None

    def held(self) -> list[UUID]:
        """The workspaces that may not be changed now: a statement that locks a task decides by them."""
        if not self._over:
            return []
        passed = self._clock() - self._read_at
        return [over.workspace_id for over in self._over.values() if over.refused_for > passed]

    def brimful(self) -> list[UUID]:
        """The workspaces whose tasks may not grow."""
        return [over.workspace_id for over in self._over.values() if over.tasks_full] if self._over else []

    def exceeded(self, workspace_id: UUID, *, grows: bool = False) -> QuotaExceeded | StorageFull:
        """Why a workspace was `held`, or was `brimful` and should have grown."""
        refusal = self.refusal(workspace_id, grows=grows)
        return refusal or QuotaExceeded(headers={"Retry-After": "1"})  # its time has passed in this moment

    def check(self, workspace_id: UUID, *, grows: bool = False) -> None:
        """Raise what `refusal` returns."""
        if (refusal := self.refusal(workspace_id, grows=grows)) is not None:
            raise refusal
