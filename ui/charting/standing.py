"""Where our orders stand and what they are worth there: the sums that ladder and chart share. No Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.domain import Order

STOP_KINDS = ("stop", "stop_limit", "trailing_stop")
TICKS_1E4 = 10_000


def working_price(order: Order) -> int | None:
    """The price at which the order stands today: the trigger of a stop, otherwise its limit."""
    return order.stop_ticks if order.kind in STOP_KINDS else order.limit_ticks


def wanted_price(order: Order) -> int | None:
    """The price asked for by a change under way, None when it asks for no other price."""
    wanted = order.wanted_stop_ticks if order.kind in STOP_KINDS else order.wanted_limit_ticks
    return None if wanted == working_price(order) else wanted


def price_change(order: Order, ticks: int) -> dict[str, int]:
    """The change that moves an order to a price; the limit of a stop-limit keeps its distance from the trigger."""
    if order.kind not in STOP_KINDS:
        return {"limit_ticks": ticks}
    if order.kind == "stop_limit" and order.limit_ticks is not None and order.stop_ticks is not None:
        return {"stop_ticks": ticks, "limit_ticks": order.limit_ticks + ticks - order.stop_ticks}
    return {"stop_ticks": ticks}


def crosses_market(order: Order, ticks: int, bid_ticks: int | None, ask_ticks: int | None) -> bool:
    """True when the order would trade at once at this price: a marketable limit, a stop past its trigger."""
    is_stop = order.kind in STOP_KINDS
    if order.side == "buy":
        return ask_ticks is not None and (ticks < ask_ticks if is_stop else ticks >= ask_ticks)
    return bid_ticks is not None and (ticks > bid_ticks if is_stop else ticks <= bid_ticks)


def target_legs(orders: Iterable[Order]) -> dict[str, int]:
    """Leg numbers of targets, nearest to the market first, when there is more than one on a side."""
    legs: dict[str, int] = {}
    targets = [o for o in orders if o.role == "target" and o.look != "done"]
    for side in ("buy", "sell"):
        own = sorted(
            ((price, o.key) for o in targets if o.side == side and (price := working_price(o)) is not None),
            reverse=side == "buy",
        )
        if len(own) > 1:
            legs.update({key: number for number, (_, key) in enumerate(own, start=1)})
    return legs


def result_at(ticks: int, lots: int, average_ticks_1e4: int, tick_value_1e4: int) -> int:
    """Result in 1/10,000 dollars of `lots` (signed) from an average to a price, rounded half to even."""
    return half_even((ticks * TICKS_1E4 - average_ticks_1e4) * lots * tick_value_1e4, TICKS_1E4)


def half_even(number: int, divisor: int) -> int:
    """Divide and round half to even, exactly."""
    quotient, rest = divmod(number, divisor)
    if rest * 2 > divisor or (rest * 2 == divisor and quotient % 2):
        quotient += 1
    return quotient
