"""S6 and S7 of `features.md` section 6: an order dragged while the broker is slow, and one that fills in the hand."""

from __future__ import annotations

from tests.native.rig import BID
from tests.regression.rig import Proof


def drops_sent(scene: Proof, tag: str) -> set[int | None]:
    """The levels that were on their way at some time, by the order's own news."""
    return {order.wanted_stop_ticks for order in scene.changes(tag) if order.change == "modify"}


def test_s6_drag_storm(scene: Proof, pace: float) -> None:
    """The stop dragged 30 times in 5 s, answers after 300 ms: one change in flight, the last drop wins."""
    scene.position(2)
    stop = scene.submit("sell", "stop", 2, stop_ticks=BID - 40, reduce_only=True)
    scene.life(stop, "working")
    # Not scaled: however slowly a busy machine drags, most drops come while one is under way.
    scene.gateway.fault(fault="latency", endpoint="Order/modify", ms=300)
    asked, sent = scene.requests("Order/modify"), []
    drops = [BID - 40 + place for place in range(1, 30)] + [BID - 60]
    for drop in drops:
        sent.append(scene.engine.modify(stop, stop_ticks=drop, source="test"))
        scene.wait(5 / 30 * pace)
    assert {scene.done(request).outcome for request in sent} == {"done"}
    # The hub's word about the change before may still be on its way when the last answer is there.
    scene.until(lambda: (o := scene.order(stop)) and o.stop_ticks == drops[-1], "the last drop")
    scene.until(lambda: (o := scene.order(stop)) and (o.life, o.change) == ("working", "none"), "the order at rest")
    assert (o := scene.order(stop)) is not None
    assert (o.stop_ticks, o.size_lots) == (drops[-1], 2)
    scene.done(scene.engine.reconcile())
    assert scene.life(stop, "working").stop_ticks == drops[-1], "as the broker tells it"
    # One at a time: as many requests as the order had changes, fewer than drops, and every one of them answered.
    requests = scene.requests("Order/modify") - asked
    assert requests == len(drops_sent(scene, stop))
    assert 2 <= requests < len(drops)
    assert not scene.was_in_doubt(stop)


def test_s6_a_size_and_a_price_dropped_while_one_is_in_flight_both_arrive(scene: Proof) -> None:
    order = scene.working(2)
    assert order.limit_ticks is not None
    scene.gateway.fault(fault="latency", endpoint="Order/modify", ms=600)
    first = scene.engine.modify(order.key, limit_ticks=order.limit_ticks - 1, source="test")
    scene.until(lambda: scene.changes(order.key)[-1].change == "modify", "the first change under way")
    replaced = scene.engine.modify(order.key, size_lots=3, source="test")
    last = scene.engine.modify(order.key, limit_ticks=order.limit_ticks - 5, source="test")
    assert [scene.done(request).outcome for request in (first, replaced, last)] == ["done"] * 3
    both = (3, order.limit_ticks - 5)
    scene.until(lambda: (o := scene.order(order.key)) and (o.size_lots, o.limit_ticks) == both, "both changes")


def test_s6_what_waits_behind_a_lost_answer_is_not_sent(scene: Proof) -> None:
    order = scene.working(2)
    assert order.limit_ticks is not None
    asked = scene.requests("Order/modify")
    scene.gateway.fault(fault="reply_lost", endpoint="Order/modify")
    scene.gateway.fault(fault="miss", event="GatewayUserOrder", count=0)
    first = scene.engine.modify(order.key, limit_ticks=order.limit_ticks - 1, source="test")
    last = scene.engine.modify(order.key, limit_ticks=order.limit_ticks - 2, source="test")
    assert [scene.done(request).outcome for request in (first, last)] == ["unknown", "denied"]
    scene.gateway.clear_faults()
    moved = order.limit_ticks - 1
    scene.life(order.key, "working")
    scene.until(lambda: (o := scene.order(order.key)) and o.limit_ticks == moved, "the first change")
    assert scene.requests("Order/modify") == asked + 1


def test_s7_fill_during_a_drag(scene: Proof) -> None:
    """The order fills while it is held: no change is sent for a dead order, and the late refusal is explained."""
    tag = scene.working(1, BID - 4).key
    price = BID / 4 - 1
    low = {"bid": price, "bid_lots": 5, "ask": price + 0.25, "ask_lots": 5}
    fall = [{"ms": 0, "quote": low}, {"ms": 0, "print": {"price": price, "lots": 99, "side": "sell"}}]
    scene.gateway.play(fall)
    scene.life(tag, "filled")
    asked = scene.requests("Order/modify")
    dropped = scene.done(scene.engine.modify(tag, limit_ticks=BID - 2, source="test"))
    assert dropped.outcome == "denied"
    assert dropped.text
    assert scene.requests("Order/modify") == asked
    scene.until(lambda: scene.net() == 1, "the position")


def test_s7_a_drop_that_waits_when_the_order_fills_is_not_sent(scene: Proof) -> None:
    tag = scene.working(1, BID - 4).key
    scene.gateway.fault(fault="delay_request", endpoint="Order/modify", ms=1_000)
    asked = scene.requests("Order/modify")
    first = scene.engine.modify(tag, limit_ticks=BID - 5, source="test")
    last = scene.engine.modify(tag, limit_ticks=BID - 6, source="test")
    price = BID / 4 - 1
    low = {"bid": price, "bid_lots": 5, "ask": price + 0.25, "ask_lots": 5}
    scene.gateway.play([{"ms": 0, "quote": low}, {"ms": 0, "print": {"price": price, "lots": 99, "side": "sell"}}])
    scene.life(tag, "filled")
    answer = scene.done(last)
    assert answer.outcome == "failed", answer.text
    assert "over" in answer.text
    assert scene.done(first).outcome == "refused"
    assert scene.requests("Order/modify") <= asked + 1
    scene.until(lambda: scene.net() == 1, "the position")
    assert scene.true_net() == 1
