"""Typed verbs over the app store. Synchronous: services call them in the `py-io` executor, never on the loop's thread.

A verb opens a transaction, does one thing and closes it. Writing the same order or fill again changes nothing that was
newer: news may arrive twice and out of order, and after a restart the engine tells everything once more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from app import domain
from app.errors import StoreUnavailable
from app.persistence import migrating
from app.persistence.tables import accounts_seen, exit_templates, fills, layouts, notices, orders

FILE_NAME = "app.db"
SCHEMA = "app"

_ORDER_COLUMNS = [
    "account_id",
    "key",
    "order_id",
    "contract_id",
    "side",
    "kind",
    "size_lots",
    "filled_lots",
    "limit_ticks",
    "stop_ticks",
    "average_fill_ticks_1e4",
    "life",
    "source",
    "reason",
    "created_ns",
    "updated_ns",
]
_FILL_COLUMNS = [
    "account_id",
    "trade_id",
    "order_id",
    "tag",
    "contract_id",
    "side",
    "price_ticks",
    "size_lots",
    "fees_1e4",
    "pnl_1e4",
    "time_ns",
    "is_voided",
]
_FILL_CHANGES = ("fees_1e4", "pnl_1e4", "is_voided")


@dataclass(frozen=True)
class Layout:
    name: str
    version: int
    body: str


@dataclass(frozen=True)
class SavedTemplate:
    """One version of an exit template; the body is the service's."""

    name: str
    version: int
    body: str
    saved_ns: int
    is_removed: bool


