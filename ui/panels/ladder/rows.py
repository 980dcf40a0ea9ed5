"""What the depth ladder shows, worked out without Qt.

One call of `build_rows` turns a market frame, our orders and the position into one immutable `Row` per visible price.
Rows compare by value, so the painter repaints exactly those that differ from the painted ones. Prices are ticks, sizes
lots, money 1/10,000 of a dollar; lengths are whole pixels, so that a change too small to see is no change.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ui.charting.standing import TICKS_1E4, result_at, target_legs, wanted_price, working_price
from ui.formatting import ticks_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from app.domain import MarketFrame, Order

I64 = npt.NDArray[np.int64]

LARGE_FACTOR = 2.5
AGE_STEPS_NS = (2_000_000_000, 10_000_000_000, 30_000_000_000, 90_000_000_000)
EPOCH_NS = 5_000_000_000
REJECTED_LIVES = ("refused", "denied", "not_accepted")
FADE_MS = 1200
FADE_STEPS = 8


class Tracking(StrEnum):
    """How the ladder follows the market; the value is the word in the header."""

    STATIC = "Static"
    JUMP = "Jump"
    CENTRED = "Centre"


class RowMap(NamedTuple):
    """Which price each row shows: row 0 is the highest."""

    top_ticks: int
    rows: int

    def ticks_at(self, row: int) -> int:
        return self.top_ticks - row

    def row_of(self, ticks: int) -> int:
        """Row of a price; outside 0..rows-1 when the price is not on screen."""
        return self.top_ticks - ticks

    def shows(self, ticks: int) -> bool:
        return 0 <= self.top_ticks - ticks < self.rows

    @property
    def bottom_ticks(self) -> int:
        return self.top_ticks - self.rows + 1


@dataclass(slots=True)
class RowTracker:
    """Chooses the top price. Never moves while held; says how far the market has gone meanwhile."""

    mode: Tracking = Tracking.JUMP
    margin_rows: int = 6
    top_ticks: int | None = None
    is_waiting: bool = False

    def follow(self, bid_ticks: int, ask_ticks: int, rows: int, *, is_held: bool) -> bool:
        """Move as the mode says; True when the map changed. A held ladder only notes that it wants to move."""
        if self.top_ticks is None:
            self.centre(bid_ticks, ask_ticks, rows)
            return True
        wanted = self._wanted_top(bid_ticks, ask_ticks, rows)
        self.is_waiting = is_held and wanted != self.top_ticks
        if is_held or wanted == self.top_ticks:
            return False
        self.top_ticks = wanted
        return True

    def centre(self, bid_ticks: int, ask_ticks: int, rows: int) -> None:
        self.top_ticks = _centred_top(bid_ticks, ask_ticks, rows)
        self.is_waiting = False

    def scroll(self, ticks: int) -> None:
        if self.top_ticks is not None:
            self.top_ticks += ticks

    def _wanted_top(self, bid_ticks: int, ask_ticks: int, rows: int) -> int:
        assert self.top_ticks is not None, "the first market price gives the first top row"
        if self.mode is Tracking.STATIC:
            return self.top_ticks
        centred = _centred_top(bid_ticks, ask_ticks, rows)
        if self.mode is Tracking.CENTRED:
            return centred
        margin = min(self.margin_rows, max(0, (rows - 2) // 2 - 1))
        is_inside = self.top_ticks - ask_ticks >= margin and bid_ticks - (self.top_ticks - rows + 1) >= margin
        return self.top_ticks if is_inside else centred


def _centred_top(bid_ticks: int, ask_ticks: int, rows: int) -> int:
    return (bid_ticks + ask_ticks) // 2 + rows // 2


class Mark(NamedTuple):
    """One order marker: what is written on it and how it is drawn."""

    keys: tuple[str, ...]
    side: str
    look: str
    head: str
    code: str
    done_permille: int = 0
    is_foreign: bool = False


class Row(NamedTuple):
    """One price as it is painted."""

    ticks: int
    bid_lots: int = 0
    ask_lots: int = 0
    bid_bar: int = 0
    ask_bar: int = 0
    is_bid_large: bool = False
    is_ask_large: bool = False
    is_best_bid: bool = False
    is_best_ask: bool = False
    own_bid_bar: int = 0
    own_ask_bar: int = 0
    sold: int = 0
    sold_age: int = 4
    bought: int = 0
    bought_age: int = 4
    last_mark: str = ""
    last_side: str = ""
    letter: str = ""
    volume: int = 0
    volume_bar: int = 0
    is_busiest: bool = False
    pnl_1e4: int | None = None
    average: str = ""
    is_day_even: bool = False
    buys: Mark | None = None
    sells: Mark | None = None


def order_code(order: Order, leg: int = 0) -> str:
    """Type, role, leg and holder in letters: `LEb`, `LP2b`, `SXc`."""
    letter = {"stop": "S", "stop_limit": "S", "trailing_stop": "T", "market": "M"}.get(order.kind, "L")
    role = {"entry": "E", "target": "P", "stop": "X", "close": "X"}.get(order.role, "E")
    holder = "c" if order.holder == "computer" else "b"
    return f"{letter}{role}{leg or ''}{holder}"


@dataclass(slots=True)
class OrderWatch:
    """Remembers since when an order waits or is done, on the window's own clock, for true ages and fades."""

    _since: dict[str, tuple[str, int]] = field(default_factory=dict)
    _read: set[str] = field(default_factory=set)

    def note(self, orders: Sequence[Order], now_ms: int) -> None:
        """Take the looks of this frame. What was finished before we watched stays hidden."""
        is_first = not self._since
        kept: dict[str, tuple[str, int]] = {}
        for order in orders:
            look, since = self._since.get(order.key, ("", now_ms))
            if not look and order.look == "done" and is_first:
                self._read.add(order.key)
            kept[order.key] = (order.look, since if look == order.look else now_ms)
        self._since = kept
        self._read &= kept.keys()

    def waited_ms(self, now_ms: int) -> dict[str, int]:
        """Ages of the orders whose answer is awaited."""
        awaited = ("sending", "changing", "cancelling")
        return {key: now_ms - since for key, (look, since) in self._since.items() if look in awaited}

    def done(self, orders: Sequence[Order], now_ms: int) -> dict[str, int]:
        """Finished orders still to be drawn, with the share faded in eight steps; rejected ones stay until read."""
        shown: dict[str, int] = {}
        for order in orders:
            look, since = self._since.get(order.key, ("", now_ms))
            if look != "done" or order.key in self._read:
                continue
            if order.life in REJECTED_LIVES:
                shown[order.key] = 0
            elif now_ms - since < FADE_MS:
                shown[order.key] = (now_ms - since) * FADE_STEPS // FADE_MS * 1000 // FADE_STEPS
        return shown

    def read(self, key: str) -> None:
        """A person has seen the rejection."""
        self._read.add(key)


