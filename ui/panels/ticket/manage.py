"""Management of a position: break-even, trail now, halve, close, reverse, flatten, and cancels by group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.services import management
from ui import formatting
from ui.controls import enable
from ui.dialogs.question import GroupCancel, PolicyButton
from ui.painting import AccountView
from ui.theme import Theme

if TYPE_CHECKING:
    from app.config import ConfirmOptions
    from app.domain import Contract, Order, Position

_GROUPS = (("Buys", "Buys"), ("Sells", "Sells"), ("Stops", "Stops"), ("Targets", "Tgts"), ("All", "All"))


class ManagementBlock(QWidget):
    """Two rows of actions and one of cancels, each confirmed as the options say."""

    modify_requested = Signal(str, object)
    trail_requested = Signal(object)
    close_requested = Signal(object, str, object)
    reverse_requested = Signal()
    flatten_requested = Signal()
    cancel_group_requested = Signal(object)

    def __init__(self, theme: Theme, policies: ConfirmOptions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._policies = policies
        self._position: Position | None = None
        self._orders: list[Order] = []
        self._account: AccountView | None = None
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        self.breakeven_button = self._button("BE +1", "Move the stops one tick beyond the average", "break_even")
        self.breakeven_button.confirmed.connect(self._on_breakeven)
        self.trail_button = self._button("Trail now", "", "trail")
        self.trail_button.confirmed.connect(self._on_trail)
        self.halve_button = self._button("Halve", "Close half of the position", "halve")
        self.halve_button.confirmed.connect(self._on_halve)
        self.close_button = self._button("Close", "Close the position; its exits go with it", "close")
        self.close_button.confirmed.connect(self._on_close)
        turning = "Cancel the exits, wait for proof, turn the position with one order"
        self.reverse_button = self._button("Reverse", turning, "reverse")
        self.reverse_button.confirmed.connect(self.reverse_requested)
        leaving = "Cancel the orders, close the position, read it back"
        self.flatten_button = self._button("Flatten", leaving, "flatten")
        self.flatten_button.confirmed.connect(self.flatten_requested)
        self._buttons = (
            self.breakeven_button,
            self.trail_button,
            self.halve_button,
            self.close_button,
            self.reverse_button,
            self.flatten_button,
        )
        grid = QGridLayout()
        grid.setSpacing(4)
        for place, button in enumerate(self._buttons):
            grid.addWidget(button, place // 3, place % 3)
            grid.setColumnStretch(place % 3, 1)
        column.addLayout(grid)
        column.addLayout(self._cancel_row())
        self.cancel = GroupCancel(theme, policies.cancel, self._keys, self)
        self.cancel.confirmed.connect(self.cancel_group_requested)

    def show_state(
        self,
        orders: Sequence[Order],
        position: Position | None,
        *,
        account: AccountView | None,
        contract: Contract | None,
        trail_ticks: int | None,
    ) -> None:
        """Enable what can be done. trail_ticks: the distance that "trail now" would follow at, None for none."""
        self._orders, self._position, self._account = list(orders), position, account
        net = position.net_lots if position is not None else 0
        subject = f"{formatting.side_word(net)} {contract.name}" if contract is not None else ""
        for button in self._buttons:
            button.show_subject(subject, account)
        enable(self.close_button, net != 0)
        enable(self.halve_button, abs(net) > 1)
        enable(self.reverse_button, net != 0)
        enable(self.breakeven_button, bool(self._breakeven()))
        enable(self.trail_button, bool(self._stops()) and trail_ticks is not None)
        self.trail_button.setToolTip(
            "Set a trailing stage in the exits first"
            if trail_ticks is None
            else f"From now on this computer moves the stop, {trail_ticks} ticks behind the market"
        )
        enable(self.flatten_button, account is not None and contract is not None)
        for name, cancel in self.cancel_buttons.items():
            enable(cancel, any(_in_group(order, name) for order in self._orders))
        self.cancel.refresh()

    def _button(self, word: str, tip: str, name: str) -> PolicyButton:
        button = PolicyButton(self._theme, word, tip, getattr(self._policies, name), self)
        button.setFixedHeight(26)
        button.setMinimumWidth(40)
        return button

    def _cancel_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        self.cancel_buttons: dict[str, QPushButton] = {}
        for name, word in _GROUPS:
            button = QPushButton(f"\u00d7 {word}", self)
            button.setProperty("size", "small")
            button.setStyleSheet("padding: 0 2px; font-size: 11px;")
            button.setObjectName(name)
            button.setAccessibleName(f"Cancel {name.lower()}")
            button.clicked.connect(self._on_cancel_group)
            self.cancel_buttons[name] = button
            row.addWidget(button, 1)
        return row

    def _stops(self) -> list[Order]:
        return management.exits_of(self._orders, self._position.net_lots, "stop") if self._position else []

    def _breakeven(self) -> list[tuple[str, int]]:
        position = self._position
        if position is None:
            return []
        return management.break_even_changes(self._orders, position.net_lots, position.average_ticks_1e4, 1)

    def _on_breakeven(self) -> None:
        for key, ticks in self._breakeven():
            self.modify_requested.emit(key, {"stop_ticks": ticks})

    def _on_trail(self) -> None:
        self.trail_requested.emit([order.key for order in self._stops()])

    def _on_halve(self) -> None:
        position = self._position
        if position is not None and abs(position.net_lots) > 1:
            self.close_requested.emit(position.account_id, position.contract_id, abs(position.net_lots) // 2)

    def _on_close(self) -> None:
        position = self._position
        if position is not None and position.net_lots:
            self.close_requested.emit(position.account_id, position.contract_id, None)

    def _on_cancel_group(self) -> None:
        button = self.sender()
        if button is not None:
            name = button.objectName()
            self.cancel.request(name, f"Cancel {name.lower()}", self._account)

    def _keys(self, group: str) -> list[str]:
        return [order.key for order in self._orders if _in_group(order, group)]


def _in_group(order: Order, name: str) -> bool:
    if order.look == "done":
        return False
    is_stop = order.role == "stop" or order.kind in ("stop", "stop_limit", "trailing_stop")
    return {
        "Buys": order.side == "buy",
        "Sells": order.side == "sell",
        "Stops": is_stop,
        "Targets": order.role == "target",
        "All": True,
    }[name]
