"""What a contract costs to open and close, from `resources/fees.toml`: an estimate before the trade."""

from __future__ import annotations

import functools
import tomllib
from decimal import Decimal
from pathlib import Path

from app.domain import Contract

FILE = Path(__file__).resolve().parents[2] / "resources" / "fees.toml"
_TEN_THOUSANDTHS = 10_000


@functools.cache
def _round_turns() -> dict[str, int]:
    held = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return {
        root: int(Decimal(cost) * _TEN_THOUSANDTHS) for root, cost in (held["estimated"] | held["round_turn"]).items()
    }


def round_turn_1e4(contract: Contract) -> int | None:
    """Commission and exchange fees of one lot, in and out; None for a product nobody has a figure of."""
    return _round_turns().get(contract.root)
