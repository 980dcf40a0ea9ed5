"""Positions, orders, fills and messages: words, colours by token, requests with the right row."""

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QInputDialog

from app.config import ConfirmOptions
from tests.ui import records
from ui.panels.fills import FillsPanel
from ui.panels.messages import MessagesPanel
from ui.panels.orders import OrdersPanel, is_partner, order_row
from ui.panels.positions import COLUMNS as POSITION_COLUMNS
from ui.panels.positions import PositionsPanel
from ui.theme import Theme

ACCOUNTS = {7: records.account()}
CONTRACTS = {0: records.Contract()}
NOW = records.NOON_NS + 2_000_000_000


def texts(table: Any, row: Any) -> Any:
    return [table.rows.data(table.rows.index(row, column)) for column in range(table.rows.columnCount())]


@pytest.fixture
def positions(qtbot: Any) -> Any:
    panel = PositionsPanel(Theme(), ConfirmOptions())
    qtbot.addWidget(panel)
    return panel


@pytest.fixture
def orders(qtbot: Any) -> Any:
    panel = OrdersPanel(Theme(), ConfirmOptions())
    qtbot.addWidget(panel)
    return panel


def test_a_position_reads_side_average_result_and_its_exits(positions: Any) -> None:
    exits = [
        records.Order(key="s", side="sell", kind="stop", limit_ticks=None, stop_ticks=31434, role="stop"),
        records.Order(key="t", side="sell", size_lots=1, limit_ticks=31452, role="target"),
        records.Order(key="u", side="sell", size_lots=1, limit_ticks=31458, role="target"),
    ]
    positions.render([records.Position()], exits, ACCOUNTS, CONTRACTS)
    row = texts(positions.table, 0)
    assert row[:7] == ["Alpha 50K", "ESZ6", "Long 2", "7860.50", "7862.25", "\u25b2 +$175.00", "+7"]
    assert row[9:11] == ["2 @ 7858.50", "2 @ 7863.00+"]


def test_a_resting_limit_against_the_position_is_no_target(positions: Any) -> None:
    plain = records.Order(key="p", side="sell", limit_ticks=31452, role="entry")
    positions.render([records.Position(target_lots=2)], [plain], ACCOUNTS, CONTRACTS)
    assert texts(positions.table, 0)[10] == "\u2013"


def test_the_limit_leg_of_a_linked_pair_is_a_target(positions: Any) -> None:
    leg = records.Order(key="l", side="sell", size_lots=2, filled_lots=1, limit_ticks=31452, linked_id=12)
    positions.render([records.Position(target_lots=0)], [leg], ACCOUNTS, CONTRACTS)
    assert texts(positions.table, 0)[10] == "1 @ 7863.00"


def test_a_position_without_a_stop_is_a_danger_row(positions: Any) -> None:
    positions.render([records.Position(stop_lots=0)], [], ACCOUNTS, CONTRACTS)
    row = positions.table.rows.row_of(positions.table.rows.index(0, 0))
    assert row.tone == "danger"
    assert "without a stop" in row.sentence


def test_a_disputed_position_shows_the_brokers_number(positions: Any) -> None:
    positions.render([records.Position(is_disputed=True, broker_net_lots=1)], [], ACCOUNTS, CONTRACTS)
    assert texts(positions.table, 0)[12] == "broker +1"
    assert texts(positions.table, 1)[12] == "disagrees"


def test_close_and_half_carry_account_contract_and_lots(positions: Any, qtbot: Any) -> None:
    positions.render([records.Position(net_lots=5)], [], ACCOUNTS, CONTRACTS)
    with qtbot.waitSignal(positions.close_requested) as half:
        qtbot.mouseClick(positions.half_button, Qt.MouseButton.LeftButton)
    assert half.args == [7, "CON.F.US.EP.Z26", 2]
    with qtbot.waitSignal(positions.close_requested) as everything:
        qtbot.mouseClick(positions.close_button, Qt.MouseButton.LeftButton)
    assert everything.args == [7, "CON.F.US.EP.Z26", None]


def test_flat_rows_stay_and_cannot_be_closed(positions: Any) -> None:
    positions.render([records.Position(net_lots=0)], [], ACCOUNTS, CONTRACTS)
    assert texts(positions.table, 0)[2] == "Flat"
    assert not positions.close_button.isEnabled()


