"""`press_to_bytes`: from the press to the order's bytes in the socket, and the round trip beside HTTP clients."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench import peers
from tests.bench.peers import Absent
from tests.bench.report import Row, compared
from tests.native.rig import Gateway

GOAL = "p99 < 1 ms"
_ORDERS, _PEER_ORDERS = 500, 300
_CLIENTS = ("requests", "httpx", "aiohttp")


def measure(rounds: int) -> Iterator[Row]:
    """At least 1,000 orders of ours, beside each client in turn."""
    results: dict[str, list[dict[str, Any]]] = {}
    reasons: dict[str, str] = {}
    for _ in range(max(2, rounds)):
        for name in ("engine", *_CLIENTS):
            if name in reasons:
                continue
            try:
                results.setdefault(name, []).append(_run(name))
            except Absent as error:
                reasons[name] = str(error)
    ours = results.get("engine", [])
    if not ours:
        yield Row("press_to_bytes", goal=GOAL, skipped=reasons.get("engine", "no round ended"))
        return
    yield from _rows(ours, results)
    for name, reason in reasons.items():
        yield Row(f"press_to_bytes.beside {name}", peer=name, skipped=reason)


def _run(name: str) -> dict[str, Any]:
    if name == "engine":
        return peers.module("orders_client", "engine", _ORDERS, deadline_s=180.0)
    # httpx is a dependency of the program; the others may only be in the peers' environment.
    python = sys.executable if name == "httpx" else peers.bench_python()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        gateway = Gateway(Path(folder))
        hello = gateway.hello
        login = {"rest": hello.rest, "user": hello.user_name, "key": hello.api_key, "account": hello.accounts[0]["id"]}
        command = [
            python,
            "-W",
            "ignore",
            "-m",
            "tests.bench.orders_client",
            name,
            str(_PEER_ORDERS),
            json.dumps(login),
        ]
        try:
            return peers.run_json(command, deadline_s=120.0, extra={"PYTHONPATH": str(peers.ROOT)})
        finally:
            gateway.stop()


def _rows(ours: list[dict[str, Any]], results: dict[str, list[dict[str, Any]]]) -> Iterator[Row]:
    n = sum(int(each["n"]) for each in ours)
    p99 = statistics.median(_of(ours, "p99_us"))
    yield Row("press_to_bytes", n, "us", statistics.median(_of(ours, "p50_us")), p99, goal=GOAL, met=p99 < 1000)
    yield Row(
        "press_to_bytes.call",
        n,
        "us",
        statistics.median(_of(ours, "call_us")),
        goal="submit() < 2 us (median)",
        met=statistics.median(_of(ours, "call_us")) < 2,
    )
    trips, slow = _of(ours, "trip_p50_us"), statistics.median(_of(ours, "trip_p99_us"))
    trip = Row("press_to_bytes.round_trip", n, "us", statistics.median(trips), slow)
    for name in _CLIENTS:
        if name in results:
            yield compared(trip, name, trips, _of(results[name], "trip_p50_us"))


def _of(results: list[dict[str, Any]], name: str) -> list[float]:
    return [float(each[name]) for each in results]
