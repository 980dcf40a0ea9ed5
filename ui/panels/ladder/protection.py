"""A position without a stop: the one full red bar of the window, with the action that ends it.

    bare for two seconds ─► strip over the intent strip ─► "Place stop 40 t" sends one reducing stop
                                     └─► "Quiet" hides it until the position is another one

Only stops at the broker count, or legs of this computer that work there: the engine's own count of stop lots.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QTimer, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QWidget

from ui.controls import enable, reveal
from ui.formatting import age_text
from ui.painting import PanelContext, draw_runs, draw_shape

if TYPE_CHECKING:
    from app.domain import MarketFrame, Position

_BARE_AFTER_MS = 2_000
_OFFER_AGAIN_MS = 3_000
_HEIGHT = 24


@dataclass(frozen=True)
class Bare:
    """What has no stop: its side and lots, and where a stop would stand."""

    net_lots: int
    lots: int
    stop_ticks: int


def bare_of(position: Position | None, frame: MarketFrame | None, distance_ticks: int) -> Bare | None:
    """The lots of a position that no stop covers; None when all are covered or nothing is known of the market.

    The stop stands `distance_ticks` from the average, or from the market when that is already beyond.
    """
    if position is None or frame is None or position.net_lots == 0:
        return None
    lots = abs(position.net_lots) - position.stop_lots
    sign = 1 if position.net_lots > 0 else -1
    market = frame.best_bid_ticks if sign > 0 else frame.best_ask_ticks
    if lots <= 0 or market is None:
        return None
    # Rounded towards the wider stop, which the market cannot have passed by rounding.
    average = position.average_ticks_1e4 // 10_000 if sign > 0 else -(-position.average_ticks_1e4 // 10_000)
    wanted = average - sign * distance_ticks
    if (market - wanted) * sign <= 0:
        wanted = market - sign * distance_ticks
    return Bare(position.net_lots, lots, wanted)


class BareStrip(QWidget):
    """Hidden while there is nothing to say. `stop_requested` carries a `Bare`."""

    stop_requested = Signal(object)

    def __init__(self, context: PanelContext, parent: QWidget) -> None:
        super().__init__(parent)
        self._context = context
        self._bare: Bare | None = None
        self._since_ms = 0
        self._quiet_lots = 0
        self._placed_ms = 0
        self._is_shield_lit = True
        self._gives_way = False
        self._has_more = False
        self.setFixedHeight(_HEIGHT)
        self.setProperty("ground", "none")
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 6, 2)
        row.setSpacing(6)
        row.addStretch(1)
        self.place_button = self._button("Place stop", "Send one stop that only reduces the position")
        self.place_button.clicked.connect(self._on_place)
        self.quiet_button = self._button("Quiet", "Hide this until the position changes")
        self.quiet_button.clicked.connect(self._on_quiet)
        row.addWidget(self.place_button)
        row.addWidget(self.quiet_button)
        self._timer = QTimer(self)
        self._timer.setObjectName("no stop")
        self._timer.setInterval(int(context.theme.measure("motion.blink_ms")))
        self._timer.timeout.connect(self._on_tick)
        context.theme.changed.connect(self._on_theme)
        self._on_theme()
        self.hide()

    def show_bare(self, bare: Bare | None, distance_ticks: int) -> None:
        """Take over what has no stop now; the strip itself comes once that has lasted two seconds."""
        if bare is None:
            self._bare, self._quiet_lots = None, 0
            self._timer.stop()
            reveal(self, False)
            return
        if self._bare is None:
            self._since_ms = _now_ms()
            self._placed_ms = 0
            self.place_button.setEnabled(True)
            self._timer.start()
        if bare.net_lots != self._quiet_lots:
            self._quiet_lots = 0
        self._bare = bare
        self.place_button.setText(f"Place stop {distance_ticks} t")
        self._say()

    def give_way(self, gives_way: bool) -> None:
        """Let the strip below be read while it speaks about what a hand is doing."""
        if gives_way != self._gives_way:
            self._gives_way = gives_way
            self._say()

    def show_more(self, has_more: bool) -> None:
        """Say that the strip below tells of something bad as well."""
        if has_more != self._has_more:
            self._has_more = has_more
            self.update()

    def text(self) -> str:
        """The sentence, without its age."""
        return f"No stop for {self._bare.lots} lot{'s' if self._bare.lots != 1 else ''}" if self._bare else ""

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme, rect = self._context.theme, QRectF(self.rect())
        white = theme.color("status.on_danger")
        painter.fillRect(rect, theme.color("status.danger_fill"))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._is_shield_lit:
            draw_shape(painter, QRectF(8, 5, 13, 13), "shield_none", white)
        font = theme.font("body", weight=700)
        more = "   +1" if self._has_more else ""
        draw_runs(painter, 28, rect, [(f"{self.text()}, {age_text(self._age_ms())}{more}", font, white)])

    def _button(self, text: str, tip: str) -> QPushButton:
        button = QPushButton(text, self)
        button.setToolTip(tip)
        button.setFixedHeight(20)
        return button

    def _age_ms(self) -> int:
        return _now_ms() - self._since_ms

    def _say(self) -> None:
        is_wanted = (
            self._bare is not None and self._age_ms() >= _BARE_AFTER_MS and not self._quiet_lots and not self._gives_way
        )
        reveal(self, is_wanted)
        if is_wanted:
            self.raise_()
            self.setAccessibleName(self.text())

    def _on_tick(self) -> None:
        self._is_shield_lit = self._context.is_motion_reduced or not self._is_shield_lit
        enable(self.place_button, _now_ms() - self._placed_ms >= _OFFER_AGAIN_MS)
        self._say()
        self.update()

    def _on_place(self) -> None:
        if self._bare is not None:
            # One press, one stop: the broker's answer ends the strip, and only its absence offers another.
            self._placed_ms = _now_ms()
            enable(self.place_button, False)
            self.stop_requested.emit(self._bare)

    def _on_quiet(self) -> None:
        if self._bare is not None:
            self._quiet_lots = self._bare.net_lots
            self._say()

    def _on_theme(self) -> None:
        theme = self._context.theme
        fill, on = theme.color("status.danger_fill").name(), theme.color("status.on_danger").name()
        base = "min-height: 0; padding: 0 8px; border-radius: 3px; font-weight: 600;"
        self.place_button.setStyleSheet(f"{base} background: {on}; color: {fill}; border: 1px solid {on};")
        self.quiet_button.setStyleSheet(f"{base} background: {fill}; color: {on}; border: 1px solid {on};")
        self.update()


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000
