"""What a newcomer sees: time to the first paint of a second start, font families, a picture with a market in it.

python -m tests.bare.first_paint ANSWER.json PICTURE.png        (under an X server)
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

MARKET_DEADLINE_S = 60.0


def first_paint_ms(base: str) -> float:
    """Process start to painted window, by the bench's own probe."""
    variables = {**os.environ, "BENCH_BASE": base, "BENCH_STARTED_NS": str(time.monotonic_ns())}
    command = [sys.executable, "-m", "tests.bench.window_client", "first"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, timeout=120)
    return float(json.loads(done.stdout.strip().splitlines()[-1])["ms"])


def picture(base: str, file: Path) -> int:
    """Open the program, wait for a market, save the window. Returns the number of font families."""
    from PySide6.QtGui import QFontDatabase

    from ui import application

    families = 0

    class Watched(application.Application):
        def _build(self, services: Any) -> None:
            super()._build(services)
            self.keeper.spawn(self._look(services), "look")

        async def _look(self, services: Any) -> None:
            nonlocal families
            deadline = time.monotonic() + MARKET_DEADLINE_S
            while time.monotonic() < deadline and not services.market.watched():  # noqa: ASYNC110
                await asyncio.sleep(0.1)
            await asyncio.sleep(5.0)
            families = len(QFontDatabase.families())
            self.window.grab().save(str(file))
            self.request_end()

    application.Application = Watched  # type: ignore[misc]
    application.main(["--basedir", base])
    return families


def main(answer: Path, file: Path) -> None:
    with tempfile.TemporaryDirectory() as base:
        families = picture(base, file)
        milliseconds = first_paint_ms(base)
    answer.write_text(json.dumps({"first_paint_ms": round(milliseconds), "font_families": families}), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
