import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app import errors
from app.native import Contract, NativeEngine
from app.services.market import MarketService, front_month
from tests.app import records
from tests.app.scripted import ScriptedCore

Scripted = tuple[ScriptedCore, NativeEngine]


def contract(index: int, month: str, *, is_active: bool = True) -> Contract:
    return Contract(index, f"CON.F.US.MES.{month}", f"MES{month}", "Micro", "F.US.MES", "MES", 25, 2, 12_500, is_active)


def run(scripted: Scripted, act: Callable[[MarketService], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        engine = scripted[1]
        engine.attach(asyncio.get_running_loop())
        try:
            return await act(MarketService(engine, 1))
        finally:
            engine.detach()

    return asyncio.run(main())


@pytest.mark.parametrize("text", ["MNQ", "mnq", "MNQZ6", records.MNQ.id])
def test_a_contract_is_found_by_root_name_or_id(scripted: Scripted, text: str) -> None:
    assert run(scripted, lambda market: market.find(text)).id == records.MNQ.id
    assert scripted[0].called("search_contracts") == []


def test_an_unknown_contract_is_asked_for_and_then_refused_with_what_is_known(scripted: Scripted) -> None:
    with pytest.raises(errors.InvalidOption, match="roots known here: MNQ"):
        run(scripted, lambda market: market.find("XYZ"))
    assert scripted[0].called("search_contracts") == [("XYZ",)]


def test_the_front_month_is_the_nearest_active_expiry() -> None:
    listed = [contract(0, "H27"), contract(1, "U26", is_active=False), contract(2, "Z26")]
    front = front_month(listed, "MES")
    assert front is not None
    assert front.id.endswith("Z26")
    assert front_month(listed, "NQ") is None


def test_the_last_of_several_watchers_unsubscribes(scripted: Scripted) -> None:
    async def act(market: MarketService) -> None:
        await market.watch(records.MNQ)
        await market.watch(records.MNQ)
        await market.release(records.MNQ)
        assert market.watched() == [records.MNQ.id]
        await market.release(records.MNQ)
        assert market.watched() == []

    run(scripted, act)
    assert len(scripted[0].called("subscribe")) == len(scripted[0].called("unsubscribe")) == 1


def test_a_subscription_that_failed_is_not_counted(scripted: Scripted) -> None:
    scripted[0].outcome_by_call["subscribe"] = ("failed", "no market hub")

    async def act(market: MarketService) -> None:
        with pytest.raises(errors.NotConnected):
            await market.watch(records.MNQ)
        assert market.watched() == []

    run(scripted, act)


def test_a_silent_market_is_said_to_be_silent_and_released(scripted: Scripted) -> None:
    with pytest.raises(errors.NotConnected, match="may be closed"):
        run(scripted, lambda market: market.first_quote(records.MNQ, 0.05))
    assert len(scripted[0].called("unsubscribe")) == 1
