"""Numbers and words as people read them: the number grammar of the window. Pure functions on integers, no Qt.

Prices are ticks, money is 1/10,000 of a dollar, times are UTC nanoseconds shown in Chicago time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

MINUS = "\u2212"
GAIN = "\u25b2"
LOSS = "\u25bc"
DASH = "\u2013"
CHICAGO = ZoneInfo("America/Chicago")
_NS = 1_000_000_000


class PriceGrid(Protocol):
    """What a contract tells about its prices: price = ticks * tick_units / 10**decimals."""

    @property
    def tick_units(self) -> int: ...
    @property
    def decimals(self) -> int: ...


def price_text(ticks: int, grid: PriceGrid) -> str:
    """Price on the contract's own decimals, true minus, no grouping: "29480.25"."""
    units = ticks * grid.tick_units
    sign = MINUS if units < 0 else ""
    whole, rest = divmod(abs(units), 10**grid.decimals)
    return f"{sign}{whole}.{rest:0{grid.decimals}d}" if grid.decimals else f"{sign}{whole}"


def average_text(ticks_1e4: int, grid: PriceGrid) -> str:
    """An average in 1/10,000 of a tick, rounded half to even onto the contract's decimals."""
    quotient, rest = divmod(abs(ticks_1e4) * grid.tick_units, 10_000)
    if rest > 5_000 or (rest == 5_000 and quotient % 2):
        quotient += 1
    sign = MINUS if ticks_1e4 < 0 and quotient else ""
    whole, part = divmod(quotient, 10**grid.decimals)
    return f"{sign}{whole}.{part:0{grid.decimals}d}" if grid.decimals else f"{sign}{whole}"


def split_price(text: str, tail_digits: int = 2) -> tuple[str, str]:
    """Quiet head and bright tail of a price: the last `tail_digits` whole digits and all decimals are the tail."""
    point = text.find(".")
    end_of_whole = point if point >= 0 else len(text)
    cut = max(0, end_of_whole - tail_digits)
    return text[:cut], text[cut:]


def parse_price(text: str, grid: PriceGrid) -> int | None:
    """Ticks of a typed price, or None when it is no number or not on the grid. Exact: no float takes part."""
    cleaned = text.strip().replace(MINUS, "-").replace(",", "")
    sign = -1 if cleaned.startswith("-") else 1
    whole, _point, part = cleaned.lstrip("+-").partition(".")
    if not (whole or part) or not (whole + part).isdecimal() or len(part.rstrip("0")) > grid.decimals:
        return None
    units = int(whole or "0") * 10**grid.decimals + int(part[: grid.decimals].ljust(grid.decimals, "0") or "0")
    ticks, rest = divmod(units, grid.tick_units)
    return None if rest else sign * ticks


def cents(amount_1e4: int) -> int:
    """Whole cents of an amount, rounded half to even; carries the sign."""
    quotient, rest = divmod(abs(amount_1e4), 100)
    if rest > 50 or (rest == 50 and quotient % 2):
        quotient += 1
    return -quotient if amount_1e4 < 0 else quotient


def plain_money(amount_1e4: int) -> str:
    """Money without a currency mark: "51,734.80"."""
    value = cents(amount_1e4)
    sign = MINUS if value < 0 else ""
    return f"{sign}{abs(value) // 100:,}.{abs(value) % 100:02d}"


def balance_text(amount_1e4: int) -> str:
    """A balance: "$1,204.10"; a sign only when it is below zero."""
    value = cents(amount_1e4)
    sign = MINUS if value < 0 else ""
    return f"{sign}${abs(value) // 100:,}.{abs(value) % 100:02d}"


def signed_money(amount_1e4: int) -> str:
    """A result: "+$175.00", "−$200.00", "0.00"."""
    value = cents(amount_1e4)
    if value == 0:
        return "0.00"
    return f"{'+' if value > 0 else MINUS}${abs(value) // 100:,}.{abs(value) % 100:02d}"


def result_text(amount_1e4: int) -> str:
    """A result with its arrow: "▲ +$175.00"."""
    value = cents(amount_1e4)
    if value == 0:
        return "0.00"
    return f"{GAIN if value > 0 else LOSS} {signed_money(amount_1e4)}"


def signed(number: int) -> str:
    """A signed whole number with the true minus; zero has no sign."""
    if number == 0:
        return "0"
    return f"+{number}" if number > 0 else f"{MINUS}{-number}"


def ticks_text(ticks: int) -> str:
    """A distance: "+7 t"."""
    return f"{signed(ticks)} t"


def lots_text(lots: int) -> str:
    """A count of lots in words: "1 lot", "3 lots"."""
    return f"{lots} lot" if lots == 1 else f"{lots} lots"


def side_word(net_lots: int) -> str:
    """A position in words: "Long 2", "Short 1", "Flat"."""
    if net_lots == 0:
        return "Flat"
    return f"Long {net_lots}" if net_lots > 0 else f"Short {-net_lots}"


def queue_text(ahead_min: int, ahead_max: int, shown: int | None = None) -> str:
    """Lots ahead in the queue, "12–40 of 95"; "?" where nothing is known (a negative bound)."""
    if ahead_max < 0:
        return "?"
    span = f"{ahead_min}" if ahead_min == ahead_max else f"{max(ahead_min, 0)}\u2013{ahead_max}"
    return span if shown is None else f"{span} of {shown}"


def large_count(number: int) -> str:
    """Volumes in a narrow cell: "9,430", "11.8k", "214k"."""
    if number < 10_000:
        return f"{number:,}"
    return f"{number / 1000:.1f}k" if number < 100_000 else f"{number // 1000}k"


def age_text(milliseconds: int) -> str:
    """An age in at most two units: "38 ms", "1.8 s", "4:41", "5 h 26 m"."""
    value = max(0, milliseconds)
    if value < 1_000:
        return f"{value} ms"
    if value < 60_000:
        return f"{value / 1000:.1f} s"
    seconds = value // 1_000
    if seconds < 3_600:
        return f"{seconds // 60}:{seconds % 60:02d}"
    return f"{seconds // 3_600} h {seconds % 3_600 // 60} m"


def chicago(time_ns: int) -> datetime:
    """Chicago time of a UTC stamp, cut to microseconds."""
    seconds, rest = divmod(time_ns, _NS)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest // 1_000).astimezone(CHICAGO)


def clock_text(time_ns: int, *, decimals: int = 0) -> str:
    """Time of day in Chicago: "09:41:32", with tenths or milliseconds where asked for."""
    moment = chicago(time_ns)
    text = moment.strftime("%H:%M:%S")
    return f"{text}.{moment.microsecond:06d}"[: 9 + decimals] if decimals else text


def date_clock_text(time_ns: int) -> str:
    """Date, time and zone for the status bar: "Fri 20 Nov 09:41:32 CT"."""
    return chicago(time_ns).strftime("%a %d %b %H:%M:%S CT")


def masked_id(text: str) -> str:
    """The last four characters of an account id behind two dots: "··4471"."""
    return f"\u00b7\u00b7{text[-4:]}"


def kind_word(kind: str) -> str:
    """An order kind as the table shows it: "stop_limit" becomes "Stop limit"."""
    return kind.replace("_", " ").capitalize()
