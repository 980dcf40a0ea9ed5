"""The real window with the real engine against the real practice gateway, driven by mouse over real sockets."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from PySide6.QtCore import QCoreApplication, QEvent, QObject, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from tests.e2e.person import BID, LEFT, Person, Play, new_run

pytestmark = pytest.mark.e2e

FURTHER_EVENTS = 50
PLACE = "Order/place"


def sold_through(lots: int) -> dict[str, Any]:
    """A print at the bid: 50 lots are shown before ours, what is beyond them is ours."""
    return {"script": [{"ms": 0, "print": {"price": 21500.00, "lots": lots, "side": "sell"}}]}


def test_a_trading_day_from_the_start_of_the_window_to_its_end(play: Play, scripted_child: Path) -> None:
    """Start, stream, click, partial fill, drag, socket drop in mid-order, reconcile, flatten, quit."""

    async def scene(person: Person) -> None:
        await person.is_ready()
        assert person.run._gateway is not None
        revision = person.desk._frame.revision
        await person.tells_the_market("market", {"script": [{"ms": 0, "print": {"price": 21500.25, "lots": 3}}]})
        await person.sees(lambda: person.desk._frame.revision > revision, "the market moves on")
        order = await person.buys_two_at_the_bid()
        assert (order.side, order.kind, order.limit_ticks, order.size_lots) == ("buy", "limit", BID, 2)
        await person.tells_the_market("market", sold_through(51))
        await person.sees(lambda: person.net() == 1 and person.order_looks("part_filled"), "one of two lots filled")
        person.drags("own_buys", BID, BID - 2)
        await person.sees(lambda: person.orders[0].limit_ticks == BID - 2, "the order at its new price")
        await person.tells_the_market("fault", {"fault": "delay_reply", "endpoint": PLACE, "ms": 400})
        person.clicks("bid", BID - 4)
        await person.tells_the_market("fault", {"fault": "drop", "hub": "user"})
        await person.sees(lambda: not person.desk.contexts["ladder"].is_armed, "disarmed by the reconnect")
        await person.sees(lambda: all(link.state == "live" for link in person.links), "all streams live again")
        await person.sees(lambda: person.order_looks("working"), "the order of the broken moment")
        person.run.window.commands.actions["reconcile"].trigger()
        await person.sees(lambda: sorted(o.look for o in person.orders) == ["part_filled", "working"], "both orders")
        assert await person.broker_orders() == (2, [1])
        await person.flattens_by_holding_the_button()
        assert (await person.broker_orders())[1] == []
        await person.closes_the_window()

    assert play(scene) == 0


def test_a_click_in_the_ladder_works_part_fills_is_dragged_and_flattened(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        order = await person.buys_two_at_the_bid()
        assert (order.side, order.kind, order.limit_ticks, order.size_lots, order.source) == (
            "buy",
            "limit",
            BID,
            2,
            "ladder",
        )
        await person.tells_the_market("market", sold_through(51))
        await person.sees(lambda: person.net() == 1, "one lot filled")
        await person.sees(lambda: person.orders[0].look == "part_filled", "a part-filled order")
        await person.sees(
            lambda: "Buy 1 filled 21500.00" in person.desk.ticket._result_lines[0].text(), "the fill in words"
        )
        person.drags("own_buys", BID, BID - 2)
        await person.sees(lambda: person.orders[0].limit_ticks == BID - 2, "the order at its new price")
        await person.flattens_by_holding_the_button()
        await person.sees(lambda: len(person.desk.fills.table.rows.keys()) == 2, "both fills in the table")
        await person.closes_the_window()

    assert play(scene, "--attach", str(hello)) == 0


def test_a_user_hub_that_drops_in_mid_order_is_healed_and_disarms(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await person.is_ready()
        await person.arms(person.desk.ladder)
        await person.tells_the_market("fault", {"fault": "delay_reply", "endpoint": PLACE, "ms": 1_000})
        person.clicks("bid", BID - 1)
        under_way = ("sent", "working")
        await person.sees(lambda: any(order.life in under_way for order in person.orders), "an order under way")
        await person.tells_the_market("fault", {"fault": "drop", "hub": "user"})
        await person.sees(lambda: person.order_looks("working"), "a working order in the end")
        assert len(person.orders) == 1
        assert await person.broker_orders() == (1, [])
        await person.sees(lambda: not person.desk.contexts["ladder"].is_armed, "disarmed by the reconnect")
        await person.sees(lambda: all(link.state == "live" for link in person.links), "all streams live again")
        person.desk.cancel_all()
        await person.sees(lambda: not person.desk.open_business(), "nothing open")

    assert play(scene, "--attach", str(hello)) == 0


class Counter(QObject):
    """Counts the events that were posted to it and that the window's loop has handed over."""

    def __init__(self) -> None:
        super().__init__()
        self.handled = 0

    def event(self, event: QEvent) -> bool:
        self.handled += event.type() == QEvent.Type.User
        return super().event(event)

    def post(self, number: int) -> None:
        for _ in range(number):
            QCoreApplication.postEvent(self, QEvent(QEvent.Type.User))


