"""Number grammar: what people read."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ui import formatting


@dataclass(frozen=True)
class Grid:
    tick_units: int = 25
    decimals: int = 2


@pytest.mark.parametrize(
    ("ticks", "grid", "text"),
    [(117921, Grid(), "29480.25"), (-7, Grid(), "\u22121.75"), (6184, Grid(1, 2), "61.84"), (12, Grid(5, 0), "60")],
)
def test_prices_use_the_contracts_own_decimals(ticks: Any, grid: Any, text: Any) -> None:
    assert formatting.price_text(ticks, grid) == text


@given(st.integers(-(10**7), 10**7))
def test_a_typed_price_comes_back_as_the_same_ticks(ticks: Any) -> None:
    assert formatting.parse_price(formatting.price_text(ticks, Grid()), Grid()) == ticks


@pytest.mark.parametrize("text", ["", "abc", "7862.30", "7862.251", "1e3", "."])
def test_what_is_no_grid_price_is_refused(text: Any) -> None:
    assert formatting.parse_price(text, Grid()) is None


def test_money_rounds_half_to_even_and_keeps_the_true_minus() -> None:
    assert formatting.signed_money(78_125_0) == "+$78.12"
    assert formatting.signed_money(-2_000_000) == "\u2212$200.00"
    assert formatting.signed_money(49) == "0.00"
    assert formatting.balance_text(517_348_000) == "$51,734.80"
    assert formatting.result_text(-45_000) == "\u25bc \u2212$4.50"


def test_an_age_never_has_more_than_two_units() -> None:
    assert [formatting.age_text(ms) for ms in (38, 1_800, 281_000, 19_560_000)] == [
        "38 ms",
        "1.8 s",
        "4:41",
        "5 h 26 m",
    ]


def test_a_price_splits_into_quiet_head_and_bright_tail() -> None:
    assert formatting.split_price("29480.25") == ("294", "80.25")
    assert formatting.split_price("61.84") == ("", "61.84")


def test_queue_positions_say_fewest_to_most_or_nothing_known() -> None:
    assert formatting.queue_text(12, 40, 95) == "12\u201340 of 95"
    assert formatting.queue_text(-1, -1, 95) == "?"


def test_times_are_shown_in_chicago() -> None:
    assert formatting.clock_text(1_700_000_000_114_000_000, decimals=3) == "16:13:20.114"
    assert formatting.date_clock_text(1_700_000_000_000_000_000) == "Tue 14 Nov 16:13:20 CT"
