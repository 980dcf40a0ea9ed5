"""The kill switch beside a broken window: small scenes, nothing timed (the figures are `./dev drill kill`'s)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import ProgramMissing
from app.services import guardian
from app.services.control import ControlClient
from tests.drill import kill
from tests.drill.scene import Scene, scene, wait_for

ORDERS = 4

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _guardian_is_built() -> None:
    try:
        guardian.find_program()
    except ProgramMissing as error:
        pytest.skip(error.text)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, since the path of a socket may have a hundred characters only."""
    with tempfile.TemporaryDirectory(prefix="pitdesk-", ignore_cleanup_errors=True) as path:
        yield Path(path)


def codes(where: Scene) -> list[str]:
    return [str(news["code"]) for news in where.news()]


def killed(where: Scene, *words: str) -> dict[str, Any]:
    command = where.kill_command(*words)
    output, complaint = command.communicate(timeout=kill.KILL_LIMIT_S)
    assert command.returncode == 0, output + complaint
    report: dict[str, Any] = json.loads(output)["kill"]
    return report


@pytest.mark.parametrize("name", ["interpreter_lock_held", "core_stopped", "budget_spent"])
def test_a_kill_ends_flat_although(name: str, folder: Path) -> None:
    case = next(case for case in kill.CASES if case.name == name)
    row = kill.run_once(case, folder, orders=ORDERS, latency_ms=0)
    assert row["flat_verified"], row


def test_a_living_engine_does_the_kill_itself_disarms_and_the_guardian_reads_it_back(folder: Path) -> None:
    async def kill_and_ask(where: Scene) -> tuple[dict[str, Any], bool]:
        client = await ControlClient.connect(where.base)
        assert client is not None
        await client.call("arm", source="hand", account_id=where.account, is_armed=True)
        for _ in range(3_000):
            if await client.call("is_armed", source="hand", account_id=where.account):
                break
            await asyncio.sleep(0.01)
        report = await asyncio.to_thread(killed, where)
        is_armed = bool(await client.call("is_armed", source="hand", account_id=where.account))
        await client.close()
        return report, is_armed

    with scene(folder) as where:
        where.place(ORDERS)
        report, is_armed = asyncio.run(kill_and_ask(where))
        # Beside an engine that a busy machine holds up for 0.1 s the guardian helps with the cancels.
        assert {row["by"] for row in report["accounts"]} <= {"engine", "both"}
        assert where.is_flat()
        assert not is_armed, "nothing enters again without a person's press"


def test_a_killed_window_is_announced_with_what_it_left_and_pitdesk_kill_flattens_it(folder: Path) -> None:
    """S16."""
    with scene(folder) as where:
        where.place(ORDERS)
        where.protect()
        where.window.kill()
        where.window.wait()
        wait_for(lambda: "engine_dead" in codes(where), "the announcement")
        dead = next(news for news in where.news() if news["code"] == "engine_dead")
        assert "+1 CON.F.US.MNQ" in dead["text"]
        assert "1 of 1 lots have a stop at the broker" in dead["text"]
        assert "no longer carried out: trail in CON.F.US.MNQ" in dead["text"]
        assert f"{ORDERS + 1} orders work at the broker" in dead["text"]
        assert dead["level"] == "alarm"
        report = killed(where)
        assert [(row["by"], row["cancelled"], row["closed"]) for row in report["accounts"]] == [
            ("guardian", ORDERS + 1, 1)
        ]
        assert where.is_flat()
        assert_no_secret_has_left_the_pipe(where)


def test_s16_a_killed_window_that_is_started_again_shows_the_same_and_its_trail_goes_on(folder: Path) -> None:
    async def views(where: Scene) -> dict[str, Any]:
        client = await ControlClient.connect(where.base)
        if client is None:
            return {}
        try:
            told = {name: await client.call(name) for name in ("orders", "positions", "stop_rules")}
        finally:
            await client.close()
        return {
            "orders": {
                row["key"]: (row["order_id"], row["role"]) for row in told["orders"] if row["life"] == "working"
            },
            "positions": [row["net_lots"] for row in told["positions"] if row["net_lots"]],
            "trails": [(row["key"], row["trail_stages"]) for row in told["stop_rules"]],
            "states": {row["state"] for row in told["stop_rules"]},
        }

    def seen(where: Scene) -> dict[str, Any]:
        return asyncio.run(views(where))

    with scene(folder) as where:
        where.place(ORDERS)
        where.protect()
        before = seen(where)
        assert (len(before["orders"]), before["positions"], len(before["trails"])) == (ORDERS + 1, [1], 1)
        where.window.kill()
        where.window.wait()
        assert (where.row()["working"], len(where.row()["positions"])) == (ORDERS + 1, 1), "the broker holds on"
        where.window = where.open_window()
        same = {name: before[name] for name in ("orders", "positions", "trails")}
        wait_for(lambda: same.items() <= seen(where).items(), "the same orders, position and trail")
        wait_for(lambda: seen(where)["states"] <= {"waiting", "trailing"}, "the trail compared and gone on with")
        assert killed(where)["flat_verified"]
        assert where.is_flat()


