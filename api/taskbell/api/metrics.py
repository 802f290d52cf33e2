"""Metrics of the API."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

REQUEST_DURATION = Histogram(
    "taskbell_api_request_duration_seconds",
    "Time from the first byte of a request to the last byte of its response, by route template. If p99 "
    "rises and the database time does not, the process is saturated: add API pods.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
REQUESTS_IN_PROGRESS = Gauge("taskbell_api_requests_in_progress", "Requests in progress in this process.")
REQUESTS_FAILED = Counter(
    "taskbell_api_requests_failed_total",
    "Requests that got a 500 because of an unexpected error. Each has a log line with its trace id.",
    ["route"],
)
DATABASE_CONNECTIONS = Gauge(
    "taskbell_api_database_connections",
    "Connections of this process to PostgreSQL by state. If idle stays 0, requests wait for connections.",
    ["state"],
)
SIGN_INS = Counter(
    "taskbell_api_sign_ins_total",
    "Sign-ins by outcome (ok, second_factor_required, refused, throttled). "
    "A burst of refused ones means that somebody guesses passwords.",
    ["outcome"],
)
SECOND_FACTORS = Counter(
    "taskbell_api_second_factors_total",
    "Second steps of sign-ins by outcome: ok, refused (the code is wrong, too old, or was used), throttled. "
    "Many refused ones mean that somebody knows passwords and guesses codes, or that a clock is wrong.",
    ["outcome"],
)
PASSWORD_RESETS = Counter(
    "taskbell_api_password_resets_total",
    "Forgotten passwords by outcome: asked (a message was sent if there is an account), throttled (a client asks for "
    "many), done, refused (a wrong or expired token). Many asked ones and few done: messages do not arrive, or "
    "somebody tries addresses.",
    ["outcome"],
)
ACCOUNTS_DELETED = Counter(
    "taskbell_api_accounts_deleted_total",
    "Accounts that their users deleted. Many at once: ask what drives people away, or who has their passwords.",
)
CLIENTS_SHARE_ADDRESS = Gauge(
    "taskbell_api_clients_share_address",
    "1 if ten accounts signed in through what looks like a proxy that is not in TASKBELL_TRUSTED_PROXIES. Then one "
    "guesser's pauses are everybody's at first sign-ins.",
)
REVOKED_TOKENS = Counter(
    "taskbell_api_revoked_tokens_total",
    "Requests with an access token whose session has ended. A few follow a sign-out; many mean that a client does not "
    "notice it, or that a stolen token is tried.",
)
PROVIDER_SIGN_INS = Counter(
    "taskbell_api_provider_sign_ins_total",
    "Sign-ins through a provider that clients finished, by provider and outcome (ok, refused, unavailable).",
    ["provider", "outcome"],
)
PROVIDER_TOKENS = Counter(
    "taskbell_api_provider_tokens_total",
    "Access tokens of a provider that were verified, by provider and outcome (ok, refused, unavailable). Those that "
    "are remembered do not count.",
    ["provider", "outcome"],
)
PROVIDER_FETCHES = Counter(
    "taskbell_api_provider_fetches_total",
    "Documents of a provider that were fetched, by provider, document (metadata, keys) and outcome (ok, failed). While "
    "they fail, the last ones serve for a day.",
    ["provider", "document", "outcome"],
)
REFRESH_REUSES = Counter(
    "taskbell_api_refresh_token_reuses_total",
    "Refresh tokens that were used a second time; each use ended the session. Each is a stolen token or a "
    "broken client.",
)
PERSONAL_TOKENS = Counter(
    "taskbell_api_personal_tokens_total",
    "Requests with a personal access token by outcome: hit (this process asked PostgreSQL for it within the last "
    "second), miss (it asked now), refused (malformed, unknown, deleted or expired).",
    ["outcome"],
)
QUOTA_REFUSALS = Counter(
    "taskbell_api_quota_refusals_total",
    "Changes that were refused, by quota: daily (429, the workspace wrote too much), tasks (413, it stores too much).",
    ["quota"],
)
EVENTS_WRITTEN = Counter(
    "taskbell_api_events_written_total", "Event rows committed by this process, by type.", ["type"]
)
CONNECTIONS = Gauge(
    "taskbell_api_connections",
    "Connections of clients and proxies to this process. It has at most TASKBELL_API_MAX_CONNECTIONS.",
)
CONNECTIONS_CUT = Counter(
    "taskbell_api_connections_cut_total",
    "Connections cut by reason: head, body and reading are clients that took too long; full gave way to a new "
    "connection; memory held too many bytes of unfinished bodies or unread responses; refused came while all others "
    "were busy. Many with full, memory or refused: add API pods.",
    ["reason"],
)
REQUESTS_LIMITED = Counter(
    "taskbell_api_requests_limited_total",
    "Requests that got a 429 by reason: rate is a user over TASKBELL_RATE_LIMIT_PER_MINUTE, at_once a user with too "
    "many requests under way (TASKBELL_REQUESTS_AT_ONCE_PER_USER).",
    ["reason"],
)
RATE_STORE_FAILURES = Counter(
    "taskbell_api_rate_store_failures_total",
    "Times that the store of TASKBELL_RATE_LIMIT_STORAGE_URL did not answer. This process then counts alone for 5 s.",
)
REPEATS = Counter(
    "taskbell_api_repeats_total",
    "Requests with an Idempotency-Key that were not the first of their key, by outcome: replayed got the first answer "
    "again; in_use is a 409, because the first was still under way; reused a 422, because it was another request; "
    "not_kept a 409, because its answer was too long. Many with in_use: requests take too long. Many with reused: a "
    "client does not make a key for each request.",
    ["outcome"],
)
