"""Starting and ending the child process, against a stand-in program that behaves or misbehaves on purpose."""

import json
import sys
import threading
from pathlib import Path

import pytest

from app.errors import GatewayUnavailable, InvalidOption
from app.services import gateway
from app.services.gateway import GatewayProcess, find_program

HELLO = {
    "rest": "http://127.0.0.1:1",
    "user_hub": "ws://127.0.0.1:1/hubs/user",
    "market_hub": "ws://127.0.0.1:1/hubs/market",
    "user_name": "practice",
    "api_key": "local-practice-key",
    "accounts": [{"id": 1, "name": "PRAC-1"}],
    "seed": "7",
    "control": "http://127.0.0.1:2",
    "control_token": "local-control-token",
    "instance": "abc",
    "version": "0.1.0",
    "pid": 1,
    "added_later": True,
}
SAY_HELLO = f"print({json.dumps(HELLO)!r}, flush=True)\n"
UNTIL_END_OF_INPUT = "sys.stdin.read()\n"


def program(folder: Path, body: str) -> Path:
    path = folder / "gateway"
    path.write_text(f"#!{sys.executable}\nimport sys, json, pathlib\n{body}")
    path.chmod(0o755)
    return path


def test_the_first_line_tells_where_it_listens(tmp_path: Path) -> None:
    behaving = program(tmp_path, SAY_HELLO + UNTIL_END_OF_INPUT)
    with GatewayProcess.start([], program=behaving) as started:
        assert started.hello.rest == HELLO["rest"]
        assert started.is_running()
        assert "local-practice-key" not in repr(started.hello)
    assert not started.is_running()


def test_it_is_started_with_a_free_port_and_our_arguments(tmp_path: Path) -> None:
    note = "pathlib.Path(sys.argv[0] + '.args').write_text(json.dumps(sys.argv[1:]))\n"
    GatewayProcess.start(["--state", "x"], program=program(tmp_path, note + SAY_HELLO + UNTIL_END_OF_INPUT)).stop()
    told = json.loads((tmp_path / "gateway.args").read_text())
    assert told == ["--json", "--port", "0", "--state", "x"]


def test_it_ends_when_its_input_closes_and_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    started = GatewayProcess.start([], program=program(tmp_path, SAY_HELLO + UNTIL_END_OF_INPUT))
    assert started.stop() == 0
    assert started.stop() == 0
    assert set(threading.enumerate()) == before


def test_a_talkative_gateway_is_not_stopped_by_a_full_pipe(tmp_path: Path) -> None:
    talk = "for _ in range(4000): print('x' * 100)\nsys.stdout.flush()\n"
    started = GatewayProcess.start([], program=program(tmp_path, SAY_HELLO + talk + UNTIL_END_OF_INPUT))
    assert started.stop() == 0


def test_one_that_ignores_its_input_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "_STOP_DEADLINE_S", 0.2)
    stubborn = program(tmp_path, SAY_HELLO + "import time\nwhile True: time.sleep(60)\n")
    assert GatewayProcess.start([], program=stubborn).stop() == -9


def test_one_that_ends_at_once_is_quoted(tmp_path: Path) -> None:
    failing = program(tmp_path, "sys.exit('state folder is not writable')\n")
    with pytest.raises(GatewayUnavailable, match=r"code 1 .*state folder is not writable"):
        GatewayProcess.start([], program=failing, log_file=tmp_path / "log" / "gateway.log")


@pytest.mark.parametrize("line", ["no json", "[]", '{"rest": "http://127.0.0.1:1"}'])
def test_a_first_line_that_is_not_the_promised_one_is_refused(tmp_path: Path, line: str) -> None:
    odd = program(tmp_path, f"print({line!r}, flush=True)\n" + UNTIL_END_OF_INPUT)
    with pytest.raises(GatewayUnavailable, match="first line"):
        GatewayProcess.start([], program=odd)


def test_silence_has_a_deadline(tmp_path: Path) -> None:
    with pytest.raises(GatewayUnavailable, match=r"said nothing for 0\.2 s"):
        GatewayProcess.start([], program=program(tmp_path, UNTIL_END_OF_INPUT), deadline_s=0.2)


def test_the_program_is_found_in_the_documented_order(tmp_path: Path) -> None:
    with pytest.raises(GatewayUnavailable, match="PITDESK_GATEWAY"):
        find_program({}, tmp_path)
    for place in ("native/target/debug", "native/target/release", "resources/bin"):
        (tmp_path / place).mkdir(parents=True)
        found = tmp_path / place / gateway.PROGRAM
        found.touch(mode=0o755)
        assert find_program({}, tmp_path) == found
    named = program(tmp_path, "")
    assert find_program({"PITDESK_GATEWAY": str(named)}, tmp_path) == named
    with pytest.raises(GatewayUnavailable, match="no program"):
        find_program({"PITDESK_GATEWAY": str(tmp_path / "absent")}, tmp_path)


def test_a_recording_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidOption, match=r"absent\.csv"):
        gateway.replay_arguments(tmp_path, tmp_path / "absent.csv")
