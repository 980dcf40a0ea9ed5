"""The measuring hub keeps its stream whole."""

from __future__ import annotations

import socket
import threading

from tests.bench.blaster import _Hub


class NarrowSocket(socket.socket):
    """Takes half of what it is given, lets another thread try to send, then takes the rest, as a full socket does."""

    def __init__(self, hub_answers: threading.Event) -> None:
        super().__init__()
        self.hub_answers = hub_answers
        self.taken = b""

    def sendall(self, data: bytes, flags: int = 0) -> None:  # type: ignore[override]
        middle = len(data) // 2
        self.taken += data[:middle]
        self.hub_answers.set()
        # Time for the other thread to put its frame here; one that waits for its turn costs only this moment.
        threading.Event().wait(0.1)
        self.taken += data[middle:]


def test_an_answer_in_the_middle_of_a_flood_splits_no_frame() -> None:
    is_in_the_middle = threading.Event()
    with NarrowSocket(is_in_the_middle) as connection:
        hub = _Hub(connection)
        flood = threading.Thread(target=hub.send, args=(b"<flood>",))
        flood.start()
        assert is_in_the_middle.wait(30)
        hub.send(b"<answer>")
        flood.join(30)
    assert connection.taken == b"<flood><answer>"
