"""Runs SQL scripts of several statements inside a migration."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import text


def run_script(script: str) -> None:
    """Execute a script within the migration's transaction.

    The driver prepares each statement that SQLAlchemy sends, and PostgreSQL prepares only one at a time; the driver's
    own `execute` takes a whole script by the simple query protocol.
    """
    bind = op.get_bind()
    bind.execute(text("SELECT 1"))  # the adapter opens its transaction with the first statement it sees itself
    connection: Any = bind.connection.dbapi_connection
    connection.run_async(lambda driver: driver.execute(script))