def build_marks(
    orders: Sequence[Order], waited_ms: dict[str, int], done: dict[str, int]
) -> dict[tuple[str, int], Mark]:
    """Markers by (side, price). Ghosts of changes stand at their asked price; several orders at a price become one.

    waited_ms: age of orders whose answer is awaited, by key.
    done: finished orders that are still shown, with the share faded, 0..1000.
    """
    legs = target_legs(orders)
    marks: dict[tuple[str, int], Mark] = {}
    for order in orders:
        if order.look == "done" and order.key not in done:
            continue
        price = working_price(order)
        if price is None:
            continue
        place = (order.side, price)
        mark = _mark_of(order, legs.get(order.key, 0), waited_ms.get(order.key, 0), done.get(order.key, 0))
        marks[place] = _joined(marks[place], mark) if place in marks else mark
    for order in orders:
        if order.look != "changing":
            continue
        wanted, price = wanted_price(order), working_price(order)
        if wanted is not None and price is not None and (order.side, wanted) not in marks:
            head = f"{order.side[0].upper()}{order.size_lots - order.filled_lots}"
            marks[order.side, wanted] = Mark((order.key,), order.side, "ghost", head, ticks_text(wanted - price))
    return marks


def _mark_of(order: Order, leg: int, waited_ms: int, faded: int) -> Mark:
    letter = order.side[0].upper()
    code = order_code(order, leg)
    left = order.size_lots - order.filled_lots
    look = order.look
    if look == "part_filled":
        done = order.filled_lots * 1000 // max(1, order.size_lots)
        code = f"{order.filled_lots}/{order.size_lots}"
        return Mark((order.key,), order.side, look, f"{letter}{order.size_lots}", code, done, order.is_foreign)
    if look == "done":
        look = "rejected" if order.life in REJECTED_LIVES else order.life
        left = order.size_lots
    elif waited_ms >= 300:
        code = f"{waited_ms / 1000:.1f} s"
    return Mark((order.key,), order.side, look, f"{letter}{left}", code, faded, order.is_foreign)


