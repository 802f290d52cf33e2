"""Metrics of the delivery workers."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter(
    "taskbell_delivery_events_total",
    "Events read from the stream, by outcome: recorded (some endpoint wants it), unwanted, failed (it will "
    "be delivered again), dead_letter (given up, see `taskbell deadletters`).",
    ["outcome"],
)
RECORDED = Counter(
    "taskbell_delivery_recorded_total", "Deliveries written to the ledger: events times the endpoints that want them."
)
ATTEMPTS = Counter(
    "taskbell_delivery_attempts_total",
    "Attempts by channel and resulting state: delivered, retrying, dead. Many retrying ones mean that "
    "receivers are down, or that this network cannot reach them.",
    ["channel", "state"],
)
EMAILS_LIMITED = Counter(
    "taskbell_delivery_emails_limited_total",
    "Notifications that were not sent by e-mail, because the user got TASKBELL_EMAILS_PER_HOUR already.",
)
DURATION = Histogram(
    "taskbell_delivery_attempt_duration_seconds",
    "Time of one attempt, by channel. Values near TASKBELL_WEBHOOK_TIMEOUT mean that receivers hang.",
    ["channel"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
LATENCY = Histogram(
    "taskbell_delivery_latency_seconds",
    "Time from writing a delivery to the ledger to a successful first attempt, by channel.",
    ["channel"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0),
)
IN_FLIGHT = Gauge(
    "taskbell_delivery_in_flight",
    "Attempts in flight in this process. If it stays at TASKBELL_DELIVERY_CONCURRENCY, add workers.",
)
SLOW_IN_FLIGHT = Gauge(
    "taskbell_delivery_slow_in_flight",
    "Attempts in flight to receivers that fail or take longer than a second: at most about half of all places.",
)
HELD = Gauge(
    "taskbell_delivery_held",
    "Receivers with due deliveries that got no further place at the last look, because they or their workspace have "
    "their share, or because all places are taken.",
)
DUE = Gauge(
    "taskbell_delivery_due",
    "Due deliveries in the ledger that wait for a worker (counted up to 10,000). The same at every worker.",
)
OLDEST_DUE = Gauge(
    "taskbell_delivery_oldest_due_seconds",
    "How long the oldest due delivery has waited. The same at every worker; use the maximum.",
)
UNRECORDED = Counter(
    "taskbell_delivery_unrecorded_total",
    "Attempts whose outcome could not be recorded before the lease expired: they are made again.",
)
DISABLED = Counter(
    "taskbell_delivery_endpoints_disabled_total", "Webhooks that were disabled because the receiver responded with 410."
)
REFUSED = Counter(
    "taskbell_delivery_addresses_refused_total",
    "Attempts that were not made because the receiver's name resolves to an address that is not public.",
)
