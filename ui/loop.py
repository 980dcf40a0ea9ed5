"""The one loop: asyncio on top of Qt through qasync, and owned tasks.

qasync 0.28 keeps no reference to the tasks it starts, and a nested Qt loop inside a coroutine loses other tasks for
ever; so tasks are started by `TaskKeeper.spawn` alone, and nothing in `ui` opens a nested loop.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import qasync  # type: ignore[import-untyped] # ships no type information
from PySide6.QtWidgets import QApplication

_log = logging.getLogger(__name__)


def make_loop(application: QApplication) -> asyncio.AbstractEventLoop:
    """An asyncio loop that runs on this application's Qt loop, and is the current one."""
    loop: asyncio.AbstractEventLoop = qasync.QEventLoop(application)
    asyncio.set_event_loop(loop)
    return loop


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
