"""Rows the command line answers with: integers as the engine has them and, beside them, the price or amount as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app import domain
from app.domain import Account, Contract, Order, Position, Risk, RuleUse
from app.native import MarketFrame

Row = dict[str, Any]

LIMIT_NAMES = (
    "max_order_lots",
    "max_position_lots",
    "max_price_away_ticks",
    "max_working_orders",
    "duplicate_window_ms",
    "max_notional_1e4",
    "max_orders_per_second",
    "max_orders_per_minute",
    "max_repeats",
    "repeat_window_ms",
)


def account_row(account: Account) -> Row:
    return {
        "id": account.id,
        "name": account.name,
        "word": account.word,
        "kind": account.kind_text,
        "balance_1e4": account.balance_1e4,
        "balance": domain.money_text(account.balance_1e4),
        "can_trade": account.can_trade,
        "managed_by": account.managed_by,
    }


def contract_row(contract: Contract) -> Row:
    return {
        "id": contract.id,
        "name": contract.name,
        "root": contract.root,
        "description": contract.description,
        "tick": contract.price_text(1),
        "tick_value": domain.money_text(contract.tick_value_1e4),
        "tick_value_1e4": contract.tick_value_1e4,
        "is_active": contract.is_active,
    }


def quote_row(contract: Contract, frame: MarketFrame) -> Row:
    names = (
        "best_bid_ticks",
        "best_ask_ticks",
        "last_ticks",
        "last_lots",
        "session_lots",
        "book_state",
        "broker_time_ns",
        "is_late",
    )
    return quote_row_of(contract, {name: getattr(frame, name) for name in names})


def quote_row_of(contract: Contract, view: Mapping[str, Any]) -> Row:
    """A quote from the fields of a market view, however it came here."""

    def text(ticks: int | None) -> str | None:
        return None if ticks is None else contract.price_text(ticks)

    return {
        "contract_id": contract.id,
        "name": contract.name,
        "bid_ticks": view["best_bid_ticks"],
        "ask_ticks": view["best_ask_ticks"],
        "last_ticks": view["last_ticks"],
        "bid": text(view["best_bid_ticks"]),
        "ask": text(view["best_ask_ticks"]),
        "last": text(view["last_ticks"]),
        "last_lots": view["last_lots"],
        "session_lots": view["session_lots"],
        "book_state": view["book_state"],
        "broker_time_ns": view["broker_time_ns"],
        "is_late": view["is_late"],
    }


def position_row(position: Position, contract: Contract | None, names: dict[int, str]) -> Row:
    mark = position.mark_ticks
    return {
        "account_id": position.account_id,
        "account": names.get(position.account_id, ""),
        "contract_id": position.contract_id,
        "name": contract.name if contract else position.contract_id,
        "net_lots": position.net_lots,
        "average": domain.average_price_text(contract, position.average_ticks_1e4) if contract else None,
        "mark": contract.price_text(mark) if contract and mark is not None else None,
        "open_pnl_1e4": None if mark is None else position.open_pnl_1e4,
        "open_pnl": None if mark is None else domain.money_text(position.open_pnl_1e4, is_signed=True),
        "realised_1e4": position.realised_1e4,
        "realised": domain.money_text(position.realised_1e4, is_signed=True),
        "fees_1e4": position.fees_1e4,
        "stop_lots": position.stop_lots,
        "is_disputed": position.is_disputed,
    }


def order_row(order: Order, contract: Contract | None, names: dict[int, str]) -> Row:
    def text(ticks: int | None) -> str | None:
        return None if ticks is None or contract is None else contract.price_text(ticks)

    average = order.average_fill_ticks_1e4
    return {
        "key": order.key,
        "order_id": order.order_id,
        "account_id": order.account_id,
        "account": names.get(order.account_id, ""),
        "contract_id": order.contract_id,
        "name": contract.name if contract else order.contract_id,
        "side": order.side,
        "kind": order.kind,
        "size_lots": order.size_lots,
        "filled_lots": order.filled_lots,
        "limit": text(order.limit_ticks),
        "stop": text(order.stop_ticks),
        "average": domain.average_price_text(contract, average) if contract and average is not None else None,
        "life": order.life,
        "look": order.look,
        "role": order.role,
        "holder": order.holder,
        "is_foreign": order.is_foreign,
        "reason": order.reason,
    }


def risk_row(account: Account, risk: Risk) -> Row:
    """Where an account stands in its rules; a rule reads `412.50 of 500.00 USD (82 %)`."""
    row: Row = {
        "account": account.name,
        "rules": f"{risk.rules_name}, {risk.rules_date}" if risk.rules_date else risk.rules_name,
        "mode": risk.mode,
        "equity": domain.money_text(risk.equity_1e4),
        "floor": None if risk.floor_1e4 is None else domain.money_text(risk.floor_1e4),
        "floor_uncertain": risk.is_floor_uncertain,
        "realised": domain.money_text(risk.realised_1e4),
        "open": domain.money_text(risk.open_1e4),
        "trades": risk.trades,
        "minis_held": risk.tenths_held / 10,
        "minis_allowed": None if risk.tenths_max is None else risk.tenths_max / 10,
    }
    for use in risk.uses:
        row[use.rule] = _use_text(use)
    row |= {"stopped_sources": ", ".join(risk.throttled) or None, "waits_for_next_session": risk.has_pending}
    return row


def _use_text(use: RuleUse) -> str:
    is_count = use.rule == "trades"
    used, limit = (str(n) if is_count else domain.money_text(n) for n in (use.used, use.limit))
    reached = ", reached: entries are blocked" if use.is_latched and use.action != "warn" else ""
    return f"{used} of {limit}{'' if is_count else ' USD'} ({use.percent} %{reached})"
