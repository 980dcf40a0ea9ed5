"""Two installations on one computer and one account: one manages it, the other shows it (F9)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trading_bot_core as core

from tests.native.rig import CONTRACT, Gateway, Rig

ROOT = Path(__file__).resolve().parents[2]

SUBJECT = """
import sys
from pathlib import Path
from app.services.gateway import Hello
from tests.native.rig import Gateway, Rig
rig = Rig(Path(sys.argv[1]), Gateway.known(Hello.parse(sys.argv[2])))
rig.connect()
print("connected", flush=True)
sys.stdin.read()
"""


def holder(rig: Rig) -> str:
    """Who else manages the account, as its row says."""
    return next(row.managed_by for row in rig.engine.accounts() if row.id == rig.account)


def reasons(rig: Rig, tag: str) -> list[str]:
    """Codes of a denied order."""
    denied = rig.until(
        lambda: next((e for e in rig.events if isinstance(e, core.Denied) and e.tag == tag), None), "the denial"
    )
    return [code for code, _ in denied.reasons]


def compare(rig: Rig) -> None:
    assert rig.done(rig.engine.reconcile()).outcome == "done"


def test_the_second_engine_shows_the_account_and_takes_it_over_when_the_first_has_gone(
    tmp_path: Path, gateway: Gateway
) -> None:
    with Rig(tmp_path / "second", gateway) as second:
        with Rig(tmp_path / "first", gateway) as first:
            first.connect()
            first.subscribe()
            resting = first.life(first.submit("buy", "limit", limit_ticks=117_900), "working")
            second.connect()
            second.subscribe()
            second.until(lambda: holder(second), "the other's name")
            assert str(tmp_path / "first") in holder(second)
            assert holder(first) == ""
            assert "managed_elsewhere" in reasons(second, second.submit("buy", "limit", limit_ticks=117_901))
            key = f"#{resting.order_id}"
            second.until(lambda: second.order(key), "the other's order")
            changed = second.done(second.engine.modify(key, limit_ticks=117_902, source="test"))
            assert (changed.outcome, "managed by another Pitdesk" in changed.text) == ("denied", True)
            cancelled = second.done(second.engine.cancel_group(second.account, source="test"))
            assert cancelled.outcome == "done", cancelled.text
            first.life(resting.key, "cancelled")
            first.life(first.submit("buy", "market"), "filled")
            flat = second.done(second.engine.flatten(second.account, source="test"))
            assert flat.outcome == "done", flat.text
            first.until(lambda: first.net() == 0, "flat")
        compare(second)
        second.until(lambda: holder(second) == "", "the account comes over")
        assert not second.engine.is_armed("test", second.account), "what was armed before was armed blindly"
        compare(second)
        second.engine.arm("test", second.account, is_armed=True)
        second.until(lambda: second.engine.is_armed("test", second.account), "armed")
        second.life(second.submit("buy", "limit", limit_ticks=117_901), "working")


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of Unix")
def test_a_killed_engine_gives_its_accounts_back(tmp_path: Path, gateway: Gateway) -> None:
    hello = {name: getattr(gateway.hello, name) for name in gateway.hello.__dataclass_fields__}
    command = [sys.executable, "-c", SUBJECT, str(tmp_path / "first"), json.dumps(hello)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline().strip() == "connected"
        with Rig(tmp_path / "second", gateway) as second:
            second.connect()
            second.until(lambda: f"process {first.pid}" in holder(second), "the other's name")
            os.kill(first.pid, signal.SIGKILL)
            first.wait()
            compare(second)
            second.until(lambda: holder(second) == "", "the account comes over")


def test_without_a_usable_folder_of_locks_nothing_is_placed(
    tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("")
    monkeypatch.setenv("PITDESK_LOCKS", str(blocked))
    with Rig(tmp_path / "base", gateway) as rig:
        rig.connect()
        rig.subscribe()
        assert "managed_elsewhere" in reasons(rig, rig.submit("buy", "limit", limit_ticks=117_900))
        assert "cannot be taken" in holder(rig)
        assert rig.done(rig.engine.flatten(rig.account, contract_id=CONTRACT, source="test")).outcome == "done"
