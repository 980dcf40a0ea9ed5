"""Hypothesis trades: orders, brackets, links, exits, faults of the gateway and restarts in any order, then a healing.

Nothing is timed. A step ends with its own word, whatever that is; after healing everything has to agree (model.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from app.errors import GatewayUnavailable
from app.services.gateway import find_program
from tests.accept.control import Control
from tests.native.conftest import engine_threads
from tests.native.rig import BID, CONTRACT, QUOTE, UNLIMITED, Gateway
from tests.regression.rig import Proof, heartbeat
from tests.stateful.model import Book, Truth, as_exchange_has_it

# Doubt comes early and is settled early: no step here asserts how an answer went.
HASTY = {
    "PITDESK_ENGINE_BENCH_LIMITS_OFF": "1",
    "PITDESK_ENGINE_REQUEST_TIMEOUT_S": "0.5",
    "PITDESK_ENGINE_ABSENCE_AFTER_S": "0.3",
    "PITDESK_ENGINE_READ_GAP_S": "0.1",
}
EVENTS = ("GatewayUserOrder", "GatewayUserTrade", "GatewayUserPosition")
SEND = ("Order/place", "Order/modify", "Order/cancel", "Position/closeContract", "Position/partialCloseContract")
FAULTS: list[dict[str, Any]] = [
    *({"fault": name, "endpoint": SEND[0]} for name in ("reply_lost", "request_lost", "reply_reset", "too_many")),
    *({"fault": name, "endpoint": endpoint} for name in ("reply_lost", "cut_body") for endpoint in SEND[1:]),
    *({"fault": "error_after", "endpoint": endpoint, "status": 500} for endpoint in SEND[:3]),
    {"fault": "error", "endpoint": SEND[0], "status": 503},
    {"fault": "unauthorized", "endpoint": SEND[2]},
    *({"fault": "miss", "event": event, "count": 2} for event in EVENTS),
    {"fault": "duplicate", "count": 4},
    {"fault": "swap", "count": 4},
    {"fault": "cancel_race"},
    {"fault": "drop", "hub": "user"},
]
SAID = {"filled", "cancelled", "expired", "refused", "denied"}
SIDES = st.sampled_from(["buy", "sell"])
LOTS = st.integers(1, 2)
AWAY = st.integers(4, 60)
PICK = st.integers(0, 1_000)


class Desk:
    """One gateway, and the engine that trades on it at the moment; a restart gives the next one."""

    def __init__(self, folder: Path) -> None:
        self.base = folder / "base"
        self.gateway = Gateway(folder, heartbeat(600), [UNLIMITED, "--no-firm-hours"])
        self.control = Control(self.gateway.hello)
        self.book = Book()
        self.proof = self._start()
        self.gateway.set_account(self.proof.account, auto_oco=True)

    def _start(self) -> Proof:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in HASTY.items():
                patch.setenv(name, value)
            proof = Proof(self.base, self.gateway)
        proof.connect()
        proof.subscribe()
        return proof

    def restart(self) -> None:
        self.proof.close()
        self.proof = self._start()

    def close(self) -> None:
        self.proof.close()
        self.control.close()
        self.gateway.stop()


class Trader(RuleBasedStateMachine):
    """Rules are what a trader, the world and the operating system do; the desk outlives the examples."""

    desk: Desk

    @property
    def proof(self) -> Proof:
        return self.desk.proof

    @initialize()
    def clean(self) -> None:
        self.is_racing = False
        self.heal()
        self.proof.begin()

    # what a trader does

    @rule(side=SIDES, lots=LOTS)
    def market(self, side: str, lots: int) -> None:
        self.press(side, "market", lots, None)

    @rule(side=SIDES, lots=LOTS, away=AWAY)
    def limit(self, side: str, lots: int, away: int) -> None:
        self.press(side, "limit", lots, BID - away if side == "buy" else BID + 1 + away)

    @rule(side=SIDES, lots=LOTS, away=AWAY)
    def stop(self, side: str, lots: int, away: int) -> None:
        self.press(side, "stop", lots, BID + 1 + away if side == "buy" else BID - away)

    @rule(side=SIDES, lots=LOTS, held_by=st.sampled_from(["broker", "computer"]), has_target=st.booleans())
    def bracket(self, side: str, lots: int, held_by: str, *, has_target: bool) -> None:
        self.be_armed()
        sign = 1 if side == "buy" else -1
        targets = [(30 * sign, lots)] if has_target else None
        tag = self.proof.engine.submit_bracket(
            self.proof.account,
            CONTRACT,
            side,
            "market",
            lots,
            source="test",
            stop_leg_ticks=-20 * sign,
            target_legs=targets,
            held_by=held_by,
        )
        self.desk.book.decide(tag, side, lots)
        self.end_of(tag)

    @precondition(lambda self: self.resting())
    @rule(pick=PICK, away=AWAY, lots=st.sampled_from([None, 1, 2]))
    def modify(self, pick: int, away: int, lots: int | None) -> None:
        order = self.picked(pick)
        is_below = (order.side == "buy") == (order.kind == "limit")
        price = BID - away if is_below else BID + 1 + away
        prices = {"limit_ticks": price} if order.kind == "limit" else {"stop_ticks": price}
        request = self.proof.engine.modify(order.key, size_lots=lots, **prices, source="test")
        done = self.proof.done(request)
        self.desk.book.changed(order.key, done.outcome, lots=lots, price=price)

    @precondition(lambda self: self.resting())
    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        self.proof.done(self.proof.engine.cancel(self.picked(pick).key, source="test"))

    @precondition(lambda self: len(self.resting()) >= 2)
    @rule(first=PICK, second=PICK)
    def link(self, first: int, second: int) -> None:
        keys = [self.picked(first).key, self.picked(second).key]
        if self.proof.done(self.proof.engine.link_oco(keys, source="test")).outcome == "done":
            for key in keys:
                self.desk.book.decisions[key].is_linked = True

    @rule()
    def close_half(self) -> None:
        before = self.settled_net()
        request = self.proof.engine.close_position(self.proof.account, CONTRACT, percent=50, source="test")
        if self.proof.done(request).outcome == "done" and before is not None:
            assert abs(self.proof.true_net()) == abs(before) - abs(before) // 2

    @rule()
    def close(self) -> None:
        request = self.proof.engine.close_position(self.proof.account, CONTRACT, source="test")
        if self.proof.done(request).outcome == "done" and not self.is_racing:
            assert self.proof.true_net() == 0

    @rule(has_exits=st.booleans())
    def reverse(self, *, has_exits: bool) -> None:
        self.be_armed()
        before = self.settled_net()
        exits = {"stop_ticks": 20, "target_ticks": 40} if has_exits else {}
        request = self.proof.engine.reverse(self.proof.account, CONTRACT, **exits, source="test")
        if self.proof.done(request).outcome == "done" and before is not None:
            assert self.proof.true_net() == -before

    @rule()
    def flatten(self) -> None:
        if self.proof.done(self.proof.engine.flatten(self.proof.account, source="test")).outcome == "done":
            assert (self.proof.truth()["working"], self.proof.true_net()) == (0, 0)

    # what the world does

    @rule(ticks=st.integers(-50, 50))
    def move(self, ticks: int) -> None:
        """The market trades so far away and comes back."""
        price = (BID + ticks) / 4
        there = {"bid": price, "bid_lots": 5, "ask": price + 0.25, "ask_lots": 5}
        traded = {"price": price, "lots": 500, "side": "sell" if ticks < 0 else "buy"}
        self.desk.gateway.play([{"ms": 0, "quote": there}, {"ms": 0, "print": traded}, {"ms": 1, "quote": QUOTE}])

    @rule(plan=st.sampled_from(FAULTS))
    def fault(self, plan: dict[str, Any]) -> None:
        self.desk.gateway.fault(**plan)
        self.is_racing = self.is_racing or plan["fault"] == "cancel_race"

    @rule()
    def faults_off(self) -> None:
        self.desk.gateway.clear_faults()
        self.is_racing = False

    @rule()
    def restart(self) -> None:
        # What was only inferred (not_accepted) may be overturned by the broker's word; what the broker said stays.
        over = {o.key: o.life for o in self.proof.engine.orders() if o.life in SAID}
        self.desk.restart()
        again = {order.key: order.life for order in self.proof.engine.orders()}
        assert over.items() <= again.items()

    @rule()
    def heal(self) -> None:
        self.faults_off()
        proof = self.proof
        proof.until(lambda: {link.state for link in proof.engine.links()} == {"live"}, "all connections")
        proof.done(proof.engine.reconcile())
        proof.until(self.is_certain, "an end of all doubt")

        def agrees() -> bool:
            truth = Truth(proof, self.desk.control, self.desk.base)
            return self.is_certain() and proof.net() == truth.net and as_exchange_has_it(proof) == truth.working()

        proof.until(agrees, "the same orders and the same position here and there")
        proof.done(proof.engine.reconcile())
        proof.until(agrees, "the same after another comparison")
        truth = Truth(proof, self.desk.control, self.desk.base)
        truth.check_position(proof)
        truth.check_journal()
        self.desk.book.check_orders({order.key: order for order in proof.engine.orders()}, truth.orders)

    def teardown(self) -> None:
        self.heal()

    # how it is done

    def press(self, side: str, kind: str, lots: int, price: int | None) -> None:
        self.be_armed()
        prices = {} if price is None else {"limit_ticks" if kind == "limit" else "stop_ticks": price}
        tag = self.proof.submit(side, kind, lots, **prices)
        self.desk.book.decide(tag, side, lots, price)
        self.end_of(tag)

    def be_armed(self) -> None:
        """As a trader who sees that a reconnect disarmed him; before that the gate's no would be all there is."""
        proof = self.proof
        proof.until(lambda: proof.engine.status()["state"] == "live", "a live session")
        proof.engine.arm("test", proof.account, is_armed=True)

    def end_of(self, tag: str) -> None:
        """Wait until the order has any word: a life beyond sending, or doubt."""

        def told() -> bool:
            order = self.proof.order(tag)
            return order is not None and (order.life not in {"intent", "sent"} or order.doubt_since_ns > 0)

        self.proof.until(told, f"a word on {tag}")

    def resting(self) -> list[Any]:
        """Own entries at rest, in the order of their presses."""
        book = self.desk.book.decisions
        return [o for o in self.proof.engine.orders() if o.key in book and o.life == "working" and o.kind != "market"]

    def picked(self, number: int) -> Any:
        orders = self.resting()
        return orders[number % len(orders)]

    def settled_net(self) -> int | None:
        """The position where it is known; None while anything is under way that may change it."""
        is_still = self.is_certain() and not self.is_racing and self.proof.net() == self.proof.true_net()
        return self.proof.true_net() if is_still else None

    def is_certain(self) -> bool:
        return not any(order.doubt_since_ns or order.life in {"intent", "sent"} for order in self.proof.engine.orders())


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    try:
        find_program()
    except GatewayUnavailable as error:
        pytest.skip(str(error))
    running = Desk(tmp_path)
    yield running
    running.close()
    assert engine_threads() == []


@pytest.mark.timeout(900)
def test_whatever_a_trader_and_the_world_do_all_agree_after_healing(desk: Desk, request: pytest.FixtureRequest) -> None:
    """The same lives on every run; under --full, or with PITDESK_LIVES=N, new ones, whose failure prints its steps."""
    lives = int(os.environ.get("PITDESK_LIVES", "60" if request.config.getoption("--full") else "0"))
    chosen = settings(
        max_examples=lives or 20,
        stateful_step_count=25,
        deadline=None,
        derandomize=not lives,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )

    class OnThisDesk(Trader):
        pass

    OnThisDesk.desk = desk
    run_state_machine_as_test(OnThisDesk, settings=chosen)
