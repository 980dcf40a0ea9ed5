"""Closing, reversing, flattening and group cancels over real sockets: the last word is what the broker has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trading_bot_core as core

from tests.native.rig import ASK, BID, CONTRACT, Gateway, Rig


@pytest.fixture
def desk(rig: Rig) -> Rig:
    rig.connect()
    rig.subscribe()
    return rig


@pytest.fixture
def sweeping_desk(tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    """A connected rig whose orphans are swept after half a second: too soon for a busy machine's other tests."""
    monkeypatch.setenv("PITDESK_ENGINE_ORPHAN_AFTER_S", "0.5")
    with Rig(tmp_path / "base", gateway) as running:
        running.connect()
        running.subscribe()
        yield running


def enter(rig: Rig, net: int) -> None:
    rig.life(rig.submit("buy" if net > 0 else "sell", "market", abs(net)), "filled")
    rig.until(lambda: rig.net() == net, f"a position of {net}")


def exits(rig: Rig, net: int, *, stops: int = 1, targets: int = 1) -> tuple[list[str], list[str]]:
    """Plain stops and targets around the market, each over the whole position or its share."""
    side, sign = ("sell", 1) if net > 0 else ("buy", -1)
    lots = abs(net) // max(stops, targets)
    below = [rig.submit(side, "stop", lots, stop_ticks=BID - sign * (20 + n)) for n in range(stops)]
    above = [rig.submit(side, "limit", lots, limit_ticks=ASK + sign * (10 + n)) for n in range(targets)]
    for key in [*below, *above]:
        rig.life(key, "working")
    return below, above


def truth(rig: Rig) -> tuple[int, int]:
    """The gateway's own book: net lots and working orders of the account."""
    row = next(row for row in rig.gateway.state()["accounts"] if row["id"] == rig.account)
    working = row["working"]
    return sum(p["lots"] for p in row["positions"]), working if isinstance(working, int) else len(working)


def sized(rig: Rig, key: str) -> tuple[int, str, str]:
    order = rig.order(key)
    assert order is not None
    return order.size_lots, order.life, order.change


def wait_sold(rig: Rig, lots: int) -> None:
    """The sales, and no more of them than told."""
    rig.until(lambda: sum(fill.size_lots for fill in rig.engine.fills() if fill.side == "sell") >= lots, f"{lots} sold")
    assert rig.done(rig.engine.reconcile()).outcome == "done"
    assert sum(fill.size_lots for fill in rig.engine.fills() if fill.side == "sell") == lots


def progress(rig: Rig) -> list[core.ExitProgress]:
    return [event for event in rig.events if isinstance(event, core.ExitProgress)]


def steps(done: core.RequestDone) -> list[str]:
    return [line["step"] for line in json.loads(done.payload_json)["steps"]]


def test_a_part_keeps_the_rest_and_its_exit_is_made_to_fit(desk: Rig) -> None:
    enter(desk, 3)
    stop = desk.submit("sell", "stop", 3, stop_ticks=BID - 20, reduce_only=True)
    desk.life(stop, "working")
    done = desk.done(desk.engine.close_position(desk.account, CONTRACT, percent=50, source="test"))
    assert (done.outcome, done.text) == ("done", "Closed 1, 2 left, read back.")
    desk.until(lambda: desk.net() == 2, "the rest")
    desk.until(lambda: sized(desk, stop) == (2, "working", "none"), "a fitting exit")
    assert steps(done) == ["closing", "fitting", "verified", "done"]
    assert desk.gateway.counters()["requests"]["Position/partialCloseContract"] == 1
    assert "Position/closeContract" not in desk.gateway.counters()["requests"]


def test_a_part_leaves_an_order_that_the_trader_rests_as_an_entry_alone(desk: Rig) -> None:
    enter(desk, 2)
    entry = desk.submit("sell", "limit", 2, limit_ticks=ASK + 10)
    desk.life(entry, "working")
    done = desk.done(desk.engine.close_position(desk.account, CONTRACT, size_lots=1, source="test"))
    assert done.outcome == "done"
    assert "fitting" not in steps(done)
    assert sized(desk, entry) == (2, "working", "none")


def test_half_of_one_lot_closes_nothing_and_says_so(desk: Rig) -> None:
    enter(desk, 1)
    done = desk.done(desk.engine.close_position(desk.account, CONTRACT, percent=50, source="test"))
    assert done.outcome == "denied"
    assert "less than one lot" in done.text
    assert truth(desk)[0] == 1


