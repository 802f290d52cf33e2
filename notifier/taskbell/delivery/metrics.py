"""Metrics of the delivery workers."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from taskbell.delivery.alerts import ALERT_CHANNELS, CHANNELS, ENDPOINT_CHANNELS
from taskbell.delivery.policy import Reason

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
SPARED = Counter(
    "taskbell_delivery_spared_total",
    "Alerts that were not sent, by channel and state: withdrawn (the notification was read before), collapsed (another "
    "alert speaks for it, because both waited for the end of quiet hours).",
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
    "Due deliveries in the ledger that wait for a worker, by channel (10,000 are counted, the oldest of all). The same "
    "at every worker.",
    ["channel"],
)
OLDEST_DUE = Gauge(
    "taskbell_delivery_oldest_due_seconds",
    "How long the oldest due delivery has waited, by channel. The same at every worker; use the maximum.",
    ["channel"],
)
GIVEN_UP = Counter(
    "taskbell_delivery_given_up_total",
    "Deliveries that are dead, by channel and reason: refused (the receiver will never take it), expired (it was "
    "retried until its end), gone (the receiver says that the address no longer exists, which is normal), unsendable "
    "(nobody was asked: the endpoint was removed or switched off, or the event is not kept any more).",
    ["channel", "reason"],
)
DEFERRED = Counter(
    "taskbell_delivery_deferred_total",
    "Alerts that were recorded to wait for the end of the user's quiet hours, by channel.",
    ["channel"],
)
ENDPOINTS_GONE = Counter(
    "taskbell_delivery_alert_endpoints_gone_total",
    "Devices and chat channels that were removed because their provider said that they no longer exist.",
    ["channel"],
)
PAUSED = Gauge(
    "taskbell_delivery_channel_paused_ratio",
    "1 while this worker sends nothing by a channel, because its provider is down or asked for a pause; otherwise 0.",
    ["channel"],
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
REFUSALS = Counter(
    "taskbell_delivery_refusals_total",
    "Alerts that a provider did not take, by channel and reason: its own word for it, or no_answer, token, status, "
    "malformed. After a word about keys, tokens, topics or senders, compare the provider's settings with its console; "
    "the log has an error for each.",
    ["channel", "reason"],
)
TOKENS = Counter(
    "taskbell_delivery_provider_tokens_total",
    "Access tokens for providers, by outcome: renewed, failed. After failed ones the provider gets nothing: the log "
    "tells whether its token endpoint is away or refuses the credentials.",
    ["provider", "outcome"],
)

for _channel in CHANNELS:  # a series that begins with its first fault has no rate when that fault comes
    DUE.labels(channel=_channel)
    OLDEST_DUE.labels(channel=_channel)
    for _state in ("delivered", "retrying", "dead"):
        ATTEMPTS.labels(channel=_channel, state=_state)
    for _reason in Reason:
        GIVEN_UP.labels(channel=_channel, reason=_reason.value)
for _channel in ALERT_CHANNELS:
    DEFERRED.labels(channel=_channel)
    PAUSED.labels(channel=_channel)
    for _state in ("withdrawn", "collapsed"):
        SPARED.labels(channel=_channel, state=_state)
for _channel in ENDPOINT_CHANNELS:
    ENDPOINTS_GONE.labels(channel=_channel)
