"""Reads what sweeps reported, once for each sweep that starts or ends, and remembers it."""

from __future__ import annotations

from typing import Any

from taskbell.operator.cluster import PODS, Cluster
from taskbell.operator.plan.sweep_reports import SweepReport, newest_report
from taskbell.operator.queue import Key
from taskbell.operator.specs.cron_job import DECLARED, pods_of

Json = dict[str, Any]


class SweepReports:
    """The newest report of each ReminderSchedule."""

    def __init__(self, cluster: Cluster) -> None:
        """Take the API server."""
        self._cluster = cluster
        self._known: dict[Key, tuple[tuple[str, Json], SweepReport | None]] = {}
        """The declaration and the state of the CronJob for which a report was read, and the report."""

    async def read(self, key: Key, owner: Json, declared: Json, live: Json) -> SweepReport | None:
        """The newest report, if there is one; `live` is the CronJob as it is now.

        One request to the API server if a sweep started or ended since the last call, otherwise none.

        Raises:
            ClusterRefused: The pods cannot be listed.
        """
        runs = (declared["metadata"]["annotations"][DECLARED], live.get("status", {}))
        known = self._known.get(key)
        if known is None or known[0] != runs:
            # Without pods of sweeps that run or failed: their status has no report, and there may be many.
            pods = await self._cluster.all(PODS, key.namespace, labels=pods_of(owner), fields="status.phase=Succeeded")
            known = self._known[key] = (runs, newest_report(pods, declared))
        return known[1]

    def forget(self, key: Key) -> None:
        """Drop what is known of a schedule that is gone."""
        self._known.pop(key, None)
