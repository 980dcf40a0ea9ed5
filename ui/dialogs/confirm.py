"""A confirmation that defaults to no and closes by itself after ten seconds."""

from __future__ import annotations

from PySide6.QtCore import QTimer
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from ui.controls import caption
from ui.dialogs.base import Dialog
from ui.painting import AccountView
from ui.theme import Theme

COUNTDOWN_MS = 10_000
_STEP_MS = 100


class ConfirmDialog(Dialog):
    """Asks one question about one account; answers "yes", "no" or, after ten seconds, "no"."""

    def __init__(
        self,
        theme: Theme,
        title: str,
        figure: str,
        detail: str,
        account: AccountView | None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(title, parent, 440)
        if account is not None:
            self.say(f"{account.word}  {account.nickname}", "em")
        self.say(figure, "figure")
        self.say(detail)
        self.add_answer("no", "No", is_safe=True)
        self.add_answer("yes", "Yes", role="main")
        self._line = _Countdown(theme, self)
        layout = self.layout()
        assert isinstance(layout, QVBoxLayout), "the base builds a column"
        layout.addWidget(self._line)
        self._left_ms = COUNTDOWN_MS
        self._timer = QTimer(self)
        self._timer.setObjectName("countdown")
        self._timer.setInterval(_STEP_MS)
        self._timer.timeout.connect(self._on_tick)
        self._timer.start()

    def _on_tick(self) -> None:
        self._left_ms -= _STEP_MS
        self._line.show_share(self._left_ms / COUNTDOWN_MS)
        if self._left_ms <= 0:
            self._timer.stop()
            self.answer("no")


class _Countdown(QWidget):
    """2 px line that shrinks."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self._theme = theme
        self._share = 1.0
        self.setFixedHeight(2)

    def show_share(self, share: float) -> None:
        self._share = max(0.0, share)
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(0, 0, round(self.width() * self._share), 2, self._theme.color("text.secondary"))


class QuitDialog(Dialog):
    """What remains when the window closes: leave it, flatten first, or stay. Answers leave, flatten, cancel."""

    def __init__(self, lines: list[str], parent: QWidget | None = None) -> None:
        super().__init__("Quit with open business", parent, 480)
        self.say("These stay at the broker when Pitdesk ends:", "em")
        for line in lines:
            self.body.addWidget(caption(line, self, "secondary"))
        self.say(
            "Native stops stay and keep working. Exits held by this computer stop when it ends and resume from the "
            "order journal at the next start.",
            "muted",
        )
        self.add_answer("cancel", "Stay", is_safe=True)
        self.add_answer("leave", "Leave them and quit")
        self.add_answer("flatten", "Flatten, then quit", role="danger")


class CrashDialog(Dialog):
    """We are wrong: says so plainly and offers to flatten. Answers flatten, cancel."""

    def __init__(self, sentence: str, report: str, parent: QWidget | None = None) -> None:
        super().__init__("Something in Pitdesk failed", parent, 520)
        self.say(sentence, "em")
        self.say("Orders and positions are kept by the broker and by the engine. Cancels and closes still work.")
        if report:
            self.say("The report stays on this computer:", "muted")
            self.body.addWidget(caption(report, self, "mono"))
        self.add_answer("cancel", "Keep going", is_safe=True)
        self.add_answer("flatten", "Flatten everything", role="danger")
