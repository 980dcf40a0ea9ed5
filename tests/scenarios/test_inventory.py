"""Where each scenario of the order work is played: none may get lost when tests move."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
WANTED = ("S4", "S5", "S6", "S7", "S10", "S11", "S12", "S14", "S15", "S16", "S17", "S18")


def test_every_scenario_has_a_test_that_carries_its_number() -> None:
    found = set()
    for file in TESTS.rglob("test_*.py"):
        if file.name == Path(__file__).name:
            continue
        text = file.read_text(encoding="utf-8")
        found |= {f"S{number}" for number in re.findall(r"def test_s(\d+)_", text)}
        found |= set(re.findall(r'"""(S\d+)[ .:]', text))
    assert set(WANTED) <= found, sorted(set(WANTED) - found)
