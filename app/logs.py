"""Rotating JSON lines for people who look for a cause, and the redactor that keeps secrets out of them.

    any thread ── stdlib logging or structlog ──► queue ──► one writer thread ──► pitdesk.jsonl (rotated)

A secret is known in two ways: somebody handed it to `hide()`, or it looks like one (a JWT, a bearer header, a key in a
URL or in JSON). Both are replaced before a line is rendered and once more afterwards, because escaping can change text.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

LOG_FILE_NAME = "pitdesk.jsonl"
HIDDEN = "[hidden]"
_SHORTEST_SECRET = 6
_QUEUE_LINES = 10_000
# Libraries that are heard from warning on. httpx logs whole addresses at info, and a hub's address carries its token as
# a parameter; qasync logs every call in its threads with all arguments.
_CHATTY = ("httpx", "alembic", "qasync")

_LOOKS_SECRET = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
    r"|(?<=Bearer )[^\s\"',]+"
    r"|(?<=access_token=)[^&\s\"']+"
    r"|(?i:(?<=apikey\":\")|(?<=apikey\": \")|(?<=apikey=)|(?<=api_key=)|(?<=password=))[^\"'&\s]+"
    r"|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)"
)


class Redactor:
    """Replaces secrets in text. Thread-safe; secrets are never forgotten while the program runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: tuple[str, ...] = ()

    def hide(self, secret: str) -> None:
        """Remember a secret. Very short text is ignored: replacing it would only garble the lines."""
        if len(secret) < _SHORTEST_SECRET:
            return
        with self._lock:
            self._known = tuple(sorted({*self._known, secret}, key=len, reverse=True))

    def text(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        return _LOOKS_SECRET.sub(HIDDEN, text)

    def value(self, value: Any) -> Any:
        """Redact every text inside a value; what is no plain data becomes its redacted `repr`."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(held) for key, held in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(held) for held in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(repr(value))

    def __call__(self, _logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Redact a structlog event, as a processor."""
        for key, held in event.items():
            # structlog keeps its own objects under names with an underscore and takes them out later.
            if not key.startswith("_"):
                event[key] = self.value(held)
        return event


redactor = Redactor()
hide = redactor.hide


class _LineFormatter(structlog.stdlib.ProcessorFormatter):
    """Renders in the thread that logged: what waits in the queue is text, already without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return redactor.text(super().format(record))


class _PreparingHandler(logging.handlers.QueueHandler):
    """Never blocks the caller: when the writer cannot follow, lines are counted and dropped, not waited for."""

    dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        line = self.format(record)
        return logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, line, None, None)

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class LogWriter:
    """The installed logging; `close()` flushes and joins the writer thread."""

    def __init__(
        self,
        handler: _PreparingHandler,
        listener: logging.handlers.QueueListener,
        file: Path,
        levels: dict[str | None, int],
    ) -> None:
        self._handler = handler
        self._listener: logging.handlers.QueueListener | None = listener
        self._levels_before = levels
        self.file = file

    @property
    def dropped(self) -> int:
        return self._handler.dropped

    def close(self) -> None:
        if self._listener is None:
            return
        logging.getLogger().removeHandler(self._handler)
        for name, level in self._levels_before.items():
            logging.getLogger(name).setLevel(level)
        self._listener.stop()
        for handler in self._listener.handlers:
            handler.close()
        self._listener = None


def start(folder: Path, *, level: str = "info", file_kib: int = 4096, files_kept: int = 7) -> LogWriter:
    """Send all logging of this process, structlog's and the standard library's, to one rotating file."""
    folder.mkdir(parents=True, exist_ok=True)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    formatter = _LineFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            redactor,
            structlog.processors.JSONRenderer(),
        ],
    )
    file = folder / LOG_FILE_NAME
    writer = logging.handlers.RotatingFileHandler(
        file, maxBytes=file_kib * 1024, backupCount=files_kept, encoding="utf-8", delay=True
    )
    lines: queue.Queue[logging.LogRecord] = queue.Queue(_QUEUE_LINES)
    handler = _PreparingHandler(lines)
    handler.setFormatter(formatter)
    listener = logging.handlers.QueueListener(lines, writer)
    root = logging.getLogger()
    root.addHandler(handler)
    levels = {name: logging.getLogger(name).level for name in (None, *_CHATTY)}
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    listener.start()
    return LogWriter(handler, listener, file, levels)