def test_closing_takes_the_exits_away_first(desk: Rig) -> None:
    enter(desk, 2)
    exits(desk, 2)
    done = desk.done(desk.engine.close_position(desk.account, CONTRACT, source="test"))
    assert done.outcome == "done"
    assert truth(desk) == (0, 0)
    assert steps(done)[0] == "cancelling"


def test_reverse_ends_on_the_other_side_with_one_order(desk: Rig) -> None:
    enter(desk, 2)
    exits(desk, 2)
    before = len(desk.gateway.counters()["posts_by_tag"])
    done = desk.done(desk.engine.reverse(desk.account, CONTRACT, source="test"))
    assert (done.outcome, done.text) == ("done", "Reversed to short 2, without exits, read back from the broker.")
    assert truth(desk) == (-2, 0)
    assert len(desk.gateway.counters()["posts_by_tag"]) == before + 1
    assert steps(done)[-3:] == ["turning", "verified", "done"]
    desk.until(lambda: len(progress(desk)) >= len(steps(done)), "every step in the news")
    told = progress(desk)
    assert [event.step for event in told] == steps(done)
    assert {event.goal for event in told} == {"reverse"}


@pytest.mark.parametrize("net", [2, -2], ids=["long", "short"])
def test_a_reverse_ends_with_new_exits_of_the_new_size(desk: Rig, net: int) -> None:
    enter(desk, net)
    exits(desk, net)
    request = desk.engine.reverse(desk.account, CONTRACT, stop_ticks=20, target_ticks=40, source="test")
    done = desk.done(request)
    turned = "short 2" if net > 0 else "long 2"
    assert (done.outcome, done.text) == ("done", f"Reversed to {turned}, its stop works, read back from the broker.")

    def legs() -> list[core.Order]:
        return [order for order in desk.engine.orders() if order.life == "working"]

    # The double order filled at the touch; a long's exits sell, a short's buy.
    fill, side = (BID, "buy") if net > 0 else (ASK, "sell")
    sign = 1 if net > 0 else -1
    wanted = {"stop": (side, 2, fill + 20 * sign), "target": (side, 2, fill - 40 * sign)}

    def found() -> dict[str, tuple[str, int, int | None]]:
        return {order.role: (order.side, order.size_lots, order.stop_ticks or order.limit_ticks) for order in legs()}

    desk.until(lambda: len(legs()) == 2 and found() == wanted, "two new exits")
    assert truth(desk) == (-net, 2)


def test_s11_an_exit_that_fills_during_a_reverse_leaves_nothing_to_turn(desk: Rig) -> None:
    enter(desk, 2)
    exits(desk, 2)
    desk.gateway.fault(fault="cancel_race")
    done = desk.done(desk.engine.reverse(desk.account, CONTRACT, source="test"))
    assert (done.outcome, truth(desk)) == ("denied", (0, 0))
    assert "an exit closed the position first" in done.text
    wait_sold(desk, 2)


def test_s11_a_target_that_fills_in_part_never_makes_the_new_position_double(desk: Rig) -> None:
    enter(desk, 2)
    exits(desk, 2, targets=2)
    desk.gateway.fault(fault="cancel_race")
    done = desk.done(desk.engine.reverse(desk.account, CONTRACT, stop_ticks=20, source="test"))
    assert (done.outcome, truth(desk)) == ("done", (-2, 1))
    # One of the two lots was closed on the way: the turning order is three, not four.
    wait_sold(desk, 1 + 3)


def test_a_reverse_without_proof_of_its_cancels_stops_flat(desk: Rig) -> None:
    enter(desk, 2)
    exits(desk, 2)
    desk.gateway.fault(fault="request_lost", endpoint="Order/cancel", count=2)
    done = desk.done(desk.engine.reverse(desk.account, CONTRACT, source="test"))
    assert done.outcome == "denied"
    assert done.text.startswith("Stopped flat half-way, read back from the broker.")
    assert truth(desk) == (0, 0)
    assert "halfway" in steps(done)
    wait_sold(desk, 2)


def test_a_reverse_that_the_gate_forbids_touches_nothing(desk: Rig) -> None:
    enter(desk, 2)
    (stop,), (target,) = exits(desk, 2)
    desk.engine.set_limits(desk.account, core.Limits(max_order_lots=3))
    done = desk.done(desk.engine.reverse(desk.account, CONTRACT, source="test"))
    assert done.outcome == "denied"
    assert "above the limit of 3 lots" in done.text
    assert truth(desk) == (2, 2)
    assert {desk.life(stop, "working").change, desk.life(target, "working").change} == {"none"}


