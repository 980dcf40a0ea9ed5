"""Toasts: the newest notices over the window, bottom right; they take no focus and cover nothing that trades.

info 4 s, caution 8 s, danger until it is read. At most four; the oldest gives way, one that waits to be read last.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, QRect, QRectF, Qt, QTimer
from PySide6.QtGui import QColor, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QApplication, QPushButton, QWidget

from ui.painting import RIGHT, draw_shape, draw_text
from ui.theme import Theme

_MOST = 4
_WIDTH = 340
_MARGIN = 12
_GAP = 8
_STEP_MS = 250
_LOOKS = {
    "info": ("check", "", "motion.toast_info_ms"),
    "warning": ("triangle", "status.caution_fill", "motion.toast_caution_ms"),
    "alarm": ("exclamation", "status.danger_fill", "motion.toast_danger_ms"),
}


class Toast(QWidget):
    """One notice, 340 wide, one or two lines of text below its title. level: info, warning, alarm."""

    def __init__(self, theme: Theme, level: str, title: str, text: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self.level, self.title, self.text = level, title, text
        shape, token, limit = _LOOKS[level]
        self._shape, self._token = shape, token
        self._lives_ms = int(theme.measure(limit))
        self._born_ms = _now_ms()
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(f"{title}. {text}")
        self.setToolTip(text)
        self.read_button = QPushButton("Read", self)
        self.read_button.setProperty("size", "small")
        self.read_button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.read_button.setVisible(self.stays)
        self.read_button.adjustSize()
        # The last line ends before the button.
        taken = self.read_button.width() + 6 if self.stays else 0
        self.lines = _wrapped(text, QFontMetricsF(theme.font("body")), _WIDTH - 58, taken)
        self.setFixedSize(_WIDTH, 64 if len(self.lines) < 2 else 80)
        self.read_button.move(_WIDTH - self.read_button.width() - 10, self.height() - 30)

    @property
    def stays(self) -> bool:
        """Until it is read."""
        return self._lives_ms == 0

    def left_ms(self) -> int:
        """How long it is still shown; always something for one that stays."""
        return 1 if self.stays else self._born_ms + self._lives_ms - _now_ms()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme, rect = self._theme, QRectF(self.rect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(theme.color("line.strong"))
        painter.setBrush(theme.brush("surface.tooltip"))
        painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 5, 5)
        primary = theme.on_tooltip
        quiet = QColor(primary)
        quiet.setAlphaF(0.8)
        mark = theme.color(self._token) if self._token else primary
        painter.fillRect(QRectF(0, 4, 4, rect.height() - 8), mark)
        draw_shape(painter, QRectF(14, 13, 16, 16), self._shape, mark)
        draw_text(painter, QRectF(40, 10, _WIDTH - 100, 20), self.title, theme.font("body_em"), primary)
        waits = "stays" if self.stays else f"{max(1, round(self.left_ms() / 1000))} s"
        draw_text(painter, QRectF(_WIDTH - 60, 10, 50, 20), waits, theme.font("caption"), quiet, RIGHT)
        for number, line in enumerate(self.lines):
            place = QRectF(40, 31 + 17 * number, _WIDTH - 58, 17)
            draw_text(painter, place, line, theme.font("body"), quiet)


class Toaster(QObject):
    """The stack of toasts over a window. `keep_free`: places, in window coordinates, that it must not cover."""

    def __init__(self, theme: Theme, window: QWidget, keep_free: Callable[[], Sequence[QRect]]) -> None:
        super().__init__(window)
        self._theme = theme
        self._window = window
        self._keep_free = keep_free
        self.shown: list[Toast] = []
        self._is_covering = False
        self._timer = QTimer(self)
        self._timer.setObjectName("toasts")
        self._timer.setInterval(_STEP_MS)
        self._timer.timeout.connect(self._on_tick)
        window.installEventFilter(self)

    def show(self, level: str, title: str, text: str) -> None:
        """Show one notice; the same again only starts its time anew."""
        for toast in self.shown:
            if (toast.level, toast.title, toast.text) == (level, title, text):
                self._drop(toast)
                break
        while len(self.shown) >= _MOST:
            self._drop(next((each for each in self.shown if not each.stays), self.shown[0]))
        toast = Toast(self._theme, level, title, text, self._window)
        toast.read_button.clicked.connect(self._on_read)
        self.shown.append(toast)
        self._place()
        # On a small window fewer are shown rather than what trades covered; the list of messages has them all.
        while self._is_covering and (spare := next((each for each in self.shown[:-1] if not each.stays), None)):
            self._drop(spare)
            self._place()
        toast.show()
        self._timer.start()
        if level != "info":
            QApplication.beep()
        if level == "alarm":
            QApplication.alert(self._window)

    def clear(self) -> None:
        """Take all of them away; for shutdown."""
        for toast in list(self.shown):
            self._drop(toast)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self._window and event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _on_read(self) -> None:
        button = self.sender()
        for toast in list(self.shown):
            if toast.read_button is button:
                self._drop(toast)
        self._place()

    def _on_tick(self) -> None:
        for toast in list(self.shown):
            if toast.left_ms() <= 0:
                self._drop(toast)
            else:
                toast.update()
        self._place()

    def _drop(self, toast: Toast) -> None:
        self.shown.remove(toast)
        toast.hide()
        toast.deleteLater()
        if not self.shown:
            self._timer.stop()

    def _place(self) -> None:
        """Newest at the bottom; at the left when the right would cover more of what trades."""
        height = sum(toast.height() + _GAP for toast in self.shown)
        bottom = self._window.height() - self._theme.measure("size.status_bar") - _MARGIN
        right = self._window.width() - _WIDTH - _MARGIN
        covered = {left: self._covered(QRect(left, bottom - height, _WIDTH, height)) for left in (right, _MARGIN)}
        x = min(covered, key=lambda left: covered[left])
        self._is_covering = covered[x] > 0
        y = bottom
        for toast in reversed(self.shown):
            y -= toast.height()
            toast.move(x, y)
            toast.raise_()
            y -= _GAP

    def _covered(self, stack: QRect) -> int:
        """Square pixels of what must not be covered that a stack there would cover."""
        common = [stack.intersected(place) for place in self._keep_free()]
        return sum(each.width() * each.height() for each in common)


def _wrapped(text: str, metrics: QFontMetricsF, width: float, taken: float) -> list[str]:
    """At most two lines; the second one is cut with an ellipsis, and the last one is shorter by what is taken."""
    if metrics.horizontalAdvance(text) <= width - taken:
        return [text] if text else []
    words, first = text.split(), ""
    while words and metrics.horizontalAdvance(f"{first} {words[0]}".strip()) <= width:
        first = f"{first} {words.pop(0)}".strip()
    if not words:
        head, _, last = first.rpartition(" ")
        first, words = head or first, [last] if head else []
    rest = " ".join(words) if first else text
    second = metrics.elidedText(rest, Qt.TextElideMode.ElideRight, width - taken)
    return [line for line in (first, second) if line]


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
