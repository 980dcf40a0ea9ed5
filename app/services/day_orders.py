"""The orders of the day as a window reads them: each frame only what changed, however many there are.

A day has thousands of orders and a few that work. Surfaces show those, what ended a moment ago (it fades) and what was
rejected (it stays until it is read); only a table of the whole day needs the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from app.domain import Order

if TYPE_CHECKING:
    from collections.abc import Iterable

REJECTED_LIVES = ("refused", "denied", "not_accepted")
_ENDED_S = 1.5
"""How long an order that has ended stays among the shown ones: longer than any surface fades it."""


class OrderSource(Protocol):
    """What the engine offers; see its stub."""

    def orders_since(self, revision: int) -> tuple[int, int, list[Order]]: ...


class DayOrders:
    """Reads on from where it was. Not thread-safe: it belongs to the window's thread."""

    def __init__(self, source: OrderSource, now_s: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._now_s = now_s
        self._revision = 0
        self._all: dict[str, Order] = {}
        self._by_id: dict[int, Order] = {}
        self._live: dict[str, Order] = {}
        self._rejected: dict[str, Order] = {}
        self._ended_s: dict[str, float] = {}

    def refresh(self) -> None:
        """Take what changed; everything anew when rows have vanished or other ones have come."""
        revision, count, changed = self._source.orders_since(self._revision)
        is_whole = self._revision == 0
        self._take(changed)
        if count != len(self._all):
            is_whole = True
            revision, _, rows = self._source.orders_since(0)
            self._forget()
            self._take(rows)
        if is_whole:
            # What had ended before it was first seen is history.
            self._ended_s.clear()
        self._revision = revision
        fading_since = self._now_s() - _ENDED_S
        for key in [key for key, ended in self._ended_s.items() if ended < fading_since]:
            del self._ended_s[key]

    def all(self) -> list[Order]:
        """Every order, oldest first."""
        return list(self._all.values())

    def live(self) -> list[Order]:
        """Those that can still do something."""
        return list(self._live.values())

    def rejected(self) -> list[Order]:
        """Those that were denied here or refused there."""
        return list(self._rejected.values())

    def shown(self) -> list[Order]:
        """The live ones, what ended a moment ago, and the rejected ones."""
        ended = (self._all[key] for key in self._ended_s if key not in self._rejected)
        return [*self._rejected.values(), *ended, *self._live.values()]

    def by_broker_id(self, order_id: int) -> Order | None:
        """The order with the broker's number."""
        return self._by_id.get(order_id)

    def _forget(self) -> None:
        for kept in (self._all, self._by_id, self._live, self._rejected):
            kept.clear()

    def _take(self, rows: Iterable[Order]) -> None:
        now_s = self._now_s()
        for order in rows:
            key = order.key
            self._all[key] = order
            if order.order_id:
                self._by_id[order.order_id] = order
            is_done = order.look == "done"
            if is_done:
                self._ended_s.setdefault(key, now_s)
            else:
                self._ended_s.pop(key, None)
            _put(self._live, order, is_in=not is_done)
            _put(self._rejected, order, is_in=is_done and order.life in REJECTED_LIVES)


def _put(kept: dict[str, Order], order: Order, *, is_in: bool) -> None:
    if is_in:
        kept[order.key] = order
    else:
        kept.pop(order.key, None)
