"""An order whose answer is lost, at the real window: held, told with its age, asked for again, and left by proof."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from PySide6.QtTest import QTest

from tests.e2e.person import LEFT, Person, Play

pytestmark = pytest.mark.e2e

# The gateway takes the order; its answer, its event and every reading of it are lost.
LOST = [
    {"fault": "reply_lost", "endpoint": "Order/place"},
    {"fault": "miss", "event": "GatewayUserOrder", "count": 0},
    {"fault": "request_lost", "endpoint": "Order/search", "count": 0},
    {"fault": "request_lost", "endpoint": "Order/v2/query", "count": 0},
]


def test_a_lost_answer_holds_its_button_until_the_broker_has_told(
    play: Play, hello: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITDESK_ENGINE_REQUEST_TIMEOUT_S", "1.5")

    async def scene(person: Person) -> None:
        await person.is_ready()
        ticket, orders = person.desk.ticket, person.desk.orders
        await person.arms(ticket)
        await person.tells_the_market("fault", LOST)
        QTest.mouseClick(ticket.buy_button, LEFT)
        await person.sees(lambda: ticket.buy_button.mode == "unknown", "the pressed button held")
        await person.sees(orders.recheck_button.isVisible, "a way to ask again")
        await person.sees(lambda: "no answer for" in orders.newest_reject.text(), "how long it has had no answer")
        QTest.mouseClick(ticket.buy_button, LEFT)
        assert await person.broker_orders() == (1, [])
        await person.tells_the_market("fault", {"clear": True})
        QTest.mouseClick(orders.recheck_button, LEFT)
        await person.sees(lambda: person.order_looks("working"), "the order found")
        await person.sees(lambda: ticket.buy_button.mode != "unknown", "the button free again")
        assert await person.broker_orders() == (1, [])
        everything = ticket.manage.cancel_buttons["All"]
        await person.sees(everything.isEnabled, "an order that can be cancelled")
        QTest.mouseClick(everything, LEFT)
        await person.sees(lambda: not person.desk.open_business(), "nothing open")
        await person.closes_the_window()

    assert play(scene, "--attach", str(hello)) == 0
