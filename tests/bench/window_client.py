"""The real window, offscreen, under a prepared feed, in a process of its own; prints one JSON line.

    python -m tests.bench.window_client paint PORT RATE SECONDS     receive to painted, and what a frame costs
    python -m tests.bench.window_client orders COUNT                lateness of a timer, with and without orders
    python -m tests.bench.window_client memory PORT MESSAGES        resident memory after start and after a flood
    python -m tests.bench.window_client first                       start of the process to the first painted window
    python -m tests.bench.window_client bare                        the same for an empty Qt window, the peer

The practice gateway serves REST and the user hub as always; only its market hub is swapped for the prepared feed.
BENCH_STARTED_NS holds the parent's monotonic clock at the moment it spawned us.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

_SETTLE_S = 3.0
_DEADLINE_S = 120.0
_FLOOD_S = 150.0
_TIMER_MS = 5
_BATCH, _BATCH_S = 5, 0.05


def say(told: dict[str, Any]) -> None:
    """Print the result for the parent."""
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def since_start_ms() -> float:
    return (time.monotonic_ns() - int(os.environ["BENCH_STARTED_NS"])) / 1e6


def resident_mib() -> dict[str, float]:
    """Resident and private memory of this process; private is 0 where the system does not tell."""
    roll = Path("/proc/self/smaps_rollup")
    sizes = {"Rss": 0, "Private_Clean": 0, "Private_Dirty": 0}
    for line in roll.read_text().splitlines() if roll.exists() else []:
        name, _, rest = line.partition(":")
        if name in sizes:
            sizes[name] = int(rest.split()[0])
    return {"rss": sizes["Rss"] / 1024, "private": (sizes["Private_Clean"] + sizes["Private_Dirty"]) / 1024}


def with_fed_gateway(query: str) -> None:
    """Let the window's gateway announce the prepared feed as its market hub, around the contract's own price."""
    from app.services.gateway import GatewayProcess
    from ui import application

    class Fed(GatewayProcess):
        @classmethod
        def start(cls, *arguments: Any, **options: Any) -> Fed:
            process = super().start(*arguments, **options)
            object.__setattr__(process.hello, "market_hub", f"{query}&base={_price(process.hello)}")
            return process

    vars(application)["GatewayProcess"] = Fed


def _price(hello: Any) -> float:
    from tests.bench.feed import TICK
    from ui.application import DEFAULT_ROOT

    base = str(hello.control).removesuffix("/control")
    headers = {"Authorization": f"Bearer {hello.control_token}"}
    request = urllib.request.Request(f"{base}/control/book?contract={DEFAULT_ROOT}", headers=headers)
    with urllib.request.urlopen(request, timeout=_DEADLINE_S) as answer:
        book = json.loads(answer.read())
    return float((book["bids"] or [[book["last"]]])[0][0]) * TICK


async def _until(condition: Callable[[], bool], deadline_s: float = _DEADLINE_S) -> None:
    limit = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > limit:
            raise TimeoutError("the window never came so far")
        await asyncio.sleep(0.02)


def timed(owner: Any, name: str, costs: list[float]) -> None:
    """Note the microseconds of every call of a method of this one object."""
    inner = getattr(owner, name)

    def call(*arguments: Any) -> Any:
        start = time.perf_counter_ns()
        try:
            return inner(*arguments)
        finally:
            costs.append((time.perf_counter_ns() - start) / 1000)

    setattr(owner, name, call)


def run_window(probe: Callable[[Any, Any], Any]) -> None:
    """Run the program; `probe(application, clock)` runs beside it once it is built, and then it ends."""
    from ui import application

    class Probed(application.Application):
        def _build(self, services: Any) -> None:
            super()._build(services)
            assert self.desk is not None, "built just now"
            self.keeper.spawn(self._probe(self.desk._clock), "probe")

        async def _probe(self, clock: Any) -> None:
            try:
                await probe(self, clock)
            except (TimeoutError, AssertionError) as error:
                engine = self.services.engine if self.services is not None else None
                seen = engine.status()["messages"] if engine is not None else 0
                links = [(link.name, link.state, link.text) for link in engine.links()] if engine is not None else []
                sys.stderr.write(f"{error}; {seen} messages so far, {links=}\n")
            finally:
                self.request_end()

    application.Application = Probed  # type: ignore[misc]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        code = application.main(["--basedir", folder])
    assert code == 0, f"the window ended with code {code}"


async def _is_streaming(run: Any) -> None:
    await _until(lambda: run.desk.contract is not None and run.desk._frame is not None)


def measure_paint(port: int, rate: int, seconds: float) -> None:
    with_fed_gateway(f"ws://127.0.0.1:{port}/hub?mode=hub&rate={rate}")

    async def probe(run: Any, clock: Any) -> None:
        await _is_streaming(run)
        await asyncio.sleep(_SETTLE_S)
        from tests.bench.report import quantile

        paints: list[float] = []
        whole: list[float] = []
        costs: dict[str, list[float]] = {"pull": [], "ladder": [], "chart": []}
        timed(run.services.market, "frame", costs["pull"])
        timed(run.desk.ladder, "render", costs["ladder"])
        timed(run.desk.chart, "render", costs["chart"])
        clock.note_painted = paints.append
        clock.painted.connect(lambda: whole.append(clock.last_frame_ms))
        before, start, cpu = run.services.engine.status(), time.perf_counter(), time.process_time()
        frames = clock.frames
        await asyncio.sleep(seconds)
        took, used, after = time.perf_counter() - start, time.process_time() - cpu, run.services.engine.status()
        told: dict[str, Any] = {
            "n": len(paints),
            "p50_ms": quantile(paints, 0.5) / 1000,
            "p99_ms": quantile(paints, 0.99) / 1000,
            "fps": (clock.frames - frames) / took,
            "msgs_s": (int(after["messages"]) - int(before["messages"])) / took,
            "cpu_percent": used / took * 100,
            "whole_p50_ms": quantile(whole, 0.5),
            "whole_p99_ms": quantile(whole, 0.99),
        }
        for name, values in costs.items():
            told[f"{name}_p50_us"], told[f"{name}_p99_us"] = quantile(values, 0.5), quantile(values, 0.99)
        say(told)

    run_window(probe)


class Lateness:
    """A timer on the window's own thread that notes by how many milliseconds each of its ticks comes too late."""

    def __init__(self) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.late_ms: list[float] = []
        self._last_ns = time.perf_counter_ns()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_tick)
        self._timer.start(_TIMER_MS)

    def _on_tick(self) -> None:
        now = time.perf_counter_ns()
        self.late_ms.append(max(0.0, (now - self._last_ns) / 1e6 - _TIMER_MS))
        self._last_ns = now

    def take(self) -> list[float]:
        """What was noted since the last call."""
        noted, self.late_ms = self.late_ms, []
        return noted


