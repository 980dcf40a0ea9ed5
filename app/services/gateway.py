"""The practice gateway as a child process: find the program, start it, read its first line, end it.

The child ends when its standard input closes (decision 3), so it cannot outlive us, however we die. Everything in here
blocks; a program with a loop calls it through `asyncio.to_thread`.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from app import logs
from app.errors import GatewayUnavailable, InvalidOption, ProgramMissing
from app.services import programs

PROGRAM = "pitdesk-gateway"
PROGRAM_VARIABLE = "PITDESK_GATEWAY"
_STOP_DEADLINE_S = 5.0


def find_program(variables: Mapping[str, str] = os.environ, root: Path = programs.ROOT) -> Path:
    """The gateway program (`programs.find`). Raises GatewayUnavailable, which names every place."""
    try:
        return programs.find(PROGRAM, PROGRAM_VARIABLE, variables, root)
    except ProgramMissing as error:
        raise GatewayUnavailable(error.text) from None


@dataclass(frozen=True)
class Hello:
    """The gateway's first line: where it listens and who may log in."""

    rest: str
    user_hub: str
    market_hub: str
    user_name: str
    api_key: str = field(repr=False)
    accounts: list[dict[str, Any]]
    seed: str
    control: str
    control_token: str = field(repr=False)
    instance: str
    version: str
    pid: int

    @classmethod
    def parse(cls, line: str) -> Self:
        """Raises GatewayUnavailable when the line is not the promised one."""
        try:
            told = json.loads(line)
            hello = cls(**{name: told[name] for name in cls.__dataclass_fields__})
        except (ValueError, KeyError, TypeError) as error:
            raise GatewayUnavailable(f"The practice gateway's first line cannot be read: {error!r}.") from error
        logs.hide(hello.api_key)
        logs.hide(hello.control_token)
        return hello


class GatewayProcess:
    """A running practice gateway of our own. A context manager; `stop()` may be called from any thread."""

    def __init__(self, process: subprocess.Popen[str], hello: Hello, reader: threading.Thread) -> None:
        self.hello = hello
        self._process = process
        self._reader = reader

    @classmethod
    def start(
        cls,
        arguments: Sequence[str],
        *,
        program: Path | None = None,
        log_file: Path | None = None,
        deadline_s: float = 15.0,
    ) -> Self:
        """Start it with `--json --port 0` and `arguments`, and wait for its first line.

        Raises GatewayUnavailable with what the program wrote, when it does not come up.
        """
        found = program or find_program()
        process = _spawn([str(found), "--json", "--port", "0", *arguments], log_file)
        first: queue.Queue[str] = queue.Queue(1)
        reader = threading.Thread(target=_read_out, args=(process, first), name="gateway-out", daemon=True)
        reader.start()
        try:
            return cls(process, _first_line(process, first, log_file, deadline_s), reader)
        except BaseException:
            _end(process, reader)
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> int:
        """Close its standard input and wait; kill it when it does not go. Idempotent; returns its exit code."""
        return _end(self._process, self._reader)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def practice_arguments(state: Path, *, seed: int, rate: float = 1.0) -> list[str]:
    """Arguments for the seeded model market, with its state kept in `state`."""
    return ["--state", str(state), "--seed", str(seed), "--rate", f"{rate:g}"]


def replay_arguments(state: Path, recording: Path, *, rate: float = 1.0) -> list[str]:
    """Arguments to replay a recorded session. Raises InvalidOption when there is no such file."""
    if not recording.is_file():
        raise InvalidOption("--replay", str(recording), "a recording that exists: a levels, bar or tick file")
    return ["--state", str(state), "--market", "replay", str(recording.resolve()), "--rate", f"{rate:g}"]


def _spawn(command: list[str], log_file: Path | None) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PITDESK_API_KEY"}
    errors_to = subprocess.DEVNULL if log_file is None else _open_log(log_file)
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors_to,
            text=True,
            encoding="utf-8",
            env=environment,
            # A Ctrl-C in the terminal is ours to handle: the gateway must still answer while we flatten.
            start_new_session=True,
        )
    except OSError as error:
        raise GatewayUnavailable(f"{command[0]} cannot be started: {error.strerror}.") from error
    finally:
        if errors_to != subprocess.DEVNULL:
            os.close(errors_to)


def _open_log(log_file: Path) -> int:
    log_file.parent.mkdir(parents=True, exist_ok=True)
    return os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def _read_out(process: subprocess.Popen[str], first: queue.Queue[str]) -> None:
    """Hand over the first line, then keep the pipe empty: a full one would stop the gateway."""
    assert process.stdout is not None, "the pipe was asked for"
    first.put(process.stdout.readline())
    for _ in process.stdout:
        pass


def _first_line(
    process: subprocess.Popen[str], first: queue.Queue[str], log_file: Path | None, deadline_s: float
) -> Hello:
    try:
        line = first.get(timeout=deadline_s)
    except queue.Empty:
        raise GatewayUnavailable(f"The practice gateway said nothing for {deadline_s:g} s.") from None
    if not line:
        raise GatewayUnavailable(_why_it_ended(process, log_file))
    return Hello.parse(line)


def _why_it_ended(process: subprocess.Popen[str], log_file: Path | None) -> str:
    code = process.wait(_STOP_DEADLINE_S)
    said = ""
    if log_file is not None and log_file.exists():
        lines = [line for line in log_file.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        said = " It said: " + logs.redactor.text(lines[-1]) if lines else ""
    return f"The practice gateway ended with code {code} before it listened.{said}"


def _end(process: subprocess.Popen[str], reader: threading.Thread) -> int:
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    try:
        code = process.wait(_STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        code = process.wait()
    reader.join()
    if process.stdout is not None:
        process.stdout.close()
    return code
