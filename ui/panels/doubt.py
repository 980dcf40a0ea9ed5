"""Orders without proof of their fate, in words: what the ticket holds back and what the line under the orders says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ui import formatting

if TYPE_CHECKING:
    from app.domain import Contract, Order


@dataclass(frozen=True)
class Doubt:
    """The oldest order whose fate is unknown, and how many there are. `sides` are those with one."""

    words: str
    age_text: str
    tag: str
    sides: frozenset[str]
    count: int

    @property
    def sentence(self) -> str:
        """The whole of it in one line."""
        more = f", and {self.count - 1} more" if self.count > 1 else ""
        return f"{self.words}{more}: no answer for {self.age_text}"


def doubt_of(orders: Sequence[Order], contracts: Mapping[int, Contract], now_ns: int) -> Doubt | None:
    """What is unknown among these orders at this market time; None when everything is proved."""
    unknown = sorted((order for order in orders if order.look == "unknown"), key=lambda order: order.doubt_since_ns)
    if not unknown:
        return None
    oldest = unknown[0]
    contract = contracts.get(oldest.contract)
    name = contract.name if contract else oldest.contract_id
    ticks = oldest.limit_ticks if oldest.limit_ticks is not None else oldest.stop_ticks
    price = f" at {formatting.price_text(ticks, contract)}" if contract is not None and ticks is not None else ""
    return Doubt(
        words=f"{oldest.side.capitalize()} {oldest.size_lots} {name}{price}",
        age_text=formatting.age_text(max(0, now_ns - oldest.doubt_since_ns) // 1_000_000),
        tag=oldest.tag or oldest.key,
        sides=frozenset(order.side for order in unknown),
        count=len(unknown),
    )
