"""Account rules against the real gateway: measured, latched, kept over a restart, and agreeing with the firm's own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import trading_bot_core as core

from app.config import RiskOptions
from app.services.control import ControlClient
from app.services.risk import rules_of
from tests.native.rig import ASK, BID, CONTRACT, Gateway, Rig

USD = 10_000
# MNQ: a point is 2 dollars and four ticks.
POINTS_DOWN = 130


def chosen(rig: Rig, account: int) -> None:
    rig.account = account
    rig.connect()
    rig.subscribe()


def state(rig: Rig, **rules: Any) -> core.Risk:
    """State rules and wait until they are measured."""
    done = rig.done(rig.engine.set_rules(rig.account, core.Rules(name="test", **rules)))
    assert done.outcome == "done", done.text
    return rig.until(lambda: ((held := risk(rig)) and held.is_measured and held) or None, "measured rules")


def risk(rig: Rig) -> core.Risk | None:
    return next((held for held in rig.engine.risks() if held.account_id == rig.account), None)


def use(rig: Rig, rule: str) -> core.RuleUse:
    held = risk(rig)
    assert held is not None
    return next(each for each in held.uses if each.rule == rule)


def price(gateway: Gateway, bid_ticks: int) -> None:
    """Move the market: the quote, and a print at the bid."""
    bid = bid_ticks / 4
    gateway.play(
        [
            {"ms": 0, "quote": {"bid": bid, "bid_lots": 50, "ask": bid + 0.25, "ask_lots": 50}},
            {"ms": 1, "print": {"price": bid, "lots": 1, "side": "sell"}},
        ]
    )


def denied(rig: Rig, side: str = "buy", kind: str = "market", lots: int = 1, **prices: int) -> list[str]:
    """Codes of the reasons against an order."""
    tag = rig.submit(side, kind, lots, **prices)
    found = rig.until(
        lambda: next((e for e in rig.events if isinstance(e, core.Denied) and e.tag == tag), None), f"denial of {tag}"
    )
    return [code for code, _ in found.reasons]


def notices(rig: Rig, code: str) -> list[str]:
    return [event.text for event in rig.events if isinstance(event, core.Notice) and event.code == code]


def test_the_days_loss_warns_flattens_and_blocks_until_the_next_session(rig: Rig) -> None:
    chosen(rig, 7001)
    state(rig, start_balance_1e4=150_000 * USD, daily_loss_1e4=500 * USD)
    rig.life(rig.submit("buy", "market", 2), "filled")
    rig.life(rig.submit("sell", "limit", limit_ticks=ASK + 300), "working")
    # 70 points of 2 lots are 280 dollars; another 60 are 520.
    price(rig.gateway, BID - 4 * 70)
    rig.until(lambda: use(rig, "daily_loss").percent >= 50, "half of the limit used")
    rig.until(lambda: len(notices(rig, "risk_warning")) == 1, "one warning")
    price(rig.gateway, BID - 4 * 130)
    rig.until(lambda: use(rig, "daily_loss").is_latched, "the latch")
    rig.until(lambda: rig.net() == 0, "flat")
    rig.until(lambda: not [o for o in rig.engine.orders() if o.life in {"working", "sent"}], "no orders")
    rig.until(lambda: notices(rig, "flat"), "flat, read back")
    latched = use(rig, "daily_loss")
    held = risk(rig)
    assert held is not None
    assert latched.until_ns == held.day_ends_ns > latched.latched_ns
    # The result recovers; the latch does not.
    price(rig.gateway, BID + 400)
    assert denied(rig) == ["daily_loss"]
    # It cannot be stated away either: looser rules wait for the next session.
    assert rig.done(rig.engine.set_rules(rig.account, core.Rules(name="looser"))).outcome == "done"
    rig.until(lambda: (r := risk(rig)) is not None and r.has_pending, "pending rules")
    assert denied(rig, lots=2) == ["daily_loss"]


def test_a_restart_keeps_the_highest_end_of_day_balance_and_the_latch(tmp_path: Path, gateway: Gateway) -> None:
    """Regressions 15 and 16 of the predecessor."""
    with Rig(tmp_path / "base", gateway) as rig:
        chosen(rig, 7001)
        state(
            rig,
            start_balance_1e4=150_000 * USD,
            stated_high_1e4=151_000 * USD,
            max_loss_1e4=4_500 * USD,
            trades_max=1,
        )
        rig.life(rig.submit("buy", "market", 1), "filled")
        rig.until(lambda: use(rig, "trades").is_latched, "the only trade of the day")
    with Rig(tmp_path / "base", gateway) as rig:
        chosen(rig, 7001)
        held = rig.until(lambda: ((r := risk(rig)) and r.is_measured and r) or None, "the rules of before")
        assert (held.rules_name, held.high_balance_1e4) == ("test", 151_000 * USD)
        assert held.floor_1e4 == 146_500 * USD
        assert held.opening_balance_1e4 == 150_000 * USD
        rig.until(lambda: use(rig, "trades").used == 1, "the trade of before counts")
        assert denied(rig) == ["trades"]
        # What makes smaller always passes.
        rig.life(rig.submit("sell", "market", 1), "filled")


def test_a_high_that_nobody_saw_is_said_until_the_trader_states_it(rig: Rig) -> None:
    rig.gateway.set_account(7001, balance=151_234)
    chosen(rig, 7001)
    rules = {"start_balance_1e4": 150_000 * USD, "max_loss_1e4": 4_500 * USD}
    state(rig, **rules)
    held = rig.until(lambda: ((r := risk(rig)) and r.is_measured and r) or None, "the first day")
    assert (held.is_floor_uncertain, held.floor_1e4) == (True, 146_734 * USD)
    notices = [event for event in rig.events if isinstance(event, core.Notice) and event.code == "high_unknown"]
    assert ["risk.stated_high" in notice.text for notice in notices] == [True]
    state(rig, stated_high_1e4=152_000 * USD, **rules)
    rig.until(lambda: (r := risk(rig)) is not None and not r.is_floor_uncertain, "a floor that is known")
    assert risk(rig).floor_1e4 == 147_500 * USD  # type: ignore[union-attr]


@pytest.mark.parametrize("points", [POINTS_DOWN])
def test_floor_result_and_size_agree_with_the_firms_own_figures(rig: Rig, points: int) -> None:
    """The gateway keeps the firm's rules by itself; both sides come to the same floor, equity and largest size."""
    chosen(rig, 7002)
    account = next(a for a in rig.engine.accounts() if a.id == rig.account)
    rules = rules_of(account, RiskOptions())
    assert rules.name == "Topstep 50K Combine"
    assert rig.done(rig.engine.set_rules(rig.account, rules)).outcome == "done"
    limits = core.Limits(max_order_lots=100, max_position_lots=100)
    rig.engine.set_limits(rig.account, limits)
    rig.until(lambda: rig.engine.limits(rig.account) == limits, "wide limits")
    assert denied(rig, lots=51) == ["max_contracts"]
    rig.life(rig.submit("buy", "market", 3), "filled")
    price(rig.gateway, BID - 4 * points)

    def theirs() -> Any:
        return next(a for a in rig.gateway.state()["accounts"] if a["id"] == rig.account)

    rig.until(lambda: use(rig, "max_loss").used > 0, "an open loss")
    held = rig.until(
        lambda: ((r := risk(rig)) and r.open_1e4 == -(points * 4 + 1) * 5_000 * 3 and r) or None, "the open loss"
    )
    # The firm's side marks at its own next look at the book.
    rig.until(lambda: theirs()["equity_1e4"] == held.equity_1e4, "the same equity at the firm")
    assert held.floor_1e4 == theirs()["loss_floor_1e4"]


