"""The status bar: stream lights with ages, wire to screen, frame, request budget, flat-by, date and time."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRectF, Qt, Signal
from PySide6.QtGui import QFontMetricsF, QHelpEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QStatusBar, QToolTip, QWidget

from ui import formatting
from ui.painting import CENTRE, draw_runs, draw_shape, draw_text
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
    # None where there is nothing to count.
    age_ms: int | None
    text: str = ""
    # How long until the next attempt to connect; None while none is waited for.
    retry_ms: int | None = None


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
    # What the trader has to know of the login; empty while it is renewed in time.
    login_text: str = ""


@dataclass(frozen=True)
class _Run:
    text: str
    token: str = "text.secondary"
    weight: int = 400


@dataclass(frozen=True)
class _Cell:
    """Words between two rules. extra: spark or budget for a cell with a drawing."""

    runs: list[_Run]
    tone: str = ""
    shape: str = ""
    shape_token: str = ""
    extra: str = ""
    # The words of a button at the right end of the cell.
    button: str = ""


class StatusBar(QStatusBar):
    """Paints its cells itself; 24 px high, 11 px text. `retry_requested`: nobody wants to wait for the next attempt."""

    retry_requested = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._view = StatusView()
        self.setSizeGripEnabled(False)
        self.setFixedHeight(theme.measure("size.status_bar"))
        self.setAccessibleName("Status")
        self.setMouseTracking(True)
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
        left, right = self._fitting()
        x = 0.0
        for cell in left:
            end = self._paint_cell(painter, x, cell)
            if cell.extra == "spark":
                self._paint_spark(painter, end - _PAD - 44)
            elif cell.extra == "budget":
                self._paint_budget(painter, round(x + _PAD + self._width(cell.runs[0]) + 8))
            x = end
        x = float(self.width())
        for cell in right:
            x -= self._cell_width(cell)
            self._paint_cell(painter, x, cell, rule="left")

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.button_at(event.position().x()):
            self.retry_requested.emit()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self.setCursor(
            Qt.CursorShape.PointingHandCursor if self.button_at(event.position().x()) else Qt.CursorShape.ArrowCursor
        )

    def button_at(self, x: float) -> bool:
        """Whether a cell's button lies there."""
        end = 0.0
        for cell in self._fitting()[0]:
            end += self._cell_width(cell)
            if cell.button and end - self._button_width(cell) - _PAD <= x < end:
                return True
        return False

    def shown_text(self) -> str:
        """Every word of the bar at its present width."""
        left, right = self._fitting()
        return " | ".join("".join(run.text for run in cell.runs).strip() for cell in [*left, *reversed(right)])

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(event.globalPos(), self.tip_at(event.pos().x()), self)
            return True
        return super().event(event)

    def tip_at(self, x: int) -> str:
        """What a light says in whole words; empty beside the lights."""
        end = 0.0
        for link, cell in zip(self._view.links, self._fitting()[0], strict=False):
            end += self._cell_width(cell)
            if x < end:
                return f"{link.name}: {link.text or link.state}"
        return ""

    def _fitting(self) -> tuple[list[_Cell], list[_Cell]]:
        """Cells from the left and the right edge; what measures the program gives way first, the deadline never."""
        right = self._right_cells()
        room = self.width() - sum(self._cell_width(cell) for cell in right)
        left: list[_Cell] = []
        for spare in range(5):
            left = self._left_cells(spare)
            if sum(self._cell_width(cell) for cell in left) <= room:
                break
        return left, right

    def _left_cells(self, spare: int) -> list[_Cell]:
        """spare: 0 for everything, then without the words of the reserve, the percentiles, the frame, the requests."""
        view = self._view
        cells = [_light_cell(link, self._theme) for link in view.links]
        if view.engine_state == "halted":
            cells.append(_Cell([_Run("Engine halted: only cancels and closes", "status.danger", 600)], "danger"))
        if view.login_text:
            cells.append(_Cell([_Run(view.login_text, "status.caution", 600)], "caution", "triangle"))
        if spare < 2:
            cells += _latency_cells(view)
        if spare < 3:
            is_slow = view.frame_ms > 16
            runs = [_Run("Frame "), _Run(f"{view.frame_ms:.1f} ms", "text.primary", 500)]
            cells.append(_Cell(runs, "caution" if is_slow else "", "triangle" if is_slow else "", extra="spark"))
        if spare < 4:
            share = view.budget_used / max(1, view.budget_limit)
            runs = [
                _Run("Requests"),
                _Run("\u2003" * 7),
                _Run(f"{view.budget_used} / {view.budget_limit}", "text.primary", 500),
            ]
            if spare < 1:
                runs.append(_Run(f"  {view.exits_kept} kept for exits"))
            cells.append(_Cell(runs, "caution" if share > 0.75 else "", extra="budget"))
        return cells

    def _right_cells(self) -> list[_Cell]:
        now_ns = self._view.now_ns
        if not now_ns:
            return []
        remaining = flat_by_remaining_s(now_ns)
        tone = "danger" if remaining < 300 else "caution" if remaining < 900 else ""
        span = formatting.age_text(remaining * 1000)
        flat_by = [_Run("Flat by "), _Run("15:08", "text.primary", 600), _Run(f"  {span} left")]
        return [
            _Cell([_Run(formatting.date_clock_text(now_ns), "text.primary", 500)]),
            _Cell(flat_by, tone, "triangle" if tone else ""),
        ]

    def _paint_spark(self, painter: QPainter, start: float) -> None:
        for number, worst in enumerate(self._view.spark):
            height = max(1.0, min(12.0, worst / 16 * 12))
            token = "status.caution" if worst > 16 else "text.muted"
            painter.fillRect(QRectF(start + number * 4, 18 - height, 3, height), self._theme.color(token))

    def _paint_budget(self, painter: QPainter, left: float) -> None:
        view, theme = self._view, self._theme
        share = view.budget_used / max(1, view.budget_limit)
        bar = QRectF(left, 8, 64, 8)
        painter.fillRect(bar, theme.color("surface.input"))
        painter.setPen(theme.color("line.border"))
        painter.drawRect(bar.adjusted(0.5, 0.5, -0.5, -0.5))
        painter.fillRect(QRectF(bar.left() + 1, 9, 62 * min(1.0, share), 6), theme.color("text.secondary"))
        reserve = bar.left() + 62 * (1 - view.exits_kept / max(1, view.budget_limit))
        painter.fillRect(QRectF(round(reserve), 7, 1, 10), theme.color("text.primary"))

    def _paint_cell(self, painter: QPainter, x: float, cell: _Cell, *, rule: str = "right") -> float:
        theme, width = self._theme, self._cell_width(cell)
        if cell.tone:
            painter.fillRect(QRectF(x, 1, width, self.height() - 1), theme.color(f"status.{cell.tone}_tint"))
        left = x + _PAD
        if cell.shape:
            color = theme.color(cell.shape_token or f"status.{cell.tone or 'caution'}")
            draw_shape(painter, QRectF(left, round((self.height() - 9) / 2) + 1, 9, 9), cell.shape, color)
            left += 15
        row = QRectF(0, 1, self.width(), self.height() - 1)
        runs = [(run.text, theme.font("caption", weight=run.weight), theme.color(run.token)) for run in cell.runs]
        draw_runs(painter, left, row, runs)
        if cell.button:
            self._paint_button(painter, x + width, cell)
        edge = x + width if rule == "right" else x
        painter.fillRect(QRectF(round(edge), 1, 1, self.height() - 1), theme.color("line.border"))
        return x + width

    def _cell_width(self, cell: _Cell) -> float:
        width = sum(self._width(run) for run in cell.runs) + 2 * _PAD
        width += self._button_width(cell) + _PAD if cell.button else 0
        return width + (15 if cell.shape else 0) + (52 if cell.extra == "spark" else 0)

    def _button_width(self, cell: _Cell) -> float:
        return self._width(_Run(cell.button, weight=600)) + 12

    def _paint_button(self, painter: QPainter, end: float, cell: _Cell) -> None:
        theme, width = self._theme, self._button_width(cell)
        box = QRectF(end - width - _PAD + 4, 4, width, self.height() - 7)
        painter.setBrush(theme.color("surface.raised"))
        painter.setPen(theme.color("line.control"))
        painter.drawRect(box.adjusted(0.5, 0.5, -0.5, -0.5))
        draw_text(painter, box, cell.button, theme.font("caption", weight=600), theme.color("text.primary"), CENTRE)

    def _width(self, run: _Run) -> float:
        # Whole-pixel metrics fall short of what is drawn at fractional scales: the last letters would be cut.
        return QFontMetricsF(self._theme.font("caption", weight=run.weight)).horizontalAdvance(run.text)


