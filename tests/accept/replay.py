"""The recorded hour through gateway, socket, engine and window, with a session traded in it.

The book is compared with the recorded ten best levels after every depth event, the prints with an observer of the wire
that shares no code with us, the bars with the trades file, and the money of the session as the exchange, the order
journal and the positions table each say it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import websockets
from PySide6.QtWidgets import QApplication

from app import config, logs
from app.crash import CrashFolder
from app.domain import Position
from app.native import Contract, NativeEngine
from app.services.gateway import GatewayProcess, replay_arguments
from app.services.trading import OrderDraft
from tests.accept import journal, recorded
from tests.accept.control import Control
from ui.application import Application, parse
from ui.loop import make_loop
from ui.theme import load_fonts

SEPARATOR = "\x1e"
SOURCE = "accept"
OPEN_NS = 1_703_545_200_000_000_000
END_NS = 1_703_548_799_000_000_000
ROUNDS = 4


class Observer:
    """Counts what the market hub sends to somebody else, with another WebSocket library."""

    def __init__(self) -> None:
        self.trades = 0

    async def watch(self, url: str, token: str, contract_id: str) -> None:
        async with websockets.connect(f"{url}?access_token={token}", max_size=None) as socket:
            await socket.send('{"protocol":"json","version":1}' + SEPARATOR)
            call = {"type": 1, "target": "SubscribeContractTrades", "arguments": [contract_id]}
            await socket.send(json.dumps(call) + SEPARATOR)
            async for frame in socket:
                for record in str(frame).split(SEPARATOR):
                    message = json.loads(record or "{}")
                    if message.get("target") == "GatewayTrade":
                        self.trades += len(message["arguments"][1])


class Tape:
    """Every print the engine applied, pulled like a panel pulls it."""

    def __init__(self, engine: NativeEngine, contract: Contract) -> None:
        self._engine, self._contract = engine, contract
        self._revision = 0
        self.count = 0
        self.lots = 0
        self.skipped = 0

    def pull(self) -> int:
        """Take what is new; returns the broker's time in ns."""
        frame = self._engine.frame(self._contract.index, self._revision, 100_000)
        if frame is None:
            return 0
        self._revision = frame.revision
        self.count += len(frame.trade_ticks)
        self.lots += int(frame.trade_lots.sum())
        self.skipped += frame.trades_skipped
        return frame.broker_time_ns


async def until(condition: Any, deadline_s: float, what: str) -> Any:
    """Poll a condition that any thread may make true; no event of ours announces it."""
    async with asyncio.timeout(deadline_s):
        while not (value := condition()):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert value, what
    return value


async def trade_a_round(application: Application, account: int, contract: Contract) -> None:
    """Buy two at the bid, let them queue, take the offer when the market leaves them; then sell at the market."""
    services = application.services
    assert services is not None
    trading, engine = services.trading, services.engine
    frame = engine.frame(contract.index, 0)
    assert frame is not None
    assert frame.best_bid_ticks is not None
    trading.arm(SOURCE, account, is_armed=True)
    tag = trading.submit(draft(account, contract, "buy", "limit", 2, frame.best_bid_ticks))
    await asyncio.sleep(1.0)
    order = next((o for o in engine.orders() if o.tag == tag), None)
    if order is not None and order.life == "working":
        await trading.cancel(order.key, source=SOURCE)
        trading.submit(draft(account, contract, "buy", "market", 2))
    await until(lambda: net_lots(engine, account) > 0, 10, "the round is long")
    await asyncio.sleep(1.0)
    trading.submit(draft(account, contract, "sell", "market", net_lots(engine, account)))
    await until(lambda: net_lots(engine, account) == 0, 10, "the round is flat")


def draft(
    account: int, contract: Contract, side: str, kind: str, lots: int, limit_ticks: int | None = None
) -> OrderDraft:
    return OrderDraft(
        account_id=account,
        contract_id=contract.id,
        side=side,
        kind=kind,
        size_lots=lots,
        source=SOURCE,
        limit_ticks=limit_ticks,
    )


def net_lots(engine: NativeEngine, account: int) -> int:
    return sum(p.net_lots for p in engine.positions() if p.account_id == account)


def engine_net_1e4(positions: list[Position], account: int) -> int:
    return sum(p.realised_1e4 - p.fees_1e4 for p in positions if p.account_id == account)


def compare_books(trace: recorded.I64, expected: dict[int, recorded.I64]) -> tuple[int, int]:
    """(events checked, events that differ). Compared is the book in force at each recorded time.

    An event that changes only the number of orders at a level sends no depth record: the book before it still stands.
    """
    times = trace[:, 0] // 100
    wrong = 0
    for time, row in expected.items():
        last = int(np.searchsorted(times, time, side="right")) - 1
        wrong += last < 0 or not np.array_equal(trace[last, 1:], row)
    return len(expected), wrong


