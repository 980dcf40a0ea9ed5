"""The scene of a drill: the practice gateway, the real window with its guardian, working orders and a position."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

from app.services import gateway
from app.services.control import ControlClient
from app.services.gateway import GatewayProcess
from tests.accept.control import Control
from tests.quiet_market import AT_MORNING

ROOT = Path(__file__).resolve().parents[2]
CONTRACT = "MNQ"
SOURCE = "drill"
AWAY_TICKS = 40
LIMIT_S = 60.0
CANCELLED = 3


def wait_for(condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
    """Poll until the condition gives something true, and return it."""
    until = time.monotonic() + limit_s
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise TimeoutError(f"{what} did not happen within {limit_s:g} s")


class Scene:
    """One gateway, one window, one guardian, below one directory. Everything that was started is ended by `close`."""

    def __init__(self, folder: Path, *options: str, seed: int = 4) -> None:
        self.base = folder / "base"
        self.base.mkdir(parents=True, exist_ok=True)
        self.gateway = GatewayProcess.start([*gateway.practice_arguments(folder / "gateway", seed=seed), *AT_MORNING])
        self.control = Control(self.gateway.hello)
        hello_file = folder / "hello.json"
        hello_file.write_text(json.dumps(dataclasses.asdict(self.gateway.hello)) + "\n", encoding="utf-8")
        self.account = int(self.gateway.hello.accounts[0]["id"])
        self._log = (folder / "window.log").open("w", encoding="utf-8")
        self._window_arguments = [
            *("--attach", str(hello_file), "--basedir", str(self.base), "--contract", CONTRACT),
            *("-o", "risk.max_position_lots=1000", "-o", "guardian.global_key="),
            *(word for option in options for word in ("-o", option)),
        ]
        self.hello_file = hello_file
        self.window = self.open_window()
        wait_for(lambda: self.status().get("state") == "live", "a living engine with a guardian")

    def open_window(self) -> subprocess.Popen[str]:
        """Start the window; a second one takes over from a first that has died."""
        return subprocess.Popen(
            [sys.executable, "-m", "tests.drill.subject", *self._window_arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=self._log,
            stderr=self._log,
            text=True,
            env=os.environ | {"QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "offscreen")},
        )

    # looking

    def status(self) -> dict[str, Any]:
        """What the guardian sees; empty while there is none."""
        found: dict[str, Any] = asyncio.run(self._ask_guardian({"op": "status"})).get("status", {})
        return found

    async def _ask_guardian(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = b""
        # One that is about to go may close the socket at any moment.
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_unix_connection(str(self.base / "guardian.sock"))
            with contextlib.closing(writer):
                writer.write(json.dumps(request).encode() + b"\n")
                answer = await reader.readline()
        told: dict[str, Any] = json.loads(answer) if answer else {}
        return told

    def news(self) -> list[dict[str, Any]]:
        """Everything the guardian has announced, oldest first."""
        file = self.base / "guardian.jsonl"
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []

    def row(self) -> dict[str, Any]:
        """The account as the exchange itself has it."""
        rows = self.control.state()["accounts"]
        return next(row for row in rows if row["id"] == self.account)

    def is_flat(self) -> bool:
        row = self.row()
        return not row["working"] and not row["positions"]

    def gateway_now(self) -> float:
        """The exchange's clock, in seconds."""
        return seconds_of(self.control.state()["clock"]["now"])

    def last_cancel(self) -> float:
        """When the exchange took the last cancel, by its own clock. Waits while it answers that the budget is spent."""

        def rows() -> list[dict[str, Any]]:
            with contextlib.suppress(httpx.HTTPStatusError):
                return [order for orders in self.control.orders_by_tag(self.account).values() for order in orders]
            time.sleep(1)
            return []

        orders = wait_for(rows, "an answer to Order/search", limit_s=90)
        return max(seconds_of(order["updateTimestamp"]) for order in orders if order["status"] == CANCELLED)

    # setting the scene

    def place(self, orders: int) -> None:
        """A position of one lot and `orders` limits below the market, each at a price of its own."""
        asyncio.run(self._place(orders))
        wait_for(lambda: self.row()["working"] == orders and self.row()["positions"], "working orders and a position")
        wait_for(lambda: self.status().get("living_orders") == orders, "the same on the heartbeat page")

    async def _place(self, orders: int) -> None:
        client = await ControlClient.connect(self.base)
        assert client is not None, "the window serves its socket"
        contract = await self._contract(client)
        await client.call("arm", source=SOURCE, account_id=self.account, is_armed=True)
        bid = await self._bid(client, contract)
        common = {"account_id": self.account, "contract_id": contract, "side": "buy", "size_lots": 1, "source": SOURCE}
        await self._accepted(client, **common, kind="market")
        for number in range(orders):
            await self._accepted(client, **common, kind="limit", limit_ticks=bid - AWAY_TICKS - number)
        await client.close()

    def protect(self) -> None:
        """A stop at the broker below the position, and a trail of this computer that would move it."""
        asyncio.run(self._protect())
        wait_for(lambda: self.status().get("held", {}).get("exits"), "the trail on the heartbeat page")

    async def _protect(self) -> None:
        client = await ControlClient.connect(self.base)
        assert client is not None, "the window serves its socket"
        contract = await self._contract(client)
        await client.call("arm", source=SOURCE, account_id=self.account, is_armed=True)
        stop = await self._bid(client, contract) - 2 * AWAY_TICKS
        common = {"account_id": self.account, "contract_id": contract, "side": "sell", "size_lots": 1}
        tag = await self._accepted(client, **common, source=SOURCE, kind="stop", stop_ticks=stop)
        stages = [(1, AWAY_TICKS, 4)]
        await client.request("set_stop_rule", key=tag, trail_stages=stages, source=SOURCE)
        await client.close()

    async def _contract(self, client: ControlClient) -> str:
        listed = await client.call("contracts")
        return next(str(row["id"]) for row in listed if row["root"] == CONTRACT and row["is_active"])

    async def _bid(self, client: ControlClient, contract: str) -> int:
        for _ in range(int(LIMIT_S / 0.05)):
            view = await client.call("quote", contract_id=contract)
            if view and view["best_bid_ticks"] is not None and view["best_ask_ticks"] is not None:
                return int(view["best_bid_ticks"])
            await asyncio.sleep(0.05)
        raise TimeoutError("no quote")

    async def _accepted(self, client: ControlClient, **draft: Any) -> str:
        """The tag of an order. Submit until the exchange has it: what the gate puts off is tried again."""
        until, why = time.monotonic() + LIMIT_S, ""
        while time.monotonic() < until:
            tag = str((await client.call("submit", **draft))["tag"])
            life, why = await self._verdict(client, tag, until)
            if life in {"working", "filled"}:
                return tag
            await asyncio.sleep(0.1)
        raise TimeoutError(f"the order {draft} was never accepted: {why}")

    async def _verdict(self, client: ControlClient, tag: str, until: float) -> tuple[str, str]:
        """Life and reason of an order once it has either; never a second order while the first is on its way."""
        life, why = "", "not seen"
        while time.monotonic() < until:
            for row in await client.call("orders"):
                if row["tag"] == tag:
                    life, why = row["life"], f"{row['life']}: {row['reason']}"
            if life not in {"", "intent", "sent"}:
                break
            await asyncio.sleep(0.02)
        return life, why

    # what happens to it

    def tell_window(self, line: str) -> None:
        assert self.window.stdin is not None, "the pipe was asked for"
        self.window.stdin.write(line + "\n")
        self.window.stdin.flush()

    def spend(self, target: int) -> None:
        """Others use the same login until the exchange has counted `target` requests (bars are counted apart)."""
        while True:
            asked = self.control.counters()["requests"]
            if sum(count for name, count in asked.items() if name != "History/retrieveBars") >= target:
                return
            self.control.ping()

    def kill_command(self, *words: str) -> subprocess.Popen[str]:
        """`pitdesk kill`, as a person or a key of the desktop would start it."""
        command = [
            sys.executable,
            "-m",
            "app.cli",
            "kill",
            "--basedir",
            str(self.base),
            "--attach",
            str(self.hello_file),
        ]
        return subprocess.Popen(
            [*command, "--yes", "--json", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        guardian = self.status().get("process")
        with contextlib.suppress(ProcessLookupError):
            self.window.send_signal(signal.SIGCONT)
        self.window.kill()
        self.window.wait()
        if guardian:
            with contextlib.suppress(ProcessLookupError):
                os.kill(guardian, signal.SIGKILL)
        if self.window.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.window.stdin.close()
        self._log.close()
        self.control.close()
        self.gateway.stop()


def seconds_of(text: str) -> float:
    """Seconds of an ISO time, which may have nine digits behind the point."""
    head, _, rest = text.partition(".")
    digits = "".join(c for c in rest.partition("+")[0] if c.isdigit())
    stamp = dt.datetime.fromisoformat(head.removesuffix("Z")).replace(tzinfo=dt.UTC).timestamp()
    return stamp + (float(f"0.{digits}") if digits else 0.0)


@contextlib.contextmanager
def scene(folder: Path, *options: str) -> Iterator[Scene]:
    """A scene for the length of a block; `options` are `section.name=value` for the window."""
    opened = Scene(folder, *options)
    try:
        yield opened
    finally:
        opened.close()
