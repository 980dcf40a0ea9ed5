"""The window: top bar, docks, status bar, layout kept between starts.

    +------------------ top bar 40: mark, menus, contract | account, day result, Lock all, Flatten all -----------+
    | chart            | ladder                                   | ticket                                        |
    |------------------+----------------------+                   |                                               |
    | positions, fills, messages              | orders            |                                               |
    +------------------ status bar 24 ---------------------------------------------------------------------------+

The window holds no service: what a person asks for leaves as signals, what is true comes in through `show_*`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QByteArray, QEvent, QPoint, QRect, QRectF, QSettings, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QCloseEvent, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import (
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QLayout,
    QMainWindow,
    QMenu,
    QMenuBar,
    QPushButton,
    QSizePolicy,
    QStackedWidget,
    QTabBar,
    QTabWidget,
    QToolBar,
    QWidget,
)

from ui import formatting
from ui.commands import CommandTable
from ui.controls import FocusRing, HoldButton, PaintedButton, PanelFrame, caption, paint_account_frame
from ui.painting import AccountView, draw_runs, draw_shape, draw_text, icon, icon_pixmap
from ui.status_bar import StatusBar
from ui.theme import PAIRS, Theme

if TYPE_CHECKING:
    from app.domain import Contract

LAYOUT_VERSION = 3
_RISK_HEIGHT = 286
# A lower window holds the ticket alone; account and risk is a tab behind it.
_RISK_FITS_FROM = 1040
_GAP = 4


class MainWindow(QMainWindow):
    """Top bar, docks and status bar. `close_requested` asks the owner to shut down; `close_for_real` then closes."""

    first_painted = Signal()
    close_requested = Signal()
    command_invoked = Signal(str)
    account_chosen = Signal(object)
    contract_chosen = Signal(str)
    lock_requested = Signal(bool)
    flatten_all_requested = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self.theme = theme
        self._may_close = False
        self._is_painted = False
        self._docks: dict[str, QDockWidget] = {}
        self.setWindowTitle("Pitdesk")
        self.setDockOptions(QMainWindow.DockOption.AllowNestedDocks | QMainWindow.DockOption.AllowTabbedDocks)
        self.setTabPosition(Qt.DockWidgetArea.AllDockWidgetAreas, QTabWidget.TabPosition.North)
        self.setContentsMargins(0, 0, 0, 0)
        self.commands = CommandTable(self)
        self.commands.invoked.connect(self.command_invoked)
        self.top_bar = TopBar(theme, self.commands, self)
        self.top_bar.account_chosen.connect(self.account_chosen)
        self.top_bar.contract_chosen.connect(self.contract_chosen)
        self.top_bar.lock_requested.connect(self.lock_requested)
        self.top_bar.flatten_button.confirmed.connect(self.flatten_all_requested)
        self.setMenuWidget(self.top_bar)
        self._add_margins()
        self.status = StatusBar(theme, self)
        self.setStatusBar(self.status)
        self.focus_ring = FocusRing(theme, self)
        self.resize(1600, 950)

    def add_trading_panel(self, name: str, title: str, panel: PanelFrame) -> None:
        """Dock a panel that carries an account frame; its header becomes the dock's title bar."""
        self._add_dock(name, title, panel, panel.detach_header())

    def add_plain_panel(self, name: str, title: str, tabs: TabbedPanel) -> None:
        """Dock a panel with tabs and actions in its title bar and no account frame."""
        self._add_dock(name, title, tabs.pages, tabs.header)

    def arrange(self) -> None:
        """The standard workspace."""
        docks = self._docks
        for dock in docks.values():
            self.removeDockWidget(dock)
            dock.setFloating(False)
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, docks["chart"])
        self.splitDockWidget(docks["chart"], docks["ticket"], Qt.Orientation.Horizontal)
        self.splitDockWidget(docks["chart"], docks["positions"], Qt.Orientation.Vertical)
        self.splitDockWidget(docks["chart"], docks["ladder"], Qt.Orientation.Horizontal)
        self.splitDockWidget(docks["positions"], docks["orders"], Qt.Orientation.Horizontal)
        if self.height() >= _RISK_FITS_FROM:
            self.splitDockWidget(docks["ticket"], docks["risk"], Qt.Orientation.Vertical)
        else:
            self.tabifyDockWidget(docks["ticket"], docks["risk"])
        for dock in docks.values():
            dock.show()
        docks["ticket"].raise_()
        self._resize_standard()

    def fill_screen(self) -> None:
        """Take the whole screen, as a first start does; the standard workspace in it."""
        screen = self.screen()
        if screen is not None:
            self.setGeometry(screen.availableGeometry())
        self.setWindowState(self.windowState() | Qt.WindowState.WindowMaximized)
        self.arrange()

    def dock(self, name: str) -> QDockWidget:
        """The dock of a panel."""
        return self._docks[name]

    def is_panel_visible(self, name: str) -> bool:
        """False for a panel that is closed or lies behind a tab; such a panel gets no frames."""
        return not self._docks[name].visibleRegion().isEmpty()

    def fill_view_menu(self, menu: QMenu) -> None:
        """Add the panels' own show and hide entries."""
        menu.addSeparator()
        for dock in self._docks.values():
            menu.addAction(dock.toggleViewAction())

    def save_layout(self, file: Path) -> None:
        """Write geometry, docks and colour pair; the theme is an option and lives in the options file."""
        settings = QSettings(str(file), QSettings.Format.IniFormat)
        settings.setValue("version", LAYOUT_VERSION)
        settings.setValue("geometry", self.saveGeometry())
        settings.setValue("docks", self.saveState(LAYOUT_VERSION))
        settings.setValue("pair", self.theme.pair)
        settings.sync()

    def restore_layout(self, file: Path) -> bool:
        """Take over a saved layout; False leaves the standard one. A broken file is renamed aside."""
        if not file.exists():
            return False
        settings = QSettings(str(file), QSettings.Format.IniFormat)
        geometry, docks = settings.value("geometry"), settings.value("docks")
        version = str(settings.value("version", ""))
        is_broken = settings.status() != QSettings.Status.NoError
        if is_broken or not isinstance(geometry, QByteArray) or not isinstance(docks, QByteArray):
            del settings
            _move_aside(file)
            return False
        if version != str(LAYOUT_VERSION):
            return False
        pair = str(settings.value("pair", self.theme.pair))
        if pair in PAIRS:
            self.theme.choose(self.theme.name, pair)
        self.restoreGeometry(geometry)
        return self.restoreState(docks, LAYOUT_VERSION)

    def close_for_real(self) -> None:
        """Close without asking; the last act of the shutdown."""
        self._may_close = True
        self.close()

    def paintEvent(self, event: QPaintEvent) -> None:
        super().paintEvent(event)
        if not self._is_painted:
            self._is_painted = True
            # Behind the children, which paint after their parent; and never for a window that is gone by then.
            QTimer.singleShot(0, self, self._on_painted)

    def _on_painted(self) -> None:
        self.first_painted.emit()

    def closeEvent(self, event: QCloseEvent) -> None:
        if self._may_close:
            event.accept()
            return
        event.ignore()
        self.close_requested.emit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() == QEvent.Type.ActivationChange:
            self.update()

    def _add_margins(self) -> None:
        """4 px of window ground around the docks: empty tool bars, since docks know no margin of their own."""
        for area in (
            Qt.ToolBarArea.TopToolBarArea,
            Qt.ToolBarArea.BottomToolBarArea,
            Qt.ToolBarArea.LeftToolBarArea,
            Qt.ToolBarArea.RightToolBarArea,
        ):
            margin = QToolBar(self)
            margin.setObjectName(f"margin {area.name}")
            margin.setMovable(False)
            margin.toggleViewAction().setVisible(False)
            margin.setProperty("role", "margin")
            if area in {Qt.ToolBarArea.TopToolBarArea, Qt.ToolBarArea.BottomToolBarArea}:
                margin.setFixedHeight(_GAP)
            else:
                margin.setFixedWidth(_GAP)
            self.addToolBar(area, margin)

    def _add_dock(self, name: str, title: str, body: QWidget, header: QWidget) -> None:
        dock = QDockWidget(title, self)
        dock.setObjectName(name)
        dock.setTitleBarWidget(header)
        dock.setWidget(body)
        dock.setFeatures(
            QDockWidget.DockWidgetFeature.DockWidgetClosable
            | QDockWidget.DockWidgetFeature.DockWidgetMovable
            | QDockWidget.DockWidgetFeature.DockWidgetFloatable
        )
        self._docks[name] = dock

    def _resize_standard(self) -> None:
        docks = self._docks
        width, height = self.width() - 2 * _GAP, self.height() - 64 - 2 * _GAP
        ladder = 482
        ticket = 304
        chart = max(360, width - ladder - ticket - 2 * _GAP)
        lower = 244 if height > 800 else 200
        self.resizeDocks(
            [docks["chart"], docks["ladder"], docks["ticket"]], [chart, ladder, ticket], Qt.Orientation.Horizontal
        )
        both = chart + ladder
        # The orders keep their distance to the market, the positions what protects them.
        positions = max(554, min(round(both * 0.58), both - 408))
        sizes = [positions, both - positions]
        self.resizeDocks([docks["positions"], docks["orders"]], sizes, Qt.Orientation.Horizontal)
        self.resizeDocks([docks["chart"], docks["positions"]], [height - lower, lower], Qt.Orientation.Vertical)
        self.resizeDocks(
            [docks["ticket"], docks["risk"]], [height - _RISK_HEIGHT, _RISK_HEIGHT], Qt.Orientation.Vertical
        )


