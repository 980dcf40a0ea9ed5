"""The feed both sides of a measurement get: SignalR records in the broker's documented shapes, each in its own frame.

70 % depth records of one to six levels, 25 % quotes, 5 % prints; the book never crosses. Prices are multiples of a
quarter around a base, so the stream fits any contract with that tick.
"""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

END = b"\x1e"
TICK = 0.25
_TEXT_FRAME = 0x81


def frame(payload: bytes) -> bytes:
    """One unmasked WebSocket text frame, as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT_FRAME, size)) + payload
    if size < 65536:
        return bytes((_TEXT_FRAME, 126)) + size.to_bytes(2, "big") + payload
    return bytes((_TEXT_FRAME, 127)) + size.to_bytes(8, "big") + payload


def stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")


def records(contract: str, base: float, start: datetime, *, apart_us: int = 50, count: int = 4000) -> list[bytes]:
    """`count` records of one contract from `start` on, `apart_us` apart, each with its terminator."""
    chance = random.Random(7)
    made = []
    for number in range(count):
        at = stamp(start + timedelta(microseconds=apart_us * number))
        target, argument = _one(chance, contract, base, at, number)
        message = {"type": 1, "target": target, "arguments": [contract, argument]}
        made.append(json.dumps(message, separators=(",", ":")).encode() + END)
    return made


def _one(chance: random.Random, contract: str, base: float, at: str, number: int) -> tuple[str, Any]:
    symbol = contract.removeprefix("CON.").rpartition(".")[0]
    wave = (number // 8 % 5 - 2) * TICK
    kind = chance.random()
    if kind < 0.70:
        return "GatewayDepth", [_level(chance, base, at) for _ in range(chance.randrange(1, 7))]
    if kind < 0.95:
        return "GatewayQuote", _quote(symbol, base + wave, at, number)
    price = base + wave + TICK * chance.randrange(2)
    side, lots = chance.randrange(2), chance.randrange(1, 20)
    return "GatewayTrade", [{"symbolId": symbol, "price": price, "timestamp": at, "type": side, "volume": lots}]


def _level(chance: random.Random, base: float, at: str) -> dict[str, Any]:
    is_bid = chance.random() < 0.5
    away = chance.randrange(10) * TICK
    price = base - 3 * TICK - away if is_bid else base + 4 * TICK + away
    lots = chance.randrange(1, 90)
    return {"timestamp": at, "type": 2 if is_bid else 1, "price": price, "volume": lots, "currentVolume": lots}


def _quote(symbol: str, bid: float, at: str, number: int) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "symbolName": "/" + symbol.rpartition(".")[2],
        "lastPrice": bid,
        "bestBid": bid,
        "bestAsk": bid + TICK,
        "change": 35.5,
        "changePercent": 0.17,
        "open": bid - 10.0,
        "high": bid + 50.0,
        "low": bid - 50.0,
        "volume": 312_345 + number,
        "lastUpdated": at,
        "timestamp": at,
    }


def packed(made: list[bytes], per_frame: int) -> list[bytes]:
    """The records as frames of `per_frame` records each."""
    return [frame(b"".join(made[i : i + per_frame])) for i in range(0, len(made), per_frame)]
