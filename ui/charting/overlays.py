"""Orders and position on the chart: which handles there are, where they stand, how they look.

`order_handles` is pure. Lines stay at their true price; handles stand in the order lane at the right and give way to
each other by whole handles, with a leader from the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen

from ui.charting.axes import Tag, push_apart
from ui.charting.lettering import Lettering
from ui.charting.standing import STOP_KINDS, TICKS_1E4, result_at, target_legs, wanted_price, working_price
from ui.charting.viewport import Viewport
from ui.formatting import GAIN, LOSS, age_text, price_text, side_word, signed_money, ticks_text
from ui.painting import dash_pen, draw_shape, hatch_brush

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain import Contract, Order, Position
    from ui.theme import Theme

HANDLE_HEIGHT = 18
SIDE_CELL = 34
CLOSE_CELL = 18
AXIS_GAP = 6


class Handle(NamedTuple):
    """One line with its handle. cells: (text, style) with style role, ticks, dollars or outcome."""

    key: str
    side: str
    look: str
    ticks: int
    head: str
    cells: tuple[tuple[str, str], ...]
    is_entry: bool = False
    created_ns: int = 0
    is_foreign: bool = False
    done_share: float = 0.0

    @property
    def has_close(self) -> bool:
        """Orders can be cancelled at the handle; the position cannot."""
        return self.look not in {"position", "cancelling"}


class PlacedHandle(NamedTuple):
    """A handle on the screen."""

    handle: Handle
    box: QRectF
    line_y: float

    @property
    def close_box(self) -> QRectF:
        return QRectF(self.box.right() - CLOSE_CELL, self.box.top(), CLOSE_CELL, self.box.height())

    @property
    def check_box(self) -> QRectF:
        return QRectF(self.box.right() - 2 * CLOSE_CELL, self.box.top(), CLOSE_CELL, self.box.height())


def order_handles(
    orders: Sequence[Order],
    position: Position | None,
    contract: Contract,
    last_ticks: int | None,
    waited_ms: dict[str, int],
) -> list[Handle]:
    """Handles of all live orders, of the changes under way, and of the position."""
    handles: list[Handle] = []
    legs = target_legs(orders)
    for order in orders:
        price = working_price(order)
        if price is None or order.look == "done":
            continue
        handles.append(_handle_of(order, price, legs.get(order.key, 0), (position, contract, last_ticks)))
        wanted = wanted_price(order)
        if order.look == "changing" and wanted is not None:
            waited = waited_ms.get(order.key, 0)
            role = f"changing, {age_text(waited)}" if waited >= 300 else f"to {price_text(wanted, contract)}"
            cells = ((role, "role"), (ticks_text(wanted - price), "ticks"))
            head = _head(order)
            handles.append(
                Handle(order.key, order.side, "ghost", wanted, head, cells, order.role == "entry", order.created_ns)
            )
    if position is not None and position.net_lots:
        handles.append(_position_handle(position, last_ticks))
    return handles


def _head(order: Order) -> str:
    return f"{order.side[0].upper()} {order.size_lots - order.filled_lots}"


def _handle_of(order: Order, price: int, leg: int, around: tuple[Position | None, Contract, int | None]) -> Handle:
    position, contract, last_ticks = around
    is_exit = order.role in {"stop", "target", "close"} and position is not None and position.net_lots != 0
    role = {"stop": "Stop", "target": f"Target {leg}" if leg else "Target", "close": "Close"}.get(
        order.role, "Stop" if order.kind in STOP_KINDS else "Limit"
    )
    cells: list[tuple[str, str]] = [(role, "role")]
    if is_exit and position is not None:
        left = order.size_lots - order.filled_lots
        lots = left if position.net_lots > 0 else -left
        average = round(position.average_ticks_1e4 / TICKS_1E4)
        cells.append((ticks_text((price - average) * (1 if lots > 0 else -1)), "ticks"))
        money = result_at(price, lots, position.average_ticks_1e4, contract.tick_value_1e4)
        cells.append((signed_money(money), "gain" if money > 0 else "loss" if money < 0 else "role"))
    else:
        if last_ticks is not None:
            cells.append((ticks_text(price - last_ticks), "ticks"))
        cells.append(("adds", "role"))
    return Handle(
        order.key,
        order.side,
        order.look,
        price,
        _head(order),
        tuple(cells),
        not is_exit,
        order.created_ns,
        order.is_foreign,
        order.filled_lots / max(1, order.size_lots),
    )


def _position_handle(position: Position, last_ticks: int | None) -> Handle:
    side = "buy" if position.net_lots > 0 else "sell"
    average = round(position.average_ticks_1e4 / TICKS_1E4)
    cells = []
    if last_ticks is not None:
        cells.append((ticks_text((last_ticks - average) * (1 if position.net_lots > 0 else -1)), "role"))
    gain = position.open_pnl_1e4
    arrow = "" if gain == 0 else f"{GAIN if gain > 0 else LOSS} "
    cells.append((f"{arrow}{signed_money(gain)}", "gain" if gain > 0 else "loss" if gain < 0 else "role"))
    return Handle("", side, "position", average, side_word(position.net_lots), tuple(cells))


def place_handles(handles: Sequence[Handle], view: Viewport, letters: Lettering) -> list[PlacedHandle]:
    """Handles of prices in view, right-aligned before the axis, pushed apart by whole handles."""
    seen = [h for h in handles if view.bottom_ticks <= h.ticks <= view.top_ticks]
    true = [view.y_of(h.ticks) for h in seen]
    ranks = [0 if h.look == "position" else 1 for h in seen]
    centres = push_apart(true, ranks, HANDLE_HEIGHT + 2, view.height)
    placed = []
    for handle, line_y, centre in zip(seen, true, centres, strict=True):
        width = handle_width(handle, letters)
        left = view.width - AXIS_GAP - width
        placed.append(PlacedHandle(handle, QRectF(round(left), round(centre) - 9, width, HANDLE_HEIGHT), round(line_y)))
    return placed


def handle_width(handle: Handle, letters: Lettering) -> int:
    head = 62 if handle.look == "position" else SIDE_CELL
    width = head + sum(_cell_width(text, style, letters) for text, style in handle.cells)
    closes = (2 if handle.look == "draft" else 1) if handle.has_close else 0
    return round(width) + closes * CLOSE_CELL


def _cell_width(text: str, style: str, letters: Lettering) -> int:
    role, weight = _cell_face(style)
    return round(letters.width(text, role, weight)) + 16


def _cell_face(style: str) -> tuple[str, int]:
    return ("body", 400) if style == "ticks" else ("body_em", 600)


def handle_tags(handles: Sequence[Handle], contract: Contract) -> list[Tag]:
    """Axis tags: working and position filled, ghosts dotted, drafts dashed."""
    styles = {"ghost": "dot", "draft": "dash", "sending": "dash"}
    tags = (Tag(h.ticks, price_text(h.ticks, contract), styles.get(h.look, "filled"), h.side) for h in handles)
    # Several orders at one price share a tag.
    return list(dict.fromkeys(tags))


def draw_handles(
    painter: QPainter, theme: Theme, letters: Lettering, view: Viewport, placed: list[tuple[PlacedHandle, float]]
) -> None:
    """Lines first, then handles, so that no line crosses a handle. Each comes with the x where its line begins."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for item, start in placed:
        _draw_line(painter, theme, view, item, start)
    for item, _start in placed:
        _draw_handle(painter, theme, letters, item)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)


