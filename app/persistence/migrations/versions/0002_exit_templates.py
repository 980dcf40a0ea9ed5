"""Exit templates: every save is a version of its own."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_RowId = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "exit_templates",
        Column("id", _RowId, nullable=False),
        Column("name", String(200), nullable=False),
        Column("version", Integer, nullable=False),
        Column("body", Text, nullable=False),
        Column("is_removed", Boolean(name="is_removed"), nullable=False),
        Column("saved_ns", BigInteger, nullable=False),
        sa.UniqueConstraint("name", "version", name="uq_exit_templates_name_version"),
        sa.PrimaryKeyConstraint("id", name="pk_exit_templates"),
    )
