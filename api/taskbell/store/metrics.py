"""Metrics of reads and replicas, as an API process sees them."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

READS = Counter(
    "taskbell_api_reads_total",
    "Reads that a replica may answer, by who answered: replica; primary_recent, because the client has seen what no "
    "replica holds yet; primary_shared, because the replica had more to do; primary_away, because its replica does not "
    "answer or lags too much; primary_repeated, because the replica failed in the middle.",
    ["answered_by"],
)
REPLICA_USABLE = Gauge(
    "taskbell_api_replica_usable_ratio",
    "1 if this process reads from a replica, 0 if it does not answer or lags by more than "
    "TASKBELL_DATABASE_REPLICA_MAX_LAG.",
    ["replica"],
)
REPLICA_LAG = Gauge(
    "taskbell_api_replica_lag_seconds",
    "By how much a replica is behind what this process last saw of the primary; no value while it does not answer. "
    "Some 0.1 s are normal, because that is how often they are looked at.",
    ["replica"],
)
REPLICA_BEHIND = Gauge(
    "taskbell_api_replica_behind_bytes",
    "Bytes of the write-ahead log that a replica had not replayed when this process last looked; no value while it "
    "does not answer.",
    ["replica"],
)
