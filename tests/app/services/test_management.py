"""Stops and targets of a position, break-even and shares of it."""

import pytest

from app.services.management import break_even_changes, exits_of, lots_of
from tests.app.records import order

HELD = [
    order(key="far", side="sell", kind="stop", role="stop", stop_ticks=31_430),
    order(key="beyond", side="sell", kind="stop", role="stop", stop_ticks=31_444),
    order(key="target", side="sell", kind="limit", role="target", limit_ticks=31_460),
    order(key="stop entry", side="sell", kind="stop", role="entry", stop_ticks=31_420),
    order(key="gone", side="sell", kind="stop", role="stop", stop_ticks=31_400, life="cancelled"),
]


def test_break_even_only_tightens_and_never_moves_an_entry() -> None:
    assert break_even_changes(HELD, 2, 314_424_000, 1) == [("far", 31_444)]


def test_break_even_of_a_short_is_rounded_away_from_the_loss() -> None:
    short = [order(key="near", side="buy", kind="stop", role="stop", stop_ticks=31_450)]
    assert break_even_changes(short, -2, 314_424_000, 1) == [("near", 31_441)]
    assert break_even_changes(short, 0, 314_424_000, 1) == []


def test_a_stop_entry_on_the_same_contract_is_no_stop_of_the_position() -> None:
    assert [held.key for held in exits_of(HELD, 2, "stop")] == ["far", "beyond"]
    assert [held.key for held in exits_of(HELD, 2, "target")] == ["target"]
    assert exits_of(HELD, -2, "stop") == []


def test_the_target_of_a_short_is_found() -> None:
    short = [order(key="buy limit", side="buy", kind="limit", role="target")]
    assert [held.key for held in exits_of(short, -1, "target")] == ["buy limit"]


@pytest.mark.parametrize(("net", "percent", "lots"), [(4, 50, 2), (-4, 25, 1), (3, 50, 1), (1, 25, 1), (7, 100, 7)])
def test_a_share_is_whole_lots_rounded_down_but_never_nothing(net: int, percent: int, lots: int) -> None:
    assert lots_of(net, percent) == lots
