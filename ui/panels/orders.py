"""Orders: every order the engine knows, in the look of its state, with cancel for one, for a group, for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QInputDialog, QMenu, QPushButton, QStackedLayout, QVBoxLayout, QWidget

from ui import formatting
from ui.action_bar import ActionBar
from ui.controls import ElidedLabel, EmptyNotice, enable, reveal
from ui.dialogs.question import GroupCancel
from ui.painting import AccountView, Marker
from ui.panels.doubt import doubt_of
from ui.tables import Cell, Column, Row, RowTable
from ui.theme import Theme

if TYPE_CHECKING:
    from app.config import ConfirmOptions
    from app.domain import Contract, Order

COLUMNS = (
    Column("state", "State", 98, "left"),
    Column("order", "Order", 144, "left"),
    Column("done", "Done", 48),
    Column("price", "Price", 74),
    Column("away", "Away", 56),
    Column("queue", "Ahead in queue", 100),
    Column("held", "Held by", 96, "left"),
    Column("account", "Account", 76, "left"),
    Column("age", "Age", 54),
)
_WORDS = {
    "sending": "Sending",
    "working": "Working",
    "changing": "Changing",
    "cancelling": "Cancelling",
    "part_filled": "Part-filled",
    "unknown": "Unknown",
}
_DONE_GLYPH = {"filled": "check", "cancelled": "cross", "expired": "hourglass"}
_GROUP_WORDS = {"Targets": "\u00d7 Tgts", "All": "Cancel all"}
_EMPTY_WORDS = {
    "open": ("No working orders", "Send one from ladder, chart or ticket."),
    "all": ("No orders today", "Send one from ladder, chart or ticket."),
    "rejected": ("Nothing rejected", "What the gate or the broker refuses is kept here with its reason."),
}
_BAD_WORDS = {"refused": "Refused", "denied": "Denied here", "not_accepted": "Not accepted"}
_BAD_LIVES = tuple(_BAD_WORDS)


class OrdersPanel(QWidget):
    """Open orders, all of today, or the rejected ones."""

    cancel_requested = Signal(str)
    cancel_group_requested = Signal(object)
    modify_requested = Signal(str, object)
    contract_chosen = Signal(str)
    recheck_requested = Signal()
    oco_requested = Signal(object)
    refused = Signal(str)

    def __init__(self, theme: Theme, policies: ConfirmOptions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.cancel = GroupCancel(theme, policies.cancel, self._keys, self)
        self.cancel.confirmed.connect(self.cancel_group_requested)
        self._orders: dict[str, Order] = {}
        self._filter = "open"
        self._last: tuple[Mapping[int, AccountView], Mapping[int, Contract], Mapping[int, int | None], int] = (
            {},
            {},
            {},
            0,
        )
        self.table = RowTable(COLUMNS, theme, self)
        self.table.setAccessibleName("Orders")
        self.table.let_give_way("queue", "held", "age", "done")
        self.table.delete_pressed.connect(self._on_delete)
        self.table.row_opened.connect(self._on_row_opened)
        self.table.menu_requested.connect(self._on_menu)
        self._menu = QMenu(self)
        self._dialog: QInputDialog | None = None
        self.empty = EmptyNotice(theme, *_EMPTY_WORDS["open"], self)
        self.actions_bar = self._make_actions()
        body = QWidget(self)
        self._stack = QStackedLayout(body)
        self._stack.addWidget(self.table)
        self._stack.addWidget(self.empty)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(body, 1)
        column.addWidget(self._make_foot())

    def render(  # type: ignore[override] # the house's verb; Qt's own render is not virtual
        self,
        orders: Sequence[Order],
        accounts: Mapping[int, AccountView],
        contracts: Mapping[int, Contract],
        marks: Mapping[int, int | None],
        now_ns: int,
    ) -> None:
        """Show the engine's orders. marks: last price in ticks by contract index, for the distance."""
        self._orders = {order.key: order for order in orders}
        self._last = (accounts, contracts, marks, now_ns)
        chosen = [order for order in orders if self._is_wanted(order)]
        bonds = _bonds(chosen)
        newest: dict[str, int] = {}
        for order in chosen:
            bond = bonds.get(order.key, order.key)
            newest[bond] = max(newest.get(bond, 0), _family_time(order, self._orders))

        def place(order: Order) -> tuple[int, str, bool, int]:
            """Newest first; linked orders side by side, children below their parent."""
            bond = bonds.get(order.key, order.key)
            time_ns = _family_time(order, self._orders)
            group = "" if _is_child(order) or order.key not in bonds else bond
            return -max(time_ns, newest[bond]), group, _is_child(order), order.created_ns

        chosen.sort(key=place)
        rows = [
            order_row(
                order, accounts.get(order.account_id), contracts.get(order.contract), marks.get(order.contract), now_ns
            )
            for order in chosen
        ]
        self.table.rows.show(_joined(rows, [bonds.get(order.key, "") for order in chosen]))
        # One account needs no column of its own: the frames around say which.
        is_alone = len({order.account_id for order in orders}) < 2
        self.table.leave_out(*(["account"] if is_alone else []))
        self._stack.setCurrentIndex(0 if rows else 1)
        self._show_foot()
        self._refresh_actions()

    def show_filter(self, name: str) -> None:
        """open, all or rejected."""
        self._filter = name
        self.empty.say(*_EMPTY_WORDS[name])
        self.render(list(self._orders.values()), *self._last)

    @property
    def is_whole_day(self) -> bool:
        """Whether orders that ended are listed; otherwise live and rejected ones are enough."""
        return self._filter == "all"

    def counts(self) -> dict[str, int]:
        """How many are open and rejected, for the tabs."""
        return {
            "open": sum(order.look != "done" for order in self._orders.values()),
            "rejected": sum(order.life in _BAD_LIVES for order in self._orders.values()),
        }

    def _is_wanted(self, order: Order) -> bool:
        if self._filter == "open":
            return order.look != "done"
        return self._filter == "all" or order.life in _BAD_LIVES

    def _make_actions(self) -> ActionBar:
        self._group_buttons: dict[str, QPushButton] = {}
        for name in ("Buys", "Sells", "Stops", "Targets", "All"):
            button = QPushButton(_GROUP_WORDS.get(name, f"\u00d7 {name}"), self)
            button.setProperty("size", "small")
            button.setAccessibleName(f"Cancel {name.lower()}")
            button.clicked.connect(self._on_group_clicked)
            button.setObjectName(name)
            self._group_buttons[name] = button
        buttons = list(self._group_buttons.values())
        return ActionBar(self._theme, buttons, buttons[:-1], self)

    def _make_foot(self) -> QWidget:
        """One reserved line: what has no answer, with the way to ask again, or else the newest reject."""
        foot = QWidget(self)
        foot.setFixedHeight(26)
        row = QHBoxLayout(foot)
        row.setContentsMargins(8, 2, 6, 2)
        row.setSpacing(8)
        self.newest_reject = ElidedLabel(self._theme, "status.danger", foot)
        self.recheck_button = QPushButton("Ask again", foot)
        self.recheck_button.setProperty("size", "small")
        self.recheck_button.setToolTip("Compare with the broker now, instead of at the next turn")
        self.recheck_button.clicked.connect(self.recheck_requested)
        row.addWidget(self.newest_reject, 1)
        row.addWidget(self.recheck_button)
        return foot

    def _refresh_actions(self) -> None:
        open_orders = [order for order in self._orders.values() if order.look != "done"]
        for name, button in self._group_buttons.items():
            enable(button, any(in_group(order, name) for order in open_orders))
        self.cancel.refresh()

    def _show_foot(self) -> None:
        _accounts, contracts, _marks, now_ns = self._last
        doubt = doubt_of(list(self._orders.values()), contracts, now_ns)
        reveal(self.recheck_button, doubt is not None)
        if doubt is None:
            self._show_newest_reject()
        else:
            self.newest_reject.show_text(f"?  {doubt.sentence}. New orders wait.", "status.caution")

    def _show_newest_reject(self) -> None:
        bad = [order for order in self._orders.values() if order.life in _BAD_LIVES]
        if not bad:
            self.newest_reject.show_text("")
            return
        order = max(bad, key=lambda each: each.updated_ns)
        contract = self._last[1].get(order.contract)
        name = contract.name if contract else order.contract_id
        words = f"{order.side.capitalize()} {order.size_lots} {name}: {order.reason}"
        text = f"{formatting.clock_text(order.updated_ns)}  {_BAD_WORDS[order.life]}: {words}"
        self.newest_reject.show_text(text, "status.danger")

    def _on_group_clicked(self) -> None:
        button = self.sender()
        if button is not None:
            name = button.objectName()
            self.cancel.request(name, f"Cancel {name.lower()}", None)

    def _keys(self, group: str) -> list[str]:
        return [order.key for order in self._orders.values() if order.look != "done" and in_group(order, group)]

    def _on_delete(self, key: str) -> None:
        order = self._orders.get(key)
        if order is not None and order.look != "done":
            self.cancel_requested.emit(key)

    def _on_row_opened(self, key: str) -> None:
        order = self._orders.get(key)
        if order is not None:
            self.contract_chosen.emit(order.contract_id)

    def _on_menu(self, key: str, place: QPoint) -> None:
        order = self._orders.get(key)
        if order is None:
            return
        self.table.select_key(key)
        is_open = order.look != "done"
        self._menu.clear()
        for text, slot, is_possible in (
            ("Cancel", self._on_cancel_chosen, is_open),
            ("Change price\u2026", self._on_change_price, is_open and _price_field(order) != ""),
            ("Change size\u2026", self._on_change_size, is_open and not order.is_foreign),
            ("Ask again", self._on_recheck, order.look == "unknown"),
            ("Show in ladder and chart", self._on_open_chosen, True),
        ):
            action = QAction(text, self._menu)
            action.setEnabled(is_possible)
            action.triggered.connect(slot)
            self._menu.addAction(action)
        self._add_partners(order)
        self._menu.popup(place)

    def _add_partners(self, order: Order) -> None:
        """The orders that this one could be linked with, so that the fill of one cancels the other."""
        partners = [other for other in self._orders.values() if is_partner(order, other)]
        group = self._menu.addMenu("One cancels the other with")
        group.setEnabled(bool(partners))
        for other in partners:
            contract = self._last[1].get(other.contract)
            words = f"{other.side.capitalize()} {other.size_lots} {formatting.kind_word(other.kind)}"
            action = QAction(f"{words} {_price(other, contract)[1]}".strip(), group)
            action.setData([order.key, other.key])
            action.triggered.connect(self._on_partner)
            group.addAction(action)

    def _on_partner(self) -> None:
        action = self.sender()
        if isinstance(action, QAction):
            self.oco_requested.emit(action.data())

    def _on_recheck(self) -> None:
        self.recheck_requested.emit()

    def _on_cancel_chosen(self) -> None:
        self._on_delete(self.table.selected_key())

    def _on_open_chosen(self) -> None:
        self._on_row_opened(self.table.selected_key())

    def _on_change_price(self) -> None:
        order = self._orders.get(self.table.selected_key())
        contract = self._last[1].get(order.contract) if order else None
        if order is None or contract is None:
            return
        dialog = QInputDialog(self)
        dialog.setWindowTitle("Change price")
        dialog.setLabelText(f"New price of {order.side} {order.size_lots} {contract.name}")
        price = getattr(order, _price_field(order))
        dialog.setTextValue(formatting.price_text(price, contract))
        dialog.setObjectName(order.key)
        dialog.textValueSelected.connect(self._on_price_typed)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _on_change_size(self) -> None:
        order = self._orders.get(self.table.selected_key())
        if order is None:
            return
        dialog = QInputDialog(self)
        dialog.setInputMode(QInputDialog.InputMode.IntInput)
        dialog.setIntRange(max(1, order.filled_lots), 9_999)
        dialog.setIntValue(order.size_lots)
        dialog.setWindowTitle("Change size")
        dialog.setLabelText(f"New size of {order.side} {order.size_lots}, {order.filled_lots} filled")
        dialog.setObjectName(order.key)
        dialog.intValueSelected.connect(self._on_size_chosen)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _on_size_chosen(self, lots: int) -> None:
        dialog = self.sender()
        order = self._orders.get(dialog.objectName()) if dialog is not None else None
        if order is not None and lots != order.size_lots:
            self.modify_requested.emit(order.key, {"size_lots": lots})

    def _on_price_typed(self, text: str) -> None:
        dialog = self.sender()
        order = self._orders.get(dialog.objectName()) if dialog is not None else None
        contract = self._last[1].get(order.contract) if order else None
        if order is None or contract is None:
            return
        ticks = formatting.parse_price(text, contract)
        if ticks is None:
            step = formatting.price_text(1, contract)
            self.refused.emit(
                f"{text.strip()!r} is no price on the {step} grid of {contract.name}; nothing was changed."
            )
        else:
            self.modify_requested.emit(order.key, {_price_field(order): ticks})


