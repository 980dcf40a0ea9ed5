"""Distances a person types, in ticks; templates for one order; lots of the legs."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidOrder
from app.native import Contract
from app.services.exits import ExitTemplate, TargetLeg, parse_distance, plan_of, split_lots, ticks_of
from tests.app.records import CONTRACT, MNQ

ZT = Contract(
    **CONTRACT | {"name": "ZTZ6", "root": "ZT", "tick_units": 390_625, "decimals": 8, "tick_value_1e4": 78_125}
)
ENTRY = 86_000  # 21500.00


@pytest.mark.parametrize(
    ("text", "contract", "ticks"),
    [
        ("40", MNQ, 40),
        ("40t", MNQ, 40),
        ("10.25p", MNQ, 41),
        ("20d", MNQ, 40),
        ("$20", MNQ, 40),
        ("0.25p", MNQ, 1),
        ("0.0078125p", ZT, 2),
        ("7.8125d", ZT, 1),
        ("250p", MNQ, 1000),
    ],
)
def test_ticks_points_and_dollars_become_ticks_exactly(text: str, contract: Contract, ticks: int) -> None:
    assert ticks_of(parse_distance(text, "stop"), contract, "stop") == ticks


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("40x", "allowed: 40 or 40t (ticks)"),
        ("@40t", "cannot be read"),
        ("", "cannot be read"),
        ("10.3p", "nearest are 10.25 and 10.5 points"),
        ("0.1p", "nearest is 0.25 points"),
        ("20.1d", "nearest are 20 and 20.5 dollars"),
        ("1.5", "nearest are 1 and 2 ticks"),
        ("0", "is 0 ticks of MNQZ6; allowed: 1 to 1,000"),
        ("-5", "is -5 ticks"),
        ("1001", "is 1,001 ticks of MNQZ6; allowed: 1 to 1,000"),
        ("@21490", "is a price"),
    ],
)
def test_a_distance_that_is_no_number_of_ticks_is_refused_and_never_rounded(text: str, says: str) -> None:
    with pytest.raises(InvalidOrder) as refused:
        ticks_of(parse_distance(text, "stop"), MNQ, "stop")
    assert says in refused.value.text
    assert refused.value.field == "stop"


@pytest.mark.parametrize(
    ("side", "stop", "target", "says"),
    [
        ("buy", "@21510", "40", "The stop 21510.00 must be below the entry 21500.00."),
        ("buy", "40", "@21499.75", "The target 1 21499.75 must be above the entry 21500.00."),
        ("sell", "@21490", "40", "The stop 21490.00 must be above the entry 21500.00."),
        ("sell", "@21500", "40", "The stop 21500.00 must be above the entry 21500.00."),
        ("buy", "@21490.13", "40", "nearest are 21490.00 and 21490.25"),
        ("buy", "@1500", "40", "80,000 ticks of MNQZ6; allowed: 1 to 1,000"),
    ],
)
def test_a_price_on_the_wrong_side_or_far_away_is_refused_and_never_turned_round_or_clipped(
    side: str, stop: str, target: str, says: str
) -> None:
    with pytest.raises(InvalidOrder) as refused:
        plan_of(template(stop=stop, targets=[("1", target)]), MNQ, side, 1, entry_ticks=ENTRY)
    assert says in refused.value.text


def test_prices_are_measured_from_the_entry_for_both_sides() -> None:
    bought = plan_of(template(stop="@21490", targets=[("1", "@21520")]), MNQ, "buy", 1, entry_ticks=ENTRY)
    sold = plan_of(template(stop="@21510", targets=[("1", "@21480")]), MNQ, "sell", 1, entry_ticks=ENTRY)
    assert (bought.stop_ticks, bought.targets[0].ticks) == (sold.stop_ticks, sold.targets[0].ticks) == (40, 80)


def test_a_plan_knows_its_risk_and_its_gain() -> None:
    plan = plan_of(template(stop="40", targets=[("1", "40"), ("1", "80")]), MNQ, "buy", 2)
    assert plan.risk_1e4(MNQ, 2) == 40 * 2 * 5_000
    assert plan.gain_1e4(MNQ) == (40 + 80) * 5_000


@pytest.mark.parametrize(
    ("legs", "size", "lots"),
    [
        (["1", "1"], 2, [1, 1]),
        (["1", "1"], 1, [1, 0]),
        (["2", "2"], 5, [2, 2]),
        (["50%", "50%"], 3, [1, 2]),
        (["34%", "33%", "33%"], 1, [0, 0, 1]),
        (["25%", "25%"], 4, [1, 1]),
        (["1", "50%"], 4, [1, 2]),
        (["3", "100%"], 4, [3, 1]),
    ],
)
def test_lots_go_to_fixed_legs_first_and_shares_round_so_that_all_is_all(
    legs: list[str], size: int, lots: list[int]
) -> None:
    assert split_lots(template(stop="40", targets=[(leg, "40") for leg in legs]).targets, size) == lots


_LEG = st.one_of(
    st.integers(1, 20).map(lambda lots: TargetLeg(distance=parse_distance("8", "target"), lots=lots)),
    st.integers(1, 100).map(lambda part: TargetLeg(distance=parse_distance("8", "target"), share_percent=part)),
)


@given(legs=st.lists(_LEG, max_size=4), size=st.integers(1, 60))
def test_targets_never_hold_more_than_the_order_and_never_less_than_nothing(legs: list[TargetLeg], size: int) -> None:
    lots = split_lots(legs, size)
    assert all(part >= 0 for part in lots)
    assert sum(lots) <= size


@given(ticks=st.integers(1, 1000), contract=st.sampled_from([MNQ, ZT]))
def test_a_distance_told_in_points_or_dollars_is_the_same_number_of_ticks(ticks: int, contract: Contract) -> None:
    points = Decimal(contract.tick_units * ticks).scaleb(-contract.decimals)
    dollars = Decimal(contract.tick_value_1e4 * ticks) / 10_000
    for text in (f"{points:f}p", f"{dollars:f}d", f"{ticks}t"):
        assert ticks_of(parse_distance(text, "stop"), contract, "stop") == ticks


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"targets": [("1", "8")] * 5}, "at most 4"),
        ({"break_even": {"trigger": {"amount": "8"}}, "targets": [("1", "8")]}, "there is none"),
        ({"stop": "8", "targets": [("60%", "8"), ("60%", "8")]}, "make 120 percent"),
        ({"stop": "8", "targets": [("0", "8")]}, "greater than or equal to 1"),
    ],
)
def test_a_template_without_meaning_is_refused_in_one_sentence(parts: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidOrder) as refused:
        template(**parts)
    assert says in refused.value.text


def test_a_template_survives_its_body() -> None:
    held = template(
        stop="20d",
        targets=[("1", "40"), ("50%", "10.5p")],
        break_even={"trigger": {"amount": "24"}, "plus_ticks": 2},
        trail=[{"start": {"amount": "40"}, "distance": {"amount": "20"}, "step_ticks": 4}],
    )
    assert ExitTemplate.parse(held.body) == held
    assert (
        held.text == "stop 20d, targets 1 at 40t and 50% at 10.5p, break-even after 24t +2, trail from 40t at 20t by 4"
    )


def test_a_body_of_a_newer_program_is_refused_and_not_half_read() -> None:
    with pytest.raises(InvalidOrder):
        ExitTemplate.parse('{"stop": null, "shape": "round"}')


def template(*, stop: str | None = None, targets: list[tuple[str, str]] | None = None, **rest: Any) -> ExitTemplate:
    def leg(size: str, distance: str) -> dict[str, object]:
        name, number = ("share_percent", size[:-1]) if size.endswith("%") else ("lots", size)
        return {"distance": parse_distance(distance, "target"), name: int(number)}

    return ExitTemplate.of(
        stop=None if stop is None else parse_distance(stop, "stop"),
        targets=tuple(leg(*held) for held in targets or ()),
        **rest,
    )
