"""What the world does to an order: lost answers, late truth, doubled events, broken sockets, and sudden death."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import trading_bot_core as core

from tests.native.rig import ASK, BID, CONTRACT, Gateway, Rig

ROOT = Path(__file__).resolve().parents[2]


def broker_posts(gateway: Gateway, tag: str) -> int:
    """How many orders with `tag` the gateway was asked to place."""
    return int(gateway.counters()["posts_by_tag"].get(tag, 0))


def was_in_doubt(rig: Rig, tag: str) -> bool:
    """Whether the news ever told of doubt; the state itself may be settled before one looks."""
    changes = [event.order for event in rig.events if isinstance(event, core.OrderChanged)]
    return any(order.key == tag and order.doubt_since_ns > 0 for order in changes)


def link_states(rig: Rig, name: str) -> list[str]:
    """What the news told of one connection."""
    return [e.link.state for e in rig.events if isinstance(e, core.LinkChanged) and e.link.name == name]


def test_a_lost_answer_is_unknown_and_then_settled_with_one_broker_order(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    rig.gateway.fault(fault="miss", event="GatewayUserOrder", count=0)
    rig.gateway.fault(fault="reply_lost", endpoint="Order/place")
    tag = rig.submit("buy", "limit", limit_ticks=BID - 40)
    rig.until(lambda: was_in_doubt(rig, tag), "doubt")
    rig.life(tag, "working")
    assert broker_posts(rig.gateway, tag) == 1


def test_an_order_accepted_and_answered_500_is_found_and_not_sent_again(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    rig.gateway.fault(fault="error_after", status=500, endpoint="Order/place")
    tag = rig.submit("buy", "market")
    rig.life(tag, "filled")
    rig.until(lambda: rig.net() == 1, "position of 1")
    assert broker_posts(rig.gateway, tag) == 1


def test_doubled_and_reordered_user_events_count_once(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    rig.gateway.fault(fault="duplicate", count=0)
    rig.gateway.fault(fault="swap", count=0)
    rig.life(rig.submit("buy", "market", 2), "filled")
    rig.life(rig.submit("sell", "market"), "filled")
    rig.until(lambda: sum(fill.size_lots for fill in rig.engine.fills()) >= 3, "both fills")
    assert rig.done(rig.engine.reconcile()).outcome == "done"
    assert sum(fill.size_lots for fill in rig.engine.fills()) == 3
    rig.until(lambda: rig.net() == 1, "position of 1")


def test_a_socket_that_drops_in_mid_order_comes_back_and_tells_the_truth(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    rig.gateway.fault(fault="miss", event="GatewayUserOrder", count=0)
    rig.gateway.fault(fault="miss", event="GatewayUserTrade", count=0)
    rig.gateway.fault(fault="delay_request", endpoint="Order/place", ms=700)
    tag = rig.submit("buy", "market")
    rig.until(lambda: (o := rig.order(tag)) and o.life != "intent", "sending")
    rig.gateway.fault(fault="drop", hub="user")
    rig.life(tag, "filled")
    rig.until(lambda: rig.net() == 1, "position of 1")
    rig.until(lambda: "dead" in link_states(rig, "user"), "the lost hub told")
    rig.until(lambda: rig.engine.status()["state"] == "live", "the hub again")
    assert broker_posts(rig.gateway, tag) == 1


def logins(gateway: Gateway) -> int:
    return int(gateway.counters()["requests"]["Auth/loginKey"])


def test_a_logout_by_the_gateway_is_answered_by_one_login(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    assert logins(rig.gateway) == 1
    rig.gateway.fault(fault="logout", hub="user")
    rig.until(lambda: "dead" in link_states(rig, "user"), "the logout")
    rig.until(lambda: rig.engine.status()["state"] == "live", "the new session")
    rig.engine.arm("test", rig.account, is_armed=True)
    rig.life(rig.submit("buy", "market"), "filled")
    # Both hubs and the order lines go on with the token of that one login.
    rig.until(lambda: {link.state for link in rig.engine.links()} == {"live"}, "all connections")
    assert logins(rig.gateway) == 2


def test_an_order_under_way_at_a_reconnect_is_still_answered(rig: Rig) -> None:
    rig.connect()
    rig.subscribe()
    rig.gateway.fault(fault="request_lost", endpoint="Order/place")
    tag = rig.submit("buy", "limit", limit_ticks=BID - 40)
    rig.until(lambda: (o := rig.order(tag)) and o.life == "sent", "sending")
    assert rig.done(rig.engine.disconnect()).outcome == "done"
    rig.connect()
    rig.until(lambda: was_in_doubt(rig, tag), "doubt after the silence")
    assert broker_posts(rig.gateway, tag) <= 1


CHILD = """
import os, signal, sys
from pathlib import Path
from app.services.gateway import Hello
from tests.native.rig import Gateway, Rig
gateway = Gateway.known(Hello.parse(sys.argv[2]))
rig = Rig(Path(sys.argv[1]), gateway)
rig.connect()
rig.subscribe()
tag = rig.submit("buy", "market")
rig.until(lambda: tag in gateway.counters()["posts_by_tag"], "the request at the gateway")
print(tag, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def child_that_dies(folder: Path, gateway: Gateway) -> str:
    """Run an engine in a process of its own that is killed while its order has no answer. Returns the order's tag."""
    hello: dict[str, Any] = {name: getattr(gateway.hello, name) for name in gateway.hello.__dataclass_fields__}
    command = [sys.executable, "-c", CHILD, str(folder), json.dumps(hello)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == -9, ended.stderr
    return ended.stdout.strip()


def test_an_engine_killed_between_send_and_answer_finds_its_order_by_tag(tmp_path: Path, gateway: Gateway) -> None:
    gateway.fault(fault="delay_reply", endpoint="Order/place", ms=3_000)
    gateway.fault(fault="miss", event="GatewayUserOrder", count=2)
    tag = child_that_dies(tmp_path / "base", gateway)
    with Rig(tmp_path / "base", gateway) as rig:
        rig.connect()
        order = rig.life(tag, "filled")
        assert order.contract_id == CONTRACT
        rig.until(lambda: rig.net() == 1, "position of 1")
        assert broker_posts(gateway, tag) == 1
        rig.until(lambda: [fill.price_ticks for fill in rig.engine.fills()] == [ASK], "its one fill")


def test_a_request_made_while_the_login_is_under_way_has_an_end(rig: Rig) -> None:
    rig.gateway.fault(fault="delay_reply", endpoint="Auth/loginKey", ms=3_000)
    hello = rig.gateway.hello
    login = rig.engine.connect(
        hello.rest, hello.user_hub, hello.market_hub, hello.user_name, hello.api_key, environment="demo"
    )
    rig.until(lambda: any(link.name == "rest" and link.state == "connecting" for link in rig.engine.links()), "a login")
    early = rig.done(rig.engine.search_contracts("MNQ"))
    assert (early.outcome, early.text) == ("failed", "There is no connection.")
    assert rig.done(login).outcome == "done"
    assert rig.done(rig.engine.search_contracts("MNQ")).outcome == "done"


def test_a_lost_hub_tells_its_next_attempt_and_a_comparison_does_not_wait_for_it(rig: Rig) -> None:
    rig.connect()
    rig.gateway.fault(fault="drop", hub="user", count=0)

    def waiting() -> core.Link | None:
        (link,) = [link for link in rig.engine.links() if link.name == "user"]
        return link if link.state == "dead" and link.retry_mono_ns > rig.engine.mono_ns() + 1_500_000_000 else None

    link = rig.until(waiting, "a pause before the next attempt")
    rig.gateway.clear_faults()
    rig.engine.reconcile()
    rig.until(lambda: link_states(rig, "user")[-1] == "live", "live")
    assert rig.engine.mono_ns() < link.retry_mono_ns, "nobody waited for the pause"
    (link,) = [link for link in rig.engine.links() if link.name == "user"]
    assert link.retry_mono_ns == 0


def test_the_market_clock_runs_on_while_nothing_is_heard(rig: Rig) -> None:
    rig.connect()
    first = int(rig.engine.status()["market_now_ns"])
    rig.until(lambda: int(rig.engine.status()["market_now_ns"]) > first, "a later time without a message")
