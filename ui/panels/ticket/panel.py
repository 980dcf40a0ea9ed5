"""The order ticket: quantity, kind, price, exits, preview, two send buttons, management, the last three results.

    typed values ──► plan.Form ──► plan.price_for / refusal / preview ──► send buttons
                                                  └─► order_requested(OrderDraft with the painted prices)

Nothing here sends: everything leaves as a `*_requested` signal.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from app.services.exits import NO_EXITS, ExitPlan
from app.services.sizing import Sizing
from app.services.templates import NamedTemplate
from ui import formatting
from ui.bridge import OrderDraft
from ui.controls import ElidedLabel, PanelFrame, Segmented, SendButton, WordSwitch, caption, reveal
from ui.painting import PanelContext, icon
from ui.panels.doubt import Doubt
from ui.panels.ticket import plan
from ui.panels.ticket.exits import ExitsBlock
from ui.panels.ticket.manage import ManagementBlock
from ui.panels.ticket.parts import PositionStrip, PreviewBlock, Stepper
from ui.panels.ticket.sketch import SketchView, legs_of

if TYPE_CHECKING:
    from app.config import ConfirmOptions
    from app.domain import Contract, ExitProgress, MarketFrame, Order, Position

PRESETS = (1, 2, 3, 5, 10)
RISK_PRESETS = (50, 100, 200, 300, 500)
_DOLLAR = 10_000
_LOWEST = 420
_KINDS = [
    [("market", "Market"), ("limit", "Limit"), ("stop", "Stop"), ("stop_limit", "Stop lmt")],
    [("join_bid", "Join bid"), ("join_ask", "Join ask"), ("trailing_stop", "Trail")],
]
_RESULT_TOKENS = {"refused": "status.danger", "unknown": "status.caution"}
_RESULT_GLYPHS = {"done": "\u2713", "cancelled": "\u00d7", "refused": "!", "unknown": "?", "progress": "\u2026"}
_LAST_STEPS = ("done", "failed", "halfway")
_STEP_OUTCOMES = {"done": "done", "failed": "refused", "halfway": "refused", "unknown": "unknown", "flip": "refused"}


@dataclasses.dataclass(frozen=True)
class _Result:
    """One of the last results, or the newest step of a sequence that is under way."""

    time_ns: int
    outcome: str
    text: str


class TicketPanel(PanelFrame):
    """The ticket of one account and contract."""

    order_requested = Signal(object)
    modify_requested = Signal(str, object)
    cancel_requested = Signal(str)
    cancel_group_requested = Signal(object)
    close_requested = Signal(object, str, object)
    flatten_requested = Signal(object, str)
    reverse_requested = Signal(object, str)
    trail_requested = Signal(object, object)
    template_save_requested = Signal(str, object)
    template_remove_requested = Signal(str)
    recheck_requested = Signal()
    arm_requested = Signal(bool)

    def __init__(self, context: PanelContext, policies: ConfirmOptions, parent: QWidget | None = None) -> None:
        super().__init__(context, "Ticket", parent)
        self._policies = policies
        self.form = plan.Form()
        self._market = plan.Market()
        self._orders: list[Order] = []
        self._position: Position | None = None
        self._micro: Contract | None = None
        self._hovered = ""
        self._mixed: Sizing | None = None
        self._headroom: tuple[tuple[str, int, int], ...] = ()
        self._doubt: Doubt | None = None
        self._last_side = "buy"
        self._results: deque[_Result] = deque(maxlen=3)
        # By number of the sequence; no result pushes one of these out before its end.
        self._running: dict[int, _Result] = {}
        self.header.arm_requested.connect(self.arm_requested)
        self.setMinimumWidth(280)
        self.set_body(self._scrolled(self._make_body()))
        context.changed.connect(self._refresh)
        context.theme.changed.connect(self._on_theme)
        self._on_theme()
        self._refresh()

    def render(self, frame: MarketFrame | None, orders: Sequence[Order], position: Position | None) -> None:  # type: ignore[override]
        """Show the newest market and the state of this account and contract."""
        if frame is not None:
            self._market = plan.Market(
                frame.best_bid_ticks,
                frame.best_ask_ticks,
                frame.last_ticks,
                frame.book_state == "live" and not frame.is_late,
            )
        self._orders = list(orders)
        self._position = position
        self._refresh()

    def show_result(self, time_ns: int, outcome: str, text: str) -> None:
        """Add a line to the last three results. outcome: done, cancelled, refused, unknown."""
        self._results.appendleft(_Result(time_ns, outcome, text))
        self._show_results()

    def show_progress(self, progress: ExitProgress) -> None:
        """Say how far a close, reverse or flatten has come; it keeps a line of its own until it ends."""
        count = f" {progress.count} of {progress.total}" if progress.total else ""
        outcome = _STEP_OUTCOMES.get(progress.step, "progress")
        text = f"{progress.goal.capitalize()}: {progress.step}{count}"
        if progress.step in _LAST_STEPS:
            self._running.pop(progress.exit, None)
            self._results.appendleft(_Result(progress.time_ns, outcome, progress.text or text))
        else:
            self._running[progress.exit] = _Result(progress.time_ns, outcome, text)
        self._show_results()

    def _show_results(self) -> None:
        newest_first = sorted(self._running.values(), key=lambda each: -each.time_ns)
        for line, result in zip(self._result_lines, [*newest_first, *self._results], strict=False):
            token = _RESULT_TOKENS.get(result.outcome, "text.secondary")
            glyph = _RESULT_GLYPHS.get(result.outcome, "")
            line.show_text(f"{formatting.clock_text(result.time_ns)}  {glyph}  {result.text}", token)

    def set_size(self, lots: int) -> None:
        """Put a quantity into the box; sizing by risk ends."""
        self.size_mode.choose("lots")
        self._change(size_lots=max(1, min(lots, 9_999)), risk_1e4=None)

    def stop_ticks(self) -> int | None:
        """Distance of the stop that the chosen exits would place; None without one."""
        return self._plan(self._side())[0].stop_ticks

    def show_templates(self, templates: Sequence[NamedTemplate]) -> None:
        """Offer these saved exits."""
        self.exits.show_templates(templates)

    def show_headroom(self, headroom: tuple[tuple[str, int, int], ...]) -> None:
        """What the account's limits leave, as (limit, money left, its whole): the preview takes the risk off it."""
        if headroom != self._headroom:
            self._headroom = headroom
            self._refresh()

    def show_doubt(self, doubt: Doubt | None) -> None:
        """Hold the side of an order without an answer, and say what is being asked; None when everything is proved."""
        if doubt != self._doubt:
            self._doubt = doubt
            self._refresh()

    def show_micro(self, micro: Contract | None) -> None:
        """The contract that a risk too small for this one could be taken in."""
        self._micro = micro
        self._refresh()

    # building

    def _scrolled(self, body: QWidget) -> QScrollArea:
        """Below its height the ticket scrolls: opening the exits never makes the window grow."""
        area = QScrollArea(self)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidgetResizable(True)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setMinimumHeight(_LOWEST)
        area.setWidget(body)
        return area

    def _make_body(self) -> QWidget:
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        theme = self.context.theme
        self.strip = PositionStrip(theme, body)
        self.strip.size_requested.connect(self.set_size)
        column.addWidget(self.strip)
        form = QVBoxLayout()
        form.setContentsMargins(10, 6, 10, 4)
        form.setSpacing(0)
        column.addLayout(form, 1)
        self.exits = ExitsBlock(theme, body)
        self.exits.changed.connect(self._on_exits)
        self.exits.save_requested.connect(self.template_save_requested)
        self.exits.remove_requested.connect(self.template_remove_requested)
        self._add_quantity(form)
        form.addSpacing(8)
        form.addWidget(self.exits.row)
        self._add_kind_and_price(form)
        form.addSpacing(8)
        form.addWidget(self.exits)
        form.addSpacing(8)
        self.preview = PreviewBlock(theme, body)
        form.addWidget(self.preview)
        form.addSpacing(8)
        self._add_send(form)
        form.addSpacing(8)
        form.addWidget(self._make_management())
        self._result_lines = [ElidedLabel(theme, parent=body) for _ in range(3)]
        form.addSpacing(6)
        for line in self._result_lines:
            form.addWidget(line)
        form.addStretch(1)
        return body

    def _add_quantity(self, form: QVBoxLayout) -> None:
        head = QHBoxLayout()
        head.addWidget(caption("Quantity", self))
        head.addStretch(1)
        self.size_mode = WordSwitch(self.context.theme, [("lots", "Lots"), ("risk", "Risk $")], self)
        self.size_mode.setAccessibleName("Size in lots or by risk")
        self.size_mode.chosen.connect(self._on_size_mode)
        head.addWidget(self.size_mode)
        form.addLayout(head)
        form.addSpacing(2)
        row = QHBoxLayout()
        row.setSpacing(4)
        self.size_box = Stepper(self.context.theme, 32, is_large=True, parent=self)
        self.size_box.set_name("Quantity")
        self.size_box.setFixedWidth(100)
        self.size_box.stepped.connect(self._on_size_stepped)
        self.size_box.typed.connect(self._on_size_typed)
        row.addWidget(self.size_box)
        row.addSpacing(2)
        self._pads: list[QPushButton] = []
        for place in range(len(PRESETS)):
            pad = QPushButton(self)
            pad.setProperty("size", "pad")
            pad.setCheckable(True)
            pad.setFixedHeight(32)
            # Three digits must not push the box aside: the pads share what is left.
            pad.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            pad.setStyleSheet("padding: 0;")
            pad.setObjectName(str(place))
            pad.clicked.connect(self._on_pad)
            self._pads.append(pad)
            row.addWidget(pad, 1)
        form.addLayout(row)
        self.size_note = ElidedLabel(self.context.theme, parent=self)
        self.size_note.setFixedHeight(20)
        form.addWidget(self.size_note)

    def _add_kind_and_price(self, form: QVBoxLayout) -> None:
        form.addSpacing(8)
        self.kinds = Segmented(self.context.theme, _KINDS, self)
        self.kinds.setAccessibleName("Order kind")
        self.kinds.choose("limit")
        self.kinds.chosen.connect(self._on_kind)
        form.addWidget(self.kinds)
        form.addSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(6)
        self.price_box = Stepper(self.context.theme, 26, parent=self)
        self.price_box.set_name("Price")
        self.price_box.setFixedWidth(132)
        self.price_box.stepped.connect(self._on_price_stepped)
        self.price_box.typed.connect(self._on_price_typed)
        self.lock_button = QToolButton(self)
        self.lock_button.setProperty("role", "flat")
        self.lock_button.setAccessibleName("Price follows the market or is locked")
        self.lock_button.clicked.connect(self._on_lock)
        self.price_note = ElidedLabel(self.context.theme, parent=self)
        row.addWidget(self.price_box)
        row.addWidget(self.lock_button)
        self.beyond_box = Stepper(self.context.theme, 26, parent=self)
        self.beyond_box.set_name("Limit beyond the trigger")
        self.beyond_box.setToolTip("How many ticks beyond its trigger the limit stands")
        self.beyond_box.stepped.connect(self._on_beyond_stepped)
        self.beyond_box.typed.connect(self._on_beyond_typed)
        self.beyond_box.hide()
        row.addWidget(self.price_note, 1)
        row.addWidget(self.beyond_box, 1)
        form.addLayout(row)

    def _add_send(self, form: QVBoxLayout) -> None:
        row = QHBoxLayout()
        row.setSpacing(6)
        self.buy_button = SendButton(self.context.theme, "buy", self)
        self.sell_button = SendButton(self.context.theme, "sell", self)
        for button in (self.buy_button, self.sell_button):
            button.clicked.connect(self._on_send)
            button.hovered.connect(self._on_hovered)
            row.addWidget(button, 1)
        form.addLayout(row)

    def _make_management(self) -> ManagementBlock:
        self.manage = ManagementBlock(self.context.theme, self._policies, self)
        self.manage.modify_requested.connect(self.modify_requested)
        self.manage.close_requested.connect(self.close_requested)
        self.manage.cancel_group_requested.connect(self.cancel_group_requested)
        self.manage.trail_requested.connect(self._on_trail)
        self.manage.reverse_requested.connect(self._on_reverse)
        self.manage.flatten_requested.connect(self._on_flatten)
        return self.manage

    # refreshing

    def _change(self, **values: object) -> None:
        self.form = dataclasses.replace(self.form, **values)  # type: ignore[arg-type]
        self._refresh()

    def _net(self) -> int:
        return self._position.net_lots if self._position is not None else 0

    def _limits(self) -> plan.Limits:
        return plan.Limits(self.context.max_order_lots, self.context.max_position_lots)

    def _refresh(self) -> None:
        self._refresh_position()
        self._refresh_quantity()
        self._refresh_price()
        self._refresh_send()
        self._refresh_management()

    def _refresh_position(self) -> None:
        position, contract = self._position, self.context.contract
        is_held = self._doubt is not None
        if position is None or contract is None:
            self.strip.show_state(net_lots=0, average="", pnl_1e4=0, shield="", is_doubtful=is_held)
            return
        need = abs(position.net_lots)
        covered = position.stop_lots
        shield = "" if not need else "shield_full" if covered >= need else "shield_half" if covered else "shield_none"
        self.strip.show_state(
            net_lots=position.net_lots,
            average=formatting.average_text(position.average_ticks_1e4, contract),
            pnl_1e4=position.open_pnl_1e4,
            shield=shield,
            is_doubtful=position.is_disputed or is_held,
            is_stale=not self._market.is_live,
        )

    def _refresh_quantity(self) -> None:
        risk = self.form.risk_1e4
        note = self._size_by_risk() if risk is not None else ""
        self.size_box.show_text(str(self.form.size_lots) if risk is None else f"${_dollars_text(risk)}")
        held = self.form.size_lots if risk is None else risk // _DOLLAR
        for value, pad in zip(PRESETS if risk is None else RISK_PRESETS, self._pads, strict=True):
            pad.setText(str(value))
            pad.setAccessibleName(f"{'Quantity' if risk is None else 'Risk in dollars'} {value}")
            pad.setChecked(value == held)
        limit, is_bad = plan.limit_note(self.form, self._net(), self._limits())
        is_empty = risk is not None and not self.form.size_lots
        self.size_box.show_bad(is_bad or is_empty)
        self.size_note.show_text(
            limit if is_bad or not note else note, "status.danger" if is_bad or is_empty else "text.muted"
        )

    def _size_by_risk(self) -> str:
        """Let the size follow from the money at risk; the note that says how."""
        contract, side = self.context.contract, self._side()
        if contract is None:
            return "Choose a contract."
        exits, _problem = plan.exit_plan(self.form, side, self._market, contract)
        lots, note, self._mixed = plan.size_by_risk(self.form, exits.stop_ticks, contract, self._micro)
        self.form = dataclasses.replace(self.form, size_lots=lots)
        return note

    def _side(self) -> str:
        return self._hovered or self._last_side

    def _plan(self, side: str) -> tuple[ExitPlan, str]:
        contract = self.context.contract
        return (NO_EXITS, "") if contract is None else plan.exit_plan(self.form, side, self._market, contract)

    def _reduces(self, side: str) -> bool:
        """Whether this side only takes the position nearer to flat: that stays possible while entries are blocked."""
        net = self._net()
        return net * (1 if side == "buy" else -1) < 0 and self.form.size_lots <= abs(net)

    def _refusal(self, side: str) -> str:
        reason = plan.refusal(self.form, side, self._market, self._net(), self._limits())
        if self.exits.problem:
            return reason or "exits: see the legs"
        return reason or ("exits: see the sketch" if self._plan(side)[1] else "")

    def _refresh_price(self) -> None:
        contract, form = self.context.contract, self.form
        is_bounded = form.kind == "stop_limit"
        has_price = form.kind in ("limit", "stop") or is_bounded
        is_trail = form.kind == "trailing_stop"
        self.price_box.setEnabled(has_price or is_trail)
        self.lock_button.setEnabled(has_price)
        self._show_lock()
        self.price_note.setVisible(not is_bounded)
        reveal(self.beyond_box, is_bounded)
        if is_bounded:
            self.beyond_box.show_text(f"+{form.beyond_ticks} t")
        if is_trail:
            self.price_box.show_text(f"{form.trail_ticks} t")
            self.price_note.show_text("behind the market")
        elif contract is None:
            self.price_box.show_text("")
            self.price_note.show_text("no contract")
        elif not has_price:
            self.price_box.show_text("")
            self.price_note.show_text("best price now" if form.kind == "market" else "rests at the best")
        else:
            price = plan.price_for(form, self._side(), self._market)
            self.price_box.show_text("" if price is None else formatting.price_text(price, contract))
            self.price_note.show_text(plan.distance_text(form, self._market))

    def _refresh_send(self) -> None:
        context, contract = self.context, self.context.contract
        for side, button in (("buy", self.buy_button), ("sell", self.sell_button)):
            first = f"{side.upper()} {self.form.size_lots}"
            reason = self._refusal(side)
            if contract is None or context.account is None:
                button.show_state("blocked", first, "no account" if context.account is None else "no contract")
            elif self._doubt is not None and side in self._doubt.sides:
                button.show_state("unknown", "Unknown, held", f"{self._doubt.age_text}, ask again")
            elif context.is_locked:
                button.show_state("blocked", first, "locked by you")
            elif reason or (context.blocked_reason and not self._reduces(side)):
                button.show_state("blocked", first, reason or context.blocked_reason)
            else:
                text = plan.send_text(self.form, side, self._market, contract)
                button.show_state("armed" if context.is_armed else "disarmed", first, text)
                button.setAccessibleDescription(f"{contract.name} on {context.account.word} {context.account.nickname}")
        if contract is None:
            self.preview.show_pieces([("Choose a contract.", False)], "line.strong")
            return
        self._refresh_preview(contract)
        if self._doubt is not None:
            self.preview.show_pieces(
                [
                    (f"? {self._doubt.sentence}.", True),
                    (f" Asking the broker for orders and fills with tag {self._doubt.tag}.", False),
                    (" New orders wait until it is settled; nothing is sent twice.", False),
                ],
                "status.caution",
            )

    def _refresh_preview(self, contract: Contract) -> None:
        side = self._side()
        exits, problem = self._plan(side)
        pieces = plan.preview(
            self.form, side, self._market, contract, exits, net_lots=self._net(), limits=self._limits()
        )
        pieces += plan.after_stop_out(self.form, contract, exits, self._headroom)
        if self.form.risk_1e4 is not None and self._mixed is not None:
            split = " + ".join(f"{part.lots} {part.contract.root}" for part in self._mixed.parts)
            pieces += [(" Same risk: ", False), (split, True), (".", False)]
        edge = "status.danger" if self._refusal(side) else f"side.{self._hovered}_fill" if self._hovered else ""
        self.preview.show_pieces(pieces, edge or "line.strong")
        price = plan.price_for(self.form, side, self._market)
        entry = formatting.price_text(price, contract) if price is not None else formatting.kind_word(self.form.kind)
        self.exits.sketch.show_view(
            SketchView(
                side=side,
                entry=entry,
                remark=_rule_text(exits),
                legs=legs_of(exits, side, self.form.size_lots, contract.tick_value_1e4),
                problem=problem,
            )
        )

    def _refresh_management(self) -> None:
        stages = self._plan(self._side())[0].stages
        self.manage.show_state(
            self._orders,
            self._position,
            account=self.context.account,
            contract=self.context.contract,
            trail_ticks=stages[0].distance_ticks if stages else None,
        )

    def _show_lock(self) -> None:
        name = "lock-open" if self.form.price_ticks is None else "lock"
        if self.lock_button.objectName() != name:
            self.lock_button.setObjectName(name)
            self.lock_button.setIcon(icon(name, self.context.theme, "text.secondary", 16))
            self.lock_button.setToolTip(
                "Follows the market" if name == "lock-open" else "Locked; click to follow the market"
            )

    # requests

    def _on_send(self) -> None:
        button = self.sender()
        account, contract = self.context.account, self.context.contract
        if isinstance(button, SendButton) and button.mode == "unknown":
            self.recheck_requested.emit()
            return
        if not isinstance(button, SendButton) or account is None or contract is None or self.context.is_locked:
            return
        side, form = button.side, self.form
        if not self.context.can_enter and not (self.context.is_armed and self._reduces(side)):
            return
        if self._refusal(side):
            return
        price = plan.price_for(form, side, self._market)
        self._last_side = side
        exits, _problem = self._plan(side)
        self.order_requested.emit(
            OrderDraft(
                account_id=account.account_id,
                contract_id=contract.id,
                side=side,
                kind=form.kind,
                size_lots=form.size_lots,
                source=self.context.source,
                limit_ticks=plan.limit_of(form, side, self._market),
                stop_ticks=price if form.kind in ("stop", "stop_limit") else None,
                trail_ticks=form.trail_ticks if form.kind == "trailing_stop" else None,
                exits=exits,
                painted_bid_ticks=self._market.bid_ticks,
                painted_ask_ticks=self._market.ask_ticks,
            )
        )

    def _on_hovered(self, side: str) -> None:
        self._hovered = side
        self._last_side = side or self._last_side
        self._refresh()

    def _on_size_mode(self, mode: str) -> None:
        if mode == "risk":
            self._change(risk_1e4=RISK_PRESETS[1] * _DOLLAR)
        else:
            self._change(risk_1e4=None, size_lots=max(1, self.form.size_lots))

    def _on_exits(self) -> None:
        self._change(exits=self.exits.template)

    def _on_size_stepped(self, step: int) -> None:
        risk = self.form.risk_1e4
        if risk is None:
            self.set_size(self.form.size_lots + step)
        else:
            self._change(risk_1e4=max(_DOLLAR, risk + step * 10 * _DOLLAR))

    def _on_size_typed(self, text: str) -> None:
        if self.form.risk_1e4 is not None:
            self._change(risk_1e4=plan.parse_risk(text) or self.form.risk_1e4)
            self.size_box.edit.setText(f"${_dollars_text(self.form.risk_1e4 or 0)}")
            return
        lots = plan.parse_size(text, self.form.size_lots, self._net())
        self._change(size_lots=lots if lots is not None else self.form.size_lots)
        self.size_box.edit.setText(str(self.form.size_lots))

    def _on_pad(self) -> None:
        pad = self.sender()
        if pad is None:
            return
        place = int(pad.objectName())
        if self.form.risk_1e4 is None:
            self.set_size(PRESETS[place])
        else:
            self._change(risk_1e4=RISK_PRESETS[place] * _DOLLAR)

    def _on_kind(self, kind: str) -> None:
        self._change(kind=kind, price_ticks=None)

    def _on_price_stepped(self, step: int) -> None:
        if self.form.kind == "trailing_stop":
            self._change(trail_ticks=max(1, self.form.trail_ticks + step))
            return
        price = plan.price_for(self.form, self._last_side, self._market)
        if price is not None:
            self._change(price_ticks=price + step)

    def _on_price_typed(self, text: str) -> None:
        contract = self.context.contract
        if self.form.kind == "trailing_stop":
            self._change(trail_ticks=_ticks(text) or self.form.trail_ticks)
        elif contract is not None:
            price = formatting.parse_price(text, contract)
            self._change(price_ticks=price if price is not None else self.form.price_ticks)
            if price is None:
                self.price_note.show_text("not on the grid")

    def _on_beyond_stepped(self, step: int) -> None:
        self._change(beyond_ticks=max(0, self.form.beyond_ticks + step))

    def _on_beyond_typed(self, text: str) -> None:
        ticks = _ticks(text.strip().removeprefix("+"))
        self._change(beyond_ticks=ticks if ticks or text.strip(" +t") == "0" else self.form.beyond_ticks)
        self.beyond_box.edit.setText(f"+{self.form.beyond_ticks} t")

    def _on_lock(self) -> None:
        if self.form.price_ticks is None:
            self._change(price_ticks=plan.price_for(self.form, self._last_side, self._market))
        else:
            self._change(price_ticks=None)

    def _on_trail(self, keys: list[str]) -> None:
        exits = self._plan(self._side())[0]
        if exits.stages:
            self.trail_requested.emit(keys, exits)

    def _on_reverse(self) -> None:
        position = self._position
        if position is not None and position.net_lots:
            self.reverse_requested.emit(position.account_id, position.contract_id)

    def _on_flatten(self) -> None:
        if self.context.account is not None and self.context.contract is not None:
            self.flatten_requested.emit(self.context.account.account_id, self.context.contract.id)

    def _on_theme(self) -> None:
        self.lock_button.setObjectName("")
        self._show_lock()

    def keyboard_focus(self) -> None:
        """Put the keyboard into the quantity box."""
        self.size_box.edit.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.size_box.edit.selectAll()


def _ticks(text: str) -> int:
    digits = text.strip().removesuffix("t").strip()
    return int(digits) if digits.isdecimal() and len(digits) < 6 else 0


def _dollars_text(amount_1e4: int) -> str:
    dollars, rest = divmod(amount_1e4, _DOLLAR)
    return f"{dollars}.{rest // 100:02d}" if rest else str(dollars)


def _rule_text(exits: ExitPlan) -> str:
    """What this computer does with the stop, beside the entry."""
    parts = []
    if exits.break_even_trigger_ticks is not None:
        parts.append(f"BE after {exits.break_even_trigger_ticks} t, plus {exits.break_even_plus_ticks}")
    if exits.stages:
        parts.append(f"trail {exits.stages[0].distance_ticks} t")
    return ", ".join(parts)
