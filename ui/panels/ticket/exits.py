"""The ticket's exits: a template by name, its legs to scale or as rows to type into, save, save as, revert.

ExitsRow     "Exits NAME changed" with its menu, edit, save, more
LegRows      stop, targets, break-even and trailing as fields
ExitsBlock   sketch or rows, whichever is wanted; its `row` stands where the ticket puts it
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QObject, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QAction, QKeyEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLineEdit, QMenu, QToolButton, QVBoxLayout, QWidget

from app.errors import InvalidOrder
from app.services.exits import NO_TEMPLATE, STAGES_MOST, TARGETS_MOST, ExitTemplate, parse_distance
from app.services.templates import NamedTemplate
from ui.controls import ElidedLabel, PaintedButton, caption, reveal
from ui.painting import draw_elided, draw_runs, icon, icon_pixmap
from ui.panels.ticket.sketch import ExitsSketch
from ui.theme import Theme

_ROW_HEIGHT = 22


class LegRows(QWidget):
    """Fields of a template. `edited` carries what they spell; `spoiled`: they spell nothing, and `problem` says why."""

    edited = Signal(object)
    spoiled = Signal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fields: dict[str, QLineEdit] = {}
        self._shown = NO_TEMPLATE
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(3)
        self._grid = grid
        self._rows: dict[str, list[QWidget]] = {}
        self._add_row("stop", "Stop", [("", "stop", "40 ticks, 10p points, 20d dollars")])
        for place in range(1, TARGETS_MOST + 1):
            name = f"target{place}"
            self._add_row(name, f"T{place}", [("", f"{name}.size", "50%"), ("at", name, "80, 20p, 40d")])
        self._add_row("even", "BE", [("after", "even", "24"), ("plus", "even.plus", "2 ticks")])
        for place in range(1, STAGES_MOST + 1):
            name = f"trail{place}"
            fields = [("from", f"{name}.start", "40"), ("at", name, "20"), ("by", f"{name}.step", "4")]
            self._add_row(name, f"Trail {place}", fields)
        self.problem = ElidedLabel(theme, parent=self)
        self.problem.setFixedHeight(18)
        grid.addWidget(self.problem, grid.rowCount(), 0, 1, 7)
        self._show_used(NO_TEMPLATE)

    def show_template(self, template: ExitTemplate) -> None:
        """Fill the fields, except the one somebody types into."""
        self._shown = template
        texts = {"stop": template.stop.text if template.stop else ""}
        for place, leg in enumerate(template.targets, 1):
            texts |= {f"target{place}.size": leg.size_text, f"target{place}": leg.distance.text}
        if template.break_even is not None:
            texts |= {"even": template.break_even.trigger.text, "even.plus": str(template.break_even.plus_ticks)}
        for place, stage in enumerate(template.trail, 1):
            texts |= {f"trail{place}.start": stage.start.text, f"trail{place}": stage.distance.text}
            texts[f"trail{place}.step"] = str(stage.step_ticks)
        for name, field in self._fields.items():
            if not (field.hasFocus() and field.isModified()):
                field.setText(texts.get(name, ""))
        self.problem.show_text("")
        self._show_used(template)

    def field(self, name: str) -> QLineEdit:
        """A field by its name: stop, target1.size, target1, even, even.plus, trail1.start, trail1, trail1.step."""
        return self._fields[name]

    def _add_row(self, name: str, label: str, fields: Sequence[tuple[str, str, str]]) -> None:
        line = self._grid.rowCount()
        word = caption(label, self)
        word.setFixedWidth(38)
        self._grid.addWidget(word, line, 0)
        self._rows[name] = [word]
        for place, (before, key, hint) in enumerate(fields):
            if before:
                between = caption(before, self)
                self._grid.addWidget(between, line, 1 + 2 * place)
                self._rows[name].append(between)
            field = QLineEdit(self)
            field.setFixedHeight(_ROW_HEIGHT)
            field.setStyleSheet("min-height: 20px; padding: 0 4px;")
            field.setPlaceholderText(hint)
            field.setAccessibleName(f"{label} {before} {hint}")
            field.editingFinished.connect(self._on_edited)
            self._fields[key] = field
            self._rows[name].append(field)
            span = 5 if len(fields) == 1 else 3 if len(fields) == 2 and place == 1 else 1
            self._grid.addWidget(field, line, 2 + 2 * place, 1, span)

    def _show_used(self, template: ExitTemplate) -> None:
        """Show the rows in use and one more of each kind."""
        targets, stages = len(template.targets) + 1, len(template.trail) + 1
        shown = {"stop", "even", *(f"target{place}" for place in range(1, targets + 1))}
        shown |= {f"trail{place}" for place in range(1, stages + 1)}
        for name, widgets in self._rows.items():
            for widget in widgets:
                widget.setVisible(name in shown)

    def _on_edited(self) -> None:
        field = self.sender()
        if not isinstance(field, QLineEdit) or not field.isModified():
            return
        field.setModified(False)
        try:
            template = self._spelled()
        except InvalidOrder as error:
            self.problem.show_text(error.text, "status.danger")
            self.spoiled.emit()
            return
        self.problem.show_text("")
        self._show_used(template)
        self.edited.emit(template)

    def _text(self, name: str) -> str:
        return self._fields[name].text().strip()

    def _spelled(self) -> ExitTemplate:
        """The template in the fields; a row with an empty distance is none. Raises InvalidOrder."""
        stop = self._text("stop")
        return ExitTemplate.of(
            stop=parse_distance(stop, "stop") if stop else None,
            targets=tuple(self._target(place) for place in range(1, TARGETS_MOST + 1) if self._text(f"target{place}")),
            break_even=self._even() if self._text("even") else None,
            trail=tuple(self._stage(place) for place in range(1, STAGES_MOST + 1) if self._text(f"trail{place}")),
            # What has no field stays as it was.
            held_by=self._shown.held_by,
            when_bare=self._shown.when_bare,
        )

    def _target(self, place: int) -> dict[str, object]:
        size = self._text(f"target{place}.size") or "100%"
        digits = size.removesuffix("%").strip()
        if not digits.isdecimal():
            raise InvalidOrder("target", f"T{place} size {size!r} cannot be read; allowed: 1 (lots) or 50%.")
        leg: dict[str, object] = {"distance": parse_distance(self._text(f"target{place}"), f"target {place}")}
        return leg | {"share_percent" if size.endswith("%") else "lots": int(digits)}

    def _even(self) -> dict[str, object]:
        plus = self._ticks("even.plus", 0)
        return {"trigger": parse_distance(self._text("even"), "break-even"), "plus_ticks": plus}

    def _stage(self, place: int) -> dict[str, object]:
        start = self._text(f"trail{place}.start") or self._text(f"trail{place}")
        distance = parse_distance(self._text(f"trail{place}"), "trail")
        step = self._ticks(f"trail{place}.step", 1)
        return {"start": parse_distance(start, "trail start"), "distance": distance, "step_ticks": step}

    def _ticks(self, name: str, usual: int) -> int:
        text = self._text(name).removesuffix("t")
        if text and not text.isdecimal():
            raise InvalidOrder(name, f"{text!r} is not a whole number of ticks.")
        return int(text) if text else usual


class TemplateButton(PaintedButton):
    """ "Exits", the template's name, and "changed" when its legs are not the saved ones any more."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(theme, parent)
        self._state = ("", False)
        self.setFixedHeight(26)

    def show_choice(self, word: str, *, is_changed: bool) -> None:
        """Show a name, or what stands for none."""
        if (word, is_changed) != self._state:
            self._state = (word, is_changed)
            self.setText(f"Exits {word}{' changed' if is_changed else ''}")
            self.setAccessibleName(self.text())
            self.update()

    def paintEvent(self, _event: QPaintEvent) -> None:
        painter = QPainter(self)
        theme = self._theme
        rect = self.box(painter, "surface.hover" if self.is_hovered else "surface.input", "line.control")
        word, is_changed = self._state
        muted, usual = theme.color("text.muted"), theme.font("body")
        left = draw_runs(painter, 9, rect, [("Exits  ", usual, muted)])
        tail = "  changed" if is_changed else ""
        room = rect.right() - 26 - left - theme.metrics("body").horizontalAdvance(tail)
        bold = theme.font("body", weight=500)
        draw_elided(painter, QRectF(left, 0, room, self.height()), word, bold, theme.color("text.primary"))
        end = left + min(room, theme.metrics("body", weight=500).horizontalAdvance(word))
        draw_runs(painter, end, rect, [(tail, usual, muted)])
        chevron = icon_pixmap("chevron", theme.color("text.secondary"), 12, self.devicePixelRatioF())
        painter.drawPixmap(QPointF(rect.right() - 20, (self.height() - 12) / 2), chevron)
        self.paint_focus(painter)


