"""Alembic's entry: runs migrations, then the files of `schema/`, in one transaction of the connection it is given."""

from __future__ import annotations

from alembic import context

from taskbell.store import schema_files
from taskbell.store.models import Task

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Task.metadata)
with context.begin_transaction():
    context.run_migrations()
    connection.connection.dbapi_connection.run_async(schema_files.apply)
