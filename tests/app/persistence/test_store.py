"""The same contract on both stores; PostgreSQL is a real server, started for the test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.errors import StoreUnavailable
from app.native import Notice
from app.persistence import AppStore, migrating
from app.persistence.store import Layout
from app.persistence.tables import metadata
from tests.app.records import account, fill, order

OpenStore = Callable[[], AppStore]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The address of an empty store."""
    if request.param == "sqlite":
        return ""
    address = str(request.getfixturevalue("postgres_url"))
    engine = sa.create_engine(sa.make_url(address).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA IF EXISTS app CASCADE"))
    engine.dispose()
    return address


@pytest.fixture
def reopen(url: str, tmp_path: Path) -> Iterator[OpenStore]:
    opened: list[AppStore] = []

    def open_store() -> AppStore:
        opened.append(AppStore.open(url, tmp_path))
        return opened[-1]

    yield open_store
    for store in opened:
        store.close()


@pytest.fixture
def store(reopen: OpenStore) -> AppStore:
    return reopen()


def test_what_was_kept_is_there_after_reopening(store: AppStore, reopen: OpenStore) -> None:
    store.save_layout(Layout("day", 1, "{}"))
    store.close()
    assert reopen().layout("day") == Layout("day", 1, "{}")


def test_an_account_keeps_the_time_it_was_first_seen(store: AppStore) -> None:
    store.see_accounts("here", [account(balance_1e4=10)])
    first = store.accounts("here")[0]
    store.see_accounts("here", [account(balance_1e4=20, name="renamed")])
    (again,) = store.accounts("here")
    assert (again["balance_1e4"], again["name"]) == (20, "renamed")
    assert again["first_seen_ns"] == first["first_seen_ns"] <= again["last_seen_ns"]


def test_the_same_account_at_two_gateways_is_two_accounts(store: AppStore) -> None:
    store.see_accounts("here", [account()])
    store.see_accounts("there", [account()])
    assert len(store.accounts("here")) == len(store.accounts("there")) == 1


def test_saving_a_layout_again_replaces_it(store: AppStore) -> None:
    store.save_layout(Layout("day", 1, "old"))
    store.save_layout(Layout("day", 2, "new"))
    store.save_layout(Layout("night", 1, ""))
    assert store.layout("day") == Layout("day", 2, "new")
    assert store.layout_names() == ["day", "night"]
    assert store.layout("no such layout") is None


def test_every_save_of_a_template_is_a_version_and_the_old_ones_stay(store: AppStore) -> None:
    assert [store.save_template("Swing", body) for body in ("one", "two")] == [1, 2]
    store.save_template("Break", "other")
    assert [(saved.version, saved.body) for saved in store.template_versions("Swing")] == [(1, "one"), (2, "two")]
    assert [(saved.name, saved.version) for saved in store.templates()] == [("Break", 1), ("Swing", 2)]


def test_a_removed_template_leaves_the_list_and_keeps_its_versions(store: AppStore) -> None:
    store.save_template("Swing", "one")
    assert store.save_template("Swing", "one", is_removed=True) == 2
    assert store.templates() == []
    assert store.save_template("Swing", "again") == 3
    assert [saved.is_removed for saved in store.template_versions("Swing")] == [False, True, False]
    assert [saved.version for saved in store.templates()] == [3]


def test_a_store_of_the_first_schema_is_brought_forward_with_its_rows(store: AppStore, reopen: OpenStore) -> None:
    store.save_layout(Layout("day", 1, "{}"))
    with store._engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE exit_templates"))
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0001'"))
    store.close()
    brought = reopen()
    assert brought.layout("day") == Layout("day", 1, "{}")
    assert brought.save_template("Swing", "one") == 1


def test_an_order_is_one_row_with_its_newest_state(store: AppStore) -> None:
    store.keep_orders("here", [order()])
    store.keep_orders("here", [order(life="filled", filled_lots=2, updated_ns=30, average_fill_ticks_1e4=86_000_0000)])
    (row,) = store.orders("here")
    assert (row["life"], row["filled_lots"], row["average_fill_ticks_1e4"]) == ("filled", 2, 86_000_0000)


def test_news_that_arrives_late_does_not_turn_an_order_back(store: AppStore) -> None:
    store.keep_orders("here", [order(life="filled", updated_ns=30)])
    store.keep_orders("here", [order(life="working", updated_ns=20)])
    assert store.orders("here")[0]["life"] == "filled"


def test_a_fill_told_twice_is_one_fill(store: AppStore) -> None:
    store.keep_fills("here", [fill(), fill(trade_id=101, time_ns=21)])
    store.keep_fills("here", [fill(is_voided=True, pnl_1e4=-5)])
    rows = store.fills("here", account_id=1)
    assert [row["trade_id"] for row in rows] == [100, 101]
    assert (rows[0]["is_voided"], rows[0]["pnl_1e4"], rows[0]["price_ticks"]) == (True, -5, 86_000)


def test_ids_beyond_32_bits_and_money_in_ten_thousandths_survive(store: AppStore) -> None:
    store.keep_fills("here", [fill(trade_id=3_400_000_000_000, fees_1e4=78_125)])
    (row,) = store.fills("here")
    assert (row["trade_id"], row["fees_1e4"]) == (3_400_000_000_000, 78_125)


def test_notices_come_newest_first(store: AppStore) -> None:
    store.add_notices([Notice("info", "a", "first", 1), Notice("alarm", "b", "second", 2)])
    store.add_notices([])
    assert [row["text"] for row in store.notices()] == ["second", "first"]
    assert len(store.notices(limit=1)) == 1


def test_nothing_is_half_written_when_one_row_is_refused(store: AppStore) -> None:
    with pytest.raises(sa.exc.SQLAlchemyError):
        store.add_notices([Notice("info", "a", "fine", 1), _Broken()])  # type: ignore[list-item]
    assert store.notices() == []


class _Broken:
    level, code, text, time_ns = "info", "b", None, 2


def test_a_store_of_a_newer_program_is_left_alone(url: str, store: AppStore, reopen: OpenStore) -> None:
    with store._engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreUnavailable, match="newer than this program"):
        reopen()


def test_the_named_head_is_the_newest_migration() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory(str(migrating.SCRIPTS)).get_current_head() == migrating.HEAD


def test_the_migrations_build_what_the_tables_declare(store: AppStore) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store._engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_tables_lie_in_the_schema_app_on_postgresql(store: AppStore) -> None:
    with store._engine.connect() as connection:
        tables = sa.inspect(connection).get_table_names(schema="app")
    assert {"orders", "fills", "alembic_version"} <= set(tables)


def test_sqlite_writes_ahead_so_that_readers_never_wait(tmp_path: Path) -> None:
    store = AppStore.open("", tmp_path)
    with store._engine.connect() as connection:
        assert connection.execute(sa.text("PRAGMA journal_mode")).scalar() == "wal"
    store.close()


def test_an_address_without_a_server_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as caught:
        AppStore.open("postgresql://me:hunter2secret@127.0.0.1:1/nothing", tmp_path)
    assert "hunter2secret" not in caught.value.text
