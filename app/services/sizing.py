"""How many contracts a sum of money at risk buys. Whole numbers, rounded down, fees included, no I/O.

risk of a lot = stop distance in ticks x tick value + fees of a round turn. The answer may mix the contract with its
micro: as many of the larger as fit, then as many micros as the rest pays for. A micro whose coarser grid cannot hold
the stop's distance is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from app.domain import Contract, money_text
from app.errors import InvalidOrder

# A mini and the micro on the same price (exchange product lists, protocol section 19).
MICRO_OF = {
    "ES": "MES",
    "NQ": "MNQ",
    "YM": "MYM",
    "RTY": "M2K",
    "CL": "MCL",
    "GC": "MGC",
    "SI": "SIL",
    "HG": "MHG",
    "NG": "MNG",
    "6E": "M6E",
    "6B": "M6B",
    "6A": "M6A",
    "BTC": "MBT",
    "ETH": "MET",
}


@dataclass(frozen=True)
class Part:
    """Lots of one contract in the answer. `stop_ticks` are its own: a micro may have another tick."""

    contract: Contract
    lots: int
    stop_ticks: int
    risk_1e4: int
    fees_1e4: int


@dataclass(frozen=True)
class Sizing:
    """`parts` hold at least one lot each, none when nothing fits. `least_1e4`: one lot of the smallest, with fees."""

    risk_1e4: int
    parts: tuple[Part, ...]
    per_lot_1e4: int
    least_1e4: int
    micro_lots: int | None
    micro_name: str

    @property
    def cost_1e4(self) -> int:
        return sum(part.risk_1e4 + part.fees_1e4 for part in self.parts)

    @property
    def text(self) -> str:
        """One sentence for a person."""
        if self.parts:
            lots = " + ".join(f"{part.lots} {part.contract.root}" for part in self.parts)
            return f"{lots}: {money_text(self.cost_1e4)} of {money_text(self.risk_1e4)} with fees."
        short = f"0 lots: one costs {money_text(self.per_lot_1e4)} with fees, {money_text(self.risk_1e4)} is at risk"
        if self.micro_lots:
            return f"{short}; {self.micro_lots} {self.micro_name} would fit."
        return f"{short}; nothing smaller fits."


def sized_by_risk(
    contract: Contract,
    stop_ticks: int,
    risk_1e4: int,
    *,
    fees_1e4: int,
    micro: tuple[Contract, int] | None = None,
    is_mixed: bool = False,
) -> Sizing:
    """Lots of `contract` for this risk; with `is_mixed`, micros for the rest.

    stop_ticks: distance in ticks of `contract`. fees_1e4: round turn of one lot, commission and exchange.
    micro: the micro and its round-turn fees, if there is one. Raises InvalidOrder for a risk, distance or fee that is
    no amount.
    """
    _check(stop_ticks, risk_1e4, fees_1e4)
    per_lot = stop_ticks * contract.tick_value_1e4 + fees_1e4
    lots = risk_1e4 // per_lot
    parts = [_part(contract, lots, stop_ticks, fees_1e4)] if lots else []
    least, micro_lots, micro_name = per_lot, None, ""
    if micro is not None and (small_ticks := ticks_on(contract, stop_ticks, micro[0])) is not None:
        small, small_fees = micro
        least = small_ticks * small.tick_value_1e4 + small_fees
        micro_lots, micro_name = risk_1e4 // least, small.root
        rest = (risk_1e4 - lots * per_lot) // least
        if is_mixed and rest:
            parts.append(_part(small, rest, small_ticks, small_fees))
    return Sizing(risk_1e4, tuple(parts), per_lot, least, micro_lots, micro_name)


def _part(contract: Contract, lots: int, stop_ticks: int, fees_1e4: int) -> Part:
    return Part(contract, lots, stop_ticks, lots * stop_ticks * contract.tick_value_1e4, lots * fees_1e4)


def _check(stop_ticks: int, risk_1e4: int, fees_1e4: int) -> None:
    if risk_1e4 < 1:
        raise InvalidOrder("risk", f"A risk of {money_text(risk_1e4)} dollars buys nothing; more than 0 is needed.")
    if stop_ticks < 1:
        raise InvalidOrder("stop", f"The stop distance is {stop_ticks} ticks; at least 1 is needed to size by risk.")
    if fees_1e4 < 0:
        raise InvalidOrder("fees", f"Fees of {money_text(fees_1e4)} dollars a lot are negative; 0 or more is allowed.")


def ticks_on(contract: Contract, ticks: int, other: Contract) -> int | None:
    """The same distance in ticks of another contract on the same price; None off its grid."""
    step = Fraction(contract.tick_units, 10**contract.decimals)
    result = step * ticks / Fraction(other.tick_units, 10**other.decimals)
    return int(result) if result.denominator == 1 else None


def tenths_of(contract: Contract) -> int:
    """What one lot counts for in limits that are stated in minis, in tenths of one."""
    return 1 if contract.root in MICRO_OF.values() else 10


def micro_of(contract: Contract, contracts: Sequence[Contract]) -> Contract | None:
    """The micro of the same month, among those known, else the nearest listed one."""
    root = MICRO_OF.get(contract.root)
    listed = [held for held in contracts if held.root == root and held.is_active]
    month = contract.id.rpartition(".")[2]
    same = [held for held in listed if held.id.endswith(f".{month}")]
    return next(iter(same or listed), None)
