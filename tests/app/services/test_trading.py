import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from app import domain, errors
from app.config import TradingOptions
from app.native import NativeEngine
from app.services.exits import ExitPlan, StagePlan, TargetPlan
from app.services.trading import OrderDraft, TradingService, check_shape, operation_of, ticks_from_text
from tests.app import records
from tests.app.scripted import ScriptedCore

Scripted = tuple[ScriptedCore, NativeEngine]
MARKET = OrderDraft(account_id=1, contract_id=records.MNQ.id, side="buy", kind="market", size_lots=2, source="test")


def run(scripted: Scripted, act: Callable[[TradingService], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        engine = scripted[1]
        engine.attach(asyncio.get_running_loop())
        try:
            return await act(TradingService(engine, TradingOptions(request_deadline_s=1)))
        finally:
            engine.detach()

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"account_id": 9}, "account"),
        ({"contract_id": "CON.F.US.XYZ.Z26"}, "contract"),
        ({"side": "long"}, "side"),
        ({"kind": "iceberg"}, "kind"),
        ({"size_lots": 0}, "size"),
        ({"size_lots": -1}, "size"),
        ({"kind": "limit"}, "limit"),
        ({"kind": "stop"}, "stop"),
        ({"kind": "stop_limit", "stop_ticks": 5}, "limit"),
        ({"kind": "trailing_stop"}, "trail"),
        ({"limit_ticks": 5}, "limit"),
        ({"kind": "limit", "limit_ticks": 5, "stop_ticks": 5}, "stop"),
        ({"kind": "trailing_stop", "trail_ticks": 0}, "trail"),
        ({"exits": ExitPlan(stop_ticks=0)}, "stop"),
        ({"exits": ExitPlan(targets=(TargetPlan(2, -3),))}, "target 1"),
    ],
)
def test_an_impossible_order_is_refused_beside_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(errors.InvalidOrder) as caught:
        check_shape(dataclasses.replace(MARKET, **changes), [records.account()], [records.MNQ])
    assert caught.value.field == field


def test_an_account_that_looks_live_is_blocked() -> None:
    with pytest.raises(errors.InvalidOrder, match="blocked"):
        check_shape(MARKET, [records.account(word="LIVE")], [records.MNQ])


def test_a_price_off_the_grid_names_its_neighbours() -> None:
    assert ticks_from_text(records.MNQ, "21504.25", "limit") == 86_017
    with pytest.raises(errors.InvalidOrder, match=r"21504\.25.*21504\.5") as caught:
        ticks_from_text(records.MNQ, "21504.30", "limit")
    assert caught.value.field == "limit"


def test_a_refused_shape_sends_nothing(scripted: Scripted) -> None:
    with pytest.raises(errors.InvalidOrder):
        TradingService(scripted[1], TradingOptions()).submit(dataclasses.replace(MARKET, size_lots=0))
    assert scripted[0].called("submit") == []


def test_submitting_returns_the_tag_without_waiting(scripted: Scripted) -> None:
    assert TradingService(scripted[1], TradingOptions()).submit(MARKET) == records.TAG
    (((arguments, named)),) = scripted[0].called("submit")
    assert arguments == ()
    named = {name: value for name, value in named.items() if value not in (None, False, 0)}
    order = {"account_id": 1, "contract_id": records.MNQ.id, "side": "buy", "kind": "market", "size_lots": 2}
    assert named == order | {"source": "test"}


@pytest.mark.parametrize(
    ("side", "stop", "targets"), [("buy", -20, [(40, 1), (80, 1)]), ("sell", 20, [(-40, 1), (-80, 1)])]
)
def test_legs_are_signed_from_the_fill_for_both_sides(side: str, stop: int, targets: list[tuple[int, int]]) -> None:
    exits = ExitPlan(stop_ticks=20, targets=(TargetPlan(1, 40), TargetPlan(1, 80)), held_by="computer")
    operation, arguments = operation_of(dataclasses.replace(MARKET, side=side, exits=exits))
    assert operation == "submit_bracket"
    assert (arguments["stop_leg_ticks"], arguments["target_legs"]) == (stop, targets)
    assert arguments["held_by"] == "computer"


def test_break_even_and_trail_are_part_of_the_one_decision() -> None:
    rule = {"break_even_trigger_ticks": 24, "break_even_plus_ticks": 2, "stages": (StagePlan(40, 20, 4),)}
    _, arguments = operation_of(dataclasses.replace(MARKET, exits=ExitPlan(stop_ticks=20, **rule)))  # type: ignore[arg-type]
    assert (arguments["break_even_trigger_ticks"], arguments["break_even_plus_ticks"]) == (24, 2)
    assert arguments["trail_stages"] == [(40, 20, 4)]
    _, plain = operation_of(dataclasses.replace(MARKET, exits=ExitPlan(stop_ticks=20)))
    assert "trail_stages" not in plain


