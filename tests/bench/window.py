"""`receive_to_painted`, `frame_build`, `first_paint` and `memory` of the real window, offscreen."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

from tests.bench import peers
from tests.bench.peers import Absent
from tests.bench.report import Row, compared

RATE = 20_000
FLOOD = RATE * 600
_SECONDS = 8.0
_PATTERN = "picows thread, eventfd wake, 120 paints/s"
_PATTERN_NAME = "picows in a thread, eventfd wake, at most 120 paints/s"


def measure_painted(rounds: int) -> Iterator[Row]:
    """Receive to painted at 20,000 messages a second, and what building and painting a frame costs the GUI thread."""
    ours: list[dict[str, Any]] = []
    theirs: list[float] = []
    reason = ""
    with peers.blaster() as port:
        for _ in range(min(rounds, 3)):
            try:
                ours.append(peers.module("window_client", "paint", port, RATE, _SECONDS, deadline_s=150.0))
            except Absent as error:
                yield Row("receive_to_painted", goal="p99 < 20 ms at 20,000 msg/s", skipped=str(error))
                return
            if not reason:
                try:
                    theirs.append(_pattern())
                except Absent as error:
                    reason = str(error)
    yield from _painted_rows(ours, theirs, reason)


def _pattern() -> float:
    """The best Python delivery pattern with a plain ladder, by the peers' own script and server."""
    scripts, python = peers.shared_scripts(), peers.bench_python()
    with peers.shared_server(python, scripts) as port:
        url = f"ws://127.0.0.1:{port}/hub?mode=paced&rate={RATE}"
        command = [python, "-W", "ignore", "b9_tick_to_paint.py", "--client", _PATTERN_NAME, url]
        return float(peers.run_json(command, cwd=scripts, deadline_s=20.0)["p99_ms"])


def _painted_rows(ours: list[dict[str, Any]], theirs: list[float], reason: str) -> Iterator[Row]:
    def mid(name: str) -> float:
        return statistics.median(_of(ours, name))

    n = sum(int(each["n"]) for each in ours)
    unit = f"ms, {mid('msgs_s'):,.0f} msg/s, {mid('fps'):.0f} frames/s, {mid('cpu_percent'):.0f} % CPU"
    p99 = mid("p99_ms")
    row = Row("receive_to_painted", n, unit, mid("p50_ms"), p99, goal="p99 < 20 ms at 20,000 msg/s", met=p99 < 20)
    yield row
    beside = Row("receive_to_painted.p99", n, "ms", p99, goal="0.8x the peer's p99", skipped=reason or None)
    yield compared(beside, _PATTERN, _of(ours, "p99_ms"), theirs)
    whole = mid("whole_p50_ms")
    yield Row(
        "frame_build",
        n,
        "ms, frame start to painted",
        whole,
        mid("whole_p99_ms"),
        goal="p99 < 8.3 ms (120 Hz)",
        met=mid("whole_p99_ms") < 8.3,
    )
    for name in ("pull", "ladder", "chart"):
        yield Row(f"frame_build.{name}", n, "us", mid(f"{name}_p50_us"), mid(f"{name}_p99_us"))


def measure_first(rounds: int) -> Iterator[Row]:
    """Process start to the first painted window, warm, beside an empty Qt window."""
    ours: list[dict[str, Any]] = []
    bare: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as base:
        for number in range(max(5, rounds) + 1):
            try:
                first, empty = (_start(name, base) for name in ("first", "bare"))
            except Absent as error:
                yield Row("first_paint", goal="< 1.0 s warm", skipped=str(error))
                return
            if number:  # the first start makes the store and fills the page cache
                ours.append(first)
                bare.append(empty)
    times = _of(ours, "ms")
    middle = statistics.median(times)
    row = Row("first_paint", len(times), "ms", middle, max(times), goal="< 1.0 s warm", met=middle < 1000)
    yield compared(row, "empty PySide6 window", times, _of(bare, "ms"))


def _start(name: str, base: str) -> dict[str, Any]:
    extra = {"BENCH_BASE": base, "BENCH_STARTED_NS": str(time.monotonic_ns())}
    return peers.run_json([sys.executable, "-m", "tests.bench.window_client", name], extra=extra)


def measure_memory(_rounds: int) -> Iterator[Row]:
    """Resident memory after start and after as many messages as ten minutes at 20,000 a second bring."""
    try:
        with tempfile.TemporaryDirectory(prefix="bench-") as base:
            bare = _start("bare", base)
        with peers.blaster() as port:
            told = peers.module("window_client", "memory", port, FLOOD, deadline_s=600.0)
    except Absent as error:
        yield Row("memory", goal="start <= 1.6x an empty window", skipped=str(error))
        return
    start, quarter, end = (float(told[name]["rss"]) for name in ("start", "quarter", "end"))
    row = Row("memory", 1, "MiB resident after start", start, goal="<= 1.6x an empty window")
    row = compared(row, "empty PySide6 window", [start], [float(bare["rss"])])
    yield Row(**{**row.__dict__, "met": row.ratio <= 1.6 if row.ratio is not None else None})
    grown = end - quarter
    yield Row(
        "memory.after_flood",
        FLOOD,
        f"MiB resident, {grown:+.1f} in the last three quarters",
        end,
        goal="no growth with messages",
        met=grown < 16,
    )


def _of(results: list[dict[str, Any]], name: str) -> list[float]:
    return [float(each[name]) for each in results]
