"""JetStream, as the active relay sees it."""

from __future__ import annotations

from docs._generate.dashboards.boards.shared import lines, number, quantiles
from docs._generate.dashboards.plan import Board, Query, Row

_LETTERS = '{stream="TASKBELL_DEAD_LETTERS"}'

JETSTREAM = Board(
    name="jetstream",
    title="Taskbell JetStream",
    meaning="Streams and consumers, as the active relay sees them. CPU, memory and disk of the servers are known to "
    "whoever runs them.",
    rows=(
        Row(
            "Now",
            (
                number("Stored", "What all streams take on disk.", "bytes", "max(taskbell_relay_jetstream_bytes)"),
                number(
                    "Events kept",
                    "Messages of the event stream: those of TASKBELL_EVENT_RETENTION. Clients can resume from them.",
                    "short",
                    'max(taskbell_relay_stream_messages{stream="TASKBELL_EVENTS"})',
                ),
                number(
                    "Dead letters",
                    "Events that delivery gave up; taskbell deadletters lists them.",
                    "short",
                    f"max(taskbell_relay_stream_messages{_LETTERS})",
                    warn=1,
                ),
                number(
                    "Waiting for delivery",
                    "Messages that no worker has read.",
                    "short",
                    'max(taskbell_relay_consumer_messages{consumer="delivery", state="pending"})',
                    warn=1000,
                ),
                number(
                    "Rebuilds",
                    "Epoch of the stream. It grows when the stream was lost, damaged or replayed.",
                    "short",
                    "max(taskbell_relay_stream_epoch)",
                    runbook="TaskbellStreamRebuilt",
                ),
            ),
        ),
        Row(
            "Streams",
            (
                lines(
                    "Messages per second",
                    "How fast the last sequence of each stream grows.",
                    "cps",
                    Query("max by (stream) (deriv(taskbell_relay_stream_last_sequence[R]))", "{{stream}}"),
                ),
                lines(
                    "Messages",
                    "Messages that each stream holds.",
                    "short",
                    Query("max by (stream) (taskbell_relay_stream_messages)", "{{stream}}"),
                ),
                lines(
                    "Bytes",
                    "What each stream takes on disk.",
                    "bytes",
                    Query("max by (stream) (taskbell_relay_stream_bytes)", "{{stream}}"),
                ),
                lines(
                    "Share of the account's storage",
                    "At 1 NATS refuses events, and the relay waits. Missing if only the disk bounds the account.",
                    "percentunit",
                    Query(
                        "max(taskbell_relay_jetstream_bytes) / max(taskbell_relay_jetstream_most_bytes)",
                        "used",
                        when_healthy=False,
                    ),
                ),
            ),
        ),
        Row(
            "Consumers",
            (
                lines(
                    "Backlog",
                    "Messages that wait for a worker, by consumer. If it grows, add workers.",
                    "short",
                    Query('max by (consumer) (taskbell_relay_consumer_messages{state="pending"})', "{{consumer}}"),
                ),
                lines(
                    "With a worker",
                    "Messages that a worker has and has not answered, and those of them that were with one before. "
                    "Redelivered ones mean that workers die or fail.",
                    "short",
                    Query(
                        'max by (consumer, state) (taskbell_relay_consumer_messages{state!="pending"})',
                        "{{consumer}} {{state}}",
                    ),
                ),
                lines(
                    "Consumers of each stream",
                    "One of each gateway and API process, those of replays, and one of all workers. NATS has a limit "
                    "of some thousand.",
                    "short",
                    Query("max by (stream) (taskbell_relay_stream_consumers)", "{{stream}}"),
                ),
                lines(
                    "Gateways behind the stream",
                    "Events between the end of the stream and the reader of each gateway.",
                    "short",
                    Query("max by (pod) (taskbell_gateway_reader_lag_events)", "{{pod}}"),
                    runbook="TaskbellGatewayBehind",
                ),
            ),
        ),
        Row(
            "Publishing",
            (
                lines(
                    "Publishing a batch",
                    "Time from the first message of a batch to its last acknowledgement: how fast NATS writes.",
                    "s",
                    *quantiles("taskbell_relay_publish_duration_seconds"),
                ),
                lines(
                    "Published events",
                    "Events that the stream acknowledged.",
                    "cps",
                    Query("sum(rate(taskbell_relay_events_published_total[R]))", "published"),
                ),
                lines(
                    "Interruptions of the relay",
                    "Times that publishing started again, by reason.",
                    "cps",
                    Query(
                        "sum by (reason) (rate(taskbell_relay_interruptions_total[R]))",
                        "{{reason}}",
                        when_healthy=False,
                    ),
                    runbook="TaskbellRelayStalled",
                ),
                lines(
                    "Resets of readers",
                    "Times that a gateway's reader made its consumer again, by reason.",
                    "cps",
                    Query(
                        "sum by (reason) (rate(taskbell_gateway_reader_resets_total[R]))",
                        "{{reason}}",
                        when_healthy=False,
                    ),
                ),
            ),
        ),
    ),
)
