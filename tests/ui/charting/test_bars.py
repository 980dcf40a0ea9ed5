"""Bars: changes join, folding to pixels loses no high, no low and no lot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from app.domain import BarFrame
from ui.charting.bars import BarSeries, pixel_columns


def frame(first: int, closes: list[int], *, is_forming: bool = True) -> BarFrame:
    close = np.array(closes, dtype=np.int64)
    times = (np.arange(len(closes), dtype=np.int64) + first) * 60_000_000_000
    return BarFrame(
        contract=0, unit="minute", number=1, revision=1, first_changed=first, count=first + len(closes), time_ns=times,
        open_ticks=close - 1, high_ticks=close + 2, low_ticks=close - 3, close_ticks=close,
        volume_lots=close * 0 + 5, is_forming=is_forming, is_loading=False,
    )  # fmt: skip


def random_series(count: int, seed: int) -> BarSeries:
    series = BarSeries()
    walk = np.random.default_rng(seed).integers(-3, 4, count).cumsum() + 30_000
    series.apply(frame(0, walk.tolist()))
    return series


def test_a_tick_replaces_only_the_forming_bar_and_a_new_bar_joins() -> None:
    series = BarSeries()
    series.apply(frame(0, [10, 11, 12]))
    assert series.apply(frame(2, [15])) == 2
    series.apply(frame(2, [15, 16]))
    assert series.bars.close_ticks.tolist() == [10, 11, 15, 16]


def test_a_whole_series_replaces_the_old_one() -> None:
    series = BarSeries()
    series.apply(frame(0, list(range(3_000))))
    series.apply(frame(0, [1, 2]))
    assert series.count == 2
    assert series.level(8).size == 0


@settings(max_examples=40, deadline=None)
@given(count=st.integers(1, 30_000), pitch=st.sampled_from([2.0, 0.7, 0.2, 0.01, 0.002]), seed=st.integers(0, 99))
def test_folding_to_pixels_keeps_the_extremes(count: int, pitch: float, seed: int) -> None:
    series = random_series(count, seed)
    x, folded = pixel_columns(series, 0, count, 0.0, pitch)
    whole = series.bars
    assert len(x) == folded.size == len(set(x.tolist()))
    assert folded.high_ticks.max() == whole.high_ticks.max()
    assert folded.low_ticks.min() == whole.low_ticks.min()
    assert folded.volume_lots.sum() == whole.volume_lots.sum()
    assert folded.close_ticks[-1] == whole.close_ticks[-1]


def test_blocks_follow_when_older_bars_change() -> None:
    series = random_series(10_000, 1)
    series.level(64)
    series.apply(frame(0, [7] * 10_000))
    assert series.level(64).high_ticks.max() == 9


def test_a_million_bars_fold_to_few_columns() -> None:
    series = random_series(1_000_000, 3)
    x, folded = pixel_columns(series, 0, 1_000_000, 0.0, 0.0008)
    assert len(x) <= 801
    assert folded.size == len(x)
