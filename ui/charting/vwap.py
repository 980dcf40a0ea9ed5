"""Volume-weighted average price of the trading day with its bands, from the bars on hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, Qt
from PySide6.QtGui import QPainter, QPen, QPolygonF

from ui.charting.bars import I64, Bars
from ui.formatting import chicago
from ui.painting import dash_pen

if TYPE_CHECKING:
    from ui.charting.viewport import Viewport
    from ui.theme import Theme

F64 = npt.NDArray[np.float64]

_HOUR_NS = 3_600 * 1_000_000_000
_DAY_NS = 24 * _HOUR_NS
_EVENING_HOURS = 7


class Vwap(NamedTuple):
    """Ticks per bar: the average and one standard deviation; `days` numbers the trading day of each bar."""

    average: F64
    deviation: F64
    days: I64

    def since(self, bar: int) -> Vwap:
        """Without the bars before one."""
        return Vwap(self.average[bar:], self.deviation[bar:], self.days[bar:])


def first_whole_bar(time_ns: I64) -> int:
    """Where the first trading day begins of which no bar is missing at the front."""
    days = trading_days(time_ns)
    if len(days) == 0 or _into_day(time_ns[:1]) < _HOUR_NS:
        return 0
    later = np.flatnonzero(days != days[0])
    return int(later[0]) if len(later) else len(days)


def trading_days(time_ns: I64) -> I64:
    """Number of the trading day of each bar: it begins at 17:00 in Chicago, the evening before."""
    if len(time_ns) == 0:
        return time_ns
    days: I64 = _from_evening(time_ns) // _DAY_NS
    return days


def _into_day(time_ns: I64) -> int:
    """Nanoseconds since the trading day of the first bar began."""
    return int(_from_evening(time_ns)[0] % _DAY_NS)


def _from_evening(time_ns: I64) -> I64:
    offset = chicago(int(time_ns[-1])).utcoffset()
    shift = round(offset.total_seconds()) * 1_000_000_000 if offset is not None else 0
    moved: I64 = time_ns + shift + _EVENING_HOURS * _HOUR_NS
    return moved


def vwap_of(bars: Bars) -> Vwap:
    """Running average of every bar's middle price, weighed by volume, begun anew with each trading day."""
    days = trading_days(bars.time_ns)
    middle = (bars.high_ticks + bars.low_ticks + bars.close_ticks) / 3.0
    if bars.size == 0:
        return Vwap(middle, middle, days)
    # Relative to the first price, so that squares keep their digits.
    origin = middle[0]
    weight = bars.volume_lots.astype(np.float64)
    from_origin = middle - origin
    volume, first, second = (_since_day_began(weight * from_origin**power, days) for power in (0, 1, 2))
    volume = np.maximum(volume, 1.0)
    average = first / volume
    deviation = np.sqrt(np.maximum(second / volume - average**2, 0.0))
    return Vwap(average + origin, deviation, days)


def _since_day_began(values: F64, days: I64) -> F64:
    """Running sum that starts from nothing where the day changes."""
    total = np.cumsum(values)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(days) != 0]))
    before = np.where(starts > 0, total[np.maximum(starts - 1, 0)], 0.0)
    lengths = np.diff(np.append(starts, len(values)))
    since: F64 = total - np.repeat(before, lengths)
    return since


def draw_vwap(painter: QPainter, theme: Theme, view: Viewport, first: int, shown: Vwap) -> None:
    """The line, a filled first band and a dashed second one, per trading day. `first`: bar of the first value."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    breaks = np.flatnonzero(np.diff(shown.days)) + 1
    for run in np.split(np.arange(len(shown.days)), breaks):
        if len(run) > 1:
            _draw_day(painter, theme, view, (run + first).tolist(), shown, run)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)


def _draw_day(painter: QPainter, theme: Theme, view: Viewport, bars: list[int], shown: Vwap, run: I64) -> None:
    average, deviation = shown.average[run], shown.deviation[run]

    def line(shift: int) -> list[QPointF]:
        levels = (average + shift * deviation).tolist()
        return [QPointF(view.x_of(bar), view.y_of(level)) for bar, level in zip(bars, levels, strict=True)]

    upper, lower = line(1), line(-1)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.color("chart.band_fill"))
    painter.drawPolygon(QPolygonF(upper + lower[::-1]))
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(theme.color("chart.band"), 1))
    painter.drawPolyline(QPolygonF(upper))
    painter.drawPolyline(QPolygonF(lower))
    painter.setPen(dash_pen(theme.color("chart.band"), [3.0, 3.0]))
    painter.drawPolyline(QPolygonF(line(2)))
    painter.drawPolyline(QPolygonF(line(-2)))
    painter.setPen(QPen(theme.color("chart.vwap"), 1.5))
    painter.drawPolyline(QPolygonF(line(0)))
