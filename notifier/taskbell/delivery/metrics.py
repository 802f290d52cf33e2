"""Metrics of the delivery workers."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter(
    "taskbell_delivery_events_total",
    "Events read from the stream, by outcome: recorded (an endpoint wanted it, or might have had it before), unwanted, "
    "failed (it comes again), dead_letter (given up; see `taskbell deadletters`).",
    ["outcome"],
)
RECORDED = Counter(
    "taskbell_delivery_recorded_total", "Deliveries written to the ledger: events times the endpoints that want them."
)
ATTEMPTS = Counter(
    "taskbell_delivery_attempts_total",
    "Attempts by channel and the state they led to: delivered, retrying, dead. Many retrying: receivers are down, or "
    "this network cannot reach them.",
    ["channel", "state"],
)
DURATION = Histogram(
    "taskbell_delivery_attempt_duration_seconds",
    "Time of one attempt, by channel. Near TASKBELL_WEBHOOK_TIMEOUT: receivers hang, and hold places.",
    ["channel"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
LATENCY = Histogram(
    "taskbell_delivery_latency_seconds",
    "From writing a delivery to the ledger to the receiver's yes at the first attempt, by channel.",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)
IN_FLIGHT = Gauge(
    "taskbell_delivery_in_flight",
    "Attempts under way in this process. At TASKBELL_DELIVERY_CONCURRENCY for long: add workers.",
)
DUE = Gauge(
    "taskbell_delivery_due",
    "Deliveries in the ledger that wait though they are due (at most 10,000 are counted). The same at every worker.",
)
OLDEST_DUE = Gauge(
    "taskbell_delivery_oldest_due_seconds",
    "For how long the oldest of them has waited. The same at every worker; take the maximum.",
)
UNRECORDED = Counter(
    "taskbell_delivery_unrecorded_total",
    "Attempts whose outcome could not be written before the lease ended: they are made once more.",
)
DISABLED = Counter(
    "taskbell_delivery_endpoints_disabled_total", "Webhooks that were switched off because the receiver answered 410."
)
REFUSED = Counter(
    "taskbell_delivery_addresses_refused_total",
    "Attempts that were not made because the receiver's name leads to an address that is not public.",
)
