"""The real window with the real engine against the real practice gateway, driven by mouse over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import threading
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton

from app import config
from app.crash import CrashFolder
from app.errors import GatewayUnavailable
from app.services.gateway import GatewayProcess, find_program
from ui.application import Application, parse
from ui.loop import make_loop
from ui.panels.ladder.columns import lay_out

pytestmark = pytest.mark.e2e

LEFT = Qt.MouseButton.LeftButton
BID = 86_000  # 21500.00 in quarter points
STANDING_MARKET = [
    {"ms": 0, "quote": {"bid": 21500.00, "bid_lots": 50, "ask": 21500.25, "ask_lots": 50}},
    {"ms": 1, "level": {"side": "bid", "price": 21499.75, "lots": 50}},
    {"ms": 1, "level": {"side": "ask", "price": 21500.50, "lots": 50}},
    {"ms": 2, "print": {"price": 21500.25, "lots": 1, "side": "buy"}},
]


@pytest.fixture
def market(tmp_path: Path) -> Iterator[GatewayProcess]:
    try:
        program = find_program()
    except GatewayUnavailable as error:
        pytest.skip(error.text)
    script = tmp_path / "script.json"
    script.write_text(json.dumps(STANDING_MARKET))
    arguments = ["--state", str(tmp_path / "state"), "--market", "script", str(script)]
    with GatewayProcess.start(arguments, program=program, log_file=tmp_path / "gateway.log") as started:
        yield started


class Person:
    """Somebody at the window: waits until the screen shows a thing, then moves the mouse."""

    def __init__(self, run: Application, market: GatewayProcess) -> None:
        self.run = run
        self._hello = market.hello

    @property
    def desk(self) -> Any:
        return self.run.desk

    @property
    def orders(self) -> list[Any]:
        services = self.run.services
        return services.engine.orders() if services is not None else []

    def net(self) -> int:
        services = self.run.services
        return sum(position.net_lots for position in services.engine.positions()) if services is not None else 0

    async def sees(self, condition: Callable[[], Any], what: str) -> None:
        """Wait, within the one limit of end-to-end tests."""
        for _ in range(1_500):
            if condition():
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"never seen: {what}; messages: {self.desk.messages.texts()[:5] if self.desk else []}")

    async def arms(self, panel: Any) -> None:
        await self.sees(panel.header.arm_switch.isEnabled, "an arm switch that can be pressed")
        QTest.mouseClick(panel.header.arm_switch, LEFT)
        await self.sees(lambda: panel.context.is_armed, "armed")

    def cell(self, column: str, ticks: int) -> QPoint:
        grid = self.desk.ladder.grid
        box = lay_out(grid.width())[column]
        return QPoint(box.x + box.width // 2, 44 + grid.row_map.row_of(ticks) * 20 + 10)

    def mouse(self, kind: QEvent.Type, point: QPoint, button: Qt.MouseButton, held: Qt.MouseButton) -> None:
        place = QPointF(point)
        event = QMouseEvent(kind, place, place, button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(self.desk.ladder.grid, event)

    def clicks(self, column: str, ticks: int) -> None:
        self.drags(column, ticks, ticks)

    def drags(self, column: str, from_ticks: int, to_ticks: int) -> None:
        none = Qt.MouseButton.NoButton
        start, end = self.cell(column, from_ticks), self.cell(column, to_ticks)
        self.mouse(QEvent.Type.MouseMove, start, none, none)
        self.mouse(QEvent.Type.MouseButtonPress, start, LEFT, LEFT)
        if end != start:
            self.mouse(QEvent.Type.MouseMove, (start + end) / 2, none, LEFT)
            self.mouse(QEvent.Type.MouseMove, end, none, LEFT)
        self.mouse(QEvent.Type.MouseButtonRelease, end, LEFT, none)

    async def tells_the_market(self, what: str, body: dict[str, Any]) -> None:
        request = urllib.request.Request(
            f"{self._hello.control}/control/{what}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self._hello.control_token}"},
        )
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=10).close())


@pytest.fixture(autouse=True)
def garbage_of_the_window_dies_on_this_thread() -> Iterator[None]:
    """As the program itself does: an automatic collection may run on any thread, and no widget survives that."""
    gc.disable()
    yield
    gc.collect()
    gc.enable()


Scene = Callable[[Person], Coroutine[Any, Any, None]]


@pytest.fixture
def play(qapp: QApplication, market: GatewayProcess, tmp_path: Path) -> Callable[[Scene], int]:
    """Run a scene in the window and the window to its end; proves that no thread and no socket is left."""
    hello = tmp_path / "hello.json"
    hello.write_text(json.dumps(asdict(market.hello)))

    def run_scene(scene: Scene) -> int:
        threads = set(threading.enumerate())
        loop = make_loop(qapp)
        sockets = open_sockets()
        run = new_run(tmp_path, hello)

        async def both() -> int:
            life = asyncio.create_task(run.run(), name="window")
            person = Person(run, market)
            try:
                await scene(person)
            finally:
                if not life.done():
                    run.request_end()
            return await life

        try:
            code = loop.run_until_complete(both())
            assert open_sockets() <= sockets
        finally:
            run.window.deleteLater()
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            loop.close()
        gc.collect()
        left = {thread.name for thread in set(threading.enumerate()) - threads if not thread.daemon}
        assert {name for name in left if not name.startswith(("asyncio", "QThread", "Dummy"))} == set()
        return code

    return run_scene


def new_run(base: Path, hello: Path) -> Application:
    directories = config.Directories.under(base / "base")
    directories.create()
    options = config.load(None, {})
    arguments = parse(["--attach", str(hello), "--contract", "MNQ", "--safe-mode"])
    run = Application(arguments, options, directories, CrashFolder(directories.crash))
    run.window.resize(1600, 950)
    return run


def open_sockets() -> int:
    """TCP sockets of this process. Local pairs are left out: the engine's runtime keeps one until the process ends."""
    table = Path("/proc/self/net/tcp")
    if not table.is_file():
        return 0
    inodes = {f"socket:[{line.split()[9]}]" for line in table.read_text().splitlines()[1:]}
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        # A descriptor may be gone between listing and looking.
        with contextlib.suppress(OSError):
            found += str(entry.readlink()) in inodes
    return found


