"""The oracle sees what it is there for."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.stateful.model import Book, signed


def view(life: str, *, lots: int = 2, limit: int = 100, filled: int = 0) -> Any:
    return SimpleNamespace(
        life=life, kind="limit", size_lots=lots, limit_ticks=limit, stop_ticks=None, filled_lots=filled
    )


def row(status: int, *, side: int = 0, size: int = 2, filled: int = 0) -> dict[str, Any]:
    return {"status": status, "side": side, "size": size, "fillVolume": filled}


def decided() -> Book:
    book = Book()
    book.decide("a", "buy", 2, 100)
    return book


def test_what_both_tell_alike_passes() -> None:
    decided().check_orders({"a": view("working")}, {"a": [row(1)]})
    decided().check_orders({"a": view("filled", filled=2)}, {"a": [row(2, filled=2)]})
    decided().check_orders({"a": view("denied")}, {})
    decided().check_orders({"a": view("refused")}, {"a": [row(5)]})


@pytest.mark.parametrize(
    ("seen", "rows"),
    [
        (view("working"), [row(1), row(1)]),
        (view("working"), []),
        (view("not_accepted"), [row(1)]),
        (view("denied"), [row(3)]),
        (view("refused"), [row(2)]),
        (view("cancelled"), [row(1)]),
        (view("filled", filled=2), [row(2, filled=1)]),
        (view("working"), [row(1, side=1)]),
        (view("working"), [row(1, size=4)]),
        (view("working", limit=99), [row(1)]),
    ],
    ids=["twice", "never there", "taken after all", "denied", "refused", "alive", "part", "side", "size", "price"],
)
def test_what_they_tell_differently_does_not(seen: Any, rows: list[dict[str, Any]]) -> None:
    with pytest.raises(AssertionError):
        decided().check_orders({"a": seen}, {"a": rows})


def test_a_change_without_an_answer_may_be_in_or_not_and_one_with_an_answer_is_in() -> None:
    book = decided()
    book.changed("a", "unknown", lots=None, price=90)
    for limit in (100, 90):
        book.check_orders({"a": view("working", limit=limit)}, {"a": [row(1)]})
    book.changed("a", "refused", lots=None, price=80)
    book.changed("a", "done", lots=3, price=70)
    book.check_orders({"a": view("working", lots=3, limit=70)}, {"a": [row(1, size=3)]})
    for limit in (100, 90, 80):
        with pytest.raises(AssertionError):
            book.check_orders({"a": view("working", lots=3, limit=limit)}, {"a": [row(1, size=3)]})


def test_sales_count_against_purchases() -> None:
    assert signed([row(2, filled=2), row(2, side=1, filled=3)], "fillVolume") == -1