@pytest.mark.parametrize(
    ("look", "word"),
    [
        ("sending", "Sending"),
        ("working", "Working"),
        ("changing", "Changing"),
        ("cancelling", "Cancelling"),
        ("part_filled", "Part-filled"),
        ("unknown", "Unknown"),
    ],
)
def test_every_open_state_has_its_word_and_a_swatch(look: Any, word: Any) -> None:
    row = order_row(records.Order(look=look), ACCOUNTS[7], CONTRACTS[0], 31449, NOW)
    assert row.cells[0].text == word
    swatch = row.cells[0].swatch
    assert swatch is not None
    assert swatch.state == look


@pytest.mark.parametrize(
    ("life", "word"), [("denied", "Denied here"), ("refused", "Refused"), ("not_accepted", "Not accepted")]
)
def test_a_rejected_order_names_its_reason_and_who_said_no(orders: Any, life: str, word: str) -> None:
    orders.render([records.Order(look="done", life=life, reason="over plan limit")], ACCOUNTS, CONTRACTS, {}, NOW)
    assert f"{word}: " in orders.newest_reject.text()
    assert "over plan limit" in orders.newest_reject.text()
    orders.show_filter("rejected")
    assert texts(orders.table, 0)[0] == word


def test_a_change_on_its_way_shows_the_wanted_price() -> None:
    order = records.Order(look="changing", wanted_limit_ticks=31444)
    assert order_row(order, None, CONTRACTS[0], 31449, NOW).cells[3].text == "\u2192 7861.00"


def test_children_stand_below_their_parent(orders: Any) -> None:
    parent = records.Order(key="p", order_id=11, created_ns=10)
    child = records.Order(key="c", order_id=12, parent_id=11, created_ns=30)
    other = records.Order(key="o", order_id=13, created_ns=20)
    orders.render([child, other, parent], ACCOUNTS, CONTRACTS, {}, NOW)
    assert orders.table.rows.keys() == ["o", "p", "c"]


def test_group_cancels_name_exactly_their_open_orders(orders: Any, qtbot: Any) -> None:
    orders.render(
        [
            records.Order(key="b"),
            records.Order(key="s", side="sell", kind="stop", role="stop"),
            records.Order(key="t", side="sell", role="target"),
            records.Order(key="old", look="done", life="filled"),
        ],
        ACCOUNTS,
        CONTRACTS,
        {},
        NOW,
    )
    wanted = {"Buys": ["b"], "Sells": ["s", "t"], "Stops": ["s"], "Targets": ["t"], "All": ["b", "s", "t"]}
    for name, keys in wanted.items():
        with qtbot.waitSignal(orders.cancel_group_requested) as asked:
            qtbot.mouseClick(orders._group_buttons[name], Qt.MouseButton.LeftButton)
        assert asked.args == [keys]


def test_delete_cancels_an_open_order_and_leaves_a_done_one(orders: Any, qtbot: Any) -> None:
    done = records.Order(key="old", look="done", life="filled")
    orders.render([records.Order(key="b"), done], ACCOUNTS, CONTRACTS, {}, NOW)
    orders.show_filter("all")
    orders.table.select_key("b")
    with qtbot.waitSignal(orders.cancel_requested) as asked:
        qtbot.keyClick(orders.table, Qt.Key.Key_Delete)
    assert asked.args == ["b"]
    orders.table.select_key("old")
    with qtbot.assertNotEmitted(orders.cancel_requested, wait=20):
        qtbot.keyClick(orders.table, Qt.Key.Key_Delete)


def test_fills_are_newest_first_with_slippage_against_the_order(qtbot: Any) -> None:
    panel = FillsPanel(Theme())
    qtbot.addWidget(panel)
    panel.render([records.Fill(1), records.Fill(2, time_ns=NOW)], [records.Order()], ACCOUNTS, CONTRACTS)
    assert panel.table.rows.keys() == ["2", "1"]
    assert texts(panel.table, 1)[6:8] == ["+2 t", "118 ms"]