def compare_bars(engine: NativeEngine, contract: Contract, trades: list[recorded.Print]) -> int:
    frame = engine.bars(contract.index, "minute", 1, 0)
    assert frame is not None
    columns = (frame.open_ticks, frame.high_ticks, frame.low_ticks, frame.close_ticks, frame.volume_lots)
    ours = {
        int(time): tuple(int(column[i]) for column in columns)
        for i, time in enumerate(frame.time_ns)
        if int(time) >= OPEN_NS
    }
    expected = recorded.minute_bars(trades)
    return sum(1 for time in ours.keys() | expected.keys() if ours.get(time) != expected.get(time))


def shown_net_1e4(application: Application, contract: Contract) -> int:
    """The day's net result of a contract as the positions table shows it, in cents' precision."""
    assert application.desk is not None
    model = application.desk.positions.table.rows
    column = next(i for i, each in enumerate(model.columns) if each.title == "Day net")
    name = next(i for i, each in enumerate(model.columns) if each.title == "Symbol")
    for row in range(model.rowCount()):
        if model.index(row, name).data() == contract.name:
            text = str(model.index(row, column).data())
            digits = "".join(c for c in text if c.isdigit())
            return int(digits) * 100 * (-1 if any(sign in text for sign in "-\u2212") else 1)
    raise AssertionError(f"the positions table has no row of {contract.name}")


async def drive(application: Application, gateway: GatewayProcess, levels: Path, rate: float) -> dict[str, Any]:
    services = await until(lambda: application.services, 20, "services are open")
    await until(lambda: services.session.chosen, 40, "an account is chosen")
    engine = services.engine
    contract = await services.market.find("ES")
    await services.market.watch(contract)
    engine.trace_book(contract.id)
    await services.market.watch_bars(contract, "minute", 1, 500)
    account = services.session.chosen.id
    hello = gateway.hello
    control = await asyncio.to_thread(Control, hello)
    observer, tape = Observer(), Tape(engine, contract)
    # The recording stands still until everybody listens; otherwise its opening would be missed.
    watching = asyncio.create_task(observer.watch(hello.market_hub, control.token, contract.id))
    await asyncio.sleep(1.0)
    await asyncio.to_thread(control.post, "replay", rate=rate)
    now, rounds = 0, 0
    while now < END_NS:
        now = max(now, tape.pull())
        if now > OPEN_NS + (rounds + 1) * 300_000_000_000 and rounds < ROUNDS:
            await trade_a_round(application, account, contract)
            rounds += 1
        if tape.count >= len(recorded.prints(levels)) and now > END_NS - 60_000_000_000:
            break
        await asyncio.sleep(0.05)
    await services.trading.flatten(account, source=SOURCE)
    await asyncio.sleep(1.0)
    tape.pull()
    trades = recorded.prints(levels)
    checked, wrong = compare_books(engine.take_book_trace(), recorded.top_ten(levels))
    state = await asyncio.to_thread(control.state)
    ours = next(row for row in state["accounts"] if row["id"] == account)
    report = {
        "trades_sent": observer.trades,
        "trades_applied": tape.count,
        "lots": tape.lots,
        "depth_checked": checked,
        "depth_mismatches": wrong,
        "bars_mismatches": compare_bars(engine, contract, trades),
        "orders": len([o for o in engine.orders() if o.account_id == account]),
        "position_end": net_lots(engine, account),
        "net_1e4": {
            "gateway": ours["net_1e4"],
            "journal": journal.net_1e4(application.directories.base, account),
            "screen": shown_net_1e4(application, contract),
        },
    }
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    await asyncio.to_thread(control.close)
    return report


def run(levels: Path, rate: float) -> tuple[dict[str, Any], bool]:
    """Returns the answer of the contracts table and whether everything agrees."""
    qt = QApplication.instance() or QApplication([])
    assert isinstance(qt, QApplication), "nobody made a smaller application before"
    load_fonts()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        arguments = replay_arguments(base / "exchange", levels, rate=0.0)
        with GatewayProcess.start([*arguments, "--no-rate-limits"]) as gateway:
            hello = base / "hello.json"
            hello.write_text(json.dumps(dataclasses.asdict(gateway.hello)), encoding="utf-8")
            loop = make_loop(qt)
            with loop:  # type: ignore[attr-defined] # qasync's loop is a context manager
                report: dict[str, Any] = loop.run_until_complete(both(base, hello, gateway, levels, rate))
    cents = {round(Fraction(net, 100)) for net in report["net_1e4"].values()}
    report["agree"] = (
        len(cents) == 1
        and report["trades_sent"] == report["trades_applied"] == len(recorded.prints(levels))
        and report["depth_mismatches"] == report["bars_mismatches"] == report["position_end"] == 0
    )
    return report, bool(report["agree"])


async def both(base: Path, hello: Path, gateway: GatewayProcess, levels: Path, rate: float) -> dict[str, Any]:
    directories = config.Directories.under(base)
    directories.create()
    logs.start(directories.log)
    arguments = parse(["--attach", str(hello), "--basedir", str(base), "--contract", "ES"])
    application = Application(arguments, config.Options(), directories, CrashFolder(directories.crash))
    running = asyncio.create_task(application.run())
    try:
        return await drive(application, gateway, levels, rate)
    finally:
        application.request_end()
        await running
