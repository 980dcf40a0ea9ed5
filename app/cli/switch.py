"""`pitdesk kill --yes` with a guardian at work: straight to its socket.

It knows nothing but the socket, so that the press is not held up by the imports of engine, options and store.
"""

from __future__ import annotations

import argparse
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app import places

SOCKET_NAME = "guardian.sock"
NOT_CONNECTED = "not_connected"
_LINE_BYTES = 1 << 16
# The guardian itself gives up after 75 s, which is one whole minute of the broker's budget and what follows it.
_DEADLINE_S = 90.0
_UNKNOWN = 5

Report = dict[str, Any]


def declare(parser: argparse.ArgumentParser) -> None:
    """The arguments of `kill`."""
    parser.add_argument(
        "--account",
        metavar="NAME",
        action="append",
        default=[],
        help="only this account, by name or id; may be given more than once (default: every account that is traded)",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask; for a key of the desktop")


def press(words: Sequence[str]) -> int | None:
    """Kill when that is what the words ask for without a question; the exit code, None to leave it to the program."""
    if "kill" not in words or "--yes" not in words:
        return None
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    declare(parser)
    parser.add_argument("command")
    for option in ("--basedir", "--attach", "--replay", "--config", "-o", "--option"):
        parser.add_argument(option, action="append" if option in {"-o", "--option"} else "store")
    for flag in ("--json", "--live", "--practice"):
        parser.add_argument(flag, action="store_true")
    try:
        arguments, unread = parser.parse_known_args(list(words))
    except argparse.ArgumentError:
        return None
    if unread or arguments.command != "kill":
        return None
    report = ask(places.directories(arguments.basedir).base, arguments.account)
    if report is None or report["outcome"] == NOT_CONNECTED:
        return None
    print(json.dumps({"kill": report}) if arguments.json else text_of(report))
    return int(report["exit_code"])


def ask(base: Path, accounts: Sequence[str], source: str = "cli") -> Report | None:
    """Let the guardian of this base directory cancel and flatten; its report, None when there is no guardian."""
    if not hasattr(socket, "AF_UNIX"):
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(_DEADLINE_S)
        try:
            line.connect(str(base / SOCKET_NAME))
        except OSError:
            # None there, or what a killed guardian leaves behind.
            return None
        try:
            line.sendall(json.dumps({"op": "kill", "accounts": list(accounts), "source": source}).encode() + b"\n")
            answer = json.loads(_line_of(line))
        except (OSError, ValueError):
            return _lost("The guardian was asked and did not answer; it may still be at work.")
    if not answer["ok"]:
        return _lost(str(answer["text"]))
    report: Report = answer["report"]
    return report


def _line_of(line: socket.socket) -> bytes:
    received = b""
    while not received.endswith(b"\n"):
        more = line.recv(_LINE_BYTES)
        if not more:
            break
        received += more
    return received


def _lost(text: str) -> Report:
    return {"outcome": "unknown", "text": text, "exit_code": _UNKNOWN, "accounts": [], "flat_verified": False}


def text_of(report: Report) -> str:
    """The report for people: one line for each account, then the sentence."""
    lines = [
        f"{row['name']}: {row['outcome']} by {row['by']}, {row.get('cancelled', 0)} orders cancelled and "
        f"{row.get('closed', 0)} positions closed by the guardian"
        for row in report.get("accounts", ())
    ]
    return "\n".join([*lines, str(report["text"])])
