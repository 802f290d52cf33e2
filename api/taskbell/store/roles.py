"""The database roles of the services: least privilege, one each. They belong to the cluster, not to one database."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

OWNER = "taskbell_owner"
"""Owns the schema; runs migrations and partition maintenance."""
API = "taskbell_api"
RELAY = "taskbell_relay"
GATEWAY = "taskbell_gateway"
SWEEPER = "taskbell_sweeper"
"""Fires due reminders, in all workspaces; sees of a task only what a reminder says."""
DELIVERY = "taskbell_delivery"
"""Carries events outwards: reads endpoints and their secrets, keeps the ledger of deliveries."""
ROLES = (OWNER, API, RELAY, GATEWAY, SWEEPER, DELIVERY)

_SETTINGS: Mapping[str, str] = {
    "timezone": "'UTC'",
    # Hot statements are prepared once; PostgreSQL's own choice re-plans over every partition (measured 4 times slower).
    "plan_cache_mode": "'force_generic_plan'",
    "statement_timeout": "'30s'",
    "idle_in_transaction_session_timeout": "'60s'",
}

_BY_KEY = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
_PLANS: Mapping[str, Mapping[str, str]] = {
    # A few reminders among any number of tasks: each is looked up by its key, whatever the planner guesses of a batch.
    SWEEPER: {**_BY_KEY, "jit": "off"},
    # A plan that was made while the ledger was empty lives on while it fills.
    DELIVERY: _BY_KEY,
}
"""Further settings of one role."""


async def prepare_roles(connection: asyncpg.Connection, *, passwords: Mapping[str, str]) -> None:
    """Create the roles that are missing, give each its password and settings. Needs a superuser or CREATEROLE."""
    for role in ROLES:
        powers = await connection.fetchval("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = $1", role)
        if powers is None:
            await connection.execute(f"CREATE ROLE {role}")
        elif powers:  # only a superuser may even say NOSUPERUSER, and providers of PostgreSQL give nobody that
            await connection.execute(f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS")
        quoted = await connection.fetchval("SELECT quote_literal($1::text)", passwords[role])
        await connection.execute(f"ALTER ROLE {role} LOGIN PASSWORD {quoted}")
        if role != OWNER:
            for name, value in {**_SETTINGS, **_PLANS.get(role, {})}.items():
                await connection.execute(f"ALTER ROLE {role} SET {name} = {value}")


async def give_database(connection: asyncpg.Connection, name: str) -> None:
    """Give a database to the schema's owner. Needs a superuser, or its owner with CREATEDB who made the roles."""
    owner = await connection.fetchval("SELECT datdba::regrole::text FROM pg_database WHERE datname = $1", name)
    if owner == OWNER:
        return
    if not await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        # Only who could act as the new owner may give something to it.
        await connection.execute(f"GRANT {OWNER} TO CURRENT_USER")
    quoted = await connection.fetchval("SELECT quote_ident($1)", name)
    await connection.execute(f"ALTER DATABASE {quoted} OWNER TO {OWNER}")
