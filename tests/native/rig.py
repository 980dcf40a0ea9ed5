"""A real engine against a real practice gateway, without a window and without the facade."""

from __future__ import annotations

import json
import select
import socket
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import trading_bot_core as core

from app.services.gateway import GatewayProcess, Hello
from tests.quiet_market import AT_MORNING, pulse

T = TypeVar("T")
DEADLINE_S = 30.0
CONTRACT = "CON.F.US.MNQ.Z26"
BID, ASK = 117_920, 117_921
UNLIMITED = "--no-rate-limits"
QUOTE = {"bid": BID / 4, "bid_lots": 50, "ask": ASK / 4, "ask_lots": 50}


class Gateway:
    """A practice gateway that plays `steps` on a fixed morning; by default one quote, kept fresh by the pulse."""

    def __init__(
        self, folder: Path, steps: list[dict[str, Any]] | None = None, options: Sequence[str] = (UNLIMITED,)
    ) -> None:
        script = folder / "script.json"
        script.write_text(json.dumps(steps or [{"ms": 0, "quote": QUOTE}, *pulse(1_200)]))
        arguments = [
            "--state",
            str(folder / "gateway"),
            "--market",
            "script",
            str(script),
            *(() if "--clock" in options else AT_MORNING),
            *options,
        ]
        self.process = GatewayProcess.start(arguments)
        self.hello = self.process.hello

    @classmethod
    def known(cls, hello: Hello) -> Self:
        """A gateway that somebody else started; only its ports are used."""
        gateway = cls.__new__(cls)
        gateway.hello = hello
        return gateway

    def fault(self, **rule: Any) -> None:
        self._control("POST", "fault", rule)

    def clear_faults(self) -> None:
        self._control("POST", "fault", {"clear": True})

    def set_clock(self, **change: Any) -> None:
        """`rate`, `to` or `advance_s`."""
        self._control("POST", "clock", change)

    def set_account(self, account: int, **change: Any) -> None:
        """`auto_oco`, `can_trade`, `balance`, `locked` or `flatten`."""
        self._control("POST", "account", {"id": account, **change})

    def play(self, steps: list[dict[str, Any]]) -> None:
        """Play steps of a script from now on."""
        self._control("POST", "market", {"script": steps})

    def flood(self, messages: int) -> None:
        """Stream so many market messages as fast as they are taken."""
        self._control("POST", "market", {"flood": {"messages": messages}})

    def counters(self) -> Any:
        return self._control("GET", "counters")

    def state(self) -> Any:
        return self._control("GET", "state")

    def stop(self) -> None:
        self.process.stop()

    def _control(self, method: str, what: str, body: dict[str, Any] | None = None) -> Any:
        base = self.hello.control
        request = urllib.request.Request(
            f"{base.removesuffix('/control')}/control/{what}",
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {self.hello.control_token}", "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            text = answer.read().decode()
        return json.loads(text) if text else None


class Rig:
    """One engine and its reader. `events` keeps everything that was drained."""

    def __init__(self, folder: Path, gateway: Gateway, *, journal_sync: str = "group", spin: str = "auto") -> None:
        self.gateway = gateway
        self.reader, self.writer = socket.socketpair()
        self.reader.settimeout(0)
        self.writer.settimeout(0)
        self.engine = core.Engine(
            str(folder), self.writer.fileno(), is_headless=True, journal_sync=journal_sync, spin=spin
        )
        self.events: list[Any] = []
        self.account = int(gateway.hello.accounts[0]["id"])
        # Where to connect; a test may put a relay in between.
        self.rest_url = gateway.hello.rest
        self.user_hub_url = gateway.hello.user_hub
        self.market_hub_url = gateway.hello.market_hub

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.engine.shutdown()
        self.reader.close()
        self.writer.close()

    def pump(self, wait_s: float) -> None:
        """Wait for the wake byte at most `wait_s`, then drain."""
        if select.select([self.reader], [], [], wait_s)[0]:
            self.reader.recv(4096)
        self.engine.clear_wake()
        self.events.extend(self.engine.drain())

    def until(self, condition: Callable[[], T | None], what: str) -> T:
        """Pump until `condition` is true. Fails with what was seen after 30 s."""
        deadline = time.monotonic() + DEADLINE_S
        while not (value := condition()):
            if time.monotonic() > deadline:
                orders = [(o.key, o.life, o.look, o.reason) for o in self.engine.orders()][-6:]
                links = [(link.name, link.state, link.text) for link in self.engine.links()]
                raise AssertionError(f"{what} not within {DEADLINE_S} s; {orders=} {links=} {self.engine.status()=}")
            self.pump(0.05)
        return value

    def done(self, request: int) -> core.RequestDone:
        """Wait for the end of a request."""
        return self.until(
            lambda: next((e for e in self.events if isinstance(e, core.RequestDone) and e.request_id == request), None),
            f"end of request {request}",
        )

    def connect(self) -> None:
        """Log in, choose the first account, arm it, and subscribe to the contract."""
        hello = self.gateway.hello
        request = self.engine.connect(
            self.rest_url, self.user_hub_url, self.market_hub_url, hello.user_name, hello.api_key, environment="demo"
        )
        done = self.done(request)
        assert done.outcome == "done", done.text
        assert self.done(self.engine.choose_accounts([self.account])).outcome == "done"
        self.until(lambda: self.engine.status()["state"] == "live", "live state")
        self.engine.arm("test", self.account, is_armed=True)
        self.until(lambda: self.engine.is_armed("test", self.account), "armed")

    def subscribe(self) -> int:
        """Subscribe and wait for the quote; returns the contract's index."""
        done = self.done(self.engine.subscribe(CONTRACT))
        assert done.outcome == "done", done.text
        index = next(c.index for c in self.engine.contracts() if c.id == CONTRACT)
        self.until(lambda: self._is_quoted(index), "both sides of the market")
        return index

    def _is_quoted(self, index: int) -> bool:
        """The sides come in messages of their own, and a market of one side is no market to the gate."""
        frame = self.engine.frame(index, 0)
        return frame is not None and None not in (frame.best_bid_ticks, frame.best_ask_ticks)

    def submit(self, side: str, kind: str, lots: int = 1, **prices: int) -> str:
        return self.engine.submit(self.account, CONTRACT, side, kind, lots, source="test", **prices)  # type: ignore[arg-type]

    def order(self, tag: str) -> core.Order | None:
        return next((order for order in self.engine.orders() if order.key == tag), None)

    def life(self, tag: str, *wanted: str) -> core.Order:
        """Wait until the order has one of the lives and no doubt."""

        def reached() -> core.Order | None:
            order = self.order(tag)
            return order if order and order.life in wanted and order.doubt_since_ns == 0 else None

        return self.until(reached, f"order {tag} {' or '.join(wanted)}")

    def net(self) -> int:
        return sum(p.net_lots for p in self.engine.positions() if p.account_id == self.account)
