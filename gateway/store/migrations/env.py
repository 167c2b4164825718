"""alembic's entry: runs the history on the connection that :mod:`gateway.store.migrate` hands over."""

from __future__ import annotations

from alembic import context

from gateway.store import schema
from gateway.store.partitions import is_ours

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=schema.metadata,
    include_name=is_ours,
    # SQLite cannot alter a column in place; alembic then copies the table.
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
