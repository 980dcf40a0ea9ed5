"""Painted pieces of the ticket: position strip, stepper box, preview block."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QWheelEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QWidget

from ui import formatting
from ui.painting import RIGHT, draw_runs, draw_shape, draw_text, hatch_brush, icon
from ui.theme import Theme


class PositionStrip(QWidget):
    """40 px: side word and size, average, shield, result; a click loads the size."""

    size_requested = Signal(int)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._net = 0
        self._average = ""
        self._pnl_1e4 = 0
        self._shield = ""
        self._is_doubtful = False
        self._is_stale = False
        self.setFixedHeight(40)
        theme.changed.connect(self.update)

    def show_state(
        self, *, net_lots: int, average: str, pnl_1e4: int, shield: str, is_doubtful: bool, is_stale: bool = False
    ) -> None:
        """Take over the position; repaints only on a difference. is_stale: its result is of an old price."""
        state = (net_lots, average, pnl_1e4, shield, is_doubtful, is_stale)
        if state == (self._net, self._average, self._pnl_1e4, self._shield, self._is_doubtful, self._is_stale):
            return
        self._net, self._average, self._pnl_1e4, self._shield, self._is_doubtful, self._is_stale = state
        self.setAccessibleName(f"{formatting.side_word(net_lots)} {average} {formatting.signed_money(pnl_1e4)}")
        self.update()

    def mousePressEvent(self, _event: QMouseEvent) -> None:
        if self._net:
            self.size_requested.emit(abs(self._net))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme, rect = self._theme, QRectF(self.rect())
        painter.fillRect(rect, theme.color("surface.panel"))
        if self._is_doubtful:
            painter.fillRect(
                rect,
                hatch_brush(theme.color("surface.hover"), period=8, stripe=4, device_ratio=self.devicePixelRatioF()),
            )
        elif self._shield == "shield_none":
            painter.fillRect(rect, theme.color("status.danger_tint"))
        painter.fillRect(QRectF(0, rect.height() - 1, rect.width(), 1), theme.color("line.border"))
        side = "buy" if self._net > 0 else "sell"
        color = theme.side(side, "text") if self._net else theme.color("text.secondary")
        word = formatting.side_word(self._net) + ("?" if self._is_doubtful else "")
        bold = theme.font("figure_s", weight=700)
        end = draw_runs(painter, 10, rect, [(word, bold, color)])
        if self._net:
            pen = QPen(color, 1, Qt.PenStyle.CustomDashLine)
            pen.setDashPattern([2, 2])
            painter.setPen(pen)
            painter.drawLine(QPointF(10, 28.5), QPointF(end, 28.5))
        after = "@ checking" if self._is_doubtful else f"@ {self._average}" if self._net else ""
        draw_runs(painter, end + 8, rect, [(after, theme.font("body"), theme.color("text.secondary"))])
        self._paint_result(painter, rect)

    def _paint_result(self, painter: QPainter, rect: QRectF) -> None:
        theme = self._theme
        sign = (self._pnl_1e4 > 0) - (self._pnl_1e4 < 0)
        text = formatting.result_text(self._pnl_1e4)
        if self._is_doubtful or (self._is_stale and self._net):
            text, color = f"~ {text}", theme.color("text.muted")
        else:
            color = theme.outcome(sign)
        draw_text(painter, rect.adjusted(0, 0, -10, 0), text, theme.font("figure_s", weight=700), color, RIGHT)
        if self._net and self._shield:
            token = {"shield_full": "status.ok", "shield_half": "status.caution"}.get(self._shield, "status.danger")
            width = theme.metrics("figure_s", weight=700).horizontalAdvance(text)
            box = QRectF(rect.right() - 10 - width - 22, 13, 14, 14)
            draw_shape(painter, box, self._shield, theme.color(token))


class Stepper(QWidget):
    """A box with − and + around a typed value; wheel and arrow keys step by one, Page keys and Ctrl by ten."""

    stepped = Signal(int)
    typed = Signal(str)

    def __init__(self, theme: Theme, height: int, *, is_large: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._is_bad = False
        self.setFixedHeight(height)
        self.edit = QLineEdit(self)
        self.edit.setProperty("role", "figure" if is_large else "inner")
        self.edit.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.edit.editingFinished.connect(self._on_edited)
        self.edit.installEventFilter(self)
        row = QHBoxLayout(self)
        row.setContentsMargins(1, 1, 1, 1)
        row.setSpacing(0)
        self._minus, self._plus = self._button("minus"), self._button("plus")
        row.addWidget(self._minus)
        row.addWidget(self.edit, 1)
        row.addWidget(self._plus)
        theme.changed.connect(self._on_theme)
        self._on_theme()

    def show_text(self, text: str) -> None:
        """Show a value unless somebody is typing into the box."""
        if self.edit.hasFocus() and self.edit.isModified():
            return
        if self.edit.text() != text:
            self.edit.setText(text)

    def show_bad(self, is_bad: bool) -> None:  # the error look, with an unchanged size
        """Switch the error look on or off."""
        if is_bad != self._is_bad:
            self._is_bad = is_bad
            self.update()

    def set_name(self, name: str) -> None:
        """Accessible names of the box and its two buttons."""
        self.edit.setAccessibleName(name)
        self._minus.setAccessibleName(f"{name} down")
        self._plus.setAccessibleName(f"{name} up")

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme = self._theme
        painter.setBrush(theme.brush("status.danger_tint" if self._is_bad else "surface.input"))
        width = 2 if self._is_bad else 1
        token = "status.danger" if self._is_bad else "line.focus" if self.edit.hasFocus() else "line.control"
        painter.setPen(QPen(theme.color(token), width))
        inset = width / 2
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(inset, inset, -inset, -inset), 3, 3)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        for x in (self._minus.geometry().right() + 1, self._plus.geometry().left() - 1):
            painter.fillRect(QRectF(x, 1, 1, self.height() - 2), theme.color("line.border"))

    def wheelEvent(self, event: QWheelEvent) -> None:
        step = 1 if event.angleDelta().y() > 0 else -1
        self.stepped.emit(step * (10 if event.modifiers() & Qt.KeyboardModifier.ControlModifier else 1))
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        steps = {Qt.Key.Key_Up: 1, Qt.Key.Key_Down: -1, Qt.Key.Key_PageUp: 10, Qt.Key.Key_PageDown: -10}
        step = steps.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.stepped.emit(step)

    def _button(self, name: str) -> QToolButton:
        button = QToolButton(self)
        button.setProperty("role", "flat")
        button.setObjectName(name)
        button.setFixedWidth(24)
        button.setAutoRepeat(False)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.clicked.connect(self._on_minus if name == "minus" else self._on_plus)
        return button

    def _on_minus(self) -> None:
        self.stepped.emit(-1)

    def _on_plus(self) -> None:
        self.stepped.emit(1)

    def _on_edited(self) -> None:
        if self.edit.isModified():
            self.edit.setModified(False)
            self.typed.emit(self.edit.text())
        self.update()

    def _on_theme(self) -> None:
        for button in (self._minus, self._plus):
            button.setIcon(icon(button.objectName(), self._theme, "text.secondary", 12))
        self.update()


class PreviewBlock(QWidget):
    """Five lines that say what would be sent, with an edge in the verdict's colour."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._pieces: list[tuple[str, bool]] = []
        self._edge = "line.strong"
        self.setFixedHeight(92)
        theme.changed.connect(self.update)

    def show_pieces(self, pieces: list[tuple[str, bool]], edge: str) -> None:
        """pieces: (text, is bold); edge: colour token."""
        if (pieces, edge) != (self._pieces, self._edge):
            self._pieces, self._edge = pieces, edge
            self.setAccessibleName("".join(text for text, _bold in pieces))
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._theme
        painter.fillRect(self.rect(), theme.color("surface.header"))
        painter.fillRect(0, 0, 3, self.height(), theme.color(self._edge))
        x, y, right = 11.0, 6.0, self.width() - 8.0
        for text, is_bold in self._pieces:
            weight = 600 if is_bold else 400
            font, metrics = theme.font("body", weight=weight), theme.metrics("body", weight=weight)
            color = theme.color("text.primary" if is_bold else "text.secondary")
            for word in _words(text):
                width = metrics.horizontalAdvance(word)
                # A mark that closes the words before it never begins a line.
                if x + metrics.horizontalAdvance(word.rstrip()) > right and x > 11.0 and word.strip() not in _CLOSING:
                    x, y = 11.0, y + 16
                    word, width = word.lstrip(), metrics.horizontalAdvance(word.lstrip())  # noqa: PLW2901
                draw_text(painter, QRectF(x, y, right, 16), word, font, color)
                x += width


_CLOSING = (".", ",", ":")


def _words(text: str) -> list[str]:
    """Words with the blanks before them, so that pieces join as written."""
    words, start = [], 0
    for place in range(1, len(text)):
        if text[place] == " " and text[place - 1] != " ":
            words.append(text[start:place])
            start = place
    words.append(text[start:])
    return words
