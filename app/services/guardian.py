"""The guardian as a child process, and the kill switch behind it.

The guardian (`native/guardian`) is started beside the window and outlives it. It is told every login through its
standard input, which belongs to the engine from then on: no secret passes through an argument, a variable or a file.

A kill goes to whoever is there, the surest first: the guardian, which asks a living engine; the engine alone, when
there is no guardian; nobody, then a guardian runs just for it, with credentials as for any login (decision 30).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from app import errors
from app.config import GuardianOptions
from app.native import NativeEngine
from app.services import programs
from app.services.control import ControlClient
from app.services.session import Endpoint

PROGRAM = "pitdesk-guardian"
PROGRAM_VARIABLE = "PITDESK_GUARDIAN"
SOCKET_NAME = "guardian.sock"
NEWS_NAME = "guardian.jsonl"
# Code of the news that the guardian itself is gone.
GONE = "guardian_gone"
_STOP_DEADLINE_S = 3.0
# The guardian itself gives up after 75 s, which is one whole minute of the broker's budget and what follows it.
_KILL_DEADLINE_S = 90.0

Report = dict[str, Any]


def find_program() -> Path:
    """The guardian program (`programs.find`). Raises ProgramMissing, which names every place."""
    return programs.find(PROGRAM, PROGRAM_VARIABLE)


@dataclass(frozen=True)
class News:
    """One announcement of a guardian. `level` is info, warning or alarm."""

    level: str
    code: str
    text: str
    wall_ns: int

    @classmethod
    def parse(cls, line: str) -> Self | None:
        """None for a line that is none: the file may end in the middle of one."""
        try:
            told = json.loads(line)
            return cls(str(told["level"]), str(told["code"]), str(told["text"]), int(told["wall_ns"]))
        except (ValueError, KeyError, TypeError):
            return None


class GuardianProcess:
    """A running guardian. `stop()` may be called from any thread, after the engine was shut down."""

    def __init__(self, process: subprocess.Popen[str], reader: threading.Thread) -> None:
        self._process = process
        self._reader = reader

    @classmethod
    def start(
        cls, base: Path, engine: NativeEngine, options: GuardianOptions, *, on_news: Callable[[News], None]
    ) -> Self:
        """Start it and connect it to the engine. `on_news` is called on a thread of its own.

        Raises ProgramMissing.
        """
        words = ["--base", str(base), "--key", options.global_key, "--on-death", options.on_death]
        process = _spawn([str(find_program()), *words], stderr=subprocess.PIPE)
        assert process.stdin is not None, "the pipe was asked for"
        assert process.stderr is not None, "the pipe was asked for"
        # The engine's copy is the only one: its end is the proof of this process's death.
        pipe = os.dup(process.stdin.fileno())
        process.stdin.close()
        os.set_blocking(pipe, False)
        engine.lead_guardian(pipe)
        reader = threading.Thread(target=_read_news, args=(process, on_news), name="guardian-news", daemon=True)
        reader.start()
        return cls(process, reader)

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> int:
        """Wait for its end, which the engine's shutdown has asked for; one in the middle of a kill is left alone."""
        try:
            code = self._process.wait(_STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            return 0
        self._reader.join()
        if self._process.stderr is not None:
            self._process.stderr.close()
        return code


def _spawn(command: list[str], *, stderr: int) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PITDESK_API_KEY"}
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if stderr == subprocess.DEVNULL else subprocess.DEVNULL,
            stderr=stderr,
            text=True,
            encoding="utf-8",
            env=environment,
            # It outlives us: what ends our terminal or our process group must not end it.
            start_new_session=True,
        )
    except OSError as error:
        raise errors.ProgramMissing(f"{command[0]} cannot be started: {error.strerror}.") from error


def _read_news(process: subprocess.Popen[str], on_news: Callable[[News], None]) -> None:
    """Hand over what it announces, and that it is gone when nobody has told it to go."""
    assert process.stderr is not None, "the pipe was asked for"
    for line in process.stderr:
        news = News.parse(line)
        if news is not None:
            on_news(news)
    if code := process.wait():
        text = f"The guardian has ended by itself (code {code}): nothing watches the engine."
        on_news(News("alarm", GONE, text, time.time_ns()))


