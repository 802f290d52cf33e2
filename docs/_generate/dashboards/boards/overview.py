"""The overview: whether tasks are saved and changes reach people in time."""

from __future__ import annotations

from docs._generate.dashboards.boards.shared import (
    failed_requests,
    lines,
    number,
    quantiles,
    relay_behind,
    share_of_failed_requests,
)
from docs._generate.dashboards.plan import Board, Query, Row

_P99 = "histogram_quantile(0.99, sum by (le) (rate({}_bucket[R])))"

OVERVIEW = Board(
    name="overview",
    title="Taskbell overview",
    meaning="Whether tasks are saved and changes reach people in time. Each row has a dashboard of its own.",
    rows=(
        Row(
            "Is all well",
            (
                failed_requests("Failed requests"),
                number(
                    "Requests, p99",
                    "One request in a hundred takes longer.",
                    "s",
                    _P99.format("taskbell_api_request_duration_seconds"),
                    warn=0.25,
                    alarm=1,
                ),
                number(
                    "Events, p99",
                    "One event in a hundred takes longer from its commit to its frame.",
                    "s",
                    _P99.format("taskbell_gateway_delivery_latency_seconds"),
                    warn=0.5,
                    alarm=2,
                    runbook="TaskbellEventsLate",
                ),
                relay_behind("Relay behind"),
                number(
                    "Deliveries behind",
                    "How long the oldest due webhook or alert has waited.",
                    "s",
                    "max(taskbell_delivery_oldest_due_seconds)",
                    warn=10,
                    alarm=60,
                    runbook="TaskbellDeliveriesLate",
                ),
                number(
                    "Reminders behind",
                    "How long the oldest reminder that has not fired has been due.",
                    "s",
                    "max(taskbell_relay_reminders_oldest_overdue_seconds)",
                    warn=30,
                    alarm=120,
                    runbook="TaskbellRemindersLate",
                ),
            ),
        ),
        Row(
            "Requests",
            (
                lines(
                    "Requests per second",
                    "Responses of the API per second, by status class. A 5xx is a fault of the platform.",
                    "reqps",
                    Query("sum by (status) (rate(taskbell_api_request_duration_seconds_count[R]))", "{{status}}"),
                ),
                lines(
                    "Duration of requests",
                    "From the first byte of a request to the last byte of its response. If p99 stays above 50 ms, "
                    "check whether the CPUs or the database are saturated.",
                    "s",
                    *quantiles("taskbell_api_request_duration_seconds"),
                ),
                lines(
                    "Share of failed requests",
                    "Share of 5xx responses. The objective allows 0.1 %.",
                    "percentunit",
                    share_of_failed_requests(),
                    runbook="TaskbellApiErrors",
                ),
                lines(
                    "Database connections",
                    "Connections of all API processes. If none is idle, requests wait for a connection.",
                    "short",
                    Query("sum by (state) (taskbell_api_database_connections)", "{{state}}"),
                ),
            ),
        ),
        Row(
            "Events",
            (
                lines(
                    "Latency of events",
                    "From a change's commit in PostgreSQL to the frame on a WebSocket.",
                    "s",
                    *quantiles("taskbell_gateway_delivery_latency_seconds"),
                    runbook="TaskbellEventsLate",
                ),
                lines(
                    "Relay lag",
                    "How long the active relay has been behind the database. It should not stay above a second.",
                    "s",
                    Query("max(taskbell_relay_lag_seconds)", "lag"),
                    runbook="TaskbellRelayStalled",
                ),
                lines(
                    "Events per second",
                    "Written by the API, published by the relay, given to connections by the gateways. Frames are "
                    "events times receivers.",
                    "cps",
                    Query("sum(rate(taskbell_api_events_written_total[R]))", "written"),
                    Query("sum(rate(taskbell_relay_events_published_total[R]))", "published"),
                    Query("sum(rate(taskbell_gateway_event_frames_total[R]))", "frames"),
                ),
                lines(
                    "Active relays",
                    "Relays that hold the lease. Always one; with none, no event is published.",
                    "short",
                    Query("sum(taskbell_relay_lease_held)", "active"),
                    runbook="TaskbellRelayWithoutLeader",
                ),
            ),
        ),
        Row(
            "Gateways",
            (
                lines(
                    "WebSocket connections",
                    "Open connections by pod. New pods get old connections as these reach their greatest age.",
                    "short",
                    Query("sum by (pod) (taskbell_gateway_connections)", "{{pod}}"),
                ),
                lines(
                    "Gateways behind the stream",
                    "Events between the end of the stream and the reader of each gateway. If it grows, the process is "
                    "saturated.",
                    "short",
                    Query("max by (pod) (taskbell_gateway_reader_lag_events)", "{{pod}}"),
                    runbook="TaskbellGatewayBehind",
                ),
                lines(
                    "Sign-ins per second",
                    "Sign-ins of connections by outcome. Many refused ones mean expired tickets or a broken client.",
                    "cps",
                    Query("sum by (outcome) (rate(taskbell_gateway_sign_ins_total[R]))", "{{outcome}}"),
                ),
                lines(
                    "Reachable pods",
                    "Pods that Prometheus reaches, by component.",
                    "short",
                    Query("sum by (component) (up)", "{{component}}"),
                    runbook="TaskbellGatewaysGone",
                ),
            ),
        ),
        Row(
            "Deliveries",
            (
                lines(
                    "Waiting deliveries",
                    "Deliveries in the ledger that are due and not yet tried, by channel (counted up to 10,000).",
                    "short",
                    Query("max by (channel) (taskbell_delivery_due)", "{{channel}}"),
                ),
                lines(
                    "Oldest waiting delivery",
                    "How long the oldest due delivery has waited, by channel. Minutes mean too few workers, or workers "
                    "that cannot reach receivers.",
                    "s",
                    Query("max by (channel) (taskbell_delivery_oldest_due_seconds)", "{{channel}}"),
                    runbook="TaskbellDeliveriesLate",
                ),
                lines(
                    "Events read by the workers",
                    "Events per second by outcome. failed ones are delivered again, dead_letter ones are given up.",
                    "cps",
                    Query("sum by (outcome) (rate(taskbell_delivery_events_total[R]))", "{{outcome}}"),
                ),
                lines(
                    "Attempts in flight",
                    "Attempts of all workers in flight, those of them to slow or failing receivers, and receivers that "
                    "wait because they or their workspace have their share. If the first stays at the limit, add "
                    "workers.",
                    "short",
                    Query("sum(taskbell_delivery_in_flight)", "in flight"),
                    Query("sum(taskbell_delivery_slow_in_flight)", "to slow receivers"),
                    Query("max(taskbell_delivery_held)", "receivers that wait for a place"),
                ),
            ),
        ),
        Row(
            "Reminders",
            (
                lines(
                    "Overdue reminders",
                    "Reminders that are due and have not fired (counted up to 10,000). After an outage of the sweeps "
                    "this falls to 0 by itself.",
                    "short",
                    Query("max(taskbell_relay_reminders_overdue)", "overdue"),
                    runbook="TaskbellRemindersLate",
                ),
                lines(
                    "Lateness of reminders",
                    "How late reminders fired. If it stays above some seconds, sweeps start late or need more shards.",
                    "s",
                    *quantiles("taskbell_relay_reminders_lateness_seconds"),
                    runbook="TaskbellRemindersSlow",
                ),
                lines(
                    "Reminders fired per second",
                    "Reminders that sweeps fired. Reminders of tasks that are already finished do not fire.",
                    "cps",
                    Query("sum(rate(taskbell_relay_reminders_lateness_seconds_count[R]))", "fired"),
                ),
                lines(
                    "Active operators",
                    "Operators that hold the Lease. Always one; the others are on standby.",
                    "short",
                    Query("sum(taskbell_operator_leader_ratio)", "active"),
                    runbook="TaskbellOperatorWithoutLeader",
                ),
            ),
        ),
        Row(
            "Resources",
            (
                lines(
                    "CPU by component",
                    "Cores in use by all pods of a component.",
                    "short",
                    Query("sum by (component) (rate(process_cpu_seconds_total[R]))", "{{component}}"),
                ),
                lines(
                    "Memory by component",
                    "Resident memory of all pods of a component.",
                    "bytes",
                    Query("sum by (component) (process_resident_memory_bytes)", "{{component}}"),
                ),
                lines(
                    "Stored bytes",
                    "What the database and the streams take on disk. Compare with the size of the volumes.",
                    "bytes",
                    Query("max(taskbell_relay_database_bytes)", "PostgreSQL"),
                    Query("max(taskbell_relay_jetstream_bytes)", "JetStream"),
                ),
                lines(
                    "Failures of background roles",
                    "Roles of programs that ended with an error and were started again. If it stays, read the log.",
                    "cps",
                    Query(
                        "sum by (component, role) (rate(taskbell_role_failures_total[R]))",
                        "{{component}} {{role}}",
                        when_healthy=False,
                    ),
                ),
            ),
        ),
    ),
)
