"""The kinds that are seldom placed, over real sockets: native trailing stop, join bid, join ask, stop-limit."""

from __future__ import annotations

from pathlib import Path

import pytest
import trading_bot_core as core

from tests.native.rig import ASK, BID, CONTRACT, QUOTE, Gateway, Rig


def play(rig: Rig, bid: int, last: int) -> None:
    """Move the quote to `bid` and print at `last`."""
    quote = {**QUOTE, "bid": bid / 4, "ask": (bid + 1) / 4}
    printed = {"price": last / 4, "lots": 1, "side": "buy" if last > bid else "sell"}
    rig.gateway.play([{"ms": 0, "quote": quote}, {"ms": 1, "print": printed}])
    index = next(contract.index for contract in rig.engine.contracts() if contract.id == CONTRACT)
    rig.until(lambda: (f := rig.engine.frame(index, 0)) and f.last_ticks == last, f"the print at {last}")


def trail_of(rig: Rig, key: str, ticks: int) -> core.Order:
    def told() -> core.Order | None:
        order = rig.order(key)
        return order if order and order.trail_ticks == ticks and order.change == "none" else None

    return rig.until(told, f"a distance of {ticks} ticks")


def rests_at(rig: Rig, key: str, price: int) -> None:
    rig.life(key, "working")
    rig.until(lambda: (o := rig.order(key)) and o.limit_ticks == price, f"rest at {price}")


@pytest.fixture
def desk(rig: Rig) -> Rig:
    rig.connect()
    rig.subscribe()
    play(rig, BID, BID)
    return rig


@pytest.mark.parametrize("sign", [1, -1], ids=["long", "short"])
def test_a_native_trailing_stop_follows_at_its_distance_and_is_changed_by_a_new_one(desk: Rig, sign: int) -> None:
    enter, leave = ("buy", "sell") if sign > 0 else ("sell", "buy")
    desk.life(desk.submit(enter, "market"), "filled")
    desk.until(lambda: desk.net() == sign, "the position")
    key = desk.submit(leave, "trailing_stop", trail_ticks=20, reduce_only=True)
    desk.life(key, "working")
    trail_of(desk, key, 20)
    assert desk.done(desk.engine.modify(key, trail_ticks=12, source="test")).outcome == "done"
    trail_of(desk, key, 12)
    # The market goes 30 ticks our way and comes back by the distance: the broker's stop has followed.
    best = BID + 30 * sign
    for price in (best, best - 11 * sign):
        play(desk, price, price)
        desk.done(desk.engine.reconcile())
        assert desk.life(key, "working").filled_lots == 0
    play(desk, best - 12 * sign, best - 12 * sign)
    desk.life(key, "filled")
    desk.until(lambda: desk.net() == 0, "flat")


def test_a_trail_is_written_as_a_level_that_the_broker_measures_from_the_last_price(desk: Rig) -> None:
    play(desk, BID + 8, BID + 8)
    key = desk.submit("sell", "trailing_stop", trail_ticks=20)
    desk.life(key, "working")
    assert trail_of(desk, key, 20).stop_ticks in {None, BID + 8 - 20}


def test_join_bid_and_join_ask_rest_at_the_touch_of_the_moment(desk: Rig) -> None:
    bid, ask = desk.submit("buy", "join_bid"), desk.submit("sell", "join_ask")
    rests_at(desk, bid, BID)
    rests_at(desk, ask, ASK)
    play(desk, BID - 3, BID - 2)
    assert (o := desk.order(ask)) is not None
    assert o.limit_ticks == ASK, "the price is that of the arrival"


def test_a_refused_stop_limit_says_so(desk: Rig) -> None:
    key = desk.submit("sell", "stop_limit", stop_ticks=BID - 20, limit_ticks=BID - 24)
    order = desk.life(key, "refused", "working")
    assert order.life == "refused"
    assert order.reason


def test_a_stop_limit_works_where_the_gateway_takes_it(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, options=["--stop-limit"])
    try:
        with Rig(tmp_path / "base", gateway) as rig:
            rig.connect()
            rig.subscribe()
            key = rig.submit("sell", "stop_limit", stop_ticks=BID - 20, limit_ticks=BID - 24)
            order = rig.life(key, "working")
            assert (order.kind, order.stop_ticks, order.limit_ticks) == ("stop_limit", BID - 20, BID - 24)
    finally:
        gateway.stop()
