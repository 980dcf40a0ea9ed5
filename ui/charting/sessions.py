"""Regular hours on the chart: which bars lie outside them, in Chicago time, right across a clock change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter

from ui.charting.bars import I64
from ui.charting.viewport import Viewport
from ui.formatting import chicago
from ui.painting import dash_pen

if TYPE_CHECKING:
    from ui.charting.lettering import Lettering
    from ui.theme import Theme

_DAY_S = 86_400
_EQUITY = (8 * 60 + 30, 15 * 60)
# Minutes of the Chicago day between which the pit or the underlying market is open.
REGULAR_HOURS = {
    "ES": _EQUITY,
    "MES": _EQUITY,
    "NQ": _EQUITY,
    "MNQ": _EQUITY,
    "CL": (8 * 60, 13 * 60 + 30),
    "GC": (7 * 60 + 20, 12 * 60 + 30),
}


def outside_runs(time_ns: I64, first: int, last: int, hours: tuple[int, int]) -> list[tuple[int, int]]:
    """Half-open runs of bars among [first, last) that open outside regular hours."""
    if last <= first:
        return []
    seconds = time_ns[first:last] // 1_000_000_000
    days, which = np.unique(seconds // _DAY_S, return_inverse=True)
    # Clocks change on a Sunday night, when no regular hours run, so one offset for a UTC day is enough.
    offsets = np.array([_offset_s(int(day) * _DAY_S + _DAY_S // 2) for day in days], dtype=np.int64)
    minute = (seconds + offsets[which]) % _DAY_S // 60
    is_outside = (minute < hours[0]) | (minute >= hours[1])
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_outside, [False]]).astype(np.int8)))
    return [(first + int(a), first + int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _offset_s(utc_s: int) -> int:
    offset = chicago(utc_s * 1_000_000_000).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def draw_sessions(painter: QPainter, theme: Theme, view: Viewport, runs: list[tuple[int, int]], count: int) -> None:
    """Shade what lies outside; behind the newest bar too while it lies outside itself."""
    height = int(view.height)
    for begin, end in runs:
        left, right = view.x_of(begin - 0.5), view.width if end == count else view.x_of(end - 0.5)
        painter.fillRect(QRectF(round(left), 0, round(right) - round(left), height), theme.color("chart.session_shade"))


def draw_openings(
    painter: QPainter,
    theme: Theme,
    letters: Lettering,
    view: Viewport,
    runs: list[tuple[int, int]],
    opens: str,
    count: int,
) -> None:
    """Dashed line where regular hours begin, with a small label left of it."""
    painter.setPen(dash_pen(theme.color("line.strong"), [2.0, 3.0]))
    for _begin, end in runs:
        if end < count:
            x = round(view.x_of(end - 0.5))
            painter.drawLine(x, 0, x, int(view.height))
    color = theme.color("text.muted")
    for _begin, end in runs:
        if end < count:
            letters.right(painter, view.x_of(end - 0.5) - 6, view.height * 0.82 - 20, 18, opens, "micro", color)
