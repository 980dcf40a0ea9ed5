"""How a command answers: one JSON object, a table or lines for a person; the exit code of an error."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from app import errors, logs
from app.cli.reading import Usage
from app.services.rows import Row

FAULT = 70

# The first class that fits decides; the order matters where one is a kind of another.
EXIT_CODES: tuple[tuple[type[errors.PitdeskError], int], ...] = (
    (errors.InvalidOption, 2),
    (errors.InvalidRules, 2),
    (errors.InvalidOrder, 2),
    (errors.InvalidCommand, 2),
    (errors.Denied, 3),
    (errors.EngineHalted, 3),
    (errors.BrokerRejected, 4),
    (errors.OutcomeUnknown, 5),
    (errors.NotConnected, 6),
    (errors.EngineBusy, 7),
    (errors.PitdeskError, FAULT),
)

_TABLE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "accounts": ("name", "word", "kind", "balance", "id"),
    "contracts": ("name", "id", "description", "tick", "tick_value", "is_active"),
    "positions": ("account", "name", "net_lots", "average", "mark", "open_pnl", "realised"),
    "orders": (
        "key",
        "account",
        "name",
        "side",
        "kind",
        "size_lots",
        "filled_lots",
        "limit",
        "stop",
        "average",
        "look",
    ),
    "templates": ("name", "version", "text"),
    "stops": ("key", "stop_ticks", "outcome", "text"),
    "rules": ("key", "outcome", "text"),
    "checks": ("name", "state", "text"),
}


# What a person reads as a price or a time, programs read in whole numbers.
_FOR_PROGRAMS = ("_ticks", "_ns", "_1e4")


def exit_code(error: errors.PitdeskError) -> int:
    if isinstance(error, Usage):
        return 2
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    lines = [[name.replace("_", " ") for name in columns]]
    lines += [[_word(row[name]) for name in columns] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _text_of(answer: Row) -> str:
    ((name, value),) = answer.items()
    if isinstance(value, list):
        return table(value, _TABLE_COLUMNS[name]) if value else f"No {name}."
    if isinstance(value, str):
        return value
    shown = [
        (key, held)
        for key, held in value.items()
        if not key.endswith(_FOR_PROGRAMS) and held != "" and not (held and isinstance(held, list | dict))
    ]
    return "\n".join(f"{key.replace('_', ' ')}: {_word(held)}" for key, held in shown)


def _word(value: Any) -> str:
    if value is None or value == []:
        return "-"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def fail(error: errors.PitdeskError, *, is_json: bool) -> int:
    code = exit_code(error)
    if is_json:
        told = {"kind": type(error).__name__, "text": error.text, "exit_code": code}
        for name in ("field", "name", "allowed", "tag", "reasons"):
            if getattr(error, name, None):
                told[name] = getattr(error, name)
        print(logs.redactor.text(json.dumps({"error": told})))
    else:
        sys.stderr.write(logs.redactor.text(f"pitdesk: {error.text}\n"))
    return code


def answer(answer: Row, *, is_json: bool) -> None:
    print(logs.redactor.text(json.dumps(answer) if is_json else _text_of(answer)))
