"""`ingest_flood`: messages a second through a real socket into typed state, and CPU for each, beside Python clients."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator
from typing import Any

from tests.bench import peers
from tests.bench.peers import Absent
from tests.bench.report import Row, compared

GOAL = ">= 1,000,000 messages/s"
_MESSAGES = 1_000_000
_SECONDS = "0.5"
_SHARED = ("websockets+msgspec", "aiohttp+msgspec", "picows+msgspec")
_OURS, _PACKED = "engine", "engine, 20 a frame"

Results = dict[str, list[dict[str, Any]]]


def measure(rounds: int) -> Iterator[Row]:
    """Every contender once a round, in turn, so that noise falls on all alike."""
    reasons: dict[str, str] = {}
    results: Results = {}
    with peers.blaster() as port:
        runners = _runners(port, reasons)
        for _ in range(rounds):
            for name, run in runners.items():
                if name in reasons:
                    continue
                try:
                    results.setdefault(name, []).append(run())
                except Absent as error:
                    reasons[name] = str(error)
    yield from _rows(results, reasons)


def _runners(port: int, reasons: dict[str, str]) -> dict[str, Callable[[], dict[str, Any]]]:
    runners: dict[str, Callable[[], dict[str, Any]]] = {
        _OURS: lambda: peers.module("ingest_client", "engine", port, _MESSAGES, 1),
        _PACKED: lambda: peers.module("ingest_client", "engine", port, _MESSAGES, 20),
        "signalrcore": lambda: peers.module("ingest_client", "signalrcore", port, _SECONDS),
        "pysignalr": lambda: peers.module("ingest_client", "pysignalr", port, _SECONDS),
    }
    try:
        scripts = peers.shared_scripts()
        python = peers.bench_python()
    except Absent as error:
        reasons |= dict.fromkeys(_SHARED, str(error))
        return runners
    for name in _SHARED:
        command = [python, "-W", "ignore", "b1_ws_ingest.py", "--client", name, str(port), "flood", _SECONDS]
        runners[name] = lambda command=command: peers.run_json(command, cwd=scripts)  # type: ignore[misc]
    limit = "import sys, json, common; print(json.dumps(common.run_limit('ws', sys.argv[1], 'flood', 0.5, 'typed')))"
    runners["Rust std, typed, no state (limit)"] = lambda: _limit([sys.executable, "-c", limit, str(port)], scripts)
    return runners


def _limit(command: list[str], scripts: Any) -> dict[str, Any]:
    told = peers.run_json(command, cwd=scripts, extra={"PYTHONPATH": str(scripts)})
    return {"msgs_s": told["msgs"] / told["secs"], "cpu_us": told["cpu_us"], "n": told["msgs"]}


def _rows(results: Results, reasons: dict[str, str]) -> Iterator[Row]:
    ours = results.get(_OURS, [])
    if not ours:
        yield Row("ingest_flood", goal=GOAL, skipped=reasons.get(_OURS, "no round ended"))
        return
    rates, costs = _of(ours, "msgs_s"), _of(ours, "cpu_us")
    n = sum(int(each["n"]) for each in ours)
    rate = statistics.median(rates)
    main = Row("ingest_flood", n, "msg/s", rate, goal=GOAL, met=rate >= 1_000_000)
    cost = Row("ingest_flood.cpu", n, "us/msg", statistics.median(costs), goal="least of all clients")
    best = max(
        (name for name in results if name not in {_OURS, _PACKED} and "limit" not in name),
        key=lambda name: statistics.median(_of(results[name], "msgs_s")),
        default=None,
    )
    if best is not None:
        main = compared(main, best, rates, _of(results[best], "msgs_s"))
        cost = compared(cost, best, costs, _of(results[best], "cpu_us"))
    yield main
    yield Row(**{**cost.__dict__, "met": cost.ratio < 1 if cost.ratio is not None else None})
    if _PACKED in results:
        packed = statistics.median(_of(results[_PACKED], "msgs_s"))
        yield Row("ingest_flood.20_a_frame", n, "msg/s", packed, goal=GOAL, met=packed >= 1_000_000)
    for name in results:
        if name not in {_OURS, _PACKED, best}:
            row = Row(f"ingest_flood.beside {name}", n, "msg/s", rate)
            yield compared(row, name, rates, _of(results[name], "msgs_s"))
    for name, reason in reasons.items():
        yield Row(f"ingest_flood.beside {name}", peer=name, skipped=reason)


def _of(results: list[dict[str, Any]], name: str) -> list[float]:
    return [float(each[name]) for each in results]
