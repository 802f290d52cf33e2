"""Metrics of the operator."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

RECONCILES = Counter(
    "taskbell_operator_reconciles_total",
    "Passes over an object, by kind and outcome (ok, failed). Failed ones are tried again with back-off; a steady "
    "rate of them names its reason in the log.",
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
    "Objects that wait for a pass now, back-offs not counted. A number that stays means too few workers.",
    ["kind"],
)
WRITES = Counter(
    "taskbell_operator_writes_total",
    "Writing requests to the API server, by resource. Without changes in the cluster only leases are written.",
    ["resource"],
)
EVENTS_LOST = Counter(
    "taskbell_operator_events_lost_total",
    "Kubernetes events that the API server did not take. Harmless: the status says the same.",
)
LEADER = Gauge(
    "taskbell_operator_leader_ratio",
    "1 while this process holds the Lease and works, 0 while it stands by. The sum over all pods must be 1.",
)
POOL_REPLICAS = Gauge(
    "taskbell_operator_pool_replicas",
    "Size of a WorkerPool: desired (decided), recommended (by the signals, before patience and bounds), current.",
    ["namespace", "pool", "state"],
)
SIGNAL_VALUE = Gauge(
    "taskbell_operator_signal_value",
    "Last reading of a signal: messages pending and unacknowledged, or open connections.",
    ["namespace", "pool", "signal"],
)
SIGNAL_FAILURES = Counter(
    "taskbell_operator_signal_failures_total",
    "Readings of a signal that failed. While they do, the pool's size is held.",
    ["namespace", "pool", "signal"],
)
SCALINGS = Counter(
    "taskbell_operator_scalings_total",
    "Sizes that were changed, by pool and direction (up, down).",
    ["namespace", "pool", "direction"],
)
