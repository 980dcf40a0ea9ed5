"""What the shared controls promise a hand on the keyboard."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from ui.controls import enable


def test_a_button_that_is_disabled_does_not_hand_its_focus_to_close(qtbot: QtBot) -> None:
    row = QWidget()
    qtbot.addWidget(row)
    halve, close = QPushButton("Halve", row), QPushButton("Close", row)
    layout = QHBoxLayout(row)
    for button in (halve, close):
        layout.addWidget(button)
    row.show()
    row.activateWindow()
    qtbot.waitUntil(row.isActiveWindow)
    halve.setFocus()
    qtbot.waitUntil(halve.hasFocus)
    enable(halve, is_enabled=False)
    assert not halve.isEnabled()
    assert not close.hasFocus()
