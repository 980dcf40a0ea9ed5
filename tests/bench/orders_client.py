"""One contender of `orders` in a process of its own; prints one JSON line.

    python -m tests.bench.orders_client NAME HELLO

HELLO is the gateway's hello and a count. `engine` is ours, `engine spinning` and `engine sleeping` are ours with
`engine.spin` on and off: it places, changes and cancels as a trader does, one order at a time, and reads the engine's
own figures. Every other name is an HTTP client; its round trips are timed around the call, body built and answer
decoded. The first orders of each count for nobody, and each rests before a request.
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

_ORDER = {"contractId": "CON.F.US.MNQ.Z26", "type": 1, "side": 0, "size": 1, "stopPrice": None, "trailPrice": None}
_WARM = 50
"""Orders that count for nobody."""
_BURST = 20
_ANSWER_S = 1.0
"""The reader sleeps until something has come: what it computes meanwhile takes the core from the order."""
PAUSE_S = 0.001
"""Between two requests, for everybody: what the last one left to do must not count for the next."""


def measure_engine(hello: dict[str, Any], *, spin: str) -> dict[str, float]:
    """Place, change and cancel orders far from the market, one at a time, then a few in bursts for the call alone."""
    os.environ["PITDESK_ENGINE_BENCH_LIMITS_OFF"] = "1"
    import trading_bot_core as core

    from app.services.gateway import Hello
    from tests.native.rig import BID, Gateway, Rig

    count = int(hello.pop("count"))
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as name,
        Rig(Path(name) / "base", Gateway.known(Hello(**hello)), spin=spin) as rig,
    ):
        rig.connect()
        rig.subscribe()
        rig.engine.set_limits(rig.account, core.Limits(duplicate_window_ms=0, max_position_lots=100))
        for number in range(_WARM):
            _cycle(rig, BID - 20 - number % 50)
        rig.engine.forget_latencies()
        records = int(rig.engine.status()["journal_records"])
        asleep = [_cycle(rig, BID - 20 - number % 50) for number in range(count)]
        figures, nice = rig.engine.status(), _engine_nice()
        awake = [call for start in range(0, count, _BURST) for call in _burst(rig, BID - 20 - start % 50)]
    told = {name: float(value) for name, value in figures.items() if "_us_p" in name}
    told["nice"] = nice
    told["records_an_order"] = (int(figures["journal_records"]) - records) / count
    for name, calls in (("call", asleep), ("call.awake", awake)):
        told[f"{name}_us_p50"], told[f"{name}_us_p99"] = quantile(calls, 0.5), quantile(calls, 0.99)
    return told


def _engine_nice() -> int:
    """Priority of the engine's thread, lower is more; 0 where the system does not tell."""
    for task in Path("/proc/self/task").glob("*/stat"):
        name, _, rest = task.read_text().partition(") ")
        if name.endswith("(engine"):
            return int(rest.split()[16])
    return 0


def _cycle(rig: Any, ticks: int) -> float:
    """One order's life; microseconds of the submitting call."""
    rig.events.clear()
    _rest(rig)
    pressed = rig.engine.mono_ns()
    start = time.perf_counter_ns()
    tag = rig.submit("buy", "limit", limit_ticks=ticks, pressed_mono_ns=pressed)
    call = (time.perf_counter_ns() - start) / 1000
    rig.pump(_ANSWER_S)
    rig.until(lambda: any(_works(event, tag) for event in rig.events), "the order works")
    _rest(rig)
    _done(rig, rig.engine.modify(tag, limit_ticks=ticks - 1, source="test"))
    _rest(rig)
    _done(rig, rig.engine.cancel(tag, source="test"))
    return call


def _rest(rig: Any) -> None:
    """The pause before a request; what came of the last one is read in it, as a window would have."""
    time.sleep(PAUSE_S)
    rig.pump(0)


def _done(rig: Any, request: int) -> None:
    rig.pump(_ANSWER_S)
    done = rig.done(request)
    assert done.outcome == "done", done.text


def _burst(rig: Any, ticks: int) -> list[float]:
    """Orders as fast as they can be submitted; microseconds of each call but the first, which wakes the engine."""
    calls, tags = [], []
    for number in range(_BURST):
        start = time.perf_counter_ns()
        tags.append(rig.submit("buy", "limit", limit_ticks=ticks - number))
        calls.append((time.perf_counter_ns() - start) / 1000)
    for tag in tags:
        rig.life(tag, "working")
        rig.engine.cancel(tag, source="test")
    for tag in tags:
        rig.life(tag, "cancelled")
    return calls[1:]


def _works(event: Any, tag: str) -> bool:
    order = getattr(event, "order", None)
    return order is not None and order.key == tag and order.life == "working"


def measure_client(name: str, hello: dict[str, Any]) -> dict[str, list[int]]:
    """Round trips of the same orders on the same gateway, nanoseconds."""
    post, close = posting(name, hello["rest"])
    headers = {"Authorization": f"Bearer {log_in(post, hello)}"}
    account = int(hello["accounts"][0]["id"])
    trips: dict[str, list[int]] = {"place": [], "modify": [], "cancel": []}

    def timed(kind: str, body: dict[str, Any]) -> Any:
        time.sleep(PAUSE_S)
        start = time.perf_counter_ns()
        answer = post(f"/api/Order/{kind}", body, headers)
        trips[kind].append(time.perf_counter_ns() - start)
        assert answer["success"], answer
        return answer

    for number in range(int(hello["count"]) + _WARM):
        tag, price = f"{name}-{os.getpid()}-{number}", 29_400 + number % 40
        order = timed("place", {**_ORDER, "accountId": account, "limitPrice": price, "customTag": tag})["orderId"]
        timed("modify", {"accountId": account, "orderId": order, "size": 1, "limitPrice": price + 0.25})
        timed("cancel", {"accountId": account, "orderId": order})
    close()
    return {kind: values[_WARM:] for kind, values in trips.items()}


def log_in(post: Post, hello: dict[str, Any]) -> str:
    """A token of the gateway."""
    return str(post("/api/Auth/loginKey", {"userName": hello["user_name"], "apiKey": hello["api_key"]}, {})["token"])


def posting(name: str, base: str) -> tuple[Post, Callable[[], object]]:
    """How this client posts, and how it is closed."""
    if name == "aiohttp":
        return _aiohttp(base)
    if name == "pyreqwest":
        return _pyreqwest(base)
    if name == "requests":
        # Only in the peers' environment, so that no checker can look into it.
        session = importlib.import_module("requests").Session()
        session.trust_env = False
        return lambda path, body, headers: session.post(base + path, json=body, headers=headers).json(), session.close
    import httpx

    client = httpx.Client(trust_env=False)
    return lambda path, body, headers: client.post(base + path, json=body, headers=headers).json(), client.close


def _pyreqwest(base: str) -> tuple[Post, Callable[[], object]]:
    """reqwest through PyO3, its blocking form: the faster of the two here."""
    builder = importlib.import_module("pyreqwest.client").SyncClientBuilder()
    client = builder.no_proxy().tcp_nodelay(True).build()

    def post(path: str, body: dict[str, Any], headers: dict[str, str]) -> Any:
        return client.post(base + path).headers(headers).body_json(body).build().send().json()

    return post, client.close


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
    name, hello = sys.argv[1], json.loads(sys.argv[2])
    engines = {"engine": "auto", "engine spinning": "on", "engine sleeping": "off"}
    told: Any = measure_engine(hello, spin=engines[name]) if name in engines else measure_client(name, hello)
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
