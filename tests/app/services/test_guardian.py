"""What the kill switch does when there is no guardian, and what a guardian said while no window could show it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from app import errors
from app.services import guardian
from app.services.control import SOCKET_NAME, TOKEN_NAME
from tests.app import records
from tests.app.services.test_control import DONE, ScriptedEngine


def killed_by_engine(folder: Path, engine: ScriptedEngine, *accounts: str) -> guardian.Report | None:
    async def kill() -> guardian.Report | None:
        (folder / TOKEN_NAME).write_text("token")
        server = await asyncio.start_unix_server(engine.converse, str(folder / SOCKET_NAME))
        try:
            return await guardian.kill_by_engine(folder, accounts)
        finally:
            server.close()

    return asyncio.run(kill())


@pytest.fixture
def engine() -> ScriptedEngine:
    scripted = ScriptedEngine()
    scripted.results["accounts"] = [
        {**records.ACCOUNT, "is_own": True},
        {**records.ACCOUNT, "id": 99, "name": "WATCHED", "is_own": False},
    ]
    scripted.results["kill"] = DONE
    return scripted


def test_without_a_guardian_the_engine_kills_every_account_it_trades(tmp_path: Path, engine: ScriptedEngine) -> None:
    report = killed_by_engine(tmp_path, engine)
    assert report is not None
    assert (report["outcome"], report["exit_code"]) == ("done", 0)
    asked = [request["args"]["account_id"] for request in engine.asked if request["op"] == "kill"]
    assert asked == [records.ACCOUNT["id"]]


def test_an_account_that_is_only_watched_is_killed_when_it_is_named(tmp_path: Path, engine: ScriptedEngine) -> None:
    report = killed_by_engine(tmp_path, engine, "watched")
    assert report is not None
    assert [row["name"] for row in report["accounts"]] == ["WATCHED"]


def test_an_engine_that_cannot_prove_it_leaves_the_outcome_unknown(tmp_path: Path, engine: ScriptedEngine) -> None:
    engine.results["kill"] = {"outcome": "unknown", "text": "The broker cannot be read.", "payload": "{}"}
    report = killed_by_engine(tmp_path, engine)
    assert report is not None
    assert (report["outcome"], report["exit_code"], report["flat_verified"]) == ("unknown", 5, False)


def test_an_account_nobody_knows_is_refused_before_anything_happens(tmp_path: Path, engine: ScriptedEngine) -> None:
    with pytest.raises(errors.InvalidOption, match="NOBODY"):
        killed_by_engine(tmp_path, engine, "NOBODY")
    assert "kill" not in engine.operations()


def test_where_no_engine_listens_there_is_none_to_ask(tmp_path: Path) -> None:
    assert asyncio.run(guardian.kill_by_engine(tmp_path, ())) is None
    assert asyncio.run(guardian.kill(tmp_path, (), source="test")) is None


def line(**told: Any) -> str:
    return json.dumps({"code": "engine_dead", "level": "alarm", "text": "Gone.", "wall_ns": 7, **told})


def test_news_are_taken_once_and_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    (tmp_path / guardian.NEWS_NAME).write_text(f"{line()}\n{line(text='Second.')}\n{line()[:20]}")
    assert [news.text for news in guardian.take_news(tmp_path)] == ["Gone.", "Second."]
    assert guardian.take_news(tmp_path) == []
