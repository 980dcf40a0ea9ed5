"""Grid, price axis with its tags, and time axis. Tags push apart while their tips stay on the true price."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from ui.charting.bars import I64
from ui.charting.lettering import Lettering
from ui.charting.viewport import Viewport, price_grid, time_marks, time_step_s
from ui.formatting import chicago, price_text
from ui.painting import dash_pen

if TYPE_CHECKING:
    from app.domain import Contract
    from ui.theme import Theme

PRICE_AXIS = 74
TIME_AXIS = 22
TAG_HEIGHT = 18
DAY_S = 86_400


class Tag(NamedTuple):
    """One price on the axis. rank 0 never moves. style: filled, dot, dash, light, grey."""

    ticks: int
    text: str
    style: str
    side: str = ""
    rank: int = 1


def push_apart(centres: list[float], ranks: list[int], height: float, limit: float) -> list[float]:
    """Move tag centres so that they lie `height` apart, order kept, those of rank 0 in place, all within 0..limit."""
    order = sorted(range(len(centres)), key=lambda i: (centres[i], ranks[i]))
    placed = [min(max(centres[i], height / 2), limit - height / 2) for i in order]
    fixed = next((n for n, i in enumerate(order) if ranks[i] == 0), None)
    start = fixed if fixed is not None else 0
    for n in range(start + 1, len(placed)):
        placed[n] = max(placed[n], placed[n - 1] + height)
    for n in range(start - 1, -1, -1):
        placed[n] = min(placed[n], placed[n + 1] - height)
    result = [0.0] * len(centres)
    for n, i in enumerate(order):
        result[i] = placed[n]
    return result


def draw_grid(painter: QPainter, theme: Theme, view: Viewport, prices: list[int], bars_at: list[int]) -> None:
    """Hair lines at the given prices and bars."""
    painter.setPen(theme.color("chart.grid"))
    for ticks in prices:
        y = int(view.y_of(ticks))
        painter.drawLine(0, y, int(view.width), y)
    for bar in bars_at:
        x = int(view.x_of(bar))
        painter.drawLine(x, 0, x, int(view.height))


def grid_prices(view: Viewport, contract: Contract, theme: Theme) -> list[int]:
    """Prices of the grid, round ones first."""
    per_unit = 10**contract.decimals
    ticks_per_unit = per_unit // contract.tick_units if per_unit % contract.tick_units == 0 else 1
    return price_grid(view, ticks_per_unit, min_px=float(theme.measure("chart.grid_min_px_y")))


def draw_price_axis(painter: QPainter, theme: Theme, view: Viewport) -> None:
    """Ground right of the plot."""
    x = int(view.width)
    painter.fillRect(x, 0, PRICE_AXIS, int(view.height) + TIME_AXIS, theme.color("surface.header"))
    painter.fillRect(x, 0, 1, int(view.height) + TIME_AXIS, theme.color("line.border"))


def draw_price_labels(
    painter: QPainter,
    theme: Theme,
    letters: Lettering,
    view: Viewport,
    labels: list[tuple[int, str]],
    taken: list[tuple[float, float]],
) -> None:
    """Grid prices, except where a tag or plate stands: taken holds (top, bottom) in pixels."""
    color = theme.color("chart.axis_text")
    for ticks, text in labels:
        y = view.y_of(ticks)
        is_covered = any(top < y + 7 and y - 7 < bottom for top, bottom in taken)
        if 8 <= y <= view.height - 8 and not is_covered:
            letters.right(painter, view.width + PRICE_AXIS - 8, y - 9, TAG_HEIGHT, text, "caption", color, 400)


def price_labels(prices: list[int], contract: Contract) -> list[tuple[int, str]]:
    return [(ticks, price_text(ticks, contract)) for ticks in prices]


def time_labels(time_ns: I64, view: Viewport, bar_s: float, min_px: float) -> list[tuple[int, str]]:
    """(bar, text) of the time grid: clock times, and the date where a day begins."""
    count = len(time_ns)
    first, last = view.visible(count)
    if last <= first:
        return []
    step = time_step_s(bar_s, view.pitch, min_px=min_px)
    offset = chicago(int(time_ns[last - 1])).utcoffset()
    offset_s = int(offset.total_seconds()) if offset is not None else 0
    labels: list[tuple[int, str]] = []
    before = None
    for bar in thinned(time_marks(time_ns, first, last, step, offset_s), min_px / view.pitch):
        moment = chicago(int(time_ns[bar]))
        is_new_day = before is None or moment.date() != before
        if step >= DAY_S or (is_new_day and before is not None):
            text = moment.strftime("%d %b")
        else:
            text = moment.strftime("%H:%M:%S" if step < 60 else "%H:%M")
        before = moment.date()
        labels.append((bar, text))
    return labels


def future_labels(time_ns: I64, view: Viewport, bar_s: float, min_px: float) -> list[tuple[int, str]]:
    """Clock times right of the newest bar, for intraday bars: where time goes on at the same pace."""
    step = time_step_s(bar_s, view.pitch, min_px=min_px)
    if len(time_ns) == 0 or step >= DAY_S or bar_s >= DAY_S:
        return []
    last_s = int(time_ns[-1]) // 1_000_000_000
    offset = chicago(int(time_ns[-1])).utcoffset()
    offset_s = int(offset.total_seconds()) if offset is not None else 0
    labels = []
    moment = ((last_s + offset_s) // step + 1) * step - offset_s
    while (bar := len(time_ns) - 1 + (moment - last_s) / bar_s) <= view.right_bar:
        text = chicago(moment * 1_000_000_000).strftime("%H:%M:%S" if step < 60 else "%H:%M")
        labels.append((round(bar), text))
        moment += step
    return labels


def thinned(bars: list[int], min_bars: float) -> list[int]:
    """Drop marks that stand closer than min_bars to the one kept before: gaps of the session squeeze them together."""
    kept: list[int] = []
    for bar in bars:
        if not kept or bar - kept[-1] >= min_bars * 0.8:
            kept.append(bar)
    return kept


def draw_time_axis(
    painter: QPainter, theme: Theme, letters: Lettering, view: Viewport, labels: list[tuple[int, str]]
) -> None:
    """Ground and labels under the plot; the zone is named once at the right."""
    y, width = int(view.height), int(view.width)
    painter.fillRect(0, y, width + PRICE_AXIS, TIME_AXIS, theme.color("surface.header"))
    painter.fillRect(0, y, width + PRICE_AXIS, 1, theme.color("line.border"))
    color = theme.color("chart.axis_text")
    for bar, text in labels:
        x = view.x_of(bar)
        if 16 <= x <= width - 16:
            letters.centre(painter, x, y, TIME_AXIS, text, "caption", color, 400)
    painter.fillRect(width, y, 1, TIME_AXIS, theme.color("line.border"))
    letters.right(painter, width + PRICE_AXIS - 8, y, TIME_AXIS, "CT", "caption", color, 400)


class PlacedTag(NamedTuple):
    """A tag on the screen: its tip on the true price, its body where there is room."""

    tag: Tag
    tip: float
    centre: float

    @property
    def span(self) -> tuple[float, float]:
        return self.centre - TAG_HEIGHT / 2, self.centre + TAG_HEIGHT / 2


def place_tags(view: Viewport, tags: list[Tag]) -> list[PlacedTag]:
    """Tags of prices in view, pushed apart."""
    seen = [tag for tag in tags if view.bottom_ticks <= tag.ticks <= view.top_ticks]
    true = [view.y_of(tag.ticks) for tag in seen]
    centres = push_apart(true, [tag.rank for tag in seen], TAG_HEIGHT, view.height)
    return [PlacedTag(tag, tip, round(centre)) for tag, tip, centre in zip(seen, true, centres, strict=True)]


def draw_tags(painter: QPainter, theme: Theme, letters: Lettering, view: Viewport, placed: list[PlacedTag]) -> None:
    """Arrow-shaped tags on the price axis."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    for item in placed:
        _draw_tag(painter, theme, letters, view.width, item)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)


