"""Toasts by what a person sees: how long they stay, how many there are, and what they never cover."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QFontMetricsF
from PySide6.QtWidgets import QWidget

from ui.theme import Theme
from ui.toasts import Toaster


@pytest.fixture
def window(qtbot: Any) -> QWidget:
    widget = QWidget()
    qtbot.addWidget(widget)
    widget.resize(1280, 800)
    widget.show()
    return widget


def test_what_is_dangerous_stays_until_it_is_read(window: QWidget, qtbot: Any) -> None:
    toaster = Toaster(Theme(), window, list)
    toaster.show("info", "Buy 2 filled 100.25", "MNQZ6 on practice")
    toaster.show("alarm", "Sell 1 refused", "The price is not on the grid.")
    info, alarm = toaster.shown
    assert (info.stays, alarm.stays) == (False, True)
    assert not info.read_button.isVisible()
    qtbot.mouseClick(alarm.read_button, Qt.MouseButton.LeftButton)
    assert toaster.shown == [info]
    toaster.clear()
    assert toaster.shown == []


def test_four_at_most_and_those_that_wait_to_be_read_go_last(window: QWidget) -> None:
    toaster = Toaster(Theme(), window, list)
    toaster.show("alarm", "Position without its stop", "2 lots")
    for number in range(6):
        toaster.show("info", f"Buy 1 filled 100.{number}", "")
    assert [toast.title for toast in toaster.shown] == [
        "Position without its stop",
        "Buy 1 filled 100.3",
        "Buy 1 filled 100.4",
        "Buy 1 filled 100.5",
    ]
    assert all(later.y() > earlier.y() for earlier, later in zip(toaster.shown, toaster.shown[1:], strict=False))


def test_the_same_notice_is_shown_once(window: QWidget) -> None:
    toaster = Toaster(Theme(), window, list)
    for _ in range(3):
        toaster.show("warning", "Market stream", "Market: late.")
    assert len(toaster.shown) == 1


@pytest.mark.parametrize("words", [8, 9, 10, 11, 12, 40])
def test_no_letter_of_a_notice_lies_under_its_button(window: QWidget, words: int) -> None:
    toaster = Toaster(Theme(), window, list)
    toaster.show("alarm", "Connect", " ".join(["PRAC-V2"] * words))
    (toast,) = toaster.shown
    widest = QFontMetricsF(Theme().font("body")).horizontalAdvance(toast.lines[-1])
    assert 40 + widest <= toast.read_button.x()
    assert len(toast.lines) <= 2


@pytest.mark.parametrize(("ticket", "is_left"), [(QRect(970, 44, 304, 730), True), (QRect(970, 44, 304, 300), False)])
def test_nothing_that_trades_is_covered(window: QWidget, ticket: QRect, is_left: bool) -> None:
    toaster = Toaster(Theme(), window, lambda: [ticket])
    toaster.show(
        "alarm", "Sell 1 refused", "A reason of many words that needs a second line to be read as a whole one."
    )
    (toast,) = toaster.shown
    assert not toast.geometry().intersects(ticket)
    assert (toast.x() < 640) is is_left
    assert len(toast.lines) == 2


def test_where_they_would_cover_what_trades_the_older_ones_go(window: QWidget) -> None:
    places = [QRect(0, 500, 600, 30), QRect(600, 0, 680, 800)]
    toaster = Toaster(Theme(), window, lambda: places)
    for number in range(4):
        toaster.show("info", f"Buy 1 filled 100.{number}", "ESZ6 on practice")
    assert [toast.title for toast in toaster.shown] == [
        "Buy 1 filled 100.1",
        "Buy 1 filled 100.2",
        "Buy 1 filled 100.3",
    ]
    assert not any(toast.geometry().intersects(place) for toast in toaster.shown for place in places)
