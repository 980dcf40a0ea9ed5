"""Bridge: the wake byte becomes one pump, each record one typed signal."""

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from tests.ui import records
from ui.bridge import Bridge


@pytest.fixture
def sockets() -> Any:
    reader, writer = socket.socketpair()
    reader.setblocking(False)
    yield reader, writer
    reader.close()
    writer.close()


class OrderChanged(SimpleNamespace):
    pass


class Resync(SimpleNamespace):
    pass


def test_a_wake_byte_pumps_and_re_emits_what_was_drained(qtbot: Any, sockets: Any) -> None:
    reader, writer = sockets
    order = records.Order()

    def pump() -> None:
        reader.recv(64)
        bridge.deliver(OrderChanged(order=order))
        bridge.deliver(Resync())

    bridge = Bridge(reader.fileno(), pump)
    orders: list[Any] = []
    bridge.order_changed.connect(orders.append)
    with qtbot.waitSignals([bridge.resync, bridge.woken]):
        writer.send(b"x")
    bridge.close()
    assert orders == [order]


def test_a_closed_bridge_reads_no_more(qtbot: Any, sockets: Any) -> None:
    reader, writer = sockets
    pumps = []
    bridge = Bridge(reader.fileno(), lambda: pumps.append(1))
    bridge.close()
    bridge.close()
    writer.send(b"x")
    qtbot.wait(30)
    assert pumps == []


def test_an_event_of_an_unknown_type_is_no_error(qapp: Any, sockets: Any) -> None:
    bridge = Bridge(sockets[0].fileno(), lambda: None)
    bridge.deliver(object())
    bridge.close()