def test_the_firms_floor_trips_here_and_there_at_the_same_price(rig: Rig) -> None:
    chosen(rig, 7002)
    account = next(a for a in rig.engine.accounts() if a.id == rig.account)
    assert rig.done(rig.engine.set_rules(rig.account, rules_of(account, RiskOptions()))).outcome == "done"
    rig.life(rig.submit("buy", "market", 5), "filled")
    # 5 lots at 10 dollars a point: 2,000 dollars are 200 points, less the fees.
    price(rig.gateway, BID - 4 * 201)
    rig.until(lambda: use(rig, "max_loss").is_latched, "our latch")
    rig.until(lambda: rig.net() == 0, "flat")
    rig.until(lambda: not next(a for a in rig.engine.accounts() if a.id == rig.account).can_trade, "the firm's lock")
    assert "max_loss" in denied(rig)


def test_what_is_not_permitted_and_a_mode_are_told_with_every_reason(rig: Rig) -> None:
    chosen(rig, 7001)
    state(rig, permitted=["ES"], start_balance_1e4=150_000 * USD)
    assert denied(rig) == ["product"]
    assert rig.done(rig.engine.set_mode(rig.account, "reducing", source="test")).outcome == "done"
    assert denied(rig, lots=2) == ["reducing", "product"]
    assert rig.done(rig.engine.set_mode(rig.account, "locked", source="test")).outcome == "done"
    refused = rig.done(rig.engine.set_mode(rig.account, "normal", source="test"))
    assert (refused.outcome, "next session" in refused.text) == ("denied", True)


