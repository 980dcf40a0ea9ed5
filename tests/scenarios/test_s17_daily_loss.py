"""S17: a daily loss warns, flattens at the limit, and blocks everybody until the next session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.config import RiskOptions
from app.services.risk import rules_of
from tests.scenarios.market import USD, Scene, day

MORNING = "2026-11-24T14:25:00Z"
# 17:00 in Chicago, when the next session begins.
EVENING = "2026-11-24T23:00:05Z"
# One lot of MNQ is two dollars a point; the entry pays the spread of a quarter point.
LOTS = 5


def own_loss(scene: Scene, **options: Any) -> None:
    account = next(a for a in scene.engine.accounts() if a.id == scene.account)
    scene.follow(rules_of(account, RiskOptions(daily_loss=500, **options)))


def firms_equity(scene: Scene) -> int:
    return next(int(a["equity_1e4"]) for a in scene.gateway.state()["accounts"] if a["id"] == scene.account)


def warned(scene: Scene) -> list[str]:
    return [text.split(": ")[1].split(" %")[0] for text in scene.notices("risk_warning")]


def test_the_limit_warns_three_times_then_flattens_and_blocks_every_source(tmp_path: Path) -> None:
    with day(tmp_path, MORNING) as scene:
        scene.begin("MNQ")
        own_loss(scene)
        scene.filled(scene.order("buy", LOTS))
        for points, percents in [(-26, ["50"]), (-39, ["50", "75"]), (-46, ["50", "75", "90"])]:
            scene.move(points)
            scene.until(lambda percents=percents: warned(scene) == percents, f"warnings {percents}")  # type: ignore[misc]
        assert scene.lots("MNQ") == LOTS, "a warning touches nothing"
        scene.move(-51)
        scene.until(lambda: scene.use("personal_loss").is_latched, "the latch")
        scene.until(lambda: scene.lots("MNQ") == 0 and scene.notices("flat"), "flat, read back")
        scene.until(lambda: scene.risk().equity_1e4 == firms_equity(scene), "the same equity as the firm's")
        assert scene.risk().realised_1e4 <= -500 * USD

        scene.engine.arm("strategy", scene.account, is_armed=True)
        scene.until(lambda: scene.engine.is_armed("strategy", scene.account), "an armed strategy")
        for source in ("test", "strategy"):
            code, text = scene.denial(scene.order("buy", source=source))[0]
            assert (code, "until Tue 17:00 Chicago" in text) == ("personal_loss", True)


def test_the_block_cannot_be_lowered_away_and_ends_with_the_next_session(tmp_path: Path) -> None:
    with day(tmp_path, MORNING) as scene:
        scene.begin("MNQ")
        own_loss(scene)
        scene.filled(scene.order("buy", LOTS))
        scene.move(-51)
        scene.until(lambda: scene.lots("MNQ") == 0 and scene.notices("flat"), "flat, read back")
        account = next(a for a in scene.engine.accounts() if a.id == scene.account)
        scene.follow(rules_of(account, RiskOptions(daily_loss=5_000)))
        assert scene.risk().has_pending
        assert scene.denial(scene.order("buy"))[0][0] == "personal_loss"
        assert scene.use("personal_loss").limit == 500 * USD

        scene.at(EVENING)
        scene.until(lambda: not scene.use("personal_loss").is_latched, "the next session")
        assert scene.use("personal_loss").limit == 5_000 * USD, "what was raised holds now"
        scene.until(lambda: scene.use("personal_loss").used == 0, "a day of its own")
        scene.filled(scene.order("buy"))


@pytest.mark.parametrize("action", ["flatten", "block"])
def test_a_trailing_limit_follows_the_peak_after_a_gain_of_1200(tmp_path: Path, action: str) -> None:
    with day(tmp_path, MORNING) as scene:
        scene.begin("MNQ")
        own_loss(scene, daily_loss_from="peak", daily_loss_action=action)
        scene.filled(scene.order("buy", LOTS))
        scene.move(121)
        scene.until(lambda: scene.risk().peak_1e4 >= 1_200 * USD, "a gain of 1,200")
        scene.move(80)
        scene.until(lambda: scene.use("personal_loss").percent >= 75, "most of the distance")
        assert scene.risk().open_1e4 > 0, "still a winning day"
        scene.move(70)
        scene.until(lambda: scene.use("personal_loss").is_latched, "the latch")
        assert "personal_loss" in [code for code, _ in scene.denial(scene.order("buy", 1))]
        if action == "flatten":
            scene.until(lambda: scene.lots("MNQ") == 0, "flat")
        else:
            assert scene.lots("MNQ") == LOTS, "block leaves the position to the trader"
            scene.filled(scene.order("sell", LOTS))
