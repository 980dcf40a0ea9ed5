"""S14 and S15 of `features.md` section 6: the cable out with a position, and an answer that never comes."""

from __future__ import annotations

import pytest
import trading_bot_core as core

from tests.native.rig import BID, QUOTE
from tests.regression.rig import Proof, Wire

OUTAGE_S = 60


def cut(cable: list[Wire]) -> None:
    for wire in cable:
        wire.cut()


def mend(cable: list[Wire]) -> None:
    for wire in cable:
        wire.mend()


def test_s14_cable_out_with_a_position_and_fills_meanwhile(scene: Proof, cable: list[Wire], pace: float) -> None:
    tag = scene.submit("buy", "market", 2, stop_bracket_ticks=200, target_bracket_ticks=200)
    scene.life(tag, "filled")
    scene.until(lambda: scene.net() == 2, "the position")
    scene.until(lambda: {order.life for order in scene.living()} == {"working"}, "both legs")
    more = scene.working(1, BID - 8).key
    known = {order.key for order in scene.living()}
    assert len(known) == 3
    cut(cable)
    scene.until(lambda: scene.engine.status()["state"] != "live", "the outage noticed")
    # Never flat, never forgotten: what was known is shown, and nothing new may be risked on it.
    assert scene.net() == 2
    assert {order.key for order in scene.living()} == known
    assert not scene.engine.is_armed("test", scene.account)
    price = BID / 4 - 3
    low = {"bid": price, "bid_lots": 5, "ask": price + 0.25, "ask_lots": 5}
    scene.gateway.play([{"ms": 0, "quote": low}, {"ms": 0, "print": {"price": price, "lots": 99, "side": "sell"}}])
    scene.until(lambda: scene.true_net() == 3, "the fill at the broker")
    scene.gateway.play([{"ms": 0, "quote": QUOTE}])
    scene.engine.arm("test", scene.account, is_armed=True)
    assert scene.denied(scene.submit("buy", "market"))
    scene.wait(OUTAGE_S * pace)
    assert (scene.net(), scene.truth()["working"]) == (2, 2)
    assert {order.key for order in scene.living()} == known
    mend(cable)
    scene.life(more, "filled")
    scene.until(lambda: scene.net() == 3, "the missed fill")
    scene.until(lambda: scene.engine.status()["state"] == "live", "live again")
    wanted = [("stop", "working"), ("target", "working")]
    scene.until(lambda: sorted((order.role, order.life) for order in scene.living()) == wanted, "both exits")
    assert not scene.engine.is_armed("test", scene.account), "armed again only by hand"
    scene.done(scene.engine.reconcile())
    fills = [fill for fill in scene.engine.fills() if fill.tag == more]
    assert [fill.size_lots for fill in fills] == [1]
    assert [event.fill.size_lots for event in scene.news(core.FillAdded) if event.fill.tag == more] == [1], "told once"
    (held,) = [p for p in scene.engine.positions() if p.account_id == scene.account and p.net_lots]
    assert held.realised_1e4 - held.fees_1e4 == scene.truth()["net_1e4"]


def test_s15_lost_answer(scene: Proof) -> None:
    """Unknown, a repeat is blocked, found by its tag, exactly one order."""
    scene.gateway.fault(fault="reply_lost", endpoint="Order/place")
    # The hub says nothing either: its word would settle the order before the deadline.
    for event in ("GatewayUserOrder", "GatewayUserTrade", "GatewayUserPosition"):
        scene.gateway.fault(fault="miss", event=event, count=0)
    scene.gateway.fault(fault="delay_reply", endpoint="Order/search", ms=1_000, count=4)
    scene.gateway.fault(fault="delay_reply", endpoint="Order/v2/query", ms=1_000, count=4)
    tag = scene.submit("buy", "market", 2)
    scene.until(lambda: scene.was_in_doubt(tag), "doubt")
    doubted = next(order for order in scene.changes(tag) if order.doubt_since_ns)
    assert (doubted.look, doubted.life) == ("unknown", "sent")
    assert "unknown" in scene.denied(scene.submit("buy", "market", 1)), "a blind repeat is blocked"
    assert scene.life(tag, "filled").filled_lots == 2
    scene.until(lambda: scene.net() == 2, "the position")
    assert (scene.posts(tag), scene.requests("Order/place"), scene.true_net()) == (1, 1, 2)
    scene.until(lambda: scene.engine.status()["unknown_orders"] == 0, "nothing unknown")
    scene.until(lambda: "It may be live" in "".join(scene.notices("unknown")), "the doubt told in words")
    scene.engine.arm("test", scene.account, is_armed=True)
    scene.life(scene.submit("sell", "market", 2), "filled")


def test_s13_silent_feed(scene: Proof, pace: float) -> None:
    """Messages stop, the socket goes on answering pings: late, entries blocked, and the session is built anew."""
    if pace < 1.0:
        pytest.skip("half a minute at wall time; under --full")

    def market() -> str:
        return next(link.state for link in scene.engine.links() if link.name == "market")

    scene.wait(10)
    scene.gateway.fault(fault="silent", hub="market")
    scene.until(lambda: market() == "late", "the silence noticed")
    assert scene.denied(scene.submit("buy", "market"))
    scene.wait(15)
    scene.until(lambda: market() == "dead", "a connection behind which nobody lives")
    scene.until(lambda: market() == "live", "the session built anew")
    scene.engine.arm("test", scene.account, is_armed=True)
    scene.life(scene.submit("buy", "market"), "filled")
