"""What the relay measures."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS_PUBLISHED = Counter(
    "taskbell_relay_events_published_total", "Events that the stream has acknowledged, republished ones included."
)
EVENTS_SKIPPED = Counter(
    "taskbell_relay_events_skipped_total",
    "Events found in the stream already after an interruption, and so not published again.",
)
LAG_SECONDS = Gauge(
    "taskbell_relay_lag_seconds",
    "For how long the active relay has been behind: 0 when everything committed is published, else the age of the "
    "oldest event it is at, or the time since an interruption. Above a second for long: look at the interruptions, "
    "then at the publish duration.",
)
BACKLOG_EVENTS = Gauge(
    "taskbell_relay_backlog_events", "Committed events that the relay has seen and not yet published."
)
WINDOW_EVENTS = Histogram(
    "taskbell_relay_window_events",
    "Events found by one look at the table (empty looks are not counted).",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 10_000),
)
READ_SECONDS = Histogram(
    "taskbell_relay_read_duration_seconds",
    "Duration of one look at the table or of one page.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5),
)
PUBLISH_SECONDS = Histogram(
    "taskbell_relay_publish_duration_seconds",
    "From the first message of a batch to the last acknowledgement.",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5),
)
LEASE_HELD = Gauge("taskbell_relay_lease_held", "1 while this relay is the active one. The sum over all must be 1.")
STREAM_EPOCH = Gauge("taskbell_relay_stream_epoch", "Identity of the stream: grows when it was lost or replayed.")
REBUILDS = Counter(
    "taskbell_relay_rebuilds_total",
    "Times the stream was made anew from PostgreSQL, by reason. Anything but `replay` means NATS lost data.",
    ["reason"],
)
INTERRUPTIONS = Counter(
    "taskbell_relay_interruptions_total",
    "Times carrying had to begin anew, by what happened. A steady rate wants a look at the log.",
    ["reason"],
)
