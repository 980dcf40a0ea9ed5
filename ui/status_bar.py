"""The status bar: stream lights with ages, wire to screen, frame, request budget, flat-by, date and time."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRectF
from PySide6.QtGui import QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QStatusBar, QWidget

from ui import formatting
from ui.painting import draw_runs, draw_shape
from ui.theme import Theme

FLAT_BY_SECONDS = 15 * 3600 + 8 * 60
_DAY_SECONDS = 24 * 3600
_PAD = 9
_LIGHTS = {
    "live": ("ok", "status.ok", ""),
    "late": ("late", "status.caution", "late"),
    "connecting": ("connecting", "text.secondary", "connecting"),
    "dead": ("down", "status.danger", "lost"),
    "off": ("idle", "text.muted", "off"),
    "watching": ("ok", "status.ok", "watching"),
    "absent": ("late", "status.caution", "absent"),
}


@dataclass(frozen=True)
class LinkView:
    """One light: a stream is off, connecting, live, late or dead; the guardian connecting, watching or absent."""

    name: str
    state: str
    age_ms: int


@dataclass(frozen=True)
class StatusView:
    """Everything the bar shows. now_ns is market time in UTC; 0 while unknown."""

    links: tuple[LinkView, ...] = ()
    paint_p50_us: int | None = None
    paint_p99_us: int | None = None
    frame_ms: float = 0.0
    spark: tuple[float, ...] = ()
    budget_used: int = 0
    budget_limit: int = 200
    exits_kept: int = 80
    now_ns: int = 0
    engine_state: str = "idle"


@dataclass(frozen=True)
class _Run:
    text: str
    token: str = "text.secondary"
    weight: int = 400


class StatusBar(QStatusBar):
    """Paints its cells itself; 24 px high, 11 px text."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._view = StatusView()
        self.setSizeGripEnabled(False)
        self.setFixedHeight(theme.measure("size.status_bar"))
        self.setAccessibleName("Status")
        theme.changed.connect(self.update)

    def show_view(self, view: StatusView) -> None:
        """Take over new values; repaints only on a difference."""
        if view != self._view:
            self._view = view
            self.setAccessibleDescription(", ".join(f"{link.name} {link.state}" for link in view.links))
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._theme
        painter.fillRect(self.rect(), theme.color("surface.header"))
        painter.fillRect(0, 0, self.width(), 1, theme.color("line.border"))
        x = 0.0
        for link in self._view.links:
            x = self._light(painter, x, link)
        x = self._latency(painter, x)
        x = self._frame(painter, x)
        x = self._requests(painter, x)
        if self._view.engine_state == "halted":
            x = self._cell(painter, x, [_Run("Engine halted: only cancels and closes", "status.danger", 600)], "danger")
        self._right(painter, x)

    def _light(self, painter: QPainter, x: float, link: LinkView) -> float:
        state, token, word = _LIGHTS.get(link.state, _LIGHTS["off"])
        age = formatting.age_text(link.age_ms) if link.state in ("live", "late", "dead") else ""
        runs = [_Run(link.name), _Run(f" {word} {age}".replace("  ", " ").rstrip(), "text.primary", 500)]
        shape = self._theme.light_shape(state)
        return self._cell(painter, x, runs, shape=shape, shape_token=token)

    def _latency(self, painter: QPainter, x: float) -> float:
        view = self._view
        if view.paint_p50_us is None or view.paint_p99_us is None:
            return x
        is_slow = view.paint_p99_us > 100_000
        runs = [
            _Run("Wire to screen "),
            _Run(f"p50 {_ms(view.paint_p50_us)} ", "text.primary", 500),
            _Run(f"p99 {_ms(view.paint_p99_us)}", "text.primary"),
        ]
        return self._cell(painter, x, runs, "caution" if is_slow else "", shape="triangle" if is_slow else "")

    def _frame(self, painter: QPainter, x: float) -> float:
        view = self._view
        is_slow = view.frame_ms > 16
        runs = [_Run("Frame "), _Run(f"{view.frame_ms:.1f} ms", "text.primary", 500)]
        left = x
        x = self._cell(painter, x, runs, "caution" if is_slow else "", shape="triangle" if is_slow else "", extra=52)
        start = x - _PAD - 44
        for number, worst in enumerate(view.spark):
            height = max(1.0, min(12.0, worst / 16 * 12))
            token = "status.caution" if worst > 16 else "text.muted"
            painter.fillRect(QRectF(start + number * 4, 18 - height, 3, height), self._theme.color(token))
        return x if x > left else left

    def _requests(self, painter: QPainter, x: float) -> float:
        view, theme = self._view, self._theme
        share = view.budget_used / max(1, view.budget_limit)
        tone = "caution" if share > 0.75 else ""
        label = [_Run("Requests")]
        width = sum(self._width(run) for run in label)
        bar_left = round(x + _PAD + width + 8)
        end = self._cell(
            painter,
            x,
            [
                *label,
                _Run("\u2003" * 7),
                _Run(f"{view.budget_used} / {view.budget_limit}  ", "text.primary", 500),
                _Run(f"{view.exits_kept} kept for exits"),
            ],
            tone,
        )
        bar = QRectF(bar_left, 8, 64, 8)
        painter.fillRect(bar, theme.color("surface.input"))
        painter.setPen(theme.color("line.border"))
        painter.drawRect(bar.adjusted(0.5, 0.5, -0.5, -0.5))
        painter.fillRect(QRectF(bar.left() + 1, 9, 62 * min(1.0, share), 6), theme.color("text.secondary"))
        reserve = bar.left() + 62 * (1 - view.exits_kept / max(1, view.budget_limit))
        painter.fillRect(QRectF(round(reserve), 7, 1, 10), theme.color("text.primary"))
        return end

    def _right(self, painter: QPainter, left: float) -> None:
        now_ns = self._view.now_ns
        if not now_ns:
            return
        cells: list[tuple[list[_Run], str]] = [([_Run(formatting.date_clock_text(now_ns), "text.primary", 500)], "")]
        remaining = flat_by_remaining_s(now_ns)
        tone = "danger" if remaining < 300 else "caution" if remaining < 900 else ""
        span = formatting.age_text(remaining * 1000)
        cells.append(([_Run("Flat by "), _Run("15:08", "text.primary", 600), _Run(f"  {span} left")], tone))
        x = float(self.width())
        for runs, cell_tone in cells:
            width = sum(self._width(run) for run in runs) + 2 * _PAD + (15 if cell_tone else 0)
            if x - width < left:
                return
            x -= width
            self._cell(painter, x, runs, cell_tone, shape="triangle" if cell_tone else "", rule="left")

    def _cell(
        self,
        painter: QPainter,
        x: float,
        runs: list[_Run],
        tone: str = "",
        *,
        shape: str = "",
        shape_token: str = "",
        extra: int = 0,
        rule: str = "right",
    ) -> float:
        theme = self._theme
        width = sum(self._width(run) for run in runs) + 2 * _PAD + (15 if shape else 0) + extra
        if tone:
            painter.fillRect(QRectF(x, 1, width, self.height() - 1), theme.color(f"status.{tone}_tint"))
        left = x + _PAD
        if shape:
            token = shape_token or f"status.{tone or 'caution'}"
            draw_shape(painter, QRectF(left, round((self.height() - 9) / 2) + 1, 9, 9), shape, theme.color(token))
            left += 15
        row = QRectF(0, 1, self.width(), self.height() - 1)
        draw_runs(
            painter,
            left,
            row,
            [(run.text, theme.font("caption", weight=run.weight), theme.color(run.token)) for run in runs],
        )
        edge = x + width if rule == "right" else x
        painter.fillRect(QRectF(round(edge), 1, 1, self.height() - 1), theme.color("line.border"))
        return x + width

    def _width(self, run: _Run) -> float:
        # Whole-pixel metrics fall short of what is drawn at fractional scales: the last letters would be cut.
        return QFontMetricsF(self._theme.font("caption", weight=run.weight)).horizontalAdvance(run.text)


def flat_by_remaining_s(now_ns: int) -> int:
    """Seconds until the next flat-by time in Chicago."""
    moment = formatting.chicago(now_ns)
    of_day = moment.hour * 3600 + moment.minute * 60 + moment.second
    return (FLAT_BY_SECONDS - of_day) % _DAY_SECONDS


def _ms(microseconds: int) -> str:
    return f"{microseconds / 1000:.1f} ms" if microseconds < 10_000 else f"{round(microseconds / 1000)} ms"
