"""Every row of `resources/outcomes.md` over real sockets: place, modify, cancel, close, partial close (decision 12)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.native.rig import CONTRACT
from tests.regression.rig import Proof, Wire

CLOSE, PARTIAL = "Position/closeContract", "Position/partialCloseContract"
PAGE = Path(__file__).resolve().parents[2] / "resources" / "outcomes.md"
COLUMNS = ("place", "modify", "cancel", "close", "partial close")
MISSED = {"fault": "miss", "event": "GatewayUserOrder", "count": 0}
SUCCESS = json.dumps({"success": True, "errorCode": 0, "errorMessage": None})


def table() -> dict[str, dict[str, str]]:
    """The page's words by row and column."""
    lines = [line.strip("| \n").split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return {line[0].strip("`"): dict(zip(COLUMNS, line[2:], strict=False)) for line in lines}


def failure(code: int) -> str:
    return json.dumps({"success": False, "errorCode": code, "errorMessage": None})


def codes() -> dict[str, list[dict[str, Any]]]:
    named = {f"code-{code}": code for code in range(1, 11)} | {"code-unlisted": 99}
    return {row: [{"fault": "answer", "text": failure(code)}] for row, code in named.items()}


def statuses() -> dict[str, list[dict[str, Any]]]:
    refused: dict[str, list[dict[str, Any]]] = {
        f"http-{status}": [{"fault": "error", "status": status}] for status in (400, 403, 404, 415)
    }
    broken: dict[str, list[dict[str, Any]]] = {
        f"http-{status}": [{"fault": "error_after", "status": status}, MISSED] for status in (500, 502, 503)
    }
    # Cancels and reads repeat once after a 401; the second one is the answer.
    return refused | broken | {"http-401": [{"fault": "unauthorized", "count": 2}], "http-429": [{"fault": "too_many"}]}


# What provokes each row at the gateway. Rows that end in doubt also lose the hub's word, which would settle it at once.
PLANS: dict[str, list[dict[str, Any]]] = {
    "accepted": [],
    "without-id": [{"fault": "answer_after", "text": SUCCESS}, MISSED],
    "timeout": [{"fault": "reply_lost"}, MISSED],
    "reset": [{"fault": "reply_reset"}, MISSED],
    "cut-body": [{"fault": "cut_body"}, MISSED],
    "not-json": [{"fault": "answer_after", "text": "<html>Sign in to the hotel's network</html>"}, MISSED],
    **statuses(),
    **codes(),
}
# Provoked without a fault plan: the wire is cut; and a tag is never sent twice, so that its second answer cannot exist.
APART = {"not-sent", "code-2-again"}
ROWS = sorted(PLANS)


def arm(proof: Proof, row: str, endpoint: str) -> None:
    for rule in PLANS[row]:
        proof.gateway.fault(**({} if rule is MISSED else {"endpoint": endpoint}), **rule)


def ended(proof: Proof, request: int) -> str:
    """The word of a request's end."""
    outcome = proof.done(request).outcome
    return {"done": "accepted", "failed": "not sent"}.get(outcome, outcome)


def test_every_row_of_the_page_is_provoked_here() -> None:
    assert set(table()) == set(PLANS) | APART


@pytest.mark.parametrize("row", ROWS)
def test_a_place_ends_in_the_word_of_its_row(proof: Proof, row: str) -> None:
    asked = proof.requests("Order/place")
    arm(proof, row, "Order/place")
    tag = proof.submit("buy", "limit", limit_ticks=proof.level())
    word = table()[row]["place"]
    if word == "unknown":
        proof.until(lambda: proof.was_in_doubt(tag), "doubt")
    order = proof.life(tag, "working", "refused", "not_accepted")
    is_taken = proof.posts(tag) == 1
    assert order.life == {"accepted": "working", "refused": "refused"}.get(
        word, "working" if is_taken else "not_accepted"
    )
    assert proof.was_in_doubt(tag) == (word == "unknown")
    assert proof.requests("Order/place") == asked + 1
    assert proof.truth()["working"] == (1 if is_taken else 0)


@pytest.mark.parametrize("row", ROWS)
def test_a_modification_ends_in_the_word_of_its_row(proof: Proof, row: str) -> None:
    order = proof.working()
    assert order.limit_ticks is not None
    asked, read = proof.requests("Order/modify"), proof.requests("Order/v2/query")
    wanted = order.limit_ticks - 1
    arm(proof, row, "Order/modify")
    word = table()[row]["modify"]
    assert ended(proof, proof.engine.modify(order.key, limit_ticks=wanted, source="test")) == word
    is_carried_out = arrives(row, word)
    proof.life(order.key, "working")
    settled = ("none", wanted if is_carried_out else wanted + 1)
    proof.until(lambda: (o := proof.order(order.key)) and (o.change, o.limit_ticks) == settled, f"the order {settled}")
    assert proof.was_in_doubt(order.key) == (word == "unknown")
    assert proof.requests("Order/modify") == asked + 1
    if word != "accepted":
        proof.until(lambda: proof.requests("Order/v2/query") > read, "the order read back")


@pytest.mark.parametrize("row", ROWS)
def test_a_cancel_ends_in_the_word_of_its_row(proof: Proof, row: str) -> None:
    order = proof.working()
    read = proof.requests("Order/v2/query")
    arm(proof, row, "Order/cancel")
    word = table()[row]["cancel"]
    assert ended(proof, proof.engine.cancel(order.key, source="test")) == word
    is_carried_out = arrives(row, word)
    if word == "refused":
        proof.until(lambda: proof.requests("Order/v2/query") > read, "the order read back")
        assert proof.life(order.key, "working").change == "none"
        return
    if word == "accepted":
        assert not proof.was_in_doubt(order.key)
    # An unknown cancel that was not carried out may be asked for again: that is harmless, and the order has to end.
    assert proof.life(order.key, "cancelled", "working").filled_lots == 0
    if is_carried_out:
        proof.life(order.key, "cancelled")
        assert proof.truth()["working"] == 0


@pytest.mark.parametrize("row", ROWS)
def test_a_partial_close_ends_in_the_word_of_its_row_and_is_never_repeated(proof: Proof, row: str) -> None:
    proof.position(3)
    asked, whole = proof.requests(PARTIAL), proof.requests(CLOSE)
    arm(proof, row, PARTIAL)
    word = table()[row]["partial close"]
    request = proof.engine.close_position(proof.account, CONTRACT, size_lots=1, source="test")
    assert ended(proof, request) == word
    left = 2 if arrives(row, word) else 3
    assert proof.true_net() == left
    proof.until(lambda: proof.net() == left, "what is left")
    assert (proof.requests(PARTIAL), proof.requests(CLOSE)) == (asked + 1, whole)


@pytest.mark.parametrize("row", ROWS)
def test_a_close_is_repeated_only_after_a_reading_that_still_shows_the_position(proof: Proof, row: str) -> None:
    """The read-back, not the answer, says whether it is flat; a second close of what is flat could open nothing."""
    proof.position(2)
    asked = proof.requests(CLOSE)
    arm(proof, row, CLOSE)
    done = proof.done(proof.engine.close_position(proof.account, CONTRACT, source="test"))
    assert (done.outcome, proof.true_net()) == ("done", 0)
    proof.until(lambda: proof.net() == 0, "flat")
    times = 1 if arrives(row, table()[row]["close"]) else 1 + sum(rule.get("count", 1) for rule in PLANS[row])
    assert proof.requests(CLOSE) == asked + times
    rounds = [line for line in json.loads(done.payload_json)["steps"] if line["step"] == "closing"]
    assert len(rounds) == times


AFTER = {"reply_lost", "reply_reset", "error_after", "cut_body", "answer_after"}


def arrives(row: str, word: str) -> bool:
    """Whether the broker carries the request of this row out."""
    return word == "accepted" or any(rule["fault"] in AFTER for rule in PLANS[row])


def test_a_close_pressed_while_the_broker_cannot_be_read_waits_without_a_storm_and_goes_once(
    proof: Proof, wire: Wire
) -> None:
    """Nothing is closed on suspicion: the position is read first, and the readings that fail keep their pauses."""
    proof.position(2)
    asked = proof.requests(PARTIAL)
    wire.cut()
    try:
        proof.until(wire.is_left, "the end of the connections noticed")
        spent = int(proof.engine.status()["budget_used"])
        request = proof.engine.close_position(proof.account, CONTRACT, size_lots=1, source="test")
        proof.wait(3.0)
        # A whole reading is four requests; after 1 s and 2 s more it may have been tried three times.
        assert int(proof.engine.status()["budget_used"]) <= spent + 24
    finally:
        wire.mend()
    done = proof.done(request)
    assert (done.outcome, done.text) == ("done", "Closed 1, 1 left, read back.")
    assert (proof.requests(PARTIAL), proof.true_net()) == (asked + 1, 1)


def test_not_sent_is_proven_for_each_kind_and_nothing_is_tried_again(proof: Proof, wire: Wire) -> None:
    order = proof.working()
    asked = {name: proof.requests(f"Order/{name}") for name in COLUMNS[:3]}
    wire.cut()
    try:
        # A request written before the end of its connection was noticed would be in doubt, and rightly so.
        proof.until(wire.is_left, "the end of the connections noticed")
        tag = proof.submit("buy", "limit", limit_ticks=proof.level())
        placed = proof.life(tag, "not_accepted", "working", "refused", "denied")
        change = ended(proof, proof.engine.modify(order.key, limit_ticks=proof.level(), source="test"))
        cancel = ended(proof, proof.engine.cancel(order.key, source="test"))
        assert (placed.life, change, cancel) == ("not_accepted", "not sent", "not sent")
        assert (placed.doubt_since_ns, proof.was_in_doubt(order.key)) == (0, False)
    finally:
        wire.mend()
    assert {name: proof.requests(f"Order/{name}") for name in COLUMNS[:3]} == asked
    assert proof.life(order.key, "working").limit_ticks == order.limit_ticks


def test_a_tag_is_sent_once_so_that_a_second_answer_to_it_cannot_exist(proof: Proof) -> None:
    proof.gateway.fault(fault="reply_lost", endpoint="Order/place")
    proof.gateway.fault(**MISSED)
    tag = proof.submit("buy", "limit", limit_ticks=proof.level())
    proof.life(tag, "working")
    assert proof.posts(tag) == 1