def line_pen(theme: Theme, handle: Handle) -> QPen:
    """Pen of a handle's line in the look of its state."""
    color = QColor(theme.side(handle.side, "line"))
    if handle.look == "unknown":
        return dash_pen(theme.color("status.caution_fill"), [8.0, 3.0])
    if handle.look == "ghost":
        return dash_pen(color, [2.0, 3.0])
    if handle.look == "draft":
        return dash_pen(color, [6.0, 4.0])
    if handle.look in {"sending", "cancelling"}:
        color.setAlphaF(0.5)
    return QPen(color, 2 if handle.look == "position" else 1)


def _draw_line(painter: QPainter, theme: Theme, view: Viewport, item: PlacedHandle, start: float) -> None:
    handle, box = item.handle, item.box
    painter.setPen(line_pen(theme, handle))
    y = item.line_y + (0.0 if handle.look == "position" else 0.5)
    offset = box.center().y() - item.line_y
    begin = min(max(0.0, start), box.left() - 8)
    if abs(offset) <= 2:
        painter.drawLine(QLineF(begin, y, box.left(), y))
        painter.drawLine(QLineF(box.right(), y, view.width, y))
        return
    knee = box.left() - 8 - min(abs(offset), 40)
    end = view.width if handle.is_entry else max(begin, knee)
    painter.drawLine(QLineF(min(begin, knee), y, max(end, knee), y))
    painter.drawLine(QLineF(knee, y, box.left() - 8, box.center().y()))
    painter.drawLine(QLineF(box.left() - 8, box.center().y(), box.left(), box.center().y()))


