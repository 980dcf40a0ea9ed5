"""The grid of the ladder: one custom-painted widget that is looked at and clicked.

Click truth: a press takes its price from the row map that is on the screen (`_painted`), never from the newest frame.
The map of a frame becomes the painted one only inside `paintEvent`. Nothing moves while the pointer is over a column
that can be clicked, while a button is held, during a drag, and for half a second after.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import (
    QAction,
    QColor,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QMenu, QSizePolicy, QWidget

from ui.bridge import OrderDraft
from ui.charting.standing import STOP_KINDS, crosses_market, price_change, working_price
from ui.formatting import age_text, lots_text, price_text, ticks_text
from ui.painting import PanelContext, draw_shape
from ui.panels.ladder.columns import (
    CLICK_SIDE,
    HEAD_HEIGHT,
    HELD_HEIGHT,
    OWN_SIDE,
    STRIP_HEIGHT,
    TIPS,
    TOTALS_HEIGHT,
    Column,
    column_at,
    lay_out,
    row_count,
)
from ui.panels.ladder.paint import LadderPainter, RowMood
from ui.panels.ladder.rows import (
    Holding,
    Intent,
    Mark,
    OrderWatch,
    OutOfView,
    OwnSide,
    PrintMemory,
    Row,
    RowMap,
    RowTracker,
    Sizes,
    Totals,
    build_marks,
    build_rows,
    intent_at,
    out_of_view,
    totals,
)
from ui.panels.ladder.strip import (
    Exposure,
    StripText,
    arm_state,
    blocked_text,
    distance_text,
    intent_text,
    market_condition,
    refusal,
)
from ui.panels.ladder.wheel import WheelSize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain import MarketFrame, Order, Position

_DRAG_START_PX = 4
_HOLD_COLUMNS = {*CLICK_SIDE, *OWN_SIDE}
_ALIVE = ("sending", "working", "changing", "part_filled", "unknown")


class Cell(NamedTuple):
    """Where the pointer is, on the painted rows."""

    column: str
    row: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Press:
    """A held button over a size cell; what was painted at that instant."""

    cell: Cell
    intent: Intent
    button: Qt.MouseButton
    bid_ticks: int | None
    ask_ticks: int | None
    pressed_mono_ns: int


@dataclass(slots=True)
class Drag:
    """An own order picked up: it stays drawn where it is, the ghost goes along."""

    key: str
    side: str
    head: str
    from_ticks: int
    origin: QPointF
    over_ticks: int | None = None


class LadderGrid(QWidget):
    """Strip, column header, rows and totals. `show_market` in, requests out."""

    order_requested = Signal(object)
    modify_requested = Signal(str, dict)
    cancel_requested = Signal(str)
    mode_changed = Signal()
    spoke = Signal()

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.lots = 1
        self.tracker = RowTracker(margin_rows=int(context.theme.measure("ladder.margin_rows")))
        self._row_height = int(context.theme.measure("ladder.row.normal"))
        self._paint = LadderPainter(context.theme)
        self._memory = PrintMemory()
        self._watch = OrderWatch()
        self._frame: MarketFrame | None = None
        self._orders: list[Order] = []
        self._holding = Holding()
        self._map: RowMap | None = None
        self._rows: list[Row] = []
        self._moods: list[RowMood] = []
        self._painted: RowMap | None = None
        self._painted_marks: dict[tuple[str, int], Mark] = {}
        self._painted_quotes: tuple[int | None, int | None] = (None, None)
        self._quotes: tuple[int | None, int | None] = (None, None)
        self._marks: dict[tuple[str, int], Mark] = {}
        self._totals = Totals()
        self._edges: tuple[OutOfView | None, OutOfView | None] = (None, None)
        self._strip = StripText("header")
        self._note: StripText | None = None
        self._pointer: QPointF | None = None
        self._press: Press | None = None
        self._drag: Drag | None = None
        self._is_scrolled = False
        self._held_since_ms = 0
        self._arrived_ms = 0
        self._phase = 0
        self._rebuilt_ms = 0
        self.painted_rows = 0
        self._wheel = WheelSize(self)
        self._wheel.settled.connect(self.modify_requested)
        self._set_up_widget()
        self._set_up_timers()
        context.changed.connect(self._on_context_changed)
        context.theme.changed.connect(self._on_theme_changed)

    def _set_up_widget(self) -> None:
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.PreventContextMenu)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(296, 200)
        self.setAccessibleName("Depth ladder")
        self._columns: dict[str, Column] = lay_out(478)
        self._menu = QMenu(self)
        self._menu.triggered.connect(self._on_menu)

    def _set_up_timers(self) -> None:
        self._release_timer = QTimer(self)
        self._release_timer.setObjectName("ladder hold release")
        self._release_timer.setSingleShot(True)
        self._release_timer.setInterval(int(self._context.theme.measure("ladder.hold_after_leave_ms")))
        self._release_timer.timeout.connect(self._on_released)
        self._motion_timer = QTimer(self)
        self._motion_timer.setObjectName("ladder motion")
        self._motion_timer.setInterval(int(self._context.theme.measure("motion.hatch_step_ms")))
        self._motion_timer.timeout.connect(self._on_motion)
        self._note_timer = QTimer(self)
        self._note_timer.setObjectName("ladder note")
        self._note_timer.setSingleShot(True)
        self._note_timer.setInterval(2500)
        self._note_timer.timeout.connect(self._on_note_over)
        self._age_timer = QTimer(self)
        self._age_timer.setObjectName("ladder feed age")
        self._age_timer.setInterval(500)
        self._age_timer.timeout.connect(self._say)

    # what the panel says

    def show_market(self, frame: MarketFrame | None, orders: Sequence[Order], position: Position | None) -> None:
        """Take a frame, our orders and the position; repaint the rows that differ."""
        contract, account = self._context.contract, self._context.account
        if frame is not None and frame is not self._frame:
            self._memory.note(frame)
            self._arrived_ms = _now_ms()
        self._frame = frame
        self._orders = [
            order
            for order in orders
            if contract is not None
            and account is not None
            and order.contract == contract.index
            and order.account_id == account.account_id
        ]
        self._watch.note(self._orders, _now_ms())
        value = contract.tick_value_1e4 if contract is not None else 0
        self._holding = Holding()
        if position is not None:
            banked = position.realised_1e4 - position.fees_1e4
            self._holding = Holding(position.net_lots, position.average_ticks_1e4, value, banked)
        self._drop_dead_drag()
        self._wheel.keep_to(self._orders)
        self._run_age(is_late=frame is not None and frame.is_late)
        self._refresh()

    def clear(self) -> None:
        """Forget the market: another contract follows."""
        self._frame, self._map, self._painted = None, None, None
        self._orders, self._rows, self._moods = [], [], []
        self._holding = Holding()
        self._memory, self._watch = PrintMemory(), OrderWatch()
        self.tracker.top_ticks = None
        self._press, self._drag = None, None
        self._wheel.forget()
        self._is_scrolled = False
        self._run_age(is_late=False)
        self._refresh()
        self.update()

    def set_lots(self, lots: int) -> None:
        """Size of the next order."""
        self.lots = lots
        self._refresh()

    def centre(self) -> None:
        """Jump to the market now; a person asked for it, so a hold does not matter."""
        reference = self._reference()
        if reference is not None:
            self.tracker.centre(*reference, self._row_total())
            self._is_scrolled = False
            self._refresh()

    @property
    def orders(self) -> list[Order]:
        """Our orders on this contract and account, as of the last frame."""
        return self._orders

    @property
    def row_map(self) -> RowMap | None:
        """The painted map: what a click means."""
        return self._painted

    @property
    def strip(self) -> StripText:
        """What the strip says."""
        return self._strip

    @property
    def is_answering(self) -> bool:
        """True while the strip speaks about what a hand is doing: a drag, or an answer to the last gesture."""
        return self._drag is not None or self._note is not None

    @property
    def age_ms(self) -> int:
        """Age of the newest market message, now."""
        return self._frame.age_ms + _now_ms() - self._arrived_ms if self._frame is not None else 0

    @property
    def is_held(self) -> bool:
        """True while no row may move."""
        if self._press is not None or self._drag is not None or self._release_timer.isActive():
            return True
        if self._pointer is None:
            return False
        column = column_at(self._columns, self._pointer.x())
        return self._is_scrolled or (column in _HOLD_COLUMNS and self._is_over_rows(self._pointer))

    def place_of(self, column: str, ticks: int) -> QPoint | None:
        """Middle of a painted cell in this widget's coordinates; None while that price or column is not shown."""
        cell = self._columns.get(column)
        if cell is None or self._painted is None or not self._painted.shows(ticks):
            return None
        y = self._rows_top() + self._painted.row_of(ticks) * self._row_height + self._row_height // 2
        return QPoint(cell.x + cell.width // 2, y)

    # working out what is shown

    def _is_rebuilding(self) -> bool:
        return self._frame is not None and self._frame.book_state == "building"

    def _row_total(self) -> int:
        return row_count(self.height(), self._row_height)

    def _reference(self) -> tuple[int, int] | None:
        frame = self._frame
        if frame is None:
            return None
        bid, ask, last = frame.best_bid_ticks, frame.best_ask_ticks, frame.last_ticks
        if bid is None and ask is None:
            return None if last is None else (last, last)
        return (bid if bid is not None else ask, ask if ask is not None else bid)  # type: ignore[return-value]

    def _refresh(self) -> None:
        reference = self._reference()
        was_waiting = self.tracker.is_waiting
        if reference is not None:
            is_held = self.is_held
            self.tracker.follow(*reference, self._row_total(), is_held=is_held or self._is_scrolled)
        if self.tracker.is_waiting and not was_waiting:
            self._held_since_ms = _now_ms()
        if was_waiting or self.tracker.is_waiting:
            self.update(0, STRIP_HEIGHT, self.width(), HELD_HEIGHT + HEAD_HEIGHT + self._row_height)
        self._rebuild()
        self._say()

    def _rebuild(self) -> None:
        self._rebuilt_ms = now = _now_ms()
        done = self._watch.done(self._orders, now)
        self._marks = build_marks(self._orders, self._watch.waited_ms(now), done)
        rows: list[Row] = []
        quotes = (self._frame.best_bid_ticks, self._frame.best_ask_ticks) if self._frame is not None else (None, None)
        if quotes != self._quotes:
            self._quotes = quotes
            self.update(0, 0, self.width(), STRIP_HEIGHT)
        if self._frame is not None and not self._is_rebuilding() and self.tracker.top_ticks is not None:
            self._map = RowMap(self.tracker.top_ticks, self._row_total())
            own = OwnSide(self._marks, self._resting(), self._holding)
            rows = build_rows(self._frame, self._map, own, self._memory, self._sizes())
            self._replace_totals(totals(self._frame), out_of_view(self._orders, self._map))
        moods = self._row_moods(rows)
        self._mark_changes(rows, moods)
        self._rows, self._moods = rows, moods
        moving = any(m.look == "sending" for m in self._marks.values()) or any(v < 1000 for v in done.values())
        self._run_motion(moving)

    def _resting(self) -> dict[tuple[str, int], int]:
        lots: dict[tuple[str, int], int] = {}
        for order in self._orders:
            price = working_price(order)
            if price is not None and order.kind not in STOP_KINDS and order.life == "working":
                lots[order.side, price] = lots.get((order.side, price), 0) + order.size_lots - order.filled_lots
        return lots

    def _sizes(self) -> Sizes:
        volume = self._columns.get("volume")
        return Sizes(self._columns["bid"].width, self._columns["ask"].width, volume.width if volume else 46)

    def _row_moods(self, rows: list[Row]) -> list[RowMood]:
        frame = self._frame
        stale = frame is None or frame.is_late or frame.book_state == "stale"
        cell = self._cell_under_pointer()
        draft = self._draft(cell)
        ghost = self._ghost()
        base = RowMood(
            is_stale=stale, phase=self._phase, net_lots=self._holding.net_lots, is_hatched=self._context.is_locked
        )
        spread_ticks = frame.best_ask_ticks if frame is not None else None
        moods = []
        for index, row in enumerate(rows):
            mood = base
            if row.ticks == spread_ticks or (spread_ticks is None and row.is_best_bid):
                mood = mood._replace(has_spread_line=True)
            if cell is not None and index == cell.row:
                mood = mood._replace(is_hovered=True)
                if draft is not None:
                    mood = mood._replace(draft_side=draft.side, draft_text=draft.head, draft_code=draft.code)
            if ghost is not None and ghost[0] == row.ticks:
                mood = mood._replace(ghost=ghost[1])
            moods.append(mood)
        return moods

    def _draft(self, cell: Cell | None) -> Mark | None:
        if cell is None or self._drag is not None:
            return None
        intent = self._intent(cell, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
        if intent is None or self._refusal(intent) is not None:
            return None
        code = {"limit": "LE", "stop": "SE"}.get(intent.kind, "ME")
        return Mark((), intent.side, "draft", f"{intent.side[0].upper()}{self.lots}", code)

    def _ghost(self) -> tuple[int, Mark] | None:
        drag = self._drag
        if drag is None or drag.over_ticks is None or drag.over_ticks == drag.from_ticks:
            return None
        moved = ticks_text(drag.over_ticks - drag.from_ticks)
        if self._is_copy(drag, self._modifiers):
            moved = "copy"
        return drag.over_ticks, Mark((drag.key,), drag.side, "ghost", drag.head, moved)

    def _mark_changes(self, rows: list[Row], moods: list[RowMood]) -> None:
        if len(rows) != len(self._rows):
            self.update()
            return
        top, height, width = STRIP_HEIGHT + HEAD_HEIGHT, self._row_height, self.width()
        for index, (row, mood) in enumerate(zip(rows, moods, strict=True)):
            if row != self._rows[index] or mood != self._moods[index]:
                self.update(0, top + index * height, width, height)

    def _replace_totals(self, values: Totals, edges: tuple[OutOfView | None, OutOfView | None]) -> None:
        if values != self._totals:
            self._totals = values
            self.update(0, self.height() - TOTALS_HEIGHT, self.width(), TOTALS_HEIGHT)
        if edges != self._edges:
            # A day's worth of orders may come and go beyond the edge; the rows between stay as they are painted.
            self._update_chips()
            self._edges = edges
            self._update_chips()

    def _update_chips(self) -> None:
        for box, _arrow, _edge in self._chip_boxes():
            self.update(box.adjusted(-1, -1, 1, 1))

    # the strip

    def _say(self) -> None:
        strip = self._note or self._strip_now()
        if strip != self._strip:
            self._strip = strip
            self.spoke.emit()
            self.setAccessibleDescription(f"{strip.before} {strip.lead} {strip.rest}".strip())
            self.update(0, 0, self.width(), STRIP_HEIGHT)

    def _strip_now(self) -> StripText:
        if self._drag is not None:
            return self._drag_text(self._drag)
        condition = market_condition(self._frame, self._context.contract, self.age_ms)
        cell = self._cell_under_pointer()
        intent = self._intent(cell, self._button(), self._modifiers) if cell is not None else None
        if intent is None:
            return condition or self._idle_text()
        refused = self._refusal(intent)
        if refused is not None:
            return refused
        contract, account, frame = self._context.contract, self._context.account, self._frame
        assert contract is not None, "an intent exists only on a contract"
        assert account is not None, "an intent without account is refused"
        assert frame is not None, "an intent exists only on a painted frame"
        button = "Right" if self._button() == Qt.MouseButton.RightButton else "Left"
        before, lead, rest = intent_text(intent, self.lots, button, contract, account.nickname)
        return StripText(intent.side, before, lead, rest, distance_text(intent, frame))

    def _idle_text(self) -> StripText:
        context = self._context
        closed = arm_state(context)
        if closed is not None:
            return closed
        if context.blocked_reason:
            return blocked_text(context.blocked_reason)
        assert context.account is not None, "without an account the arm state is closed"
        return StripText("header", rest=f"Armed on {context.account.nickname}: left limit, right stop, Ctrl market")

    def _drag_text(self, drag: Drag) -> StripText:
        contract = self._context.contract
        if drag.over_ticks is None or contract is None:
            return StripText("header", lead=f"{drag.head} picked up", rest="off the grid: a drop changes nothing")
        moved = drag.over_ticks - drag.from_ticks
        if moved and self._is_copy(drag, self._modifiers):
            return self._copy_text(drag, drag.over_ticks)
        if self._crosses(drag, drag.over_ticks):
            return StripText(
                "caution", lead="This drop would trade at once", rest="hold Ctrl to mean it", shape="triangle"
            )
        lead = f"{drag.head} to {price_text(drag.over_ticks, contract)}"
        rest = f"{ticks_text(moved)}, gives up its place" if moved else "its own price"
        return StripText(drag.side, lead=lead, rest=rest, right="Esc keeps it")

    def _copy_text(self, drag: Drag, ticks: int) -> StripText:
        contract = self._context.contract
        assert contract is not None, "asked for on a contract only"
        refused = self._copy_refusal(drag, ticks, self._modifiers)
        lead = f"Copy {drag.head} to {price_text(ticks, contract)}"
        return refused or StripText(drag.side, lead=lead, rest="a new order", right="Esc keeps it")

    def _copy_refusal(self, drag: Drag, ticks: int, modifiers: Qt.KeyboardModifier) -> StripText | None:
        order = self._order_of(drag.key)
        if order is None:
            return None
        if self._crosses(drag, ticks) and not modifiers & Qt.KeyboardModifier.ControlModifier:
            return StripText(
                "caution", lead="This copy would trade at once", rest="hold Ctrl to mean it", shape="triangle"
            )
        return self._refusal(Intent(order.side, order.kind, ticks), order.size_lots - order.filled_lots)

    def _refusal(self, intent: Intent, lots: int = 0) -> StripText | None:
        resting = sum(
            order.size_lots - order.filled_lots
            for order in self._orders
            if order.side == intent.side and order.role == "entry" and order.look in _ALIVE
        )
        return refusal(
            self._context,
            self._frame,
            intent,
            Exposure(lots or self.lots, self._holding.net_lots, resting),
            self.age_ms,
        )

    def _flash(self, note: StripText) -> None:
        """Say something for two and a half seconds, whatever the pointer does."""
        self._note = note
        self._note_timer.start()
        self._say()

    # geometry

    def _rows_top(self) -> int:
        return STRIP_HEIGHT + HEAD_HEIGHT

    def _head_bottom(self) -> int:
        return self._rows_top() + (HELD_HEIGHT if self.tracker.is_waiting else 0)

    def _is_over_rows(self, position: QPointF) -> bool:
        bottom = self._rows_top() + len(self._rows) * self._row_height
        return self._head_bottom() <= position.y() < bottom and 0 <= position.x() < self.width()

    def _cell_at(self, position: QPointF) -> Cell | None:
        """The cell under a point, by the rows that are on the screen."""
        column = column_at(self._columns, position.x())
        if column is None or self._painted is None or not self._is_over_rows(position):
            return None
        row = int(position.y() - self._rows_top()) // self._row_height
        return Cell(column, row, self._painted.ticks_at(row)) if row < self._painted.rows else None

    def _cell_under_pointer(self) -> Cell | None:
        return self._cell_at(self._pointer) if self._pointer is not None else None

    def _chip_boxes(self) -> list[tuple[QRect, str, OutOfView]]:
        top = self._head_bottom() + 2
        bottom = self._rows_top() + len(self._rows) * self._row_height - 20
        boxes = []
        for arrow, edge, y in (("up", self._edges[0], top), ("down", self._edges[1], bottom)):
            if edge is None:
                continue
            width = 30 + round(self._paint.letters.width(self._chip_text(arrow, edge), "caption"))
            column = self._columns["own_buys" if edge.side == "buy" else "own_sells"]
            x = column.x + 2 if edge.side == "buy" else min(column.x + 2, self.width() - width - 2)
            boxes.append((QRect(x, y, width, 18), arrow, edge))
        return boxes

    def _chip_text(self, arrow: str, edge: OutOfView) -> str:
        contract = self._context.contract
        price = price_text(edge.nearest_ticks, contract) if contract is not None else ""
        return f"{edge.number} {'above' if arrow == 'up' else 'below'}: {edge.kind.replace('_', ' ')} {price}"

    # mouse and keys

    @property
    def _modifiers(self) -> Qt.KeyboardModifier:
        return QApplication.keyboardModifiers()

    def _button(self) -> Qt.MouseButton:
        return self._press.button if self._press is not None else Qt.MouseButton.LeftButton

    def _intent(self, cell: Cell, button: Qt.MouseButton, modifiers: Qt.KeyboardModifier) -> Intent | None:
        side = CLICK_SIDE.get(cell.column)
        frame = self._frame
        if side is None or frame is None:
            return None
        wants_stop = button == Qt.MouseButton.RightButton or bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        wants_market = bool(modifiers & Qt.KeyboardModifier.ControlModifier)
        bid, ask = self._painted_quotes
        return intent_at(side, cell.ticks, bid, ask, wants_stop=wants_stop, wants_market=wants_market)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._pointer = event.position()
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        if self._drag is not None:
            self._end_drag("Drag given up")
            return
        if event.button() == Qt.MouseButton.MiddleButton:
            self.centre()
            return
        for box, _arrow, edge in self._chip_boxes():
            if box.contains(event.position().toPoint()):
                self._go_to(edge.nearest_ticks)
                return
        cell = self._cell_at(event.position())
        if cell is None:
            return
        if cell.column in OWN_SIDE:
            self._press_own(cell, event)
        elif cell.column in CLICK_SIDE and event.button() in (Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton):
            self._press_size(cell, event)
        self._refresh()

    def _press_own(self, cell: Cell, event: QMouseEvent) -> None:
        mark = self._painted_marks.get((OWN_SIDE[cell.column], cell.ticks))
        if mark is None:
            return
        if mark.look == "rejected":
            for key in mark.keys:
                self._watch.read(key)
        elif event.button() == Qt.MouseButton.RightButton:
            for key in mark.keys:
                self.cancel_requested.emit(key)
        elif event.button() == Qt.MouseButton.LeftButton and len(mark.keys) > 1 and mark.look != "ghost":
            self._list_orders(mark.keys, event.globalPosition().toPoint())
        elif event.button() == Qt.MouseButton.LeftButton and mark.look in (
            "working",
            "changing",
            "part_filled",
            "ghost",
        ):
            order = next((o for o in self._orders if o.key == mark.keys[-1]), None)
            price = working_price(order) if order is not None else None
            if order is not None and price is not None:
                head = f"{order.side[0].upper()}{order.size_lots - order.filled_lots}"
                self._drag = Drag(order.key, order.side, head, price, event.position())

    def _list_orders(self, keys: tuple[str, ...], place: QPoint) -> None:
        """Orders that share a price, each with its own cancel."""
        self._menu.clear()
        for order in self._orders:
            if order.key in keys:
                left = order.size_lots - order.filled_lots
                words = f"Cancel {order.side} {left} {order.kind.replace('_', ' ')}, {order.role}, {order.look}"
                action = QAction(words.replace("part_filled", "part-filled"), self._menu)
                action.setData(order.key)
                self._menu.addAction(action)
        self._menu.popup(place)

    def _on_menu(self, action: QAction) -> None:
        self.cancel_requested.emit(action.data())

    def _press_size(self, cell: Cell, event: QMouseEvent) -> None:
        intent = self._intent(cell, event.button(), event.modifiers())
        if intent is None:
            return
        self._press = Press(cell, intent, event.button(), *self._painted_quotes, time.monotonic_ns())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        was_held = self.is_held
        self._pointer = event.position()
        self._explain_column(event.position().x())
        drag = self._drag
        if drag is not None and (drag.over_ticks is not None or self._has_left(drag, event.position())):
            cell = self._cell_at(event.position())
            drag.over_ticks = cell.ticks if cell is not None else None
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        if was_held and not self.is_held:
            self._release_timer.start()
        self._refresh()

    def _explain_column(self, x: float) -> None:
        tip = TIPS.get(column_at(self._columns, x) or "", "")
        if tip != self.toolTip():
            self.setToolTip(tip)

    def _has_left(self, drag: Drag, position: QPointF) -> bool:
        return (position - drag.origin).manhattanLength() >= _DRAG_START_PX

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._pointer = event.position()
        if self._drag is not None and event.button() == Qt.MouseButton.LeftButton:
            self._drop(self._drag, event.modifiers())
        press, self._press = self._press, None
        if press is not None and event.button() == press.button:
            cell = self._cell_at(event.position())
            if cell is not None and (cell.column, cell.row) == (press.cell.column, press.cell.row):
                self._send(press)
        self._refresh()

    def _send(self, press: Press) -> None:
        context, intent = self._context, press.intent
        refused = self._refusal(intent)
        if refused is not None:
            self._flash(refused._replace(rest=refused.rest.replace("would do", "did")))
            return
        account, contract, frame = context.account, context.contract, self._frame
        assert account is not None, "a press without account is refused"
        assert contract is not None, "a press on no contract has no cell"
        is_late = frame is not None and market_condition(frame, contract) is not None
        self.order_requested.emit(
            OrderDraft(
                account_id=account.account_id,
                contract_id=contract.id,
                side=intent.side,
                kind=intent.kind,
                size_lots=self.lots,
                source=context.source,
                limit_ticks=intent.ticks if intent.kind == "limit" else None,
                stop_ticks=intent.ticks if intent.kind == "stop" else None,
                reduce_only=is_late,
                painted_bid_ticks=press.bid_ticks,
                painted_ask_ticks=press.ask_ticks,
                pressed_mono_ns=press.pressed_mono_ns,
            )
        )

    def _crosses(self, drag: Drag, ticks: int) -> bool:
        order = self._order_of(drag.key)
        frame = self._frame
        if order is None or frame is None:
            return False
        return crosses_market(order, ticks, frame.best_bid_ticks, frame.best_ask_ticks)

    def _drop(self, drag: Drag, modifiers: Qt.KeyboardModifier) -> None:
        self._drag = None
        self.unsetCursor()
        order = next((o for o in self._orders if o.key == drag.key), None)
        if drag.over_ticks is None or drag.over_ticks == drag.from_ticks or order is None:
            return
        if self._is_copy(drag, modifiers):
            self._send_copy(drag, order, drag.over_ticks, modifiers)
            return
        if self._crosses(drag, drag.over_ticks) and not modifiers & Qt.KeyboardModifier.ControlModifier:
            self._flash(
                StripText(
                    "caution",
                    lead="Not moved",
                    rest="the drop would trade at once; hold Ctrl to mean it",
                    shape="triangle",
                )
            )
            return
        self.modify_requested.emit(order.key, price_change(order, drag.over_ticks))

    def _is_copy(self, drag: Drag, modifiers: Qt.KeyboardModifier) -> bool:
        """Shift copies; an order that trails has no price that could be copied."""
        order = self._order_of(drag.key)
        is_shifted = bool(modifiers & Qt.KeyboardModifier.ShiftModifier)
        return is_shifted and order is not None and order.kind != "trailing_stop"

    def _order_of(self, key: str) -> Order | None:
        return next((order for order in self._orders if order.key == key), None)

    def _send_copy(self, drag: Drag, order: Order, ticks: int, modifiers: Qt.KeyboardModifier) -> None:
        """A new order like the dragged one at the price of the drop; the copy of an exit only reduces as well."""
        refused = self._copy_refusal(drag, ticks, modifiers)
        if refused is not None:
            self._flash(refused)
            return
        prices = price_change(order, ticks)
        bid, ask = self._painted_quotes
        self.order_requested.emit(
            OrderDraft(
                account_id=order.account_id,
                contract_id=order.contract_id,
                side=order.side,
                kind=order.kind,
                size_lots=order.size_lots - order.filled_lots,
                source=self._context.source,
                limit_ticks=prices.get("limit_ticks"),
                stop_ticks=prices.get("stop_ticks"),
                reduce_only=order.role in ("stop", "target"),
                painted_bid_ticks=bid,
                painted_ask_ticks=ask,
                pressed_mono_ns=time.monotonic_ns(),
            )
        )

    def _end_drag(self, why: str) -> None:
        if self._drag is not None:
            self._drag = None
            self.unsetCursor()
            self._flash(StripText("header", lead=why, rest="the order stays where it is"))
            self._refresh()

    def _drop_dead_drag(self) -> None:
        drag = self._drag
        if drag is None:
            return
        order = next((o for o in self._orders if o.key == drag.key), None)
        if order is None or order.look in ("done", "cancelling"):
            self._end_drag("Filled while held" if order is not None and order.life == "filled" else "Gone while held")
        else:
            drag.head = f"{order.side[0].upper()}{order.size_lots - order.filled_lots}"

    def _go_to(self, ticks: int) -> None:
        self.tracker.top_ticks = ticks + self._row_total() // 2
        self._is_scrolled = True
        self._refresh()

    def wheelEvent(self, event: QWheelEvent) -> None:
        self._pointer = event.position()
        notches = event.angleDelta().y() or event.angleDelta().x()
        if notches == 0 or self._press is not None:
            return
        if self._drag is None and self._turn_size(event.position(), 1 if notches > 0 else -1):
            event.accept()
            return
        step = 10 if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 3
        self.tracker.scroll(round(notches / 120 * step) or (1 if notches > 0 else -1))
        self._is_scrolled = True
        self._refresh()
        event.accept()

    def _turn_size(self, position: QPointF, lots: int) -> bool:
        """Over an own order the wheel changes its size; True when it stood over one."""
        cell = self._cell_at(position)
        mark = self._painted_marks.get((OWN_SIDE.get(cell.column, ""), cell.ticks)) if cell is not None else None
        if mark is None or mark.look not in ("working", "changing", "part_filled"):
            return False
        order = self._order_of(mark.keys[-1])
        if len(mark.keys) > 1 or order is None:
            self._flash(StripText("header", lead="Several orders here", rest="change their size in the orders table"))
            return True
        wanted = self._wheel.turn(order, lots)
        is_same = wanted == order.size_lots
        words = f"{order.side.capitalize()} {order.kind.replace('_', ' ')}: {lots_text(wanted)}"
        rest = "its own size" if is_same else f"now {order.size_lots}, sent when the wheel rests"
        self._flash(StripText(order.side, lead=words, rest=rest, right="Esc keeps it"))
        return True

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.isAutoRepeat():
            return
        if event.key() == Qt.Key.Key_Escape and self._wheel.key:
            self._wheel.forget()
            self._flash(StripText("header", lead="Size kept", rest="nothing was sent"))
        elif event.key() == Qt.Key.Key_Escape and (self._drag is not None or self._press is not None):
            self._press = None
            self._end_drag("Drag given up")
            self._refresh()
        elif event.key() == Qt.Key.Key_Space:
            self.centre()
        else:
            self._refresh()
            super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        self._refresh()
        super().keyReleaseEvent(event)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        self._end_drag("Drag given up")
        self._press = None
        super().focusOutEvent(event)

    def leaveEvent(self, event: QEvent) -> None:
        was_held = self.is_held
        self._pointer = None
        if was_held and self._drag is None:
            self._release_timer.start()
        self._refresh()
        super().leaveEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._columns = lay_out(self.width())
        old = self._map
        if old is not None and self.tracker.top_ticks is not None:
            self.tracker.top_ticks = old.top_ticks - old.rows // 2 + self._row_total() // 2
        self._rows = []
        self._refresh()
        self.update()

    # timers and news

    def _on_released(self) -> None:
        if self._pointer is None:
            self._is_scrolled = False
        self._refresh()

    def _on_motion(self) -> None:
        if not self._context.is_motion_reduced:
            self._phase = (self._phase + 1) % int(self._context.theme.measure("motion.hatch_period_px"))
        # A market that moves rebuilds more often than the motion steps, and shows the step with its next frame.
        if _now_ms() - self._rebuilt_ms >= self._motion_timer.interval() // 2:
            self._rebuild()

    def _run_motion(self, is_moving: bool) -> None:
        if is_moving != self._motion_timer.isActive():
            if is_moving:
                self._motion_timer.start()
            else:
                self._motion_timer.stop()

    def _run_age(self, is_late: bool) -> None:
        """A late feed sends no frames, so its age is counted here."""
        if is_late and not self._age_timer.isActive():
            self._age_timer.start()
        elif not is_late:
            self._age_timer.stop()

    def _on_note_over(self) -> None:
        self._note = None
        self._say()

    def _on_context_changed(self) -> None:
        self._paint.contract = self._context.contract
        if not self._context.is_armed:
            self._end_drag("Disarmed during the drag")
            self._press = None
            self._wheel.forget()
        self._refresh()
        self.update()

    def _on_theme_changed(self) -> None:
        self._paint.use_theme()
        self.update()

    # painting

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint = self._paint
        paint.contract, paint.columns, paint.row_height = self._context.contract, self._columns, self._row_height
        region = event.region()
        self.painted_rows = 0
        top = self._rows_top()
        for index, (row, mood) in enumerate(zip(self._rows, self._moods, strict=True)):
            y = top + index * self._row_height
            if region.intersects(QRect(0, y, self.width(), self._row_height)):
                paint.row(painter, y, row, mood)
                self.painted_rows += 1
        self._paint_rest(painter, event.rect(), top + len(self._rows) * self._row_height)
        if event.rect().top() < self._head_bottom():
            self._paint_strip(painter)
            if self.tracker.is_waiting:
                self._paint_held(painter)
            paint.head(painter, self._head_bottom() - HEAD_HEIGHT, HEAD_HEIGHT)
        for box, arrow, edge in self._chip_boxes():
            paint.chip(painter, QRectF(box), arrow, self._chip_text(arrow, edge))
        painter.end()
        if self._rows and self._map is not None:
            self._painted, self._painted_marks, self._painted_quotes = self._map, self._marks, self._quotes

    def _paint_rest(self, painter: QPainter, rect: QRect, rows_bottom: int) -> None:
        theme = self._context.theme
        totals_top = self.height() - TOTALS_HEIGHT
        if rect.bottom() >= rows_bottom:
            painter.fillRect(0, rows_bottom, self.width(), totals_top - rows_bottom, theme.color("surface.panel"))
            stale = bool(self._moods) and self._moods[0].is_stale
            self._paint.totals(painter, totals_top, TOTALS_HEIGHT, self._totals, is_stale=stale)
        if not self._rows:
            self._paint_empty(painter, (rows_bottom + totals_top) // 2)

    def _paint_empty(self, painter: QPainter, middle: int) -> None:
        """In place of the grid: why there is none, and the last trade while the book is rebuilt."""
        contract, frame, letters = self._context.contract, self._frame, self._paint.letters
        muted, x = self._context.theme.color("text.muted"), self.width() / 2
        if contract is None or frame is None or frame.last_ticks is None:
            text = "Waiting for the first quote" if contract is not None else "No contract chosen"
            letters.centre(painter, x, middle - 10, 20, text, "body", muted)
            return
        letters.centre(painter, x, middle - 36, 20, f"Last trade, {age_text(self.age_ms)} ago", "body", muted)
        letters.centre(painter, x, middle - 14, 26, price_text(frame.last_ticks, contract), "figure_m", muted)
        letters.centre(painter, x, middle + 14, 20, "market orders wait for both sides", "caption", muted)

    def _paint_strip(self, painter: QPainter) -> None:
        theme, letters, strip = self._context.theme, self._paint.letters, self._strip
        ground, color = _strip_colours(self._context, strip.tone)
        painter.fillRect(0, 0, self.width(), STRIP_HEIGHT, ground)
        painter.fillRect(0, STRIP_HEIGHT - 1, self.width(), 1, theme.color("line.border"))
        x = 8.0
        if strip.shape:
            draw_shape(painter, QRectF(x, 7, 10, 10), strip.shape, color)
            x += 16
        if strip.before:
            x = letters.left(painter, x, 0, STRIP_HEIGHT - 1, strip.before, "body", theme.color("text.secondary")) + 7
        if strip.lead:
            x = letters.left(painter, x, 0, STRIP_HEIGHT - 1, strip.lead, "body", color, 700) + 7
        end = letters.left(painter, x, 0, STRIP_HEIGHT - 1, strip.rest, "body", theme.color("text.secondary"))
        if strip.right and self.width() - 8 - letters.width(strip.right, "body") > end + 6:
            letters.right(
                painter, self.width() - 8, 0, STRIP_HEIGHT - 1, strip.right, "body", theme.color("text.secondary")
            )

    def _paint_held(self, painter: QPainter) -> None:
        theme, letters = self._context.theme, self._paint.letters
        y = STRIP_HEIGHT
        painter.fillRect(0, y, self.width(), HELD_HEIGHT, theme.color("surface.selected"))
        x = letters.left(painter, 8, y, HELD_HEIGHT, "Held", "body_em", theme.color("text.primary")) + 8
        letters.left(painter, x, y, HELD_HEIGHT, self.held_text(), "body", theme.color("text.secondary"))
        note = "moves again 0.5 s after you leave"
        if self.width() > 420:
            letters.right(painter, self.width() - 8, y, HELD_HEIGHT, note, "caption", theme.color("text.secondary"))

    def held_text(self) -> str:
        """Where the market is, seen from the pointer, and how long the grid has been waiting to move."""
        reference, cell = self._reference(), self._cell_under_pointer()
        waited = age_text(_now_ms() - self._held_since_ms)
        if reference is None or cell is None:
            return f"market has moved, {waited}"
        away = (reference[0] + reference[1]) // 2 - cell.ticks
        return f"market {abs(away)} t {'above' if away >= 0 else 'below'} the pointer, {waited}"


def _strip_colours(context: PanelContext, tone: str) -> tuple[QColor, QColor]:
    theme = context.theme
    if tone in ("buy", "sell"):
        return theme.side(tone, "tint"), theme.side(tone, "text")
    ground, text = {
        "header": ("surface.header", "text.secondary"),
        "selected": ("surface.selected", "text.primary"),
        "caution": ("status.caution_tint", "status.caution"),
        "danger": ("status.danger_tint", "status.danger"),
    }[tone]
    return theme.color(ground), theme.color(text)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
