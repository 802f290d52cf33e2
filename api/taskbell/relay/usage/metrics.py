"""Workspaces that are over a quota, as Prometheus metrics."""

from __future__ import annotations

from prometheus_client import Gauge

OVER_QUOTA = Gauge(
    "taskbell_relay_workspaces_over_quota",
    "Workspaces whose changes the API refuses, by quota: daily (TASKBELL_WORKSPACE_DAILY_BYTES) and tasks "
    "(TASKBELL_WORKSPACE_TASK_BYTES). The active relay measures it; the others export 0.",
    ["quota"],
)
