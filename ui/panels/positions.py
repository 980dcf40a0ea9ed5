"""Positions: one row per account and contract, a total, and the actions on the chosen row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QPoint, Qt, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QVBoxLayout, QWidget

from app.services import management
from ui import formatting
from ui.action_bar import ActionBar
from ui.controls import EmptyNotice, enable
from ui.dialogs.question import PolicyButton
from ui.painting import AccountView
from ui.tables import Cell, Column, Row, RowTable
from ui.theme import Theme

if TYPE_CHECKING:
    from app.config import ConfirmOptions
    from app.domain import Contract, Order, Position

COLUMNS = (
    Column("account", "Account", 80, "left"),
    Column("symbol", "Symbol", 58, "left"),
    Column("position", "Position", 88, "left"),
    Column("average", "Average", 70),
    Column("last", "Last", 70),
    Column("open", "Open", 100),
    Column("ticks", "Ticks", 44),
    Column("net", "Day net", 82),
    Column("fees", "Fees", 46),
    Column("stop", "Stop", 104),
    Column("target", "Targets", 104),
    Column("shield", "", 22, "centre"),
    Column("source", "Source", 50),
)
_EMPTY = Cell("")
_UNLIMITED = 16_777_215


class PositionsPanel(QWidget):
    """Table of positions; what can be done with the chosen row is confirmed as the options say."""

    close_requested = Signal(object, str, object)
    reverse_requested = Signal(object, str)
    modify_requested = Signal(str, object)
    flatten_requested = Signal(object, str)
    contract_chosen = Signal(str)

    def __init__(self, theme: Theme, policies: ConfirmOptions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._positions: dict[str, Position] = {}
        self._orders: list[Order] = []
        self._accounts: Mapping[int, AccountView] = {}
        self._contracts: Mapping[int, Contract] = {}
        self._theme = theme
        self._policies = policies
        self.table = RowTable(COLUMNS, theme, self)
        self.table.setAccessibleName("Positions")
        self.table.row_chosen.connect(self._on_row_chosen)
        self.table.row_opened.connect(self._on_row_opened)
        self.table.menu_requested.connect(self._on_menu)
        self.empty = EmptyNotice(theme, "No positions today", "They appear here with the first fill.", self)
        self.actions_bar = self._make_actions()
        self._menu = QMenu(self)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.table, 1)
        column.addWidget(self.empty, 1)

    def render(  # type: ignore[override] # the house's verb; Qt's own render is not virtual
        self,
        positions: Sequence[Position],
        orders: Sequence[Order],
        accounts: Mapping[int, AccountView],
        contracts: Mapping[int, Contract],
        *,
        is_stale: bool = False,
    ) -> None:
        """Show the engine's positions; flat ones stay for the session, muted. is_stale: no price is of this moment."""
        self._positions = {_key(position): position for position in positions}
        self._orders, self._accounts, self._contracts = list(orders), accounts, contracts
        rows = [
            _row(
                position,
                orders,
                accounts.get(position.account_id),
                contracts.get(position.contract),
                is_stale=is_stale,
            )
            for position in sorted(positions, key=lambda each: (each.net_lots == 0, each.account_id, each.contract))
        ]
        if rows:
            rows.append(_total(positions, is_stale=is_stale))
        is_alone = len({position.account_id for position in positions}) < 2
        # What protects a position stays to the last; whose it is must be told as soon as there are two accounts.
        last = ("account", "target") if is_alone else ("target", "average")
        self.table.let_give_way("fees", "ticks", "source", "net", "last", *last)
        self.table.rows.show(rows)
        self.empty.setVisible(not rows)
        # Without rows a scroll bar would only cover the header.
        policy = Qt.ScrollBarPolicy.ScrollBarAsNeeded if rows else Qt.ScrollBarPolicy.ScrollBarAlwaysOff
        self.table.setHorizontalScrollBarPolicy(policy)
        # Without rows only the table's header stays.
        self.table.setMaximumHeight(_UNLIMITED if rows else self.table.horizontalHeader().height())
        if rows and not self.table.selected_key():
            self.table.select_key(rows[0].key)
        self._refresh_actions()

    def open_count(self) -> int:
        """How many positions are not flat, for the tab."""
        return sum(position.net_lots != 0 for position in self._positions.values())

    def _make_actions(self) -> ActionBar:
        self.close_button = self._button("Close", "Close the position; its exits go with it", "close")
        self.half_button = self._button("\u00bd", "Close half of the position", "halve", "Close half")
        moving = "Move the stops one tick beyond the average"
        self.breakeven_button = self._button("BE +1", moving, "break_even")
        turning = "Cancel the exits, wait for proof, turn the position with one order; one panel has to be armed"
        self.reverse_button = self._button("Reverse", turning, "reverse")
        leaving = "Cancel the orders, close the position, read it back"
        self.flatten_button = self._button("Flatten", leaving, "flatten")
        self.close_button.confirmed.connect(self._on_close)
        self.half_button.confirmed.connect(self._on_half)
        self.breakeven_button.confirmed.connect(self._on_breakeven)
        self.reverse_button.confirmed.connect(self._on_reverse)
        self.flatten_button.confirmed.connect(self._on_flatten)
        self._buttons = (
            self.close_button,
            self.half_button,
            self.breakeven_button,
            self.reverse_button,
            self.flatten_button,
        )
        spare = (self.breakeven_button, self.half_button, self.reverse_button)
        return ActionBar(self._theme, self._buttons, spare, self)

    def _button(self, word: str, tip: str, name: str, spoken: str = "") -> PolicyButton:
        button = PolicyButton(self._theme, word, tip, getattr(self._policies, name), self, spoken=spoken)
        button.setFixedHeight(22)
        return button

    def _chosen(self) -> Position | None:
        return self._positions.get(self.table.selected_key())

    def _orders_of(self, position: Position) -> list[Order]:
        return [order for order in self._orders if _same(order, position)]

    def _breakeven(self, position: Position) -> list[tuple[str, int]]:
        return management.break_even_changes(
            self._orders_of(position), position.net_lots, position.average_ticks_1e4, 1
        )

    def _refresh_actions(self) -> None:
        position = self._chosen()
        net = position.net_lots if position else 0
        contract = self._contracts.get(position.contract) if position else None
        account = self._accounts.get(position.account_id) if position else None
        subject = f"{formatting.side_word(net)} {contract.name}" if contract else ""
        for button in self._buttons:
            button.show_subject(subject, account)
        enable(self.close_button, net != 0)
        enable(self.half_button, abs(net) > 1)
        enable(self.breakeven_button, position is not None and bool(self._breakeven(position)))
        enable(self.reverse_button, net != 0)
        enable(self.flatten_button, position is not None)

    def _on_row_chosen(self, _key: str) -> None:
        self._refresh_actions()

    def _on_row_opened(self, key: str) -> None:
        position = self._positions.get(key)
        if position is not None:
            self.contract_chosen.emit(position.contract_id)

    def _on_close(self) -> None:
        position = self._chosen()
        if position is not None and position.net_lots:
            self.close_requested.emit(position.account_id, position.contract_id, None)

    def _on_half(self) -> None:
        position = self._chosen()
        if position is not None and abs(position.net_lots) > 1:
            self.close_requested.emit(position.account_id, position.contract_id, abs(position.net_lots) // 2)

    def _on_part(self) -> None:
        action = self.sender()
        position = self._chosen()
        lots = action.data() if isinstance(action, QAction) else 0
        if position is not None and 0 < lots < abs(position.net_lots):
            self.close_requested.emit(position.account_id, position.contract_id, lots)

    def _on_breakeven(self) -> None:
        position = self._chosen()
        for key, ticks in self._breakeven(position) if position is not None else []:
            self.modify_requested.emit(key, {"stop_ticks": ticks})

    def _on_reverse(self) -> None:
        position = self._chosen()
        if position is not None and position.net_lots:
            self.reverse_requested.emit(position.account_id, position.contract_id)

    def _on_flatten(self) -> None:
        position = self._chosen()
        if position is not None:
            self.flatten_requested.emit(position.account_id, position.contract_id)

    def _on_menu(self, key: str, place: QPoint) -> None:
        position = self._positions.get(key)
        if position is None:
            return
        self.table.select_key(key)
        self._refresh_actions()
        self._menu.clear()
        self._add_entry("Show in ladder and chart", self._on_open_chosen)
        self._menu.addSeparator()
        for text, button in (
            ("Close", self.close_button),
            ("Close half", self.half_button),
            ("Break-even, plus one tick", self.breakeven_button),
            ("Reverse", self.reverse_button),
            ("Flatten", self.flatten_button),
        ):
            self._add_entry(text, button.act, is_possible=button.isEnabled())
        self._menu.addSeparator()
        for percent in (25, 75):
            lots = abs(position.net_lots) * percent // 100
            action = self._add_entry(f"Close {percent} % ({lots})", self._on_part, is_possible=lots > 0)
            action.setData(lots)
        self._menu.popup(place)

    def _add_entry(self, text: str, slot: Callable[[], None], *, is_possible: bool = True) -> QAction:
        action = QAction(text, self._menu)
        action.setEnabled(is_possible)
        action.triggered.connect(slot)
        self._menu.addAction(action)
        return action

    def _on_open_chosen(self) -> None:
        self._on_row_opened(self.table.selected_key())


def _key(position: Position) -> str:
    return f"{position.account_id}/{position.contract_id}"


def _row(
    position: Position,
    orders: Sequence[Order],
    account: AccountView | None,
    contract: Contract | None,
    *,
    is_stale: bool,
) -> Row:
    net = position.net_lots
    is_flat = net == 0
    quiet = "text.muted" if is_flat else "text.primary"
    side = "buy" if net > 0 else "sell"
    stop_text, target_text = _exits(position, orders, contract)
    shield, shield_token = _shield(position, orders)
    mark = position.mark_ticks
    day_net = position.realised_1e4 - position.fees_1e4
    ticks = _open_ticks(position)
    cells = (
        Cell(
            account.nickname if account else str(position.account_id),
            quiet,
            shape=_shape(account),
            shape_token=_kind_token(account),
        ),
        Cell(contract.name if contract else position.contract_id, quiet, 600),
        Cell("Flat", "text.muted")
        if is_flat
        else Cell(formatting.side_word(net), f"side.{side}_text", 600, shape="up" if net > 0 else "down"),
        Cell(formatting.DASH, "text.muted")
        if is_flat or contract is None
        else Cell(formatting.average_text(position.average_ticks_1e4, contract), quiet),
        Cell(formatting.price_text(mark, contract), "text.muted" if is_stale else quiet)
        if mark is not None and contract
        else Cell(formatting.DASH, "text.muted"),
        Cell(formatting.DASH, "text.muted") if is_flat else _result(position.open_pnl_1e4, 600, is_stale=is_stale),
        Cell(formatting.DASH, "text.muted") if ticks is None else Cell(formatting.signed(ticks), quiet),
        Cell(formatting.signed_money(day_net), quiet if day_net else "text.muted", sort_key=day_net),
        Cell(formatting.plain_money(position.fees_1e4), quiet, sort_key=position.fees_1e4),
        Cell(stop_text, quiet if stop_text != formatting.DASH else "text.muted"),
        Cell(target_text, quiet if target_text != formatting.DASH else "text.muted"),
        Cell("", quiet, shape=shield, shape_token=shield_token) if shield and not is_flat else _EMPTY,
        _source(position),
    )
    tone = "danger" if not is_flat and shield == "shield_none" else "caution" if position.is_disputed else ""
    return Row(_key(position), cells, tone, _sentence(position, account, contract, shield), "")


def _shape(account: AccountView | None) -> str:
    shapes = {"demo": "circle", "practice": "square", "combine": "diamond", "replay": "chevrons"}
    return shapes.get(account.kind, "star") if account else ""


def _kind_token(account: AccountView | None) -> str:
    if account is None:
        return "text.muted"
    return f"kind.{'funded' if account.kind == 'live' else account.kind}.text"


def _result(amount_1e4: int, weight: int = 400, *, is_stale: bool = False) -> Cell:
    if is_stale:
        return Cell(f"~ {formatting.result_text(amount_1e4)}", "text.muted", weight, sort_key=amount_1e4)
    sign = (amount_1e4 > 0) - (amount_1e4 < 0)
    token = {1: "side.buy_text", -1: "side.sell_text", 0: "text.muted"}[sign]
    return Cell(formatting.result_text(amount_1e4), token, weight, sort_key=amount_1e4)


def _open_ticks(position: Position) -> int | None:
    if position.net_lots == 0 or position.mark_ticks is None:
        return None
    sign = 1 if position.net_lots > 0 else -1
    return round((position.mark_ticks * 10_000 - position.average_ticks_1e4) * sign / 10_000)


def _exits(position: Position, orders: Sequence[Order], contract: Contract | None) -> tuple[str, str]:
    """Stop and target as "2 @ 7858.50"; a plus when further prices exist."""
    texts = []
    for role, lots in (("stop", position.stop_lots), ("target", _target_lots(position, orders))):
        prices = sorted(
            price
            for order in orders
            if _is_exit(order, role) and _is_open(order) and _same(order, position)
            for price in [order.stop_ticks if role == "stop" else order.limit_ticks]
            if price is not None
        )
        if not lots or not prices or contract is None:
            texts.append(f"{lots}" if lots else formatting.DASH)
            continue
        nearest = prices[-1] if (role == "stop") == (position.net_lots > 0) else prices[0]
        more = "+" if len(set(prices)) > 1 else ""
        texts.append(f"{lots} @ {formatting.price_text(nearest, contract)}{more}")
    return texts[0], texts[1]


def _target_lots(position: Position, orders: Sequence[Order]) -> int:
    """Lots of living targets that make the position smaller.

    The engine's own count takes in every resting limit against the position, which may be an entry the other way.
    """
    closing = "sell" if position.net_lots > 0 else "buy"
    return sum(
        order.size_lots - order.filled_lots
        for order in orders
        if position.net_lots and order.side == closing and _is_open(order) and _same(order, position)
        if _is_exit(order, "target")
    )


def _is_exit(order: Order, role: str) -> bool:
    """Whether an order was sent as this exit, or is the limit leg of a linked pair."""
    return order.role == role or (role == "target" and bool(order.linked_id) and order.kind == "limit")


def _is_open(order: Order) -> bool:
    return order.look != "done"


def _same(order: Order, position: Position) -> bool:
    return order.account_id == position.account_id and order.contract == position.contract


def _shield(position: Position, orders: Sequence[Order]) -> tuple[str, str]:
    """Full when stops at the broker cover the size, half when partly, held here or too many, struck through when none.

    Stops beyond the size would turn the position round when they fill.
    """
    need = abs(position.net_lots)
    if not need:
        return "", ""
    is_here = any(order.role == "stop" and order.holder == "computer" and _same(order, position) for order in orders)
    if position.stop_lots == need and not is_here:
        return "shield_full", "status.ok"
    if position.stop_lots > 0:
        return "shield_half", "status.caution"
    return "shield_none", "status.danger"


def _source(position: Position) -> Cell:
    if position.is_disputed:
        return Cell(f"broker {formatting.signed(position.broker_net_lots)}", "status.danger", 600)
    return Cell(position.source, "text.muted")


def _sentence(position: Position, account: AccountView | None, contract: Contract | None, shield: str) -> str:
    covered = {"shield_full": "covered at the broker", "shield_half": "partly covered", "shield_none": "without a stop"}
    name = contract.name if contract else position.contract_id
    where = f"{account.word} {account.nickname}" if account else str(position.account_id)
    return (
        f"{formatting.side_word(position.net_lots)} {name} on {where}, "
        f"open {formatting.signed_money(position.open_pnl_1e4)}, {covered.get(shield, 'nothing at risk')}"
    )


def _total(positions: Sequence[Position], *, is_stale: bool) -> Row:
    open_1e4 = sum(position.open_pnl_1e4 for position in positions)
    fees_1e4 = sum(position.fees_1e4 for position in positions)
    net_1e4 = sum(position.realised_1e4 for position in positions) - fees_1e4
    lots = sum(abs(position.net_lots) for position in positions)
    disputed = any(position.is_disputed for position in positions)
    cells = [_EMPTY] * len(COLUMNS)
    # Not in the account's column, which a narrow table leaves out.
    cells[1] = Cell("Total", "text.secondary", 500)
    cells[2] = Cell(formatting.lots_text(lots), "text.secondary")
    cells[5] = _result(open_1e4, 600, is_stale=is_stale and lots > 0)
    cells[7] = Cell(formatting.signed_money(net_1e4), "text.primary" if net_1e4 else "text.muted", 600)
    cells[8] = Cell(formatting.plain_money(fees_1e4), "text.secondary")
    cells[12] = Cell("disagrees", "status.danger", 600) if disputed else Cell("agrees", "text.muted")
    return Row("total", tuple(cells), is_total=True, sentence=f"Total: day net {formatting.signed_money(net_1e4)}")
