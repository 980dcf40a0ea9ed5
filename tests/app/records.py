"""Builders of engine records for tests: each shows only what matters to its test."""

from typing import Any

from app.native import Account, Contract, Fill, Order

TAG = "pabc123-1-1"
MNQ = Contract(0, "CON.F.US.MNQ.Z26", "MNQZ6", "Micro E-mini Nasdaq-100", "F.US.MNQ", "MNQ", 25, 2, 5_000, True)  # noqa: FBT003

_ORDER: dict[str, Any] = {
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
    "queue_ahead_min": 0,
    "queue_ahead_max": 0,
    "created_ns": 10,
    "updated_ns": 10,
    "source": "test",
    "reason": "",
}

_FILL: dict[str, Any] = {
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
    return Order(**(_ORDER | changes))


def fill(**changes: Any) -> Fill:
    return Fill(**(_FILL | changes))


def account(**changes: Any) -> Account:
    told: dict[str, Any] = {
        "id": 1,
        "name": "PRAC-1",
        "word": "DEMO",
        "kind_text": "practice",
        "balance_1e4": 500_000_000,
        "can_trade": True,
        "is_simulated": True,
        "is_own": True,
    }
    return Account(**(told | changes))