def test_a_reverse_without_an_answer_waits_for_the_truth(desk: Rig) -> None:
    enter(desk, 2)
    desk.gateway.fault(fault="reply_lost", endpoint="Order/place")
    desk.gateway.fault(fault="miss", event="GatewayUserOrder", count=2)
    done = desk.done(desk.engine.reverse(desk.account, CONTRACT, source="test"))
    assert done.outcome == "done"
    assert truth(desk) == (-2, 0)
    wait_sold(desk, 4)


def test_s12_a_flatten_while_an_exit_fills_ends_flat_with_one_report(desk: Rig) -> None:
    enter(desk, 3)
    exits(desk, 3, stops=3, targets=3)
    desk.gateway.fault(fault="cancel_race")
    done = desk.done(desk.engine.flatten(desk.account, source="test"))
    assert (done.outcome, done.text) == ("done", "Flat, read back from the broker.")
    assert truth(desk) == (0, 0)
    told = steps(done)
    assert told[0] == "cancelling"
    assert told[-2:] == ["verified", "done"]
    report = json.loads(done.payload_json)
    cancelled = [line for line in report["steps"] if line["step"] == "cancelling"]
    assert (cancelled[-1]["count"], cancelled[-1]["total"]) == (6, 6)
    assert report["goal"] == "flatten"


