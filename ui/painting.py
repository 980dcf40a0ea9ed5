"""Shared paint primitives: text on a common baseline, hatches, shapes with fixed meaning, order markers, icons.

Also what every panel is given: `PanelContext`, the account and contract a surface trades, and its arm state.
Painters pass plain integer rectangles; every function leaves pen, brush and font as they happen to be, so callers set
what they need before each primitive of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QBrush, QColor, QFont, QIcon, QPainter, QPen, QPixmap, QPolygonF
from PySide6.QtSvg import QSvgRenderer

from ui.theme import RESOURCES, Theme

if TYPE_CHECKING:
    from app.domain import Contract

LEFT = Qt.AlignmentFlag.AlignLeft
RIGHT = Qt.AlignmentFlag.AlignRight
CENTRE = Qt.AlignmentFlag.AlignHCenter
_BASELINE_DROP = 4.3
_TILES: dict[tuple[int, int, int, int, float], QPixmap] = {}
_ICONS: dict[tuple[str, int, int, float], QPixmap] = {}


@dataclass(frozen=True)
class AccountView:
    """One account as a trading surface shows it. kind: demo, practice, combine, funded, live, replay."""

    account_id: int
    kind: str
    word: str
    nickname: str
    id_text: str
    balance_1e4: int = 0
    can_trade: bool = True


class PanelContext(QObject):
    """What one surface works on: looks, account, contract, arm state. One per panel, since arming is per surface.

    `source` is the name under which the panel's orders and its arm state are known to the engine.
    `blocked_reason` is empty while entries are allowed; otherwise the sentence that the send controls show.
    """

    changed = Signal()

    def __init__(self, theme: Theme, source: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.theme = theme
        self.source = source
        self.account: AccountView | None = None
        self.contract: Contract | None = None
        self.is_armed = False
        self.is_locked = False
        self.blocked_reason = ""
        self.max_order_lots = 5
        self.max_position_lots = 10
        self.is_motion_reduced = False

    @property
    def can_enter(self) -> bool:
        """True when a press on this surface may send an order that adds risk."""
        return self.is_armed and not self.is_locked and not self.blocked_reason and self.account is not None

    def set_account(self, account: AccountView | None) -> None:
        """Work on another account; disarms."""
        if account != self.account:
            self.is_armed = (
                self.is_armed
                and self.account is not None
                and account is not None
                and (account.account_id == self.account.account_id)
            )
            self.account = account
            self.changed.emit()

    def set_contract(self, contract: Contract | None) -> None:
        """Work on another contract; disarms."""
        if contract is not self.contract:
            if self.contract is not None and (contract is None or contract.id != self.contract.id):
                self.is_armed = False
            self.contract = contract
            self.changed.emit()

    def set_armed(self, is_armed: bool) -> None:
        """Take over the arm state that the engine holds for this surface."""
        if is_armed != self.is_armed:
            self.is_armed = is_armed
            self.changed.emit()

    def set_locked(self, is_locked: bool) -> None:
        """Show the lock over everything."""
        if is_locked != self.is_locked:
            self.is_locked = is_locked
            self.changed.emit()

    def set_blocked(self, reason: str) -> None:
        """Block entries with a sentence, or allow them with an empty one."""
        if reason != self.blocked_reason:
            self.blocked_reason = reason
            self.changed.emit()

    def set_limits(self, *, max_order_lots: int, max_position_lots: int) -> None:
        """Take over the sizes the risk gate allows."""
        if (max_order_lots, max_position_lots) != (self.max_order_lots, self.max_position_lots):
            self.max_order_lots, self.max_position_lots = max_order_lots, max_position_lots
            self.changed.emit()


def draw_text(
    painter: QPainter, rect: QRectF, text: str, font: QFont, color: QColor, align: Qt.AlignmentFlag = LEFT
) -> None:
    """One line of text on the common baseline of its row; clipping is the caller's."""
    painter.setFont(font)
    painter.setPen(color)
    width = painter.fontMetrics().horizontalAdvance(text) if align != LEFT else 0
    if align == RIGHT:
        x = rect.right() - width
    elif align == CENTRE:
        x = rect.center().x() - width / 2
    else:
        x = rect.left()
    drop = _BASELINE_DROP * font.pixelSize() / 12
    painter.drawText(QPointF(round(x), round(rect.top() + rect.height() / 2 + drop)), text)


