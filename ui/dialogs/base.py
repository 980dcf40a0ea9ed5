"""The shape of every dialog: title bar 40, body 16, footer 50 with the safe choice focused. Opened, never executed."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from ui.controls import caption


class Dialog(QDialog):
    """A window-modal dialog whose answer is a word. Escape and the window's own close give "cancel"."""

    answered = Signal(str)

    def __init__(self, title: str, parent: QWidget | None = None, width: int = 500) -> None:
        super().__init__(parent)
        self.setWindowTitle(title)
        self.setWindowModality(Qt.WindowModality.WindowModal)
        self.setMinimumWidth(width)
        self._answer = ""
        self._keys_down: set[int] = set()
        outer = QVBoxLayout(self)
        outer.setContentsMargins(1, 1, 1, 1)
        outer.setSpacing(0)
        head = QWidget(self)
        head.setProperty("ground", "header")
        head.setFixedHeight(40)
        row = QHBoxLayout(head)
        row.setContentsMargins(16, 0, 16, 0)
        row.addWidget(caption(title, head, "title"))
        outer.addWidget(head)
        body = QWidget(self)
        self.body = QVBoxLayout(body)
        self.body.setContentsMargins(16, 16, 16, 16)
        self.body.setSpacing(8)
        outer.addWidget(body, 1)
        foot = QWidget(self)
        foot.setProperty("ground", "header")
        foot.setFixedHeight(50)
        self.footer = QHBoxLayout(foot)
        self.footer.setContentsMargins(16, 0, 16, 0)
        self.footer.setSpacing(8)
        self.footer.addStretch(1)
        outer.addWidget(foot)

    def say(self, text: str, role: str = "secondary") -> QLabel:
        """Add a wrapping sentence to the body."""
        label = caption(text, self, role)
        label.setWordWrap(True)
        self.body.addWidget(label)
        return label

    def add_answer(self, name: str, text: str, *, role: str = "", is_safe: bool = False) -> QPushButton:
        """Add a button to the footer. The safe one has the focus; no button is the default of Enter."""
        button = QPushButton(text, self)
        button.setProperty("size", "tall")
        button.setAutoDefault(False)
        if role:
            button.setProperty("role", role)
        button.setObjectName(name)
        button.clicked.connect(self._on_button)
        self.footer.addWidget(button)
        if is_safe:
            button.setFocus()
        return button

    def answer(self, name: str) -> None:
        """Give the answer and close; only the first one counts."""
        if not self._answer:
            self._answer = name
            self.answered.emit(name)
            self.accept()

    def reject(self) -> None:
        if not self._answer:
            self._answer = "cancel"
            self.answered.emit("cancel")
        super().reject()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        # Enter counts only when it was pressed here: a key still down from before must not confirm anything.
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            if not event.isAutoRepeat():
                self._keys_down.add(event.key())
            return
        super().keyPressEvent(event)

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        focused = self.focusWidget()
        if event.key() in self._keys_down and not event.isAutoRepeat():
            self._keys_down.discard(event.key())
            if isinstance(focused, QPushButton):
                focused.click()
            return
        super().keyReleaseEvent(event)

    def _on_button(self) -> None:
        button = self.sender()
        if button is not None:
            self.answer(button.objectName())
