"""`python -m ui` as a process of its own: what starts it, what ends it, and what it leaves when it is ended."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trading_bot_core", reason="the extension is not built")

from app.errors import PitdeskError
from app.native import NativeEngine
from app.services import acts
from app.services.control import ControlClient, ControlDesk
from tests.e2e.leaks import LIMIT_S

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to see children, and signals"),
]

ROOT = Path(__file__).resolve().parents[2]
# Three minutes of a Tuesday morning, one lot of volume for each print that a minute needs.
BARS = """ts_utc,open,high,low,close,volume
2023-12-26T15:00:00Z,4810.00,4811.00,4809.50,4810.75,40
2023-12-26T15:01:00Z,4810.75,4812.00,4810.25,4811.50,60
2023-12-26T15:02:00Z,4811.50,4811.75,4810.00,4810.25,50
"""


class Program:
    """A window in a process of its own, asked over its control socket."""

    def __init__(self, base: Path, *words: str) -> None:
        self.base = base
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ui", "--basedir", str(base), *words],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": path, "QT_QPA_PLATFORM": "offscreen"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    def ends(self) -> tuple[int, str]:
        """Wait for the end: exit code and what was written."""
        said, _ = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, said

    def is_told(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        return self.ends()

    def answers(self, question: Callable[[ControlDesk], Any]) -> Any:
        """What its engine answers once it can: the first answer that is not empty."""
        return self.shows(lambda: asyncio.run(self._asked(question)), "an answer of the engine")

    def shows(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + LIMIT_S
        while not (value := condition()):
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode} before {what}: {self.ends()[1]}")
            assert time.monotonic() < deadline, f"never seen: {what}"
            time.sleep(0.05)
        return value

    def gateway(self) -> int:
        """Process of the practice gateway that it has started."""
        return int(self.shows(lambda: children(self.pid), "a gateway of its own")[0])

    async def _asked(self, question: Callable[[ControlDesk], Any]) -> Any:
        client = await ControlClient.connect(self.base)
        if client is None:
            return None
        try:
            return await question(ControlDesk(client, LIMIT_S))
        except PitdeskError:
            # Not connected yet.
            return None
        finally:
            await client.close()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "base"


@pytest.fixture
def start(base: Path, program: Path) -> Iterator[Callable[..., Program]]:
    started: list[Program] = []

    def run(*words: str) -> Program:
        started.append(Program(base, *words))
        return started[-1]

    yield run
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.ends()


def children(pid: int) -> list[str]:
    """Programs that this process has started, by /proc."""
    found: list[str] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += (task / "children").read_text().split()
    return [child for child in found if "gateway" in Path(f"/proc/{child}/comm").read_text()]


def is_alive(pid: int) -> bool:
    """Whether the process still runs; one that only waits to be buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def sees_the_end(pid: int) -> bool:
    deadline = time.monotonic() + LIMIT_S
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not is_alive(pid)


def is_free(base: Path) -> bool:
    """Whether a next engine gets the base directory."""
    NativeEngine.open(base).shutdown()
    return True


def in_dollars(text: str) -> float:
    return float(text.replace(",", ""))


def test_a_window_that_is_told_to_terminate_leaves_no_child_no_lock_and_no_crash(
    start: Callable[..., Program], base: Path
) -> None:
    window = start("--contract", "MNQ")
    quote = window.answers(lambda desk: acts.quote(desk, "MNQ"))
    assert in_dollars(quote["bid"]) < in_dollars(quote["ask"])
    (account, *_) = window.answers(acts.accounts)
    assert account["word"] == "DEMO"
    gateway = window.gateway()
    assert window.is_told(signal.SIGTERM) == (0, "")
    assert sees_the_end(gateway)
    assert not (base / "control.sock").exists()
    assert list((base / "crash").iterdir()) == []
    assert (base / "state.ini").exists()
    assert is_free(base)


def test_a_window_that_is_told_to_terminate_while_it_starts_leaves_no_child(
    start: Callable[..., Program], base: Path
) -> None:
    window = start()
    gateway = window.gateway()
    code, said = window.is_told(signal.SIGTERM)
    # Before the window listens to the signal the system's own answer is the end; the gateway goes either way.
    assert code in (0, -signal.SIGTERM), said
    assert sees_the_end(gateway)
    assert is_free(base)


def test_a_window_that_is_killed_takes_its_gateway_with_it_and_the_next_one_starts(
    start: Callable[..., Program], base: Path
) -> None:
    window = start("--contract", "MNQ")
    window.answers(lambda desk: acts.quote(desk, "MNQ"))
    gateway = window.gateway()
    window.is_told(signal.SIGKILL)
    assert sees_the_end(gateway)
    again = start("--contract", "MNQ")
    assert again.answers(lambda desk: acts.quote(desk, "MNQ"))
    assert again.is_told(signal.SIGTERM) == (0, "")


def test_a_second_window_names_the_first_and_ends_as_busy(start: Callable[..., Program], base: Path) -> None:
    first = start("--contract", "MNQ")
    first.answers(acts.accounts)
    code, said = start("--contract", "MNQ").ends()
    assert (code, f"(process {first.pid})" in said) == (7, True), said
    assert first.answers(lambda desk: acts.quote(desk, "MNQ"))
    assert first.is_told(signal.SIGTERM) == (0, "")


def test_a_recording_of_bars_is_replayed_at_its_own_prices_and_leaves_no_folder(
    start: Callable[..., Program], base: Path, tmp_path: Path
) -> None:
    recording = tmp_path / "es_1min.csv"
    recording.write_text(BARS)
    check_replay(start("--replay", str(recording)), base, 4809.0, 4812.5)


def test_the_recorded_hour_is_replayed_at_its_own_prices_and_leaves_no_folder(
    start: Callable[..., Program], base: Path, shared_data: Path
) -> None:
    recording = shared_data / "depth" / "es_esh4_20231225.levels.csv.gz"
    if not recording.exists():
        pytest.skip(f"the recording {recording.name} is absent from ../shared/data")
    check_replay(start("--replay", str(recording)), base, 4790.0, 4820.0)


def check_replay(window: Program, base: Path, low: float, high: float) -> None:
    quote = window.answers(lambda desk: acts.quote(desk, "ES"))
    assert low <= in_dollars(quote["bid"]) <= high
    (account, *_) = window.answers(acts.accounts)
    assert account["word"] == "REPLAY"
    gateway = window.gateway()
    assert window.is_told(signal.SIGTERM) == (0, "")
    assert sees_the_end(gateway)
    assert list((base / "practice").iterdir()) == []
    assert is_free(base)
