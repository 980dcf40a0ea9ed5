"""The chart by what a person sees and does: handles, drags, following, scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from app.domain import BarFrame, Position
from tests.ui.test_ladder import ASK, BID, ES, frame, order
from ui.bridge import OrderDraft
from ui.charting.axes import PlacedTag, Tag, countdown_top
from ui.charting.interval import INTERVALS, Interval
from ui.charting.overlays import Handle, PlacedHandle, order_handles
from ui.formatting import chicago
from ui.painting import AccountView, PanelContext
from ui.panels.chart import ChartPanel
from ui.theme import Theme

MINUTE_NS = 60_000_000_000
START_NS = 1_795_100_400 * 1_000_000_000


def bars(first: int, count: int, *, last_close: int = ASK, unit: str = "minute", number: int = 1) -> BarFrame:
    """Bars first..count-1 of a quiet market; the last one forms."""
    index = np.arange(first, count, dtype=np.int64)
    close = ASK + index % 7 - 3
    close[-1] = last_close
    opened = ASK + (index - 1) % 7 - 3
    return BarFrame(
        contract=3, unit=unit, number=number, revision=1, first_changed=first, count=count,
        time_ns=START_NS + index * MINUTE_NS, open_ticks=opened, high_ticks=np.maximum(opened, close) + 1,
        low_ticks=np.minimum(opened, close) - 1, close_ticks=close, volume_lots=index % 50 + 10, is_forming=True,
        is_loading=False,
    )  # fmt: skip


def long_two() -> Position:
    return Position(
        account_id=7, contract=3, contract_id=ES.id, net_lots=2, average_ticks_1e4=(BID - 1) * 10_000, mark_ticks=ASK,
        open_pnl_1e4=500_000, realised_1e4=0, fees_1e4=0, stop_lots=2, target_lots=2, unprotected_lots=0, source="push",
        checked_ns=0, broker_net_lots=2, is_disputed=False,
    )  # fmt: skip


class Hand:
    def __init__(self, panel: ChartPanel) -> None:
        self.panel, self.view = panel, panel.view
        self.moves: list[tuple[str, dict[str, int]]] = []
        self.cancels: list[str] = []
        panel.modify_requested.connect(self._on_move)
        panel.cancel_requested.connect(self.cancels.append)

    def _on_move(self, key: str, changes: dict[str, int]) -> None:
        self.moves.append((key, changes))

    def handle(self, key: str) -> PlacedHandle:
        self.panel.grab()
        item = self.view.handle_of(key)
        assert item is not None
        return item

    def send(self, kind: QEvent.Type, place: QPointF, held: Qt.MouseButton = Qt.MouseButton.LeftButton) -> None:
        button = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else Qt.MouseButton.LeftButton
        QApplication.sendEvent(self.view, QMouseEvent(kind, place, place, button, held, Qt.KeyboardModifier.NoModifier))

    def drag(self, start: QPointF, end: QPointF, *, is_dropped: bool = True) -> None:
        self.send(QEvent.Type.MouseButtonPress, start)
        for share in (0.3, 0.7, 1.0):
            self.send(QEvent.Type.MouseMove, start + (end - start) * share)
        if is_dropped:
            self.send(QEvent.Type.MouseButtonRelease, end, Qt.MouseButton.NoButton)


@pytest.fixture
def context(qtbot: QtBot) -> PanelContext:
    context = PanelContext(Theme(), "chart-1")
    context.set_account(AccountView(7, "practice", "PRACTICE", "Sandbox", "PRAC-2201"))
    context.set_contract(ES)
    context.set_armed(True)
    return context


@pytest.fixture
def hand(context: PanelContext, qtbot: QtBot) -> Hand:
    panel = ChartPanel(context)
    qtbot.addWidget(panel)
    panel.resize(926, 760)
    panel.show()
    panel.render(frame(), bars(0, 300), [], None)
    panel.grab()
    return Hand(panel)


def moved_by(hand: Hand, item: PlacedHandle, ticks: int) -> tuple[QPointF, QPointF]:
    start = QPointF(item.box.left() + 20, item.box.center().y())
    per_tick = hand.view.view.y_of(0) - hand.view.view.y_of(1)
    return start, start - QPointF(0, ticks * per_tick)


def test_dragging_a_handle_sends_one_change_at_the_drop(hand: Hand) -> None:
    hand.panel.render(frame(), None, [order("a", "buy", BID - 3)], None)
    start, end = moved_by(hand, hand.handle("a"), -2)
    hand.drag(start, end, is_dropped=False)
    assert hand.moves == []
    hand.send(QEvent.Type.MouseButtonRelease, end, Qt.MouseButton.NoButton)
    assert hand.moves == [("a", {"limit_ticks": BID - 5})]


def test_escape_during_a_drag_sends_nothing(hand: Hand) -> None:
    hand.panel.render(frame(), None, [order("a", "buy", BID - 3)], None)
    start, end = moved_by(hand, hand.handle("a"), -2)
    hand.drag(start, end, is_dropped=False)
    QTest.keyClick(hand.view, Qt.Key.Key_Escape)
    hand.send(QEvent.Type.MouseButtonRelease, end, Qt.MouseButton.NoButton)
    assert hand.moves == []


def test_a_drop_across_the_market_sends_nothing(hand: Hand) -> None:
    hand.panel.render(frame(), None, [order("a", "buy", BID - 3)], None)
    start, end = moved_by(hand, hand.handle("a"), 5)
    hand.drag(start, end)
    assert hand.moves == []


def test_the_cross_of_a_handle_cancels_even_while_disarmed(hand: Hand, context: PanelContext) -> None:
    context.set_armed(False)
    hand.panel.render(frame(), None, [order("a", "buy", BID - 3)], None)
    hand.send(QEvent.Type.MouseButtonPress, hand.handle("a").close_box.center())
    assert hand.cancels == ["a"]


def test_an_order_filled_during_a_drag_is_not_moved(hand: Hand) -> None:
    hand.panel.render(frame(), None, [order("a", "buy", BID - 3)], None)
    start, end = moved_by(hand, hand.handle("a"), -2)
    hand.drag(start, end, is_dropped=False)
    hand.panel.render(frame(), None, [order("a", "buy", BID - 3, look="done", life="filled", filled_lots=1)], None)
    hand.send(QEvent.Type.MouseButtonRelease, end, Qt.MouseButton.NoButton)
    assert hand.moves == []


def test_a_tick_repaints_the_forming_bar_but_not_the_history(hand: Hand) -> None:
    painted = hand.view.history_paints
    for close in (ASK + 1, ASK - 1, ASK + 2):
        hand.panel.render(frame(), bars(299, 300, last_close=close), [], None)
        hand.panel.grab()
    assert hand.view.history_paints == painted
    hand.panel.render(frame(), bars(299, 301), [], None)
    hand.panel.grab()
    assert hand.view.history_paints == painted + 1


def test_the_newest_bar_is_followed(hand: Hand) -> None:
    x = hand.view.view.x_of(299)
    hand.panel.render(frame(), bars(299, 305), [], None)
    assert hand.view.view.x_of(304) == pytest.approx(x)


def test_a_view_scrolled_back_stays_and_counts_new_bars(hand: Hand) -> None:
    hand.drag(QPointF(300, 300), QPointF(800, 300))
    before = hand.view.view
    hand.panel.render(frame(), bars(299, 304), [], None)
    assert hand.view.view == before
    assert hand.view.new_bars == 4
    QTest.keyClick(hand.view, Qt.Key.Key_End)
    assert hand.view.is_following
    assert hand.view.new_bars == 0


def test_the_wheel_zooms_around_the_pointer(hand: Hand) -> None:
    place = QPointF(300, 300)
    bar = hand.view.view.bar_at(300)
    event = QWheelEvent(
        place, place, QPointF(0, 0).toPoint(), QPointF(0, 240).toPoint(), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    pitch = hand.view.view.pitch
    QApplication.sendEvent(hand.view, event)
    assert hand.view.view.pitch > pitch
    assert hand.view.view.bar_at(300) == pytest.approx(bar)


def test_the_scale_rests_until_a_price_leaves_it(hand: Hand) -> None:
    before = (hand.view.view.top_ticks, hand.view.view.bottom_ticks)
    hand.panel.render(frame(), bars(299, 300, last_close=ASK + 2), [], None)
    assert (hand.view.view.top_ticks, hand.view.view.bottom_ticks) == before
    hand.panel.render(frame(), bars(299, 300, last_close=ASK + 60), [], None)
    assert hand.view.view.top_ticks > ASK + 60


def test_no_scale_changes_while_a_hand_drags(hand: Hand) -> None:
    hand.send(QEvent.Type.MouseButtonPress, QPointF(300, 300))
    before = hand.view.view
    hand.panel.render(frame(), bars(299, 302, last_close=ASK + 60), [], None)
    assert hand.view.view == before


def test_another_interval_is_asked_for_and_old_bars_vanish(hand: Hand) -> None:
    asked: list[tuple[str, int]] = []

    def note(unit: str, number: int) -> None:
        asked.append((unit, number))

    hand.panel.interval_changed.connect(note)
    hand.panel.set_interval("minute", 5)
    assert asked == [("minute", 5)]
    assert hand.view.series.count == 0
    hand.panel.render(frame(), bars(0, 50), [], None)
    assert hand.view.series.count == 0
    hand.panel.render(frame(), bars(0, 50, number=5), [], None)
    assert hand.view.series.count == 50


def test_intervals_go_from_one_second_to_one_day() -> None:
    assert [i.text for i in INTERVALS] == [
        "1 s", "5 s", "15 s", "30 s", "1 min", "3 min", "5 min", "15 min", "30 min", "1 h", "4 h", "1 d",
    ]  # fmt: skip
    assert Interval("hour", 4).seconds == 14_400


def texts(handle: Handle) -> list[str]:
    return [handle.head, *(text for text, _style in handle.cells)]


def test_a_handle_says_role_ticks_and_dollars_from_the_average() -> None:
    orders = [
        order("t", "sell", BID + 9, role="target"),
        order("s", "sell", BID - 9, role="stop", kind="stop", size_lots=2),
        order("b", "buy", BID - 3),
    ]
    target, stop, entry, position = order_handles(orders, long_two(), ES, ASK, {})
    assert texts(target) == ["S 1", "Target", "+10 t", "+$125.00"]
    assert texts(stop) == ["S 2", "Stop", "\u22128 t", "\u2212$200.00"]
    assert texts(entry) == ["B 1", "Limit", "\u22124 t", "adds"]
    assert texts(position) == ["Long 2", "+2 t", "\u25b2 +$50.00"]


def test_a_change_under_way_has_a_ghost_with_its_age_after_300_ms() -> None:
    changing = order("t", "sell", BID + 9, look="changing", wanted_limit_ticks=BID + 12)
    ghosts = [h for h in order_handles([changing], None, ES, ASK, {"t": 200}) if h.look == "ghost"]
    assert texts(ghosts[0]) == ["S 1", "to 7865.00", "+3 t"]
    ghosts = [h for h in order_handles([changing], None, ES, ASK, {"t": 450}) if h.look == "ghost"]
    assert texts(ghosts[0])[1] == "changing, 450 ms"


def test_orders_out_of_view_are_counted_at_the_edge(hand: Hand) -> None:
    far = order("far", "sell", ASK + 4_000)
    hand.panel.render(frame(), None, [far], None)
    hand.panel.grab()
    (chip,) = hand.view._chips()
    assert chip[1] == "1 at 8862.25"
    hand.send(QEvent.Type.MouseButtonPress, chip[0].center())
    hand.panel.grab()
    assert hand.view._chips() == []


@pytest.mark.parametrize("look", ["sending", "working", "changing", "cancelling", "part_filled", "unknown"])
def test_every_look_paints(hand: Hand, look: str) -> None:
    hand.panel.render(frame(), None, [order("a", "buy", BID - 3, look=look, is_foreign=True)], long_two())
    assert hand.handle("a").handle.look == look


def test_a_click_drafts_an_order_that_only_enter_sends(hand: Hand) -> None:
    sent: list[OrderDraft] = []
    hand.panel.order_requested.connect(sent.append)
    y = hand.view.view.y_of(BID - 4)
    hand.send(QEvent.Type.MouseButtonPress, QPointF(200, y))
    hand.send(QEvent.Type.MouseButtonRelease, QPointF(200, y), Qt.MouseButton.NoButton)
    assert sent == []
    assert hand.handle("draft").handle.head == "B 1"
    QTest.keyClick(hand.view, Qt.Key.Key_Return)
    (draft,) = sent
    assert (draft.side, draft.kind, draft.limit_ticks, draft.source) == ("buy", "limit", BID - 4, "chart-1")
    assert hand.view.draft is None


def test_escape_discards_a_draft(hand: Hand) -> None:
    sent: list[OrderDraft] = []
    hand.panel.order_requested.connect(sent.append)
    y = hand.view.view.y_of(ASK + 4)
    hand.send(QEvent.Type.MouseButtonPress, QPointF(200, y))
    hand.send(QEvent.Type.MouseButtonRelease, QPointF(200, y), Qt.MouseButton.NoButton)
    assert hand.view.draft is not None
    assert hand.view.draft.kind == "stop"
    QTest.keyClick(hand.view, Qt.Key.Key_Escape)
    QTest.keyClick(hand.view, Qt.Key.Key_Return)
    assert sent == []


def test_a_disarmed_click_drafts_nothing_and_says_so(hand: Hand, context: PanelContext) -> None:
    context.set_armed(False)
    notes: list[str] = []
    hand.view.note_changed.connect(notes.append)
    hand.send(QEvent.Type.MouseButtonPress, QPointF(200, 300))
    hand.send(QEvent.Type.MouseButtonRelease, QPointF(200, 300), Qt.MouseButton.NoButton)
    assert hand.view.draft is None
    assert notes == ["Disarmed: click does nothing"]


def test_another_account_keeps_the_bars_and_forgets_the_orders(hand: Hand, context: PanelContext) -> None:
    hand.panel.render(frame(), None, [order("a", "buy", BID - 3)], long_two())
    context.set_account(AccountView(8, "combine", "COMBINE", "Alpha", "50KTC-4471"))
    hand.panel.grab()
    assert hand.view.series.count == 300
    assert hand.view._placed == []


def test_following_keeps_the_newest_bar_where_a_hand_has_put_it(hand: Hand) -> None:
    hand.drag(QPointF(600, 300), QPointF(450, 300))
    assert hand.view.is_following
    x = hand.view.view.x_of(299)
    hand.panel.render(frame(), bars(299, 301), [], None)
    assert hand.view.view.x_of(300) == pytest.approx(x)


def test_a_day_bar_is_named_by_its_trading_day(hand: Hand) -> None:
    hand.panel.set_interval("day", 1)
    sunday_evening = np.array([1_795_388_400 * 1_000_000_000], dtype=np.int64)
    assert chicago(int(sunday_evening[0])).strftime("%a %H") == "Sun 17"
    assert chicago(int(hand.view._dated(sunday_evening)[0])).strftime("%a") == "Mon"


def test_older_bars_that_come_late_do_not_move_the_view(hand: Hand) -> None:
    hand.drag(QPointF(300, 300), QPointF(800, 300))
    shown = hand.view.series.bars.time_ns[round(hand.view.view.bar_at(100))]
    late = bars(-200, 300)
    hand.panel.render(frame(), BarFrame(**{**_columns(late), "first_changed": 0, "count": 500}), [], None)
    assert hand.view.series.count == 500
    assert hand.view.series.bars.time_ns[round(hand.view.view.bar_at(100))] == shown
    assert hand.view.new_bars == 0


def _columns(bars: BarFrame) -> dict[str, Any]:
    names = ("contract", "unit", "number", "revision", "time_ns", "open_ticks", "high_ticks", "low_ticks")
    more = ("close_ticks", "volume_lots", "is_forming", "is_loading")
    return {name: getattr(bars, name) for name in names + more}


def test_a_frame_that_changes_only_the_book_paints_nothing(hand: Hand, qtbot: QtBot) -> None:
    paints: list[QEvent.Type] = []

    class Watch(QObject):
        def eventFilter(self, _watched: QObject, event: QEvent) -> bool:
            if event.type() == QEvent.Type.Paint:
                paints.append(event.type())
            return False

    watch = Watch()
    hand.panel.render(frame(), None, [], None)
    hand.panel.grab()
    hand.view.installEventFilter(watch)
    hand.panel.render(frame(bid_lots=np.arange(10, dtype=np.int64) + 90), None, [], None)
    QApplication.sendPostedEvents()
    assert paints == []
    hand.panel.render(frame(last_ticks=ASK + 1), None, [], None)
    qtbot.waitUntil(lambda: paints != [], timeout=5_000)


def test_the_countdown_stands_where_no_tag_covers_it() -> None:
    last = PlacedTag(Tag(ASK, "7862.25", "light", rank=0), 200, 200)
    below = PlacedTag(Tag(BID - 3, "7861.25", "filled", "buy"), 218, 218)
    above = PlacedTag(Tag(ASK + 3, "7863.00", "filled", "sell"), 182, 182)
    assert countdown_top([last]) == 209
    assert countdown_top([last, below]) == 176
    assert countdown_top([last, below, above]) is None
