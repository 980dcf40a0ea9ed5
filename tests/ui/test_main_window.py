"""The window: layout kept between starts, close asks first, keys without conflicts, laws of the folder."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QWidget

from tests.ui import records
from ui import commands, status_bar
from ui.controls import PanelFrame
from ui.main_window import LAYOUT_VERSION, MainWindow, TabbedPanel
from ui.theme import Theme

UI = Path(__file__).resolve().parent.parent.parent / "ui"


def make_window(qtbot: Any) -> MainWindow:
    window = MainWindow(Theme())
    qtbot.addWidget(window, before_close_func=lambda made: setattr(made, "_may_close", True))
    for name in ("chart", "ladder", "ticket", "risk"):
        panel = PanelFrame(records.context(name), name)
        panel.set_body(QWidget(panel))
        window.add_trading_panel(name, name, panel)
    for name in ("positions", "orders"):
        tabs = TabbedPanel(window.theme, window)
        tabs.add_page(name, name, QWidget())
        window.add_plain_panel(name, name, tabs)
    window.arrange()
    window.show()
    return window


def test_a_layout_comes_back_as_it_was_left(qtbot: Any, tmp_path: Path) -> None:
    file = tmp_path / "state.ini"
    first = make_window(qtbot)
    first.dock("orders").hide()
    first.save_layout(file)
    second = make_window(qtbot)
    assert second.restore_layout(file)
    assert second.dock("orders").isHidden()
    assert not second.dock("ladder").isHidden()


@pytest.mark.parametrize(("height", "behind"), [(1080, []), (950, ["risk"])])
def test_a_low_window_has_account_and_risk_as_a_tab_behind_the_ticket(
    qtbot: Any, height: int, behind: list[str]
) -> None:
    window = make_window(qtbot)
    window.resize(1600, height)
    window.arrange()
    assert [dock.objectName() for dock in window.tabifiedDockWidgets(window.dock("ticket"))] == behind
    assert not window.dock("risk").isHidden()
    qtbot.waitUntil(lambda: window.is_panel_visible("ticket"))


def test_a_broken_layout_is_renamed_aside_and_not_fatal(qtbot: Any, tmp_path: Path) -> None:
    file = tmp_path / "state.ini"
    file.write_bytes(b"\x00\xff[[[ not an ini")
    assert not make_window(qtbot).restore_layout(file)
    assert not file.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["state.broken-1"]


def test_a_layout_of_another_version_is_left_alone(qtbot: Any, tmp_path: Path) -> None:
    file = tmp_path / "state.ini"
    window = make_window(qtbot)
    window.save_layout(file)
    file.write_text(file.read_text().replace(f"version={LAYOUT_VERSION}", "version=99"))
    assert not make_window(qtbot).restore_layout(file)
    assert file.exists()


def test_closing_asks_first_and_closes_only_for_real(qtbot: Any) -> None:
    window = make_window(qtbot)
    with qtbot.waitSignal(window.close_requested):
        window.close()
    assert window.isVisible()
    window.close_for_real()
    assert not window.isVisible()


def test_flatten_all_needs_a_hold_and_is_the_last_on_the_right(qtbot: Any) -> None:
    window = make_window(qtbot)
    button = window.top_bar.flatten_button
    others = [w for w in window.top_bar.findChildren(QWidget) if w.parent() is window.top_bar and w is not button]
    assert all(other.geometry().right() < button.geometry().left() for other in others if other.isVisible())
    with qtbot.assertNotEmitted(window.flatten_all_requested, wait=20):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_choosing_an_account_from_the_menu_tells_its_id(qtbot: Any) -> None:
    window = make_window(qtbot)
    big = records.AccountView(3_000_000_000, "practice", "PRACTICE", "Sandbox", "PRAC-2201")
    window.top_bar.show_account(None, [big])
    with qtbot.waitSignal(window.account_chosen) as chosen:
        window.top_bar.account_button._menu.actions()[0].trigger()
    assert chosen.args == [3_000_000_000]


def test_two_accounts_of_one_kind_are_told_apart_in_the_menu(qtbot: Any) -> None:
    window = MainWindow(Theme())
    qtbot.addWidget(window)
    names = ("50KTC-V2-900001-22223333", "150KTC-V2-DLL-900001-33334444")
    accounts = [records.AccountView(place, "combine", "COMBINE", "combine", name) for place, name in enumerate(names)]
    window.top_bar.show_account(None, accounts)
    words = [text for _key, text in window.top_bar.account_button._entries]
    assert len(set(words)) == 2
    assert "3333" in words[0]


def test_the_ring_follows_the_keyboard_and_changes_no_size(qtbot: Any) -> None:
    window = make_window(qtbot)
    window.activateWindow()
    button = window.top_bar.lock_button
    before = button.geometry()
    button.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(window.focus_ring.isVisible)
    assert window.focus_ring.geometry().contains(button.mapTo(window, button.rect().center()))
    assert button.geometry() == before
    window.top_bar.flatten_button.setFocus(Qt.FocusReason.TabFocusReason)
    qtbot.waitUntil(window.focus_ring.isHidden)


def test_no_two_commands_share_keys() -> None:
    assert commands.conflicts() == []


def test_no_command_sends_an_entry_by_key() -> None:
    assert not [
        command.name for command in commands.COMMANDS if command.keys and "buy" in command.name + command.text.lower()
    ]


@pytest.mark.parametrize(
    ("now_ns", "remaining"),
    [
        (1_700_082_000_000_000_000, 8 * 60),  # 15:00 in Chicago
        (1_700_082_480_000_000_000, 0),
        (1_700_082_481_000_000_000, 24 * 3600 - 1),
    ],
)
def test_flat_by_counts_down_to_the_minute(now_ns: int, remaining: int) -> None:
    assert status_bar.flat_by_remaining_s(now_ns) == remaining


@pytest.mark.parametrize("path", sorted(UI.rglob("*.py")), ids=lambda path: path.relative_to(UI).as_posix())
def test_no_module_spins_a_nested_loop(path: Path) -> None:
    banned = {"exec", "exec_", "processEvents", "question", "getOpenFileName", "getText", "getItem", "getSaveFileName"}
    tree = ast.parse(path.read_text("utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    assert [call.func.attr for call in calls if call.func.attr in banned] == []  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", sorted(UI.rglob("*.py")), ids=lambda path: path.relative_to(UI).as_posix())
def test_no_colour_literal_outside_the_theme(path: Path) -> None:
    if path.name == "theme.py":
        return
    texts = [node.value for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Constant)]
    assert [text for text in texts if isinstance(text, str) and len(text) in (7, 9) and text.startswith("#")] == []


def test_a_narrow_status_bar_gives_up_its_own_measures_and_never_the_deadline(qtbot: Any) -> None:
    bar = status_bar.StatusBar(Theme())
    qtbot.addWidget(bar)
    names = ("Market", "User", "REST", "Guardian")
    links = tuple(status_bar.LinkView(name, "live", 12, f"{name} is well.") for name in names)
    view = status_bar.StatusView(links, 14_000, 27_000, 4.1, (4.1,) * 11, 37, 200, 80, 1_700_000_000_000_000_000)
    bar.show_view(view)
    bar.resize(1920, 24)
    assert "80 kept for exits" in bar.shown_text()
    assert "p99" in bar.shown_text()
    bar.resize(960, 24)
    assert "Flat by 15:08" in bar.shown_text()
    assert "p99" not in bar.shown_text()
    left, right = bar._fitting()
    assert sum(bar._cell_width(cell) for cell in [*left, *right]) <= 960
    assert bar.tip_at(5) == "Market: Market is well."


def test_a_login_that_nears_its_end_counts_down_in_the_status_bar(qtbot: Any) -> None:
    bar = status_bar.StatusBar(Theme())
    qtbot.addWidget(bar)
    bar.resize(1280, 24)
    bar.show_view(status_bar.StatusView(login_text="Login ends in 4:41"))
    assert "Login ends in 4:41" in bar.shown_text()
