"""S18: entries end and positions are closed before the firm's deadline, per product and calendar."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import RiskOptions
from app.services.risk import rules_of
from tests.scenarios.market import Scene, day, ns_of

DAYS = [
    pytest.param("2026-11-24T{}Z", ["20:58:00", "21:00:01", "21:06:50", "21:07:00", "21:08:00"], id="winter"),
    pytest.param("2026-10-30T{}Z", ["19:58:00", "20:00:01", "20:06:50", "20:07:00", "20:08:00"], id="summer"),
    pytest.param("2026-11-02T{}Z", ["20:58:00", "21:00:01", "21:06:50", "21:07:00", "21:08:00"], id="clocks changed"),
    # The half day after Thanksgiving closes at 12:15; the firm wants to be flat 15 minutes before.
    pytest.param("2026-11-27T{}Z", ["17:48:00", "17:50:01", "17:56:50", "17:57:00", "17:58:00"], id="half day"),
]


def follow_the_firm(scene: Scene) -> None:
    account = next(a for a in scene.engine.accounts() if a.id == scene.account)
    scene.follow(rules_of(account, RiskOptions()))


@pytest.mark.parametrize(("date", "clocks"), DAYS)
def test_entries_end_and_the_own_flatten_comes_before_the_firms(
    tmp_path: Path, date: str, clocks: list[str], pace: float
) -> None:
    before, refused, almost, flatten, firm = (date.format(clock) for clock in clocks)
    with day(tmp_path, before) as scene:
        scene.begin("MNQ")
        follow_the_firm(scene)
        scene.filled(scene.order("buy", 2))
        scene.until(lambda: scene.risk().flatten_ns == ns_of(flatten), "the countdown's end")
        scene.at(refused)
        assert [code for code, _ in scene.denial(scene.order("buy", 1))] == ["flat_by"]
        scene.filled(scene.order("sell", 1))
        scene.at(almost)
        scene.gateway.set_clock(rate=1 if pace == 1 else 5)
        scene.until(lambda: scene.lots("MNQ") == 0, "flat")
        closed = max(fill.time_ns for fill in scene.engine.fills())
        assert ns_of(flatten) <= closed < ns_of(firm)
        scene.until(lambda: scene.notices("flat_by"), "the flatten told")
        assert len(scene.notices("flat_by")) == 1
        assert "flat_by" in [code for code, _ in scene.denial(scene.order("buy", 1))]


def test_soybeans_are_closed_at_their_own_earlier_time_and_the_index_is_not(tmp_path: Path) -> None:
    with day(tmp_path, "2026-11-24T19:08:00Z") as scene:
        scene.begin("MNQ", "ZS")
        follow_the_firm(scene)
        scene.filled(scene.order("buy", 1))
        scene.filled(scene.order("buy", 1, root="ZS"))
        # Grains close at 13:20 in Chicago: entries end at 13:10, the own flatten is at 13:17.
        scene.at("2026-11-24T19:10:01Z")
        assert [code for code, _ in scene.denial(scene.order("buy", 2, root="ZS"))] == ["flat_by"]
        scene.filled(scene.order("buy", 2))
        scene.at("2026-11-24T19:17:00Z")
        scene.until(lambda: scene.lots("ZS") == 0, "flat in soybeans")
        assert scene.lots("MNQ") == 3
        scene.until(lambda: scene.risk().flatten_ns == ns_of("2026-11-24T21:07:00Z"), "the index's own time")
