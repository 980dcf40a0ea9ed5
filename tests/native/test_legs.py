"""Brackets, linked legs and one-cancels-other over real sockets, judged by the gateway's own book."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trading_bot_core as core

from tests.native.rig import ASK, BID, CONTRACT, Gateway, Rig

REFUSED = '{"orderId":null,"success":false,"errorCode":2,"errorMessage":"Not now."}'
_LIVE = {"working", "suspended", "sent"}


def bracket(rig: Rig, side: str, kind: str, lots: int, stop: int, targets: list[tuple[int, int]], **more: Any) -> str:
    return rig.engine.submit_bracket(
        rig.account, CONTRACT, side, kind, lots, source="test", stop_leg_ticks=stop, target_legs=targets, **more
    )


def legs(rig: Rig, entry: str, role: str) -> list[core.Order]:
    return [
        order
        for order in rig.engine.orders()
        if order.parent_key == entry and order.role == role and order.life in _LIVE and not order.doubt_since_ns
    ]


def sizes(rig: Rig, entry: str, role: str) -> list[int]:
    """Open lots of the working legs of one role, as the trader sees them."""
    return [
        order.size_lots - order.filled_lots
        for order in legs(rig, entry, role)
        if order.life == "working" and order.change == "none"
    ]


def wait_for(rig: Rig, entry: str, *, stops: list[int], targets: list[int]) -> None:
    rig.until(
        lambda: sizes(rig, entry, "stop") == stops and sizes(rig, entry, "target") == targets,
        f"{stops=} {targets=}",
    )


def alarms(rig: Rig) -> list[str]:
    return [e.code for e in rig.events if isinstance(e, core.Notice) and e.level == "alarm"]


def at_broker(rig: Rig) -> Any:
    return next(row for row in rig.gateway.state()["accounts"] if row["id"] == rig.account)


def denied(rig: Rig, tag: str) -> core.Denied:
    return rig.until(
        lambda: next((e for e in rig.events if isinstance(e, core.Denied) and e.tag == tag), None), f"{tag} denied"
    )


def quote(bid: int, ask: int, bid_lots: int = 50, ask_lots: int = 50) -> dict[str, Any]:
    return {"ms": 0, "quote": {"bid": bid / 4, "bid_lots": bid_lots, "ask": ask / 4, "ask_lots": ask_lots}}


def trade(bid: int, lots: int = 1) -> list[dict[str, Any]]:
    """The market moves to `bid` and trades there, which is what triggers stops."""
    return [quote(bid, bid + 1), {"ms": 1, "print": {"price": bid / 4, "lots": lots, "side": "sell"}}]


def sold_at(ticks: int, lots: int) -> list[dict[str, Any]]:
    """Lots traded at a price where only our own order rests."""
    return [{"ms": 0, "print": {"price": ticks / 4, "lots": lots, "side": "sell"}}]


@pytest.fixture
def armed(rig: Rig) -> Rig:
    rig.connect()
    rig.subscribe()
    return rig


def test_a_native_bracket_works_at_the_broker_and_proves_the_mode(armed: Rig) -> None:
    armed.gateway.set_account(armed.account, auto_oco=True)
    entry = bracket(armed, "buy", "market", 2, -20, [(40, 2)])
    wait_for(armed, entry, stops=[2], targets=[2])
    (stop,), (target,) = legs(armed, entry, "stop"), legs(armed, entry, "target")
    assert (stop.stop_ticks, target.limit_ticks) == (ASK - 20, ASK + 40)
    assert {stop.holder, target.holder} == {"broker"}
    armed.until(lambda: armed.engine.accounts()[0].bracket_mode == "auto_oco", "the mode is proven")
    assert alarms(armed) == []


def test_a_refused_native_bracket_sets_the_mode_and_stops_there(armed: Rig) -> None:
    armed.gateway.set_account(armed.account, auto_oco=False)
    entry = bracket(armed, "buy", "market", 1, -20, [(40, 1)])
    armed.life(entry, "refused")
    armed.until(lambda: armed.engine.accounts()[0].bracket_mode == "position_brackets", "the mode is known")
    armed.until(lambda: alarms(armed) == ["bracket_mode"], "the alarm")
    again = bracket(armed, "buy", "market", 2, -20, [(40, 2)])
    assert [code for code, _ in denied(armed, again).reasons] == ["bracket_mode"]
    assert armed.net() == 0
    assert at_broker(armed)["positions"] == []


@pytest.mark.parametrize(
    ("side", "stop", "target"), [("buy", 20, 40), ("sell", -20, -40), ("buy", -20, -40), ("sell", 20, 40)]
)
def test_a_leg_on_the_wrong_side_is_denied_and_its_sign_never_corrected(
    armed: Rig, side: str, stop: int, target: int
) -> None:
    tag = bracket(armed, side, "market", 1, stop, [(target, 1)])
    (code, text), *_ = denied(armed, tag).reasons
    assert code == "bracket_side"
    assert f"{stop:+}" in text or f"{target:+}" in text
    assert "are allowed" in text


def test_own_legs_follow_the_fill_and_the_target_takes_the_stop_away(armed: Rig) -> None:
    armed.gateway.set_account(armed.account, auto_oco=False)
    entry = bracket(armed, "buy", "market", 3, -20, [(10, 1), (30, 2)], held_by="computer")
    wait_for(armed, entry, stops=[3], targets=[1, 2])
    assert {order.holder for order in legs(armed, entry, "stop")} == {"computer"}
    armed.gateway.play([quote(ASK + 12, ASK + 13)])
    wait_for(armed, entry, stops=[2], targets=[2])
    armed.gateway.play([quote(ASK + 32, ASK + 33)])
    wait_for(armed, entry, stops=[], targets=[])
    armed.until(lambda: armed.net() == 0, "flat")
    assert alarms(armed) == []


def test_own_legs_of_a_short_are_mirrored_and_the_stop_takes_the_targets_away(armed: Rig) -> None:
    entry = bracket(armed, "sell", "market", 2, 20, [(-10, 1), (-30, 1)], held_by="computer")
    wait_for(armed, entry, stops=[2], targets=[1, 1])
    armed.gateway.play(trade(BID + 25))
    wait_for(armed, entry, stops=[], targets=[])
    armed.until(lambda: armed.net() == 0, "flat")
    assert alarms(armed) == []


def test_partial_fills_grow_the_legs_step_by_step(armed: Rig) -> None:
    entry = bracket(armed, "buy", "limit", 3, -20, [(20, 1), (40, 2)], held_by="computer", limit_ticks=BID - 4)
    armed.life(entry, "working")
    for filled, targets in ((1, [1]), (2, [1, 1]), (3, [1, 2])):
        armed.gateway.play(sold_at(BID - 4, 1))
        wait_for(armed, entry, stops=[filled], targets=targets)
    assert alarms(armed) == []


def test_a_cancelled_entry_keeps_the_legs_of_what_it_filled(armed: Rig) -> None:
    entry = bracket(armed, "buy", "limit", 3, -20, [(20, 3)], held_by="computer", limit_ticks=BID - 4)
    armed.life(entry, "working")
    armed.gateway.play(sold_at(BID - 4, 2))
    armed.until(lambda: (o := armed.order(entry)) and o.filled_lots == 2, "two filled")
    armed.engine.cancel(entry, source="test")
    armed.life(entry, "cancelled")
    wait_for(armed, entry, stops=[2], targets=[2])


def test_native_stop_with_several_targets_shrinks_as_they_fill(armed: Rig) -> None:
    armed.gateway.set_account(armed.account, auto_oco=True)
    entry = bracket(armed, "buy", "market", 3, -20, [(10, 1), (30, 2)])
    wait_for(armed, entry, stops=[3], targets=[1, 2])
    (stop,) = legs(armed, entry, "stop")
    assert stop.holder == "broker"
    armed.gateway.play([quote(ASK + 12, ASK + 13)])
    wait_for(armed, entry, stops=[2], targets=[2])
    assert legs(armed, entry, "stop")[0].key == stop.key
    armed.gateway.play(trade(ASK - 25))
    wait_for(armed, entry, stops=[], targets=[])
    armed.until(lambda: armed.net() == 0, "flat")
    assert alarms(armed) == []


def test_when_the_native_stop_cannot_shrink_an_own_one_takes_over(armed: Rig) -> None:
    armed.gateway.set_account(armed.account, auto_oco=True)
    entry = bracket(armed, "buy", "market", 2, -20, [(10, 1), (30, 1)])
    wait_for(armed, entry, stops=[2], targets=[1, 1])
    (native,) = legs(armed, entry, "stop")
    armed.gateway.fault(endpoint="order/modify", fault="answer", text=REFUSED, count=50)
    armed.gateway.play([quote(ASK + 12, ASK + 13)])
    wait_for(armed, entry, stops=[1], targets=[1])
    armed.life(native.key, "cancelled")
    (own,) = legs(armed, entry, "stop")
    assert own.holder == "computer"
    assert "unprotected" not in alarms(armed)


def test_closing_by_hand_leaves_no_orphan_leg(armed: Rig) -> None:
    entry = bracket(armed, "buy", "market", 2, -20, [(20, 2)], held_by="computer")
    wait_for(armed, entry, stops=[2], targets=[2])
    armed.gateway.set_account(armed.account, flatten=True)
    armed.until(lambda: armed.net() == 0, "closed elsewhere")
    wait_for(armed, entry, stops=[], targets=[])
    armed.until(lambda: at_broker(armed)["working"] == 0, "no order works")


def test_a_refused_own_stop_is_told_as_unprotected_and_no_order_replaces_it(armed: Rig) -> None:
    armed.gateway.fault(endpoint="order/place", fault="answer", text=REFUSED, after=1, count=50)
    entry = bracket(armed, "buy", "market", 1, -20, [(20, 1)], held_by="computer")
    armed.life(entry, "filled")
    armed.until(lambda: "unprotected" in alarms(armed), "the alarm")
    armed.until(
        lambda: [(p.net_lots, p.unprotected_lots, p.stop_lots) for p in armed.engine.positions()] == [(1, 1, 0)],
        "a bare position",
    )
    armed.done(armed.engine.reconcile())
    assert {order.role for order in armed.engine.orders()} <= {"entry", "stop", "target"}, "nothing closes it unasked"
    assert (at_broker(armed)["working"], [p["lots"] for p in at_broker(armed)["positions"]]) == (0, [1])


def test_with_the_setting_flatten_an_unprotected_position_is_closed(armed: Rig) -> None:
    armed.gateway.fault(endpoint="order/place", fault="answer", text=REFUSED, after=1, count=50)
    entry = bracket(armed, "buy", "market", 1, -20, [(20, 1)], held_by="computer", when_bare="flatten")
    armed.life(entry, "filled")
    armed.until(lambda: "unprotected" in alarms(armed) and armed.net() == 0, "flat after the alarm")


def test_a_breakout_from_both_sides_fills_once(armed: Rig) -> None:
    up = armed.submit("buy", "stop", 1, stop_ticks=ASK + 10)
    down = armed.submit("sell", "stop", 1, stop_ticks=BID - 10)
    done = armed.done(armed.engine.link_oco([up, down], source="test"))
    assert done.outcome == "done", (done.text, [(order.life, order.reason) for order in armed.engine.orders()])
    armed.life(up, "working")
    armed.life(down, "working")
    assert {armed.order(key).oco_group for key in (up, down)} == {up}  # type: ignore[union-attr]
    armed.gateway.play(trade(ASK + 12))
    armed.life(up, "filled")
    armed.life(down, "cancelled")
    armed.until(lambda: armed.net() == 1, "one fill")
    assert alarms(armed) == []


def test_linked_orders_shrink_by_what_the_other_filled(armed: Rig) -> None:
    low = armed.submit("buy", "limit", 3, limit_ticks=BID - 4)
    high = armed.submit("sell", "limit", 3, limit_ticks=ASK + 40)
    assert armed.done(armed.engine.link_oco([low, high], source="test")).outcome == "done"
    armed.life(low, "working")
    armed.life(high, "working")
    armed.gateway.play(sold_at(BID - 4, 1))
    armed.until(lambda: (o := armed.order(high)) and (o.size_lots, o.change) == (2, "none"), "the other shrinks")


def test_what_cannot_be_linked_is_said(armed: Rig) -> None:
    only = armed.submit("buy", "limit", 1, limit_ticks=BID - 4)
    armed.life(only, "working")
    for keys, word in (([only], "at least 2"), ([only, only], "twice"), ([only, "p0-nothing"], "not known")):
        done = armed.done(armed.engine.link_oco(keys, source="test"))
        assert done.outcome == "denied"
        assert word in done.text


def test_own_legs_are_looked_after_again_after_a_restart(tmp_path: Path, gateway: Gateway) -> None:
    folder = tmp_path / "base"
    with Rig(folder, gateway) as first:
        first.connect()
        first.subscribe()
        entry = bracket(first, "buy", "market", 2, -20, [(10, 1), (30, 1)], held_by="computer")
        wait_for(first, entry, stops=[2], targets=[1, 1])
    gateway.play([quote(ASK + 12, ASK + 13)])
    with Rig(folder, gateway) as second:
        second.connect()
        second.subscribe()
        wait_for(second, entry, stops=[1], targets=[1])
        second.until(lambda: second.net() == 1, "the rest")


def test_the_bracket_mode_is_what_the_trader_states_and_survives(tmp_path: Path, gateway: Gateway) -> None:
    folder = tmp_path / "base"
    with Rig(folder, gateway) as first:
        first.connect()
        assert first.engine.accounts()[0].bracket_mode == "unknown"
        assert first.done(first.engine.set_bracket_mode(first.account, "position_brackets")).outcome == "done"
        first.until(lambda: first.engine.accounts()[0].bracket_mode == "position_brackets", "the stated mode")
        with pytest.raises(core.InvalidCommand):
            first.engine.set_bracket_mode(first.account, "maybe")
    with Rig(folder, gateway) as second:
        second.connect()
        assert second.engine.accounts()[0].bracket_mode == "position_brackets"
