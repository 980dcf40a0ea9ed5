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
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from app.services import management
from ui import formatting
from ui.bridge import OrderDraft
from ui.controls import ElidedLabel, HoldButton, PanelFrame, Segmented, SendButton, caption, enable
from ui.painting import PanelContext, icon
from ui.panels.ticket import plan
from ui.panels.ticket.parts import ExitsSketch, PositionStrip, PreviewBlock, Stepper

if TYPE_CHECKING:
    from app.domain import MarketFrame, Order, Position

PRESETS = (1, 2, 3, 5, 10)
_KINDS = [
    [("market", "Market"), ("limit", "Limit"), ("stop", "Stop")],
    [("join_bid", "Join bid"), ("join_ask", "Join ask"), ("trailing_stop", "Trail")],
]
_RESULT_TOKENS = {"refused": "status.danger", "unknown": "status.caution"}
_RESULT_GLYPHS = {"done": "\u2713", "cancelled": "\u00d7", "refused": "!", "unknown": "?"}


class TicketPanel(PanelFrame):
    """The ticket of one account and contract."""

    order_requested = Signal(object)
    modify_requested = Signal(str, object)
    cancel_requested = Signal(str)
    cancel_group_requested = Signal(object)
    close_requested = Signal(object, str, object)
    flatten_requested = Signal(object, str)
    arm_requested = Signal(bool)

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, "Ticket", parent)
        self.form = plan.Form()
        self._market = plan.Market()
        self._orders: list[Order] = []
        self._position: Position | None = None
        self._hovered = ""
        self._last_side = "buy"
        self._results: deque[tuple[int, str, str]] = deque(maxlen=3)
        self.header.arm_requested.connect(self.arm_requested)
        self.setMinimumWidth(280)
        self.set_body(self._make_body())
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
        self._results.appendleft((time_ns, outcome, text))
        for line, (stamp, what, words) in zip(self._result_lines, self._results, strict=False):
            token = _RESULT_TOKENS.get(what, "text.secondary")
            line.show_text(f"{formatting.clock_text(stamp)}  {_RESULT_GLYPHS.get(what, '')}  {words}", token)

    def set_size(self, lots: int) -> None:
        """Put a quantity into the box."""
        self._change(size_lots=max(1, min(lots, 9_999)))

    # building

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
        form.setContentsMargins(10, 8, 10, 8)
        form.setSpacing(0)
        column.addLayout(form, 1)
        self._add_quantity(form)
        self._add_kind_and_price(form)
        self._add_exits(form)
        self.preview = PreviewBlock(theme, body)
        form.addWidget(self.preview)
        form.addSpacing(8)
        self._add_send(form)
        self._add_management(form)
        self._result_lines = [ElidedLabel(theme, parent=body) for _ in range(3)]
        form.addSpacing(6)
        for line in self._result_lines:
            form.addWidget(line)
        form.addStretch(1)
        return body

    def _add_quantity(self, form: QVBoxLayout) -> None:
        form.addWidget(caption("Quantity", self))
        form.addSpacing(4)
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
        for lots in PRESETS:
            pad = QPushButton(str(lots), self)
            pad.setProperty("size", "pad")
            pad.setCheckable(True)
            pad.setFixedHeight(32)
            pad.setObjectName(str(lots))
            pad.setAccessibleName(f"Quantity {lots}")
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
        row.addWidget(self.price_note, 1)
        form.addLayout(row)

    def _add_exits(self, form: QVBoxLayout) -> None:
        form.addSpacing(8)
        row = QHBoxLayout()
        row.setSpacing(6)
        self.stop_box = Stepper(self.context.theme, 26, parent=self)
        self.target_box = Stepper(self.context.theme, 26, parent=self)
        for word, box, slot, typed in (
            ("Stop", self.stop_box, self._on_stop_stepped, self._on_stop_typed),
            ("Target", self.target_box, self._on_target_stepped, self._on_target_typed),
        ):
            box.set_name(f"{word} in ticks")
            box.stepped.connect(slot)
            box.typed.connect(typed)
            row.addWidget(caption(word, self))
            row.addWidget(box, 1)
        form.addLayout(row)
        form.addSpacing(6)
        self.sketch = ExitsSketch(self.context.theme, self)
        form.addWidget(self.sketch)
        form.addSpacing(8)

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

    def _add_management(self, form: QVBoxLayout) -> None:
        form.addSpacing(8)
        grid = QGridLayout()
        grid.setSpacing(4)
        self.breakeven_button = QPushButton("BE +1", self)
        self.halve_button = QPushButton("Halve", self)
        self.close_button = QPushButton("Close", self)
        self.flatten_button = HoldButton(self.context.theme, "Flatten", parent=self)
        self.breakeven_button.setToolTip("Move the stops one tick beyond the average")
        self.breakeven_button.clicked.connect(self._on_breakeven)
        self.halve_button.clicked.connect(self._on_halve)
        self.close_button.clicked.connect(self._on_close)
        self.flatten_button.confirmed.connect(self._on_flatten)
        for place, button in enumerate(
            (self.breakeven_button, self.halve_button, self.close_button, self.flatten_button)
        ):
            button.setFixedHeight(26)
            grid.addWidget(button, place // 2, place % 2)
        form.addLayout(grid)
        form.addSpacing(4)
        row = QHBoxLayout()
        row.setSpacing(4)
        self._cancel_buttons: dict[str, QPushButton] = {}
        for name, word in (
            ("Buys", "Buys"),
            ("Sells", "Sells"),
            ("Stops", "Stops"),
            ("Targets", "Tgts"),
            ("All", "All"),
        ):
            button = QPushButton(f"\u00d7 {word}", self)
            button.setProperty("size", "small")
            button.setStyleSheet("padding: 0 2px; font-size: 11px;")
            button.setObjectName(name)
            button.setAccessibleName(f"Cancel {name.lower()}")
            button.clicked.connect(self._on_cancel_group)
            self._cancel_buttons[name] = button
            row.addWidget(button, 1)
        form.addLayout(row)

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
        if position is None or contract is None:
            self.strip.show_state(net_lots=0, average="", pnl_1e4=0, shield="", is_doubtful=False)
            return
        need = abs(position.net_lots)
        covered = position.stop_lots
        shield = "" if not need else "shield_full" if covered >= need else "shield_half" if covered else "shield_none"
        self.strip.show_state(
            net_lots=position.net_lots,
            average=formatting.average_text(position.average_ticks_1e4, contract),
            pnl_1e4=position.open_pnl_1e4,
            shield=shield,
            is_doubtful=position.is_disputed,
        )

    def _refresh_quantity(self) -> None:
        self.size_box.show_text(str(self.form.size_lots))
        for lots, pad in zip(PRESETS, self._pads, strict=True):
            pad.setChecked(lots == self.form.size_lots)
        note, is_bad = plan.limit_note(self.form, self._net(), self._limits())
        self.size_box.show_bad(is_bad)
        self.size_note.show_text(note, "status.danger" if is_bad else "text.muted")

    def _refresh_price(self) -> None:
        contract, form = self.context.contract, self.form
        has_price = form.kind in ("limit", "stop")
        is_trail = form.kind == "trailing_stop"
        self.price_box.setEnabled(has_price or is_trail)
        self.lock_button.setEnabled(has_price)
        self._show_lock()
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
            side = self._hovered or self._last_side
            price = plan.price_for(form, side, self._market)
            self.price_box.show_text("" if price is None else formatting.price_text(price, contract))
            self.price_note.show_text(plan.distance_text(form, self._market))
        self.stop_box.show_text(f"{form.stop_ticks} t" if form.stop_ticks else "off")
        self.target_box.show_text(f"{form.target_ticks} t" if form.target_ticks else "off")

    def _refresh_send(self) -> None:
        context, contract = self.context, self.context.contract
        for side, button in (("buy", self.buy_button), ("sell", self.sell_button)):
            first = f"{side.upper()} {self.form.size_lots}"
            reason = plan.refusal(self.form, side, self._market, self._net(), self._limits())
            if contract is None or context.account is None:
                button.show_state("blocked", first, "no account" if context.account is None else "no contract")
            elif context.is_locked:
                button.show_state("blocked", first, "locked by you")
            elif context.blocked_reason or reason:
                button.show_state("blocked", first, context.blocked_reason or reason)
            else:
                text = plan.send_text(self.form, side, self._market, contract)
                button.show_state("armed" if context.is_armed else "disarmed", first, text)
                button.setAccessibleDescription(f"{contract.name} on {context.account.word} {context.account.nickname}")
        if contract is None:
            self.preview.show_pieces([("Choose a contract.", False)], "line.strong")
            return
        side = self._hovered or self._last_side
        pieces = plan.preview(self.form, side, self._market, contract, self._net(), self._limits())
        is_bad = bool(plan.refusal(self.form, side, self._market, self._net(), self._limits()))
        edge = "status.danger" if is_bad else f"side.{self._hovered}_fill" if self._hovered else "line.strong"
        self.preview.show_pieces(pieces, edge)
        price = plan.price_for(self.form, side, self._market)
        self.sketch.show_state(
            side=side,
            entry=formatting.price_text(price, contract) if price is not None else formatting.kind_word(self.form.kind),
            lots=self.form.size_lots,
            stop_ticks=self.form.stop_ticks,
            target_ticks=self.form.target_ticks,
            tick_value_1e4=contract.tick_value_1e4,
        )

    def _refresh_management(self) -> None:
        lots = abs(self._net())
        has_context = self.context.account is not None and self.context.contract is not None
        enable(self.close_button, lots > 0)
        enable(self.halve_button, lots > 1)
        enable(self.breakeven_button, bool(self._breakeven()))
        enable(self.flatten_button, has_context)
        for name, button in self._cancel_buttons.items():
            enable(button, any(_in_group(order, name) for order in self._orders))

    def _breakeven(self) -> list[tuple[str, int]]:
        if self._position is None:
            return []
        return management.break_even_changes(self._orders, self._net(), self._position.average_ticks_1e4, 1)

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
        if not isinstance(button, SendButton) or account is None or contract is None or not self.context.can_enter:
            return
        side, form = button.side, self.form
        price = plan.price_for(form, side, self._market)
        self._last_side = side
        self.order_requested.emit(
            OrderDraft(
                account_id=account.account_id,
                contract_id=contract.id,
                side=side,
                kind=form.kind,
                size_lots=form.size_lots,
                source=self.context.source,
                limit_ticks=price if form.kind == "limit" else None,
                stop_ticks=price if form.kind == "stop" else None,
                trail_ticks=form.trail_ticks if form.kind == "trailing_stop" else None,
                stop_bracket_ticks=form.stop_ticks or None,
                target_bracket_ticks=form.target_ticks or None,
                painted_bid_ticks=self._market.bid_ticks,
                painted_ask_ticks=self._market.ask_ticks,
            )
        )

    def _on_hovered(self, side: str) -> None:
        self._hovered = side
        self._last_side = side or self._last_side
        self._refresh()

    def _on_size_stepped(self, step: int) -> None:
        self.set_size(self.form.size_lots + step)

    def _on_size_typed(self, text: str) -> None:
        lots = plan.parse_size(text, self.form.size_lots, self._net())
        self._change(size_lots=lots if lots is not None else self.form.size_lots)
        self.size_box.edit.setText(str(self.form.size_lots))

    def _on_pad(self) -> None:
        pad = self.sender()
        if pad is not None:
            self.set_size(int(pad.objectName()))

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

    def _on_lock(self) -> None:
        if self.form.price_ticks is None:
            self._change(price_ticks=plan.price_for(self.form, self._last_side, self._market))
        else:
            self._change(price_ticks=None)

    def _on_stop_stepped(self, step: int) -> None:
        self._change(stop_ticks=max(0, self.form.stop_ticks + step))

    def _on_stop_typed(self, text: str) -> None:
        self._change(stop_ticks=_ticks(text))

    def _on_target_stepped(self, step: int) -> None:
        self._change(target_ticks=max(0, self.form.target_ticks + step))

    def _on_target_typed(self, text: str) -> None:
        self._change(target_ticks=_ticks(text))

    def _on_breakeven(self) -> None:
        for key, ticks in self._breakeven():
            self.modify_requested.emit(key, {"stop_ticks": ticks})

    def _on_halve(self) -> None:
        position = self._position
        if position is not None and abs(position.net_lots) > 1:
            self.close_requested.emit(position.account_id, position.contract_id, abs(position.net_lots) // 2)

    def _on_close(self) -> None:
        position = self._position
        if position is not None and position.net_lots:
            self.close_requested.emit(position.account_id, position.contract_id, None)

    def _on_flatten(self) -> None:
        if self.context.account is not None and self.context.contract is not None:
            self.flatten_requested.emit(self.context.account.account_id, self.context.contract.id)

    def _on_cancel_group(self) -> None:
        button = self.sender()
        if button is not None:
            name = button.objectName()
            self.cancel_group_requested.emit([order.key for order in self._orders if _in_group(order, name)])

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


def _in_group(order: Order, name: str) -> bool:
    if order.look == "done":
        return False
    is_stop = order.role == "stop" or order.kind in ("stop", "stop_limit", "trailing_stop")
    return {
        "Buys": order.side == "buy",
        "Sells": order.side == "sell",
        "Stops": is_stop,
        "Targets": order.role == "target",
        "All": True,
    }[name]
