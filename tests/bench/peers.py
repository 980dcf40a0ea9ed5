"""Interpreters and scripts of the peers. An absent peer is a reason to print, never a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "packaging" / "requirements-bench.lock"
_FOLDER = ROOT / ".venv-bench"
_VERSIONS = ("python3.12", "python3.13", "python3.14", "python3")
_NEEDS = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))"


class Absent(Exception):  # noqa: N818 - a reason to skip, not a fault
    """A contender cannot run here; the text says why."""


def shared_scripts() -> Path:
    """Folder of the peers' own scripts. Raises Absent."""
    folder = Path(os.environ.get("PITDESK_SHARED", ROOT.parent / "shared")) / "bench"
    if not (folder / "b1_ws_ingest.py").is_file():
        raise Absent("no folder bench/ in ../shared (or PITDESK_SHARED)")
    return folder


@cache
def _interpreter() -> str | None:
    """A Python of 3.12 or newer that really starts: a version manager's shim may exist and refuse."""
    installed = sorted(str(path) for path in (Path.home() / ".pyenv" / "versions").glob("3.1[2-9]*/bin/python3"))
    for candidate in (*_VERSIONS, *installed):
        try:
            done = subprocess.run([candidate, "-c", _NEEDS], capture_output=True, check=False, timeout=30)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if done.returncode == 0:
            return candidate
    return None


@cache
def bench_python() -> str:
    """Python of `.venv-bench`, made from the bench lock when it is not there. Raises Absent."""
    python = _FOLDER / "bin" / "python"
    stamp = _FOLDER / ".complete"
    text = LOCK.read_text(encoding="utf-8")
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == text:
        return str(python)
    found = _interpreter()
    if found is None:
        raise Absent("no Python 3.12 or newer starts here, so there is no .venv-bench")
    sys.stderr.write("bench: making .venv-bench (once)\n")
    try:
        subprocess.run([found, "-m", "venv", str(_FOLDER)], check=True, capture_output=True, timeout=120)
        install = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run(
            [*install, "--only-binary", ":all:", "-r", str(LOCK)], check=True, capture_output=True, timeout=900
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise Absent(f".venv-bench could not be made: {_last_line(error)}") from error
    stamp.write_text(text, encoding="utf-8")
    return str(python)


def _last_line(error: Exception) -> str:
    said = getattr(error, "stderr", None)
    lines = said.decode(errors="replace").strip().splitlines() if isinstance(said, bytes) else []
    return lines[-1][:160] if lines else str(error)[:160]


def run_json(
    command: Sequence[str], *, cwd: Path = ROOT, deadline_s: float = 60.0, extra: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The last line a contender prints, as JSON. Raises Absent with what it said instead."""
    # As ./dev run starts the window: with compiled modules kept, and no proxy between two ends of loopback.
    variables = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    variables |= extra or {}
    try:
        done = subprocess.run(
            list(command), cwd=cwd, capture_output=True, text=True, timeout=deadline_s, check=False, env=variables
        )
    except subprocess.TimeoutExpired:
        raise Absent(f"no result within {deadline_s:g} s") from None
    except OSError as error:
        raise Absent(f"cannot be started: {error.strerror}") from None
    try:
        told = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        said = (done.stderr or done.stdout).strip().splitlines() or [f"ended with code {done.returncode}"]
        raise Absent(said[-1][:200]) from None
    if not isinstance(told, dict):
        raise Absent("its last line is no JSON object")
    return told


def module(
    name: str, *arguments: object, deadline_s: float = 90.0, extra: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Run a module of this package in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-m", f"tests.bench.{name}", *map(str, arguments)]
    return run_json(command, deadline_s=deadline_s, extra=extra)


@contextmanager
def blaster() -> Iterator[int]:
    """A running prepared feed; its port."""
    command = [sys.executable, "-m", "tests.bench.blaster"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None, "the pipe was asked for"
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def shared_server(python: str, scripts: Path) -> Iterator[int]:
    """The peers' own feed server; its port."""
    command = [python, "b1_ws_ingest.py", "--serve"]
    with subprocess.Popen(command, cwd=scripts, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None, "the pipe was asked for"
            yield int(process.stdout.readline())
        finally:
            process.kill()
