"""What can be done with a position and its exits, worked out from the views in whole numbers. No I/O."""

from __future__ import annotations

from collections.abc import Sequence

from app import domain
from app.domain import Order


def exits_of(orders: Sequence[Order], net_lots: int, role: str) -> list[Order]:
    """Working stops or targets of a position, by their role and not by their kind: an entry that rests on the same
    contract never counts, whoever sent it.
    """
    closing = "sell" if net_lots > 0 else "buy"
    return [
        order
        for order in orders
        if net_lots and not domain.is_done(order) and order.side == closing and order.role == role
    ]


def break_even_changes(
    orders: Sequence[Order], net_lots: int, average_ticks_1e4: int, plus_ticks: int
) -> list[tuple[str, int]]:
    """Stops of a position and the price that takes them `plus_ticks` beyond the average, as (key, ticks).

    Only moves that tighten: a stop already beyond break-even stays.
    """
    if net_lots == 0:
        return []
    sign = 1 if net_lots > 0 else -1
    # Rounded away from the loss, so that break-even is never a tick short.
    average = -(-average_ticks_1e4 // 10_000) if sign > 0 else average_ticks_1e4 // 10_000
    wanted = average + sign * plus_ticks
    return [
        (order.key, wanted)
        for order in exits_of(orders, net_lots, "stop")
        if order.stop_ticks is not None and (wanted - order.stop_ticks) * sign > 0
    ]
