"""Tables of the app store. Times are UTC nanoseconds, money is 1/10,000 of a dollar, prices are ticks.

`gateway` is the identity of the gateway that a row belongs to (host and instance): ids are unique only within it.
On PostgreSQL everything lies in the schema `app`, found by the connection's search path, so that no table names it.
"""

from sqlalchemy import BigInteger, Boolean, Column, Integer, MetaData, String, Table, Text, UniqueConstraint

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(column_0_N_label)s",
    }
)

# SQLite gives row ids only to columns that are exactly INTEGER.
_RowId = BigInteger().with_variant(Integer, "sqlite")

accounts_seen = Table(
    "accounts_seen",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("gateway", String(200), nullable=False),
    Column("account_id", BigInteger, nullable=False),
    Column("name", String(200), nullable=False),
    Column("word", String(20), nullable=False),
    Column("balance_1e4", BigInteger, nullable=False),
    Column("first_seen_ns", BigInteger, nullable=False),
    Column("last_seen_ns", BigInteger, nullable=False),
    UniqueConstraint("gateway", "account_id"),
)

layouts = Table(
    "layouts",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("saved_ns", BigInteger, nullable=False),
    UniqueConstraint("name"),
)

notices = Table(
    "notices",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("level", String(20), nullable=False),
    Column("code", String(60), nullable=False),
    Column("text", Text, nullable=False),
    Column("time_ns", BigInteger, nullable=False, index=True),
)

orders = Table(
    "orders",
    metadata,
    Column("id", _RowId, primary_key=True),
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
    Column("created_ns", BigInteger, nullable=False, index=True),
    Column("updated_ns", BigInteger, nullable=False),
    UniqueConstraint("gateway", "account_id", "key"),
)

fills = Table(
    "fills",
    metadata,
    Column("id", _RowId, primary_key=True),
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
    Column("time_ns", BigInteger, nullable=False, index=True),
    Column("is_voided", Boolean(name="is_voided"), nullable=False),
    UniqueConstraint("gateway", "account_id", "trade_id"),
)

exit_templates = Table(
    "exit_templates",
    metadata,
    Column("id", _RowId, primary_key=True),
    Column("name", String(200), nullable=False),
    Column("version", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("is_removed", Boolean(name="is_removed"), nullable=False),
    Column("saved_ns", BigInteger, nullable=False),
    UniqueConstraint("name", "version"),
)