def _account_words(account: AccountView) -> str:
    """An account in a menu: two of one kind and size are told apart by id and balance."""
    words = (account.word, account.nickname, formatting.masked_id(account.id_text))
    return "  ".join((*words, formatting.balance_text(account.balance_1e4)))


def _move_aside(file: Path) -> None:
    for number in range(1, 100):
        target = file.with_suffix(f".broken-{number}")
        if not target.exists():
            with contextlib.suppress(OSError):
                file.rename(target)
            return


@dataclass(frozen=True)
class DayResult:
    """Net of the day over the chosen account."""

    net_1e4: int
    is_stale: bool = False


class TopBar(QWidget):
    """40 px: mark, name, menus, contract; account, day result, Lock all, Flatten all, which is always the last."""

    account_chosen = Signal(object)
    contract_chosen = Signal(str)
    lock_requested = Signal(bool)

    def __init__(self, theme: Theme, commands: CommandTable, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setFixedHeight(theme.measure("size.top_bar"))
        row = QHBoxLayout(self)
        row.setContentsMargins(108, 0, 6, 0)
        row.setSpacing(8)
        self.menu_bar = QMenuBar(self)
        self.menu_bar.setNativeMenuBar(False)
        self.menu_bar.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Preferred)
        self.menus = commands.fill(self.menu_bar)
        self.contract_button = MenuButton(theme, self)
        self.account_button = AccountButton(theme, self)
        self.day_result = DayResultLabel(theme, self)
        self.lock_button = QPushButton("Lock all", self)
        self.lock_button.setCheckable(True)
        self.lock_button.setFixedHeight(28)
        self.lock_button.clicked.connect(self.lock_requested)
        self.flatten_button = HoldButton(theme, "Flatten all", role="danger", icon="flatten", parent=self)
        self.flatten_button.setFixedHeight(28)
        row.addWidget(self.menu_bar, 0, Qt.AlignmentFlag.AlignVCenter)
        row.addWidget(self.contract_button)
        row.addStretch(1)
        for widget in (self.account_button, self.day_result, self.lock_button, self.flatten_button):
            row.addWidget(widget)
        self.contract_button.chosen.connect(self.contract_chosen)
        self.account_button.chosen.connect(self._on_account)
        theme.changed.connect(self._on_theme)
        self._on_theme()

    def show_account(self, chosen: AccountView | None, accounts: Sequence[AccountView]) -> None:
        """The chosen account and what may be chosen."""
        self.account_button.account = chosen
        self.account_button.show_entries(
            chosen.nickname if chosen else "Choose account",
            [(str(account.account_id), _account_words(account)) for account in accounts],
        )

    def show_contract(self, chosen: Contract | None, contracts: Sequence[Contract]) -> None:
        """The chosen contract and the known ones."""
        self.contract_button.show_entries(
            chosen.name if chosen else "Choose contract",
            [(contract.id, f"{contract.name}   {contract.description}") for contract in contracts],
        )

    def show_lock(self, is_locked: bool) -> None:
        """Reflect the lock."""
        self.lock_button.setChecked(is_locked)
        self.lock_button.setText("Locked" if is_locked else "Lock all")
        self._on_theme()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._theme
        painter.fillRect(self.rect(), theme.color("surface.header"))
        painter.fillRect(0, self.height() - 1, self.width(), 1, theme.color("line.border"))
        painter.drawPixmap(
            QPoint(10, 9), icon_pixmap("mark", theme.color("text.primary"), 22, self.devicePixelRatioF())
        )
        draw_text(painter, QRectF(40, 0, 80, 39), "Pitdesk", theme.font("title"), theme.color("text.primary"))

    def _on_account(self, key: str) -> None:
        self.account_chosen.emit(int(key))

    def _on_theme(self) -> None:
        token = "action.on_fill" if self.lock_button.isChecked() else "text.primary"
        self.lock_button.setIcon(icon("lock", self._theme, token, 16))
        self.update()


