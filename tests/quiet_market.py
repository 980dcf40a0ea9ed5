"""A market that a test moves: a fixed morning, and a pulse that keeps its quotes fresh without touching a price.

The gateway's own clock would start on the day the tests run: another month has another front contract, a holiday other
hours. And a market that says nothing for three seconds is late, so that the gate refuses what is priced by it: a busy
machine needs longer than that between two steps of a test.
"""

from __future__ import annotations

from typing import Any

# A Tuesday, 08:25 in Chicago. The front month of the index is December.
MORNING = "2026-11-24T14:25:00Z"
AT_MORNING = ("--clock", MORNING)
_EVERY_MS = 500
# Far below any price of a test, so that it is nobody's best bid.
_FAR_BELOW = 1.0


def pulse(seconds: int, contract: str = "MNQ") -> list[dict[str, Any]]:
    """Steps of a script: twice a second one level far below the market changes its size."""
    return [
        {
            "ms": _EVERY_MS * beat,
            "contract": contract,
            "level": {"side": "bid", "price": _FAR_BELOW, "lots": 1 + beat % 2},
        }
        for beat in range(1, seconds * 1_000 // _EVERY_MS)
    ]
