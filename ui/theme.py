"""Looks from one token file: colours, fonts, measures, palette and the application's style sheet.

Nobody else holds a colour literal. Painters ask by token name (`theme.color("surface.panel")`), sides through
`theme.side`, gains through `theme.outcome`, account kinds through `theme.kind`. A change of theme or pair replaces the
values and emits `changed` once; caches of painters are keyed by `revision`.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QBrush, QColor, QFont, QFontDatabase, QFontMetricsF, QPalette, QPen
from PySide6.QtWidgets import QApplication

RESOURCES = Path(__file__).resolve().parent.parent / "resources"
# Tooltips are dark in both themes; this is the one literal of the window.
_TOOLTIP_TEXT = "#E8ECF2"
# Our copy of Inter carries its own family name: an installed one with CFF outlines would win and is drawn too dark.
_BUNDLED_TEXT = "Inter Pitdesk"
THEMES = ("dark", "light")
PAIRS = ("blue_orange", "green_red")


@dataclass(frozen=True)
class OrderLook:
    """How one order state is drawn; words and fields as in `[order_state.*]`."""

    word: str
    fill: str
    outline: str
    mark: str
    colour: str


@dataclass(frozen=True)
class KindLook:
    """How one kind of account is framed."""

    word: str
    shape: str
    frame_style: str
    text: QColor
    frame: QColor
    tint: QColor
    is_blocked: bool


class Theme(QObject):
    """The tokens of the chosen theme and side pair."""

    changed = Signal()

    def __init__(self, name: str = "dark", pair: str = "blue_orange", parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tokens: dict[str, Any] = tomllib.loads((RESOURCES / "themes" / "tokens.toml").read_text("utf-8"))
        self._colors: dict[str, QColor] = {}
        self._fonts: dict[tuple[str, float], QFont] = {}
        self._metrics: dict[tuple[str, float], QFontMetricsF] = {}
        self.revision = 0
        self.name = ""
        self.pair = ""
        self._load(name, pair)

    def choose(self, name: str, pair: str | None = None) -> None:
        """Switch theme, or pair, or both, and tell everybody once."""
        wanted = pair if pair is not None else self.pair
        if (name, wanted) == (self.name, self.pair):
            return
        self._load(name, wanted)
        self.apply(QApplication.instance())
        self.changed.emit()

    def apply(self, application: object) -> None:
        """Give the application palette, font and style sheet of this theme."""
        if not isinstance(application, QApplication):
            return
        application.setStyle("Fusion")
        application.setPalette(self.palette())
        application.setFont(self.font("body"))
        application.setStyleSheet(self.style_sheet())

    def color(self, token: str) -> QColor:
        """Colour of a token such as "surface.panel", "text.muted", "side.buy_fill" or "kind.demo.frame"."""
        return self._colors[token]

    def brush(self, token: str) -> QBrush:
        """Solid brush of a token."""
        return QBrush(self._colors[token])

    def pen(self, token: str, width: float = 1.0) -> QPen:
        """Solid pen of a token; cosmetic, so that one pixel stays one pixel."""
        pen = QPen(self._colors[token], width)
        pen.setCosmetic(True)
        return pen

    def side(self, side: str, role: str) -> QColor:
        """Colour of "buy" or "sell" in a role: text, fill, on, bar, bar_large, tint, line, candle, candle_body, ..."""
        return self._colors[f"side.on_{side}" if role == "on" else f"side.{side}_{role}"]

    def outcome(self, sign: int, role: str = "text") -> QColor:
        """Colour of a gain, a loss, or of zero, which is muted."""
        if sign == 0:
            return self._colors["text.muted"]
        return self.side("buy" if sign > 0 else "sell", role)

    def kind(self, kind: str) -> KindLook:
        """Look of an account kind: demo, practice, combine, funded, live, replay."""
        entry = self._tokens["account_kind"].get(kind, self._tokens["account_kind"]["live"])
        colours = entry.get("colours_of", kind if kind in self._tokens["account_kind"] else "funded")
        return KindLook(
            word=entry["word"],
            shape=entry["shape"],
            frame_style=entry["frame_style"],
            text=self._colors[f"kind.{colours}.text"],
            frame=self._colors[f"kind.{colours}.frame"],
            tint=self._colors[f"kind.{colours}.tint"],
            is_blocked=entry.get("entries") == "blocked",
        )

    def order_look(self, state: str) -> OrderLook:
        """Look of an order state, one of the nine."""
        entry = self._tokens["order_state"][state]
        return OrderLook(entry["word"], entry["fill"], entry["outline"], entry["mark"], entry["colour"])

    def light_shape(self, state: str) -> str:
        """Shape of a status light: ok, late, down, connecting, idle."""
        return str(self._tokens["status_light"][state])

    def measure(self, token: str) -> Any:
        """A number or table of the shared part, such as "size.top_bar", "ladder.row.normal", "motion.flash_ms"."""
        value: Any = self._tokens
        for part in token.split("."):
            value = value[part]
        return value

    @property
    def on_tooltip(self) -> QColor:
        """Text on `surface.tooltip`, which is dark in both themes."""
        return QColor(_TOOLTIP_TEXT)

    def font(self, role: str, scale: float = 1.0, weight: int | None = None) -> QFont:
        """Font of a role with tabular figures; pixel sizes only. `weight` overrides the role's own."""
        key = (f"{role}/{weight or ''}", scale)
        if key not in self._fonts:
            pixels, own_weight, _line = self._tokens["font"]["role"][role]
            spec = self._tokens["font"]
            is_mono = role == "mono"
            mono, text = [spec["mono"], *spec["mono_fallback"]], [_BUNDLED_TEXT, spec["text"], *spec["text_fallback"]]
            font = QFont(mono if is_mono else text)
            font.setPixelSize(round(pixels * scale))
            font.setWeight(QFont.Weight(weight or own_weight))
            font.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
            font.setFeature(QFont.Tag("tnum"), 1)
            self._fonts[key] = font
        return self._fonts[key]

    def metrics(self, role: str, scale: float = 1.0, weight: int | None = None) -> QFontMetricsF:
        """Cached metrics of `font(role, scale, weight)`."""
        key = (f"{role}/{weight or ''}", scale)
        if key not in self._metrics:
            self._metrics[key] = QFontMetricsF(self.font(role, scale, weight))
        return self._metrics[key]

    def palette(self) -> QPalette:
        """Fusion palette for what the style sheet does not reach."""
        role = QPalette.ColorRole
        palette = QPalette()
        for name, token in (
            (role.Window, "surface.panel"),
            (role.Base, "surface.panel"),
            (role.AlternateBase, "surface.header"),
            (role.Button, "surface.raised"),
            (role.WindowText, "text.primary"),
            (role.Text, "text.primary"),
            (role.ButtonText, "text.primary"),
            (role.PlaceholderText, "text.muted"),
            (role.Highlight, "surface.selected"),
            (role.HighlightedText, "text.primary"),
            (role.ToolTipBase, "surface.tooltip"),
            (role.Link, "text.secondary"),
            (role.Mid, "line.border"),
            (role.Dark, "line.strong"),
            (role.Light, "surface.hover"),
        ):
            palette.setColor(name, self._colors[token])
        palette.setColor(role.ToolTipText, QColor(_TOOLTIP_TEXT))
        for name in (role.WindowText, role.Text, role.ButtonText):
            palette.setColor(QPalette.ColorGroup.Disabled, name, self._colors["text.disabled"])
        return palette

    def style_sheet(self) -> str:
        """The one style sheet of the application."""
        text = (RESOURCES / "themes" / "window.qss").read_text("utf-8")
        # Longest first, so that "@status.danger_tint" is not eaten by "@status.danger".
        for token in sorted(self._colors, key=len, reverse=True):
            text = text.replace(f"@{token}", self._colors[token].name(QColor.NameFormat.HexArgb))
        chevron = (RESOURCES / "icons" / f"chevron-{self.name}.svg").as_posix()
        return text.replace("@tooltip_text", _TOOLTIP_TEXT).replace("@icon_chevron", chevron)

    def _load(self, name: str, pair: str) -> None:
        if name not in THEMES or pair not in PAIRS:
            raise ValueError(f"Theme {name!r} with pair {pair!r} is not known; themes: {THEMES}, pairs: {PAIRS}.")
        colors: dict[str, QColor] = {}
        _flatten(self._tokens[name], "", colors)
        _flatten(self._tokens["pair"][pair][name], "side.", colors)
        self.name, self.pair, self._colors = name, pair, colors
        self.revision += 1


def load_fonts() -> list[str]:
    """Register the bundled fonts; return their family names. Needs a QGuiApplication."""
    families: list[str] = []
    for path in sorted((RESOURCES / "fonts").iterdir()):
        if path.suffix not in (".otf", ".ttf"):
            continue
        number = QFontDatabase.addApplicationFont(str(path))
        families += QFontDatabase.applicationFontFamilies(number)
    return families


def _flatten(table: dict[str, Any], prefix: str, into: dict[str, QColor]) -> None:
    for key, value in table.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{key}.", into)
        elif isinstance(value, list):
            for number, entry in enumerate(value):
                into[f"{prefix}{key}.{number}"] = QColor(entry)
        else:
            into[f"{prefix}{key}"] = QColor(value)
