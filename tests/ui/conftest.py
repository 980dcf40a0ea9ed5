"""Window tests paint offscreen unless somebody asks for a real platform, and use the bundled fonts."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session", autouse=True)
def bundled_fonts(qapp: object) -> None:
    from ui.theme import load_fonts

    load_fonts()
