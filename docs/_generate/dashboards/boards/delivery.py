"""Delivery: webhooks and e-mails, from the stream to the receiver's yes."""

from __future__ import annotations

from docs._generate.dashboards.boards.shared import heat, lines, number, processes, quantiles
from docs._generate.dashboards.plan import Board, Query, Row

DELIVERY = Board(
    name="delivery",
    title="Taskbell delivery",
    meaning="Whether webhooks and e-mails arrive in time, what waits and for whom, and whether more workers "
    "would help.",
    rows=(
        Row(
            "Now",
            (
                number(
                    "Due",
                    "Deliveries that are due and not yet tried (counted up to 10,000).",
                    "short",
                    "max(taskbell_delivery_due)",
                    warn=1000,
                    alarm=10000,
                ),
                number(
                    "Oldest due",
                    "How long the oldest due delivery has waited.",
                    "s",
                    "max(taskbell_delivery_oldest_due_seconds)",
                    warn=10,
                    alarm=60,
                    runbook="TaskbellDeliveriesLate",
                ),
                number("In flight", "Attempts of all workers.", "short", "sum(taskbell_delivery_in_flight)"),
                number(
                    "Events waiting",
                    "Messages of the consumer that no worker has read. A WorkerPool scales on it.",
                    "short",
                    'max(taskbell_relay_consumer_messages{consumer="delivery", state="pending"})',
                    warn=1000,
                ),
                number(
                    "Dead letters",
                    "Events that could not be processed; taskbell deadletters lists them.",
                    "short",
                    'max(taskbell_relay_stream_messages{stream="TASKBELL_DEAD_LETTERS"})',
                    warn=1,
                ),
            ),
        ),
        Row(
            "Attempts",
            (
                lines(
                    "Attempts by outcome",
                    "delivered, retrying, dead. Many retrying ones mean that receivers are down, or that this network "
                    "cannot reach them.",
                    "cps",
                    Query(
                        "sum by (channel, state) (rate(taskbell_delivery_attempts_total[R]))", "{{channel}} {{state}}"
                    ),
                ),
                lines(
                    "Duration of attempts",
                    "Values near TASKBELL_WEBHOOK_TIMEOUT mean that receivers hang.",
                    "s",
                    *quantiles("taskbell_delivery_attempt_duration_seconds", by="channel"),
                ),
                heat(
                    "Distribution of durations",
                    "How many attempts took how long.",
                    "taskbell_delivery_attempt_duration_seconds",
                ),
                lines(
                    "Time to a first success",
                    "From writing a delivery to the ledger to a successful first attempt.",
                    "s",
                    *quantiles("taskbell_delivery_latency_seconds", by="channel"),
                ),
            ),
        ),
        Row(
            "What waits",
            (
                lines(
                    "Due deliveries",
                    "Webhooks and e-mails in the ledger that are due and not yet tried (counted up to 10,000).",
                    "short",
                    Query("max(taskbell_delivery_due)", "due"),
                    runbook="TaskbellDeliveriesLate",
                ),
                lines(
                    "Places",
                    "Attempts in flight, those to slow or failing receivers (about half of all places at most), and "
                    "receivers that wait for a place. If the first stays at the limit, add workers.",
                    "short",
                    Query("sum(taskbell_delivery_in_flight)", "in flight"),
                    Query("sum(taskbell_delivery_slow_in_flight)", "to slow receivers"),
                    Query("max(taskbell_delivery_held)", "receivers that wait"),
                ),
                lines(
                    "Backlog of the consumers",
                    "Messages that wait for a worker or are with one, by consumer. delivery-redrive is what taskbell "
                    "deadletters sent again.",
                    "short",
                    Query("max by (consumer, state) (taskbell_relay_consumer_messages)", "{{consumer}} {{state}}"),
                ),
                lines(
                    "Size of worker pools",
                    "Pods that the operator wants, and pods that there are.",
                    "short",
                    Query(
                        "max by (pool, state) (taskbell_operator_pool_replicas)",
                        "{{pool}} {{state}}",
                        when_healthy=False,
                    ),
                ),
            ),
        ),
        Row(
            "Events",
            (
                lines(
                    "Events read by the workers",
                    "By outcome: recorded, unwanted, failed (delivered again), dead_letter (given up).",
                    "cps",
                    Query("sum by (outcome) (rate(taskbell_delivery_events_total[R]))", "{{outcome}}"),
                ),
                lines(
                    "Deliveries recorded",
                    "Rows written to the ledger: events times the endpoints that want them.",
                    "cps",
                    Query("sum(rate(taskbell_delivery_recorded_total[R]))", "recorded"),
                ),
                lines(
                    "Given up",
                    "Attempts at addresses that are not public, webhooks that answered 410, e-mails over the bound of "
                    "a user, and attempts whose outcome could not be recorded.",
                    "cps",
                    Query("sum(rate(taskbell_delivery_addresses_refused_total[R]))", "address not public"),
                    Query("sum(rate(taskbell_delivery_endpoints_disabled_total[R]))", "webhooks disabled"),
                    Query("sum(rate(taskbell_delivery_emails_limited_total[R]))", "e-mails over the bound"),
                    Query("sum(rate(taskbell_delivery_unrecorded_total[R]))", "not recorded"),
                ),
            ),
        ),
        processes("delivery"),
    ),
)
