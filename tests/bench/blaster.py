"""A market hub that sends prepared frames: as fast as the socket takes them, or at a rate. A process of its own.

    python -m tests.bench.blaster          prints its port; every connection tells by its query what it wants

    ?mode=flood                            flood at once after the handshake (peers that only read)
    ?mode=hub&messages=N&per_frame=K       a hub for our engine: the first subscription starts N records, then silence
    ?mode=hub&rate=R                       the same at R records a second with fresh stamps, without end

`base` is the price the feed moves around, `bell` a path that must exist before a hub's stream starts.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.bench import feed

_SECRET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PEERS_CONTRACT = "CON.F.US.ENQ.Z25"
_NEGOTIATED = json.dumps(
    {
        "connectionId": "1",
        "connectionToken": "1",
        "negotiateVersion": 1,
        "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Text", "Binary"]}],
    }
).encode()
_STEP_S = 0.002


def main() -> None:
    """Listen on a free port of loopback until the parent ends us."""
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _serve(connection: socket.socket) -> None:
    # A reader that goes away in mid-stream is how every measurement ends.
    with connection, contextlib.suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        head = _head(connection)
        if head.startswith(b"POST"):
            size = len(_NEGOTIATED)
            start = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
            connection.sendall(start + b"Content-Length: %d\r\n\r\n" % size + _NEGOTIATED)
            return
        _accept(connection, head)
        wanted = {name: values[0] for name, values in parse_qs(urlsplit(head.split()[1].decode()).query).items()}
        hub = _Hub(connection)
        hub.handshake()
        if wanted.get("mode") == "flood":
            _flood(hub, _ring(_PEERS_CONTRACT, wanted), 0)
            return
        contract = hub.first_subscription()
        threading.Thread(target=hub.answer_for_ever, daemon=True).start()
        _wait_for_bell(wanted.get("bell"))
        _stream(hub, contract, wanted)


def _head(connection: socket.socket) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        part = connection.recv(65536)
        if not part:
            raise OSError("closed in the request")
        head += part
    return head


def _accept(connection: socket.socket, head: bytes) -> None:
    lines = [line.split(b":", 1) for line in head.split(b"\r\n") if b":" in line]
    key = next(value.strip() for name, value in lines if name.lower() == b"sec-websocket-key")
    token = base64.b64encode(hashlib.sha1(key + _SECRET).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n"
    )


class _Hub:
    """The little of a hub that a client waits for: handshake, and completions of its invocations."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""
        self._records: list[bytes] = []
        self._sending = threading.Lock()

    def send(self, frames: bytes) -> None:
        """Send whole frames; the stream and the answers come from two threads, and neither may split the other's."""
        with self._sending:
            self._connection.sendall(frames)

    def handshake(self) -> None:
        self._next()
        self.send(feed.frame(b"{}" + feed.END))

    def first_subscription(self) -> str:
        """Answer invocations until one subscribes to the book; returns its contract."""
        while True:
            told = self._answer()
            if told.get("target") == "SubscribeContractMarketDepth":
                return str(told["arguments"][0])

    def answer_for_ever(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self._answer()

    def _answer(self) -> dict[str, Any]:
        told = json.loads(self._next())
        if identity := told.get("invocationId"):
            done = json.dumps({"type": 3, "invocationId": identity, "result": None}).encode()
            self.send(feed.frame(done + feed.END))
        return dict(told)

    def _next(self) -> bytes:
        while not self._records:
            payload = self._frame()
            self._records += [part for part in payload.split(feed.END) if part.startswith(b"{")]
        return self._records.pop(0)

    def _frame(self) -> bytes:
        """The payload of the next masked frame."""
        size = self._take(2)[1] & 0x7F
        if size >= 126:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        mask, payload = self._take(4), self._take(size)
        return bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            part = self._connection.recv(65536)
            if not part:
                raise OSError("closed by the client")
            self._buffer += part
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def _wait_for_bell(path: str | None) -> None:
    while path and not Path(path).exists():
        time.sleep(0.002)


def _ring(contract: str, wanted: dict[str, str]) -> list[bytes]:
    made = feed.records(contract, float(wanted.get("base", 21_450)), datetime.now(UTC))
    return feed.packed(made, int(wanted.get("per_frame", 1)))


def _stream(hub: _Hub, contract: str, wanted: dict[str, str]) -> None:
    if "rate" in wanted:
        _pace(hub, contract, float(wanted["base"]), int(wanted["rate"]))
    else:
        _flood(hub, _ring(contract, wanted), int(wanted["messages"]) // int(wanted.get("per_frame", 1)))
        while True:
            time.sleep(5)
            hub.send(feed.frame(b'{"type":6}' + feed.END))


def _flood(hub: _Hub, frames: list[bytes], count: int) -> None:
    """Send `count` frames, or without end when it is 0."""
    ring = b"".join(frames)
    left = count
    while count == 0 or left >= len(frames):
        hub.send(ring)
        left -= len(frames)
    hub.send(b"".join(frames[:left]))


def _pace(hub: _Hub, contract: str, base: float, rate: int) -> None:
    """`rate` records a second in steps of two milliseconds, each step with the stamp of its sending."""
    made_at = datetime.now(UTC)
    ring = feed.packed(feed.records(contract, base, made_at, apart_us=0), 1)
    old = feed.stamp(made_at).encode()
    due, place, owed = time.monotonic(), 0, 0.0
    while True:
        owed += rate * _STEP_S
        count = min(int(owed), len(ring))
        owed -= count
        step = (ring[place:] + ring[:place])[:count] if place + count > len(ring) else ring[place : place + count]
        hub.send(b"".join(step).replace(old, feed.stamp(datetime.now(UTC)).encode()))
        place = (place + count) % len(ring)
        due = max(due + _STEP_S, time.monotonic() - 0.1)
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
