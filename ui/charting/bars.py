"""The bars a chart holds, and their reduction to pixel columns.

A chart of a million bars costs the same to pan as a chart of a thousand: when a bar is narrower than a pixel, blocks of
8, 64, 512 ... bars are folded once and kept, and a frame folds at most some thousands of them into its columns.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from app.domain import BarFrame

I64 = npt.NDArray[np.int64]

BLOCK = 8


class Bars(NamedTuple):
    """Equal-length columns, oldest first."""

    time_ns: I64
    open_ticks: I64
    high_ticks: I64
    low_ticks: I64
    close_ticks: I64
    volume_lots: I64

    @property
    def size(self) -> int:
        return len(self.time_ns)

    def part(self, first: int, last: int) -> Bars:
        return Bars(*(column[first:last] for column in self))


def no_bars() -> Bars:
    return Bars(*(np.zeros(0, dtype=np.int64) for _ in range(6)))


@dataclass(slots=True)
class BarSeries:
    """Bars in growing buffers plus folded blocks. `apply` takes what changed and says where the change began."""

    is_forming: bool = False
    _columns: list[I64] = field(default_factory=lambda: [np.zeros(1024, dtype=np.int64) for _ in range(6)])
    _count: int = 0
    _levels: dict[int, Bars] = field(default_factory=dict)

    @property
    def count(self) -> int:
        return self._count

    @property
    def bars(self) -> Bars:
        return Bars(*(column[: self._count] for column in self._columns))

    def apply(self, frame: BarFrame) -> int:
        """Replace everything from `first_changed` on; returns the first bar that differs."""
        first = min(frame.first_changed, self._count)
        assert frame.first_changed in {first, 0}, "a change joins the bars already held"
        new = (
            frame.time_ns, frame.open_ticks, frame.high_ticks, frame.low_ticks, frame.close_ticks, frame.volume_lots
        )  # fmt: skip
        end = first + len(frame.time_ns)
        self._reserve(end)
        for column, values in zip(self._columns, new, strict=True):
            column[first:end] = values
        self._count = end
        self.is_forming = frame.is_forming
        self._forget_from(first)
        return first

    def clear(self) -> None:
        self._count = 0
        self._levels.clear()

    def _reserve(self, count: int) -> None:
        size = len(self._columns[0])
        if count <= size:
            return
        size = max(count, size * 2)
        self._columns = [
            np.concatenate([c[: self._count], np.zeros(size - self._count, np.int64)]) for c in self._columns
        ]

    def _forget_from(self, first: int) -> None:
        for size, level in list(self._levels.items()):
            self._levels[size] = level.part(0, first // size)

    def level(self, size: int) -> Bars:
        """Whole blocks of `size` bars, a power of eight; only blocks not folded before are computed."""
        held = self._levels.get(size) or no_bars()
        blocks = self._count // size
        if held.size < blocks:
            finer = self.level(size // BLOCK) if size > BLOCK else self.bars
            fresh = fold_blocks(finer.part(held.size * BLOCK, blocks * BLOCK), BLOCK)
            held = Bars(*(np.concatenate(pair) for pair in zip(held, fresh, strict=True)))
            self._levels[size] = held
        return held


def fold_blocks(bars: Bars, size: int) -> Bars:
    """Fold equal blocks; the length must be a multiple of size."""

    def shaped(column: I64) -> I64:
        return column.reshape(-1, size)

    return Bars(
        shaped(bars.time_ns)[:, 0],
        shaped(bars.open_ticks)[:, 0],
        shaped(bars.high_ticks).max(axis=1),
        shaped(bars.low_ticks).min(axis=1),
        shaped(bars.close_ticks)[:, -1],
        shaped(bars.volume_lots).sum(axis=1),
    )


def fold_at(bars: Bars, starts: I64) -> Bars:
    """Fold runs of bars that begin at `starts` (ascending, the first one 0)."""
    if len(starts) == 0 or bars.size == 0:
        return no_bars()
    ends = np.append(starts[1:], bars.size) - 1
    return Bars(
        bars.time_ns[starts],
        bars.open_ticks[starts],
        np.maximum.reduceat(bars.high_ticks, starts),
        np.minimum.reduceat(bars.low_ticks, starts),
        bars.close_ticks[ends],
        np.add.reduceat(bars.volume_lots, starts),
    )


def pixel_columns(series: BarSeries, first: int, last: int, x_of_zero: float, pitch: float) -> tuple[I64, Bars]:
    """Bars [first, last) folded to one per pixel column: (x of each column, folded bars).

    x_of_zero: x of bar 0. Blocks are used when a pixel holds many bars; a block counts for the pixel of its first bar.
    The newest bars that do not fill a block yet are folded into one of their own.
    """
    size = 1
    while size * BLOCK * pitch <= 0.25:
        size *= BLOCK
    low = first // size
    part = series.bars.part(first, last) if size == 1 else _blocks(series, size, low, last)
    x = np.floor(x_of_zero + (np.arange(low, low + part.size) * size) * pitch).astype(np.int64)
    if part.size == 0:
        return x, part
    starts = np.flatnonzero(np.concatenate([[True], np.diff(x) != 0]))
    return x[starts], fold_at(part, starts)


def _blocks(series: BarSeries, size: int, low: int, last: int) -> Bars:
    whole = series.level(size)
    part = whole.part(low, -(-last // size))
    rest = series.bars.part(max(low, whole.size) * size, last)
    if rest.size == 0:
        return part
    tail = fold_at(rest, np.zeros(1, dtype=np.int64))
    return Bars(*(np.concatenate(pair) for pair in zip(part, tail, strict=True)))
