"""What the window's start may cost, said by what it loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trading_bot_core", reason="the extension is not built")

ROOT = Path(__file__).resolve().parents[2]


def test_the_window_loads_no_database_before_its_services_open() -> None:
    code = "import sys, ui.application; print([name for name in ('sqlalchemy', 'alembic') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