async def is_ready(person: Person) -> None:
    await person.sees(lambda: person.desk is not None and person.desk.contract is not None, "a contract")
    await person.sees(lambda: person.desk.ladder.grid.row_map is not None, "a ladder with a market")
    await person.sees(lambda: person.desk.ticket.buy_button.mode == "disarmed", "a ticket that could be armed")


async def buys_two_at_the_bid(person: Person) -> Any:
    await is_ready(person)
    await person.arms(person.desk.ladder)
    QTest.mouseClick(person.desk.ladder.lots_row.pads[1], LEFT)
    person.clicks("bid", BID)
    await person.sees(lambda: [order for order in person.orders if order.look == "working"], "a working order")
    return person.orders[0]


def test_a_click_in_the_ladder_works_part_fills_is_dragged_and_flattened(play: Callable[[Scene], int]) -> None:
    async def scene(person: Person) -> None:
        order = await buys_two_at_the_bid(person)
        assert (order.side, order.kind, order.limit_ticks, order.size_lots, order.source) == (
            "buy",
            "limit",
            BID,
            2,
            "ladder",
        )
        # 50 lots were shown before ours: 51 sold through leave one of our two filled.
        sold = {"ms": 0, "print": {"price": 21500.00, "lots": 51, "side": "sell"}}
        await person.tells_the_market("market", {"script": [sold]})
        await person.sees(lambda: person.net() == 1, "one lot filled")
        await person.sees(lambda: person.orders[0].look == "part_filled", "a part-filled order")
        await person.sees(
            lambda: "Buy 1 filled 21500.00" in person.desk.ticket._result_lines[0].text(), "the fill in words"
        )
        person.drags("own_buys", BID, BID - 2)
        await person.sees(lambda: person.orders[0].limit_ticks == BID - 2, "the order at its new price")
        QTest.mousePress(person.desk.ticket.flatten_button, LEFT)
        await person.sees(lambda: person.net() == 0, "flat")
        QTest.mouseRelease(person.desk.ticket.flatten_button, LEFT)
        await person.sees(lambda: not person.desk.open_business(), "nothing open")
        await person.sees(lambda: len(person.desk.fills.table.rows.keys()) == 2, "both fills in the table")
        person.run.window.close()
        await person.sees(lambda: not person.run.window.isVisible(), "the window closed without a question")

    assert play(scene) == 0


