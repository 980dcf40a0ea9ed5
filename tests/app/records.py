"""Builders of engine records for tests: each shows only what matters to its test."""

from typing import Any

from app.native import Account, Contract, Fill, Order

TAG = "pabc123-1-1"
CONTRACT: dict[str, Any] = {
    "index": 0,
    "id": "CON.F.US.MNQ.Z26",
    "name": "MNQZ6",
    "description": "Micro E-mini Nasdaq-100",
    "symbol_id": "F.US.MNQ",
    "root": "MNQ",
    "tick_units": 25,
    "decimals": 2,
    "tick_value_1e4": 5_000,
    "is_active": True,
}
MNQ = Contract(**CONTRACT)

ORDER: dict[str, Any] = {
    "key": TAG,
    "tag": TAG,
    "order_id": 0,
    "account_id": 1,
    "contract": 0,
    "contract_id": MNQ.id,
    "side": "buy",
    "kind": "limit",
    "size_lots": 2,
    "filled_lots": 0,
    "limit_ticks": 86_000,
    "stop_ticks": None,
    "trail_ticks": None,
    "wanted_size_lots": None,
    "wanted_limit_ticks": None,
    "wanted_stop_ticks": None,
    "average_fill_ticks_1e4": None,
    "life": "working",
    "change": "none",
    "doubt_since_ns": 0,
    "look": "working",
    "role": "entry",
    "holder": "broker",
    "is_foreign": False,
    "parent_id": 0,
    "linked_id": 0,
    "parent_key": "",
    "oco_group": "",
    "queue_ahead_min": 0,
    "queue_ahead_max": 0,
    "created_ns": 10,
    "updated_ns": 10,
    "source": "test",
    "reason": "",
}

ACCOUNT: dict[str, Any] = {
    "id": 1,
    "name": "PRAC-1",
    "word": "DEMO",
    "kind_text": "practice",
    "balance_1e4": 500_000_000,
    "can_trade": True,
    "is_simulated": True,
    "is_own": True,
    "bracket_mode": "unknown",
    "managed_by": "",
}

FILL: dict[str, Any] = {
    "trade_id": 100,
    "order_id": 7,
    "tag": TAG,
    "account_id": 1,
    "contract": 0,
    "contract_id": MNQ.id,
    "side": "buy",
    "price_ticks": 86_000,
    "size_lots": 1,
    "fees_1e4": 3_700,
    "pnl_1e4": None,
    "time_ns": 20,
    "is_voided": False,
}


def order(**changes: Any) -> Order:
    return Order(**(ORDER | changes))


def fill(**changes: Any) -> Fill:
    return Fill(**(FILL | changes))


def account(**changes: Any) -> Account:
    return Account(**(ACCOUNT | changes))
