"""Paints one ladder row, the column header and the totals. Whole pixels, no state besides the text cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPixmap, QPolygonF

from ui.charting.lettering import Lettering
from ui.charting.standing import half_even
from ui.formatting import large_count, price_text, signed, split_price
from ui.painting import Marker, dash_pen, draw_marker, draw_shape, hatch_brush
from ui.panels.ladder.columns import HEADS, Column
from ui.panels.ladder.rows import Mark, Row

if TYPE_CHECKING:
    from app.domain import Contract
    from ui.panels.ladder.rows import Totals
    from ui.theme import Theme

_MARKER_HEIGHT = 16
_SIZE_WEIGHT = 400
_DONE_GLYPH = {"filled": "check", "cancelled": "cross", "expired": "hourglass"}


class RowMood(NamedTuple):
    """How a row is painted besides its values."""

    is_hovered: bool = False
    is_stale: bool = False
    is_hatched: bool = False
    has_spread_line: bool = False
    draft_side: str = ""
    draft_text: str = ""
    draft_code: str = ""
    ghost: Mark | None = None
    phase: int = 0
    net_lots: int = 0


class LadderPainter:
    """Knows colours, columns and contract; is told row by row what to paint."""

    def __init__(self, theme: Theme) -> None:
        self.theme = theme
        self.letters = Lettering(theme)
        self.columns: dict[str, Column] = {}
        self.row_height = 20
        self.contract: Contract | None = None
        self._grounds: dict[tuple[object, ...], QPixmap] = {}

    def use_theme(self) -> None:
        """Drop what was laid out with old fonts."""
        self.letters = Lettering(self.theme)

    def row(self, painter: QPainter, y: int, row: Row, mood: RowMood) -> None:
        """Paint a whole row at y; the painter may be clipped to less."""
        self._ground(painter, y, row, mood)
        self._depth(painter, y, row, mood)
        self._volume(painter, y, row, mood)
        self._recent(painter, y, row, mood)
        self._price(painter, y, row, mood)
        self._pnl(painter, y, row, mood)
        if mood.is_hatched:
            self._hatch(painter, y)
        if row.last_mark:
            self._last_outline(painter, y, row, mood)
        if row.is_day_even:
            self._day_even(painter, y)
        if row.average:
            self._average(painter, y, row, mood)
        self._own(painter, y, row, mood)

    def _ground(self, painter: QPainter, y: int, row: Row, mood: RowMood) -> None:
        """Ground, price column and grid lines of a row: one of a few pictures kept from before."""
        look = (mood.is_hovered, mood.has_spread_line, self._is_whole_point(row.ticks))
        ratio = painter.device().devicePixelRatio()
        key = (look, self.row_height, self.theme.revision, ratio, tuple(self.columns.values()))
        ground = self._grounds.get(key)
        if ground is None:
            if len(self._grounds) > 64:
                self._grounds.clear()
            ground = self._grounds[key] = self._draw_ground(look, ratio)
        painter.drawPixmap(0, y, ground)

    def _draw_ground(self, look: tuple[bool, bool, bool], ratio: float) -> QPixmap:
        is_hovered, has_spread_line, is_whole_point = look
        theme, height = self.theme, self.row_height
        width = max(c.right for c in self.columns.values())
        pixmap = QPixmap(round(width * ratio), round(height * ratio))
        pixmap.setDevicePixelRatio(ratio)
        pixmap.fill(theme.color("surface.hover" if is_hovered else "surface.panel"))
        painter = QPainter(pixmap)
        price = self.columns["price"]
        painter.fillRect(
            price.x, 0, price.width, height, theme.color("surface.pressed" if is_hovered else "surface.raised")
        )
        hair = theme.color("line.hair")
        for column in self.columns.values():
            if column.x and not is_hovered:
                painter.fillRect(column.x, 0, 1, height, hair)
        painter.fillRect(0, height - 1, width, 1, hair)
        if is_whole_point:
            line = QColor(theme.color("line.border"))
            line.setAlphaF(0.55)
            painter.fillRect(0, height - 1, width, 1, line)
        if has_spread_line:
            painter.fillRect(0, height - 1, width, 1, theme.color("line.strong"))
        painter.end()
        return pixmap

    def _is_whole_point(self, ticks: int) -> bool:
        grid = self.contract
        return grid is not None and grid.decimals > 0 and ticks * grid.tick_units % 10**grid.decimals == 0

    def _depth(self, painter: QPainter, y: int, row: Row, mood: RowMood) -> None:
        bid, ask = self.columns["bid"], self.columns["ask"]
        if row.is_best_bid and not mood.is_stale:
            painter.fillRect(bid.x + 1, y, bid.width - 1, self.row_height - 1, self.theme.side("buy", "tint"))
        if row.is_best_ask and not mood.is_stale:
            painter.fillRect(ask.x + 1, y, ask.width - 1, self.row_height - 1, self.theme.side("sell", "tint"))
        if row.bid_lots:
            is_bright = row.is_bid_large or row.is_best_bid
            self._bar(painter, y, (bid.right - row.bid_bar, row.bid_bar), "buy", mood, is_bright=is_bright)
            self._own_share(painter, y, bid.right - row.own_bid_bar, row.own_bid_bar)
            self._size(painter, y, bid.right - 5, row.bid_lots, mood, is_bright=is_bright, is_right=True)
        if row.ask_lots:
            is_bright = row.is_ask_large or row.is_best_ask
            self._bar(painter, y, (ask.x + 1, row.ask_bar), "sell", mood, is_bright=is_bright)
            self._own_share(painter, y, ask.x + 1, row.own_ask_bar)
            self._size(painter, y, ask.x + 5, row.ask_lots, mood, is_bright=is_bright, is_right=False)

    def _bar(
        self, painter: QPainter, y: int, span: tuple[int, int], side: str, mood: RowMood, *, is_bright: bool
    ) -> None:
        x, width = span
        if width <= 0:
            return
        color = self.theme.side(side, "bar_large" if is_bright else "bar")
        if mood.is_stale:
            color = self.theme.color("surface.hover")
        painter.fillRect(x, y + 1, width, self.row_height - 3, color)

    def _own_share(self, painter: QPainter, y: int, x: int, width: int) -> None:
        if width <= 0:
            return
        painter.setPen(self.theme.color("text.primary"))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(x, y + 1, width - 1, self.row_height - 4)

    def _size(
        self, painter: QPainter, y: int, x: int, lots: int, mood: RowMood, *, is_bright: bool, is_right: bool
    ) -> None:
        token = "text.muted" if mood.is_stale else "text.primary" if is_bright else "text.secondary"
        draw = self.letters.right if is_right else self.letters.left
        weight = 600 if is_bright else _SIZE_WEIGHT
        draw(painter, x, y, self.row_height - 1, str(lots), "body", self.theme.color(token), weight)

    def _volume(self, painter: QPainter, y: int, row: Row, mood: RowMood) -> None:
        column = self.columns.get("volume")
        if column is None or not row.volume:
            return
        token = "chart.volume_profile_poc" if row.is_busiest else "chart.volume_profile"
        painter.fillRect(column.x + 1, y + 1, row.volume_bar, self.row_height - 3, self.theme.color(token))
        weight = 600 if row.is_busiest else _SIZE_WEIGHT
        color = self.theme.color("text.primary" if row.is_busiest else "text.secondary")
        if mood.is_stale:
            color = self.theme.color("text.muted")
        text = large_count(row.volume)
        self.letters.right(painter, column.right - 4, y, self.row_height - 1, text, "caption", color, weight)

    def _recent(self, painter: QPainter, y: int, row: Row, mood: RowMood) -> None:
        for name, side, lots, age in (
            ("sold", "sell", row.sold, row.sold_age),
            ("bought", "buy", row.bought, row.bought_age),
        ):
            column = self.columns.get(name)
            if column is None or not lots or age > 3:
                continue
            weight, color = _SIZE_WEIGHT, self.theme.color("text.muted")
            if not mood.is_stale and age == 0:
                painter.fillRect(column.x + 1, y, column.width - 1, self.row_height - 1, self.theme.side(side, "bar"))
            if not mood.is_stale and age < 2:
                weight, color = (700, 500)[age], self.theme.side(side, "text")
            elif not mood.is_stale and age == 2:
                color = self.theme.color("text.secondary")
            text = str(lots) if lots < 100_000 else large_count(lots)
            self.letters.right(painter, column.right - 6, y, self.row_height - 1, text, "body", color, weight)

    def _price(self, painter: QPainter, y: int, row: Row, mood: RowMood) -> None:
        column, height = self.columns["price"], self.row_height - 1
        if self.contract is None:
            return
        head, tail = split_price(price_text(row.ticks, self.contract))
        quiet = self.theme.color("text.muted" if mood.is_stale else "text.secondary")
        bright = self.theme.color("text.muted" if mood.is_stale else "text.primary")
        width = self.letters.width(head, "body") + self.letters.width(tail, "price")
        x = column.x + 2 + (column.width - width) / 2
        x = self.letters.left(painter, x, y, height, head, "body", quiet)
        self.letters.left(painter, x, y, height, tail, "price", bright)
        if row.letter:
            self.letters.left(
                painter, column.x + 4, y, height, row.letter, "micro", self.theme.color("text.muted"), 700
            )

    def _pnl(self, painter: QPainter, y: int, row: Row, mood: RowMood) -> None:
        column = self.columns.get("pnl")
        if column is None or row.pnl_1e4 is None:
            return
        dollars = half_even(row.pnl_1e4, 10_000)
        color = self.theme.color("text.muted") if mood.is_stale else self.theme.outcome(dollars)
        text = signed(dollars)
        self.letters.right(painter, column.right - 5, y, self.row_height - 1, text, "caption", color, _SIZE_WEIGHT)

    def _hatch(self, painter: QPainter, y: int) -> None:
        color = QColor(self.theme.color("line.strong"))
        color.setAlphaF(0.5)
        ratio = painter.device().devicePixelRatio()
        brush = hatch_brush(color, period=8, stripe=1.2, device_ratio=ratio)
        for name in ("own_buys", "bid", "ask", "own_sells"):
            column = self.columns[name]
            painter.fillRect(QRectF(column.x, y, column.width, self.row_height), brush)

    def _last_outline(self, painter: QPainter, y: int, row: Row, mood: RowMood) -> None:
        color = self.theme.color("text.muted" if mood.is_stale else "text.primary")
        painter.setPen(color)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        price = self.columns["price"]
        painter.drawRect(price.x, y, price.width - 1, self.row_height - 2)
        other = self.columns.get("sold" if row.last_side == "sell" else "bought")
        if other is not None and (row.sold if row.last_side == "sell" else row.bought):
            painter.drawRect(other.x, y, other.width - 1, self.row_height - 2)
        box = QRectF(price.right - 10, y + (self.row_height - 8) / 2, 7, 7)
        draw_shape(painter, box, row.last_mark, color)

    def _day_even(self, painter: QPainter, y: int) -> None:
        width = max(c.right for c in self.columns.values())
        painter.setPen(dash_pen(self.theme.color("text.secondary"), [5.0, 3.0]))
        painter.drawLine(0, y + self.row_height - 1, width, y + self.row_height - 1)

    def _average(self, painter: QPainter, y: int, row: Row, mood: RowMood) -> None:
        side = "buy" if mood.net_lots > 0 else "sell"
        width = max(c.right for c in self.columns.values())
        color, height = self.theme.side(side, "line"), self.row_height
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if row.average in ("on", "top"):
            painter.fillRect(QRectF(0, y, width, 1.5 if row.average == "on" else 1), color)
        if row.average in ("on", "bottom"):
            thick = 1.5 if row.average == "on" else 1
            painter.fillRect(QRectF(0, y + height - thick, width, thick), color)
        painter.save()
        painter.setClipRect(QRectF(0, y, width, height), Qt.ClipOperation.IntersectClip)
        self._flag(
            painter, y + {"on": 0, "top": -height // 2, "bottom": height // 2}[row.average], side, abs(mood.net_lots)
        )
        painter.restore()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)

    def _flag(self, painter: QPainter, y: int, side: str, lots: int) -> None:
        column = self.columns["own_buys" if side == "buy" else "own_sells"]
        height, left, right = self.row_height, column.x, column.right
        points = [
            (left, y + 1),
            (right - 6, y + 1),
            (right - 1, y + height / 2),
            (right - 6, y + height - 1),
            (left, y + height - 1),
        ]
        if side == "sell":
            points = [(left + right - x, py) for x, py in points]
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.theme.side(side, "fill"))
        painter.drawPolygon(QPolygonF([QPointF(x, py) for x, py in points]))
        start = left + (5 if side == "buy" else 11)
        self.letters.left(painter, start, y, height, f"avg {lots}", "caption", self.theme.side(side, "on"), 600)

    def _own(self, painter: QPainter, y: int, row: Row, mood: RowMood) -> None:
        for name, side, mark in (("own_buys", "buy", row.buys), ("own_sells", "sell", row.sells)):
            column = self.columns[name]
            box = QRectF(
                column.x + 2, y + (self.row_height - 1 - _MARKER_HEIGHT) // 2, column.width - 4, _MARKER_HEIGHT
            )
            if mark is not None:
                self._mark(painter, box, mark, mood.phase)
            elif mood.ghost is not None and mood.ghost.side == side:
                self._mark(painter, box, mood.ghost, 0)
            elif mood.draft_side == side:
                draw_marker(painter, box, Marker(side, "draft", mood.draft_text, mood.draft_code), self.theme)

    def _mark(self, painter: QPainter, box: QRectF, mark: Mark, phase: int) -> None:
        glyph = _DONE_GLYPH.get(mark.look)
        if glyph is None:
            share = mark.done_permille / 1000
            look = Marker(mark.side, mark.look, mark.head, mark.code, share, mark.is_foreign, phase)
            draw_marker(painter, box, look, self.theme)
            return
        color = QColor(self.theme.color("text.muted"))
        color.setAlphaF(1.0 - mark.done_permille / 1000)
        height = box.height()
        x = self.letters.left(painter, box.x() + 4, box.y(), height, mark.head, "caption", color, 400)
        self.letters.left(painter, x + 3, box.y(), height, mark.code, "micro", color)
        draw_shape(painter, QRectF(box.right() - 12, box.y() + 4, 8, 8), glyph, color)

    def head(self, painter: QPainter, y: int, height: int) -> None:
        """Column header."""
        width = max(c.right for c in self.columns.values())
        painter.fillRect(0, y, width, height, self.theme.color("surface.header"))
        painter.fillRect(0, y + height - 1, width, 1, self.theme.color("line.border"))
        for column in self.columns.values():
            middle = column.x + column.width / 2
            self.letters.centre(
                painter, middle, y, height, HEADS[column.name], "caption", self.theme.color("text.muted")
            )

    def totals(self, painter: QPainter, y: int, height: int, values: Totals, *, is_stale: bool) -> None:
        """Sums of the shown sides, delta and volume of the day, unit of the P&L column."""
        theme, columns = self.theme, self.columns
        width = max(c.right for c in columns.values())
        painter.fillRect(0, y, width, height, theme.color("surface.header"))
        painter.fillRect(0, y, width, 1, theme.color("line.border"))
        muted = theme.color("text.muted")
        plain = muted if is_stale else theme.color("text.secondary")
        role = "caption"
        self.letters.left(painter, 8, y, height, "Shown", role, muted)
        self.letters.right(painter, columns["bid"].right - 5, y, height, f"{values.bid_lots:,}", role, plain)
        self.letters.left(painter, columns["ask"].x + 5, y, height, f"{values.ask_lots:,}", role, plain)
        x = self.letters.left(painter, columns["price"].x + 5, y, height, "Delta ", role, muted)
        delta = muted if is_stale else theme.outcome(values.delta_lots)
        sign = f"{abs(values.delta_lots):,}"
        self.letters.left(
            painter, x, y, height, signed(values.delta_lots)[: 1 if values.delta_lots else 0] + sign, role, delta
        )
        if "volume" in columns:
            self.letters.right(
                painter, columns["volume"].right - 4, y, height, large_count(values.session_lots), role, plain
            )
        if "pnl" in columns:
            self.letters.right(painter, columns["pnl"].right - 5, y, height, "$ open", role, muted)

    def chip(self, painter: QPainter, box: QRectF, arrow: str, text: str) -> None:
        """Orders beyond an edge: arrow, count, nearest price."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self.theme.color("surface.selected"))
        painter.drawRoundedRect(box, 3, 3)
        painter.setPen(QPen(self.theme.color("text.primary"), 1.2))
        x, top, bottom = box.x() + 10, box.y() + 5, box.bottom() - 5
        tip, turn = (top, 3) if arrow == "up" else (bottom, -3)
        painter.drawLine(QPointF(x, top), QPointF(x, bottom))
        painter.drawPolyline(QPolygonF([QPointF(x - 3, tip + turn), QPointF(x, tip), QPointF(x + 3, tip + turn)]))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
        self.letters.left(
            painter, box.x() + 18, box.y(), box.height(), text, "caption", self.theme.color("text.primary")
        )
