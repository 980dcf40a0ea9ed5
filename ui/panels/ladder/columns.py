"""Columns of the ladder grid: which ones fit, where they stand, and which cell lies under a point. No Qt."""

from __future__ import annotations

from typing import NamedTuple

WIDTHS = {
    "own_buys": 58,
    "bid": 50,
    "sold": 42,
    "price": 80,
    "bought": 42,
    "ask": 50,
    "own_sells": 58,
    "volume": 46,
    "pnl": 52,
}
HEADS = {
    "own_buys": "My buys",
    "bid": "Bid",
    "sold": "Sold",
    "price": "Price",
    "bought": "Bought",
    "ask": "Ask",
    "own_sells": "My sells",
    "volume": "Volume",
    "pnl": "P&L",
}
TIPS = {"volume": "Lots traded at this price since this window began to listen, not since the session opened"}
# What a narrow ladder gives up, first one first; the five others always stay.
DROPPED_FIRST = ("volume", "pnl", "sold", "bought")
CLICK_SIDE = {"bid": "buy", "ask": "sell"}
OWN_SIDE = {"own_buys": "buy", "own_sells": "sell"}
STRIP_HEIGHT = 24
HELD_HEIGHT = 20
HEAD_HEIGHT = 20
TOTALS_HEIGHT = 22


class Column(NamedTuple):
    name: str
    x: int
    width: int

    @property
    def right(self) -> int:
        return self.x + self.width


def lay_out(width: int) -> dict[str, Column]:
    """Place the columns over `width` px: drop what does not fit, share what is left over in proportion."""
    names = list(WIDTHS)
    for name in DROPPED_FIRST:
        if sum(WIDTHS[n] for n in names) <= width:
            break
        names.remove(name)
    total = sum(WIDTHS[n] for n in names)
    columns, edge, planned = {}, 0, 0
    for name in names:
        planned += WIDTHS[name]
        right = planned * max(width, total) // total
        columns[name] = Column(name, edge, right - edge)
        edge = right
    return columns


def column_at(columns: dict[str, Column], x: float) -> str | None:
    return next((c.name for c in columns.values() if c.x <= x < c.right), None)


def row_count(height: int, row_height: int) -> int:
    """Whole rows between column header and totals."""
    return max(1, (height - STRIP_HEIGHT - HEAD_HEIGHT - TOTALS_HEIGHT) // row_height)