def draw_elided(
    painter: QPainter, rect: QRectF, text: str, font: QFont, color: QColor, align: Qt.AlignmentFlag = LEFT
) -> None:
    """As `draw_text`, cut with an ellipsis where the rectangle is too narrow."""
    painter.setFont(font)
    shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, max(0, int(rect.width())))
    draw_text(painter, rect, shown, font, color, align)


def draw_runs(painter: QPainter, x: float, rect: QRectF, runs: list[tuple[str, QFont, QColor]]) -> float:
    """Several pieces of text one after another on one baseline; returns the x where the last one ends."""
    for text, font, color in runs:
        draw_text(painter, QRectF(x, rect.top(), rect.width(), rect.height()), text, font, color)
        x += painter.fontMetrics().horizontalAdvance(text)
    return x


def hatch_brush(color: QColor, *, period: int, stripe: float, device_ratio: float = 1.0) -> QBrush:
    """Diagonal stripes on a transparent ground; the tile is drawn once per colour and pixel ratio.

    Period and stripe as in the look's rule: sending 6/2, unknown 8/4, floor 6/1.5, stale 8/1.2. Moving hatches shift
    with `painter.setBrushOrigin`.
    """
    key = (color.rgba(), period, round(stripe * 10), 0, device_ratio)
    if key not in _TILES:
        side = period * 2
        tile = QPixmap(round(side * device_ratio), round(side * device_ratio))
        tile.setDevicePixelRatio(device_ratio)
        tile.fill(Qt.GlobalColor.transparent)
        painter = QPainter(tile)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(color, stripe, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap))
        for offset in range(-2 * side, 2 * side + 1, period):
            painter.drawLine(QPointF(offset, side), QPointF(offset + side, 0))
        painter.end()
        _TILES[key] = tile
    return QBrush(_TILES[key])


def dash_pen(color: QColor, pattern: list[float], width: float = 1.0) -> QPen:
    """Pen with a dash pattern in pen widths, flat caps."""
    pen = QPen(color, width)
    pen.setDashPattern(pattern)
    pen.setCapStyle(Qt.PenCapStyle.FlatCap)
    return pen


def draw_shape(painter: QPainter, rect: QRectF, shape: str, color: QColor) -> None:
    """One of the shapes with fixed meaning, fitted into `rect` (10 px box by rule).

    disc triangle cross ring dash; circle square diamond star chevrons; up down equal; shield_full shield_half
    shield_none; check question exclamation hourglass corner.
    """
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(rect.topLeft())
    painter.scale(rect.width() / 10, rect.height() / 10)
    _SHAPES[shape](painter, color)
    painter.restore()


def _filled(painter: QPainter, color: QColor, points: list[tuple[float, float]]) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawPolygon(QPolygonF([QPointF(x, y) for x, y in points]))


