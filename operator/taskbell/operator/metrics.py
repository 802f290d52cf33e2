"""Metrics of the operator."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter(
    "taskbell_operator_reconciles_total",
    "Passes over an object, by kind and outcome (ok, failed). Failed passes are repeated with back-off; the log names "
    "the reason of each.",
    ["kind", "outcome"],
)
RECONCILE_SECONDS = Histogram(
    "taskbell_operator_reconcile_duration_seconds",
    "Time of one pass over an object, by kind. Seconds mean a slow API server or slow signals.",
    ["kind"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
QUEUED = Gauge(
    "taskbell_operator_queued_objects",
    "Objects whose pass is due and waits for a worker. A number that stays above 0 means too few workers.",
    ["kind"],
)
WRITES = Counter(
    "taskbell_operator_writes_total",
    "Writing requests to the API server, by resource. Without changes in the cluster only the Lease is written.",
    ["resource"],
)
EVENTS_LOST = Counter(
    "taskbell_operator_events_lost_total",
    "Kubernetes events that the API server refused. Harmless: the status says the same.",
)
LEADER = Gauge(
    "taskbell_operator_leader_ratio",
    "1 while this process holds the Lease and works, 0 while it is on standby. The sum over all pods must be 1.",
)
POOL_REPLICAS = Gauge(
    "taskbell_operator_pool_replicas",
    "Size of a WorkerPool: desired (decided), recommended (by the signals, before any limit), current.",
    ["namespace", "pool", "state"],
)
SIGNAL_VALUE = Gauge(
    "taskbell_operator_signal_value",
    "Last reading of a signal: messages pending and unacknowledged, or open connections.",
    ["namespace", "pool", "signal"],
)
SIGNAL_FAILURES = Counter(
    "taskbell_operator_signal_failures_total",
    "Readings of a signal that failed. While they fail, the size of the pool is held.",
    ["namespace", "pool", "signal"],
)
SCALINGS = Counter(
    "taskbell_operator_scalings_total",
    "Changes of a size, by pool and direction (up, down).",
    ["namespace", "pool", "direction"],
)
WATCHES = Gauge(
    "taskbell_operator_watch_up_ratio",
    "1 while all watches of a resource run, else 0. Only the process that leads watches; /readyz names a watch that "
    "does not run.",
    ["resource"],
)
