"""The intervals a chart offers, and the small button with a menu that chooses one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QPoint, QRectF, QSize, Signal
from PySide6.QtGui import QAction, QActionGroup, QPainter, QPaintEvent
from PySide6.QtWidgets import QMenu, QWidget

from ui.controls import PaintedButton
from ui.painting import draw_text, icon_pixmap

if TYPE_CHECKING:
    from ui.theme import Theme

_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


class Interval(NamedTuple):
    """Length of a bar as the engine counts it: unit second, minute, hour or day."""

    unit: str
    number: int

    @property
    def seconds(self) -> int:
        return _SECONDS[self.unit] * self.number

    @property
    def text(self) -> str:
        short = {"second": "s", "minute": "min", "hour": "h", "day": "d"}[self.unit]
        return f"{self.number} {short}"


INTERVALS = (
    Interval("second", 1),
    Interval("second", 5),
    Interval("second", 15),
    Interval("second", 30),
    Interval("minute", 1),
    Interval("minute", 3),
    Interval("minute", 5),
    Interval("minute", 15),
    Interval("minute", 30),
    Interval("hour", 1),
    Interval("hour", 4),
    Interval("day", 1),
)


class IntervalButton(PaintedButton):
    """Shows the interval and a chevron; its menu lists the others."""

    chosen = Signal(object)

    def __init__(self, theme: Theme, interval: Interval, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self.interval = interval
        self.setFixedHeight(22)
        self.menu = QMenu(self)
        self._group = QActionGroup(self)
        for entry in INTERVALS:
            action = QAction(entry.text, self)
            action.setCheckable(True)
            action.setData(INTERVALS.index(entry))
            self._group.addAction(action)
            self.menu.addAction(action)
        self._group.triggered.connect(self._on_triggered)
        self.clicked.connect(self._on_clicked)
        self.choose(interval)

    def choose(self, interval: Interval) -> None:
        """Show an interval; emits only when it differs."""
        differs = interval != self.interval
        self.interval = interval
        self.setText(interval.text)
        self.setAccessibleName(f"Interval {interval.text}")
        for action in self._group.actions():
            action.setChecked(INTERVALS[action.data()] == interval)
        self.updateGeometry()
        self.update()
        if differs:
            self.chosen.emit(interval)

    def sizeHint(self) -> QSize:
        return QSize(round(self._theme.metrics("button", weight=500).horizontalAdvance(self.text())) + 34, 22)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        ground = "surface.pressed" if self.isDown() else "surface.hover" if self.is_hovered else "surface.raised"
        rect = self.box(painter, ground, "line.border")
        font, color = self._theme.font("button", weight=500), self._theme.color("text.primary")
        draw_text(painter, QRectF(8, 0, rect.width(), rect.height()), self.text(), font, color)
        chevron = icon_pixmap("chevron", self._theme.color("text.muted"), 10, self.devicePixelRatioF())
        painter.drawPixmap(round(rect.right()) - 17, 6, chevron)

    def _on_clicked(self) -> None:
        self.menu.popup(self.mapToGlobal(QPoint(0, self.height() + 2)))

    def _on_triggered(self, action: QAction) -> None:
        self.choose(INTERVALS[action.data()])
