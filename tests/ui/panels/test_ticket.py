"""The ticket: what a person sees and what leaves it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt

from tests.ui import records
from ui.panels.ticket import TicketPanel, plan


@pytest.fixture
def ticket(qtbot: Any) -> Any:
    panel = TicketPanel(records.context())
    qtbot.addWidget(panel)
    panel.render(records.frame(), [], None)
    panel.resize(304, 760)
    panel.show()
    return panel


def press(qtbot: Any, widget: Any) -> Any:
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def test_buy_sends_the_painted_bid_as_a_limit(ticket: Any, qtbot: Any) -> None:
    with qtbot.waitSignal(ticket.order_requested) as asked:
        press(qtbot, ticket.buy_button)
    draft = asked.args[0]
    assert (draft.side, draft.kind, draft.size_lots, draft.limit_ticks) == ("buy", "limit", 1, 31448)
    assert (draft.painted_bid_ticks, draft.painted_ask_ticks) == (31448, 31449)
    assert (draft.account_id, draft.contract_id, draft.source) == (7, "CON.F.US.EP.Z26", "ticket")


def test_a_disarmed_ticket_sends_nothing_and_shows_outlines(ticket: Any, qtbot: Any) -> None:
    ticket.context.set_armed(False)
    assert ticket.buy_button.mode == "disarmed"
    with qtbot.assertNotEmitted(ticket.order_requested, wait=20):
        press(qtbot, ticket.buy_button)


def test_a_locked_ticket_blocks_both_sides_and_says_so(ticket: Any, qtbot: Any) -> None:
    ticket.context.set_locked(True)
    assert (ticket.sell_button.mode, ticket.sell_button.second) == ("blocked", "locked by you")
    with qtbot.assertNotEmitted(ticket.order_requested, wait=20):
        press(qtbot, ticket.sell_button)


def test_changing_the_account_disarms(ticket: Any) -> None:
    ticket.context.set_account(records.AccountView(9, "practice", "PRACTICE", "Sandbox", "PRAC-2201"))
    assert ticket.buy_button.mode == "disarmed"


def test_over_the_limit_blocks_the_adding_side_and_leaves_the_reducing_one(ticket: Any) -> None:
    ticket.context.set_limits(max_order_lots=10, max_position_lots=5)
    ticket.render(records.frame(), [], records.Position(net_lots=-4))
    ticket.set_size(3)
    assert (ticket.sell_button.mode, ticket.sell_button.second) == ("blocked", "over by 2 lots")
    assert ticket.buy_button.mode == "armed"
    assert "Limit 5 lots" in ticket.size_note.text()


def test_a_locked_price_stays_when_the_market_moves(ticket: Any, qtbot: Any) -> None:
    press(qtbot, ticket.lock_button)
    ticket.render(records.frame(31460, 31461), [], None)
    assert ticket.price_box.edit.text() == "7862.00"
    assert ticket.price_note.text() == "12 t below the bid"
    press(qtbot, ticket.lock_button)
    assert ticket.price_box.edit.text() == "7865.00"


def test_a_typed_price_off_the_grid_is_refused_beside_the_box(ticket: Any, qtbot: Any) -> None:
    edit = ticket.price_box.edit
    edit.selectAll()
    qtbot.keyClicks(edit, "7862.30")
    qtbot.keyClick(edit, Qt.Key.Key_Return)
    assert ticket.form.price_ticks is None
    assert ticket.price_note.text() == "not on the grid"


def test_enter_in_a_field_never_sends(ticket: Any, qtbot: Any) -> None:
    with qtbot.assertNotEmitted(ticket.order_requested, wait=20):
        qtbot.keyClick(ticket.size_box.edit, Qt.Key.Key_Return)
        qtbot.keyClick(ticket.price_box.edit, Qt.Key.Key_Return)


def test_exits_leave_as_native_brackets_in_ticks(ticket: Any, qtbot: Any) -> None:
    for _ in range(8):
        ticket.stop_box.stepped.emit(1)
    for _ in range(16):
        ticket.target_box.stepped.emit(1)
    with qtbot.waitSignal(ticket.order_requested) as asked:
        press(qtbot, ticket.sell_button)
    assert (asked.args[0].stop_bracket_ticks, asked.args[0].target_bracket_ticks) == (8, 16)
    assert "risk $100.00" in ticket.preview.accessibleName()


@pytest.mark.parametrize(
    ("kind", "field", "ticks"),
    [
        ("market", "limit_ticks", None),
        ("join_bid", "limit_ticks", None),
        ("trailing_stop", "trail_ticks", 8),
        ("stop", "stop_ticks", 31450),
    ],
)
def test_each_kind_carries_only_its_own_price(ticket: Any, qtbot: Any, kind: Any, field: Any, ticks: Any) -> None:
    ticket.kinds.choose(kind)
    with qtbot.waitSignal(ticket.order_requested) as asked:
        press(qtbot, ticket.buy_button)
    draft = asked.args[0]
    assert (draft.kind, getattr(draft, field)) == (kind, ticks)
    carried = [name for name in ("limit_ticks", "stop_ticks", "trail_ticks") if getattr(draft, name) is not None]
    assert carried == ([field] if ticks is not None else [])


def test_flatten_needs_a_hold(ticket: Any, qtbot: Any) -> None:
    ticket.render(records.frame(), [], records.Position())
    with qtbot.assertNotEmitted(ticket.flatten_requested, wait=20):
        press(qtbot, ticket.flatten_button)
    with qtbot.waitSignal(ticket.flatten_requested) as asked:
        qtbot.mousePress(ticket.flatten_button, Qt.MouseButton.LeftButton)
    qtbot.mouseRelease(ticket.flatten_button, Qt.MouseButton.LeftButton)
    assert asked.args == [7, "CON.F.US.EP.Z26"]


def test_halve_asks_for_half_and_close_for_everything(ticket: Any, qtbot: Any) -> None:
    ticket.render(records.frame(), [], records.Position(net_lots=5))
    with qtbot.waitSignal(ticket.close_requested) as half:
        press(qtbot, ticket.halve_button)
    with qtbot.waitSignal(ticket.close_requested) as everything:
        press(qtbot, ticket.close_button)
    assert (half.args[2], everything.args[2]) == (2, None)


def test_a_refusal_stays_in_the_results_with_its_reason(ticket: Any) -> None:
    for number in range(4):
        ticket.show_result(records.NOON_NS, "refused", f"reason {number}")
    assert [line.text()[-8:] for line in ticket._result_lines] == ["reason 3", "reason 2", "reason 1"]


@pytest.mark.parametrize(
    ("text", "lots"),
    [
        ("3", 3),
        ("=4", 4),
        ("+1", 3),
        ("-9", 1),
        ("x2", 4),
        ("/2", 1),
        ("50%", 3),
        ("two", None),
        ("", None),
        ("/0", None),
    ],
)
def test_quantities_may_be_typed_as_small_formulas(text: Any, lots: Any) -> None:
    assert plan.parse_size(text, 2, -6) == lots


@given(
    net=st.integers(-12, 12),
    size=st.integers(1, 30),
    side=st.sampled_from(["buy", "sell"]),
    order_limit=st.integers(1, 10),
    position_limit=st.integers(1, 10),
)
def test_what_is_not_refused_never_grows_a_position_beyond_the_limit(
    net: Any, size: Any, side: Any, order_limit: Any, position_limit: Any
) -> None:
    limits = plan.Limits(order_limit, position_limit)
    market = plan.Market(100, 101, 100, is_live=True)
    reason = plan.refusal(plan.Form(size_lots=size), side, market, net, limits)
    after = net + size if side == "buy" else net - size
    if not reason and abs(after) >= abs(net):
        assert abs(after) <= position_limit
        assert size <= order_limit


def test_a_stop_on_the_wrong_side_is_named() -> None:
    market = plan.Market(100, 101, 100, is_live=True)
    form = plan.Form(kind="stop", price_ticks=99)
    assert plan.refusal(form, "buy", market, 0, plan.Limits(5, 10)) == "wrong side of market"
    assert plan.refusal(form, "sell", market, 0, plan.Limits(5, 10)) == ""