def test_messages_keep_the_newest_on_top_and_count_the_unread(qtbot: Any) -> None:
    panel = MessagesPanel(Theme())
    qtbot.addWidget(panel)
    panel.add("info", "link", "Market live", NOW)
    panel.add("alarm", "risk", "No stop for 2 lots", NOW)
    assert panel.texts() == ["No stop for 2 lots", "Market live"]
    assert panel.unread == 1
    panel.mark_read()
    assert panel.unread == 0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "Broker"),
        ({"linked_id": 12}, "Broker, OCO"),
        ({"oco_group": "g1"}, "Broker, ! OCO"),
        ({"holder": "computer", "oco_group": "g1"}, "This computer, ! OCO"),
    ],
)
def test_an_order_says_who_holds_it_and_who_links_it(changes: dict[str, Any], word: str) -> None:
    row = order_row(records.Order(**changes), records.account(), records.Contract(), 31449, records.NOON_NS)
    assert word in [cell.text for cell in row.cells]


def test_a_leg_that_this_computer_placed_stands_below_its_entry() -> None:
    leg = records.Order(key="leg", parent_key="p1-1-1", role="stop", side="sell")
    row = order_row(leg, records.account(), records.Contract(), 31449, records.NOON_NS)
    assert row.cells[1].lead.startswith("\u2514")


def narrow(qtbot: Any, panel: Any, width: int) -> Any:
    """The panel's actions in a title bar of so many pixels."""
    bar = panel.actions_bar
    qtbot.addWidget(bar)
    bar.setParent(None)
    bar.resize(width, 22)
    bar.show()
    return bar


def test_actions_without_room_move_into_a_menu_and_are_never_cut(qtbot: Any, orders: Any) -> None:
    orders.render([records.Order()], ACCOUNTS, CONTRACTS, {}, NOW)
    bar = narrow(qtbot, orders, bar_width := orders.actions_bar.minimumSizeHint().width())
    assert [button.text() for button in bar.moved] == ["\u00d7 Buys", "\u00d7 Sells", "\u00d7 Stops", "\u00d7 Tgts"]
    assert bar.more_button.isVisible()
    for button in [*orders._group_buttons.values()]:
        assert not button.isVisible() or button.geometry().right() < bar_width
    qtbot.mouseClick(bar.more_button, Qt.MouseButton.LeftButton)
    buys = next(action for action in bar._menu.actions() if action.text() == "Cancel buys")
    with qtbot.waitSignal(orders.cancel_group_requested) as cancelled:
        buys.trigger()
    assert cancelled.args == [["p1-1-1"]]
    bar.resize(bar.sizeHint().width(), 22)
    assert bar.moved == []
    assert not bar.more_button.isVisible()


def test_what_wants_a_hold_asks_in_a_menu(qtbot: Any, positions: Any) -> None:
    positions.render([records.Position()], [], ACCOUNTS, CONTRACTS)
    told: list[Any] = []
    positions.reverse_requested.connect(lambda *words: told.append(words))
    positions.reverse_button.click()
    assert told == []
    positions.reverse_button.act()
    dialog = positions.reverse_button.question.dialog
    dialog.answer("no")
    assert told == []
    positions.reverse_button.act()
    positions.reverse_button.question.dialog.answer("yes")
    assert told == [(7, "CON.F.US.EP.Z26")]


def test_every_action_on_a_position_is_confirmed_as_the_options_say(qtbot: Any) -> None:
    panel = PositionsPanel(Theme(), ConfirmOptions(close="ask", halve="hold"))
    qtbot.addWidget(panel)
    panel.render([records.Position()], [], ACCOUNTS, CONTRACTS)
    told: list[Any] = []
    panel.close_requested.connect(lambda *words: told.append(words))
    panel.close_button.click()
    panel.half_button.click()
    assert told == []
    panel.render([records.Position(net_lots=1)], [], ACCOUNTS, CONTRACTS)
    assert panel.close_button.question.dialog is None, "the question was about two lots"
    panel.close_button.click()
    asked: Any = panel.close_button.question.dialog
    asked.answer("yes")
    assert told == [(7, "CON.F.US.EP.Z26", None)]


@pytest.mark.parametrize(
    ("changes", "can_link"),
    [
        ({}, True),
        ({"key": "p1-1-1"}, False),
        ({"contract": 1}, False),
        ({"account_id": 8}, False),
        ({"is_foreign": True}, False),
        ({"look": "done"}, False),
        ({"oco_group": "g1"}, False),
    ],
)
def test_two_living_orders_of_ours_can_be_linked(changes: dict[str, Any], can_link: bool) -> None:
    one = records.Order(oco_group="g1" if "oco_group" in changes else "")
    assert is_partner(one, records.Order(**{"key": "o2", **changes})) is can_link


