"""The first schema: accounts seen, layouts, notices, orders and fills."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Integer, String, Text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_RowId = BigInteger().with_variant(Integer, "sqlite")


def _create_accounts_seen() -> None:
    op.create_table(
        "accounts_seen",
        Column("id", _RowId, nullable=False),
        Column("gateway", String(200), nullable=False),
        Column("account_id", BigInteger, nullable=False),
        Column("name", String(200), nullable=False),
        Column("word", String(20), nullable=False),
        Column("balance_1e4", BigInteger, nullable=False),
        Column("first_seen_ns", BigInteger, nullable=False),
        Column("last_seen_ns", BigInteger, nullable=False),
        sa.UniqueConstraint("gateway", "account_id", name="uq_accounts_seen_gateway_account_id"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts_seen"),
    )


def _create_layouts() -> None:
    op.create_table(
        "layouts",
        Column("id", _RowId, nullable=False),
        Column("name", String(200), nullable=False),
        Column("version", Integer, nullable=False),
        Column("body", Text, nullable=False),
        Column("saved_ns", BigInteger, nullable=False),
        sa.UniqueConstraint("name", name="uq_layouts_name"),
        sa.PrimaryKeyConstraint("id", name="pk_layouts"),
    )


def _create_notices() -> None:
    op.create_table(
        "notices",
        Column("id", _RowId, nullable=False),
        Column("level", String(20), nullable=False),
        Column("code", String(60), nullable=False),
        Column("text", Text, nullable=False),
        Column("time_ns", BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
    )
    op.create_index("ix_notices_time_ns", "notices", ["time_ns"])


def _create_orders() -> None:
    op.create_table(
        "orders",
        Column("id", _RowId, nullable=False),
        Column("gateway", String(200), nullable=False),
        Column("account_id", BigInteger, nullable=False),
        Column("key", String(64), nullable=False),
        Column("order_id", BigInteger, nullable=False),
        Column("contract_id", String(64), nullable=False),
        Column("side", String(8), nullable=False),
        Column("kind", String(20), nullable=False),
        Column("size_lots", BigInteger, nullable=False),
        Column("filled_lots", BigInteger, nullable=False),
        Column("limit_ticks", BigInteger),
        Column("stop_ticks", BigInteger),
        Column("average_fill_ticks_1e4", BigInteger),
        Column("life", String(20), nullable=False),
        Column("source", String(40), nullable=False),
        Column("reason", Text, nullable=False),
        Column("created_ns", BigInteger, nullable=False),
        Column("updated_ns", BigInteger, nullable=False),
        sa.UniqueConstraint("gateway", "account_id", "key", name="uq_orders_gateway_account_id_key"),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
    )
    op.create_index("ix_orders_created_ns", "orders", ["created_ns"])


def _create_fills() -> None:
    op.create_table(
        "fills",
        Column("id", _RowId, nullable=False),
        Column("gateway", String(200), nullable=False),
        Column("account_id", BigInteger, nullable=False),
        Column("trade_id", BigInteger, nullable=False),
        Column("order_id", BigInteger, nullable=False),
        Column("tag", String(64), nullable=False),
        Column("contract_id", String(64), nullable=False),
        Column("side", String(8), nullable=False),
        Column("price_ticks", BigInteger, nullable=False),
        Column("size_lots", BigInteger, nullable=False),
        Column("fees_1e4", BigInteger, nullable=False),
        Column("pnl_1e4", BigInteger),
        Column("time_ns", BigInteger, nullable=False),
        Column("is_voided", Boolean(name="is_voided"), nullable=False),
        sa.UniqueConstraint("gateway", "account_id", "trade_id", name="uq_fills_gateway_account_id_trade_id"),
        sa.PrimaryKeyConstraint("id", name="pk_fills"),
    )
    op.create_index("ix_fills_time_ns", "fills", ["time_ns"])


def upgrade() -> None:
    _create_accounts_seen()
    _create_layouts()
    _create_notices()
    _create_orders()
    _create_fills()
