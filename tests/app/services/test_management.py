"""Stops and targets of a position, and break-even."""

from app.services.management import break_even_changes, exits_of
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
