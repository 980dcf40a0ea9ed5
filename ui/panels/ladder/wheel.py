"""The wheel over an own order: steps add up, and one change goes out when the wheel has rested for 300 ms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.domain import Order

REST_MS = 300


class WheelSize(QObject):
    """Counts the steps over one order. `settled` carries its key and the change, as a modify request takes it."""

    settled = Signal(str, dict)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._key = ""
        self._size_lots = 0
        self._wanted_lots = 0
        self._timer = QTimer(self)
        self._timer.setObjectName("ladder wheel size")
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.timeout.connect(self._on_rest)

    @property
    def key(self) -> str:
        """The order whose size is being changed; empty while the wheel rests."""
        return self._key

    def turn(self, order: Order, lots: int) -> int:
        """Add lots to what is wanted of this order; never as few as have filled. Returns the size wanted now."""
        if order.key != self._key:
            self._on_rest()
            self._key, self._wanted_lots = order.key, order.wanted_size_lots or order.size_lots
            self._size_lots = self._wanted_lots
        self._wanted_lots = max(order.filled_lots + 1, self._wanted_lots + lots)
        self._timer.start()
        return self._wanted_lots

    def keep_to(self, orders: Sequence[Order]) -> None:
        """Forget an order that is gone."""
        if self._key and not any(order.key == self._key and order.look != "done" for order in orders):
            self.forget()

    def forget(self) -> None:
        """Nothing is sent for the steps so far."""
        self._key = ""
        self._timer.stop()

    def _on_rest(self) -> None:
        key, self._key = self._key, ""
        self._timer.stop()
        if key and self._wanted_lots != self._size_lots:
            self.settled.emit(key, {"size_lots": self._wanted_lots})
