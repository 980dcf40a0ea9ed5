"""What the named proofs share: a rig that looks back at the news, and a wire that can be cut."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import threading
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import trading_bot_core as core

from tests.native.rig import BID, CONTRACT, QUOTE, Gateway, Rig

# Waits shortened together with the gateway's delays; the budget is proven by tests of its own. A busy machine answers
# late now and then: an answer that is no part of a test's fault must stay far inside the time-out.
SHORT = {
    "PITDESK_ENGINE_BENCH_LIMITS_OFF": "1",
    "PITDESK_ENGINE_REQUEST_TIMEOUT_S": "1.5",
    "PITDESK_ENGINE_ABSENCE_AFTER_S": "0.3",
    "PITDESK_ENGINE_READ_GAP_S": "0.2",
}


def heartbeat(seconds: int = 1_800) -> list[dict[str, Any]]:
    """Steps of a quiet market whose quote never gets old: the bid's size changes twice a second."""
    return [{"ms": 500 * step, "quote": QUOTE | {"bid_lots": 50 + step % 2}} for step in range(2 * seconds)]


class Proof(Rig):
    """A rig whose tests follow one another: what the last one left behind is removed by `begin()`."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        super().__init__(folder, gateway)
        self._levels = itertools.count()

    def begin(self) -> None:
        """Disarm all faults, end all orders and positions, arm again, and forget the news so far."""
        self.gateway.clear_faults()
        self.until(lambda: self.engine.status()["state"] == "live", "a live session")
        flat = self.done(self.engine.flatten(self.account, source="test"))
        assert flat.outcome == "done", (flat.outcome, flat.text, flat.payload_json)
        self.until(self.is_clear, "a clean account")
        self.engine.arm("test", self.account, is_armed=True)
        self.until(lambda: self.engine.is_armed("test", self.account), "armed")
        self.events.clear()

    def level(self) -> int:
        """A price below the market that no order had before: the same order twice in 300 ms would be denied."""
        return BID - 20 - next(self._levels) % 300

    def living(self) -> list[core.Order]:
        over = {"filled", "cancelled", "expired", "refused", "denied", "not_accepted"}
        return [order for order in self.engine.orders() if order.life not in over]

    def is_clear(self) -> bool:
        """Whether nothing lives and nothing is held, in the views."""
        return not self.living() and self.net() == 0

    def wait(self, seconds: float) -> None:
        """Let time pass and keep reading."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.pump(min(left, 0.05))

    def news(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def changes(self, tag: str) -> list[core.Order]:
        """Every look the order has had in the news, oldest first."""
        return [event.order for event in self.news(core.OrderChanged) if event.order.key == tag]

    def was_in_doubt(self, tag: str) -> bool:
        return any(order.doubt_since_ns > 0 for order in self.changes(tag))

    def denied(self, tag: str) -> list[str]:
        """Wait for the gate's no; its codes."""

        def verdict() -> core.Denied | None:
            return next((event for event in self.news(core.Denied) if event.tag == tag), None)

        return [code for code, _ in self.until(verdict, f"a denial of {tag}").reasons]

    def notices(self, code: str) -> list[str]:
        return [notice.text for notice in self.news(core.Notice) if notice.code == code]

    def working(self, lots: int = 1, limit_ticks: int | None = None) -> core.Order:
        """A limit order to buy that rests."""
        at = self.level() if limit_ticks is None else limit_ticks
        return self.life(self.submit("buy", "limit", lots, limit_ticks=at), "working")

    def position(self, net_lots: int) -> None:
        """Fill at the market until the position is as told, from flat."""
        self.life(self.submit("buy" if net_lots > 0 else "sell", "market", abs(net_lots)), "filled")
        self.until(lambda: self.net() == net_lots, f"a position of {net_lots}")

    def requests(self, operation: str) -> int:
        return int(self.gateway.counters()["requests"].get(operation, 0))

    def posts(self, tag: str) -> int:
        """How many orders with the tag reached the gateway's book."""
        return int(self.gateway.counters()["posts_by_tag"].get(tag, 0))

    def truth(self, account: int | None = None) -> Any:
        """The gateway's own word on an account (this rig's by default)."""
        wanted = self.account if account is None else account
        return next(row for row in self.gateway.state()["accounts"] if row["id"] == wanted)

    def true_net(self) -> int:
        return sum(p["lots"] for p in self.truth()["positions"] if p["contractId"] == CONTRACT)


class Wire:
    """A loopback TCP relay in front of an address; `cut()` is the cable pulled, `mend()` puts it back."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.url = f"{parts.scheme}://127.0.0.1:{self.port}{parts.path}"
        self._wake, self._woken = socket.socketpair()
        self._is_cut = False
        # How many connections were tried, and whether they are ended at once.
        self.attempts = 0
        self.hangs_up = False
        self._thread = threading.Thread(target=self._relay, name="wire", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._wake.close()
        self._thread.join()
        self.cut()
        self._woken.close()

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        with self._lock:
            self._is_cut = True
            self._listener.close()
            for pair in self._pairs:
                for end in pair:
                    end.close()
            self._pairs.clear()

    def is_left(self) -> bool:
        """Whether the client has closed its ends of the connections that were cut."""
        port = f":{self.port:04X}"
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        established, close_wait = "01", "08"
        return not any(row[2].endswith(port) and row[3] in {established, close_wait} for row in rows)

    def mend(self) -> None:
        with self._lock:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self._is_cut = False

    def _relay(self) -> None:
        while True:
            with self._lock:
                others = {end: other for pair in self._pairs for end, other in (pair, pair[::-1])}
                ends: list[socket.socket] = [self._woken, *others]
                listener = None if self._is_cut else self._listener
            if listener is not None:
                ends.append(listener)
            # A socket closed by `cut` while we sleep wakes nobody, hence the short sleep.
            try:
                ready = select.select(ends, [], [], 0.01)[0]
            except (OSError, ValueError):
                continue
            if self._woken in ready:
                return
            with self._lock:
                for end in ready:
                    self._serve(end, listener, others)

    def _serve(
        self, end: socket.socket, listener: socket.socket | None, others: dict[socket.socket, socket.socket]
    ) -> None:
        with contextlib.suppress(OSError):
            if end is listener:
                near = end.accept()[0]
                self.attempts += 1
                if self.hangs_up:
                    near.close()
                    return
                self._pairs.append((near, socket.create_connection(self._target)))
                return
            data = end.recv(65_536)
            if data:
                others[end].sendall(data)
                return
        if end is listener:
            return
        pair = next((pair for pair in self._pairs if end in pair), None)
        if pair is not None:
            self._pairs.remove(pair)
            for half in pair:
                half.close()
