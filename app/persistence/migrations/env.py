"""Alembic's entry: runs the migrations on the connection that `app.persistence.migrating` opened."""

from alembic import context

from app.persistence.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
