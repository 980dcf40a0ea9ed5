"""Rule packs of firms and the trader's own limits, made into the rules of one account.

A pack is a dated file in `resources/rules/`: what a firm allows accounts of one kind, by size, with its source. It is
matched to an account by name, and where a name does not state the size, by balance. The numbers go to the engine once,
when the account is chosen; the engine measures, warns and acts (see `risk_rules` in the core).
"""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from app.config import RiskOptions
from app.domain import Account, Risk, Rules
from app.errors import InvalidOption, InvalidRules, NotConnected

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "rules"
AUTOMATIC, NO_RULES = "auto", "none"
_UNIT = 10_000
_LOWEST = -(2**63)
# The trader's own daily loss stands before the firm's (failure catalogue, D3).
_OWN_PERCENT_OF_FIRM = 80


def _minute_of_day(value: Any) -> Any:
    """Read `15:10` as the minute 910; anything else is left for the check to refuse."""
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)", value) if isinstance(value, str) else None
    return int(found[1]) * 60 + int(found[2]) if found else value


_Dollars = Annotated[int, Field(gt=0)]
_Minute = Annotated[int, BeforeValidator(_minute_of_day), Field(ge=0, lt=1440)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


_TableT = TypeVar("_TableT", bound=_Table)


class _Step(_Table):
    """So many minis, `from` a balance on or `above` it; the first step has neither."""

    minis: int = Field(ge=0)
    from_: int | None = Field(default=None, alias="from")
    above: int | None = None

    @property
    def from_1e4(self) -> int:
        if self.from_ is not None:
            return self.from_ * _UNIT
        return _LOWEST if self.above is None else self.above * _UNIT + 1


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"a regular expression ({error})") from None
    return value


class _Size(_Table):
    names: Annotated[str, AfterValidator(_pattern)] | None = None
    balance_from: int = 0
    start_balance: int = Field(ge=0)
    profit_target: _Dollars | None = None
    max_loss: _Dollars | None = None
    daily_loss: _Dollars | None = None
    max_minis: int = Field(ge=1)
    scaling: list[_Step] = []


class _Products(_Table):
    firm: str
    date: str
    source: str
    permitted: list[str]
    families: list[list[str]]
    weights: dict[str, Annotated[int, Field(ge=1, le=100)]]


class _Pack(_Table):
    firm: str
    kind: str
    date: str
    source: str
    products: str
    flat_by: _Minute
    forbids_opposite: bool
    daily_loss_when_named: str | None = None
    sizes: dict[str, _Size]


@dataclass(frozen=True)
class FirmRules:
    """One size of one pack. `key` is what `risk.rules` names, such as `topstep-combine/50K`."""

    key: str
    pack: _Pack
    size_name: str
    size: _Size
    products: _Products

    @property
    def title(self) -> str:
        return f"{self.pack.firm} {self.size_name} {self.pack.kind}"

    def has_daily_loss(self, account_name: str) -> bool:
        named = self.pack.daily_loss_when_named
        return self.size.daily_loss is not None and (named is None or named in account_name)


def load(folder: Path = FOLDER) -> dict[str, FirmRules]:
    """Every pack by its key. Raises InvalidRules, which names file, field, value and what is allowed."""
    files = {file.stem: _read(file) for file in sorted(folder.glob("*.toml"))}
    found: dict[str, FirmRules] = {}
    for name, held in files.items():
        if "kind" not in held:
            _checked(_Products, name, held)
            continue
        pack = _checked(_Pack, name, held)
        if pack.products not in files:
            raise InvalidRules(f"{name}.toml", "products", pack.products, "the name of a file beside it")
        products = _checked(_Products, pack.products, files[pack.products])
        for size_name, size in pack.sizes.items():
            key = f"{name}/{size_name}"
            found[key] = FirmRules(key, pack, size_name, size, products)
    return found


@functools.cache
def shipped() -> Mapping[str, FirmRules]:
    return load()


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRules(file.name, "file", str(error), "a TOML file in UTF-8") from None


