"""What the relay measures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS_PUBLISHED = Counter(
    "taskbell_relay_events_published_total", "Events that the stream acknowledged, including republished ones."
)
EVENTS_SKIPPED = Counter(
    "taskbell_relay_events_skipped_total",
    "Events that were already in the stream after an interruption, and so were not published again.",
)
LAG_SECONDS = Gauge(
    "taskbell_relay_lag_seconds",
    "How long the active relay has been behind: 0 when every committed event is published; otherwise the "
    "age of the oldest unpublished event, or the time since an interruption. If it stays above a second, "
    "look at the interruptions, then at the publish duration.",
)
BACKLOG_EVENTS = Gauge(
    "taskbell_relay_backlog_events", "Committed events that the relay has seen and not yet published."
)
WINDOW_EVENTS = Histogram(
    "taskbell_relay_window_events",
    "Events found by one poll of the table (empty polls are not counted).",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 10_000),
)
READ_SECONDS = Histogram(
    "taskbell_relay_read_duration_seconds",
    "Time of one poll of the table, or of one page.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5),
)
PUBLISH_SECONDS = Histogram(
    "taskbell_relay_publish_duration_seconds",
    "Time from the first message of a batch to its last acknowledgement.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5),
)
LEASE_HELD = Gauge("taskbell_relay_lease_held", "1 while this relay is active. The sum over all relays must be 1.")
STREAM_EPOCH = Gauge(
    "taskbell_relay_stream_epoch", "Epoch of the stream; it grows when the stream is rebuilt or replayed."
)
REBUILDS = Counter(
    "taskbell_relay_rebuilds_total",
    "How often the stream was rebuilt from PostgreSQL, by reason: `replay` (somebody asked for it), `lost` (the stream "
    "is gone), `changed` (it is another one), `damaged` (messages are gone), `doubtful` (the machine of NATS restarted "
    "after the relay died, so messages may be gone).",
    ["reason"],
)
INTERRUPTIONS = Counter(
    "taskbell_relay_interruptions_total",
    "How often publishing had to start again, by reason. If the rate is steady, read the log.",
    ["reason"],
)