class MenuButton(PaintedButton):
    """A button that opens a menu of entries by key; 28 px high."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self._menu = QMenu(self)
        self._entries: list[tuple[str, str]] = []
        self.setFixedHeight(28)
        self.clicked.connect(self._on_clicked)

    def show_entries(self, text: str, entries: list[tuple[str, str]]) -> None:
        """The text of the button and (key, words) of the menu."""
        if entries != self._entries:
            self._entries = entries
            self._menu.clear()
            for key, words in entries:
                action = QAction(words, self._menu)
                action.setObjectName(key)
                action.triggered.connect(self._on_entry)
                self._menu.addAction(action)
        if text != self.text():
            self.setText(text)
            self.setAccessibleName(text)
            self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(round(self._theme.metrics("body_em").horizontalAdvance(self.text())) + 42, 28)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        rect = self.box(painter, "surface.hover" if self.is_hovered else "surface.raised", "line.border")
        draw_text(
            painter,
            rect.adjusted(12, 0, 0, 0),
            self.text(),
            self._theme.font("body_em"),
            self._theme.color("text.primary"),
        )
        self.paint_chevron(painter)

    def paint_chevron(self, painter: QPainter) -> None:
        """The arrow at the right end."""
        pixmap = icon_pixmap("chevron", self._theme.color("text.secondary"), 12, self.devicePixelRatioF())
        painter.drawPixmap(QPoint(self.width() - 22, 8), pixmap)

    def _on_clicked(self) -> None:
        if self._entries:
            self._menu.popup(self.mapToGlobal(QPoint(0, self.height() + 2)))

    def _on_entry(self) -> None:
        action = self.sender()
        if action is not None:
            self.chosen.emit(action.objectName())


class AccountButton(MenuButton):
    """The account in its tint and frame; choosing another one disarms every panel."""

    account: AccountView | None = None

    def sizeHint(self) -> QSize:
        word = self.account.word if self.account else ""
        width = self._theme.metrics("caption", weight=700).horizontalAdvance(word)
        width += self._theme.metrics("body_em").horizontalAdvance(self.text())
        return QSize(round(width) + (72 if word else 42), 28)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme, account = self._theme, self.account
        if account is None:
            super().paintEvent(_event)
            return
        look = theme.kind(account.kind)
        rect = QRectF(self.rect())
        painter.fillRect(rect, look.tint)
        paint_account_frame(painter, rect, theme, account.kind)
        draw_shape(painter, QRectF(12, 9, 10, 10), look.shape, look.text)
        draw_runs(
            painter,
            28,
            rect,
            [
                (account.word, theme.font("caption", weight=700), look.text),
                (f"  {account.nickname}", theme.font("body_em"), theme.color("text.primary")),
            ],
        )
        self.paint_chevron(painter)
        self.paint_focus(painter)


class DayResultLabel(QWidget):
    """The day's net: micro label above, figure below."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._result = DayResult(0)
        self.setFixedSize(112, 36)
        theme.changed.connect(self.update)

    def show_result(self, result: DayResult) -> None:
        """Repaints only on a difference."""
        if result != self._result:
            self._result = result
            self.setAccessibleName(f"Day, net {formatting.signed_money(result.net_1e4)}")
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme, result = self._theme, self._result
        sign = (result.net_1e4 > 0) - (result.net_1e4 < 0)
        color = theme.color("text.muted") if result.is_stale else theme.outcome(sign)
        text = ("~ " if result.is_stale else "") + formatting.result_text(result.net_1e4)
        draw_text(
            painter,
            QRectF(0, 3, 108, 13),
            "Day, net",
            theme.font("micro"),
            theme.color("text.muted"),
            Qt.AlignmentFlag.AlignRight,
        )
        draw_text(painter, QRectF(0, 16, 108, 17), text, theme.font("title"), color, Qt.AlignmentFlag.AlignRight)


