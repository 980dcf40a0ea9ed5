"""The kill harness, 300 kills of it, and that it would see what it looks for."""

from __future__ import annotations

from typing import Any

import pytest

from tests.kills import harness
from tests.kills.harness import Tally, compare

KILLS = 300


def told(tag: str, life: str, *, is_unknown: bool = False) -> dict[str, Any]:
    return {"tag": tag, "order_id": 7, "life": life, "is_unknown": is_unknown, "is_foreign": False}


def found(ours: list[dict[str, Any]], theirs: dict[str, list[int]]) -> tuple[int, int, int]:
    tally = Tally()
    compare(tally, ours, {tag: [{"status": status} for status in rows] for tag, rows in theirs.items()})
    return tally.lost, tally.duplicated, tally.unknown_end


def test_an_order_that_only_one_side_knows_is_lost() -> None:
    assert found([], {"a": [1]}) == (1, 0, 0)
    assert found([told("a", "working")], {}) == (1, 0, 0)


def test_an_order_that_both_sides_tell_differently_is_lost() -> None:
    assert found([told("a", "cancelled")], {"a": [1]}) == (1, 0, 0)


def test_a_second_order_of_one_tag_is_a_duplicate() -> None:
    assert found([told("a", "working")], {"a": [1, 1]}) == (0, 1, 0)


def test_what_never_arrived_is_no_loss_and_what_has_no_proof_is_counted() -> None:
    assert found([told("a", "not_accepted"), told("b", "denied")], {}) == (0, 0, 0)
    assert found([told("a", "sent", is_unknown=True)], {"a": [1]}) == (1, 0, 1)


@pytest.mark.timeout(600)
def test_three_hundred_kills_lose_nothing_and_double_nothing() -> None:
    harness.build()
    tally = harness.run(KILLS)
    assert tally.holds, (tally.report(), tally.faults)
    assert tally.kills == KILLS
