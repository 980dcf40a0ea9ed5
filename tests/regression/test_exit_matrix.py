"""Every exit in every circumstance over real sockets: the broker holds in the end what the exit was to leave."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.native.rig import CONTRACT
from tests.regression.rig import Proof

LOTS = 2
MISSED = {"fault": "miss", "event": "GatewayUserOrder", "count": 0}
REJECTED = {"fault": "answer", "text": json.dumps({"success": False, "errorCode": 2, "errorMessage": None})}
FAULTS: dict[str, list[dict[str, Any]]] = {
    "unauthorized": [{"fault": "unauthorized", "count": 1}],
    "timeout": [{"fault": "reply_lost"}, MISSED],
    "rejected": [REJECTED],
}
CIRCUMSTANCES = ["plain", "limit", "bracket", "short", *FAULTS]


def whole(proof: Proof) -> int:
    return proof.engine.close_position(proof.account, CONTRACT, source="test")


def part(proof: Proof) -> int:
    return proof.engine.close_position(proof.account, CONTRACT, size_lots=1, source="test")


def flatten_contract(proof: Proof) -> int:
    return proof.engine.flatten(proof.account, contract_id=CONTRACT, source="test")


def flatten_account(proof: Proof) -> int:
    return proof.engine.flatten(proof.account, source="test")


def flatten_everything(proof: Proof) -> int:
    return proof.engine.flatten_everything(source="test")


def reverse(proof: Proof) -> int:
    return proof.engine.reverse(proof.account, CONTRACT, source="test")


# The request that carries each exit out.
EXITS: dict[Callable[[Proof], int], str] = {
    whole: "Position/closeContract",
    part: "Position/partialCloseContract",
    flatten_contract: "Position/closeContract",
    flatten_account: "Position/closeContract",
    flatten_everything: "Position/closeContract",
    reverse: "Order/place",
}


def wanted(act: Callable[[Proof], int], circumstance: str, net: int) -> int:
    """What is to be left. A refused part is not tried again, and a refused reverse stops flat half-way."""
    is_refused = circumstance in {"unauthorized", "rejected"}
    if act is part:
        return net if is_refused else net - net // LOTS
    return -net if act is reverse and not is_refused else 0


@pytest.mark.parametrize("circumstance", CIRCUMSTANCES)
@pytest.mark.parametrize("act", EXITS, ids=lambda act: act.__name__)
def test_an_exit_leaves_what_it_was_to_leave(proof: Proof, act: Callable[[Proof], int], circumstance: str) -> None:
    net = -LOTS if circumstance == "short" else LOTS
    legs = {"stop_bracket_ticks": 40, "target_bracket_ticks": 60} if circumstance == "bracket" else {}
    proof.life(proof.submit("buy" if net > 0 else "sell", "market", LOTS, **legs), "filled")
    proof.until(lambda: proof.net() == net, "the position")
    if circumstance == "bracket":
        proof.until(lambda: [order.life for order in proof.living()] == ["working"] * 2, "both legs")
    if circumstance == "limit":
        proof.working()
    for rule in FAULTS.get(circumstance, []):
        proof.gateway.fault(**({} if rule is MISSED else {"endpoint": EXITS[act]}), **rule)
    done = proof.done(act(proof))
    left = wanted(act, circumstance, net)
    assert proof.true_net() == left, (done.outcome, done.text)
    proof.until(lambda: proof.net() == left, "the same in the views")
    if act in {flatten_contract, flatten_account, flatten_everything, reverse}:
        assert proof.truth()["working"] == 0, (done.outcome, done.text)
    if act is whole and circumstance == "bracket":
        assert proof.truth()["working"] == 0, (done.outcome, done.text)
