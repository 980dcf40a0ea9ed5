"""A gateway and an engine for each scenario, and the pace: scaled by default, wall time under --full (decision 34)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import GatewayUnavailable
from app.services.gateway import find_program
from tests.native.conftest import engine_threads
from tests.native.rig import UNLIMITED, Gateway
from tests.regression.rig import Proof, Wire, heartbeat

# Seconds of a scenario pass this much faster unless the whole run is asked for.
SCALE = 20


@pytest.fixture
def pace(request: pytest.FixtureRequest) -> float:
    """Real seconds for one second of the scenario."""
    return 1.0 if request.config.getoption("--full") else 1 / SCALE


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    try:
        find_program()
    except GatewayUnavailable as error:
        pytest.skip(str(error))
    running = Gateway(tmp_path, heartbeat(), [UNLIMITED, "--no-firm-hours"])
    yield running
    running.stop()


@pytest.fixture
def cable(gateway: Gateway) -> Iterator[list[Wire]]:
    """The three wires to the gateway: REST, order hub, market hub."""
    hello = gateway.hello
    with Wire(hello.rest) as rest, Wire(hello.user_hub) as user, Wire(hello.market_hub) as market:
        yield [rest, user, market]


@pytest.fixture
def scene(tmp_path: Path, gateway: Gateway, cable: list[Wire], pace: float) -> Iterator[Proof]:
    with pytest.MonkeyPatch.context() as patch:
        # As delivered: 5 s without an answer, 30 s and 10 s for the proof of absence. Scaled, an answer has 3 s:
        # a busy machine is not what these scenarios are about.
        for name, seconds, least in (("REQUEST_TIMEOUT", 5, 3), ("ABSENCE_AFTER", 30, 0.25), ("READ_GAP", 10, 0.25)):
            patch.setenv(f"PITDESK_ENGINE_{name}_S", f"{max(seconds * pace, least):g}")
        running = Proof(tmp_path / "base", gateway)
    running.rest_url, running.user_hub_url, running.market_hub_url = (wire.url for wire in cable)
    with running:
        running.connect()
        running.subscribe()
        yield running
    assert engine_threads() == []
