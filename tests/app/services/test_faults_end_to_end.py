"""What the world answers badly: the gateway accepts, and the answer is lost, late, broken or told twice.

Whatever happens on the way, an order is posted once, exists once at the broker, and the position is what it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from app import errors
from app.config import Directories, Options, TradingOptions
from app.domain import Order
from app.services.composition import Services
from app.services.gateway import GatewayProcess
from app.services.session import Endpoint
from app.services.trading import OrderDraft

pytestmark = pytest.mark.e2e


@asynccontextmanager
async def connected(folder: Path, market: GatewayProcess, deadline_s: float) -> AsyncIterator[Services]:
    options = Options(trading=TradingOptions(request_deadline_s=deadline_s))
    services = await Services.open(Directories.under(folder / "base"), options, is_headless=True)
    try:
        await services.connect(Endpoint.of_practice(market.hello))
        account = await services.session.choose(str(market.hello.accounts[0]["name"]))
        services.trading.arm("test", account.id, is_armed=True)
        await services.market.watch(await services.market.find("MNQ"))
        await services.market.first_quote(await services.market.find("MNQ"), 20)
        yield services
    finally:
        await services.close()


async def control(market: GatewayProcess, what: str, body: object = None) -> Any:
    headers = {"Authorization": f"Bearer {market.hello.control_token}"}
    async with httpx.AsyncClient(base_url=market.hello.control, headers=headers) as client:
        path = f"/control/{what}"
        reply = await (client.get(path) if body is None else client.post(path, json=body))
    reply.raise_for_status()
    return reply.json()


def draft(services: Services, **changes: Any) -> OrderDraft:
    account, contract = services.session.chosen, services.market.known("MNQ")
    assert account is not None
    assert contract is not None
    told: dict[str, Any] = {"side": "buy", "kind": "market", "size_lots": 2, "source": "test"}
    return OrderDraft(account_id=account.id, contract_id=contract.id, **(told | changes))


async def until(condition: Callable[[], bool], deadline_s: float = 30) -> None:
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110 -- views are pulled; there is one limit for the whole wait
            await asyncio.sleep(0.02)


def run(act: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await act()

    asyncio.run(main())


def own_orders(services: Services) -> list[Order]:
    return [order for order in services.engine.orders() if not order.is_foreign]


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "reply_lost", "endpoint": "Order/place"},
        {"fault": "reply_reset", "endpoint": "Order/place"},
        {"fault": "delay_reply", "endpoint": "Order/place", "ms": 1500},
        {"fault": "error_after", "endpoint": "Order/place", "status": 500},
        {"fault": "cut_body", "endpoint": "Order/place"},
        {"fault": "duplicate", "count": 6},
        {"fault": "swap", "count": 6},
        {"fault": "bare", "count": 6},
    ],
    ids=lambda fault: str(fault["fault"]),
)
def test_an_accepted_order_exists_once_whatever_became_of_the_answer(
    market: GatewayProcess, tmp_path: Path, fault: dict[str, Any]
) -> None:
    async def act() -> None:
        async with connected(tmp_path, market, 30) as services:
            await control(market, "fault", fault)
            order = await services.trading.place(draft(services))
            await until(lambda: [held.life for held in own_orders(services)] == ["filled"])
            await until(lambda: [position.net_lots for position in services.engine.positions()] == [2])
            counters = await control(market, "counters")
            assert counters["posts_by_tag"] == {order.tag: 1}
            assert sum(counters["faults"].values()) >= 1
            (account, *_) = (await control(market, "state"))["accounts"]
            assert (account["orders"], [position["lots"] for position in account["positions"]]) == (1, [2])
            assert sum(fill.size_lots for fill in services.engine.fills()) == 2

    run(act)


def test_an_order_that_never_arrived_is_unknown_locks_new_risk_and_is_not_sent_again(
    market: GatewayProcess, tmp_path: Path
) -> None:
    async def act() -> None:
        async with connected(tmp_path, market, 8) as services:
            await control(market, "fault", {"fault": "request_lost", "endpoint": "Order/place"})
            with pytest.raises(errors.OutcomeUnknown, match="may be live") as caught:
                await services.trading.place(draft(services))
            (order,) = own_orders(services)
            assert order.tag == caught.value.tag
            await until(lambda: [held.look for held in own_orders(services)] == ["unknown"])
            assert services.engine.status()["unknown_orders"] == 1
            with pytest.raises(errors.Denied):
                await services.trading.place(draft(services, size_lots=1))
            counters = await control(market, "counters")
            assert counters["posts_by_tag"].get(order.tag, 0) <= 1
            assert len(counters["posts_by_tag"]) <= 1

    run(act)


def test_an_order_that_the_broker_refuses_says_so(market: GatewayProcess, tmp_path: Path) -> None:
    async def act() -> None:
        async with connected(tmp_path, market, 30) as services:
            account = services.session.chosen
            assert account is not None
            await control(market, "account", {"id": account.id, "can_trade": False})
            with pytest.raises((errors.BrokerRejected, errors.Denied)):
                await services.trading.place(draft(services))
            assert services.engine.positions() == [] or services.engine.positions()[0].net_lots == 0

    run(act)


def test_what_happened_while_the_hub_was_gone_is_found_afterwards(market: GatewayProcess, tmp_path: Path) -> None:
    async def act() -> None:
        async with connected(tmp_path, market, 30) as services:
            placed = await services.trading.place(draft(services, kind="limit", limit_ticks=85_990))
            await control(market, "fault", {"fault": "drop", "hub": "user"})
            down = [{"ms": 0, "quote": {"bid": 21495.00, "bid_lots": 5, "ask": 21495.25, "ask_lots": 5}}]
            fall = [{"ms": 0, "print": {"price": 21495.00, "lots": 50, "side": "sell"}}]
            await control(market, "market", {"script": down + fall})
            await until(lambda: [position.net_lots for position in services.engine.positions()] == [2])
            await until(lambda: all(link.state == "live" for link in services.engine.links()))
            await until(lambda: not services.trading.is_armed("test", placed.account_id))
            await until(lambda: [(order.tag, order.life) for order in own_orders(services)] == [(placed.tag, "filled")])
            answer = await services.trading.flatten(placed.account_id, source="test")
            assert answer.outcome == "done"
            await until(lambda: services.engine.positions()[0].net_lots == 0)

    run(act)


def test_after_a_restart_the_journal_knows_the_order(market: GatewayProcess, tmp_path: Path) -> None:
    async def act() -> None:
        async with connected(tmp_path, market, 30) as services:
            placed = await services.trading.place(draft(services, kind="limit", limit_ticks=85_900))
        async with connected(tmp_path, market, 30) as services:
            await until(lambda: [order.life for order in own_orders(services)] == ["working"])
            (order,) = own_orders(services)
            assert (order.tag, order.limit_ticks, order.is_foreign) == (placed.tag, 85_900, False)
            assert (await services.trading.cancel(order.key, source="test")).outcome == "done"

    run(act)
