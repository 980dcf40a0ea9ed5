"""The ladder panel: frame, header, sizes, grid, and the row of buttons that cancel and close."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QEvent, QObject, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.services import management
from ui.bridge import OrderDraft
from ui.controls import PaintedButton, PanelFrame, enable
from ui.dialogs.question import GroupCancel, PolicyButton
from ui.formatting import GAIN, LOSS, average_text, side_word, signed_money
from ui.painting import CENTRE, PanelContext, draw_text, icon_pixmap
from ui.panels.ladder.grid import LadderGrid
from ui.panels.ladder.protection import Bare, BareStrip, bare_of
from ui.panels.ladder.rows import Tracking
from ui.theme import Theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.config import ConfirmOptions
    from app.domain import MarketFrame, Order, Position

PRESETS = (1, 2, 3, 5, 10)
_LIVE = ("sending", "working", "changing", "part_filled", "unknown")


class PadButton(PaintedButton):
    """A small painted button: plain, or filled while it is on."""

    def __init__(
        self, theme: Theme, text: str, width: int, height: int, *, icon: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(theme, parent)
        self._icon = icon
        self._size = QSize(width, height)
        self.setText(text)
        self.setAccessibleName(text)
        self.setFixedHeight(height)
        if width:
            self.setFixedWidth(width)

    def sizeHint(self) -> QSize:
        width = self._theme.metrics("button").horizontalAdvance(self.text()) + 18 + (14 if self._icon else 0)
        return QSize(max(self._size.width(), round(width)), self._size.height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        ground, border, token = "surface.raised", "line.border", "text.primary"
        if not self.isEnabled():
            ground, token = "surface.panel", "text.disabled"
        elif self.isChecked():
            ground, border, token = "action.fill", "action.fill", "action.on_fill"
        elif self.isDown():
            ground = "surface.pressed"
        elif self.is_hovered:
            ground = "surface.hover"
        rect = self.box(painter, ground, border)
        color = self._theme.color(token)
        font = self._theme.font("button", weight=600 if self.isChecked() else 500)
        if not self._icon:
            draw_text(painter, rect, self.text(), font, color, CENTRE)
            return
        width = self._theme.metrics("button", weight=500).horizontalAdvance(self.text()) + 14
        left = rect.center().x() - width / 2
        painter.drawPixmap(
            round(left), round(rect.center().y()) - 5, icon_pixmap(self._icon, color, 10, self.devicePixelRatioF())
        )
        draw_text(painter, QRectF(left + 14, 0, rect.width(), rect.height()), self.text(), font, color)


class LotsRow(QWidget):
    """Presets for the size of the next order. Click sets, Shift adds, right click takes away; the sum is shown."""

    lots_changed = Signal(int)

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self.lots = 1
        self.setFixedHeight(30)
        row = QHBoxLayout(self)
        row.setContentsMargins(35, 4, 6, 4)
        row.setSpacing(4)
        self.pads = [PadButton(context.theme, str(lots), 34, 22, parent=self) for lots in PRESETS]
        for pad in self.pads:
            pad.setCheckable(True)
            pad.setAccessibleName(f"{pad.text()} lots")
            pad.setToolTip("Click sets, Shift adds, right click subtracts")
            pad.installEventFilter(self)
            pad.clicked.connect(self._on_clicked)
            row.addWidget(pad)
        row.addStretch(1)
        context.theme.changed.connect(self.update)
        self._show()

    def set_lots(self, lots: int) -> None:
        """At least one lot; what is too much the strip says before a click."""
        lots = max(1, lots)
        if lots != self.lots:
            self.lots = lots
            self.lots_changed.emit(lots)
        self._show()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._context.theme
        painter.fillRect(self.rect(), theme.color("surface.panel"))
        painter.fillRect(0, self.height() - 1, self.width(), 1, theme.color("line.border"))
        rect = QRectF(self.rect())
        draw_text(painter, rect.adjusted(6, 0, 0, -1), "Lots", theme.font("caption"), theme.color("text.muted"))
        if str(self.lots) not in [pad.text() for pad in self.pads]:
            x = self.pads[-1].geometry().right() + 10
            text = f"{self.lots} lots"
            draw_text(painter, rect.adjusted(x, 0, 0, -1), text, theme.font("body_em"), theme.color("text.primary"))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.RightButton:
            pad = self.childAt(event.position().toPoint())
            if isinstance(pad, PadButton):
                self.set_lots(self.lots - int(pad.text()))

    def _show(self) -> None:
        for pad in self.pads:
            pad.setChecked(pad.text() == str(self.lots))
        self.update()

    def _on_clicked(self) -> None:
        pad = self.sender()
        if isinstance(pad, PadButton):
            from PySide6.QtWidgets import QApplication

            adds = bool(QApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier)
            self.set_lots(self.lots + int(pad.text()) if adds else int(pad.text()))


class ActionRow(QWidget):
    """Cancel buys, all, sells; break-even, close, flatten. Counts are live; all of it works while disarmed."""

    cancel_side_requested = Signal(str)
    breakeven_requested = Signal()
    close_requested = Signal()
    flatten_requested = Signal()

    def __init__(self, context: PanelContext, policies: ConfirmOptions, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme = context.theme
        self._context = context
        self.setFixedHeight(30)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 4, 6, 4)
        row.setSpacing(4)
        self.buys = PadButton(theme, "Buys 0", 66, 22, icon="close", parent=self)
        self.everything = PadButton(theme, "Cancel all 0", 0, 22, parent=self)
        self.sells = PadButton(theme, "Sells 0", 66, 22, icon="close", parent=self)
        moving = "Move the stops one tick beyond the average"
        self.breakeven_button = PolicyButton(theme, "BE +1", moving, policies.break_even, self)
        closing = "Close the position; its exits go with it"
        self.close_button = PolicyButton(theme, "Close", closing, policies.close, self)
        leaving = "Cancel the orders, close the position, read it back"
        self.flatten_button = PolicyButton(theme, "Flatten", leaving, policies.flatten, self)
        for button in (self.buys, self.everything, self.sells):
            row.addWidget(button)
        row.addStretch(1)
        for policy in (self.breakeven_button, self.close_button, self.flatten_button):
            policy.setFixedHeight(22)
            row.addWidget(policy)
        self.buys.clicked.connect(self._on_buys)
        self.everything.clicked.connect(self._on_everything)
        self.sells.clicked.connect(self._on_sells)
        self.breakeven_button.confirmed.connect(self.breakeven_requested)
        self.close_button.confirmed.connect(self.close_requested)
        self.flatten_button.confirmed.connect(self.flatten_requested)
        context.theme.changed.connect(self.update)
        self.show_counts(0, 0, 0)

    def show_counts(self, buys: int, sells: int, net_lots: int, *, can_break_even: bool = False) -> None:
        """Counts of live orders, whether there is anything to close, and whether a stop could move to break-even."""
        for button, text, count, spoken in (
            (self.buys, f"Buys {buys}", buys, f"Cancel buys {buys}"),
            (self.everything, f"Cancel all {buys + sells}", buys + sells, f"Cancel all {buys + sells}"),
            (self.sells, f"Sells {sells}", sells, f"Cancel sells {sells}"),
        ):
            if button.text() != text:
                button.setText(text)
                button.setAccessibleName(spoken)
            enable(button, count > 0)
        contract = self._context.contract
        subject = f"{side_word(net_lots)} {contract.name}" if contract is not None else ""
        for policy in (self.breakeven_button, self.close_button, self.flatten_button):
            policy.show_subject(subject, self._context.account)
        enable(self.breakeven_button, can_break_even)
        enable(self.close_button, net_lots != 0)
        enable(self.flatten_button, net_lots != 0 or buys + sells > 0)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._context.theme.color("surface.panel"))
        painter.fillRect(0, 0, self.width(), 1, self._context.theme.color("line.border"))

    def _on_buys(self) -> None:
        self.cancel_side_requested.emit("buy")

    def _on_sells(self) -> None:
        self.cancel_side_requested.emit("sell")

    def _on_everything(self) -> None:
        self.cancel_side_requested.emit("")


class ModeButton(PaintedButton):
    """Tracking mode as a word and the crosshair: the word changes the mode, the crosshair centres."""

    def __init__(self, theme: Theme, icon: str, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self._icon = icon

    def sizeHint(self) -> QSize:
        if self._icon:
            return QSize(22, 22)
        return QSize(round(self._theme.metrics("body").horizontalAdvance(self.text())) + 8, 22)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        token = "text.primary" if self.is_hovered else "text.secondary" if self._icon else "text.muted"
        rect, color = QRectF(self.rect()), self._theme.color(token)
        if self._icon:
            painter.drawPixmap(3, 3, icon_pixmap(self._icon, color, 16, self.devicePixelRatioF()))
        else:
            draw_text(painter, rect, self.text(), self._theme.font("body"), color, CENTRE)
        self.paint_focus(painter)


class LadderPanel(PanelFrame):
    """Depth ladder of one contract on one account. `render` in, requests out; it never draws what it only hopes for."""

    order_requested = Signal(object)
    modify_requested = Signal(str, dict)
    cancel_requested = Signal(str)
    cancel_group_requested = Signal(object)
    close_requested = Signal()
    flatten_requested = Signal()
    arm_requested = Signal(bool)

    def __init__(self, context: PanelContext, policies: ConfirmOptions, parent: QWidget | None = None) -> None:
        super().__init__(context, "Ladder", parent)
        self._moves: list[tuple[str, int]] = []
        self._stop_distance = 40
        self._identity = _identity(context)
        self.grid = LadderGrid(context, self)
        self.bare_strip = BareStrip(context, self.grid)
        self.grid.installEventFilter(self)
        self.lots_row = LotsRow(context, self)
        self.action_row = ActionRow(context, policies, self)
        self.cancel = GroupCancel(context.theme, policies.cancel, self._keys, self)
        self.mode_button = ModeButton(context.theme, "", self)
        self.centre_button = ModeButton(context.theme, "crosshair", self)
        self._assemble()
        self._connect()
        self._show_mode()

    def _assemble(self) -> None:
        self.mode_button.setToolTip("How the grid follows the market; click for the next way")
        self.centre_button.setToolTip("Centre on the market (Space or middle click in the grid)")
        self.centre_button.setAccessibleName("Centre on the market")
        self.header.add_control(self.mode_button)
        self.header.add_control(self.centre_button)
        body = QWidget(self)
        column = QVBoxLayout(body)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.lots_row)
        column.addWidget(self.grid, 1)
        column.addWidget(self.action_row)
        self.set_body(body)

    def _connect(self) -> None:
        self.header.arm_requested.connect(self.arm_requested)
        self.grid.order_requested.connect(self.order_requested)
        self.grid.spoke.connect(self._on_spoke)
        self.grid.modify_requested.connect(self.modify_requested)
        self.grid.cancel_requested.connect(self.cancel_requested)
        self.lots_row.lots_changed.connect(self.grid.set_lots)
        self.action_row.cancel_side_requested.connect(self._on_cancel_side)
        self.cancel.confirmed.connect(self.cancel_group_requested)
        self.action_row.breakeven_requested.connect(self._on_breakeven)
        self.bare_strip.stop_requested.connect(self._on_stop_wanted)
        self.action_row.close_requested.connect(self.close_requested)
        self.action_row.flatten_requested.connect(self.flatten_requested)
        self.mode_button.clicked.connect(self._on_mode)
        self.centre_button.clicked.connect(self.grid.centre)
        self.context.changed.connect(self._on_identity)

    def render(self, frame: MarketFrame | None, orders: Sequence[Order], position: Position | None) -> None:  # type: ignore[override]
        """Show a frame. orders may hold other contracts and accounts; position is this contract's on this account."""
        self.grid.show_market(frame, orders, position)
        live = [order for order in self.grid.orders if order.look in _LIVE]
        buys = sum(order.side == "buy" for order in live)
        net = position.net_lots if position is not None else 0
        average = position.average_ticks_1e4 if position is not None else 0
        self._moves = management.break_even_changes(live, net, average, 1)
        self.action_row.show_counts(buys, len(live) - buys, net, can_break_even=bool(self._moves))
        self.cancel.refresh()
        self.bare_strip.show_bare(bare_of(position, frame, self._stop_distance), self._stop_distance)
        self._show_position(position, is_stale=frame is not None and frame.is_late)

    def offer_stop(self, distance_ticks: int) -> None:
        """How far from the average the stop would stand that a position without one is offered."""
        self._stop_distance = distance_ticks

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if watched is self.grid and event.type() == QEvent.Type.Resize:
            self.bare_strip.setGeometry(0, 0, self.grid.width(), self.bare_strip.height())
        return super().eventFilter(watched, event)

    def _on_spoke(self) -> None:
        self.bare_strip.give_way(self.grid.is_answering)
        self.bare_strip.show_more(self.grid.strip.tone in ("caution", "danger"))

    def _on_stop_wanted(self, bare: Bare) -> None:
        account, contract = self.context.account, self.context.contract
        if account is None or contract is None:
            return
        self.order_requested.emit(
            OrderDraft(
                account_id=account.account_id,
                contract_id=contract.id,
                side="sell" if bare.net_lots > 0 else "buy",
                kind="stop",
                size_lots=bare.lots,
                source=self.context.source,
                stop_ticks=bare.stop_ticks,
                reduce_only=True,
            )
        )

    def _show_position(self, position: Position | None, *, is_stale: bool) -> None:
        contract = self.context.contract
        if position is None or contract is None or position.net_lots == 0:
            self.account_bar.set_note(("Flat", "caption", "text.muted"))
            return
        side = "buy" if position.net_lots > 0 else "sell"
        gain = position.open_pnl_1e4
        outcome = "text.muted" if gain == 0 or is_stale else f"side.{'buy' if gain > 0 else 'sell'}_text"
        arrow = "~" if is_stale else "" if gain == 0 else GAIN if gain > 0 else LOSS
        self.account_bar.set_note(
            (side_word(position.net_lots), "caption", f"side.{side}_text"),
            (f"  @ {average_text(position.average_ticks_1e4, contract)}  ", "caption", "text.secondary"),
            (f"{arrow} {signed_money(gain)}".strip(), "caption", outcome),
        )

    def _on_cancel_side(self, side: str) -> None:
        self.cancel.request(side, f"Cancel {side}s" if side else "Cancel all", self.context.account)

    def _keys(self, side: str) -> list[str]:
        return [order.key for order in self.grid.orders if order.look in _LIVE and side in ("", order.side)]

    def _on_breakeven(self) -> None:
        for key, ticks in self._moves:
            self.modify_requested.emit(key, {"stop_ticks": ticks})

    def _on_mode(self) -> None:
        modes = list(Tracking)
        self.grid.tracker.mode = modes[(modes.index(self.grid.tracker.mode) + 1) % len(modes)]
        self._show_mode()

    def _show_mode(self) -> None:
        self.mode_button.setText(self.grid.tracker.mode.value)
        self.mode_button.setAccessibleName(f"Tracking: {self.grid.tracker.mode.value}")
        self.mode_button.updateGeometry()
        self.mode_button.update()

    def _on_identity(self) -> None:
        identity = _identity(self.context)
        if identity != self._identity:
            self._identity = identity
            self.grid.clear()


def _identity(context: PanelContext) -> tuple[str, int]:
    contract, account = context.contract, context.account
    return contract.id if contract is not None else "", account.account_id if account is not None else 0
