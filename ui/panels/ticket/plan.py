"""What the ticket would send, worked out in whole numbers: price, refusals, preview sentences. No Qt.

The same checks run again in the core at send time, and that result wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ui import formatting

if TYPE_CHECKING:
    from app.domain import Contract

TYPES = ("market", "limit", "stop", "join_bid", "join_ask", "trailing_stop")
_WORDS = {
    "market": "market",
    "limit": "limit",
    "stop": "stop",
    "join_bid": "join bid",
    "join_ask": "join ask",
    "trailing_stop": "trail",
}


@dataclass(frozen=True)
class Form:
    """The values that stand in the ticket. price_ticks None = follow the best price; exits of 0 ticks are off."""

    kind: str = "limit"
    size_lots: int = 1
    price_ticks: int | None = None
    trail_ticks: int = 8
    stop_ticks: int = 0
    target_ticks: int = 0


@dataclass(frozen=True)
class Market:
    """The prices painted at the moment."""

    bid_ticks: int | None = None
    ask_ticks: int | None = None
    last_ticks: int | None = None
    is_live: bool = False


@dataclass(frozen=True)
class Limits:
    """Sizes the gate allows."""

    max_order_lots: int
    max_position_lots: int


def price_for(form: Form, side: str, market: Market) -> int | None:
    """Price the order of this side would carry; None where its kind has none or the market shows none."""
    if form.kind in ("limit", "stop"):
        if form.price_ticks is not None:
            return form.price_ticks
        # A limit rests on its own side; a stop waits beyond the other one.
        near, far = (market.bid_ticks, market.ask_ticks) if side == "buy" else (market.ask_ticks, market.bid_ticks)
        if form.kind == "limit":
            return near
        return None if far is None else far + (1 if side == "buy" else -1)
    return None


def refusal(form: Form, side: str, market: Market, net_lots: int, limits: Limits) -> str:
    """Why this side cannot be sent, in a few words for the button; empty when it can."""
    if form.size_lots < 1:
        return "no quantity"
    sign = 1 if side == "buy" else -1
    after = net_lots + sign * form.size_lots
    is_reducing = abs(after) < abs(net_lots)
    if not is_reducing and form.size_lots > limits.max_order_lots:
        return f"over by {formatting.lots_text(form.size_lots - limits.max_order_lots)}"
    if not is_reducing and abs(after) > limits.max_position_lots:
        return f"over by {formatting.lots_text(abs(after) - limits.max_position_lots)}"
    if market.bid_ticks is None or market.ask_ticks is None:
        return "no market"
    if form.kind in ("limit", "stop") and price_for(form, side, market) is None:
        return "no price"
    if form.kind == "stop":
        return _wrong_side_of_stop(form, side, market)
    if form.kind == "trailing_stop" and form.trail_ticks < 1:
        return "no distance"
    return ""


def _wrong_side_of_stop(form: Form, side: str, market: Market) -> str:
    price = price_for(form, side, market)
    assert price is not None, "a stop without a price was refused before"
    assert market.bid_ticks is not None and market.ask_ticks is not None, "checked by the caller"  # noqa: PT018
    is_wrong = price <= market.ask_ticks if side == "buy" else price >= market.bid_ticks
    if form.price_ticks is not None and is_wrong:
        return "wrong side of market"
    return ""


def send_text(form: Form, side: str, market: Market, contract: Contract) -> str:
    """Second line of a send button: what will be sent."""
    price = price_for(form, side, market)
    if form.kind == "market":
        return "Market"
    if form.kind == "trailing_stop":
        return f"Trail {form.trail_ticks} t"
    if price is None:
        return formatting.kind_word(form.kind)
    text = f"{formatting.kind_word(form.kind)} {formatting.price_text(price, contract)}"
    if form.kind == "limit" and _fills_at_once(side, price, market):
        return f"! fills at once, {formatting.price_text(price, contract)}"
    return text


def _fills_at_once(side: str, price: int, market: Market) -> bool:
    if market.bid_ticks is None or market.ask_ticks is None:
        return False
    return price >= market.ask_ticks if side == "buy" else price <= market.bid_ticks


def distance_text(form: Form, market: Market) -> str:
    """Where a typed price stands, as words beside the box."""
    price, bid, ask = form.price_ticks, market.bid_ticks, market.ask_ticks
    if price is None:
        return "follows the market"
    if bid is None or ask is None:
        return "no market"
    if price > ask:
        return f"{price - ask} t above the ask"
    if price < bid:
        return f"{bid - price} t below the bid"
    return "at the bid" if price == bid else "at the ask" if price == ask else "inside the spread"


def limit_note(form: Form, net_lots: int, limits: Limits) -> tuple[str, bool]:
    """The note under the quantity and whether it is an error."""
    if form.size_lots > limits.max_order_lots:
        return f"Limit {formatting.lots_text(limits.max_order_lots)} an order, this is {form.size_lots}.", True
    room = limits.max_position_lots - abs(net_lots)
    if form.size_lots > room:
        return (
            f"Limit {formatting.lots_text(limits.max_position_lots)}, this makes {abs(net_lots) + form.size_lots}.",
            True,
        )
    return f"{formatting.side_word(net_lots)} of {limits.max_position_lots}: {room} more allowed", False


def preview(
    form: Form, side: str, market: Market, contract: Contract, net_lots: int, limits: Limits
) -> list[tuple[str, bool]]:
    """The preview as pieces of (text, is bold): the order, its exits, the money at risk, the position after it."""
    sign = 1 if side == "buy" else -1
    price = price_for(form, side, market)
    at = f" at {formatting.price_text(price, contract)}" if price is not None else ""
    pieces = [(f"{side.capitalize()} {form.size_lots} {contract.name}{at} {_WORDS[form.kind]}", True)]
    if form.stop_ticks:
        pieces.append((f", stop {form.stop_ticks} t", False))
    if form.target_ticks:
        pieces.append((f", target {form.target_ticks} t", False))
    if form.stop_ticks:
        risk = form.stop_ticks * form.size_lots * contract.tick_value_1e4
        pieces += [(": risk ", False), (formatting.balance_text(risk), True), (" and fees", False)]
    else:
        pieces.append((": no stop, the risk is open", False))
    if form.target_ticks:
        gain = form.target_ticks * form.size_lots * contract.tick_value_1e4
        pieces += [(", to win ", False), (formatting.balance_text(gain), True)]
    after = net_lots + sign * form.size_lots
    pieces += [
        (". Position would be ", False),
        (formatting.side_word(after).lower(), True),
        (f" of {limits.max_position_lots} allowed.", False),
    ]
    return pieces


def parse_size(text: str, current: int, net_lots: int) -> int | None:
    """Lots from what was typed: "3", "=3", "+1", "-1", "x2", "/2", "50%" of the open position; None if no number."""
    cleaned = text.strip().lower().replace(formatting.MINUS, "-")
    if cleaned.endswith("%") and cleaned[:-1].isdecimal():
        return max(1, abs(net_lots) * int(cleaned[:-1]) // 100)
    operator, digits = (cleaned[0], cleaned[1:]) if cleaned[:1] in ("=", "+", "-", "x", "*", "/") else ("=", cleaned)
    if not digits.isdecimal() or (operator == "/" and int(digits) == 0):
        return None
    number = int(digits)
    result = {
        "=": number,
        "+": current + number,
        "-": current - number,
        "x": current * number,
        "*": current * number,
        "/": current // number if number else 0,
    }[operator]
    return max(1, min(result, 9_999))
