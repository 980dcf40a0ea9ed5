"""Rule packs: what is read, what is refused in words, and which account gets which rules."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from app.config import RiskOptions
from app.domain import Account, Rules
from app.errors import InvalidOption, InvalidRules
from app.services.risk import FOLDER, load, rules_of, shipped

USD = 10_000


def account(name: str, dollars: int = 50_000) -> Account:
    return Account(1, name, "DEMO", "", dollars * USD, True, True, False, "unknown", "")


def rules(name: str, dollars: int = 50_000, **options: Any) -> Rules:
    return rules_of(account(name, dollars), RiskOptions(**options))


@pytest.mark.parametrize(
    ("name", "dollars", "title", "minis"),
    [
        ("50KTC-V2-900001-22223333", 50_000, "Topstep 50K Combine", 5),
        ("100KTC-V2-DLL-1-2", 91_000, "Topstep 100K Combine", 10),
        ("150KTC-V2-DLL-900001-33334444", 150_000, "Topstep 150K Combine", 15),
        ("EXPRESS-V2-900001-44445555", 0, "Topstep 50K Express", 5),
        ("PRAC-V2-900001-11112222", 150_000, "Topstep 150K Practice", 15),
        ("PRAC-V2-900001-11112222", 99_000, "Topstep 100K Practice", 10),
        ("PRAC-V2-900001-11112222", 12_000, "Topstep 50K Practice", 5),
    ],
)
def test_an_account_gets_the_rules_of_its_name_and_balance(name: str, dollars: int, title: str, minis: int) -> None:
    found = rules(name, dollars)
    assert (found.name, found.minis_max) == (title, minis)
    assert found.source.startswith("help.topstep.com")
    assert found.date.startswith("2026-")
    assert (found.flat_by_minute, found.forbids_opposite) == (15 * 60 + 10, True)


def test_the_daily_loss_belongs_to_accounts_whose_name_says_so() -> None:
    assert rules("150KTC-V2-1-2").daily_loss_1e4 is None
    assert rules("150KTC-V2-DLL-1-2").daily_loss_1e4 == 3_000 * USD
    assert rules("150KTC-V2-DLL-1-2").personal_loss_1e4 == 2_400 * USD, "own limit before the firm's"
    assert rules("150KTC-V2-DLL-1-2", daily_loss=500).personal_loss_1e4 == 500 * USD


def test_an_express_account_has_its_scaling_plan_and_a_floor_that_ends_at_zero() -> None:
    found = rules("EXPRESS-V2-1-2", 0, rules="topstep-express/100K", stated_high=3_200)
    assert (found.start_balance_1e4, found.max_loss_1e4) == (0, 3_000 * USD)
    assert found.stated_high_1e4 == 3_200 * USD
    assert [(balance, minis) for balance, minis in found.scaling[1:]] == [
        (1_500 * USD, 4),
        (2_000 * USD + 1, 5),
        (3_000 * USD + 1, 10),
    ]
    assert found.scaling[0][0] < -(10**15)


def test_an_account_nobody_knows_has_only_the_traders_own_limits() -> None:
    found = rules("SIM-1", daily_loss=500, daily_loss_from="peak", trades_a_day=3, daily_target=800)
    assert (found.name, found.max_loss_1e4, found.permitted) == ("own limits", None, None)
    assert (found.personal_loss_1e4, found.is_personal_trailing) == (500 * USD, True)
    assert (found.trades_max, found.daily_target_1e4) == (3, 800 * USD)


def test_rules_that_do_not_exist_are_answered_with_those_that_do() -> None:
    with pytest.raises(InvalidOption, match="topstep-combine/50K"):
        rules("50KTC-1", rules="topstep-combine/75K")
    assert rules("50KTC-1", rules="none").max_loss_1e4 is None


def test_every_shipped_pack_states_firm_source_and_date() -> None:
    packs = shipped()
    assert len(packs) == 9
    for found in packs.values():
        assert found.pack.date
        assert "help.topstep.com" in found.pack.source
        assert {"MNQ", "ES", "ZL", "LE"} <= set(found.products.permitted)
        assert set(found.products.weights) <= set(found.products.permitted)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("max_loss = 2000", "max_loss = -5", "sizes.50K.max_loss"),
        ("max_loss = 2000", "max_loss = nan", "sizes.50K.max_loss"),
        ("max_loss = 2000", 'max_loss = "2000"', "sizes.50K.max_loss"),
        ('flat_by = "15:10"', 'flat_by = "25:10"', "flat_by"),
        ("max_minis = 5", "max_minis = 5\nmax_lots = 3", "sizes.50K.max_lots"),
        ('names = "^50KTC"', 'names = "^50KTC("', "sizes.50K.names"),
        ('products = "topstep-products"', 'products = "absent"', "products"),
    ],
)
def test_a_pack_that_cannot_be_meant_is_refused_with_file_and_field(
    tmp_path: Path, old: str, new: str, field: str
) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "rules")
    file = folder / "topstep-combine.toml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InvalidRules) as refused:
        load(folder)
    assert refused.value.file == "topstep-combine.toml"
    assert refused.value.field == field
    assert "topstep-combine.toml" in refused.value.text
    assert "allowed" in refused.value.text


def test_a_pack_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "rules")
    (folder / "topstep-combine.toml").write_text("firm = [", encoding="utf-8")
    with pytest.raises(InvalidRules, match="TOML"):
        load(folder)
