"""Actions in a panel's title bar that always fit: what has no room moves into a menu, and nothing is ever cut."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QHBoxLayout, QMenu, QSizePolicy, QToolButton, QWidget

from ui.controls import PaintedButton
from ui.painting import icon
from ui.theme import Theme

_GAP = 4
_HEIGHT = 22


class ActionBar(QWidget):
    """Buttons from left to right. `spare` names those that may move into the menu, the first to go first."""

    def __init__(
        self, theme: Theme, buttons: Sequence[QAbstractButton], spare: Sequence[QAbstractButton], parent: QWidget
    ) -> None:
        super().__init__(parent)
        self._theme = theme
        self._buttons = list(buttons)
        self._spare = list(spare)
        self.setProperty("ground", "none")
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.more_button = QToolButton(self)
        self.more_button.setProperty("role", "flat")
        self.more_button.setFixedSize(_HEIGHT, _HEIGHT)
        self.more_button.setAccessibleName("More actions")
        self.more_button.setToolTip("More actions")
        self.more_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.more_button.clicked.connect(self._on_more)
        self._menu = QMenu(self)
        self._targets: dict[QAction, QAbstractButton] = {}
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(_GAP)
        row.addStretch(1)
        row.addWidget(self.more_button)
        for button in self._buttons:
            row.addWidget(button)
        theme.changed.connect(self._on_theme)
        self._on_theme()
        self._fit()

    @property
    def moved(self) -> list[QAbstractButton]:
        """The buttons that stand in the menu now."""
        return [button for button in self._buttons if button.isHidden()]

    def sizeHint(self) -> QSize:
        return QSize(self._width_of(self._buttons), _HEIGHT)

    def minimumSizeHint(self) -> QSize:
        kept = [button for button in self._buttons if button not in self._spare]
        return QSize(self._width_of(kept) + (_HEIGHT + _GAP if self._spare else 0), _HEIGHT)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _width_of(self, buttons: Sequence[QAbstractButton]) -> int:
        return sum(_width(button) for button in buttons) + _GAP * max(0, len(buttons) - 1)

    def _fit(self) -> None:
        shown = list(self._buttons)
        if self._width_of(shown) > self.width():
            for button in self._spare:
                shown.remove(button)
                if self._width_of(shown) + _HEIGHT + _GAP <= self.width():
                    break
        for button in self._buttons:
            button.setVisible(button in shown)
        self.more_button.setVisible(len(shown) < len(self._buttons))

    def _on_more(self) -> None:
        self._menu.clear()
        self._targets.clear()
        for button in self.moved:
            action = QAction(button.accessibleName() or button.text(), self._menu)
            action.setEnabled(button.isEnabled())
            action.triggered.connect(self._on_chosen)
            self._menu.addAction(action)
            self._targets[action] = button
        self._menu.popup(self.more_button.mapToGlobal(self.more_button.rect().bottomLeft()))

    def _on_chosen(self) -> None:
        action = self.sender()
        button = self._targets.get(action) if isinstance(action, QAction) else None
        if isinstance(button, PaintedButton):
            button.act()
        elif button is not None:
            button.click()

    def _on_theme(self) -> None:
        self.more_button.setIcon(icon("more", self._theme, "text.secondary", 16))


def _width(button: QAbstractButton) -> int:
    return max(button.minimumWidth(), min(button.maximumWidth(), button.sizeHint().width()))
