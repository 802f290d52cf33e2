"""Alembic's entry: runs migrations over the connection that `taskbell.api.db.migrate` hands in."""

from __future__ import annotations

from alembic import context

from taskbell.api.db.models import Model

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Model.metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
