"""The database roles of the services: least privilege, one each. They belong to the cluster, not to one database."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from taskbell.kit.postgres.statements import load

OWNER = "taskbell_owner"
"""Owns the schema; runs migrations and partition maintenance."""
API = "taskbell_api"
RELAY = "taskbell_relay"
GATEWAY = "taskbell_gateway"
SWEEPER = "taskbell_sweeper"
"""Tells what the clock brings, in all workspaces; sees of a task only what a reminder says, and who wants a digest."""
DELIVERY = "taskbell_delivery"
"""Carries events outwards: reads endpoints and their secrets, keeps the ledger of deliveries."""
ROLES = (OWNER, API, RELAY, GATEWAY, SWEEPER, DELIVERY)

_POWERS = load(__package__, "role_powers")
_LITERAL = load(__package__, "quote_literal")
_MAX_CONNECTIONS = load(__package__, "max_connections")

_SETTINGS: Mapping[str, str] = {
    "timezone": "'UTC'",
    # Hot statements are prepared once; PostgreSQL's own choice re-plans over every partition (measured 4 times slower).
    "plan_cache_mode": "'force_generic_plan'",
    "idle_in_transaction_session_timeout": "'15s'",
}

_STATEMENT_TIMEOUTS: Mapping[str, str] = {
    API: "'10s'",
    RELAY: "'30s'",  # a page of a large window; counting a backlog lifts it
    GATEWAY: "'5s'",
    SWEEPER: "'30s'",  # a batch of a thousand reminders
    DELIVERY: "'10s'",
}
"""How long one statement of a role may take. A program may end its own sooner."""

_CONNECTION_SHARES: Mapping[str, float] = {API: 0.7, RELAY: 0.25, GATEWAY: 0.25, SWEEPER: 0.25, DELIVERY: 0.25}
"""The part of PostgreSQL's `max_connections` that a role may hold, so that no program takes those of all others."""

_BY_KEY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_PLANS: Mapping[str, Mapping[str, str]] = {
    # A few reminders among any number of tasks: each is looked up by its key, whatever the planner guesses of a batch.
    # A walk reads a table in the order of an index and ends at its limit: a bitmap would read all first, to sort it.
    SWEEPER: {**_BY_KEY, "enable_bitmapscan": "off", "jit": "off"},
    # A plan made while the ledger was empty is kept while it fills.
    # PostgreSQL 18.4 may crash in a statement that locks a row which was changed meanwhile, and that prunes partitions
    # while it runs, as a claim does: checking the row again frees what the pruning still uses.
    DELIVERY: {**_BY_KEY, "enable_partition_pruning": "off"},
}
"""Further settings of one role."""


async def prepare_roles(connection: asyncpg.Connection, *, passwords: Mapping[str, str]) -> None:
    """Create the roles that are missing, give each its password, settings and number of connections.

    Needs a superuser or CREATEROLE.
    """
    most = await _MAX_CONNECTIONS.value(connection)
    for role in ROLES:
        powers = await _POWERS.value(connection, role=role)
        if powers is None:
            await connection.execute(f"CREATE ROLE {role}")
        elif powers:  # only a superuser may even say NOSUPERUSER, and providers of PostgreSQL give nobody that
            await connection.execute(f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS")
        await connection.execute(
            f"ALTER ROLE {role} LOGIN PASSWORD {await _LITERAL.value(connection, text=passwords[role])}"
        )
        if role != OWNER:
            share = max(1, int(most * _CONNECTION_SHARES[role]))
            await connection.execute(f"ALTER ROLE {role} CONNECTION LIMIT {share}")
            timeout = {"statement_timeout": _STATEMENT_TIMEOUTS[role]}
            for name, value in {**_SETTINGS, **timeout, **_PLANS.get(role, {})}.items():
                await connection.execute(f"ALTER ROLE {role} SET {name} = {value}")
