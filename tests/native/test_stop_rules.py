"""Break-even and trailing over real sockets: exact prices in, exact stops at the broker out (S10, S16)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trading_bot_core as core

from tests.native.rig import ASK, BID, CONTRACT, QUOTE, Gateway, Rig

BREAK_EVEN: dict[str, Any] = {"break_even_trigger_ticks": 8, "break_even_plus_ticks": 1}
TRAIL = [(16, 12, 4)]


def modifications(gateway: Gateway) -> int:
    requests = gateway.counters()["requests"]
    return sum(count for name, count in requests.items() if "Order/modify" in name)


def go_to(rig: Rig, sign: int, profit: int) -> None:
    """Move the market to `profit` ticks past the entry, as one quote and one print on the exit side."""
    entry = ASK if sign > 0 else BID
    price = entry + sign * profit
    bid, ask = (price, price + 1) if sign > 0 else (price - 1, price)
    quote = {**QUOTE, "bid": bid / 4, "ask": ask / 4}
    side = "sell" if sign > 0 else "buy"
    printed = {"price": price / 4, "lots": 1, "side": side}
    rig.gateway.play([{"ms": 0, "quote": quote}, {"ms": 1, "print": printed}])
    index = next(contract.index for contract in rig.engine.contracts() if contract.id == CONTRACT)
    rig.until(lambda: (f := rig.engine.frame(index, 0)) and f.last_ticks == price, f"the print at {price}")


def moves(rig: Rig) -> list[str]:
    return [event.text for event in rig.events if isinstance(event, core.Notice) and event.code == "stop_moved"]


def enter(rig: Rig, sign: int) -> str:
    """A position of two lots with an own stop 20 ticks behind its entry; returns the stop's key."""
    rig.connect()
    rig.subscribe()
    side, other = ("buy", "sell") if sign > 0 else ("sell", "buy")
    rig.life(rig.submit(side, "market", 2), "filled")
    rig.until(lambda: rig.net() == 2 * sign, "the position")
    entry = ASK if sign > 0 else BID
    stop = rig.submit(other, "stop", 2, stop_ticks=entry - 20 * sign, reduce_only=True)
    rig.life(stop, "working")
    return stop


def stop_profit(rig: Rig, key: str, sign: int) -> int:
    """Where the stop stands, in ticks of profit; never before its change is answered."""
    order = rig.order(key)
    assert order is not None
    assert order.stop_ticks is not None
    return sign * (order.stop_ticks - (ASK if sign > 0 else BID))


def wait_for_stop(rig: Rig, key: str, sign: int, profit: int) -> None:
    def is_there() -> bool:
        order = rig.order(key)
        return order is not None and order.change == "none" and stop_profit(rig, key, sign) == profit

    rig.until(is_there, f"the stop at {profit} ticks of profit")


def settled(rig: Rig, key: str) -> int:
    """Where the stop of a long stands once a change that the last print had caused would have been made and read."""
    rig.done(rig.engine.reconcile())
    rig.until(lambda: (o := rig.order(key)) is not None and o.change == "none", "no change under way")
    return stop_profit(rig, key, 1)


@pytest.mark.parametrize("sign", [1, -1], ids=["long", "short"])
def test_s10_the_stop_moves_at_the_exact_ticks_never_back_and_no_oftener(rig: Rig, sign: int) -> None:
    key = enter(rig, sign)
    assert rig.done(rig.engine.set_stop_rule(key, **BREAK_EVEN, trail_stages=TRAIL, source="test")).outcome == "done"
    # (ticks of profit, where the stop stands then)
    path = [(4, -20), (7, -20), (8, 1), (3, 1), (12, 1), (15, 1), (16, 4), (14, 4), (19, 4), (20, 8), (10, 8), (24, 12)]
    for profit, stop in path:
        go_to(rig, sign, profit)
        wait_for_stop(rig, key, sign, stop)
    assert modifications(rig.gateway) == 4
    rig.until(lambda: len(moves(rig)) >= 4, "the moves in the news")
    told = moves(rig)
    assert len(told) == 4
    assert "break-even after 8 ticks, plus 1" in told[0]
    assert "trail stage 1, 12 ticks behind in steps of 4" in told[3]
    (rule,) = rig.engine.stop_rules()
    assert (rule.key, rule.state, rule.moves, rule.contract_id) == (key, "trailing", 4, CONTRACT)
    # Back through the stop: it fills where it was put, and the rule ends with it.
    go_to(rig, sign, 11)
    rig.life(key, "filled")
    rig.until(lambda: rig.net() == 0, "flat")
    rig.until(lambda: not rig.engine.stop_rules(), "the end of the rule")


