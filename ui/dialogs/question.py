"""What stands between a press and its deed, as the options say: nothing, a hold, or a question.

never ──► confirmed at once      hold ──► confirmed after 400 ms      ask ──► a dialog; only its Yes confirms
"""

from __future__ import annotations

from collections.abc import Callable

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

    def __init__(self, theme: Theme, text: str, tip: str, policy: str, parent: QWidget, *, spoken: str = "") -> None:
        super().__init__(theme, text, parent=parent)
        self._name = spoken or text
        self.hint = _HINTS[policy]
        self._policy = policy
        self._tip = tip
        self._about: tuple[str, AccountView | None] = ("", None)
        self.question = Question(theme, self)
        self.question.confirmed.connect(self.confirmed)
        self.setToolTip(tip)
        self.setAccessibleName(self._name + _SPOKEN[policy])
        self.clicked.connect(self._on_clicked)

    def show_subject(self, subject: str, account: AccountView | None) -> None:
        """What the action would touch, such as "Long 2 MNQZ6"; a question about something else is withdrawn."""
        figure = f"{self._name} {subject}".strip()
        self._about = (figure, account)
        self.question.keep_only(figure)

    def act(self) -> None:
        """A menu and a key cannot be held: what wants a hold asks instead."""
        if self._policy == "never":
            self.confirmed.emit()
        else:
            self._ask()

    def _on_pressed(self) -> None:
        if self._policy == "hold":
            super()._on_pressed()

    def _on_clicked(self) -> None:
        if self._policy == "never":
            self.confirmed.emit()
        elif self._policy == "ask":
            self._ask()

    def _ask(self) -> None:
        figure, account = self._about
        self.question.ask(self._name, figure, self._tip, account)


class GroupCancel(QObject):
    """Cancels of a group, at once or after a question. policy: never or ask.

    `keys_of` names the living orders of a group; it is asked again when the person has said yes, so that what came
    meanwhile is never cancelled unseen: a question about another number of orders is withdrawn.
    """

    confirmed = Signal(object)

    def __init__(self, theme: Theme, policy: str, keys_of: Callable[[str], list[str]], parent: QWidget) -> None:
        super().__init__(parent)
        self._policy = policy
        self._keys_of = keys_of
        self._group = ""
        self.question = Question(theme, parent)
        self.question.confirmed.connect(self._on_confirmed)

    def request(self, group: str, words: str, account: AccountView | None) -> None:
        """Cancel the orders of a group; `words` names it, such as "Cancel buys"."""
        self._group = group
        if self._policy == "never":
            self._on_confirmed()
        else:
            self.question.ask(words, self._figure(), "What has filled meanwhile stays filled.", account)

    def refresh(self) -> None:
        """The orders have changed."""
        if self.question.dialog is not None:
            self.question.keep_only(self._figure())

    def _figure(self) -> str:
        number = len(self._keys_of(self._group))
        return f"Cancel {number} order{'s' if number != 1 else ''}"

    def _on_confirmed(self) -> None:
        self.confirmed.emit(self._keys_of(self._group))
