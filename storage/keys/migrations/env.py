"""Alembic's entry: migrates over the connection it is given, never one of its own."""

from __future__ import annotations

from alembic import context

from storage.keys.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=False)
with context.begin_transaction():
    context.run_migrations()
