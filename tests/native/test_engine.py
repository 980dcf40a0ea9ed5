"""The seam against the real gateway: life of the engine, the market, and orders that go well."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import trading_bot_core as core

from tests.native.conftest import engine_threads
from tests.native.rig import ASK, BID, CONTRACT, Gateway, Rig


def idle_engine(folder: Path) -> tuple[core.Engine, socket.socket, socket.socket]:
    reader, writer = socket.socketpair()
    writer.settimeout(0)
    return core.Engine(str(folder), writer.fileno()), reader, writer


def test_a_second_engine_of_the_same_directory_is_busy_until_the_first_ends(tmp_path: Path) -> None:
    first, *sockets = idle_engine(tmp_path)
    with pytest.raises(core.Busy, match=str(os.getpid())):
        idle_engine(tmp_path)
    first.shutdown()
    second, *more = idle_engine(tmp_path)
    second.shutdown()
    for each in [*sockets, *more]:
        each.close()


def test_shutdown_is_idempotent_and_leaves_no_thread(tmp_path: Path) -> None:
    engine, *sockets = idle_engine(tmp_path)
    assert engine.is_running()
    engine.shutdown()
    engine.shutdown()
    assert not engine.is_running()
    assert engine_threads() == []
    with pytest.raises(core.EngineError) as refused:
        engine.reconcile()
    assert refused.value.kind == "closed"
    for each in sockets:
        each.close()


def test_an_unreachable_gateway_fails_the_request_and_shows_a_dead_link(tmp_path: Path) -> None:
    engine, reader, writer = idle_engine(tmp_path)
    request = engine.connect(
        "http://127.0.0.1:9", "ws://127.0.0.1:9/hubs/user", "ws://127.0.0.1:9/hubs/market", "u", "k", environment="demo"
    )
    reader.settimeout(30)
    done: list[core.RequestDone] = []
    while not done:
        reader.recv(64)
        engine.clear_wake()
        done = [event for event in engine.drain() if isinstance(event, core.RequestDone)]
    assert (done[0].request_id, done[0].outcome) == (request, "failed")
    assert {link.name: link.state for link in engine.links()}["rest"] == "dead"
    engine.shutdown()
    reader.close()
    writer.close()


def test_a_wrong_key_is_refused_in_words(rig: Rig) -> None:
    hello = rig.gateway.hello
    request = rig.engine.connect(
        hello.rest, hello.user_hub, hello.market_hub, hello.user_name, "wrong", environment="demo"
    )
    done = rig.done(request)
    assert done.outcome == "refused"
    assert "wrong" not in done.text


def test_quotes_stream_into_frames(rig: Rig) -> None:
    rig.connect()
    index = rig.subscribe()
    rig.until(
        lambda: (f := rig.engine.frame(index, 0)) and (f.best_bid_ticks, f.best_ask_ticks) == (BID, ASK), "both sides"
    )
    rig.until(lambda: (f := rig.engine.frame(index, 0)) and list(f.bid_ticks[:1]) == [BID], "the book")
    assert rig.engine.frame(index, 2**62) is None


def test_a_market_order_fills_and_moves_the_position(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    order = rig.life(rig.submit("buy", "market", 2, pressed_mono_ns=rig.engine.mono_ns()), "filled")
    assert order.filled_lots == 2
    rig.until(lambda: rig.net() == 2, "position of 2")
    rig.until(lambda: [fill.price_ticks for fill in rig.engine.fills()][:1] == [ASK], "the fill at the ask")
    rig.until(lambda: int(rig.engine.status()["press_to_bytes_us_p50"]) > 0, "a measured press")


def test_a_resting_order_is_modified_and_cancelled(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    tag = rig.submit("buy", "limit", limit_ticks=BID - 40)
    rig.life(tag, "working")
    assert rig.done(rig.engine.modify(tag, limit_ticks=BID - 20, source="test")).outcome == "done"
    rig.until(lambda: (o := rig.order(tag)) and o.limit_ticks == BID - 20, "the new price")
    assert rig.done(rig.engine.cancel(tag, source="test")).outcome == "done"
    rig.life(tag, "cancelled")


def test_a_resting_order_knows_its_place_in_the_queue(rig: Rig) -> None:
    rig.connect()
    index = rig.subscribe()
    rig.until(lambda: (f := rig.engine.frame(index, 0)) and list(f.bid_ticks[:1]) == [BID], "the book")
    tag = rig.submit("buy", "limit", limit_ticks=BID)
    rig.life(tag, "working")

    def is_ahead(fewest: int, most: int) -> bool:
        order = rig.order(tag)
        return order is not None and (order.queue_ahead_min, order.queue_ahead_max) == (fewest, most)

    rig.until(lambda: is_ahead(50, 50), "50 lots ahead")
    rig.gateway.play([{"ms": 0, "print": {"price": BID / 4, "lots": 20, "side": "sell"}}])
    rig.gateway.play([{"ms": 0, "level": {"side": "bid", "price": BID / 4, "lots": 30}}])
    rig.until(lambda: is_ahead(30, 30), "30 lots ahead after a print of 20")
    rig.gateway.play([{"ms": 0, "level": {"side": "bid", "price": BID / 4, "lots": 25}}])
    rig.until(lambda: is_ahead(25, 25), "no more ahead than is shown")


def test_an_order_beyond_the_limits_is_denied_and_never_sent(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    tag = rig.submit("buy", "market", 6)
    denied = rig.until(
        lambda: next((e for e in rig.events if isinstance(e, core.Denied) and e.tag == tag), None), "a denial"
    )
    assert denied.reasons
    assert tag not in json.dumps(rig.gateway.counters())


def test_flatten_closes_the_net_and_cancels_the_rest(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    rig.life(rig.submit("buy", "market"), "filled")
    resting = rig.submit("sell", "limit", limit_ticks=ASK + 40)
    rig.life(resting, "working")
    assert rig.done(rig.engine.flatten(rig.account, source="test")).outcome == "done"
    rig.life(resting, "cancelled")
    rig.until(lambda: rig.net() == 0, "flat in the view as well")


def test_bars_join_history(rig: Rig) -> None:
    rig.connect()
    index = rig.subscribe()
    assert rig.done(rig.engine.watch_bars(CONTRACT, "minute", 1, 50)).outcome in {"done", "failed"}
    rig.until(lambda: (b := rig.engine.bars(index, "minute", 1, 0)) and not b.is_loading, "the series")


def test_the_control_socket_reads_views_and_commands_the_engine(tmp_path: Path, rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    folder = tmp_path / "base"
    assert (folder / "control.sock").stat().st_mode & 0o077 == 0
    assert (folder / "control.token").stat().st_mode & 0o077 == 0
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(str(folder / "control.sock"))
        lines = link.makefile("rw")

        def ask(op: str, **arguments: object) -> dict[str, object]:
            token = (folder / "control.token").read_text()
            lines.write(json.dumps({"id": op, "token": token, "op": op, "args": arguments}) + "\n")
            lines.flush()
            answer: dict[str, object] = json.loads(lines.readline())
            assert answer["id"] == op
            return answer

        quote = ask("quote", contract_id=CONTRACT)["result"]
        assert isinstance(quote, dict)
        assert quote["best_bid_ticks"] == BID
        assert ask("cancel", key="nothing", source="test")["ok"] in {True, False}
        assert ask("sell the house")["kind"] == "invalid"


def test_the_control_socket_refuses_a_wrong_token(tmp_path: Path) -> None:
    engine, *sockets = idle_engine(tmp_path)
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(str(tmp_path / "control.sock"))
        lines = link.makefile("rw")
        lines.write('{"id": 1, "token": "guess", "op": "status"}\n')
        lines.flush()
        assert json.loads(lines.readline())["kind"] == "denied token"
        assert lines.readline() == ""
    engine.shutdown()
    for each in sockets:
        each.close()


def test_shutdown_while_connected_and_trading_leaves_no_thread(tmp_path: Path, gateway: Gateway) -> None:
    rig = Rig(tmp_path / "base", gateway)
    rig.connect()
    rig.subscribe()
    rig.submit("buy", "market")
    rig.close()
    assert engine_threads() == []


def test_what_a_control_connection_armed_ends_with_it(rig: Rig, tmp_path: Path) -> None:
    rig.connect()
    base = tmp_path / "base"
    arguments = {"source": "cli", "account_id": rig.account, "is_armed": True}
    line = {"id": 1, "token": (base / "control.token").read_text(), "op": "arm", "args": arguments}
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(base / "control.sock"))
        caller.sendall(json.dumps(line).encode() + b"\n")
        assert json.loads(caller.recv(4096))["ok"]
        rig.until(lambda: rig.engine.is_armed("cli", rig.account), "armed by the caller")
    rig.until(lambda: not rig.engine.is_armed("cli", rig.account), "disarmed after the caller is gone")
    assert rig.engine.is_armed("test", rig.account), "others stay armed"
