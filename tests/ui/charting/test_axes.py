"""Axis tags push apart, time goes on to the right of the newest bar."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.charting.axes import future_labels, push_apart, thinned, time_labels
from ui.charting.viewport import Viewport

NINE_CHICAGO_NS = 1_795_100_400 * 1_000_000_000


@given(centres=st.lists(st.floats(20, 580), min_size=1, max_size=12))
def test_tags_never_overlap_and_keep_their_order(centres: list[float]) -> None:
    placed = push_apart(centres, [0] + [1] * (len(centres) - 1), 18, 600)
    gaps = np.diff(sorted(placed))
    assert all(gap >= 18 - 1e-6 for gap in gaps)
    for a in range(len(centres)):
        for b in range(len(centres)):
            assert centres[a] >= centres[b] or placed[a] < placed[b]


def test_the_last_price_never_moves() -> None:
    assert push_apart([100, 105, 110], [1, 0, 1], 18, 600) == [87, 105, 123]


def test_time_labels_are_round_chicago_times() -> None:
    times = NINE_CHICAGO_NS + np.arange(120, dtype=np.int64) * 60_000_000_000
    view = Viewport(width=800).following(120)
    labels = time_labels(times, view, 60, 84)
    assert [text[-2:] for _bar, text in labels] == ["15", "30", "45", "00", "15", "30", "45"][-len(labels) :]
    ahead = future_labels(times, view, 60, 84)
    assert [bar for bar, _text in ahead] == [120, 135, 150]


def test_marks_squeezed_by_a_gap_are_thinned() -> None:
    assert thinned([0, 1, 2, 20, 40], 15) == [0, 20, 40]


@pytest.mark.parametrize("bar_s", [86_400])
def test_day_bars_have_no_clock_times_ahead(bar_s: int) -> None:
    assert future_labels(np.array([NINE_CHICAGO_NS]), Viewport(), bar_s, 84) == []