def test_a_bracket_without_a_stop_is_refused_and_nothing_is_sent(scripted: Scripted) -> None:
    draft = dataclasses.replace(MARKET, exits=ExitPlan(targets=(TargetPlan(2, 40),)))
    with pytest.raises(errors.InvalidOrder, match="needs a stop"):
        TradingService(scripted[1], TradingOptions()).create_bracket_order(draft)


def test_several_targets_need_a_stop_and_an_exit_carries_no_exits() -> None:
    two = ExitPlan(targets=(TargetPlan(1, 40), TargetPlan(1, 80)))
    with pytest.raises(errors.InvalidOrder, match="Without a stop"):
        operation_of(dataclasses.replace(MARKET, exits=two))
    with pytest.raises(errors.InvalidOrder, match="exit itself"):
        operation_of(dataclasses.replace(MARKET, exits=ExitPlan(stop_ticks=20), reduce_only=True))


@pytest.mark.parametrize("life", ["working", "filled", "cancelled"])
def test_placing_waits_until_the_order_is_decided(scripted: Scripted, life: str) -> None:
    scripted[0].events_by_call["submit"] = [
        domain.OrderChanged(records.order(life="sent")),
        domain.OrderChanged(records.order(tag="another", key="another", life="filled")),
        domain.OrderChanged(records.order(life=life)),
    ]
    assert run(scripted, lambda trading: trading.place(MARKET)).life == life


def test_a_denied_order_carries_every_reason(scripted: Scripted) -> None:
    reasons = [("armed", "Not armed."), ("size", "Too many lots.")]
    scripted[0].events_by_call["submit"] = [domain.Denied(records.TAG, 1, records.MNQ.id, reasons)]
    with pytest.raises(errors.Denied) as caught:
        run(scripted, lambda trading: trading.place(MARKET))
    assert caught.value.reasons == reasons
    assert caught.value.text == "Not armed. Too many lots."


def test_a_refused_order_says_the_brokers_words(scripted: Scripted) -> None:
    refused = records.order(life="refused", reason="Insufficient funds.")
    scripted[0].events_by_call["submit"] = [domain.OrderChanged(refused)]
    with pytest.raises(errors.BrokerRejected, match="Insufficient funds"):
        run(scripted, lambda trading: trading.place(MARKET))


def test_an_order_without_answer_is_unknown_and_never_sent_again(scripted: Scripted) -> None:
    scripted[0].events_by_call["submit"] = [domain.OrderChanged(records.order(life="working", doubt_since_ns=5))]
    with pytest.raises(errors.OutcomeUnknown, match="may be live") as caught:
        run(scripted, lambda trading: trading.place(MARKET))
    assert caught.value.tag == records.TAG
    assert len(scripted[0].called("submit")) == 1


def test_a_change_of_nothing_is_refused(scripted: Scripted) -> None:
    with pytest.raises(errors.InvalidOrder, match="Nothing to change"):
        run(scripted, lambda trading: trading.modify("key", source="test"))


def test_a_refused_cancel_is_an_exception_and_a_done_one_an_answer(scripted: Scripted) -> None:
    assert run(scripted, lambda trading: trading.cancel("key", source="test")).outcome == "done"
    scripted[0].outcome_by_call["cancel"] = ("refused", "Already filled.")
    with pytest.raises(errors.BrokerRejected, match="Already filled"):
        run(scripted, lambda trading: trading.cancel("key", source="test"))


def test_flattening_passes_account_and_contract(scripted: Scripted) -> None:
    run(scripted, lambda trading: trading.flatten(1, contract_id=records.MNQ.id, source="test"))
    assert scripted[0].called("flatten") == [(1, records.MNQ.id, "test")]


def test_holding_a_stop_passes_the_whole_plan(scripted: Scripted) -> None:
    stages = [(16, 12, 4), (40, 8, 2)]
    run(scripted, lambda trading: trading.hold_stop(records.TAG, trail_stages=stages, is_immediate=True, source="test"))
    ((key, plan),) = scripted[0].called("set_stop_rule")
    assert (key, plan["trail_stages"], plan["is_immediate"]) == (records.TAG, stages, True)


def test_a_reverse_that_ends_flat_is_a_denial(scripted: Scripted) -> None:
    scripted[0].outcome_by_call["reverse"] = ("denied", "Stopped flat half-way.")
    with pytest.raises(errors.Denied, match="half-way"):
        run(scripted, lambda trading: trading.reverse(1, records.MNQ.id, source="test"))


def test_half_a_position_is_closed_by_its_percentage(scripted: Scripted) -> None:
    run(scripted, lambda trading: trading.close(1, records.MNQ.id, percent=50, source="test"))
    ((_, _, named),) = scripted[0].called("close_position")
    assert named == {"percent": 50, "source": "test"}