def _draw_tag(painter: QPainter, theme: Theme, letters: Lettering, x: float, item: PlacedTag) -> None:
    tag, tip, centre = item
    top, bottom = centre - TAG_HEIGHT / 2, centre + TAG_HEIGHT / 2
    right = x + PRICE_AXIS - 1
    shape = QPolygonF(
        [
            QPointF(x - 4, tip),
            QPointF(x + 4, top),
            QPointF(right, top),
            QPointF(right, bottom),
            QPointF(x + 4, bottom),
        ]
    )
    ground, pen, text = _tag_colours(theme, tag)
    painter.setBrush(ground)
    painter.setPen(pen)
    painter.drawPolygon(shape)
    letters.right(painter, x + PRICE_AXIS - 8, top, TAG_HEIGHT, tag.text, "price", text)


def _tag_colours(theme: Theme, tag: Tag) -> tuple[QColor, QPen | Qt.PenStyle, QColor]:
    if tag.style == "light":
        return theme.color("chart.last_tag"), Qt.PenStyle.NoPen, theme.color("chart.on_last_tag")
    if tag.style == "grey":
        return theme.color("chart.crosshair_tag"), Qt.PenStyle.NoPen, on_crosshair(theme)
    if tag.style == "filled":
        return theme.side(tag.side, "fill"), Qt.PenStyle.NoPen, theme.side(tag.side, "on")
    pattern = [1.0, 2.0] if tag.style == "dot" else [3.0, 2.0]
    return theme.color("surface.header"), dash_pen(theme.side(tag.side, "text"), pattern), theme.side(tag.side, "text")


def on_crosshair(theme: Theme) -> QColor:
    """Text on the crosshair tag, which is dark in both themes: the lighter of the theme's two extremes."""
    primary, inverse = theme.color("text.primary"), theme.color("text.inverse")
    return primary if primary.lightness() > inverse.lightness() else inverse


def countdown_top(placed: list[PlacedTag]) -> float | None:
    """Top of the 15 px below the last price, or above it where a tag stands below; None where both are taken."""
    last = next((item for item in placed if item.tag.style == "light"), None)
    if last is None:
        return None
    others = [item.span for item in placed if item is not last]
    for top in (last.span[1], last.span[0] - 15):
        if not any(start < top + 15 and end > top for start, end in others):
            return top
    return None


def draw_countdown(painter: QPainter, theme: Theme, letters: Lettering, place: tuple[float, float], text: str) -> None:
    """Plate of 15 px beside the last price with the time left in the bar. place: left and top."""
    x, top = place
    box = QRectF(x + 4, top, PRICE_AXIS - 5, 15)
    painter.fillRect(box, theme.color("surface.raised"))
    letters.right(painter, x + PRICE_AXIS - 8, box.y(), 15, text, "caption", theme.color("text.secondary"), 400)


def draw_time_tag(
    painter: QPainter, theme: Theme, letters: Lettering, view: Viewport, place: tuple[float, str]
) -> None:
    """Time under the crosshair."""
    x, text = place
    width = letters.width(text, "body_em") + 16
    left = min(max(0.0, x - width / 2), view.width - width)
    painter.fillRect(QRectF(round(left), view.height + 1, width, TIME_AXIS - 2), theme.color("chart.crosshair_tag"))
    letters.left(painter, left + 8, view.height, TIME_AXIS, text, "body_em", on_crosshair(theme))
