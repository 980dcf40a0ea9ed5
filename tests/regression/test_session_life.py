"""The life of a login: tokens, connections and the budget of requests (decisions 14, 18; reliability C14, C22)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trading_bot_core as core

from tests.native.rig import UNLIMITED, Gateway
from tests.regression.rig import SHORT, Proof, heartbeat

TOKEN_LIFE_S = 4


def proof_of(folder: Path, gateway: Gateway, *without: str) -> Proof:
    """An engine with shortened waits, without the settings named."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SHORT.items():
            if name not in without:
                patch.setenv(name, value)
        return Proof(folder, gateway)


@pytest.fixture
def short_lived(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway whose tokens live for seconds and which ends the hubs of an expired one."""
    gateway = Gateway(tmp_path, heartbeat(), [UNLIMITED, "--token-life", str(TOKEN_LIFE_S), "--no-firm-hours"])
    yield gateway
    gateway.stop()


def test_a_token_is_renewed_at_half_life_and_no_order_is_lost_to_it(short_lived: Gateway, tmp_path: Path) -> None:
    with proof_of(tmp_path / "base", short_lived) as proof:
        proof.connect()
        proof.subscribe()
        proof.events.clear()
        tags = []
        born = time.monotonic()
        while True:
            tags.append(proof.submit("buy", "limit", limit_ticks=proof.level()))
            proof.life(tags[-1], "working")
            assert proof.done(proof.engine.cancel(tags[-1], source="test")).outcome == "done"
            proof.life(tags[-1], "cancelled")
            # One whole life after the first renewal: everything opened with the first token has expired.
            if proof.requests("Auth/validate") >= 2 and time.monotonic() - born > TOKEN_LIFE_S + 0.5:
                break
            proof.pump(0.05)
        assert {order.life for order in proof.engine.orders()} == {"cancelled"}
        assert not any(proof.was_in_doubt(tag) for tag in tags)
        assert proof.requests("Auth/loginKey") == 1
        assert proof.engine.is_armed("test", proof.account), "the order connection never went down"
        assert not [
            link for link in proof.news(core.LinkChanged) if link.link.name == "user" and link.link.state != "live"
        ]


def test_a_login_that_cannot_be_renewed_stops_new_risk_before_it_ends(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, heartbeat(), [UNLIMITED, "--token-life", "10", "--hubs-outlive-token"])
    try:
        with proof_of(tmp_path / "base", gateway) as proof:
            proof.connect()
            proof.subscribe()
            for endpoint in ("Auth/validate", "Auth/loginKey"):
                gateway.fault(fault="error", endpoint=endpoint, count=0)

            def told(code: str) -> list[str]:
                return [notice.text for notice in proof.news(core.Notice) if notice.code == code]

            proof.until(lambda: told("login_ends"), "the countdown")
            tag = proof.submit("buy", "limit", limit_ticks=proof.level())
            denied = proof.until(lambda: [e for e in proof.news(core.Denied) if e.tag == tag], "the denial")
            assert "login_ends" in [code for code, _ in denied[0].reasons]
            gateway.clear_faults()
            proof.until(lambda: told("login_renewed"), "the renewal")
            proof.engine.arm("test", proof.account, is_armed=True)
            proof.working()
    finally:
        gateway.stop()


def test_a_cancel_that_meets_an_expired_token_goes_again_with_a_new_one_and_a_place_does_not(proof: Proof) -> None:
    order = proof.working()
    logins = proof.requests("Auth/loginKey")
    proof.gateway.fault(fault="unauthorized", endpoint="Order/cancel")
    assert proof.done(proof.engine.cancel(order.key, source="test")).outcome == "done"
    proof.life(order.key, "cancelled")
    proof.gateway.fault(fault="unauthorized", endpoint="Order/place")
    tag = proof.submit("buy", "limit", limit_ticks=proof.level())
    assert "HTTP 401" in proof.life(tag, "refused").reason
    assert proof.posts(tag) == 0
    assert proof.requests("Auth/loginKey") == logins + 2
    proof.working()


def test_many_requests_refused_at_once_are_one_login(proof: Proof) -> None:
    orders = [proof.working() for n in range(6)]
    logins = proof.requests("Auth/loginKey")
    proof.gateway.fault(fault="latency", endpoint="Order/cancel", ms=500)
    proof.gateway.fault(fault="unauthorized", endpoint="Order/cancel", count=6)
    requests = [proof.engine.cancel(order.key, source="test") for order in orders]
    assert {proof.done(request).outcome for request in requests} == {"done"}
    assert proof.requests("Auth/loginKey") == logins + 1


def test_no_order_opens_a_connection(own_gateway: Gateway, tmp_path: Path) -> None:
    with proof_of(tmp_path / "base", own_gateway) as proof:
        proof.connect()
        proof.subscribe()
        proof.begin()
        before = proof.gateway.counters()["connections"]
        for _ in range(10):
            order = proof.working()
            change = proof.engine.modify(order.key, limit_ticks=proof.level(), source="test")
            assert proof.done(change).outcome == "done"
            assert proof.done(proof.engine.cancel(order.key, source="test")).outcome == "done"
        proof.position(1)
        assert proof.done(proof.engine.flatten(proof.account, source="test")).outcome == "done"
        assert proof.gateway.counters()["connections"] == before


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that answers 429 as the real one does: 200 requests a minute."""
    gateway = Gateway(tmp_path, heartbeat(), ["--no-firm-hours"])
    yield gateway
    gateway.stop()


def test_a_flatten_always_fits_however_much_was_asked_before(limited: Gateway, tmp_path: Path) -> None:
    with proof_of(tmp_path / "base", limited, "PITDESK_ENGINE_BENCH_LIMITS_OFF") as proof:
        proof.connect()
        proof.subscribe()
        proof.engine.set_limits(proof.account, core.Limits(max_position_lots=100, max_orders_per_second=100))
        proof.position(1)
        tags = [proof.submit("buy", "limit", limit_ticks=proof.level()) for n in range(60)]
        for tag in tags:
            proof.life(tag, "working")
        assert "working_orders" in " ".join(proof.denied(proof.submit("buy", "limit", limit_ticks=proof.level())))
        outcomes = [proof.done(proof.engine.search_contracts("MNQ")).outcome for _ in range(100)]
        assert outcomes[-1] == "failed", "the ordinary share is spent"
        assert proof.engine.status()["exits_kept"] == 80
        assert proof.done(proof.engine.flatten(proof.account, source="test")).outcome == "done"
        assert (proof.truth()["working"], proof.true_net()) == (0, 0)
        assert not any(proof.was_in_doubt(tag) for tag in tags), "no 429 was met"


def test_a_line_lost_to_a_silent_answer_is_replaced_before_the_next_order_needs_it(
    own_gateway: Gateway, tmp_path: Path
) -> None:
    with proof_of(tmp_path / "base", own_gateway) as proof:
        proof.connect()
        proof.subscribe()
        proof.begin()
        before = proof.gateway.counters()["connections"]
        proof.gateway.fault(fault="reply_lost", endpoint="Order/place")
        proof.gateway.fault(fault="miss", event="GatewayUserOrder", count=0)
        tag = proof.submit("buy", "limit", limit_ticks=proof.level())
        proof.life(tag, "working")
        proof.gateway.clear_faults()
        proof.until(lambda: proof.gateway.counters()["connections"] > before, "the line replaced by itself")
        after = proof.gateway.counters()["connections"]
        for _ in range(5):
            proof.working()
        assert proof.gateway.counters()["connections"] == after
