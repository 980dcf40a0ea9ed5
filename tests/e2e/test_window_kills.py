"""Ten times `kill -9` on the real window with an order on its way (decision 36): nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from app.errors import PitdeskError
from app.services import acts
from app.services.control import ControlClient
from app.services.gateway import GatewayProcess
from tests.accept.control import Control
from tests.e2e.leaks import LIMIT_S
from tests.e2e.test_program import Program
from tests.kills.harness import Tally, compare
from tests.quiet_market import AT_MORNING

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs signals"),
    pytest.mark.timeout(600),
]

KILLS = 10
SOURCE = "kill"


@pytest.fixture
def exchange(tmp_path: Path, program: Path) -> Iterator[GatewayProcess]:
    """A practice gateway that outlives the windows."""
    arguments = ["--state", str(tmp_path / "state"), "--seed", "7", "--no-rate-limits", *AT_MORNING]
    with GatewayProcess.start(arguments, program=program, log_file=tmp_path / "gateway.log") as started:
        yield started


class Victims:
    """One window after the other on the same base directory and the same exchange."""

    def __init__(self, folder: Path, exchange: GatewayProcess) -> None:
        self.base = folder / "base"
        self.account = int(exchange.hello.accounts[0]["id"])
        self._hello = folder / "hello.json"
        self._hello.write_text(json.dumps(asdict(exchange.hello)))

    def window(self) -> Program:
        """A window that shows a quote."""
        # Each life may leave an order: the last one's must not be the one that the limits deny.
        limits = ("-o", f"risk.max_position_lots={10 * KILLS}")
        window = Program(self.base, "--attach", str(self._hello), "--contract", "MNQ", *limits)
        window.answers(lambda desk: acts.quote(desk, "MNQ"))
        return window

    def press(self, window: Program, away_ticks: int) -> None:
        """Arm and submit until an order left, as a person does whose first press came too early."""
        window.shows(lambda: asyncio.run(self._pressed(away_ticks)), "an order on its way")

    async def _pressed(self, away_ticks: int) -> bool:
        client = await ControlClient.connect(self.base)
        if client is None:
            return False
        try:
            contract = next(row for row in await client.call("contracts") if row["root"] == "MNQ")
            quote = await client.call("quote", contract_id=contract["id"])
            await client.call("arm", source=SOURCE, account_id=self.account, is_armed=True)
            order = {"account_id": self.account, "contract_id": contract["id"], "side": "buy", "kind": "limit"}
            ticks = int(quote["best_bid_ticks"]) - away_ticks
            told = await client.call("submit", **order, size_lots=1, limit_ticks=ticks, source=SOURCE)
            return await self._left(client, told["tag"])
        except (PitdeskError, StopIteration, TypeError):
            # Not connected, not quoted or not armed yet.
            return False
        finally:
            await client.close()

    async def _left(self, client: ControlClient, tag: str) -> bool:
        """Whether the order left; the verdict comes after the tag, and what is not yet seen may still be denied."""
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            life = {row["tag"]: row["life"] for row in await client.call("orders")}.get(tag, "intent")
            if life != "intent":
                return bool(life != "denied")
            await asyncio.sleep(0.001)
        return False

    def settled(self, window: Program) -> list[dict[str, Any]]:
        """Every order once nothing is unknown."""
        return list(window.shows(lambda: asyncio.run(self._orders()), "an end of all doubt"))

    async def _orders(self) -> list[dict[str, Any]] | None:
        client = await ControlClient.connect(self.base)
        if client is None:
            return None
        try:
            rows = await client.call("orders")
        finally:
            await client.close()
        if any(row["doubt_since_ns"] or row["life"] in ("intent", "sent") for row in rows):
            return None
        return [{**row, "is_unknown": False} for row in rows]


def test_ten_kills_of_the_window_lose_no_order_and_double_none(
    tmp_path: Path, exchange: GatewayProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PITDESK_ENGINE_ABSENCE_AFTER_S", "1")
    monkeypatch.setenv("PITDESK_ENGINE_READ_GAP_S", "0.2")
    victims, dice = Victims(tmp_path, exchange), random.Random(4)
    for number in range(KILLS):
        window = victims.window()
        # Far away: an order that filled between the two readings at the end would look like a difference.
        victims.press(window, 300 + number)
        time.sleep(dice.uniform(0.0, 0.02))
        window.is_told(signal.SIGKILL)
    window = victims.window()
    ours = victims.settled(window)
    control = Control(exchange.hello)
    tally = Tally()
    compare(tally, ours, control.orders_by_tag(victims.account))
    control.close()
    assert window.is_told(signal.SIGTERM) == (0, "")
    assert (tally.lost, tally.duplicated, tally.unknown_end) == (0, 0, 0), tally.faults
    assert tally.orders >= KILLS // 2, "orders there to lose"
