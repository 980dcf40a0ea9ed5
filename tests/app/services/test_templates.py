"""Exit templates under names, in a real store."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from app.errors import InvalidOption, InvalidOrder
from app.persistence import AppStore
from app.services.exits import ExitTemplate, parse_distance
from app.services.templates import Shelf, TemplateService

T = TypeVar("T")


def swing(stop: str) -> ExitTemplate:
    return ExitTemplate.of(stop=parse_distance(stop, "stop"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AppStore]:
    opened = AppStore.open("", tmp_path)
    yield opened
    opened.close()


def test_the_newest_version_is_used_and_an_older_one_can_be_asked_for(store: AppStore) -> None:
    shelf = Shelf(store)
    shelf.save("Swing", swing("40"))
    assert shelf.save(" Swing ", swing("20")).version == 2
    assert shelf.get("Swing").template == swing("20")
    assert shelf.get("Swing", 1).template == swing("40")


def test_what_is_not_there_is_answered_with_what_is(store: AppStore) -> None:
    shelf = Shelf(store)
    with pytest.raises(InvalidOption, match="none is saved yet"):
        shelf.get("Swing")
    shelf.save("Swing", swing("40"))
    with pytest.raises(InvalidOption, match="one of Swing"):
        shelf.get("Swong")
    with pytest.raises(InvalidOption, match="one of 1"):
        shelf.get("Swing", 7)


def test_a_removed_name_is_gone_but_its_versions_are_not(store: AppStore) -> None:
    shelf = Shelf(store)
    shelf.save("Swing", swing("40"))
    shelf.remove("Swing")
    assert shelf.all() == []
    with pytest.raises(InvalidOption):
        shelf.get("Swing")
    assert shelf.get("Swing", 1).template == swing("40")


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "two\nlines"])
def test_a_name_that_cannot_be_shown_is_refused(store: AppStore, name: str) -> None:
    with pytest.raises(InvalidOption):
        Shelf(store).save(name, swing("40"))


def test_a_price_belongs_to_one_order_and_is_not_saved(store: AppStore) -> None:
    with pytest.raises(InvalidOrder, match="holds a price"):
        Shelf(store).save("Swing", swing("@21490"))


def test_the_window_sees_what_was_saved_at_once_and_after_a_restart(store: AppStore) -> None:
    def run(verb: Callable[[AppStore], T], /) -> Awaitable[T]:
        return asyncio.to_thread(verb, store)

    async def use() -> None:
        service = TemplateService(run)
        await service.save("Swing", swing("40"))
        await service.save("break", swing("8"))
        assert [(held.name, held.version) for held in service.held] == [("break", 1), ("Swing", 1)]
        again = TemplateService(run)
        assert await again.load() == [*again.held]
        assert [held.name for held in again.held] == ["break", "Swing"]
        await again.remove("break")
        assert [held.name for held in again.held] == ["Swing"]

    asyncio.run(use())
