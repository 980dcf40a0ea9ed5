"""`journal.sync`: what an order waits for before it leaves (decision 14)."""

from __future__ import annotations

from pathlib import Path

import pytest
import trading_bot_core as core

from tests.native.rig import BID, Gateway, Rig


def test_an_order_that_waits_for_the_disk_is_placed_changed_and_cancelled(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path)
    try:
        with Rig(tmp_path / "base", gateway, journal_sync="before_send") as rig:
            rig.connect()
            rig.subscribe()
            tags = [rig.submit("buy", "limit", limit_ticks=BID - 20 - number) for number in range(5)]
            for tag in tags:
                rig.life(tag, "working")
            done = rig.done(rig.engine.modify(tags[0], limit_ticks=BID - 30, source="test"))
            assert done.outcome == "done", done.text
            for tag in tags:
                rig.engine.cancel(tag, source="test")
            for tag in tags:
                rig.life(tag, "cancelled")
    finally:
        gateway.stop()


def test_a_sync_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(core.InvalidCommand, match="before_send"):
        core.Engine(str(tmp_path), -1, journal_sync="never")
