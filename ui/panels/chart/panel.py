"""The chart panel: frame, header with the interval, and the view."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QWidget

from ui.charting.interval import Interval, IntervalButton, MenuButton
from ui.controls import PanelFrame
from ui.painting import PanelContext
from ui.panels.chart.view import ChartView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain import BarFrame, Fill, MarketFrame, Order, Position

_LOTS = (1, 2, 3, 5, 10)


class ChartPanel(PanelFrame):
    """Chart of one contract with the orders and position of one account. `render` in, requests out.

    `interval_changed(unit, number)` asks for bars of another interval; until they come the plot says that it loads.
    """

    order_requested = Signal(object)
    modify_requested = Signal(str, dict)
    cancel_requested = Signal(str)
    close_requested = Signal()
    flatten_requested = Signal()
    arm_requested = Signal(bool)
    interval_changed = Signal(str, int)

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context, "Chart", parent)
        self._identity = _identity(context)
        start = Interval("minute", 1)
        self.view = ChartView(context, start, self)
        self.interval_button = IntervalButton(context.theme, start, self)
        self.lots_button = MenuButton(context.theme, [(f"Lots {lots}", lots) for lots in _LOTS], 1, self)
        self.lots_button.setVisible(context.is_armed)
        self.header.add_control(self.interval_button)
        self.header.add_control(self.lots_button)
        self.set_body(self.view)
        self._note_timer = QTimer(self)
        self._note_timer.setObjectName("chart note")
        self._note_timer.setSingleShot(True)
        self._note_timer.setInterval(4_000)
        self._note_timer.timeout.connect(self._show_state)
        self.header.arm_requested.connect(self.arm_requested)
        self.view.order_requested.connect(self.order_requested)
        self.view.draft_changed.connect(self._show_state)
        self.lots_button.picked.connect(self.view.set_lots)
        self.view.modify_requested.connect(self.modify_requested)
        self.view.cancel_requested.connect(self.cancel_requested)
        self.view.note_changed.connect(self._on_note)
        self.interval_button.chosen.connect(self._on_interval)
        context.changed.connect(self._on_identity)
        self._name_header()
        self._show_state()

    @property
    def interval(self) -> Interval:
        """What is shown: (unit, number)."""
        return self.view.interval

    def set_interval(self, unit: str, number: int) -> None:
        """Show another interval, as if a person had chosen it."""
        self.interval_button.choose(Interval(unit, number))

    def render(  # type: ignore[override]
        self,
        frame: MarketFrame | None,
        bars: BarFrame | None,
        orders: Sequence[Order],
        position: Position | None,
        fills: Sequence[Fill] = (),
    ) -> None:
        """Show a frame; `bars` is None when no bar changed. orders and fills may be of other contracts and accounts."""
        self.view.show_market(frame, bars, orders, position, fills)

    def _name_header(self) -> None:
        contract = self.context.contract
        self.header.set_title(contract.description if contract is not None and contract.description else "Chart")

    def _on_interval(self, interval: Interval) -> None:
        self.view.set_interval(interval)
        self.interval_changed.emit(interval.unit, interval.number)

    def _on_note(self, text: str) -> None:
        self.account_bar.set_note((text, "caption", "status.caution"))
        self._note_timer.start()

    def _show_state(self) -> None:
        self.lots_button.setVisible(self.context.is_armed)
        text = (
            "Left click drafts a buy, right click a sell" if self.context.is_armed else "Chart trading off until armed"
        )
        blocked = self.context.blocked_reason
        if blocked:
            text = f"{blocked[:1].upper()}{blocked[1:]}: entries blocked"
        if self.view.draft is not None:
            text = "Draft: Enter sends, Esc discards"
        self.account_bar.set_note((text, "caption", "status.caution" if blocked else "text.secondary"))

    def _on_identity(self) -> None:
        contract_id, account_id = _identity(self.context)
        self._name_header()
        if contract_id != self._identity[0]:
            self.view.clear()
        elif account_id != self._identity[1]:
            self.view.forget_own()
        self._identity = (contract_id, account_id)
        if not self._note_timer.isActive():
            self._show_state()


def _identity(context: PanelContext) -> tuple[str, int]:
    contract, account = context.contract, context.account
    return contract.id if contract is not None else "", account.account_id if account is not None else 0
