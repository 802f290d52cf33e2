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

_PLANS: Mapping[str, Mapping[str, str]] = {
    # A plan that was made while the ledger was empty lives on while it fills.
    DELIVERY: {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"},
}
"""Further settings of one role."""


async def prepare_roles(connection: asyncpg.Connection, *, passwords: Mapping[str, str]) -> None:
    """Create the roles that are missing, give each its password and settings. Needs a superuser or CREATEROLE."""
    for role in ROLES:
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
            await connection.execute(f"CREATE ROLE {role} LOGIN")
        quoted = await connection.fetchval("SELECT quote_literal($1::text)", passwords[role])
        await connection.execute(f"ALTER ROLE {role} LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD {quoted}")
        if role != OWNER:
            for name, value in {**_SETTINGS, **_PLANS.get(role, {})}.items():
                await connection.execute(f"ALTER ROLE {role} SET {name} = {value}")
