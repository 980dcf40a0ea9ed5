"""The token file in both themes and pairs: readable, complete, loadable."""

from typing import Any

import pytest
from PySide6.QtGui import QColor, QFontInfo

from ui.theme import PAIRS, THEMES, Theme, load_fonts

SURFACES = ("surface.window", "surface.panel", "surface.header", "surface.raised", "surface.input")
TEXTS = ("text.primary", "text.secondary", "text.muted")
SIDES = ("buy", "sell")


def _luminance(color: QColor) -> float:
    def linear(part: float) -> float:
        return part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(color.redF()) + 0.7152 * linear(color.greenF()) + 0.0722 * linear(color.blueF())


def _contrast(one: QColor, other: QColor) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("name", THEMES)
def test_every_text_pair_is_readable(qapp: Any, name: Any, pair: Any) -> None:
    theme = Theme(name, pair)
    weak = [(t, s) for t in TEXTS for s in SURFACES if _contrast(theme.color(t), theme.color(s)) < 4.5]
    for side in SIDES:
        for ground in ("surface.panel", "surface.header", "surface.selected"):
            if _contrast(theme.side(side, "text"), theme.color(ground)) < 4.5:
                weak.append((side, ground))
        if _contrast(theme.side(side, "on"), theme.side(side, "fill")) < 4.5:
            weak.append((side, "fill"))
    assert weak == []


@pytest.mark.parametrize("name", THEMES)
def test_control_borders_and_frames_reach_three_to_one(qapp: Any, name: Any) -> None:
    theme = Theme(name)
    panel = theme.color("surface.panel")
    marks = ["line.control", "line.focus", "status.ok"] + [
        f"kind.{k}.frame" for k in ("demo", "practice", "combine", "funded")
    ]
    assert [mark for mark in marks if _contrast(theme.color(mark), panel) < 3.0] == []


@pytest.mark.parametrize("name", THEMES)
def test_the_style_sheet_has_no_unfilled_token(qapp: Any, name: Any) -> None:
    assert "@" not in Theme(name).style_sheet()


def test_switching_the_theme_tells_once_and_changes_values(qapp: Any, qtbot: Any) -> None:
    theme = Theme("dark")
    before = theme.color("surface.panel")
    with qtbot.waitSignal(theme.changed):
        theme.choose("light")
    assert theme.color("surface.panel") != before
    seen = []
    theme.changed.connect(lambda: seen.append(1))
    theme.choose("light")
    assert seen == []


def test_the_bundled_fonts_load_and_digits_have_equal_width(qapp: Any) -> None:
    families = load_fonts()
    assert {"Inter Pitdesk", "JetBrains Mono"} <= set(families)
    assert QFontInfo(Theme().font("body")).family() == "Inter Pitdesk"
    assert QFontInfo(Theme().font("body_em")).weight() == 600
    metrics = Theme().metrics("body")
    assert len({metrics.horizontalAdvance(digit) for digit in "0123456789"}) == 1


def test_an_unknown_theme_is_refused_by_name(qapp: Any) -> None:
    with pytest.raises(ValueError, match="sepia"):
        Theme("sepia")
