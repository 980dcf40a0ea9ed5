"""Account and risk: the day's result, what is left to each limit, latches with their times, and the mode switches.

    Risk record ──► view_of (whole numbers and words) ──► RiskFace paints, strip and buttons say what holds

The engine measures and acts; this panel only shows, and asks for a mode.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPolygonF
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from ui import formatting
from ui.controls import ConditionStrip, ElidedLabel, HoldButton, PanelFrame, enable, reveal
from ui.painting import LEFT, RIGHT, PanelContext, draw_elided, draw_runs, draw_shape, draw_text, hatch_brush
from ui.theme import Theme

if TYPE_CHECKING:
    from app.domain import Risk, RuleUse

RULE_WORDS = {
    "max_loss": "maximum loss",
    "daily_loss": "the firm's daily loss",
    "personal_loss": "own daily loss",
    "profit_target": "profit target",
    "daily_target": "daily target",
    "trades": "trades a day",
}
_TENTHS = 10
_MARKS_PERCENT = (50, 75, 90)
_EDGE = 10
_RESULT_HEIGHT = 40
_GAUGE_HEIGHT = 46


@dataclass(frozen=True)
class Gauge:
    """One limit: the bar from its floor to `top_1e4`, the present value, and what is left. Money in 1/10,000 dollar."""

    title: str
    floor_1e4: int
    top_1e4: int
    now_1e4: int
    left_1e4: int
    used_percent: int
    marks: tuple[tuple[int, str], ...]

    @property
    def tone(self) -> str:
        """What joins the number: nothing, caution under 50 % headroom, danger under 25 %."""
        return "danger" if self.used_percent > 75 else "caution" if self.used_percent > 50 else ""


@dataclass(frozen=True)
class RiskView:
    """Everything the panel says."""

    result_1e4: int = 0
    is_stale: bool = False
    closed_1e4: int = 0
    open_1e4: int = 0
    gauges: tuple[Gauge, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    foot: str = ""
    notice: str = "No rules for this account."


@dataclass(frozen=True)
class OwnLimit:
    """How the trader's own daily limit is measured, as the options say."""

    is_trailing: bool = False
    counts_open: bool = True


FROM_THE_START = OwnLimit()


def view_of(risk: Risk | None, own: OwnLimit = FROM_THE_START, *, is_stale: bool = False) -> RiskView:
    """The panel's words and numbers for one account; a plain sentence while nothing is measured.

    is_stale: what is open is worth what old prices say.
    """
    if risk is None:
        return RiskView()
    uses = {use.rule: use for use in risk.uses}
    foot = ", ".join(part for part in (risk.rules_name, risk.rules_date, risk.rules_source) if part)
    if risk.is_floor_uncertain:
        foot += " (days were not seen here: the high and the floor may be higher, state risk.stated_high)"
    return RiskView(
        result_1e4=risk.realised_1e4 + risk.open_1e4,
        closed_1e4=risk.realised_1e4,
        open_1e4=risk.open_1e4,
        is_stale=is_stale and risk.open_1e4 != 0,
        gauges=tuple(gauge for gauge in (_loss_gauge(risk, uses), _day_gauge(risk, uses, own)) if gauge),
        facts=_facts(risk, uses),
        foot=foot + (" (stricter now, looser next session)" if risk.has_pending else ""),
        notice="" if risk.is_measured else "The balance is not known yet: nothing new is admitted.",
    )


def _loss_gauge(risk: Risk, uses: dict[str, RuleUse]) -> Gauge | None:
    use = uses.get("max_loss")
    if use is None or risk.floor_1e4 is None:
        return None
    top = max(risk.equity_1e4, risk.high_balance_1e4)
    doubt = "?" if risk.is_floor_uncertain else ""
    floor = f"floor {_dollars(risk.floor_1e4)}{doubt}"
    high = f"high {_dollars(risk.high_balance_1e4)}{doubt}"
    marks = [(risk.floor_1e4, floor), (risk.high_balance_1e4, high)]
    if risk.target_1e4 is not None:
        top = max(top, risk.target_1e4)
        marks.append((risk.target_1e4, f"target {_dollars(risk.target_1e4)}"))
    left = max(0, use.limit - use.used)
    return Gauge("To max loss", risk.floor_1e4, top, risk.equity_1e4, left, use.percent, tuple(marks))


