"""Local crash reports: what broke, when, in which build. They never leave the machine by themselves.

main thread      sys.excepthook ─────────┐
other threads    threading.excepthook ───┤
finalisers       sys.unraisablehook ─────┼──► crash-<time>-<pid>-<n>.txt, secrets removed
asyncio          loop_failed ────────────┤
Qt               qt_message_failed ──────┘    (installed by the window)
dead interpreter faulthandler ───────────►  fault-<pid>.txt
engine           its own panic file ─────►  taken over by `adopt_engine_panics` at the next start
"""

from __future__ import annotations

import asyncio
import datetime as dt
import faulthandler
import itertools
import logging
import os
import platform
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from app.logs import redactor

ENGINE_PANIC_GLOB = "panic*"

_log = logging.getLogger(__name__)


class CrashFolder:
    """Installs the hooks of this process and writes the reports; one per process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._numbers = itertools.count(1)
        self._fault_file: TextIO | None = None
        self._replaced: tuple[Any, Any, Any] | None = None

    def install(self) -> None:
        """Take over the interpreter's hooks. Idempotent."""
        if self._replaced is not None:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fault_file = (self.folder / f"fault-{os.getpid()}.txt").open("w", encoding="utf-8")
        faulthandler.enable(self._fault_file)
        self._replaced = (sys.excepthook, threading.excepthook, sys.unraisablehook)
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception
        sys.unraisablehook = self._on_unraisable

    def remove(self) -> None:
        """Give the hooks back and drop the fault file when nothing was written into it."""
        if self._replaced is None:
            return
        sys.excepthook, threading.excepthook, sys.unraisablehook = self._replaced
        self._replaced = None
        faulthandler.disable()
        if self._fault_file is not None:
            self._fault_file.close()
            path = Path(self._fault_file.name)
            if path.exists() and path.stat().st_size == 0:
                path.unlink()
            self._fault_file = None

    def report(self, where: str, text: str) -> Path:
        """Write one report and return its file. `text` may hold secrets; the report does not."""
        now = dt.datetime.now(dt.UTC)
        path = self.folder / f"crash-{now:%Y%m%dT%H%M%SZ}-{os.getpid()}-{next(self._numbers)}.txt"
        head = f"where: {where}\ntime: {now.isoformat()}\npython: {sys.version}\nsystem: {platform.platform()}\n\n"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.write_text(redactor.text(head + text), encoding="utf-8")
        _log.critical("crash where=%s report=%s", where, path.name)
        return path

    def loop_failed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Handle what asyncio could not deliver; give it to `loop.set_exception_handler`."""
        error = context.get("exception")
        text = str(context.get("message", ""))
        if isinstance(error, BaseException):
            text += "\n" + "".join(traceback.format_exception(error))
        self._show(self.report("asyncio", text), text)

    def program_failed(self, error: Exception) -> None:
        """Report what a program caught at its root."""
        self._on_exception(type(error), error, error.__traceback__)

    def qt_message_failed(self, text: str) -> Path:
        """Report a fatal Qt message; the window's message handler calls this."""
        return self.report("qt", text)

    def reports(self) -> list[Path]:
        """Every report of this folder, oldest first; empty fault files are none."""
        found = [path for path in self.folder.glob("*.txt") if path.stat().st_size]
        return sorted(found, key=lambda path: path.stat().st_mtime)

    def adopt_engine_panics(self, base: Path) -> list[Path]:
        """Move the engine's panic files out of its base directory into this folder, without secrets."""
        adopted = []
        for panic in sorted(base.glob(ENGINE_PANIC_GLOB)):
            if not panic.is_file():
                continue
            adopted.append(self.report("engine", panic.read_text(encoding="utf-8", errors="replace")))
            panic.unlink()
        return adopted

    def _on_exception(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
            return
        text = "".join(traceback.format_exception(kind, error, trace))
        self._show(self.report("main thread", text), text)

    def _on_thread_exception(self, happened: threading.ExceptHookArgs) -> None:
        name = happened.thread.name if happened.thread is not None else "a thread that is gone"
        text = "".join(traceback.format_exception(happened.exc_type, happened.exc_value, happened.exc_traceback))
        self._show(self.report(f"thread {name}", text), text)

    def _on_unraisable(self, happened: sys.UnraisableHookArgs) -> None:
        text = f"{happened.err_msg or 'ignored in'}: {happened.object!r}\n"
        text += "".join(traceback.format_exception(happened.exc_type, happened.exc_value, happened.exc_traceback))
        self._show(self.report("finaliser", text), text)

    @staticmethod
    def _show(report: Path, text: str) -> None:
        # A windowed program on Windows has no stderr.
        if sys.stderr is not None:
            sys.stderr.write(redactor.text(text) + f"\nA crash report was written to {report}\n")
