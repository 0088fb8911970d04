"""What Alembic runs, inside a transaction of `serving.feedback.database.migrating`, which hands over its connection."""

from __future__ import annotations

from alembic import context

from serving.feedback.database.schema import VERSIONS, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSIONS,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
