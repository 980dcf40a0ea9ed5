"""What the recorded hour says by itself, read straight from its files: the known answers of `accept replay`."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as parquet

# Before this the recorded book is the crossed one of the opening auction.
CHECK_FROM_NS = 1_703_545_200_000_100_000
LEVELS = 10
MINUTE_NS = 60_000_000_000
TICK = Decimal("0.25")

I64 = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Print:
    time_ns: int
    ticks: int
    lots: int


def prints(levels: Path) -> list[Print]:
    """The trades file beside the levels file, oldest first."""
    name = levels.name.replace(".levels.", ".trades.")
    with gzip.open(levels.with_name(name), "rt", encoding="utf-8", newline="") as file:
        return [
            Print(int(row["ts_event_ns"]), int(Decimal(row["price"]) / TICK), int(row["size"]))
            for row in csv.DictReader(file)
        ]


def minute_bars(trades: list[Print]) -> dict[int, tuple[int, int, int, int, int]]:
    """Opening time to (open, high, low, close, volume), from the prints alone."""
    bars: dict[int, tuple[int, int, int, int, int]] = {}
    for trade in trades:
        start = trade.time_ns // MINUTE_NS * MINUTE_NS
        first, high, low, _, volume = bars.get(start, (trade.ticks, trade.ticks, trade.ticks, trade.ticks, 0))
        bars[start] = (first, max(high, trade.ticks), min(low, trade.ticks), trade.ticks, volume + trade.lots)
    return bars


def top_ten(levels: Path) -> dict[int, I64]:
    """Depth time in units of 100 ns to 40 numbers: bid ticks, bid lots, ask ticks, ask lots, ten each.

    The inside comes first; 0 stands where there is no level.
    """
    name = levels.name.replace(".levels.csv.gz", ".mbp10.parquet")
    table = parquet.read_table(levels.with_name(name))
    times = table.column("ts_event_ns").to_numpy()
    columns = []
    for side in ("bid", "ask"):
        prices = np.stack([table.column(f"{side}_px_{n:02d}").to_numpy() for n in range(LEVELS)], axis=1)
        sizes = np.stack([table.column(f"{side}_sz_{n:02d}").to_numpy() for n in range(LEVELS)], axis=1)
        is_level = np.nan_to_num(sizes) > 0
        columns.append(np.where(is_level, np.rint(np.nan_to_num(prices) * 4), 0).astype(np.int64))
        columns.append(np.where(is_level, sizes, 0).astype(np.int64))
    rows = np.concatenate(columns, axis=1)
    return {int(t) // 100: row for t, row in zip(times, rows, strict=True) if t >= CHECK_FROM_NS}
