"""Alembic's entry: runs migrations over the connection that `taskbell.store.migrate` hands in."""

from __future__ import annotations

from alembic import context

from taskbell.store.models import Model

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Model.metadata,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
