"""What a run of the window must give back: threads of both languages, timers, descriptors, tasks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import shiboken6
from PySide6.QtCore import QTimer

LIMIT_S = 30.0
_PROC = Path("/proc/self")
# Qt paints large areas with a pool of its own, whose threads end by themselves after half a minute without work; each
# has one descriptor to be woken by.
_POOLED, _POOLED_WAKE = "Thread (pooled)", "anon_inode:[eventfd]"


@dataclass(frozen=True)
class Belongings:
    """What the process holds at one moment. On a system without /proc descriptors and foreign threads are not seen."""

    python_threads: frozenset[str]
    threads: Counter[str]
    descriptors: Counter[str]
    timers: frozenset[int]

    @classmethod
    def now(cls) -> Self:
        """Look, after the garbage is gone."""
        gc.collect()
        timers = [each for each in gc.get_objects() if isinstance(each, QTimer) and shiboken6.isValid(each)]
        threads, descriptors = _threads(), _descriptors()
        descriptors[_POOLED_WAKE] -= threads.pop(_POOLED, 0)
        return cls(
            python_threads=frozenset(f"{each.name} {each.ident}" for each in _python_threads()),
            threads=threads,
            descriptors=descriptors,
            timers=frozenset(shiboken6.getCppPointer(each)[0] for each in timers),
        )

    def left_by(self, after: Belongings) -> dict[str, list[str]]:
        """What `after` holds beyond this, by kind."""
        left = {
            "python threads": sorted(after.python_threads - self.python_threads),
            "threads": sorted((after.threads - self.threads).elements()),
            "descriptors": sorted((after.descriptors - self.descriptors).elements()),
            "timers": [hex(address) for address in sorted(after.timers - self.timers)],
        }
        return {kind: things for kind, things in left.items() if things}


def left_behind(before: Belongings) -> dict[str, list[str]]:
    """What is still held although it was not before.

    A joined thread stands in /proc a moment longer than its join, so a first look may be too early.
    """
    deadline = time.monotonic() + LIMIT_S
    while left := before.left_by(Belongings.now()):
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return left


def unfinished(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Names of the tasks that nobody awaited."""
    return sorted(task.get_name() for task in asyncio.all_tasks(loop) if not task.done())


def _python_threads() -> list[threading.Thread]:
    # Python never learns of the end of a thread that it has not started; those are counted by the system's list.
    return [each for each in threading.enumerate() if not isinstance(each, threading._DummyThread)]


def _threads() -> Counter[str]:
    names: Counter[str] = Counter()
    if not _PROC.is_dir():
        return names
    for task in (_PROC / "task").iterdir():
        with contextlib.suppress(OSError):
            names[(task / "comm").read_text().strip()] += 1
    return names


def _descriptors() -> Counter[str]:
    """Open descriptors by what they are: `socket`, `pipe`, or the path of a file."""
    found: Counter[str] = Counter()
    if not _PROC.is_dir():
        return found
    for entry in (_PROC / "fd").iterdir():
        # The descriptor of this very listing is gone when it is looked at.
        with contextlib.suppress(OSError):
            target = str(entry.readlink())
            found[target if target.startswith("anon_inode") else target.split(":", maxsplit=1)[0]] += 1
    return found
