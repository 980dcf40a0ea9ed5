"""Candles and volume on whole pixels, without antialiasing. Draws only what it is given; knows no series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import QLine, QRect, Qt
from PySide6.QtGui import QColor, QPainter

from ui.charting.bars import I64, Bars, BarSeries, pixel_columns
from ui.charting.viewport import Viewport

if TYPE_CHECKING:
    from ui.theme import Theme

STROKE_BELOW_PITCH = 3.0
VOLUME_ALPHA = 0.75


def body_width(pitch: float) -> int:
    """Widest odd body that leaves a gap: 5 at a pitch of 6."""
    width = max(1, int(pitch) - 1)
    return width if width % 2 else width - 1


def draw_bars(
    painter: QPainter, theme: Theme, view: Viewport, series: BarSeries, span: tuple[int, int], top_volume: int
) -> None:
    """Draw bars [first, last) of a series with their volume; folds them to pixel columns when they are narrow.

    top_volume: the volume that fills the strip, see `visible_volume`.
    """
    first, last = span
    if last <= first:
        return
    if view.pitch < STROKE_BELOW_PITCH:
        x, bars = pixel_columns(series, first, last, view.x_of(0), view.pitch)
        _draw_volume(painter, theme, view, (x, bars), (1, top_volume))
        _draw_strokes(painter, theme, view, x, bars)
        return
    bars = series.bars.part(first, last)
    x = np.floor(view.x_of(0) + np.arange(first, last) * view.pitch).astype(np.int64)
    width = body_width(view.pitch)
    _draw_volume(painter, theme, view, (x, bars), (max(1, width - 1), top_volume))
    _draw_candles(painter, theme, view, (x, bars), width)


def visible_volume(series: BarSeries, view: Viewport) -> int:
    """The largest volume on the plot, of a pixel column where bars are folded."""
    first, last = view.visible(series.count)
    if view.pitch < STROKE_BELOW_PITCH:
        _, bars = pixel_columns(series, first, last, view.x_of(0), view.pitch)
        return int(bars.volume_lots.max()) if bars.size else 1
    part = series.bars.volume_lots[first:last]
    return max(1, int(part.max())) if len(part) else 1


def _y(view: Viewport, ticks: I64) -> I64:
    scale = view.height / (view.top_ticks - view.bottom_ticks)
    y: I64 = np.floor((view.top_ticks - ticks) * scale).astype(np.int64)
    return y


def _draw_strokes(painter: QPainter, theme: Theme, view: Viewport, x: I64, bars: Bars) -> None:
    high, low = _y(view, bars.high_ticks), _y(view, bars.low_ticks)
    rising = bars.close_ticks >= bars.open_ticks
    for side, chosen in (("buy", rising), ("sell", ~rising)):
        painter.setPen(theme.side(side, "candle"))
        lines = zip(x[chosen].tolist(), high[chosen].tolist(), low[chosen].tolist(), strict=True)
        painter.drawLines([QLine(at, top, at, bottom) for at, top, bottom in lines])


def _draw_candles(painter: QPainter, theme: Theme, view: Viewport, placed: tuple[I64, Bars], width: int) -> None:
    x, bars = placed
    half = width // 2
    high, low = _y(view, bars.high_ticks), _y(view, bars.low_ticks)
    top = _y(view, np.maximum(bars.open_ticks, bars.close_ticks))
    bottom = _y(view, np.minimum(bars.open_ticks, bars.close_ticks))
    rising = bars.close_ticks >= bars.open_ticks
    for side, chosen in (("buy", rising), ("sell", ~rising)):
        outline = theme.side(side, "candle")
        at, heights = x[chosen].tolist(), (bottom - top)[chosen].tolist()
        wicks = zip(at, high[chosen].tolist(), low[chosen].tolist(), strict=True)
        painter.setPen(outline)
        painter.drawLines([QLine(c, a, c, b) for c, a, b in wicks])
        tops = top[chosen].tolist()
        painter.setBrush(theme.side(side, "candle_body"))
        if width < 3:
            painter.drawLines([QLine(c, t, c, t + h) for c, t, h in zip(at, tops, heights, strict=True)])
            continue
        painter.drawRects([QRect(c - half, t, width - 1, max(0, h)) for c, t, h in zip(at, tops, heights, strict=True)])
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _draw_volume(
    painter: QPainter, theme: Theme, view: Viewport, placed: tuple[I64, Bars], scale: tuple[int, int]
) -> None:
    x, bars = placed
    width, largest = scale
    room = view.height * float(theme.measure("chart.volume_share"))
    heights = np.minimum(np.ceil(bars.volume_lots * (room / max(1, largest))), room).astype(np.int64)
    rising = bars.close_ticks >= bars.open_ticks
    bottom = int(view.height)
    for side, chosen in (("buy", rising), ("sell", ~rising)):
        color = _on_ground(theme.side(side, "volume"), theme.color("chart.background"))
        shown = chosen & (heights > 0)
        spans = list(zip(x[shown].tolist(), heights[shown].tolist(), strict=True))
        if width == 1:
            painter.setPen(color)
            painter.drawLines([QLine(c, bottom - h, c, bottom - 1) for c, h in spans])
        else:
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(color)
            painter.drawRects([QRect(c - width // 2, bottom - h, width, h) for c, h in spans])
    painter.setBrush(Qt.BrushStyle.NoBrush)


def _on_ground(color: QColor, ground: QColor) -> QColor:
    """The colour at 75 % over the ground: opaque, because a thousand translucent rectangles take a whole frame."""
    own, under = VOLUME_ALPHA, 1 - VOLUME_ALPHA
    return QColor(
        round(color.red() * own + ground.red() * under),
        round(color.green() * own + ground.green() * under),
        round(color.blue() * own + ground.blue() * under),
    )
