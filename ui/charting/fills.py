"""Our executions on the plot: which marks there are, which belong together, how they look."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QLineF, QPointF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF

from ui.painting import dash_pen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from app.domain import Fill
    from ui.charting.bars import I64
    from ui.charting.lettering import Lettering
    from ui.charting.viewport import Viewport
    from ui.theme import Theme

_HALF_WIDTH, _HEIGHT, _TIP_GAP, _RIM = 6.0, 10.0, 1.5, 1.5


class FillMark(NamedTuple):
    """One execution of ours."""

    time_ns: int
    ticks: int
    side: str
    lots: int

    @property
    def signed_lots(self) -> int:
        return self.lots if self.side == "buy" else -self.lots


def fill_marks(fills: Iterable[Fill], contract: int, account_id: int) -> tuple[FillMark, ...]:
    """Valid executions of one account in one contract, oldest first."""
    ours = [f for f in fills if f.contract == contract and f.account_id == account_id and not f.is_voided]
    ours.sort(key=lambda fill: (fill.time_ns, fill.trade_id))
    return tuple(FillMark(f.time_ns, f.price_ticks, f.side, f.size_lots) for f in ours)


def joined(marks: Sequence[FillMark]) -> list[tuple[FillMark, FillMark]]:
    """Pairs of entry and exit, first in, first out; what is still open has no pair."""
    pairs: list[tuple[FillMark, FillMark]] = []
    open_lots: list[tuple[FillMark, int]] = []
    for mark in marks:
        left = mark.signed_lots
        while left and open_lots and open_lots[0][1] * left < 0:
            entry, held = open_lots[0]
            closed = min(abs(held), abs(left))
            pairs.append((entry, mark))
            rest = held - closed if held > 0 else held + closed
            open_lots[0:1] = [(entry, rest)] if rest else []
            left += closed if held > 0 else -closed
        if left:
            open_lots.append((mark, left))
    return pairs


def draw_fills(
    painter: QPainter, theme: Theme, letters: Lettering, view: Viewport, times: I64, marks: Sequence[FillMark]
) -> None:
    """Dashes from entry to exit, then one triangle per bar, price and side with the lots beyond it."""
    if not marks or len(times) == 0:
        return
    bars = {mark: max(0, int(times.searchsorted(mark.time_ns, side="right")) - 1) for mark in marks}
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(dash_pen(theme.color("text.primary"), [3.0, 3.0]))
    for entry, leave in joined(marks):
        start = QPointF(view.x_of(bars[entry]), view.y_of(entry.ticks))
        painter.drawLine(QLineF(start, QPointF(view.x_of(bars[leave]), view.y_of(leave.ticks))))
    lots: dict[tuple[int, int, str], int] = defaultdict(int)
    for mark in marks:
        lots[bars[mark], mark.ticks, mark.side] += mark.lots
    for (bar, ticks, side), count in lots.items():
        if view.shows_bar(bar):
            _draw_mark(painter, theme, letters, QPointF(view.x_of(bar), view.y_of(ticks)), side, count)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)


def _draw_mark(painter: QPainter, theme: Theme, letters: Lettering, at: QPointF, side: str, lots: int) -> None:
    """Tip beside the price: a buy below it pointing up, a sell above it pointing down."""
    away = 1.0 if side == "buy" else -1.0
    tip = at.y() + away * _TIP_GAP
    base = tip + away * _HEIGHT
    shape = QPolygonF([QPointF(at.x(), tip), QPointF(at.x() + _HALF_WIDTH, base), QPointF(at.x() - _HALF_WIDTH, base)])
    rim = QPen(theme.color("chart.background"), 2 * _RIM)
    rim.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(rim)
    painter.setBrush(theme.side(side, "fill"))
    painter.drawPolygon(shape)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.drawPolygon(shape)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    top = base if away > 0 else base - 12
    letters.centre(painter, at.x(), top, 12, str(lots), "micro", theme.side(side, "text"), 700)
