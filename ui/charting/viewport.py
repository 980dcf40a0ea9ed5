"""Where a chart looks, as pure numbers: bars to x, ticks to y, and back.

Bars are counted from the newest one to the left: the viewport stores the index of the bar at its right edge as a float
(`right_bar`), so that following the right edge, panning and inserting older history are each one assignment. The pitch
is pixels per bar, the price range is in ticks. Nothing here knows Qt.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]

MIN_PITCH = 0.0005
MAX_PITCH = 60.0
DEFAULT_PITCH = 6.0
RIGHT_LANE_PX = 200
MIN_RANGE_TICKS = 8.0


@dataclass(frozen=True, slots=True)
class Viewport:
    """Immutable: every movement returns a new one, so a drag can always go back to where it began.

    width, height: plot size in px. right_bar: bar index (float) at the right edge of the plot. pitch: px per bar.
    top_ticks, bottom_ticks: prices at the upper and lower edge, top greater than bottom.
    """

    width: float = 800.0
    height: float = 600.0
    right_bar: float = 0.0
    pitch: float = DEFAULT_PITCH
    top_ticks: float = 100.0
    bottom_ticks: float = 0.0

    def x_of(self, bar: float) -> float:
        """Centre of a bar."""
        return self.width - (self.right_bar - bar) * self.pitch

    def bar_at(self, x: float) -> float:
        return self.right_bar - (self.width - x) / self.pitch

    def y_of(self, ticks: float) -> float:
        return (self.top_ticks - ticks) * self.height / (self.top_ticks - self.bottom_ticks)

    def ticks_at(self, y: float) -> float:
        return self.top_ticks - y * (self.top_ticks - self.bottom_ticks) / self.height

    def tick_at(self, y: float) -> int:
        """The valid price nearest to a height."""
        return round(self.ticks_at(y))

    @property
    def left_bar(self) -> float:
        return self.bar_at(0.0)

    def visible(self, count: int) -> tuple[int, int]:
        """Half-open range of bars that touch the plot."""
        first = max(0, int(np.floor(self.left_bar - 0.5)))
        last = min(count, int(np.ceil(self.right_bar + 0.5)) + 1)
        return min(first, count), max(min(first, count), last)

    def resized(self, width: float, height: float) -> Viewport:
        return replace(self, width=max(1.0, width), height=max(1.0, height))

    def panned(self, dx: float, dy: float = 0.0) -> Viewport:
        """Move the content by pixels: positive dx shows older bars."""
        ticks = dy * (self.top_ticks - self.bottom_ticks) / self.height
        return replace(
            self,
            right_bar=self.right_bar - dx / self.pitch,
            top_ticks=self.top_ticks + ticks,
            bottom_ticks=self.bottom_ticks + ticks,
        )

    def zoomed_time(self, factor: float, x: float) -> Viewport:
        """Zoom time so that the bar under x stays under x."""
        pitch = min(MAX_PITCH, max(MIN_PITCH, self.pitch * factor))
        anchor = self.bar_at(x)
        return replace(self, pitch=pitch, right_bar=anchor + (self.width - x) / pitch)

    def zoomed_price(self, factor: float, y: float) -> Viewport:
        """Zoom price so that the price under y stays under y; factor above 1 comes closer."""
        span = max(MIN_RANGE_TICKS, (self.top_ticks - self.bottom_ticks) / factor)
        anchor = self.ticks_at(y)
        top = anchor + span * (y / self.height)
        return replace(self, top_ticks=top, bottom_ticks=top - span)

    def with_range(self, low_ticks: float, high_ticks: float) -> Viewport:
        """Show at least this price range, never less than a few ticks."""
        missing = max(0.0, MIN_RANGE_TICKS - (high_ticks - low_ticks)) / 2
        return replace(self, top_ticks=high_ticks + missing, bottom_ticks=low_ticks - missing)

    def following(self, count: int, lane_px: float = RIGHT_LANE_PX) -> Viewport:
        """The newest bar stands left of the order lane."""
        lane = min(lane_px, self.width / 2)
        return replace(self, right_bar=count - 1 + lane / self.pitch)

    def advanced(self, bars: int) -> Viewport:
        """Move on by new bars: the newest one stays where the one before stood."""
        return replace(self, right_bar=self.right_bar + bars)

    def shows_bar(self, bar: int) -> bool:
        return self.left_bar - 0.5 <= bar <= self.right_bar + 0.5


def auto_range(
    lows: I64, highs: I64, height: float, *, top_px: float = 56.0, bottom_share: float = 0.18
) -> tuple[float, float] | None:
    """Price range that shows the given bars between the legend and the volume strip, or None without bars."""
    if len(lows) == 0:
        return None
    low, high = float(lows.min()), float(highs.max())
    room = max(1.0, height - top_px - height * bottom_share)
    per_px = max(high - low, MIN_RANGE_TICKS) / room
    return low - per_px * height * bottom_share, high + per_px * top_px


def needs_rescale(view: Viewport, low: float, high: float) -> bool:
    """True when a price leaves the plot: the only moment besides a bar close at which the scale may change."""
    return high > view.top_ticks or low < view.bottom_ticks


def price_grid(view: Viewport, ticks_per_unit: int, *, min_px: float = 44.0) -> list[int]:
    """Grid prices in ticks, at least min_px apart, on steps people count in.

    ticks_per_unit: ticks in one whole price unit (4 for a quarter-point tick), used to prefer round prices.
    """
    span = view.top_ticks - view.bottom_ticks
    least = span * min_px / view.height
    step = next(s for s in _price_steps(ticks_per_unit) if s >= least)
    first = int(np.ceil(view.bottom_ticks / step)) * step
    return list(range(first, int(np.floor(view.top_ticks)) + 1, step))


def _price_steps(ticks_per_unit: int) -> list[int]:
    base = max(1, ticks_per_unit)
    below = [s for s in (1, 2, 5, 10, 20, 25, 50) if s < base and base % s == 0]
    above = []
    scale = base
    for _ in range(12):
        above += [scale, scale * 5 // 2 if scale % 2 == 0 else scale * 2, scale * 5]
        scale *= 10
    return sorted({*below, *above})


DAY_S = 86_400
TIME_STEPS_S = (1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


def time_step_s(bar_seconds: float, pitch: float, *, min_px: float = 84.0) -> int:
    """Seconds between time grid lines, at least min_px apart; above a day, whole days."""
    least = bar_seconds * min_px / pitch
    for step in TIME_STEPS_S:
        if step >= least:
            return step
    days = 2 if least <= 2 * DAY_S else 7
    while days * DAY_S < least:
        days *= 2
    return days * DAY_S


def time_marks(time_ns: I64, first: int, last: int, step_s: int, offset_s: int) -> list[int]:
    """Indices of bars that open a new step of local time, among [first, last).

    offset_s: local time minus UTC in seconds, so that hours and days start where the exchange's do. Looks the steps up
    instead of walking the bars, so a view of a million bars costs what a view of a hundred does.
    """
    if last - first < 1:
        return []
    if step_s % (7 * DAY_S) == 0:
        offset_s += 3 * DAY_S  # 1 January 1970 was a Thursday; weeks begin on Monday
    step_ns, offset_ns = step_s * 1_000_000_000, offset_s * 1_000_000_000
    begin = int(time_ns[first]) + offset_ns
    end = int(time_ns[last - 1]) + offset_ns
    steps = np.arange(-(-begin // step_ns), end // step_ns + 1, dtype=np.int64) * step_ns - offset_ns
    found = np.unique(np.searchsorted(time_ns[first:last], steps) + first)
    return [int(i) for i in found if i > 0]
