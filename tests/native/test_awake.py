"""When the engine's thread sleeps: by the words of `engine.spin`, and in a market that leaves it no time to."""

from pathlib import Path

import pytest
import trading_bot_core as core

from tests.native.rig import BID, Gateway, Rig


def test_an_engine_that_never_sleeps_trades_and_ends(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    try:
        with Rig(tmp_path / "base", gateway, spin="on") as rig:
            rig.connect()
            rig.subscribe()
            tag = rig.submit("buy", "limit", limit_ticks=BID - 20)
            assert rig.life(tag, "working").order_id
            assert rig.done(rig.engine.cancel(tag, source="test")).outcome == "done"
            rig.life(tag, "cancelled")
    finally:
        gateway.stop()


def test_an_engine_that_stays_awake_around_orders_sleeps_when_they_are_over(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    try:
        with Rig(tmp_path / "base", gateway, spin="auto") as rig:
            rig.connect()
            rig.subscribe()
            tag = rig.submit("buy", "limit", limit_ticks=BID - 20)
            assert rig.life(tag, "working").order_id
            naps = _naps(rig)
            # A thread that looks without end takes no nap at all, however long one waits.
            rig.until(lambda: _naps(rig) > naps + 3, "the engine's thread asleep again")
    finally:
        gateway.stop()


def test_a_word_that_the_option_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(core.EngineError, match="off, auto and on"):
        core.Engine(str(tmp_path), -1, spin="always")


def _naps(rig: Rig) -> int:
    return int(rig.engine.status()["naps"])


def test_an_order_is_answered_while_the_market_leaves_no_time_to_sleep(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    try:
        with Rig(tmp_path / "base", gateway) as rig:
            rig.connect()
            rig.subscribe()
            gateway.flood(200_000)
            tags = [rig.submit("buy", "limit", limit_ticks=BID - 20 - number) for number in range(3)]
            for tag in tags:
                assert rig.life(tag, "working", "denied").life in {"working", "denied"}
            sent = [tag for tag in tags if rig.life(tag, "working", "denied").life == "working"]
            for tag in sent:
                assert rig.done(rig.engine.cancel(tag, source="test")).outcome == "done"
    finally:
        gateway.stop()
