"""What the scenarios about time share: a market that a test moves, at the times of the gateway's own clock."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trading_bot_core as core

from tests.native.rig import BID, UNLIMITED, Gateway, Rig
from tests.quiet_market import pulse

USD = 10_000
SOYBEANS_BID = 1_050.25
NASDAQ = ("MNQ", BID / 4, 0.25)
SOYBEANS = ("ZS", SOYBEANS_BID, 0.25)


# A quote that says nothing new is not sent, and carries no time: each differs in its size.
_lots = itertools.cycle([50, 51, 52])


def quote(root: str, bid: float, tick: float) -> dict[str, Any]:
    lots = next(_lots)
    return {"ms": 0, "contract": root, "quote": {"bid": bid, "bid_lots": lots, "ask": bid + tick, "ask_lots": 50}}


def sale(root: str, bid: float) -> dict[str, Any]:
    return {"ms": 1, "contract": root, "print": {"price": bid, "lots": 1, "side": "sell"}}


def both_markets() -> list[dict[str, Any]]:
    """Quotes of both, and the pulse that keeps them fresh while the test goes on."""
    return [quote(*NASDAQ), quote(*SOYBEANS), *pulse(240, "MNQ"), *pulse(240, "ZS")]


def ns_of(iso: str) -> int:
    """UTC nanoseconds of a time such as `2026-11-24T21:07:00Z`."""
    return int(dt.datetime.fromisoformat(iso).timestamp()) * 1_000_000_000


@contextmanager
def day(folder: Path, clock: str, *, rate: float = 1.0) -> Iterator[Scene]:
    """A gateway whose clock starts at `clock` and a connected engine; both markets are quoted."""
    gateway = Gateway(folder, both_markets(), options=(UNLIMITED, "--clock", clock, "--rate", str(rate)))
    try:
        with Scene(folder / "base", gateway) as scene:
            yield scene
    finally:
        gateway.stop()


class Scene(Rig):
    """A rig that knows the time, the rules and the reasons of what was denied."""

    contract_id = ""

    def begin(self, *roots: str) -> None:
        """Connect, and watch the front contract of each root; orders go to the first."""
        self.connect()
        for root in roots:
            listed = next(c for c in self.engine.contracts() if c.root == root and c.is_active)
            assert self.done(self.engine.subscribe(listed.id)).outcome == "done"
            self.until(lambda index=listed.index: self._has_bid(index), f"a bid of {root}")  # type: ignore[misc]
            self.contract_id = self.contract_id or listed.id

    def _has_bid(self, index: int) -> bool:
        frame = self.engine.frame(index, 0)
        return frame is not None and frame.best_bid_ticks is not None

    def follow(self, rules: core.Rules) -> None:
        done = self.done(self.engine.set_rules(self.account, rules))
        assert done.outcome == "done", done.text
        self.until(lambda: self.risk().is_measured, "measured rules")

    def risk(self) -> core.Risk:
        return next(held for held in self.engine.risks() if held.account_id == self.account)

    def use(self, rule: str) -> core.RuleUse:
        return next(each for each in self.risk().uses if each.rule == rule)

    def at(self, iso: str) -> None:
        """Set the gateway's clock; a quote of each market carries the new time to the engine."""
        self.gateway.set_clock(to=iso)
        self.gateway.play(both_markets())
        self.until(lambda: int(self.engine.status()["market_now_ns"]) >= ns_of(iso), f"the time {iso}")

    def move(self, points: float) -> None:
        """Print MNQ so many points from where the day began."""
        bid = BID / 4 + points
        self.gateway.play([quote("MNQ", bid, 0.25), sale("MNQ", bid)])

    def order(self, side: str, lots: int = 1, *, root: str = "", source: str = "test") -> str:  # type: ignore[override]
        """Send a market order; its tag."""
        contract = self.contract_id
        if root:
            contract = next(c.id for c in self.engine.contracts() if c.root == root and c.is_active)
        return self.engine.submit(self.account, contract, side, "market", lots, source=source)

    def denial(self, tag: str) -> list[tuple[str, str]]:
        found = self.until(
            lambda: next((e for e in self.events if isinstance(e, core.Denied) and e.tag == tag), None), "a denial"
        )
        return list(found.reasons)

    def filled(self, tag: str) -> None:
        self.until(lambda: any(o.key == tag and o.life == "filled" for o in self.engine.orders()), f"{tag} filled")

    def notices(self, code: str) -> list[str]:
        return [event.text for event in self.events if isinstance(event, core.Notice) and event.code == code]

    def lots(self, root: str) -> int:
        ids = {c.id for c in self.engine.contracts() if c.root == root}
        return sum(p.net_lots for p in self.engine.positions() if p.contract_id in ids)
