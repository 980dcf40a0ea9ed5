"""The depth ladder by what a person sees and what a hand does: rows, marks, clicks, drags, holds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from app.config import ConfirmOptions
from app.domain import Contract, MarketFrame, Order, Position
from ui.bridge import OrderDraft
from ui.painting import AccountView, PanelContext
from ui.panels.ladder import LadderPanel, protection
from ui.panels.ladder.columns import lay_out
from ui.panels.ladder.rows import Holding, PrintMemory, RowMap, RowTracker, Tracking, build_marks, intent_at, pnl_at
from ui.theme import Theme

BID, ASK = 31448, 31449
ES = Contract(
    index=3, id="CON.F.US.EP.Z26", name="ESZ6", description="E-mini S&P 500", symbol_id="F.US.EP", root="ES",
    tick_units=25, decimals=2, tick_value_1e4=125_000, is_active=True,
)  # fmt: skip
EMPTY = np.zeros(0, dtype=np.int64)


def frame(bid: int = BID, ask: int = ASK, **changed: object) -> MarketFrame:
    levels = np.arange(10, dtype=np.int64)
    values: dict[str, object] = {
        "contract": 3, "revision": 1, "bid_ticks": bid - levels, "bid_lots": levels + 20, "ask_ticks": ask + levels,
        "ask_lots": levels + 30, "book_state": "live", "best_bid_ticks": bid, "best_ask_ticks": ask, "last_ticks": ask,
        "last_lots": 1, "last_side": "buy", "open_ticks": None, "high_ticks": None, "low_ticks": None,
        "settle_ticks": None, "session_lots": 1000, "traded_ticks": EMPTY, "traded_bought_lots": EMPTY,
        "traded_sold_lots": EMPTY, "recent_ticks": EMPTY, "recent_bought_lots": EMPTY, "recent_sold_lots": EMPTY,
        "trade_time_ns": EMPTY, "trade_ticks": EMPTY, "trade_lots": EMPTY, "trade_is_buy": np.zeros(0, dtype=bool),
        "trades_skipped": 0, "broker_time_ns": 1, "receive_mono_ns": 1, "age_ms": 40, "is_late": False,
    }  # fmt: skip
    return MarketFrame(**(values | changed))  # type: ignore[arg-type]


def order(key: str, side: str, ticks: int, **changed: object) -> Order:
    is_stop = changed.get("kind") == "stop"
    values: dict[str, object] = {
        "key": key, "tag": key, "order_id": 1, "account_id": 7, "contract": 3, "contract_id": ES.id, "side": side,
        "kind": "limit", "size_lots": 1, "filled_lots": 0, "limit_ticks": None if is_stop else ticks,
        "stop_ticks": ticks if is_stop else None, "trail_ticks": None, "wanted_size_lots": None,
        "wanted_limit_ticks": None, "wanted_stop_ticks": None, "average_fill_ticks_1e4": None, "life": "working",
        "change": "none", "doubt_since_ns": 0, "look": "working", "role": "entry", "holder": "broker",
        "is_foreign": False, "parent_id": 0, "linked_id": 0, "parent_key": "", "oco_group": "",
        "queue_ahead_min": 0, "queue_ahead_max": 0,
        "created_ns": 1, "updated_ns": 1, "source": "ladder", "reason": "",
    }  # fmt: skip
    return Order(**(values | changed))  # type: ignore[arg-type]


def position(net_lots: int, average_ticks_1e4: int) -> Position:
    return Position(
        account_id=7, contract=3, contract_id=ES.id, net_lots=net_lots, average_ticks_1e4=average_ticks_1e4,
        mark_ticks=ASK, open_pnl_1e4=0, realised_1e4=0, fees_1e4=0, stop_lots=0, target_lots=0, unprotected_lots=0,
        source="push", checked_ns=0, broker_net_lots=net_lots, is_disputed=False,
    )  # fmt: skip


class Hand:
    """Moves a pointer over the grid by column and price, as they are painted."""

    def __init__(self, panel: LadderPanel) -> None:
        self.panel, self.grid = panel, panel.grid
        self.drafts: list[OrderDraft] = []
        self.moves: list[tuple[str, dict[str, int]]] = []
        self.cancels: list[str] = []
        panel.order_requested.connect(self.drafts.append)
        panel.modify_requested.connect(self._on_move)
        panel.cancel_requested.connect(self.cancels.append)
        panel.cancel_group_requested.connect(self.cancels.extend)

    def _on_move(self, key: str, changes: dict[str, int]) -> None:
        self.moves.append((key, changes))

    def point(self, column: str, ticks: int) -> QPoint:
        place = self.grid.place_of(column, ticks)
        assert place is not None
        return place

    def move(self, point: QPoint, button: Qt.MouseButton = Qt.MouseButton.NoButton) -> None:
        self._send(QEvent.Type.MouseMove, point, Qt.MouseButton.NoButton, button)

    def press(self, point: QPoint, button: Qt.MouseButton = Qt.MouseButton.LeftButton) -> None:
        self._send(QEvent.Type.MouseButtonPress, point, button, button)

    def release(
        self,
        point: QPoint,
        button: Qt.MouseButton = Qt.MouseButton.LeftButton,
        keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> None:
        self._send(QEvent.Type.MouseButtonRelease, point, button, Qt.MouseButton.NoButton, keys)

    def turn_wheel(self, column: str, ticks: int, notches: int) -> None:
        place, none = QPointF(self.point(column, ticks)), Qt.MouseButton.NoButton
        keys, phase = Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
        event = QWheelEvent(place, place, QPoint(), QPoint(0, 120 * notches), none, keys, phase, False)
        QApplication.sendEvent(self.grid, event)

    def click(self, column: str, ticks: int, button: Qt.MouseButton = Qt.MouseButton.LeftButton) -> None:
        point = self.point(column, ticks)
        self.move(point)
        self.press(point, button)
        self.release(point, button)

    def _send(
        self,
        kind: QEvent.Type,
        point: QPoint,
        button: Qt.MouseButton,
        held: Qt.MouseButton,
        keys: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier,
    ) -> None:
        place = QPointF(point)
        event = QMouseEvent(kind, place, place, button, held, keys)
        QApplication.sendEvent(self.grid, event)


@pytest.fixture
def context(qtbot: QtBot) -> PanelContext:
    context = PanelContext(Theme(), "ladder-1")
    context.set_account(AccountView(7, "practice", "PRACTICE", "Sandbox", "PRAC-2201"))
    context.set_contract(ES)
    context.set_armed(True)
    return context


@pytest.fixture
def hand(context: PanelContext, qtbot: QtBot) -> Hand:
    panel = LadderPanel(context, ConfirmOptions())
    qtbot.addWidget(panel)
    panel.resize(482, 760)
    panel.show()
    panel.render(frame(), [], None)
    panel.grab()
    return Hand(panel)


def shown(hand: Hand, bid: int, ask: int) -> Callable[[], None]:
    """A newer frame has arrived and is painted."""

    def paint() -> None:
        hand.panel.render(frame(bid, ask), [], None)
        hand.panel.grab()

    return paint


def test_a_click_in_the_bid_column_buys_at_the_painted_price(hand: Hand) -> None:
    hand.click("bid", BID - 2)
    (draft,) = hand.drafts
    assert (draft.side, draft.kind, draft.limit_ticks, draft.size_lots) == ("buy", "limit", BID - 2, 1)
    assert (draft.account_id, draft.contract_id, draft.source) == (7, ES.id, "ladder-1")
    assert (draft.painted_bid_ticks, draft.painted_ask_ticks) == (BID, ASK)


def test_a_click_in_the_ask_column_sells_and_beyond_the_market_it_is_a_stop(hand: Hand) -> None:
    hand.click("ask", ASK + 3)
    hand.click("ask", BID - 3)
    assert [(d.side, d.kind, d.limit_ticks, d.stop_ticks) for d in hand.drafts] == [
        ("sell", "limit", ASK + 3, None),
        ("sell", "stop", None, BID - 3),
    ]


def test_the_price_sent_is_the_painted_one_when_a_newer_frame_is_not_painted_yet(hand: Hand) -> None:
    point = hand.point("bid", BID - 2)
    # Nothing repaints between these two lines, so the eye still sees the first frame.
    hand.panel.render(frame(BID + 40, ASK + 40), [], None)
    hand.press(point)
    hand.release(point)
    (draft,) = hand.drafts
    assert draft.limit_ticks == BID - 2
    assert (draft.painted_bid_ticks, draft.painted_ask_ticks) == (BID, ASK)


def test_leaving_the_cell_before_release_sends_nothing(hand: Hand) -> None:
    hand.press(hand.point("bid", BID - 2))
    hand.release(hand.point("bid", BID - 6))
    assert hand.drafts == []


def test_a_disarmed_click_sends_nothing_and_says_so(hand: Hand, context: PanelContext) -> None:
    context.set_armed(False)
    hand.move(hand.point("bid", BID - 2))
    assert hand.grid.strip.lead == "Disarmed:"
    hand.click("bid", BID - 2)
    assert hand.drafts == []
    assert hand.grid.strip.rest == "click did nothing"


def test_the_strip_names_what_a_click_would_send(hand: Hand) -> None:
    hand.panel.lots_row.set_lots(3)
    hand.move(hand.point("bid", BID - 2))
    strip = hand.grid.strip
    assert (strip.tone, strip.before, strip.lead) == ("buy", "Left", "BUY 3 LIMIT 7861.50")
    assert strip.rest == "on Sandbox"
    assert strip.right.startswith("3 t below ask")


def test_the_volume_column_alone_says_since_when_it_counts(hand: Hand) -> None:
    hand.move(hand.point("volume", BID))
    assert "since this window began to listen" in hand.grid.toolTip()
    hand.move(hand.point("bid", BID))
    assert hand.grid.toolTip() == ""


def test_a_size_over_the_limit_is_named_before_and_refused_at_the_click(hand: Hand, context: PanelContext) -> None:
    context.set_limits(max_order_lots=5, max_position_lots=4)
    hand.panel.render(frame(), [], position(2, BID * 10_000))
    hand.panel.lots_row.set_lots(3)
    hand.move(hand.point("bid", BID - 2))
    assert hand.grid.strip.lead == "Over limit: 4 lots allowed,"
    assert hand.grid.strip.rest == "this makes 5"
    hand.click("bid", BID - 2)
    assert hand.drafts == []


def test_a_late_feed_blocks_entries_but_lets_a_reducing_order_through(hand: Hand) -> None:
    hand.panel.render(frame(is_late=True, age_ms=1_800), [], position(1, BID * 10_000))
    hand.panel.grab()
    assert hand.grid.strip.lead.startswith("Feed ")
    assert hand.grid.age_ms >= 1_800
    hand.click("bid", BID - 2)
    assert hand.drafts == []
    hand.click("ask", ASK + 1)
    (draft,) = hand.drafts
    assert (draft.side, draft.reduce_only) == ("sell", True)


def test_a_right_click_asks_for_a_stop_and_refuses_one_on_the_wrong_side(hand: Hand) -> None:
    hand.click("bid", ASK + 4, Qt.MouseButton.RightButton)
    hand.click("bid", BID - 4, Qt.MouseButton.RightButton)
    assert [(d.kind, d.stop_ticks) for d in hand.drafts] == [("stop", ASK + 4)]


def test_rows_stay_while_the_pointer_rests_on_a_clickable_column(hand: Hand) -> None:
    before = hand.grid.row_map
    hand.move(hand.point("ask", ASK + 2))
    shown(hand, BID + 40, ASK + 40)()
    assert hand.grid.row_map == before
    assert hand.grid.tracker.is_waiting
    assert hand.grid.held_text().startswith("market 37 t above the pointer")


def test_rows_jump_once_after_the_pointer_has_left_for_half_a_second(hand: Hand, qtbot: QtBot) -> None:
    before = hand.grid.row_map
    hand.move(hand.point("ask", ASK + 2))
    shown(hand, BID + 40, ASK + 40)()
    QApplication.sendEvent(hand.grid, QEvent(QEvent.Type.Leave))
    hand.panel.grab()
    assert hand.grid.row_map == before
    qtbot.waitUntil(lambda: not hand.grid.is_held, timeout=5_000)
    hand.panel.grab()
    after = hand.grid.row_map
    assert after is not None
    assert after != before
    assert after.row_of(BID + 40) == after.rows // 2


def test_a_drag_sends_one_change_at_the_drop_and_none_on_the_way(hand: Hand) -> None:
    hand.panel.render(frame(), [order("a", "buy", BID - 5)], None)
    hand.panel.grab()
    hand.press(hand.point("own_buys", BID - 5))
    for ticks in (BID - 6, BID - 7, BID - 8):
        hand.move(hand.point("own_buys", ticks), Qt.MouseButton.LeftButton)
    assert hand.moves == []
    hand.release(hand.point("own_buys", BID - 8))
    assert hand.moves == [("a", {"limit_ticks": BID - 8})]


def test_a_stop_is_dragged_by_its_trigger(hand: Hand) -> None:
    hand.panel.render(frame(), [order("s", "sell", BID - 6, kind="stop", role="stop")], position(1, BID * 10_000))
    hand.panel.grab()
    hand.press(hand.point("own_sells", BID - 6))
    hand.move(hand.point("own_sells", BID - 4), Qt.MouseButton.LeftButton)
    hand.release(hand.point("own_sells", BID - 4))
    assert hand.moves == [("s", {"stop_ticks": BID - 4})]


@pytest.mark.parametrize("way_out", ["escape", "right", "disarm", "filled"])
def test_a_drag_given_up_sends_nothing(hand: Hand, context: PanelContext, way_out: str) -> None:
    hand.panel.render(frame(), [order("a", "buy", BID - 5)], None)
    hand.panel.grab()
    hand.press(hand.point("own_buys", BID - 5))
    hand.move(hand.point("own_buys", BID - 8), Qt.MouseButton.LeftButton)
    if way_out == "escape":
        QTest.keyClick(hand.grid, Qt.Key.Key_Escape)
    elif way_out == "right":
        hand.press(hand.point("own_buys", BID - 8), Qt.MouseButton.RightButton)
    elif way_out == "disarm":
        context.set_armed(False)
    else:
        hand.panel.render(frame(), [order("a", "buy", BID - 5, life="filled", look="done", filled_lots=1)], None)
    hand.release(hand.point("own_buys", BID - 8))
    assert hand.moves == []
    assert hand.cancels == []


def test_a_drop_across_the_market_moves_nothing_and_says_why(hand: Hand) -> None:
    hand.panel.render(frame(), [order("a", "buy", BID - 5)], None)
    hand.panel.grab()
    hand.press(hand.point("own_buys", BID - 5))
    hand.move(hand.point("own_buys", ASK + 1), Qt.MouseButton.LeftButton)
    hand.release(hand.point("own_buys", ASK + 1))
    assert hand.moves == []
    assert hand.grid.strip.lead == "Not moved"


def test_a_right_click_on_an_own_order_cancels_it_even_while_disarmed(hand: Hand, context: PanelContext) -> None:
    context.set_armed(False)
    hand.panel.render(frame(), [order("a", "buy", BID - 5)], None)
    hand.panel.grab()
    hand.press(hand.point("own_buys", BID - 5), Qt.MouseButton.RightButton)
    assert hand.cancels == ["a"]


def test_orders_beyond_the_edge_repaint_what_counts_them_and_not_the_rows(hand: Hand, qtbot: QtBot) -> None:
    beyond = [order("a", "buy", BID - 300)]
    hand.panel.render(frame(), beyond, None)
    qtbot.waitUntil(lambda: hand.grid.painted_rows > 0, timeout=5_000)
    hand.panel.grab()
    rows = hand.grid.painted_rows
    hand.panel.render(frame(), [*beyond, order("b", "buy", BID - 301)], None)
    qtbot.waitUntil(lambda: 0 < hand.grid.painted_rows < rows / 4, timeout=5_000)


def test_only_the_rows_that_changed_are_painted_again(hand: Hand, qtbot: QtBot) -> None:
    bids = np.arange(10, dtype=np.int64) + 20
    bids[4] += 1
    hand.panel.render(frame(bid_lots=bids), [], None)
    qtbot.waitUntil(lambda: hand.grid.painted_rows == 1, timeout=5_000)


def test_cancel_buttons_count_live_orders_and_cancel_their_side(hand: Hand) -> None:
    orders = [
        order("a", "buy", BID - 5),
        order("b", "sell", ASK + 5),
        order("c", "sell", ASK + 6, look="done", life="filled"),
    ]
    other = order("x", "buy", BID - 4, account_id=8)
    hand.panel.render(frame(), [*orders, other], None)
    row = hand.panel.action_row
    assert (row.buys.text(), row.everything.text(), row.sells.text()) == ("Buys 1", "Cancel all 2", "Sells 1")
    row.sells.click()
    assert hand.cancels == ["b"]
    row.everything.click()
    assert hand.cancels == ["b", "a", "b"]


def test_another_contract_forgets_rows_and_presses(hand: Hand, context: PanelContext) -> None:
    hand.press(hand.point("bid", BID - 2))
    context.set_contract(None)
    hand.release(QPoint(85, 300))
    assert hand.drafts == []


def test_jump_keeps_still_inside_the_margin_and_centres_once_beyond_it() -> None:
    tracker = RowTracker(Tracking.JUMP, 6)
    tracker.follow(100, 101, 29, is_held=False)
    top = tracker.top_ticks
    assert not tracker.follow(104, 105, 29, is_held=False)
    assert tracker.top_ticks == top
    assert tracker.follow(110, 111, 29, is_held=False)
    assert tracker.top_ticks == 110 + 14


def test_pnl_at_a_price_is_exact_and_mirrored_for_the_short_side() -> None:
    assert pnl_at(101, Holding(3, 1_003_333, 125_000)) == 250_012
    assert pnl_at(101, Holding(-3, 1_003_333, 125_000)) == -250_012
    assert pnl_at(100, Holding(2, 1_000_000, 78_125)) == 0


@pytest.mark.parametrize(
    ("side", "ticks", "kind"),
    [("buy", 99, "limit"), ("buy", 101, "stop"), ("sell", 102, "limit"), ("sell", 100, "stop")],
)
def test_the_side_of_the_market_decides_between_limit_and_stop(side: str, ticks: int, kind: str) -> None:
    assert intent_at(side, ticks, 100, 101, wants_stop=False, wants_market=False).kind == kind


def test_two_orders_at_one_price_become_one_marker_with_the_graver_look() -> None:
    marks = build_marks([order("a", "buy", 5), order("b", "buy", 5, size_lots=2, look="unknown")], {}, {})
    mark = marks["buy", 5]
    assert (mark.head, mark.code, mark.look, mark.keys) == ("B3", "x2", "unknown", ("a", "b"))


def test_a_change_is_solid_at_the_old_price_and_a_ghost_at_the_asked_one() -> None:
    marks = build_marks([order("a", "sell", 5, look="changing", wanted_limit_ticks=8)], {}, {})
    assert marks["sell", 5].look == "changing"
    assert (marks["sell", 8].look, marks["sell", 8].code) == ("ghost", "+3 t")


def test_a_rejected_order_stays_until_it_is_clicked(hand: Hand) -> None:
    hand.panel.render(frame(), [order("a", "buy", BID - 5, look="sending", life="sent")], None)
    refused = order("a", "buy", BID - 5, look="done", life="refused")
    hand.panel.render(frame(), [refused], None)
    hand.panel.grab()
    hand.press(hand.point("own_buys", BID - 5))
    hand.panel.render(frame(), [refused], None)
    hand.panel.grab()
    hand.press(hand.point("own_buys", BID - 5), Qt.MouseButton.RightButton)
    assert hand.cancels == []


@pytest.mark.parametrize("width", [296, 400, 478, 700])
def test_columns_fill_the_width_and_never_lose_bid_price_ask(width: int) -> None:
    columns = lay_out(width)
    assert {"own_buys", "bid", "price", "ask", "own_sells"} <= columns.keys()
    assert max(c.right for c in columns.values()) == width
    assert all(a.right == b.x for a, b in zip(list(columns.values())[:-1], list(columns.values())[1:], strict=True))


def test_a_row_map_counts_downwards() -> None:
    row_map = RowMap(100, 10)
    assert (row_map.ticks_at(0), row_map.row_of(91), row_map.shows(91), row_map.shows(90)) == (100, 9, True, False)


def test_orders_at_one_price_are_listed_and_cancelled_one_by_one(hand: Hand) -> None:
    orders = [order("a", "buy", BID - 5), order("b", "buy", BID - 5, size_lots=2)]
    hand.panel.render(frame(), orders, None)
    hand.panel.grab()
    hand.press(hand.point("own_buys", BID - 5))
    menu = hand.grid._menu
    assert [action.text() for action in menu.actions()] == [
        "Cancel buy 1 limit, entry, working",
        "Cancel buy 2 limit, entry, working",
    ]
    menu.actions()[1].trigger()
    menu.close()
    assert hand.cancels == ["b"]


def test_a_book_that_is_rebuilt_gives_way_to_the_last_trade(hand: Hand) -> None:
    place = hand.point("bid", BID - 2)
    hand.panel.render(frame(book_state="building"), [], None)
    hand.panel.grab()
    assert hand.grid.strip.lead == "Rebuilding the book"
    hand.press(place)
    hand.release(place)
    assert hand.drafts == []


def drop_copy(hand: Hand, column: str, from_ticks: int, to_ticks: int) -> None:
    start, end = hand.point(column, from_ticks), hand.point(column, to_ticks)
    hand.press(start)
    hand.move(end, Qt.MouseButton.LeftButton)
    hand.release(end, keys=Qt.KeyboardModifier.ShiftModifier)


def test_a_drop_with_shift_is_a_copy_and_the_order_stays(hand: Hand) -> None:
    hand.panel.render(frame(), [order("a", "buy", BID - 2, size_lots=3, filled_lots=1)], None)
    hand.panel.grab()
    drop_copy(hand, "own_buys", BID - 2, BID - 6)
    assert hand.moves == []
    (draft,) = hand.drafts
    assert (draft.side, draft.kind, draft.size_lots, draft.limit_ticks) == ("buy", "limit", 2, BID - 6)
    assert (draft.reduce_only, draft.painted_bid_ticks) == (False, BID)


def test_the_copy_of_a_stop_only_reduces_and_that_of_a_stop_limit_keeps_its_distance(hand: Hand) -> None:
    stop = order("s", "sell", BID - 4, kind="stop", role="stop")
    bounded = order("b", "buy", 0, kind="stop_limit", stop_ticks=ASK + 3, limit_ticks=ASK + 5)
    hand.panel.render(frame(), [stop, bounded], position(1, BID * 10_000))
    hand.panel.grab()
    drop_copy(hand, "own_sells", BID - 4, BID - 7)
    drop_copy(hand, "own_buys", ASK + 3, ASK + 6)
    first, second = hand.drafts
    assert (first.kind, first.stop_ticks, first.reduce_only) == ("stop", BID - 7, True)
    assert (second.kind, second.stop_ticks, second.limit_ticks) == ("stop_limit", ASK + 6, ASK + 8)


def test_a_copy_that_is_not_allowed_or_would_trade_at_once_sends_nothing(hand: Hand, context: PanelContext) -> None:
    hand.panel.render(frame(), [order("a", "buy", BID - 2)], None)
    hand.panel.grab()
    drop_copy(hand, "own_buys", BID - 2, ASK + 2)
    assert "at once" in hand.grid.strip.lead
    context.set_blocked("market stream is lost")
    drop_copy(hand, "own_buys", BID - 2, BID - 5)
    assert (hand.drafts, hand.moves) == ([], [])


def test_a_dragged_stop_limit_takes_its_limit_along(hand: Hand) -> None:
    bounded = order("b", "buy", 0, kind="stop_limit", stop_ticks=ASK + 3, limit_ticks=ASK + 5)
    hand.panel.render(frame(), [bounded], None)
    hand.panel.grab()
    start, end = hand.point("own_buys", ASK + 3), hand.point("own_buys", ASK + 6)
    hand.press(start)
    hand.move(end, Qt.MouseButton.LeftButton)
    hand.release(end)
    assert hand.moves == [("b", {"stop_ticks": ASK + 6, "limit_ticks": ASK + 8})]


def test_the_wheel_over_an_own_order_changes_its_size_once_it_rests(hand: Hand, qtbot: QtBot) -> None:
    hand.panel.render(frame(), [order("a", "buy", BID - 2, size_lots=2, filled_lots=1)], None)
    hand.panel.grab()
    rows = hand.grid.row_map
    for notches in (1, 1, 1, -1):
        hand.turn_wheel("own_buys", BID - 2, notches)
    assert hand.moves == []
    assert "4 lots" in hand.grid.strip.lead
    qtbot.waitUntil(lambda: bool(hand.moves), timeout=5_000)
    assert hand.moves == [("a", {"size_lots": 4})]
    assert hand.grid.row_map == rows, "the grid did not scroll"
    for _ in range(9):
        hand.turn_wheel("own_buys", BID - 2, -1)
    assert "2 lots" in hand.grid.strip.lead, "never as few as have filled"
    QTest.keyClick(hand.grid, Qt.Key.Key_Escape)
    hand.turn_wheel("own_buys", BID - 2, 1)
    hand.panel.render(frame(), [], None)
    qtbot.wait(400)
    assert hand.moves == [("a", {"size_lots": 4})]


@pytest.mark.parametrize("look", ["sending", "working", "changing", "cancelling", "part_filled", "unknown", "done"])
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_every_look_paints_in_both_themes(hand: Hand, context: PanelContext, look: str, theme: str) -> None:
    context.theme.choose(theme)
    before = hand.grid.grab().toImage()
    hand.panel.render(frame(), [order("a", "buy", BID - 5)], None)
    life = "cancelled" if look == "done" else "working"
    hand.panel.render(frame(), [order("a", "buy", BID - 5, look=look, life=life, is_foreign=True)], None)
    assert hand.grid.grab().toImage() != before


@pytest.mark.parametrize(
    ("net", "banked", "even"),
    [(2, 2_500_000, 90), (2, -2_500_000, 110), (-2, 2_500_000, 110), (2, 0, None), (0, 5, None)],
)
def test_the_day_is_even_where_open_result_and_banked_cancel_out(net: int, banked: int, even: int | None) -> None:
    assert Holding(net, 1_000_000, 125_000, banked).even_ticks == even


def test_columns_and_rows_have_the_measures_of_the_picture(hand: Hand) -> None:
    theme = hand.panel.context.theme
    widths = theme.measure("ladder.column")
    assert {name: column.width for name, column in lay_out(478).items()} == {
        name: widths[name] for name in lay_out(478)
    }
    assert hand.grid.width() == 478
    row_map = hand.grid.row_map
    assert row_map is not None
    assert row_map.rows == 29
    assert hand.grid.mapTo(hand.panel, QPoint(0, 44)).y() == 124


def test_recent_trades_age_by_the_market_clock_and_start_anew_when_it_is_set_back() -> None:
    memory = PrintMemory()
    second = 1_000_000_000
    memory.note(
        frame(
            broker_time_ns=100 * second,
            trade_time_ns=np.array([100 * second], dtype=np.int64),
            trade_ticks=np.array([ASK], dtype=np.int64),
            trade_lots=np.array([1], dtype=np.int64),
            trade_is_buy=np.array([True]),
        )
    )
    assert memory.age_step(ASK, is_buy=True) == 0
    assert memory.age_step(ASK, is_buy=False) == 4
    memory.note(frame(broker_time_ns=120 * second))
    assert memory.age_step(ASK, is_buy=True) == 2
    memory.note(frame(broker_time_ns=10 * second))
    assert memory.age_step(ASK, is_buy=True) == 4


def test_the_age_of_a_silent_feed_goes_on_counting(hand: Hand, qtbot: QtBot) -> None:
    hand.panel.render(frame(is_late=True, age_ms=3_000), [], None)
    first = hand.grid.strip.lead
    qtbot.waitUntil(lambda: hand.grid.strip.lead != first, timeout=5_000)
    assert hand.grid.strip.lead.startswith("Feed 3.")


def test_a_reason_of_the_window_blocks_entries_and_is_named(hand: Hand, context: PanelContext) -> None:
    context.set_blocked("market stream down")
    hand.click("bid", BID - 2)
    assert hand.drafts == []
    assert hand.grid.strip.lead == "Market stream down"


def test_the_row_under_the_grid_is_confirmed_as_the_options_say(context: PanelContext, qtbot: QtBot) -> None:
    panel = LadderPanel(context, ConfirmOptions(close="ask", cancel="ask"))
    qtbot.addWidget(panel)
    panel.show()
    panel.render(frame(), [order("o1", "buy", BID)], position(2, BID * 10_000))
    closed: list[bool] = []
    cancelled: list[list[str]] = []
    panel.close_requested.connect(lambda: closed.append(True))
    panel.cancel_group_requested.connect(cancelled.append)
    panel.action_row.close_button.click()
    panel.action_row.everything.click()
    assert (closed, cancelled) == ([], [])
    question = panel.action_row.close_button.question.dialog
    assert question is not None
    question.answer("yes")
    asked = panel.cancel.question.dialog
    assert asked is not None
    asked.answer("no")
    assert (closed, cancelled) == ([True], [])
    panel.action_row.everything.click()
    panel.render(frame(), [], position(2, BID * 10_000))
    assert panel.cancel.question.dialog is None, "the order it asked about is gone"


def bare_panel(context: PanelContext, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> tuple[LadderPanel, list[int]]:
    """A ladder of a position of two whose one stop covers nothing, and the clock of its strip in milliseconds."""
    clock = [1_000_000]
    monkeypatch.setattr(protection, "_now_ms", lambda: clock[0])
    panel = LadderPanel(context, ConfirmOptions())
    qtbot.addWidget(panel)
    panel.resize(482, 760)
    panel.show()
    panel.offer_stop(8)
    panel.render(frame(), [], position(2, BID * 10_000))
    return panel, clock


def test_a_position_without_a_stop_is_told_after_two_seconds_and_one_press_places_it(
    context: PanelContext, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, clock = bare_panel(context, qtbot, monkeypatch)
    strip = panel.bare_strip
    assert not strip.isVisible()
    clock[0] += 2_000
    panel.render(frame(), [], position(2, BID * 10_000))
    assert strip.isVisible()
    assert (strip.text(), strip.place_button.text()) == ("No stop for 2 lots", "Place stop 8 t")
    sent: list[OrderDraft] = []
    panel.order_requested.connect(sent.append)
    strip.place_button.click()
    strip.place_button.click()
    (draft,) = sent
    assert (draft.side, draft.kind, draft.size_lots, draft.stop_ticks) == ("sell", "stop", 2, BID - 8)
    assert draft.reduce_only
    panel.render(frame(), [], None)
    assert not strip.isVisible()


def test_the_strip_of_a_bare_position_gives_way_while_an_order_is_dragged(
    context: PanelContext, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, clock = bare_panel(context, qtbot, monkeypatch)
    clock[0] += 2_000
    panel.render(frame(), [order("a", "buy", BID - 2)], position(2, BID * 10_000))
    panel.grab()
    hand = Hand(panel)
    start, end = hand.point("own_buys", BID - 2), hand.point("own_buys", BID - 5)
    hand.press(start)
    hand.move(end, Qt.MouseButton.LeftButton)
    assert not panel.bare_strip.isVisible()
    hand.release(start)
    assert panel.bare_strip.isVisible()


def test_quiet_lasts_until_the_position_is_another_one(
    context: PanelContext, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel, clock = bare_panel(context, qtbot, monkeypatch)
    clock[0] += 2_000
    panel.render(frame(), [], position(2, BID * 10_000))
    panel.bare_strip.quiet_button.click()
    panel.render(frame(), [], position(2, BID * 10_000))
    assert not panel.bare_strip.isVisible()
    panel.render(frame(), [], position(3, BID * 10_000))
    assert panel.bare_strip.isVisible()


@pytest.mark.parametrize(
    ("net", "average", "stop"),
    [(2, BID - 4, BID - 12), (2, BID + 20, BID - 8), (-1, ASK, ASK + 8), (-1, ASK - 9, ASK + 8)],
)
def test_the_offered_stop_is_never_on_the_wrong_side_of_the_market(net: int, average: int, stop: int) -> None:
    offered = protection.bare_of(position(net, average * 10_000), frame(), 8)
    assert offered is not None
    assert offered.stop_ticks == stop
