"""The ticket: what a person sees and what leaves it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from app.config import ConfirmOptions
from app.services.exits import ExitPlan, ExitTemplate, TargetPlan, parse_distance
from app.services.templates import NamedTemplate
from tests.ui import records
from ui.panels.ticket import TicketPanel, plan
from ui.panels.ticket.sketch import pushed_apart


@pytest.fixture
def ticket(qtbot: Any) -> Any:
    panel = TicketPanel(records.context(), ConfirmOptions())
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


def test_while_entries_are_blocked_the_reducing_side_still_sends(ticket: Any, qtbot: Any) -> None:
    ticket.context.set_blocked("reduce only")
    ticket.render(records.frame(), [], records.Position(net_lots=2))
    assert (ticket.buy_button.mode, ticket.buy_button.second) == ("blocked", "reduce only")
    with qtbot.waitSignal(ticket.order_requested) as asked:
        press(qtbot, ticket.sell_button)
    assert asked.args[0].side == "sell"
    ticket.set_size(3)
    assert ticket.sell_button.mode == "blocked"


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


def type_into(qtbot: Any, field: Any, text: str) -> None:
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, text)
    qtbot.keyClick(field, Qt.Key.Key_Return)


def edited(ticket: Any, qtbot: Any, **texts: str) -> Any:
    ticket.exits.edit(True)
    for name, text in texts.items():
        type_into(qtbot, ticket.exits.legs.field(name.replace("_", ".")), text)
    return ticket.exits


def saved(name: str, stop: str, version: int = 1) -> NamedTemplate:
    return NamedTemplate(name, version, ExitTemplate.of(stop=parse_distance(stop, "stop")))


def test_typed_legs_leave_with_the_order_in_ticks(ticket: Any, qtbot: Any) -> None:
    edited(ticket, qtbot, stop="8", target1="4p")
    with qtbot.waitSignal(ticket.order_requested) as asked:
        press(qtbot, ticket.sell_button)
    assert asked.args[0].exits == ExitPlan(stop_ticks=8, targets=(TargetPlan(1, 16),))
    assert "stop 8 t, target 16 t: risk $100.00 + fees 3.78, to win $200.00" in ticket.preview.accessibleName()
    assert ticket.exits.sketch.accessibleName() == "Stop 1 lots −$100.00, T1 1 lots +$200.00"


def test_shares_and_lots_divide_the_size_among_the_targets(ticket: Any, qtbot: Any) -> None:
    ticket.set_size(3)
    edited(ticket, qtbot, stop="8", target1_size="1", target1="8", target2_size="50%", target2="16")
    assert [(leg.name, leg.lots, leg.holder) for leg in ticket.exits.sketch.view.legs] == [
        ("Stop", 3, "broker"),
        ("T1", 1, "computer"),
        ("T2", 1, "computer"),
    ]


def test_the_legs_of_this_computer_say_so_and_stay_so_while_they_are_edited(ticket: Any, qtbot: Any) -> None:
    edited(ticket, qtbot, stop="8", target1="16")
    ticket.exits.row.own_legs_action.trigger()
    edited(ticket, qtbot, stop="10")
    assert [leg.holder for leg in ticket.exits.sketch.view.legs] == ["computer", "computer"]
    with qtbot.waitSignal(ticket.order_requested) as asked:
        press(qtbot, ticket.buy_button)
    assert (asked.args[0].exits.held_by, asked.args[0].exits.stop_ticks) == ("computer", 10)


def test_a_leg_that_cannot_be_read_says_why_and_changes_nothing(ticket: Any, qtbot: Any) -> None:
    block = edited(ticket, qtbot, stop="8")
    type_into(qtbot, block.legs.field("stop"), "8x")
    assert "allowed: 40 or 40t" in block.legs.problem.text()
    assert block.template.stop is not None
    assert block.template.stop.text == "8t"


def test_exits_off_the_contracts_grid_block_both_sides_with_the_reason(ticket: Any, qtbot: Any) -> None:
    edited(ticket, qtbot, stop="1.1p")
    assert ticket.buy_button.mode == "blocked"
    assert "nearest are 1 and 1.25 points" in ticket.exits.sketch.view.problem
    with qtbot.assertNotEmitted(ticket.order_requested, wait=20):
        press(qtbot, ticket.buy_button)


def test_a_chosen_template_is_marked_as_changed_and_reverts(ticket: Any, qtbot: Any) -> None:
    ticket.show_templates([saved("Swing", "40"), saved("Scalp", "8")])
    ticket.exits.choose("Swing")
    assert ticket.exits.row.button.text() == "Exits Swing"
    assert not ticket.exits.row.save_button.isEnabled()
    edited(ticket, qtbot, stop="20")
    assert ticket.exits.row.button.text() == "Exits Swing changed"
    ticket.exits.row.revert_action.trigger()
    assert ticket.exits.row.button.text() == "Exits Swing"
    assert ticket.form.exits == saved("Swing", "40").template


def test_saving_asks_for_a_name_once_and_follows_the_new_version(ticket: Any, qtbot: Any) -> None:
    block = edited(ticket, qtbot, stop="40")
    press(qtbot, block.row.save_button)
    with qtbot.waitSignal(ticket.template_save_requested) as asked:
        type_into(qtbot, block.row.name_box, "Swing")
    assert (asked.args[0], asked.args[1]) == ("Swing", block.template)
    ticket.show_templates([saved("Swing", "40")])
    edited(ticket, qtbot, stop="20")
    with qtbot.waitSignal(ticket.template_save_requested) as asked:
        press(qtbot, block.row.save_button)
    ticket.show_templates([saved("Swing", "20", 2)])
    assert (block.saved.version, block.is_changed) == (2, False)


def test_escape_ends_the_naming_and_saves_nothing(ticket: Any, qtbot: Any) -> None:
    block = edited(ticket, qtbot, stop="40")
    block.row.ask_name()
    with qtbot.assertNotEmitted(ticket.template_save_requested, wait=20):
        qtbot.keyClick(block.row.name_box, Qt.Key.Key_Escape)
    assert block.row.button.isVisible()


def test_money_at_risk_gives_the_lots(ticket: Any, qtbot: Any) -> None:
    edited(ticket, qtbot, stop="8")
    ticket.size_mode.choose("risk")
    type_into(qtbot, ticket.size_box.edit, "$350")
    # 8 x 12.50 + 3.78 = 103.78 a lot.
    assert (ticket.form.size_lots, ticket.buy_button.first) == (3, "BUY 3")
    assert ticket.size_note.text() == "8 t stop and fees cost 103.78 a lot: 3 lots"
    type_into(qtbot, ticket.size_box.edit, "100")
    assert (ticket.buy_button.mode, ticket.buy_button.second) == ("blocked", "no lots fit")


def test_a_risk_too_small_for_one_lot_names_the_micros(ticket: Any, qtbot: Any) -> None:
    edited(ticket, qtbot, stop="8")
    ticket.show_micro(records.Contract(1, "CON.F.US.MES.Z26", "MESZ6", root="MES", tick_value_1e4=12_500))
    ticket.size_mode.choose("risk")
    # 8 x 1.25 + 1.22 = 11.22 a micro: 100 buys 8.
    assert ticket.size_note.text() == "One lot costs 103.78 with fees: 0 lots; 8 MES would fit."
    type_into(qtbot, ticket.size_box.edit, "150")
    assert "Same risk: 1 ES + 4 MES." in ticket.preview.accessibleName()


def test_sizing_by_risk_without_a_stop_sends_nothing(ticket: Any) -> None:
    ticket.size_mode.choose("risk")
    assert ticket.size_note.text() == "Sizing by risk needs a stop: choose exits."
    assert ticket.sell_button.mode == "blocked"


def test_trail_now_needs_a_stop_and_a_trailing_stage(ticket: Any, qtbot: Any) -> None:
    stop = records.Order(key="s", side="sell", kind="stop", role="stop", limit_ticks=None, stop_ticks=31430)
    ticket.render(records.frame(), [stop], records.Position())
    assert not ticket.manage.trail_button.isEnabled()
    edited(ticket, qtbot, stop="8", trail1_start="8", trail1="6", trail1_step="2")
    ticket.render(records.frame(), [stop], records.Position())
    with qtbot.waitSignal(ticket.trail_requested) as asked:
        press(qtbot, ticket.manage.trail_button)
    assert (asked.args[0], asked.args[1].stages[0].distance_ticks) == (["s"], 6)


@pytest.mark.parametrize(
    ("places", "rows"),
    [([10, 12, 14], [10, 25, 40]), ([10, 50, 106], [10, 50, 106]), ([100, 104, 106], [76, 91, 106])],
)
def test_labels_of_close_legs_push_apart_and_stay_inside(places: list[float], rows: list[float]) -> None:
    assert pushed_apart(places, 10, 106) == rows


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
        press(qtbot, ticket.manage.flatten_button)
    with qtbot.waitSignal(ticket.flatten_requested) as asked:
        qtbot.mousePress(ticket.manage.flatten_button, Qt.MouseButton.LeftButton)
    qtbot.mouseRelease(ticket.manage.flatten_button, Qt.MouseButton.LeftButton)
    assert asked.args == [7, "CON.F.US.EP.Z26"]


def test_reverse_needs_a_position_and_a_hold(ticket: Any, qtbot: Any) -> None:
    assert not ticket.manage.reverse_button.isEnabled()
    ticket.render(records.frame(), [], records.Position())
    with qtbot.assertNotEmitted(ticket.reverse_requested, wait=20):
        press(qtbot, ticket.manage.reverse_button)
    with qtbot.waitSignal(ticket.reverse_requested) as asked:
        qtbot.mousePress(ticket.manage.reverse_button, Qt.MouseButton.LeftButton)
    qtbot.mouseRelease(ticket.manage.reverse_button, Qt.MouseButton.LeftButton)
    assert asked.args == [7, "CON.F.US.EP.Z26"]


def test_halve_asks_for_half_and_close_for_everything(ticket: Any, qtbot: Any) -> None:
    ticket.render(records.frame(), [], records.Position(net_lots=5))
    with qtbot.waitSignal(ticket.close_requested) as half:
        press(qtbot, ticket.manage.halve_button)
    with qtbot.waitSignal(ticket.close_requested) as everything:
        press(qtbot, ticket.manage.close_button)
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


def test_legs_that_cannot_be_read_hold_both_buttons_until_they_can(ticket: Any, qtbot: Any) -> None:
    block = edited(ticket, qtbot, stop="8", target1="16")
    assert ticket.buy_button.mode == "armed"
    type_into(qtbot, block.legs.field("target2"), "24")
    assert "100" in block.problem
    assert (ticket.buy_button.mode, ticket.buy_button.second) == ("blocked", "exits: see the legs")
    with qtbot.assertNotEmitted(ticket.order_requested, wait=20):
        press(qtbot, ticket.buy_button)
    type_into(qtbot, block.legs.field("target1.size"), "50%")
    type_into(qtbot, block.legs.field("target2.size"), "50%")
    assert ticket.buy_button.mode == "armed"


def test_a_low_ticket_scrolls_and_asks_for_no_more_height(ticket: Any) -> None:
    ticket.exits.edit(True)
    assert ticket.minimumSizeHint().height() < 500


def asking(qtbot: Any, **policies: str) -> Any:
    """A ticket with a position of two, whose buttons are confirmed in other ways."""
    panel = TicketPanel(records.context(), ConfirmOptions.model_validate(policies))
    qtbot.addWidget(panel)
    panel.show()
    panel.render(records.frame(), [records.Order(), records.Order(key="o2")], records.Position())
    return panel


def test_a_button_that_asks_acts_on_yes_alone_and_says_what_it_would_touch(qtbot: Any) -> None:
    panel = asking(qtbot, close="ask")
    manage = panel.manage
    for answer, asked in (("no", []), ("cancel", []), ("yes", [[7, "CON.F.US.EP.Z26", None]])):
        told: list[Any] = []
        manage.close_requested.connect(lambda *words, told=told: told.append(list(words)))
        press(qtbot, manage.close_button)
        dialog = manage.close_button.question.dialog
        assert told == []
        assert "Close Long 2 ESZ6" in [label.text() for label in dialog.findChildren(QLabel)]
        dialog.answer(answer)
        assert told == asked
        assert manage.close_button.question.dialog is None


def test_a_question_is_withdrawn_when_the_position_changes_under_it(qtbot: Any) -> None:
    panel = asking(qtbot, close="ask", cancel="ask")
    press(qtbot, panel.manage.close_button)
    panel.render(records.frame(), [records.Order()], records.Position(open_pnl_1e4=0))
    assert panel.manage.close_button.question.dialog is not None
    panel.render(records.frame(), [records.Order()], records.Position(net_lots=1))
    assert panel.manage.close_button.question.dialog is None


def test_a_group_cancel_that_asks_names_how_many(qtbot: Any) -> None:
    panel = asking(qtbot, cancel="ask")
    manage = panel.manage
    press(qtbot, manage.cancel_buttons["Buys"])
    dialog = manage.cancel.question.dialog
    assert "Cancel 2 orders" in [label.text() for label in dialog.findChildren(QLabel)]
    with qtbot.waitSignal(manage.cancel_group_requested) as cancelled:
        dialog.answer("yes")
    assert cancelled.args == [["p1-1-1", "o2"]]


def test_a_button_that_wants_a_hold_does_nothing_on_a_click(qtbot: Any) -> None:
    panel = asking(qtbot, halve="hold", reverse="never")
    manage = panel.manage
    with qtbot.assertNotEmitted(manage.close_requested, wait=20):
        press(qtbot, manage.halve_button)
    qtbot.mousePress(manage.halve_button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(manage.close_requested):
        pass
    with qtbot.waitSignal(manage.reverse_requested):
        press(qtbot, manage.reverse_button)


def test_a_sequence_under_way_keeps_its_line_whatever_fills_until_it_ends(ticket: Any) -> None:
    def step(name: str, text: str = "") -> None:
        ticket.show_progress(records.ExitProgress(exit=4, step=name, text=text))

    step("cancelling")
    for number in range(5):
        ticket.show_result(records.NOON_NS, "done", f"Buy 1 filled 100.{number}")
    lines = [line.text() for line in ticket._result_lines]
    assert "Flatten: cancelling 1 of 3" in lines[0]
    assert lines[1].endswith("Buy 1 filled 100.4")
    step("done", "Flat, read back.")
    assert ticket._result_lines[0].text().endswith("Flat, read back.")
    ticket.show_result(records.NOON_NS, "done", "Buy 1 filled 101.0")
    assert ticket._result_lines[0].text().endswith("Buy 1 filled 101.0")


def test_a_stop_limit_carries_its_trigger_and_a_limit_so_many_ticks_beyond(ticket: Any, qtbot: Any) -> None:
    ticket.kinds.choose("stop_limit")
    assert ticket.beyond_box.isVisible()
    assert not ticket.price_note.isVisible()
    ticket.beyond_box.stepped.emit(2)
    for button, trigger, limit in ((ticket.buy_button, 31450, 31456), (ticket.sell_button, 31447, 31441)):
        with qtbot.waitSignal(ticket.order_requested) as sent:
            press(qtbot, button)
        draft = sent.args[0]
        assert (draft.kind, draft.stop_ticks, draft.limit_ticks) == ("stop_limit", trigger, limit)
    ticket.kinds.choose("stop")
    assert ticket.price_note.isVisible()
