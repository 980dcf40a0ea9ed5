"""How a person says where exits go, and what that is in ticks and lots of one contract. Exact integers, no I/O.

A distance is typed as `40` or `40t` (ticks), `10.25p` (points), `20d` or `$20` (dollars a lot), `@21490.25` (a price).
Nothing is rounded and nothing clipped: a distance that is not on the contract's grid is refused with its neighbours.

    ExitTemplate   what is saved: one stop, up to four targets, who holds them, break-even, up to three trailing stages
    ExitPlan       the same for one contract and one size: ticks from the entry, lots of each leg
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from app.domain import Contract
from app.errors import InvalidOrder

TARGETS_MOST = 4
STAGES_MOST = 3
# The gateway refuses more on a place; sent by mistake it is usually a price where a distance belongs.
TICKS_MOST = 1_000

Unit = Literal["ticks", "points", "dollars", "price"]
Holder = Literal["broker", "computer"]
WhenBare = Literal["alarm", "flatten"]

_DISTANCE = re.compile(r"(?P<sign>[@$]?)(?P<number>-?\d+(?:\.\d+)?)(?P<unit>[tpd]?)")
_UNITS: dict[str, Unit] = {"": "ticks", "t": "ticks", "p": "points", "d": "dollars", "$": "dollars", "@": "price"}
_LETTERS = {"ticks": "t", "points": "p", "dollars": "d"}
_TEN_THOUSANDTHS = 10_000


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Distance(_Frozen):
    """How far from the entry, in the unit a person chose; `price` is a place instead of a distance."""

    amount: Decimal
    unit: Unit = "ticks"

    @property
    def text(self) -> str:
        return f"@{self.amount}" if self.unit == "price" else f"{self.amount}{_LETTERS[self.unit]}"

    @classmethod
    def of_ticks(cls, ticks: int) -> Self:
        return cls(amount=Decimal(ticks))


class TargetLeg(_Frozen):
    """One target: a number of lots or a share of the size in percent."""

    distance: Distance
    lots: int | None = Field(default=None, ge=1, le=1000)
    share_percent: int | None = Field(default=None, ge=1, le=100)

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.lots is None) == (self.share_percent is None):
            raise ValueError("a target has either lots or a share")
        return self

    @property
    def size_text(self) -> str:
        return f"{self.share_percent}%" if self.share_percent is not None else str(self.lots)


class BreakEven(_Frozen):
    """Move the stop to the entry, and `plus_ticks` beyond it, once the market went `trigger` our way."""

    trigger: Distance
    plus_ticks: int = Field(default=0, ge=0, le=TICKS_MOST)


class TrailStage(_Frozen):
    """From `start` of profit on the stop follows at `distance`, in steps of `step_ticks`."""

    start: Distance
    distance: Distance
    step_ticks: int = Field(default=1, ge=1, le=TICKS_MOST)


class ExitTemplate(_Frozen):
    """What is saved under a name."""

    stop: Distance | None = None
    targets: tuple[TargetLeg, ...] = Field(default=(), max_length=TARGETS_MOST)
    break_even: BreakEven | None = None
    trail: tuple[TrailStage, ...] = Field(default=(), max_length=STAGES_MOST)
    # Native legs live on without this computer; legs held here need a trader's choice (decision 16).
    held_by: Holder = "broker"
    # What follows the alarm when the stop that was asked for does not work.
    when_bare: WhenBare = "alarm"

    @model_validator(mode="after")
    def _has_meaning(self) -> Self:
        if (self.break_even or self.trail) and self.targets and self.stop is None:
            raise ValueError("break-even and trailing move a stop, and there is none")
        shares = sum(leg.share_percent or 0 for leg in self.targets)
        if shares > 100:
            raise ValueError(f"the shares of the targets make {shares} percent; at most 100 are allowed")
        return self

    @classmethod
    def parse(cls, body: str) -> Self:
        """Read a saved body. Raises InvalidOrder."""
        try:
            return cls.model_validate_json(body)
        except ValidationError as error:
            raise InvalidOrder("template", _first_sentence(error)) from None

    @classmethod
    def of(cls, **parts: object) -> Self:
        """Build from parts. Raises InvalidOrder with one sentence."""
        try:
            return cls.model_validate(parts)
        except ValidationError as error:
            raise InvalidOrder("template", _first_sentence(error)) from None

    @property
    def has_prices(self) -> bool:
        """Whether a leg is a place instead of a distance: meant for one order only."""
        distances = [self.stop, *(leg.distance for leg in self.targets)]
        distances += [self.break_even.trigger] if self.break_even else []
        distances += [distance for held in self.trail for distance in (held.start, held.distance)]
        return any(distance is not None and distance.unit == "price" for distance in distances)

    @property
    def has_rule(self) -> bool:
        """Whether this computer has to move the stop."""
        return self.break_even is not None or bool(self.trail)

    @property
    def body(self) -> str:
        return self.model_dump_json()

    @property
    def text(self) -> str:
        """One line for lists: `stop 40t, targets 1 at 40t and 50% at 80t, break-even after 24t +2`."""
        parts = [f"stop {self.stop.text}"] if self.stop else ["no stop"]
        if self.targets:
            parts.append("targets " + " and ".join(f"{leg.size_text} at {leg.distance.text}" for leg in self.targets))
        if self.break_even:
            parts.append(f"break-even after {self.break_even.trigger.text} +{self.break_even.plus_ticks}")
        parts += [
            f"trail from {stage.start.text} at {stage.distance.text} by {stage.step_ticks}" for stage in self.trail
        ]
        if self.held_by == "computer":
            parts.append("held by this computer")
        if self.when_bare == "flatten":
            parts.append("flattened when the stop is missing")
        return ", ".join(parts)


def _first_sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    text = str(first["msg"]).removeprefix("Value error, ")
    return f"{text[:1].upper()}{text[1:]}{f' ({where})' if where else ''}."


@dataclass(frozen=True)
class TargetPlan:
    lots: int
    ticks: int


@dataclass(frozen=True)
class StagePlan:
    start_ticks: int
    distance_ticks: int
    step_ticks: int


@dataclass(frozen=True)
class ExitPlan:
    """Distances from the entry in ticks, all positive. Lots without a target are a runner: only the stop ends them."""

    stop_ticks: int | None = None
    targets: tuple[TargetPlan, ...] = ()
    break_even_trigger_ticks: int | None = None
    break_even_plus_ticks: int = 0
    stages: tuple[StagePlan, ...] = ()
    held_by: Holder = "broker"
    when_bare: WhenBare = "alarm"

    @property
    def has_rule(self) -> bool:
        """Whether this computer has to move the stop."""
        return self.break_even_trigger_ticks is not None or bool(self.stages)

    @property
    def rule(self) -> dict[str, Any]:
        """Break-even and stages as arguments of the engine's `set_stop_rule`."""
        return {
            "break_even_trigger_ticks": self.break_even_trigger_ticks,
            "break_even_plus_ticks": self.break_even_plus_ticks,
            "trail_stages": [(held.start_ticks, held.distance_ticks, held.step_ticks) for held in self.stages],
        }

    def risk_1e4(self, contract: Contract, size_lots: int) -> int | None:
        """What a stop-out costs without fees and slippage; None without a stop."""
        return None if self.stop_ticks is None else self.stop_ticks * size_lots * contract.tick_value_1e4

    def gain_1e4(self, contract: Contract) -> int:
        """What all targets together earn, without fees."""
        return sum(leg.ticks * leg.lots for leg in self.targets) * contract.tick_value_1e4