def test_nothing_on_the_screen_waits_for_an_answer_of_the_broker(play: Play, hello: Path) -> None:
    """The answer is held for ever: whatever the window does from then on, it does without it."""

    async def scene(person: Person) -> None:
        await person.is_ready()
        await person.arms(person.desk.ladder)
        await person.tells_the_market("fault", {"fault": "miss", "event": "GatewayUserOrder", "count": 0})
        await person.tells_the_market("fault", {"fault": "reply_lost", "endpoint": PLACE})
        wakes, counter = [], Counter()
        assert person.run.bridge is not None
        person.run.bridge.woken.connect(lambda: wakes.append(1))
        frames = person.desk._clock.frames
        person.clicks("bid", BID)
        counter.post(FURTHER_EVENTS)
        quotes = [
            {"ms": 20 * n, "quote": {"bid": 21500.00, "bid_lots": 50 + n, "ask": 21500.25, "ask_lots": 50}}
            for n in range(1, FURTHER_EVENTS + 1)
        ]
        await person.tells_the_market("market", {"script": quotes})
        await person.sees(lambda: counter.handled == FURTHER_EVENTS, "50 events handled")
        await person.sees(lambda: person.desk._frame.bid_lots[0] == 50 + FURTHER_EVENTS, "the newest of 50 quotes")
        await person.sees(lambda: wakes and person.desk._clock.frames > frames, "frames go on")
        QTest.mouseClick(person.desk.ladder.lots_row.pads[2], LEFT)
        person.run.window.commands.actions["theme_light"].trigger()
        assert person.run.theme.name == "light"
        assert (await person.asks_the_market("counters"))["faults"]["reply_lost"] == 1
        await person.sees(lambda: person.order_looks("working"), "the order found by its tag")
        assert await person.broker_orders() == (1, [])

    assert play(scene, "--attach", str(hello)) == 0


def test_a_window_that_waits_for_an_answer_ends_without_it(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await person.is_ready()
        await person.tells_the_market("fault", {"fault": "reply_lost", "endpoint": "History/retrieveBars", "count": 0})
        person.desk.chart.interval_changed.emit("minute", 5)
        await person.tells_the_market("market", sold_through(1))

    assert play(scene, "--attach", str(hello)) == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"fault": "error_after", "endpoint": PLACE, "status": 500},
        {"fault": "reply_lost", "endpoint": PLACE},
        {"fault": "duplicate", "count": 0},
        {"fault": "swap", "count": 0},
    ],
    ids=lambda fault: str(fault["fault"]),
)
def test_a_click_whose_answer_goes_wrong_is_one_order_and_one_position(
    play: Play, hello: Path, fault: dict[str, Any]
) -> None:
    async def scene(person: Person) -> None:
        await person.is_ready()
        await person.arms(person.desk.ladder)
        await person.tells_the_market("fault", fault)
        person.clicks("bid", BID)
        await person.sees(lambda: person.order_looks("working"), "a working order")
        await person.tells_the_market("market", sold_through(51))
        await person.sees(lambda: person.net() == 1, "one lot filled")
        assert await person.broker_orders() == (1, [1])
        assert list((await person.asks_the_market("counters"))["posts_by_tag"].values()) == [1]
        await person.sees(lambda: len(person.desk.fills.table.rows.keys()) == 1, "one fill in the table")

    assert play(scene, "--attach", str(hello)) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_gateway_that_dies_leaves_a_window_that_says_so_and_lives_on(play: Play, scripted_child: Path) -> None:
    async def scene(person: Person) -> None:
        await person.buys_two_at_the_bid()
        assert person.run._gateway is not None
        os.kill(person.run._gateway.pid, signal.SIGKILL)
        hubs = ("user", "market")
        await person.sees(
            lambda: all(link.state in ("dead", "connecting") for link in person.links if link.name in hubs),
            "both streams gone",
        )
        await person.sees(lambda: person.desk.contexts["ladder"].blocked_reason, "entries blocked, with the reason")
        await person.sees(lambda: not person.desk.contexts["ladder"].is_armed, "disarmed")
        frames = person.desk._clock.frames
        person.clicks("bid", BID - 1)
        person.run.window.commands.actions["theme_light"].trigger()
        person.desk.refresh()
        await person.sees(lambda: person.desk._clock.frames > frames, "frames go on")
        assert len(person.orders) == 1
        assert person.run.window.isVisible()
        assert person.run.window.isEnabled()

    assert play(scene) == 0


