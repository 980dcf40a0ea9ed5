"""Only changes are read, and the lists are those of a whole reading."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from app.services.day_orders import DayOrders


@dataclass(frozen=True)
class Row:
    key: str
    look: str = "working"
    life: str = "working"
    order_id: int = 0
    revision: int = 1


class Source:
    """Rows by key, with the revision of each; counts the rows it hands out."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.revision = 1
        self.handed = 0

    def put(self, key: str, **change: Any) -> None:
        self.revision += 1
        self.rows[key] = replace(self.rows.get(key, Row(key)), **change, revision=self.revision)

    def orders_since(self, revision: int) -> tuple[int, int, list[Any]]:
        changed = [row for row in self.rows.values() if row.revision > revision]
        self.handed += len(changed)
        return max((row.revision for row in self.rows.values()), default=0), len(self.rows), changed


def names(orders: list[Any]) -> list[str]:
    return sorted(order.key for order in orders)


def test_a_frame_reads_only_what_changed() -> None:
    source = Source()
    for number in range(1_000):
        source.put(f"o{number}", look="done", life="cancelled")
    day = DayOrders(source)
    day.refresh()
    source.handed = 0
    source.put("new", order_id=7)
    day.refresh()
    day.refresh()
    assert source.handed == 1
    assert names(day.live()) == ["new"]
    assert len(day.all()) == 1_001
    found = day.by_broker_id(7)
    assert found is not None
    assert found.key == "new"


def test_what_ended_is_shown_for_a_moment_and_a_rejection_until_the_day_ends() -> None:
    now = [0.0]
    source = Source()
    source.put("old", look="done", life="filled")
    source.put("a")
    source.put("b")
    day = DayOrders(source, lambda: now[0])
    day.refresh()
    source.put("a", look="done", life="filled")
    source.put("b", look="done", life="refused")
    day.refresh()
    assert names(day.shown()) == ["a", "b"]
    now[0] = 2.5
    day.refresh()
    assert names(day.shown()) == names(day.rejected()) == ["b"]


def test_rows_that_vanish_are_forgotten() -> None:
    source = Source()
    source.put("#77")
    source.put("tag")
    day = DayOrders(source)
    day.refresh()
    del source.rows["#77"]
    source.put("tag", order_id=77)
    day.refresh()
    assert names(day.all()) == names(day.live()) == ["tag"]


def test_another_login_brings_its_own_rows() -> None:
    source = Source()
    source.put("before", look="done", life="refused")
    day = DayOrders(source)
    day.refresh()
    source.rows.clear()
    source.put("after")
    day.refresh()
    assert names(day.all()) == ["after"]
    assert day.rejected() == []


def test_any_run_of_changes_ends_like_one_whole_reading() -> None:
    draw = random.Random(7)
    for _ in range(50):
        source, now = Source(), [0.0]
        day = DayOrders(source, lambda now=now: now[0])  # type: ignore[misc]
        for _ in range(60):
            key = f"o{draw.randrange(12)}"
            if draw.random() < 0.1 and key in source.rows:
                del source.rows[key]
            else:
                life = draw.choice(["working", "filled", "refused"])
                source.put(key, look="working" if life == "working" else "done", life=life)
            now[0] += 0.3
            if draw.random() < 0.5:
                day.refresh()
        day.refresh()
        fresh = DayOrders(source)
        fresh.refresh()
        assert names(day.all()) == names(fresh.all())
        assert names(day.live()) == names(fresh.live())
        assert names(day.rejected()) == names(fresh.rejected())
