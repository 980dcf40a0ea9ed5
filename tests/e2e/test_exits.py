"""Exits at the real window: typed, saved, sent with an order, followed by this computer, there at the next start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest

from tests.e2e.person import BID, LEFT, Person, Play

pytestmark = pytest.mark.e2e

ASK = BID + 1


def types(field: Any, text: str) -> None:
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def exits_of(person: Person) -> dict[str, Any]:
    return {order.role: order for order in person.orders if order.look == "working"}


def leg_prices(person: Person) -> tuple[int | None, int | None]:
    legs = exits_of(person)
    return legs["stop"].stop_ticks, legs["target"].limit_ticks


async def buys_one_with_swing(person: Person) -> None:
    """Type the legs, save them as Swing, buy one at the market."""
    await person.is_ready()
    ticket = person.desk.ticket
    QTest.mouseClick(ticket.exits.row.edit_button, LEFT)
    for name, text in (("stop", "40"), ("target1", "20p"), ("even", "24"), ("even.plus", "2")):
        types(ticket.exits.legs.field(name), text)
    QTest.mouseClick(ticket.exits.row.save_button, LEFT)
    types(ticket.exits.row.name_box, "Swing")
    await person.sees(lambda: ticket.exits.saved and ticket.exits.saved.version == 1, "the first version saved")
    ticket.kinds.choose("market")
    await person.arms(ticket)
    QTest.mouseClick(ticket.buy_button, LEFT)
    await person.sees(lambda: person.net() == 1, "one lot bought")
    await person.sees(lambda: {"stop", "target"} <= exits_of(person).keys(), "stop and target working")


def test_a_template_protects_an_order_and_this_computer_follows_its_stop(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await buys_one_with_swing(person)
        await person.sees(lambda: leg_prices(person) == (ASK - 40, ASK + 80), "both at their prices")
        stop = exits_of(person)["stop"].key
        engine = person.run.services.engine  # type: ignore[union-attr]
        await person.sees(lambda: [rule.key for rule in engine.stop_rules()] == [stop], "a rule on it")
        (rule,) = engine.stop_rules()
        assert (rule.break_even_trigger_ticks, rule.break_even_plus_ticks) == (24, 2)
        await person.flattens_by_holding_the_button()
        assert (await person.broker_orders())[1] == []
        await person.sees(lambda: exits_of(person) == {}, "no exit left")
        await person.closes_the_window()

    assert play(scene, "--attach", str(hello)) == 0


def test_a_saved_template_is_there_at_the_next_start(play: Play, hello: Path) -> None:
    async def first(person: Person) -> None:
        await buys_one_with_swing(person)
        await person.flattens_by_holding_the_button()
        await person.closes_the_window()

    async def second(person: Person) -> None:
        await person.is_ready()
        ticket = person.desk.ticket
        await person.sees(lambda: len(ticket.exits.row.menu.actions()) > 1, "the saved templates")
        ticket.exits.row.menu.actions()[1].trigger()
        await person.sees(lambda: ticket.exits.row.button.text() == "Exits Swing", "the template chosen")
        assert ticket.form.exits.text == "stop 40t, targets 100% at 20p, break-even after 24t +2"
        await person.closes_the_window()

    assert play(first, "--attach", str(hello)) == 0
    assert play(second, "--attach", str(hello)) == 0


def test_a_position_is_turned_by_holding_reverse_and_leaves_no_old_exit(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await buys_one_with_swing(person)
        button = person.desk.ticket.manage.reverse_button
        await person.holds(button, lambda: person.net() == -1, "short instead of long")
        await person.sees(lambda: exits_of(person) == {}, "no exit of the long left")
        assert (await person.broker_orders())[1] == [-1]
        await person.flattens_by_holding_the_button()
        await person.closes_the_window()

    assert play(scene, "--attach", str(hello)) == 0


def test_exits_that_cannot_be_meant_send_nothing(play: Play, hello: Path) -> None:
    async def scene(person: Person) -> None:
        await person.is_ready()
        ticket = person.desk.ticket
        await person.arms(ticket)
        ticket.exits.edit(True)
        types(ticket.exits.legs.field("stop"), "@21510")
        await person.sees(lambda: ticket.buy_button.mode == "blocked", "a blocked side")
        assert "must be below the entry" in ticket.exits.sketch.view.problem
        QTest.mouseClick(ticket.buy_button, LEFT)
        assert ticket.sell_button.mode == "armed"
        await person.closes_the_window()
        assert await person.broker_orders() == (0, [])

    assert play(scene, "--attach", str(hello)) == 0


def test_lots_without_a_stop_get_theirs_by_one_press_and_the_table_follows(play: Play, hello: Path) -> None:
    """One lot in a bracket, two without: the strip's stop is placed beside them, and a menu stops no table."""

    async def scene(person: Person) -> None:
        await buys_one_with_swing(person)
        ticket, table = person.desk.ticket, person.desk.positions.table
        ticket.exits.row.menu.actions()[0].trigger()
        ticket.set_size(2)
        QTest.mouseClick(ticket.buy_button, LEFT)
        strip = person.desk.ladder.bare_strip
        await person.sees(strip.isVisible, "the strip")
        assert strip.text() == "No stop for 2 lots"
        place = table.visualRect(table.rows.index(0, 0)).center()
        QTest.mousePress(table.viewport(), Qt.MouseButton.RightButton, pos=place)
        person.desk.positions._menu.close()
        QTest.mouseClick(strip.place_button, LEFT)
        await person.sees(lambda: not strip.isVisible(), "a stop for every lot")
        (position,) = [each for each in person.run.services.engine.positions() if each.net_lots]  # type: ignore[union-attr]
        assert (position.net_lots, position.stop_lots) == (3, 3)
        await person.sees(lambda: table.rows.index(0, 9).data().startswith("3 @ "), "the table tells it")
        await person.flattens_by_holding_the_button()
        await person.closes_the_window()

    assert play(scene, "--attach", str(hello)) == 0
