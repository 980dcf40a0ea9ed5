"""Tables that stay still: rows with an identity, batched differences, stable sort, cells painted from tokens.

    rows of a panel ──► TableModel.show(rows) ──► only the cells that differ are announced
                                              └─► selection, scroll and sort survive, since rows are known by key

Columns never change their width on updates. Sorting waits while the mouse is down.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import (
    QAbstractTableModel,
    QEvent,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    Qt,
    Signal,
)
from PySide6.QtGui import (
    QFocusEvent,
    QGuiApplication,
    QHideEvent,
    QKeyEvent,
    QKeySequence,
    QMouseEvent,
    QPainter,
    QResizeEvent,
)
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from ui.painting import CENTRE, LEFT, RIGHT, Marker, draw_elided, draw_shape, draw_swatch
from ui.theme import Theme

AnyIndex = QModelIndex | QPersistentModelIndex
_CELL_ROLE = int(Qt.ItemDataRole.UserRole) + 1
_ROW_ROLE = int(Qt.ItemDataRole.UserRole) + 2
_ALIGN = {"left": LEFT, "right": RIGHT, "centre": CENTRE}


@dataclass(frozen=True)
class Column:
    """One column: its key, what the header says, its width at scale 1 and how its cells align."""

    key: str
    title: str
    width: int
    align: str = "right"


@dataclass(frozen=True)
class Cell:
    """One cell: text, colour token, weight; optionally a shape or a state swatch before the text."""

    text: str = ""
    token: str = "text.primary"
    weight: int = 400
    shape: str = ""
    shape_token: str = ""
    swatch: Marker | None = None
    sort_key: Any = None
    lead: str = ""
    lead_token: str = "text.primary"


@dataclass(frozen=True)
class Row:
    """One row. `tone` grounds it: empty, danger, caution. `sentence` is what a screen reader says.

    bond: first, middle or last of rows that belong together, joined by a bracket in the left margin.
    """

    key: str
    cells: tuple[Cell, ...]
    tone: str = ""
    sentence: str = ""
    tip: str = ""
    is_total: bool = field(default=False)
    bond: str = ""


class TableModel(QAbstractTableModel):
    """Rows by key. `show` announces only what differs."""

    def __init__(self, columns: Sequence[Column], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self._rows: list[Row] = []
        self.sorted_by: tuple[int, Qt.SortOrder] | None = None
        self._waiting: list[Row] | None = None
        self._is_paused = False

    def show(self, rows: Sequence[Row]) -> None:
        """Take over the newest rows; while paused only the last set is kept."""
        if self._is_paused:
            self._waiting = list(rows)
            return
        wanted = self._sorted(list(rows))
        old_keys = [row.key for row in self._rows]
        new_keys = [row.key for row in wanted]
        if old_keys != new_keys:
            self._match_keys(new_keys, wanted)
        self._replace_cells(wanted)

    def pause(self, is_paused: bool) -> None:
        """Hold rows still while the mouse is down, then take over what came meanwhile."""
        self._is_paused = is_paused
        if not is_paused and self._waiting is not None:
            rows, self._waiting = self._waiting, None
            self.show(rows)

    def row_of(self, index: AnyIndex) -> Row | None:
        """The row under an index."""
        return self._rows[index.row()] if index.isValid() and index.row() < len(self._rows) else None

    def keys(self) -> list[str]:
        """Row keys from top to bottom."""
        return [row.key for row in self._rows]

    def rowCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008 -- Qt's own default
        return 0 if parent.isValid() else len(self._rows)

    def columnCount(self, parent: AnyIndex = QModelIndex()) -> int:  # noqa: B008
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: AnyIndex, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        row = self.row_of(index)
        if row is None:
            return None
        cell = row.cells[index.column()]
        if role == int(Qt.ItemDataRole.DisplayRole):
            return f"{cell.lead}{cell.text}"
        if role == _CELL_ROLE:
            return cell
        if role == _ROW_ROLE:
            return row
        if role == int(Qt.ItemDataRole.ToolTipRole):
            return row.tip or None
        if role == int(Qt.ItemDataRole.AccessibleTextRole):
            return row.sentence or None
        return None

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = int(Qt.ItemDataRole.DisplayRole)
    ) -> Any:
        if orientation != Qt.Orientation.Horizontal:
            return None
        column = self.columns[section]
        if role == int(Qt.ItemDataRole.DisplayRole):
            return column.title
        if role == int(Qt.ItemDataRole.TextAlignmentRole):
            return int(_ALIGN[column.align] | Qt.AlignmentFlag.AlignVCenter)
        return None

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Sort by a column, ties in the order the panel gave; column -1 is the panel's own order."""
        self.sorted_by = None if column < 0 else (column, order)
        self.show(list(self._rows))

    def _sorted(self, rows: list[Row]) -> list[Row]:
        if self.sorted_by is None:
            return rows
        column, order = self.sorted_by

        def key(row: Row) -> tuple[bool, Any]:
            value = row.cells[column].sort_key
            text = row.cells[column].text
            return (isinstance(value, str) or value is None, text if value is None else value)

        totals = [row for row in rows if row.is_total]
        others = [row for row in rows if not row.is_total]
        return sorted(others, key=key, reverse=order == Qt.SortOrder.DescendingOrder) + totals

    def _match_keys(self, new_keys: list[str], wanted: list[Row]) -> None:
        """Bring the key sequence to `new_keys` by removals, insertions and one reorder."""
        keep = set(new_keys)
        for position in range(len(self._rows) - 1, -1, -1):
            if self._rows[position].key not in keep:
                self.beginRemoveRows(QModelIndex(), position, position)
                del self._rows[position]
                self.endRemoveRows()
        known = {row.key for row in self._rows}
        for position, row in enumerate(wanted):
            if row.key not in known:
                place = min(position, len(self._rows))
                self.beginInsertRows(QModelIndex(), place, place)
                self._rows.insert(place, row)
                self.endInsertRows()
        if [row.key for row in self._rows] == new_keys:
            return
        self.layoutAboutToBeChanged.emit()
        place_of = {key: place for place, key in enumerate(new_keys)}
        before = self.persistentIndexList()
        keys_before = [self._rows[index.row()].key for index in before]
        self._rows.sort(key=lambda row: place_of[row.key])
        after = [self.index(place_of[key], index.column()) for key, index in zip(keys_before, before, strict=True)]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()

    def _replace_cells(self, wanted: list[Row]) -> None:
        for place, row in enumerate(wanted):
            old = self._rows[place]
            if old == row:
                continue
            changed = [column for column, cell in enumerate(row.cells) if cell != old.cells[column]]
            self._rows[place] = row
            if changed and old.tone == row.tone:
                self.dataChanged.emit(self.index(place, changed[0]), self.index(place, changed[-1]))
            else:
                self.dataChanged.emit(self.index(place, 0), self.index(place, len(self.columns) - 1))


