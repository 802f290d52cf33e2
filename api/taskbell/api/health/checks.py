"""The checks behind `/readyz`."""

from __future__ import annotations

from taskbell.kit.postgres.statements import load
from taskbell.kit.probes.health import Check
from taskbell.store.pool import Database
from taskbell.store.revisions import head

_REVISION = load(__package__, "select_revision")


class SchemaBehind(Exception):
    """The database answers, but its schema is older than this code."""


def schema_check(database: Database) -> Check:
    """A check that the database answers and that its schema is at least as new as this code.

    A newer schema is fine: migrations are applied before the pods that need them.
    """
    known = head()

    async def check() -> None:
        revision = await _REVISION.value(database)
        if revision is None or revision < known:
            raise SchemaBehind(f"schema {revision}, wanted {known}")

    return check