def test_a_guardian_told_to_flattens_what_a_dead_window_left(folder: Path) -> None:
    with scene(folder, "guardian.on_death=flatten") as where:
        where.place(ORDERS)
        where.window.kill()
        where.window.wait()
        wait_for(lambda: "kill_ended" in codes(where), "the end of the kill")
        assert where.is_flat()


def assert_no_secret_has_left_the_pipe(where: Scene) -> None:
    process = Path("/proc") / str(where.status()["process"])
    seen = [(process / name).read_bytes() for name in ("cmdline", "environ")]
    seen += [file.read_bytes() for file in where.base.rglob("*") if file.is_file()]
    assert len(seen) > 5
    for text in seen:
        assert where.gateway.hello.api_key.encode() not in text
        # The head that every token of this gateway begins with.
        assert where.control.token.partition(".")[0].encode() not in text


def test_the_next_window_says_what_the_guardian_said_and_has_a_guardian_of_its_own(folder: Path) -> None:
    with scene(folder) as where:
        first = where.status()["process"]
        where.window.kill()
        where.window.wait()
        wait_for(lambda: "engine_dead" in codes(where), "the announcement")
        where.window = where.open_window()
        wait_for(lambda: where.status().get("process", first) != first, "another guardian")
        wait_for(lambda: where.status().get("state") == "live", "a living engine")
        assert where.news() == [], "the window has taken them over"


def test_a_frozen_window_is_announced_and_so_is_its_return(folder: Path) -> None:
    with scene(folder) as where:
        where.tell_window("sleep 4")
        wait_for(lambda: "window_back" in codes(where), "the window's return")
        assert [code for code in codes(where) if code.startswith("window")] == ["window_frozen", "window_back"]


def test_a_guardian_that_dies_is_replaced_and_told_the_login(folder: Path) -> None:
    with scene(folder) as where:
        where.place(ORDERS)
        first = where.status()["process"]
        os.kill(first, 9)
        wait_for(lambda: where.status().get("process", first) != first, "another guardian")
        wait_for(lambda: where.status().get("living_orders") == ORDERS, "its first look")
        where.window.kill()
        where.window.wait()
        report = killed(where)
        assert [row["by"] for row in report["accounts"]] == ["guardian"]
        assert where.is_flat()


def test_with_nobody_there_a_guardian_runs_just_for_the_kill(folder: Path) -> None:
    with scene(folder) as where:
        where.place(ORDERS)
        where.window.kill()
        where.window.wait()
        os.kill(where.status()["process"], 9)
        wait_for(lambda: not where.status(), "the guardian's end")
        report = killed(where, "--account", str(where.row()["name"]))
        assert report["flat_verified"]
        assert where.is_flat()


def test_an_account_that_is_not_known_is_refused_and_nothing_happens(folder: Path) -> None:
    with scene(folder) as where:
        where.place(1)
        command = where.kill_command("--account", "NOBODY")
        output, _ = command.communicate(timeout=kill.KILL_LIMIT_S)
        assert command.returncode == 2
        assert "NOBODY" in json.loads(output)["kill"]["text"]
        assert where.row()["working"] == 1


def test_a_guardian_goes_with_a_window_that_ends_in_order(folder: Path) -> None:
    with scene(folder) as where:
        process = where.status()["process"]
        where.window.terminate()
        assert where.window.wait(30) == 0
        wait_for(lambda: not where.status(), "the guardian's end")
        assert not Path(f"/proc/{process}").exists()
        assert "engine_dead" not in codes(where)


@pytest.mark.skipif(not (shutil.which("Xvfb") and shutil.which("xdotool")), reason="needs Xvfb and xdotool")
def test_the_global_key_works_while_the_window_hangs(folder: Path) -> None:
    ready, tell = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(tell), "-screen", "0", "640x480x24"], pass_fds=[tell], stderr=subprocess.DEVNULL
    )
    os.close(tell)
    with os.fdopen(ready) as line:
        display = f":{line.readline().strip()}"
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DISPLAY", display)
            patch.delenv("WAYLAND_DISPLAY", raising=False)
            _press_the_key(folder, display)
    finally:
        server.terminate()
        server.wait()


def _press_the_key(folder: Path, display: str) -> None:
    with scene(folder, "guardian.global_key=ctrl+alt+shift+k") as where:
        where.place(ORDERS)
        where.tell_window("hold 60")
        press = ["xdotool", "key", "ctrl+alt+shift+k"]
        subprocess.run(press, check=True, env=os.environ | {"DISPLAY": display})
        wait_for(lambda: "kill_ended" in codes(where), "the end of the kill")
        assert where.is_flat()
