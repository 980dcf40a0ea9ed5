"""The one loop: asyncio on top of Qt through qasync, and owned tasks.

qasync 0.28 keeps no reference to the tasks it starts, and a nested Qt loop inside a coroutine loses other tasks for
ever; so tasks are started by `TaskKeeper.spawn` alone, and nothing in `ui` opens a nested loop.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import qasync  # type: ignore[import-untyped] # ships no type information
from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication

_GARBAGE_EVERY_MS = 10_000

_log = logging.getLogger(__name__)


def make_loop(application: QApplication) -> asyncio.AbstractEventLoop:
    """An asyncio loop that runs on this application's Qt loop, and is the current one."""
    # Else the loop dies with the last window, before the shutdown that the close has started.
    application.setQuitOnLastWindowClosed(False)
    loop: asyncio.AbstractEventLoop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    return loop


class GarbageTimer(QObject):
    """Collects cyclic garbage on the window's thread alone.

    An automatic collection runs on whichever thread allocates, and a widget or timer that dies on another thread than
    its own takes the process with it. It also keeps collections out of the middle of a frame.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.setObjectName("garbage")
        self._timer.setInterval(_GARBAGE_EVERY_MS)
        self._timer.timeout.connect(self._on_due)
        gc.collect()
        # What the start has built lives to the end; it need not be looked at again.
        gc.freeze()
        gc.disable()
        self._timer.start()

    def stop(self) -> None:
        """Give collection back to the interpreter."""
        self._timer.stop()
        gc.unfreeze()
        gc.enable()

    def _on_due(self) -> None:
        gc.collect()


class TaskKeeper:
    """Owns running tasks: strong references, failures reported, all cancelled and awaited at the end."""

    def __init__(self, on_failure: Callable[[str, BaseException], None] | None = None) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._on_failure = on_failure
        self._is_closing = False

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any] | None:
        """Start a task under a name; returns None, and starts nothing, once closing has begun."""
        if self._is_closing:
            work.close()
            return None
        task = asyncio.get_event_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def close(self, deadline_s: float = 5.0) -> None:
        """Cancel what still runs and wait for it; what outlives the deadline is named in the log."""
        self._is_closing = True
        current = asyncio.current_task()
        tasks = [task for task in self._tasks if task is not current]
        for task in tasks:
            task.cancel()
        if tasks:
            _done, pending = await asyncio.wait(tasks, timeout=deadline_s)
            for task in pending:
                _log.error("task name=%s outlived its cancellation", task.get_name())

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            return
        _log.error("task name=%s failed", task.get_name(), exc_info=error)
        if self._on_failure is not None:
            self._on_failure(task.get_name(), error)
