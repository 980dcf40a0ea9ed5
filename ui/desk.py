"""The desk: panels on one side, services on the other, and the wiring between them.

    engine news ─► bridge ─► what is dirty ─► frame clock ─► pull views once ─► render(visible panels)
    panel *_requested ─► TradingService ─► answer ─► messages and the ticket's last results

One contract and one account are shown at a time; ladder, chart and ticket are armed each for itself.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QPoint, QRect, Qt, QTimer, Signal
from PySide6.QtWidgets import QSplitter, QWidget

from app import errors
from app.errors import PitdeskError
from app.services import sizing
from app.services.day_orders import DayOrders
from ui import formatting
from ui.bridge import Bridge, OrderDraft
from ui.dialogs.limits import ROWS as LIMIT_ROWS
from ui.dialogs.limits import LimitsDialog
from ui.frame_clock import FrameClock
from ui.loop import TaskKeeper
from ui.main_window import DayResult, MainWindow, TabbedPanel
from ui.painting import AccountView, PanelContext
from ui.panels.chart import ChartPanel
from ui.panels.doubt import doubt_of
from ui.panels.fills import FillsPanel
from ui.panels.ladder import LadderPanel
from ui.panels.messages import MessagesPanel
from ui.panels.orders import OrdersPanel
from ui.panels.positions import PositionsPanel
from ui.panels.risk import OwnLimit, RiskPanel, headroom_of
from ui.panels.ticket import TicketPanel
from ui.status_bar import LinkView, StatusView
from ui.toasts import Toaster

if TYPE_CHECKING:
    from app.domain import (
        ArmedChanged,
        BarFrame,
        Contract,
        Denied,
        ExitProgress,
        Fill,
        Link,
        MarketFrame,
        Notice,
        Order,
        Position,
        RequestDone,
        Risk,
    )
    from app.services.composition import Services
    from app.services.exits import ExitPlan, ExitTemplate

SURFACES = ("ladder", "chart", "ticket")
_TABLES_EVERY_MS = 100
_STATUS_EVERY_MS = 250
# A whole trading day of minutes and more: the average price of the day needs its first bar.
_HISTORY_BARS = 1_500
_BAD_STEPS = ("unknown", "halfway", "failed", "flip")
_BAD_LIVES = ("refused", "denied", "not_accepted", "expired")
# What a notice's code reads like as a title; the others read well as they are.
_TITLES = {
    "unprotected": "Position without its stop",
    "no_guardian": "No kill switch",
    "guardian_gone": "The guardian is gone",
    "refused": "Nothing was sent",
    "broker": "Refused by the broker",
    "no_answer": "No answer yet",
    "not_done": "Not done",
    "market": "Market stream",
    "user": "Order stream",
    "rest": "Requests",
}
_LINK_WORDS = {
    "live": "is live",
    "late": "is late",
    "dead": "is lost",
    "connecting": "is connecting",
    "off": "is off",
}
_REST_WORDS = {"live": "are answered", "dead": "do not reach the broker", "connecting": "begin", "off": "are off"}


class Desk(QObject):
    """Owns contexts and panels of one window over one set of services."""

    account_changed = Signal()
    # Options that a person stated anew, to be kept in his file.
    options_stated = Signal(object)

    def __init__(
        self, window: MainWindow, services: Services, bridge: Bridge, clock: FrameClock, keeper: TaskKeeper
    ) -> None:
        super().__init__(window)
        self._window = window
        self._services = services
        self._engine = services.engine
        self._clock = clock
        self._keeper = keeper
        theme = window.theme
        self.contexts = {source: PanelContext(theme, source, self) for source in SURFACES}
        self.account: AccountView | None = None
        self.contract: Contract | None = None
        self.is_locked = False
        self._frame: MarketFrame | None = None
        self._bars: BarFrame | None = None
        self._interval = ("minute", 1)
        self._day = DayOrders(services.engine)
        self._orders: list[Order] = []
        self._positions: list[Position] = []
        self._fills: list[Fill] = []
        self._risk: Risk | None = None
        self._has_new_fills = True
        self._are_fills_listed = False
        self._seen_lives: dict[str, str] = {}
        self._link_states: dict[str, str] = {}
        self._is_state_dirty = True
        self._are_tables_dirty = True
        self._is_order_list_due = False
        self._tables_at = 0.0
        self._noted_ns = 0
        self._guardian = "connecting"
        self.toaster = Toaster(window.theme, window, self._trading_places)
        self._build_panels()
        self._connect_panels()
        self._connect_bridge(bridge)
        clock.frame.connect(self._on_frame)
        clock.painted.connect(self._on_painted)
        self._status_timer = QTimer(self)
        self._status_timer.setObjectName("status")
        self._status_timer.setInterval(_STATUS_EVERY_MS)
        self._status_timer.timeout.connect(self._on_status)
        self._status_timer.start()
        self._surfaces_due: list[str] = []
        self._surfaces_timer = QTimer(self)
        self._surfaces_timer.setObjectName("surfaces")
        self._surfaces_timer.setSingleShot(True)
        self._surfaces_timer.timeout.connect(self._on_surface_due)
        self._tables_timer = QTimer(self)
        self._tables_timer.setObjectName("tables")
        self._tables_timer.setSingleShot(True)
        self._tables_timer.timeout.connect(self._on_tables_due)

    # building

    def _build_panels(self) -> None:
        theme, window = self._window.theme, self._window
        confirm = self._services.options.confirm
        self.chart = ChartPanel(self.contexts["chart"])
        self.ladder = LadderPanel(self.contexts["ladder"], confirm)
        self.ticket = TicketPanel(self.contexts["ticket"], confirm)
        self.positions = PositionsPanel(theme, confirm)
        self.fills = FillsPanel(theme)
        self.messages = MessagesPanel(theme)
        self.orders = OrdersPanel(theme, confirm)
        self.risk_context = PanelContext(theme, "risk", self)
        self.risk = RiskPanel(self.risk_context)
        window.add_trading_panel("chart", "Chart", self.chart)
        window.add_trading_panel("ladder", "Ladder", self.ladder)
        window.add_trading_panel("ticket", "Ticket", self.ticket)
        window.add_trading_panel("risk", "Account and risk", self.risk)
        self.book = TabbedPanel(theme, window)
        both = QSplitter(window)
        both.setOrientation(Qt.Orientation.Vertical)
        both.setChildrenCollapsible(False)
        both.addWidget(self.positions)
        both.addWidget(self.fills)
        both.setSizes([112, 104])
        self.book.add_page("positions", "Positions", both, self.positions.actions_bar)
        self.book.add_page("messages", "Messages", self.messages)
        window.add_plain_panel("positions", "Positions, messages", self.book)
        self.order_tabs = TabbedPanel(theme, window)
        for name, title in (("open", "Orders"), ("all", "All today"), ("rejected", "Rejected")):
            self.order_tabs.add_page(name, title, self.orders, self.orders.actions_bar)
        window.add_plain_panel("orders", "Orders", self.order_tabs)

    def _connect_panels(self) -> None:
        for source, panel in (("ladder", self.ladder), ("chart", self.chart), ("ticket", self.ticket)):
            panel.order_requested.connect(self._on_order_requested)
            panel.modify_requested.connect(self._on_modify_requested)
            panel.cancel_requested.connect(self._on_cancel_requested)
            panel.setProperty("source", source)
            panel.arm_requested.connect(self._on_arm_requested)
        for plain in (self.ladder, self.chart):
            plain.close_requested.connect(self._on_close_here)
            plain.flatten_requested.connect(self.flatten_contract)
        for table in (self.ticket, self.positions):
            table.close_requested.connect(self._on_close_requested)
            table.reverse_requested.connect(self._on_reverse_requested)
            table.flatten_requested.connect(self._on_flatten_requested)
        self.risk.mode_requested.connect(self._on_mode_requested)
        self.risk.release_requested.connect(self._on_release_requested)
        self.risk.flatten_requested.connect(self._on_flatten_account)
        self.risk.limits_requested.connect(self._on_limits_requested)
        self.orders.oco_requested.connect(self._on_oco_requested)
        self.orders.refused.connect(self._refused)
        self.ticket.trail_requested.connect(self._on_trail_requested)
        self.ticket.template_save_requested.connect(self._on_template_save)
        self.ticket.template_remove_requested.connect(self._on_template_remove)
        for source_of_groups in (self.ticket, self.ladder, self.orders):
            source_of_groups.cancel_group_requested.connect(self._on_cancel_keys)
        for asker in (self.ticket, self.orders):
            asker.recheck_requested.connect(self.recheck)
        self.orders.cancel_requested.connect(self._on_cancel_requested)
        for changer in (self.orders, self.positions):
            changer.modify_requested.connect(self._on_modify_requested)
        self.orders.contract_chosen.connect(self.choose_contract)
        self.positions.contract_chosen.connect(self.choose_contract)
        self.order_tabs.page_shown.connect(self.orders.show_filter)
        # The page of the whole day needs orders that the others do without.
        self.order_tabs.page_shown.connect(self._on_state_changed)
        self.book.page_shown.connect(self._on_book_page)
        self.chart.interval_changed.connect(self._on_interval)
        # A comparison with the broker begins with the streams: it waits for no pause between attempts.
        self._window.status.retry_requested.connect(self.recheck)

    def _connect_bridge(self, bridge: Bridge) -> None:
        bridge.woken.connect(self._clock.mark_dirty)
        for signal in (bridge.order_changed, bridge.fill_added, bridge.position_changed, bridge.account_changed):
            signal.connect(self._on_state_changed)
        bridge.order_changed.connect(self._on_order_changed)
        for signal in (bridge.fill_added, bridge.account_changed, bridge.link_changed, bridge.resync):
            signal.connect(self._on_fills_changed)
        bridge.fill_added.connect(self._on_fill)
        bridge.link_changed.connect(self._on_link)
        bridge.denied.connect(self._on_denied)
        bridge.notice.connect(self._on_notice)
        bridge.request_done.connect(self._on_request_done)
        bridge.armed_changed.connect(self._on_armed_changed)
        bridge.exit_progressed.connect(self._on_exit_progress)
        bridge.risk_changed.connect(self._on_state_changed)
        bridge.resync.connect(self._on_state_changed)

    # choosing

    def accounts(self) -> list[AccountView]:
        """Every account of the login, as surfaces show it."""
        return [account_view(account) for account in self._engine.accounts()]

    def choose_account(self, account_id: int) -> None:
        """Trade another account; every surface is disarmed before."""
        self._spawn(self.trade_account(str(account_id)), "choose account")

    async def trade_account(self, wanted: str) -> None:
        """Trade the account of this name or id. Raises InvalidOption when the login has none such."""
        self.disarm_all()
        account = await self._services.session.choose(wanted)
        self.account = account_view(account)
        self.risk_context.set_account(self.account)
        for context in self.contexts.values():
            context.set_account(self.account)
        self._show_limits(account.id)
        self.account_changed.emit()
        self.refresh()

    def _show_limits(self, account_id: int) -> None:
        limits = self._engine.limits(account_id)
        most = min(limits.max_position_lots, self._lots_by_rules(limits.max_position_lots))
        for context in self.contexts.values():
            context.set_limits(max_order_lots=limits.max_order_lots, max_position_lots=most)

    def _lots_by_rules(self, default: int) -> int:
        """How large the position here may become by the account's rules, beside what is held elsewhere."""
        risk, contract = self._risk, self.contract
        if risk is None or contract is None or risk.tenths_max is None or not self._is_ours(risk.account_id):
            return default
        tenths = sizing.tenths_of(contract)
        position = self._position()
        held_here = abs(position.net_lots) * tenths if position is not None else 0
        return max(0, risk.tenths_max - max(0, risk.tenths_held - held_here)) // tenths

    def choose_contract(self, contract_id: str) -> None:
        """Show another contract in ladder, chart and ticket; every surface is disarmed before."""
        contract = next((each for each in self._engine.contracts() if each.id == contract_id), None)
        if contract is None or (self.contract is not None and contract.id == self.contract.id):
            return
        self.disarm_all()
        old, self.contract = self.contract, contract
        self._frame, self._bars = None, None
        for context in self.contexts.values():
            context.set_contract(contract)
        self.ticket.show_micro(sizing.micro_of(contract, self._engine.contracts()))
        self._spawn(self._watch(contract, old), f"watch {contract.name}")
        self.refresh()

    async def _watch(self, contract: Contract, old: Contract | None) -> None:
        await self._services.market.watch(contract)
        await self._services.market.watch_bars(contract, *self._interval, _HISTORY_BARS)
        if old is not None:
            await self._services.market.release(old)
        self._clock.mark_dirty()

    def refresh(self) -> None:
        """Show the newest lists in the top bar and ask for a frame."""
        self._window.top_bar.show_account(self.account, self.accounts())
        listed = [contract for contract in self._engine.contracts() if contract.is_active]
        self._window.top_bar.show_contract(self.contract, listed)
        self._is_state_dirty = self._has_new_fills = True
        self._clock.mark_dirty()

    # arming

    def disarm_all(self) -> None:
        """Disarm every surface of the chosen account."""
        if self.account is None:
            return
        for source in SURFACES:
            self._services.trading.arm(source, self.account.account_id, is_armed=False)

    def lock_all(self, is_locked: bool) -> None:
        """Disarm everything and refuse arming, or take the lock off; cancels and closes keep working."""
        self.is_locked = is_locked
        self.disarm_all()
        for context in self.contexts.values():
            context.set_locked(is_locked)
        self._window.top_bar.show_lock(is_locked)

    def _on_arm_requested(self, is_armed: bool) -> None:
        panel = self.sender()
        if panel is None or self.account is None or (is_armed and self.is_locked):
            return
        source = str(panel.property("source"))
        self._services.trading.arm(source, self.account.account_id, is_armed=is_armed)
        self._show_armed()

    def _on_armed_changed(self, _event: ArmedChanged) -> None:
        self._show_armed()

    def _show_armed(self) -> None:
        for source, context in self.contexts.items():
            is_armed = self.account is not None and self._services.trading.is_armed(source, self.account.account_id)
            context.set_armed(is_armed)

    # requests

    def _on_order_requested(self, draft: OrderDraft) -> None:
        # Panels stamp the press with this machine's monotonic clock; the engine counts from its own start.
        waited_ns = time.monotonic_ns() - draft.pressed_mono_ns if draft.pressed_mono_ns else 0
        stamped = replace(draft, pressed_mono_ns=self._engine.mono_ns() - waited_ns)
        try:
            self._services.trading.submit(stamped)
        except PitdeskError as error:
            self._refused(f"{draft.side.capitalize()} {draft.size_lots}: {error.text}")

    def _on_modify_requested(self, key: str, changes: dict[str, int]) -> None:
        order = self._order(key)
        source = self._armed_source(order.account_id) if order is not None else self._source()
        self._spawn(
            self._services.trading.modify(key, source=source, **changes), f"change {self._words_of(order, key)}"
        )

    def _on_cancel_requested(self, key: str) -> None:
        words = self._words_of(self._order(key), key)
        self._spawn(self._services.trading.cancel(key, source=self._source()), f"cancel {words}")

    def _order(self, key: str) -> Order | None:
        return next((order for order in self._orders if order.key == key), None)

    def _words_of(self, order: Order | None, key: str) -> str:
        """An order as a person names it; its key where it is not known."""
        if order is None:
            return key
        contract = next((each for each in self._engine.contracts() if each.index == order.contract), None)
        name = contract.name if contract is not None else order.contract_id
        return f"{order.side} {order.size_lots - order.filled_lots} {name} {order.kind.replace('_', ' ')}"

    def _on_cancel_keys(self, keys: list[str]) -> None:
        for key in keys:
            self._on_cancel_requested(key)

    def recheck(self) -> None:
        """Compare everything with the broker now."""
        self._spawn(self._services.trading.recheck(), "comparing with the broker")

    def cancel_all(self) -> None:
        """Cancel every open order of the chosen account."""
        self._on_cancel_keys([order.key for order in self._open_orders() if self._is_ours(order.account_id)])

    def _on_trail_requested(self, keys: list[str], exits: ExitPlan) -> None:
        source = self._source()
        for key in keys:
            work = self._services.trading.hold_stop(key, **exits.rule, is_immediate=True, source=source)
            self._spawn(work, f"trail {key}")

    def _on_mode_requested(self, mode: str) -> None:
        if self.account is not None:
            work = self._services.trading.set_mode(self.account.account_id, mode, source="window")
            self._spawn(work, f"mode {mode}")

    def _on_release_requested(self, source: str) -> None:
        if self.account is not None:
            work = self._services.trading.release_throttle(self.account.account_id, source, source="window")
            self._spawn(work, f"release {source}")

    # exit templates

    async def load_templates(self) -> None:
        """Offer the saved exits in the ticket."""
        await self._services.templates.load()
        self.ticket.show_templates(self._services.templates.held)

    def _on_template_save(self, name: str, template: ExitTemplate) -> None:
        self._spawn(self._save_template(name, template), f"save {name}")

    async def _save_template(self, name: str, template: ExitTemplate) -> None:
        saved = await self._services.templates.save(name, template)
        self.ticket.show_templates(self._services.templates.held)
        self.say("info", "template", f"Exits {saved.name} saved, version {saved.version}.")

    def _on_template_remove(self, name: str) -> None:
        self._spawn(self._remove_template(name), f"remove {name}")

    async def _remove_template(self, name: str) -> None:
        await self._services.templates.remove(name)
        self.ticket.show_templates(self._services.templates.held)

    # leaving positions

    def _on_close_here(self) -> None:
        if self.account is not None and self.contract is not None:
            self._on_close_requested(self.account.account_id, self.contract.id, None)

    def _on_close_requested(self, account_id: int, contract_id: str, lots: int | None) -> None:
        work = self._services.trading.close(account_id, contract_id, size_lots=lots, source=self._source())
        self._spawn(work, "close position")

    def _on_reverse_requested(self, account_id: int, contract_id: str) -> None:
        source = self._armed_source(account_id)
        self._spawn(self._services.trading.reverse(account_id, contract_id, source=source), "reverse")

    def _armed_source(self, account_id: int) -> str:
        """Who opens something new: the panel that was pressed, or for a table, which has no switch, an armed one."""
        pressed = self._source()
        if pressed in SURFACES:
            return pressed
        return next((each for each in SURFACES if self._services.trading.is_armed(each, account_id)), pressed)

    def flatten_contract(self) -> None:
        """Flatten the shown contract on the chosen account."""
        if self.account is not None and self.contract is not None:
            self._on_flatten_requested(self.account.account_id, self.contract.id)

    def _on_limits_requested(self) -> None:
        account = self.account
        if account is None:
            return
        limits, risk = self._engine.limits(account.account_id), self._services.session.risk
        held = {row.name: getattr(limits, row.name, getattr(risk, row.name)) for row in LIMIT_ROWS}
        dialog = LimitsDialog(held, account.nickname, self._window)
        dialog.limits_stated.connect(self._on_limits_stated)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _on_limits_stated(self, changes: dict[str, int]) -> None:
        self._spawn(self._state_limits(changes), "limits")

    async def _state_limits(self, changes: dict[str, int]) -> None:
        await self._services.session.restate(**changes)
        self.options_stated.emit({f"risk.{name}": value for name, value in changes.items()})
        if self.account is not None:
            self._show_limits(self.account.account_id)
        words = ", ".join(f"{row.label.lower()} {changes[row.name]}" for row in LIMIT_ROWS if row.name in changes)
        self.say("info", "limits", f"Limits stated: {words}. Lower ones hold now, higher ones from the next session.")
        self._on_state_changed()

    def _on_flatten_account(self) -> None:
        if self.account is not None:
            work = self._services.trading.flatten(self.account.account_id, source="window")
            self._spawn(work, "flatten the account")

    def _on_oco_requested(self, keys: list[str]) -> None:
        self._spawn(self._services.trading.link_oco(keys, source="window"), "link orders")

    def _on_flatten_requested(self, account_id: int, contract_id: str) -> None:
        work = self._services.trading.flatten(account_id, contract_id=contract_id, source=self._source())
        self._spawn(work, "flatten")

    async def flatten_all(self) -> None:
        """Flatten every account of the login; returns when the last one was read back as flat."""
        await self._services.trading.flatten_everything(source="window")

    def open_business(self) -> list[str]:
        """Sentences about what stays open, for the quit dialog."""
        names = {contract.index: contract.name for contract in self._engine.contracts()}
        lines = [
            f"{formatting.side_word(position.net_lots)} {names.get(position.contract, position.contract_id)}, "
            f"stop for {position.stop_lots}"
            for position in self._engine.positions()
            if position.net_lots
        ]
        orders = self._open_orders()
        unknown = sum(order.look == "unknown" for order in orders)
        if orders:
            lines.append(f"{len(orders)} working order{'s' if len(orders) != 1 else ''}")
        if unknown:
            lines.append(f"{unknown} without an answer")
        return lines

    def _open_orders(self) -> list[Order]:
        return [order for order in self._engine.orders() if order.look != "done"]

    def _is_ours(self, account_id: int) -> bool:
        return self.account is not None and account_id == self.account.account_id

    def _source(self) -> str:
        panel = self.sender()
        source = panel.property("source") if isinstance(panel, QWidget) else None
        return str(source) if source else "window"

    def _spawn(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        task = self._keeper.spawn(self._reported(work, name), name)
        if task is None:
            work.close()
        else:
            # Cancelled before its first step, the wrapper never reaches `work`; closing what has run is harmless.
            task.add_done_callback(lambda _task: work.close())

    async def _reported(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        """Await a request; what the world answered badly becomes a message, our own faults stay exceptions."""
        try:
            await work
        except PitdeskError as error:
            self._refused(f"{name.capitalize()}: {error.text}", _code_of(error))

    # news

    def _on_state_changed(self, *_news: object) -> None:
        self._is_state_dirty = True
        self._clock.mark_dirty()

    def _on_fills_changed(self, *_news: object) -> None:
        self._has_new_fills = True
        self._on_state_changed()

    def _on_order_changed(self, order: Order) -> None:
        before = self._seen_lives.get(order.key)
        self._seen_lives[order.key] = order.life
        if before is None or before == order.life or not self._is_ours(order.account_id):
            return
        words = f"{order.side.capitalize()} {order.size_lots}"
        if order.filled_lots:
            # A fill that came before its order was known says its role and its slip now.
            self._are_fills_listed = False
        if order.life in _BAD_LIVES:
            self.ticket.show_result(order.updated_ns, "refused", f"{words}: {order.reason or order.life}")
            self._tell_bad_order(order, words)
        elif order.life == "cancelled":
            self.ticket.show_result(order.updated_ns, "cancelled", f"{words} cancelled")

    def _on_fill(self, fill: Fill) -> None:
        if not self._is_ours(fill.account_id) or fill.is_voided:
            return
        contract = next((each for each in self._engine.contracts() if each.index == fill.contract), None)
        price = formatting.price_text(fill.price_ticks, contract) if contract else str(fill.price_ticks)
        words = f"{fill.side.capitalize()} {fill.size_lots} filled {price}"
        self.ticket.show_result(fill.time_ns, "done", words)
        self.toaster.show("info", words, f"{contract.name if contract else fill.contract_id} on {self._nickname()}")

    def _nickname(self) -> str:
        return self.account.nickname if self.account is not None else ""

    def _tell_bad_order(self, order: Order, words: str) -> None:
        """A refusal of the broker waits to be read; what the gate denied was told when it did."""
        text = f"{words} {order.life.replace('_', ' ')}: {order.reason}"
        self.messages.add("warning", "order", text, order.updated_ns)
        if order.life != "denied":
            level = "warning" if order.life == "expired" else "alarm"
            self.toaster.show(level, f"{words} {order.life.replace('_', ' ')}", order.reason)

    def _on_link(self, link: Link) -> None:
        # A stream that stays lost is tried again and again; one message says it.
        if self._link_states.get(link.name) == link.state:
            return
        self._link_states[link.name] = link.state
        level = (
            "info" if link.state in ("live", "connecting", "off") else "warning" if link.state == "late" else "alarm"
        )
        words = (_REST_WORDS if link.name == "rest" else _LINK_WORDS).get(link.state, link.state)
        self._tell(level, link.name, f"{_TITLES[link.name]} {words}. {link.text}".strip(), self._now_ns())
        self._on_status()

    def _on_exit_progress(self, progress: ExitProgress) -> None:
        """One step of a close, reverse, flatten or group cancel: seen while it goes on, kept where it ended badly."""
        if not self._is_ours(progress.account_id):
            return
        self.ticket.show_progress(progress)
        if progress.step in _BAD_STEPS:
            self.say("alarm", progress.goal, progress.text)

    def _on_denied(self, denied: Denied) -> None:
        self._refused(" ".join(sentence for _code, sentence in denied.reasons))

    def _on_notice(self, notice: Notice) -> None:
        if notice.code == "refused":
            # The order itself tells it over the window.
            self._list(notice.level, "broker", notice.text, notice.time_ns)
            return
        self._tell(notice.level, notice.code, notice.text, notice.time_ns)

    def _on_request_done(self, done: RequestDone) -> None:
        if done.outcome == "unknown":
            self.ticket.show_result(self._now_ns(), "unknown", done.text)

    def _refused(self, text: str, code: str = "refused") -> None:
        now_ns = self._now_ns()
        self.ticket.show_result(now_ns, "refused", text)
        self._tell("warning", code, text, now_ns)

    def say(self, level: str, code: str, text: str) -> None:
        """Put a message of the window itself into the list."""
        self._tell(level, code, text, self._now_ns())

    def _tell(self, level: str, code: str, text: str, time_ns: int) -> None:
        """A row of the message list; what wants a look is over the window as well."""
        self._list(level, code, text, time_ns)
        if level != "info":
            self.toaster.show(level, _TITLES.get(code, code.replace("_", " ").capitalize()), text)

    def _list(self, level: str, code: str, text: str, time_ns: int) -> None:
        self.messages.add(level, code, text, time_ns)
        self.book.show_count("messages", self.messages.unread)

    def _trading_places(self) -> list[QRect]:
        """What no toast may cover."""
        docks = [
            self._window.dock(name) for name in ("ladder", "ticket", "risk") if self._window.is_panel_visible(name)
        ]
        places = [dock.geometry() for dock in docks if not dock.isFloating()]
        bars = [bar for bar in (self.positions.actions_bar, self.orders.actions_bar) if bar.isVisible()]
        return places + [
            QRect(bar.mapTo(self._window, QPoint()), bar.size()) for bar in bars if bar.window() is self._window
        ]

    def _on_book_page(self, name: str) -> None:
        if name == "messages":
            self.messages.mark_read()
            self.book.show_count("messages", 0)

    def _now_ns(self) -> int:
        return int(self._engine.status().get("market_now_ns", 0)) or time.time_ns()

    # frames

    def _on_interval(self, unit: str, number: int) -> None:
        self._interval = (unit, number)
        self._bars = None
        if self.contract is not None:
            work = self._services.market.watch_bars(self.contract, unit, number, _HISTORY_BARS)
            self._spawn(work, f"bars of {number} {unit}")

    def _on_frame(self) -> None:
        has_market = self._pull_market()
        if self._is_state_dirty:
            self._is_state_dirty = False
            self._are_tables_dirty = True
            self._day.refresh()
            self._orders, self._positions = self._day.shown(), self._engine.positions()
            self._read_fills()
        self._render_surfaces()
        if (has_market or self._are_tables_dirty) and not self._tables_timer.isActive():
            since_ms = round((time.monotonic() - self._tables_at) * 1000)
            self._tables_timer.start(max(0, _TABLES_EVERY_MS - since_ms))

    def _on_tables_due(self) -> None:
        """Ladder, chart and ticket show news in the frame it comes with; tables follow, each in a turn of its own.

        So no turn of the loop is longer than a frame of a quiet market, and a key waits for no table.
        """
        if self._is_order_list_due:
            self._is_order_list_due = False
            self._render_order_list()
            return
        self._tables_at = time.monotonic()
        self._are_tables_dirty = False
        # Marks and places in queues are no news.
        self._day.refresh()
        self._positions = self._engine.positions()
        self._render_holdings()
        self._is_order_list_due = True
        self._tables_timer.start(0)

    def _pull_market(self) -> bool:
        if self.contract is None:
            return False
        since = self._frame.revision if self._frame is not None else 0
        frame = self._services.market.frame(self.contract, since)
        if frame is None:
            return False
        self._frame = frame
        return True

    def _render_surfaces(self) -> None:
        """The ladder now, chart and ticket each in a later turn of the loop: a press waits for one and not for all.

        The frame is over when the last is painted.
        """
        # What the last frame did not come to is not overtaken by this one's.
        others = [name for name in ("chart", "ticket") if name not in self._surfaces_due]
        self._surfaces_due += others
        if self._window.is_panel_visible("ladder"):
            self.ladder.render(self._frame, self._orders, self._position())
        self._clock.hold()
        self._surfaces_timer.start(0)

    def _on_surface_due(self) -> None:
        name = self._surfaces_due.pop(0)
        if name == "chart" and self._window.is_panel_visible("chart"):
            self.chart.render(self._frame, self._newer_bars(), self._orders, self._position(), self._fills)
        if name == "ticket" and self._window.is_panel_visible("ticket"):
            ours = [order for order in self._orders if self._is_here(order)]
            self.ticket.render(self._frame, ours, self._position())
        if self._surfaces_due:
            self._surfaces_timer.start(0)
        else:
            self._clock.release()

    def _newer_bars(self) -> BarFrame | None:
        if self.contract is None:
            return None
        since = self._bars.revision if self._bars is not None else 0
        bars = self._services.market.bars(self.contract, *self._interval, since)
        self._bars = bars if bars is not None else self._bars
        return bars

    def _read_fills(self) -> None:
        """By whichever comes first, a frame or the tables; the other one still shows them."""
        if self._has_new_fills:
            self._has_new_fills = self._are_fills_listed = False
            self._fills = self._engine.fills()

    def _render_order_list(self) -> None:
        contracts = {contract.index: contract for contract in self._engine.contracts()}
        marks = {position.contract: position.mark_ticks for position in self._positions}
        if self._frame is not None:
            marks[self._frame.contract] = self._frame.last_ticks
        day = self._day
        listed = day.all() if self.orders.is_whole_day else [*day.rejected(), *day.live()]
        accounts = {account.account_id: account for account in self.accounts()}
        self.orders.render(listed, accounts, contracts, marks, self._now_ns())
        counts = self.orders.counts()
        self.order_tabs.show_count("open", counts["open"])
        self.order_tabs.show_count("rejected", counts["rejected"])

    def _render_holdings(self) -> None:
        accounts = {account.account_id: account for account in self.accounts()}
        contracts = {contract.index: contract for contract in self._engine.contracts()}
        is_stale = self._are_prices_old()
        self.positions.render(self._positions, self._day.live(), accounts, contracts, is_stale=is_stale)
        self._read_fills()
        if not self._are_fills_listed:
            self._are_fills_listed = True
            self.fills.render(self._fills, self._day.all(), accounts, contracts)
        self.book.show_count("positions", self.positions.open_count())
        net = sum(
            position.realised_1e4 - position.fees_1e4 + position.open_pnl_1e4
            for position in self._positions
            if self._is_ours(position.account_id)
        )
        has_open = any(position.net_lots and self._is_ours(position.account_id) for position in self._positions)
        self._window.top_bar.day_result.show_result(DayResult(net, is_stale and has_open))
        self._risk = risk = next((each for each in self._engine.risks() if self._is_ours(each.account_id)), None)
        options = self._services.session.risk
        own = OwnLimit(options.daily_loss_from == "peak", options.daily_loss_counts == "open")
        self.risk.show_risk(risk, own, is_stale=is_stale)
        if self.account is not None:
            self._show_limits(self.account.account_id)
        self.ladder.offer_stop(self.ticket.stop_ticks() or self._services.options.trading.offered_stop_ticks)
        self.ticket.show_headroom(headroom_of(risk, own))

    def _are_prices_old(self) -> bool:
        """Whether what is open is counted by prices of which nobody knows whether they still hold."""
        is_late = self._frame is not None and (self._frame.is_late or self._frame.book_state == "stale")
        return is_late or self._link_states.get("market", "live") != "live"

    def _position(self) -> Position | None:
        return next((each for each in self._positions if self._is_here(each)), None)

    def _is_here(self, item: Order | Position) -> bool:
        return self.contract is not None and item.contract == self.contract.index and self._is_ours(item.account_id)

    def _on_painted(self) -> None:
        frame = self._frame
        if frame is None or frame.receive_mono_ns <= self._noted_ns:
            return
        self._noted_ns = frame.receive_mono_ns
        self._engine.note_painted(frame.receive_mono_ns)
        self._clock.note_painted((self._engine.mono_ns() - frame.receive_mono_ns) // 1000)

    # status

    def _on_status(self) -> None:
        status = self._engine.status()
        links = self._engine.links()
        self._block_entries(status, links)
        self._show_doubt()
        self._window.status.show_view(
            StatusView(
                links=(
                    *(self._link_view(link) for link in links),
                    LinkView("Guardian", self._guardian, 0),
                ),
                paint_p50_us=self._clock.painted_us(0.5),
                paint_p99_us=self._clock.painted_us(0.99),
                frame_ms=round(self._clock.last_frame_ms, 1),
                spark=tuple(round(worst, 1) for worst in self._clock.spark()),
                budget_used=int(status.get("budget_used", 0)),
                budget_limit=int(status.get("budget_limit", 200)),
                exits_kept=int(status.get("exits_kept", 80)),
                now_ns=int(status.get("market_now_ns", 0)),
                engine_state=str(status.get("state", "")),
                login_text=self._login_text(int(status.get("login_ends_mono_ns", 0))),
            )
        )

    def _link_view(self, link: Link) -> LinkView:
        left_ms = (link.retry_mono_ns - self._engine.mono_ns()) // 1_000_000 if link.retry_mono_ns else 0
        # The engine tells an age with each change only; in between it is counted here.
        age_ms: int | None = (self._now_ns() - link.since_ns) // 1_000_000 if link.since_ns else link.age_ms
        if link.state == "live":
            age_ms = self.ladder.grid.age_ms if link.name == "market" and self._frame is not None else None
        return LinkView(_link_name(link.name), link.state, age_ms, link.text, left_ms if left_ms > 0 else None)

    def _login_text(self, ends_mono_ns: int) -> str:
        """How long a login still lasts that could not be renewed; empty while there is nothing to worry about."""
        if not ends_mono_ns:
            return ""
        left_ms = (ends_mono_ns - self._engine.mono_ns()) // 1_000_000
        return f"Login ends in {formatting.age_text(left_ms)}" if left_ms > 0 else "Login has ended: sign in again"

    def _block_entries(self, status: dict[str, int | str | bool], links: list[Link]) -> None:
        reason = ""
        bad = next((link for link in links if link.name != "rest" and link.state != "live"), None)
        if status.get("state") == "halted":
            reason = "engine halted"
        elif self.account is not None and not self.account.can_trade:
            reason = "account cannot trade"
        elif self._is_managed_elsewhere():
            reason = "managed by another Pitdesk"
        elif int(status.get("unknown_orders", 0)):
            reason = "an order is unresolved"
        elif self._risk is not None and self._risk.mode != "normal":
            reason = "account locked" if self._risk.mode == "locked" else "reduce only"
        elif bad is not None:
            reason = f"{bad.name} stream {_LINK_WORDS.get(bad.state, bad.state)}"
        for context in self.contexts.values():
            context.set_blocked(reason)

    def _is_managed_elsewhere(self) -> bool:
        held = self._engine.accounts() if self.account is not None else []
        return any(row.managed_by for row in held if self.account and row.id == self.account.account_id)

    def _show_doubt(self) -> None:
        """The age of what has no answer runs on while nothing else happens."""
        here = [order for order in self._orders if self._is_here(order)]
        contracts = {self.contract.index: self.contract} if self.contract is not None else {}
        now_ns = self._now_ns()
        self.ticket.show_doubt(doubt_of(here, contracts, now_ns))
        if any(order.look == "unknown" for order in self._orders):
            self._on_state_changed()

    def show_guardian(self, state: str) -> None:
        """connecting, watching or absent: whether a process beside this one could still cancel and flatten."""
        self._guardian = state
        self._on_status()

    def stop(self) -> None:
        """No more timers and frames; for shutdown."""
        self._status_timer.stop()
        self._surfaces_timer.stop()
        self._tables_timer.stop()
        self.toaster.clear()
        self._clock.stop()


def account_view(account: Any) -> AccountView:
    """An engine account as surfaces show it."""
    return AccountView(
        account_id=account.id,
        kind=account.word.lower(),
        word=account.word,
        nickname=account.kind_text or account.name,
        id_text=account.name,
        balance_1e4=account.balance_1e4,
        can_trade=account.can_trade and account.word != "LIVE",
    )


def _code_of(error: PitdeskError) -> str:
    """What became of a request: nothing was sent, the broker said no, nobody knows, or it was not done."""
    if isinstance(error, errors.Denied | errors.InvalidOrder | errors.InvalidCommand):
        return "refused"
    if isinstance(error, errors.BrokerRejected):
        return "broker"
    return "no_answer" if isinstance(error, errors.OutcomeUnknown) else "not_done"


def _link_name(name: str) -> str:
    return "REST" if name == "rest" else name.capitalize()