def take_news(base: Path) -> list[News]:
    """What a guardian announced while no window could show it; forgotten here once it is read."""
    file = base / NEWS_NAME
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        file.unlink()
    except OSError:
        return []
    return [news for line in lines if (news := News.parse(line)) is not None]


# the kill switch


async def kill(base: Path, accounts: Sequence[str], *, source: str) -> Report | None:
    """Cancel everything and flatten, by the guardian of this base directory; None when there is none.

    accounts: names or ids; none means all that the engine trades. The report has `outcome`, `text`, `exit_code` and
    `accounts`. Raises OutcomeUnknown when the guardian is lost in the middle.
    """
    reached = await _reach(base / SOCKET_NAME)
    if reached is None:
        return None
    reader, writer = reached
    line = json.dumps({"op": "kill", "accounts": list(accounts), "source": source})
    try:
        async with asyncio.timeout(_KILL_DEADLINE_S):
            writer.write(line.encode() + b"\n")
            await writer.drain()
            answer = json.loads(await reader.readuntil(b"\n"))
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        raise errors.OutcomeUnknown("The guardian was asked and did not answer; it may still be at work.") from error
    finally:
        writer.close()
    if not answer["ok"]:
        raise errors.OutcomeUnknown(str(answer["text"]))
    report: Report = answer["report"]
    return report


async def _reach(socket: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
    if not hasattr(asyncio, "open_unix_connection"):
        return None
    try:
        return await asyncio.open_unix_connection(str(socket), limit=1 << 24)
    except OSError:
        # None there, or what a killed guardian leaves behind.
        return None


async def kill_by_engine(base: Path, accounts: Sequence[str]) -> Report | None:
    """Flatten through the engine's own control socket; None when no engine answers there."""
    client = await ControlClient.connect(base)
    if client is None:
        return None
    try:
        held = [row for row in await client.call("accounts") if row["is_own"] or accounts]
        wanted = {name.lower() for name in accounts}
        chosen = [row for row in held if not wanted or wanted & {row["name"].lower(), str(row["id"])}]
        if len(chosen) < max(1, len(wanted)):
            raise errors.InvalidOption("account", ", ".join(accounts), "an account that `pitdesk accounts` lists")
        rows = [await _flatten(client, row) for row in chosen]
    finally:
        await client.close()
    is_flat = all(row["outcome"] == "done" for row in rows)
    return {
        "outcome": "done" if is_flat else "unknown",
        "text": " ".join(f"{row['name']}: {row['text']}" for row in rows),
        "exit_code": 0 if is_flat else 5,
        "accounts": rows,
        "flat_verified": is_flat,
    }


async def _flatten(client: ControlClient, account: Mapping[str, Any]) -> Report:
    told = await client.call("kill", account_id=account["id"], source="kill")
    return {
        "id": account["id"],
        "name": account["name"],
        "outcome": told["outcome"],
        "text": told["text"],
        "by": "engine",
    }


async def kill_alone(base: Path, endpoint: Endpoint, accounts: Sequence[str]) -> Report:
    """Run a guardian just for this kill, over a login of its own. Raises ProgramMissing or OutcomeUnknown."""
    named = [word for account in accounts for word in ("--account", account)]
    command = [str(find_program()), "--base", str(base), "--once", *named]
    process = await asyncio.to_thread(_spawn, command, stderr=subprocess.DEVNULL)
    login = {
        "rest_url": endpoint.rest_url,
        "user_name": endpoint.user_name,
        "api_key": endpoint.api_key.reveal(),
        "gateway": endpoint.identity,
        "environment": endpoint.environment,
    }
    try:
        output, _ = await asyncio.to_thread(
            process.communicate, json.dumps({"session": login}) + "\n", timeout=_KILL_DEADLINE_S
        )
    except subprocess.TimeoutExpired:
        with contextlib.suppress(OSError):
            process.kill()
        raise errors.OutcomeUnknown("The kill did not end in time; look at the broker's own platform.") from None
    try:
        report: Report = json.loads(output)
    except ValueError:
        raise errors.OutcomeUnknown("The kill ended without a report; look at the broker's own platform.") from None
    return report