def _day_gauge(risk: Risk, uses: dict[str, RuleUse], own: OwnLimit) -> Gauge | None:
    found = _day_limit(risk, uses, own)
    if found is None:
        return None
    use, now, floor = found
    marks = [(floor, formatting.signed_money(floor).removesuffix(".00")), (0, "start")]
    marks += [(floor + use.limit * (100 - percent) // 100, "") for percent in _MARKS_PERCENT]
    if risk.peak_1e4 > 0:
        marks.append((risk.peak_1e4, "best"))
    title = "To own daily limit" if use.rule == "personal_loss" else "To daily limit"
    return Gauge(title, floor, max(0, now, risk.peak_1e4), now, max(0, now - floor), use.percent, tuple(marks))


def _day_limit(risk: Risk, uses: dict[str, RuleUse], own: OwnLimit) -> tuple[RuleUse, int, int] | None:
    """The day's limit that stands first: its use, the result it measures, and the result at which it is reached."""
    use = uses.get("personal_loss")
    if use is not None and use.limit > 0:
        now = risk.realised_1e4 + (risk.open_1e4 if own.counts_open else 0)
        return use, now, (max(0, risk.peak_1e4) if own.is_trailing else 0) - use.limit
    use = uses.get("daily_loss")
    if use is not None and use.limit > 0:
        return use, risk.realised_1e4 + risk.open_1e4, -use.limit
    return None


def _facts(risk: Risk, uses: dict[str, RuleUse]) -> tuple[tuple[str, str], ...]:
    held = _minis(risk.tenths_held)
    trades, firm = uses.get("trades"), uses.get("daily_loss")
    facts = [
        ("Equity", formatting.plain_money(risk.equity_1e4)),
        ("Lots", held if risk.tenths_max is None else f"{held} / {_minis(risk.tenths_max)}"),
        ("Trades", str(risk.trades) if trades is None else f"{trades.used} / {trades.limit}"),
    ]
    if firm is not None:
        facts.append(("Firm daily", f"{formatting.plain_money(max(0, firm.limit - firm.used))} left"))
    if risk.flatten_ns:
        facts.append(("Flat by", _minute(risk.flatten_ns)))
    if risk.entries_end_ns:
        facts.append(("Entries until", _minute(risk.entries_end_ns)))
    return tuple(facts)


def headroom_of(risk: Risk | None, own: OwnLimit = FROM_THE_START) -> tuple[tuple[str, int, int], ...]:
    """What is left as (limit in words, money left, its whole): for a preview of an order."""
    if risk is None:
        return ()
    uses = {use.rule: use for use in risk.uses}
    headroom = []
    if (found := _day_limit(risk, uses, own)) is not None:
        use, now, floor = found
        word = "own daily limit" if use.rule == "personal_loss" else "daily limit"
        headroom.append((word, max(0, now - floor), use.limit))
    if (loss := uses.get("max_loss")) is not None:
        headroom.append(("max loss", max(0, loss.limit - loss.used), loss.limit))
    return tuple(headroom)


def strip_of(risk: Risk | None) -> tuple[str, str, str, str]:
    """The strip under the account bar as (tone, lead, rest, shape): what stands above everything else."""
    latched = next((use for use in risk.uses if use.is_latched), None) if risk is not None else None
    if risk is not None and latched is not None:
        until = f", until {_minute(latched.until_ns)}" if latched.until_ns else ""
        lead = f"{RULE_WORDS.get(latched.rule, latched.rule)} reached".capitalize()
        return "danger", lead, f"{_minute(latched.latched_ns)}{until}", "disc"
    if risk is not None and risk.mode == "locked":
        return "danger", "Locked", f"until {_minute(risk.day_ends_ns)}", "disc"
    if risk is not None and risk.mode == "reducing":
        return "caution", "Reduce only", "nothing is opened or added", "triangle"
    near = max(risk.uses, key=lambda use: use.percent, default=None) if risk is not None else None
    if near is not None and near.percent >= _MARKS_PERCENT[0] and near.rule.endswith("loss"):
        tone = "danger" if near.percent > 75 else "caution"
        return tone, f"{near.percent} % used", f"of {RULE_WORDS.get(near.rule, near.rule)}", "triangle"
    return "header", "", "", ""


def _minute(time_ns: int) -> str:
    return formatting.clock_text(time_ns)[:5]


def _dollars(amount_1e4: int) -> str:
    return formatting.plain_money(amount_1e4).removesuffix(".00")


def _minis(tenths: int) -> str:
    whole, rest = divmod(tenths, _TENTHS)
    return f"{whole}.{rest}" if rest else str(whole)


class RiskFace(QWidget):
    """Paints a `RiskView`: result, gauges, facts."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.view = RiskView()
        # Facts that do not fit stay away: the strip above must not make the window grow.
        self.setMinimumHeight(_RESULT_HEIGHT + 2 * _GAUGE_HEIGHT + 22)
        theme.changed.connect(self.update)

    def show_view(self, view: RiskView) -> None:
        """Take over; repaints only on a difference."""
        if view == self.view:
            return
        self.view = view
        limits = [f"{gauge.title} {formatting.balance_text(gauge.left_1e4)}" for gauge in view.gauges]
        self.setAccessibleName(", ".join([f"Day {formatting.signed_money(view.result_1e4)}", *limits]))
        self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.color("surface.panel"))
        self._paint_result(painter)
        y = float(_RESULT_HEIGHT)
        if self.view.notice:
            row = QRectF(_EDGE, y, self.width() - 2 * _EDGE, 20)
            token = "text.muted" if not self.view.facts else "status.caution"
            draw_elided(painter, row, self.view.notice, self._theme.font("body"), self._theme.color(token))
            y += 22
        for gauge in self.view.gauges:
            self._paint_gauge(painter, gauge, y)
            y += _GAUGE_HEIGHT
        self._paint_facts(painter, y + 2)

    def _paint_result(self, painter: QPainter) -> None:
        theme, view = self._theme, self.view
        sign = (view.result_1e4 > 0) - (view.result_1e4 < 0)
        row = QRectF(_EDGE, 0, self.width() - 2 * _EDGE, _RESULT_HEIGHT)
        draw_text(
            painter,
            row,
            f"{'~ ' if view.is_stale else ''}{formatting.result_text(view.result_1e4)}",
            theme.font("figure_l", weight=700),
            theme.color("text.muted") if view.is_stale else theme.outcome(sign),
        )
        for place, (word, amount) in enumerate((("Closed", view.closed_1e4), ("Open", view.open_1e4))):
            line = QRectF(row.left(), 4 + 16 * place, row.width(), 16)
            is_old = view.is_stale and word == "Open"
            text = f"{'~ ' if is_old else ''}{formatting.signed_money(amount)}"
            color = theme.color("text.muted" if is_old else "text.primary")
            draw_text(painter, line, text, theme.font("caption"), color, RIGHT)
            width = theme.metrics("caption").horizontalAdvance(text)
            word_row = line.adjusted(0, 0, -width - 6, 0)
            draw_text(painter, word_row, word, theme.font("caption"), theme.color("text.secondary"), RIGHT)

    def _paint_gauge(self, painter: QPainter, gauge: Gauge, y: float) -> None:
        theme = self._theme
        head = QRectF(_EDGE, y, self.width() - 2 * _EDGE, 18)
        draw_text(painter, head, gauge.title, theme.font("body"), theme.color("text.secondary"))
        token = f"status.{gauge.tone}" if gauge.tone else "text.primary"
        left = formatting.balance_text(gauge.left_1e4)
        draw_text(painter, head, left, theme.font("figure_s", weight=600), theme.color(token), RIGHT)
        if gauge.tone:
            width = theme.metrics("figure_s", weight=600).horizontalAdvance(left)
            box = QRectF(head.right() - width - 18, head.top() + 4, 11, 11)
            draw_shape(painter, box, "triangle", theme.color(token))
        self._paint_bar(painter, gauge, QRectF(_EDGE, y + 22, self.width() - 2 * _EDGE, 10))

    def _paint_bar(self, painter: QPainter, gauge: Gauge, bar: QRectF) -> None:
        theme = self._theme
        span = max(1, gauge.top_1e4 - gauge.floor_1e4)

        def x_of(amount: int) -> float:
            share = min(1.0, max(0.0, (amount - gauge.floor_1e4) / span))
            return bar.left() + share * bar.width()

        painter.fillRect(bar, theme.color("surface.input"))
        fill = QColor(theme.color("text.muted"))
        fill.setAlphaF(0.55)
        now = x_of(gauge.now_1e4)
        painter.fillRect(QRectF(bar.left(), bar.top(), now - bar.left(), bar.height()), fill)
        hatch = hatch_brush(theme.color("status.danger"), period=6, stripe=2, device_ratio=self.devicePixelRatioF())
        painter.fillRect(QRectF(bar.left(), bar.top(), bar.width() / 10, bar.height()), hatch)
        painter.setPen(theme.color("line.border"))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.drawRect(bar.adjusted(0.5, 0.5, -0.5, -0.5))
        painter.fillRect(QRectF(bar.left(), bar.top() - 1, 2, bar.height() + 2), theme.color("status.danger"))
        self._paint_marks(painter, bar, [(x_of(amount), word) for amount, word in gauge.marks])
        painter.fillRect(QRectF(round(now) - 1, bar.top(), 2, bar.height()), theme.color("text.primary"))
        painter.setBrush(theme.color("text.primary"))
        painter.setPen(theme.color("text.primary"))
        top = bar.top() - 1
        painter.drawPolygon(QPolygonF([QPointF(now - 4, top - 4), QPointF(now + 4, top - 4), QPointF(now, top + 1)]))

    def _paint_marks(self, painter: QPainter, bar: QRectF, marks: Sequence[tuple[float, str]]) -> None:
        """Marks with their words below; a word that would run into another stays away."""
        theme, font, metrics = self._theme, self._theme.font("micro"), self._theme.metrics("micro")
        taken: list[tuple[float, float]] = []
        for place, (x, word) in enumerate(marks):
            if place:
                painter.fillRect(QRectF(round(x) - 1, bar.top(), 2, bar.height()), theme.color("text.muted"))
            if not word:
                continue
            width = metrics.horizontalAdvance(word)
            start = min(max(bar.left(), x - width / 2), bar.right() - width)
            if any(start < end + 6 and start + width > begin - 6 for begin, end in taken):
                continue
            taken.append((start, start + width))
            color = theme.color("status.danger" if not place else "text.muted")
            draw_text(painter, QRectF(start, bar.bottom() + 2, width, 12), word, font, color, LEFT)

    def _paint_facts(self, painter: QPainter, y: float) -> None:
        theme = self._theme
        gap = 14.0
        width = (self.width() - 2 * _EDGE - gap) / 2
        for place, (word, value) in enumerate(self.view.facts):
            if y + 18 * (place // 2 + 1) > self.height():
                return
            cell = QRectF(_EDGE + (place % 2) * (width + gap), y + 18 * (place // 2), width, 18)
            draw_runs(painter, cell.left(), cell, [(word, theme.font("caption"), theme.color("text.secondary"))])
            draw_text(painter, cell, value, theme.font("body", weight=500), theme.color("text.primary"), RIGHT)


class RiskPanel(PanelFrame):
    """One account's headroom. `mode_requested` carries normal, reducing or locked; `release_requested` a source."""

    mode_requested = Signal(str)
    release_requested = Signal(str)
    flatten_requested = Signal()
    limits_requested = Signal()

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, "Account and risk", parent)
        self.header.arm_switch.hide()
        self.limits_button = QPushButton("Limits\u2026", self)
        self.limits_button.setProperty("size", "small")
        self.limits_button.setFixedHeight(22)
        self.limits_button.setToolTip("State the limits of this account: lower ones hold at once")
        self.limits_button.clicked.connect(self.limits_requested)
        self.header.add_control(self.limits_button)
        # A dock takes its title bar's height from the layout, which the hidden switch leaves empty.
        self.header.row.addStrut(22)
        theme = context.theme
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.strip = ConditionStrip(theme, parent=body)
        self.face = RiskFace(theme, body)
        column.addWidget(self.strip)
        column.addWidget(self.face, 1)
        row = QHBoxLayout()
        row.setContentsMargins(_EDGE, 2, _EDGE, 4)
        row.setSpacing(4)
        self.reduce_button = QPushButton("Reduce only", body)
        self.reduce_button.setCheckable(True)
        self.reduce_button.setToolTip("Nothing is opened or added on this account; cancels and closes work")
        self.reduce_button.clicked.connect(self._on_reduce)
        self.lock_button = HoldButton(theme, "Lock", parent=body)
        self.lock_button.setToolTip("No entries until the next session; this cannot be taken back")
        self.lock_button.confirmed.connect(self._on_lock)
        self.release_button = QPushButton("Release", body)
        self.release_button.clicked.connect(self._on_release)
        self.flatten_button = HoldButton(theme, "Flatten", role="danger", parent=body)
        self.flatten_button.setToolTip("Hold: cancel every order of this account, close its positions, read it back")
        self.flatten_button.setAccessibleName("Flatten this account, hold to confirm")
        self.flatten_button.confirmed.connect(self.flatten_requested)
        for button in (self.reduce_button, self.lock_button, self.release_button, self.flatten_button):
            button.setFixedHeight(26)
            row.addWidget(button, 1)
        column.addLayout(row)
        self.foot = ElidedLabel(theme, parent=body)
        self.foot.setFixedHeight(18)
        foot_row = QHBoxLayout()
        foot_row.setContentsMargins(_EDGE, 0, _EDGE, 0)
        foot_row.addWidget(self.foot)
        column.addLayout(foot_row)
        self.set_body(body)
        self._throttled = ""
        self.show_risk(None)

    def show_risk(self, risk: Risk | None, own: OwnLimit = FROM_THE_START, *, is_stale: bool = False) -> None:
        """Show an account's rules and where it stands; None where it has none."""
        view = view_of(risk, own, is_stale=is_stale)
        self.face.show_view(view)
        tone, lead, rest, shape = strip_of(risk)
        self.strip.show_state(tone, lead, rest, shape=shape)
        self.strip.setVisible(bool(lead))
        self.foot.show_text(view.foot, "text.muted")
        mode = risk.mode if risk is not None else "normal"
        enable(self.reduce_button, risk is not None and mode != "locked")
        enable(self.lock_button, risk is not None and mode != "locked")
        enable(self.flatten_button, self.context.account is not None)
        enable(self.limits_button, self.context.account is not None)
        self.reduce_button.setChecked(mode == "reducing")
        self._throttled = risk.throttled[0] if risk is not None and risk.throttled else ""
        reveal(self.release_button, bool(self._throttled))
        self.release_button.setText(f"Release {self._throttled}")

    def _on_reduce(self) -> None:
        # The engine's word counts: the button shows it again when the answer is there.
        self.mode_requested.emit("reducing" if self.reduce_button.isChecked() else "normal")

    def _on_lock(self) -> None:
        self.mode_requested.emit("locked")

    def _on_release(self) -> None:
        if self._throttled:
            self.release_requested.emit(self._throttled)
