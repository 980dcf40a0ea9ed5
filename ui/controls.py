"""Painted controls that every trading surface shares: frame, header, account bar, arm switch, send and hold buttons.

A style sheet cannot hold two text sizes in one button, dashes or a hatch; these paint themselves from the tokens.
"""

from __future__ import annotations

from abc import abstractmethod

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QEnterEvent, QFocusEvent, QGuiApplication, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ui.formatting import masked_id
from ui.painting import (
    CENTRE,
    RIGHT,
    AccountView,
    PanelContext,
    dash_pen,
    draw_elided,
    draw_runs,
    draw_shape,
    draw_text,
    hatch_brush,
    icon_pixmap,
)
from ui.theme import Theme

_KEYBOARD_REASONS = (
    Qt.FocusReason.TabFocusReason,
    Qt.FocusReason.BacktabFocusReason,
    Qt.FocusReason.ShortcutFocusReason,
)


class PanelFrame(QWidget):
    """A trading panel: account frame around header, account bar and body.

    Five frame styles by account kind; the contents are inset by the frame's width, so nothing moves when the kind
    changes between styles of one width.
    """

    def __init__(self, context: PanelContext, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.context = context
        self.header = PanelHeader(context, title, self)
        self.account_bar = AccountBar(context, self)
        self._column = QVBoxLayout(self)
        self._column.setSpacing(0)
        self._column.addWidget(self.header)
        self._column.addWidget(self.account_bar)
        self._inset()
        context.changed.connect(self._on_context_changed)
        context.theme.changed.connect(self._on_context_changed)

    def detach_header(self) -> PanelHeader:
        """Give the header away as a dock's title bar; frame and header then paint their own edges of one frame."""
        self._column.removeWidget(self.header)
        self.header.is_detached = True
        self._inset()
        return self.header

    def set_body(self, body: QWidget) -> None:
        """Put the panel's own widget under the account bar; it takes all the space left."""
        self._column.addWidget(body, 1)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self.context.theme
        painter.fillRect(self.rect(), theme.color("surface.panel"))
        account = self.context.account
        if account is None:
            painter.setPen(theme.color("line.border"))
            painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
            return
        cut = 12 if self.header.is_detached else 0
        paint_account_frame(painter, QRectF(self.rect()).adjusted(0, -cut, 0, 0), theme, account.kind)

    def _inset(self) -> None:
        width = frame_width(self.context)
        self._column.setContentsMargins(width, 0 if self.header.is_detached else width, width, width)
        self.header.inset()

    def _on_context_changed(self) -> None:
        self._inset()
        self.update()


def frame_width(context: PanelContext) -> int:
    """Width of the account frame around a surface, which insets its contents."""
    style = context.theme.kind(context.account.kind).frame_style if context.account else "none"
    return {"double": 4, "stripes": 3}.get(style, 2)


def paint_account_frame(painter: QPainter, rect: QRectF, theme: Theme, kind: str) -> None:
    """The frame of an account kind along the inside of `rect`: dash, solid, double or stripes."""
    look = theme.kind(kind)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    if look.frame_style == "dash":
        painter.setPen(dash_pen(look.frame, [3, 2], 2))
        painter.drawRect(rect.adjusted(1, 1, -1, -1))
    elif look.frame_style == "stripes":
        ratio = painter.device().devicePixelRatio()
        brush = hatch_brush(look.frame, period=8, stripe=4, device_ratio=ratio)
        for edge in (
            QRectF(rect.left(), rect.top(), rect.width(), 3),
            QRectF(rect.left(), rect.bottom() - 3, rect.width(), 3),
            QRectF(rect.left(), rect.top(), 3, rect.height()),
            QRectF(rect.right() - 3, rect.top(), 3, rect.height()),
        ):
            painter.fillRect(edge, brush)
    else:
        pen = QPen(look.frame, 2)
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        painter.setPen(pen)
        painter.drawRect(rect.adjusted(1, 1, -1, -1))
        if look.frame_style == "double":
            painter.setPen(QPen(look.frame, 1))
            painter.drawRect(rect.adjusted(3.5, 3.5, -3.5, -3.5))


class PanelHeader(QWidget):
    """28 px: symbol and name at the left, the panel's own controls, the arm switch at the right."""

    arm_requested = Signal(bool)

    def __init__(self, context: PanelContext, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._title = title
        self.is_detached = False
        self.row = QHBoxLayout(self)
        self.row.setSpacing(6)
        self.row.addStretch(1)
        self.arm_switch = ArmSwitch(context, self)
        self.arm_switch.arm_requested.connect(self.arm_requested)
        self.row.addWidget(self.arm_switch)
        self.inset()
        context.changed.connect(self.update)
        context.theme.changed.connect(self.update)

    def set_title(self, title: str) -> None:
        """The muted words behind the symbol."""
        if title != self._title:
            self._title = title
            self.update()

    def inset(self) -> None:
        """Leave room for the frame's upper part when the header stands alone as a title bar."""
        edge = frame_width(self._context) if self.is_detached else 0
        self.setFixedHeight(self._context.theme.measure("size.panel_header") + edge)
        self.row.setContentsMargins(8 + edge, 3 + edge, 6 + edge, 3)

    def add_control(self, control: QWidget) -> None:
        """Insert a control left of the arm switch."""
        self.row.insertWidget(self.row.count() - 1, control)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._context.theme
        painter.fillRect(self.rect(), theme.color("surface.header"))
        painter.fillRect(0, self.height() - 1, self.width(), 1, theme.color("line.border"))
        contract = self._context.contract
        symbol = contract.name if contract is not None else ""
        runs = [(symbol, theme.font("body_em"), theme.color("text.primary"))] if symbol else []
        if symbol:
            runs.append((f"  {self._title}", theme.font("body"), theme.color("text.muted")))
        else:
            runs.append((self._title, theme.font("body_em"), theme.color("text.primary")))
        edge = frame_width(self._context) if self.is_detached else 0
        draw_runs(painter, 8 + edge, QRectF(0, edge, self.width(), self.height() - edge), runs)
        account = self._context.account
        if self.is_detached and account is not None:
            paint_account_frame(painter, QRectF(self.rect()).adjusted(0, 0, 0, 12), theme, account.kind)


class AccountBar(QWidget):
    """20 px: shape, word, nickname and masked id on the kind's tint; `note` at the right."""

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._context = context
        self._runs: list[tuple[str, str, str]] = []
        self.setFixedHeight(context.theme.measure("size.identity_bar"))
        context.changed.connect(self._on_changed)
        context.theme.changed.connect(self.update)
        self._on_changed()

    def set_note(self, *runs: tuple[str, str, str]) -> None:
        """Text at the right as (text, font role, colour token) pieces; repaints only when it differs."""
        if list(runs) != self._runs:
            self._runs = list(runs)
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme, account = self._context.theme, self._context.account
        rect = QRectF(self.rect())
        if account is None:
            painter.fillRect(rect, theme.color("surface.header"))
            draw_text(
                painter,
                rect.adjusted(8, 0, 0, 0),
                "No account chosen",
                theme.font("caption"),
                theme.color("text.muted"),
            )
            return
        painter.fillRect(rect, theme.kind(account.kind).tint)
        left = paint_identity(painter, rect.adjusted(8, 0, 0, 0), theme, account)
        font_runs = [(text, theme.font(role), theme.color(token)) for text, role, token in self._runs]
        width = sum(theme.metrics(role).horizontalAdvance(text) for text, role, _token in self._runs)
        if rect.right() - 8 - width > left:
            draw_runs(painter, rect.right() - 8 - width, rect, font_runs)

    def _on_changed(self) -> None:
        account = self._context.account
        self.setAccessibleName(f"Account {account.word} {account.nickname}" if account else "No account chosen")
        self.update()


def paint_identity(painter: QPainter, rect: QRectF, theme: Theme, account: AccountView) -> float:
    """Shape 10 px, word, nickname, masked id from the left of `rect`; returns the x where it ends."""
    look = theme.kind(account.kind)
    top = rect.top() + round((rect.height() - 10) / 2)
    draw_shape(painter, QRectF(rect.left(), top, 10, 10), look.shape, look.text)
    return draw_runs(
        painter,
        rect.left() + 16,
        rect,
        [
            (account.word, theme.font("caption", weight=700), look.text),
            (f"  {account.nickname}", theme.font("caption", weight=600), theme.color("text.primary")),
            (f"  {masked_id(account.id_text)}", theme.font("caption"), theme.color("text.secondary")),
        ],
    )


def enable(button: QWidget, is_enabled: bool) -> None:
    """Enable or disable a button that acts on positions or orders.

    Qt hands the focus of a disabled widget to the next one; beside Halve that is Close, one press of Space away.
    """
    if not is_enabled and button.hasFocus():
        button.clearFocus()
    button.setEnabled(is_enabled)


def reveal(widget: QWidget, is_shown: bool) -> None:
    """Show or hide a widget that may hold the keyboard; hidden, it hands the focus to nobody."""
    focused = QApplication.focusWidget()
    if not is_shown and focused is not None and (focused is widget or widget.isAncestorOf(focused)):
        focused.clearFocus()
    widget.setVisible(is_shown)


class PaintedButton(QAbstractButton):
    """A button that paints itself; knows hover and keyboard focus, never auto-repeats."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._came_by_keyboard = False
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        theme.changed.connect(self.update)

    @property
    def is_hovered(self) -> bool:
        return self.isEnabled() and self.underMouse()

    def act(self) -> None:
        """Act as an entry of a menu that stands for this button."""
        self.click()

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.update()

    def focusInEvent(self, event: QFocusEvent) -> None:
        self._came_by_keyboard = event.reason() in _KEYBOARD_REASONS
        super().focusInEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.isAutoRepeat():
            return
        super().keyPressEvent(event)

    def box(self, painter: QPainter, ground: str | None, border: str, *, dash: bool = False) -> QRectF:
        """Rounded ground with a border, and the focus ring; returns the inner rectangle."""
        rect = QRectF(self.rect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(self._theme.brush(ground) if ground else Qt.BrushStyle.NoBrush)
        color = self._theme.color(border)
        painter.setPen(dash_pen(color, [3, 2]) if dash else QPen(color, 1))
        painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
        self.paint_focus(painter)
        return rect

    def paint_focus(self, painter: QPainter) -> None:
        """Ring inside the control, so that no size changes; only after keyboard travel."""
        if self.hasFocus() and self._came_by_keyboard:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(self._theme.color("line.focus"), 2))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 3, 3)


class ArmSwitch(PaintedButton):
    """Armed, disarmed, locked or blocked, in the context's state; a click asks, the engine decides."""

    arm_requested = Signal(bool)

    def __init__(self, context: PanelContext, parent: QWidget | None = None) -> None:
        super().__init__(context.theme, parent)
        self._context = context
        self.setFixedSize(88, 22)
        context.changed.connect(self._on_changed)
        self.clicked.connect(self._on_clicked)
        self._on_changed()

    def sizeHint(self) -> QSize:
        return QSize(88, 22)

    def word(self) -> str:
        """The word on the switch."""
        context = self._context
        if context.is_locked:
            return "Locked"
        if context.blocked_reason:
            return "Blocked"
        return "Armed" if context.is_armed else "Disarmed"

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        word = self.word()
        icon, ground, border, text = {
            "Armed": ("lightning", "action.fill", "action.fill", "action.on_fill"),
            "Disarmed": ("lightning-slash", None, "line.control", "text.secondary"),
            "Locked": ("lock", None, "line.control", "text.secondary"),
            "Blocked": ("lightning-slash", None, "line.control", "text.disabled"),
        }[word]
        if word == "Armed" and self.is_hovered:
            ground = "action.fill_hover"
        elif self.is_hovered:
            ground = "surface.hover"
        rect = self.box(painter, ground, border, dash=word == "Blocked")
        color = self._theme.color(text)
        font = self._theme.font("button")
        width = 18 + self._theme.metrics("button").horizontalAdvance(word)
        left = rect.center().x() - width / 2
        pixmap = icon_pixmap(icon, color, 14, self.devicePixelRatioF())
        painter.drawPixmap(QPointF(round(left), 4), pixmap)
        draw_text(painter, QRectF(left + 18, 0, rect.width(), rect.height()), word, font, color)

    def _on_changed(self) -> None:
        context = self._context
        self.setEnabled(
            not context.is_locked and context.account is not None and (context.is_armed or not context.blocked_reason)
        )
        self.setAccessibleName(f"{self.word()}, {context.source}")
        self.setToolTip(
            context.blocked_reason or ("Click to disarm" if context.is_armed else "Click to arm this panel")
        )
        self.update()

    def _on_clicked(self) -> None:
        self.arm_requested.emit(not self._context.is_armed)


class HoldButton(PaintedButton):
    """Fires `confirmed` only after it was held; the fill grows with a hard edge meanwhile.

    role: "danger" for the outline in danger, "plain" for an ordinary button that still wants a hold.
    """

    confirmed = Signal()

    def __init__(
        self, theme: Theme, text: str, *, role: str = "plain", icon: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(theme, parent)
        self.setText(text)
        self.setAccessibleName(f"{text}, hold to confirm")
        self.setToolTip("Hold to confirm")
        # The quiet word behind the text.
        self.hint = "hold"
        self._role = role
        self._icon = icon
        self._held_ms = 0
        self._limit_ms = int(theme.measure("motion.hold_to_confirm_ms"))
        self._step_ms = int(theme.measure("motion.frame_ms"))
        self._timer = QTimer(self)
        self._timer.setObjectName("hold")
        self._timer.setInterval(self._step_ms)
        self._timer.timeout.connect(self._on_tick)
        self.pressed.connect(self._on_pressed)
        self.released.connect(self._on_released)

    def sizeHint(self) -> QSize:
        width = self._theme.metrics("button").horizontalAdvance(self.text())
        width += self._theme.metrics("micro").horizontalAdvance(self.hint) + (5 if self.hint else 0)
        width += 20 + (20 if self._icon else 0)
        return QSize(round(width), 26)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        is_danger = self._role == "danger"
        border = "status.danger" if is_danger else "line.strong" if self.hint else "line.border"
        ground = None if is_danger else "surface.raised"
        if self._held_ms:
            ground = "status.danger_tint"
        elif self.is_hovered:
            ground = "status.danger_tint" if is_danger else "surface.hover"
        text = "status.danger" if is_danger and not self._held_ms else "text.primary"
        if not self.isEnabled():
            ground, border, text = None, "line.border", "text.disabled"
        rect = self.box(painter, ground, border)
        if self._held_ms:
            share = min(1.0, self._held_ms / self._limit_ms)
            painter.fillRect(
                rect.adjusted(1, 1, -1 - (rect.width() - 2) * (1 - share), -1), self._theme.color("status.danger_fill")
            )
        color = self._theme.color(text)
        quiet = color if is_danger else self._theme.color("text.muted" if self.isEnabled() else "text.disabled")
        width = self.sizeHint().width() - 20
        left = rect.center().x() - width / 2
        if self._icon:
            painter.drawPixmap(
                QPointF(round(left), round((rect.height() - 14) / 2)),
                icon_pixmap(self._icon, color, 14, self.devicePixelRatioF()),
            )
            left += 20
        end = draw_runs(painter, left, rect, [(self.text(), self._theme.font("button", weight=500), color)])
        draw_runs(painter, end + 5, rect, [(self.hint, self._theme.font("micro"), quiet)])

    def _on_pressed(self) -> None:
        self._held_ms = 1
        self._timer.start()
        self.update()

    def _on_released(self) -> None:
        self._timer.stop()
        self._held_ms = 0
        self.update()

    def _on_tick(self) -> None:
        self._held_ms += self._step_ms
        self.update()
        if self._held_ms >= self._limit_ms:
            self._on_released()
            self.confirmed.emit()


class SendButton(PaintedButton):
    """One of the two big buttons. mode: armed, disarmed, blocked, unknown; the second line says what or why not."""

    hovered = Signal(str)

    def __init__(self, theme: Theme, side: str, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self.side = side
        self.mode = "disarmed"
        self.first = side.upper()
        self.second = ""
        self.setFixedHeight(theme.measure("size.send_button"))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_state(self, mode: str, first: str, second: str) -> None:
        """Take over mode and both lines; disabled only when blocked."""
        if (mode, first, second) == (self.mode, self.first, self.second):
            return
        self.mode, self.first, self.second = mode, first, second
        # Pressed while an answer is missing, it asks for the answer and sends nothing.
        self.setEnabled(mode != "blocked")
        self.setAccessibleName(f"{first}, {second}, {mode}")
        self.update()

    def enterEvent(self, event: QEnterEvent) -> None:
        super().enterEvent(event)
        self.hovered.emit(self.side)

    def leaveEvent(self, event: QEvent) -> None:
        super().leaveEvent(event)
        self.hovered.emit("")

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme, rect = self._theme, QRectF(self.rect())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        color = theme.side(self.side, "on")
        if self.mode == "armed":
            painter.setPen(Qt.PenStyle.NoPen)
            ground = theme.side(self.side, "fill")
            painter.setBrush(
                ground.lighter(108)
                if self.is_hovered and not self.isDown()
                else ground.darker(112)
                if self.isDown()
                else ground
            )
        elif self.mode == "unknown":
            stripes = theme.color("status.caution_fill")
            painter.setPen(QPen(stripes, 1))
            faded = stripes.toRgb()
            faded.setAlphaF(0.38)
            painter.setBrush(hatch_brush(faded, period=8, stripe=4, device_ratio=self.devicePixelRatioF()))
            color = theme.color("text.primary")
        elif self.mode == "blocked":
            painter.setPen(dash_pen(theme.color("line.control"), [3, 2]))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            color = theme.color("text.disabled")
        else:
            painter.setPen(QPen(theme.side(self.side, "line"), 1))
            painter.setBrush(theme.side(self.side, "tint") if self.is_hovered else Qt.BrushStyle.NoBrush)
            color = theme.side(self.side, "text")
        painter.drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 3, 3)
        self.paint_focus(painter)
        inner = rect.adjusted(4, 0, -4, 0)
        draw_elided(painter, QRectF(inner.left(), 4, inner.width(), 20), self.first, theme.font("send"), color, CENTRE)
        draw_elided(
            painter, QRectF(inner.left(), 23, inner.width(), 16), self.second, theme.font("caption"), color, CENTRE
        )


class _Choice(QWidget):
    """One of several keys, by mouse or arrow keys. `chosen` carries the new one."""

    chosen = Signal(str)

    def __init__(self, theme: Theme, keys: list[str], parent: QWidget | None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._keys = keys
        self._key = keys[0]
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        theme.changed.connect(self.update)

    @property
    def key(self) -> str:
        """The chosen key."""
        return self._key

    def choose(self, key: str) -> None:
        """Choose by program or hand; emits only on a change."""
        if key != self._key:
            self._key = key
            self.setAccessibleDescription(key)
            self.update()
            self.chosen.emit(key)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        key = self._key_at(event.position())
        if key and event.button() == Qt.MouseButton.LeftButton:
            self.choose(key)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        step = {Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Space: 1}.get(Qt.Key(event.key()))
        if step is None:
            super().keyPressEvent(event)
        else:
            self.choose(self._keys[(self._keys.index(self._key) + step) % len(self._keys)])

    @abstractmethod
    def _cells(self) -> list[tuple[str, str, QRectF]]:
        """Key, word and place of every choice."""

    def _key_at(self, position: QPointF) -> str:
        return next((key for key, _word, cell in self._cells() if cell.contains(position)), "")


class Segmented(_Choice):
    """Rows of exclusive choices, drawn as one block."""

    def __init__(self, theme: Theme, rows: list[list[tuple[str, str]]], parent: QWidget | None = None) -> None:
        """rows: lists of (key, word), all of one length."""
        super().__init__(theme, [key for row in rows for key, _word in row], parent)
        self._rows = rows
        self._hover = ""
        self.setMouseTracking(True)
        self.setFixedHeight(24 * len(rows))

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._theme
        painter.setPen(theme.color("line.control" if self.hasFocus() else "line.border"))
        painter.drawRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5))
        for key, word, cell in self._cells():
            is_on = key == self._key
            if is_on:
                painter.fillRect(cell, theme.color("action.fill"))
            elif key == self._hover:
                painter.fillRect(cell.adjusted(1, 1, -1, -1), theme.color("surface.hover"))
            token = "action.on_fill" if is_on else "text.primary"
            draw_text(
                painter, cell, word, theme.font("button", weight=600 if is_on else 500), theme.color(token), CENTRE
            )
            if cell.right() < self.width() - 1:
                painter.fillRect(QRectF(cell.right(), cell.top() + 1, 1, cell.height() - 1), theme.color("line.border"))
            if cell.bottom() < self.height() - 1:
                painter.fillRect(
                    QRectF(cell.left() + 1, cell.bottom(), cell.width() - 1, 1), theme.color("line.border")
                )

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        self._hover = self._key_at(event.position())
        self.update()

    def leaveEvent(self, _event: QEvent) -> None:
        self._hover = ""
        self.update()

    def _cells(self) -> list[tuple[str, str, QRectF]]:
        cells = []
        for line, row in enumerate(self._rows):
            for column, (key, word) in enumerate(row):
                left = round(self.width() * column / len(row))
                right = round(self.width() * (column + 1) / len(row))
                cells.append((key, word, QRectF(left, line * 24, right - left, 24)))
        return cells


class WordSwitch(_Choice):
    """Words side by side, the chosen one in full strength: a quiet choice in a caption's row."""

    def __init__(self, theme: Theme, words: list[tuple[str, str]], parent: QWidget | None = None) -> None:
        """words: (key, word) from left to right."""
        super().__init__(theme, [key for key, _word in words], parent)
        self._words = words
        self.setFixedSize(round(self._cells()[-1][2].right()), 18)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._theme
        for place, (key, word, cell) in enumerate(self._cells()):
            is_on = key == self._key
            font = theme.font("caption", weight=600 if is_on else 500)
            draw_text(painter, cell, word, font, theme.color("text.primary" if is_on else "text.muted"), CENTRE)
            if place:
                painter.fillRect(QRectF(cell.left(), 4, 1, 10), theme.color("line.strong"))
            if is_on and self.hasFocus():
                painter.fillRect(cell.adjusted(6, 16, -6, 0), theme.color("line.focus"))

    def _cells(self) -> list[tuple[str, str, QRectF]]:
        metrics = self._theme.metrics("caption", weight=600)
        cells, left = [], 0.0
        for key, word in self._words:
            width = metrics.horizontalAdvance(word) + 12
            cells.append((key, word, QRectF(left, 0, width, 18)))
            left += width
        return cells


class ConditionStrip(QWidget):
    """One strip of 24 px that names a condition or an intent; it never changes height.

    tone: header, caution, danger, selected, buy, sell. `shape` is one of the fixed shapes, or empty.
    """

    def __init__(self, theme: Theme, height: int = 24, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._state: tuple[str, str, str, str, str] = ("header", "", "", "", "")
        self.setFixedHeight(height)
        theme.changed.connect(self.update)

    def show_state(self, tone: str, lead: str, rest: str = "", right: str = "", shape: str = "") -> None:
        """Say something: `lead` bold in the tone's text, `rest` secondary after it, `right` at the right edge."""
        state = (tone, lead, rest, right, shape)
        if state != self._state:
            self._state = state
            self.setAccessibleName(f"{lead} {rest}".strip())
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._theme
        tone, lead, rest, right, shape = self._state
        rect = QRectF(self.rect())
        if tone in ("buy", "sell"):
            ground, color = theme.side(tone, "tint"), theme.side(tone, "text")
        else:
            ground_token, text_token = {
                "header": ("surface.header", "text.secondary"),
                "selected": ("surface.selected", "text.primary"),
                "caution": ("status.caution_tint", "status.caution"),
                "danger": ("status.danger_tint", "status.danger"),
            }[tone]
            ground, color = theme.color(ground_token), theme.color(text_token)
        painter.fillRect(rect, ground)
        left = 8.0
        if shape:
            draw_shape(painter, QRectF(left, (rect.height() - 10) / 2, 10, 10), shape, color)
            left += 16
        end = draw_runs(
            painter,
            left,
            rect,
            [
                (lead, theme.font("body_em"), color),
                (f"  {rest}" if rest else "", theme.font("body"), theme.color("text.secondary")),
            ],
        )
        if right and rect.right() - 8 - theme.metrics("body").horizontalAdvance(right) > end:
            draw_text(
                painter, rect.adjusted(0, 0, -8, 0), right, theme.font("body"), theme.color("text.secondary"), RIGHT
            )


class ElidedLabel(QWidget):
    """One line of body text that ends in an ellipsis where it does not fit; the whole text is its tooltip."""

    def __init__(self, theme: Theme, token: str = "text.secondary", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._text = ""
        self._token = token
        self.setFixedHeight(18)
        theme.changed.connect(self.update)

    def text(self) -> str:
        """The whole text."""
        return self._text

    def show_text(self, text: str, token: str = "") -> None:
        """Take over a text and, where given, its colour token; repaints only on a difference."""
        wanted = token or self._token
        if (text, wanted) != (self._text, self._token):
            self._text, self._token = text, wanted
            self.setToolTip(text)
            self.setAccessibleName(text)
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        draw_elided(painter, QRectF(self.rect()), self._text, self._theme.font("body"), self._theme.color(self._token))


class FocusRing(QWidget):
    """One transparent overlay per window that follows the focused widget, so that no control changes its size.

    Shows only for focus that came without the mouse; painted buttons and inputs show theirs themselves.
    """

    def __init__(self, theme: Theme, window: QWidget) -> None:
        super().__init__(window)
        self._theme = theme
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setAttribute(Qt.WidgetAttribute.WA_NoSystemBackground)
        self.setProperty("ground", "none")
        self.hide()
        application = QApplication.instance()
        assert isinstance(application, QApplication), "a ring needs widgets, and widgets an application"
        application.focusChanged.connect(self._on_focus_changed)
        theme.changed.connect(self.update)

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(self._theme.color("line.focus"), 2))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 4, 4)

    def _on_focus_changed(self, _old: QWidget | None, now: QWidget | None) -> None:
        own = self.parentWidget()
        is_wanted = (
            now is not None
            and own is not None
            and now.window() is own
            and not isinstance(now, PaintedButton | QLineEdit)
            and QGuiApplication.mouseButtons() == Qt.MouseButton.NoButton
            and now.focusPolicy() != Qt.FocusPolicy.NoFocus
        )
        if not is_wanted or now is None or own is None:
            self.hide()
            return
        corner = now.mapTo(own, QPoint(0, 0))
        self.setGeometry(QRect(corner, now.size()).adjusted(-3, -3, 3, 3))
        self.raise_()
        self.show()


class EmptyNotice(QWidget):
    """What an empty panel says: a muted icon with a title, and below it how the panel gets filled."""

    def __init__(self, theme: Theme, title: str, sentence: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._words = (title, sentence)
        self.setMinimumHeight(48)
        self.setAccessibleName(f"{title}. {sentence}")
        theme.changed.connect(self.update)

    def text(self) -> str:
        """Everything it says."""
        return ". ".join(self._words)

    def say(self, title: str, sentence: str) -> None:
        """Other words; repaints only on a difference."""
        if (title, sentence) != self._words:
            self._words = (title, sentence)
            self.setAccessibleName(self.text())
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        paint_empty_notice(painter, QRectF(self.rect()), self._theme, *self._words)


def paint_empty_notice(painter: QPainter, rect: QRectF, theme: Theme, title: str, sentence: str) -> None:
    """Icon and title on one line, the sentence below, centred in `rect`."""
    width = theme.metrics("body_em").horizontalAdvance(title) + 23
    left, top = rect.center().x() - width / 2, round(rect.center().y()) - 20
    pixmap = icon_pixmap("info", theme.color("text.muted"), 17, painter.device().devicePixelRatio())
    painter.drawPixmap(QPointF(round(left), top + 1), pixmap)
    room = QRectF(round(left) + 23, top, width, 19)
    draw_text(painter, room, title, theme.font("body_em"), theme.color("text.primary"))
    below = QRectF(rect.left(), top + 21, rect.width(), 18)
    muted = theme.color("text.muted")
    draw_text(painter, below, sentence, theme.font("body"), muted, CENTRE)


def caption(text: str, parent: QWidget | None = None, role: str = "caption") -> QLabel:
    """A label in a style-sheet role: caption, muted, secondary, title, em, figure, danger, mono."""
    label = QLabel(text, parent)
    label.setProperty("role", role)
    return label