def _draw_handle(painter: QPainter, theme: Theme, letters: Lettering, item: PlacedHandle) -> None:
    handle, box = item.handle, item.box
    outline = QPen(theme.side(handle.side, "line"), 1)
    if handle.look in {"ghost", "draft"}:
        outline = dash_pen(theme.side(handle.side, "text"), [1.0, 2.0] if handle.look == "ghost" else [3.0, 2.0])
    elif handle.look == "unknown":
        outline = QPen(theme.color("status.caution_fill"), 1)
    painter.setBrush(theme.color("surface.panel"))
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawRoundedRect(box, 3, 3)
    x = _draw_head(painter, theme, letters, item)
    for text, style in handle.cells:
        width = _cell_width(text, style, letters)
        role, weight = _cell_face(style)
        color = _cell_colour(theme, style)
        letters.centre(painter, x + width / 2, box.top(), HANDLE_HEIGHT, text, role, color, weight)
        x += width
        painter.fillRect(QRectF(round(x), box.top() + 1, 1, HANDLE_HEIGHT - 2), theme.color("line.border"))
    if handle.look == "draft":
        painter.fillRect(item.check_box.adjusted(0, 1, 0, -1), theme.color("action.fill"))
        draw_shape(painter, item.check_box.adjusted(4, 4, -4, -4), "check", theme.color("action.on_fill"))
    if handle.has_close:
        _draw_cross(painter, theme, item.close_box)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(outline)
    painter.drawRoundedRect(box.adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
    if handle.look == "cancelling":
        painter.fillRect(QRectF(box.left() + 4, box.center().y() - 1, box.width() - 8, 2), theme.color("text.primary"))
    if handle.is_foreign:
        draw_shape(painter, QRectF(box.right() - 8, box.top(), 8, 8), "corner", theme.color("text.primary"))


def _draw_head(painter: QPainter, theme: Theme, letters: Lettering, item: PlacedHandle) -> float:
    """The side cell; returns the x where the other cells begin."""
    handle, box = item.handle, item.box
    width = 62 if handle.look == "position" else SIDE_CELL
    cell = QRectF(box.left(), box.top(), width, HANDLE_HEIGHT)
    text_color = theme.side(handle.side, "on")
    painter.setPen(Qt.PenStyle.NoPen)
    if handle.look in {"ghost", "draft"}:
        text_color = theme.side(handle.side, "text")
        painter.fillRect(QRectF(cell.right(), box.top() + 1, 1, HANDLE_HEIGHT - 2), theme.color("line.border"))
    elif handle.look == "unknown":
        painter.setBrush(theme.color("status.caution_fill"))
        painter.drawRoundedRect(cell, 3, 3)
        text_color = theme.color("status.on_caution")
    elif handle.look == "sending":
        ratio = painter.device().devicePixelRatio()
        painter.fillRect(
            cell, hatch_brush(theme.side(handle.side, "bar_large"), period=6, stripe=2, device_ratio=ratio)
        )
        text_color = theme.side(handle.side, "text")
    elif handle.look in {"part_filled", "cancelling"}:
        _draw_share(painter, theme, cell, handle)
        text_color = theme.color("text.primary")
    else:
        painter.setBrush(theme.side(handle.side, "fill"))
        painter.drawRoundedRect(cell, 3, 3)
        painter.fillRect(cell.adjusted(3, 0, 0, 0), theme.side(handle.side, "fill"))
    text = f"{handle.head} ?" if handle.look == "unknown" else handle.head
    letters.centre(painter, cell.center().x(), box.top(), HANDLE_HEIGHT, text, "body_em", text_color)
    return cell.right()


def _draw_share(painter: QPainter, theme: Theme, cell: QRectF, handle: Handle) -> None:
    """Ground of a part-filled head: the done share solid along the bottom."""
    painter.fillRect(cell.adjusted(1, 1, 0, -1), theme.side(handle.side, "bar"))
    strip = QRectF(cell.left() + 1, cell.bottom() - 5, cell.width() - 1, 4)
    painter.fillRect(strip, theme.side(handle.side, "bar_large"))
    if handle.look == "part_filled":
        strip.setWidth(strip.width() * handle.done_share)
        painter.fillRect(strip, theme.side(handle.side, "fill"))


def _cell_colour(theme: Theme, style: str) -> QColor:
    if style == "ticks":
        return theme.color("text.secondary")
    if style in {"gain", "loss"}:
        return theme.outcome(1 if style == "gain" else -1)
    return theme.color("text.primary")


def _draw_cross(painter: QPainter, theme: Theme, box: QRectF) -> None:
    painter.setPen(QPen(theme.color("text.secondary"), 1.2))
    middle = box.center()
    painter.drawLine(QPointF(middle.x() - 3, middle.y() - 3), QPointF(middle.x() + 3, middle.y() + 3))
    painter.drawLine(QPointF(middle.x() + 3, middle.y() - 3), QPointF(middle.x() - 3, middle.y() + 3))


def draw_zones(painter: QPainter, theme: Theme, view: Viewport, handles: Sequence[Handle], start: float) -> None:
    """Translucent areas from the average to the farthest stop and to the farthest target, from the entry bar on."""
    position = next((h for h in handles if h.look == "position"), None)
    if position is None:
        return
    gain_side = position.side
    for word, color in (("Target", theme.side("buy", "zone")), ("Stop", theme.side("sell", "zone"))):
        prices = [
            h.ticks
            for h in handles
            if h.side != gain_side and not h.is_entry and h.cells and h.cells[0][0].startswith(word)
        ]
        if prices:
            far = max(prices, key=lambda ticks: abs(ticks - position.ticks))
            top, bottom = sorted((view.y_of(position.ticks), view.y_of(far)))
            painter.fillRect(QRectF(round(start), top, view.width - round(start), bottom - top), color)


def beyond(handles: Sequence[Handle], view: Viewport) -> tuple[list[int], list[int]]:
    """Prices of live lines above and below the plot, nearest first."""
    prices = [h.ticks for h in handles if h.look not in {"ghost", "position"}]
    above = sorted(p for p in prices if p > view.top_ticks)
    return above, sorted((p for p in prices if p < view.bottom_ticks), reverse=True)