def test_everything_is_flattened_on_every_chosen_account(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    try:
        with Rig(tmp_path / "base", gateway) as rig:
            rig.connect()
            rig.subscribe()
            accounts = [int(account["id"]) for account in gateway.hello.accounts][:2]
            assert rig.done(rig.engine.choose_accounts(accounts)).outcome == "done"
            for account in accounts:
                rig.engine.arm("test", account, is_armed=True)
                rig.until(partial(rig.engine.is_armed, "test", account), "armed")
                rig.life(rig.engine.submit(account, CONTRACT, "buy", "market", 1, source="test"), "filled")
            done = rig.done(rig.engine.flatten_everything(source="test"))
            assert done.outcome == "done"
            reports = json.loads(done.payload_json)["accounts"]
            assert [report["account_id"] for report in reports] == accounts
            assert all(not row["positions"] for row in gateway.state()["accounts"])
    finally:
        gateway.stop()


@pytest.mark.parametrize(
    ("group", "left"),
    [
        ({"role": "stop"}, {"target", "far target", "entry"}),
        ({"role": "target"}, {"stop", "entry"}),
        ({"side": "buy"}, {"stop", "target", "far target"}),
        ({"kind": "limit", "side": "sell"}, {"stop", "entry"}),
        ({"lowest_ticks": ASK + 10, "highest_ticks": ASK + 10}, {"stop", "far target", "entry"}),
        ({"lowest_ticks": ASK + 10}, {"stop", "entry"}),
        ({"highest_ticks": BID - 20}, {"target", "far target"}),
        ({}, set()),
    ],
    # A set's own text has another order in each process, and workers must agree on the names.
    ids=lambda value: str(sorted(value.items() if isinstance(value, dict) else value)),
)
def test_a_group_cancel_takes_what_it_names_and_nothing_else(desk: Rig, group: dict[str, Any], left: set[str]) -> None:
    enter(desk, 2)
    (stop,), (target, far_target) = exits(desk, 2, targets=2)
    entry = desk.submit("buy", "limit", limit_ticks=BID - 30)
    desk.life(entry, "working")
    names = {stop: "stop", target: "target", far_target: "far target", entry: "entry"}
    done = desk.done(desk.engine.cancel_group(desk.account, contract_id=CONTRACT, **group, source="test"))
    assert done.outcome == "done"
    desk.until(
        lambda: {names[order.key] for order in desk.engine.orders() if order.life == "working"} == left, f"{left} left"
    )
    assert truth(desk)[1] == len(left)


def test_a_price_without_its_contract_is_no_group(desk: Rig) -> None:
    done = desk.done(desk.engine.cancel_group(desk.account, lowest_ticks=1, source="test"))
    assert done.outcome == "denied"


def test_an_exit_left_without_its_position_is_taken_away_aloud(sweeping_desk: Rig) -> None:
    desk = sweeping_desk
    enter(desk, 1)
    stop = desk.submit("sell", "stop", 1, stop_ticks=BID - 20, reduce_only=True)
    desk.life(stop, "working")
    # Closed on the broker's own platform: nobody told us to cancel the stop.
    desk.gateway.set_account(desk.account, flatten=True)
    desk.life(stop, "cancelled")
    assert truth(desk) == (0, 0)


def cut_off(rig: Rig) -> list[str]:
    """What was told of exits that the last run left unfinished."""
    notices = [event for event in rig.events if isinstance(event, core.Notice)]
    return [notice.text for notice in notices if notice.code == "exit_interrupted"]


def exit_requests(gateway: Gateway) -> int:
    asked = gateway.counters()["requests"]
    return sum(asked.get(f"{what}", 0) for what in ("Order/cancel", "Position/closeContract", "Order/place"))


def test_a_flatten_that_a_sudden_end_cuts_off_is_told_once_and_sends_nothing_more(
    tmp_path: Path, gateway: Gateway
) -> None:
    with Rig(tmp_path / "base", gateway) as first:
        first.connect()
        first.subscribe()
        enter(first, 2)
        exits(first, 2)
        for endpoint in ("Order/cancel", "Position/closeContract"):
            gateway.fault(fault="request_lost", endpoint=endpoint, count=0)
        first.engine.flatten(first.account, source="test")
        first.until(lambda: "Position/closeContract" in gateway.counters()["requests"], "the close")
    gateway.clear_faults()
    asked = exit_requests(gateway)
    with Rig(tmp_path / "base", gateway) as second:
        second.connect()
        (text,) = second.until(lambda: cut_off(second), "word of the flatten")
        assert "a flatten of" in text, text
        assert "MNQZ6 +2" in text, text
        assert "2 orders live" in text, text
        second.done(second.engine.reconcile())
        assert exit_requests(gateway) == asked
        assert truth(second) == (2, 2)
    with Rig(tmp_path / "base", gateway) as third:
        third.connect()
        third.done(third.engine.reconcile())
        assert cut_off(third) == []


def test_a_reverse_that_a_sudden_end_cuts_off_never_sends_its_order(tmp_path: Path, gateway: Gateway) -> None:
    with Rig(tmp_path / "base", gateway) as first:
        first.connect()
        first.subscribe()
        enter(first, 2)
        exits(first, 2)
        gateway.fault(fault="delay_reply", endpoint="Order/cancel", ms=20_000, count=0)
        gateway.fault(fault="miss", event="GatewayUserOrder", count=0)
        first.engine.reverse(first.account, CONTRACT, stop_ticks=20, source="test")
        first.until(lambda: gateway.counters()["requests"].get("Order/cancel") == 2, "the cancels")
    gateway.clear_faults()
    placed = gateway.counters()["requests"]["Order/place"]
    with Rig(tmp_path / "base", gateway) as second:
        second.connect()
        (text,) = second.until(lambda: cut_off(second), "word of the reverse")
        assert "a reverse of MNQZ6" in text, text
        assert "was not sent" in text, text
        second.done(second.engine.reconcile())
        assert gateway.counters()["requests"]["Order/place"] == placed
        assert truth(second)[0] == 2


def test_a_reverse_cut_off_after_its_order_left_is_that_one_order_and_its_stop(
    tmp_path: Path, gateway: Gateway
) -> None:
    with Rig(tmp_path / "base", gateway) as first:
        first.connect()
        first.subscribe()
        enter(first, 2)
        placed = gateway.counters()["requests"]["Order/place"]
        gateway.fault(fault="reply_lost", endpoint="Order/place")
        for event in ("GatewayUserOrder", "GatewayUserTrade", "GatewayUserPosition"):
            gateway.fault(fault="miss", event=event, count=0)
        first.engine.reverse(first.account, CONTRACT, stop_ticks=20, source="test")
        first.until(lambda: gateway.counters()["requests"]["Order/place"] > placed, "the order that turns")
    gateway.clear_faults()
    with Rig(tmp_path / "base", gateway) as second:
        second.connect()
        (text,) = second.until(lambda: cut_off(second), "word of the reverse")
        assert "which turns the position" in text, text
        # The stop that the reverse had asked for protects what its order did; nothing else is sent.
        second.until(lambda: truth(second) == (-2, 1), "the turned position and its stop")
        second.done(second.engine.reconcile())
        assert gateway.counters()["requests"]["Order/place"] == placed + 2
