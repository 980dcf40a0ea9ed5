"""The trader's own limits of an account: lower ones hold at once, higher ones from the next session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QIntValidator
from PySide6.QtWidgets import QGridLayout, QLabel, QLineEdit, QWidget

from ui.controls import caption
from ui.dialogs.base import Dialog


@dataclass(frozen=True)
class LimitRow:
    """One limit: its option, what it is called, and what may be typed. `zero_means` says what 0 stands for."""

    name: str
    label: str
    unit: str
    least: int
    most: int
    zero_means: str = ""


ROWS = (
    LimitRow("max_order_lots", "Size of one order", "lots", 1, 1_000),
    LimitRow("max_position_lots", "Size of a position", "lots", 1, 1_000),
    LimitRow("max_working_orders", "Working orders", "orders", 1, 60),
    LimitRow("daily_loss", "Own daily loss", "dollars", 0, 10_000_000, "80 % of the firm's"),
    LimitRow("trades_a_day", "Entries a day", "orders", 0, 10_000, "any number"),
)


class LimitsDialog(Dialog):
    """Asks for other limits than those that hold. `limits_stated` carries what differs, by option name."""

    limits_stated = Signal(object)

    def __init__(self, held: Mapping[str, int], account: str, parent: QWidget | None = None) -> None:
        super().__init__(f"Limits of {account}", parent, 460)
        self._held = {row.name: held[row.name] for row in ROWS}
        self.fields: dict[str, QLineEdit] = {}
        self.notes: dict[str, QLabel] = {}
        grid = QGridLayout()
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(8)
        grid.setColumnStretch(3, 1)
        for place, row in enumerate(ROWS):
            self._add_row(grid, place, row)
        self.body.addLayout(grid)
        self.say("A lower limit holds at once and is kept. A higher one holds from the next session on.", "muted")
        self.add_answer("cancel", "Keep", is_safe=True)
        self.state_button = self.add_answer("state", "State limits", role="main")
        self.answered.connect(self._on_answered)
        self._on_edited()

    def changes(self) -> dict[str, int] | None:
        """What differs from what holds; None while something cannot be read."""
        found: dict[str, int] = {}
        for row in ROWS:
            if not self.fields[row.name].hasAcceptableInput():
                return None
            value = int(self.fields[row.name].text())
            if value != self._held[row.name]:
                found[row.name] = value
        return found

    def _add_row(self, grid: QGridLayout, place: int, row: LimitRow) -> None:
        field = QLineEdit(str(self._held[row.name]), self)
        field.setValidator(QIntValidator(row.least, row.most, field))
        field.setAccessibleName(f"{row.label}, {row.unit}")
        field.setAlignment(Qt.AlignmentFlag.AlignRight)
        field.setFixedWidth(96)
        field.textChanged.connect(self._on_edited)
        note = caption("", self, "muted")
        self.fields[row.name], self.notes[row.name] = field, note
        grid.addWidget(caption(row.label, self), place, 0)
        grid.addWidget(field, place, 1)
        grid.addWidget(caption(row.unit, self, "muted"), place, 2)
        grid.addWidget(note, place, 3)

    def _on_edited(self) -> None:
        for row in ROWS:
            self.notes[row.name].setText(self._note(row))
        self.state_button.setEnabled(bool(self.changes()))

    def _note(self, row: LimitRow) -> str:
        field, held = self.fields[row.name], self._held[row.name]
        if not field.hasAcceptableInput():
            return f"{row.least:,} to {row.most:,}"
        value = int(field.text())
        if value == held:
            return f"0: {row.zero_means}" if row.zero_means else ""
        is_looser = (value or row.most + 1) > (held or row.most + 1)
        return f"was {held}; from the next session" if is_looser else f"was {held}; at once"

    def _on_answered(self, name: str) -> None:
        changes = self.changes()
        if name == "state" and changes:
            self.limits_stated.emit(changes)
