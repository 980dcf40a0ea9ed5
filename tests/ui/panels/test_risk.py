"""Account and risk: headroom in numbers, latches with their times, and what the buttons ask for."""

from dataclasses import replace
from typing import Any

import pytest
from PySide6.QtCore import Qt

from tests.ui import records
from ui.panels.risk import OwnLimit, RiskPanel, headroom_of, strip_of, view_of

HOUR_NS = 3_600_000_000_000


@pytest.fixture
def panel(qtbot: Any) -> Any:
    made = RiskPanel(records.context("risk"))
    qtbot.addWidget(made)
    made.show()
    return made


def use(rule: str, used: int, limit: int, percent: int, **more: Any) -> Any:
    return records.RuleUse(rule, used, limit, percent, **more)


def test_the_gauges_say_what_is_left() -> None:
    loss, day = view_of(records.Risk()).gauges
    assert (loss.title, loss.left_1e4, loss.floor_1e4) == ("To max loss", 24_948_000, 492_400_000)
    # The limit is 600 below the day's start and the day stands at +494.80.
    assert (day.title, day.floor_1e4, day.left_1e4) == ("To own daily limit", -6_000_000, 10_948_000)


def test_the_target_is_the_accounts_own_and_does_not_move_with_the_open_result() -> None:
    loss = view_of(records.Risk(equity_1e4=499_123_456)).gauges[0]
    assert (loss.marks[-1], loss.top_1e4) == ((530_000_000, "target 53,000"), 530_000_000)


def test_painting_leaves_the_colours_of_the_theme_alone(panel: Any) -> None:
    theme = panel.context.theme
    before = {token: theme.color(token).rgba() for token in ("text.muted", "status.danger", "text.primary")}
    panel.show_risk(records.Risk())
    panel.grab()
    assert {token: theme.color(token).rgba() for token in before} == before


def test_an_own_limit_that_trails_counts_from_the_peak_of_the_day() -> None:
    day = view_of(records.Risk(), OwnLimit(is_trailing=True)).gauges[1]
    assert (day.floor_1e4, day.left_1e4) == (5_080_000 - 6_000_000, 4_948_000 - (5_080_000 - 6_000_000))


def test_a_limit_on_realised_results_leaves_the_open_one_out() -> None:
    day = view_of(records.Risk(), OwnLimit(counts_open=False)).gauges[1]
    assert (day.now_1e4, day.left_1e4) == (3_198_000, 9_198_000)


def test_without_an_own_limit_the_firms_daily_loss_stands() -> None:
    uses = (use("daily_loss", 0, 10_000_000, 0),)
    (day,) = view_of(records.Risk(uses=uses)).gauges
    assert (day.title, day.left_1e4) == ("To daily limit", 14_948_000)


@pytest.mark.parametrize(("percent", "tone"), [(50, ""), (51, "caution"), (75, "caution"), (76, "danger")])
def test_a_number_is_marked_under_half_and_under_a_quarter(percent: int, tone: str) -> None:
    assert view_of(records.Risk(uses=(use("max_loss", 1, 2, percent),))).gauges[0].tone == tone


def test_a_latch_says_which_rule_when_and_until_when() -> None:
    latched = use("daily_loss", 10, 10, 100, is_latched=True, latched_ns=records.NOON_NS)
    latched = replace(latched, until_ns=records.NOON_NS + HOUR_NS)
    assert strip_of(records.Risk(uses=(latched,))) == (
        "danger",
        "The firm's daily loss reached",
        "16:13, until 17:13",
        "disc",
    )


@pytest.mark.parametrize(
    ("changes", "lead"),
    [
        ({}, ""),
        ({"mode": "reducing"}, "Reduce only"),
        ({"mode": "locked"}, "Locked"),
        ({"uses": (use("personal_loss", 3, 6, 50),)}, "50 % used"),
        ({"uses": (use("profit_target", 3, 6, 90),)}, ""),
    ],
)
def test_the_strip_names_what_stands_above_everything_else(changes: dict[str, Any], lead: str) -> None:
    assert strip_of(records.Risk(**changes))[1] == lead


def test_a_floor_that_may_be_higher_says_so_and_what_to_state() -> None:
    seen = view_of(records.Risk(is_floor_uncertain=True))
    assert [label for _, label in seen.gauges[0].marks[:2]] == ["floor 49,240?", "high 51,240?"]
    assert "state risk.stated_high" in seen.foot
    assert "stated_high" not in view_of(records.Risk()).foot


def test_an_account_without_rules_or_balance_says_so() -> None:
    assert view_of(None).notice == "No rules for this account."
    assert "not known yet" in view_of(records.Risk(is_measured=False)).notice


def test_the_preview_gets_the_days_limit_and_the_maximum_loss() -> None:
    assert headroom_of(records.Risk()) == (
        ("own daily limit", 10_948_000, 6_000_000),
        ("max loss", 24_948_000, 30_000_000),
    )
    assert headroom_of(None) == ()


def test_the_buttons_ask_for_a_mode_and_a_lock_needs_a_hold(panel: Any, qtbot: Any) -> None:
    panel.show_risk(records.Risk())
    with qtbot.waitSignal(panel.mode_requested) as asked:
        qtbot.mouseClick(panel.reduce_button, Qt.MouseButton.LeftButton)
    assert asked.args == ["reducing"]
    with qtbot.assertNotEmitted(panel.mode_requested, wait=20):
        qtbot.mouseClick(panel.lock_button, Qt.MouseButton.LeftButton)
    panel.show_risk(records.Risk(mode="reducing"))
    with qtbot.waitSignal(panel.mode_requested) as asked:
        qtbot.mouseClick(panel.reduce_button, Qt.MouseButton.LeftButton)
    assert asked.args == ["normal"]


def test_a_source_that_was_stopped_can_be_released_by_name(panel: Any, qtbot: Any) -> None:
    panel.show_risk(records.Risk())
    assert not panel.release_button.isVisible()
    panel.show_risk(records.Risk(throttled=("ladder",)))
    with qtbot.waitSignal(panel.release_requested) as asked:
        qtbot.mouseClick(panel.release_button, Qt.MouseButton.LeftButton)
    assert asked.args == ["ladder"]
