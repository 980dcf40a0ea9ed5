"""One gateway and one engine for each file of proofs; every test begins with a clean account."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import GatewayUnavailable
from app.services.gateway import find_program
from tests.native.rig import UNLIMITED, Gateway
from tests.regression.rig import SHORT, Proof, Wire, heartbeat


@pytest.fixture(scope="module")
def shared_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    try:
        find_program()
    except GatewayUnavailable as error:
        pytest.skip(str(error))
    running = Gateway(tmp_path_factory.mktemp("shared"), heartbeat(), [UNLIMITED, "--no-firm-hours"])
    yield running
    running.stop()


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that nobody else is connected to."""
    gateway = Gateway(tmp_path, heartbeat(), [UNLIMITED, "--no-firm-hours"])
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def wire(shared_gateway: Gateway) -> Iterator[Wire]:
    with Wire(shared_gateway.hello.rest) as relay:
        yield relay


@pytest.fixture(scope="module")
def shared_proof(tmp_path_factory: pytest.TempPathFactory, shared_gateway: Gateway, wire: Wire) -> Iterator[Proof]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SHORT.items():
            patch.setenv(name, value)
        running = Proof(tmp_path_factory.mktemp("base"), shared_gateway)
    running.rest_url = wire.url
    with running:
        running.connect()
        running.subscribe()
        yield running


@pytest.fixture
def proof(shared_proof: Proof) -> Proof:
    shared_proof.begin()
    return shared_proof
