"""What the ticket would send, worked out in whole numbers: price, refusals, preview sentences. No Qt.

The same checks run again in the core at send time, and that result wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.errors import InvalidOrder
from app.services import fees, sizing
from app.services.exits import NO_EXITS, NO_TEMPLATE, ExitPlan, ExitTemplate, plan_of
from ui import formatting

if TYPE_CHECKING:
    from app.domain import Contract

TYPES = ("market", "limit", "stop", "stop_limit", "join_bid", "join_ask", "trailing_stop")
_STOPS = ("stop", "stop_limit")
_WORDS = {
    "market": "market",
    "limit": "limit",
    "stop": "stop",
    "stop_limit": "stop",
    "join_bid": "join bid",
    "join_ask": "join ask",
    "trailing_stop": "trail",
}


@dataclass(frozen=True)
class Form:
    """The values that stand in the ticket. price_ticks None = follow the best price.

    With `risk_1e4` the size follows from the money at risk and is 0 while nothing fits.
    """

    kind: str = "limit"
    size_lots: int = 1
    price_ticks: int | None = None
    trail_ticks: int = 8
    # How far beyond its trigger the limit of a stop-limit stands.
    beyond_ticks: int = 4
    exits: ExitTemplate = NO_TEMPLATE
    risk_1e4: int | None = None


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
    if form.kind == "limit" or form.kind in _STOPS:
        if form.price_ticks is not None:
            return form.price_ticks
        # A limit rests on its own side; a stop waits beyond the other one.
        near, far = (market.bid_ticks, market.ask_ticks) if side == "buy" else (market.ask_ticks, market.bid_ticks)
        if form.kind == "limit":
            return near
        return None if far is None else far + (1 if side == "buy" else -1)
    return None


def limit_of(form: Form, side: str, market: Market) -> int | None:
    """The limit price that the order carries: its own, or beyond the trigger of a stop-limit; None without one."""
    price = price_for(form, side, market)
    if form.kind == "stop_limit" and price is not None:
        return price + (form.beyond_ticks if side == "buy" else -form.beyond_ticks)
    return price if form.kind == "limit" else None


def entry_for(form: Form, side: str, market: Market) -> int | None:
    """Where the order would fill: its own price, or the side of the market that it takes."""
    price = price_for(form, side, market)
    if price is not None:
        return price
    near, far = (market.bid_ticks, market.ask_ticks) if side == "buy" else (market.ask_ticks, market.bid_ticks)
    rests = {"join_bid": market.bid_ticks, "join_ask": market.ask_ticks}
    return rests.get(form.kind, far if form.kind == "market" else near)


def exit_plan(form: Form, side: str, market: Market, contract: Contract) -> tuple[ExitPlan, str]:
    """The exits in ticks and lots, and what is wrong with them; then the plan is empty."""
    try:
        entry = entry_for(form, side, market)
        return plan_of(form.exits, contract, side, max(1, form.size_lots), entry_ticks=entry), ""
    except InvalidOrder as error:
        return NO_EXITS, error.text


def size_by_risk(
    form: Form, stop_ticks: int | None, contract: Contract, micro: Contract | None
) -> tuple[int, str, sizing.Sizing | None]:
    """Lots for the money at risk, the note below the box, and the same risk in minis and micros."""
    fee = fees.round_turn_1e4(contract)
    if stop_ticks is None:
        return 0, "Sizing by risk needs a stop: choose exits.", None
    if fee is None:
        return 0, f"The fees of {contract.root} are not known.", None
    assert form.risk_1e4 is not None, "asked only while sizing by risk"
    small_fee = fees.round_turn_1e4(micro) if micro is not None else None
    small = (micro, small_fee) if micro is not None and small_fee is not None else None
    alone = sizing.sized_by_risk(contract, stop_ticks, form.risk_1e4, fees_1e4=fee, micro=small)
    lots = sum(part.lots for part in alone.parts)
    per_lot = formatting.plain_money(alone.per_lot_1e4)
    if not lots:
        fits = f"{alone.micro_lots} {alone.micro_name} would fit" if alone.micro_lots else "nothing smaller fits"
        return 0, f"One lot costs {per_lot} with fees: 0 lots; {fits}.", None
    mixed = sizing.sized_by_risk(contract, stop_ticks, form.risk_1e4, fees_1e4=fee, micro=small, is_mixed=True)
    note = f"{stop_ticks} t stop and fees cost {per_lot} a lot: {formatting.lots_text(lots)}"
    return lots, note, mixed if len(mixed.parts) > 1 else None


def refusal(form: Form, side: str, market: Market, net_lots: int, limits: Limits) -> str:
    """Why this side cannot be sent, in a few words for the button; empty when it can."""
    if form.size_lots < 1:
        return "no lots fit" if form.risk_1e4 is not None else "no quantity"
    sign = 1 if side == "buy" else -1
    after = net_lots + sign * form.size_lots
    is_reducing = abs(after) < abs(net_lots)
    if not is_reducing and form.size_lots > limits.max_order_lots:
        return f"over by {formatting.lots_text(form.size_lots - limits.max_order_lots)}"
    if not is_reducing and abs(after) > limits.max_position_lots:
        return f"over by {formatting.lots_text(abs(after) - limits.max_position_lots)}"
    if market.bid_ticks is None or market.ask_ticks is None:
        return "no market"
    if (form.kind == "limit" or form.kind in _STOPS) and price_for(form, side, market) is None:
        return "no price"
    if form.kind in _STOPS:
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
    limit = limit_of(form, side, market)
    if form.kind == "stop_limit" and limit is not None:
        return f"Stop {formatting.price_text(price, contract)}, to {formatting.price_text(limit, contract)}"
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
        return "follows market"
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
    form: Form,
    side: str,
    market: Market,
    contract: Contract,
    exits: ExitPlan,
    *,
    net_lots: int,
    limits: Limits,
) -> list[tuple[str, bool]]:
    """The preview as pieces of (text, is bold): the order, its exits, the money at risk, the position after it."""
    sign = 1 if side == "buy" else -1
    price = price_for(form, side, market)
    at = f" at {formatting.price_text(price, contract)}" if price is not None else ""
    limit = limit_of(form, side, market) if form.kind == "stop_limit" else None
    bound = f", limit {formatting.price_text(limit, contract)}" if limit is not None else ""
    pieces = [(f"{side.capitalize()} {form.size_lots} {contract.name}{at} {_WORDS[form.kind]}{bound}", True)]
    if exits.stop_ticks is not None:
        pieces.append((f", stop {exits.stop_ticks} t", False))
    if exits.targets:
        distances = " and ".join(str(target.ticks) for target in exits.targets)
        pieces.append((f", target{'s' if len(exits.targets) > 1 else ''} {distances} t", False))
    pieces += _risk_pieces(form, contract, exits)
    after = net_lots + sign * form.size_lots
    pieces += [
        (". Position would be ", False),
        (formatting.side_word(after).lower(), True),
        (f" of {limits.max_position_lots} allowed.", False),
    ]
    return pieces


def after_stop_out(
    form: Form, contract: Contract, exits: ExitPlan, headroom: tuple[tuple[str, int, int], ...]
) -> list[tuple[str, bool]]:
    """What the account's limits leave once this order was stopped out, as pieces; nothing without stop or limits.

    headroom: (limit in words, money left, its whole). An exclamation mark says under half, or that the limit breaks.
    """
    risk = exits.risk_1e4(contract, form.size_lots)
    if risk is None or not headroom:
        return []
    cost = risk + (fees.round_turn_1e4(contract) or 0) * form.size_lots
    pieces: list[tuple[str, bool]] = [(" After a stop-out ", False)]
    for place, (words, left, whole) in enumerate(headroom):
        after = left - cost
        mark = "! " if after * 2 < whole else ""
        pieces += [
            (", " if place else "", False),
            (f"{mark}{formatting.plain_money(after)}", True),
            (f" left to {words}", False),
        ]
    return [*pieces, (".", False)]


def _risk_pieces(form: Form, contract: Contract, exits: ExitPlan) -> list[tuple[str, bool]]:
    risk = exits.risk_1e4(contract, form.size_lots)
    if risk is None:
        pieces = [(": no stop, the risk is open", False)]
    else:
        pieces = [(": risk ", False), (formatting.balance_text(risk), True), (_fees_text(form, contract), False)]
    if exits.targets:
        pieces += [(", to win ", False), (formatting.balance_text(exits.gain_1e4(contract)), True)]
    return pieces


def _fees_text(form: Form, contract: Contract) -> str:
    fee = fees.round_turn_1e4(contract)
    return " and fees" if fee is None else f" + fees {formatting.plain_money(fee * form.size_lots)}"


def parse_risk(text: str) -> int | None:
    """Dollars from what was typed: "300", "$1,200.50"; None if no amount above 0."""
    cleaned = text.strip().removeprefix("$").replace(",", "")
    whole, point, part = cleaned.partition(".")
    if not whole.isdecimal() or (point and (not part.isdecimal() or len(part) > 2)):
        return None
    amount = int(whole) * 10_000 + int(part.ljust(2, "0") or 0) * 100
    return amount if 0 < amount < 10**12 else None


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
