import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from app import domain
from app.native import NativeEngine
from app.persistence import AppStore
from app.services.recorder import Recorder
from tests.app import records
from tests.app.scripted import ScriptedCore

Scripted = tuple[ScriptedCore, NativeEngine]


def run(scripted: Scripted, store: AppStore, act: Callable[[Recorder], Awaitable[None]]) -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1, thread_name_prefix="py-io") as executor:
            recorder = Recorder(scripted[1], lambda: store, executor)
            await recorder.begin("here")
            await act(recorder)
            await recorder.close()

    asyncio.run(main())
    store.close()


def test_orders_fills_accounts_and_notices_are_kept(scripted: Scripted, tmp_path: Path) -> None:
    core_engine, engine = scripted
    store = AppStore.open("", tmp_path)

    async def act(_recorder: Recorder) -> None:
        core_engine.publish(
            domain.OrderChanged(records.order()),
            domain.FillAdded(records.fill()),
            domain.OrderChanged(records.order(life="filled", updated_ns=30)),
            domain.AccountChanged(records.account(balance_1e4=5)),
            domain.Notice("warning", "late", "The market is late.", 7),
        )
        engine.pump()

    run(scripted, store, act)
    assert [row["life"] for row in store.orders("here")] == ["filled"]
    assert [row["trade_id"] for row in store.fills("here")] == [100]
    assert [row["balance_1e4"] for row in store.accounts("here")] == [5]
    assert [row["code"] for row in store.notices()] == ["late"]


def test_after_lost_news_the_views_are_kept_instead(scripted: Scripted, tmp_path: Path) -> None:
    core_engine, engine = scripted
    store = AppStore.open("", tmp_path)
    core_engine.held_orders = [records.order(life="filled")]
    core_engine.held_fills = [records.fill()]

    async def act(_recorder: Recorder) -> None:
        core_engine.publish(domain.Resync())
        engine.pump()

    run(scripted, store, act)
    assert (len(store.orders("here")), len(store.fills("here"))) == (1, 1)


def test_a_failed_write_is_made_up_for_with_the_next_news(
    scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core_engine, engine = scripted
    store = AppStore.open("", tmp_path)
    keep, failures = store.keep_fills, [OperationalError("INSERT", {}, Exception("disk is full"))]

    def fail_once(gateway: str, kept: object) -> None:
        if failures:
            raise failures.pop()
        keep(gateway, kept)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "keep_fills", fail_once)

    async def act(recorder: Recorder) -> None:
        core_engine.publish(domain.FillAdded(records.fill()))
        engine.pump()
        await asyncio.sleep(0)
        core_engine.publish(domain.FillAdded(records.fill(trade_id=101)))
        engine.pump()
        await recorder.flush()
        await recorder.flush()

    run(scripted, store, act)
    assert {row["trade_id"] for row in store.fills("here")} == {100, 101}


def test_each_gateway_keeps_its_own(scripted: Scripted, tmp_path: Path) -> None:
    core_engine, engine = scripted
    store = AppStore.open("", tmp_path)

    async def act(recorder: Recorder) -> None:
        core_engine.publish(domain.FillAdded(records.fill()))
        engine.pump()
        await recorder.begin("there")
        core_engine.publish(domain.FillAdded(records.fill()))
        engine.pump()

    run(scripted, store, act)
    assert len(store.fills("here")) == len(store.fills("there")) == 1
