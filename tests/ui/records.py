"""Records as the engine hands them out, built in Python: panels read attributes and never ask for a type."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from ui.painting import AccountView, PanelContext
from ui.theme import Theme

__all__ = [
    "AccountView",
    "Contract",
    "ExitProgress",
    "Fill",
    "Order",
    "Position",
    "Risk",
    "RuleUse",
    "account",
    "context",
    "frame",
]

NOON_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class _Contract:
    index: int = 0
    id: str = "CON.F.US.EP.Z26"
    name: str = "ESZ6"
    description: str = "E-mini S&P 500"
    symbol_id: str = "F.US.EP"
    root: str = "ES"
    tick_units: int = 25
    decimals: int = 2
    tick_value_1e4: int = 125_000
    is_active: bool = True


@dataclass(frozen=True)
class _Order:
    key: str = "p1-1-1"
    tag: str = "p1-1-1"
    order_id: int = 11
    account_id: int = 7
    contract: int = 0
    contract_id: str = "CON.F.US.EP.Z26"
    side: str = "buy"
    kind: str = "limit"
    size_lots: int = 2
    filled_lots: int = 0
    limit_ticks: int | None = 31440
    stop_ticks: int | None = None
    trail_ticks: int | None = None
    wanted_size_lots: int | None = None
    wanted_limit_ticks: int | None = None
    wanted_stop_ticks: int | None = None
    average_fill_ticks_1e4: int | None = None
    life: str = "working"
    change: str = "none"
    doubt_since_ns: int = 0
    look: str = "working"
    role: str = "entry"
    holder: str = "broker"
    is_foreign: bool = False
    parent_id: int = 0
    linked_id: int = 0
    parent_key: str = ""
    oco_group: str = ""
    queue_ahead_min: int = 12
    queue_ahead_max: int = 40
    created_ns: int = NOON_NS
    updated_ns: int = NOON_NS
    source: str = "ladder"
    reason: str = ""


@dataclass(frozen=True)
class _Position:
    account_id: int = 7
    contract: int = 0
    contract_id: str = "CON.F.US.EP.Z26"
    net_lots: int = 2
    average_ticks_1e4: int = 314_420_000
    mark_ticks: int | None = 31449
    open_pnl_1e4: int = 1_750_000
    realised_1e4: int = 3_430_000
    fees_1e4: int = 231_000
    stop_lots: int = 2
    target_lots: int = 2
    source: str = "push"
    checked_ns: int = NOON_NS
    broker_net_lots: int = 2
    is_disputed: bool = False


@dataclass(frozen=True)
class _Fill:
    trade_id: int = 1
    order_id: int = 11
    tag: str = "p1-1-1"
    account_id: int = 7
    contract: int = 0
    contract_id: str = "CON.F.US.EP.Z26"
    side: str = "buy"
    price_ticks: int = 31442
    size_lots: int = 2
    fees_1e4: int = 28_000
    pnl_1e4: int | None = None
    time_ns: int = NOON_NS + 118_000_000
    is_voided: bool = False


@dataclass(frozen=True)
class _ExitProgress:
    exit: int = 1
    account_id: int = 7
    contract_id: str = "CON.F.US.EP.Z26"
    goal: str = "flatten"
    step: str = "cancelling"
    count: int = 1
    total: int = 3
    text: str = ""
    time_ns: int = NOON_NS


@dataclass(frozen=True)
class _RuleUse:
    rule: str = "max_loss"
    used: int = 5_200_000
    limit: int = 30_000_000
    percent: int = 17
    action: str = "flatten"
    is_latched: bool = False
    latched_ns: int = 0
    until_ns: int = 0


@dataclass(frozen=True)
class _Risk:
    account_id: int = 7
    rules_name: str = "Topstep 50K Combine"
    rules_source: str = "help article 8284215"
    rules_date: str = "2026-11-02"
    has_pending: bool = False
    mode: str = "normal"
    is_measured: bool = True
    day_ends_ns: int = NOON_NS + 20_000_000_000_000
    opening_balance_1e4: int = 512_400_000
    high_balance_1e4: int = 512_400_000
    is_floor_uncertain: bool = False
    floor_1e4: int | None = 492_400_000
    target_1e4: int | None = 530_000_000
    equity_1e4: int = 517_348_000
    realised_1e4: int = 3_198_000
    open_1e4: int = 1_750_000
    peak_1e4: int = 5_080_000
    trades: int = 6
    tenths_held: int = 20
    tenths_max: int | None = 50
    entries_end_ns: int = NOON_NS + 9_000_000_000_000
    flatten_ns: int = NOON_NS + 9_420_000_000_000
    deadline_ns: int = NOON_NS + 9_600_000_000_000
    uses: tuple[Any, ...] = (
        _RuleUse("max_loss", 5_052_000, 30_000_000, 17),
        _RuleUse("personal_loss", 0, 6_000_000, 0),
        _RuleUse("daily_loss", 0, 10_000_000, 0),
        _RuleUse("profit_target", 17_348_000, 30_000_000, 58),
        _RuleUse("trades", 6, 20, 30),
    )
    throttled: tuple[str, ...] = ()


# The panels are typed for the engine's records, which Python cannot build.
Contract: Any = _Contract
Order: Any = _Order
Position: Any = _Position
Fill: Any = _Fill
ExitProgress: Any = _ExitProgress
Risk: Any = _Risk
RuleUse: Any = _RuleUse


def frame(best_bid: int = 31448, best_ask: int = 31449, **changes: Any) -> Any:
    """A market frame with ten levels a side."""
    empty = np.array([], dtype=np.int64)
    values: dict[str, Any] = {
        "contract": 0,
        "revision": 1,
        "bid_ticks": np.arange(best_bid, best_bid - 10, -1, dtype=np.int64),
        "bid_lots": np.arange(37, 137, 10, dtype=np.int64),
        "ask_ticks": np.arange(best_ask, best_ask + 10, dtype=np.int64),
        "ask_lots": np.arange(52, 152, 10, dtype=np.int64),
        "book_state": "live",
        "best_bid_ticks": best_bid,
        "best_ask_ticks": best_ask,
        "last_ticks": best_ask,
        "last_lots": 3,
        "last_side": "buy",
        "open_ticks": best_bid - 20,
        "high_ticks": best_bid + 30,
        "low_ticks": best_bid - 40,
        "settle_ticks": best_bid - 10,
        "session_lots": 214_000,
        "traded_ticks": empty,
        "traded_bought_lots": empty,
        "traded_sold_lots": empty,
        "recent_ticks": empty,
        "recent_bought_lots": empty,
        "recent_sold_lots": empty,
        "trade_time_ns": empty,
        "trade_ticks": empty,
        "trade_lots": empty,
        "trade_is_buy": np.array([], dtype=np.bool_),
        "trades_skipped": 0,
        "broker_time_ns": NOON_NS,
        "receive_mono_ns": 1,
        "age_ms": 20,
        "is_late": False,
    }
    values.update(changes)
    return SimpleNamespace(**values)


def account(kind: str = "demo") -> AccountView:
    """An account of a kind."""
    return AccountView(7, kind, kind.upper(), "Alpha 50K", "50KTC-4471", 500_000_000)


def context(source: str = "ticket", *, is_armed: bool = True, kind: str = "demo") -> PanelContext:
    """A surface with account and contract, armed by default."""
    result = PanelContext(Theme(), source)
    result.set_account(account(kind))
    result.set_contract(Contract())
    result.set_armed(is_armed)
    return result
