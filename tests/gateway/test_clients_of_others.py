"""Two client libraries that share no code with us log in, subscribe and hear everything from the practice gateway."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.services.gateway import GatewayProcess, Hello
from tests.quiet_market import AT_MORNING

DEADLINE_S = 30.0
MARKET_EVENTS = {"GatewayQuote", "GatewayTrade", "GatewayDepth"}
USER_EVENTS = {"GatewayUserOrder", "GatewayUserTrade", "GatewayUserPosition", "GatewayUserAccount"}
SUBSCRIPTIONS = ("SubscribeContractQuotes", "SubscribeContractTrades", "SubscribeContractMarketDepth")
USER_SUBSCRIPTIONS = ("SubscribeOrders", "SubscribeTrades", "SubscribePositions")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Hello]:
    with GatewayProcess.start(["--state", str(tmp_path / "exchange"), "--seed", "11", *AT_MORNING]) as process:
        yield process.hello


class Rest:
    """The vendor's REST as a stranger would call it."""

    def __init__(self, hello: Hello) -> None:
        self.http = httpx.Client(base_url=hello.rest, timeout=10.0)
        self.token = self.call("Auth/loginKey", userName=hello.user_name, apiKey=hello.api_key)["token"]
        self.http.headers["Authorization"] = f"Bearer {self.token}"
        self.account = int(self.call("Account/search", onlyActiveAccounts=True)["accounts"][0]["id"])
        found = self.call("Contract/search", searchText="MNQ", live=False)["contracts"]
        self.contract = next(str(row["id"]) for row in found if row["symbolId"] == "F.US.MNQ")

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.post(f"/api/{path}", json=body).raise_for_status().json()
        assert answer["success"], answer
        return answer

    def buy_one(self, tag: str) -> None:
        self.call(
            "Order/place", accountId=self.account, contractId=self.contract, type=2, side=0, size=1, customTag=tag
        )


class Seen:
    """Which events have arrived, and a wait for the rest."""

    def __init__(self) -> None:
        self.arguments: dict[str, list[Any]] = {}
        self._changed = threading.Condition()

    def note(self, name: str, arguments: Any) -> None:
        with self._changed:
            self.arguments.setdefault(name, []).append(arguments)
            self._changed.notify_all()

    def wait_for(self, names: set[str]) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: names <= self.arguments.keys(), DEADLINE_S)


def test_signalrcore_receives_quotes_trades_depth_and_the_life_of_an_order(gateway: Hello) -> None:
    from signalrcore.hub_connection_builder import HubConnectionBuilder

    rest, seen = Rest(gateway), Seen()

    def hub(url: str, events: set[str]) -> Any:
        address = f"{url.replace('ws://', 'http://')}?access_token={rest.token}"
        connection = HubConnectionBuilder().with_url(address, options={"verify_ssl": False}).build()
        opened = threading.Event()
        connection.on_open(opened.set)
        for name in events:
            connection.on(name, lambda arguments, name=name: seen.note(name, arguments))
        connection.start()
        assert opened.wait(DEADLINE_S)
        return connection

    market, user = hub(gateway.market_hub, MARKET_EVENTS), hub(gateway.user_hub, USER_EVENTS)
    try:
        for method in SUBSCRIPTIONS:
            market.send(method, [rest.contract])
        user.send("SubscribeAccounts", [])
        for method in USER_SUBSCRIPTIONS:
            user.send(method, [rest.account])
        assert seen.wait_for(MARKET_EVENTS)
        rest.buy_one("stranger-1")
        assert seen.wait_for(USER_EVENTS)
    finally:
        market.stop()
        user.stop()
    assert seen.arguments["GatewayQuote"][0][0] == rest.contract
    assert seen.arguments["GatewayUserTrade"][0][0]["data"]["size"] == 1


async def listen_with_pysignalr(gateway: Hello) -> None:
    from pysignalr.client import SignalRClient

    rest, seen = Rest(gateway), Seen()

    def hub(url: str, events: set[str], subscriptions: list[tuple[str, list[Any]]]) -> Any:
        # It negotiates before it asks its factory for a token, so the first connection carries the token in the query.
        address = f"{url.replace('ws://', 'http://')}?access_token={rest.token}"
        client = SignalRClient(address, access_token_factory=lambda: rest.token)

        async def opened() -> None:
            for method, arguments in subscriptions:
                await client.send(method, arguments)

        for name in events:

            async def on(arguments: Any, name: str = name) -> None:
                seen.note(name, arguments)

            client.on(name, on)
        client.on_open(opened)
        return client

    market = hub(gateway.market_hub, MARKET_EVENTS, [(method, [rest.contract]) for method in SUBSCRIPTIONS])
    of_account: list[tuple[str, list[Any]]] = [(method, [rest.account]) for method in USER_SUBSCRIPTIONS]
    user = hub(gateway.user_hub, USER_EVENTS, [("SubscribeAccounts", []), *of_account])
    running = [asyncio.create_task(market.run()), asyncio.create_task(user.run())]
    try:
        assert await asyncio.to_thread(seen.wait_for, MARKET_EVENTS)
        # The user hub has no snapshot and so says nothing until its subscriptions are known to stand.
        await asyncio.sleep(0.5)
        await asyncio.to_thread(rest.buy_one, "stranger-2")
        assert await asyncio.to_thread(seen.wait_for, USER_EVENTS)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    assert {row["type"] for row in seen.arguments["GatewayTrade"][0][1]} <= {0, 1}


def test_pysignalr_receives_quotes_trades_depth_and_the_life_of_an_order(gateway: Hello) -> None:
    asyncio.run(listen_with_pysignalr(gateway))