def _checked(table: type[_TableT], name: str, held: Mapping[str, Any]) -> _TableT:
    try:
        return table.model_validate(held)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "file"
        raise InvalidRules(f"{name}.toml", field, first["input"], first["msg"]) from None


def firm_rules_of(account: Account, wanted: str, packs: Mapping[str, FirmRules]) -> FirmRules | None:
    """The firm's rules of an account: those that the options name, else by its name and balance. None without any.

    Raises InvalidOption when the options name rules that do not exist.
    """
    if wanted == NO_RULES:
        return None
    if wanted != AUTOMATIC:
        if wanted not in packs:
            raise InvalidOption("risk.rules", wanted, f"{AUTOMATIC}, {NO_RULES}, " + ", ".join(packs))
        return packs[wanted]
    # The first size of a pack is the strictest: it stands where neither name nor balance says more.
    return max(_matching(account, packs), key=lambda rules: rules.size.balance_from, default=None)


def _matching(account: Account, packs: Mapping[str, FirmRules]) -> Iterator[FirmRules]:
    for rules in packs.values():
        size = rules.size
        if size.names and re.search(size.names, account.name) and account.balance_1e4 >= size.balance_from * _UNIT:
            yield rules


def of_account(held: Iterable[Risk], account: Account) -> Risk:
    """Where an account stands. Raises NotConnected when it follows no rules, which no chosen account does."""
    for risk in held:
        if risk.account_id == account.id:
            return risk
    raise NotConnected(f"Account {account.name} follows no rules yet; choose it first.")


def rules_of(account: Account, risk: RiskOptions, packs: Mapping[str, FirmRules] | None = None) -> Rules:
    """What the engine is to hold this account to: the firm's rules and the trader's own. Raises InvalidOption."""
    firm = firm_rules_of(account, risk.rules, shipped() if packs is None else packs)
    own = _own_rules(risk, _firm_daily_loss(account, firm))
    if firm is None:
        return Rules(name="own limits", **own)
    size = firm.size
    return Rules(
        name=firm.title,
        source=firm.pack.source,
        date=firm.pack.date,
        start_balance_1e4=size.start_balance * _UNIT,
        stated_high_1e4=_units(risk.stated_high),
        max_loss_1e4=_units(size.max_loss),
        max_loss_action=risk.firm_limit_action,
        daily_loss_1e4=_units(_firm_daily_loss(account, firm)),
        daily_loss_action=risk.firm_limit_action,
        profit_target_1e4=_units(size.profit_target),
        minis_max=size.max_minis,
        scaling=[(step.from_1e4, step.minis) for step in size.scaling],
        weights=firm.products.weights,
        families=firm.products.families,
        permitted=firm.products.permitted,
        forbids_opposite=firm.pack.forbids_opposite,
        flat_by_minute=firm.pack.flat_by,
        entries_stop_s=risk.entries_stop_s,
        flatten_before_s=risk.flatten_before_s,
        **own,
    )


def _firm_daily_loss(account: Account, firm: FirmRules | None) -> int | None:
    return firm.size.daily_loss if firm is not None and firm.has_daily_loss(account.name) else None


def _own_rules(risk: RiskOptions, firm_daily_loss: int | None) -> dict[str, Any]:
    own = risk.daily_loss or (firm_daily_loss or 0) * _OWN_PERCENT_OF_FIRM // 100
    return {
        "personal_loss_1e4": _units(own),
        "personal_loss_action": risk.daily_loss_action,
        "is_personal_trailing": risk.daily_loss_from == "peak",
        "counts_open": risk.daily_loss_counts == "open",
        "daily_target_1e4": _units(risk.daily_target),
        "daily_target_action": risk.daily_target_action,
        "trades_max": risk.trades_a_day or None,
    }


def _units(dollars: int | None) -> int | None:
    """Dollars as 1/10,000; zero means none."""
    return dollars * _UNIT if dollars else None
