"""`pitdesk kill --yes` as far as a guardian is there."""

from __future__ import annotations

import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import cli
from app.cli import switch

REPORT = {
    "outcome": "done",
    "text": "Flat, read back from the broker: PRAC-1.",
    "exit_code": 0,
    "accounts": [{"name": "PRAC-1", "outcome": "done", "by": "guardian", "cancelled": 3, "closed": 1}],
    "flat_verified": True,
}


class Guardian:
    """Answers one question over the socket and remembers it."""

    def __init__(self, base: Path) -> None:
        self.answer = json.dumps({"ok": True, "report": REPORT}).encode() + b"\n"
        self.asked: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(base / switch.SOCKET_NAME))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        line, _ = self._socket.accept()
        with line, line.makefile("rb") as reader:
            self.asked.append(json.loads(reader.readline() or b"{}"))
            line.sendall(self.answer)

    def close(self, base: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as last:
            if self._thread.is_alive():
                last.connect(str(base / switch.SOCKET_NAME))
        self._thread.join()
        self._socket.close()


@pytest.fixture
def base() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="pitdesk-") as path:
        yield Path(path)


@pytest.fixture
def guardian(base: Path) -> Iterator[Guardian]:
    running = Guardian(base)
    yield running
    running.close(base)


def test_a_kill_goes_straight_to_the_guardian_and_reports(
    base: Path, guardian: Guardian, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["kill", "--yes", "--basedir", str(base), "--account", "PRAC-1", "--json"]) == 0
    assert guardian.asked == [{"op": "kill", "accounts": ["PRAC-1"], "source": "cli"}]
    assert json.loads(capsys.readouterr().out) == {"kill": REPORT}


def test_a_kill_that_is_not_proved_flat_ends_with_unknown(
    base: Path, guardian: Guardian, capsys: pytest.CaptureFixture[str]
) -> None:
    report = {**REPORT, "outcome": "unknown", "exit_code": 5, "text": "Orders may still be open."}
    guardian.answer = json.dumps({"ok": True, "report": report}).encode() + b"\n"
    assert switch.press(["--basedir", str(base), "kill", "--yes"]) == 5
    assert "Orders may still be open." in capsys.readouterr().out


def test_a_guardian_that_hangs_up_leaves_the_outcome_unknown(base: Path, guardian: Guardian) -> None:
    guardian.answer = b""
    report = switch.ask(base, [])
    assert report is not None
    assert (report["outcome"], report["exit_code"]) == ("unknown", 5)


def test_a_guardian_without_a_login_leaves_the_kill_to_the_program(base: Path, guardian: Guardian) -> None:
    guardian.answer = b'{"ok":true,"report":{"outcome":"not_connected","text":"","exit_code":6}}\n'
    assert switch.press(["kill", "--yes", "--basedir", str(base)]) is None


@pytest.mark.parametrize(
    "words",
    [["kill"], ["kill", "--yes", "--nonsense"], ["buy", "1", "kill", "--yes"], ["kill", "--yes", "--account"], []],
)
def test_everything_else_is_left_to_the_program(base: Path, words: list[str]) -> None:
    assert switch.press([*words, "--basedir", str(base)]) is None


def test_without_a_guardian_there_is_nothing_to_press(base: Path) -> None:
    assert switch.ask(base, []) is None


def test_without_consent_nothing_is_done(base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["kill", "--basedir", str(base)]) == 3
    assert "add --yes" in capsys.readouterr().err
