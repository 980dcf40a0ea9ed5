"""A gateway and an engine for each test, and proof that neither outlives it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import GatewayUnavailable
from app.services.gateway import find_program
from tests.native.rig import Gateway, Rig


def engine_threads() -> list[str]:
    """Names of the engine's threads that are alive in this process."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        return []
    names = [(task / "comm").read_text().strip() for task in tasks.iterdir()]
    return [name for name in names if name in {"engine", "net", "store"}]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    try:
        find_program()
    except GatewayUnavailable as error:
        pytest.skip(str(error))
    running = Gateway(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def rig(tmp_path: Path, gateway: Gateway) -> Iterator[Rig]:
    with Rig(tmp_path / "base", gateway) as running:
        yield running
    assert engine_threads() == []
