"""The single crossing between the engine's wake and Qt.

`QSocketNotifier` watches the wake socket; one activation is one `pump()` of `app.native`, which drains once and fans
out; every record leaves here as a typed Qt signal. Market data is no event: a wake only marks the frame clock dirty.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, QSocketNotifier, Signal

from app.services.exits import NO_EXITS, ExitPlan


@dataclass(frozen=True, kw_only=True)
class OrderDraft:
    """What a person asked for on a panel, with the prices that were painted at the moment of the press."""

    account_id: int
    contract_id: str
    side: str
    kind: str
    size_lots: int
    source: str
    limit_ticks: int | None = None
    stop_ticks: int | None = None
    trail_ticks: int | None = None
    exits: ExitPlan = NO_EXITS
    reduce_only: bool = False
    painted_bid_ticks: int | None = None
    painted_ask_ticks: int | None = None
    pressed_mono_ns: int = 0


class Bridge(QObject):
    """Turns engine news into signals; the only reader of the wake socket in a window process."""

    woken = Signal()
    order_changed = Signal(object)
    fill_added = Signal(object)
    position_changed = Signal(object)
    account_changed = Signal(object)
    link_changed = Signal(object)
    risk_changed = Signal(object)
    exit_progressed = Signal(object)
    denied = Signal(object)
    notice = Signal(object)
    request_done = Signal(object)
    armed_changed = Signal(object)
    resync = Signal()

    def __init__(self, wake_fd: int, pump: Callable[[], None], parent: QObject | None = None) -> None:
        """wake_fd: the readable end of the wake socket. pump: drains once and hands each event to `deliver`."""
        super().__init__(parent)
        self._pump = pump
        self._by_type: dict[str, Callable[[Any], None]] = {
            "OrderChanged": lambda event: self.order_changed.emit(event.order),
            "FillAdded": lambda event: self.fill_added.emit(event.fill),
            "PositionChanged": lambda event: self.position_changed.emit(event.position),
            "AccountChanged": lambda event: self.account_changed.emit(event.account),
            "LinkChanged": lambda event: self.link_changed.emit(event.link),
            "RiskChanged": lambda event: self.risk_changed.emit(event.risk),
            "ExitProgress": self.exit_progressed.emit,
            "Denied": self.denied.emit,
            "Notice": self.notice.emit,
            "RequestDone": self.request_done.emit,
            "ArmedChanged": self.armed_changed.emit,
            "Resync": lambda _event: self.resync.emit(),
        }
        self._notifier: QSocketNotifier | None = QSocketNotifier(wake_fd, QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_wake)

    def deliver(self, event: object) -> None:
        """Re-emit one engine event as its typed signal; called by the pump for each."""
        emit = self._by_type.get(type(event).__name__)
        if emit is not None:
            emit(event)

    def close(self) -> None:
        """Stop reading the wake socket; idempotent. Called before the engine is shut down."""
        if self._notifier is not None:
            self._notifier.setEnabled(False)
            self._notifier.deleteLater()
            self._notifier = None

    def _on_wake(self) -> None:
        self._pump()
        self.woken.emit()
