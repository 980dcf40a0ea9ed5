"""The canary test: secrets are seeded everywhere a program can drop them, and every output is searched."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from app import logs
from app.crash import CrashFolder
from app.services.credentials import Secret

API_KEY = 'canary-key-"7/+=\\9f'
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ"  # nobody hid this one: it looks secret
URL_PASSWORD = "canary-db-password"
CANARIES = (API_KEY, json.dumps(API_KEY)[1:-1], repr(API_KEY)[1:-1], TOKEN, URL_PASSWORD)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[logs.LogWriter]:
    started = logs.start(tmp_path / "log", level="debug", file_kib=64, files_kept=3)
    yield started
    started.close()


@pytest.fixture
def crashes(tmp_path: Path) -> Iterator[CrashFolder]:
    folder = CrashFolder(tmp_path / "crash")
    folder.install()
    yield folder
    folder.remove()


def lines(writer: logs.LogWriter) -> list[dict[str, object]]:
    writer.close()
    return [json.loads(line) for line in writer.file.read_text().splitlines()]


def fail_with_secrets() -> None:
    raise RuntimeError(f"login with {API_KEY} gave {TOKEN} from postgresql://me:{URL_PASSWORD}@host/db")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_no_canary_reaches_any_output(
    tmp_path: Path, writer: logs.LogWriter, crashes: CrashFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = Secret(API_KEY)
    log = structlog.get_logger("canary")
    log.info("connect", api_key=API_KEY, nested={"deep": [API_KEY, {"token": TOKEN}]}, secret=secret)
    log.info(f"wss://host/hub?access_token={TOKEN}")
    logging.getLogger("canary").warning("header Authorization: Bearer %s and %s", TOKEN, {"apiKey": API_KEY})
    logging.getLogger("canary").info("database postgresql://me:%s@host/db", URL_PASSWORD)
    try:
        fail_with_secrets()
    except RuntimeError as error:
        log.exception("failed", extra=error)
        logging.getLogger("canary").exception("failed")
        crashes.program_failed(error)
        crashes.loop_failed(asyncio.new_event_loop(), {"message": API_KEY, "exception": error})
    crashes.qt_message_failed(f"QIODevice {API_KEY}")
    (tmp_path / "panic-1.txt").write_text(f"panicked at {API_KEY} {TOKEN}")
    crashes.adopt_engine_panics(tmp_path)
    writer.close()
    shown = capsys.readouterr()
    outputs = {path.name: path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    outputs |= {"stdout": shown.out, "stderr": shown.err, "repr": repr(secret)}
    assert len(outputs) >= 8
    leaks = [(name, canary) for name, text in outputs.items() for canary in CANARIES if canary in text]
    assert leaks == []
    assert logs.HIDDEN in outputs[writer.file.name]


def test_the_canary_test_can_fail(tmp_path: Path) -> None:
    text = f"unhidden {API_KEY.removeprefix('canary-')}"
    assert logs.redactor.text(text) == text


def test_lines_are_json_with_level_name_and_time(writer: logs.LogWriter) -> None:
    structlog.get_logger("order").info("order sent", tag="a-1", lots=2)
    logging.getLogger("old.style").warning("plain %s", "text")
    first, second = lines(writer)
    assert (first["event"], first["tag"], first["lots"], first["level"]) == ("order sent", "a-1", 2, "info")
    assert (second["event"], second["logger"], second["level"]) == ("plain text", "old.style", "warning")
    assert str(first["timestamp"]).endswith("Z")


def test_a_traceback_is_one_line(writer: logs.LogWriter) -> None:
    try:
        fail_with_secrets()
    except RuntimeError:
        structlog.get_logger("x").exception("failed")
    (line,) = lines(writer)
    assert "RuntimeError" in str(line["exception"])


def test_lines_below_the_level_are_not_written(tmp_path: Path) -> None:
    writer = logs.start(tmp_path, level="warning")
    structlog.get_logger("x").info("quiet")
    structlog.get_logger("x").warning("loud")
    assert [line["event"] for line in lines(writer)] == ["loud"]


def test_full_files_are_rotated_and_old_ones_dropped(tmp_path: Path, writer: logs.LogWriter) -> None:
    for number in range(600):
        structlog.get_logger("x").info("filling", number=number, padding="." * 600)
    writer.close()
    names = sorted(path.name for path in (tmp_path / "log").iterdir())
    assert names == ["pitdesk.jsonl", "pitdesk.jsonl.1", "pitdesk.jsonl.2", "pitdesk.jsonl.3"]
    assert writer.dropped == 0


def test_closing_joins_the_writer_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    writer = logs.start(tmp_path)
    writer.close()
    writer.close()
    assert set(threading.enumerate()) == before


def test_closing_gives_every_level_back(tmp_path: Path) -> None:
    loggers = [logging.getLogger(name) for name in (None, "httpx", "qasync")]
    before = [logger.level for logger in loggers]
    writer = logs.start(tmp_path, level="debug")
    assert [logger.level for logger in loggers] == [logging.DEBUG, logging.WARNING, logging.WARNING]
    writer.close()
    assert [logger.level for logger in loggers] == before


@pytest.mark.parametrize("text", ["order tag=p-1 sent", "bearer of news", "MNQ 21504.25", '{"api": "on"}'])
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert logs.redactor.text(text) == text
