"""Tables: identity of rows, only differences announced, stable sort."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QEvent, QPersistentModelIndex, Qt
from PySide6.QtGui import QFocusEvent
from PySide6.QtWidgets import QApplication

from ui.tables import Cell, Column, Row, RowTable, TableModel
from ui.theme import Theme

COLUMNS = (Column("name", "Name", 60, "left"), Column("size", "Size", 40))


def row(key: str, size: int = 1) -> Row:
    return Row(key, (Cell(key), Cell(str(size), sort_key=size)))


@pytest.fixture
def model(qapp: Any) -> Any:
    return TableModel(COLUMNS)


def test_only_the_cell_that_differs_is_announced(model: Any) -> None:
    model.show([row("a", 1), row("b", 2)])
    changes = []
    model.dataChanged.connect(
        lambda first, last, *_: changes.append((first.row(), first.column(), last.row(), last.column()))
    )
    model.show([row("a", 1), row("b", 3)])
    assert changes == [(1, 1, 1, 1)]


def test_the_same_rows_again_announce_nothing(model: Any) -> None:
    model.show([row("a"), row("b")])
    seen = []
    model.dataChanged.connect(lambda *_: seen.append("data"))
    model.layoutChanged.connect(lambda *_: seen.append("layout"))
    model.show([row("a"), row("b")])
    assert seen == []


@given(
    st.lists(
        st.permutations(list("abcdef")).flatmap(lambda keys: st.integers(0, 6).map(lambda n: keys[:n])), max_size=6
    )
)
def test_any_sequence_of_row_sets_ends_with_exactly_the_last_one(sequences: Any) -> None:
    model = TableModel(COLUMNS)
    for keys in sequences:
        model.show([row(key) for key in keys])
        assert model.keys() == list(keys)


def test_a_persistent_index_follows_its_row_through_a_reorder(model: Any) -> None:
    model.show([row("a"), row("b"), row("c")])
    index = QPersistentModelIndex(model.index(1, 0))
    model.show([row("c"), row("new"), row("a"), row("b")])
    assert model.keys()[index.row()] == "b"


def test_sorting_keeps_ties_in_the_panels_order(model: Any) -> None:
    model.show([row("x", 2), row("y", 1), row("z", 2), row("w", 1)])
    model.sort(1, Qt.SortOrder.AscendingOrder)
    assert model.keys() == ["y", "w", "x", "z"]


def test_rows_hold_still_while_paused_and_then_catch_up(model: Any) -> None:
    model.show([row("a", 1)])
    model.pause(True)
    model.show([row("a", 2)])
    model.show([row("a", 3), row("b", 1)])
    assert model.keys() == ["a"]
    model.pause(False)
    assert model.keys() == ["a", "b"]
    assert model.data(model.index(0, 1)) == "3"


def test_the_total_stays_last_whatever_the_sort(model: Any) -> None:
    total = Row("total", (Cell("Total"), Cell("9", sort_key=9)), is_total=True)
    model.show([row("b", 2), row("a", 1), total])
    model.sort(0, Qt.SortOrder.DescendingOrder)
    assert model.keys() == ["b", "a", "total"]


def test_selection_follows_the_row_not_the_place(qtbot: Any) -> None:
    table = RowTable(COLUMNS, Theme())
    qtbot.addWidget(table)
    table.rows.show([row("a"), row("b")])
    table.select_key("b")
    table.rows.show([row("new"), row("b"), row("a")])
    assert table.selected_key() == "b"
    table.rows.show([row("new"), row("a")])
    assert table.selected_key() != "b"


def test_delete_asks_for_the_selected_row_once(qtbot: Any) -> None:
    table = RowTable(COLUMNS, Theme())
    qtbot.addWidget(table)
    table.rows.show([row("a"), row("b")])
    table.select_key("b")
    with qtbot.waitSignal(table.delete_pressed) as asked:
        qtbot.keyClick(table, Qt.Key.Key_Delete)
    assert asked.args == ["b"]


def test_columns_keep_their_width_when_long_text_arrives(qtbot: Any) -> None:
    table = RowTable(COLUMNS, Theme())
    qtbot.addWidget(table)
    before = table.columnWidth(0)
    table.rows.show([row("a name far too long for its column, " * 5)])
    assert table.columnWidth(0) == before


def test_a_table_never_stays_behind_after_its_menu_or_a_lost_release(qtbot: Any) -> None:
    table = RowTable(COLUMNS, Theme())
    qtbot.addWidget(table)
    table.show()
    table.rows.show([row("a", 1)])
    place = table.visualRect(table.rows.index(0, 0)).center()
    # A menu over the table takes the release of the right button.
    qtbot.mousePress(table.viewport(), Qt.MouseButton.RightButton, pos=place)
    table.rows.show([row("a", 2)])
    assert table.rows.index(0, 1).data() == "2"
    # Whatever takes the keyboard away while the left one is down may take its release as well.
    qtbot.mousePress(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    table.rows.show([row("a", 3)])
    assert table.rows.index(0, 1).data() == "2", "rows hold still under a pressed button"
    QApplication.sendEvent(table, QFocusEvent(QEvent.Type.FocusOut, Qt.FocusReason.PopupFocusReason))
    assert table.rows.index(0, 1).data() == "3"
