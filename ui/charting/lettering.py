"""Fast text for painters that redraw the same few hundred strings all day: laid-out lines, kept by text and font."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QPainter, QStaticText

if TYPE_CHECKING:
    from ui.theme import Theme

_LIMIT = 8192
_BASELINE_DROP = 4.3


class Lettering:
    """Draws short lines on the common baseline of a row. One per widget; forgets everything when it grows too large."""

    def __init__(self, theme: Theme) -> None:
        self._theme = theme
        self._lines: dict[tuple[str, str, int], tuple[QStaticText, float]] = {}
        self._faces: dict[tuple[str, int], tuple[QFont, float, float]] = {}

    def width(self, text: str, role: str, weight: int = 0) -> float:
        """Advance width in pixels."""
        return self._line(text, role, weight)[1]

    def left(
        self, painter: QPainter, x: float, y: float, height: float, text: str, role: str, color: QColor, weight: int = 0
    ) -> float:
        """Draw from x on, vertically in the row [y, y + height); returns the x where the text ends."""
        line, width = self._line(text, role, weight)
        font, ascent, drop = self._face(role, weight)
        painter.setFont(font)
        painter.setPen(color)
        painter.drawStaticText(QPointF(round(x), round(y + height / 2 + drop) - ascent), line)
        return x + width

    def right(
        self, painter: QPainter, x: float, y: float, height: float, text: str, role: str, color: QColor, weight: int = 0
    ) -> None:
        """Draw so that the text ends at x."""
        self.left(painter, x - self._line(text, role, weight)[1], y, height, text, role, color, weight)

    def centre(
        self, painter: QPainter, x: float, y: float, height: float, text: str, role: str, color: QColor, weight: int = 0
    ) -> None:
        """Draw around x."""
        self.left(painter, x - self._line(text, role, weight)[1] / 2, y, height, text, role, color, weight)

    def _face(self, role: str, weight: int) -> tuple[QFont, float, float]:
        face = self._faces.get((role, weight))
        if face is None:
            font = self._theme.font(role, weight=weight or None)
            face = font, QFontMetricsF(font).ascent(), _BASELINE_DROP * font.pixelSize() / 12
            self._faces[role, weight] = face
        return face

    def _line(self, text: str, role: str, weight: int) -> tuple[QStaticText, float]:
        line = self._lines.get((text, role, weight))
        if line is None:
            if len(self._lines) >= _LIMIT:
                self._lines.clear()
            static = QStaticText(text)
            static.setTextFormat(Qt.TextFormat.PlainText)
            static.setPerformanceHint(QStaticText.PerformanceHint.AggressiveCaching)
            font = self._face(role, weight)[0]
            static.prepare(font=font)
            line = static, QFontMetricsF(font).horizontalAdvance(text)
            self._lines[text, role, weight] = line
        return line
