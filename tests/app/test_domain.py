from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import domain
from app.native import Contract

MNQ = Contract(0, "CON.F.US.MNQ.Z26", "MNQZ6", "Micro Nasdaq", "F.US.MNQ", "MNQ", 25, 2, 5_000, True)


@pytest.mark.parametrize(
    ("amount_1e4", "text"),
    [
        (12_345_000, "1,234.50"),
        (-500, "−0.05"),
        (78_125, "7.81"),
        (50, "0.00"),
        (150, "0.02"),
        (-150, "−0.02"),
        (-50, "0.00"),
        (0, "0.00"),
    ],
)
def test_money_shows_cents_with_ties_to_even(amount_1e4: int, text: str) -> None:
    assert domain.money_text(amount_1e4) == text


def test_a_gain_carries_its_plus_where_the_sign_means_something() -> None:
    assert domain.money_text(120_000, is_signed=True) == "+12.00"
    assert domain.money_text(0, is_signed=True) == "0.00"


@given(st.integers(-(10**15), 10**15))
def test_cents_agree_with_decimal_arithmetic(amount_1e4: int) -> None:
    expected = (Decimal(amount_1e4) / 100).quantize(Decimal(1), rounding=ROUND_HALF_EVEN)
    assert domain.cents_half_even(amount_1e4) == int(expected)


def test_an_average_between_grid_prices_keeps_two_digits_more() -> None:
    assert domain.average_price_text(MNQ, 86_017_3333) == "21504.3333"


def test_the_side_of_a_position_is_in_its_text() -> None:
    assert [domain.signed_lots_text(lots) for lots in (2, 0, -3)] == ["+2", "flat", "−3"]
