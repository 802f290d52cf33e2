"""What a sweep measures."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

LATENESS = Histogram(
    "taskbell_api_reminder_lateness_seconds",
    "From when a reminder had to fire to when it fired, by the database's clock. Above some seconds: sweeps do not "
    "start, or more falls due at once than they can fire; raise the shards.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1800, 7200),
)
REMINDERS = Counter(
    "taskbell_api_reminders_total",
    "Reminders taken by sweeps: fired, repeated (the job log had it; nobody was told again), or void (the task was "
    "done meanwhile).",
    ["outcome"],
)
