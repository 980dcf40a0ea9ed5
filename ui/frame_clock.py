"""When to paint: a single-shot timer that the first dirty mark starts and that is absent while nothing changed.

A late frame skips the next one; work never queues up. Two measures come out: how late and how long frames were, and the
time from a message's receipt to its pixels.
"""

from __future__ import annotations

import time
from collections import deque

from PySide6.QtCore import QObject, Qt, QTimer, Signal

_KEPT_PAINTS = 1_000
_SPARK_SECONDS = 11


class FrameClock(QObject):
    """Emits `frame` at most `rate` times a second while dirty, and `painted` after Qt has painted that frame."""

    frame = Signal()
    painted = Signal()

    def __init__(self, rate: float = 60.0, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._period_ns = round(1e9 / max(1.0, min(rate, 120.0)))
        self._last_start_ns = 0
        self._due_ns = 0
        self._is_held = False
        self._timer = QTimer(self)
        self._timer.setObjectName("frame")
        self._timer.setSingleShot(True)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._on_due)
        self._after = QTimer(self)
        self._after.setObjectName("painted")
        self._after.setSingleShot(True)
        self._after.timeout.connect(self._on_after_paint)
        self._paints_us: deque[int] = deque(maxlen=_KEPT_PAINTS)
        self._worst_by_second: dict[int, float] = {}
        self.frames = 0
        self.late_frames = 0
        self.last_frame_ms = 0.0
        self.worst_lateness_ms = 0.0

    def mark_dirty(self) -> None:
        """Ask for a frame; costs nothing when one is already due."""
        if self._timer.isActive():
            return
        now = time.perf_counter_ns()
        self._due_ns = max(now, self._last_start_ns + self._period_ns)
        self._timer.start(max(0, round((self._due_ns - now) / 1e6)))

    @property
    def is_idle(self) -> bool:
        """True while no frame is due."""
        return not self._timer.isActive()

    def stop(self) -> None:
        """No more frames; for shutdown."""
        self._timer.stop()
        self._after.stop()

    def hold(self) -> None:
        """The frame that is being shown goes on in later turns of the loop; it ends with `release`."""
        self._is_held = True

    def release(self) -> None:
        """The last part of the frame was rendered; `painted` follows once it is on the screen."""
        self._is_held = False
        self._after.start(0)

    def note_painted(self, receive_to_painted_us: int) -> None:
        """Remember one receive-to-painted time."""
        self._paints_us.append(receive_to_painted_us)

    def painted_us(self, share: float) -> int | None:
        """Quantile of the last thousand receive-to-painted times, or None before the first."""
        if not self._paints_us:
            return None
        ordered = sorted(self._paints_us)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    def spark(self) -> list[float]:
        """The worst frame in ms of each of the last eleven seconds, oldest first."""
        now = int(time.monotonic())
        return [self._worst_by_second.get(second, 0.0) for second in range(now - _SPARK_SECONDS + 1, now + 1)]

    def _on_due(self) -> None:
        start = time.perf_counter_ns()
        late_ms = (start - self._due_ns) / 1e6
        self.worst_lateness_ms = max(self.worst_lateness_ms, late_ms)
        self.late_frames += late_ms > self._period_ns / 1e6
        self.frames += 1
        self._last_start_ns = start
        self.frame.emit()
        if not self._is_held:
            self._after.start(0)

    def _on_after_paint(self) -> None:
        # Posted updates are painted before a zero timer fires, so this is the frame's whole cost, painting included.
        self.last_frame_ms = (time.perf_counter_ns() - self._last_start_ns) / 1e6
        second = int(time.monotonic())
        self._worst_by_second[second] = max(self._worst_by_second.get(second, 0.0), self.last_frame_ms)
        for old in [key for key in self._worst_by_second if key < second - _SPARK_SECONDS]:
            del self._worst_by_second[old]
        self.painted.emit()