class CellDelegate(QStyledItemDelegate):
    """Paints cells from tokens, so that a selected row keeps its role colours."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: AnyIndex) -> None:
        cell: Cell | None = index.data(_CELL_ROLE)
        row: Row | None = index.data(_ROW_ROLE)
        if cell is None or row is None:
            return
        theme = self._theme
        state, rect, view = _option_parts(option)
        is_selected = bool(state & QStyle.StateFlag.State_Selected)
        is_hovered = isinstance(view, RowTable) and view.hovered_row == index.row()
        ground = {"danger": "status.danger_tint", "caution": "status.caution_tint"}.get(row.tone, "")
        ground = ground or ("surface.selected" if is_selected else "surface.hover" if is_hovered else "")
        if not ground and row.is_total:
            ground = "surface.header"
        painter.save()
        if ground:
            painter.fillRect(rect, theme.color(ground))
        painter.fillRect(QRect(rect.left(), rect.bottom(), rect.width(), 1), theme.color("line.hair"))
        if row.bond and index.column() == 0:
            self._paint_bond(painter, rect, row.bond)
        inner = QRectF(rect).adjusted(6, 0, -6, 0)
        painter.setClipRect(QRectF(rect))
        inner = self._paint_marks(painter, inner, cell)
        token = cell.token
        if is_selected and token == "text.muted":
            token = "text.secondary"
        align = _ALIGN[self._column(index).align]
        if cell.lead:
            lead_font = theme.font("body", weight=600)
            draw_elided(painter, inner, cell.lead, lead_font, theme.color(cell.lead_token), align)
            inner.setLeft(inner.left() + theme.metrics("body", weight=600).horizontalAdvance(cell.lead))
        font = theme.font("body", weight=cell.weight)
        draw_elided(painter, inner, cell.text, font, theme.color(token), align)
        painter.restore()

    def _paint_bond(self, painter: QPainter, rect: QRect, bond: str) -> None:
        color, middle = self._theme.color("text.secondary"), rect.center().y()
        top = middle if bond == "first" else rect.top()
        bottom = middle if bond == "last" else rect.bottom()
        painter.fillRect(QRect(rect.left() + 2, top, 1, bottom - top + 1), color)
        if bond != "middle":
            painter.fillRect(QRect(rect.left() + 2, middle, 3, 1), color)

    def _paint_marks(self, painter: QPainter, inner: QRectF, cell: Cell) -> QRectF:
        """Swatch or shape before the text; returns what is left for the text."""
        top = inner.top() + round((inner.height() - 10) / 2)
        if cell.swatch is not None:
            draw_swatch(painter, QRectF(inner.left(), top, 16, 10), cell.swatch, self._theme)
            return inner.adjusted(24, 0, 0, 0)
        if cell.shape:
            left = inner.left() if cell.text else inner.center().x() - 5
            draw_shape(
                painter, QRectF(left, top, 10, 10), cell.shape, self._theme.color(cell.shape_token or cell.token)
            )
            return inner.adjusted(15, 0, 0, 0)
        return inner

    @staticmethod
    def _column(index: AnyIndex) -> Column:
        model = index.model()
        assert isinstance(model, TableModel), "this delegate serves our own model only"
        return model.columns[index.column()]


def _option_parts(option: QStyleOptionViewItem) -> tuple[QStyle.StateFlag, QRect, QWidget | None]:
    # The shipped stubs leave the fields of style options out.
    parts: Any = option
    return parts.state, parts.rect, parts.widget


class RowTable(QTableView):
    """A table of whole rows. Keys and menus of a row leave as signals with the row's key."""

    row_chosen = Signal(str)
    row_opened = Signal(str)
    delete_pressed = Signal(str)
    menu_requested = Signal(str, QPoint)

    def __init__(self, columns: Sequence[Column], theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = TableModel(columns, self)
        self.hovered_row = -1
        self._columns = list(columns)
        self._give_way: tuple[str, ...] = ()
        self._left_out: set[str] = set()
        self.setModel(self.rows)
        self.setItemDelegate(CellDelegate(theme, self))
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setMouseTracking(True)
        self.setTabKeyNavigation(False)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._on_menu)
        self.doubleClicked.connect(self._on_double_clicked)
        self.verticalHeader().hide()
        self.verticalHeader().setDefaultSectionSize(theme.measure("size.row.normal"))
        self.verticalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        self._set_up_header(theme, columns)
        theme.changed.connect(self.viewport().update)

    def let_give_way(self, *keys: str) -> None:
        """Columns that a narrow table leaves out, the first to go first; the others are scrolled to at worst."""
        self._give_way = keys
        self._fit()

    def leave_out(self, *keys: str) -> None:
        """Columns that say nothing just now, such as the account where there is one."""
        if set(keys) != self._left_out:
            self._left_out = set(keys)
            self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        width_of = {column.key: column.width for column in self._columns}
        hidden = set(self._left_out)
        for key in self._give_way:
            if sum(width for name, width in width_of.items() if name not in hidden) <= self.viewport().width():
                break
            hidden.add(key)
        for place, column in enumerate(self._columns):
            if self.isColumnHidden(place) != (column.key in hidden):
                self.setColumnHidden(place, column.key in hidden)

    def selected_key(self) -> str:
        """Key of the selected row, or empty."""
        selection = self.selectionModel()
        indexes = selection.selectedRows() if selection else []
        row = self.rows.row_of(indexes[0]) if indexes else None
        return row.key if row else ""

    def select_key(self, key: str) -> None:
        """Select the row of a key, if it is there."""
        keys = self.rows.keys()
        if key in keys:
            self.selectRow(keys.index(key))

    def mousePressEvent(self, event: QMouseEvent) -> None:
        # The right button opens a menu, which takes its release: rows that wait for that would be old for ever.
        self.rows.pause(event.button() == Qt.MouseButton.LeftButton)
        super().mousePressEvent(event)
        self.row_chosen.emit(self.selected_key())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        self.rows.pause(False)

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.rows.pause(False)

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self.rows.pause(False)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        super().mouseMoveEvent(event)
        self._hover(self.rowAt(round(event.position().y())))

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self._hover(-1)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key = self.selected_key()
        if event.matches(QKeySequence.StandardKey.Copy):
            self._copy_row()
        elif key and event.key() == Qt.Key.Key_Delete and not event.isAutoRepeat():
            self.delete_pressed.emit(key)
        elif key and event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.isAutoRepeat():
            self.row_opened.emit(key)
        else:
            super().keyPressEvent(event)
            self.row_chosen.emit(self.selected_key())

    def _set_up_header(self, theme: Theme, columns: Sequence[Column]) -> None:
        header = self.horizontalHeader()
        header.setFixedHeight(theme.measure("size.row.header"))
        header.setHighlightSections(False)
        header.setSectionsMovable(True)
        header.setStretchLastSection(True)
        header.setMinimumSectionSize(24)
        for number, column in enumerate(columns):
            header.resizeSection(number, column.width)
        header.setSortIndicatorShown(False)
        header.setSectionsClickable(True)
        header.sectionClicked.connect(self._on_header_clicked)

    def _hover(self, row: int) -> None:
        if row != self.hovered_row:
            self.hovered_row = row
            self.viewport().update()

    def _copy_row(self) -> None:
        row = self.rows.row_of(self.currentIndex())
        if row is not None:
            QGuiApplication.clipboard().setText("\t".join(f"{cell.lead}{cell.text}" for cell in row.cells))

    def _on_header_clicked(self, section: int) -> None:
        order = Qt.SortOrder.AscendingOrder
        if self.rows.sorted_by == (section, Qt.SortOrder.AscendingOrder):
            order = Qt.SortOrder.DescendingOrder
        elif self.rows.sorted_by == (section, Qt.SortOrder.DescendingOrder):
            self.rows.sort(-1)
            return
        self.rows.sort(section, order)

    def _on_menu(self, position: QPoint) -> None:
        row = self.rows.row_of(self.indexAt(position))
        if row is not None:
            self.menu_requested.emit(row.key, self.viewport().mapToGlobal(position))

    def _on_double_clicked(self, index: QModelIndex) -> None:
        row = self.rows.row_of(index)
        if row is not None:
            self.row_opened.emit(row.key)
