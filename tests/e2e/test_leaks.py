"""The proof that nothing is left has to find what is left."""

from __future__ import annotations

import socket
import threading

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication

from tests.e2e.leaks import Belongings


def test_a_timer_a_thread_and_a_socket_that_are_left_are_named(qapp: QApplication) -> None:
    before = Belongings.now()
    timer, end = QTimer(), threading.Event()
    thread = threading.Thread(target=end.wait, name="left-over")
    thread.start()
    try:
        with socket.socket():
            left = before.left_by(Belongings.now())
    finally:
        end.set()
        thread.join()
    assert left["timers"] == [hex(address) for address in left_timers(timer)]
    assert left["python threads"] == [f"left-over {thread.ident}"]
    # Without /proc nobody counts descriptors.
    assert left.get("descriptors", ["socket"]) == ["socket"]


def test_nothing_is_named_when_nothing_is_left(qapp: QApplication) -> None:
    before = Belongings.now()
    with socket.socket():
        pass
    assert before.left_by(Belongings.now()) == {}


def left_timers(timer: QTimer) -> list[int]:
    shiboken6 = pytest.importorskip("shiboken6")
    return [int(shiboken6.getCppPointer(timer)[0])]
