"""The kill switch, pressed while something else is broken (I-19).

Each case sets the scene, breaks one thing, presses `pitdesk kill`, and asks the exchange alone: when did it take the
last cancel, and is the account flat. The time counts from the start of the command, its interpreter's start included.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.drill.scene import Scene, scene, wait_for

LATENCY_MS = 100
HOLD_S = 120
KILL_LIMIT_S = 100
# Requests of others, so that of the broker's 200 only the 80 kept for exits are left (decision 18).
SPENT = 120
REFUSALS = 5


@dataclass(frozen=True)
class Case:
    """`strike` breaks what the case is about; one about a full disk needs a file system of its own."""

    name: str
    strike: Callable[[Scene], None]
    needs_small_disk: bool = False


def _window_asleep(where: Scene) -> None:
    where.tell_window(f"sleep {HOLD_S}")
    wait_for(lambda: (where.status().get("window_age_ms") or 0) > 1_000, "a window that does not move")


def _interpreter_lock_held(where: Scene) -> None:
    where.tell_window(f"hold {HOLD_S}")
    wait_for(lambda: (where.status().get("window_age_ms") or 0) > 1_000, "a window that does not move")


def _core_dead(where: Scene) -> None:
    where.window.kill()
    where.window.wait()


def _core_stopped(where: Scene) -> None:
    where.window.send_signal(signal.SIGSTOP)


def _market_hub_dead(where: Scene) -> None:
    where.control.fault(fault="silent", hub="market", count=0)


def _disk_full(where: Scene) -> None:
    with (where.base / "filler").open("wb", buffering=0) as filler:
        try:
            while filler.write(b"\0" * 65_536) == 65_536:
                pass
            while True:
                filler.write(b"\0")
        except OSError:
            return


def _budget_spent(where: Scene) -> None:
    where.control.fault(fault="too_many", endpoint="Order/cancel", count=REFUSALS)
    where.spend(SPENT)


CASES = (
    Case("window_asleep", _window_asleep),
    Case("interpreter_lock_held", _interpreter_lock_held),
    Case("core_dead", _core_dead),
    Case("core_stopped", _core_stopped),
    Case("market_hub_dead", _market_hub_dead),
    Case("disk_full", _disk_full, needs_small_disk=True),
    Case("budget_spent", _budget_spent),
)


class NoSmallDiskError(Exception):
    """No small file system can be mounted here."""


def run_once(case: Case, folder: Path, *, orders: int, latency_ms: int) -> dict[str, Any]:
    """One press of one case."""
    with ExitStack() as stack:
        if case.needs_small_disk:
            _mount_small_disk(stack, folder / "base")
        where = stack.enter_context(scene(folder))
        where.place(orders)
        if latency_ms:
            where.control.fault(fault="latency", ms=latency_ms)
        case.strike(where)
        pressed = where.gateway_now()
        command = where.kill_command()
        output, complaint = command.communicate(timeout=KILL_LIMIT_S)
        is_flat = where.is_flat()
        where.control.post("fault", clear=True)
        report = _report(output, complaint)
        return {
            "case": case.name,
            "orders": orders,
            "trigger_to_last_cancel_ms": round((where.last_cancel() - pressed) * 1_000),
            "flat_verified": is_flat and command.returncode == 0 and bool(report.get("flat_verified")),
            "by": [row["by"] for row in report.get("accounts", ())],
            "text": report["text"],
        }


def _report(output: str, complaint: str) -> dict[str, Any]:
    """What the command answered; its complaint when it never got so far."""
    answer: dict[str, Any] = json.loads(output) if output else {}
    report: dict[str, Any] = answer.get("kill") or {"text": complaint or output}
    return report


def _mount_small_disk(stack: ExitStack, base: Path) -> None:
    base.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", "size=24m,mode=700", "pitdesk-drill", str(base)]
    done = subprocess.run(["mount", *options], check=False, capture_output=True, text=True)
    if done.returncode:
        raise NoSmallDiskError(done.stderr.strip())
    stack.callback(subprocess.run, ["umount", "--lazy", str(base)], check=True)


def run(names: list[str], *, repeats: int, orders: int) -> tuple[list[dict[str, Any]], bool]:
    """The worst press of each case; whether every one was flat, and within two seconds."""
    rows: list[dict[str, Any]] = []
    for case in CASES:
        if names and case.name not in names:
            continue
        presses = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory(prefix="pitdesk-drill-", ignore_cleanup_errors=True) as folder:
                try:
                    presses.append(run_once(case, Path(folder), orders=orders, latency_ms=LATENCY_MS))
                except NoSmallDiskError as error:
                    rows.append({"case": case.name, "skipped": str(error)})
                    break
        if presses:
            worst = max(presses, key=lambda press: press["trigger_to_last_cancel_ms"])
            all_ms = sorted(press["trigger_to_last_cancel_ms"] for press in presses)
            is_flat = all(press["flat_verified"] for press in presses)
            rows.append({**worst, "flat_verified": is_flat, "all_ms": all_ms})
    holds = all(
        "skipped" in row or (row["flat_verified"] and row["trigger_to_last_cancel_ms"] <= 2_000) for row in rows
    )
    return rows, holds
