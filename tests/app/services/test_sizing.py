"""Money at risk and stop distance give contracts; figures worked by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidOrder
from app.native import Contract
from app.services import fees
from app.services.sizing import micro_of, sized_by_risk
from tests.app.records import CONTRACT, MNQ

NQ = Contract(**CONTRACT | {"id": "CON.F.US.ENQ.Z26", "name": "NQZ6", "root": "NQ", "tick_value_1e4": 50_000})
E6 = Contract(**CONTRACT | {"name": "6EZ6", "root": "6E", "tick_units": 5, "decimals": 5, "tick_value_1e4": 62_500})
M6E = Contract(**CONTRACT | {"name": "M6EZ6", "root": "M6E", "tick_units": 1, "decimals": 4, "tick_value_1e4": 12_500})
MNQ_FEES, NQ_FEES = 12_200, 37_800


def test_300_dollars_and_22_ticks_of_mnq_are_24_lots() -> None:
    # 22 x 0.50 + 1.22 = 12.22 a lot; 24 lots are 293.28, 25 would be 305.50.
    sizing = sized_by_risk(MNQ, 22, 3_000_000, fees_1e4=MNQ_FEES)
    assert [(part.lots, part.risk_1e4, part.fees_1e4) for part in sizing.parts] == [(24, 2_640_000, 292_800)]
    assert sizing.text == "24 MNQ: 293.28 of 300.00 with fees."


def test_minis_come_first_and_micros_fill_the_rest() -> None:
    # NQ: 22 x 5 + 3.78 = 113.78, so 2 are 227.56; 72.44 are left, 5 micros at 12.22 are 61.10.
    sizing = sized_by_risk(NQ, 22, 3_000_000, fees_1e4=NQ_FEES, micro=(MNQ, MNQ_FEES), is_mixed=True)
    assert [(part.contract.root, part.lots) for part in sizing.parts] == [("NQ", 2), ("MNQ", 5)]
    assert sizing.cost_1e4 == 2_275_600 + 611_000
    assert sizing.text == "2 NQ + 5 MNQ: 288.66 of 300.00 with fees."


def test_when_no_mini_fits_it_says_how_many_micros_would() -> None:
    # One NQ costs 113.78; 100.00 buys 8 micros at 12.22 (97.76).
    sizing = sized_by_risk(NQ, 22, 1_000_000, fees_1e4=NQ_FEES, micro=(MNQ, MNQ_FEES))
    assert sizing.parts == ()
    assert sizing.micro_lots == 8
    assert sizing.text == "0 lots: one costs 113.78 with fees, 100.00 is at risk; 8 MNQ would fit."


def test_when_not_even_a_micro_fits_it_says_so() -> None:
    sizing = sized_by_risk(NQ, 22, 100_000, fees_1e4=NQ_FEES, micro=(MNQ, MNQ_FEES), is_mixed=True)
    assert sizing.parts == ()
    assert sizing.text.endswith("nothing smaller fits.")


def test_the_risk_that_is_met_exactly_is_used() -> None:
    assert sized_by_risk(MNQ, 22, 122_200, fees_1e4=MNQ_FEES).parts[0].lots == 1
    assert sized_by_risk(MNQ, 22, 122_199, fees_1e4=MNQ_FEES).parts == ()


def test_a_micro_on_a_coarser_grid_carries_the_same_distance_or_none() -> None:
    # 10 ticks of 0.00005 are 5 ticks of 0.0001: 5 x 1.25 + 1.02 = 7.27; 60.00 buys no 6E (62.50 + 4.24) and 8 micros.
    sizing = sized_by_risk(E6, 10, 600_000, fees_1e4=42_400, micro=(M6E, 10_200), is_mixed=True)
    assert [(part.contract.root, part.lots, part.stop_ticks) for part in sizing.parts] == [("M6E", 8, 5)]
    assert sized_by_risk(E6, 9, 500_000, fees_1e4=42_400, micro=(M6E, 10_200), is_mixed=True).parts == ()


@pytest.mark.parametrize(
    ("stop", "risk", "cost", "field"),
    [(0, 100, 0, "stop"), (4, 0, 0, "risk"), (4, -5, 0, "risk"), (4, 100, -1, "fees")],
)
def test_what_is_no_amount_is_refused(stop: int, risk: int, cost: int, field: str) -> None:
    with pytest.raises(InvalidOrder) as refused:
        sized_by_risk(MNQ, stop, risk, fees_1e4=cost)
    assert refused.value.field == field


@given(
    risk=st.integers(1, 10**9),
    stop=st.integers(1, 1000),
    cost=st.integers(0, 100_000),
    small_cost=st.integers(0, 100_000),
    is_mixed=st.booleans(),
)
def test_the_risk_is_never_exceeded_and_one_more_lot_would_exceed_it(
    risk: int, stop: int, cost: int, small_cost: int, is_mixed: bool
) -> None:
    sizing = sized_by_risk(NQ, stop, risk, fees_1e4=cost, micro=(MNQ, small_cost), is_mixed=is_mixed)
    assert sizing.cost_1e4 <= risk
    assert all(part.lots >= 1 for part in sizing.parts)
    left = risk - sizing.cost_1e4
    assert left < (sizing.least_1e4 if is_mixed else sizing.per_lot_1e4)


def test_the_micro_of_the_same_month_is_found() -> None:
    later = Contract(**CONTRACT | {"id": "CON.F.US.MNQ.H27", "name": "MNQH7"})
    found = micro_of(NQ, [later, MNQ])
    assert found is not None
    assert found.id == MNQ.id
    assert micro_of(MNQ, [NQ, MNQ]) is None


def test_fees_are_the_published_round_turns() -> None:
    assert fees.round_turn_1e4(MNQ) == MNQ_FEES
    assert fees.round_turn_1e4(NQ) == NQ_FEES
    assert fees.round_turn_1e4(Contract(**CONTRACT | {"root": "XYZ"})) is None
