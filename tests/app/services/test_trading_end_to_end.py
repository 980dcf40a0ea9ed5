"""What the trading service makes of several requests, over real sockets: linked orders, and the bracket mode probed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app import errors
from app.services.composition import Services
from app.services.exits import ExitPlan
from app.services.gateway import GatewayProcess
from app.services.trading import OrderDraft
from tests.app.services.test_faults_end_to_end import connected, control, draft, run, until

pytestmark = pytest.mark.e2e

BID, ASK = 86_000, 86_001


def breakout(services: Services, **changes: Any) -> list[OrderDraft]:
    """A stop to buy above the market and one to sell below it."""
    above = draft(services, kind="stop", stop_ticks=ASK + 8)
    below = draft(services, kind="stop", side="sell", stop_ticks=BID - 8, **changes)
    return [above, below]


async def at_broker(market: GatewayProcess) -> tuple[int, list[int]]:
    """(working orders, lots of each position) of the first account."""
    (account, *_) = (await control(market, "state"))["accounts"]
    return account["working"], [position["lots"] for position in account["positions"]]


async def sales_at(market: GatewayProcess, ticks: int) -> None:
    quote = {"bid": ticks / 4, "bid_lots": 50, "ask": ticks / 4 + 0.25, "ask_lots": 50}
    printed = {"price": ticks / 4, "lots": 50, "side": "sell"}
    await control(market, "market", {"script": [{"ms": 0, "quote": quote}, {"ms": 1, "print": printed}]})


def test_of_two_orders_made_as_one_the_fill_of_the_first_cancels_the_second(
    market: GatewayProcess, tmp_path: Path
) -> None:
    async def act() -> None:
        async with connected(tmp_path, market, 30) as services:
            above, below = await services.trading.create_oco(breakout(services), source="test")

            def lives() -> dict[str, str]:
                return {order.tag: order.life for order in services.engine.orders()}

            await until(lambda: set(lives().values()) == {"working"})
            assert {order.oco_group for order in services.engine.orders()} == {above}
            assert await at_broker(market) == (2, [])
            await sales_at(market, BID - 8)
            await until(lambda: lives() == {above: "cancelled", below: "filled"})
            await until(lambda: [position.net_lots for position in services.engine.positions()] == [-2])
            assert await at_broker(market) == (0, [-2])

    run(act)


@pytest.mark.parametrize("place", [0, 1], ids=["first", "second"])
def test_of_two_orders_made_as_one_none_stays_when_the_gate_denies_one(
    market: GatewayProcess, tmp_path: Path, place: int
) -> None:
    async def act() -> None:
        async with connected(tmp_path, market, 30) as services:
            # The other is still on its way when the one of six lots is denied.
            await control(market, "fault", {"fault": "delay_reply", "endpoint": "Order/place", "ms": 300})
            orders = breakout(services, size_lots=6)
            with pytest.raises(errors.Denied):
                await services.trading.create_oco(orders if place else orders[::-1], source="test")
            await until(lambda: {order.life for order in services.engine.orders()} == {"cancelled", "denied"})
            assert await at_broker(market) == (0, [])
            assert len((await control(market, "counters"))["posts_by_tag"]) == 1

    run(act)


def test_of_two_orders_made_as_one_nothing_is_sent_when_the_second_cannot_be_meant(
    market: GatewayProcess, tmp_path: Path
) -> None:
    async def act() -> None:
        async with connected(tmp_path, market, 30) as services:
            with pytest.raises(errors.InvalidOrder):
                await services.trading.create_oco(breakout(services, limit_ticks=BID), source="test")
            assert services.engine.orders() == []
            assert (await control(market, "counters"))["posts_by_tag"] == {}

    run(act)


@pytest.mark.parametrize(("is_auto", "mode"), [(True, "auto_oco"), (False, "position_brackets")])
def test_a_probe_finds_the_bracket_mode_out_and_leaves_nothing(
    market: GatewayProcess, tmp_path: Path, *, is_auto: bool, mode: str
) -> None:
    async def act() -> None:
        async with connected(tmp_path, market, 30) as services:
            probe = draft(services, kind="limit", size_lots=1, limit_ticks=BID - 200, exits=ExitPlan(stop_ticks=20))
            await control(market, "account", {"id": probe.account_id, "auto_oco": is_auto})
            assert services.engine.accounts()[0].bracket_mode == "unknown"
            assert await services.trading.probe_bracket_mode(probe) == mode
            await until(lambda: services.engine.accounts()[0].bracket_mode == mode)
            await until(lambda: {order.life for order in services.engine.orders()} <= {"cancelled", "refused"})
            assert await at_broker(market) == (0, [])
            assert len((await control(market, "counters"))["posts_by_tag"]) == 1

    run(act)
