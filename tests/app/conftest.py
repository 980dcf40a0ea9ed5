import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

import pytest

from app.native import NativeEngine
from tests.app.scripted import ScriptedCore

if TYPE_CHECKING:
    import trading_bot_core as core


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