class AppStore:
    """The open store. Thread-safe; one writer at a time is enough for what a person does in a day."""

    # What a verb raises when the database fails; a caller can name it without importing SQLAlchemy itself.
    failure = SQLAlchemyError

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @classmethod
    def open(cls, url: str, base: Path) -> Self:
        """Open and bring to the newest schema. `url` empty: app.db in `base`. Raises StoreUnavailable."""
        address = sa.make_url(url or f"sqlite:///{base / FILE_NAME}")
        engine = _create_engine(address)
        try:
            migrating.upgrade(engine)
        except SQLAlchemyError as error:
            engine.dispose()
            raise StoreUnavailable(
                f"The app store {address.render_as_string(hide_password=True)} cannot be opened: {_first_line(error)}."
            ) from error
        except StoreUnavailable:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        self._engine.dispose()

    # accounts

    def see_accounts(self, gateway: str, seen: Iterable[domain.Account]) -> None:
        """Remember accounts with their newest name, word and balance; the first time stays."""
        now = time.time_ns()
        rows = [
            {
                "gateway": gateway,
                "account_id": account.id,
                "name": account.name,
                "word": account.word,
                "balance_1e4": account.balance_1e4,
                "first_seen_ns": now,
                "last_seen_ns": now,
            }
            for account in seen
        ]
        self._upsert(accounts_seen, rows, ("gateway", "account_id"), ("name", "word", "balance_1e4", "last_seen_ns"))

    def accounts(self, gateway: str) -> list[Mapping[str, Any]]:
        return self._rows(
            sa.select(accounts_seen).where(accounts_seen.c.gateway == gateway).order_by(accounts_seen.c.account_id)
        )

    # layouts

    def save_layout(self, layout: Layout) -> None:
        row = {"name": layout.name, "version": layout.version, "body": layout.body, "saved_ns": time.time_ns()}
        self._upsert(layouts, [row], ("name",), ("version", "body", "saved_ns"))

    def layout(self, name: str) -> Layout | None:
        rows = self._rows(sa.select(layouts).where(layouts.c.name == name))
        return Layout(rows[0]["name"], rows[0]["version"], rows[0]["body"]) if rows else None

    def layout_names(self) -> list[str]:
        return [row["name"] for row in self._rows(sa.select(layouts.c.name).order_by(layouts.c.name))]

    # exit templates

    def save_template(self, name: str, body: str, *, is_removed: bool = False) -> int:
        """Add a version; the earlier ones stay. Returns its number, from 1 on."""
        newest = sa.select(sa.func.max(exit_templates.c.version)).where(exit_templates.c.name == name)
        with self._engine.begin() as connection:
            version = (connection.execute(newest).scalar() or 0) + 1
            row = {"name": name, "version": version, "body": body, "is_removed": is_removed, "saved_ns": time.time_ns()}
            connection.execute(sa.insert(exit_templates), [row])
        return version

    def template_versions(self, name: str) -> list[SavedTemplate]:
        """Every version of one name, oldest first."""
        found = sa.select(exit_templates).where(exit_templates.c.name == name).order_by(exit_templates.c.version)
        return [_saved_template(row) for row in self._rows(found)]

    def templates(self) -> list[SavedTemplate]:
        """The newest version of every name that was not removed, by name."""
        newest = (
            sa.select(exit_templates.c.name, sa.func.max(exit_templates.c.version).label("version"))
            .group_by(exit_templates.c.name)
            .subquery()
        )
        is_newest = (exit_templates.c.name == newest.c.name) & (exit_templates.c.version == newest.c.version)
        query = sa.select(exit_templates).join(newest, is_newest).where(sa.not_(exit_templates.c.is_removed))
        return [_saved_template(row) for row in self._rows(query.order_by(exit_templates.c.name))]

    # notices

    def add_notices(self, added: Iterable[domain.Notice]) -> None:
        rows = [{"level": n.level, "code": n.code, "text": n.text, "time_ns": n.time_ns} for n in added]
        if rows:
            with self._engine.begin() as connection:
                connection.execute(sa.insert(notices), rows)

    def notices(self, limit: int = 500) -> list[Mapping[str, Any]]:
        """The newest notices, newest first."""
        return self._rows(sa.select(notices).order_by(notices.c.time_ns.desc(), notices.c.id.desc()).limit(limit))

    # orders and fills

    def keep_orders(self, gateway: str, kept: Iterable[domain.Order]) -> None:
        """Insert or renew orders by key; an older state never replaces a newer one."""
        rows = [{"gateway": gateway} | {name: getattr(order, name) for name in _ORDER_COLUMNS} for order in kept]
        changes = [name for name in _ORDER_COLUMNS if name not in {"account_id", "key", "created_ns"}]
        self._upsert(orders, rows, ("gateway", "account_id", "key"), changes, newest_by="updated_ns")

    def orders(self, gateway: str, *, account_id: int | None = None) -> list[Mapping[str, Any]]:
        query = sa.select(orders).where(orders.c.gateway == gateway)
        if account_id is not None:
            query = query.where(orders.c.account_id == account_id)
        return self._rows(query.order_by(orders.c.created_ns, orders.c.id))

    def keep_fills(self, gateway: str, kept: Iterable[domain.Fill]) -> None:
        """Insert fills once; a repeat may only correct fees, profit and whether it was voided."""
        rows = [{"gateway": gateway} | {name: getattr(fill, name) for name in _FILL_COLUMNS} for fill in kept]
        self._upsert(fills, rows, ("gateway", "account_id", "trade_id"), _FILL_CHANGES)

    def fills(self, gateway: str, *, account_id: int | None = None) -> list[Mapping[str, Any]]:
        query = sa.select(fills).where(fills.c.gateway == gateway)
        if account_id is not None:
            query = query.where(fills.c.account_id == account_id)
        return self._rows(query.order_by(fills.c.time_ns, fills.c.id))

    def _rows(self, query: sa.Select[Any]) -> list[Mapping[str, Any]]:
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def _upsert(
        self,
        table: sa.Table,
        rows: Sequence[Mapping[str, Any]],
        unique: Sequence[str],
        changes: Sequence[str],
        *,
        newest_by: str = "",
    ) -> None:
        if not rows:
            return
        # Both dialects speak the same ON CONFLICT, but SQLAlchemy has no common form of it.
        statement: Any = _dialect_insert(self._engine.dialect.name)(table)
        statement = statement.on_conflict_do_update(
            index_elements=list(unique),
            set_={name: statement.excluded[name] for name in changes},
            where=(table.c[newest_by] <= statement.excluded[newest_by]) if newest_by else None,
        )
        with self._engine.begin() as connection:
            connection.execute(statement, list(rows))


def _saved_template(row: Mapping[str, Any]) -> SavedTemplate:
    return SavedTemplate(row["name"], row["version"], row["body"], row["saved_ns"], bool(row["is_removed"]))


def _create_engine(address: sa.URL) -> sa.Engine:
    if address.get_backend_name() == "postgresql":
        return sa.create_engine(
            address.set(drivername="postgresql+psycopg"),
            connect_args={"options": f"-csearch_path={SCHEMA}", "connect_timeout": 5},
            pool_pre_ping=True,
        )
    engine = sa.create_engine(address)
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _dialect_insert(dialect: str) -> Callable[[sa.Table], Any]:
    # Each import of a dialect costs a start what a person can see; one program uses one of them.
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert
    from sqlalchemy.dialects.sqlite import insert as sqlite_insert

    return sqlite_insert


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin no transaction before CREATE TABLE: a migration that fails half-way would stay half-done.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON", "busy_timeout = 5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