_COVERED = 0.9
_GRAVITY = ("unknown", "sending", "changing", "cancelling", "part_filled", "working")


def _joined(first: Mark, second: Mark) -> Mark:
    """Sum two markers of one price; the look that needs most attention wins, a finished one gives way."""
    if first.look not in _GRAVITY:
        return second
    if second.look not in _GRAVITY:
        return first
    keys = first.keys + second.keys
    look = min(first.look, second.look, key=_GRAVITY.index)
    size = int(first.head[1:]) + int(second.head[1:])
    is_foreign = first.is_foreign or second.is_foreign
    return Mark(keys, first.side, look, f"{first.head[0]}{size}", f"x{len(keys)}", 0, is_foreign)


@dataclass(slots=True)
class PrintMemory:
    """Remembers when each price last traded, per side, and which way the last price went. Event time only."""

    bought_ns: dict[int, int] = field(default_factory=dict)
    sold_ns: dict[int, int] = field(default_factory=dict)
    newest_ns: int = 0
    last_ticks: int | None = None
    direction: str = ""

    def note(self, frame: MarketFrame) -> None:
        """Take the prints of a frame. Prints already seen do no harm; a clock set back begins anew."""
        if frame.broker_time_ns < self.newest_ns - EPOCH_NS:
            self.bought_ns.clear()
            self.sold_ns.clear()
            self.newest_ns = 0
        for time_ns, ticks, is_buy in zip(
            frame.trade_time_ns.tolist(), frame.trade_ticks.tolist(), frame.trade_is_buy.tolist(), strict=True
        ):
            (self.bought_ns if is_buy else self.sold_ns)[ticks] = time_ns
            self.newest_ns = max(self.newest_ns, time_ns)
            self._note_price(ticks)
        self.newest_ns = max(self.newest_ns, frame.broker_time_ns)
        if frame.last_ticks is not None:
            self._note_price(frame.last_ticks)
        for seen in (self.bought_ns, self.sold_ns):
            if len(seen) > 4096:
                self._forget(seen)

    def _note_price(self, ticks: int) -> None:
        if self.last_ticks is not None and ticks != self.last_ticks:
            self.direction = "up" if ticks > self.last_ticks else "down"
        self.last_ticks = ticks

    def _forget(self, seen: dict[int, int]) -> None:
        horizon = self.newest_ns - AGE_STEPS_NS[-1]
        for ticks in [t for t, ns in seen.items() if ns < horizon]:
            del seen[ticks]

    def age_step(self, ticks: int, *, is_buy: bool) -> int:
        """0 newest .. 3 muted, 4 gone."""
        time_ns = (self.bought_ns if is_buy else self.sold_ns).get(ticks)
        if time_ns is None:
            return 4
        age = self.newest_ns - time_ns
        return next((step for step, limit in enumerate(AGE_STEPS_NS) if age <= limit), 4)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Pixel widths that bars scale to."""

    bid: int = 50
    ask: int = 50
    volume: int = 46


@dataclass(frozen=True, slots=True)
class Holding:
    """The open position as the ladder needs it."""

    net_lots: int = 0
    average_ticks_1e4: int = 0
    tick_value_1e4: int = 0
    banked_1e4: int = 0

    @property
    def even_ticks(self) -> int | None:
        """Price, rounded up to a tick boundary, from which the day is in gain, fees included; None when flat."""
        value = self.net_lots * self.tick_value_1e4
        if value == 0 or self.banked_1e4 == 0:
            return None
        return -((-(self.average_ticks_1e4 * value - self.banked_1e4 * TICKS_1E4)) // (value * TICKS_1E4))


def pnl_at(ticks: int, holding: Holding) -> int:
    """Open result in 1/10,000 dollars if the market were at `ticks`, rounded half to even."""
    return result_at(ticks, holding.net_lots, holding.average_ticks_1e4, holding.tick_value_1e4)


@dataclass(frozen=True, slots=True)
class Totals:
    bid_lots: int = 0
    ask_lots: int = 0
    delta_lots: int = 0
    session_lots: int = 0


def visible_column(ticks: I64, values: I64, row_map: RowMap) -> list[int]:
    """Values laid out by row, 0 where the column has no entry for a visible price."""
    laid = np.zeros(row_map.rows, dtype=np.int64)
    rows = row_map.top_ticks - ticks
    inside = (rows >= 0) & (rows < row_map.rows)
    laid[rows[inside]] = values[inside]
    return laid.tolist()


def totals(frame: MarketFrame) -> Totals:
    return Totals(
        int(frame.bid_lots.sum()),
        int(frame.ask_lots.sum()),
        int(frame.traded_bought_lots.sum() - frame.traded_sold_lots.sum()),
        frame.session_lots,
    )


def level_letters(frame: MarketFrame) -> dict[int, str]:
    """Small letters of known levels. At one price the rarer level wins: H, L, O, S, then V, P and the bands."""
    letters: dict[int, str] = {}
    volume = frame.traded_bought_lots + frame.traded_sold_lots
    traded = int(volume.sum())
    # Volume seen only since the start of the program says nothing about the session's averages.
    if traded > 0 and traded >= _COVERED * frame.session_lots:
        mean = float((frame.traded_ticks * volume).sum()) / traded
        spread = float(np.sqrt(((frame.traded_ticks - mean) ** 2 * volume).sum() / traded))
        letters[round(mean - spread)] = "\u03c3"
        letters[round(mean + spread)] = "\u03c3"
        letters[int(frame.traded_ticks[int(volume.argmax())])] = "P"
        letters[round(mean)] = "V"
    for ticks, letter in (
        (frame.settle_ticks, "S"),
        (frame.open_ticks, "O"),
        (frame.low_ticks, "L"),
        (frame.high_ticks, "H"),
    ):
        if ticks is not None:
            letters[ticks] = letter
    return letters


@dataclass(frozen=True, slots=True)
class OwnSide:
    """What is ours on the ladder: markers and resting lots by (side, price), and the position."""

    marks: dict[tuple[str, int], Mark] = field(default_factory=dict)
    lots: dict[tuple[str, int], int] = field(default_factory=dict)
    holding: Holding = field(default_factory=Holding)


def build_rows(frame: MarketFrame, row_map: RowMap, own: OwnSide, memory: PrintMemory, sizes: Sizes) -> list[Row]:
    """One Row per visible price, top first."""
    bids = visible_column(frame.bid_ticks, frame.bid_lots, row_map)
    asks = visible_column(frame.ask_ticks, frame.ask_lots, row_map)
    bought = visible_column(frame.recent_ticks, frame.recent_bought_lots, row_map)
    sold = visible_column(frame.recent_ticks, frame.recent_sold_lots, row_map)
    volume = visible_column(frame.traded_ticks, frame.traded_bought_lots + frame.traded_sold_lots, row_map)
    letters = level_letters(frame)
    shown = [lots for lots in (*bids, *asks) if lots > 0]
    largest = max(shown, default=1)
    large_from = LARGE_FACTOR * float(np.median(shown)) if shown else float("inf")
    busiest = max(1, *volume)
    even = own.holding.even_ticks
    rows = []
    for index in range(row_map.rows):
        ticks = row_map.ticks_at(index)
        bid, ask, lots = bids[index], asks[index], volume[index]
        rows.append(
            Row(
                ticks=ticks,
                bid_lots=bid,
                ask_lots=ask,
                bid_bar=bid * (sizes.bid - 2) // largest,
                ask_bar=ask * (sizes.ask - 2) // largest,
                is_bid_large=bid > large_from,
                is_ask_large=ask > large_from,
                is_best_bid=ticks == frame.best_bid_ticks,
                is_best_ask=ticks == frame.best_ask_ticks,
                own_bid_bar=_own_bar(own.lots.get(("buy", ticks), 0), bid, largest, sizes.bid),
                own_ask_bar=_own_bar(own.lots.get(("sell", ticks), 0), ask, largest, sizes.ask),
                sold=sold[index],
                sold_age=memory.age_step(ticks, is_buy=False) if sold[index] else 4,
                bought=bought[index],
                bought_age=memory.age_step(ticks, is_buy=True) if bought[index] else 4,
                last_mark=memory.direction or "equal" if ticks == frame.last_ticks else "",
                last_side=frame.last_side if ticks == frame.last_ticks else "",
                letter=letters.get(ticks, ""),
                volume=lots,
                volume_bar=lots * (sizes.volume - 3) // busiest,
                is_busiest=lots == busiest,
                pnl_1e4=pnl_at(ticks, own.holding) if own.holding.net_lots else None,
                is_day_even=ticks == even,
                average=average_edge(ticks, own.holding),
                buys=own.marks.get(("buy", ticks)),
                sells=own.marks.get(("sell", ticks)),
            )
        )
    return rows


def average_edge(ticks: int, holding: Holding) -> str:
    """Where the average line meets a row: "on" it, at its "top" or "bottom" boundary, or not at all."""
    if not holding.net_lots:
        return ""
    below, rest = divmod(holding.average_ticks_1e4, TICKS_1E4)
    if rest == 0:
        return "on" if ticks == below else ""
    return {below: "top", below + 1: "bottom"}.get(ticks, "")


def _own_bar(own_lots: int, shown_lots: int, largest: int, width: int) -> int:
    if own_lots <= 0 or shown_lots <= 0:
        return 0
    return max(4, min(own_lots, shown_lots) * (width - 2) // largest)


class OutOfView(NamedTuple):
    """Working orders beyond an edge of the grid: how many, and the nearest."""

    number: int
    nearest_ticks: int
    side: str
    kind: str


def out_of_view(orders: Iterable[Order], row_map: RowMap) -> tuple[OutOfView | None, OutOfView | None]:
    """(above, below) the visible rows."""
    above: list[tuple[int, Order]] = []
    below: list[tuple[int, Order]] = []
    for order in orders:
        price = working_price(order)
        if price is None or order.look == "done":
            continue
        if price > row_map.top_ticks:
            above.append((price, order))
        elif price < row_map.bottom_ticks:
            below.append((price, order))
    above.sort(key=lambda item: item[0])
    below.sort(key=lambda item: -item[0])
    return _nearest(above), _nearest(below)


def _nearest(found: list[tuple[int, Order]]) -> OutOfView | None:
    if not found:
        return None
    price, order = found[0]
    return OutOfView(len(found), price, order.side, "stop" if "stop" in order.kind else order.kind)


class Intent(NamedTuple):
    """What a press in a cell would send, or why it would send nothing."""

    side: str
    kind: str
    ticks: int
    refusal: str = ""


def intent_at(
    side: str, ticks: int, best_bid: int | None, best_ask: int | None, *, wants_stop: bool, wants_market: bool
) -> Intent:
    """Scheme A, sided columns: limit on the passive side of the market, stop beyond it.

    wants_stop: right button or Shift forces a stop; wants_market: Ctrl takes the market.
    """
    if wants_market:
        opposite = best_ask if side == "buy" else best_bid
        return Intent(side, "market", ticks, "" if opposite is not None else "Market orders wait for both sides")
    reference = best_ask if side == "buy" else best_bid
    if reference is None:
        return Intent(side, "stop" if wants_stop else "limit", ticks)
    is_beyond = ticks >= reference if side == "buy" else ticks <= reference
    if wants_stop and not is_beyond:
        where = "above" if side == "buy" else "below"
        return Intent(side, "stop", ticks, f"A {side} stop lies {where} the market")
    return Intent(side, "stop" if is_beyond else "limit", ticks)
