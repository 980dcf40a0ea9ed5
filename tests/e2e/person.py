"""Somebody at the real window, and the market that somebody else moves."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app import config
from app.crash import CrashFolder
from app.services.gateway import Hello
from ui.application import Application, parse
from ui.panels.ladder.columns import lay_out

LEFT = Qt.MouseButton.LeftButton
BID = 86_000  # 21500.00 in quarter points
STANDING_MARKET = [
    {"ms": 0, "quote": {"bid": 21500.00, "bid_lots": 50, "ask": 21500.25, "ask_lots": 50}},
    {"ms": 1, "level": {"side": "bid", "price": 21499.75, "lots": 50}},
    {"ms": 1, "level": {"side": "ask", "price": 21500.50, "lots": 50}},
    {"ms": 2, "print": {"price": 21500.25, "lots": 1, "side": "buy"}},
]


class Person:
    """Waits until the screen shows a thing, then moves the mouse."""

    def __init__(self, run: Application) -> None:
        self.run = run

    @property
    def desk(self) -> Any:
        return self.run.desk

    @property
    def orders(self) -> list[Any]:
        services = self.run.services
        return services.engine.orders() if services is not None else []

    @property
    def links(self) -> list[Any]:
        services = self.run.services
        return services.engine.links() if services is not None else []

    def net(self) -> int:
        services = self.run.services
        return sum(position.net_lots for position in services.engine.positions()) if services is not None else 0

    def order_looks(self, look: str) -> bool:
        return any(order.look == look for order in self.orders)

    async def sees(self, condition: Callable[[], Any], what: str) -> None:
        """Wait, within the one limit of end-to-end tests."""
        for _ in range(1_500):
            if condition():
                return
            await asyncio.sleep(0.02)
        raise AssertionError(
            f"never seen: {what}; orders: {[(order.key, order.look, order.life) for order in self.orders]}; "
            f"links: {[(link.name, link.state) for link in self.links]}; "
            f"messages: {self.desk.messages.texts()[:5] if self.desk else []}"
        )

    async def is_ready(self) -> None:
        await self.sees(lambda: self.desk is not None and self.desk.contract is not None, "a contract")
        await self.sees(lambda: self.desk.ladder.grid.row_map is not None, "a ladder with a market")
        await self.sees(lambda: self.desk.ticket.buy_button.mode == "disarmed", "a ticket that could be armed")

    async def arms(self, panel: Any) -> None:
        await self.sees(panel.header.arm_switch.isEnabled, "an arm switch that can be pressed")
        QTest.mouseClick(panel.header.arm_switch, LEFT)
        await self.sees(lambda: panel.context.is_armed, "armed")

    async def buys_two_at_the_bid(self) -> Any:
        await self.is_ready()
        await self.arms(self.desk.ladder)
        QTest.mouseClick(self.desk.ladder.lots_row.pads[1], LEFT)
        self.clicks("bid", BID)
        await self.sees(lambda: self.order_looks("working"), "a working order")
        return self.orders[0]

    async def holds(self, button: Any, until: Callable[[], Any], what: str) -> None:
        """Press a button once the window offers it, and let go when the condition holds."""
        await self.sees(button.isEnabled, f"the button {button.text()} enabled")
        QTest.mousePress(button, LEFT)
        await self.sees(until, what)
        QTest.mouseRelease(button, LEFT)

    async def flattens_by_holding_the_button(self) -> None:
        await self.holds(self.desk.ticket.manage.flatten_button, lambda: self.net() == 0, "flat")
        await self.sees(lambda: not self.desk.open_business(), "nothing open")

    async def closes_the_window(self) -> None:
        self.run.window.close()
        await self.sees(lambda: not self.run.window.isVisible(), "the window closed without a question")

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

    async def tells_the_market(self, what: str, body: Any) -> None:
        await asyncio.to_thread(_ask, await self._hello(), what, body)

    async def asks_the_market(self, what: str) -> Any:
        """State or counters, as the exchange itself has them."""
        return await asyncio.to_thread(_ask, await self._hello(), what, None)

    async def broker_orders(self) -> tuple[int, list[int]]:
        """(orders, lots of each position) of the first account, as the exchange has them."""
        (account, *_) = (await self.asks_the_market("state"))["accounts"]
        return account["orders"], [position["lots"] for position in account["positions"] if position["lots"]]

    async def _hello(self) -> Hello:
        if self.run.arguments.attach is not None:
            return Hello.parse(self.run.arguments.attach.read_text("utf-8"))
        gateway = self.run._gateway
        assert gateway is not None, "the window has started its own"
        return gateway.hello


Scene = Callable[[Person], Coroutine[Any, Any, None]]
Play = Callable[..., int]


def new_run(base: Path, *words: str) -> Application:
    """A window of its own over `base`, as `main` builds one."""
    directories = config.Directories.under(base)
    directories.create()
    arguments = parse(["--contract", "MNQ", "--basedir", str(base), *words])
    options = config.load(None, {}, arguments.assignments)
    return Application(arguments, options, directories, CrashFolder(directories.crash))


def _ask(hello: Hello, what: str, body: Any) -> Any:
    request = urllib.request.Request(
        f"{hello.control}/control/{what}",
        json.dumps(body).encode() if body is not None else None,
        {"Authorization": f"Bearer {hello.control_token}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")
