"""The API: requests, refusals, sign-ins, connections."""

from __future__ import annotations

from docs._generate.dashboards.boards.shared import (
    failed_requests,
    heat,
    lines,
    number,
    processes,
    quantiles,
)
from docs._generate.dashboards.plan import Board, Query, Row

_COUNT = "taskbell_api_request_duration_seconds_count"

API = Board(
    name="api",
    title="Taskbell API",
    meaning="How many requests there are, how many fail, how long they take, and what the API refuses.",
    rows=(
        Row(
            "Now",
            (
                number("Requests", "Requests per second of all pods.", "reqps", f"sum(rate({_COUNT}[R]))"),
                failed_requests("Failed"),
                number(
                    "Under way",
                    "Requests in progress in all pods. Many with few requests per second are requests that wait.",
                    "short",
                    "sum(taskbell_api_requests_in_progress)",
                ),
                number(
                    "Clients share one address",
                    "1 if ten accounts signed in through a proxy that TASKBELL_TRUSTED_PROXIES does not list. Then one "
                    "guesser's pauses are everybody's.",
                    "short",
                    "max(taskbell_api_clients_share_address)",
                    warn=1,
                ),
            ),
        ),
        Row(
            "Rate and errors",
            (
                lines(
                    "Requests by route",
                    "The ten routes with the most requests.",
                    "reqps",
                    Query(f"topk(10, sum by (method, route) (rate({_COUNT}[R])))", "{{method}} {{route}}"),
                ),
                lines(
                    "Responses by status",
                    "2xx and 304 are successes, 4xx faults of clients or refusals, 5xx faults of the platform.",
                    "reqps",
                    Query(f"sum by (status) (rate({_COUNT}[R]))", "{{status}}"),
                ),
                lines(
                    "Unexpected errors by route",
                    "Requests that got a 500. Each has a log line with its trace id.",
                    "reqps",
                    Query(
                        "sum by (route) (rate(taskbell_api_requests_failed_total[R]))", "{{route}}", when_healthy=False
                    ),
                    runbook="TaskbellApiErrors",
                ),
                lines(
                    "Refusals",
                    "Requests of users over their rate or with too many at once (429), and changes over a quota of "
                    "their workspace (429, 413).",
                    "reqps",
                    Query(
                        "sum by (reason) (rate(taskbell_api_requests_limited_total[R]))",
                        "{{reason}}",
                        when_healthy=False,
                    ),
                    Query(
                        "sum by (quota) (rate(taskbell_api_quota_refusals_total[R]))",
                        "quota {{quota}}",
                        when_healthy=False,
                    ),
                ),
            ),
        ),
        Row(
            "Duration",
            (
                lines(
                    "Duration",
                    "From the first byte of a request to the last byte of its response.",
                    "s",
                    *quantiles("taskbell_api_request_duration_seconds"),
                ),
                heat(
                    "Distribution of durations",
                    "How many requests took how long. Two bands mean two kinds of requests, or a saturated moment.",
                    "taskbell_api_request_duration_seconds",
                ),
                lines(
                    "Slowest routes",
                    "p99 of the ten slowest routes.",
                    "s",
                    Query(
                        "topk(10, histogram_quantile(0.99, sum by (method, route, le)"
                        " (rate(taskbell_api_request_duration_seconds_bucket[R]))))",
                        "{{method}} {{route}}",
                    ),
                ),
            ),
        ),
        Row(
            "Sign-ins and changes",
            (
                lines(
                    "Sign-ins by outcome",
                    "A burst of refused ones means that somebody guesses passwords.",
                    "cps",
                    Query("sum by (outcome) (rate(taskbell_api_sign_ins_total[R]))", "{{outcome}}"),
                ),
                lines(
                    "Refresh tokens used twice",
                    "Each is a stolen token or a broken client; its session was ended.",
                    "cps",
                    Query("sum(rate(taskbell_api_refresh_token_reuses_total[R]))", "used twice"),
                ),
                lines(
                    "Events written by type",
                    "Changes that the API committed, by the type of their event.",
                    "cps",
                    Query("sum by (type) (rate(taskbell_api_events_written_total[R]))", "{{type}}"),
                ),
                lines(
                    "Repeats by outcome",
                    "Requests that came again with their Idempotency-Key. Many in_use mean slow requests; many reused "
                    "mean a client that does not make a key for each request.",
                    "cps",
                    Query("sum by (outcome) (rate(taskbell_api_repeats_total[R]))", "{{outcome}}"),
                ),
                lines(
                    "Lost signals",
                    "Pokes to the relay that NATS did not take (harmless: the relay also polls), and times that the "
                    "shared store of rates did not answer (each process then counts alone).",
                    "cps",
                    Query("sum(rate(taskbell_bus_pokes_lost_total[R]))", "pokes"),
                    Query("sum(rate(taskbell_api_rate_store_failures_total[R]))", "rates"),
                ),
            ),
        ),
        Row(
            "Accounts and tokens",
            (
                lines(
                    "Second factors by outcome",
                    "A burst of refused ones means that somebody knows a password and guesses codes.",
                    "cps",
                    Query(
                        "sum by (outcome) (rate(taskbell_api_second_factors_total[R]))",
                        "{{outcome}}",
                        when_healthy=False,
                    ),
                ),
                lines(
                    "Password resets by outcome",
                    "Messages asked for, and tokens that came back. A burst of refused ones means guesses.",
                    "cps",
                    Query(
                        "sum by (outcome) (rate(taskbell_api_password_resets_total[R]))",
                        "{{outcome}}",
                        when_healthy=False,
                    ),
                ),
                lines(
                    "Deleted accounts",
                    "Accounts that their users deleted. Many at once: ask what drives people away, or who has their "
                    "passwords.",
                    "cps",
                    Query("sum(rate(taskbell_api_accounts_deleted_total[R]))", "deleted", when_healthy=False),
                ),
                lines(
                    "Personal access tokens by outcome",
                    "Many misses mean many tokens that are each used rarely; each costs a statement. Many refused: a "
                    "program whose token has ended.",
                    "cps",
                    Query("sum by (outcome) (rate(taskbell_api_personal_tokens_total[R]))", "{{outcome}}"),
                ),
                lines(
                    "Tokens of ended sessions",
                    "Requests after a sign-out. A few are normal; many mean a client that does not stop.",
                    "cps",
                    Query("sum(rate(taskbell_api_revoked_tokens_total[R]))", "refused"),
                ),
                lines(
                    "Identity providers",
                    "Sign-ins and access tokens by provider and outcome. unavailable means that the provider does not "
                    "answer; other ways to sign in go on.",
                    "cps",
                    Query(
                        "sum by (provider, outcome) (rate(taskbell_api_provider_sign_ins_total[R]))",
                        "{{provider}} sign-in {{outcome}}",
                        when_healthy=False,
                    ),
                    Query(
                        "sum by (provider, outcome) (rate(taskbell_api_provider_tokens_total[R]))",
                        "{{provider}} token {{outcome}}",
                        when_healthy=False,
                    ),
                ),
                lines(
                    "Documents of identity providers",
                    "Metadata and keys. Failures go on only while the provider is away or its settings are wrong.",
                    "cps",
                    Query(
                        "sum by (provider, document, outcome) (rate(taskbell_api_provider_fetches_total[R]))",
                        "{{provider}} {{document}} {{outcome}}",
                        when_healthy=False,
                    ),
                ),
            ),
        ),
        Row(
            "Connections",
            (
                lines(
                    "Client connections by pod",
                    "Connections of clients and proxies. A process has at most TASKBELL_API_MAX_CONNECTIONS.",
                    "short",
                    Query("sum by (pod) (taskbell_api_connections)", "{{pod}}"),
                ),
                lines(
                    "Connections cut by reason",
                    "head, body and reading are clients that took too long; many with full, memory or refused mean: "
                    "add pods.",
                    "cps",
                    Query(
                        "sum by (reason) (rate(taskbell_api_connections_cut_total[R]))",
                        "{{reason}}",
                        when_healthy=False,
                    ),
                ),
                lines(
                    "Database connections",
                    "Connections to PostgreSQL by state. If none is idle, requests wait for a connection.",
                    "short",
                    Query("sum by (state) (taskbell_api_database_connections)", "{{state}}"),
                ),
            ),
        ),
        Row(
            "Replicas",
            (
                lines(
                    "Reads by who answered",
                    "Reads that a replica may answer. primary_recent: the client has seen what no replica holds yet. "
                    "primary_shared: the replica had more to do than the primary. primary_away: its replica does not "
                    "answer or lags too much. primary_repeated: the replica failed in the middle. Nothing without "
                    "replicas.",
                    "reqps",
                    Query(
                        "sum by (answered_by) (rate(taskbell_api_reads_total[R]))",
                        "{{answered_by}}",
                        when_healthy=False,
                    ),
                ),
                lines(
                    "Replicas in use",
                    "1 if every process reads from the replica. Without it the primary answers.",
                    "short",
                    Query("min by (replica) (taskbell_api_replica_usable_ratio)", "{{replica}}", when_healthy=False),
                    runbook="TaskbellReplicaUnused",
                ),
                lines(
                    "Lag of replicas",
                    "Age of the newest look at the primary that the replica has replayed, as the slowest process sees "
                    "it. Some 0.1 s are normal; beyond TASKBELL_DATABASE_REPLICA_MAX_LAG the primary answers.",
                    "s",
                    Query("max by (replica) (taskbell_api_replica_lag_seconds)", "{{replica}}", when_healthy=False),
                ),
                lines(
                    "Log that replicas lack",
                    "Bytes of the write-ahead log that a replica had not replayed when it was last looked at.",
                    "bytes",
                    Query("max by (replica) (taskbell_api_replica_behind_bytes)", "{{replica}}", when_healthy=False),
                ),
            ),
        ),
        processes("api"),
    ),
)