class TabbedPanel(QWidget):
    """Pages behind tabs that stand in the dock's title bar, with actions of the shown page at the right."""

    page_shown = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._names: list[str] = []
        self._titles: list[str] = []
        self._actions: dict[str, QWidget] = {}
        self._pages_of: dict[str, QWidget] = {}
        self.pages = QStackedWidget(self)
        self.pages.setObjectName("pages")
        self.header = _HeaderStrip(theme, self)
        self.tabs = QTabBar(self.header)
        self.tabs.setDrawBase(False)
        self.tabs.setExpanding(False)
        self.tabs.setUsesScrollButtons(False)
        self.tabs.setFixedHeight(27)
        self._row = QHBoxLayout(self.header)
        self._row.setContentsMargins(4, 0, 6, 1)
        self._row.setSizeConstraint(QLayout.SizeConstraint.SetNoConstraint)
        self._row.setSpacing(4)
        self._row.addWidget(self.tabs)
        self._row.addStretch(1)
        self.tabs.currentChanged.connect(self._on_tab)

    def add_page(self, name: str, title: str, page: QWidget, actions: QWidget | None = None) -> None:
        """Add a page; several tabs may share one page widget."""
        self._names.append(name)
        self._titles.append(title)
        if self.pages.indexOf(page) < 0:
            self.pages.addWidget(page)
        if actions is not None and actions not in self._actions.values():
            self._row.addWidget(actions)
        if actions is not None:
            self._actions[name] = actions
        self._pages_of[name] = page
        self.tabs.addTab(title)
        if len(self._names) == 1:
            self._on_tab(0)

    def show_count(self, name: str, count: int) -> None:
        """Put a count behind a tab's title; zero leaves it off."""
        place = self._names.index(name)
        chip = self.tabs.tabButton(place, QTabBar.ButtonPosition.RightSide)
        if not count:
            if chip is not None:
                self.tabs.setTabButton(place, QTabBar.ButtonPosition.RightSide, None)
                chip.deleteLater()
            return
        if not isinstance(chip, QLabel):
            chip = caption("", self.tabs, "chip")
            self.tabs.setTabButton(place, QTabBar.ButtonPosition.RightSide, chip)
        if chip.text() != str(count):
            chip.setText(str(count))
            chip.adjustSize()
            self.tabs.setTabText(place, self._titles[place])

    def show_page(self, name: str) -> None:
        """Bring a tab to the front."""
        self.tabs.setCurrentIndex(self._names.index(name))

    @property
    def current(self) -> str:
        """Name of the shown tab."""
        return self._names[self.tabs.currentIndex()] if self._names else ""

    def _on_tab(self, place: int) -> None:
        if not 0 <= place < len(self._names):
            return
        name = self._names[place]
        self.pages.setCurrentWidget(self._pages_of[name])
        shown = self._actions.get(name)
        for actions in self._actions.values():
            actions.setVisible(actions is shown)
        self.page_shown.emit(name)


class _HeaderStrip(QWidget):
    """Ground of a plain panel's title bar, 28 px."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.setFixedHeight(theme.measure("size.panel_header"))
        theme.changed.connect(self.update)

    def minimumSizeHint(self) -> QSize:
        # A count that appears in a tab must not widen the dock.
        return QSize(240, self.height())

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), self._theme.color("surface.header"))
        line = self._theme.color("line.border")
        for edge in (
            QRect(0, self.height() - 1, self.width(), 1),
            QRect(0, 0, self.width(), 1),
            QRect(0, 0, 1, self.height()),
            QRect(self.width() - 1, 0, 1, self.height()),
        ):
            painter.fillRect(edge, line)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        event.ignore()