def in_group(order: Order, name: str) -> bool:
    """Whether an order belongs to Buys, Sells, Stops, Targets or All."""
    return {
        "Buys": order.side == "buy",
        "Sells": order.side == "sell",
        "Stops": order.role == "stop" or order.kind in ("stop", "stop_limit", "trailing_stop"),
        "Targets": order.role == "target",
        "All": True,
    }[name]


def _bonds(orders: Sequence[Order]) -> dict[str, str]:
    """The name of the group in which one cancels the others, by key of each living order that is in one."""
    living = [order for order in orders if order.look != "done"]
    keys = {order.order_id: order.key for order in living if order.order_id}
    bonds: dict[str, str] = {}
    for order in living:
        if order.oco_group:
            bonds[order.key] = order.oco_group
        elif order.linked_id in keys:
            low, high = sorted((order.order_id, order.linked_id))
            bonds[order.key] = bonds[keys[order.linked_id]] = f"{low} {high}"
    return bonds


def _joined(rows: Sequence[Row], bonds: Sequence[str]) -> list[Row]:
    """Rows of one group that stand together get their bracket."""
    joined = []
    for place, (row, bond) in enumerate(zip(rows, bonds, strict=True)):
        before = bool(bond) and place > 0 and bonds[place - 1] == bond
        after = bool(bond) and place + 1 < len(bonds) and bonds[place + 1] == bond
        word = "middle" if before and after else "first" if after else "last" if before else ""
        joined.append(replace(row, bond=word))
    return joined


