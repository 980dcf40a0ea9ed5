"""What the window takes for granted of the Python binding of Qt and of its font database."""

from __future__ import annotations

import sys

import pytest
from PySide6.QtGui import QFontDatabase, QImage, QPainter
from PySide6.QtWidgets import QApplication

CALLS = 1_000


# PySide6 6.12.0 takes one reference off None at every call that returns nothing; after some thousands of calls Python
# 3.11 dies with "deallocating None". The upper bound in pyproject.toml may go when this passes there with a newer one.
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="None is immortal from Python 3.12 on: nothing to count")
def test_qt_calls_that_return_nothing_leave_the_references_of_none_alone(qapp: QApplication) -> None:
    image = QImage(8, 8, QImage.Format.Format_ARGB32)
    painter = QPainter(image)
    before = sys.getrefcount(None)
    for _ in range(CALLS):
        painter.translate(0.0, 0.0)
    after = sys.getrefcount(None)
    painter.end()
    assert abs(after - before) < CALLS // 10, "a few references come and go elsewhere, not one a call"


def test_qt_knows_fonts_to_draw_text_with(qapp: QApplication) -> None:
    assert QFontDatabase.families() != []
