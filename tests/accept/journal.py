"""A second reader of the order journal, written from its format and from decision 7 alone."""

from __future__ import annotations

import json
import struct
import zlib
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

MAGIC = b"PDKJRNL\n"
CHAIN_BYTES = 16


def records(file: Path) -> Iterator[dict[str, Any]]:
    """Every whole record, oldest first. Raises ValueError where a checksum does not hold."""
    data = file.read_bytes()
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{file.name} is no order journal")
    _version, length, _crc = struct.unpack_from("<III", data, len(MAGIC))
    at = len(MAGIC) + 12 + length
    while at + 8 + CHAIN_BYTES <= len(data):
        length, crc = struct.unpack_from("<II", data, at)
        payload = data[at + 8 + CHAIN_BYTES : at + 8 + CHAIN_BYTES + length]
        if len(payload) < length:
            return
        if zlib.crc32(payload) != crc:
            raise ValueError(f"{file.name}: the record at byte {at} does not match its checksum")
        yield json.loads(payload)
        at += 8 + CHAIN_BYTES + length


def half_even(value: Fraction) -> int:
    return round(value)


def net_1e4(base: Path, account: int) -> int:
    """Realised result less fees of an account's fills in every journal below `base`, in 1/10,000 of a dollar."""
    fills: dict[int, dict[str, Any]] = {}
    tick_value: dict[str, int] = {}
    for file in sorted(base.rglob("*.journal")):
        for record in records(file):
            if record["t"] == "contract":
                tick_value[record["id"]] = int(record["tick_value"])
            elif record["t"] == "trade" and record["account"] == account:
                fills[int(record["trade_id"])] = record
    by_contract: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for fill in sorted((f for f in fills.values() if not f["voided"]), key=lambda f: (f["time"], f["trade_id"])):
        by_contract[fill["contract"]].append(fill)
    return sum(realised(rows, tick_value[contract]) for contract, rows in by_contract.items())


def realised(fills: list[dict[str, Any]], tick_value_1e4: int) -> int:
    """Average cost: a closing fill of q out of Q takes cost * q / Q, half to even; the last takes the rest."""
    lots, cost, net = 0, 0, 0
    for fill in fills:
        size = int(fill["size"]) * (1 if fill["side"] == 0 else -1)
        net -= int(fill["fees"])
        closing = max(-abs(lots), min(abs(lots), -size * (1 if lots > 0 else -1))) if lots * size < 0 else 0
        if closing:
            direction = 1 if lots > 0 else -1
            share = cost if closing == abs(lots) else half_even(Fraction(cost * closing, abs(lots)))
            net += direction * int(fill["price"]) * closing * tick_value_1e4 - share
            cost -= share
            lots -= direction * closing
            size += direction * closing
        lots += size
        cost += size * int(fill["price"]) * tick_value_1e4
    return net
