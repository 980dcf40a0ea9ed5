"""Fills: one row per execution, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from ui import formatting
from ui.painting import AccountView
from ui.tables import Cell, Column, Row, RowTable
from ui.theme import Theme

if TYPE_CHECKING:
    from app.domain import Contract, Fill, Order

COLUMNS = (
    Column("time", "Filled", 104, "left"),
    Column("account", "Account", 104, "left"),
    Column("symbol", "Symbol", 64, "left"),
    Column("side", "Side", 66, "left"),
    Column("price", "Price", 78),
    Column("role", "Role", 74, "left"),
    Column("slip", "Slip", 54),
    Column("press", "Press to fill", 92),
    Column("fees", "Fees", 58),
    Column("result", "Result", 110),
)


class FillsPanel(QWidget):
    """Table of executions with slippage against the price asked for."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.table = RowTable(COLUMNS, theme, self)
        self.table.setAccessibleName("Fills")
        self.table.let_give_way("account", "press", "fees", "slip", "role")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.table)

    def render(  # type: ignore[override] # the house's verb; Qt's own render is not virtual
        self,
        fills: Sequence[Fill],
        orders: Sequence[Order],
        accounts: Mapping[int, AccountView],
        contracts: Mapping[int, Contract],
    ) -> None:
        """Show the executions of the session."""
        orders_by_id = {order.order_id: order for order in orders if order.order_id}
        newest_first = sorted(fills, key=lambda fill: (fill.time_ns, fill.trade_id), reverse=True)
        self.table.rows.show(
            [
                _row(fill, orders_by_id.get(fill.order_id), accounts.get(fill.account_id), contracts.get(fill.contract))
                for fill in newest_first
            ]
        )


def _row(fill: Fill, order: Order | None, account: AccountView | None, contract: Contract | None) -> Row:
    quiet = "text.muted" if fill.is_voided else "text.primary"
    slip = _slip(fill, order)
    name = contract.name if contract else fill.contract_id
    price = formatting.price_text(fill.price_ticks, contract) if contract else str(fill.price_ticks)
    pnl = fill.pnl_1e4
    sign = 0 if pnl is None else (pnl > 0) - (pnl < 0)
    wait_ms = (fill.time_ns - order.created_ns) // 1_000_000 if order is not None and not order.is_foreign else -1
    cells = (
        Cell(formatting.clock_text(fill.time_ns, decimals=3), "text.secondary", sort_key=fill.time_ns),
        Cell(account.nickname if account else str(fill.account_id), "text.secondary"),
        Cell(name, quiet, 600),
        Cell(
            f"{fill.side.capitalize()} {fill.size_lots}", f"side.{fill.side}_text" if not fill.is_voided else quiet, 600
        ),
        Cell(price, quiet, sort_key=fill.price_ticks),
        Cell(order.role.capitalize() if order else formatting.DASH, "text.secondary"),
        Cell(formatting.ticks_text(slip) if slip is not None else formatting.DASH, quiet if slip else "text.muted"),
        Cell(formatting.age_text(wait_ms) if wait_ms >= 0 else formatting.DASH, "text.secondary"),
        Cell(formatting.plain_money(fill.fees_1e4), "text.secondary", sort_key=fill.fees_1e4),
        Cell("voided", "status.danger")
        if fill.is_voided
        else Cell(
            formatting.result_text(pnl) if pnl is not None else "",
            {1: "side.buy_text", -1: "side.sell_text", 0: "text.muted"}[sign],
            600,
            sort_key=pnl or 0,
        ),
    )
    return Row(str(fill.trade_id), cells, sentence=f"{fill.side} {fill.size_lots} {name} filled at {price}")


def _slip(fill: Fill, order: Order | None) -> int | None:
    """Ticks worse than asked for, positive when it cost us; unknown for market orders."""
    if order is None:
        return None
    asked = order.limit_ticks if order.limit_ticks is not None else order.stop_ticks
    if asked is None:
        return None
    return (fill.price_ticks - asked) * (1 if fill.side == "buy" else -1)
