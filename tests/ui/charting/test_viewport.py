"""Where a chart looks: zoom keeps what is under the pointer, grids keep their distance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui.charting.viewport import (
    TIME_STEPS_S,
    Viewport,
    auto_range,
    needs_rescale,
    price_grid,
    time_marks,
    time_step_s,
)

VIEW = Viewport(width=800, height=600, right_bar=500, pitch=6, top_ticks=200, bottom_ticks=100)


@given(factor=st.floats(0.2, 5), x=st.floats(0, 800))
def test_zooming_time_keeps_the_bar_under_the_pointer(factor: float, x: float) -> None:
    zoomed = VIEW.zoomed_time(factor, x)
    assert zoomed.x_of(VIEW.bar_at(x)) == pytest.approx(x, abs=1e-6)


@given(factor=st.floats(0.2, 5), y=st.floats(0, 600))
def test_zooming_price_keeps_the_price_under_the_pointer(factor: float, y: float) -> None:
    zoomed = VIEW.zoomed_price(factor, y)
    assert zoomed.y_of(VIEW.ticks_at(y)) == pytest.approx(y, abs=1e-6)


@given(dx=st.floats(-5000, 5000), dy=st.floats(-5000, 5000))
def test_panning_there_and_back_is_where_it_began(dx: float, dy: float) -> None:
    back = VIEW.panned(dx, dy).panned(-dx, -dy)
    assert back.right_bar == pytest.approx(VIEW.right_bar)
    assert back.top_ticks == pytest.approx(VIEW.top_ticks)


def test_following_leaves_the_order_lane_free() -> None:
    view = VIEW.following(1_000)
    assert view.x_of(999) == pytest.approx(600)


def test_the_visible_range_never_leaves_the_series() -> None:
    assert VIEW.visible(0) == (0, 0)
    first, last = VIEW.visible(400)
    assert (first, last) == (366, 400)
    assert Viewport(right_bar=-500).visible(10) == (0, 0)


def test_a_price_on_a_grid_line_is_the_nearest_tick() -> None:
    assert VIEW.tick_at(VIEW.y_of(150) + 2.9) == 150
    assert VIEW.tick_at(VIEW.y_of(150) + 3.1) == 149


@given(span=st.floats(8, 100_000), per_unit=st.sampled_from([1, 4, 10, 100]))
def test_price_lines_stand_at_least_44_pixels_apart(span: float, per_unit: int) -> None:
    view = Viewport(height=600, top_ticks=1000 + span, bottom_ticks=1000)
    lines = price_grid(view, per_unit)
    gaps = np.diff([view.y_of(ticks) for ticks in lines])
    assert all(abs(gap) >= 44 - 1e-6 for gap in gaps)


def test_price_lines_of_a_quarter_point_contract_are_round_prices() -> None:
    lines = price_grid(Viewport(height=600, top_ticks=31_470, bottom_ticks=31_380), 4)
    assert all(ticks % 10 == 0 for ticks in lines)


def test_time_steps_stand_at_least_84_pixels_apart() -> None:
    assert time_step_s(60, 6) == 900
    assert all(time_step_s(60, pitch) / 60 * pitch >= 84 for pitch in (0.01, 0.5, 3, 60))
    assert time_step_s(14_400, 6) == 7 * 86_400
    assert time_step_s(86_400, 6) == 14 * 86_400
    assert 900 in TIME_STEPS_S


def test_time_lines_stand_where_local_time_is_round() -> None:
    minute = 60 * 1_000_000_000
    times = np.arange(100, dtype=np.int64) * minute
    assert time_marks(times, 1, 100, 1_800, -5 * 3_600) == [30, 60, 90]
    assert time_marks(times, 1, 100, 3_600, 1_800) == [30, 90]


def test_weeks_begin_on_monday() -> None:
    days = np.arange(15, dtype=np.int64) * 86_400 * 1_000_000_000
    assert time_marks(days, 0, 15, 7 * 86_400, 0) == [4, 11]


def test_the_scale_changes_only_when_a_price_leaves_the_plot() -> None:
    assert not needs_rescale(VIEW, 100, 200)
    assert needs_rescale(VIEW, 99, 150)
    assert needs_rescale(VIEW, 150, 201)


def test_an_automatic_range_leaves_room_for_legend_and_volume() -> None:
    lows, highs = np.array([100, 105], dtype=np.int64), np.array([150, 160], dtype=np.int64)
    found = auto_range(lows, highs, 600)
    assert found is not None
    view = VIEW.with_range(*found)
    assert view.y_of(160) == pytest.approx(56, abs=0.5)
    assert view.y_of(100) == pytest.approx(600 * 0.82, abs=0.5)
    assert auto_range(lows[:0], highs[:0], 600) is None
