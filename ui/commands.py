"""One table of commands: menus, shortcuts and their words come from here and nowhere else.

No key sends an order; keys that reduce risk work always, and none of them is a single letter.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar, QWidget


@dataclass(frozen=True)
class Command:
    """One thing a person can ask for. `choice` groups exclusive commands; a rule is drawn before `starts_group`."""

    name: str
    menu: str
    text: str
    keys: str = ""
    tip: str = ""
    choice: str = ""
    starts_group: bool = False


COMMANDS = (
    Command("reconcile", "File", "Compare with the broker", "Ctrl+R", "Ask for accounts, orders and positions again"),
    Command("open_logs", "File", "Open log folder"),
    Command("quit", "File", "Quit", "Ctrl+Q", starts_group=True),
    Command("theme_dark", "View", "Dark", choice="theme"),
    Command("theme_light", "View", "Light", choice="theme"),
    Command("toggle_theme", "View", "Switch dark and light", "Ctrl+Shift+T"),
    Command("pair_blue_orange", "View", "Blue and orange", choice="pair", starts_group=True),
    Command("pair_green_red", "View", "Green and red", choice="pair"),
    Command("reset_layout", "View", "Standard layout", starts_group=True),
    Command("focus_ticket", "Trade", "Quantity in the ticket", "Ctrl+T"),
    Command("disarm_all", "Trade", "Disarm all panels", "Ctrl+D", "No panel sends an entry until it is armed again"),
    Command("lock_all", "Trade", "Lock all", "Ctrl+L", "Disarm everything and refuse arming until unlocked"),
    Command("cancel_all", "Trade", "Cancel all orders", "Ctrl+Shift+X", starts_group=True),
    Command("flatten_contract", "Trade", "Flatten this contract\u2026", "Ctrl+Shift+F"),
    Command(
        "kill",
        "Trade",
        "Kill: cancel and flatten everything",
        "Ctrl+Alt+Shift+K",
        "All accounts, at once and without a question; works on a frozen window as the global key",
    ),
    Command("show_messages", "Help", "Messages", "Ctrl+M"),
    Command("about", "Help", "About Pitdesk"),
)


class CommandTable(QObject):
    """The actions of a window, made from COMMANDS. `invoked` carries the command's name."""

    invoked = Signal(str)

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.actions: dict[str, QAction] = {}
        self._groups: dict[str, QActionGroup] = {}
        for command in COMMANDS:
            action = QAction(command.text, window)
            action.setObjectName(command.name)
            if command.keys:
                action.setShortcut(QKeySequence(command.keys))
                action.setAutoRepeat(False)
            if command.tip:
                action.setToolTip(command.tip)
            if command.choice:
                action.setCheckable(True)
                group = self._groups.setdefault(command.choice, QActionGroup(self))
                group.addAction(action)
            action.triggered.connect(self._on_triggered)
            window.addAction(action)
            self.actions[command.name] = action

    def fill(self, bar: QMenuBar) -> dict[str, QMenu]:
        """Build the menus in the order of the table; returns them by title."""
        menus: dict[str, QMenu] = {}
        for command in COMMANDS:
            menu = menus.get(command.menu)
            if menu is None:
                # Alt and its first letter open it.
                menu = menus[command.menu] = bar.addMenu(f"&{command.menu}")
            if command.starts_group:
                menu.addSeparator()
            menu.addAction(self.actions[command.name])
        return menus

    def check(self, name: str) -> None:
        """Mark the chosen one of an exclusive group."""
        self.actions[name].setChecked(True)

    def _on_triggered(self) -> None:
        action = self.sender()
        if action is not None:
            self.invoked.emit(action.objectName())


def conflicts() -> list[tuple[str, str, str]]:
    """Keys given to two commands, as (keys, one, other)."""
    seen: dict[str, str] = {}
    found = []
    for command in COMMANDS:
        if not command.keys:
            continue
        if command.keys in seen:
            found.append((command.keys, seen[command.keys], command.name))
        seen[command.keys] = command.name
    return found