def test_closing_with_a_working_order_asks_and_staying_is_the_default(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await person.buys_two_at_the_bid()
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

    assert play(scene, "--attach", str(hello)) == 0


def test_a_second_window_on_the_same_directory_is_refused_as_busy(play: Play, hello: Path, tmp_path: Path) -> None:
    async def scene(person: Person) -> None:
        await person.is_ready()
        second = new_run(tmp_path / "base", "--attach", str(hello))
        assert await second.run() == 7
        second.window.deleteLater()

    assert play(scene, "--attach", str(hello)) == 0


def test_the_layout_and_the_order_left_working_are_there_at_the_next_start(play: Play, hello: Path) -> None:
    layouts: list[tuple[bool, bool, int]] = []

    def layout(person: Person) -> tuple[bool, bool, int]:
        window = person.run.window
        chart, orders, ladder = (window.dock(name) for name in ("chart", "orders", "ladder"))
        return chart.isVisible(), orders.isVisible(), ladder.height()

    async def first(person: Person) -> None:
        await person.buys_two_at_the_bid()
        window = person.run.window
        standard = window.dock("ladder").height()
        window.dock("chart").hide()
        window.resizeDocks([window.dock("ladder")], [standard - 100], Qt.Orientation.Vertical)
        await person.sees(lambda: window.dock("ladder").height() != standard, "a lower ladder")
        layouts.append(layout(person))

    async def second(person: Person) -> None:
        await person.is_ready()
        await person.sees(lambda: person.order_looks("working"), "the order of before")
        assert len(person.orders) == 1
        assert not person.desk.contexts["ladder"].is_armed
        await person.sees(lambda: layout(person) == layouts[0], f"the layout of before, {layouts[0]}")

    assert play(first, "--attach", str(hello)) == 0
    assert play(second, "--attach", str(hello)) == 0


def test_a_fault_that_repeats_is_reported_once_and_offers_to_flatten(
    play: Play, hello: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr("sys.excepthook", lambda kind, *_rest: written.append(kind.__name__))

    async def scene(person: Person) -> None:
        await person.is_ready()
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

    assert play(scene, "--attach", str(hello)) == 0
    assert written == ["ValueError"]


def fail_in_one_place() -> None:
    """As an exception in a slot arrives: through the interpreter's hook."""
    try:
        int("planted")
    except ValueError:
        sys.excepthook(*sys.exc_info())


def test_a_recording_that_is_not_there_is_said_in_the_window(play: Play, program: Path, tmp_path: Path) -> None:
    async def scene(person: Person) -> None:
        missing = "no recording 'nowhere"
        await person.sees(lambda: person.desk is not None and person.desk.messages.texts(), "a message")
        await person.sees(lambda: any("nowhere.csv" in text for text in person.desk.messages.texts()), missing)
        assert person.run.window.isVisible()

    assert play(scene, "--replay", str(tmp_path / "nowhere.csv")) == 0
