"""The command line's desk over a control socket, against a scripted engine behind a real Unix socket."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from app import errors
from app.services import acts
from app.services.control import SOCKET_NAME, TOKEN_NAME, ControlClient, ControlDesk
from app.services.desk import Ticket
from tests.app import records

TICKET = Ticket(account="PRAC-1", contract="MNQ", side="buy", kind="limit", size_lots=2, limit="21500.25")
QUOTE = {
    "best_bid_ticks": 86_000,
    "best_ask_ticks": 86_001,
    "last_ticks": 86_000,
    "last_lots": 3,
    "session_lots": 10,
    "book_state": "live",
    "broker_time_ns": 5,
    "is_late": False,
}
DONE = {"outcome": "done", "text": "", "payload": "{}"}


class ScriptedEngine:
    """Answers each operation with what the test put into `results`; a list of results is used up one by one."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {
            "accounts": [records.ACCOUNT],
            "contracts": [records.CONTRACT],
            "orders": [],
            "positions": [],
            "quote": QUOTE,
            "arm": None,
            "submit": {"tag": records.TAG},
            "search_contracts": DONE,
            "subscribe": DONE,
            "cancel": DONE,
            "cancel_group": DONE,
            "flatten": DONE,
        }
        self.asked: list[dict[str, Any]] = []

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            self.asked.append(request)
            result = self.results[request["op"]]
            if callable(result):
                result = result()
            if isinstance(result, errors.EngineFault):
                answer = {"id": request["id"], "ok": False, "kind": result.kind, "text": result.text}
            else:
                answer = {"id": request["id"], "ok": True, "result": result}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
        writer.close()

    def operations(self) -> list[str]:
        return [request["op"] for request in self.asked]


@pytest.fixture
def scripted_engine() -> ScriptedEngine:
    return ScriptedEngine()


def run(folder: Path, scripted_engine: ScriptedEngine, act: Callable[[ControlDesk], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        (folder / TOKEN_NAME).write_text("the-control-token")
        server = await asyncio.start_unix_server(scripted_engine.converse, str(folder / SOCKET_NAME))
        client = await ControlClient.connect(folder)
        assert client is not None
        try:
            return await act(ControlDesk(client, 0.5))
        finally:
            await client.close()
            server.close()

    return asyncio.run(main())


def test_each_request_carries_the_token_and_its_own_number(tmp_path: Path, scripted_engine: ScriptedEngine) -> None:
    rows = run(tmp_path, scripted_engine, acts.accounts)
    assert [row["name"] for row in rows] == ["PRAC-1"]
    (request,) = scripted_engine.asked
    assert (request["token"], request["op"], request["id"]) == ("the-control-token", "accounts", 1)


def test_an_order_is_armed_sent_once_and_disarmed(tmp_path: Path, scripted_engine: ScriptedEngine) -> None:
    answers = iter([[], [records.ORDER | {"life": "sent"}], [records.ORDER | {"life": "working"}]])
    scripted_engine.results["orders"] = lambda: next(answers)
    row = run(tmp_path, scripted_engine, lambda desk: acts.place(desk, TICKET))
    assert (row["key"], row["life"], row["limit"]) == (records.TAG, "working", "21500.00")
    sent = [request["args"] for request in scripted_engine.asked if request["op"] == "submit"]
    assert [(args["limit_ticks"], args["size_lots"], args["source"]) for args in sent] == [(86_001, 2, "cli")]
    arming = [request["args"]["is_armed"] for request in scripted_engine.asked if request["op"] == "arm"]
    assert arming == [True, False]


def test_a_refused_order_is_disarmed_too(tmp_path: Path, scripted_engine: ScriptedEngine) -> None:
    scripted_engine.results["orders"] = [records.ORDER | {"life": "refused", "reason": "Not enough margin."}]
    with pytest.raises(errors.BrokerRejected, match="Not enough margin"):
        run(tmp_path, scripted_engine, lambda desk: acts.place(desk, TICKET))
    assert scripted_engine.asked[-1]["args"]["is_armed"] is False


def test_an_order_that_never_shows_is_unknown(tmp_path: Path, scripted_engine: ScriptedEngine) -> None:
    with pytest.raises(errors.OutcomeUnknown, match="may be live"):
        run(tmp_path, scripted_engine, lambda desk: acts.place(desk, TICKET))
    assert scripted_engine.operations().count("submit") == 1


def test_the_windows_accounts_and_limits_are_left_alone(tmp_path: Path, scripted_engine: ScriptedEngine) -> None:
    scripted_engine.results["orders"] = [records.ORDER]
    run(tmp_path, scripted_engine, lambda desk: acts.place(desk, TICKET))
    assert not {"choose_accounts", "set_limits", "unsubscribe"} & set(scripted_engine.operations())


def test_a_contract_that_the_window_does_not_stream_is_subscribed(
    tmp_path: Path, scripted_engine: ScriptedEngine
) -> None:
    answers = iter([None, None, QUOTE])
    scripted_engine.results["quote"] = lambda: next(answers)
    row = run(tmp_path, scripted_engine, lambda desk: acts.quote(desk, "MNQ"))
    assert (row["bid"], row["ask"]) == ("21500.00", "21500.25")
    assert "subscribe" in scripted_engine.operations()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("busy", errors.EngineBusy),
        ("halted", errors.EngineHalted),
        ("invalid", errors.InvalidCommand),
        ("unknown", errors.OutcomeUnknown),
        ("closed", errors.NotConnected),
        ("denied token", errors.EngineFault),
    ],
)
def test_the_kind_of_a_failure_is_kept(
    tmp_path: Path, scripted_engine: ScriptedEngine, kind: str, expected: type[Exception]
) -> None:
    scripted_engine.results["flatten"] = errors.EngineFault(kind, "why")
    with pytest.raises(expected, match="why"):
        run(tmp_path, scripted_engine, lambda desk: acts.flatten(desk, "PRAC-1", None))


def test_a_cancel_names_the_order_by_key_or_broker_id(tmp_path: Path, scripted_engine: ScriptedEngine) -> None:
    scripted_engine.results["orders"] = [records.ORDER | {"order_id": 77}]
    assert run(tmp_path, scripted_engine, lambda desk: acts.cancel(desk, "77"))["key"] == records.TAG
    with pytest.raises(errors.InvalidOrder, match="no order '78'"):
        run(tmp_path, scripted_engine, lambda desk: acts.cancel(desk, "78"))


def test_working_orders_are_listed_and_done_ones_on_request(tmp_path: Path, scripted_engine: ScriptedEngine) -> None:
    scripted_engine.results["orders"] = [records.ORDER, records.ORDER | {"key": "done", "life": "filled"}]
    assert len(run(tmp_path, scripted_engine, lambda desk: acts.orders(desk, None, with_done=False))) == 1
    assert len(run(tmp_path, scripted_engine, lambda desk: acts.orders(desk, "PRAC-1", with_done=True))) == 2


def test_without_a_socket_or_behind_a_stale_one_nobody_is_there(tmp_path: Path) -> None:
    assert asyncio.run(ControlClient.connect(tmp_path)) is None
    (tmp_path / SOCKET_NAME).touch()
    (tmp_path / TOKEN_NAME).write_text("x")
    assert asyncio.run(ControlClient.connect(tmp_path)) is None
