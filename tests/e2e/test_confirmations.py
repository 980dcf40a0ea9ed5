"""What stands between a hand and its deed at the real window: a click, a hold, a question; by mouse and by keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton

from tests.e2e.person import LEFT, Person, Play

pytestmark = pytest.mark.e2e

ASKS = ("-o", "confirm.close=ask", "-o", "confirm.cancel=ask")


async def buys_two(person: Person) -> None:
    """Two lots at the market, no exits, and the row of the position chosen."""
    await person.is_ready()
    ticket = person.desk.ticket
    ticket.kinds.choose("market")
    ticket.set_size(2)
    await person.arms(ticket)
    QTest.mouseClick(ticket.buy_button, LEFT)
    await person.sees(lambda: person.net() == 2, "two lots bought")
    await person.sees(person.desk.positions.close_button.isEnabled, "a row that can be closed")


def answers(dialog: Any, name: str) -> None:
    QTest.mouseClick(dialog.findChild(QPushButton, name), LEFT)


async def requests(person: Person) -> dict[str, int]:
    """What the exchange was asked for since its start, by operation."""
    asked: dict[str, int] = (await person.asks_the_market("counters"))["requests"]
    return asked


async def is_asked(person: Person, button: Any) -> Any:
    """Press a button that asks; the question it opens."""
    QTest.mouseClick(button, LEFT)
    await person.sees(lambda: button.question.dialog is not None, "a question")
    return button.question.dialog


def test_a_close_in_the_table_asks_and_only_its_yes_sends(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await buys_two(person)
        close = person.desk.positions.close_button
        answers(await is_asked(person, close), "no")
        dialog = await is_asked(person, close)
        # Enter on a question that has just opened is its safe answer.
        QTest.keyClick(dialog, Qt.Key.Key_Return)
        await person.sees(lambda: close.question.dialog is None, "the question answered")
        QTest.keyClick(await is_asked(person, close), Qt.Key.Key_Escape)
        assert (await person.broker_orders())[1] == [2]
        answers(await is_asked(person, close), "yes")
        await person.sees(lambda: person.net() == 0, "closed")
        assert (await requests(person))["Position/closeContract"] == 1
        await person.sees(lambda: not person.desk.open_business(), "nothing open")
        await person.closes_the_window()

    assert play(scene, "--attach", str(hello), *ASKS) == 0


def test_a_reverse_in_the_table_wants_a_hold_and_space_holds_as_well(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await buys_two(person)
        positions = person.desk.positions
        QTest.mouseClick(positions.reverse_button, LEFT)
        assert (await person.broker_orders())[1] == [2]
        await person.holds(positions.reverse_button, lambda: person.net() == -2, "short instead of long")
        assert (await requests(person))["Order/place"] == 2, "the entry and the one reverse"
        await person.sees(positions.flatten_button.isEnabled, "a flatten that can be held")
        QTest.keyPress(positions.flatten_button, Qt.Key.Key_Space)
        await person.sees(lambda: person.net() == 0, "flat by the space bar")
        QTest.keyRelease(positions.flatten_button, Qt.Key.Key_Space)
        await person.sees(lambda: not person.desk.open_business(), "nothing open")
        await person.closes_the_window()

    assert play(scene, "--attach", str(hello)) == 0


def test_a_group_cancel_in_the_ladder_asks_about_what_works_now(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await person.buys_two_at_the_bid()
        ladder = person.desk.ladder
        await person.sees(ladder.action_row.buys.isEnabled, "an order to cancel")
        QTest.mouseClick(ladder.action_row.buys, LEFT)
        answers(ladder.cancel.question.dialog, "no")
        QTest.mouseClick(ladder.action_row.buys, LEFT)
        answers(ladder.cancel.question.dialog, "yes")
        await person.sees(lambda: not person.order_looks("working"), "cancelled")
        assert (await requests(person))["Order/cancel"] == 1
        await person.closes_the_window()

    assert play(scene, "--attach", str(hello), *ASKS) == 0


def test_a_position_without_a_stop_is_told_and_one_press_protects_it(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await buys_two(person)
        strip = person.desk.ladder.bare_strip
        await person.sees(strip.isVisible, "the strip of a position without a stop")
        assert strip.text() == "No stop for 2 lots"
        QTest.mouseClick(strip.place_button, LEFT)
        await person.sees(lambda: any(order.role == "stop" for order in person.orders), "a stop")
        await person.sees(lambda: not strip.isVisible(), "the strip gone")
        (stop,) = [order for order in person.orders if order.look == "working"]
        assert (stop.side, stop.kind, stop.size_lots) == ("sell", "stop", 2)
        await person.flattens_by_holding_the_button()
        await person.closes_the_window()

    assert play(scene, "--attach", str(hello)) == 0
