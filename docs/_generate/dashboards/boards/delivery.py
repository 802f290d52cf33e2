"""Delivery: webhooks, e-mails, push and chats, from the stream to the receiver's yes."""

from __future__ import annotations

from docs._generate.dashboards.boards.shared import heat, lines, number, processes, quantiles
from docs._generate.dashboards.plan import Board, Query, Row

DELIVERY = Board(
    name="delivery",
    title="Taskbell delivery",
    meaning="Whether webhooks and alerts (e-mail, push, chats) arrive in time, what waits and for whom, and whether "
    "more workers would help.",
    rows=(
        Row(
            "Now",
            (
                number(
                    "Due",
                    "Deliveries that are due and not yet tried (counted up to 10,000).",
                    "short",
                    "sum(max by (channel) (taskbell_delivery_due))",
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
                    "Deliveries in the ledger that are due and not yet tried, by channel (counted up to 10,000).",
                    "short",
                    Query("max by (channel) (taskbell_delivery_due)", "{{channel}}"),
                    runbook="TaskbellDeliveriesLate",
                ),
                lines(
                    "Oldest due by channel",
                    "How long the oldest due delivery of each channel has waited. If one channel alone is late, its "
                    "receivers or its provider do not answer.",
                    "s",
                    Query("max by (channel) (taskbell_delivery_oldest_due_seconds)", "{{channel}}"),
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
            "Alerts",
            (
                lines(
                    "Sent",
                    "Deliveries that a receiver or provider accepted, by channel.",
                    "cps",
                    Query(
                        'sum by (channel) (rate(taskbell_delivery_attempts_total{state="delivered"}[R]))', "{{channel}}"
                    ),
                ),
                lines(
                    "Refused",
                    "Deliveries that a receiver or provider will never take. Many mean wrong credentials or a wrong "
                    "message, so look at the errors of dead deliveries.",
                    "cps",
                    Query(
                        'sum by (channel) (rate(taskbell_delivery_given_up_total{reason="refused"}[R]))', "{{channel}}"
                    ),
                    runbook="TaskbellAlertsRefused",
                ),
                lines(
                    "Dead",
                    "Deliveries that were retried until their end, by channel. Each is a dead letter.",
                    "cps",
                    Query(
                        'sum by (channel) (rate(taskbell_delivery_given_up_total{reason="expired"}[R]))', "{{channel}}"
                    ),
                    runbook="TaskbellAlertsDead",
                ),
                lines(
                    "Ended without a message",
                    "Deliveries whose endpoint was removed (unsendable), and those whose device or chat no longer "
                    "exists (gone). Both are normal.",
                    "cps",
                    Query(
                        "sum by (channel, reason) "
                        '(rate(taskbell_delivery_given_up_total{reason=~"gone|unsendable"}[R]))',
                        "{{channel}} {{reason}}",
                    ),
                ),
                lines(
                    "What providers complain of",
                    "Attempts that a provider did not take, by its own word for it. After a word about keys, tokens, "
                    "topics or senders, compare the settings with the provider's console.",
                    "cps",
                    Query(
                        "sum by (channel, reason) (rate(taskbell_delivery_refusals_total[R]))",
                        "{{channel}} {{reason}}",
                        when_healthy=False,
                    ),
                    runbook="TaskbellAlertsRefused",
                ),
                lines(
                    "Tokens for providers",
                    "Access tokens that workers made or fetched. After a failed one the provider gets nothing until "
                    "the next try.",
                    "cps",
                    Query(
                        "sum by (provider, outcome) (rate(taskbell_delivery_provider_tokens_total[R]))",
                        "{{provider}} {{outcome}}",
                        when_healthy=False,
                    ),
                    runbook="TaskbellDeliveriesLate",
                ),
                lines(
                    "Devices gone",
                    "Devices and chats that were removed because their provider said that they no longer exist.",
                    "cps",
                    Query("sum by (channel) (rate(taskbell_delivery_alert_endpoints_gone_total[R]))", "{{channel}}"),
                ),
                lines(
                    "Paused workers",
                    "Workers that send nothing by a channel, because its provider is down or asked for a pause. Its "
                    "alerts wait.",
                    "short",
                    Query("sum by (channel) (taskbell_delivery_channel_paused_ratio)", "{{channel}}"),
                    runbook="TaskbellDeliveriesLate",
                ),
                lines(
                    "Quiet hours",
                    "Alerts that were recorded to wait for the end of quiet hours (deferred), and those that another "
                    "one spoke for at their end (collapsed).",
                    "cps",
                    Query("sum by (channel) (rate(taskbell_delivery_deferred_total[R]))", "{{channel}} deferred"),
                    Query(
                        'sum by (channel) (rate(taskbell_delivery_spared_total{state="collapsed"}[R]))',
                        "{{channel}} collapsed",
                    ),
                ),
                lines(
                    "Withdrawn",
                    "Alerts that were not sent, because the user had read the notification before.",
                    "cps",
                    Query(
                        'sum by (channel) (rate(taskbell_delivery_spared_total{state="withdrawn"}[R]))', "{{channel}}"
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