def test_the_menu_of_an_order_links_it_with_another(orders: Any, qtbot: Any) -> None:
    orders.render([records.Order(), records.Order(key="o2", side="sell")], ACCOUNTS, CONTRACTS, {}, NOW)
    orders._on_menu("p1-1-1", orders.mapToGlobal(orders.rect().center()))
    (group,) = [action.menu() for action in orders._menu.actions() if action.menu() is not None]
    with qtbot.waitSignal(orders.oco_requested) as linked:
        group.actions()[0].trigger()
    assert linked.args == [["p1-1-1", "o2"]]
    orders._menu.close()


def headers(table: Any) -> list[str]:
    """Titles of the columns that are shown."""
    shown = [place for place in range(table.rows.columnCount()) if not table.isColumnHidden(place)]
    return [table.rows.headerData(place, Qt.Orientation.Horizontal) for place in shown]


def test_a_narrow_positions_table_shows_the_protection_to_the_last(qtbot: Any) -> None:
    panel = PositionsPanel(Theme(), ConfirmOptions())
    qtbot.addWidget(panel)
    panel.resize(960, 120)
    panel.show()
    panel.render([records.Position()], [], ACCOUNTS, CONTRACTS)
    assert len(headers(panel.table)) == 13
    panel.resize(556, 120)
    assert headers(panel.table) == ["Symbol", "Position", "Average", "Open", "Stop", "Targets", ""]
    panel.render([records.Position(), records.Position(account_id=8)], [], ACCOUNTS, CONTRACTS)
    assert headers(panel.table) == ["Account", "Symbol", "Position", "Average", "Open", "Stop", ""]
    panel.resize(960, 120)
    assert len(headers(panel.table)) == 13


def test_a_typed_price_off_the_grid_is_answered(orders: Any, qtbot: Any) -> None:
    refused: list[str] = []
    orders.refused.connect(refused.append)
    orders.render([records.Order(key="o1")], ACCOUNTS, CONTRACTS, {}, NOW)
    orders.table.select_key("o1")
    orders._on_change_price()
    (dialog,) = orders.findChildren(QInputDialog)
    dialog.setTextValue("7860.13")
    dialog.accept()
    assert refused == ["'7860.13' is no price on the 0.25 grid of ESZ6; nothing was changed."]


def test_the_size_of_a_position_and_the_price_of_its_exits_are_never_cut(qtbot: Any) -> None:
    theme = Theme()
    room = {column.key: column.width - 12 for column in POSITION_COLUMNS}
    for key, text, weight, shape in (
        ("position", "Short 100", 600, 15),
        ("open", "\u25bc \u2212$5,498.00", 600, 0),
        ("stop", "12 @ 30424.50", 400, 0),
        ("target", "12 @ 30424.50", 400, 0),
        ("average", "30374.58", 400, 0),
    ):
        width = QFontMetricsF(theme.font("body", weight=weight)).horizontalAdvance(text) + shape
        assert width <= room[key], f"{text} needs {width}, {key} has {room[key]}"
    shown = sum(room[key] + 12 for key in ("symbol", "position", "average", "open", "stop", "target", "shield"))
    assert shown <= 552, "what stays at 1280"


def test_linked_orders_stand_together_in_a_bracket(orders: Any) -> None:
    one = records.Order(key="one", order_id=11, created_ns=10, oco_group="g")
    between = records.Order(key="between", order_id=12, created_ns=20)
    other = records.Order(key="other", order_id=13, created_ns=30, oco_group="g")
    parent = records.Order(key="p", order_id=14, created_ns=5)
    stop = records.Order(key="s", order_id=15, parent_id=14, created_ns=6)
    target = records.Order(key="t", order_id=16, parent_id=14, created_ns=6, linked_id=15)
    orders.render([one, between, other, parent, stop, target], ACCOUNTS, CONTRACTS, {}, NOW)
    model = orders.table.rows
    bonds = [(row.key, row.bond) for row in (model.row_of(model.index(place, 0)) for place in range(model.rowCount()))]
    assert bonds == [("one", "first"), ("other", "last"), ("between", ""), ("p", ""), ("s", "first"), ("t", "last")]