def test_sizes_are_lowered_at_once_and_raised_for_the_next_session_also_over_a_restart(
    tmp_path: Path, gateway: Gateway
) -> None:
    def states(rig: Rig, order_lots: int, position_lots: int) -> core.Limits:
        wanted = core.Limits(max_order_lots=order_lots, max_position_lots=position_lots)
        rig.engine.set_limits(rig.account, wanted)
        rig.done(rig.engine.reconcile())
        return rig.engine.limits(rig.account)

    with Rig(tmp_path / "base", gateway) as rig:
        chosen(rig, 7001)
        states(rig, 5, 10)
        state(rig, start_balance_1e4=150_000 * USD)
        held = states(rig, 2, 20)
        assert (held.max_order_lots, held.max_position_lots) == (2, 10)
        assert denied(rig, lots=3) == ["max_order"]
        rig.until(lambda: (r := risk(rig)) is not None and r.has_pending, "a raise that waits")
    with Rig(tmp_path / "base", gateway) as rig:
        chosen(rig, 7001)
        held = states(rig, 5, 20)
        assert (held.max_order_lots, held.max_position_lots) == (2, 10)


def test_opposite_positions_of_two_accounts_are_refused(rig: Rig) -> None:
    chosen(rig, 7001)
    assert rig.done(rig.engine.choose_accounts([7001, 7003])).outcome == "done"
    for account in (7001, 7003):
        rules = core.Rules(name="pair", forbids_opposite=True, families=[["MNQ", "NQ"]])
        assert rig.done(rig.engine.set_rules(account, rules)).outcome == "done"
        rig.engine.arm("test", account, is_armed=True)
        rig.until(lambda account=account: rig.engine.is_armed("test", account), "armed")  # type: ignore[misc]
    rig.until(lambda: all(held.is_measured for held in rig.engine.risks()), "measured")
    rig.life(rig.submit("buy", "market", 1), "filled")
    rig.until(lambda: rig.net() == 1, "a long position")
    rig.account = 7003
    assert denied(rig, "sell") == ["opposite"]
    rig.life(rig.submit("buy", "market", 1), "filled")


def test_rules_that_cannot_be_meant_are_refused(rig: Rig) -> None:
    chosen(rig, 7001)
    done = rig.done(rig.engine.set_rules(rig.account, core.Rules(name="bad", daily_loss_1e4=-1)))
    assert done.outcome == "failed"
    with pytest.raises(core.EngineError, match="explode"):
        rig.engine.set_rules(rig.account, core.Rules(name="bad", daily_loss_action="explode"))