def test_a_user_hub_that_drops_in_mid_order_is_healed_and_disarms(play: Callable[[Scene], int]) -> None:
    async def scene(person: Person) -> None:
        await is_ready(person)
        await person.arms(person.desk.ladder)
        await person.tells_the_market("fault", {"fault": "delay_reply", "endpoint": "Order/place", "ms": 400})
        person.clicks("bid", BID - 1)
        await person.tells_the_market("fault", {"fault": "drop", "hub": "user"})
        await person.sees(
            lambda: [each for each in person.orders if each.look == "working"], "a working order in the end"
        )
        assert len(person.orders) == 1
        await person.sees(lambda: not person.desk.contexts["ladder"].is_armed, "disarmed by the reconnect")
        await person.sees(lambda: all(link.state == "live" for link in links(person)), "all streams live again")
        person.desk.cancel_all()
        await person.sees(lambda: not person.desk.open_business(), "nothing open")

    assert play(scene) == 0


def test_closing_with_a_working_order_asks_and_staying_is_the_default(play: Callable[[Scene], int]) -> None:
    async def scene(person: Person) -> None:
        await buys_two_at_the_bid(person)
        person.run.window.close()
        await person.sees(lambda: person.run._dialog is not None, "a question")
        dialog = person.run._dialog
        assert dialog is not None
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
        await person.sees(lambda: person.run._dialog is None, "the question answered")
        assert person.run.window.isVisible()
        person.run.window.close()
        await person.sees(lambda: person.run._dialog is not None, "the question again")
        again = person.run._dialog
        assert again is not None
        button = again.findChild(QPushButton, "leave")
        assert button is not None
        QTest.mouseClick(button, LEFT)
        await person.sees(lambda: not person.run.window.isVisible(), "the window closed")

    assert play(scene) == 0


def test_a_second_window_on_the_same_directory_is_refused_as_busy(play: Callable[[Scene], int], tmp_path: Path) -> None:
    async def scene(person: Person) -> None:
        await is_ready(person)
        second = new_run(tmp_path, tmp_path / "hello.json")
        assert await second.run() == 7

    assert play(scene) == 0


def links(person: Person) -> list[Any]:
    services = person.run.services
    return services.engine.links() if services is not None else []


def test_a_fault_that_repeats_is_reported_once_and_offers_to_flatten(
    play: Callable[[Scene], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr("sys.excepthook", lambda kind, *_rest: written.append(kind.__name__))

    async def scene(person: Person) -> None:
        await is_ready(person)
        person.run.install_hooks()
        for _ in range(5):
            fail_in_one_place()
        await person.sees(lambda: person.run._dialog is not None, "the crash dialog")
        dialog = person.run._dialog
        assert dialog is not None
        button = dialog.findChild(QPushButton, "flatten")
        assert button is not None
        assert button.isEnabled()
        QTest.keyClick(dialog, Qt.Key.Key_Escape)
        person.run.remove_hooks()

    assert play(scene) == 0
    assert written == ["ValueError"]


def fail_in_one_place() -> None:
    """As an exception in a slot arrives: through the interpreter's hook."""
    try:
        int("planted")
    except ValueError:
        sys.excepthook(*sys.exc_info())
