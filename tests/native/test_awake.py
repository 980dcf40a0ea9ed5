"""The engine's thread without sleep: with `engine.spin`, and in a market that leaves it none."""

from pathlib import Path

from tests.native.rig import BID, Gateway, Rig


def test_an_engine_that_never_sleeps_trades_and_ends(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    try:
        with Rig(tmp_path / "base", gateway, is_spinning=True) as rig:
            rig.connect()
            rig.subscribe()
            tag = rig.submit("buy", "limit", limit_ticks=BID - 20)
            assert rig.life(tag, "working").order_id
            assert rig.done(rig.engine.cancel(tag, source="test")).outcome == "done"
            rig.life(tag, "cancelled")
    finally:
        gateway.stop()


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
