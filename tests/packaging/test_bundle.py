"""The bundle starts its window, its practice gateway and its guardian on a machine where no Python can be found.

`./dev bundle` makes it in about a minute; without it these tests skip and say so. `./dev test --full` makes it first.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "dist" / "pitdesk" / ("pitdesk.exe" if sys.platform == "win32" else "pitdesk")
DEADLINE_S = 60.0
T = TypeVar("T")


@pytest.fixture(scope="module")
def program(request: pytest.FixtureRequest) -> Path:
    if request.config.getoption("--full"):
        subprocess.run([ROOT / "dev", "bundle"], cwd=ROOT, check=True, capture_output=True)
    if not PROGRAM.exists():
        pytest.skip("no bundle in dist/: make it with ./dev bundle")
    return PROGRAM


def bare_environment(home: Path) -> dict[str, str]:
    """What a login shell without any Python would give it."""
    return {"HOME": str(home), "PATH": "/nonexistent", "QT_QPA_PLATFORM": "offscreen", "LC_ALL": "C.UTF-8"}


def run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, check=False, env=bare_environment(home), capture_output=True, text=True, timeout=DEADLINE_S
    )


def wait_for(condition: Callable[[], T], window: subprocess.Popen[bytes]) -> T:
    """Poll until the condition is true, for as long as the window lives."""
    deadline = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert window.poll() is None, "the window lives"
        assert time.monotonic() < deadline, "it takes less than a minute"
        time.sleep(0.2)
    return value


def guardians_of(base: Path) -> list[Path]:
    """Programs of the guardians that watch this base directory, as the system has them."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes().split(b"\0")
            if str(base).encode() in words and b"guardian" in Path(os.fsdecode(words[0])).name.encode():
                found.append((process / "exe").readlink())
    return found


def test_the_bundled_command_line_finds_everything_it_needs(program: Path, tmp_path: Path) -> None:
    command = [str(program), "--basedir", str(tmp_path / "base"), "--json", "doctor"]
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stderr
    texts = {check["name"]: check["text"] for check in json.loads(done.stdout)["checks"]}
    for name in ("practice gateway", "guardian"):
        assert "dist/pitdesk" in texts[name], "the program of the bundle, not of the tree"


def test_the_bundle_holds_no_development_tool_and_no_link_into_nothing(program: Path) -> None:
    inside = sorted(program.parent.rglob("*"))
    tools = {"mypy", "hypothesis", "pytest", "_pytest", "ruff", "maturin"}
    assert [file.name for file in inside if file.name in tools] == []
    assert [file.name for file in inside if file.is_symlink() and not file.exists()] == []


def test_the_bundled_window_trades_on_its_own_gateway_beside_its_guardian(program: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    window = subprocess.Popen([program, "run", "--basedir", base], env=bare_environment(tmp_path))
    try:
        wait_for((base / "control.sock").exists, window)
        quote = [str(program), "--basedir", str(base), "--json", "quote", "ES"]

        def told() -> str:
            asked = run(quote, tmp_path)
            return asked.stdout if asked.returncode == 0 else ""

        assert "ES" in wait_for(told, window)
        wait_for((base / "guardian.sock").exists, window)
        assert guardians_of(base) == [program.parent / "_internal" / "resources" / "bin" / "pitdesk-guardian"]
        killed = run([str(program), "--basedir", str(base), "--json", "kill", "--yes"], tmp_path)
        assert killed.returncode == 0, killed.stdout
        os.kill(window.pid, signal.SIGTERM)
        assert window.wait(20) == 0
        assert guardians_of(base) == [], "it ends with the window that has said goodbye"
    finally:
        window.kill()
        window.wait()
