"""The gateways: connections, sign-ins, frames, resumes."""

from __future__ import annotations

from docs._generate.dashboards.boards.shared import heat, lines, number, processes, quantiles
from docs._generate.dashboards.plan import Board, Query, Row

GATEWAYS = Board(
    name="gateways",
    title="Taskbell gateways",
    meaning="Who is connected, what they get and how late, why connections end, and how clients resume.",
    rows=(
        Row(
            "Now",
            (
                number("Connections", "Open WebSockets of all pods.", "short", "sum(taskbell_gateway_connections)"),
                number(
                    "Reachable pods",
                    "Gateways that Prometheus reaches.",
                    "short",
                    'sum(up{component="gateway"})',
                    runbook="TaskbellGatewaysGone",
                ),
                number(
                    "Events behind",
                    "Events between the end of the stream and the slowest reader.",
                    "short",
                    "max(taskbell_gateway_reader_lag_events)",
                    warn=100,
                    alarm=1000,
                    runbook="TaskbellGatewayBehind",
                ),
                number(
                    "Events, p99",
                    "One event in a hundred takes longer from its commit to its frame.",
                    "s",
                    "histogram_quantile(0.99, sum by (le) (rate(taskbell_gateway_delivery_latency_seconds_bucket[R])))",
                    warn=0.5,
                    alarm=2,
                    runbook="TaskbellEventsLate",
                ),
            ),
        ),
        Row(
            "Connections",
            (
                lines(
                    "Connections by pod",
                    "A pod holds at most TASKBELL_GATEWAY_MAX_CONNECTIONS. Uneven after a start; they even out as "
                    "connections reach their greatest age.",
                    "short",
                    Query("sum by (pod) (taskbell_gateway_connections)", "{{pod}}"),
                ),
                lines(
                    "Kinds of connections",
                    "Open connections, and those of them that are streams of server-sent events (/sse).",
                    "short",
                    Query("sum(taskbell_gateway_connections)", "all"),
                    Query("sum(taskbell_gateway_event_streams)", "server-sent events"),
                ),
                lines(
                    "Gateways that hear of each other",
                    "Other gateways that each pod hears of over NATS: one less than there are. With fewer, the cap of "
                    "a user's connections holds for each part alone.",
                    "short",
                    Query("min by (pod) (taskbell_gateway_peers)", "{{pod}}"),
                ),
                lines(
                    "Opened and renewed",
                    "WebSockets accepted, and those closed because of their age, so that added pods get a share.",
                    "cps",
                    Query("sum(rate(taskbell_gateway_connections_opened_total[R]))", "opened"),
                    Query("sum(rate(taskbell_gateway_connections_renewed_total[R]))", "renewed"),
                ),
                lines(
                    "Closed by the gateway",
                    "By close code: 4408 slow clients, 4401 expired sign-ins, 4201 dead peers, 4001 and 4429 broken "
                    "clients, 1006 clients that did not read.",
                    "cps",
                    Query("sum by (code) (rate(taskbell_gateway_closes_total[R]))", "{{code}}", when_healthy=False),
                ),
                lines(
                    "Coalesced events",
                    "Events that slow clients did not get, because a newer one of the same task waited for them, too. "
                    "Their view is right.",
                    "cps",
                    Query("sum(rate(taskbell_gateway_events_coalesced_total[R]))", "coalesced"),
                ),
                lines(
                    "Refused by reason",
                    "origin: TASKBELL_ALLOWED_ORIGINS lacks one. full, handshakes, not_signed_in: add pods.",
                    "cps",
                    Query(
                        "sum by (reason) (rate(taskbell_gateway_connections_refused_total[R]))",
                        "{{reason}}",
                        when_healthy=False,
                    ),
                ),
            ),
        ),
        Row(
            "Events",
            (
                lines(
                    "Latency of events",
                    "From a change's commit to its frame. If it is high and no reader is behind, look at the relay.",
                    "s",
                    *quantiles("taskbell_gateway_delivery_latency_seconds"),
                    runbook="TaskbellEventsLate",
                ),
                heat(
                    "Distribution of latencies",
                    "How many events took how long.",
                    "taskbell_gateway_delivery_latency_seconds",
                ),
                lines(
                    "Events routed",
                    "Every gateway reads every event: delivered to some connection, unwanted, or malformed.",
                    "cps",
                    Query("sum by (outcome) (rate(taskbell_gateway_events_routed_total[R]))", "{{outcome}}"),
                ),
                lines(
                    "Frames per second by pod",
                    "Event frames given to connections. A frame costs about 9 µs of a core.",
                    "cps",
                    Query("sum by (pod) (rate(taskbell_gateway_event_frames_total[R]))", "{{pod}}"),
                ),
            ),
        ),
        Row(
            "Sign-ins and resumes",
            (
                lines(
                    "Sign-ins",
                    "By kind (token, ticket) and outcome. Many refused ones mean expired tickets or a broken client.",
                    "cps",
                    Query("sum by (kind, outcome) (rate(taskbell_gateway_sign_ins_total[R]))", "{{kind}} {{outcome}}"),
                ),
                lines(
                    "Resumes by outcome",
                    "memory and stream are complete; a gap means that the client reads everything again; many refused "
                    "mean more replays than TASKBELL_GATEWAY_MAX_REPLAYS.",
                    "cps",
                    Query(
                        "sum by (outcome) (rate(taskbell_gateway_replays_total[R]))", "{{outcome}}", when_healthy=False
                    ),
                ),
                lines(
                    "Frames of replays",
                    "Event frames that replays sent.",
                    "cps",
                    Query("sum(rate(taskbell_gateway_replayed_events_total[R]))", "replayed"),
                ),
                lines(
                    "Fetches of keys",
                    "Fetches of the API's public keys. While they fail, the gateway uses the known ones.",
                    "cps",
                    Query("sum by (outcome) (rate(taskbell_gateway_key_fetches_total[R]))", "{{outcome}}"),
                ),
            ),
        ),
        Row(
            "Readers",
            (
                lines(
                    "Events behind by pod",
                    "If it grows, the process is saturated: add pods.",
                    "short",
                    Query("max by (pod) (taskbell_gateway_reader_lag_events)", "{{pod}}"),
                    runbook="TaskbellGatewayBehind",
                ),
                lines(
                    "Position of the reader",
                    "Events that each reader passes in a second. The lines are equal when all keep up.",
                    "cps",
                    Query("max by (pod) (deriv(taskbell_gateway_reader_position_sequence[R]))", "{{pod}}"),
                ),
                lines(
                    "Resets of readers",
                    "Times that a reader made its consumer again, by reason. No event is lost.",
                    "cps",
                    Query(
                        "sum by (reason) (rate(taskbell_gateway_reader_resets_total[R]))",
                        "{{reason}}",
                        when_healthy=False,
                    ),
                ),
            ),
        ),
        processes("gateway"),
    ),
)