NO_TEMPLATE = ExitTemplate()
NO_EXITS = ExitPlan()


def parse_distance(text: str, field: str) -> Distance:
    """Read a typed distance. Raises InvalidOrder beside the field."""
    match = _DISTANCE.fullmatch(text.strip().lower())
    if match is None or (match["sign"] and match["unit"]):
        raise InvalidOrder(
            field,
            f"{field.capitalize()} {text!r} cannot be read; allowed: 40 or 40t (ticks), 10.25p (points), "
            "20d (dollars a lot), @21490.25 (a price).",
        )
    return Distance(amount=Decimal(match["number"]), unit=_UNITS[match["sign"] or match["unit"]])


def ticks_of(
    distance: Distance, contract: Contract, field: str, *, entry_ticks: int | None = None, sign: int = 0
) -> int:
    """Ticks from the entry, exactly; at least 1, at most 1,000.

    A price is measured from `entry_ticks`, and has to lie on the side that `sign` says: +1 above, −1 below the entry.
    Raises InvalidOrder naming what was given and what is allowed.
    """
    if distance.unit == "price":
        ticks = _price_distance(distance, contract, field, entry_ticks, sign)
    elif distance.unit == "points":
        ticks = _on_grid(distance, Decimal(contract.tick_units).scaleb(-contract.decimals), field, contract.name)
    elif distance.unit == "dollars":
        ticks = _on_grid(distance, Decimal(contract.tick_value_1e4) / _TEN_THOUSANDTHS, field, contract.name)
    else:
        ticks = _on_grid(distance, Decimal(1), field, contract.name)
    if not 1 <= ticks <= TICKS_MOST:
        raise InvalidOrder(
            field,
            f"The {field} distance {distance.text} is {ticks:,} ticks of {contract.name}; "
            f"allowed: 1 to {TICKS_MOST:,}.",
        )
    return ticks