def test_only_the_contract_that_is_traded_moves_the_result(rig: Rig) -> None:
    chosen(rig, 7001)
    state(rig, start_balance_1e4=150_000 * USD, daily_loss_1e4=500 * USD)
    price(rig.gateway, BID - 4 * 300)
    index = next(contract.index for contract in rig.engine.contracts() if contract.id == CONTRACT)
    rig.until(lambda: (f := rig.engine.frame(index, 0)) and f.last_ticks == BID - 4 * 300, "the print")
    rig.done(rig.engine.reconcile())
    assert use(rig, "daily_loss").used == 0


def test_a_source_that_repeats_itself_is_stopped_until_a_person_releases_it(tmp_path: Path, gateway: Gateway) -> None:
    with Rig(tmp_path / "base", gateway) as rig:
        chosen(rig, 7001)
        limits = core.Limits(duplicate_window_ms=0, max_repeats=3)
        rig.engine.set_limits(rig.account, limits)
        rig.until(lambda: rig.engine.limits(rig.account) == limits, "the limits")
        for _ in range(3):
            rig.life(rig.submit("buy", "limit", limit_ticks=BID - 200), "working")
        assert denied(rig, "buy", "limit", limit_ticks=BID - 200) == ["repeats"]
        assert denied(rig, "sell", "limit", limit_ticks=ASK + 200) == ["throttled"], "whatever it is from now on"
    with Rig(tmp_path / "base", gateway) as rig:
        chosen(rig, 7001)
        assert denied(rig, "sell", "limit", limit_ticks=ASK + 200) == ["throttled"], "after a restart as well"
        assert [held.throttled for held in rig.engine.risks()] == [["test"]]
        assert rig.done(rig.engine.release_throttle(rig.account, "test", source="window")).outcome == "done"
        rig.life(rig.submit("sell", "limit", limit_ticks=ASK + 200), "working")


def test_a_held_contract_stays_watched_when_the_window_looks_away(rig: Rig) -> None:
    chosen(rig, 7001)
    state(rig, start_balance_1e4=150_000 * USD, daily_loss_1e4=500 * USD)
    rig.life(rig.submit("buy", "market", 2), "filled")
    assert rig.done(rig.engine.unsubscribe(CONTRACT)).outcome == "done"
    price(rig.gateway, BID - 4 * POINTS_DOWN)
    rig.until(lambda: use(rig, "daily_loss").is_latched, "the latch")
    rig.until(lambda: rig.net() == 0, "flat")


def test_treasury_prices_may_be_typed_in_32nds(rig: Rig) -> None:
    chosen(rig, 7001)
    note = next(c for c in rig.engine.contracts() if c.root == "ZN")
    assert note.price_text(note.ticks_from_text("110'165")) == "110.515625"
    with pytest.raises(ValueError, match=r"nearest are 110\.500000 and 110\.515625"):
        note.ticks_from_text("110'162")
    with pytest.raises(ValueError, match="32nds"):
        note.ticks_from_text("110'4")
    index = next(c for c in rig.engine.contracts() if c.root == "MNQ")
    with pytest.raises(ValueError, match="decimal"):
        index.ticks_from_text("110'16")


def test_another_program_reads_the_rules_and_states_the_mode(tmp_path: Path, rig: Rig) -> None:
    chosen(rig, 7001)
    state(rig, start_balance_1e4=150_000 * USD, daily_loss_1e4=500 * USD)

    async def talk() -> Any:
        client = await ControlClient.connect(tmp_path / "base")
        assert client is not None
        done = await client.request("set_mode", account_id=rig.account, mode="reducing", source="test")
        assert done.outcome == "done"
        told = await client.call("risks")
        await client.close()
        return told

    (row,) = asyncio.run(talk())
    uses = [core.RuleUse(**each) for each in row["uses"]]
    assert core.Risk(**row | {"uses": uses}) == risk(rig)
    assert row["mode"] == "reducing"
