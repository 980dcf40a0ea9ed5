"""Connecting to a real gateway, and choosing the account that is traded."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QLineEdit, QVBoxLayout, QWidget

from ui import formatting
from ui.controls import caption
from ui.dialogs.base import Dialog
from ui.painting import CENTRE, RIGHT, AccountView, draw_shape, draw_text
from ui.theme import Theme


class ConnectDialog(Dialog):
    """Asks for user name and key. Nothing is written by this dialog; the key leaves once, by `connect_requested`."""

    connect_requested = Signal(str, str, bool)

    def __init__(self, host: str, user_name: str, parent: QWidget | None = None) -> None:
        super().__init__("Connect", parent, 500)
        row = QHBoxLayout()
        row.setSpacing(12)
        self.host_field = QLineEdit(host, self)
        self.host_field.setReadOnly(True)
        self.host_field.setAccessibleName("Gateway")
        self.user_field = QLineEdit(user_name, self)
        self.user_field.setAccessibleName("User name")
        for text, field in (("Gateway", self.host_field), ("User name", self.user_field)):
            column = QVBoxLayout()
            column.setSpacing(4)
            column.addWidget(caption(text, self))
            column.addWidget(field)
            row.addLayout(column, 1)
        self.body.addLayout(row)
        self.body.addWidget(caption("API key", self))
        self.key_field = QLineEdit(self)
        self.key_field.setEchoMode(QLineEdit.EchoMode.Password)
        self.key_field.setAccessibleName("API key")
        self.body.addWidget(self.key_field)
        remember = QHBoxLayout()
        self.remember_box = QCheckBox("Remember in the system key store", self)
        self.remember_box.setChecked(True)
        remember.addWidget(self.remember_box)
        remember.addStretch(1)
        remember.addWidget(caption("never written to a file", self, "muted"))
        self.body.addLayout(remember)
        self.note: QLabel = self.say("Trading starts disarmed on every panel.", "muted")
        self.note.setMinimumHeight(36)
        self.add_answer("cancel", "Cancel", is_safe=False)
        self.connect_button = self.add_answer("connect", "Connect", role="main")
        self.connect_button.clicked.disconnect()
        self.connect_button.clicked.connect(self._on_connect)
        self.user_field.textChanged.connect(self._on_edited)
        self.key_field.textChanged.connect(self._on_edited)
        self._on_edited()
        (self.key_field if user_name else self.user_field).setFocus()

    def show_busy(self) -> None:
        """The attempt runs; fields and button wait."""
        self._set_enabled(is_enabled=False)
        self.connect_button.setText("Connecting\u2026")
        self.show_note("Signing in, listing accounts, opening both streams.")

    def show_failure(self, sentence: str) -> None:
        """The attempt failed; say why and let it be tried again."""
        self._set_enabled(is_enabled=True)
        self.connect_button.setText("Try again")
        self.show_note(sentence, "danger")
        self._on_edited()

    def show_note(self, text: str, role: str = "muted") -> None:
        """Swap the text in its reserved place."""
        self.note.setText(text)
        self.note.setProperty("role", role)
        self.note.style().unpolish(self.note)
        self.note.style().polish(self.note)

    def _set_enabled(self, *, is_enabled: bool) -> None:
        for widget in (self.user_field, self.key_field, self.remember_box, self.connect_button):
            widget.setEnabled(is_enabled)

    def _on_edited(self) -> None:
        self.connect_button.setEnabled(bool(self.user_field.text().strip() and self.key_field.text()))

    def _on_connect(self) -> None:
        key = self.key_field.text()
        # The key does not stay in a widget longer than it must.
        self.key_field.clear()
        self.show_busy()
        self.connect_requested.emit(self.user_field.text().strip(), key, self.remember_box.isChecked())


class AccountDialog(Dialog):
    """Choose the account; nothing is chosen beforehand, and one that cannot trade cannot be chosen."""

    account_chosen = Signal(object)

    def __init__(self, theme: Theme, accounts: Sequence[AccountView], parent: QWidget | None = None) -> None:
        super().__init__("Choose an account", parent, 500)
        self.body.setContentsMargins(0, 0, 0, 0)
        self.body.setSpacing(0)
        self._rows: list[_AccountRow] = []
        for account in accounts:
            row = _AccountRow(theme, account, self)
            row.chosen.connect(self._on_row)
            self._rows.append(row)
            self.body.addWidget(row)
        self._chosen: AccountView | None = None
        self.add_answer("cancel", "Later")
        self.use_button = self.add_answer("use", "Use", role="main")
        self.use_button.setEnabled(False)
        self.answered.connect(self._on_answered)

    def choose(self, account_id: int) -> None:
        """Mark an account, as a click does."""
        for row in self._rows:
            row.set_chosen(is_chosen=row.account.account_id == account_id and row.account.can_trade)
            if row.is_chosen:
                self._chosen = row.account
        if self._chosen is not None:
            self.use_button.setText(f"Use {self._chosen.nickname}")
            self.use_button.setEnabled(True)

    def _on_row(self, account_id: int) -> None:
        self.choose(account_id)

    def _on_answered(self, name: str) -> None:
        if name == "use" and self._chosen is not None:
            self.account_chosen.emit(self._chosen.account_id)


class _AccountRow(QWidget):
    """52 px: radio, kind badge, nickname and id, balance and permission."""

    chosen = Signal(object)

    def __init__(self, theme: Theme, account: AccountView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.account = account
        self.is_chosen = False
        self.setFixedHeight(52)
        self.setAccessibleName(f"{account.word} {account.nickname}, {formatting.balance_text(account.balance_1e4)}")

    def set_chosen(self, *, is_chosen: bool) -> None:
        self.is_chosen = is_chosen
        self.update()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.account.can_trade:
            self.chosen.emit(self.account.account_id)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        theme, account = self._theme, self.account
        width = float(self.width())
        if self.is_chosen:
            painter.fillRect(self.rect(), theme.color("surface.selected"))
        painter.fillRect(QRectF(0, 51, width, 1), theme.color("line.hair"))
        painter.setPen(theme.color("line.control"))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawEllipse(QRectF(16.5, 19.5, 13, 13))
        if self.is_chosen:
            painter.setBrush(theme.color("text.primary"))
            painter.drawEllipse(QRectF(20, 23, 6, 6))
        look = theme.kind(account.kind)
        badge = QRectF(44, 16, 92, 20)
        painter.setBrush(look.tint)
        painter.setPen(look.frame)
        painter.drawRoundedRect(badge.adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
        draw_shape(painter, QRectF(52, 21, 10, 10), look.shape, look.text)
        draw_text(
            painter, badge.adjusted(18, 0, 0, 0), account.word, theme.font("caption", weight=700), look.text, CENTRE
        )
        name_token = "text.primary" if account.can_trade else "text.muted"
        draw_text(painter, QRectF(152, 8, 200, 18), account.nickname, theme.font("body_em"), theme.color(name_token))
        draw_text(
            painter,
            QRectF(152, 26, 200, 16),
            formatting.masked_id(account.id_text),
            theme.font("caption"),
            theme.color("text.muted"),
        )
        right = QRectF(0, 8, width - 16, 18)
        draw_text(
            painter,
            right,
            formatting.balance_text(account.balance_1e4),
            theme.font("body_em"),
            theme.color(name_token),
            RIGHT,
        )
        words = ("may trade", "text.muted") if account.can_trade else ("cannot trade through the API", "status.danger")
        draw_text(painter, right.adjusted(0, 18, 0, 16), words[0], theme.font("caption"), theme.color(words[1]), RIGHT)
