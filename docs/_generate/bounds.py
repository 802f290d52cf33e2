"""`docs/reference/bounds.md`: what is bounded by which setting, with the defaults from the settings classes."""

from __future__ import annotations

from docs._generate.settings import Setting, classes, settings_of

from taskbell.kit.settings import PREFIX

BOUNDED = {
    "A user": {
        "RATE_LIMIT_PER_MINUTE": "requests in a minute, weighed by what they may cost; then 429",
        "REQUESTS_AT_ONCE_PER_USER": "requests at once in an API process, weighed in the same way",
        "GATEWAY_MAX_CONNECTIONS_PER_USER": "WebSockets at a gateway; then 4004",
        "GATEWAY_MAX_REPLAYS_PER_USER": "replays at once at a gateway; more wait",
        "WORKSPACES_PER_USER": "workspaces that a user is a member of",
        "INVITATIONS_PER_USER": "open invitations that a user has made",
        "PERSONAL_TOKENS_PER_USER": "personal access tokens",
        "PERSONAL_TOKEN_MAX_TTL": "time that a personal access token lives",
        "DEVICES_PER_USER": "devices that receive a user's push alerts",
        "EMAILS_PER_HOUR": "e-mails that are sent to a user in an hour",
    },
    "A workspace": {
        "MEMBERS_PER_WORKSPACE": "members",
        "INVITATIONS_PER_WORKSPACE": "open invitations",
        "WORKSPACE_DAILY_BYTES": "bytes of events and deliveries that its changes write in a day; then 429",
        "WORKSPACE_TASK_BYTES": "bytes of tasks; then 413",
        "DELIVERY_CONCURRENCY_PER_WORKSPACE": "attempts to deliver at once in a delivery worker",
    },
    "A receiver of webhooks": {
        "DELIVERY_CONCURRENCY_PER_ENDPOINT": "attempts at once in a delivery worker",
        "WEBHOOK_TIMEOUT": "time of an attempt",
    },
    "Whoever has not signed in": {
        "LOGIN_FAILURES_ALLOWED": "failures for an account from an address before pauses begin",
        "REGISTRATIONS_ALLOWED": "registrations from an address in 15 minutes before pauses begin",
        "INVITATIONS_PER_RECIPIENT": "open invitations to an address",
        "REQUEST_HEAD_TIMEOUT": "time for the head of a request; then 408",
    },
    "A request": {
        "MAX_BODY_BYTES": "bytes of a body; then 413",
        "MAX_PAGE_SIZE": "items of a page",
        "REQUEST_TIMEOUT": "time for a request with its body, however slowly it arrives; then 408",
        "IDEMPOTENCY_WAIT": "time that a repeat waits for the first request with its key; then 409",
        "OIDC_TIMEOUT": "time of each request to a provider that people sign in through; then 503",
        "RESPONSE_TIMEOUT": "time for a response that the client does not read, and a second for each 32 KiB",
    },
    "An API process": {
        "API_MAX_CONNECTIONS": "connections; a new one takes the place of those that wait longest",
        "DATABASE_POOL_SIZE": "connections to PostgreSQL",
        "DATABASE_REPLICA_POOL_SIZE": "connections to each replica",
        "DATABASE_ACQUIRE_TIMEOUT": "time that a request waits for one; then 503",
    },
    "A gateway": {
        "GATEWAY_MAX_CONNECTIONS": "connections; a new one takes the place of the oldest not signed in, else 503",
        "GATEWAY_QUEUE_BYTES": "bytes that wait for one client that does not read; then 4408",
        "GATEWAY_UNSENT_BYTES": "bytes that wait for all such clients together; then those with the most are closed",
        "GATEWAY_MAX_REPLAYS": "replays at once",
        "GATEWAY_MAX_REPLAY_EVENTS": "events of a replay; then `gap`",
        "GATEWAY_MAX_REPLAY_BYTES": "bytes of a replay; then the client resumes again",
        "GATEWAY_RECENT_BYTES": "bytes of the newest events that are kept for clients that resume",
    },
    "A relay or delivery worker": {
        "RELAY_BATCH_BYTES": "bytes that the relay reads and publishes at a time",
        "DELIVERY_CONCURRENCY": "attempts to deliver at once",
    },
}
"""By whom or what is bounded: the settings without their prefix, and what each bounds."""

_HEAD = """\
# Bounds

<!-- Generated from the settings classes by `make docs`. -->

Nothing that a user can make the platform do is unbounded. These are the bounds that a setting changes, with their
defaults ([all settings](settings.md)); [security](../security.md) names the others, the threats, and the tests.
"""


class UnknownSetting(Exception):
    """The page names a setting that no program has."""


def text() -> str:
    """The page.

    Raises:
        UnknownSetting: A name in `BOUNDED` is not a setting.
    """
    known = {setting.variable: setting for kind in classes() for setting in settings_of(kind)}
    parts = [_HEAD]
    for whom, bounds in BOUNDED.items():
        parts.append(f"\n## {whom}\n\n| Setting | Default | Bounds |\n| --- | --- | --- |\n")
        parts += [_row(known, PREFIX + name, what) for name, what in bounds.items()]
    return "".join(parts)


def _row(known: dict[str, Setting], variable: str, what: str) -> str:
    if variable not in known:
        raise UnknownSetting(variable)
    return f"| `{variable}` | `{known[variable].default}` | {what} |\n"