def _on_grid(distance: Distance, step: Decimal, field: str, name: str) -> int:
    count, rest = divmod(distance.amount, step)
    if rest:
        below = int(count)
        near = [(step * ticks).normalize() for ticks in (below, below + 1) if ticks >= 1]
        allowed = " and ".join(f"{value:f}" for value in near)
        raise InvalidOrder(
            field,
            f"The {field} distance {distance.text} is no whole number of ticks of {name}; "
            f"nearest {'are' if len(near) > 1 else 'is'} {allowed} {distance.unit}.",
        )
    return int(count)


def _price_distance(distance: Distance, contract: Contract, field: str, entry_ticks: int | None, sign: int) -> int:
    if entry_ticks is None or sign == 0:
        raise InvalidOrder(
            field, f"The {field} {distance.text} is a price; a template needs a distance from the entry."
        )
    try:
        price = contract.ticks_from_text(str(distance.amount))
    except ValueError as error:
        raise InvalidOrder(field, str(error)) from None
    if (price - entry_ticks) * sign < 1:
        raise InvalidOrder(
            field,
            f"The {field} {contract.price_text(price)} must be {'above' if sign > 0 else 'below'} the entry "
            f"{contract.price_text(entry_ticks)}.",
        )
    return abs(price - entry_ticks)


def plan_of(
    template: ExitTemplate, contract: Contract, side: str, size_lots: int, *, entry_ticks: int | None = None
) -> ExitPlan:
    """The template for one order. `entry_ticks` is needed only where a leg is a price. Raises InvalidOrder."""
    up = 1 if side == "buy" else -1

    def ticks(distance: Distance, field: str, sign: int) -> int:
        return ticks_of(distance, contract, field, entry_ticks=entry_ticks, sign=sign)

    lots = split_lots(template.targets, size_lots)
    targets = [
        TargetPlan(share, ticks(leg.distance, f"target {place}", up))
        for place, (leg, share) in enumerate(zip(template.targets, lots, strict=True), 1)
        if share
    ]
    even = template.break_even
    return ExitPlan(
        stop_ticks=ticks(template.stop, "stop", -up) if template.stop else None,
        targets=tuple(targets),
        break_even_trigger_ticks=ticks(even.trigger, "break-even", up) if even else None,
        break_even_plus_ticks=even.plus_ticks if even else 0,
        stages=tuple(
            StagePlan(
                ticks(stage.start, "trail start", up), ticks_of(stage.distance, contract, "trail"), stage.step_ticks
            )
            for stage in template.trail
        ),
        held_by=template.held_by,
        when_bare=template.when_bare,
    )


def split_lots(legs: Sequence[TargetLeg], size_lots: int) -> list[int]:
    """Lots of each target, never more than the size together. Fixed lots are served first, in order; shares divide the
    whole size by cumulative rounding down, so that 100 percent is every lot and the first target is never the larger.
    """
    left = size_lots
    fixed: list[int] = []
    for leg in legs:
        fixed.append(min(leg.lots or 0, left))
        left -= fixed[-1]
    result, percent, given = [], 0, 0
    for leg, lots in zip(legs, fixed, strict=True):
        if leg.share_percent is None:
            result.append(lots)
            continue
        percent += leg.share_percent
        upto = min(size_lots * percent // 100, given + left)
        result.append(upto - given)
        left -= upto - given
        given = upto
    return result
