"""Dialogs: one answer, safe by default, nothing confirmed by a key that was already down."""

from typing import Any

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication

from tests.ui import records
from ui.dialogs.confirm import ConfirmDialog, CrashDialog, QuitDialog
from ui.dialogs.login import AccountDialog, ConnectDialog
from ui.painting import AccountView
from ui.theme import Theme


def answers_of(dialog: Any) -> Any:
    seen: list[str] = []
    dialog.answered.connect(seen.append)
    return seen


def button(dialog: Any, name: Any) -> Any:
    from PySide6.QtWidgets import QPushButton

    return dialog.findChild(QPushButton, name)


def confirm(qtbot: Any) -> Any:
    dialog = ConfirmDialog(Theme(), "Flatten", "Flatten ESZ6", "All of it.", records.account())
    qtbot.addWidget(dialog)
    return dialog


def test_escape_answers_cancel_exactly_once(qtbot: Any) -> None:
    dialog = QuitDialog(["Long 2 ESZ6, stop for 2"])
    qtbot.addWidget(dialog)
    seen = answers_of(dialog)
    dialog.open()
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    dialog.reject()
    assert seen == ["cancel"]


def test_a_key_released_that_was_not_pressed_here_confirms_nothing(qtbot: Any) -> None:
    dialog = confirm(qtbot)
    seen = answers_of(dialog)
    dialog.open()
    button(dialog, "yes").setFocus()
    release = QKeyEvent(QEvent.Type.KeyRelease, Qt.Key.Key_Return, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(dialog, release)
    assert seen == []


def test_a_confirmation_left_alone_answers_no(qtbot: Any) -> None:
    dialog = confirm(qtbot)
    seen = answers_of(dialog)
    for _ in range(100):
        dialog._on_tick()
    assert seen == ["no"]


def test_the_quit_dialog_lists_what_stays_and_focuses_stay(qtbot: Any) -> None:
    dialog = QuitDialog(["Long 2 ESZ6, stop for 2", "3 working orders"])
    qtbot.addWidget(dialog)
    dialog.open()
    assert dialog.focusWidget() is button(dialog, "cancel")


def test_the_crash_dialog_offers_to_flatten(qtbot: Any) -> None:
    dialog = CrashDialog("ValueError: x", "crash-1.txt")
    qtbot.addWidget(dialog)
    seen = answers_of(dialog)
    dialog.open()
    qtbot.mouseClick(button(dialog, "flatten"), Qt.MouseButton.LeftButton)
    assert seen == ["flatten"]


def test_the_key_leaves_once_and_the_field_is_empty_afterwards(qtbot: Any) -> None:
    dialog = ConnectDialog("https://gateway.example", "trader")
    qtbot.addWidget(dialog)
    dialog.key_field.setText("secret-key-1")
    with qtbot.waitSignal(dialog.connect_requested) as asked:
        qtbot.mouseClick(dialog.connect_button, Qt.MouseButton.LeftButton)
    assert asked.args == ["trader", "secret-key-1", True]
    assert dialog.key_field.text() == ""
    dialog.show_failure("The gateway refused the key.")
    assert dialog.note.text() == "The gateway refused the key."
    assert not dialog.connect_button.isEnabled()


def test_an_account_that_cannot_trade_cannot_be_chosen(qtbot: Any) -> None:
    accounts = [records.account(), AccountView(9, "live", "LIVE", "Real", "LIVE-1", can_trade=False)]
    dialog = AccountDialog(Theme(), accounts)
    qtbot.addWidget(dialog)
    dialog.choose(9)
    assert not dialog.use_button.isEnabled()
    dialog.choose(7)
    with qtbot.waitSignal(dialog.account_chosen) as chosen:
        qtbot.mouseClick(dialog.use_button, Qt.MouseButton.LeftButton)
    assert chosen.args == [7]
