"""Fills on the chart: whose they are, and which entry an exit belongs to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ui.charting.fills import FillMark, fill_marks, joined


def mark(time_ns: int, side: str, lots: int, ticks: int = 100) -> FillMark:
    return FillMark(time_ns, ticks, side, lots)


def fill(trade_id: int, **changes: Any) -> Any:
    known = {
        "trade_id": trade_id,
        "time_ns": trade_id,
        "contract": 0,
        "account_id": 7,
        "is_voided": False,
        "side": "buy",
        "price_ticks": 100,
        "size_lots": 1,
    }
    return SimpleNamespace(**(known | changes))


def test_only_valid_fills_of_this_account_and_contract_are_marked_oldest_first() -> None:
    others = [fill(3, contract=1), fill(4, account_id=8), fill(5, is_voided=True)]
    assert [m.time_ns for m in fill_marks([fill(2), *others, fill(1)], 0, 7)] == [1, 2]


def test_an_exit_belongs_to_the_oldest_lots() -> None:
    first, second, leave = mark(1, "buy", 2), mark(2, "buy", 1), mark(3, "sell", 3)
    assert joined([first, second, leave]) == [(first, leave), (second, leave)]


def test_a_turn_closes_and_opens() -> None:
    long, turn, cover = mark(1, "buy", 1), mark(2, "sell", 3), mark(3, "buy", 2)
    assert joined([long, turn, cover]) == [(long, turn), (turn, cover)]


@given(sides=st.lists(st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 5)), max_size=20))
def test_joined_fills_are_of_opposite_sides_and_in_order(sides: list[tuple[str, int]]) -> None:
    marks = [mark(number, side, lots) for number, (side, lots) in enumerate(sides)]
    for entry, leave in joined(marks):
        assert entry.side != leave.side
        assert entry.time_ns < leave.time_ns
