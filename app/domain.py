"""The words of the house, the engine's records, and text for money and prices.

Glossary (one word per idea in all three languages)
    contract    one listed future with its expiry; never "symbol" or "instrument"
    root        the product a contract belongs to, such as MNQ
    lots        size of an order or position, a whole number
    ticks       a price as a count of the contract's smallest step
    tag         our own name of an order, minted before it is sent
    key         an order's name in the views: its tag, or `#<broker id>` for a foreign order
    account     one account at the broker; everything carries its id
    word        what kind of account it is, on every trading surface: DEMO REPLAY PRACTICE COMBINE FUNDED LIVE
    frame       a contract's view as of one revision
    reconcile   compare with the broker until nothing is unknown
    halt        the engine has failed itself: only cancels and closes are taken
    unknown     nobody has answered; the order may be live
    foreign     an order that this installation did not send
    _1e4        money as an integer count of 1/10,000 of a dollar
    _ns         UTC nanoseconds

Money is never a float: everything here is integer arithmetic, rounded half to even where cents are shown.
"""

from app.native import (
    Account,
    AccountChanged,
    ArmedChanged,
    BarFrame,
    Contract,
    Denied,
    ExitProgress,
    Fill,
    FillAdded,
    Limits,
    Link,
    LinkChanged,
    MarketFrame,
    Notice,
    Order,
    OrderChanged,
    Position,
    PositionChanged,
    RequestDone,
    Resync,
    Risk,
    RiskChanged,
    Rules,
    RuleUse,
    StopRule,
    StopRuleChanged,
)

__all__ = [
    "DONE_LIVES",
    "KINDS",
    "SIDES",
    "Account",
    "AccountChanged",
    "ArmedChanged",
    "BarFrame",
    "Contract",
    "Denied",
    "ExitProgress",
    "Fill",
    "FillAdded",
    "Limits",
    "Link",
    "LinkChanged",
    "MarketFrame",
    "Notice",
    "Order",
    "OrderChanged",
    "Position",
    "PositionChanged",
    "RequestDone",
    "Resync",
    "Risk",
    "RiskChanged",
    "RuleUse",
    "Rules",
    "StopRule",
    "StopRuleChanged",
    "average_price_text",
    "cents_half_even",
    "is_done",
    "money_text",
    "signed_lots_text",
]

SIDES = ("buy", "sell")
KINDS = ("limit", "market", "stop_limit", "stop", "trailing_stop", "join_bid", "join_ask")
DONE_LIVES = frozenset({"filled", "cancelled", "expired", "refused", "denied", "not_accepted"})

_TEN_THOUSANDTHS_PER_CENT = 100
_MINUS = "\N{MINUS SIGN}"


def divide_half_even(numerator: int, denominator: int) -> int:
    """Integer quotient, a tie going to the even neighbour. `denominator` is positive."""
    assert denominator > 0, "a denominator counts something"
    quotient, remainder = divmod(numerator, denominator)
    if remainder * 2 > denominator or (remainder * 2 == denominator and quotient % 2 == 1):
        return quotient + 1
    return quotient


def cents_half_even(amount_1e4: int) -> int:
    return divide_half_even(amount_1e4, _TEN_THOUSANDTHS_PER_CENT)


def money_text(amount_1e4: int, *, is_signed: bool = False, separator: str = ",") -> str:
    """Format money as dollars and cents: `1,234.50`, `−0.05`, and `+12.00` where the sign carries the meaning.

    What rounds to nothing is written without a sign: "−0.00" would be read as a loss.
    """
    cents = cents_half_even(amount_1e4)
    dollars, rest = divmod(abs(cents), 100)
    sign = _MINUS if cents < 0 else "+" if is_signed and cents > 0 else ""
    return f"{sign}{dollars:,}".replace(",", separator) + f".{rest:02d}"


def average_price_text(contract: Contract, average_ticks_1e4: int) -> str:
    """Format an average price, which lies between grid prices, with two digits more than the grid has."""
    scaled = divide_half_even(average_ticks_1e4 * contract.tick_units, 100)
    places = contract.decimals + 2
    whole, rest = divmod(abs(scaled), 10**places)
    return f"{_MINUS if scaled < 0 else ''}{whole}.{rest:0{places}d}"


def signed_lots_text(net_lots: int) -> str:
    if net_lots == 0:
        return "flat"
    return f"+{net_lots}" if net_lots > 0 else f"{_MINUS}{-net_lots}"


def is_done(order: Order) -> bool:
    """Whether nothing more can happen to this order."""
    return order.life in DONE_LIVES and not order.doubt_since_ns
