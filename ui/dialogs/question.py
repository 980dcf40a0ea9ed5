"""What stands between a press and its deed, as the options say: nothing, a hold, or a question.

never ──► confirmed at once      hold ──► confirmed after 400 ms      ask ──► a dialog; only its Yes confirms
"""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QWidget

from ui.controls import HoldButton
from ui.dialogs.confirm import ConfirmDialog
from ui.painting import AccountView
from ui.theme import Theme

_HINTS = {"never": "", "hold": "hold", "ask": "\u2026"}
_SPOKEN = {"never": "", "hold": ", hold to confirm", "ask": ", asks first"}


class Question(QObject):
    """One question at a time. It is withdrawn when what it asks about is no longer so."""

    confirmed = Signal()

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._owner = parent
        self._figure = ""
        self._dialog: ConfirmDialog | None = None

    @property
    def dialog(self) -> ConfirmDialog | None:
        """The open question, if there is one."""
        return self._dialog

    def ask(self, title: str, figure: str, detail: str, account: AccountView | None) -> None:
        """Open the question; a second press while it stands asks nothing more."""
        if self._dialog is not None:
            return
        self._figure = figure
        self._dialog = ConfirmDialog(self._theme, title, figure, detail, account, self._owner.window())
        self._dialog.answered.connect(self._on_answered)
        self._dialog.open()

    def keep_only(self, figure: str) -> None:
        """Close the question with no unless it still asks about this."""
        if self._dialog is not None and figure != self._figure:
            self._dialog.answer("no")

    def _on_answered(self, answer: str) -> None:
        dialog, self._dialog = self._dialog, None
        if dialog is not None:
            dialog.deleteLater()
        if answer == "yes":
            self.confirmed.emit()


class PolicyButton(HoldButton):
    """A button of one action; `confirmed` says that the person means it. policy: never, hold or ask."""

    def __init__(self, theme: Theme, text: str, tip: str, policy: str, parent: QWidget) -> None:
        super().__init__(theme, text, parent=parent)
        self.hint = _HINTS[policy]
        self._policy = policy
        self._tip = tip
        self._about: tuple[str, AccountView | None] = ("", None)
        self.question = Question(theme, self)
        self.question.confirmed.connect(self.confirmed)
        self.setToolTip(tip)
        self.setAccessibleName(text + _SPOKEN[policy])
        self.clicked.connect(self._on_clicked)

    def show_subject(self, subject: str, account: AccountView | None) -> None:
        """What the action would touch, such as "Long 2 MNQZ6"; a question about something else is withdrawn."""
        figure = f"{self.text()} {subject}"
        self._about = (figure, account)
        self.question.keep_only(figure)

    def _on_pressed(self) -> None:
        if self._policy == "hold":
            super()._on_pressed()

    def _on_clicked(self) -> None:
        if self._policy == "never":
            self.confirmed.emit()
        elif self._policy == "ask":
            figure, account = self._about
            self.question.ask(self.text(), figure, self._tip, account)
