"""One contender of `ingest_flood` in a process of its own; prints one JSON line {msgs_s, cpu_us, n}.

    python -m tests.bench.ingest_client engine PORT MESSAGES PER_FRAME
    python -m tests.bench.ingest_client signalrcore|pysignalr PORT SECONDS

Ours counts when the last message is in the view, so decoding, book, quote, tape and bars are inside the figure. A peer
makes one typed object of each message, as its users do, and nothing more.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_WARM_NS = 150_000_000
_TARGETS = ("GatewayDepth", "GatewayQuote", "GatewayTrade")


def measure_engine(port: int, messages: int, per_frame: int) -> dict[str, float]:
    """Our engine on a real gateway for REST and user hub, with the prepared feed as its market hub."""
    from tests.native.rig import BID, CONTRACT, Gateway, Rig

    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        gateway = Gateway(folder)
        bell = folder / "bell"
        query = f"mode=hub&messages={messages}&per_frame={per_frame}&base={BID / 4}&bell={bell}"
        object.__setattr__(gateway.hello, "market_hub", f"ws://127.0.0.1:{port}/hub?{query}")
        try:
            with Rig(folder / "base", gateway) as rig:
                rig.connect()
                assert rig.done(rig.engine.subscribe(CONTRACT)).outcome == "done"
                return _count(rig.engine, bell, messages)
        finally:
            gateway.stop()


def _count(engine: Any, bell: Path, messages: int) -> dict[str, float]:
    before = int(engine.status()["messages"])
    cpu = time.process_time()
    bell.touch()
    first = before
    start = time.perf_counter()
    while (seen := int(engine.status()["messages"])) < before + messages:
        if first == before and seen > before:
            # From the first messages on: until then the sender is preparing its feed.
            first, start, cpu = seen, time.perf_counter(), time.process_time()
        time.sleep(0.0005)
    took = time.perf_counter() - start
    used, counted = time.process_time() - cpu, before + messages - first
    status = engine.status()
    lost = int(status["messages_unrecognised"])
    return {
        "msgs_s": counted / took,
        "cpu_us": used / counted * 1e6,
        "n": counted,
        "unrecognised": lost,
        "wire_to_view_us_p50": int(status["wire_to_view_us_p50"]),
        "wire_to_view_us_p99": int(status["wire_to_view_us_p99"]),
    }


@dataclass(slots=True)
class Level:
    timestamp: str
    type: int
    price: float
    volume: int
    current: int


@dataclass(slots=True)
class Quote:
    contract: str
    last: float
    bid: float
    ask: float
    volume: int
    timestamp: str


@dataclass(slots=True)
class Print:
    price: float
    timestamp: str
    type: int
    volume: int


def typed(target: str, arguments: list[Any]) -> object:
    """What a user of a Python client makes of one message."""
    contract, told = arguments
    if target == "GatewayQuote":
        return Quote(contract, told["lastPrice"], told["bestBid"], told["bestAsk"], told["volume"], told["timestamp"])
    if target == "GatewayDepth":
        return [Level(x["timestamp"], x["type"], x["price"], x["volume"], x["currentVolume"]) for x in told]
    return [Print(x["price"], x["timestamp"], x["type"], x["volume"]) for x in told]


class Meter:
    """Counts messages for some seconds after a short warm-up, prints, and ends the process."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._start_ns = 0
        self._cpu = 0.0
        self._count = 0

    def hit(self, target: str, arguments: list[Any]) -> None:
        typed(target, arguments)
        now = time.perf_counter_ns()
        if not self._start_ns:
            self._start_ns = now + _WARM_NS
        elif now >= self._start_ns:
            if not self._count:
                self._start_ns, self._cpu = now, time.process_time()
            self._count += 1
            if now - self._start_ns >= self._seconds * 1e9:
                self._end((now - self._start_ns) / 1e9)

    def _end(self, took: float) -> None:
        used = time.process_time() - self._cpu
        rate = {"msgs_s": self._count / took, "cpu_us": used / self._count * 1e6, "n": self._count}
        sys.stdout.write(json.dumps(rate) + "\n")
        sys.stdout.flush()
        # The clients have no quick way out of a flood.
        os._exit(0)


def measure_signalrcore(url: str, meter: Meter) -> None:
    from signalrcore.hub_connection_builder import HubConnectionBuilder

    options = {"skip_negotiation": True, "verify_ssl": False}
    hub = HubConnectionBuilder().with_url(url, options=options).build()
    for target in _TARGETS:
        hub.on(target, lambda arguments, target=target: meter.hit(target, arguments))
    hub.start()
    threading.Event().wait(60)


async def measure_pysignalr(url: str, meter: Meter) -> None:
    from pysignalr.client import SignalRClient

    client = SignalRClient(url.replace("ws://", "http://"))
    for target in _TARGETS:

        async def on(arguments: list[Any], target: str = target) -> None:
            meter.hit(target, arguments)

        client.on(target, on)
    await client.run()


def main() -> None:
    """Run the contender of the command line."""
    name, port = sys.argv[1], int(sys.argv[2])
    if name == "engine":
        sys.stdout.write(json.dumps(measure_engine(port, int(sys.argv[3]), int(sys.argv[4]))) + "\n")
        return
    url = f"ws://127.0.0.1:{port}/hub?mode=flood"
    meter = Meter(float(sys.argv[3]))
    if name == "signalrcore":
        measure_signalrcore(url, meter)
    else:
        asyncio.run(measure_pysignalr(url, meter))


if __name__ == "__main__":
    main()
