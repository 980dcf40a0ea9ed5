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


class MenuButton(PaintedButton):
    """A small button with a chevron; its menu lists the choices. `picked` carries the chosen number."""

    picked = Signal(int)

    def __init__(self, theme: Theme, choices: list[tuple[str, int]], first: int, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self._choices = {number: text for text, number in choices}
        self.number = first
        self.setFixedHeight(22)
        self.menu = QMenu(self)
        self._group = QActionGroup(self)
        for text, number in choices:
            action = QAction(text, self)
            action.setCheckable(True)
            action.setData(number)
            self._group.addAction(action)
            self.menu.addAction(action)
        self._group.triggered.connect(self._on_triggered)
        self.clicked.connect(self._on_clicked)
        self.pick(first)

    def pick(self, number: int) -> None:
        """Choose by program or hand; emits only when it differs."""
        differs = number != self.number
        self.number = number
        self.setText(self._choices[number])
        self.setAccessibleName(self.text())
        for action in self._group.actions():
            action.setChecked(action.data() == number)
        self.updateGeometry()
        self.update()
        if differs:
            self.picked.emit(number)

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
        self.pick(action.data())


class IntervalButton(MenuButton):
    """The interval of a chart."""

    chosen = Signal(object)

    def __init__(self, theme: Theme, interval: Interval, parent: QWidget | None = None) -> None:
        choices = [(entry.text, number) for number, entry in enumerate(INTERVALS)]
        super().__init__(theme, choices, INTERVALS.index(interval), parent)
        self.picked.connect(self._on_picked)

    @property
    def interval(self) -> Interval:
        return INTERVALS[self.number]

    def choose(self, interval: Interval) -> None:
        """Show an interval; emits only when it differs."""
        self.pick(INTERVALS.index(interval))

    def _on_picked(self, number: int) -> None:
        self.chosen.emit(INTERVALS[number])
