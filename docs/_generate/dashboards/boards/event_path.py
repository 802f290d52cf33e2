"""The event path: from the commit of a change to the frame of a client."""

from __future__ import annotations

from docs._generate.dashboards.boards.shared import heat, lines, number, processes, quantiles, relay_behind
from docs._generate.dashboards.plan import Board, Query, Row

EVENT_PATH = Board(
    name="event-path",
    title="Taskbell event path",
    meaning="How events come from PostgreSQL through the relay and the stream to the gateways, and where they wait.",
    rows=(
        Row(
            "Now",
            (
                number(
                    "Active relays",
                    "Relays that hold the lease: always one.",
                    "short",
                    "sum(taskbell_relay_lease_held)",
                    runbook="TaskbellRelayWithoutLeader",
                ),
                relay_behind("Behind"),
                number(
                    "Waiting events",
                    "Committed events that the relay has seen and not yet published.",
                    "short",
                    "sum(taskbell_relay_backlog_events)",
                    warn=1000,
                    alarm=10000,
                ),
                number(
                    "Epoch",
                    "Epoch of the stream. It grows when the stream is rebuilt or replayed; clients then get a gap.",
                    "short",
                    "max(taskbell_relay_stream_epoch)",
                    runbook="TaskbellStreamRebuilt",
                ),
                number(
                    "Workspaces over a quota",
                    "Workspaces whose changes the API refuses, because they write or store too much.",
                    "short",
                    "sum(taskbell_relay_workspaces_over_quota)",
                    warn=1,
                ),
                number(
                    "Age of what reports read themselves",
                    "How old the oldest event is that no sum of reports holds. Reports are slower while it grows.",
                    "s",
                    "max(taskbell_relay_reports_lag_seconds)",
                    warn=60,
                ),
                number(
                    "Repaired sums of reports",
                    "Sums that maintenance has found wrong and corrected; more than 0 is a fault of the folding.",
                    "short",
                    "max(taskbell_relay_reports_repaired_cells)",
                    warn=1,
                ),
            ),
        ),
        Row(
            "From end to end",
            (
                lines(
                    "Events per second",
                    "Written by the API, published by the relay, given to connections. Published above written is a "
                    "backlog that shrinks.",
                    "cps",
                    Query("sum(rate(taskbell_api_events_written_total[R]))", "written"),
                    Query("sum(rate(taskbell_relay_events_published_total[R]))", "published"),
                    Query("sum(rate(taskbell_gateway_event_frames_total[R]))", "frames"),
                ),
                lines(
                    "Latency of events",
                    "From a change's commit to its frame. It compares the clocks of two machines.",
                    "s",
                    *quantiles("taskbell_gateway_delivery_latency_seconds"),
                    runbook="TaskbellEventsLate",
                ),
                heat(
                    "Distribution of latencies",
                    "How many events took how long. A second band means that some wait, such as behind a long batch.",
                    "taskbell_gateway_delivery_latency_seconds",
                ),
            ),
        ),
        Row(
            "The relay",
            (
                lines(
                    "Lag",
                    "How long the active relay has been behind. Its slope is 1 while nothing is published.",
                    "s",
                    Query("max(taskbell_relay_lag_seconds)", "lag"),
                    runbook="TaskbellRelayStalled",
                ),
                lines(
                    "Events in a window",
                    "Events found by one poll of the table. Near TASKBELL_RELAY_BATCH_SIZE the relay catches up.",
                    "short",
                    *quantiles("taskbell_relay_window_events"),
                ),
                lines(
                    "Reading the table",
                    "Time of one poll, or of one page. If it grows and publishing does not, look at PostgreSQL.",
                    "s",
                    *quantiles("taskbell_relay_read_duration_seconds"),
                ),
                lines(
                    "Publishing a batch",
                    "Time from the first message of a batch to its last acknowledgement. If it grows, look at NATS.",
                    "s",
                    *quantiles("taskbell_relay_publish_duration_seconds"),
                ),
            ),
        ),
        Row(
            "Faults",
            (
                lines(
                    "Interruptions",
                    "Times that publishing started again, by reason. A steady rate means that a store has problems.",
                    "cps",
                    Query(
                        "sum by (reason) (rate(taskbell_relay_interruptions_total[R]))",
                        "{{reason}}",
                        when_healthy=False,
                    ),
                ),
                lines(
                    "Rebuilds of the stream",
                    "Times that the stream was rebuilt from PostgreSQL, by reason. Only replay is wanted.",
                    "cps",
                    Query("sum by (reason) (rate(taskbell_relay_rebuilds_total[R]))", "{{reason}}", when_healthy=False),
                    runbook="TaskbellStreamRebuilt",
                ),
                lines(
                    "Skipped events",
                    "Events that were already in the stream after an interruption.",
                    "cps",
                    Query("sum(rate(taskbell_relay_events_skipped_total[R]))", "skipped"),
                ),
                lines(
                    "Readers behind the stream",
                    "Events between the end of the stream and the reader of each gateway.",
                    "short",
                    Query("max by (pod) (taskbell_gateway_reader_lag_events)", "{{pod}}"),
                    runbook="TaskbellGatewayBehind",
                ),
            ),
        ),
        processes("relay"),
    ),
)
