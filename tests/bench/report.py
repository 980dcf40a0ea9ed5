"""Rows of a report: what was measured, against whom, and how it compares with the goal."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One line of the report; `ratio` is ours against the peer in the same run, higher is better for rates only."""

    id: str
    n: int = 0
    unit: str = ""
    median: float | None = None
    p99: float | None = None
    peer: str | None = None
    peer_median: float | None = None
    ratio: float | None = None
    goal: str = ""
    met: bool | None = None
    skipped: str | None = None


def compared(row: Row, peer: str, ours: Sequence[float], theirs: Sequence[float]) -> Row:
    """The row with a peer beside it; the ratio is the median over rounds of each round's ratio."""
    if not theirs:
        return row
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=False) if b)
    told = {**asdict(row), "peer": peer, "peer_median": _short(statistics.median(theirs)), "ratio": _short(ratio)}
    return Row(**told)


def quantile(values: Sequence[float], share: float) -> float:
    """The value at this share of the sorted values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def host() -> dict[str, Any]:
    """Where this was measured."""
    return {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load": [round(value, 2) for value in os.getloadavg()] if hasattr(os, "getloadavg") else [],
    }


def as_json(row: Row) -> dict[str, Any]:
    return {name: _short(value) if isinstance(value, float) else value for name, value in asdict(row).items()}


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text; skipped ones say why at the end of their line."""
    names = ("id", "n", "unit", "median", "p99", "peer", "peer_median", "ratio", "goal", "met")
    lines = [list(names)] + [[_cell(getattr(row, name)) for name in names] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(names))]
    text = []
    for number, line in enumerate(lines):
        shown = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        reason = rows[number - 1].skipped if number else None
        text.append(f"{shown}  skipped: {reason}" if reason else shown)
    return "\n".join(text)
