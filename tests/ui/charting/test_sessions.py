"""Regular hours: right in summer and winter time."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ui.charting.sessions import REGULAR_HOURS, outside_runs

CHICAGO = ZoneInfo("America/Chicago")


@pytest.mark.parametrize("day", [datetime(2026, 7, 1, tzinfo=CHICAGO), datetime(2026, 12, 1, tzinfo=CHICAGO)])
def test_equity_hours_run_from_half_past_eight_to_three_in_chicago(day: datetime) -> None:
    start = int(day.timestamp())
    times = (start + np.arange(24 * 60, dtype=np.int64) * 60) * 1_000_000_000
    assert outside_runs(times, 0, len(times), REGULAR_HOURS["ES"]) == [(0, 510), (900, 1_440)]


def test_a_view_inside_regular_hours_has_no_shade() -> None:
    start = int(datetime(2026, 12, 1, 9, tzinfo=CHICAGO).timestamp())
    times = (start + np.arange(60, dtype=np.int64) * 60) * 1_000_000_000
    assert outside_runs(times, 0, 60, REGULAR_HOURS["ES"]) == []
    assert outside_runs(times, 0, 0, REGULAR_HOURS["ES"]) == []