def without_request_limits() -> None:
    """Let engine and gateway take more requests a minute than a broker would."""
    from app.services.gateway import practice_arguments
    from ui import application

    os.environ["PITDESK_ENGINE_BENCH_LIMITS_OFF"] = "1"
    # Sizes are raised for the next session only, so the run begins with them.
    os.environ["PITDESK_RISK__MAX_POSITION_LOTS"] = "100"
    vars(application)["practice_arguments"] = lambda *given, **named: [
        *practice_arguments(*given, **named),
        "--no-rate-limits",
    ]


def measure_orders(count: int) -> None:
    without_request_limits()

    async def probe(run: Any, _clock: Any) -> None:
        from app.domain import Limits
        from tests.bench.report import quantile

        await _is_streaming(run)
        await _until(lambda: run.desk.account is not None)
        engine, contract = run.services.engine, run.desk.contract
        account = run.desk.account.account_id
        engine.set_limits(account, Limits(duplicate_window_ms=0, max_position_lots=100))
        engine.arm("bench", account, is_armed=True)
        await _until(lambda: engine.is_armed("bench", account))
        await asyncio.sleep(_SETTLE_S)
        lateness, seconds = Lateness(), count / _BATCH * _BATCH_S
        await asyncio.sleep(seconds)
        quiet = lateness.take()
        bid = engine.frame(contract.index, 0).best_bid_ticks
        for _ in range(count // _BATCH):
            keys = [
                engine.submit(account, contract.id, "buy", "limit", 1, source="bench", limit_ticks=bid - 40 - number)
                for number in range(_BATCH)
            ]
            await asyncio.sleep(_BATCH_S)
            for key in keys:
                engine.cancel(key, source="bench")
        busy = lateness.take()
        await _until(lambda: not any(order.order_id == 0 for order in engine.orders() if order.life == "sent"))
        sent = sum(order.source == "bench" and order.order_id != 0 for order in engine.orders())
        assert sent == count, f"{sent} of {count} orders left"
        say({"n": sent, "quiet_p99_ms": quantile(quiet, 0.99), "orders_p99_ms": quantile(busy, 0.99)})

    run_window(probe)


def measure_memory(port: int, messages: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bell = Path(folder) / "bell"
        with_fed_gateway(f"ws://127.0.0.1:{port}/hub?mode=hub&messages={messages}&bell={bell}")

        async def probe(run: Any, _clock: Any) -> None:
            engine = run.services.engine
            await _until(lambda: run.desk.contract is not None)
            await asyncio.sleep(_SETTLE_S)
            start, before = resident_mib(), int(engine.status()["messages"])
            bell.touch()
            await _until(lambda: int(engine.status()["messages"]) >= before + messages // 4, _FLOOD_S)
            quarter = resident_mib()
            await _until(lambda: int(engine.status()["messages"]) >= before + messages, _FLOOD_S)
            await asyncio.sleep(_SETTLE_S)
            say({"n": messages, "start": start, "quarter": quarter, "end": resident_mib()})

        run_window(probe)


def report_first_paint(window: Any) -> Any:
    """Print when the window's first paint has ended, children included. Returns the filter, which must be kept."""
    from PySide6.QtCore import QEvent, QObject, QTimer

    class Filter(QObject):
        is_told = False

        def eventFilter(self, watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint and not self.is_told:
                self.is_told = True
                QTimer.singleShot(0, lambda: say({"ms": since_start_ms(), **resident_mib()}))
            return False

    kept = Filter()
    window.installEventFilter(kept)
    return kept


def measure_first() -> None:
    from ui import application

    class Probed(application.Application):
        def _build(self, services: Any) -> None:
            self.kept = report_first_paint(self.window)
            super()._build(services)
            self.keeper.spawn(self._end(), "probe")

        async def _end(self) -> None:
            await asyncio.sleep(0.3)
            self.request_end()

    application.Application = Probed  # type: ignore[misc]
    # The same directory each time: a warm start finds its store and layout.
    application.main(["--basedir", os.environ["BENCH_BASE"]])


def measure_bare() -> None:
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication, QWidget

    application = QApplication([])
    window = QWidget()
    window.resize(800, 600)
    kept = report_first_paint(window)
    window.show()
    QTimer.singleShot(300, application.quit)
    application.exec()
    del kept


def main() -> None:
    """Run the measurement of the command line."""
    name, *rest = sys.argv[1:]
    if name == "paint":
        measure_paint(int(rest[0]), int(rest[1]), float(rest[2]))
    elif name == "orders":
        measure_orders(int(rest[0]))
    elif name == "memory":
        measure_memory(int(rest[0]), int(rest[1]))
    elif name == "first":
        measure_first()
    else:
        measure_bare()


if __name__ == "__main__":
    main()
