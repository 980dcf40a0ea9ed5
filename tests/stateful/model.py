"""The oracle: what a trader decided, and what the exchange, the journal and the views must agree on afterwards.

It knows nothing of how the engine works. A decision has a tag, a side, and the sizes and prices that it may have by
now; the exchange may hold it once or not at all. Positions are counted three times: by the exchange itself, from the
filled volume of every order it ever took, and from the trades.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.accept.control import Control
from tests.accept.journal import net_1e4, records
from tests.native.rig import CONTRACT
from tests.regression.rig import Proof

WORKING, FILLED, CANCELLED = 1, 2, 3
NEVER_THERE = {"denied", "not_accepted"}
STATUS = {"working": WORKING, "filled": FILLED, "cancelled": CANCELLED}


@dataclass
class Decision:
    """One press. `prices` and `sizes` are those it may have: more than one while a change has no proof."""

    side: str
    sizes: set[int]
    prices: set[int | None]
    # Linked by this computer: its size follows the other's fills.
    is_linked: bool = False


@dataclass
class Book:
    """Every decision of one gateway's life, by tag."""

    decisions: dict[str, Decision] = field(default_factory=dict)

    def decide(self, tag: str, side: str, lots: int, price: int | None = None) -> None:
        assert tag not in self.decisions, "a tag is minted once"
        self.decisions[tag] = Decision(side, {lots}, {price})

    def changed(self, tag: str, outcome: str, *, lots: int | None, price: int | None) -> None:
        """What a modification may have done: all of it, nothing, or nobody knows."""
        held = self.decisions[tag]
        is_certain = outcome == "done"
        if outcome not in {"done", "unknown"}:
            return
        if lots is not None:
            held.sizes = {lots} if is_certain else held.sizes | {lots}
        if price is not None:
            held.prices = {price} if is_certain else held.prices | {price}

    def check_orders(self, views: Mapping[str, Any], at_exchange: Mapping[str, list[dict[str, Any]]]) -> None:
        """One order for one decision, and the same word on it from both."""
        for tag, decision in self.decisions.items():
            rows = at_exchange.get(tag, [])
            assert len(rows) <= 1, f"{tag} is there {len(rows)} times"
            view = views[tag]
            said = (tag, view.life, view.size_lots, view.limit_ticks, view.stop_ticks, rows, decision)
            if view.life in NEVER_THERE:
                assert not rows, said
                continue
            if view.life == "refused":
                assert not rows or rows[0]["status"] == 5, said
                continue
            assert len(rows) == 1, said
            (row,) = rows
            assert row["status"] == STATUS[view.life], said
            assert row["side"] == (0 if decision.side == "buy" else 1), said
            assert decision.is_linked or row["size"] in decision.sizes, said
            assert view.filled_lots == row["fillVolume"], said
            if view.life == "working":
                assert (view.limit_ticks if view.kind == "limit" else view.stop_ticks) in decision.prices, said


def signed(rows: Iterable[Mapping[str, Any]], lots: str) -> int:
    return sum(int(row[lots]) * (1 if row["side"] == 0 else -1) for row in rows)


class Truth:
    """What the exchange says over its public protocol, and what stands in the journal."""

    def __init__(self, proof: Proof, control: Control, base: Path) -> None:
        self.account = proof.account
        self.row = proof.truth()
        self.orders = control.orders_by_tag(self.account)
        self.open = control.open_orders(self.account)
        self.trades = [row for row in control.trades(self.account) if not row["voided"]]
        self._base = base

    @property
    def net(self) -> int:
        return sum(int(row["lots"]) for row in self.row["positions"])

    def working(self) -> dict[int, tuple[int, int, float | None, float | None]]:
        return {row["id"]: (row["side"], row["size"], row["limitPrice"], row["stopPrice"]) for row in self.open}

    def check_position(self, proof: Proof) -> None:
        """Position, result and trades are one story, whoever tells it."""
        orders = [row for rows in self.orders.values() for row in rows]
        fills = [fill for fill in proof.engine.fills() if fill.account_id == self.account and not fill.is_voided]
        assert signed(orders, "fillVolume") == signed(self.trades, "size") == self.net
        assert sum(fill.size_lots * (1 if fill.side == "buy" else -1) for fill in fills) == self.net
        assert sorted(fill.trade_id for fill in fills) == sorted(row["id"] for row in self.trades)
        assert proof.net() == self.net
        held = [p for p in proof.engine.positions() if (p.account_id, p.contract_id) == (self.account, CONTRACT)]
        result = sum(row.realised_1e4 - row.fees_1e4 for row in held)
        assert result == self.row["net_1e4"] == net_1e4(self._base, self.account)
        assert not any(row.is_disputed for row in held)

    def check_journal(self) -> None:
        """The journal alone gives the same position."""
        written: dict[int, dict[str, Any]] = {}
        for file in sorted(self._base.rglob("*.journal")):
            for record in records(file):
                if record["t"] == "trade" and record["account"] == self.account:
                    written[int(record["trade_id"])] = record
        kept = [record for record in written.values() if not record["voided"]]
        assert signed(kept, "size") == self.net
        assert sorted(int(record["trade_id"]) for record in kept) == sorted(row["id"] for row in self.trades)


def as_exchange_has_it(proof: Proof) -> dict[int, tuple[int, int, float | None, float | None]]:
    """The living orders of the views, in the exchange's own words."""

    def price(ticks: int | None) -> float | None:
        return None if ticks is None else ticks / 4

    return {
        order.order_id: (
            0 if order.side == "buy" else 1,
            order.size_lots,
            price(order.limit_ticks),
            price(order.stop_ticks),
        )
        for order in proof.living()
        if order.account_id == proof.account
    }
