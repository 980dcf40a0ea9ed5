"""What the shared controls promise a hand on the keyboard."""

from __future__ import annotations

from PySide6.QtWidgets import QApplication, QHBoxLayout, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from ui.controls import enable, reveal


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


def test_a_widget_that_is_hidden_hands_its_focus_to_nobody(qtbot: QtBot) -> None:
    row = QWidget()
    qtbot.addWidget(row)
    legs = QWidget(row)
    field, close = QPushButton("Leg", legs), QPushButton("Close", row)
    layout = QHBoxLayout(row)
    for widget in (legs, close):
        layout.addWidget(widget)
    row.show()
    row.activateWindow()
    qtbot.waitUntil(row.isActiveWindow)
    field.setFocus()
    qtbot.waitUntil(field.hasFocus)
    reveal(legs, is_shown=False)
    assert not legs.isVisible()
    assert QApplication.focusWidget() is not close
