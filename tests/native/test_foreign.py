"""Orders and accounts of others: shown as foreign, counted, and touched only when a person asks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trading_bot_core as core

from tests.native.rig import BID, CONTRACT, Gateway, Rig


@pytest.fixture
def pair(tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Rig, Rig]]:
    """One login and account on two computers; the second sweeps its orphans after half a second."""
    monkeypatch.setenv("PITDESK_LOCKS", str(tmp_path / "locks of theirs"))
    with Rig(tmp_path / "theirs", gateway) as theirs:
        theirs.connect()
        theirs.subscribe()
        monkeypatch.setenv("PITDESK_LOCKS", str(tmp_path / "locks of ours"))
        monkeypatch.setenv("PITDESK_ENGINE_ORPHAN_AFTER_S", "0.5")
        with Rig(tmp_path / "ours", gateway) as ours:
            ours.connect()
            ours.subscribe()
            yield theirs, ours


def told(rig: Rig, code: str) -> list[str]:
    return [event.text for event in rig.events if isinstance(event, core.Notice) and event.code == code]


def foreign(rig: Rig) -> core.Order | None:
    return next((order for order in rig.engine.orders() if order.is_foreign and order.life == "working"), None)


def test_an_order_of_another_installation_is_shown_as_foreign_and_counts_in_the_worst_case(
    pair: tuple[Rig, Rig],
) -> None:
    theirs, ours = pair
    ours.engine.set_limits(ours.account, core.Limits(max_position_lots=3))
    tag = theirs.submit("buy", "limit", 3, limit_ticks=BID - 40)
    theirs.life(tag, "working")
    order = ours.until(lambda: foreign(ours), "the foreign order")
    assert (order.tag, order.size_lots, order.key == tag) == (tag, 3, False)
    mine = ours.submit("buy", "limit", 1, limit_ticks=BID - 40)
    assert "4 lots; the limit is 3" in ours.life(mine, "denied").reason
    # A person may cancel it; nobody else does.
    assert ours.done(ours.engine.cancel(order.key, source="test")).outcome == "done"
    theirs.life(tag, "cancelled")


def test_a_foreign_exit_without_a_position_is_told_and_left_alone(pair: tuple[Rig, Rig]) -> None:
    theirs, ours = pair
    theirs.life(theirs.submit("buy", "market", 2, stop_bracket_ticks=40), "filled")
    theirs.until(lambda: working_stop(theirs), "the native stop of theirs")
    # Nobody there looks after it any more.
    theirs.close()
    ours.until(lambda: ours.net() == 2, "the position")
    stop = ours.until(lambda: foreign(ours), "the foreign stop")
    ours.life(ours.submit("sell", "market", 2), "filled")
    (text,) = ours.until(lambda: told(ours, "orphan"), "word of the orphan")
    assert stop.key in text
    assert "was not sent from here and stays" in text
    ours.done(ours.engine.reconcile())
    assert ours.life(stop.key, "working").is_foreign
    assert "Order/cancel" not in ours.gateway.counters()["requests"]
    assert len(told(ours, "orphan")) == 1


def working_stop(rig: Rig) -> core.Order | None:
    return next((order for order in rig.engine.orders() if order.role == "stop" and order.life == "working"), None)


def test_an_account_that_was_not_chosen_is_neither_read_nor_traded(tmp_path: Path, gateway: Gateway) -> None:
    other = int(gateway.hello.accounts[1]["id"])
    with Rig(tmp_path / "theirs", gateway) as theirs, Rig(tmp_path / "ours", gateway) as ours:
        theirs.account = other
        for rig in (theirs, ours):
            rig.connect()
            rig.subscribe()
        theirs.life(theirs.submit("buy", "market", 2), "filled")
        resting = theirs.submit("buy", "limit", 1, limit_ticks=BID - 40)
        theirs.life(resting, "working")
        row = next(account for account in ours.engine.accounts() if account.id == other)
        assert not row.is_own
        ours.engine.arm("test", other, is_armed=True)
        tag = ours.engine.submit(other, CONTRACT, "buy", "market", 1, source="test")
        assert "not chosen" in ours.life(tag, "denied").reason
        assert ours.done(ours.engine.flatten_everything(source="test")).outcome == "done"
        assert [position.account_id for position in ours.engine.positions() if position.net_lots] == []
        theirs.done(theirs.engine.reconcile())
        assert theirs.life(resting, "working").life == "working"
        assert theirs.net() == 2
