"""The painted chart: closed bars once per view into a pixmap, the forming bar and everything that moves on top of it.

A tick repaints one bar: grid, closed bars and axes are kept until the view, the theme or the closed bars change. Prices
under the pointer come from the view that is on the screen. No scale changes during a drag.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QFocusEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPixmap, QResizeEvent, QWheelEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from ui.bridge import OrderDraft
from ui.charting.axes import (
    PRICE_AXIS,
    TIME_AXIS,
    Tag,
    countdown_top,
    draw_countdown,
    draw_grid,
    draw_price_axis,
    draw_price_labels,
    draw_tags,
    draw_time_axis,
    draw_time_tag,
    future_labels,
    grid_prices,
    place_tags,
    price_labels,
    time_labels,
)
from ui.charting.bars import I64, BarSeries
from ui.charting.candles import STROKE_BELOW_PITCH, draw_bars, visible_volume
from ui.charting.fills import FillMark, draw_fills, fill_marks
from ui.charting.interval import Interval
from ui.charting.legend import chip_box, draw_chip, draw_legend, draw_vwap_legend
from ui.charting.lettering import Lettering
from ui.charting.overlays import (
    Handle,
    PlacedHandle,
    beyond,
    draw_handles,
    draw_zones,
    handle_tags,
    order_handles,
    place_handles,
)
from ui.charting.sessions import REGULAR_HOURS, draw_openings, draw_sessions, outside_runs
from ui.charting.standing import crosses_market, price_change, working_price
from ui.charting.viewport import DEFAULT_PITCH, Viewport, auto_range, needs_rescale
from ui.charting.vwap import Vwap, draw_vwap, first_whole_bar, vwap_of
from ui.formatting import chicago, price_text, ticks_text
from ui.painting import PanelContext, dash_pen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain import BarFrame, Fill, MarketFrame, Order, Position

# The two lines of the legend at the top left, at their widest.
_LEGEND_WIDTH, _LEGEND_BOTTOM = 440, 46
_DRAG_START_PX = 4
_ZOOM_STEP = 1.15
_DRAFT_KEY = "draft"
_EVENING_NS = 7 * 3_600 * 1_000_000_000
_DAY_NS = 24 * 3_600 * 1_000_000_000
_DRAGGABLE = ("working", "changing", "part_filled", "ghost")


@dataclass(slots=True)
class Grip:
    """What a held button moves: the plot, the price axis, the time axis, or the order `key`."""

    what: str
    origin: QPointF
    start: Viewport
    key: str = ""
    from_ticks: int = 0
    over_ticks: int | None = None
    is_sell: bool = False
    has_moved: bool = False


@dataclass(slots=True)
class Draft:
    """An order that exists only on this chart until Enter or its check cell sends it."""

    side: str
    kind: str
    ticks: int


class ChartView(QWidget):
    """Bars, orders and position of one contract. `show_market` in, requests out."""

    order_requested = Signal(object)
    modify_requested = Signal(str, dict)
    cancel_requested = Signal(str)
    draft_changed = Signal()
    note_changed = Signal(str)

    def __init__(self, context: PanelContext, interval: Interval, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._letters = Lettering(context.theme)
        self.interval = interval
        self.series = BarSeries()
        self.view = Viewport()
        self.is_following = True
        self.is_auto = True
        self.new_bars = 0
        self._version = 0
        self._history: QPixmap | None = None
        self._history_key: tuple[object, ...] = ()
        self._top_volume = 1
        self._seen: tuple[object, ...] = ()
        self._axis_labels: list[tuple[int, str]] = []
        self._frame: MarketFrame | None = None
        self._orders: list[Order] = []
        self._position: Position | None = None
        self._fills: tuple[FillMark, ...] = ()
        self._given_fills: Sequence[Fill] = ()
        self._vwap: tuple[int, Vwap] | None = None
        self._handles: list[Handle] = []
        self._placed: list[PlacedHandle] = []
        self._since_ms: dict[str, tuple[str, int]] = {}
        self._pointer: QPointF | None = None
        self._grip: Grip | None = None
        self.lots = 1
        self.draft: Draft | None = None
        self.history_paints = 0
        self._set_up()
        context.theme.changed.connect(self._on_theme_changed)
        context.changed.connect(self._on_context_changed)

    def _set_up(self) -> None:
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(360, 200)
        self.setAccessibleName("Price chart")

    # data in

    def show_market(
        self,
        frame: MarketFrame | None,
        bars: BarFrame | None,
        orders: Sequence[Order],
        position: Position | None,
        fills: Sequence[Fill] = (),
    ) -> None:
        """Take a frame, changed bars (None: unchanged), our orders, the position and our executions."""
        contract, account = self._context.contract, self._context.account
        self._frame, self._position = frame, position
        if fills is not self._given_fills:
            self._given_fills = fills
            self._fills = fill_marks(fills, contract.index, account.account_id) if contract and account else ()
        self._orders = [
            order
            for order in orders
            if contract is not None
            and account is not None
            and order.contract == contract.index
            and order.account_id == account.account_id
        ]
        if bars is not None:
            self._take_bars(bars)
        self._note_waiting()
        self._drop_dead_grip()
        self._work_out_handles()
        last = frame.last_ticks if frame is not None else None
        seen = (last, tuple(self._handles), self._countdown(), self._fills)
        if bars is not None or seen != self._seen:
            # Most frames change only the book, which a chart does not show.
            self._seen = seen
            self.update()

    def _take_bars(self, bars: BarFrame) -> None:
        before = self.series.count
        if (bars.unit, bars.number) != (self.interval.unit, self.interval.number) or bars.first_changed > before:
            return
        newest_ns = int(self.series.bars.time_ns[-1]) if before else 0
        first = self.series.apply(bars)
        grown = self.series.count - before
        if first < before - 1 or grown != 0 or before == 0:
            self._version += 1
        if before == 0:
            self.view = self.view.following(self.series.count)
        elif grown:
            self._move_on(grown, newest_ns, before)
        if self._grip is None and self.is_auto and (grown or before == 0 or self._price_left_view()):
            self._rescale()

    def _move_on(self, grown: int, newest_ns: int, before: int) -> None:
        """Older bars that came late push the view along with theirs; newer ones are followed or counted."""
        inserted = int(self.series.bars.time_ns.searchsorted(newest_ns)) - (before - 1)
        added = grown - inserted
        self.view = self.view.advanced(inserted)
        if self._grip is not None:
            self._grip.start = self._grip.start.advanced(inserted)
        if self.is_following and self._grip is None:
            self.view = self.view.advanced(added)
        elif not self.is_following and added > 0:
            self.new_bars += added

    def _price_left_view(self) -> bool:
        bars = self.series.bars
        if bars.size == 0 or not self.view.shows_bar(bars.size - 1):
            return False
        return needs_rescale(self.view, float(bars.low_ticks[-1]), float(bars.high_ticks[-1]))

    def _rescale(self) -> None:
        first, last = self.view.visible(self.series.count)
        bars = self.series.bars
        found = auto_range(bars.low_ticks[first:last], bars.high_ticks[first:last], self.view.height)
        if found is not None:
            self.view = self.view.with_range(*found)

    def clear(self) -> None:
        """Forget bars, orders and drags: another contract, account or interval follows."""
        self.series.clear()
        self._version += 1
        self._frame, self._position, self._orders, self._handles = None, None, [], []
        self._fills, self._given_fills, self._vwap = (), (), None
        self._grip, self.draft = None, None
        self.is_following, self.is_auto, self.new_bars = True, True, 0
        self.update()

    def forget_own(self) -> None:
        """Another account follows: its orders and position are not ours, the bars are."""
        self._position, self._orders, self._handles, self._fills = None, [], [], ()
        self._given_fills = ()
        self._grip, self.draft = None, None
        self.update()

    def set_interval(self, interval: Interval) -> None:
        """Show another interval; bars of the old one are forgotten at once."""
        if interval != self.interval:
            self.interval = interval
            orders, position, frame = self._orders, self._position, self._frame
            self.clear()
            self._orders, self._position, self._frame = orders, position, frame

    def _note_waiting(self) -> None:
        now = time.monotonic_ns() // 1_000_000
        kept = {}
        for order in self._orders:
            look, since = self._since_ms.get(order.key, ("", now))
            kept[order.key] = (order.look, since if look == order.look else now)
        self._since_ms = kept

    def _work_out_handles(self) -> None:
        contract = self._context.contract
        if contract is None:
            self._handles = []
            return
        now = time.monotonic_ns() // 1_000_000
        waited = {key: now - since for key, (_look, since) in self._since_ms.items()}
        last = self._frame.last_ticks if self._frame is not None else None
        self._handles = order_handles(self._orders, self._position, contract, last, waited)
        if self.draft is not None:
            self._handles.append(self._draft_handle(self.draft, last))
        grip = self._grip
        if grip is not None and grip.what == "order" and grip.over_ticks not in {None, grip.from_ticks}:
            self._handles.append(self._drag_handle(grip))

    def _drag_handle(self, grip: Grip) -> Handle:
        assert grip.over_ticks is not None, "a ghost exists only over a price"
        order = next(o for o in self._orders if o.key == grip.key)
        contract = self._context.contract
        assert contract is not None, "an order is dragged only on a contract"
        left = order.size_lots - order.filled_lots
        cells = (
            (price_text(grip.over_ticks, contract), "role"),
            (ticks_text(grip.over_ticks - grip.from_ticks), "ticks"),
        )
        head = f"{order.side[0].upper()} {left}"
        return Handle("", order.side, "ghost", grip.over_ticks, head, cells, order.role == "entry", order.created_ns)

    def _draft_handle(self, draft: Draft, last: int | None) -> Handle:
        cells = [(f"{draft.kind.capitalize()} draft", "role")]
        if last is not None:
            cells.append((ticks_text(draft.ticks - last), "ticks"))
        head = f"{draft.side[0].upper()} {self.lots}"
        return Handle(_DRAFT_KEY, draft.side, "draft", draft.ticks, head, tuple(cells), is_entry=True)

    def set_lots(self, lots: int) -> None:
        """Size of the next order from this chart."""
        self.lots = lots
        self._work_out_handles()
        self.update()

    def discard_draft(self) -> None:
        """Forget the draft; nothing was sent."""
        if self.draft is not None:
            self.draft = None
            self._work_out_handles()
            self.draft_changed.emit()
            self.update()

    def _place_draft(self, y: float, *, is_sell: bool) -> None:
        """One draft at the price under the pointer: left buys, right sells; the market's side decides limit or stop."""
        refusal = self._refusal()
        if refusal:
            self.note_changed.emit(refusal)
            return
        ticks, frame = self.view.tick_at(y), self._frame
        bid, ask = (frame.best_bid_ticks, frame.best_ask_ticks) if frame is not None else (None, None)
        side, reference = ("sell", bid) if is_sell else ("buy", ask)
        if reference is None:
            self.note_changed.emit("No market on that side: nothing placed")
            return
        is_stop = ticks <= reference if is_sell else ticks >= reference
        self.draft = Draft(side, "stop" if is_stop else "limit", ticks)
        self._work_out_handles()
        self.draft_changed.emit()
        self.update()

    def _refusal(self) -> str:
        """Why no order may start here, or an empty text."""
        context, frame = self._context, self._frame
        if not context.can_enter:
            return context.blocked_reason or ("Locked" if context.is_locked else "Disarmed: click does nothing")
        if frame is None or frame.is_late or frame.book_state != "live":
            return "Market data cannot be trusted now: entries blocked"
        if self.lots > context.max_order_lots:
            return f"Over limit: {context.max_order_lots} lots an order, this is {self.lots}"
        return ""

    def send_draft(self) -> None:
        """Ask for the order that the draft shows."""
        draft, refusal = self.draft, self._refusal()
        contract, account = self._context.contract, self._context.account
        if draft is None or contract is None or account is None:
            return
        if refusal:
            self.note_changed.emit(refusal)
            return
        frame = self._frame
        self.order_requested.emit(
            OrderDraft(
                account_id=account.account_id,
                contract_id=contract.id,
                side=draft.side,
                kind=draft.kind,
                size_lots=self.lots,
                source=self._context.source,
                limit_ticks=draft.ticks if draft.kind == "limit" else None,
                stop_ticks=draft.ticks if draft.kind == "stop" else None,
                painted_bid_ticks=frame.best_bid_ticks if frame is not None else None,
                painted_ask_ticks=frame.best_ask_ticks if frame is not None else None,
                pressed_mono_ns=time.monotonic_ns(),
            )
        )
        self.discard_draft()

    # view

    def _plot_size(self) -> tuple[int, int]:
        return max(1, self.width() - PRICE_AXIS), max(1, self.height() - TIME_AXIS)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.view = self.view.resized(*self._plot_size())
        if self.is_following:
            self.view = self.view.following(self.series.count)
        if self.is_auto:
            self._rescale()

    def follow(self) -> None:
        """Go to the newest bar and stay with it."""
        self.is_following, self.new_bars = True, 0
        self.view = self.view.following(self.series.count)
        self._settle()

    def _look(self, view: Viewport) -> None:
        """Take a view that a hand chose; following ends when the newest bar leaves, returns when it is back."""
        self.view = view
        newest = self.series.count - 1
        self.is_following = view.shows_bar(newest) and view.x_of(newest) <= view.width - 12
        if self.is_following:
            self.new_bars = 0
        self.update()

    def _settle(self) -> None:
        if self.is_auto:
            self._rescale()
        self.update()

    # hands

    def wheelEvent(self, event: QWheelEvent) -> None:
        notches = (event.angleDelta().y() or event.angleDelta().x()) / 120
        if notches == 0 or self._grip is not None:
            return
        factor, position = _ZOOM_STEP**notches, event.position()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier or position.x() > self.view.width:
            self.is_auto = False
            self._look(self.view.zoomed_price(factor, min(position.y(), self.view.height)))
        else:
            self._look(self.view.zoomed_time(factor, min(position.x(), self.view.width)))
            self._settle()
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        position = event.position()
        self._pointer = position
        if self._grip is not None:
            self._let_go("Drag given up")
            return
        is_sell = event.button() == Qt.MouseButton.RightButton
        if event.button() == Qt.MouseButton.MiddleButton:
            self.follow()
            return
        if is_sell and self._press_right(position):
            return
        if not is_sell and (self._press_handle(position) or self._press_chip(position)):
            return
        what = "plot"
        if position.x() > self.view.width:
            what = "price"
        elif position.y() > self.view.height:
            what = "time"
        self._grip = Grip(what, position, self.view, is_sell=is_sell)

    def _press_right(self, position: QPointF) -> bool:
        item = self._handle_at(position)
        if item is None:
            return False
        self._cancel(item.handle.key)
        return True

    def _cancel(self, key: str) -> None:
        if key == _DRAFT_KEY:
            self.discard_draft()
        elif key:
            self.cancel_requested.emit(key)

    def _press_handle(self, position: QPointF) -> bool:
        item = self._handle_at(position)
        if item is None or not item.handle.key:
            return item is not None
        if item.handle.has_close and item.close_box.contains(position):
            self._cancel(item.handle.key)
            return True
        if item.handle.key == _DRAFT_KEY:
            if item.check_box.contains(position):
                self.send_draft()
            else:
                self._grip = Grip("draft", position, self.view, from_ticks=item.handle.ticks)
            return True
        order = next((o for o in self._orders if o.key == item.handle.key), None)
        price = working_price(order) if order is not None else None
        if item.handle.look in _DRAGGABLE and price is not None:
            self._grip = Grip("order", position, self.view, item.handle.key, price)
        return True

    def _press_chip(self, position: QPointF) -> bool:
        for box, _text, arrow, ticks in self._chips():
            if box.contains(position):
                if arrow == "newest":
                    self.follow()
                else:
                    self.is_auto = False
                    half = (self.view.top_ticks - self.view.bottom_ticks) / 2
                    self._look(self.view.with_range(ticks - half, ticks + half))
                return True
        return False

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        position = event.position()
        self._pointer = position
        grip = self._grip
        if grip is None:
            over = self._handle_at(position)
            is_grip = (
                over is not None
                and over.handle.look in (*_DRAGGABLE, "draft")
                and not over.close_box.contains(position)
            )
            self.setCursor(Qt.CursorShape.OpenHandCursor if is_grip else Qt.CursorShape.CrossCursor)
            self.update()
            return
        moved = position - grip.origin
        grip.has_moved = grip.has_moved or moved.manhattanLength() >= _DRAG_START_PX
        if not grip.has_moved:
            return
        if grip.what == "order":
            self._drag_order(grip, position)
        elif grip.what == "draft" and self.draft is not None:
            self.draft.ticks = self.view.tick_at(self.view.y_of(grip.from_ticks) + moved.y())
            self._work_out_handles()
            self.update()
        elif grip.what == "plot":
            self._look(grip.start.panned(moved.x(), 0.0 if self.is_auto else moved.y()))
        elif grip.what == "price":
            self.is_auto = False
            self._look(grip.start.zoomed_price(1.005 ** -moved.y(), self.view.height / 2))
        else:
            self._look(grip.start.zoomed_time(1.005 ** moved.x(), self.view.width))

    def _drag_order(self, grip: Grip, position: QPointF) -> None:
        self.setCursor(Qt.CursorShape.ClosedHandCursor)
        offset = position.y() - grip.origin.y()
        grip.over_ticks = self.view.tick_at(self.view.y_of(grip.from_ticks) + offset)
        self._work_out_handles()
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        grip, self._grip = self._grip, None
        self._pointer = event.position()
        if grip is not None and grip.what == "order":
            self._drop(grip, is_meant=bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier))
            self._work_out_handles()
        elif grip is not None and grip.what == "plot" and not grip.has_moved:
            self._place_draft(event.position().y(), is_sell=grip.is_sell)
        elif grip is not None and grip.what == "draft":
            self._settle_draft()
        elif grip is not None:
            self._settle()
        self.unsetCursor()
        self.update()

    def _settle_draft(self) -> None:
        """A dragged draft stays what it is called: across the market a limit becomes a stop and the other way."""
        draft = self.draft
        if draft is not None:
            y = self.view.y_of(draft.ticks)
            self._place_draft(y, is_sell=draft.side == "sell")

    def _drop(self, grip: Grip, *, is_meant: bool) -> None:
        order = next((o for o in self._orders if o.key == grip.key), None)
        if order is None or grip.over_ticks is None or grip.over_ticks == grip.from_ticks:
            return
        frame = self._frame
        bid, ask = (frame.best_bid_ticks, frame.best_ask_ticks) if frame is not None else (None, None)
        if crosses_market(order, grip.over_ticks, bid, ask) and not is_meant:
            self.note_changed.emit("Not moved: the drop would trade at once; hold Ctrl to mean it")
            return
        self.modify_requested.emit(order.key, price_change(order, grip.over_ticks))

    def _let_go(self, why: str) -> None:
        grip, self._grip = self._grip, None
        if grip is None:
            return
        self.unsetCursor()
        if grip.what == "order":
            self.note_changed.emit(f"{why}: the order stays where it is")
            self._work_out_handles()
        self.update()

    def _drop_dead_grip(self) -> None:
        grip = self._grip
        if grip is None or grip.what != "order":
            return
        order = next((o for o in self._orders if o.key == grip.key), None)
        if order is None or order.look in {"done", "cancelling"}:
            self._let_go("Filled while held" if order is not None and order.life == "filled" else "Gone while held")

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        position = event.position()
        if position.x() > self.view.width:
            self.is_auto = True
            self._settle()
        elif position.y() > self.view.height:
            anchor = self.view.bar_at(self.view.width / 2)
            pitch_view = self.view.zoomed_time(DEFAULT_PITCH / self.view.pitch, self.view.x_of(anchor))
            self._look(pitch_view)
            self._settle()
        else:
            self.mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = event.key()
        step = 10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
        pans = {
            Qt.Key.Key_Left: step * self.view.pitch,
            Qt.Key.Key_Right: -step * self.view.pitch,
            Qt.Key.Key_PageUp: self.view.width,
            Qt.Key.Key_PageDown: -self.view.width,
        }
        if key == Qt.Key.Key_Escape and self._grip is not None:
            self._let_go("Drag given up")
        elif key == Qt.Key.Key_Escape and self.draft is not None:
            self.discard_draft()
        elif key in {Qt.Key.Key_Return, Qt.Key.Key_Enter} and self.draft is not None:
            if not event.isAutoRepeat():
                self.send_draft()
        elif key == Qt.Key.Key_End:
            self.follow()
        elif key == Qt.Key.Key_Home:
            self._look(self.view.panned((self.view.left_bar + 0.5) * self.view.pitch))
            self._settle()
        elif key in pans:
            self._look(self.view.panned(pans[Qt.Key(key)]))
            self._settle()
        elif key == Qt.Key.Key_A:
            self.is_auto = True
            self._settle()
        else:
            super().keyPressEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._let_go("Drag given up")
        super().focusOutEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        self._pointer = None
        self.update()
        super().leaveEvent(event)

    def handle_of(self, key: str) -> PlacedHandle | None:
        """The painted handle of an order, by its key ("" the position, "draft" the draft); None when out of view."""
        return next((item for item in self._placed if item.handle.key == key), None)

    def _handle_at(self, position: QPointF) -> PlacedHandle | None:
        return next((item for item in reversed(self._placed) if item.box.contains(position)), None)

    def _on_context_changed(self) -> None:
        if not self._context.is_armed:
            self.discard_draft()
            if self._grip is not None and self._grip.what == "order":
                self._let_go("Disarmed during the drag")
        self.update()

    def _on_theme_changed(self) -> None:
        self._letters = Lettering(self._context.theme)
        self.update()

    # painting

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        self._paint_history(painter)
        painter.setClipRect(0, 0, int(self.view.width), int(self.view.height))
        self._paint_forming(painter)
        self._paint_own(painter)
        painter.setClipping(False)
        self._paint_axis_tags(painter)
        self._paint_words(painter)

    def _paint_history(self, painter: QPainter) -> None:
        ratio = self.devicePixelRatioF()
        key = (self.view, self._version, self._context.theme.revision, self.size(), ratio, self._context.contract)
        if self._history is None or key != self._history_key:
            self._history = self._draw_history(ratio)
            self._history_key = key
        painter.drawPixmap(0, 0, self._history)

    def _draw_history(self, ratio: float) -> QPixmap:
        self.history_paints += 1
        theme, view, contract = self._context.theme, self.view, self._context.contract
        pixmap = QPixmap(round(self.width() * ratio), round(self.height() * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(theme.color("chart.background"))
        painter = QPainter(pixmap)
        min_px = float(theme.measure("chart.grid_min_px_x"))
        times = self._dated(self.series.bars.time_ns)
        labels = time_labels(times, view, self.interval.seconds, min_px)
        labels += future_labels(times, view, self.interval.seconds, min_px)
        prices = grid_prices(view, contract, theme) if contract is not None else []
        first, last = view.visible(self.series.count)
        runs = self._outside_hours(first, last)
        draw_sessions(painter, theme, view, runs, self.series.count)
        draw_grid(painter, theme, view, prices, [bar for bar, _text in labels])
        closed = self.series.count - 1 if self.series.is_forming else self.series.count
        painter.setClipRect(0, 0, int(view.width), int(view.height))
        self._top_volume = visible_volume(self.series, view)
        self._vwap = self._work_out_vwap(first, min(last, closed))
        if self._vwap is not None:
            draw_vwap(painter, theme, view, *self._vwap)
        draw_bars(painter, theme, view, self.series, (first, min(last, closed)), self._top_volume)
        if runs and contract is not None:
            opens = REGULAR_HOURS[contract.root][0]
            words = f"Regular hours {opens // 60:02d}:{opens % 60:02d}"
            draw_openings(painter, theme, self._letters, view, runs, words, self.series.count)
        painter.setClipping(False)
        self._axis_labels = price_labels(prices, contract) if contract is not None else []
        draw_price_axis(painter, theme, view)
        draw_time_axis(painter, theme, self._letters, view, labels)
        painter.end()
        return pixmap

    def _work_out_vwap(self, first: int, last: int) -> tuple[int, Vwap] | None:
        """Average and bands of the closed bars in view, of whole days only; None for folded bars and for day bars."""
        if self.interval.seconds > 3_600 or self.view.pitch < STROKE_BELOW_PITCH or last <= first:
            return None
        times = self.series.bars.time_ns
        begin = int(times.searchsorted(int(times[first]) - _DAY_NS))
        if begin == 0:
            begin = first_whole_bar(times[:last])
            first = max(first, begin)
            if last <= first:
                return None
        found = vwap_of(self.series.bars.part(begin, last))
        return first, found.since(first - begin)

    def _outside_hours(self, first: int, last: int) -> list[tuple[int, int]]:
        """Runs of bars outside regular hours; none where bars are longer than an hour or too narrow to tell."""
        contract = self._context.contract
        hours = REGULAR_HOURS.get(contract.root) if contract is not None else None
        if hours is None or self.interval.seconds > 3_600 or self.view.pitch < 0.5:
            return []
        return outside_runs(self.series.bars.time_ns, first, last, hours)

    def _paint_forming(self, painter: QPainter) -> None:
        count = self.series.count
        if self.series.is_forming and count and self.view.shows_bar(count - 1):
            span = (count - 1, count)
            draw_bars(painter, self._context.theme, self.view, self.series, span, self._top_volume)

    def _paint_own(self, painter: QPainter) -> None:
        theme, view = self._context.theme, self.view
        self._placed = place_handles(self._handles, view, self._letters)
        starts = [(item, self._line_start(item.handle)) for item in self._placed]
        entry = min((s for item, s in starts if not item.handle.is_entry), default=view.width)
        draw_zones(painter, theme, view, self._handles, max(0.0, entry))
        last = self._frame.last_ticks if self._frame is not None else None
        if last is not None:
            painter.setPen(dash_pen(theme.color("text.muted"), [1.0, 2.0]))
            y = int(view.y_of(last))
            painter.drawLine(0, y, int(view.width), y)
        draw_fills(painter, theme, self._letters, view, self.series.bars.time_ns, self._fills)
        self._paint_crosshair(painter)
        draw_handles(painter, theme, self._letters, view, starts)

    def _line_start(self, handle: Handle) -> float:
        """Entries run across the plot; exits and the position begin at the bar where the first exit was placed."""
        if handle.is_entry:
            return 0.0
        exits = [h.created_ns for h in self._handles if not h.is_entry and h.created_ns]
        times = self.series.bars.time_ns
        if not exits or len(times) == 0:
            return self.view.x_of(self.series.count - 1)
        return self.view.x_of(max(0, int(times.searchsorted(min(exits), side="right")) - 1))

    def _paint_crosshair(self, painter: QPainter) -> None:
        pointer = self._pointer
        if pointer is None or pointer.x() > self.view.width or pointer.y() > self.view.height:
            return
        painter.setPen(dash_pen(self._context.theme.color("chart.crosshair"), [4.0, 3.0]))
        painter.drawLine(int(pointer.x()), 0, int(pointer.x()), int(self.view.height))
        painter.drawLine(0, int(pointer.y()), int(self.view.width), int(pointer.y()))

    def _paint_axis_tags(self, painter: QPainter) -> None:
        theme, view, contract = self._context.theme, self.view, self._context.contract
        if contract is None:
            return
        tags = handle_tags(self._handles, contract)
        last = self._frame.last_ticks if self._frame is not None else None
        if last is not None:
            tags.append(Tag(last, price_text(last, contract), "light", rank=0))
        placed = place_tags(view, tags)
        taken = [item.span for item in placed]
        countdown = self._countdown()
        plate = countdown_top(placed) if countdown else None
        if plate is not None:
            taken.append((plate, plate + 15))
        draw_price_labels(painter, theme, self._letters, view, self._axis_labels, taken)
        if plate is not None:
            draw_countdown(painter, theme, self._letters, (view.width, plate), countdown)
        draw_tags(painter, theme, self._letters, view, placed)
        pointer = self._pointer
        if pointer is not None and pointer.x() <= view.width and pointer.y() <= view.height:
            ticks = view.tick_at(pointer.y())
            grey = place_tags(view, [Tag(ticks, price_text(ticks, contract), "grey")])
            draw_tags(painter, theme, self._letters, view, grey)
            bar = min(max(0, round(view.bar_at(pointer.x()))), self.series.count - 1)
            if self.series.count:
                moment = self._dated(self.series.bars.time_ns[bar : bar + 1])
                text = chicago(int(moment[0])).strftime(self._time_format())
                draw_time_tag(painter, theme, self._letters, view, (pointer.x(), text))

    def _dated(self, time_ns: I64) -> I64:
        """Day bars are stamped with the opening of their session, the evening before; people name them by the day."""
        return time_ns + _EVENING_NS if self.interval.unit == "day" else time_ns

    def _time_format(self) -> str:
        if self.interval.unit == "day":
            return "%a %d %b %Y"
        return "%a %d %b %H:%M:%S" if self.interval.unit == "second" else "%a %d %b %H:%M"

    def _countdown(self) -> str:
        """Time left in the forming bar by the market's clock, "00:28"."""
        frame, count = self._frame, self.series.count
        if frame is None or not self.series.is_forming or count == 0 or self.interval.seconds > 14_400:
            return ""
        end = int(self.series.bars.time_ns[-1]) + self.interval.seconds * 1_000_000_000
        left = (end - frame.broker_time_ns) // 1_000_000_000
        if left < 0 or left > self.interval.seconds:
            return ""
        hours, rest = divmod(left, 3_600)
        return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60:02d}:{rest % 60:02d}"

    def _paint_words(self, painter: QPainter) -> None:
        theme, contract, count = self._context.theme, self._context.contract, self.series.count
        if count == 0 or contract is None:
            text = "Loading bars" if contract is not None else "No contract chosen"
            middle = self.view.height / 2
            self._letters.centre(painter, self.view.width / 2, middle, 20, text, "body", theme.color("text.muted"))
        else:
            bar = count - 1
            if self._pointer is not None and self._pointer.x() <= self.view.width:
                bar = min(max(0, round(self.view.bar_at(self._pointer.x()))), count - 1)
            draw_legend(painter, theme, self._letters, contract, self.series.bars.part(bar, bar + 1))
            if self._vwap is not None:
                first, shown = self._vwap
                draw_vwap_legend(painter, theme, self._letters, contract, shown, bar - first)
        for box, text, arrow, _ticks in self._chips():
            draw_chip(painter, theme, self._letters, box, text, arrow)

    def _chips(self) -> list[tuple[QRectF, str, str, int]]:
        """(place, text, arrow, price) of what lies out of view."""
        contract, view = self._context.contract, self.view
        if contract is None:
            return []
        above, below = beyond(self._handles, view)
        right = view.width - 8
        chips = []
        if above:
            text = f"{len(above)} at {price_text(above[0], contract)}"
            box = self._free_box(text, right, 6)
            if box.left() < _LEGEND_WIDTH:
                box = self._free_box(text, right, _LEGEND_BOTTOM)
            chips.append((box, text, "up", above[0]))
        if below:
            text = f"{len(below)} at {price_text(below[0], contract)}"
            chips.append((self._free_box(text, right, view.height - 24), text, "down", below[0]))
        if self.new_bars:
            text = f"New bars: {self.new_bars}"
            chips.append((chip_box(self._letters, text, right, view.height - (48 if below else 26)), text, "newest", 0))
        return chips

    def _free_box(self, text: str, right: float, y: float) -> QRectF:
        """A chip's place, left of the handles that stand at its height."""
        box = chip_box(self._letters, text, right, y)
        for item in sorted(self._placed, key=lambda placed: -placed.box.left()):
            if item.box.intersects(box):
                box = chip_box(self._letters, text, item.box.left() - 8, y)
        return box
