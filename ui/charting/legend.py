"""Words on the plot: bar values at the top left, chips for orders out of view, the button for new bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF

from ui.charting.bars import Bars
from ui.charting.lettering import Lettering
from ui.charting.vwap import Vwap
from ui.formatting import GAIN, LOSS, MINUS, price_text

if TYPE_CHECKING:
    from app.domain import Contract
    from ui.theme import Theme


def draw_legend(painter: QPainter, theme: Theme, letters: Lettering, contract: Contract, bar: Bars) -> None:
    """O H L C with the bar's change, and its volume, on a plate of the ground colour. `bar` holds one bar."""
    opened, closed = int(bar.open_ticks[0]), int(bar.close_ticks[0])
    change = closed - opened
    muted, primary = theme.color("text.muted"), theme.color("text.primary")
    arrow = "" if change == 0 else f" {GAIN if change > 0 else LOSS} "
    sign = "+" if change > 0 else MINUS if change < 0 else ""
    outcome = theme.outcome(change)
    runs = [("O ", muted, 400), (price_text(opened, contract), primary, 400)]
    for letter, ticks in (("H", bar.high_ticks[0]), ("L", bar.low_ticks[0])):
        runs += [(f" {letter} ", muted, 400), (price_text(int(ticks), contract), primary, 400)]
    runs += [
        (" C ", muted, 400),
        (price_text(closed, contract), outcome, 600),
        (f"{arrow}{sign}{price_text(abs(change), contract)}" if change else "", outcome, 600),
        (" V ", muted, 400),
        (f"{int(bar.volume_lots[0]):,}", primary, 400),
    ]
    width = sum(letters.width(text, "body", weight) for text, _color, weight in runs)
    painter.fillRect(QRectF(6, 5, width + 10, 18), theme.color("chart.background"))
    x = 11.0
    for text, color, weight in runs:
        x = letters.left(painter, x, 5, 18, text, "body", color, weight)


def draw_vwap_legend(
    painter: QPainter, theme: Theme, letters: Lettering, contract: Contract, shown: Vwap, place: int
) -> None:
    """Second line: sample, average and first band at one bar; the nearest one known when the bar has none."""
    place = min(max(0, place), len(shown.average) - 1)
    average, deviation = float(shown.average[place]), float(shown.deviation[place])
    muted, primary = theme.color("text.muted"), theme.color("text.primary")
    low, high = (price_text(round(average + sign * deviation), contract) for sign in (-1, 1))
    runs = [
        ("VWAP ", muted),
        (price_text(round(average), contract), primary),
        ("   1\u03c3 ", muted),
        (f"{low} / {high}", primary),
    ]
    width = sum(letters.width(text, "body", 400) for text, _color in runs)
    painter.fillRect(QRectF(6, 23, width + 28, 18), theme.color("chart.background"))
    painter.fillRect(QRectF(11, 31, 12, 2), theme.color("chart.vwap"))
    x = 29.0
    for text, color in runs:
        x = letters.left(painter, x, 23, 18, text, "body", color, 400)


def chip_box(letters: Lettering, text: str, right: float, y: float) -> QRectF:
    """Place of a chip that ends at `right`."""
    width = round(letters.width(text, "caption")) + 30
    return QRectF(right - width, y, width, 18)


def draw_chip(painter: QPainter, theme: Theme, letters: Lettering, box: QRectF, text: str, arrow: str) -> None:
    """A small plate with an arrow up, down or to the newest bar."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color("surface.selected"))
    painter.drawRoundedRect(box, 3, 3)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(theme.color("text.primary"), 1.2))
    middle = box.center().y()
    if arrow == "newest":
        for x in (box.right() - 15, box.right() - 10):
            painter.drawPolyline(QPolygonF([QPointF(x, middle - 4), QPointF(x + 4, middle), QPointF(x, middle + 4)]))
        start = box.left() + 8
    else:
        x, tip = box.left() + 10, middle - 4 if arrow == "up" else middle + 4
        turn = 3 if arrow == "up" else -3
        painter.drawLine(QPointF(x, middle - 4), QPointF(x, middle + 4))
        painter.drawPolyline(QPolygonF([QPointF(x - 3, tip + turn), QPointF(x, tip), QPointF(x + 3, tip + turn)]))
        start = box.left() + 18
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
    letters.left(painter, start, box.top(), box.height(), text, "caption", theme.color("text.primary"))