def test_a_native_leg_is_held_like_an_own_stop(rig: Rig) -> None:
    rig.gateway.set_account(rig.account, auto_oco=True)
    rig.connect()
    rig.subscribe()
    tag = rig.submit("buy", "market", 1, stop_bracket_ticks=20, target_bracket_ticks=80)
    rig.life(tag, "filled")

    def leg() -> core.Order | None:
        return next((o for o in rig.engine.orders() if o.role == "stop" and o.life == "working"), None)

    stop = rig.until(leg, "the native stop")
    assert rig.done(rig.engine.set_stop_rule(stop.key, **BREAK_EVEN, source="test")).outcome == "done"
    go_to(rig, 1, 9)
    wait_for_stop(rig, stop.key, 1, 1)


def test_a_rule_goes_on_while_a_target_takes_lots_off_its_stop(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    plan: dict[str, Any] = {"stop_leg_ticks": -20, "target_legs": [(10, 1), (60, 2)], "held_by": "computer"}
    tag = rig.engine.submit_bracket(rig.account, CONTRACT, "buy", "market", 3, source="test", **plan)

    def stop_of(lots: int) -> core.Order | None:
        legs = [o for o in rig.engine.orders() if o.parent_key == tag and o.role == "stop" and o.life == "working"]
        return next((leg for leg in legs if leg.size_lots == lots and leg.change == "none"), None)

    key = rig.until(lambda: stop_of(3), "a stop of three lots").key
    assert rig.done(rig.engine.set_stop_rule(key, trail_stages=[(8, 8, 2)], source="test")).outcome == "done"
    go_to(rig, 1, 13)
    rig.until(lambda: stop_of(2), "a stop of two lots")
    wait_for_stop(rig, key, 1, 4)
    go_to(rig, 1, 20)
    wait_for_stop(rig, key, 1, 12)
    go_to(rig, 1, 12)
    rig.until(lambda: rig.net() == 0, "flat")
    rig.until(lambda: not [o for o in rig.engine.orders() if o.life == "working"], "no order left")


def test_s16_after_a_sudden_end_the_trail_goes_on_from_the_journal(tmp_path: Path, gateway: Gateway) -> None:
    with Rig(tmp_path / "base", gateway) as first:
        key = enter(first, 1)
        first.done(first.engine.set_stop_rule(key, trail_stages=TRAIL, source="test"))
        go_to(first, 1, 19)
        wait_for_stop(first, key, 1, 4)
    # While nobody looks, the market comes back; the native stop stays where it was put.
    with Rig(tmp_path / "base", gateway) as second:
        second.connect()
        second.subscribe()
        second.until(lambda: any(rule.state == "trailing" for rule in second.engine.stop_rules()), "the rule's return")

        def told() -> bool:
            texts = [event.text for event in second.events if isinstance(event, core.Notice)]
            return any("goes on" in text and "position 2" in text for text in texts)

        second.until(told, "the return in the news")
        moved = modifications(gateway)
        go_to(second, 1, 18)
        assert settled(second, key) == 4
        assert modifications(gateway) == moved
        go_to(second, 1, 20)
        wait_for_stop(second, key, 1, 8)


def test_only_what_can_be_meant_is_held(rig: Rig) -> None:
    key = enter(rig, 1)
    entry = rig.submit("buy", "limit", limit_ticks=BID - 40)
    rig.life(entry, "working")

    def answer(key: str, **figures: Any) -> str:
        done = rig.done(rig.engine.set_stop_rule(key, **figures, source="test"))
        assert done.outcome == "denied"
        return done.text

    assert "is no stop order" in answer(entry, **BREAK_EVEN)
    assert "neither break-even nor trail" in answer(key)
    assert "stages" in answer(key, trail_stages=[(1, 1, 1), (2, 1, 1), (3, 1, 1), (4, 1, 1)])
    assert rig.engine.stop_rules() == []
    assert rig.done(rig.engine.clear_stop_rule(key, source="test")).text == "No rule holds this order."


def bracket(rig: Rig, kind: str, lots: int, held_by: str, **more: Any) -> str:
    legs: dict[str, Any] = {"stop_leg_ticks": -20, "target_legs": [(60, lots)], "held_by": held_by}
    return rig.engine.submit_bracket(rig.account, CONTRACT, "buy", kind, lots, source="test", **(legs | more))


def stop_of(rig: Rig, entry: str, lots: int) -> core.Order:
    """The bracket's stop, once it works for so many lots."""

    def found() -> core.Order | None:
        legs = [order for order in rig.engine.orders() if order.parent_key == entry and order.role == "stop"]
        fit = [leg for leg in legs if leg.life == "working" and leg.size_lots == lots and leg.change == "none"]
        return fit[0] if len(fit) == 1 else None

    return rig.until(found, f"one stop of {lots} lots")


def held(rig: Rig) -> list[str]:
    return [rule.key for rule in rig.engine.stop_rules()]


@pytest.mark.parametrize("held_by", ["broker", "computer"])
def test_the_rule_of_a_bracket_holds_its_stop_after_a_sudden_end_before_the_fill(
    tmp_path: Path, gateway: Gateway, held_by: str
) -> None:
    with Rig(tmp_path / "base", gateway) as first:
        first.connect()
        first.subscribe()
        entry = bracket(first, "limit", 2, held_by, limit_ticks=BID - 4, **BREAK_EVEN)
        first.life(entry, "working")
        assert held(first) == []
    fall = [{"ms": 0, "quote": {**QUOTE, "bid": (BID - 6) / 4, "ask": (BID - 5) / 4}}]
    gateway.play([*fall, {"ms": 1, "print": {"price": (BID - 5) / 4, "lots": 2, "side": "sell"}}])
    with Rig(tmp_path / "base", gateway) as second:
        second.connect()
        second.subscribe()
        second.life(entry, "filled")
        stop = stop_of(second, entry, 2)
        second.until(lambda: held(second) == [stop.key], "the rule on the stop")
        go_to(second, 1, 9)
        # One tick beyond the entry's fill, wherever the fall gave it.
        fill = next(fill.price_ticks for fill in second.engine.fills())
        second.until(lambda: (o := second.order(stop.key)) and o.stop_ticks == fill + 1, "the stop at break-even")


def test_the_rule_of_a_bracket_goes_over_to_the_stop_that_takes_the_place_of_its_own(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    entry = bracket(rig, "market", 2, "broker", target_legs=[(4, 1), (60, 1)], **BREAK_EVEN)
    native = stop_of(rig, entry, 2)
    rig.until(lambda: held(rig) == [native.key], "the rule on the native stop")
    refused = '{"success": false, "errorCode": 3, "errorMessage": "Not now"}'
    rig.gateway.fault(endpoint="order/modify", fault="answer", text=refused, count=0)
    go_to(rig, 1, 5)
    own = stop_of(rig, entry, 1)
    assert own.key != native.key
    rig.until(lambda: held(rig) == [own.key], "the rule on the stop that took over")
    rig.gateway.clear_faults()
    go_to(rig, 1, 9)
    wait_for_stop(rig, own.key, 1, 1)


def test_a_rule_that_a_person_takes_away_stays_away(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    entry = bracket(rig, "market", 1, "computer", **BREAK_EVEN)
    stop = stop_of(rig, entry, 1)
    rig.until(lambda: held(rig) == [stop.key], "the rule")
    assert rig.done(rig.engine.clear_stop_rule(stop.key, source="test")).outcome == "done"
    go_to(rig, 1, 9)
    assert held(rig) == []
    assert settled(rig, stop.key) == -20
    assert modifications(rig.gateway) == 0


def test_a_bracket_with_a_rule_that_cannot_be_meant_is_denied_whole(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    tag = bracket(rig, "market", 1, "broker", trail_stages=[(8, 0, 1)])
    denied = rig.until(
        lambda: next((e for e in rig.events if isinstance(e, core.Denied) and e.tag == tag), None), "the denial"
    )
    assert [code for code, _ in denied.reasons] == ["stop_rule"]
