"""S4 and S5 of `features.md` section 6: a bracket held by the broker, and one that grows and shrinks with its fills."""

from __future__ import annotations

import json

import trading_bot_core as core

from tests.native.rig import BID, CONTRACT, QUOTE
from tests.regression.rig import Proof

LIVE = {"working", "suspended", "sent"}


def legs(scene: Proof, entry: str, role: str) -> list[core.Order]:
    """The living legs of an entry."""
    return [
        order
        for order in scene.engine.orders()
        if (order.parent_key, order.role) == (entry, role) and order.life in LIVE
    ]


def open_lots(scene: Proof, entry: str, role: str) -> list[int]:
    """Open lots of the legs that work and are not being changed."""
    settled = [leg for leg in legs(scene, entry, role) if (leg.life, leg.change) == ("working", "none")]
    return [leg.size_lots - leg.filled_lots for leg in settled]


def shield(scene: Proof) -> tuple[int, int, int, int]:
    """Net, stop, target and unprotected lots of the position."""
    rows = [p for p in scene.engine.positions() if p.account_id == scene.account]
    return next(((p.net_lots, p.stop_lots, p.target_lots, p.unprotected_lots) for p in rows), (0, 0, 0, 0))


def sell_at(scene: Proof, ticks: int, lots: int) -> None:
    """Somebody sells at a price where only our own order rests."""
    scene.gateway.play([{"ms": 0, "print": {"price": ticks / 4, "lots": lots, "side": "sell"}}])


def buy_at(scene: Proof, ticks: int, lots: int) -> None:
    scene.gateway.play([{"ms": 0, "print": {"price": ticks / 4, "lots": lots, "side": "buy"}}])


def test_s4_one_click_limit_with_a_bracket(scene: Proof) -> None:
    """Sending, working, filled; then two exits at the right ticks, held by the broker, whole and unbroken."""
    scene.gateway.fault(fault="delay_reply", endpoint="Order/place", ms=150)
    scene.gateway.fault(fault="miss", event="GatewayUserOrder", count=1)
    entry = scene.engine.submit_bracket(
        scene.account,
        CONTRACT,
        "buy",
        "limit",
        2,
        source="test",
        stop_leg_ticks=-20,
        target_legs=[(40, 2)],
        limit_ticks=BID - 2,
        pressed_mono_ns=scene.engine.mono_ns(),
    )
    scene.until(lambda: scene.changes(entry) and scene.changes(entry)[0].look == "sending", "the marker sending")
    scene.life(entry, "working")
    sell_at(scene, BID - 2, 2)
    scene.life(entry, "filled")
    scene.until(lambda: (open_lots(scene, entry, "stop"), open_lots(scene, entry, "target")) == ([2], [2]), "two exits")
    scene.until(lambda: legs(scene, entry, "target")[0].limit_ticks == BID + 38, "the target's price")
    scene.until(lambda: legs(scene, entry, "stop")[0].stop_ticks == BID - 22, "the stop's price")
    assert {leg.holder for role in ("stop", "target") for leg in legs(scene, entry, role)} == {"broker"}
    scene.until(lambda: shield(scene) == (2, 2, 2, 0), "the position under a full shield")
    assert (scene.posts(entry), scene.truth()["working"], scene.true_net()) == (1, 2, 2)
    assert int(scene.engine.status()["press_to_bytes_us_p50"]) > 0


def test_s5_partial_fills_and_a_scale_out(scene: Proof, pace: float) -> None:
    """Three lots fill one by one in 4 s: the exits follow; the first target takes one lot and the stop shrinks."""
    entry = scene.engine.submit_bracket(
        scene.account,
        CONTRACT,
        "buy",
        "limit",
        3,
        source="test",
        stop_leg_ticks=-20,
        target_legs=[(20, 1), (40, 2)],
        held_by="computer",
        limit_ticks=BID - 4,
    )
    scene.life(entry, "working")
    for filled, targets in ((1, [1]), (2, [1, 1]), (3, [1, 2])):
        sell_at(scene, BID - 4, 1)
        wanted = ([filled], targets)
        scene.until(
            lambda wanted=wanted: (open_lots(scene, entry, "stop"), open_lots(scene, entry, "target")) == wanted,  # type: ignore[misc]
            f"exits for {filled} lots",
        )
        assert scene.truth()["working"] == (1 if filled < 3 else 0) + 1 + len(targets)
        scene.wait(4 / 3 * pace)
    first = BID - 4 + 20
    scene.gateway.play([{"ms": 0, "quote": QUOTE | {"bid": (first - 1) / 4, "ask": first / 4}}])
    buy_at(scene, first, 1)
    scene.until(lambda: scene.net() == 2, "the first target")
    scene.until(lambda: (open_lots(scene, entry, "stop"), open_lots(scene, entry, "target")) == ([2], [2]), "the rest")
    assert (scene.true_net(), scene.truth()["working"]) == (2, 2)
    report = scene.done(scene.engine.flatten(scene.account, source="test"))
    assert (report.outcome, json.loads(report.payload_json)["outcome"]) == ("done", "done")
    assert (scene.truth()["working"], scene.true_net()) == (0, 0)
    scene.until(scene.is_clear, "the same in the views")
    bought = sum(fill.size_lots for fill in scene.engine.fills() if fill.side == "buy")
    sold = sum(fill.size_lots for fill in scene.engine.fills() if fill.side == "sell")
    assert bought == sold == 3
    held = next(p for p in scene.engine.positions() if p.account_id == scene.account)
    assert held.realised_1e4 - held.fees_1e4 == scene.truth()["net_1e4"]
