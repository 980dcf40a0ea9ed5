"""The exits to scale: entry, stop, up to four targets, with lots, ticks, dollars and who holds each leg."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from app.services.exits import ExitPlan
from ui import formatting
from ui.painting import RIGHT, draw_elided, draw_runs, draw_text
from ui.theme import Theme

HEIGHT = 104
_PAD = 11.0
_ROW = 16.0
# Labels closer than this push each other apart and keep a leader to their true place.
_APART = 15.0
_BAR = QRectF(46, 0, 18, 0)
_TEXT_LEFT = 72.0


@dataclass(frozen=True)
class Leg:
    """One line of the sketch. offset_ticks: up is positive, the entry is 0."""

    name: str
    offset_ticks: int
    lots: int
    money_1e4: int
    holder: str


@dataclass(frozen=True)
class SketchView:
    """What is drawn. `entry` and `remark` are text; `problem` stands instead of everything else."""

    side: str = "buy"
    entry: str = ""
    remark: str = ""
    legs: tuple[Leg, ...] = ()
    problem: str = ""


def legs_of(plan: ExitPlan, side: str, lots: int, tick_value_1e4: int) -> tuple[Leg, ...]:
    """The plan's legs as lines, stop first. One native target is the broker's; several are linked by this computer."""
    up = 1 if side == "buy" else -1
    legs = []
    if plan.stop_ticks is not None:
        money = -plan.stop_ticks * lots * tick_value_1e4
        legs.append(Leg("Stop", -up * plan.stop_ticks, lots, money, plan.held_by))
    holder = plan.held_by if is_native(plan, lots) else "computer"
    for place, target in enumerate(plan.targets, 1):
        money = target.ticks * target.lots * tick_value_1e4
        legs.append(Leg(f"T{place}", up * target.ticks, target.lots, money, holder))
    return tuple(legs)


def is_native(plan: ExitPlan, lots: int) -> bool:
    """Whether one native bracket of the broker holds all of it (decision 17)."""
    return len(plan.targets) <= 1 and all(target.lots == lots for target in plan.targets)


def pushed_apart(places: Sequence[float], top: float, bottom: float) -> list[float]:
    """Rows for labels at these places, in ascending order: at least 15 px apart, inside the box while they fit."""
    rows: list[float] = []
    for place in places:
        rows.append(max(place, rows[-1] + _APART) if rows else max(place, top))
    if rows and rows[-1] > bottom:
        rows[-1] = bottom
        for index in range(len(rows) - 2, -1, -1):
            rows[index] = min(rows[index], rows[index + 1] - _APART)
    return rows


class ExitsSketch(QWidget):
    """Paints a `SketchView`; a click opens the editor."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.view = SketchView()
        self.setFixedHeight(HEIGHT)
        theme.changed.connect(self.update)

    def show_view(self, view: SketchView) -> None:
        """Take over the exits; repaints only on a difference."""
        if view != self.view:
            self.view = view
            lines = [f"{leg.name} {leg.lots} lots {formatting.signed_money(leg.money_1e4)}" for leg in view.legs]
            self.setAccessibleName(view.problem or ", ".join(lines) or "No exits")
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme, rect, view = self._theme, QRectF(self.rect()), self.view
        painter.fillRect(rect, theme.color("surface.input"))
        painter.setPen(theme.color("line.border"))
        painter.drawRect(rect.adjusted(0.5, 0.5, -0.5, -0.5))
        if view.problem or not view.legs:
            text = view.problem or "No exits: choose a template, or edit"
            token = "status.danger" if view.problem else "text.muted"
            draw_elided(painter, rect.adjusted(12, 0, -8, 0), text, theme.font("body"), theme.color(token))
            return
        self._paint_scale(painter, rect)

    def _paint_scale(self, painter: QPainter, rect: QRectF) -> None:
        theme, view = self._theme, self.view
        up = max(0, *(leg.offset_ticks for leg in view.legs))
        down = max(0, *(-leg.offset_ticks for leg in view.legs))
        top, bottom = _PAD, rect.height() - _PAD

        def y_of(offset: int) -> float:
            return top + (bottom - top) * (up - offset) / (up + down)

        entry_y = y_of(0)
        for is_upper, reach in ((True, up), (False, -down)):
            if reach:
                is_loss = (view.side == "buy") != is_upper
                y = y_of(reach)
                bar = QRectF(_BAR.left(), min(y, entry_y), _BAR.width(), abs(entry_y - y))
                painter.fillRect(bar, theme.outcome(-1 if is_loss else 1, "bar"))
        lines: list[tuple[float, Leg | None]] = [(y_of(leg.offset_ticks), leg) for leg in view.legs]
        lines = sorted([*lines, (entry_y, None)], key=lambda line: line[0])
        rows = pushed_apart([y for y, _leg in lines], top, bottom)
        for (y, leg), row_y in zip(lines, rows, strict=True):
            self._paint_line(painter, y, row_y, leg)

    def _paint_line(self, painter: QPainter, y: float, row_y: float, leg: Leg | None) -> None:
        theme = self._theme
        bold, usual = theme.font("caption", weight=600), theme.font("caption")
        row = QRectF(0, row_y - _ROW / 2, self.width() - 6, _ROW)
        label = QRectF(0, row.top(), 40, _ROW)
        color = theme.color("text.primary") if leg is None else theme.outcome(1 if leg.money_1e4 > 0 else -1)
        painter.fillRect(QRectF(42, round(y) - (1 if leg is None else 0), 26, 2 if leg is None else 1), color)
        if abs(row_y - y) > 1:
            painter.setPen(theme.color("line.strong"))
            painter.drawLine(68, round(y), round(_TEXT_LEFT - 1), round(row_y))
        if leg is None:
            draw_text(painter, label, "Entry", bold, theme.color("text.primary"), RIGHT)
            runs = [(self.view.entry, bold, theme.color("text.primary"))]
            runs.append((f"   {self.view.remark}" if self.view.remark else "", usual, theme.color("text.muted")))
        else:
            draw_text(painter, label, leg.name, usual, theme.color("text.secondary"), RIGHT)
            is_ours = leg.holder == "computer"
            holder = ("! this computer", "status.caution") if is_ours else ("broker", "text.muted")
            runs = [
                (f"{leg.lots}   {abs(leg.offset_ticks)} t   ", usual, theme.color("text.primary")),
                (formatting.signed_money(leg.money_1e4), bold, color),
                (f"   {holder[0]}", usual, theme.color(holder[1])),
            ]
        draw_runs(painter, _TEXT_LEFT, row, runs)