def _stroked(painter: QPainter, color: QColor, points: list[tuple[float, float]], width: float = 1.5) -> None:
    painter.setPen(QPen(color, width, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawPolyline(QPolygonF([QPointF(x, y) for x, y in points]))


def _disc(painter: QPainter, color: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawEllipse(QRectF(1, 1, 8, 8))


def _warning(painter: QPainter, color: QColor) -> None:
    _filled(painter, color, [(5, 0.6), (9.8, 9.2), (0.2, 9.2)])


def _cross(painter: QPainter, color: QColor) -> None:
    _stroked(painter, color, [(1.5, 1.5), (8.5, 8.5)], 2)
    _stroked(painter, color, [(8.5, 1.5), (1.5, 8.5)], 2)


def _dashed_ring(painter: QPainter, color: QColor) -> None:
    pen = dash_pen(color, [1.4, 1.1], 1.5)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawEllipse(QRectF(1.2, 1.2, 7.6, 7.6))


def _dash(painter: QPainter, color: QColor) -> None:
    painter.fillRect(QRectF(0.5, 4, 9, 2), color)


def _circle(painter: QPainter, color: QColor) -> None:
    painter.setPen(QPen(color, 1.6))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawEllipse(QRectF(1.2, 1.2, 7.6, 7.6))


def _square(painter: QPainter, color: QColor) -> None:
    painter.setPen(QPen(color, 1.8, Qt.PenStyle.SolidLine, Qt.PenCapStyle.SquareCap, Qt.PenJoinStyle.MiterJoin))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.drawRect(QRectF(1.2, 1.2, 7.6, 7.6))


def _diamond(painter: QPainter, color: QColor) -> None:
    _filled(painter, color, [(5, 0), (10, 5), (5, 10), (0, 5)])


def _star(painter: QPainter, color: QColor) -> None:
    points = []
    for number in range(10):
        radius = 5.4 if number % 2 == 0 else 2.3
        angle = math.pi * number / 5 - math.pi / 2
        points.append((5 + radius * math.cos(angle), 5.3 + radius * math.sin(angle)))
    _filled(painter, color, points)


def _chevrons(painter: QPainter, color: QColor) -> None:
    _stroked(painter, color, [(1, 1.5), (4.5, 5), (1, 8.5)], 1.7)
    _stroked(painter, color, [(5, 1.5), (8.5, 5), (5, 8.5)], 1.7)


def _up(painter: QPainter, color: QColor) -> None:
    _filled(painter, color, [(5, 1), (10, 9), (0, 9)])


def _down(painter: QPainter, color: QColor) -> None:
    _filled(painter, color, [(0, 1), (10, 1), (5, 9)])


def _equal(painter: QPainter, color: QColor) -> None:
    painter.fillRect(QRectF(1, 2.5, 8, 1.8), color)
    painter.fillRect(QRectF(1, 5.9, 8, 1.8), color)


_SHIELD = [(5.0, 0.3), (9.2, 1.7), (9.2, 5.0), (7.6, 8.2), (5.0, 9.8), (2.4, 8.2), (0.8, 5.0), (0.8, 1.7), (5.0, 0.3)]


def _shield_full(painter: QPainter, color: QColor) -> None:
    _filled(painter, color, _SHIELD)
    _stroked(painter, QColor(Qt.GlobalColor.black), [(3, 5), (4.5, 6.6), (7.2, 3.4)], 1.3)


def _shield_half(painter: QPainter, color: QColor) -> None:
    _stroked(painter, color, _SHIELD, 1.1)
    _stroked(painter, color, [(5, 2.8), (5, 5.4)], 1.3)
    _stroked(painter, color, [(5, 7.2), (5, 7.3)], 1.3)


def _shield_none(painter: QPainter, color: QColor) -> None:
    _stroked(painter, color, _SHIELD, 1.1)
    _stroked(painter, color, [(0.8, 0.8), (9.2, 9.2)], 1.3)


def _check(painter: QPainter, color: QColor) -> None:
    _stroked(painter, color, [(1, 5.4), (3.8, 8.2), (9, 2.2)], 1.5)


def _question(painter: QPainter, color: QColor) -> None:
    font = QFont(painter.font())
    font.setPixelSize(10)
    font.setWeight(QFont.Weight.Bold)
    painter.setFont(font)
    painter.setPen(color)
    painter.drawText(QRectF(0, 0, 10, 10), Qt.AlignmentFlag.AlignCenter, "?")


def _exclamation(painter: QPainter, color: QColor) -> None:
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(color)
    painter.drawEllipse(QRectF(0, 0, 10, 10))
    painter.setBrush(Qt.GlobalColor.white)
    painter.drawRect(QRectF(4.4, 2, 1.3, 3.9))
    painter.drawRect(QRectF(4.4, 6.8, 1.3, 1.4))


def _hourglass(painter: QPainter, color: QColor) -> None:
    _stroked(painter, color, [(2, 1), (8, 1), (2, 9), (8, 9), (2, 1)], 1.1)


def _corner(painter: QPainter, color: QColor) -> None:
    _filled(painter, color, [(4, 0), (10, 0), (10, 6)])


_SHAPES = {
    "disc": _disc,
    "triangle": _warning,
    "cross": _cross,
    "ring": _dashed_ring,
    "dash": _dash,
    "circle": _circle,
    "square": _square,
    "diamond": _diamond,
    "star": _star,
    "chevrons": _chevrons,
    "up": _up,
    "down": _down,
    "equal": _equal,
    "shield_full": _shield_full,
    "shield_half": _shield_half,
    "shield_none": _shield_none,
    "check": _check,
    "question": _question,
    "exclamation": _exclamation,
    "hourglass": _hourglass,
    "corner": _corner,
}


@dataclass(frozen=True)
class Marker:
    """One order as the ladder and the tables draw it.

    state: draft sending working changing ghost cancelling part_filled unknown rejected. `text` is the bold first part
    ("B2"), `code` the small second one ("LE1b"). `done_share` is 0..1 for part-filled. `phase` moves the hatch.
    """

    side: str
    state: str
    text: str = ""
    code: str = ""
    done_share: float = 0.0
    is_foreign: bool = False
    phase: int = 0


def draw_marker(painter: QPainter, rect: QRectF, marker: Marker, theme: Theme) -> None:
    """An order marker in the look of its state, on whole pixels of `rect` (16 px high by rule)."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    text_color = _marker_ground(painter, rect, marker, theme)
    if marker.text or marker.code:
        _marker_text(painter, rect, marker, theme, text_color)
    if marker.state == "cancelling":
        middle = rect.center().y()
        painter.fillRect(QRectF(rect.left() + 2, round(middle) - 1, rect.width() - 4, 2), text_color)
    if marker.is_foreign:
        box = QRectF(rect.right() - 7, rect.top(), 7, 7)
        painter.fillRect(box, theme.color("surface.panel"))
        draw_shape(painter, QRectF(rect.right() - 9, rect.top(), 9, 9), "corner", theme.color("text.primary"))
    painter.restore()


def _marker_ground(painter: QPainter, rect: QRectF, marker: Marker, theme: Theme) -> QColor:
    """Paint ground, outline and hatch; return the colour of the text on it."""
    side = marker.side
    panel = theme.color("surface.panel")
    ratio = painter.device().devicePixelRatio() if painter.device() else 1.0
    text, primary = theme.side(side, "text"), theme.color("text.primary")
    state = marker.state
    if state in ("working", "changing"):
        _box(painter, rect, theme.side(side, "fill"), None)
        return theme.side(side, "on")
    if state == "cancelling":
        _box(painter, rect, theme.side(side, "bar_large"), None)
        return primary
    if state == "part_filled":
        _box(painter, rect, theme.side(side, "bar"), QPen(theme.side(side, "fill"), 1))
        strip = QRectF(rect.left() + 1, rect.bottom() - 4, rect.width() - 2, 3)
        painter.fillRect(strip, theme.side(side, "bar_large"))
        painter.fillRect(
            QRectF(strip.left(), strip.top(), strip.width() * marker.done_share, 3), theme.side(side, "fill")
        )
        return primary
    if state == "unknown":
        stripes = QColor(theme.color("status.caution_fill"))
        stripes.setAlphaF(0.38)
        _box(painter, rect, theme.color("status.caution_tint"), None)
        _box(
            painter,
            rect,
            hatch_brush(stripes, period=8, stripe=4, device_ratio=ratio),
            QPen(theme.color("status.caution_fill"), 1),
        )
        return theme.color("status.caution")
    if state == "rejected":
        _box(painter, rect, theme.color("status.danger_tint"), QPen(theme.color("status.danger"), 1))
        return theme.color("status.danger")
    if state == "sending":
        _box(painter, rect, panel, None)
        painter.setBrushOrigin(QPointF(marker.phase, 0))
        hatch = hatch_brush(theme.side(side, "bar_large"), period=6, stripe=2, device_ratio=ratio)
        _box(painter, rect, hatch, QPen(text, 1))
        return text
    pattern = [1.0, 2.0] if state == "ghost" else [3.0, 2.0]
    _box(painter, rect, panel, dash_pen(text, pattern))
    return text


def _box(painter: QPainter, rect: QRectF, ground: QColor | QBrush, pen: QPen | None) -> None:
    painter.setBrush(QBrush(ground))
    painter.setPen(pen if pen is not None else Qt.PenStyle.NoPen)
    shrink = 0.5 if pen is not None else 0.0
    painter.drawRoundedRect(rect.adjusted(shrink, shrink, -shrink, -shrink), 3, 3)


def _marker_text(painter: QPainter, rect: QRectF, marker: Marker, theme: Theme, color: QColor) -> None:
    bold, small = theme.font("caption", weight=700), theme.font("micro")
    first = theme.metrics("caption", weight=700).horizontalAdvance(marker.text)
    has_mark = marker.state in ("unknown", "rejected")
    code = "" if has_mark and rect.width() < first + 50 else marker.code
    total = first + (3 + theme.metrics("micro").horizontalAdvance(code) if code else 0)
    if marker.state in ("sending", "unknown"):
        plate = QRectF(rect.left() + 3, rect.top() + 2, min(total + 3, rect.width() - 6), rect.height() - 4)
        painter.fillRect(plate, theme.color("surface.panel" if marker.state == "sending" else "status.caution_tint"))
    row = rect.adjusted(4, 0, 0, -2 if marker.state == "part_filled" else 0)
    draw_text(painter, row, marker.text, bold, color)
    if code:
        draw_text(painter, row.adjusted(first + 3, 0, 0, 0), code, small, color)
    mark = {"unknown": "question", "rejected": "exclamation"}.get(marker.state)
    if mark:
        box = QRectF(rect.right() - 14, rect.top() + (rect.height() - 11) / 2, 11, 11)
        if mark == "question":
            painter.fillRect(box, theme.color("status.caution_fill"))
            draw_shape(painter, box, mark, theme.color("status.on_caution"))
        else:
            draw_shape(painter, box, mark, theme.color("status.danger"))


def draw_swatch(painter: QPainter, rect: QRectF, marker: Marker, theme: Theme) -> None:
    """The 16 x 10 state swatch of the tables; the marker's grammar without text."""
    draw_marker(
        painter,
        rect,
        Marker(marker.side, marker.state, "", "", marker.done_share, marker.is_foreign, marker.phase),
        theme,
    )


def icon_pixmap(name: str, color: QColor, size: int = 16, device_ratio: float = 1.0) -> QPixmap:
    """An icon of `resources/icons` in one colour at the real pixel size."""
    key = (name, color.rgba(), size, device_ratio)
    if key not in _ICONS:
        source = (RESOURCES / "icons" / f"{name}.svg").read_text("utf-8").replace("currentColor", color.name())
        pixmap = QPixmap(round(size * device_ratio), round(size * device_ratio))
        pixmap.fill(Qt.GlobalColor.transparent)
        painter = QPainter(pixmap)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        QSvgRenderer(QByteArray(source.encode())).render(painter, QRectF(0, 0, pixmap.width(), pixmap.height()))
        painter.end()
        pixmap.setDevicePixelRatio(device_ratio)
        _ICONS[key] = pixmap
    return _ICONS[key]


def icon(name: str, theme: Theme, token: str = "text.primary", size: int = 16) -> QIcon:
    """A QIcon in a token's colour, sharp at one, one and a half and two pixels per unit; dimmed when disabled."""
    result = QIcon()
    for ratio in (1.0, 1.5, 2.0):
        result.addPixmap(icon_pixmap(name, theme.color(token), size, ratio))
        result.addPixmap(icon_pixmap(name, theme.color("text.disabled"), size, ratio), QIcon.Mode.Disabled)
        result.addPixmap(
            icon_pixmap(name, theme.color("action.on_fill"), size, ratio), QIcon.Mode.Normal, QIcon.State.On
        )
    return result