class ExitsRow(QWidget):
    """The template's name with its menu, and the buttons edit, save and more."""

    chosen = Signal(str)
    name_given = Signal(str)
    save_requested = Signal()
    revert_requested = Signal()
    remove_requested = Signal()
    own_legs_chosen = Signal(bool)
    edit_toggled = Signal(bool)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        self.button = TemplateButton(theme, self)
        self.button.clicked.connect(self._on_open)
        self.name_box = QLineEdit(self)
        self.name_box.setFixedHeight(26)
        self.name_box.setPlaceholderText("Name, then Enter")
        self.name_box.setAccessibleName("Name of the template")
        self.name_box.returnPressed.connect(self._on_named)
        self.name_box.installEventFilter(self)
        self.name_box.hide()
        self.edit_button = self._tool("edit", "Edit the legs")
        self.edit_button.setCheckable(True)
        self.edit_button.toggled.connect(self.edit_toggled)
        self.save_button = self._tool("save", "Save as a new version of this template")
        self.save_button.clicked.connect(self._on_save)
        self.more_button = self._tool("more", "More")
        self.more_button.clicked.connect(self._on_more)
        row.addWidget(self.button, 1)
        row.addWidget(self.name_box, 1)
        for tool in (self.edit_button, self.save_button, self.more_button):
            row.addWidget(tool)
        self.menu = QMenu(self)
        self.menu.triggered.connect(self._on_chosen)
        self.more_menu = QMenu(self)
        self.save_as_action = self.more_menu.addAction("Save as\u2026", self.ask_name)
        self.revert_action = self.more_menu.addAction("Revert", self.revert_requested.emit)
        self.own_legs_action = self.more_menu.addAction("Legs held by this computer")
        self.own_legs_action.setCheckable(True)
        self.own_legs_action.setToolTip("For an account that takes no native brackets: they act only while this runs")
        self.own_legs_action.triggered.connect(self.own_legs_chosen)
        self.remove_action = self.more_menu.addAction("Remove template", self.remove_requested.emit)
        theme.changed.connect(self._on_theme)
        self._on_theme()

    def show_choice(self, name: str, *, is_changed: bool, has_legs: bool, is_own: bool) -> None:
        """Show what is chosen and enable what can be done with it; is_own: this computer holds the legs."""
        self.own_legs_action.setChecked(is_own)
        word = name or ("own" if has_legs else "none")
        self.button.show_choice(word, is_changed=is_changed)
        self.save_button.setEnabled(has_legs and (is_changed or not name))
        self.save_as_action.setEnabled(has_legs)
        self.revert_action.setEnabled(is_changed)
        self.remove_action.setEnabled(bool(name))

    def show_templates(self, templates: Sequence[NamedTemplate]) -> None:
        """Rebuild the list of names."""
        self.menu.clear()
        for name, text in [("", "None"), *((held.name, f"{held.name}\t{held.template.text}") for held in templates)]:
            self.menu.addAction(text).setData(name)

    def ask_name(self) -> None:
        """Put a box for a new name in the place of the old one."""
        self.button.hide()
        self.name_box.show()
        self.name_box.clear()
        self.name_box.setFocus(Qt.FocusReason.OtherFocusReason)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        is_escape = isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape
        left = event.type() == QEvent.Type.FocusOut
        if watched is self.name_box and self.name_box.isVisible() and (is_escape or left):
            self._end_naming()
            return is_escape
        return super().eventFilter(watched, event)

    def _tool(self, name: str, tip: str) -> QToolButton:
        button = QToolButton(self)
        button.setObjectName(name)
        button.setFixedSize(26, 26)
        button.setStyleSheet("padding: 0; min-height: 0;")
        button.setToolTip(tip)
        button.setAccessibleName(tip)
        return button

    def _on_open(self) -> None:
        self.menu.popup(self.button.mapToGlobal(QPoint(0, self.button.height())))

    def _on_more(self) -> None:
        self.more_menu.popup(self.more_button.mapToGlobal(QPoint(0, self.more_button.height())))

    def _on_chosen(self, action: QAction) -> None:
        self.chosen.emit(str(action.data()))

    def _on_save(self) -> None:
        self.save_requested.emit()

    def _on_named(self) -> None:
        name = self.name_box.text().strip()
        self._end_naming()
        if name:
            self.name_given.emit(name)

    def _end_naming(self) -> None:
        self.name_box.hide()
        self.button.show()

    def _on_theme(self) -> None:
        for button in (self.edit_button, self.save_button, self.more_button):
            button.setIcon(icon(button.objectName(), self._theme, "text.secondary", 16))


