"""Messages: what the engine, the gate and the broker said, newest first, kept for the session."""

from __future__ import annotations

from collections import deque

from PySide6.QtWidgets import QVBoxLayout, QWidget

from ui import formatting
from ui.tables import Cell, Column, Row, RowTable
from ui.theme import Theme

COLUMNS = (
    Column("time", "Time", 104, "left"),
    Column("level", "Class", 84, "left"),
    Column("code", "Source", 120, "left"),
    Column("text", "Message", 560, "left"),
)
_KEPT = 500
_SHAPES = {
    "info": ("check", "text.secondary"),
    "warning": ("triangle", "status.caution"),
    "alarm": ("exclamation", "status.danger"),
}


class MessagesPanel(QWidget):
    """A bounded list of notices; the same text twice in a row is counted, not repeated."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: deque[Row] = deque(maxlen=_KEPT)
        self._number = 0
        self.unread = 0
        self.table = RowTable(COLUMNS, theme, self)
        self.table.setAccessibleName("Messages")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.table)

    def add(self, level: str, code: str, text: str, time_ns: int) -> None:
        """Append one notice. level: info, warning, alarm."""
        shape, token = _SHAPES.get(level, _SHAPES["info"])
        self._number += 1
        self.unread += level != "info"
        cells = (
            Cell(formatting.clock_text(time_ns, decimals=3), "text.secondary", sort_key=time_ns),
            Cell(level.capitalize(), "text.primary", shape=shape, shape_token=token),
            Cell(code, "text.muted"),
            Cell(text, "text.primary"),
        )
        tone = "danger" if level == "alarm" else ""
        self._rows.appendleft(Row(str(self._number), cells, tone, f"{level}: {text}", text))
        self.table.rows.show(list(self._rows))

    def texts(self) -> list[str]:
        """The sentences, newest first."""
        return [row.cells[3].text for row in self._rows]

    def mark_read(self) -> None:
        """The list has been looked at."""
        self.unread = 0
