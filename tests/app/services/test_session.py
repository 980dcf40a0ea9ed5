import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app import errors
from app.config import ConnectionOptions, RiskOptions
from app.native import NativeEngine
from app.services.credentials import Secret
from app.services.session import Endpoint, SessionService, account_named
from tests.app.scripted import ScriptedCore

Scripted = tuple[ScriptedCore, NativeEngine]
ENDPOINT = Endpoint("http://h", "ws://h/u", "ws://h/m", "ann", Secret("key-of-ann"), "demo", "local/ann/1")


def run(scripted: Scripted, act: Callable[[SessionService], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        engine = scripted[1]
        engine.attach(asyncio.get_running_loop())
        try:
            return await act(SessionService(engine, ConnectionOptions(), RiskOptions(max_order_lots=2)))
        finally:
            engine.detach()

    return asyncio.run(main())


def test_connecting_hands_over_the_addresses_and_chooses_no_account(scripted: Scripted) -> None:
    async def act(session: SessionService) -> None:
        assert [account.name for account in await session.connect(ENDPOINT)] == ["PRAC-1"]
        assert session.chosen is None

    run(scripted, act)
    (((arguments, named)),) = scripted[0].called("connect")
    assert arguments == ("http://h", "ws://h/u", "ws://h/m", "ann", "key-of-ann")
    assert named == {"environment": "demo"}
    assert scripted[0].called("choose_accounts") == []


@pytest.mark.parametrize("wanted", ["PRAC-1", "prac-1", "1"])
def test_an_account_is_chosen_by_name_or_id_with_the_limits_of_the_options(scripted: Scripted, wanted: str) -> None:
    account = run(scripted, lambda session: session.choose(wanted))
    assert account.id == 1
    assert scripted[0].called("choose_accounts") == [([1],)]
    ((account_id, limits),) = scripted[0].called("set_limits")
    assert (account_id, limits.max_order_lots) == (1, 2)


def test_an_unknown_account_is_answered_with_those_there_are(scripted: Scripted) -> None:
    with pytest.raises(errors.InvalidOption, match=r"PRAC-1 \(DEMO\)"):
        run(scripted, lambda session: session.choose("PRAC-2"))


def test_a_login_without_accounts_is_no_connection() -> None:
    with pytest.raises(errors.NotConnected):
        account_named([], "PRAC-1")


@pytest.mark.parametrize(("outcome", "expected"), [("refused", errors.BrokerRejected), ("failed", errors.NotConnected)])
def test_a_login_that_fails_says_how(scripted: Scripted, outcome: str, expected: type[Exception]) -> None:
    scripted[0].outcome_by_call["connect"] = (outcome, "The key is not accepted.")
    with pytest.raises(expected, match="not accepted"):
        run(scripted, lambda session: session.connect(ENDPOINT))


def test_a_new_connection_forgets_the_chosen_account(scripted: Scripted) -> None:
    async def act(session: SessionService) -> None:
        await session.choose("PRAC-1")
        await session.connect(ENDPOINT)
        assert session.chosen is None

    run(scripted, act)


def test_cancelling_a_connect_leaves_no_waiting_answer(scripted: Scripted) -> None:
    scripted[0].outcome_by_call["connect"] = ("silent", "")

    async def act(session: SessionService) -> None:
        task = asyncio.create_task(session.connect(ENDPOINT))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scripted, act)
    assert scripted[1]._answers == {}


def test_the_live_gateway_needs_a_user_name() -> None:
    with pytest.raises(errors.InvalidOption, match="user_name"):
        asyncio.run(Endpoint.of_live(ConnectionOptions()))


def test_an_endpoint_does_not_show_its_key() -> None:
    assert "key-of-ann" not in repr(ENDPOINT)


def test_limits_stated_anew_go_to_the_engine_which_holds_a_raise_back(scripted: Scripted) -> None:
    async def act(session: SessionService) -> None:
        await session.choose("PRAC-1")
        await session.restate(max_order_lots=1, max_position_lots=20, daily_loss=300)
        assert (session.risk.max_order_lots, session.risk.max_position_lots) == (1, 20)
        await session.choose("PRAC-1")
        with pytest.raises(errors.InvalidOption):
            await session.restate(max_order_lots=0)

    run(scripted, act)
    stated = [
        (limits.max_order_lots, limits.max_position_lots) for _account, limits in scripted[0].called("set_limits")
    ]
    assert stated == [(2, 10), (1, 20), (1, 20)]
    assert len(scripted[0].called("set_rules")) == 3