def is_partner(order: Order, other: Order) -> bool:
    """Whether a fill of one may cancel the other: two living orders of ours on one account and contract, not linked."""
    both = (order, other)
    return (
        order.key != other.key
        and (order.account_id, order.contract) == (other.account_id, other.contract)
        and all(each.look in ("working", "part_filled") and not each.is_foreign for each in both)
        and not (order.oco_group and order.oco_group == other.oco_group)
    )


def order_row(
    order: Order, account: AccountView | None, contract: Contract | None, mark_ticks: int | None, now_ns: int
) -> Row:
    """One order as a table row."""
    is_done = order.look == "done"
    quiet = "text.muted" if is_done else "text.primary"
    name = contract.name if contract else order.contract_id
    price, price_text = _price(order, contract)
    away = price - mark_ticks if price is not None and mark_ticks is not None and not is_done else None
    side_token = "text.muted" if is_done else f"side.{order.side}_text"
    lead = ("\u2514 " if _is_child(order) else "") + order.side.capitalize() + f" {order.size_lots} "
    kind = order.role.capitalize() if order.role in ("stop", "target") else formatting.kind_word(order.kind)
    has_queue = not is_done and order.kind in ("limit", "join_bid", "join_ask")
    age_ms = max(0, (now_ns - (order.updated_ns if not is_done else order.created_ns)) // 1_000_000)
    cells = (
        _state_cell(order),
        Cell(f"{kind} {name}", quiet, lead=lead, lead_token=side_token),
        Cell(f"{order.filled_lots}/{order.size_lots}", quiet, 600 if order.filled_lots else 400),
        Cell(price_text, quiet, sort_key=price),
        Cell(formatting.ticks_text(away) if away is not None else "", quiet, sort_key=away),
        Cell(formatting.queue_text(order.queue_ahead_min, order.queue_ahead_max) if has_queue else "", quiet),
        Cell(_holder(order), "text.muted" if is_done else "text.secondary"),
        Cell(account.nickname if account else str(order.account_id), "text.secondary"),
        Cell(formatting.age_text(age_ms), "text.muted"),
    )
    sentence = f"{cells[0].text}: {order.side} {order.size_lots} {name} {kind} {price_text}, {order.filled_lots} filled"
    tone = "caution" if order.look == "unknown" else ""
    return Row(order.key, cells, tone, sentence, order.reason or f"{sentence}; held by: {_holder(order).lower()}")


def _state_cell(order: Order) -> Cell:
    if order.look != "done":
        share = order.filled_lots / max(1, order.size_lots)
        swatch = Marker(order.side, order.look, done_share=share, is_foreign=order.is_foreign)
        return Cell(_WORDS.get(order.look, order.look), "text.primary", swatch=swatch)
    if order.life in _BAD_LIVES:
        return Cell(_BAD_WORDS[order.life], "status.danger", shape="exclamation", shape_token="status.danger")
    return Cell(
        order.life.capitalize(), "text.muted", shape=_DONE_GLYPH.get(order.life, "cross"), shape_token="text.muted"
    )


def _price_field(order: Order) -> str:
    if order.limit_ticks is not None:
        return "limit_ticks"
    return "stop_ticks" if order.stop_ticks is not None else ""


def _price(order: Order, contract: Contract | None) -> tuple[int | None, str]:
    """Price in ticks and in text; a change on its way shows as an arrow and the wanted price."""
    field = _price_field(order)
    ticks: int | None = getattr(order, field) if field else None
    if contract is None:
        return ticks, ""
    if ticks is None:
        if order.average_fill_ticks_1e4 is not None:
            return None, formatting.average_text(order.average_fill_ticks_1e4, contract)
        return None, "Market" if order.kind == "market" else ""
    wanted: int | None = getattr(order, f"wanted_{field}")
    if wanted is not None and wanted != ticks and order.look == "changing":
        return ticks, f"\u2192 {formatting.price_text(wanted, contract)}"
    return ticks, formatting.price_text(ticks, contract)


def _holder(order: Order) -> str:
    """Who holds the order, and whether another one cancels it: by the broker, or (!) by this computer."""
    word = "Broker" if order.holder == "broker" else "This computer"
    return f"{word}, ! OCO" if order.oco_group else f"{word}, OCO" if order.linked_id else word


def _is_child(order: Order) -> bool:
    return bool(order.parent_id or order.parent_key)


def _family_time(order: Order, orders: Mapping[str, Order]) -> int:
    if not _is_child(order):
        return order.created_ns
    parent = orders.get(order.parent_key) if order.parent_key else None
    if parent is None and order.parent_id:
        parent = next((each for each in orders.values() if each.order_id == order.parent_id), None)
    return parent.created_ns if parent is not None else order.created_ns
