"""The day's average price equals the textbook sum, and no day without its beginning has one."""

from __future__ import annotations

import numpy as np
import pytest

from ui.charting.bars import Bars
from ui.charting.vwap import first_whole_bar, vwap_of

MINUTE_NS = 60_000_000_000
NINE_CHICAGO_NS = 1_795_100_400 * 1_000_000_000
EVENING_NS = NINE_CHICAGO_NS + 8 * 60 * MINUTE_NS


def bars(first_ns: int, count: int) -> Bars:
    random = np.random.default_rng(3)
    middle = 30_000 + random.integers(-40, 40, count)
    times = first_ns + np.arange(count, dtype=np.int64) * MINUTE_NS
    return Bars(times, middle, middle + 3, middle - 3, middle, random.integers(1, 500, count))


def test_the_average_and_its_deviation_are_those_of_all_lots_since_the_evening() -> None:
    given = bars(EVENING_NS, 300)
    found = vwap_of(given)
    mean = np.average(given.close_ticks, weights=given.volume_lots)
    spread = np.sqrt(np.average((given.close_ticks - mean) ** 2, weights=given.volume_lots))
    assert found.average[-1] == pytest.approx(mean)
    assert found.deviation[-1] == pytest.approx(spread)


def test_a_new_trading_day_begins_with_its_first_bar() -> None:
    given = bars(EVENING_NS - 60 * MINUTE_NS, 120)
    found = vwap_of(given)
    assert found.average[60] == pytest.approx(given.close_ticks[60])
    assert found.deviation[60] == pytest.approx(0, abs=1e-3)
    assert found.days[59] + 1 == found.days[60]


def test_a_day_whose_beginning_is_missing_has_no_average() -> None:
    assert first_whole_bar(bars(NINE_CHICAGO_NS, 100).time_ns) == 100
    assert first_whole_bar(bars(EVENING_NS - 60 * MINUTE_NS, 120).time_ns) == 60
    assert first_whole_bar(bars(EVENING_NS, 10).time_ns) == 0