def _light_cell(link: LinkView, theme: Theme) -> _Cell:
    state, token, word = _LIGHTS.get(link.state, _LIGHTS["off"])
    counts = link.age_ms is not None and link.state in ("live", "late", "dead", "connecting")
    age = formatting.age_text(link.age_ms or 0) if counts else ""
    runs = [_Run(link.name), _Run(f" {word} {age}".replace("  ", " ").rstrip(), "text.primary", 500)]
    if link.retry_ms is not None:
        # Rounded up: the last second is never "0 s".
        runs.append(_Run(f", next try in {-(-link.retry_ms // 1_000)} s"))
    tone = {"dead": "danger", "late": "caution", "absent": "caution"}.get(link.state, "")
    return _Cell(runs, tone, theme.light_shape(state), token, button="Now" if link.retry_ms is not None else "")


def _latency_cells(view: StatusView) -> list[_Cell]:
    if view.paint_p50_us is None or view.paint_p99_us is None:
        return []
    is_slow = view.paint_p99_us > 100_000
    runs = [
        _Run("Wire to screen "),
        _Run(f"p50 {_ms(view.paint_p50_us)} ", "text.primary", 500),
        _Run(f"p99 {_ms(view.paint_p99_us)}", "text.primary"),
    ]
    return [_Cell(runs, "caution" if is_slow else "", "triangle" if is_slow else "")]


def flat_by_remaining_s(now_ns: int) -> int:
    """Seconds until the next flat-by time in Chicago."""
    moment = formatting.chicago(now_ns)
    of_day = moment.hour * 3600 + moment.minute * 60 + moment.second
    return (FLAT_BY_SECONDS - of_day) % _DAY_SECONDS


def _ms(microseconds: int) -> str:
    return f"{microseconds / 1000:.1f} ms" if microseconds < 10_000 else f"{round(microseconds / 1000)} ms"