class ExitsBlock(QWidget):
    """The exits of the next order. `changed`: they are other ones; saving and removing is asked for outside."""

    changed = Signal()
    save_requested = Signal(str, object)
    remove_requested = Signal(str)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.template = NO_TEMPLATE
        self.saved: NamedTemplate | None = None
        self._templates: dict[str, NamedTemplate] = {}
        self._was_spoiled = False
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        self.row = ExitsRow(theme, self)
        self.legs = LegRows(theme, self)
        self.sketch = ExitsSketch(theme, self)
        column.addWidget(self.legs)
        column.addWidget(self.sketch)
        self.legs.hide()
        self.row.chosen.connect(self.choose)
        self.row.edit_toggled.connect(self._on_edit)
        self.row.save_requested.connect(self._on_save)
        self.row.name_given.connect(self._on_named)
        self.row.revert_requested.connect(self._on_revert)
        self.row.remove_requested.connect(self._on_remove)
        self.row.own_legs_chosen.connect(self._on_own_legs)
        self.legs.edited.connect(self._on_edited)
        self.legs.spoiled.connect(self._on_spoiled)
        self.row.show_templates(())
        self._refresh()

    @property
    def problem(self) -> str:
        """Why the typed legs are none; what is sent would not be what stands there."""
        return self.legs.problem.text()

    @property
    def is_changed(self) -> bool:
        """Whether the legs differ from the saved template they came from."""
        return self.saved is not None and self.template != self.saved.template

    def show_templates(self, templates: Sequence[NamedTemplate]) -> None:
        """Take over the saved ones. What is chosen follows its newest version unless it was changed here."""
        was_changed = self.is_changed
        self._templates = {held.name: held for held in templates}
        self.row.show_templates(templates)
        if self.saved is not None:
            self.saved = self._templates.get(self.saved.name)
            if self.saved is not None and not was_changed:
                self._take(self.saved.template)
        self._refresh()

    def choose(self, name: str) -> None:
        """Use a saved template, or none for an empty name."""
        self.saved = self._templates.get(name)
        self._take(self.saved.template if self.saved is not None else NO_TEMPLATE)

    def edit(self, is_editing: bool) -> None:
        """Show the rows in the place of the sketch, or the sketch again."""
        self.row.edit_button.setChecked(is_editing)

    def _take(self, template: ExitTemplate) -> None:
        self.legs.show_template(template)
        self._on_edited(template)

    def _on_edited(self, template: ExitTemplate) -> None:
        # The rows keep what was typed: a size without a distance yet is no leg, and still not to be lost.
        is_other = template != self.template
        self.template = template
        self._refresh()
        if is_other or self._was_spoiled:
            self._was_spoiled = False
            self.changed.emit()

    def _on_spoiled(self) -> None:
        self._was_spoiled = True
        self._refresh()
        self.changed.emit()

    def _refresh(self) -> None:
        name = self.saved.name if self.saved is not None else ""
        has_legs = (self.template.stop is not None or bool(self.template.targets)) and not self.problem
        is_own = self.template.held_by == "computer"
        self.row.show_choice(name, is_changed=self.is_changed, has_legs=has_legs, is_own=is_own)

    def _on_own_legs(self, is_own: bool) -> None:
        self._take(self.template.model_copy(update={"held_by": "computer" if is_own else "broker"}))

    def _on_edit(self, is_editing: bool) -> None:
        reveal(self.legs, is_editing)
        self.sketch.setVisible(not is_editing)

    def _on_save(self) -> None:
        if self.saved is None:
            self.row.ask_name()
        else:
            self.save_requested.emit(self.saved.name, self.template)

    def _on_named(self, name: str) -> None:
        # Shown as chosen at once; the saved version takes its place when it is there.
        self.saved = NamedTemplate(name, 0, self.template)
        self._refresh()
        self.save_requested.emit(name, self.template)

    def _on_revert(self) -> None:
        if self.saved is not None:
            self._take(self.saved.template)

    def _on_remove(self) -> None:
        if self.saved is not None:
            name, self.saved = self.saved.name, None
            self._refresh()
            self.remove_requested.emit(name)
