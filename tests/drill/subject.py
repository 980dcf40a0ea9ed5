"""The real window, with a thread that does to it what a drill asks for.

python -m tests.drill.subject ARGUMENTS OF THE WINDOW...

Standard input: `sleep SECONDS` puts the window's thread to sleep, `hold SECONDS` takes the interpreter's lock and keeps
it, as a long computation in a C extension does.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time

from PySide6.QtCore import QCoreApplication, QObject, Signal

from ui.application import main


class Mishap(QObject):
    """Lives on the window's thread; what other threads ask for reaches it there."""

    asked = Signal(int)

    def __init__(self) -> None:
        super().__init__()
        self.asked.connect(self._on_asked)

    def _on_asked(self, seconds: int) -> None:
        time.sleep(seconds)


def obey(mishap: Mishap) -> None:
    for line in sys.stdin:
        verb, _, seconds = line.strip().partition(" ")
        if verb == "sleep":
            mishap.asked.emit(int(seconds))
        elif verb == "hold":
            # PyDLL keeps the lock for the length of the call.
            ctypes.PyDLL(None).sleep(int(seconds))


if __name__ == "__main__":
    asker = Mishap()
    # The application is made by `main`, on this thread; the object is at home here already.
    assert QCoreApplication.instance() is None
    threading.Thread(target=obey, args=(asker,), daemon=True).start()
    sys.exit(main(sys.argv[1:]))
